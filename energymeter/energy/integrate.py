"""From readings to the energy curve: joules, coulombs and covered time since the start.

One rule for each semantics. Plain floats with
compensated sums (Kahan 1965): after a day at 1 kHz the total is still right to 1e-9.
"""

from energymeter.energy.counters import coulombs_between, joules_between
from energymeter.lazy import NamedTuple, made
from energymeter.reading import Facts, Reading, power_of

_IN_STEP = 0.75
"""A value read in step with its renewal comes a little early at times, and is no repeat even so."""


class Sample(NamedTuple):
    """One point of the curve: the running totals at ``at_ns``, and what was drawn there.

    ``joules``, ``coulombs`` and ``volt_seconds`` are ``None`` where the source cannot tell.
    ``covered_ns`` grows only over time that was really measured; ``gap_fill_joules`` is what
    straight lines across the gaps would add, kept apart because nobody measured it.
    ``variance_joules2`` is the running variance of ``joules`` from noise and from what happens between
    samples.
    """

    at_ns: int
    joules: float | None
    coulombs: float | None
    volt_seconds: float | None
    covered_ns: int
    gap_fill_joules: float
    watts: float | None
    volts: float | None
    amps: float | None
    variance_joules2: float = 0.0


class _Sum:
    """A running sum that does not lose the small terms; ``None`` until the first one."""

    __slots__ = ("_lost", "total")

    def __init__(self, total: float | None = None) -> None:
        self.total = total
        self._lost = 0.0

    def add(self, term: float) -> None:
        before = self.total
        if before is None:
            before = 0.0
        corrected = term - self._lost
        total = before + corrected
        if total < before and term >= 0:
            total = before  # a correction never takes back what was counted
        self._lost = (total - before) - corrected
        self.total = total


class Weights(NamedTuple):
    """What the jumps from one sample to the next, in J, say about the variance of the energy.

    A step of height h somewhere within an interval dt is misplaced: by the part of the interval that was
    not integrated (a share 1 - s of it, evenly), and by the age of a mean when it was read (up to a share c
    of it, evenly). Its variance is (h dt)² ((1 - s)² + c²)/12. A mean that contains the step shows it as two
    jumps, so the sum of squared jumps is (1 - s/3) of (h dt)². An instant has s = c = 0.

    What comes and goes within the interval, white in the samples with variance v², leaves (1 - s) v² dt²,
    and shows as jumps of opposite signs: with d and d' normal, of variance 2 v² and correlation -1/2, the
    mean of max(0, -d d') is 1.218 v², the mean of d² twice that of a sample. The load's own slow changes
    leave nothing but small steps. (A longer conversion does not lessen a converter's own noise; that is below
    its step, whose error counts apart.)
    """

    step: float
    """The factor of each jump's square."""
    turn: float
    """The factor of two neighbours' product, where the second turns back."""

    @classmethod
    def of(cls, facts: Facts) -> "Weights":
        """The factors for a source with these facts."""
        unseen = 1.0 - facts.duty
        step = (unseen**2 + facts.latency**2) / (12 - 4 * facts.duty)
        return cls(step, max(0.0, unseen - 2 * step) / 1.218)


