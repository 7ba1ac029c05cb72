#!/bin/bash
# Fetch what an emulated Raspberry Pi boots: Debian's kernel with its device trees, a userland on an SD card.
#
#   build.sh armel|arm64 CACHE PYTHON     prints the kernel's version; everything goes to CACHE (bench-raspi, arm and
#                                         bench-hw/tools), nothing is installed into the host. PYTHON: for its pip.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
arch=$1
cache=$(mkdir -p "$2" && readlink -f "$2")
python=$3
case $arch in
  armel) kernels=linux-image-rpi emulator=qemu-system-arm ;;
  arm64) kernels=linux-image-6.12-arm64 emulator=qemu-system-aarch64 ;;
  *) echo "$arch is none of armel, arm64" >&2; exit 2 ;;
esac
own=$cache/bench-raspi/$arch
packages=$own/apt
mkdir -p "$packages"/{lists,cache/archives}/partial

skip() { echo "bench-raspi SKIPPED: $*" >&2; exit 77; }

command -v apt-get >/dev/null || skip "its kernel comes from Debian packages and there is no apt-get here"
. "$here/../bench_hw/tools.sh"
need "$cache/bench-hw" "$emulator:qemu-system-arm" cpio:cpio depmod:kmod mkfs.ext4:e2fsprogs xz:xz-utils ||
  skip "apt-get could not download QEMU (apt-get update?)"
bash "$here/../arm/userland.sh" "$arch" "$cache/arm" >&2 || skip "no $arch userland (see above)"

# apt with lists of its own, of another architecture: this machine's stay as they are
cat > "$packages/apt.conf" <<CONF
APT::Architecture "$arch";
APT::Architectures { "$arch"; };
Dir::State::Lists "$packages/lists";
Dir::State::status "/dev/null";
Dir::Cache "$packages/cache";
CONF
if [ ! -d "$own/kernel/boot" ]; then
  export APT_CONFIG=$packages/apt.conf
  apt-get update -qq >&2 || skip "apt-get has no lists of $arch"
  image=$(apt-cache depends "$kernels" 2>/dev/null | awk '/Depends: linux-image/ {print $2; exit}' || true)
  rm -rf "$packages"/*.deb "$own/new"
  (cd "$packages" && apt-get download -qq "$image" busybox-static 2>/dev/null) ||
    skip "apt-get could not download ${image:-$kernels}"
  unset APT_CONFIG
  for package in "$packages"/*.deb; do dpkg-deb -x "$package" "$own/new"; rm "$package"; done
  depmod -b "$own/new" "${image#linux-image-}"
  mv "$own/new" "$own/kernel"
fi
version=$(basename "$own"/kernel/boot/vmlinuz-*)
version=${version#vmlinuz-}

ls "$own"/smbus2-*.whl >/dev/null 2>&1 ||
  "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: -d "$own" 'smbus2>=0.6' 2>/dev/null ||
  skip "pip could not fetch smbus2"
if [ "$cache/arm/$arch/.whole" -nt "$own/sd.img" ]; then
  truncate -s 512M "$own/sd.new"
  mkfs.ext4 -q -F -d "$cache/arm/$arch" "$own/sd.new"
  mv "$own/sd.new" "$own/sd.img"
fi
bash "$here/initramfs.sh" "$own" "$version"
echo "$version"
