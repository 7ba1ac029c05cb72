"""From readings to the energy curve: joules, coulombs and covered time since the start.

One rule for each semantics. Plain floats with
compensated sums (Kahan 1965): after a day at 1 kHz the total is still right to 1e-9.
"""

from math import inf, nan

from energymeter.energy.counters import coulombs_between, joules_between
from energymeter.lazy import TYPE_CHECKING, NamedTuple, made
from energymeter.reading import Facts, Reading

if TYPE_CHECKING:
    Row = tuple[int, float, float, float, int, float, float, float, float, float, float]
    """A `Sample` as it goes into memory: NaN for what is unknown; and its watts again, -inf if unknown, as
    the highest since the row before."""
    Rises = tuple[float | None, float | None, float | None, int, float | None]
    """Joules, coulombs and volt-seconds since the last sample, the ns they were measured in, and the jump of
    the power in J; ``None`` where the source cannot tell."""

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

    @classmethod
    def of(cls, row: "Row") -> "Sample":
        """The sample that a row holds."""
        at_ns, joules, coulombs, volt_seconds, covered_ns, gap_fill, watts, volts, amps, variance, _ = row
        return made(
            cls,
            (
                at_ns,
                joules if joules == joules else None,  # NaN differs from itself
                coulombs if coulombs == coulombs else None,
                volt_seconds if volt_seconds == volt_seconds else None,
                covered_ns,
                gap_fill,
                watts if watts == watts else None,
                volts if volts == volts else None,
                amps if amps == amps else None,
                variance,
            ),
        )


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

    # what every sample needs, in slots: more than thirty attributes are slower in a dictionary
    __slots__ = (
        "_begun", "_coulombs", "_coulombs_lost", "_coulombs_wrap", "_counter_watts", "_covered_ns",
        "_gap_fill", "_heard_ns", "_instant", "_joins", "_joules", "_joules_lost", "_joules_wrap", "_jump",
        "_last_amps", "_last_ns", "_last_volts", "_last_watts", "_max_watts", "_moved", "_raw_coulombs",
        "_raw_joules", "_renewal_ns", "_scatter", "_semantics", "_slept", "_step_weight", "_still_ns",
        "_stood", "_tick_wait_ns", "_turn_weight", "_volt_seconds", "_volt_seconds_lost", "asleep_joules",
        "gap_limit_ns", "gap_ns", "gaps", "rise_error",
    )  # fmt: skip

    def __init__(
        self,
        facts: Facts,
        gap_limit_ns: int,
        resume: Sample | None = None,
        tick_wait_ns: int | None = None,
    ) -> None:
        self._semantics = facts.semantics
        self._instant = facts.semantics == "instant"
        self._joules_wrap = facts.joules_wrap
        self._coulombs_wrap = facts.coulombs_wrap
        self._max_watts = facts.max_watts
        self.gap_limit_ns = gap_limit_ns
        self._renewal_ns = round(facts.renewal_seconds * 1e9)
        self._still_ns = None if facts.still_seconds is None else round(facts.still_seconds * 1e9)
        self._tick_wait_ns = max(gap_limit_ns if tick_wait_ns is None else tick_wait_ns, self._still_ns or 0)
        # totals that are NaN until the first term, and what rounding has lost of each
        self._joules = self._coulombs = self._volt_seconds = nan
        self._joules_lost = self._coulombs_lost = self._volt_seconds_lost = 0.0
        self._covered_ns = self._last_ns = self._heard_ns = 0
        self._gap_fill = self._scatter = self._jump = 0.0
        self._step_weight, self._turn_weight = Weights.of(facts)
        self._last_volts: float | None = None
        self._last_amps: float | None = None
        self._last_watts: float | None = None
        self._begun = resume is not None
        self._joins = False
        """Whether nothing but time lies between the last sample and the next: it has begun, uninterrupted."""
        self._moved = self._stood = self._slept = False
        self._raw_joules: float | None = None
        self._raw_coulombs: float | None = None
        self._counter_watts: float | None = None
        self.rise_error = ""
        """Why a counter's rise was not counted the last time that one was not."""
        self.gaps = 0
        self.gap_ns = 0
        self.asleep_joules = 0.0
        if resume is not None:
            self._last_ns, self._covered_ns, self._gap_fill = (
                resume.at_ns,
                resume.covered_ns,
                resume.gap_fill_joules,
            )
            self._joules, self._coulombs, self._volt_seconds = (
                nan if total is None else total
                for total in (resume.joules, resume.coulombs, resume.volt_seconds)
            )
            self._last_watts, self._last_volts, self._last_amps = resume.watts, resume.volts, resume.amps
            self._scatter = resume.variance_joules2

    def interrupt(self, *, asleep: bool = False) -> None:
        """The source was opened again, or the machine slept: what lies before the next sample is a gap.

        A counter may count from another start, and what it counted meanwhile belongs to no measured time.
        What the gauge of a battery counted while the machine was ``asleep`` goes to ``asleep_joules``.
        """
        self._joins = False
        self._slept = asleep and self._semantics == "counter" and self._joules_wrap is None

    def add(self, at_ns: int, reading: Reading, final: bool = False) -> Sample | None:
        """The curve's next point, or ``None`` if the reading says nothing new; see `extend`."""
        volts, amps, watts, joules, coulombs, seconds, _, fresh = reading
        row = self.extend(at_ns, volts, amps, watts, joules, coulombs, seconds, fresh, final)
        return None if row is None else Sample.of(row)

    def extend(
        self,
        at_ns: int,
        volts: float | None,
        amps: float | None,
        watts: float | None,
        joules: float | None,
        coulombs: float | None,
        seconds: float | None,
        fresh: bool,
        final: bool,
    ) -> "Row | None":
        """The curve's next row, or ``None`` if what a `Reading` holds says nothing new.

        A counter that has not ticked yet is waited for, so that the curve runs straight from tick
        to tick, and so is an instant that the device has not renewed. ``final`` takes what there is: a
        counter as it stands, and where the device has nothing newer, its last power, held to the end.

        It is one function because every call costs a twentieth of a sample: what flowed since the last
        sample, the totals, the row.
        """
        dt_ns = at_ns - self._last_ns
        if dt_ns <= 0 and self._begun:
            return None
        if not fresh:
            if not self._holds(at_ns, final):
                return None
            volts, amps, watts = self._last_volts, self._last_amps, self._last_watts
            joules, coulombs, seconds = self._raw_joules, self._raw_coulombs, None
        if watts is None and volts is not None and amps is not None:
            watts = volts * amps

        # what flowed
        joules_rise = coulombs_rise = volt_seconds_rise = jump = None
        if not self._joins:
            measured_ns = self._join(dt_ns, volts, amps, watts, joules, coulombs)
        elif self._instant:
            flowed = self._joined(at_ns, volts, amps, watts, dt_ns, final)
            if flowed is None:
                return None
            joules_rise, coulombs_rise, volt_seconds_rise, measured_ns, jump = flowed
        elif self._semantics == "counter":
            ticked = joules != self._raw_joules or coulombs != self._raw_coulombs
            stood = self._stood_still(ticked, dt_ns, final)
            if not ticked and not final and (stood or dt_ns <= self._tick_wait_ns):
                return None
            if stood:
                measured_ns = self._gap(None, None, dt_ns)
            else:
                joules_rise, coulombs_rise, volt_seconds_rise, measured_ns = self._counted(
                    volts, amps, joules, coulombs, dt_ns
                )
            self._raw_joules, self._raw_coulombs = joules, coulombs
            watts = watts if watts is not None else self._counter_watts
        else:
            joules_rise, coulombs_rise, volt_seconds_rise, measured_ns, jump = self._held_level(
                volts, amps, watts, seconds, dt_ns
            )

        # the totals, with compensated sums; a correction never takes back what was counted
        joules_total, coulombs_total, volt_seconds_total = self._joules, self._coulombs, self._volt_seconds
        if joules_rise is not None:
            before, corrected = joules_total, joules_rise - self._joules_lost
            joules_total = before + corrected
            if not joules_total >= before:
                before, joules_total = _first_or_fallen(before, corrected, joules_rise)
            self._joules_lost = (joules_total - before) - corrected
            self._joules = joules_total
        if coulombs_rise is not None:
            before, corrected = coulombs_total, coulombs_rise - self._coulombs_lost
            coulombs_total = before + corrected
            if not coulombs_total >= before:
                before, coulombs_total = _first_or_fallen(before, corrected, coulombs_rise)
            self._coulombs_lost = (coulombs_total - before) - corrected
            self._coulombs = coulombs_total
        if volt_seconds_rise is not None:
            before, corrected = volt_seconds_total, volt_seconds_rise - self._volt_seconds_lost
            volt_seconds_total = before + corrected
            if not volt_seconds_total >= before:
                before, volt_seconds_total = _first_or_fallen(before, corrected, volt_seconds_rise)
            self._volt_seconds_lost = (volt_seconds_total - before) - corrected
            self._volt_seconds = volt_seconds_total
        if jump is not None:  # what it shows of the variance, see `Weights`
            turned = -jump * self._jump
            self._scatter += self._step_weight * jump * jump + (
                self._turn_weight * turned if turned > 0 else 0.0
            )
            self._jump = jump
        covered_ns = self._covered_ns = self._covered_ns + measured_ns

        # the row
        self._last_ns, self._last_volts, self._last_amps, self._last_watts = at_ns, volts, amps, watts
        if watts is None:
            watts, peak_watts = nan, -inf
        else:
            peak_watts = watts
        return (
            at_ns,
            joules_total,
            coulombs_total,
            volt_seconds_total,
            covered_ns,
            self._gap_fill,
            watts,
            nan if volts is None else volts,
            nan if amps is None else amps,
            self._scatter,
            peak_watts,
        )

    def _holds(self, at_ns: int, final: bool) -> bool:
        """Whether the last values still stand where the device has nothing newer."""
        if not self._begun or not final or self._semantics == "counter":
            return False  # what a counter has counted since then is unknown
        # and so is what was drawn after so long a silence
        return at_ns - max(self._last_ns, self._heard_ns) <= self.gap_limit_ns

    def _join(
        self,
        dt_ns: int,
        volts: float | None,
        amps: float | None,
        watts: float | None,
        joules: float | None,
        coulombs: float | None,
    ) -> int:
        """Take the first sample, of all or after an interruption: nobody measured before it, for 0 ns."""
        if not self._begun:
            if watts is not None or joules is not None:
                self._joules = 0.0
            if amps is not None or coulombs is not None:
                self._coulombs = 0.0
            if volts is not None:
                self._volt_seconds = 0.0
        else:
            self._gap(self._last_watts, watts, dt_ns)
            if self._slept and joules is not None and self._raw_joules is not None:
                self.asleep_joules += max(joules - self._raw_joules, 0.0)
            self._stood = self._slept = False
        self._begun = self._joins = True
        self._raw_joules, self._raw_coulombs = joules, coulombs
        return 0

    def _is_old(self, dt_ns: int, silent_ns: int) -> bool:
        """Whether a repeat is the old value still; one that is read in step with its renewal is not."""
        in_step = silent_ns >= self._renewal_ns / 2
        return dt_ns < (_IN_STEP * self._renewal_ns if in_step else self._renewal_ns)

    def _joined(
        self,
        at_ns: int,
        volts: float | None,
        amps: float | None,
        watts: float | None,
        dt_ns: int,
        final: bool,
    ) -> "Rises | None":
        """What two instants say: power runs straight between them; ``None`` where the newer is old still."""
        last_volts, last_amps, last_watts = self._last_volts, self._last_amps, self._last_watts
        silent_ns = dt_ns
        if self._renewal_ns:
            silent_ns = min(dt_ns, at_ns - self._heard_ns)
            self._heard_ns = at_ns
            repeats = (volts, amps, watts) == (last_volts, last_amps, last_watts)
            waits = repeats and not final and silent_ns <= self.gap_limit_ns
            if waits and self._is_old(dt_ns, silent_ns):
                return None
        known = watts is not None and last_watts is not None
        if silent_ns > self.gap_limit_ns or not (known or (watts is None and amps is not None)):
            return None, None, None, self._gap(last_watts, watts, dt_ns), None
        lasted = dt_ns * 1e-9
        joules = coulombs = volt_seconds = jump = None  # one end alone says nothing
        if watts is not None and last_watts is not None:
            joules, jump = (last_watts + watts) / 2 * lasted, (watts - last_watts) * lasted
        if amps is not None and last_amps is not None:
            coulombs = (last_amps + amps) / 2 * lasted
        elif joules is None:
            return None, None, None, self._gap(last_watts, watts, dt_ns), None
        if volts is not None and last_volts is not None:
            volt_seconds = (last_volts + volts) / 2 * lasted
        return joules, coulombs, volt_seconds, dt_ns, jump

    def _held_level(
        self,
        volts: float | None,
        amps: float | None,
        watts: float | None,
        seconds: float | None,
        dt_ns: int,
    ) -> "Rises":
        """What a mean says: it is level over the time it describes."""
        described_ns = dt_ns if seconds is None else min(dt_ns, round(seconds * 1e9))
        if (seconds is None and dt_ns > self.gap_limit_ns) or (watts is None and amps is None):
            return None, None, None, self._gap(self._last_watts, watts, dt_ns), None
        if dt_ns - described_ns > self.gap_limit_ns:
            self._gap(self._last_watts, watts, dt_ns - described_ns)
        lasted = described_ns * 1e-9
        return (
            None if watts is None else watts * lasted,
            None if amps is None else amps * lasted,
            None if volts is None else volts * lasted,
            described_ns,
            None if watts is None or self._last_watts is None else (watts - self._last_watts) * lasted,
        )

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

    def _counted(
        self,
        volts: float | None,
        amps: float | None,
        joules: float | None,
        coulombs: float | None,
        dt_ns: int,
    ) -> tuple[float | None, float | None, float | None, int]:
        """What a counter gained: the first four of `Rises`."""
        seconds = dt_ns * 1e-9
        try:
            gained = joules_between(self._raw_joules, joules, self._joules_wrap, self._max_watts, seconds)
        except ValueError as reason:
            gained, self.rise_error = None, str(reason)
        self._counter_watts = None if gained is None else gained / seconds
        if gained is None:
            return None, None, None, self._gap(None, None, dt_ns)
        charge = coulombs_between(self._raw_coulombs, coulombs, self._coulombs_wrap)
        if charge is None and amps is not None:
            charge = amps * seconds
        return gained, charge, None if volts is None else volts * seconds, dt_ns

    def _gap(self, before: float | None, now: float | None, dt_ns: int) -> int:
        """Note a gap, of which 0 ns were measured."""
        self.gaps += 1
        self._jump = 0.0
        self.gap_ns += dt_ns
        if before is not None and now is not None:
            self._gap_fill += (before + now) / 2 * dt_ns * 1e-9
        return 0


def _first_or_fallen(before: float, corrected: float, term: float) -> tuple[float, float]:
    """A total before and after a term, where it begins with that, or seems to fall."""
    if before != before:  # NaN: there was none
        return 0.0, corrected
    return before, before if term >= 0 else before + corrected
