"""Acceptance of a meter of known figures: every line of the report, worked out by hand."""

import itertools
import math
import platform
from collections.abc import Iterable, Iterator

import pytest

from energymeter.boards import find_board
from energymeter.clock import ManualClock
from energymeter.discovery.acceptance import Acceptance, Check, Report
from energymeter.errors import SourceMissing, SourceTimeout
from energymeter.reading import Band, Facts, Reading
from energymeter.source import Counters
from energymeter.version import __version__

FACTS = Facts(
    semantics="mean",
    provenance="measured",
    place="wall",
    volts=Band(0.0012, 0.03, 0.01),
    amps=Band(0.015, 0.003, 0.001),
    default_hz=10.0,
    max_hz=1000.0,
)


class Meter:
    """5 V, and amps by turns; an answer takes a millisecond, and its counters follow a clock."""

    name = "usb"
    lost = 3

    def __init__(
        self, clock: ManualClock, amps: Iterable[float | None] = (1.0, 1.1), facts: Facts = FACTS
    ) -> None:
        self.facts, self.clock = facts, clock
        self.amps = itertools.cycle(amps)
        self.answer_s = 0.001
        self.opened = self.closed = 0
        self.out = False

    def open(self) -> None:
        if self.out:
            raise SourceMissing("plug it in")
        self.opened += 1

    def close(self) -> None:
        self.closed += 1

    def read(self) -> Reading:
        if self.out:
            raise SourceTimeout("no answer")
        at_ns = self.clock.monotonic_ns()
        self.clock.sleep(self.answer_s)
        return Reading(volts=5.0, amps=next(self.amps), at_ns=at_ns)


class Person:
    """Answers the questions in turn, and keeps them."""

    def __init__(self, *answers: str) -> None:
        self.answers, self.asked, self.said = [*answers], [], []  # type: ignore[var-annotated]

    def ask(self, question: str) -> str:
        self.asked.append(question)
        return self.answers.pop(0) if self.answers else "no"

    def say(self, text: str) -> None:
        self.said.append(text)


class Counted(Meter):
    """Counters that follow the clock, by 5 W and 1 A but for an error."""

    error = 0.0

    def counters(self) -> Counters | None:
        seconds = self.clock.monotonic_ns() * 1e-9 * (1 + self.error)
        return Counters(5.0 * seconds, seconds, joules_step=0.5, coulombs_step=0.25)


def accepted(meter: Meter, *answers: str, minutes: float = 1.0) -> dict[str, Check]:
    report = Acceptance(meter, "usb", {}, meter.clock, Person(*answers)).run(minutes)
    return {check.name: check for check in report.checks}


def test_every_line_of_a_report() -> None:
    """Half a minute of steady load: 5 and 5.5 W in turns, so ±0.5 W from one sample to the next."""
    person = Person(" ", "5", "no")
    meter = Meter(ManualClock())
    report = Acceptance(meter, "usb", {}, meter.clock, person).run(1.0)
    least = 2 * math.sqrt(2) * math.sqrt(0.5**2 / 2) * math.sqrt(0.1)
    assert f"{least:.2g}" == "0.32"
    assert report.checks == (
        Check(
            "identity",
            None,
            "mean at the wall, measured, without a serial number of its own; "
            "volts ±(0.120 % + 0.0300 V); amps ±(1.50 % + 0.00300 A)",
        ),
        Check("noise", None, "5.250 W, noise 0.35 W a sample, least energy in 1 s 0.32 J"),
        Check(
            "rate",
            True,
            "10.0 readings a second of 10.0 asked for, interval 100 ms ± 0 ns, 0 failed, 3 lost",
        ),
        Check(
            "warnings",
            None,
            "the load changes faster than it is sampled: use a higher rate, or a meter that averages",
        ),
        Check("counters against the integral", None, "it has no counters of its own"),
        Check("fastest", True, "1000 readings a second without a pause; the driver allows 1000"),
        Check("zero", False, "1.05 A without load, ±0.00400 A in the data sheet"),
        # 1.5 % of 1.05 A and 4 mA; 0.12 % of 5 V and 40 mV, over 5 Ω; 1 % of 1 A: 38.95 mA
        Check("resistor", False, "1.050 A at 5.000 V, 1.000 A by 5 ohm: +5.00 %, ±3.9 % allowed"),
        Check("unplug and replug", None, "not done"),
    )
    assert report.failed == ["zero", "resistor"]
    assert person.said == ["1 of 5: keep a steady load for 30.0 s"]
    assert person.asked == [
        "2 of 5: disconnect the load and leave the supply on; Enter, or 'no'",
        "3 of 5: connect a known resistor and give its ohms, as in 10; Enter to leave it out",
        "4 of 5: unplug the meter now; Enter when done, or 'no'",
    ]
    assert (meter.opened, meter.closed) == (1, 1)


