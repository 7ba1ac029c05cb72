"""The guided calibration, on an emulated chip, with a script in the place of the person."""

import math
import struct
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from devices import ina
from devices.waves import Steps

from energymeter.calibration import card as cards
from energymeter.calibration.charge import charge_line, read_counter
from energymeter.calibration.clock_gain import clock_gain
from energymeter.calibration.fitting import fit_all
from energymeter.calibration.plot import draw
from energymeter.calibration.points import Point, Reference, read_csv, write_csv
from energymeter.calibration.procedure import Settings, guided, table
from energymeter.calibration.source_buffer import ReadingBuffer
from energymeter.calibration.steady_load import SteadyLoad
from energymeter.cli import calibrate_charge
from energymeter.cli.calibrate import calibrate
from energymeter.clock import Clock, ManualClock, SystemClock
from energymeter.drivers.emulated.ina219 import Ina219Chip
from energymeter.drivers.ina219 import Ina219
from energymeter.drivers.ina228 import Ina228
from energymeter.errors import CalibrationError, ExtraMissing, SourceError, SourceTimeout, SpecError
from energymeter.reading import Band, Facts, Reading
from energymeter.recordings.trace import Trace
from energymeter.sampling.config import SourceConfig
from energymeter.source import Counters


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
        reference = ReadingBuffer(Reference5A(self), 50.0, self.clock) if measured else None
        self.steady = SteadyLoad(ReadingBuffer(self.meter, 50.0, self.clock), reference, 50.0, self.clock)
        self.loads, self.answers, self.said, self.lines = loads, answers or [], [], []
        self.asked: list[str] = []

    def ask(self, question: str) -> str:
        self.asked.append(question)
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
        self.steady.open()
        return guided(self.steady, self, Settings(1.0, 21.0), [], keep)


def test_a_meter_next_to_a_better_one_is_calibrated_load_by_load():
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


def test_the_zero_comes_first_and_then_the_loads():
    bench = Bench([0.0, 0.5, 1.0])
    bench.points()
    first, *later = bench.asked
    assert first.startswith("disconnect the load and leave the supply on")
    assert later
    assert all(question.startswith("change to the next load") for question in later)


def test_readings_typed_in_and_resistors_serve_as_well():
    bench = Bench([0.0, 0.5], ["5.0", "", "5.0", "x", "10ohm"], measured=False)
    amps = [point for point in bench.points() if point.channel == "amps"]
    assert [point.reference for point in amps] == [0.0, 0.5]
    assert any("'x' is not a number" in text for text in bench.said)
    assert all(point.celsius == 21.0 for point in amps)


def test_a_load_that_never_stands_still_is_not_taken():
    bench = Bench([0.0])
    read = bench.meter.read
    drift = iter(range(10**6))
    drifting = type("Drifting", (), {
        "name": "drifting", "facts": bench.meter.facts, "open": lambda s: bench.meter.open(),
        "close": lambda s: None, "read": lambda s: read()._replace(amps=0.1 + 1e-3 * next(drift)),
    })()  # fmt: skip
    bench.steady.meter = ReadingBuffer(drifting, 50.0, bench.clock)
    assert bench.points() == []
    assert any("was not steady" in text for text in bench.said)


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


def test_a_meter_that_is_gone_is_reported():
    bench = Bench([0.0])
    bench.steady.open()
    bench.chip.nacks = 10**6
    with pytest.raises(SourceError):
        bench.steady.means(1.0, 60.0, lambda held: None)


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


class ReadMeanwhile(Bench):
    """A bench whose meters are read while the person changes the load."""

    def ask(self, question: str) -> str:
        for _ in range(100):
            self.steady.update()
        answer = super().ask(question)
        for _ in range(30):
            self.steady.update()
        return answer


def test_a_reference_that_lags_is_aligned_by_the_steps_of_the_load():
    bench = ReadMeanwhile([0.0, 0.3, 1.0, 0.5])
    bench.steady.reference = ReadingBuffer(Late(bench, 0.84), 50.0, bench.clock)
    points = [point for point in bench.points() if point.channel == "amps"]
    assert bench.steady.alignment is not None
    assert bench.steady.alignment.offset_s == pytest.approx(0.84, abs=0.05)
    assert any("0.84 s behind the meter" in text for text in bench.said)
    assert [point.reference for point in points] == [0.0, 0.3, 1.0, 0.5]


