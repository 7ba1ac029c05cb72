"""``make bench-peers``: our peers and us, in turn, in one run; writes ``benchmarks/PEERS.md``.

Needs root for the private mount namespace in which counters of known power stand where RAPL's would; and
about twenty minutes. Nothing outside the namespace and ``.cache/`` is touched.
"""

import json
import os
import platform
import sys
import time
from pathlib import Path

_HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(_HERE.parents[1]))
_IN_NAMESPACE = "ENERGYMETER_BENCH_NAMESPACE"


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def main() -> None:
    """Measure, keep the raw numbers, write the page."""
    import cost
    import powercap
    import report
    import truth
    import waves
    import weight

    started = time.time()
    powercap.mount()
    results = {
        "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "weight": weight.run(_say, repetitions=7),
        "cost": cost.run(_say, repetitions=5),
        "truth": truth.run(_say),
        "waves": waves.run(_say),
    }
    results["minutes"] = (time.time() - started) / 60
    results["load"] = os.getloadavg()[2]
    raw = _HERE.parents[1] / ".cache" / "peers" / "results.json"
    raw.write_text(json.dumps(results, indent=1))
    (_HERE.parent / "PEERS.md").write_text(report.page(results))
    _say("wrote benchmarks/PEERS.md")


if __name__ == "__main__":
    if os.environ.get(_IN_NAMESPACE):
        main()
    elif os.geteuid() != 0:
        sys.exit(
            "the counters are put into a private mount namespace, which needs root: sudo make bench-peers"
        )
    else:
        os.environ[_IN_NAMESPACE] = "yes"
        os.execvp("unshare", ["unshare", "-m", sys.executable, __file__])
