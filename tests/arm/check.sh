#!/bin/bash
# Install the package in one ARM userland as a user would, run its unit suite there, tell what it weighs.
#
#   check.sh arm64|armhf|armel CACHE PYTHON [pytest arguments]     PYTHON: this machine's, for its pip
#
# Debian gives numpy, click, tqdm, platformdirs and pyserial; smbus2 is a pure wheel. Times are those of emulation.
set -euo pipefail
arch=$1
cache=$(mkdir -p "$2" && readlink -f "$2")
python=$3
shift 3
here=$(dirname "$(readlink -f "$0")")
project=$(readlink -f "$here/../..")
enter() { bash "$here/enter.sh" "$arch" "$cache" "$@"; }

bash "$here/userland.sh" "$arch" "$cache" || { code=$?; [ $code = 77 ] && exit 0; exit $code; }
mkdir -p "$cache/wheels"
ls "$cache"/wheels/smbus2-*.whl >/dev/null 2>&1 ||
  "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: -d "$cache/wheels" 'smbus2>=0.6'
cp "$cache"/wheels/*.whl "$cache/$arch/wheels/"

# a clean copy: building leaves files, and the userland must not write into the working tree
copy=$cache/$arch/srv/project
rm -rf "$copy" && mkdir -p "$copy"
(cd "$project" && git ls-files --cached --others --exclude-standard -z | tar --null -T - -c --ignore-failed-read) | tar -x -C "$copy"

started=$(date +%s)
# --no-index: every other requirement must be met by what Debian has, or pip says which is not
enter /usr/bin/python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore \
  --break-system-packages --no-index --no-build-isolation --find-links /wheels --force-reinstall --no-deps /srv/project
enter /usr/bin/python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore \
  --break-system-packages --no-index --find-links /wheels edge-energymeter
echo "$arch: installed in $(($(date +%s) - started)) s, $(du -sh --apparent-size "$cache/$arch"/usr/local/lib/python3*/dist-packages/energymeter | cut -f1)B"

enter /usr/bin/python3 -c '
import platform, subprocess, sys, time
# as if no extra were there, nor numpy: measuring does without
sys.modules.update(dict.fromkeys(("numpy", "pandas", "pyarrow", "cryptography", "usb")))
code = "import time; t = time.perf_counter(); from energymeter import EnergyMeter; print(time.perf_counter() - t)"
seconds = min(float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout) for _ in range(3))
from energymeter import EnergyMeter
with EnergyMeter("manual:5V,0.6A", rate_hz=50) as meter:
    time.sleep(1)
print(f"{platform.machine()}: import {seconds * 1000:.0f} ms (emulated); {meter.usage}")
'
if [ -e "$project/dist/energymeter.pyz" ]; then # `make zipapp`: one file for every machine
  enter /bin/sh -c 'SHIV_ROOT=$(mktemp -d) && export SHIV_ROOT && one=/project/dist/energymeter.pyz &&
    /usr/bin/python3 $one devices >/dev/null && /usr/bin/python3 $one log sim:pi4 --duration 1 --out /tmp/one.csv --force' |
    sed "s/^/$arch: energymeter.pyz: /"
fi
enter /usr/bin/python3 /srv/project/tests/arm/cost.py
# the memory of an ARM processor keeps no order: the race of writer and readers, ten times by itself,
# 20 s a test at most
enter /bin/sh -c 'cd /srv/project && for _ in 1 2 3 4 5 6 7 8 9 10; do
  timeout 180 /usr/bin/python3 -m pytest -p no:cacheprovider -q -s tests/sampling/test_ring_race.py || exit 1; done' |
  sed "s/^/$arch: ring race: /"
started=$(date +%s) failed=0
enter /bin/sh -c 'cd /srv/project && exec timeout 3600 /usr/bin/python3 -m pytest -p no:cacheprovider --timeout 300 "$@"' - "$@" |
  tee "$cache/$arch.tests" | tail -60 || failed=$?
echo "$arch: the suite took $((($(date +%s) - started + 59) / 60)) min: $(tail -1 "$cache/$arch.tests")"
exit $failed
