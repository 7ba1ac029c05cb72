"""Ten minutes of acceptance, in no time: on an emulated chip, with a script in the place of the person."""

from collections.abc import Callable
from pathlib import Path

import pytest
from devices.pty_meter import PtyMeter
from devices.um import UmDevice
from devices.waves import Steps

from energymeter.clock import ManualClock
from energymeter.discovery.acceptance import Acceptance, Check, Report
from energymeter.drivers.emulated.ina219 import Ina219Chip
from energymeter.drivers.ina219 import Ina219
from energymeter.drivers.um25c import Um25c
from energymeter.errors import SourceMissing, SourceTimeout, SpecError
from energymeter.reading import Band, Facts, Reading
from energymeter.source import Counters


class Bench:
    """An emulated INA219 on a 5 V supply, and who changes its load when asked to."""

    def __init__(
        self, ohms: str = "10", hands: bool = True, stays_in: bool = False, shunt: float = 0.1
    ) -> None:
        self.clock = ManualClock()
        self.amps, self.plugged = 0.6, True
        self.ohms, self.hands, self.stays_in = ohms, hands, stays_in
        self.said: list[str] = []
        load = Steps([(0.0, 0.0)], 5.0)
        load.charge = lambda at_ns: self.charge(at_ns)  # type: ignore[method-assign]
        load.steady = lambda since_ns, until_ns: True  # type: ignore[method-assign]
        self._from_ns, self._coulombs = 0, 0.0
        self.chip = Ina219Chip(load, self.clock.monotonic_ns, shunt=shunt)
        self.source = Ina219(shunt=0.1, wire=self.chip, clock=self.clock)

    def charge(self, at_ns: int) -> float:
        return self._coulombs + self.amps * (at_ns - self._from_ns) * 1e-9

    def turn(self, amps: float) -> None:
        now_ns = self.clock.monotonic_ns()
        self._coulombs, self._from_ns, self.amps = self.charge(now_ns), now_ns, amps

    def ask(self, question: str) -> str:
        if not self.hands:
            return "" if "resistor" in question else "no"
        if "disconnect" in question:
            self.turn(0.0)
        elif "resistor" in question:
            self.turn(0.5)
            return self.ohms
        elif "unplug" in question and not self.stays_in:
            self.chip.nacks = 10**9
        elif "plug it in again" in question:
            self.chip.nacks = 0
        return ""

    def say(self, text: str) -> None:
        self.said.append(text)

    def report(self, minutes: float = 1.0) -> Report:
        options = {"shunt": "0.1", "password": "geheim"}
        return Acceptance(self.source, "ina219", options, self.clock, self).run(minutes)


def named(report: Report, name: str) -> Check:
    (found,) = [check for check in report.checks if check.name == name]
    return found


def test_a_good_meter_passes() -> None:
    report = Bench().report()
    assert report.failed == []
    assert "3.000 W" in named(report, "noise").text
    assert named(report, "zero").passed
    assert named(report, "resistor").passed
    assert "0.5000 A by 10 ohm" in named(report, "resistor").text
    assert named(report, "unplug and replug").passed
    assert named(report, "rate").passed


def test_a_wrong_shunt_fails_at_the_resistor() -> None:
    report = Bench(shunt=0.11).report()
    assert report.failed == ["resistor"]
    assert "+10" in named(report, "resistor").text or "+9" in named(report, "resistor").text


def test_a_meter_that_is_still_read_without_its_plug_fails() -> None:
    report = Bench(stays_in=True).report()
    assert report.failed == ["unplug and replug"]


def test_what_needs_hands_is_left_out_without_them() -> None:
    for report in (Bench(hands=False).report(), without_a_person()):
        for name in ("zero", "resistor", "unplug and replug"):
            assert named(report, name) == Check(name, None, "not done")


def without_a_person() -> Report:
    bench = Bench()
    return Acceptance(bench.source, "ina219", {}, bench.clock).run(0.1)


@pytest.mark.parametrize("answer", ["", "ten", "-1", "0", "nan"])
def test_a_resistor_that_is_none_is_left_out(answer: str) -> None:
    assert named(Bench(ohms=answer).report(0.2), "resistor").passed is None


def test_the_page_holds_no_personal_data() -> None:
    page = Bench().report(0.2).markdown()
    assert "geheim" not in page
    assert "shunt=0.1" in page
    assert page.startswith("# ina219, measured\n")
    assert "| zero | passed |" in page


