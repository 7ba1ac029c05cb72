"""The guided calibration, on an emulated chip, with a script in the place of the person."""

import math
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator

import pytest
from click.testing import CliRunner
from devices.waves import Steps

from energymeter.calibration import card as cards
from energymeter.calibration.fit import fit_all
from energymeter.calibration.hold import Holder
from energymeter.calibration.plot import residuals
from energymeter.calibration.points import Point, Reference, read_csv, write_csv
from energymeter.calibration.procedure import Wishes, guided, table
from energymeter.calibration.tape import Tape
from energymeter.cli.calibrate import calibrate
from energymeter.clock import ManualClock
from energymeter.drivers._chip import Ina219Chip
from energymeter.drivers.ina219 import Ina219
from energymeter.errors import CalibrationError, SourceError, SpecError
from energymeter.reading import Band, Facts, Reading


class Supply(Steps):
    """A load that somebody sets."""

    def __init__(self) -> None:
        super().__init__([(0.0, 0.0)], 5.0)
        self.set_at, self.amps, self.coulombs = 0, 0.0, 0.0

    def turn(self, now_ns: int, amps: float) -> None:
        self.coulombs, self.set_at, self.amps = self.charge(now_ns), now_ns, amps

    def charge(self, at_ns: int) -> float:
        return self.coulombs + self.amps * (at_ns - self.set_at) * 1e-9

    def steady(self, since_ns: int, until_ns: int) -> bool:
        return since_ns >= self.set_at


class Reference5A:
    """A perfect meter in the same wire."""

    name = "perfect"
    facts = Facts(volts=Band(1e-4, 0.0, 1e-4), amps=Band(1e-4, 0.0, 1e-5))

    def __init__(self, bench: "Bench") -> None:
        self.bench = bench

    def open(self) -> None: ...
    def close(self) -> None: ...
    def read(self) -> Reading:
        return Reading(volts=5.0, amps=self.bench.load.amps)


class Bench:
    """A module that shows 2 % too little, and the person who turns its load."""

    def __init__(self, loads: list[float], answers: list[str] | None = None, measured: bool = True) -> None:
        self.clock, self.load = ManualClock(), Supply()
        self.chip = Ina219Chip(
            self.load, self.clock.monotonic_ns, shunt=0.098, offsets=(5e-5, 8e-5, 9e-5, 1e-4)
        )
        self.meter = Ina219(shunt=0.1, wire=self.chip, clock=self.clock)
        beside = Tape(Reference5A(self), 50.0, self.clock) if measured else None
        self.holder = Holder(Tape(self.meter, 50.0, self.clock), beside, 50.0, self.clock)
        self.loads, self.answers, self.said, self.lines = loads, answers or [], [], []

    def ask(self, question: str) -> str:
        if "then Enter" not in question:
            return self.answers.pop(0)
        if not self.loads:
            return "done"
        self.load.turn(self.clock.monotonic_ns(), self.loads.pop(0))
        return ""

    def say(self, text: str) -> None:
        self.said.append(text)

    def live(self, text: str) -> None:
        self.lines.append(text)

    def points(self, keep=lambda points: None) -> list[Point]:
        self.holder.open()
        return guided(self.holder, self, Wishes(1.0, 21.0), [], keep)


def test_a_meter_beside_a_better_one_is_calibrated_load_by_load():
    bench = Bench([0.0, 0.05, 0.3, 0.5, 1.0, 1.8])
    points = bench.points()
    assert {point.channel for point in points} == {"volts", "amps"}
    assert {point.range for point in points if point.channel == "amps"} == {"40mV", "320mV"}
    assert bench.lines, "what is read is shown while waiting"
    amps = [point for point in points if point.channel == "amps"]
    found = fit_all(amps, bench.meter.facts, Reference("perfect", amps=Band(1e-4)))
    assert set(found) == {("amps", "40mV"), ("amps", "320mV")}
    wide = found["amps", "320mV"].line
    assert wide.gain == pytest.approx(1 / 0.98, abs=2e-3)
    assert wide.at((1.0 * 0.098 + 1e-4) / 0.1) == pytest.approx(1.0, abs=1e-4)
    assert "320mV: true = 1.02" in table(found)


