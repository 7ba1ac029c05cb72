#!/bin/bash
# Unpack a Debian userland of another architecture, with Debian's own numpy; nothing is installed into the host.
#
#   userland.sh arm64|armhf|armel CACHE     leaves CACHE/ARCH, a folder to chroot into (see enter.sh)
#
# Packages are unpacked and not configured (no second stage): thirty seconds instead of four minutes, and
# enough for Python. What their scripts would have done is done here by hand: the BLAS links and a root user.
set -euo pipefail
arch=$1
cache=$(mkdir -p "$2" && readlink -f "$2")
root=$cache/$arch
case $arch in
  arm64) triplet=aarch64-linux-gnu ;;
  armhf) triplet=arm-linux-gnueabihf ;;
  armel) triplet=arm-linux-gnueabi ;;
  *) echo "$arch is none of arm64, armhf, armel" >&2; exit 2 ;;
esac
packages=python3,python3-numpy,python3-pip,python3-setuptools,python3-wheel,python3-pytest,python3-hypothesis
packages+=,python3-pytest-timeout,python3-pandas,python3-cryptography,python3-cffi-backend,python3-usb
packages+=,python3-click,python3-tqdm,python3-platformdirs,python3-serial,python3-smbus

skip() { echo "test-arm SKIPPED: $*" >&2; exit 77; }

[ "$(id -u)" = 0 ] || skip "unpacking another architecture's userland needs root"
command -v apt-get >/dev/null || skip "it comes from Debian packages and there is no apt-get here"
mirror=$(apt-get indextargets --format '$(SITE)' 2>/dev/null | grep '/debian$' | head -1)
[ -n "$mirror" ] || skip "apt has no Debian mirror"

tools=$cache/tools
if [ ! -x "$tools/usr/bin/qemu-arm-static" ]; then
  mkdir -p "$tools" && cd "$tools"
  apt-get download -qq debootstrap qemu-user-static 2>/dev/null || skip "apt-get could not download qemu-user-static"
  for package in *.deb; do dpkg-deb -x "$package" . && rm "$package"; done
fi

[ "$(cat "$root/.whole" 2>/dev/null)" != "$packages" ] || exit 0
rm -rf "$root"
DEBOOTSTRAP_DIR=$tools/usr/share/debootstrap "$tools/usr/sbin/debootstrap" --foreign --arch="$arch" --variant=minbase \
  --include=$packages bookworm "$root" "$mirror" > "$cache/$arch.log" 2>&1 ||
  { tail -3 "$cache/$arch.log" >&2; skip "debootstrap could not fetch $arch"; }
for package in "$root"/var/cache/apt/archives/*.deb; do
  # dpkg-deb -x would put folders where bookworm has links (/lib, /bin)
  dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C "$root"
  rm "$package"
done
ln -sf "/usr/lib/$triplet/blas/libblas.so.3" "/usr/lib/$triplet/lapack/liblapack.so.3" "$root/usr/lib/$triplet/"
echo 'root:x:0:0:root:/root:/bin/bash' > "$root/etc/passwd"
echo 'root:x:0:' > "$root/etc/group"
[ ! -L "$root/proc" ] || rm "$root/proc"  # a link of debootstrap's to /proc, which in there is itself
mkdir -p "$root"/{proc,sys,dev,tmp,project,data,wheels}
echo "$packages" > "$root/.whole"
