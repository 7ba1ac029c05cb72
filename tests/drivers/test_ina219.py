"""The INA219 driver on the emulated chip: every number that it says, and every way it may go wrong."""

import errno
import json
import logging
import math
import sys
from types import ModuleType

import pytest
from devices.real_recordings import recording
from devices.waves import Square, Steps, steady
from hypothesis import given, settings
from hypothesis import strategies as st

from energymeter.clock import ManualClock
from energymeter.drivers.emulated.ina219 import Ina219Chip, Load
from energymeter.drivers.ina219 import Ina219
from energymeter.errors import ExtraMissing, ImplausibleReading, SourceError, SourceMissing, SpecError
from energymeter.reading import Reading
from energymeter.source import Source
from energymeter.testing import check_source, check_unplugged

WIDEST, NARROWEST = 3, 0


class Bench:
    """A driver on an emulated chip, and the clock that both live by."""

    def __init__(
        self,
        load: Load,
        rate_hz: float = 100.0,
        slowness: float = 1.0,
        start: bool = True,
        **options: float | str,
    ) -> None:
        self.clock = ManualClock()
        shunt = float(options.get("shunt", 0.1))
        self.chip = Ina219Chip(load, self.clock.monotonic_ns, shunt=shunt, slowness=slowness)
        self.source = Ina219(wire=self.chip, clock=self.clock, **options)  # type: ignore[arg-type]
        self.source.tune(rate_hz)
        self.period = 1 / rate_hz
        if start:
            self.source.open()

    def sample(self) -> Reading:
        self.clock.sleep(self.period)
        return self.source.read()

    def fresh(self, count: int = 1) -> list[Reading]:
        """That many fresh samples."""
        readings: list[Reading] = []
        while len(readings) < count:
            reading = self.sample()
            if reading.fresh:
                readings.append(reading)
        return readings

    @property
    def gain(self) -> int:
        self.chip.read_word_data(0x40, 0)
        word = self.chip.read_word_data(0x40, 0)
        return ((word & 0xFF) << 8 | word >> 8) >> 11 & 3


def test_it_is_a_source() -> None:
    source = Ina219("1:0x45")
    assert isinstance(source, Source)
    assert source.name == "ina219@1:0x45"
    assert "0.1 ohm" in source.identity


def test_conforms() -> None:
    bench = Bench(steady(1.0), start=False)
    check_source(lambda: Ina219(wire=bench.chip, clock=bench.clock))
    bench.chip.nacks = 1000
    check_unplugged(lambda: Ina219(wire=bench.chip, clock=bench.clock))


@pytest.mark.parametrize("shunt", [0.1, 0.05, 0.01, 0.002])
@pytest.mark.parametrize("amps", [0.0123, -0.5, 2.9])
def test_volts_and_amps(shunt: float, amps: float) -> None:
    reading = Bench(steady(amps, volts=5.1), shunt=shunt).sample()
    assert reading.amps == pytest.approx(amps, abs=5.1e-6 / shunt)
    assert reading.volts == pytest.approx(5.1, abs=0.016)  # 9 bit at this rate
    assert reading.watts is None


@given(
    amps=st.floats(-3.15, 3.15),
    volts=st.floats(0, 26),
    rate=st.sampled_from([1.0, 10.0, 50.0, 200.0, 1000.0]),
)
@settings(deadline=None, max_examples=60)
def test_any_steady_draw_is_read_to_half_a_step(amps: float, volts: float, rate: float) -> None:
    bench = Bench(steady(amps, volts), rate)
    for reading in bench.fresh(3):
        assert reading.amps == pytest.approx(amps, abs=5.1e-5)
        assert reading.volts == pytest.approx(volts, abs=0.0161)


@given(st.lists(st.tuples(st.floats(0.001, 0.02), st.floats(0, 3.1)), min_size=2, max_size=12))
@settings(deadline=None, max_examples=60)
def test_a_reading_is_the_mean_over_its_conversion(steps: list[tuple[float, float]]) -> None:
    """Whatever the current does, the reading is its exact mean while the shunt was looked at."""
    wave = Steps(steps)
    bench = Bench(wave, 50)
    began = bench.clock.monotonic_ns()
    reading = bench.sample()
    edge = began + 32 * 532_000
    mean = wave.charge(edge) / (edge / 1e9)
    assert reading.amps == pytest.approx(mean, abs=6e-5)