class LateWatts(Late):
    """And that shows no current."""

    def stream(self) -> Iterator[Reading]:
        for reading in super().stream():
            yield Reading(watts=5.0 * reading.amps, at_ns=reading.at_ns)


def test_a_reference_without_current_is_aligned_by_its_watts():
    bench = ReadMeanwhile([0.0, 0.3, 1.0, 0.5], [""] * 20)  # its volts and amps are not asked for
    bench.steady.reference = ReadingBuffer(LateWatts(bench, 0.84), 50.0, bench.clock)
    bench.points()
    assert bench.steady.behind_s == pytest.approx(0.84, abs=0.1)


def test_a_reference_of_another_load_causes_a_warning():
    bench = ReadMeanwhile([0.0, 0.3, 1.0])
    other = ReadingBuffer(Reference5A(bench), 50.0, bench.clock)
    wander = iter(range(10**6))
    other.meter.read = lambda: Reading(volts=5.0, amps=0.2 + 0.1 * (next(wander) // 600 % 2))
    bench.steady.reference = other
    bench.points()
    assert bench.steady.alignment is None
    assert any("may come later than the meter" in text for text in bench.said)


def test_a_reference_that_says_something_once_a_second_gets_the_time_it_needs():
    bench = Bench([0.0, 0.5])
    slow = ReadingBuffer(Reference5A(bench), 50.0, bench.clock)
    reads = iter(range(10**6))
    slow.meter.read = lambda: Reading(volts=5.0, amps=bench.load.amps, fresh=next(reads) % 50 == 0)
    bench.steady.reference = slow
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
    buffer = ReadingBuffer(Parts(bench), 10.0, bench.clock, "perfect/1")
    buffer.open()
    buffer.update()
    assert (buffer.identity, buffer.readings[-1].reading.volts) == ("perfect/1", 5.0)
    for wrong in ("", "perfect/2"):
        with pytest.raises(SpecError, match="name one with --channel: perfect/0, perfect/1"):
            ReadingBuffer(Parts(bench), 10.0, bench.clock, wrong).open()
    with pytest.raises(SpecError, match="has one channel"):
        ReadingBuffer(Reference5A(bench), 10.0, bench.clock, "perfect/1").open()


def test_both_are_read_on_while_somebody_does_something_else():
    bench = Bench([])
    bench.steady.open()
    with bench.steady.in_background():
        deadline = time.monotonic() + 5
        while len(bench.steady.meter.readings) < 3 and time.monotonic() < deadline:
            pass
    assert len(bench.steady.meter.readings) >= 3


FITS = fit_all(
    [Point("amps", x, 1.02 * x + y) for x, y in ((0.0, 0), (0.5, 1e-3), (1.0, -1e-3), (0.2, 0))],
    Facts(),
    Reference("it"),
)


def test_the_residuals_are_a_picture(tmp_path):
    draw(FITS, str(tmp_path / "r.svg"))
    circles = list(ET.parse(tmp_path / "r.svg").iter("{http://www.w3.org/2000/svg}circle"))
    assert len(circles) == 4
    assert all(math.isfinite(float(circle.get("cy", "nan"))) for circle in circles)
    with pytest.raises(CalibrationError, match="cannot be written"):
        draw(FITS, str(tmp_path / "none" / "r.svg"))


def test_a_png_is_drawn_by_matplotlib(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: no PNG is drawn")
    from matplotlib.figure import Figure

    kept, save = [], Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda figure, *to, **how: kept.append(figure) or save(figure, *to, **how)
    )
    draw(FITS, str(tmp_path / "r.PNG"))
    content = (tmp_path / "r.PNG").read_bytes()
    assert content.startswith(b"\x89PNG\r\n")
    assert struct.unpack(">2I", content[16:24]) == (960, 540), "6.4 by 3.6 inches at 150 dpi"
    ((axes,),) = (figure.axes for figure in kept)
    assert (axes.get_title(), axes.get_xlabel(), axes.get_ylabel()) == (
        "Reference minus calibrated reading",
        "reference, as a share of its largest",
        "residual, % of the largest",
    )
    zero, marks = axes.lines
    assert (list(zero.get_ydata()), zero.get_color(), zero.get_linewidth()) == ([0.0, 0.0], "#444", 0.8)
    assert (marks.get_marker(), marks.get_linestyle(), marks.get_color()) == ("o", "None", "#1b6ca8")
    assert list(marks.get_xdata()) == pytest.approx([0.0, 0.511 / 1.019, 1.0, 0.204 / 1.019])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["amps"]


def test_a_png_without_matplotlib_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ExtraMissing, match="edge-energymeter\\[plot\\]"):
        draw(FITS, str(tmp_path / "r.png"))
    assert not (tmp_path / "r.png").exists()


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


def test_the_zero_needs_no_reference_and_what_is_not_known_is_left_out(desk):
    (desk / "zero.csv").write_text("channel,shown,reference\namps,0.001,0\n")
    done = CliRunner().invoke(calibrate, ["sim:pi4", "--points", "zero.csv"])
    assert done.exit_code == 0, done.output
    assert "the zero was taken" in done.output
    (desk / "p.csv").write_text(POINTS + "volts,5.08,5.1\nvolts,5.08,5.1\n")
    done = CliRunner().invoke(calibrate, ["sim:pi4", "--points", "p.csv", "--amps-accuracy", "1%"])
    assert "volts are left as they are" in done.output
    (card,) = cards.load_all()
    assert card.model.volts is None
    assert {point.channel for point in card.points} == {"amps"}


@pytest.mark.parametrize(
    ("arguments", "kind", "reason"),
    [
        (["sim:pi4", "--points", "p.csv", "--reference", "x"], CalibrationError, "accuracy of the reference"),
        (["sim:pi4,sim:pi5", "--points", "p.csv", "--amps-accuracy", "1%"], SpecError, "several sources"),
        (["sim:pi4", "--points", "bad.csv", "--amps-accuracy", "1%"], CalibrationError, "outside 0.9 "),
        (["sim:pi4", "--points", "p.csv", "--amps-accuracy", "one"], CalibrationError, "not understood"),
        (["sim:pi4", "--points", "p.csv", "--reference", "nothing@1"], SpecError, "nothing"),
        (["sim:pi4", "--counted", "p.csv"], SpecError, "with --log"),
        (["sim:pi4", "--counter", "bucket"], SpecError, "bucket is not a meter"),
    ],
)  # fmt: skip
def test_what_cannot_be_calibrated_writes_no_card(desk, arguments, kind, reason):
    (desk / "bad.csv").write_text("channel,shown,reference\namps,0,0\namps,1,10\n")
    done = CliRunner().invoke(calibrate, arguments)
    assert isinstance(done.exception, kind)
    assert reason in str(done.exception)
    assert cards.load_all() == []


class Counter:
    """A meter in the same wire that counts whole mAh, 0.5 A forever."""

    name = "usb"
    facts = Facts(amps=Band(0.005))

    def __init__(self, clock: Clock) -> None:
        self.clock, self.reads, self._last = clock, 0, 0.0

    def open(self) -> None: ...
    def close(self) -> None: ...
    def read(self) -> Reading:
        self.reads += 1
        if self.reads % 50 == 7:
            raise SourceTimeout("no answer")
        self._last = 3.6 * math.floor(0.5 * self.clock.monotonic_ns() * 1e-9 / 3.6)
        return Reading(volts=5.0)

    def counters(self) -> Counters:
        return Counters(None, self._last)


def test_what_a_counter_says_is_kept_with_its_time():
    clock, shown = ManualClock(), []
    times, counts = calibrate_charge._counting(Counter(clock), 0.5, clock, shown.append)
    assert len(times) == len(counts) == pytest.approx(3600 * 0.98, rel=0.01)
    assert counts[-1] - counts[0] == pytest.approx(900, abs=3.7)
    assert any("the counter did not answer: no answer" in text for text in shown)
    charge = calibrate_charge.Charge(times, [0.49 * at for at in times], 1800.0, (times, counts))
    facts = Facts(amps=Band(0.02, 2e-3))
    assert charge.line(facts, Band(0.001), []).gain == pytest.approx(0.5 / 0.49, rel=1e-3)
    with pytest.raises(CalibrationError, match=r"missed 100.0 of 1800 s"):
        charge._replace(covered_s=charge.times_s[-1] - charge.times_s[0] - 100).line(facts, Band(), [])


def test_ctrl_c_takes_what_was_counted():
    class Impatient(ManualClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if self.monotonic_ns() > 600e9:
                raise KeyboardInterrupt

    clock = Impatient()
    times, _ = calibrate_charge._counting(Counter(clock), 1.0, clock, lambda text: None)
    assert times[-1] - times[0] == pytest.approx(600, rel=0.01)


def test_a_meter_is_sampled_next_to_its_counter(monkeypatch):
    monkeypatch.setattr(calibrate_charge, "_READ_SECONDS", 0.005)
    clock = SystemClock()
    steady = Reference5A(Bench([]))
    charge = calibrate_charge.watched(
        SourceConfig(steady, 50.0), Counter(clock), "", 0.1 / 3600, clock, print
    )
    assert charge.covered_s > 0
    assert len(charge.counted[0]) > 0
    with pytest.raises(SpecError, match="name one with --channel: perfect"):
        calibrate_charge.watched(SourceConfig(steady), Counter(clock), "other", 0.1 / 3600, clock, print)


def test_a_meter_that_counts_nothing_is_no_counter():
    steady = Reference5A(Bench([]))
    with pytest.raises(SpecError, match="perfect counts no charge"):
        calibrate_charge.watched(SourceConfig(steady), steady, "", 1.0, ManualClock(), print)


def test_a_log_and_a_counter_s_table_become_a_card(desk):
    """Half an ampere for half an hour; the meter shows 2 % too little."""
    times = np.arange(0, 1800.5, 0.5)
    Trace.integrate(times, volts=np.full(len(times), 5.0), amps=np.full(len(times), 0.5 / 1.02)).save(
        "run.csv"
    )
    rows = [f"{t:.1f},{math.floor(0.5 * t / 3.6)}" for t in range(0, 1800, 2)]
    (desk / "usb.csv").write_text("\n".join(["time_s,mah", *rows]))
    (desk / "zero.csv").write_text("channel,shown,reference\namps,0.0001,0\n")
    arguments = ["sim:pi4", "--counted", "usb.csv", "--amps-accuracy", "0.5%"]
    done = CliRunner().invoke(calibrate, [*arguments, "--log", "run.csv", "--points", "zero.csv"])
    assert done.exit_code == 0, done.output + str(done.exception)
    assert "at a mean of 0.490 A" in done.output
    (card,) = cards.load_all()
    line = card.model.amps[""]
    assert line.at(0.5 / 1.02) == pytest.approx(0.5, rel=2e-3)
    assert line.offset == pytest.approx(-1e-4)
    with pytest.raises(SpecError, match="--log"):
        CliRunner().invoke(calibrate, arguments, catch_exceptions=False)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("when,mah\n0,1\n", "must name time_s"),
        ("time_s,mah\n0,1\n0,2\n", "line 3: times must rise"),
        ("time_s,mah\n0,x\n", "line 2"),
        ("time_s,mah\n", "no reading"),
        ("time_s,mah\n0\n", "line 2"),
    ],
)
def test_a_counter_s_table_that_makes_no_sense_is_reported(tmp_path, text, reason):
    path = tmp_path / "usb.csv"
    path.write_text(text)
    with pytest.raises(CalibrationError, match=reason):
        read_counter(str(path))
    with pytest.raises(CalibrationError, match="cannot be read"):
        read_counter(str(tmp_path / "none.csv"))