class Counting:
    """A meter whose own counters run at a rate of their own."""

    name = "usb"
    facts = Facts(volts=Band(0.01), amps=Band(0.01), default_hz=10.0, max_hz=10.0)

    def __init__(self, clock: ManualClock, rate: float, read: Callable[[], None] = lambda: None) -> None:
        self.clock, self.rate, self._read = clock, rate, read

    def open(self) -> None: ...
    def close(self) -> None: ...
    def read(self) -> Reading:
        self._read()
        return Reading(volts=5.0, amps=1.0)

    def counters(self) -> Counters:
        seconds = self.clock.monotonic_ns() * 1e-9
        return Counters(self.rate * 5.0 * seconds, self.rate * seconds, 0.1, 0.1)


@pytest.mark.parametrize(("rate", "agrees"), [(1.0, True), (1.5, False)])
def test_the_meters_counters_are_compared_with_the_integral(rate: float, agrees: bool) -> None:
    clock = ManualClock()
    report = Acceptance(Counting(clock, rate), "usb", {}, clock).run(1.0)
    check = named(report, "counters against the integral")
    assert check.passed is agrees
    assert "J integrated" in check.text


def test_readings_that_fail_are_counted_and_fail_the_rate() -> None:
    clock, reads = ManualClock(), iter(range(10**9))

    def read() -> None:
        if next(reads) % 10 == 5:
            raise SourceTimeout("no answer")

    report = Acceptance(Counting(clock, 1.0, read), "usb", {}, clock).run(1.0)
    assert report.failed == ["rate"]
    assert "not judged" in named(report, "counters against the integral").text


def test_a_source_that_is_absent_or_has_several_channels_is_an_error() -> None:
    clock = ManualClock()

    class Absent(Counting):
        def open(self) -> None:
            raise SourceMissing("plug it in")

    class Two(Counting):
        def channels(self) -> list[Counting]:
            channels = [Counting(clock, 1.0), Counting(clock, 1.0)]
            channels[1].name = "usb/2"
            return channels

    with pytest.raises(SourceMissing, match="plug it in"):
        Acceptance(Absent(clock, 1.0), "usb", {}, clock).run(1.0)
    with pytest.raises(SpecError, match="name one with --channel: usb, usb/2"):
        Acceptance(Two(clock, 1.0), "usb", {}, clock).run(1.0)
    assert Acceptance(Two(clock, 1.0), "usb", {}, clock, channel="usb/2").run(0.1).failed == []


class Counted(UmDevice):
    """An emulated UM25C whose own counters run with a clock."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock

    def receive(self, data: bytes) -> bytes:
        self._clock.sleep(0.02)  # an answer takes time
        hours = self._clock.monotonic_ns() * 1e-9 / 3600
        self.mah[0], self.mwh[0] = int(hours * self.amps * 1e3), int(hours * self.volts * self.amps * 1e3)
        return super().receive(data)


class AtTheCable:
    """Unplugs and replugs a serial meter when asked to."""

    def __init__(self, line: PtyMeter) -> None:
        self._line = line

    def ask(self, question: str) -> str:
        if "disconnect" in question or "resistor" in question:
            return "" if "resistor" in question else "no"
        if "unplug" in question:
            self._line.unplug()
        elif "plug it in again" in question:
            self._line.plug()
        return ""

    def say(self, text: str) -> None: ...


def test_a_serial_meter_is_unplugged_and_comes_back(tmp_path: Path) -> None:
    clock = ManualClock()
    with PtyMeter(Counted(clock), tmp_path / "rfcomm0") as line:
        source = Um25c(line.address, timeout=0.2)
        report = Acceptance(source, "um25c", {}, clock, AtTheCable(line)).run(10.0)
    assert report.failed == []
    assert named(report, "unplug and replug").passed
    assert named(report, "counters against the integral").passed
    assert "2.550 W" in named(report, "noise").text
    assert str(tmp_path) not in report.markdown()


class Slow(Bench):
    """The meter answers only some time after it was plugged in again."""

    def ask(self, question: str) -> str:
        answer = super().ask(question)
        if "plug it in again" in question:
            self.chip.nacks = 4
        return answer


def test_a_meter_that_is_back_only_after_a_while_passes() -> None:
    check = named(Slow().report(), "unplug and replug")
    assert check.passed
    assert "read again" in check.text


class Away(Bench):
    """The meter never comes back."""

    def ask(self, question: str) -> str:
        return "" if "plug it in again" in question else super().ask(question)


def test_a_meter_that_does_not_come_back_fails() -> None:
    check = named(Away().report(), "unplug and replug")
    assert check.passed is False
    assert check.text.startswith("not read again within ")