def test_golden_words() -> None:
    path = recording("wire/ina219_registers_golden.json")
    golden = json.loads(path.read_text())
    example = golden["datasheet_example"]
    reading = read_words(int(example["bus"], 16) | 2, int(example["shunt"], 16), shunt=0.002)
    assert reading.volts == pytest.approx(example["expect"]["bus_V"])
    assert reading.amps == pytest.approx(example["expect"]["current_A"])
    for case in golden["pi_ina219_tests"]["cases"]:
        if "volt" in case:
            assert read_words(int(case["bus"], 16) | 2, 0).volts == pytest.approx(case["volt"])
        if "mV" in case:
            amps = read_words(2, int(case["shunt"], 16)).amps
            assert amps == pytest.approx(case["mV"] / 1000 / 0.1)
        if "cnvr" in case:
            assert read_words(int(case["bus"], 16), 0).fresh is case["cnvr"]


def read_words(bus: int, shunt_word: int, shunt: float = 0.1) -> Reading:
    """What the driver makes of two register words."""

    class Words:
        def read_word_data(self, i2c_addr: int, register: int) -> int:
            word = {1: shunt_word, 2: bus, 3: 0}[register]
            return (word & 0xFF) << 8 | word >> 8

        def write_word_data(self, i2c_addr: int, register: int, value: int) -> None:
            assert register == 0

        def i2c_rdwr(self, *i2c_msgs: object) -> None:
            raise AssertionError

        def close(self) -> None:
            raise AssertionError

    source = Ina219(shunt=shunt, wire=Words(), clock=ManualClock())
    source.open()
    return source.read()


# How it samples.


def test_three_words_a_sample_and_one_for_a_duplicate() -> None:
    bench = Bench(steady(1.0))
    bench.sample()
    before = bench.source.moved_bytes
    assert bench.sample().fresh
    assert bench.source.moved_bytes - before == 3 * 5
    before = bench.source.moved_bytes
    assert bench.source.read() == Reading(fresh=False)
    assert bench.source.moved_bytes - before == 5


def test_first_read_waits_for_the_first_conversion() -> None:
    bench = Bench(steady(1.0), rate_hz=10)
    assert bench.source.read().amps == pytest.approx(1.0, abs=1e-4)
    assert bench.clock.monotonic_ns() < 0.1e9


@pytest.mark.parametrize("rate", [1, 5, 10, 20, 50, 58, 100, 117, 200, 400, 500, 1000, 1600])
@pytest.mark.parametrize("slowness", [1.0, 1.099])
def test_every_sample_at_the_tuned_rate_is_fresh(rate: float, slowness: float) -> None:
    bench = Bench(steady(1.0), rate, slowness)
    bench.fresh(40)  # until the gain has settled
    assert all(bench.sample().fresh for _ in range(60))


def test_reading_five_times_too_often_gives_duplicates_only_in_between() -> None:
    bench = Bench(steady(1.0), 50)
    bench.fresh(40)
    bench.period /= 5
    fresh = [bench.sample().fresh for _ in range(500)]
    assert sum(fresh) == pytest.approx(500 * 0.004 / 0.017556, abs=2)


@given(st.floats(1, 105))
def test_looks_at_most_of_the_period_with_the_finest_bus_voltage(rate: float) -> None:
    bench = Bench(steady(1.0), rate)
    _, config = bench.chip.writes[-1]
    looks = 532e-6 * {15: 128, 14: 64, 13: 32, 12: 16, 11: 8}[config >> 3 & 15]
    bus = {0: 84e-6, 1: 148e-6, 2: 276e-6, 3: 532e-6}[config >> 7 & 15]
    assert bus >= 276e-6
    assert (looks + bus) * 1.099 <= 1 / rate, "the slowest chip too has a result for every sample"
    if rate > 13.3:
        assert looks * rate > 0.44, "the averages come in powers of two"
    facts = bench.source.facts
    if looks * rate > 0.46:
        assert facts.semantics == "mean"
        assert (facts.duty, facts.latency) == pytest.approx((looks * rate, (looks + bus) * rate), rel=1e-3)
    if looks * rate < 0.44:
        assert (facts.semantics, facts.duty, facts.latency) == ("instant", 0.0, 0.0)


@pytest.mark.parametrize(
    ("rate", "semantics", "volts", "amps"),
    [
        (1, "instant", 0.004, 1e-4),
        (10, "mean", 0.004, 1e-4),
        (50, "mean", 0.004, 1e-4),
        (100, "mean", 0.004, 1e-4),
        (900, "mean", 0.008, 1e-4),
        (1125, "mean", 0.008, 1e-4),
        (1600, "mean", 0.008, 2e-4),
        (2000, "mean", 0.008, 4e-4),
    ],
)
def test_facts_follow_the_rate(rate: float, semantics: str, volts: float, amps: float) -> None:
    source = Ina219()
    source.tune(rate)
    facts = source.facts
    assert facts.semantics == semantics
    assert facts.volts is not None
    assert facts.amps is not None
    assert (facts.volts.resolution, facts.amps.resolution) == pytest.approx((volts, amps))


