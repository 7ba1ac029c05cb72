"""Runs that nobody measured, with known energy and known noise, in the order in which ours would be made."""

from collections.abc import Callable, Sequence
from typing import Any

from energymeter.comparison.comparison import Comparison
from energymeter.comparison.runs import Run
from energymeter.comparison.schedule import schedule
from energymeter.meter.conditions import Conditions

HERE = Conditions(board="pi4", governor="ondemand", power_mode="MAXN", mains=True, host="desk")


def run(arm: str, pair: int, joules: float, seconds: float = 10.0, **known: Any) -> Run:
    """A run of 10 s."""
    fields: dict[str, Any] = {
        "arm": arm,
        "program": f"./{arm}",
        "workload": "",
        "pair": pair,
        "units": 100.0,
        "unit": "inference",
        "seconds": seconds,
        "joules": joules,
        "coulombs": joules / 5,
        "measured_seconds": seconds * known.get("coverage", 1.0),
        "coverage": 1.0,
        "provenance": "measured",
        "place": "rail",
        "sources": ("ina219@1:0x40",),
        "before": HERE,
        "after": HERE,
    }
    return Run(**{**fields, **known})


def simulated(
    runs: int, joules: Sequence[float], noise: Callable[[int], float], seed: int = 0, **known: Any
) -> list[Run]:
    """So many runs of each arm, in turns.

    Args:
        joules: true energy of a run of each arm.
        noise: relative error of the run of this number.
    """
    return [
        run("AB"[turn.arm], turn.pair, joules[turn.arm] * (1 + noise(turn.number)), **known)
        for turn in schedule(len(joules), runs, seed)
    ]


def compared(runs: Sequence[Run], **options: Any) -> Comparison:
    """With the arms in the order of their names."""
    return Comparison(runs, sorted({one.arm for one in runs}), **options)
