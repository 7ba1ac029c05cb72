"""Reading sources at a steady pace, whatever they do: late, stale, failing, unplugged, ended."""

from __future__ import annotations

from math import inf

from energymeter.energy.gaps import GapRule, tick_wait_ns
from energymeter.energy.integrate import Integrator, Sample
from energymeter.errors import EnergyMeterError, SourceEnded, SourceError
from energymeter.lazy import TYPE_CHECKING
from energymeter.reading import ASKED_SECONDS, Reading, power_of
from energymeter.sampling.config import READY_PERIOD_NS, SourceConfig
from energymeter.sampling.memory import ChannelMemory, Count, CurveWriter, State
from energymeter.sampling.pace import Pace
from energymeter.sampling.priority import Priority
from energymeter.source import Batched, Counting, Divided, Resumable, Source, Streaming, StreamingParts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from energymeter.energy.correction import Correction
    from energymeter.energy.integrate import Row


FAILURES_BEFORE_REOPEN = 3
# what is looked at for every sample, found once
_ASKED, _READY_UNTIL_NS = Count.ASKED, Count.READY_UNTIL_NS
_NOBODY = {_ASKED: 0, _READY_UNTIL_NS: 0}
RETRY_SECONDS = (0.1, 0.2, 0.5, 1.0)
_HOUSEKEEPING_NS = 1_000_000_000
_ABSURD = 1e15
"""No reading in SI units is as large: more than all of mankind draws, and squares of it still fit a float."""
_ABSURD_SQUARE = _ABSURD * _ABSURD
_SLEPT_NS = 50_000_000
"""The clock that counts the machine's sleep and the one that does not are read apart; less is scheduling."""
_HEADROOM = 1.1
"""A reading may be so many times what can flow at most, by the source's own inaccuracy."""
_LOOK_NS = 1_000_000
"""Among readings that come together, a stop is looked for this often."""
_AHEAD_NS = 1_000_000_000
"""A device's clock may be ahead of ours by its jitter, not by more."""


