#!/bin/bash
# Build the bench's virtual machine from Debian packages: kernel, drivers that Debian leaves out, initramfs.
#
#   build.sh CACHE     everything goes there (about 450 MB while building, 130 MB after); nothing is installed
#                      into the host but, where QEMU or a compiler is absent and we are root, those by apt-get
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
cache=$(mkdir -p "$1" && readlink -f "$1")
kernel_line=6.12

skip() { echo "bench-hw SKIPPED: $*" >&2; exit 77; }

[ "$(uname -m)" = x86_64 ] || skip "the virtual machine is an x86_64 one, this is $(uname -m)"
command -v apt-get >/dev/null || skip "its kernel comes from Debian packages and there is no apt-get here"
missing=()
for pair in qemu-system-x86_64:qemu-system-x86 busybox:busybox-static cpio:cpio depmod:kmod gcc-12:gcc-12 make:make xz:xz-utils; do
  command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
  [ "$(id -u)" = 0 ] || skip "needs: apt-get install ${missing[*]}"
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null || skip "apt-get could not install ${missing[*]}"
fi

image=$(apt-cache depends linux-image-$kernel_line-amd64 2>/dev/null | awk '/Depends:/ {print $2; exit}')
[ -n "$image" ] || image=$(ls "$cache"/debs 2>/dev/null | sed -n 's/^\(linux-image-[^_]*\)_.*/\1/p' | head -1)
[ -n "$image" ] || skip "apt knows no linux-image-$kernel_line-amd64 (apt-get update?)"
version=${image#linux-image-}
flavourless=${version%-amd64}

# A finished build is kept until the kernel or a module's source changes.
stamp=$(cat "$here"/build.sh "$here"/initramfs.sh "$here"/modules/*.c <(echo "$version") | sha256sum | cut -c1-16)
if [ "$(cat "$cache/stamp" 2>/dev/null)" = "$stamp" ]; then echo "$version"; exit 0; fi

mkdir -p "$cache"/debs "$cache/kernel" "$cache/headers" "$cache/modules" "$cache/out"
cd "$cache/debs"
for package in "$image" "linux-headers-$version" "linux-headers-$flavourless-common" "linux-kbuild-$flavourless" "linux-source-$kernel_line"; do
  ls "$package"_*.deb >/dev/null 2>&1 || apt-get download -qq "$package" >&2 2>/dev/null || skip "apt-get could not download $package"
done

dpkg-deb -x "$image"_*.deb "$cache/kernel"
for package in linux-headers-* linux-kbuild-*; do dpkg-deb -x "$package" "$cache/headers"; done
headers="$cache/headers/usr/src/linux-headers-$version"
sed -i "s,^include /usr/src,include $cache/headers/usr/src," "$headers/Makefile"

# hwmon drivers that Debian's kernels lack, from Debian's own source of the same kernel
cd "$cache/modules"
if [ ! -f ina2xx.c ]; then
  dpkg-deb --fsys-tarfile "$cache"/debs/linux-source-*.deb | tar -xO "./usr/src/linux-source-$kernel_line.tar.xz" |
    tar -xJ --strip-components=3 "linux-source-$kernel_line/drivers/hwmon/"{ina2xx,ina3221,ina238}.c
fi
cp "$here"/modules/*.c .
{ for source in *.c; do case $source in *.mod.c) ;; *) echo "obj-m += ${source%.c}.o" ;; esac; done; } > Makefile
# no pahole here, so no BTF for modules
make -s -j2 -C "$headers" M="$PWD" CONFIG_DEBUG_INFO_BTF_MODULES= modules > build.log 2>&1 ||
  { tail -20 build.log >&2; exit 1; }
extra="$cache/kernel/lib/modules/$version/extra"
mkdir -p "$extra"
cp ./*.ko "$extra"
strip --strip-debug "$extra"/*.ko
depmod -b "$cache/kernel" "$version"

bash "$here/initramfs.sh" "$cache/kernel" "$version" "$cache/initramfs.gz"
echo "$stamp" > "$cache/stamp"
echo "$version"
