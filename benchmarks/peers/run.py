"""``make bench-peers``: our peers and us, in turn, in one run; writes ``benchmarks/PEERS.md``.

Needs root for the private mount namespace in which counters of known power stand where RAPL's would; and
about fifteen minutes. Nothing outside the namespace and ``.cache/`` is touched. With arguments (``weight``,
``cost``, ``truth``, ``waves``) only those sections are measured anew.
"""

import json
import os
import platform
import sys
import time
from collections.abc import Callable
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

    sections: dict[str, Callable[[], object]] = {
        "weight": lambda: weight.run(_say, repetitions=7),
        "cost": lambda: cost.run(_say, repetitions=5),
        "truth": lambda: truth.run(_say),
        "waves": lambda: waves.run(_say),
    }
    started = time.time()
    powercap.mount()
    raw = _HERE.parents[1] / ".cache" / "peers" / "results.json"
    asked = sys.argv[1:] or list(sections)
    results = json.loads(raw.read_text()) if len(asked) < len(sections) else {"minutes": 0.0}
    results |= {
        "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{section: sections[section]() for section in asked},
        "load": os.getloadavg()[2],
    }
    results["minutes"] += (time.time() - started) / 60
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
        os.execvp("unshare", ["unshare", "-m", sys.executable, __file__, *sys.argv[1:]])
