"""What an agent has measured by now, as plain figures: the one thing that exporters and the page read."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, Protocol

from energymeter.errors import NotMeasured
from energymeter.sampling.memory import Count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from energymeter.calibration.cards import Cards
    from energymeter.energy.uncertainty import Part
    from energymeter.energy.usage import Usage
    from energymeter.energy.window import Window
    from energymeter.reading import Place, Provenance
    from energymeter.sampling.sampler import SampledChannel
    from energymeter.text import Estimate

RECENT_SECONDS = 5.0
"""The power that is shown is the mean over so much of the newest time; at least the newest two intervals."""
_LEAST_INTERVALS = 2
_MISSED = (Count.MISSED, Count.FAILED, Count.LOST)
_INNER = {"wall": 0, "cell": 1, "rail": 2, "die": 3}
"""From the outside to the inside of a power path: an inner place draws on every outer one."""


class ChannelState(NamedTuple):
    """What one channel has measured since its source was opened. ``None`` means "cannot tell"."""

    source: str
    """As the agent names it."""
    channel: str
    place: Place
    provenance: Provenance
    counted: bool
    """It is in no other channel's energy: such channels add up."""
    run: str
    """Another text once the source was opened again: the figures then begin at 0."""
    joules: float | None = None
    uncertainty_joules: float | None = None
    """±, coverage factor 2."""
    coulombs: float | None = None
    seconds: float = 0.0
    measured_seconds: float = 0.0
    missed: int = 0
    watts: float | None = None
    """Mean over the newest seconds; None: it does not answer."""
    watts_uncertainty: float | None = None
    volts: float | None = None

    @property
    def coverage(self) -> float:
        """The share of the time that was really measured, 0 to 1."""
        return min(1.0, self.measured_seconds / self.seconds) if self.seconds > 0 else 1.0


class SourceState(NamedTuple):
    """A source of the agent."""

    name: str
    up: bool
    """It answers."""
    error: str = ""
    """Why not, and what to do."""


class BatteryState(NamedTuple):
    """What is left of a battery or a budget."""

    name: str
    is_budget: bool
    share: Estimate
    rail_joules: Estimate
    hours: Estimate | None
    reason: str = ""
    """Why there are no hours."""
    mah: float | None = None
    """What a full one holds."""


class PushState(NamedTuple):
    """How far an agent has pushed its record."""

    waiting: int
    """Finished recordings that are not in the lake yet."""
    lost: int
    """Recordings that were removed before they were pushed, since the record was begun."""


class Snapshot(NamedTuple):
    """Everything, at one moment."""

    sources: tuple[SourceState, ...] = ()
    channels: tuple[ChannelState, ...] = ()
    batteries: tuple[BatteryState, ...] = ()
    push: PushState | None = None
    """None: nothing is pushed."""


class Served(Protocol):
    """What is read of a source of the agent."""

    @property
    def name(self) -> str: ...
    @property
    def error(self) -> str: ...
    @property
    def channels(self) -> Sequence[SampledChannel]: ...
    def counted(self) -> Sequence[SampledChannel]:
        """Those that add up."""


def channel_states(served: Served, cards: Cards, now_ns: int) -> list[ChannelState]:
    """The channels of a source that is open, those that have a sample.

    Args:
        served: the source.
        cards: the calibrations that its sampler applies.
        now_ns: the time of the samples' clock.
    """
    counted = {channel.info.name for channel in served.counted()}
    return [
        _channel_state(served, channel, channel.info.name in counted, cards, now_ns)
        for channel in served.channels
        if len(channel.curve)
    ]


def _channel_state(
    served: Served, channel: SampledChannel, counted: bool, cards: Cards, now_ns: int
) -> ChannelState:
    facts, curve = channel.info.facts, channel.curve
    # the first sample names the run: whatever the agent does meanwhile, another curve begins at another time
    state = ChannelState(
        served.name, channel.info.name, facts.place, facts.provenance, counted, str(curve.first_ns())
    )
    last_ns = curve.last_ns()
    silent = bool(channel.silent_ns(last_ns if facts.replayed else now_ns))
    usage = _usage(channel, curve.first_ns(), now_ns if silent else last_ns, cards)
    if usage is not None:
        state = state._replace(
            joules=usage.joules,
            uncertainty_joules=usage.uncertainty,
            coulombs=usage.coulombs,
            seconds=usage.seconds,
            measured_seconds=min(usage.covered_seconds),
            missed=sum(channel.observed(count) for count in _MISSED),
        )
    newest = curve.last()
    if silent or newest is None:
        return state
    state = state._replace(watts=newest.watts, volts=newest.volts)
    interval_ns = curve.interval_seconds(1 / channel.info.rate_hz) * 1e9
    recent_ns = round(max(RECENT_SECONDS * 1e9, _LEAST_INTERVALS * interval_ns))
    recent = _usage(channel, max(last_ns - recent_ns, curve.first_ns()), last_ns, cards)
    if recent is None or recent.mean_watts is None:  # one sample has a power, and no energy yet
        return state
    return state._replace(
        watts=recent.mean_watts, watts_uncertainty=recent.uncertainty / recent.measured_seconds
    )


def _usage(channel: SampledChannel, start_ns: int, end_ns: int, cards: Cards) -> Usage | None:
    """What one channel used between two moments, counted or not; None: unknown."""
    from energymeter.energy.usage import combine

    window = channel.curve.window(start_ns, end_ns)
    part = part_of(channel, window, cards)
    if part.model is None:
        own_counter = channel.own_counter()
        if own_counter is not None and own_counter.describes(window.seconds):
            part = part._replace(own_counter=own_counter)
    try:
        usage = combine([part])
    except NotMeasured:
        return None
    return usage if math.isfinite(usage.joules) and math.isfinite(usage.uncertainty) else None


def part_of(channel: SampledChannel, window: Window, cards: Cards) -> Part:
    """What one channel says of a window of its curve, counted or not, as it is calibrated."""
    from energymeter.energy.uncertainty import Part

    interval = channel.curve.interval_seconds(1 / channel.info.rate_hz)
    part = Part(channel.info.name, channel.facts._replace(counted=True), window, interval)
    applied = cards.applied(channel.info.identity) if channel.info.calibrated else None
    return part if applied is None else part._replace(model=applied.model, kelvin=applied.kelvin)


def without_nested(states: list[ChannelState]) -> list[ChannelState]:
    """The channels of all sources, those that count reduced to the outermost place.

    A processor's own counter, a sensor on the rail and a plug at the wall may see the same energy. Which
    of them feed which is unknown, so only the outermost place counts, and the inner ones are rails of it.
    """
    outermost = min((_INNER[state.place] for state in states if state.counted), default=0)
    return [state._replace(counted=state.counted and _INNER[state.place] == outermost) for state in states]