def test_readings_typed_in_and_resistors_serve_as_well():
    bench = Bench([0.0, 0.5], ["5.0", "", "5.0", "x", "10ohm"], measured=False)
    amps = [point for point in bench.points() if point.channel == "amps"]
    assert [point.reference for point in amps] == [0.0, 0.5]
    assert any("'x' is no number" in text for text in bench.said)
    assert all(point.celsius == 21.0 for point in amps)


def test_a_load_that_never_stands_still_is_not_taken():
    bench = Bench([0.0])
    read = bench.meter.read
    drift = iter(range(10**6))
    drifting = type("Drifting", (), {
        "name": "drifting", "facts": bench.meter.facts, "open": lambda s: bench.meter.open(),
        "close": lambda s: None, "read": lambda s: read()._replace(amps=0.1 + 1e-3 * next(drift)),
    })()  # fmt: skip
    bench.holder.meter = Tape(drifting, 50.0, bench.clock)
    assert bench.points() == []
    assert any("did not stand still" in text for text in bench.said)


def test_every_load_is_kept_before_the_next_is_asked_for(tmp_path):
    bench, path = Bench([0.0, 0.5, 1.0]), str(tmp_path / "p.csv")
    counts = []

    def keep(points: list[Point]) -> None:
        write_csv(path, points)
        counts.append(len(read_csv(path)))
        if len(counts) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.points(keep)
    assert counts == [2, 4]
    assert len(read_csv(path)) == 4


def test_a_meter_that_is_gone_is_told():
    bench = Bench([0.0])
    bench.holder.open()
    bench.chip.nacks = 10**6
    with pytest.raises(SourceError):
        bench.holder.settle(1.0, 60.0, lambda held: None)


class Late(Reference5A):
    """A reference whose display follows after a while, and that sends by itself."""

    name = "late"

    def __init__(self, bench: "Bench", seconds: float) -> None:
        super().__init__(bench)
        self._seconds = seconds
        self._seen: list[tuple[float, float]] = []

    def stream(self) -> Iterator[Reading]:
        while True:
            now_ns = self.bench.clock.monotonic_ns()
            self._seen.append((now_ns * 1e-9, self.bench.load.amps))
            then = [amps for at, amps in self._seen if at <= now_ns * 1e-9 - self._seconds]
            yield Reading(volts=5.0, amps=then[-1] if then else 0.0, at_ns=now_ns)


class Watched(Bench):
    """Its meters are read on while the person turns the load."""

    def ask(self, question: str) -> str:
        for _ in range(100):
            self.holder.look()
        answer = super().ask(question)
        for _ in range(30):
            self.holder.look()
        return answer


def test_a_reference_that_lags_is_aligned_by_the_steps_of_the_load():
    bench = Watched([0.0, 0.3, 1.0, 0.5])
    bench.holder.reference = Tape(Late(bench, 0.84), 50.0, bench.clock)
    points = [point for point in bench.points() if point.channel == "amps"]
    assert bench.holder.alignment is not None
    assert bench.holder.alignment.offset_s == pytest.approx(0.84, abs=0.05)
    assert any("0.84 s behind the meter" in text for text in bench.said)
    assert [point.reference for point in points] == [0.0, 0.3, 1.0, 0.5]