def test_facts_hold_the_limits_of_chip_and_shunt() -> None:
    amps = Ina219(shunt=0.1, tolerance=0.01).facts.amps
    assert amps is not None
    assert amps.gain == pytest.approx(math.hypot(0.005, 0.01))
    assert amps.offset == pytest.approx(2e-3)
    assert amps.resolution == pytest.approx(1e-4)
    small = Ina219(shunt=0.01, tolerance=0).facts.amps
    assert small is not None
    assert (small.gain, small.offset) == pytest.approx((0.005, 20e-3))


def test_charge_of_a_pulsed_load_is_right() -> None:
    """A 1.7 ms square wave, asynchronous to everything: the mean of the samples is the mean current."""
    bench = Bench(Square(0.0017, high=1.6, low=0.2), 50)
    amps = [r.amps or 0.0 for r in bench.fresh(100)]
    assert sum(amps) / 100 == pytest.approx(0.9, rel=0.005)


# The gain.


def test_starts_widest_and_narrows_for_a_small_current() -> None:
    bench = Bench(steady(0.05), 100)
    assert bench.gain == WIDEST
    bench.fresh(100)
    assert bench.gain == NARROWEST


def test_widens_and_narrows_with_the_load_and_never_says_a_clipped_number() -> None:
    wave = Steps([(2.0, 0.05), (2.0, 3.0), (9.0, 0.05)])
    bench = Bench(wave, 100)
    gains = set()
    while bench.clock.monotonic_ns() < 6e9:
        reading = bench.sample()
        now = bench.clock.monotonic_ns() / 1e9
        gains.add((round(now), bench.gain))
        if not reading.fresh or min(abs(now - 2.0), abs(now - 4.0)) < 0.05:
            continue
        assert reading.amps == pytest.approx(3.0 if 2 < now < 4 else 0.05, abs=1e-4)
    assert {(1, NARROWEST), (3, WIDEST), (6, NARROWEST)} <= gains


def test_clipped_sample_is_taken_again_within_the_same_read() -> None:
    bench = Bench(Steps([(2.0, 0.05), (9.0, 3.0)]), 100)
    while bench.clock.monotonic_ns() < 2.02e9:
        bench.clock.sleep(0.01)
        if bench.clock.monotonic_ns() < 2e9:
            bench.source.read()
    assert bench.gain == NARROWEST
    assert bench.source.read().amps == pytest.approx(3.0, abs=1e-4)
    assert bench.gain == WIDEST


def test_widens_before_it_clips() -> None:
    bench = Bench(Steps([(2.0, 0.05), (9.0, 0.37)]), 100)
    while bench.clock.monotonic_ns() < 2.5e9:
        bench.sample()
    assert bench.gain == NARROWEST + 1


@pytest.mark.slow
@given(st.lists(st.tuples(st.floats(0.05, 0.6), st.floats(-3.19, 3.19)), min_size=1, max_size=8))
@settings(deadline=None, max_examples=40)
def test_single_conversions_are_never_silently_clipped(steps: list[tuple[float, float]]) -> None:
    """Whatever the current jumps to, each reading is one that truly flowed during its conversion."""
    wave = Steps(steps)
    flowing = [amps for _, amps in steps]
    bench = Bench(wave, 1000)
    for _ in range(1500):
        reading = bench.sample()
        if reading.amps is not None:
            assert min(flowing) - 1e-4 <= reading.amps <= max(flowing) + 1e-4
            now = bench.clock.monotonic_ns()
            true = (wave.charge(now) - wave.charge(now - 2_000_000)) / 0.002
            settled = wave.charge(now - 2_000_000) - wave.charge(now - 4_000_000)
            if settled / 0.002 == pytest.approx(true, abs=1e-6):
                assert reading.amps == pytest.approx(true, abs=1e-3)


@pytest.mark.parametrize("amps", [3.3, -3.3])
def test_clipped_at_the_widest_range_is_an_error(amps: float) -> None:
    bench = Bench(steady(amps))
    for _ in range(3):
        with pytest.raises(SourceError, match=r"clipped at ±3.2 A: use a smaller shunt than 0.1 Ω"):
            bench.sample()


