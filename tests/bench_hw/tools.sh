# shellcheck shell=bash
# Programs that this machine lacks, unpacked from their Debian packages into CACHE/tools. To be sourced.
#
#   need CACHE program:package...   makes them callable, or returns 1; nothing is installed into the host

need() {
  local tools=$1/tools pair missing=()
  shift
  export PATH=$PATH:/usr/sbin:/sbin:$tools/usr/bin:$tools/usr/sbin:$tools/bin:$tools/sbin
  for pair; do command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}"); done
  if [ ${#missing[@]} -gt 0 ]; then
    mkdir -p "$tools/debs/partial"
    # with what they depend on and is not here; --reinstall: also where dpkg thinks they are
    apt-get install -qq -y --download-only --reinstall --no-install-recommends \
      -o Dir::Cache::archives="$tools/debs" -o Debug::NoLocking=1 "${missing[@]}" >/dev/null 2>&1 || return 1
    for package in "$tools"/debs/*.deb; do dpkg-deb -x "$package" "$tools" && rm "$package"; done
    # /sbin/depmod is a link to /bin/kmod, which is not where it points
    find "$tools" -type l -lname '/*' | while read -r link; do
      [ ! -e "$tools$(readlink "$link")" ] || ln -sf "$tools$(readlink "$link")" "$link"
    done
    for pair; do command -v "${pair%%:*}" >/dev/null || return 1; done
  fi
  [ ! -d "$tools" ] || export LD_LIBRARY_PATH=$tools/usr/lib/x86_64-linux-gnu:$tools/lib/x86_64-linux-gnu
}
