"""The measured program's side of sampling: starts the sampling process, sees its curves, keeps it alive."""

from __future__ import annotations

import os
import threading

from energymeter.clock import Clock, SystemClock
from energymeter.energy.window import COVERED
from energymeter.errors import LogError
from energymeter.lazy import TYPE_CHECKING, NamedTuple
from energymeter.sampling import priority
from energymeter.sampling.config import ChannelInfo, LogConfig, SourceConfig
from energymeter.sampling.curve import Curve
from energymeter.sampling.memory import Count, Head, State
from energymeter.sampling.process import ProcessHost
from energymeter.sampling.spawn import interpreter
from energymeter.sampling.uninterrupted import uninterrupted
from energymeter.spec import Spec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from energymeter.energy.correction import Correction
    from energymeter.energy.uncertainty import OwnCounter
    from energymeter.sampling.thread import ThreadHost


_FIRST_SAMPLE_SECONDS = 2.0
_RESTARTS = 20
_RETRY_SECONDS = (0.25, 0.5, 1.0, 2.0, 5.0)
_TRIES = 8


class SampledChannel(NamedTuple):
    """One channel as the reader sees it: what is known of it, and its curve."""

    info: ChannelInfo
    curve: Curve

    def observed(self, counter: int) -> int:
        """One of the counts kept by the sampler, such as ``Count.MISSED``."""
        return self.curve.counts[counter]

    @property
    def priority(self) -> str:
        """What the scheduler granted the sampling loop; an empty text where nothing was asked for."""
        return priority.NAMES.get(self.observed(Count.PRIORITY), "")

    def own_counter(self) -> OwnCounter | None:
        """What the device itself counted so far, next to our integral; None: nothing that can be compared."""
        counts = self.curve.counts
        for _ in range(_TRIES):  # until the sampler has not changed it meanwhile
            start_ns, end_ns = counts[Count.COUNTED_FROM_NS], counts[Count.COUNTED_TO_NS]
            step_uj = counts[Count.COUNTED_STEP_UJ]
            counted_uj = counts[Count.COUNTED_TO_UJ] - counts[Count.COUNTED_FROM_UJ]
            if (start_ns, end_ns) == (counts[Count.COUNTED_FROM_NS], counts[Count.COUNTED_TO_NS]):
                break
        if not 0 < start_ns < end_ns:
            return None
        window = self.curve.window(start_ns, end_ns)
        if not window.covered_seconds >= COVERED * window.seconds:
            return None
        from energymeter.energy.uncertainty import OwnCounter

        return OwnCounter(window.seconds, window.joules, counted_uj * 1e-6, step_uj * 1e-6)


