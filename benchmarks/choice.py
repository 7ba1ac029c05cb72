"""How long `EnergyMeter()` takes to decide: nothing remembered (wanted: at most 1 s), and remembered (50 ms).

`python -m benchmarks.choice`; every decision is that of a new process, its start and imports included.
"""

import os
import statistics
import subprocess
import sys
import tempfile

RUNS = 7
_DECIDE = """
import time
began = time.perf_counter()
from energymeter.discovery.choice import choose
choice = choose()
print(time.perf_counter() - began, choice.spec)
"""


def decided(cache: str) -> tuple[float, str]:
    """Seconds of one decision, and what it was."""
    environment = {name: value for name, value in os.environ.items() if name != "ENERGYMETER_SOURCE"}
    done = subprocess.run(
        [sys.executable, "-c", _DECIDE],
        env={**environment, "XDG_CACHE_HOME": cache, "XDG_CONFIG_HOME": cache},
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, spec = done.stdout.split()
    return float(seconds), spec


def main() -> None:
    with tempfile.TemporaryDirectory() as cache:
        cold = [decided(os.path.join(cache, str(run))) for run in range(RUNS)]
        decided(cache)
        cached = [decided(cache) for _ in range(RUNS)]
    for name, runs in (("nothing remembered", cold), ("remembered", cached)):
        seconds = [1e3 * taken for taken, _ in runs]
        middle, most = statistics.median(seconds), max(seconds)
        print(f"{name}: {runs[0][1]} after {middle:.0f} ms (median; at most {most:.0f} ms)")


if __name__ == "__main__":
    main()
