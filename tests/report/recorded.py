"""Recordings with known energy, for reports of them."""

from pathlib import Path
from typing import Any

import numpy as np

from energymeter.reading import Band, Facts, Place, Provenance
from energymeter.recordings.record import RecordedSpans
from energymeter.recordings.trace import Trace
from energymeter.report.report import Report, Settings, Stated

SPANS = {
    "infer": RecordedSpans(4, ((1.0, 2.0), (3.0, 4.0), (5.0, 6.0), (7.0, 8.0))),
    "load": RecordedSpans(1, ((0.2, 0.8),)),
}


def record(
    path: Path,
    watts: float = 5.0,
    *,
    provenance: Provenance = "measured",
    place: Place = "rail",
    name: str = "ina219@1:0x40",
    gap: tuple[float, float] | None = None,
    spans: dict[str, RecordedSpans] = SPANS,
) -> str:
    """Ten seconds at a steady power and 5 V, of which the run measured 0.1 to 9.9 s."""
    time = np.arange(0, 10.01, 0.1)
    if gap is not None:
        time = time[(time <= gap[0] + 1e-9) | (time >= gap[1] - 1e-9)]
    facts = Facts("instant", provenance, place, watts=Band(0.01))
    power = np.full(len(time), watts)
    wall = place == "wall"
    trace = Trace.integrate(
        time,
        power,
        volts=None if wall else np.full(len(time), 5.0),
        amps=None if wall else power / 5,
        facts=facts,
        name=name,
        epoch_s=1_700_000_000.0,
    )
    trace.window_s, trace.spans = (0.1, 9.9), spans
    trace.save(path)
    return str(path)


def reported(*paths: str, stated: Stated | None = None, **settings: Any) -> Report:
    """A report with one statement for all."""
    return Report(paths, [stated or Stated()] * len(paths), Settings(**settings))