class Sampler:
    """Reads sources in a process of its own, or in a thread of this one where there is no other way.

    That is where an object must be read, and where no interpreter can be started (a frozen program).

    Args:
        configs: the sources, each with its rate.
        log: the file for every sample; a relative path is one of the folder that is current now.
        corrections: calibrations by meter identity.
        clock: the time to wait by.
    """

    def __init__(
        self,
        configs: Sequence[SourceConfig],
        log: LogConfig | None = None,
        corrections: dict[str, Correction] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.channels: list[SampledChannel] = []
        self.restarts = 0
        self._configs = list(configs)
        self.log = log
        self._corrections = corrections or {}
        self._clock = clock or SystemClock()
        self._host: ProcessHost | ThreadHost | None = None
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._head: Head | None = None
        self._attempts = 0
        self._down = False
        """The sampler was killed, and none has taken its place."""
        self._next_start_ns = 0
        self.in_process = any(not isinstance(config.source, Spec) for config in configs)
        """In this process, that is, by a thread."""

    def start(self) -> None:
        """Open the sources and wait for their first samples; nothing is left of it if that fails.

        Raises:
            SourceError, SpecError, LogError, ExtraMissing: what the sampling side reported.
            SamplerError: it reported nothing.
        """
        if self.log is not None:
            self.log = self.log._replace(path=_absolute(self.log.path))
        self.in_process = self.in_process or interpreter() is None
        try:
            if self.in_process:  # its sources are opened here, by the thread that the caller expects
                from energymeter.sampling.thread import ThreadHost

                self._host = ThreadHost()
                self._open(self._host)
            else:
                uninterrupted(lambda: self._open(ProcessHost()), lambda _: self.stop(discard_log=True))
            self._await_first_samples()
        except BaseException:
            self.stop(discard_log=True)
            raise

    def _open(self, host: ProcessHost | ThreadHost) -> None:
        infos = host.start(self._configs, self.log, self._corrections)
        self._host = host
        self._head = Head(host.memory)
        self.channels = [
            SampledChannel(info, Curve.of(info.facts, info.memory_in(host.memory))) for info in infos
        ]

    def stop(self, *, discard_log: bool = False, window_ns: tuple[int, int] | None = None) -> None:
        """Take one last sample and end; twice is fine, and in a forked worker it does nothing.

        Args:
            discard_log: remove the log: what was measured is refused.
            window_ns: the times between which the run was measured, for the end of the log.
        """
        host = self._host
        if host is None or os.getpid() != self._pid:
            return

        def stop() -> None:
            if not self._lock.acquire(blocking=False):  # it is being started again
                host.cancel()
                self._lock.acquire()
            try:
                mine, self._host = self._host, None
                if mine is not None:  # else somebody else has stopped it
                    if window_ns is not None and self._head is not None:
                        counts = self._head.counts
                        counts[Count.WINDOW_START_NS], counts[Count.WINDOW_END_NS] = window_ns
                    self._down = self._down or self._died(mine)
                    mine.stop(discard_log=discard_log)
            finally:
                self._lock.release()

        uninterrupted(stop)

    def restart_if_dead(self) -> None:
        """Start the sampling process again if it was killed; its curves go on after a gap. Raises nothing."""
        if os.getpid() != self._pid or not self._lock.acquire(blocking=False):
            return
        try:
            host = self._host
            if host is None or host.alive() or self._clock.monotonic_ns() < self._next_start_ns:
                return
            if all(channel.info.rewinds for channel in self.channels):
                self._give_up("it was cut short when its sampler was killed; play it again", ended=True)
            elif self.restarts >= _RESTARTS:
                self._give_up(
                    f"its sampler was killed {self.restarts + 1} times; look for the reason in dmesg"
                )
            else:
                self._down = self._died(host)
                self._restart(host)
        finally:
            self._lock.release()

    def _died(self, host: ProcessHost | ThreadHost) -> bool:
        """Whether sampling ended before its sources did."""
        return not host.alive() and any(c.observed(Count.STATE) != State.ENDED for c in self.channels)

    def _restart(self, host: ProcessHost | ThreadHost) -> None:
        try:
            host.start(self._configs, self.log, self._corrections, resume=True)
        except Exception as failure:  # noqa: BLE001 - reported; the next try may succeed
            self._give_up(f"sampling could not go on: {failure}")
            wait = _RETRY_SECONDS[min(self._attempts, len(_RETRY_SECONDS) - 1)]
            self._next_start_ns = self._clock.monotonic_ns() + round(wait * 1e9)
            self._attempts += 1
        else:
            self.restarts += 1
            self._attempts = 0
            self._down = False

    def _give_up(self, why: str, *, ended: bool = False) -> None:
        for channel in self.channels:
            own = channel.info.memory_in(self._host.memory) if self._host is not None else None
            if own is not None and own.counts[Count.STATE] != State.ENDED:
                own.head.error = f"{channel.info.name}: {why}"
                if ended or channel.info.rewinds:
                    own.counts[Count.STATE] = State.ENDED

    def wait_past(self, at_ns: int, seconds: float) -> None:
        """Wait until every channel has a sample at or after ``at_ns``, at most ``seconds``."""
        give_up_ns = self._clock.monotonic_ns() + round(seconds * 1e9)
        while self._clock.monotonic_ns() < give_up_ns:
            if all(
                len(channel.curve) and channel.curve.last_ns() >= at_ns
                for channel in self.channels
                if channel.observed(Count.STATE) == State.RUNNING
            ):
                return
            self._clock.sleep(0.0005)

    def ended(self) -> bool:
        """Every source is a recording that is over."""
        return all(channel.observed(Count.STATE) == State.ENDED for channel in self.channels)

    def replays_ended(self) -> bool:
        """Every recording that is played at its own times is over."""
        return all(
            channel.observed(Count.STATE) == State.ENDED
            for channel in self.channels
            if channel.info.facts.replayed
        )

    def notes(self) -> list[str]:
        """What a reader of the results should know about the sampling."""
        notes = []
        if self.in_process:
            notes.append("sampled by a thread of this program")
        if self.restarts:
            notes.append(f"sampling was killed and restarted {self.restarts} times")
        if self._down:
            notes.append("sampling was killed and not restarted before the end")
        notes += [note for channel in self.channels for note in channel.info.notes]
        notes += [
            channel.curve.error for channel in self.channels if channel.info.rewinds and channel.curve.error
        ]
        asleep = max((channel.observed(Count.SUSPENDED_NS) for channel in self.channels), default=0) * 1e-9
        if asleep:
            from energymeter.text import significant

            gave = sum(channel.observed(Count.SUSPENDED_UJ) for channel in self.channels) * 1e-6
            besides = f"; the battery's gauge counted {significant(gave)} J meanwhile" if gave else ""
            notes.append(f"the machine slept {asleep:.1f} s, not measured{besides}")
        missed = sum(channel.observed(Count.MISSED) for channel in self.channels)
        refused = {channel.priority for channel in self.channels} - {
            "",
            priority.NAMES[priority.Level.REAL_TIME],
        }
        if missed and refused:
            notes.append(
                f"the sampler was refused real-time priority (it has: {', '.join(sorted(refused))}) and "
                f"missed {missed} readings; allow it with `ulimit -r 1` or CAP_SYS_NICE"
            )
        if self.log is not None and (error := self.log_error()):
            notes.append(error)
        return notes

    def log_error(self) -> str:
        """Why the log stopped early or what it lost, or an empty text."""
        if self._head is None:
            return ""
        lost = self._head.counts[Count.LOST_ROWS]
        losses = [f"the log could not keep up: {lost} rows were lost"] if lost else []
        return "; ".join(filter(None, [self._head.error, *losses]))

    def recorded_rows(self) -> int:
        """Rows in the log so far."""
        return self._head.counts[Count.RECORDED_ROWS] if self._head is not None else 0

    def _await_first_samples(self) -> None:
        slowest = max(1 / channel.info.rate_hz for channel in self.channels)
        give_up_ns = self._clock.monotonic_ns() + round((_FIRST_SAMPLE_SECONDS + 2 * slowest) * 1e9)
        while self._clock.monotonic_ns() < give_up_ns:
            if all(len(channel.curve) for channel in self.channels):
                return
            self._clock.sleep(0.0005)


def _absolute(path: str) -> str:
    """The same file, also after the program changes its folder."""
    if "\0" in path:
        raise LogError(f"a log cannot be named {path!r}; give a name without the NUL character")
    try:
        return os.path.abspath(path) if path else path
    except OSError:  # the current folder was removed
        return path
