"""``make bench-peers``: our peers and us, in turn, in one run; writes ``benchmarks/PEERS.md``.

``run.py weight cost truth waves`` measures only the sections named, ``run.py --page`` none: what each found
last is kept in ``results/``, and the page is made of that, every section with its own date. ``cost`` and
``truth`` need root for the private mount namespace in which counters of known power stand where RAPL's
would; all four take about fifteen minutes. Nothing outside the namespace, ``results/`` and ``.cache/`` is
touched.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(_HERE.parents[1]))
_RESULTS = _HERE / "results"
_SECTIONS = ("weight", "cost", "truth", "waves")
_ROOTED = {"cost", "truth"}
_IN_NAMESPACE = "ENERGYMETER_BENCH_NAMESPACE"


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _measured(section: str, weights: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A section's findings, and when, where and how they came about."""
    import cost
    import truth
    import waves
    import weight

    work: dict[str, Callable[[], object]] = {
        "weight": lambda: weight.run(_say, weights, repetitions=11),
        "cost": lambda: cost.run(_say, repetitions=5),
        "truth": lambda: truth.run(_say),
        "waves": lambda: waves.run(_say),
    }
    started, load = time.time(), os.getloadavg()[0]
    found = work[section]()
    return {
        "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "minutes": (time.time() - started) / 60,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "load": [load, os.getloadavg()[0]],
        "versions": {name: row["version"] for name, row in weights.items()},
        "found": found,
    }


def main(sections: list[str]) -> None:
    """Measure, keep the raw numbers, write the page."""
    import powercap
    import report
    from venvs import TOOLS, make

    if _ROOTED & set(sections):
        powercap.mount()
    weights = {}
    for name in TOOLS if sections and sections != ["waves"] else ():
        _say(f"venv: {name}")
        weights[name] = make(name)
    _RESULTS.mkdir(exist_ok=True)
    for section in sections:
        result = _measured(section, weights)
        (_RESULTS / f"{section}.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    results = {section: json.loads((_RESULTS / f"{section}.json").read_text()) for section in _SECTIONS}
    (_HERE.parent / "PEERS.md").write_text(report.page(results))
    _say("wrote benchmarks/PEERS.md")


def _asked() -> list[str]:
    """The sections to be measured: those named (all, if none is) and those that never were."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("sections", nargs="*", help=f"only these: {', '.join(_SECTIONS)}")
    parser.add_argument("--page", action="store_true", help="write the page again, measure nothing")
    asked = parser.parse_args()
    if unknown := set(asked.sections) - set(_SECTIONS):
        parser.error(f"there is no section {', '.join(sorted(unknown))}; there are: {', '.join(_SECTIONS)}")
    wanted = set() if asked.page else set(asked.sections or _SECTIONS)
    return [s for s in _SECTIONS if s in wanted or not (_RESULTS / f"{s}.json").exists()]


if __name__ == "__main__":
    sections = _asked()
    if os.environ.get(_IN_NAMESPACE) or not _ROOTED & set(sections):
        main(sections)
    elif os.geteuid() != 0:
        sys.exit(
            "the counters are put into a private mount namespace, which needs root: sudo make bench-peers"
        )
    else:
        os.environ[_IN_NAMESPACE] = "yes"
        os.execvp("unshare", ["unshare", "-m", sys.executable, __file__, *sys.argv[1:]])