def test_a_reference_of_another_load_is_doubted_aloud():
    bench = Watched([0.0, 0.3, 1.0])
    other = Tape(Reference5A(bench), 50.0, bench.clock)
    wander = iter(range(10**6))
    other.meter.read = lambda: Reading(volts=5.0, amps=0.2 + 0.1 * (next(wander) // 600 % 2))
    bench.holder.reference = other
    bench.points()
    assert bench.holder.alignment is None
    assert any("taken to be in step" in text for text in bench.said)


def test_a_reference_that_says_something_once_a_second_gets_the_time_it_needs():
    bench = Bench([0.0, 0.5])
    slow = Tape(Reference5A(bench), 50.0, bench.clock)
    reads = iter(range(10**6))
    slow.meter.read = lambda: Reading(volts=5.0, amps=bench.load.amps, fresh=next(reads) % 50 == 0)
    bench.holder.reference = slow
    points = [point for point in bench.points() if point.channel == "amps"]
    assert [point.reference for point in points] == [0.0, 0.5]


class Parts(Reference5A):
    """Two meters in one."""

    def channels(self):
        parts = [Reference5A(self.bench) for _ in range(2)]
        for number, part in enumerate(parts):
            part.name = f"perfect/{number}"
        return parts


def test_of_a_source_made_of_parts_one_is_named():
    bench = Bench([])
    tape = Tape(Parts(bench), 10.0, bench.clock, "perfect/1")
    tape.open()
    tape.look()
    assert (tape.identity, tape.said[-1].reading.volts) == ("perfect/1", 5.0)
    for wrong in ("", "perfect/2"):
        with pytest.raises(SpecError, match="name one with --channel: perfect/0, perfect/1"):
            Tape(Parts(bench), 10.0, bench.clock, wrong).open()
    with pytest.raises(SpecError, match="has no parts"):
        Tape(Reference5A(bench), 10.0, bench.clock, "perfect/1").open()


def test_both_are_read_on_while_somebody_does_something_else():
    bench = Bench([])
    bench.holder.open()
    with bench.holder.looking():
        deadline = time.monotonic() + 5
        while len(bench.holder.meter.said) < 3 and time.monotonic() < deadline:
            pass
    assert len(bench.holder.meter.said) >= 3


def test_the_residuals_are_a_picture(tmp_path):
    points = [Point("amps", x, 1.02 * x + y) for x, y in ((0.0, 0), (0.5, 1e-3), (1.0, -1e-3), (0.2, 0))]
    picture = ET.fromstring(residuals(fit_all(points, Facts(), Reference("it"))))
    assert len(picture.findall(".//{http://www.w3.org/2000/svg}circle")) == 4
    assert all(
        math.isfinite(float(c.get("cy", "nan"))) for c in picture.iter("{http://www.w3.org/2000/svg}circle")
    )


POINTS = (
    "channel,shown,reference\namps,0.001,0\namps,0.2,0.203\namps,0.5,0.506\namps,0.8,0.809\namps,1,1.011\n"
)


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.csv").write_text(POINTS)
    return tmp_path


def test_points_in_a_file_become_a_card_without_a_question(desk):
    arguments = [
        "sim:pi4",
        "--points",
        "p.csv",
        "--reference",
        "Fluke 17B+",
        "--amps-accuracy",
        "1.5%+3*0.001",
    ]
    done = CliRunner().invoke(calibrate, [*arguments, "--celsius", "22", "--plot", "r.svg"])
    assert done.exit_code == 0, done.output
    assert "before" in done.output
    (card,) = cards.load_all()
    assert (card.identity, card.reference.name, card.celsius) == ("sim:pi4", "Fluke 17B+", 22.0)
    assert card.reference.amps == Band(0.015, pytest.approx(0.003), 0.001)
    assert len(card.points) == 5
    ET.parse(desk / "r.svg")
    CliRunner().invoke(calibrate, [*arguments, "--card", "mine.json"])
    assert cards.load(desk / "mine.json").model == card.model


@pytest.mark.parametrize(
    ("arguments", "kind", "reason"),
    [
        (["sim:pi4", "--points", "p.csv", "--reference", "x"], SpecError, "accuracy is not known"),
        (["sim:pi4,sim:pi5", "--points", "p.csv", "--amps-accuracy", "1%"], SpecError, "several sources"),
        (["sim:pi4", "--points", "bad.csv", "--amps-accuracy", "1%"], CalibrationError, "outside 0.9 "),
        (["sim:pi4", "--points", "p.csv", "--amps-accuracy", "one"], CalibrationError, "not understood"),
        (["sim:pi4", "--points", "p.csv", "--reference", "nothing@1"], SpecError, "nothing"),
    ],
)  # fmt: skip
def test_what_cannot_be_calibrated_writes_no_card(desk, arguments, kind, reason):
    (desk / "bad.csv").write_text("channel,shown,reference\namps,0,0\namps,1,10\n")
    done = CliRunner().invoke(calibrate, arguments)
    assert isinstance(done.exception, kind)
    assert reason in str(done.exception)
    assert cards.load_all() == []
