#!/bin/bash
# Run a command in another architecture's userland under user-mode emulation, the project's tree at /project.
#
#   enter.sh arm64|armhf|armel CACHE COMMAND...
#
# The kernel must start foreign programs by itself, also those that the command starts. That is arranged in a user
# namespace of our own (Linux 6.7 and later keep binfmt_misc apart for each), so this machine's settings stay as
# they are. armel runs on an emulated ARM1176: the processor of a Raspberry Pi Zero W.
set -euo pipefail
arch=$1
cache=$(readlink -f "$2")
shift 2
here=$(dirname "$(readlink -f "$0")")
root=$cache/$arch
case $arch in
  arm64) emulator=qemu-aarch64 ;;
  *) emulator=qemu-arm ;;
esac
[ "$arch" != armel ] || export QEMU_CPU=arm1176

# name, offset, magic and mask as Debian's package says them; F opens the emulator now, outside of the chroot
rule=$(sed "s,^:[^:]*:,:energymeter-$arch:,; s,:[^:]*:[A-Z]*\$,:$cache/tools/usr/bin/$emulator-static:F," \
  "$cache/tools/usr/lib/binfmt.d/$emulator.conf")
data=${ENERGYMETER_TEST_DATA:-$here/../../../shared/data}
[ -d "$data" ] || data=
export rule root here data
exec unshare --user --map-root-user --mount --propagation private bash -c '
  mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc 2>/dev/null ||
    { echo "test-arm SKIPPED: this kernel has no binfmt_misc for a user namespace (needs Linux 6.7)" >&2; exit 77; }
  echo "$rule" > /proc/sys/fs/binfmt_misc/register
  for folder in proc sys dev; do mount --rbind /$folder "$root/$folder"; done
  mount --bind "$here/../.." "$root/project"
  [ -z "$data" ] || mount --bind "$data" "$root/data"
  exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TMPDIR=/tmp PYTHONDONTWRITEBYTECODE=1 ENERGYMETER_TEST_PROFILE=emulated \
    ${QEMU_CPU:+QEMU_CPU=$QEMU_CPU} ${data:+ENERGYMETER_TEST_DATA=/data} chroot "$root" "$@"
' - "$@"
