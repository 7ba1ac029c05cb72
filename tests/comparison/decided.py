"""What comparisons, sweeps and statistics say of known runs: `decided.json`.

    cd tests/comparison && PYTHONPATH=../..:.. ../../.venv/bin/python decided.py        writes it again

Read what has changed before that. The figures are checked by reasoning in the tests next to this.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from comparison.simulated_runs import HERE, compared, run, simulated
from devices.on_record import entries

from energymeter.battery.battery import Battery
from energymeter.carbon.grid import Grid
from energymeter.comparison.board_axes import board_axis
from energymeter.comparison.comparison import Comparison
from energymeter.comparison.roofline import Roofline, roofline_of
from energymeter.comparison.runs import Run
from energymeter.comparison.sweeping import Sweep
from energymeter.errors import EnergyMeterError

RECORD = Path(__file__).with_name("decided.json")


def wave(share: float) -> Callable[[int], float]:
    """A relative error that comes back every seven runs."""
    return lambda number: share * ((number * 3) % 7 - 3) / 3


def changed(runs: list[Run], arm: str, **known: Any) -> list[Run]:
    """The runs, those of one arm with something else about them."""
    return [one._replace(**known) if one.arm == arm else one for one in runs]


TWO = simulated(10, [50.0, 40.0], wave(0.01))
NEAR = simulated(10, [50.0, 49.9], wave(0.05))
TURNED = [one._replace(arm="C", joules=55.0) for one in TWO if one.arm == "A"]
STRAY = [one._replace(joules={5: 90.0, 10: 9.0}.get(number, one.joules)) for number, one in enumerate(TWO)]
FEW = simulated(3, [50.0, 40.0], wave(0.01))
COLD_START = [one._replace(joules=one.joules * (1.3 if one.pair == 0 else 1)) for one in TWO]
HOT = HERE._replace(celsius=88.0)
SLOW = HERE._replace(governor="powersave")
COMPARISONS: dict[str, Callable[[], Comparison]] = {
    "clear": lambda: compared(TWO),
    "clear, idle, battery, grid": lambda: compared(
        TWO, idle=[1.0, 1.1, 0.9], battery=Battery.parse("powerbank:10000"), grid=Grid("DEU"), notes=["n"]
    ),
    "none": lambda: compared(NEAR),
    "more": lambda: compared(simulated(10, [40.0, 50.0], wave(0.01))),
    "few": lambda: compared(FEW),
    "few anyway": lambda: compared(FEW, anyway=True),
    "one each": lambda: compared(simulated(1, [50.0, 40.0], wave(0.01))),
    "not in turns": lambda: compared(TWO, paired=False),
    "three": lambda: Comparison([*TWO, *TURNED], ["A", "B", "C"]),
    "first is unsteady": lambda: compared(COLD_START),
    "far from the others": lambda: compared(STRAY),
    "other place": lambda: compared(changed(TWO, "B", place="wall")),
    "other place anyway": lambda: compared(changed(TWO, "B", place="wall"), anyway=True),
    "other meter": lambda: compared(changed(TWO, "B", sources=("um25c",))),
    "other workload": lambda: compared(changed(TWO, "B", workload="more")),
    "other unit": lambda: compared(changed(TWO, "B", unit="token")),
    "simulated": lambda: compared(changed(TWO, "B", provenance="simulated")),
    "modelled": lambda: compared(changed(TWO, "B", provenance="modelled")),
    "covered in part": lambda: compared(changed(TWO, "B", coverage=0.8, measured_seconds=8.0)),
    "hardly covered": lambda: compared(changed(TWO, "B", coverage=0.2, measured_seconds=2.0)),
    "other governor": lambda: compared(changed(TWO, "B", before=SLOW, after=SLOW)),
    "hot": lambda: compared(changed(TWO, "B", after=HOT)),
    "throttled": lambda: compared(changed(TWO, "B", after=HERE._replace(throttled=4))),
    "on battery": lambda: compared(changed(TWO, "B", before=HERE._replace(mains=False))),
    "other board": lambda: compared(changed(TWO, "B", before=HERE._replace(board="pi5"))),
    "other host": lambda: compared(changed(TWO, "B", before=HERE._replace(host="lab"))),
    "no charge": lambda: compared([one._replace(coulombs=None) for one in TWO]),
    "short": lambda: compared([one._replace(seconds=0.5, measured_seconds=0.5) for one in TWO]),
    "below idle": lambda: compared(TWO, idle=[4.5]),
    "one arm": lambda: compared([one for one in TWO if one.arm == "A"]),
}  # fmt: skip


def swept(metric: bool, **known: Any) -> Sweep:
    """Three settings of which one is worse in all."""
    energy = {"bits=4": (40.0, 10.0), "bits=8": (90.0, 12.0), "bits=16": (70.0, 11.0)}
    metrics = {"bits=4": 0.6, "bits=8": 0.75, "bits=16": 0.8}
    runs = [
        run(name, pair, joules * (1 + wave(0.02)(pair)), seconds, metric=metrics[name] if metric else None)
        for pair in range(4)
        for name, (joules, seconds) in energy.items()
    ]
    return Sweep(runs, {name: dict([name.split("=")]) for name in energy}, **known)


SWEEPS: dict[str, Callable[[], Sweep]] = {
    "by time": lambda: swept(metric=False),
    "by metric": lambda: swept(metric=True),
    "roof by arithmetic": lambda: swept(metric=True, roofline=Roofline(2e9, 1e8, 10e9, 10e9)),
    "roof by memory": lambda: swept(metric=True, roofline=Roofline(2e9, 1e10, 100e9, 10e9)),
    "operations alone": lambda: swept(metric=True, roofline=roofline_of(2e9, None, None, None)),
}
REFUSED: dict[str, Callable[[], object]] = {
    "bytes alone": lambda: roofline_of(None, 1e8, None, None),
    "peak alone": lambda: roofline_of(None, None, 100.0, 10.0),
    "no such axis": lambda: board_axis("colour"),
}


def _rounded(fields: Any) -> Any:
    if isinstance(fields, dict):
        return {str(key): _rounded(value) for key, value in fields.items()}
    if isinstance(fields, (list, tuple)):
        return [_rounded(each) for each in fields]
    return float(f"{fields:.7g}") if isinstance(fields, (float, np.floating)) else fields


def decided(name: str) -> Any:
    """The lines for people and the answer for programs, or why there is none."""
    made = {**COMPARISONS, **SWEEPS, **REFUSED}[name]
    try:
        found: Any = made()
        fields = _rounded(found.to_dict())
        fields["runs"] = [len(fields["runs"]), fields["runs"][-1]] if "runs" in fields else None
        return {"text": str(found).splitlines(), "json": fields}
    except EnergyMeterError as refused:
        return f"{type(refused).__name__}: {refused}"


NAMES = [*COMPARISONS, *SWEEPS, *REFUSED]

if __name__ == "__main__":
    RECORD.write_text(entries({name: decided(name) for name in NAMES}) + "\n", encoding="utf-8")
