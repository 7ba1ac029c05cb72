#!/bin/bash
# Build the bench's virtual machine from Debian packages: kernel, drivers that Debian leaves out, initramfs.
#
#   build.sh CACHE PYTHON     prints the kernel's version; everything goes to CACHE (about 450 MB), nothing is
#                             installed into the host. PYTHON: the tests', for the libraries they compare with.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
cache=$(mkdir -p "$1" && readlink -f "$1")
python=$2
kernel_line=6.12

skip() { echo "bench-hw SKIPPED: $*" >&2; exit 77; }

[ "$(uname -m)" = x86_64 ] || skip "the virtual machine is an x86_64 one, this is $(uname -m)"
command -v apt-get >/dev/null || skip "its kernel comes from Debian packages and there is no apt-get here"
. "$here/tools.sh"
need "$cache" qemu-system-x86_64:qemu-system-x86 busybox:busybox-static cpio:cpio depmod:kmod gcc-12:gcc-12 make:make \
  xz:xz-utils strip:binutils || skip "apt-get could not download QEMU or a compiler (apt-get update?)"

# Other people's libraries on the same devices; --no-deps: what one of them asks for needs a compiler and is for SPI.
oracles=$cache/oracles-$("$python" -c 'import sys; print(sys.implementation.cache_tag)')
if [ ! -d "$oracles" ]; then
  "$python" -m pip install --quiet --disable-pip-version-check --no-deps --target "$oracles.new" \
    pi-ina219==1.4.1 Adafruit-GPIO==1.0.3 Adafruit-PureIO==1.1.12 hidapi==0.15.0 >&2 2>/dev/null &&
    rm -rf "$oracles.new/tests" && mv "$oracles.new" "$oracles" ||
    echo "bench-hw: pip could not fetch pi-ina219 and hidapi: they are not compared with" >&2
fi

image=$(apt-cache depends linux-image-$kernel_line-amd64 2>/dev/null | awk '/Depends:/ {print $2; exit}' || true)
[ -n "$image" ] || image=$(ls "$cache"/debs 2>/dev/null | sed -n 's/^\(linux-image-[^_]*\)_.*/\1/p' | head -1 || true)
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
