"""INA226, 260, 238, 228 and 3221 on emulated chips: what they share, each against its own registers."""

from typing import Any, NamedTuple

import pytest
from devices import ina
from devices.waves import Square, Steps, steady
from hypothesis import given, settings
from hypothesis import strategies as st

from energymeter.clock import ManualClock
from energymeter.drivers.ina226 import Ina226
from energymeter.drivers.ina228 import Ina228
from energymeter.drivers.ina238 import Ina238
from energymeter.drivers.ina260 import Ina260
from energymeter.drivers.ina3221 import Ina3221
from energymeter.drivers.protocols.ina_chip import InaMeter
from energymeter.errors import ImplausibleReading, SourceError, SourceMissing, SpecError
from energymeter.reading import Reading
from energymeter.source import Source
from energymeter.testing import check_source, check_unplugged


class Member(NamedTuple):
    driver: type[InaMeter]
    device: type[ina.Device]
    amps: float  # half a step at 0.02 Ω
    volts: float
    full_scale: float  # amps


FAMILY = [
    Member(Ina226, ina.Ina226, 0.63e-4, 0.63e-3, 0.08192 / 0.02),
    Member(Ina260, ina.Ina260, 0.63e-3, 0.63e-3, 15.0),
    Member(Ina238, ina.Ina238, 1.26e-4, 1.57e-3, 0.16384 / 0.02),
    Member(Ina228, ina.Ina228, 0.8e-5, 1.0e-4, 0.16384 / 0.02),
]
each = pytest.mark.parametrize("member", FAMILY, ids=lambda m: m.driver.__name__.lower())


def bench(
    member: Member, load: Steps, rate_hz: float = 50.0, start: bool = True, **options: Any
) -> tuple[Any, Any, ManualClock]:
    """A driver, its emulated chip, and their clock."""
    clock = ManualClock()
    device = member.device([load], clock.monotonic_ns, [0.02])
    if member.driver is not Ina260:
        options.setdefault("shunt", 0.02)
    source = member.driver(wire=device, clock=clock, **options)
    source.tune(rate_hz)
    if start:
        source.open()
        clock.sleep(1 / rate_hz)
    return source, device, clock


@each
@pytest.mark.parametrize("rate", [1, 10, 50, 300, 1000])
@pytest.mark.parametrize(("amps", "volts"), [(0.0, 0.0), (0.61, 5.1), (-1.2, 12.0), (3.9, 20.0)])
def test_volts_and_amps(member: Member, rate: float, amps: float, volts: float) -> None:
    source, _, clock = bench(member, steady(amps, volts), rate)
    for _ in range(3):
        reading = source.read()
        assert reading.fresh
        assert reading.amps == pytest.approx(amps, abs=member.amps)
        assert reading.volts == pytest.approx(volts, abs=member.volts)
        clock.sleep(1 / rate)


@each
def test_conforms(member: Member) -> None:
    _, device, clock = bench(member, steady(1.0), start=False)
    check_source(lambda: member.driver(wire=device, clock=clock))
    device.nacks = 1000
    check_unplugged(lambda: member.driver("0x40", wire=device, clock=clock))
    assert member.driver("7:0x41").name == f"{member.driver.__name__.lower()}@7:0x41"


@each
def test_duplicate_is_recognised(member: Member) -> None:
    source, _, clock = bench(member, steady(1.0))
    assert source.read().fresh
    assert source.read() == Reading(fresh=False)
    clock.sleep(0.02)
    assert source.read().fresh


@each
def test_first_read_waits_for_the_first_conversion(member: Member) -> None:
    source, _, clock = bench(member, steady(1.0), 10, start=False)
    source.open()
    assert source.read().amps == pytest.approx(1.0, abs=member.amps)
    assert clock.monotonic_ns() <= 0.1e9


@each
@given(rate=st.floats(1, 1000))
@settings(deadline=None, max_examples=30)
def test_tuning_leaves_a_result_for_every_sample_and_sees_most_of_it(member: Member, rate: float) -> None:
    _, device, _ = bench(member, steady(1.0), rate)
    count, look, bus = device.times()
    assert device.cycle() * 1.1 <= 1e9 / rate
    assert count * look >= 0.4 * 1e9 / rate
    assert bus <= look


