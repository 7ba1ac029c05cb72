"""The measured program's side of sampling: starts the sampling process, sees its curves, keeps it alive."""

from __future__ import annotations

import errno
import os
import threading

from energymeter.clock import Clock, SystemClock
from energymeter.energy.window import COVERED
from energymeter.errors import LogError
from energymeter.lazy import TYPE_CHECKING, NamedTuple
from energymeter.sampling import agent, ready
from energymeter.sampling.agent import AgentHost
from energymeter.sampling.config import ChannelInfo, LogConfig, SourceConfig
from energymeter.sampling.curve import Curve
from energymeter.sampling.descriptors import Descriptor
from energymeter.sampling.memory import ChannelMemory, Count, Head, State
from energymeter.sampling.process import STOP_SECONDS, ProcessHost
from energymeter.sampling.ready import MOST_SECONDS, ReusableHost
from energymeter.sampling.spawn import interpreter
from energymeter.sampling.uninterrupted import uninterrupted
from energymeter.sampling.watchdog import Watchdog
from energymeter.spec import Spec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from energymeter.energy.correction import Correction
    from energymeter.energy.uncertainty import OwnCounter
    from energymeter.reading import Facts
    from energymeter.sampling.thread import ThreadHost


_FIRST_SAMPLE_SECONDS = 2.0
_RESTARTS = 20
_RETRY_SECONDS = (0.25, 0.5, 1.0, 2.0, 5.0)
_TRIES = 8
_SILENT_NS = 1_500_000_000
_SILENT_INTERVALS = 3