def test_the_checks_take_their_shares_of_the_time() -> None:
    """Half, a twentieth, and a tenth for each of the rest that is done."""
    clock = ManualClock()
    meter = Meter(clock)
    at_s: list[float] = []

    class Watch(Person):
        def ask(self, question: str) -> str:
            at_s.append(clock.monotonic_ns() * 1e-9)
            return super().ask(question)

    Acceptance(meter, "usb", {}, clock, Watch("", "5", "")).run(10.0)
    steady, zero, resistor = 300.0, 60.0, 60.0
    assert at_s == pytest.approx(
        [steady + 30.0, steady + 30.0 + zero, steady + 30.0 + zero + resistor], abs=0.2
    )
    assert clock.monotonic_ns() * 1e-9 == pytest.approx(510.0, abs=0.5), "it was still read for a minute"


@pytest.mark.parametrize(
    ("minutes", "answer_s", "per_second", "seconds"),
    [
        (1.0, 0.01, 100, 30.0 + 3.0),
        (20.0, 0.01, 100, 600.0 + 30.0),
        (20.0, 0.0002, 5000, 600.0 + 20.0),  # 100 000 readings
    ],
)
def test_the_fastest_pace_is_tried_for_half_a_minute_at_most(
    minutes: float, answer_s: float, per_second: int, seconds: float
) -> None:
    meter = Meter(ManualClock(), facts=FACTS._replace(default_hz=0.2))
    meter.answer_s = answer_s
    found = accepted_alone(meter, minutes)["fastest"]
    assert found.text == f"{per_second} readings a second without a pause; the driver allows 1000"
    assert found.passed is (per_second >= 900)
    assert meter.clock.monotonic_ns() * 1e-9 == pytest.approx(seconds, abs=0.02)


def accepted_alone(meter: Meter, minutes: float = 1.0) -> dict[str, Check]:
    report = Acceptance(meter, "usb", {}, meter.clock).run(minutes)
    return {check.name: check for check in report.checks}


@pytest.mark.parametrize(
    ("answer_s", "per_second", "passed"), [(1 / 9.5, "9.50", True), (1 / 9.4, "9.40", False)]
)
def test_nineteen_of_twenty_readings_must_come(answer_s: float, per_second: str, passed: bool) -> None:
    meter = Meter(ManualClock())
    meter.answer_s = answer_s
    found = accepted_alone(meter)["rate"]
    assert found.passed is passed
    assert found.text.startswith(
        f"{per_second} readings a second of 10.0 asked for, interval {1000 * answer_s:.0f} ms ± "
    )


def test_after_a_long_answer_no_more_than_one_reading_is_made_up_for() -> None:
    class Once(Meter):
        def read(self) -> Reading:
            self.answer_s = 5.05 if 10.0 < self.clock.monotonic_ns() * 1e-9 < 10.15 else 0.001
            return super().read()

    # 101 up to 10.1 s, two at 15.15 s, then one in 100 ms: 252 in half a minute
    assert accepted_alone(Once(ManualClock()))["rate"].text.startswith("8.40 readings")


def test_a_meter_that_fails_three_times_in_a_row_is_opened_again() -> None:
    class Fails(Meter):
        """Fails so many times from its 50th answer on; it cannot be opened at first."""

        def __init__(self, clock: ManualClock, failures: int, absent: int = 0) -> None:
            super().__init__(clock)
            self.reads, self.failures, self.absent = 0, failures, absent
            self.tried_s: list[float] = []

        def open(self) -> None:
            self.tried_s.append(self.clock.monotonic_ns() * 1e-9)
            if self.reads and self.absent:
                self.absent -= 1
                raise SourceMissing("plug it in")
            super().open()

        def read(self) -> Reading:
            self.reads += 1
            if 50 < self.reads <= 50 + self.failures:
                raise SourceTimeout("no answer")
            return super().read()

    for failures, opened in ((2, 1), (3, 2), (4, 3)):
        meter = Fails(ManualClock(), failures)
        assert f" {failures} failed, " in accepted_alone(meter)["rate"].text
        assert meter.opened == opened
    meter = Fails(ManualClock(), 5, absent=2)
    accepted_alone(meter)
    _, *again = meter.tried_s
    assert len(again) == 3
    assert again == sorted(again)
    assert again[1] - again[0] == pytest.approx(0.5 + 0.1, abs=0.11), "half a second, and one period at most"


