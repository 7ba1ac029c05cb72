"""One run: from entering a meter to leaving it."""

from __future__ import annotations

import math
import os

from energymeter.clock import Clock
from energymeter.energy.window import NOTHING, Point, Window, long_seconds
from energymeter.errors import NotMeasured
from energymeter.lazy import TYPE_CHECKING, NamedTuple
from energymeter.meter import throttling
from energymeter.meter.span_resolver import SpanResolver
from energymeter.sampling.agent import span_receivers
from energymeter.sampling.memory import Count
from energymeter.sampling.sampler import SampledChannel, Sampler

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from energymeter.battery.battery import Battery
    from energymeter.calibration.cards import Cards
    from energymeter.carbon.emissions import GridNow
    from energymeter.energy.correction import Applied
    from energymeter.energy.integrate import Sample
    from energymeter.energy.uncertainty import OwnCounter, Part
    from energymeter.energy.usage import Idle, Overhead, Usage
    from energymeter.reading import Facts, Reading
    from energymeter.sampling.agent_spans import SpanSender

_PATIENCE_SECONDS = (0.1, 2.0)
"""How long an answer waits for the next sample: one period, but within these."""
_MISSED = (Count.MISSED, Count.FAILED, Count.LOST)


class Recording(NamedTuple):
    """How the recording of a run goes."""

    rows: int
    """Written to ``out`` so far."""
    error: str
    """Why ``out`` ended early, or an empty text."""
    ended: bool
    """Every source is a replay that is over."""


class Progress(NamedTuple):
    """How the sampling of the counted channels went up to one moment."""

    facts: tuple[Facts, ...]
    """What is known of each: of a battery's gauge, how coarse it has shown itself to be."""
    interval_seconds: tuple[float, ...]
    """The observed time between two samples of each."""
    missed: int
    overhead: Overhead
    notes: tuple[str, ...]
    own_counters: tuple[OwnCounter | None, ...]
    """What each device counted itself."""
    known_ns: float = math.inf
    """Up to when every channel has samples; infinite where no more will follow."""

    @property
    def long_seconds(self) -> tuple[float, ...]:
        """The least length of a window whose edges are known by themselves, of each."""
        return tuple(
            long_seconds(interval, facts.age_seconds(interval))
            for facts, interval in zip(self.facts, self.interval_seconds, strict=True)
        )