def test_without_a_zero_the_offset_stays_as_uncertain_as_the_data_sheet_says():
    times = [float(t) for t in range(0, 3600, 2)]
    mine = [0.5 * t for t in times]
    counted = (times, [3.6 * math.floor(0.5 * t / 3.6) for t in times])
    line = charge_line(times, mine, counted, Band(0.01, 2e-3), Band(0.001))
    assert line.uncertainty(0.0) == pytest.approx(2e-3 / math.sqrt(3))
    assert line.uncertainty(0.5) < 1e-3


@pytest.mark.parametrize("oscillator", [1.0, 1.004, 0.997])
def test_a_chip_s_own_clock_is_found_whatever_its_shunt(oscillator):
    clock = ManualClock()
    chip = ina.Ina228([Steps([(1.0, 0.8)], 5.0)], clock.monotonic_ns, [0.01512])
    chip.oscillator = oscillator
    buffer = ReadingBuffer(Ina228(shunt=0.015, wire=chip, clock=clock), 10.0, clock)
    buffer.open()
    found = clock_gain(buffer, clock, 0.05, lambda text: None)
    assert found.gain == pytest.approx(1 / oscillator, abs=max(4 * found.uncertainty, 2e-5))
    assert found.uncertainty < 1e-3


def test_a_clock_is_found_around_readings_that_fail():
    clock = ManualClock()
    chip = ina.Ina228([Steps([(1.0, 0.8)], 5.0)], clock.monotonic_ns, [0.01512])
    chip.oscillator = 1.004
    buffer = ReadingBuffer(Ina228(shunt=0.015, wire=chip, clock=clock), 10.0, clock)
    buffer.open()
    said = []

    def report(text):
        said.append(text)
        if len(said) in (20, 40):
            chip.nacks = 2

    found = clock_gain(buffer, clock, 0.05, report)
    assert found.gain == pytest.approx(1 / 1.004, abs=max(4 * found.uncertainty, 2e-5))
    assert 1 <= sum("did not answer" in text for text in said) <= 4
    assert len(said) > 300, "180 s, two readings a second"
    assert said[-1].endswith("s on the meter's clock")
    assert float(said[-1].split()[0]) == pytest.approx(180 * 1.004, abs=3)