@pytest.mark.parametrize(("pause_s", "joules"), [(1.39, 150.0), (1.41, 143.0)])
def test_a_pause_of_four_periods_and_a_second_is_bridged(pause_s: float, joules: float) -> None:
    class Pauses(Counted):
        def read(self) -> Reading:
            self.answer_s = pause_s if 10.05 < self.clock.monotonic_ns() * 1e-9 < 10.15 else 0.001
            return super().read()

    text = accepted_alone(Pauses(ManualClock(), (1.0,)))["counters against the integral"].text
    assert float(text.partition(" ")[0]) == pytest.approx(joules, abs=0.6), text


@pytest.mark.parametrize(
    ("error", "agrees"), [(0.0, True), (0.0265, True), (0.0285, False), (-0.0315, True), (-0.0335, False)]
)
def test_counters_may_differ_by_a_step_by_two_percent_and_by_both_edges(error: float, agrees: bool) -> None:
    meter = Counted(ManualClock(), (1.0,))
    meter.error = error
    found = accepted_alone(meter)["counters against the integral"]
    # 29.9 s between the first and the last sample, and 0.2 s of them at the edges: 2.67 % and a step of 0.5 J
    counted = 150.005 * (1 + error)
    assert agrees is (abs(149.5 - counted) <= 0.5 + (0.02 + 0.2 / 29.9) * counted)
    assert found.passed is agrees
    assert found.text == (
        f"149.5 J integrated, {counted:.1f} J counted (steps of 0.5); "
        f"29.90 C integrated, {counted / 5:.2f} C counted (steps of 0.25)"
    )


def test_counters_are_compared_over_the_whole_time_however_long_it_was() -> None:
    """At 100 Hz five minutes are 30 000 samples, more than are kept for the noise."""
    meter = Counted(ManualClock(), (1.0,), FACTS._replace(default_hz=100.0))
    found = accepted_alone(meter, 10.0)["counters against the integral"]
    assert found.passed, found.text
    assert found.text.startswith("1500 J integrated, 1500 J counted")


@pytest.mark.parametrize(("before", "same"), [(10_000, True), (10_001, False)])
def test_the_noise_is_that_of_the_last_twenty_thousand_samples(before: int, same: bool) -> None:
    amps = itertools.chain([1.0] * before, itertools.repeat(2.0))
    meter = Meter(ManualClock(), (0.0,), FACTS._replace(default_hz=100.0))
    meter.amps = amps  # type: ignore[assignment]
    text = accepted_alone(meter, 10.0)["warnings"].text
    assert ("every sample was the same" in text) is same


def test_counters_that_do_not_answer_or_meet_failures_are_not_judged() -> None:
    class Silent(Counted):
        def counters(self) -> Counters | None:
            raise SourceTimeout("no answer")

    found = accepted_alone(Silent(ManualClock()))["counters against the integral"]
    assert (found.passed, found.text) == (None, "it has no counters of its own")

    class Fails(Counted):
        def read(self) -> Reading:
            if 10.05 < self.clock.monotonic_ns() * 1e-9 < 10.15:
                raise SourceTimeout("no answer")
            return super().read()

    found = accepted_alone(Fails(ManualClock(), (1.0,)))["counters against the integral"]
    assert found.passed is None
    assert found.text.endswith("; not judged, because 1 readings failed")


def test_a_meter_that_shows_no_power_has_no_noise() -> None:
    found = accepted(Meter(ManualClock(), (None,)), "no", "5")
    assert found["noise"].passed is False
    assert found["noise"].text.startswith("only 0 samples have a power; measure for longer")
    assert "rate" not in found
    assert found["counters against the integral"].text == "it has no counters of its own"
    assert found["zero"] == Check("zero", None, "not done")
    assert found["resistor"] == Check("resistor", None, "it does not report both volts and amps")


def test_a_zero_of_exactly_what_the_data_sheet_allows_passes() -> None:
    facts = FACTS._replace(amps=Band(0.0, 0.25, 0.125))
    for amps, passed in ((0.375, True), (-0.375, True), (0.3750001, False)):
        found = accepted(Meter(ManualClock(), (amps,), facts), "", "")["zero"]
        assert found.passed is passed
        assert found.text == f"{amps:.3f} A without load, ±0.375 A in the data sheet"


def test_each_check_looks_at_its_own_samples() -> None:
    """1 A while it is steady, and what was connected afterwards."""
    meter = Meter(ManualClock(), (1.0,))

    class Changes(Person):
        def ask(self, question: str) -> str:
            if "disconnect" in question:
                meter.amps = itertools.cycle((0.0,))
            if "resistor" in question:
                meter.amps = itertools.cycle((0.5,))
                return "10"
            return "N"  # as good as "no"

    person = Changes()
    report = Acceptance(meter, "usb", {}, meter.clock, person).run(1.0)
    found = {check.name: check for check in report.checks}
    assert found["zero"] == Check("zero", None, "not done")
    # 1.5 % of 0.5 A and 4 mA; 0.12 % of 5 V and 40 mV, over 10 Ω; 1 % of 0.5 A: 21.1 mA
    assert found["resistor"] == Check(
        "resistor", True, "0.5000 A at 5.000 V, 0.5000 A by 10 ohm: +0.00 %, ±4.2 % allowed"
    )
    assert found["unplug and replug"] == Check("unplug and replug", None, "not done")