@each
def test_pulsed_load(member: Member) -> None:
    source, _, clock = bench(member, Square(0.0017, high=1.6, low=0.2))
    total = 0.0
    for _ in range(60):
        total += source.read().amps
        clock.sleep(0.02)
    assert total / 60 == pytest.approx(0.9, rel=0.01)


@each
@pytest.mark.parametrize("sign", [1, -1])
def test_clipping_is_an_error(member: Member, sign: int) -> None:
    source, _, _ = bench(member, steady(sign * (member.full_scale + 0.1)))
    with pytest.raises(SourceError, match="clipped at its full scale; "):
        source.read()


def test_clipping_names_its_cure() -> None:
    source, _, _ = bench(FAMILY[2], steady(2.5), max_amps=2.0)
    with pytest.raises(SourceError, match="leave max_amps out for its wider range"):
        source.read()
    source, _, _ = bench(FAMILY[0], steady(FAMILY[0].full_scale + 0.1))
    with pytest.raises(SourceError, match="use a smaller shunt"):
        source.read()


@each
def test_brown_out_is_healed_and_counted(member: Member) -> None:
    source, device, clock = bench(member, steady(1.0))
    wanted = device.config
    assert source.read().fresh
    device.brown_out()
    for _ in range(50):
        clock.sleep(0.02)
        try:
            reading = source.read()
        except SourceError:
            continue
        assert reading.amps is None or reading.amps == pytest.approx(1.0, abs=member.amps)
    assert device.config == wanted
    assert source.resets == 1


@each
def test_gone_and_back(member: Member) -> None:
    source, device, clock = bench(member, steady(1.0))
    source.read()
    device.nacks = 1
    with pytest.raises(SourceMissing, match="nobody answers at 1:0x40"):
        source.read()
    device.brown_out()
    clock.sleep(0.1)
    try:
        source.read()
    except SourceError:
        clock.sleep(0.1)
    assert source.resets == 1
    clock.sleep(0.1)
    assert source.read().amps == pytest.approx(1.0, abs=member.amps)


@each
@pytest.mark.parametrize("other", [ina.Ina226, ina.Ina260, ina.Ina3221, ina.Ina238, ina.Ina228])
def test_another_chip_is_named_and_never_written_to(member: Member, other: type[ina.Device]) -> None:
    if other is member.device:
        return
    clock = ManualClock()
    device = other([steady(1.0)] * 3, clock.monotonic_ns, [0.02] * 3)
    for where in (0xFE, 0xFF, 0x3E, 0x3F):
        device.identity.setdefault(where, 0)
    source = member.driver(wire=device, clock=clock)
    with pytest.raises(
        SourceMissing, match=f"it is an {other.__name__.lower()}, so use {other.__name__.lower()}@1:0x40"
    ):
        source.open()
    assert device.writes == []


@each
def test_chip_without_identity_may_be_an_ina219(member: Member) -> None:
    source, device, _ = bench(member, steady(1.0), start=False)
    device.identity = dict.fromkeys((0xFE, 0xFF, 0x3E, 0x3F), 0)
    with pytest.raises(SourceMissing, match=r"maker 0x0000, die 0x0000.*an ina219 has no identity"):
        source.open()
    assert device.writes == []


@each
def test_implausible_for_the_board(member: Member) -> None:
    source, _, _ = bench(member, steady(3.9, 20.0), start=False, board="pi4")
    with pytest.raises(ImplausibleReading, match=r"reads 78 W .* Raspberry Pi 4"):
        source.open()


@each
def test_bytes_are_counted(member: Member) -> None:
    source, _, _ = bench(member, steady(1.0))
    before = source.moved_bytes
    source.read()
    words, wide, counters = (2, 2, 2) if member.driver is Ina228 else (3, 0, 0)
    assert source.moved_bytes - before == words * 5 + wide * 6 + counters * 8


@pytest.mark.parametrize("driver", [Ina226, Ina238, Ina228])
def test_bad_options(driver: type[InaMeter]) -> None:
    for options, words in (
        ({"shunt": 0.0}, "shunt=0 cannot be"),
        ({"max_amps": 1e4}, "use a shunt of at most"),
    ):
        with pytest.raises(SpecError, match=words):
            driver(**options)  # type: ignore[arg-type]


