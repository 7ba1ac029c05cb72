"""Figures of an agent that does not run: a board on a rail, its processor within, a battery and spans."""

from energymeter.serve.feed import Figures
from energymeter.serve.snapshot import (
    BatteryState,
    ChannelState,
    PushState,
    Snapshot,
    SourceState,
    without_nested,
)
from energymeter.serve.spans import Doubt
from energymeter.serve.totals import Totals
from energymeter.text import Estimate

BOARD = ChannelState(
    source="board",
    channel="ina219@1:0x40",
    place="rail",
    provenance="measured",
    counted=True,
    run="1",
    joules=7200.0,
    uncertainty_joules=36.0,
    coulombs=1440.0,
    seconds=2000.0,
    measured_seconds=1900.0,
    missed=7,
    watts=3.6,
    watts_uncertainty=0.02,
    volts=5.02,
)
CPU = BOARD._replace(
    source="cpu", channel="rapl:package-0", place="die", joules=3000.0, coulombs=None, watts=1.5, volts=None
)
BUDGET = BatteryState(
    "field",
    True,
    Estimate(0.62, 0.55, 0.69),
    Estimate(23000.0, 20000.0, 26000.0, "J"),
    Estimate(1.7, 1.4, 2.0, "h"),
    mah=4000.0,
)
UNKNOWN = BatteryState(
    "old", False, Estimate(0.1, 0.0, 0.2), Estimate(0.0, 0.0, 0.0, "J"), None, "no load was seen yet"
)


def figures(
    *states: ChannelState,
    totals: Totals | None = None,
    batteries: tuple[BatteryState, ...] = (BUDGET, UNKNOWN),
) -> Figures:
    """What a feed gives of these channels."""
    channels = without_nested([*(states or (BOARD, CPU))])
    totals = totals or Totals()
    totals.take(state for state in channels if state.joules is not None)
    totals.add_span("board", "infer", 0.5, 0.1, Doubt(0.01, 0.0008))
    totals.add_span("board", "infer", 1.5, 0.3, Doubt(0.02, 0.0008))
    names = dict.fromkeys(state.source for state in channels)
    up = {name: all(s.watts is not None for s in channels if s.source == name) for name in names}
    sources = tuple(SourceState(name, up[name], "" if up[name] else "it is unplugged") for name in names)
    snapshot = Snapshot(sources, tuple(channels), batteries, PushState(3, 2))
    return Figures(snapshot, dict(totals.channels), dict(totals.spans))


class GivenFeed:
    """A feed whose figures a test sets."""

    def __init__(self, given: Figures) -> None:
        self.given = given

    def read(self) -> Figures:
        return self.given

    def counters(self) -> Figures:
        return self.given