def test_how_long_a_meter_was_away() -> None:
    meter = Meter(ManualClock())

    class Pulls(Person):
        def ask(self, question: str) -> str:
            self.asked.append(question)
            if "unplug" in question:
                meter.out = True
            if "plug it in again" in question:
                meter.out = False
                return ""
            return "" if "unplug" in question else "no"

    person = Pulls()
    report = Acceptance(meter, "usb", {}, meter.clock, person).run(1.0)
    assert report.checks[-1] == Check(
        "unplug and replug", True, "noticed after 0 s, read again 1 ms after replugging"
    )
    assert person.asked[-2:] == [
        "4 of 5: unplug the meter now; Enter when done, or 'no'",
        "5 of 5: plug it in again; Enter when done",
    ]


def test_a_meter_that_stays_in_or_away() -> None:
    assert accepted(Meter(ManualClock()), "no", "", "")["unplug and replug"] == Check(
        "unplug and replug", False, "it was still read 6.0 s after it was unplugged"
    )
    meter = Meter(ManualClock())

    class Keeps(Person):
        def ask(self, question: str) -> str:
            meter.out = meter.out or "unplug" in question
            return "" if "plug" in question else "no"

    began_s = meter.clock.monotonic_ns() * 1e-9
    report = Acceptance(meter, "usb", {}, meter.clock, Keeps()).run(1.0)
    assert report.checks[-1] == Check("unplug and replug", False, "not read again within 6.0 s")
    assert meter.clock.monotonic_ns() * 1e-9 - began_s == pytest.approx(30.0 + 3.0 + 6.0, abs=0.2)


def test_a_stream_sends_at_its_own_pace() -> None:
    class Streams(Meter):
        def stream(self) -> Iterator[Reading]:
            while True:
                self.clock.sleep(0.05)
                yield Reading(volts=5.0, amps=next(self.amps), at_ns=self.clock.monotonic_ns())

    found = accepted_alone(Streams(ManualClock()))
    assert found["fastest"] == Check("fastest", None, "it sends at its own pace")


def test_a_meter_that_breaks_down_has_no_fastest_pace() -> None:
    class Breaks(Meter):
        def read(self) -> Reading:
            if self.clock.monotonic_ns() * 1e-9 > 30.0005:
                raise SourceTimeout("no answer")
            return super().read()

    assert accepted_alone(Breaks(ManualClock()))["fastest"] == Check("fastest", None, "0 readings in no time")


def test_the_page_names_software_and_board(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "python_version", lambda: "3.12.1")
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "release", lambda: "6.1.0-56-amd64")
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    report = Report("usb", "measured", {"rate": "2"}, 2.5, (Check("zero", None, "not done"),))
    page = """# usb, measured

- energymeter {version}, Python 3.12.1, Linux 6.1.0 aarch64
- board: {board}
- options: rate=2
- 2.5 minutes

| check | result | measured |
| --- | --- | --- |
| zero | - | not done |

Meter (maker, model, firmware), reference and wiring: please add them.
"""
    for board, title in ((None, "not known"), (find_board("pi4"), find_board("pi4").title)):
        monkeypatch.setattr("energymeter.discovery.acceptance.detect_board", lambda board=board: board)
        assert report.markdown() == page.format(version=__version__, board=title)


def test_a_meter_that_does_not_count_what_is_lost_lost_nothing() -> None:
    class Plain(Meter):
        @property
        def lost(self) -> int:  # type: ignore[override]
            raise AttributeError

    assert accepted_alone(Plain(ManualClock()))["rate"].text.endswith(", 0 failed, 0 lost")


def test_a_serial_number_is_mentioned_and_not_shown() -> None:
    meter = Meter(ManualClock())
    meter.identity = "usb 0123"  # type: ignore[attr-defined]
    assert ", with a serial number of its own; " in accepted_alone(meter)["identity"].text


def test_a_second_run_begins_from_nothing() -> None:
    meter = Meter(ManualClock())
    acceptance = Acceptance(meter, "usb", {}, meter.clock)
    first, second = acceptance.run(1.0), acceptance.run(1.0)
    assert first.checks == second.checks
    assert (meter.opened, meter.closed) == (2, 2)