def test_max_amps_keeps_the_gain_wide_enough_for_spikes() -> None:
    """Spikes to 2 A in a mean of 55 mA: at a narrow gain each clips inside the average, unseen."""
    spiky = Steps([(0.0, 0.0)])
    bench = Bench(spiky, 50, max_amps=2.0)
    bench.fresh(200)
    assert bench.gain == WIDEST
    bench = Bench(spiky, 50, max_amps=0.7)
    bench.fresh(200)
    assert bench.gain == 1


# Trouble.


def test_brown_out_is_noticed_healed_and_counted() -> None:
    bench = Bench(steady(1.0), 100)
    bench.fresh(50)
    asked = bench.chip.writes[-1]
    bench.chip.brown_out()
    for reading in bench.fresh(60):
        assert reading.amps == pytest.approx(1.0, abs=1e-4), "right while still unnoticed"
    assert bench.source.resets == 1
    assert bench.chip.writes[-1] == asked


def test_calibration_register_is_neither_trusted_nor_touched() -> None:
    bench = Bench(steady(1.0))
    bench.chip.write_word_data(0x40, 5, 0xFEFF)
    before = len(bench.chip.writes)
    assert bench.sample().amps == pytest.approx(1.0, abs=1e-4), "an arithmetic overflow is not ours"
    assert all(register == 0 for register, _ in bench.chip.writes[:1] + bench.chip.writes[before:])


def test_gone_and_back_with_its_power_lost() -> None:
    bench = Bench(steady(1.0))
    bench.fresh(3)
    bench.chip.nacks = 2
    for _ in range(2):
        with pytest.raises(SourceMissing, match=r"nobody answers at 1:0x40 \(errno 121\)"):
            bench.sample()
    bench.chip.brown_out()
    bench.fresh(2)
    assert bench.source.resets == 1, "checked immediately, not half a second later"