class Channel:
    """One source (or part of one) with its curve and its counts.

    Args:
        source: what is read.
        memory: where its curve is.
        rate_hz: readings a second.
        correction: the calibration that is applied to its readings.
    """

    def __init__(
        self,
        source: Source,
        memory: ChannelMemory,
        rate_hz: float,
        correction: Correction | None = None,
    ) -> None:
        self.source = source
        self.counts = memory.counts
        self._head = memory.head
        self._writer = CurveWriter(memory)
        alternating = source.facts.place == "wall"
        self._correct = correction._replace(alternating=alternating).of if correction is not None else None
        facts = correction.wraps(source.facts) if correction is not None else source.facts
        last = memory.last()
        self._last_ns = last.at_ns if last is not None else None
        self.period_ns = round(1e9 / rate_hz)
        self._spent_ns = 0
        """What reading had taken by the last sample."""
        self.number = 0
        """Among the channels of its source."""
        self.due_ns = 0
        """When it is read next, at the earliest: nothing is read more often than it has news."""
        self.rest_ns = self.period_ns
        """That long after a reading."""
        most_watts = source.facts.max_watts
        self._most_watts = None if most_watts is None else _HEADROOM * most_watts
        rule = GapRule(1e9 / rate_hz)
        self._gap_rule = None if source.facts.renewal_seconds else rule
        """``None``: it repeats values, and how often it is new says nothing."""
        wait_ns = 0 if getattr(source, "recorded", False) else tick_wait_ns(rate_hz)
        self.integrator = Integrator(facts, rule.limit_ns, last, wait_ns)
        self._gaps_before = self.counts[Count.GAPS], self.counts[Count.GAP_NS]
        self._gaps = 0
        self._counter: tuple[int, float] | None = None
        """When the device's own counter last changed, and what it shows since, in J."""
        self._asleep_uj = self.counts[Count.SUSPENDED_UJ]
        self._before = [self.counts[count] for count in (Count.LOST, Count.MOVED_BYTES, Count.CPU_NS)]

    def take(
        self, at_ns: int, reading: Reading, final: bool = False, spent_ns: int | None = None
    ) -> Row | None:
        """Add a reading to the curve; ``None`` if it said nothing new.

        Args:
            at_ns: the time of the reading, unless it has one of its own.
            reading: what the source said.
            final: a block begins or ends here; take what there is.
            spent_ns: what reading has taken so far, the waits that were asked for included but not those for
                a processor or for Python's lock; ``None`` for a stream, whose samples come unasked.

        Raises:
            SourceError: it is no reading: NaN, infinite, beyond all reason, or from the future.
        """
        volts, amps, watts, joules, coulombs, seconds, own_ns, fresh = reading
        squares = 0.0  # NaN and infinities survive in them, and text cannot be multiplied
        if volts is not None:
            squares += volts * volts
        if amps is not None:
            squares += amps * amps
        if watts is not None:
            squares += watts * watts
        if joules is not None:
            squares += joules * joules
        if coulombs is not None:
            squares += coulombs * coulombs
        most_watts = self._most_watts
        if (
            not squares < _ABSURD_SQUARE
            or (most_watts is not None and abs(power_of(volts, amps, watts) or 0.0) > most_watts)
            or (seconds is not None and not 0 <= seconds < inf)
        ):
            raise SourceError(_impossible(self.source, reading))
        if own_ns is not None:
            if not self._is_time(own_ns, at_ns):
                raise SourceError(_impossible(self.source, reading))
            at_ns = own_ns
        if self._correct is not None:
            volts, amps, watts, joules, coulombs, *_ = self._correct(
                reading, getattr(self.source, "range", "")
            )
        integrator = self.integrator
        row = integrator.extend(at_ns, volts, amps, watts, joules, coulombs, seconds, fresh, final)
        if row is None:
            self.counts[Count.DUPLICATES] += 1
            return None
        self._writer.append(row)
        if integrator.gaps != self._gaps:
            self._note_gap()
        # one that was asked for comes early, and says nothing of the source
        if not final and (rule := self._gap_rule) is not None and self._last_ns is not None:
            usual_ns = at_ns - self._last_ns
            if spent_ns is not None and spent_ns - self._spent_ns < usual_ns:
                # a loop that was starved is no slower source: its gaps stay gaps, however many there are
                usual_ns = spent_ns - self._spent_ns
            if rule.unsteady or not rule.from_ns <= usual_ns <= rule.to_ns:
                integrator.gap_limit_ns = rule.observe(usual_ns)
        self._last_ns, self._spent_ns = at_ns, spent_ns or 0
        return row

    def _note_gap(self) -> None:
        integrator, counts = self.integrator, self.counts
        self._gaps = integrator.gaps
        if integrator.rise_error:
            self._head.error = f"{self.source.name}: {integrator.rise_error}"
            integrator.rise_error = ""
        counts[Count.SUSPENDED_UJ] = self._asleep_uj + round(integrator.asleep_joules * 1e6)
        counts[Count.GAPS] = self._gaps_before[0] + integrator.gaps
        counts[Count.GAP_NS] = self._gaps_before[1] + integrator.gap_ns

    def begin_reading(self) -> None:
        """It is read from now on, after whatever was before: what is spent counts from 0."""
        self._spent_ns = 0

    def _is_time(self, own_ns: int, at_ns: int) -> bool:
        return isinstance(own_ns, int) and (own_ns <= at_ns + _AHEAD_NS or self.source.facts.replayed)

    def tally(self, cpu_ns: int) -> None:
        """Note what the source counts itself, and what reading it costs; on top of a killed sampler's."""
        lost, moved_bytes, cpu_ns_before = self._before
        self.counts[Count.LOST] = lost + getattr(self.source, "lost", 0)
        self.counts[Count.MOVED_BYTES] = moved_bytes + getattr(self.source, "moved_bytes", 0)
        self.counts[Count.CPU_NS] = cpu_ns_before + cpu_ns

    def compare(self, at_ns: int) -> None:
        """Note when the device's own counter steps: from its first step to its last our integral must agree.

        A counter that was cleared, or jumps by what cannot have flowed, begins again.
        """
        if not isinstance(self.source, Counting):
            return
        try:
            totals = self.source.counters()
        except SourceError:
            return  # asked apart from the readings, which go on
        if totals is None or totals.joules is None:
            return
        counts, before, self._counter = self.counts, self._counter, (at_ns, totals.joules)
        if before is None or totals.joules == before[1]:
            self._counter = before or self._counter
            return
        most_watts = self.source.facts.max_watts
        risen = totals.joules - before[1]
        limit = inf if most_watts is None else most_watts * (at_ns - before[0]) * 1e-9 + totals.joules_step
        if not counts[Count.COUNTED_FROM_NS] or not 0 < risen <= limit:
            counts[Count.COUNTED_TO_NS] = 0
            counts[Count.COUNTED_STEP_UJ] = round(totals.joules_step * 1e6)
            counts[Count.COUNTED_FROM_UJ] = round(totals.joules * 1e6)
            counts[Count.COUNTED_FROM_NS] = at_ns
        else:
            counts[Count.COUNTED_TO_UJ] = round(totals.joules * 1e6)
            counts[Count.COUNTED_TO_NS] = at_ns

    def answer(self, asked: int, cpu_ns: int) -> None:
        """Keep the counts as they are at a sample that was asked for: a block begins or ends there."""
        self.tally(cpu_ns)
        self._head.answer(asked)

    def begin_again(self) -> None:
        """Another block has begun: the device's own counter is compared from here on."""
        self._counter = None
        self.counts[Count.COUNTED_FROM_NS] = self.counts[Count.COUNTED_TO_NS] = 0

    def failed(self, failure: BaseException) -> None:
        """Count a reading that failed, and remember why."""
        self.counts[Count.FAILED] += 1
        known = isinstance(failure, EnergyMeterError)
        self._head.error = str(failure) if known else f"{type(failure).__name__}: {failure}"


