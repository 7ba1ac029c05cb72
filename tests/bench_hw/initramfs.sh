#!/bin/bash
# Make the initramfs: busybox and the modules that mount the host's file system, read-only, as the guest's root.
#
#   initramfs.sh KERNEL_FOLDER VERSION OUTPUT.gz
set -euo pipefail
kernel=$1 version=$2 output=$3
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree"/{bin,modules,proc,sys,dev,lower,upper,root}
cp "$(command -v busybox)" "$tree/bin/busybox"

for module in virtio_pci 9pnet_virtio 9p overlay; do
  modprobe -d "$kernel" -S "$version" --show-depends "$module" | awk '$1 == "insmod" {print $2}'
done | awk '!seen[$0]++' | while read -r file; do
  name=$(basename "${file%.xz}")
  case $file in *.xz) xz -dc "$file" > "$tree/modules/$name" ;; *) cp "$file" "$tree/modules/$name" ;; esac
  echo "$name" >> "$tree/modules/order"
done

cat > "$tree/init" <<'INIT'
#!/bin/busybox sh
B=/bin/busybox
$B mount -t devtmpfs dev /dev; $B mount -t proc proc /proc; $B mount -t sysfs sys /sys
for module in $($B cat /modules/order); do $B insmod "/modules/$module"; done
options=trans=virtio,version=9p2000.L,msize=1048576
$B mount -t 9p -o ro,$options,cache=loose host /lower || exec $B sh
$B mount -t tmpfs -o size=75% tmpfs /upper
$B mkdir /upper/data /upper/work
$B mount -t overlay -o lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work overlay /root || exec $B sh
$B mkdir -p /root/bench
$B mount -t 9p -o $options,cache=none cache /root/bench || exec $B sh
here=$($B sed -n 's/.*bench.init=\([^ ]*\).*/\1/p' /proc/cmdline)
$B umount /proc /sys
$B mount --move /dev /root/dev
exec $B switch_root /root /bin/bash "$here"
INIT
chmod +x "$tree/init"
(cd "$tree" && find . | cpio -o -H newc --quiet | gzip -1) > "$output"
