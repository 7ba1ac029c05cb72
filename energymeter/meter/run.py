"""One measurement: from entering a meter to leaving it."""

import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from energymeter.energy.integrate import Sample
from energymeter.energy.uncertainty import Part
from energymeter.energy.usage import Overhead, Usage, combine
from energymeter.energy.window import NOTHING, Window
from energymeter.errors import CalibrationError, NotMeasured, SamplerError
from energymeter.meter import throttling
from energymeter.meter.span_store import Recording, SpanLog
from energymeter.meter.spans import open_span
from energymeter.reading import Reading
from energymeter.sampling.config import LogConfig, SourceConfig
from energymeter.sampling.memory import Count
from energymeter.sampling.sampler import SampledChannel, Sampler
from energymeter.source import Source
from energymeter.spec import Spec
from energymeter.version import __version__

if TYPE_CHECKING:
    from energymeter.calibration.cards import Cards
    from energymeter.energy.correction import Applied

_KEEP_SECONDS = 0.25
"""How often the keeper looks after the sampling process."""
_PATIENCE_SECONDS = 0.5


class Measurement:
    """Sources being sampled, the window between two moments, and the spans within.

    Args:
        groups: sources side by side; those within a group add up, and the first group counts.
        rate_hz: for all of them; None: each its own default.
        log: the file for every sample, and whether to replace it.
        cards: the calibrations to apply.
        logs: the span logs that this measurement feeds.
        known: further fields of every usage.
        sync: called before the clock is read at either end.
    """

    def __init__(
        self,
        groups: Sequence[Sequence[Spec | Source]],
        rate_hz: float | None,
        log: LogConfig | None,
        cards: "Cards",
        logs: Iterable[SpanLog],
        known: dict[str, Any],
        sync: Callable[[], object] | None = None,
    ) -> None:
        self._head_group = len(groups[0])
        configs = [SourceConfig(source, rate_hz) for group in groups for source in group]
        if log is not None:
            header = _header(configs, len(groups[0]))
            log = log._replace(header=header, start_ns=time.monotonic_ns(), cards=cards.in_log())
        self.sampler = Sampler(configs, log, cards.corrections())
        self._cards = cards
        self._logs = logs
        self._whole_log = SpanLog("the whole block")
        self._whole = open_span(self._whole_log, sync)
        self._known = known
        self._done = threading.Event()
        self._pid = os.getpid()
        self._throttled: list[str] = []

    def start(self) -> None:
        """Open the sources; the window begins when all have spoken.

        Raises:
            SourceError, SpecError, LogError, ExtraMissing, SamplerError: as the sampler said.
        """
        self._throttled_before = throttling.read()
        self.sampler.start()
        try:
            self._cards.check(channel.identity for channel in self.sampler.channels)
        except CalibrationError:
            self.sampler.stop(discard_log=True)
            raise
        self.recording = Recording(
            [channel.curve for channel in self.counted],
            self.sampler.keep_ns(),
            self._wait_past,
            self._usage_of,
        )
        for log in (*self._logs, self._whole_log):
            log.begin(self.recording)
        try:
            self._whole.__enter__()
        except BaseException:  # the caller's sync failed
            self.sampler.stop(discard_log=True)
            raise
        try:
            threading.Thread(target=self._keep, name="energymeter-keeper", daemon=True).start()
        except RuntimeError as refusal:
            self.finish()
            raise SamplerError(
                f"no thread could be started to look after the sampling: {refusal}."
            ) from refusal

    @property
    def counted(self) -> list[SampledChannel]:
        """The channels of the first group that add up."""
        return [
            c for c in self.sampler.channels if c.info.source_index < self._head_group and c.facts.counted
        ]

    @property
    def running(self) -> bool:
        return not self._whole.end_ns

    def finish(self) -> None:
        """End the window, take a last sample, let go of the sources."""
        if not self.running:
            return
        while os.getpid() == self._pid and not self.sampler.replays_ended():
            time.sleep(0.001)
        try:
            self._whole.__exit__()
        finally:  # also if the caller's sync failed
            self._let_go()

    def _let_go(self) -> None:
        if os.getpid() != self._pid:  # keeper and sampler are the parent's, which writes on: settle now
            self._whole_log.settle_all()
            return
        self._done.set()
        self.sampler.stop()
        self._throttled = throttling.sentences(self._throttled_before, throttling.read())

    def usage(self) -> Usage:
        """Of the whole window; while it is open, up to the newest sample.

        Raises:
            NotMeasured: no sample, with the reason.
        """
        if self._own_time():
            return self._usage_of([self._all_of(channel) for channel in self.counted])
        if not self.running:
            return self._whole.usage
        now_ns = max(self._whole_log.known_until_ns(), self._whole.start_ns)
        return self._usage_of(self._whole_log.drawn(self._whole, now_ns))

    def usages(self) -> dict[str, Usage]:
        """Of the whole window, for every channel by itself, counted or not.

        Raises:
            NotMeasured: a channel has no sample.
        """
        end_ns = self._whole.end_ns or time.monotonic_ns()
        return {
            channel.name: self._combined(
                [channel._replace(info=channel.info._replace(facts=channel.facts._replace(counted=True)))],
                [channel.curve.draw(self._whole.start_ns, end_ns) if len(channel.curve) else NOTHING],
            )
            for channel in self.sampler.channels
        }

    def latest(self) -> Reading:
        """The newest samples of the counted channels, watts added; volts and amps of a single one.

        Raises:
            NotMeasured: a channel has none.
        """
        newest = [channel.curve.last() for channel in self.counted]
        known = [sample for sample in newest if sample is not None]
        if len(known) < len(newest):
            raise NotMeasured("no sample has been taken yet.")
        watts = [sample.watts for sample in known if sample.watts is not None]
        only = known[0] if len(known) == 1 else None
        return Reading(
            volts=only.volts if only else None,
            amps=only.amps if only else None,
            watts=sum(watts) if len(watts) == len(known) else None,
        )

    def samples(self) -> dict[str, list[Sample]]:
        """What the rings and histories hold, by channel."""
        return {channel.name: channel.curve.samples() for channel in self.sampler.channels}

    def _own_time(self) -> bool:
        return any(channel.facts.replayed for channel in self.counted)

    def _all_of(self, channel: SampledChannel) -> Window:
        seen = channel.curve
        return seen.draw(seen.first_ns(), seen.last_ns()) if len(seen) else NOTHING

    def _wait_past(self, at_ns: int) -> None:
        if self.running or os.getpid() != self._pid:
            slowest = max(1 / channel.rate_hz for channel in self.sampler.channels)
            self.sampler.wait_past(at_ns, 3 * slowest + _PATIENCE_SECONDS)

    def _usage_of(self, draws: Sequence[Window]) -> Usage:
        return self._combined(self.counted, draws)

    def _combined(self, channels: Sequence[SampledChannel], draws: Sequence[Window]) -> Usage:
        for channel, draw in zip(channels, draws, strict=True):
            if not draw.covered_seconds > 0 and channel.error:
                raise NotMeasured(f"{channel.name} measured nothing in this window: {channel.error}")
        parts = [self._part(channel, draw) for channel, draw in zip(channels, draws, strict=True)]
        overhead = Overhead(
            cpu_seconds=self._cpu_seconds(channels),
            reads=sum(channel.observed(Count.READS) for channel in channels),
            moved_bytes=sum(channel.observed(Count.MOVED_BYTES) for channel in channels),
        )
        missed = sum(
            channel.observed(c) for channel in channels for c in (Count.MISSED, Count.FAILED, Count.LOST)
        )
        titles, doubts = self._calibrations(channels, draws)
        known = {
            **self._known,
            "notes": (*self._known.get("notes", ()), *self.sampler.notes(), *self._throttled, *doubts),
        }
        return combine(parts, missed=missed, overhead=overhead, calibration=titles, **known)

    def _part(self, channel: SampledChannel, draw: Window) -> Part:
        applied = self.applied(channel)
        part = Part(channel.name, channel.facts, draw, channel.interval_seconds())
        return part if applied is None else part._replace(model=applied.model, kelvin=applied.kelvin)

    def applied(self, channel: SampledChannel) -> "Applied | None":
        """The calibration of a channel, if it has one."""
        return self._cards.applied(channel.identity)

    def _calibrations(
        self, channels: Sequence[SampledChannel], draws: Sequence[Window]
    ) -> tuple[tuple[str, ...], list[str]]:
        """The cards that were used, and what speaks against them."""
        titles, doubts = [], []
        for channel, draw in zip(channels, draws, strict=True):
            card = self._cards.of(channel.identity)
            if card is None:
                continue
            whose = f"{channel.name} " if len(channels) > 1 else ""
            titles.append(f"{whose}{card.title}")
            amps = draw.coulombs / draw.covered_seconds if draw.covered_seconds > 0 else math.nan
            known = None if math.isnan(amps) else amps
            doubts += [f"{whose}{doubt}" for doubt in card.doubts(time.time(), self._cards.celsius, known)]
        return tuple(titles), doubts

    def _cpu_seconds(self, channels: Sequence[SampledChannel]) -> float:
        """A sampling process tells its own on every channel; threads tell theirs, one a source."""
        of_source = {channel.info.source_index: channel.observed(Count.CPU_NS) for channel in channels}
        together = sum if self.sampler.in_process else max
        return together(of_source.values()) * 1e-9

    def _keep(self) -> None:
        """Look after the sampler, and settle spans before the rings forget their edges."""
        settled_ns = 0
        while not self._done.wait(_KEEP_SECONDS):
            self.sampler.restart_if_dead()
            now_ns = time.monotonic_ns()
            if now_ns >= settled_ns + self.sampler.keep_ns():
                for log in (*self._logs, self._whole_log):
                    log.settle()
                settled_ns = now_ns


def _header(configs: Sequence[SourceConfig], counted: int) -> dict[str, Any]:
    """What a log file says of its origin: the first ``counted`` sources add up, the others stand beside.

    Options may hold a password and are left out.
    """
    system = os.uname()
    return {
        "sources": [
            f"{c.source.driver}@{c.source.place or ''}" if isinstance(c.source, Spec) else c.source.name
            for c in configs
        ],
        "counted_sources": counted,
        "rate_hz": [c.rate_hz for c in configs],
        "started": time.time(),
        "host": system.nodename,
        "system": f"{system.sysname} {system.release} {system.machine}",
        "python": sys.version.split()[0],
        "energymeter": __version__,
    }