class Integrator:
    """Grows one channel's curve, a reading at a time.

    Args:
        facts: semantics, counter ranges and the most power that can flow here.
        gap_limit_ns: two readings further apart than this are not joined; the stretch between is a gap. May
            be set again at any time, as the observed interval changes.
        resume: the last sample of an interrupted curve, to be continued after a gap.
        tick_wait_ns: how long a counter that stands still is waited for; ``None``: as long as the gap limit.
    """

    def __init__(
        self,
        facts: Facts,
        gap_limit_ns: int,
        resume: Sample | None = None,
        tick_wait_ns: int | None = None,
    ) -> None:
        self._semantics = facts.semantics
        self._joules_wrap = facts.joules_wrap
        self._coulombs_wrap = facts.coulombs_wrap
        self._max_watts = facts.max_watts
        self.gap_limit_ns = gap_limit_ns
        self._renewal_ns = round(facts.renewal_seconds * 1e9)
        self._still_ns = None if facts.still_seconds is None else round(facts.still_seconds * 1e9)
        self._tick_wait_ns = max(gap_limit_ns if tick_wait_ns is None else tick_wait_ns, self._still_ns or 0)
        self._joules = _Sum(resume.joules if resume else None)
        self._coulombs = _Sum(resume.coulombs if resume else None)
        self._volt_seconds = _Sum(resume.volt_seconds if resume else None)
        self._covered_ns = resume.covered_ns if resume else 0
        self._gap_fill = resume.gap_fill_joules if resume else 0.0
        self._scatter = resume.variance_joules2 if resume else 0.0
        self._jump = 0.0
        self._step_weight, self._turn_weight = Weights.of(facts)
        self._last = resume
        self._last_ns = resume.at_ns if resume else 0
        self._last_volts = resume.volts if resume else None
        self._last_amps = resume.amps if resume else None
        self._last_watts = resume.watts if resume else None
        self._interrupted = resume is not None
        self._heard_ns = 0
        self._moved = self._stood = self._slept = False
        self._raw_joules: float | None = None
        self._raw_coulombs: float | None = None
        self._counter_watts: float | None = None
        self.rise_error = ""
        """Why a counter's rise was not counted the last time that one was not."""
        self.gaps = 0
        self.gap_ns = 0
        self.asleep_joules = 0.0

    def interrupt(self, *, asleep: bool = False) -> None:
        """The source was opened again, or the machine slept: what lies before the next sample is a gap.

        A counter may count from another start, and what it counted meanwhile belongs to no measured time.
        What the gauge of a battery counted while the machine was ``asleep`` goes to ``asleep_joules``.
        """
        self._interrupted = self._last is not None
        self._slept = asleep and self._semantics == "counter" and self._joules_wrap is None

    def add(self, at_ns: int, reading: Reading, final: bool = False) -> Sample | None:
        """The curve's next point, or ``None`` if the reading says nothing new.

        A counter that has not ticked yet is waited for, so that the curve runs straight from tick
        to tick, and so is an instant that the device has not renewed. ``final`` takes what there is: a
        counter as it stands, and where the device has nothing newer, its last power, held to the end.
        """
        last = self._last
        if last is not None and at_ns <= self._last_ns:
            return None
        volts, amps, watts, joules, coulombs, _, _, fresh = reading
        if not fresh:
            if last is None or not final or self._semantics == "counter":
                return None  # what a counter has counted since then is unknown
            if at_ns - max(last.at_ns, self._heard_ns) > self.gap_limit_ns:
                return None  # and so is what was drawn after so long a silence
            reading = Reading(last.volts, last.amps, last.watts, self._raw_joules, self._raw_coulombs)
            volts, amps, watts, joules, coulombs, _, _, _ = reading
        if watts is None:
            watts = power_of(volts, amps, watts)
        if last is None:
            self._begin(watts, reading)
        else:
            dt_ns = at_ns - self._last_ns
            if self._interrupted:  # nobody measured meanwhile
                self._gap(last.watts, watts, dt_ns)
                if self._slept and joules is not None and self._raw_joules is not None:
                    self.asleep_joules += max(joules - self._raw_joules, 0.0)
                self._interrupted = self._stood = self._slept = False
            elif self._semantics == "instant":
                silent_ns = at_ns - self._heard_ns
                if silent_ns > dt_ns:
                    silent_ns = dt_ns
                self._heard_ns = at_ns
                if self._renewal_ns and not final and silent_ns <= self.gap_limit_ns:
                    repeats = (volts, amps, watts) == (last.volts, last.amps, last.watts)
                    if repeats and self._is_old(dt_ns, silent_ns):
                        return None
                self._add_instants(volts, amps, watts, dt_ns, silent_ns)
            elif self._semantics == "counter":
                ticked = joules != self._raw_joules or coulombs != self._raw_coulombs
                stood = self._stood_still(ticked, dt_ns, final)
                if not ticked and not final and (stood or dt_ns <= self._tick_wait_ns):
                    return None
                if stood:
                    self._gap(None, None, dt_ns)
                else:
                    self._add_counters(reading, dt_ns)
                watts = watts if watts is not None else self._counter_watts
            else:
                self._add_means(last, watts, reading, dt_ns)
        self._raw_joules, self._raw_coulombs = joules, coulombs
        self._last_ns, self._last_volts, self._last_amps, self._last_watts = at_ns, volts, amps, watts
        self._last = last = made(
            Sample,
            (
                at_ns,
                self._joules.total,
                self._coulombs.total,
                self._volt_seconds.total,
                self._covered_ns,
                self._gap_fill,
                watts,
                volts,
                amps,
                self._scatter,
            ),
        )
        return last

    def _begin(self, watts: float | None, reading: Reading) -> None:
        for total, known in (
            (self._joules, watts is not None or reading.joules is not None),
            (self._coulombs, reading.amps is not None or reading.coulombs is not None),
            (self._volt_seconds, reading.volts is not None),
        ):
            if known:
                total.total = 0.0

    def _is_old(self, dt_ns: int, silent_ns: int) -> bool:
        """Whether a repeat is the old value still; one that is read in step with its renewal is not."""
        in_step = silent_ns >= self._renewal_ns / 2
        return dt_ns < (_IN_STEP * self._renewal_ns if in_step else self._renewal_ns)

    def _add_instants(
        self,
        volts: float | None,
        amps: float | None,
        watts: float | None,
        dt_ns: int,
        silent_ns: int,
    ) -> None:
        last_volts, last_amps, last_watts = self._last_volts, self._last_amps, self._last_watts
        if silent_ns > self.gap_limit_ns:
            self._gap(last_watts, watts, dt_ns)
            return
        seconds = dt_ns * 1e-9
        if last_watts is not None and watts is not None:
            self._joules.add((last_watts + watts) / 2 * seconds)
            self._scattered((watts - last_watts) * seconds)
        elif watts is not None or last_amps is None or amps is None:  # one end alone says nothing
            self._gap(last_watts, watts, dt_ns)
            return
        if last_amps is not None and amps is not None:
            self._coulombs.add((last_amps + amps) / 2 * seconds)
        if last_volts is not None and volts is not None:
            self._volt_seconds.add((last_volts + volts) / 2 * seconds)
        self._covered_ns += dt_ns

    def _add_means(self, last: Sample, watts: float | None, reading: Reading, dt_ns: int) -> None:
        described_ns = dt_ns if reading.seconds is None else min(dt_ns, round(reading.seconds * 1e9))
        if (reading.seconds is None and dt_ns > self.gap_limit_ns) or (
            watts is None and reading.amps is None
        ):
            self._gap(last.watts, watts, dt_ns)
            return
        if dt_ns - described_ns > self.gap_limit_ns:
            self._gap(last.watts, watts, dt_ns - described_ns)
        seconds = described_ns * 1e-9
        if watts is not None:
            self._joules.add(watts * seconds)
            if last.watts is not None:
                self._scattered((watts - last.watts) * seconds)
        if reading.amps is not None:
            self._coulombs.add(reading.amps * seconds)
        if reading.volts is not None:
            self._volt_seconds.add(reading.volts * seconds)
        self._covered_ns += described_ns

    def _scattered(self, jump: float) -> None:
        """Grow the variance of the energy by what a jump from one sample to the next shows, in J."""
        turned = -jump * self._jump
        self._scatter += self._step_weight * jump * jump + (self._turn_weight * turned if turned > 0 else 0.0)
        self._jump = jump

    def _stood_still(self, ticked: bool, dt_ns: int, final: bool) -> bool:
        """Whether a counter that has to move has not moved for too long; what it missed is then unknown."""
        if self._still_ns is None:
            return False
        if not ticked and (dt_ns > self._still_ns or (final and not self._moved)):
            self._stood = True
        stood = self._stood
        if ticked:
            self._moved, self._stood = True, False
        return stood

    def _add_counters(self, reading: Reading, dt_ns: int) -> None:
        seconds = dt_ns * 1e-9
        try:
            joules = joules_between(
                self._raw_joules, reading.joules, self._joules_wrap, self._max_watts, seconds
            )
        except ValueError as reason:
            joules, self.rise_error = None, str(reason)
        self._counter_watts = None if joules is None else joules / seconds
        if joules is None:
            self._gap(None, None, dt_ns)
            return
        self._joules.add(joules)
        coulombs = coulombs_between(self._raw_coulombs, reading.coulombs, self._coulombs_wrap)
        if coulombs is None and reading.amps is not None:
            coulombs = reading.amps * seconds
        if coulombs is not None:
            self._coulombs.add(coulombs)
        if reading.volts is not None:
            self._volt_seconds.add(reading.volts * seconds)
        self._covered_ns += dt_ns

    def _gap(self, before: float | None, now: float | None, dt_ns: int) -> None:
        self.gaps += 1
        self._jump = 0.0
        self.gap_ns += dt_ns
        if before is not None and now is not None:
            self._gap_fill += (before + now) / 2 * dt_ns * 1e-9