def _impossible(source: Source, reading: Reading) -> str:
    """Why a reading is counted as a failure."""
    wrong = ", ".join(
        f"{name}={value}"
        for name, value in zip(reading._fields, reading[:-1], strict=False)
        if value is not None
    )
    return (
        f"{source.name} reported {wrong:.80}, which cannot be; look for a fault of the device or its driver"
    )


class SourceLoop:
    """Reads one open source's channels until asked to stop; retries, counts and goes on.

    Args:
        config: its source is already open; closed by the loop's end.
        channels: what is read of it, each with its curve.
        pace: real time, or a test's.
        record: called with (channel number, sample) for every new sample.
        flush: called about once a second and at the end.
        priority: of the thread that runs it; ``None``: it stays as it is.
        asks: the counts of the session: whether a sample is asked for, and whether any block counts them.
    """

    def __init__(
        self,
        config: SourceConfig,
        channels: Sequence[Channel],
        pace: Pace,
        record: Callable[[int, Sample], None] | None = None,
        flush: Callable[[], None] | None = None,
        priority: Priority | None = None,
        asks: Mapping[int, int] | memoryview | None = None,
    ) -> None:
        self._source = config.build()
        self._channels = list(channels)
        self._period_ns = min(channel.period_ns for channel in channels)
        self._pace = pace
        self._record = record
        self._flush = flush
        self._priority = priority
        self._asks: Mapping[int, int] | memoryview = _NOBODY if asks is None else asks
        self._answered = 0
        self._ready = False
        """No block counts what is read: it is read less often."""
        for number, channel in enumerate(channels):
            channel.number = number
            channel.rest_ns = channel.period_ns - self._period_ns // 2
        self._least_ns = round(1e9 * min(1 / self._source.facts.max_hz, ASKED_SECONDS))
        self._asleep_ns = pace.suspended_ns()
        self._slept_from_ns = self._asleep_ns + _SLEPT_NS
        self._housekeeping_ns = 0

    def run(self) -> None:
        """Sample until stopped, or until the source has ended."""
        attempts = 0
        if self._priority is not None:
            self._priority.ask()
        try:
            while True:
                self._state(State.RUNNING)
                reads = self._reads()
                if self._stream() if isinstance(self._source, Streaming) else self._poll():
                    return
                self._state(State.RETRYING)
                if self._reads() > reads:
                    attempts = 0
                while True:
                    attempts += 1
                    if self._pause(attempts):
                        return
                    if self._reopened():
                        break
        except SourceEnded:
            self._state(State.ENDED)
        except Exception as failure:  # noqa: BLE001 - a fault of ours; it must be seen, and ends this source alone
            self._all_failed(failure)
            self._state(State.ENDED)
        finally:
            try:
                self._source.close()
            except Exception as failure:  # noqa: BLE001 - a driver's bug; the log must be finished all the same
                self._all_failed(failure)
            self._keep_house()

    def _poll(self) -> bool:
        """Read every period on absolute deadlines. True: stop; False: the source needs reopening."""
        pace, asks, usual_ns = self._pace, self._asks, self._period_ns
        deadline_ns = pace.now_ns()
        failures = spent_ns = 0
        for channel in self._channels:
            channel.begin_reading()
        asked = asks[_ASKED]
        while True:
            ready = asks[_READY_UNTIL_NS] != 0
            begun_ns = pace.now_ns()
            if asked == self._answered:
                read_ns = self._read_all(begun_ns, spent_ns)
            else:
                read_ns = self._read_as_asked(begun_ns, spent_ns, asked, ready)
            if read_ns is not None:
                failures, now_ns = 0, read_ns
            else:
                failures, now_ns = failures + 1, pace.now_ns()
                if failures >= FAILURES_BEFORE_REOPEN:
                    return False
            took_ns = now_ns - begun_ns
            spent_ns += took_ns if took_ns > usual_ns else usual_ns  # waiting for the period is asked for
            if now_ns >= self._housekeeping_ns:
                self._keep_house()
            period_ns = max(usual_ns, READY_PERIOD_NS) if ready else usual_ns
            deadline_ns += period_ns
            if now_ns >= deadline_ns + period_ns:
                late = (now_ns - deadline_ns) // period_ns
                deadline_ns += late * period_ns
                for channel in self._channels:
                    channel.counts[Count.MISSED] += late
            while True:
                if pace.wait_until(deadline_ns):
                    self._read_all(pace.now_ns(), spent_ns, final=True)
                    return True
                asked = asks[_ASKED]
                if asked == self._answered:
                    break
                # as soon as asked, but never sooner than the source has news
                deadline_ns = min(deadline_ns, begun_ns + self._least_ns)
                now_ns = pace.now_ns()
                if now_ns >= deadline_ns:
                    deadline_ns = now_ns
                    break

    def _read_as_asked(self, begun_ns: int, spent_ns: int, asked: int, ready: bool) -> int | None:
        """`_read_all` where a block begins or ends."""
        channels = self._channels
        resumes, self._ready = self._ready and not ready, ready
        if resumes:
            self._resume()
            begun_ns = self._pace.now_ns()
        sampled = [channel.counts[Count.RING_COUNT] for channel in channels]
        read_ns = self._read_all(begun_ns, spent_ns, final=True)
        # what lies before the first sample of a block was read too seldom: that sample must be there
        awaited = resumes and read_ns is not None and self._period_ns < READY_PERIOD_NS
        if awaited and any(
            channel.counts[Count.RING_COUNT] == before
            for channel, before in zip(channels, sampled, strict=True)
        ):
            self._ready = True
        else:
            self._answer(asked)
            if resumes:
                for channel in channels:
                    channel.begin_again()
        return read_ns

    def _resume(self) -> None:
        """A block begins: what another program may have changed meanwhile is looked at."""
        if isinstance(self._source, Resumable):
            self._source.resume()

    def _answer(self, asked: int) -> None:
        for channel in self._channels:
            channel.answer(asked, self._pace.cpu_ns())
        self._answered = asked

    def _read_all(self, now_ns: int, spent_ns: int, final: bool = False) -> int | None:
        """One reading, from now on, of every channel that is due.

        Returns:
            when the last one had been taken; ``None`` if all of them failed.
        """
        succeeded = failed = False
        pace = self._pace
        for channel in self._channels:
            if now_ns < channel.due_ns and not final:
                continue
            channel.due_ns = now_ns + channel.rest_ns
            before_ns = now_ns
            try:
                reading = channel.source.read()
                now_ns = pace.now_ns()
                if pace.suspended_ns() > self._slept_from_ns:
                    self._note_sleep()
                row = channel.take((before_ns + now_ns) >> 1, reading, final, spent_ns)
            except SourceEnded:
                raise
            except Exception as failure:  # noqa: BLE001 - counted and shown; a driver's bug must not end the run
                channel.failed(failure)
                failed, now_ns = True, pace.now_ns()
                continue
            succeeded = True
            if row is not None and self._record is not None:
                self._record(channel.number, Sample.of(row))
        return None if failed and not succeeded else now_ns

    def _stream(self) -> bool:
        """Take what the device sends, in its own time. True: stop; False: it needs reopening."""
        channels, look_ns = self._channels, 0
        batched = self._source if isinstance(self._source, Batched) else None
        try:
            for number, reading in self._readings():
                now_ns = self._pace.now_ns()
                looks = now_ns >= look_ns or batched is None or not batched.in_hand
                if looks:
                    self._note_sleep()
                row = self._taken(channels[number], now_ns, reading)
                if row is not None and self._record is not None:
                    self._record(number, Sample.of(row))
                if now_ns >= self._housekeeping_ns:
                    self._keep_house()
                if self._asks[Count.ASKED] != self._answered:
                    self._answer(self._asks[Count.ASKED])
                if looks:
                    if self._pace.wait_until(now_ns):
                        return True
                    look_ns = now_ns + _LOOK_NS
        except SourceEnded:
            raise
        except Exception as failure:  # noqa: BLE001 - as above
            self._all_failed(failure)
            return False
        raise SourceEnded(f"{self._source.name} has no more samples")

    def _readings(self) -> Iterator[tuple[int, Reading]]:
        """What is sent, each with the number of its channel."""
        if len(self._channels) > 1:
            if not isinstance(self._source, StreamingParts):
                raise TypeError(f"{self._source.name} divides into channels that do not stream")
            return self._source.stream_parts()
        (channel,) = self._channels
        if not isinstance(channel.source, Streaming):
            raise TypeError(f"{channel.source.name} divides into a channel that does not stream")
        return ((0, reading) for reading in channel.source.stream())

    @staticmethod
    def _taken(channel: Channel, now_ns: int, reading: Reading) -> Row | None:
        """The row of a streamed reading; one that is refused is counted, and the stream goes on."""
        try:
            return channel.take(now_ns, reading) if reading.fresh else None
        except Exception as failure:  # noqa: BLE001 - as above
            channel.failed(failure)
            return None

    def _reopened(self) -> bool:
        """Close and open again; True if the source came back."""
        try:
            self._source.close()
            self._source.open()
            parts = self._source.channels() if isinstance(self._source, Divided) else ()
        except Exception as failure:  # noqa: BLE001 - as above
            self._all_failed(failure)
            return False
        fresh = {part.name: part for part in parts}
        for channel in self._channels:
            channel.source = fresh.get(channel.source.name, channel.source)
            channel.integrator.interrupt()
        return True

    def _all_failed(self, failure: Exception) -> None:
        for channel in self._channels:
            channel.failed(failure)

    def _reads(self) -> int:
        return sum(channel.counts[count] for channel in self._channels for count in Count.READ)

    def _pause(self, attempts: int) -> bool:
        """Wait before the next try, longer each time; True: stop."""
        self._keep_house()
        seconds = RETRY_SECONDS[min(attempts, len(RETRY_SECONDS)) - 1]
        waited_ns = max(round(seconds * 1e9), self._period_ns)
        for channel in self._channels:
            channel.counts[Count.MISSED] += waited_ns // self._period_ns
        return self._pace.wait_until(self._pace.now_ns() + waited_ns)

    def _keep_house(self) -> None:
        """About once a second: counts the source keeps itself, time asleep, what is buffered."""
        self._housekeeping_ns = self._pace.now_ns() + _HOUSEKEEPING_NS
        self._note_sleep()
        if self._priority is not None:
            self._priority.check()
            for channel in self._channels:
                channel.counts[Count.PRIORITY] = self._priority.level
        for channel in self._channels:
            channel.tally(self._pace.cpu_ns())
            channel.compare(self._pace.now_ns())
        if self._flush is not None:
            self._flush()

    def _note_sleep(self) -> None:
        """Count the time that the machine has slept, and measure nothing across it: sleep is not use."""
        asleep_ns = self._pace.suspended_ns()
        slept_ns, self._asleep_ns = asleep_ns - self._asleep_ns, asleep_ns
        self._slept_from_ns = asleep_ns + _SLEPT_NS
        if slept_ns > _SLEPT_NS:
            for channel in self._channels:
                channel.counts[Count.SUSPENDED_NS] += slept_ns
                channel.integrator.interrupt(asleep=True)

    def _state(self, state: int) -> None:
        for channel in self._channels:
            channel.counts[Count.STATE] = state