class SampledChannel(NamedTuple):
    """One channel as the reader sees it: what is known of it, and its curve."""

    info: ChannelInfo
    curve: Curve

    def observed(self, counter: int) -> int:
        """One of the counts kept by the sampler, such as ``Count.MISSED``."""
        return self.curve.observed(counter)

    @property
    def facts(self) -> Facts:
        """What is known of it: of a battery's gauge also how coarse it has shown itself to be so far."""
        facts = self.info.facts
        return facts.with_rise_seen(self.curve.smallest_rise()) if facts.is_gauge else facts

    @property
    def priority(self) -> str:
        """What the scheduler granted the sampling loop; an empty text where nothing was asked for."""
        from energymeter.sampling import priority  # the sampling process needs it, and this one for results

        return priority.NAMES.get(self.observed(Count.PRIORITY), "")

    def silent_ns(self, now_ns: int) -> int:
        """For how long it has said nothing, where that is longer than its pace explains; else 0.

        Args:
            now_ns: the time of the samples' clock.
        """
        if not len(self.curve):
            return 0
        interval_ns = self.curve.interval_seconds(1 / self.info.rate_hz) * 1e9
        silent_ns = now_ns - self.curve.last_ns()
        return silent_ns if silent_ns > max(_SILENT_NS, _SILENT_INTERVALS * interval_ns) else 0

    def lost(self, now_ns: int) -> str:
        """Why it says nothing any more at the end of its block, or now; an empty text if it does.

        Args:
            now_ns: the time of the samples' clock.
        """
        curve = self.curve
        if curve.complete() or self.info.rewinds:
            return ""
        return curve.error if self.silent_ns(min(now_ns, curve.end_ns or now_ns)) else ""

    def own_counter(self) -> OwnCounter | None:
        """What the device itself counted so far, next to our integral; None: nothing that can be compared."""
        observed = self.observed
        for _ in range(_TRIES):  # until the sampler has not changed it meanwhile
            start_ns, end_ns = observed(Count.COUNTED_FROM_NS), observed(Count.COUNTED_TO_NS)
            step_uj = observed(Count.COUNTED_STEP_UJ)
            counted_uj = observed(Count.COUNTED_TO_UJ) - observed(Count.COUNTED_FROM_UJ)
            if (start_ns, end_ns) == (observed(Count.COUNTED_FROM_NS), observed(Count.COUNTED_TO_NS)):
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
        linger: seconds that the process may stay ready for another block; None: as long as the source allows.
        shared: other processes shall read the samples, see `descriptor`.
    """

    def __init__(
        self,
        configs: Sequence[SourceConfig],
        log: LogConfig | None = None,
        corrections: dict[str, Correction] | None = None,
        clock: Clock | None = None,
        linger: float | None = 0.0,
        shared: bool = False,
    ) -> None:
        self.channels: list[SampledChannel] = []
        self.restarts = 0
        self.configs = list(configs)
        self.log = log
        self._corrections = corrections or {}
        self._clock = clock or SystemClock()
        self._linger = linger
        self._shared = shared
        self._host: ProcessHost | ThreadHost | AgentHost | None = None
        self._agent: AgentHost | None = None
        """What the last sample of a block comes from, after the block was left."""
        self._reusable: ReusableHost | None = None
        """The process with its blocks; it is not this sampler's any more once the block was left."""
        self._watchdog = Watchdog()
        self._begun = self._left = 0
        """The numbers of the samples that were asked for at the block's beginning and at its end; 0: none."""
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._head: Head | None = None
        self._attempts = 0
        self._agent_lost = False
        """The agent has gone during the block."""
        self._down = False
        """The sampler was killed, and none has taken its place."""
        self._next_start_ns = self._leave_at_ns = 0
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
        try:
            source = agent.local_source(self.configs) if self.log is None else None
            if source is not None:
                uninterrupted(lambda: self._join(AgentHost(), source), lambda _: self.stop())
                return
            if self._took_ready():
                return
            self.in_process = self.in_process or interpreter() is None
            ready.make_way(_drivers(self.configs))
            if self.in_process:  # its sources are opened here, by the thread that the caller expects
                from energymeter.sampling.thread import ThreadHost

                self._host = ThreadHost()
                self._open(self._host)
            else:
                uninterrupted(
                    lambda: self._open(ProcessHost(sealable=self._shared)),
                    lambda _: self.stop(discard_log=True),
                )
            self._await_first_samples()
        except BaseException:
            self.stop(discard_log=True)
            raise

    def _open(self, host: ProcessHost | ThreadHost) -> None:
        infos = host.start(self.configs, self.log, self._corrections)
        self._host = host
        self._head = Head(host.memory)
        memories = [info.memory_in(host.memory) for info in infos]
        if isinstance(host, ProcessHost) and self._may_linger():
            self._reusable = ReusableHost(
                self._key, _drivers(self.configs), host, infos, memories, self._watchdog
            )
            self._reusable.take(self)
        self._show(infos, memories)

    def _show(self, infos: Sequence[ChannelInfo], memories: Sequence[ChannelMemory]) -> None:
        self.channels = [
            SampledChannel(info, Curve.of(info.facts, memory))
            for info, memory in zip(infos, memories, strict=True)
        ]

    def _join(self, host: AgentHost, source: str) -> None:
        """Read what an agent of this machine samples."""
        infos = host.start(self.configs[0], source)
        self._host = host
        memories = [info.memory_in(host.memory) for info in infos]
        self._show(infos, memories)
        for channel, memory in zip(self.channels, memories, strict=True):
            counts = memory.counts.tolist()
            channel.curve.begin(counts[Count.RING_COUNT] - 1, counts)

    def _leave(self, host: AgentHost, end_ns: int) -> bool:
        """A block has ended: have its last sample taken by the agent, without waiting for it.

        Returns:
            False: the agent has gone.
        """
        for channel in self.channels:
            channel.curve.end(end_ns)
        asked = host.ask()
        if not asked:
            return False
        self._agent, self._host, self._left = host, None, asked
        self._leave_at_ns = self._clock.monotonic_ns() + round(STOP_SECONDS * 1e9)
        self._watchdog.look = self._collect
        return True

    def _collect(self) -> float | None:
        """Keep the samples of a block once all of them were taken; the agent is not needed any more."""
        host = self._agent
        if host is None:
            self._watchdog.end()
            return None
        infos = [channel.info for channel in self.channels]
        answers = [info.memory_in(host.memory).head.answered() for info in infos]
        if self.complete(answers) or not host.alive() or self._clock.monotonic_ns() > self._leave_at_ns:
            self._own(host.copied(infos))
            self._agent = None
            host.stop()
            self._watchdog.end()
        return None

    def _own(self, samples: bytearray | memoryview) -> None:
        """Read the samples in memory of our own from now on."""
        for channel in self.channels:
            channel.curve.move(channel.info.memory_in(memoryview(samples)))

    def descriptor(self) -> Descriptor:
        """A descriptor with which other processes can read the samples, and do nothing else.

        Raises:
            OSError: the memory cannot be sealed.
        """
        if not isinstance(self._host, ProcessHost):
            raise OSError(errno.ENOTSUP, "the samples are in this program alone")
        return self._host.shared()

    def ask(self) -> int:
        """Have a sample taken as soon as there can be one.

        Returns:
            the number of the question; 0: nobody samples.
        """
        host, head = self._host, self._head
        if not isinstance(host, ProcessHost) or head is None:
            return 0
        asked = head.counts[Count.ASKED] + 1
        head.counts[Count.ASKED] = asked
        host.wake()
        return asked

    @property
    def alive(self) -> bool:
        """Whether something samples."""
        return self._host is not None and self._host.alive()

    # -- from block to block ---------------------------------------------------------------------------

    def _may_linger(self) -> bool:
        """Whether a process may serve several blocks: it has no log, and one loop to ask."""
        return self._linger != 0 and self.log is None and not self.in_process and len(self.configs) == 1

    def _took_ready(self) -> bool:
        """Use a process that has stayed ready, if there is one."""
        if not self._may_linger():
            return False
        self._key = ready.key(self.configs, self._corrections)
        reusable = self._reusable = ready.find(self._key)  # before it is taken: `stop` must find it
        if reusable is None or not reusable.take(self):
            self._reusable = None
            return False
        if reusable.fit():
            self._begun = asked = reusable.begin(self)
            self._host, self._head, self._watchdog = (
                reusable.host,
                Head(reusable.host.memory),
                reusable.watchdog,
            )
            self._show(reusable.infos, reusable.memories)
            if reusable.await_answer(asked):
                for channel, memory in zip(self.channels, reusable.memories, strict=True):
                    counts = memory.counts.tolist()
                    channel.curve.begin(counts[Count.RING_COUNT] - 1, counts)
                return True
        uninterrupted(reusable.give_up)
        self._host = self._head = self._reusable = None
        self._watchdog, self.channels, self._begun = Watchdog(), [], 0
        return False

    def stay_ready(self, end_ns: int) -> bool:
        """A block has ended: let the process stay ready for the next one, as long as it may.

        Args:
            end_ns: the end of the block. The sample that follows is its last one.

        Returns:
            False: it may not, and must be stopped.
        """
        if self._agent is not None or isinstance(self._host, AgentHost):
            host = self._host
            return host is None or (
                isinstance(host, AgentHost) and os.getpid() == self._pid and self._leave(host, end_ns)
            )
        reusable = self._reusable
        if reusable is None:
            return False
        if os.getpid() != self._pid or not reusable.used_by(self):
            return self._left > 0  # it was left already
        seconds = self._linger
        if seconds is None:
            seconds = MOST_SECONDS if all(channel.info.shared for channel in self.channels) else 0.0
        odd = any(channel.info.rewinds or channel.info.facts.replayed for channel in self.channels)
        # a lock that is held: it is being started again
        if not seconds or odd or self.restarts or self._down or self._lock.locked():
            return False
        for channel in self.channels:
            channel.curve.end(end_ns)
        return reusable.leave(self, seconds)

    @property
    def left_ready(self) -> bool:
        """Whether the process went on after the block, which has asked for its last sample."""
        return self._left > 0

    def was_left(self, asked: int) -> None:
        """The last sample was asked for; see `Block`."""
        self._left, self._host = asked, None

    def complete(self, answers: Sequence[tuple[int, tuple[int, ...]]]) -> bool:
        """Take what is known of the counts at either end; see `Block`."""
        done = self._left > 0 or not self.channels
        for (_, curve), (asked, counts) in zip(self.channels, answers, strict=False):
            if self._begun and asked >= self._begun:
                curve.count_from(counts)
                self._begun = 0
            if self._left and asked >= self._left and not curve.counted:
                curve.keep_counts(counts)
            done = done and curve.counted and curve.complete()
        return done

    def detach(self) -> None:
        """Keep the samples; see `Block`."""
        for channel in self.channels:
            channel.curve.detach()

    def release(self) -> None:
        """End the process that was left ready, and leave none ready again."""
        self._linger = 0.0
        if self._agent is not None:
            self._leave_at_ns = 0
            self._collect()
        if self._reusable is not None and os.getpid() == self._pid:
            self._reusable.release()

    def watch(self, look: Callable[[], object]) -> None:
        """Call this four times a second, in a thread, until the block is left.

        Raises:
            SamplerError: there can be no more threads.
        """

        def looked() -> None:
            self.restart_if_dead()
            if self._reusable is not None:
                self._reusable.collect(detach=True)
            look()

        self._watchdog.look = looked
        self._watchdog.start()

    # -- its end ---------------------------------------------------------------------------------------

    def stop(
        self,
        *,
        discard_log: bool = False,
        window_ns: tuple[int, int] | None = None,
        span_edges_ns: Mapping[str, Sequence[int]] | None = None,
        span_counts: Mapping[str, Mapping[str, Sequence[float]]] | None = None,
        throttled_after: int | None = None,
    ) -> None:
        """Take one last sample and end; twice is fine, and in a forked worker it does nothing.

        Args:
            discard_log: remove the log: what was measured is refused.
            window_ns: the times between which the run was measured, for the end of the log.
            span_edges_ns: start, end, start, end, … of the spans of each name, for the same.
            span_counts: by name and unit, what each of these spans counted, in the same order.
            throttled_after: the bits of a Raspberry Pi's firmware at the end, for the same.
        """
        if os.getpid() != self._pid:
            return
        reusable = self._reusable
        if reusable is not None and (reusable.over() or not reusable.used_by(self)):
            return
        if self._host is None and reusable is not None:  # interrupted just after it was taken
            self._host = reusable.host
        host = self._host
        self._watchdog.end()
        if host is None:
            return

        def stop() -> None:
            if not self._lock.acquire(blocking=False):  # it is being started again
                host.cancel()
                self._lock.acquire()
            try:
                mine, self._host = self._host, None
                if mine is not None:  # else somebody else has stopped it
                    if window_ns is not None and self._head is not None and not isinstance(mine, AgentHost):
                        counts = self._head.counts
                        counts[Count.WINDOW_START_NS], counts[Count.WINDOW_END_NS] = window_ns
                        if self.log is not None and not discard_log:
                            start_ns = self.log.start_ns
                            _leave_letter(
                                mine.memory, span_edges_ns or {}, span_counts or {}, start_ns, throttled_after
                            )
                    self._down = self._down or self._died(mine)
                    mine.stop(discard_log=discard_log)
                    if reusable is not None:
                        reusable.ended()
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
                if isinstance(host, AgentHost):
                    self._host = host = self._succeed(host)
                self._restart(host)
        finally:
            self._lock.release()

    def _died(self, host: ProcessHost | ThreadHost | AgentHost) -> bool:
        """Whether sampling ended before its sources did."""
        return not host.alive() and any(c.observed(Count.STATE) != State.ENDED for c in self.channels)

    def _succeed(self, host: AgentHost) -> ProcessHost:
        """What goes on with the block after its agent has gone: a process of our own that connects again."""
        infos = [channel.info for channel in self.channels]
        successor = ProcessHost.continuing(host.copied(infos))
        self._own(successor.memory)
        host.stop()
        self._agent_lost = True
        return successor

    def _restart(self, host: ProcessHost | ThreadHost) -> None:
        try:
            known = [channel.info for channel in self.channels]
            host.start(self.configs, self.log, self._corrections, resume=known)
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
        """Wait until every channel has a sample at or after ``at_ns``, at most ``seconds``.

        The last sample of a block was asked for: it is waited for as long as a source may take.
        """
        if self._left:
            seconds = STOP_SECONDS
        give_up_ns = self._clock.monotonic_ns() + round(seconds * 1e9)
        pause = 0.00005
        while self._clock.monotonic_ns() < give_up_ns:
            if all(
                (len(channel.curve) and channel.curve.last_ns() >= at_ns) or self._answered(channel)
                for channel in self.channels
                if channel.curve.counts[Count.STATE] == State.RUNNING
            ):
                return
            if self._agent is not None:
                self._collect()
            if self._left and self._reusable is not None and not self._reusable.host.alive():
                self._down = any(c.observed(Count.STATE) != State.ENDED for c in self.channels)
                return
            self._clock.sleep(pause)
            pause = min(2 * pause, 0.0005)

    def _answered(self, channel: SampledChannel) -> bool:
        """Whether the last sample of the block was tried, and will not come any more."""
        return 0 < self._left <= channel.curve.answered()

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
        if self._agent_lost:
            back = "it came back" if self.restarts else "it did not come back"
            why = {channel.curve.error for channel in self.channels} if self._down else ()
            back = "; ".join([back, *sorted(filter(None, why))])
            notes.append(f"the agent was away for a part of the block, and {back}")
        elif self.restarts:
            notes.append(f"sampling was killed and restarted {self.restarts} times")
        if self._down and not self._agent_lost:
            notes.append("sampling was killed and not restarted before the end")
        notes += [note for channel in self.channels for note in channel.info.notes]
        notes += [
            channel.curve.error for channel in self.channels if channel.info.rewinds and channel.curve.error
        ]
        asleep = max((channel.observed(Count.SUSPENDED_NS) for channel in self.channels), default=0) * 1e-9
        failed = [channel for channel in self.channels if channel.observed(Count.FAILED)]
        if failed and not self._down:
            now_ns = self._clock.monotonic_ns()
            lost = {channel.lost(now_ns): None for channel in failed}  # one reason for each source
            notes += [f"lost before the end: {why}" for why in lost if why]
        if asleep:
            from energymeter.text import significant

            gave = sum(channel.observed(Count.SUSPENDED_UJ) for channel in self.channels) * 1e-6
            besides = f"; the battery's gauge counted {significant(gave)} J meanwhile" if gave else ""
            notes.append(f"the machine slept {asleep:.1f} s, not measured{besides}")
        missed = sum(channel.observed(Count.MISSED) for channel in self.channels)
        granted = {channel.priority for channel in self.channels} if missed else set()
        refused = granted - {"", "real-time"}
        if refused:
            notes.append(
                f"the sampler was refused real-time priority (it has: {', '.join(sorted(refused))}) and "
                f"missed {'1 reading' if missed == 1 else f'{missed} readings'}; allow it with `ulimit -r 1` "
                "or CAP_SYS_NICE"
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


def _drivers(configs: Sequence[SourceConfig]) -> list[str]:
    """What opens the devices."""
    sources = (config.source for config in configs)
    return [s.driver if isinstance(s, Spec) else s.name.split("@")[0].split(":")[0] for s in sources]


def _leave_letter(
    memory: memoryview,
    edges_ns: Mapping[str, Sequence[int]],
    counts: Mapping[str, Mapping[str, Sequence[float]]],
    start_ns: int,
    throttled: int | None,
) -> None:
    """Leave the spans of a run, and what its firmware says, to whoever finishes its log."""
    if not edges_ns and throttled is None:
        return
    import json

    from energymeter.recordings.closing import ended_spans, spans_to_json
    from energymeter.sampling.memory import Letter

    spans = spans_to_json(ended_spans(edges_ns, start_ns, counts))
    Letter(memory).write(json.dumps({"spans": spans, "throttled": throttled}))


def _absolute(path: str) -> str:
    """The same file, also after the program changes its folder."""
    if "\0" in path:
        raise LogError(f"a log cannot be named {path!r}; give a name without the NUL character")
    try:
        return os.path.abspath(path) if path else path
    except OSError:  # the current folder was removed
        return path
