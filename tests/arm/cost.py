"""What the package costs in an ARM userland, in starts of its bare interpreter.

All of it is processor time of the emulator, children included. It translates each piece of code once, so what
runs once (an import, a first block) looks dearer there than on a processor, next to a sample or a span.
"""

import os
import platform
import resource
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, folder) for folder in ("", "benchmarks", "tests")]

from devices.by_hand import Bench  # noqa: E402
from long_run import total  # noqa: E402

_STARTS = {
    "bare": "pass",
    "import": "from energymeter import EnergyMeter",
    "first block": "from energymeter import EnergyMeter\nwith EnergyMeter('manual:5V,0.6A'): pass",
}
_EARLY, _LATER = 1_000, 5_000


def _start_seconds(code: str) -> float:
    """Processor time of a whole process and its children, at its best."""
    taken = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], check=True, cwd="/")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(taken)


def _sample_seconds() -> float:
    taken = []
    for count in (_EARLY, _EARLY, _LATER):  # the first warms what is translated
        begun = time.process_time()
        total(count / 1000)
        taken.append(time.process_time() - begun)
    return (taken[2] - taken[1]) / (_LATER - _EARLY)


def _span_seconds() -> float:
    bench = Bench()
    bench.pass_ms(10)
    bench.enter().spans.due_ns = 1 << 62
    for count in (_EARLY, _LATER):  # the first warms what is translated
        begun = time.process_time()
        for _ in range(count):
            with bench.span():
                pass
    return (time.process_time() - begun) / _LATER


def main() -> None:
    starts = {name: _start_seconds(code) for name, code in _STARTS.items()}
    bare = starts.pop("bare")
    shown = [f"{name} {seconds / bare:.2f} ×" for name, seconds in starts.items()]
    shown += [
        f"{name} 1/{bare / seconds:,.0f}"
        for name, seconds in (("a sample", _sample_seconds()), ("a span", _span_seconds()))
    ]
    print(f"{platform.machine()}: of a bare start ({1e3 * bare:.0f} ms emulated): {', '.join(shown)}")


if __name__ == "__main__":
    main()