def test_look_alikes() -> None:
    clock = ManualClock()
    device = ina.Ina226([steady(1.0)], clock.monotonic_ns, [0.02])
    device.identity = {}
    source = Ina226(shunt=0.02, chip="ina230", wire=device, clock=clock)
    source.open()
    assert source.read().amps == pytest.approx(1.0, abs=1e-4)
    with pytest.raises(SpecError, match="chip=ina999 is unknown: use ina226 or ina230 or ina231"):
        Ina226(chip="ina999")
    lesser = Ina238(chip="ina237").facts.amps
    better = Ina238().facts.amps
    assert lesser is not None
    assert better is not None
    assert lesser.gain > better.gain


@pytest.mark.parametrize("member", FAMILY[2:], ids=["ina238", "ina228"])
def test_narrow_range_where_the_current_fits(member: Member) -> None:
    """±40.96 mV over 20 mΩ is ±2.048 A, in steps of a quarter."""
    source, device, clock = bench(member, steady(1.234567), max_amps=2.0)
    assert device.range == 0x10
    assert source.read().amps == pytest.approx(1.234567, abs=member.amps / 4)
    for _ in range(20):
        device.brown_out()
        clock.sleep(0.05)
        try:
            assert source.read().amps in (None, pytest.approx(1.234567, abs=member.amps / 4))
        except SourceError:
            assert member.driver is Ina228
        assert device.range == 0x10
    assert bench(member, steady(1.0), max_amps=2.1)[1].range == 0


class TestIna228Counters:
    def test_joules_and_coulombs_of_any_load(self) -> None:
        wave = Square(0.37, high=2.0, low=0.1, volts=5.0)
        source, device, clock = bench(FAMILY[3], wave)
        first = source.read()
        began = device.end()
        clock.sleep(100.0)
        last = source.read()
        coulombs = wave.charge(device.end()) - wave.charge(began)
        assert last.coulombs - first.coulombs == pytest.approx(coulombs, abs=1e-4)
        assert last.joules - first.joules == pytest.approx(5 * coulombs, abs=2e-3)
        assert source.facts.semantics == "counter"

    def test_its_clock_is_not_ours(self) -> None:
        source, device, clock = bench(FAMILY[3], steady(1.0))
        device.oscillator = 1.005
        clock.sleep(100.0)
        assert source.read().coulombs == pytest.approx(device.end() * 1e-9 * 1.005, rel=1e-5)
        assert source.facts.clock == 0.005

    def test_charge_is_signed_and_energy_is_not(self) -> None:
        source, _, clock = bench(FAMILY[3], steady(-1.0))
        clock.sleep(10.0)
        reading = source.read()
        assert reading.coulombs == pytest.approx(-10.0, rel=0.01)
        assert reading.joules == pytest.approx(50.0, rel=0.01)

    @pytest.mark.parametrize("raw", [(1 << 40) - 1, 1 << 39])
    def test_all_forty_bits(self, raw: int) -> None:
        source, device, _ = bench(FAMILY[3], steady(0.0))
        device.preset = {9: raw, 10: raw}
        reading = source.read()
        step = 312.5e-9 / 0.02
        assert reading.joules == pytest.approx(raw * 51.2 * step, rel=1e-12)
        assert reading.coulombs == pytest.approx((raw - (1 << 40)) * step, rel=1e-12)
        assert source.facts.joules_wrap == pytest.approx((1 << 40) * 51.2 * step)

    def test_brown_out_fails_that_read(self) -> None:
        source, device, clock = bench(FAMILY[3], steady(1.0))
        clock.sleep(10)
        assert source.read().joules == pytest.approx(50.0, rel=0.01)
        device.brown_out()
        clock.sleep(1)
        with pytest.raises(SourceError, match="lost its power for a moment and counts from 0 again"):
            source.read()
        clock.sleep(1)
        assert source.read().joules == pytest.approx(10.0, rel=0.01)


