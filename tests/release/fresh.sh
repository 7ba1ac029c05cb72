#!/bin/bash
# Both commands of the README in a fresh Debian root, as an ordinary user with a clean environment; prints times.
#
#   fresh.sh CACHE [TARGET...]     the targets; without any: demo test
#
# The root holds Debian's minimal system with git, make and python3-venv. What pip needs to reach its index comes
# from this machine: PIP_* variables, certificates, pip's configuration, and the folders in FRESH_BIND (a:b:c).
set -euo pipefail
cache=$(mkdir -p "$1" && readlink -f "$1")
shift
project=$(readlink -f "$(dirname "$0")/../..")
root=$cache/root

skip() { echo "test-fresh SKIPPED: $*" >&2; exit 0; }
[ "$(id -u)" = 0 ] || skip "making another root needs root"
command -v debootstrap >/dev/null || skip "debootstrap is not installed here (apt-get install debootstrap)"
mirror=$(apt-get indextargets --format '$(SITE)' 2>/dev/null | grep '/debian$' | head -1)
[ -n "$mirror" ] || skip "apt has no Debian mirror"

if [ ! -e "$root/.whole" ]; then
  rm -rf "$root"
  started=$SECONDS
  debootstrap --variant=minbase --include=git,make,python3-venv,ca-certificates bookworm "$root" "$mirror" \
    > "$cache/debootstrap.log" 2>&1 || { tail -3 "$cache/debootstrap.log" >&2; skip "debootstrap failed"; }
  chroot "$root" useradd --create-home --shell /bin/sh student
  touch "$root/.whole"
  echo "a fresh Debian root: $((SECONDS - started)) s"
fi
rm -rf "$root/home/student/energymeter"
git clone --quiet "$project" "$root/home/student/energymeter"
chroot "$root" chown -R student: /home/student
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
for file in /etc/pip.conf /etc/xdg/pip/pip.conf /etc/xdg/pip/constraints.txt; do
  [ ! -e "$file" ] || install -D -m 644 "$file" "$root$file"
done
kept=()
for name in $(compgen -e); do
  case $name in PIP_* | SSL_* | http_proxy | https_proxy | no_proxy) kept+=("$name=${!name}") ;; esac
done
export root FRESH_BIND=${FRESH_BIND:-}
for target in ${*:-demo test}; do
  started=$SECONDS
  unshare --mount --propagation private bash -c '
    for folder in proc sys dev; do mount --rbind "/$folder" "$root/$folder"; done
    IFS=:
    for folder in $FRESH_BIND; do mkdir -p "$root$folder" && mount --bind -o ro "$folder" "$root$folder"; done
    exec chroot --userspec=student "$root" "$@"
  ' - /usr/bin/env -i PATH=/usr/local/bin:/usr/bin:/bin HOME=/home/student LANG=C.UTF-8 "${kept[@]}" \
    make --no-print-directory -C /home/student/energymeter "$target"
  echo "make $target in a fresh root as an ordinary user: $((SECONDS - started)) s"
done