def test_nobody_there_at_open() -> None:
    bench = Bench(steady(1.0), start=False)
    bench.chip.nacks, bench.chip.nack_errno = 1, errno.EREMOTEIO
    with pytest.raises(SourceMissing, match="check VCC"):
        bench.source.open()
    bench.source.close()
    bench.source.close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"shunt": 0.0}, "shunt=0 cannot be.*0.1 for a part marked R100"),
        ({"shunt": -0.1}, "shunt=-0.1 cannot be"),
        ({"shunt": math.nan}, "shunt=nan cannot be"),
        ({"shunt": math.inf}, "shunt=inf cannot be"),
        ({"tolerance": 1.0}, "tolerance=1 cannot be"),
        ({"max_amps": -1.0}, "max_amps=-1 cannot be"),
        ({"max_amps": 10.0}, r"more than the chip's ±0.32 V: use a shunt of at most 0.032 Ω"),
        ({"backend": "magic"}, "backend=magic is unknown: use registers or pi-ina219"),
    ],
)
def test_bad_options(options: dict[str, float], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        Ina219(**options)  # type: ignore[arg-type]


def test_wrong_shunt_is_explained() -> None:
    """Linux' default of 10 mΩ on a module of 100 mΩ: a Pi 4 at ten times its watts."""
    bench = Bench(steady(0.8, volts=5.0), start=False, shunt=0.1)
    wrong = Ina219(shunt=0.01, board="pi4", wire=bench.chip, clock=bench.clock)
    with pytest.raises(
        ImplausibleReading, match=r"reads 40 W with shunt=0.01, but .* Pi 4.*shunt=0.1 would fit"
    ):
        wrong.open()
    Ina219(shunt=0.1, board="pi4", wire=bench.chip, clock=bench.clock).open()


def test_board_that_draws_nothing_is_explained() -> None:
    bench = Bench(steady(0.0), start=False, board="pi4")
    with pytest.raises(ImplausibleReading, match=r"reads 0 W .*check that the board is on"):
        bench.source.open()


# Through another library.


def test_pi_ina219_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ina219", None)
    source = Ina219(backend="pi-ina219")
    with pytest.raises(ExtraMissing, match=r'needs pi-ina219: pip install "edge-energymeter\[pi-ina219\]"'):
        source.open()
    source.close()


class Library(ModuleType):
    """What the driver calls of pi-ina219 1.4.1, with figures of a test; `make test-peers` has the library."""

    class DeviceRangeError(Exception): ...

    def __init__(self) -> None:
        super().__init__("ina219")
        self.ready, self.millivolts, self.cleared = True, 61.0, 0
        self.failure: Exception | None = None
        self.configured: dict[str, int] = {}
        self.made: tuple[object, ...] = ()

    def INA219(self, shunt: float, busnum: int, address: int) -> "Library":  # noqa: N802 (its name)
        self.made = (shunt, busnum, address)
        return self

    RANGE_32V, GAIN_8_320MV = 1, 3

    def configure(self, **registers: int) -> None:
        self.configured = registers

    def is_conversion_ready(self) -> bool:
        if self.failure is not None:
            raise self.failure
        return self.ready

    def voltage(self) -> float:
        return 5.1

    def current(self) -> float:
        return 10 * self.millivolts

    def shunt_voltage(self) -> float:
        return self.millivolts

    def power(self) -> float:
        self.cleared += 1
        return 3111.0


def test_pi_ina219_is_asked_for_the_widest_range_and_for_fresh_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    library = Library()
    monkeypatch.setitem(sys.modules, "ina219", library)
    source = Ina219("1:0x41", backend="pi-ina219")
    source.tune(50)
    source.open()
    assert library.made == (0.1, 1, 0x41)
    assert (library.configured["voltage_range"], library.configured["gain"]) == (1, 3)
    assert (library.configured["bus_adc"], library.configured["shunt_adc"]) == (3, 13), "32 of the shunt"
    assert source.read() == Reading(volts=5.1, amps=0.61)
    assert library.cleared == 1
    library.ready = False
    assert source.read() == Reading(fresh=False)
    assert library.cleared == 1
    library.ready = True
    for library.millivolts in (320.0, -320.0):
        with pytest.raises(SourceError, match="clipped at its widest range: use a smaller shunt"):
            source.read()
    library.millivolts = 319.9
    assert source.read().amps == pytest.approx(3.199)
    library.failure = library.DeviceRangeError()
    with pytest.raises(SourceError, match="clipped"):
        source.read()
    library.failure = OSError(errno.EREMOTEIO, "Remote I/O error")
    with pytest.raises(SourceMissing, match="nobody answers"):
        source.read()
    source.close()


def test_pi_ina219_finds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library()

    def nobody(*_: object, **__: object) -> None:
        raise OSError(errno.EREMOTEIO, "Remote I/O error")

    monkeypatch.setattr(library, "INA219", nobody)
    monkeypatch.setitem(sys.modules, "ina219", library)
    with pytest.raises(SourceMissing, match=r"nobody answers at 1:0x40 \(errno 121\)"):
        Ina219(backend="pi-ina219").open()


@pytest.mark.peers
def test_pi_ina219_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    smbus = pytest.importorskip(
        "Adafruit_PureIO.smbus", reason="pi-ina219 is not installed: the two backends are not compared"
    )
    pytest.importorskip("ina219", reason="pi-ina219 is not installed: the two backends are not compared")
    logger = logging.getLogger()
    monkeypatch.setattr(logger, "handlers", [logging.NullHandler()])
    for amps in (0.0, 0.0123, 0.61, -0.4, 2.9):
        bench = Bench(steady(amps, volts=5.1), 50)
        monkeypatch.setattr(smbus, "SMBus", lambda number, chip=bench.chip: chip)
        ours = bench.fresh()[0]
        theirs = Ina219(backend="pi-ina219", wire=bench.chip, clock=bench.clock)
        theirs.open()
        assert theirs.read() == Reading(fresh=False)
        bench.clock.sleep(0.02)
        other = theirs.read()
        assert other.volts == pytest.approx(ours.volts, rel=1e-12)
        # Its current register is truncated twice, to steps of 97.7 µA.
        assert other.amps == pytest.approx(ours.amps, abs=4e-4)
        assert theirs.read() == Reading(fresh=False)
        theirs.close()
    bench = Bench(steady(3.5))
    monkeypatch.setattr(smbus, "SMBus", lambda number: bench.chip)
    theirs = Ina219(backend="pi-ina219", wire=bench.chip, clock=bench.clock)
    theirs.open()
    bench.clock.sleep(0.1)
    with pytest.raises(SourceError, match="clipped"):
        theirs.read()
    bench.chip.nacks = 1
    with pytest.raises(SourceMissing, match="nobody answers"):
        theirs.read()


def test_the_gain_narrows_after_sixteen_calm_samples_and_not_before() -> None:
    bench = Bench(steady(0.01))
    bench.fresh()
    for _ in range(2):
        bench.source._set_gain(WIDEST)
        gains = [bench.gain for _ in range(17) if bench.fresh()]
        assert gains[14] == WIDEST
        assert gains[15] == WIDEST - 1