def test_only_a_meter_that_counts_has_a_clock_to_compare():
    bench = Bench([])
    buffer = ReadingBuffer(Reference5A(bench), 10.0, bench.clock)
    with pytest.raises(SpecError, match="clock of perfect cannot be compared"):
        clock_gain(buffer, bench.clock, 1.0, print)


def test_a_table_is_of_limited_size(tmp_path, monkeypatch):
    monkeypatch.setattr("energymeter.recordings.textfile.MOST_CHARACTERS", 1_000_000)
    path = tmp_path / "x.csv"
    path.write_text("channel,shown,reference\n" + "amps,1,1\n" * 150_000)
    for reader in (read_csv, read_counter):
        with pytest.raises(CalibrationError, match="larger than 1 MB of text"):
            reader(str(path))
        with pytest.raises(CalibrationError, match=r"its first line must name|it is not text"):
            reader("/dev/zero")


@pytest.mark.parametrize("number", ["nan", "1e308", "inf", "x"])
def test_points_that_are_no_numbers_are_refused(tmp_path, number):
    path = tmp_path / "x.csv"
    path.write_text(f"channel,shown,reference\namps,0,0\namps,1,{number}\n")
    with pytest.raises(CalibrationError, match=r"line 3: (reference must be a number|could not convert)"):
        read_csv(str(path))


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("time_s,mah,Charge (mAh)\n0,1,2\n60,2,4\n", "2 columns of charge"),
        ("time_s,channel,mah\n0,1,1\n1,2,10\n60,1,2\n61,2,11\n", "several counters by 'channel', 1, 2"),
    ],
)
def test_a_table_of_several_counters_is_asked_about(tmp_path: Path, text: str, asked: str) -> None:
    path = tmp_path / "counter.csv"
    path.write_text(text)
    with pytest.raises(CalibrationError, match=asked):
        read_counter(str(path))


def test_of_a_recording_of_several_channels_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    titles = "time_s,gpu,voltage_V,current_A\n"
    Path("log.csv").write_text(
        titles + "".join(f"{i},{gpu},5,{gpu + 1}\n" for i in range(121) for gpu in (0, 1))
    )
    Path("counter.csv").write_text(
        "time_s,mah\n" + "".join(f"{i},{i / 1.2:.6f}\n" for i in range(0, 121, 10))
    )
    with pytest.raises(CalibrationError, match="name the meter's with --channel: gpu 0, gpu 1"):
        calibrate_charge.recorded("log.csv", "counter.csv", "")
    assert calibrate_charge.recorded("log.csv", "counter.csv", "gpu 1").coulombs[-1] == pytest.approx(2 * 120)
