#!/bin/bash
# A private mount namespace in which /sys is a Jetson's: jtop_namespace.sh PYTHON CMD…  (run it under `unshare -m`)
# jetson-stats has its paths built in; nothing it writes here reaches the machine.
set -e
python=$1
shift
mount -t tmpfs tmpfs /run                                    # /run/jtop.sock
mkdir -p /run/sys/devices/system/cpu /run/sys/devices/virtual/dmi/id /run/sys/class/power_supply /run/sys/bus/i2c/devices
mount --rbind /sys/devices/system/cpu /run/sys/devices/system/cpu
mount --rbind /run/sys /sys
grep -v ^jtop: /etc/group > /run/group
echo 'jtop:x:0:' >> /run/group                               # the only group a user namespace maps
mount --bind /run/group /etc/group
base=$("$python" -c 'import sys; print(sys.base_prefix)')    # the service writes $base/local/jtop/config.json
if [ -d "$base/local" ]; then
  mount -t tmpfs tmpfs "$base/local"
else
  mkdir -p /run/upper /run/work
  mount -t overlay overlay -o "lowerdir=$base,upperdir=/run/upper,workdir=/run/work,userxattr" "$base" ||
    mount -t overlay overlay -o "lowerdir=$base,upperdir=/run/upper,workdir=/run/work" "$base"
fi
exec "$python" "$@"
