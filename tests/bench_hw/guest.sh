#!/bin/bash
# The guest's first process: mounts, drivers, the tests, power off. /bench is the host's cache folder.
here=$(dirname "$(readlink -f "$0")")
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LANG=C.UTF-8
# what the host lacks, as unpacked by tools.sh
export PATH=$PATH:/bench/tools/usr/sbin:/bench/tools/usr/bin:/bench/tools/sbin:/bench/tools/bin
export PYTHONDONTWRITEBYTECODE=1 ENERGYMETER_BENCH_OUT=/bench/out
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs run /run
mkdir -p /dev/pts /dev/shm; mount -t devpts devpts /dev/pts; mount -t tmpfs shm /dev/shm
ip link set lo up 2>/dev/null || busybox ifconfig lo 127.0.0.1 up
mkdir -p /lib/modules; ln -sfn "/bench/kernel/lib/modules/$(uname -r)" "/lib/modules/$(uname -r)"
for module in vhci-hcd i2c-dev i2c-tiny-usb cdc_acm ftdi_sio usbhid hid-generic fake_batteries fake_rapl_msr intel_rapl_msr; do
  modprobe $module || echo "bench-hw: no $module"
done
read -r up _ < /proc/uptime; echo "bench-hw: $(uname -r) up after $up s"
touch /bench/out/up
cd "$here/../.." && bash /bench/out/command; code=$?
echo $code > /bench/out/rc
read -r up _ < /proc/uptime; echo "bench-hw: done after $up s, status $code"
sync; cp "$(command -v busybox)" /run/busybox; exec /run/busybox poweroff -f
