"""``make bench``: ours alone, in about six minutes; every figure next to its target and its record."""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import block_cost
import compare_cost
import decode_cost
import import_cost
import instructions
import long_run
import loop_effect
import reading
import remote
import sampling
import span_cost
from _figures import Figure

RECORDED = Path(__file__).with_name("recorded.json")
_WORSE = 1.5
"""A ratio so many times its record fails; a busy machine changes CPU time by a third."""
_PARTS: dict[str, Callable[[bool], dict[str, Figure]]] = {
    "import": import_cost.measure,
    "block": block_cost.measure,
    "spans": span_cost.measure,
    "sampling": sampling.measure,
    "long run": long_run.measure,
    "comparison": compare_cost.measure,
    "decoding": decode_cost.measure,
    "reading": reading.measure,
    "remote": remote.measure,
    "instructions": instructions.measure,
    "effect": loop_effect.measure,
}


def main() -> int:
    """Exit code 1 if ``--check`` finds a ratio worse than one and a half times the recorded one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"only these: {', '.join(_PARTS)}")
    parser.add_argument("--short", action="store_true", help="less than a minute, for CI")
    parser.add_argument(
        "--record", action="store_true", help=f"write {RECORDED.name}; with parts, theirs alone"
    )
    parser.add_argument("--check", action="store_true", help="fail on a ratio 1.5 times what was recorded")
    parser.add_argument("--hours", type=float, help="of simulated time, instead of one")
    asked = parser.parse_args()
    if asked.hours:
        _PARTS["long run"] = lambda short: long_run.measure(short, asked.hours)
    recorded = json.loads(RECORDED.read_text()) if RECORDED.exists() else {"figures": {}}
    figures: dict[str, Figure] = {}
    for part, measure in _PARTS.items():
        if not asked.parts or part in asked.parts:
            for name, figure in measure(asked.short).items():
                figures[f"{part}: {name}"] = figure
                print(_line(f"{part}: {name}", figure, recorded["figures"]), flush=True)
    if asked.record:
        others = {n: v for n, v in recorded["figures"].items() if n.partition(": ")[0] not in asked.parts}
        _record(others if asked.parts else {}, figures)
    worse = [name for name, figure in figures.items() if _worse(name, figure, recorded["figures"])]
    for part in sorted({name.partition(": ")[0] for name in worse} if asked.check else ()):
        print(f"{part} once more: a busy moment is no verdict")
        again = {f"{part}: {name}": figure for name, figure in _PARTS[part](asked.short).items()}
        worse = [n for n in worse if n not in again or _worse(n, again[n], recorded["figures"])]
    if asked.check and worse:
        print(f"more than 1.5 times what was recorded: {'; '.join(worse)}", file=sys.stderr)
        return 1
    return 0


def _line(name: str, figure: Figure, recorded: dict[str, float]) -> str:
    target = "" if figure.met is None else "met   " if figure.met else "MISSED"
    bound = f"≤ {figure.limit:g}" if figure.limit is not None else ""
    bound = f"≥ {figure.floor:g}" if figure.floor is not None else bound
    was = f"recorded {recorded[name]:.3g}" if name in recorded else ""
    shown = f"{figure.value:9.3g} {figure.unit:<14}"
    return f"{name:<62} {shown} {bound:<8} {target:<6} {was}  {figure.remark}".rstrip()


def _worse(name: str, figure: Figure, recorded: dict[str, float]) -> bool:
    return figure.unit == "×" and name in recorded and figure.value > _WORSE * recorded[name]


def _record(kept: dict[str, float], figures: dict[str, Figure]) -> None:
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    RECORDED.write_text(
        json.dumps(
            {
                "when": time.strftime("%Y-%m-%d", time.gmtime()),
                "machine": machine,
                "figures": kept | {name: float(f"{figure.value:.4g}") for name, figure in figures.items()},
            },
            indent=1,
        )
        + "\n"
    )


if __name__ == "__main__":
    sys.exit(main())
