"""A powercap tree in a private mount namespace, whose counters another process drives with known power.

The layout is the kernel's (Documentation/power/powercap): ``intel-rapl/intel-rapl:0/intel-rapl:0:0``, with
links to every zone at the top. Counters are written in fixed width, so that no reader sees half a number.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

CLASS = Path("/sys/class")
RANGE_UJ = 262_143_328_850
"""What Intel's server parts tell in ``max_energy_range_uj``; they wrap after 262 kJ."""
_WIDTH = 15


class Zone(NamedTuple):
    """One counter: ``place`` is the part after ``intel-rapl:``, such as ``0`` or ``0:0``."""

    place: str
    name: str
    watts: float
    range_uj: int = RANGE_UJ
    start_uj: int = 1_000_000_000


def mount() -> None:
    """Put an empty powercap class over this namespace's ``/sys/class``; needs root and ``unshare -m``."""
    subprocess.run(["mount", "-t", "tmpfs", "none", str(CLASS)], check=True)


@contextlib.contextmanager
def driven(zones: list[Zone], *, vanish_after: float | None = None, readable: bool = True) -> Iterator[None]:
    """The tree, alive, while the block runs.

    Args:
        zones: packages before their subzones.
        vanish_after: seconds until the first zone's files are gone.
        readable: False: as on a machine where only root may read counters.
    """
    top = CLASS / "powercap" / "intel-rapl"
    shutil.rmtree(CLASS / "powercap", ignore_errors=True)
    top.mkdir(parents=True)
    (top / "enabled").write_text("1\n")
    (top / "subsystem").symlink_to("..")
    for zone in zones:
        _lay_out(top, zone, readable)
    plan = {"zones": [(str(_folder(top, zone)), *zone[2:]) for zone in zones], "vanish_after": vanish_after}
    driver = subprocess.Popen([sys.executable, __file__, json.dumps(plan)], stdout=subprocess.PIPE)
    try:
        assert driver.stdout is not None
        driver.stdout.readline()
        yield
    finally:
        driver.kill()
        driver.wait()


def _folder(top: Path, zone: Zone) -> Path:
    package = top / f"intel-rapl:{zone.place.split(':')[0]}"
    return package / f"intel-rapl:{zone.place}" if ":" in zone.place else package


def _lay_out(top: Path, zone: Zone, readable: bool) -> None:
    folder = _folder(top, zone)
    folder.mkdir()
    (folder / "name").write_text(f"{zone.name}\n")
    (folder / "enabled").write_text("1\n")
    (folder / "max_energy_range_uj").write_text(f"{zone.range_uj}\n")
    (folder / "constraint_0_max_power_uw").write_text("125000000\n")
    counter = folder / "energy_uj"
    counter.write_text(f"{zone.start_uj:0{_WIDTH}d}\n")
    if not readable:
        os.chown(counter, 65534, 65534)
        counter.chmod(0o400)
    (top.parent / f"intel-rapl:{zone.place}").symlink_to(folder.relative_to(top.parent))


def _drive(zones: list[tuple[str, float, int, int]], vanish_after: float | None) -> None:
    """Write every counter a thousand times a second, before anybody else: late counters are no truth."""
    os.nice(-15)
    counters = [os.open(f"{folder}/energy_uj", os.O_WRONLY) for folder, *_ in zones]
    start = time.monotonic()
    print("driven", flush=True)
    while True:
        elapsed = time.monotonic() - start
        for counter, (_, watts, range_uj, start_uj) in zip(counters, zones, strict=True):
            energy_uj = (start_uj + int(watts * elapsed * 1e6)) % range_uj
            os.pwrite(counter, b"%0*d\n" % (_WIDTH, energy_uj), 0)
        if vanish_after is not None and elapsed > vanish_after:
            shutil.rmtree(zones[0][0])
            vanish_after = None
        time.sleep(0.001)


if __name__ == "__main__":
    _drive(**json.loads(sys.argv[1]))
