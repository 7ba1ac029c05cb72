#!/bin/bash
# Make the initramfs: the modules of the Pi's SD card and I²C buses, and the project's working tree.
#
#   initramfs.sh FOLDER VERSION     FOLDER: of build.sh; leaves FOLDER/initramfs.gz
set -euo pipefail
folder=$1 version=$2
project=$(readlink -f "$(dirname "$0")/../..")
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree"/{bin,modules,proc,sys,dev,root,project}
cp "$folder/kernel/bin/busybox" "$tree/bin/busybox"
cp "$folder"/smbus2-*.whl "$tree/project/smbus2.whl"
(cd "$project" && git ls-files --cached --others --exclude-standard -z energymeter drivers calibration |
  tar --null -T - -c --ignore-failed-read) | tar -x -C "$tree/project"

for module in sdhci_iproc bcm2835 ext4 overlay i2c-bcm2835 i2c-dev; do
  # one kernel has built in what is a module of the other
  { modprobe -d "$folder/kernel" -S "$version" --show-depends "$module" 2>/dev/null || true; } |
    awk '$1 == "insmod" {print $2}'
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
for _ in 1 2 3 4 5 6 7 8 9 10; do [ -e /dev/mmcblk0 ] || $B sleep 1; done
$B mount -t ext4 -o ro /dev/mmcblk0 /root || $B reboot -f
# over the userland's root goes one in memory: its /proc is a link to /proc
$B mkdir /over; $B mount -t tmpfs over /over; $B mkdir /over/up /over/work /over/all
$B mount -t overlay -o lowerdir=/root,upperdir=/over/up,workdir=/over/work overlay /over/all
R=/over/all
$B rm -rf $R/proc; $B mkdir -p $R/proc $R/sys $R/dev $R/tmp $R/project
for folder in proc sys dev project; do $B mount --bind /$folder $R/$folder; done
echo "BOARD $($B tr -d '\000' < /proc/device-tree/model)"
run() {
  $B chroot $R /usr/bin/env HOME=/tmp COLUMNS=100 PYTHONPATH=/project:/project/smbus2.whl PYTHONDONTWRITEBYTECODE=1 \
    /usr/bin/python3 -c 'from energymeter.cli import main; main()' "$@"
}
echo BEGIN; run devices --json; echo "END $?"
$B reboot -f
INIT
chmod +x "$tree/init"
(cd "$tree" && find . | cpio -o -H newc --quiet | gzip -1) > "$folder/initramfs.gz"
