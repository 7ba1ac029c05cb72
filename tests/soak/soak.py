"""A long real-time run, on demand: 1 kHz, log on, budget on. Memory flat, no drift, file valid, ledger right.

    python tests/soak/soak.py [MINUTES]      20 unless said

The meter under the meter is an emulated processor counter (a powercap tree moved every millisecond) read
at 1 kHz, next to a declared 3 W: the counter says what the energy of any stretch was, to the joule.
"""

import contextlib
import itertools
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from devices.sysfs import Powercap, Sysfs  # noqa: E402

from energymeter import EnergyMeter  # noqa: E402
from energymeter.battery.battery import Battery  # noqa: E402
from energymeter.meter.budget import Budget  # noqa: E402
from energymeter.recordings.reader import read  # noqa: E402

RATE_HZ = 1000
WATTS = 3.0
BURST_WATTS = 45.0
MORE_KB = 2048
"""How much a process may grow once the rings are full, which takes them 66 s."""
_WARM_SECONDS = 90


def device(root: str) -> None:
    """The counter, in a process of its own: 20 W with bursts, moved every millisecond."""
    with contextlib.suppress(OSError):  # hardware does not wait for its turn; root's need not either
        os.nice(-15)
    sysfs = Sysfs(Path(root))
    file = "sys/class/powercap/intel-rapl:0/energy_uj"
    joules, last = 1000.0, time.monotonic()
    while True:
        time.sleep(0.001)
        now = time.monotonic()
        joules += (20.0 if int(now) % 3 else BURST_WATTS) * (now - last)
        last = now
        sysfs.rewrite(file, f"{round(joules * 1e6):<15}")


def resident_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])


def counted_joules(root: Path) -> float:
    return int((root / "sys/class/powercap/intel-rapl:0/energy_uj").read_text()) * 1e-6


def soak(minutes: float, folder: Path, say: Callable[[str], object] = print) -> list[str]:
    """Run it; what was wrong."""
    Powercap(Sysfs(folder)).zone("intel-rapl:0", "package-0", 1_000_000_000)
    moving = multiprocessing.Process(target=device, args=(str(folder),), daemon=True)
    moving.start()
    os.environ["XDG_DATA_HOME"] = str(folder / "data")
    Budget("soak", Battery(100_000, volts=3.7))
    log = folder / "run.csv"
    grown: dict[int, list[int]] = {}
    meter = EnergyMeter(f"rapl?root={folder},manual:5V,0.6A", rate_hz=RATE_HZ, out=log, budget="soak")
    try:
        with meter:
            measurement = meter._life.latest
            assert measurement is not None
            sampler = measurement.sampler._host.pid  # type: ignore[union-attr]
            start = counted_joules(folder)
            end = time.monotonic() + minutes * 60
            while time.monotonic() < end:
                with meter.span("step"):
                    time.sleep(min(1.0, max(0.01, end - time.monotonic())))
                for pid in (os.getpid(), sampler):
                    grown.setdefault(pid, []).append(resident_kb(pid))
            by_counter = counted_joules(folder) - start
    finally:
        moving.terminate()
    usage = meter.usage
    say(str(usage))
    (record, declared) = read(str(log))
    times = record.columns["time_s"]
    rows = len(times)
    spent = Budget("soak").spent_joules
    growth = {
        pid: sizes[-1] - sizes[_WARM_SECONDS] for pid, sizes in grown.items() if len(sizes) > _WARM_SECONDS
    }
    reported = declared.columns["joules"][-1] / declared.columns["covered_s"][-1]
    grew = f"grew by {[*growth.values()]} kB" if growth else "not judged in so short a run"
    say(f"counter {by_counter:.3f} J, measured {usage.joules:.3f} J in {usage.coverage:.4%} of the time")
    say(f"{rows} rows; memory {grew}")
    unseen = (1 - usage.coverage) * usage.seconds * BURST_WATTS
    checks = {
        "the energy drifted from the counter's": -2.0 < by_counter - usage.joules < unseen + 2.0,
        "the declared 3 W did not stay 3 W": abs(reported / WATTS - 1) < 1e-9,
        "time was lost": usage.coverage > 0.99,
        "the log lost rows": rows > 0.5 * RATE_HZ * usage.seconds,
        "the log is not in order": all(later > earlier for earlier, later in itertools.pairwise(times)),
        "a span was lost": len(meter.spans["step"]) == len(grown[sampler]),
        "the ledger is not what was measured": abs(spent / usage.joules - 1) < 1e-6,
        f"memory grew by more than {MORE_KB} kB": all(kb < MORE_KB for kb in growth.values()),
    }
    return [wrong for wrong, right in checks.items() if not right]


if __name__ == "__main__":
    asked = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    with tempfile.TemporaryDirectory() as scratch:
        wrongs = soak(asked, Path(scratch))
    print("\n".join(wrongs) or "nothing was wrong")
    sys.exit(bool(wrongs))