class TestIna3221:
    def bench(self, rate_hz: float = 10.0, **options: Any) -> tuple[Ina3221, ina.Ina3221, ManualClock]:
        clock = ManualClock()
        loads = [steady(1.0, 5.0), steady(0.25, 3.304), Square(0.0017, 0.6, 0.2, 12.0)]
        device = ina.Ina3221(loads, clock.monotonic_ns, [0.1, 0.1, 0.05])
        source = Ina3221(shunt3=0.05, wire=device, clock=clock, **options)
        source.tune(rate_hz)
        source.open()
        return source, device, clock

    def test_three_channels_are_three_sources(self) -> None:
        source, _, clock = self.bench()
        clock.sleep(0.1)
        channels = source.channels()
        assert [c.name for c in channels] == [f"ina3221@1:0x40/{n}" for n in (1, 2, 3)]
        expected = [(5.0, 1.0), (3.304, 0.25), (12.0, 0.4)]
        for channel, (volts, amps) in zip(channels, expected, strict=True):
            assert isinstance(channel, Source)
            channel.open()
            reading = channel.read()
            assert reading.volts == pytest.approx(volts, abs=4.1e-3)
            assert reading.amps == pytest.approx(amps, abs=0.01 if amps == 0.4 else 2.1e-4)
            assert channel.read() == Reading(fresh=False)
            channel.close()

    def test_conforms(self) -> None:
        _, device, clock = self.bench()
        clock.sleep(1.0)
        check_source(lambda: Ina3221(wire=device, clock=clock))
        device.nacks = 1000
        check_unplugged(lambda: Ina3221(wire=device, clock=clock))

    def test_each_round_is_read_by_every_channel_once(self) -> None:
        source, _, clock = self.bench(100)
        for _ in range(20):
            clock.sleep(0.01)
            assert [c.read().fresh for c in source.channels()] == [True, True, True]

    def test_all_together(self) -> None:
        source, _, clock = self.bench()
        clock.sleep(0.1)
        assert source.read().watts == pytest.approx(5.0 + 3.304 * 0.25 + 4.8, rel=0.02)
        assert source.read() == Reading(fresh=False)

    def test_an_open_channel_adds_nothing_but_its_offset(self) -> None:
        clock = ManualClock()
        loads = [
            steady(1.0, 5.0),
            steady(0.0, 0.0),
            steady(0.0008, 0.016),
        ]  # unwired: 0 V, or 2 steps of noise
        source = Ina3221(wire=ina.Ina3221(loads, clock.monotonic_ns, [0.1] * 3), clock=clock)
        source.open()
        clock.sleep(0.1)
        assert source.read().watts == pytest.approx(5.0, rel=0.001)

    def test_one_that_feeds_the_others(self) -> None:
        source, _, clock = self.bench(total=1)
        clock.sleep(0.1)
        assert [c.facts.counted for c in source.channels()] == [True, False, False]
        assert source.read().watts == pytest.approx(5.0, rel=0.001)

    def test_only_the_wired_ones_are_converted(self) -> None:
        source, device, clock = self.bench(use="13")
        clock.sleep(0.1)
        assert device.enabled() == [0, 2]
        assert [c.name[-1] for c in source.channels()] == ["1", "3"]
        assert source.channels()[1].read().volts == pytest.approx(12.0, abs=4.1e-3)

    def test_brown_out(self) -> None:
        source, device, clock = self.bench(100)
        wanted = device.config
        device.brown_out()
        for _ in range(60):
            clock.sleep(0.01)
            assert source.channels()[1].read().amps in (None, pytest.approx(0.25, abs=2.1e-4))
        assert (device.config, source.resets) == (wanted, 1)

    @pytest.mark.parametrize(
        "options", [{"use": ""}, {"use": "14"}, {"use": "12", "total": 3}, {"total": 4}, {"shunt": -1.0}]
    )
    def test_bad_options(self, options: dict[str, Any]) -> None:
        with pytest.raises(SpecError, match="cannot be"):
            Ina3221(**options)

    def test_clipping_and_absence(self) -> None:
        source, device, clock = self.bench()
        device.loads = [steady(1.7)] * 3
        clock.sleep(0.2)
        with pytest.raises(SourceError, match="clipped"):
            source.channels()[0].read()
        device.nacks = 1
        with pytest.raises(SourceMissing, match="nobody answers"):
            source.read()
        source.close()

    def test_another_chip(self) -> None:
        clock = ManualClock()
        device = ina.Ina226([steady(1.0)], clock.monotonic_ns, [0.1])
        with pytest.raises(SourceMissing, match="it is an ina226"):
            Ina3221(wire=device, clock=clock).open()
        assert device.writes == []