class Run:
    """Sources being sampled, the window between two moments, and the spans within.

    Args:
        sampler: of the sources, not started yet.
        first: the sources that count; those after them are measured and excluded.
        cards: the calibrations to apply.
        nominal_volts: to count mAh where no current is measured.
        idle: the baseline of every usage.
        notes: of every usage.
        sync: called before the clock is read at either end.
        grid: for grams of the units that spans count.
        battery: for how many of them a charge gives; None: that of a phone.
        clock: the clock of the samples.
    """

    def __init__(
        self,
        sampler: Sampler,
        first: int,
        cards: Cards,
        clock: Clock,
        *,
        nominal_volts: float | None = None,
        idle: Idle | None = None,
        notes: tuple[str, ...] = (),
        sync: Callable[[], object] | None = None,
        grid: GridNow | str | None = None,
        battery: Battery | None = None,
    ) -> None:
        self.sampler = sampler
        self.start_ns = 0
        self.end_ns = 0
        """0 while the run is open."""
        self.counted: list[SampledChannel] = []
        """The channels that add up."""
        self._first, self._cards, self._clock, self._sync = first, cards, clock, sync
        self._nominal_volts, self._idle, self._notes = nominal_volts, idle, notes
        self._grid, self._battery = grid, battery
        self._starts: dict[str, Point] = {}
        """Where each channel was at the start, once a sample has followed."""
        self._replayed = False
        self._stopped = False
        self._pid = os.getpid()
        self._throttled: list[str] | None = None
        self._final: Usage | None = None
        self._senders: list[SpanSender] = []

    # -- its life ------------------------------------------------------------------------------------

    def start(self, refuse: Callable[[Run], None]) -> None:
        """Open the sources, until each has a sample; `begin` comes next. If that fails, all are released.

        Args:
            refuse: raises if these sources are not to be measured.

        Raises:
            SourceError, SpecError, LogError, ExtraMissing, SamplerError: from the sampler.
        """
        try:
            self._throttled_before = throttling.read()
            self.sampler.start()
            channels = self.sampler.channels
            self.counted = [c for c in channels if c.info.source_index < self._first and c.info.facts.counted]
            self._replayed = any(channel.info.facts.replayed for channel in self.counted)
            self._cards.check(channel.info.identity for channel in channels)
            refuse(self)
            self.spans = SpanResolver(
                [channel.curve for channel in self.counted],
                min(round(c.curve.capacity / c.info.rate_hz * 0.25e9) for c in channels),
                self._clock.monotonic_ns,
            )
            self._begin_sending()
            if self._sync is not None:
                self._sync()
            self.start_ns = self._clock.monotonic_ns()
        except BaseException:
            self.release(discard_log=True)
            raise

    def begin(self) -> None:
        """The window starts now: what was done since the sources answered, as for a budget, is ours."""
        self.start_ns = self._clock.monotonic_ns()
        self.sampler.watch(self._look)

    def _begin_sending(self) -> None:
        """Send the spans to the agents that were asked to show them."""
        receivers = span_receivers(self.sampler.configs)
        if not receivers:
            return
        from energymeter.sampling.agent_spans import SpanSender

        self._senders = [SpanSender(receiver, self.spans.edges, self.spans.open) for receiver in receivers]
        for sender in self._senders:
            sender.start()

    def finish(self) -> None:
        """End the window; its energy is computed when a sample follows, or when it is asked for."""
        try:
            while self._replayed and self._is_ours() and not self.sampler.replays_ended():
                self._clock.sleep(0.001)
            if self._sync is not None:
                self._sync()
        finally:  # also if the caller's sync failed
            self.end_ns = self._clock.monotonic_ns()

    def release(self, *, discard_log: bool = False) -> None:
        """Let go of sources, log and threads; twice is fine, and in a forked worker they are its parent's.

        Args:
            discard_log: remove the log: nothing was measured.
        """
        if self.start_ns and not self.end_ns:
            self.end_ns = self._clock.monotonic_ns()
        if not self._is_ours():
            return
        for sender in self._senders:
            sender.end()
        own_times = bool(self.start_ns) and not self._replayed
        if discard_log or not self.end_ns or not self.sampler.stay_ready(self.end_ns):
            after = throttling.read() if own_times and self.sampler.log is not None else None
            self.sampler.stop(
                discard_log=discard_log,
                throttled_after=after,
                window_ns=(self.start_ns, self.end_ns) if own_times else None,
                span_edges_ns=self.spans.edges if own_times else None,
                span_counts=self.spans.counted() if own_times else None,
            )
        self._stopped = True
        if self.start_ns and self._throttled is None:
            self._throttled = throttling.sentences(self._throttled_before, throttling.read())

    def _is_ours(self) -> bool:
        return os.getpid() == self._pid

    def _look(self) -> None:
        """Resolve spans before the rings forget their edges."""
        self._note_starts()
        if self._clock.monotonic_ns() >= self.spans.due_ns:
            self.spans.resolve()

    def _note_starts(self) -> None:
        """Keep where each channel was at the start, before the ring forgets it."""
        for channel in self.sampler.channels:
            curve = channel.curve
            if channel.info.name not in self._starts and len(curve) and curve.last_ns() >= self.start_ns:
                self._starts[channel.info.name] = curve.at(self.start_ns)

    # -- results -------------------------------------------------------------------------------------

    def usage(self) -> Usage:
        """What the whole window used; while it is open, up to the newest sample.

        Raises:
            NotMeasured: no sample, with the reason.
        """
        if self._final is not None:
            return self._final
        stopped = self._stopped
        usage = self.usage_of(self._whole(self.counted), until_ns=self.end_ns)
        if stopped:
            self._final = usage  # a figure that was given never changes
        return usage

    def usages(self) -> dict[str, Usage]:
        """What the whole window used on every channel by itself, counted or not.

        Raises:
            NotMeasured: a channel has no sample.
        """
        return {
            channel.info.name: self._combined([_alone(channel)], self._whole([channel]))
            for channel in self.sampler.channels
        }

    def _whole(self, channels: Sequence[SampledChannel]) -> list[Window]:
        """What channels measured since the start, or in all of a replay, which has times of its own."""
        curves = [channel.curve for channel in channels]
        if self._replayed:
            known = [curve for curve in curves if len(curve)]
            first = min((curve.first_ns() for curve in known), default=0)
            last = max((curve.last_ns() for curve in known), default=0)
            return [c.window(first, last) if len(c) else NOTHING for c in curves]
        end_ns = self.end_ns
        if end_ns:
            self.wait_past(end_ns)
        else:
            end_ns = max(self.start_ns, min((c.last_ns() if len(c) else 0 for c in curves), default=0))
        starts = [self._starts.get(channel.info.name) for channel in channels]
        return [
            curve.window(self.start_ns, end_ns, start) for curve, start in zip(curves, starts, strict=True)
        ]

    def usage_of(
        self, windows: Sequence[Window], progress: Progress | None = None, until_ns: int = 0
    ) -> Usage:
        """The usage of a window of each counted channel.

        Args:
            windows: what each of them measured.
            progress: what it says of the sampling; None: as it is now.
            until_ns: when the windows end, where the next sample may still say more of them.

        Raises:
            NotMeasured: one of them has nothing in it, with the reason.
        """
        try:
            return self._combined(self.counted, windows, progress)
        except NotMeasured as reason:
            if until_ns > self._known_ns(self.counted):
                raise NotMeasured(
                    f"{reason}; or ask again, as the next sample has not been taken yet"
                ) from None
            raise

    def with_units(self, usage: Usage, counts: Mapping[str, float]) -> Usage:
        """The usage with what one unit cost, where any were counted.

        Raises:
            GridError: a live grid cannot be reached.
        """
        return usage.with_units(grid=self._grid, battery=self._battery, **counts) if counts else usage

    def _known_ns(self, channels: Sequence[SampledChannel]) -> float:
        """Up to when all of them have samples; infinite where no more will follow."""
        if self._replayed or (self._stopped and not self.sampler.left_ready):
            return math.inf
        return min(channel.curve.last_ns() for channel in channels)

    def progress(self) -> Progress:
        """How the sampling of the counted channels went so far."""
        return self._progress(self.counted)._replace(known_ns=self._known_ns(self.counted))

    def resolve_spans(self) -> None:
        """Work out the spans that have ended, the sample after the last one waited for."""
        self.wait_past(self.spans.last_end_ns())
        self.spans.resolve(final=self._stopped)

    def usage_between(self, start_ns: int, end_ns: int) -> Usage:
        """What was used between two moments of the run, the last sample waited for.

        Raises:
            NotMeasured: nothing was read meanwhile.
        """
        self.wait_past(end_ns)
        return self.usage_of(self.spans.windows(start_ns, end_ns), until_ns=end_ns)

    def baseline(self, start_ns: int, end_ns: int) -> Idle:
        """What was drawn between two moments of the run, a second of it.

        Raises:
            NotMeasured: nothing was read meanwhile.
        """
        from energymeter.energy.usage import Idle

        usage = self.usage_between(start_ns, end_ns)
        windows = dict(zip(usage.sources, self.spans.windows(start_ns, end_ns), strict=True))
        watts = {name: window.joules / window.covered_seconds for name, window in windows.items()}
        return Idle(
            math.fsum(watts.values()),
            usage.uncertainty / usage.measured_seconds,
            tuple(
                part._replace(joules=part.joules / windows[part.source].covered_seconds)
                for part in usage.components
            ),
            tuple(watts.items()),
        )

    def latest(self) -> Reading:
        """The newest samples of the counted channels, watts added; volts and amps of a single one.

        Raises:
            NotMeasured: a channel has none.
        """
        from energymeter.reading import Reading

        newest = [channel.curve.last() for channel in self.counted]
        known = [sample for sample in newest if sample is not None]
        if len(known) < len(newest):
            raise NotMeasured("no sample has been taken yet; ask again when the source has answered")
        watts = [sample.watts for sample in known if sample.watts is not None]
        only = known[0] if len(known) == 1 else None
        return Reading(
            volts=only.volts if only else None,
            amps=only.amps if only else None,
            watts=sum(watts) if len(watts) == len(known) else None,
        )

    def samples(self) -> dict[str, list[Sample]]:
        """What the rings and histories hold, by channel."""
        return {channel.info.name: channel.curve.samples() for channel in self.sampler.channels}

    def recording(self) -> Recording:
        """How the recording goes, or went."""
        return Recording(self.sampler.recorded_rows(), self.sampler.log_error(), self.sampler.ended())

    def wait_past(self, at_ns: int) -> None:
        """Wait for the sample that follows a moment, at most one period after it."""
        period = max(c.curve.interval_seconds(1 / c.info.rate_hz) for c in self.counted)
        if all(len(c.curve) and c.curve.last_ns() >= at_ns for c in self.counted):
            return
        least, most = _PATIENCE_SECONDS
        left_ns = at_ns + min(max(period, least), most) * 1e9 - self._clock.monotonic_ns()
        if left_ns > 0 or self.sampler.left_ready:
            self.sampler.wait_past(at_ns, left_ns * 1e-9)

    def _combined(
        self, channels: Sequence[SampledChannel], windows: Sequence[Window], progress: Progress | None = None
    ) -> Usage:
        from energymeter.energy.usage import combine

        for channel, window in zip(channels, windows, strict=True):
            if not window.covered_seconds > 0 and channel.curve.error:
                raise NotMeasured(
                    f"{channel.info.name} measured nothing in this window; check it: {channel.curve.error}"
                )
        progress = progress or self._progress(channels)
        parts = [
            self._part(channel, window, facts, interval)
            for channel, window, facts, interval in zip(
                channels, windows, progress.facts, progress.interval_seconds, strict=True
            )
        ]
        titles, warnings = self._calibrations(channels, windows)
        compared = [  # a device's own counter knows nothing of a calibration
            part._replace(own_counter=counter)
            if counter is not None and not part.model and counter.describes(part.window.seconds)
            else part
            for counter, part in zip(progress.own_counters, parts, strict=True)
        ]
        return combine(
            compared,
            missed=progress.missed,
            overhead=progress.overhead,
            calibration=titles,
            nominal_volts=self._nominal_volts,
            idle=self._idle,
            notes=(*progress.notes, *warnings),
        )

    def _progress(self, channels: Sequence[SampledChannel]) -> Progress:
        return Progress(
            tuple(c.facts if c.info.facts.place == "cell" else c.info.facts for c in channels),
            tuple(c.curve.interval_seconds(1 / c.info.rate_hz) for c in channels),
            sum(c.curve.observed(count) for c in channels for count in _MISSED),
            self._overhead(channels),
            (
                *self._notes,
                *self.sampler.notes(),
                *(self._throttled or ()),
                *(note for sender in self._senders for note in sender.notes()),
            ),
            tuple(channel.own_counter() for channel in channels),
        )

    def _part(self, channel: SampledChannel, window: Window, facts: Facts, interval_seconds: float) -> Part:
        from energymeter.energy.uncertainty import Part

        part = Part(channel.info.name, facts, window, interval_seconds)
        applied = self.applied(channel)
        if applied is None:
            return part
        return part._replace(model=applied.model, kelvin=applied.kelvin)

    def applied(self, channel: SampledChannel) -> Applied | None:
        """The calibration of a channel, if it has one."""
        return self._cards.applied(channel.info.identity) if channel.info.calibrated else None

    def _calibrations(
        self, channels: Sequence[SampledChannel], windows: Sequence[Window]
    ) -> tuple[tuple[str, ...], list[str]]:
        """The cards that were used, and warnings about them."""
        titles, warnings = [], []
        for channel, window in zip(channels, windows, strict=True):
            card = self._cards.of(channel.info.identity)
            if card is None or not channel.info.calibrated:
                continue
            whose = f"{channel.info.name} " if len(channels) > 1 else ""
            titles.append(f"{whose}{card.title}")
            amps = window.coulombs / window.covered_seconds if window.covered_seconds > 0 else math.nan
            known = None if math.isnan(amps) else amps
            reasons = card.warnings(self._clock.time(), self._cards.celsius, known)
            warnings += [f"{whose}{reason}" for reason in reasons]
        return tuple(titles), warnings

    def _overhead(self, channels: Sequence[SampledChannel]) -> Overhead:
        """What the sampling took: one process reports its time on every channel, threads one a source."""
        from energymeter.energy.usage import Overhead
        from energymeter.sampling.priority import NAMES

        cpu_ns = {channel.info.source_index: channel.curve.observed(Count.CPU_NS) for channel in channels}
        return Overhead(
            (sum if self.sampler.in_process else max)(cpu_ns.values()) * 1e-9,
            sum(channel.curve.observed(count) for channel in channels for count in Count.READ),
            sum(channel.curve.observed(Count.MOVED_BYTES) for channel in channels),
            NAMES.get(min(channel.curve.observed(Count.PRIORITY) for channel in channels), ""),
        )


def _alone(channel: SampledChannel) -> SampledChannel:
    """The channel as a total of its own, also if it is excluded from that of the run."""
    return channel._replace(info=channel.info._replace(facts=channel.info.facts._replace(counted=True)))
