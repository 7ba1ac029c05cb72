"""The INA family: counts, the choice of times, bands, options, what is plausible, and one chip."""

import math

import pytest
from devices import ina as devices
from devices.waves import steady

from energymeter.boards import find_board
from energymeter.clock import ManualClock
from energymeter.drivers.ina219 import INA219, Ina219
from energymeter.drivers.ina226 import INA226, Ina226
from energymeter.drivers.ina228 import Ina228
from energymeter.drivers.ina238 import INA238, Ina238
from energymeter.drivers.ina3221 import Ina3221
from energymeter.drivers.protocols.ina import (
    Field,
    Timing,
    amps_band,
    check_options,
    check_plausible,
    choose,
    refine,
    signed,
)
from energymeter.drivers.protocols.ina_chip import InaMeter, InaSource
from energymeter.errors import ImplausibleReading, SourceError, SourceMissing, SpecError
from energymeter.reading import Band, Facts, Reading


@pytest.mark.parametrize(
    ("raw", "bits", "value"),
    [(0, 16, 0), (0x7FFF, 16, 32767), (0x8000, 16, -32768), (0xFFFF, 16, -1), (1 << 39, 40, -(1 << 39))],
)
def test_twos_complement(raw: int, bits: int, value: int) -> None:
    assert signed(raw, bits) == value


@pytest.mark.parametrize(
    ("field", "raw", "counts"),
    [
        (Field(1, 1.0, 9), 0xFFF8, -8),
        (Field(1, 1.0, 9, shift=3), 0xFFF8, -1),
        (Field(1, 1.0, 9, shift=3, signed=False), 0xFFF8, 0x1FFF),
        (Field(1, 1.0, 9, size=3, shift=4), 0xFFFFF0, -1),
        (Field(1, 1.0, 9, size=3, shift=4), 0x7FFFF0, (1 << 19) - 1),
    ],
)
def test_the_counts_of_a_register(field: Field, raw: int, counts: int) -> None:
    assert field.counts(raw) == counts


FAST, SLOW = Timing(1, 1e-3, 2e-3), Timing(2, 5e-3, 6e-3)
COARSE, LATE = Timing(3, 7e-3, 8e-3, bus_bits=10), Timing(4, 5e-3, 7e-3, bus_bits=11)


@pytest.mark.parametrize(
    ("timings", "rate_hz", "chosen"),
    [
        ([FAST, SLOW], 1 / (6e-3 * 1.1) * 0.999, SLOW),
        ([FAST, SLOW], 1 / (6e-3 * 1.1) * 1.001, FAST),
        ([SLOW, FAST], 1e4, FAST),  # none fits: the fastest
        ([SLOW, COARSE], 50.0, SLOW),
        ([COARSE], 50.0, COARSE),
        ([SLOW, LATE], 50.0, LATE),  # of equals the longest bus conversion
        ([LATE, FAST], 50.0, LATE),
    ],
)
def test_the_choice_of_times(timings: list[Timing], rate_hz: float, chosen: Timing) -> None:
    assert choose(timings, rate_hz) == chosen


@pytest.mark.parametrize(
    ("rate_hz", "semantics", "duty", "latency"),
    [
        (0.4999 / (6e-3 * 1.1), "instant", 0.0, 0.0),
        (0.5001 / (6e-3 * 1.1), "mean", 0.379, 0.4546),
        (100.0, "mean", 0.5, 0.6),
        (180.0, "mean", 0.9, 1.0),
        (250.0, "mean", 1.0, 1.0),
    ],
)
def test_a_result_that_covers_half_of_the_period_is_its_mean(
    rate_hz: float, semantics: str, duty: float, latency: float
) -> None:
    facts = refine(Facts(semantics="mean", duty=0.3, latency=0.3), SLOW, rate_hz)
    assert (facts.semantics, facts.duty, facts.latency) == (
        semantics,
        pytest.approx(duty, rel=1e-3),
        pytest.approx(latency, rel=1e-3),
    )


def test_settings_average_both_conversions_of_every_channel() -> None:
    found = {timing.config: timing for timing in INA226.timings()}
    assert len(found) == 8 * 36, "no bus conversion is longer than the current's"
    assert found[2 << 9 | 1 << 6 | 3 << 3] == Timing(
        2 << 9 | 1 << 6 | 3 << 3, pytest.approx(16 * 588e-6), pytest.approx(16 * (588e-6 + 204e-6))
    )
    (third,) = (one for one in INA226.timings(channels=3) if one.config == 2 << 9 | 1 << 6 | 3 << 3)
    assert third[1:3] == pytest.approx((16 * 588e-6, 3 * 16 * (588e-6 + 204e-6)))
    (quick,) = (one for one in INA238.timings() if one.config == 2 | 1 << 9 | 3 << 6)
    assert quick[1:3] == pytest.approx((16 * 280e-6, 16 * (280e-6 + 84e-6)))
    assert INA219.timings(3) == list(INA219.table)


def test_limits_of_chip_and_shunt_add_as_squares() -> None:
    assert amps_band(0.003, 2e-4, 1e-5, 0.02, 0.004) == Band(
        pytest.approx(0.005), pytest.approx(0.01), pytest.approx(5e-4)
    )


@pytest.mark.parametrize(
    ("shunt", "tolerance", "max_amps", "remedy"),
    [
        (0.1, 0.0, 0.0, ""),
        (0.1, 0.999, 3.2, ""),
        (0.1, 0.01, 3.2001, "3.2001 A through 0.1 Ω is more than .*±0.32 V: use a shunt of at most 0.1 Ω"),
        (0.1, 1.0, 0.0, "tolerance=1 cannot be: give 0.01 for a shunt of ±1 %"),
        (0.1, -0.001, 0.0, "tolerance=-0.001 cannot be"),
        (0.1, 0.01, -0.001, "max_amps=-0.001 cannot be: give the largest expected current in amps"),
        (0.1, 0.01, math.inf, "max_amps=inf cannot be"),
        (0.1, 0.01, math.nan, "max_amps=nan cannot be"),
        (0.0, 0.01, 0.0, "shunt=0 cannot be: give its resistance in ohms"),
        (math.inf, 0.01, 0.0, "shunt=inf cannot be"),
    ],
)
def test_options_one_at_a_time(shunt: float, tolerance: float, max_amps: float, remedy: str) -> None:
    if not remedy:
        check_options("chip", shunt, tolerance, max_amps, 0.32)
        return
    with pytest.raises(SpecError, match=f"^chip: {remedy}"):
        check_options("chip", shunt, tolerance, max_amps, 0.32)


def test_what_a_board_can_draw_has_two_ends() -> None:
    low, high = find_board("pi4").watts_range
    for watts in (low, high, -low, -high):
        check_plausible("chip", watts, 0.1, "pi4")
    for watts in (low * 0.999, high * 1.001, 0.0):
        with pytest.raises(ImplausibleReading):
            check_plausible("chip", watts, 0.1, "pi4")


@pytest.mark.parametrize(
    ("watts", "shunt", "remedy"),
    [
        (50.0, 0.01, "shunt=0.1 would fit"),  # a tenth
        (-50.0, 0.01, "shunt=0.1 would fit"),
        (0.5, 0.1, "shunt=0.01 would fit"),  # ten times
        (1e-6, 0.1, "check that the board is on, and powered through this shunt"),
    ],
)
def test_the_shunt_that_would_fit_is_named(watts: float, shunt: float, remedy: str) -> None:
    with pytest.raises(ImplausibleReading, match=f"reads {watts:.3g} W with shunt={shunt:g}, .*{remedy}"):
        check_plausible("chip", watts, shunt, "pi4")


def test_the_narrow_range_is_used_up_to_its_end_and_only_when_the_current_is_known() -> None:
    limit = 1.25e-6 * 32767 / 0.02
    for max_amps, name in ((0.0, ""), (0.001, "narrow"), (limit, "narrow"), (limit * 1.0001, "")):
        assert Ina238(shunt=0.02, max_amps=max_amps).range == name
    assert Ina226(shunt=0.02, max_amps=1.0).range == "", "it has one range"


@pytest.mark.parametrize("driver", [Ina226, Ina238, Ina228])
def test_what_a_meter_says_of_itself(driver: type[InaMeter]) -> None:
    source = driver("7:0x41", shunt=0.025)
    assert source.identity == f"{driver.__name__.lower()}@7:0x41 with 0.025 ohm"
    full_scale = {"Ina226": 32768 * 2.5e-6, "Ina238": 32768 * 5e-6, "Ina228": 2**19 * 312.5e-9}
    volts = {"Ina226": 32767 * 1.25e-3, "Ina238": 32767 * 3.125e-3, "Ina228": (2**19 - 1) * 195.3125e-6}
    name = driver.__name__
    assert source.facts.max_watts == pytest.approx(volts[name] * full_scale[name] / 0.025)


# The chip.


def meter(amps: float, **options: float) -> tuple[Ina226, devices.Ina226, ManualClock]:
    clock = ManualClock()
    device = devices.Ina226([steady(amps)], clock.monotonic_ns, [0.1])
    source = Ina226(wire=device, clock=clock, shunt=0.1, **options)  # type: ignore[arg-type]
    source.open()
    clock.sleep(0.02)
    return source, device, clock


@pytest.mark.parametrize(
    ("counts", "clips"), [(32766, False), (32767, True), (-32766, False), (-32767, True)]
)
def test_only_full_scale_is_clipped(counts: int, clips: bool) -> None:
    source, _, _ = meter(counts * 2.5e-6 / 0.1)
    if clips:
        with pytest.raises(
            SourceError, match=r"^ina226@1:0x40 clipped at its full scale; use a smaller shunt$"
        ):
            source.read()
    else:
        assert source.read().amps == pytest.approx(counts * 2.5e-6 / 0.1)


def test_the_setting_is_looked_at_every_half_second() -> None:
    source, device, clock = meter(0.5)
    reads: list[int] = []
    device_read = device.read
    device.read = lambda register: (reads.append(register), device_read(register))[1]  # type: ignore[method-assign]
    for _ in range(75):  # at 50 a second
        source.read()
        clock.sleep(0.02)
    assert reads.count(0) == 3
    source.resume()
    source.read()
    assert reads.count(0) == 4, "somebody else may have set it up"


def test_at_a_slow_rate_the_setting_is_looked_at_each_time() -> None:
    clock = ManualClock()
    device = devices.Ina226([steady(0.5)], clock.monotonic_ns, [0.1])
    source = Ina226(wire=device, clock=clock)
    source.tune(0.5)
    source.open()
    for _ in range(3):
        device.brown_out()
        clock.sleep(2.0)
        assert source.read() == Reading(fresh=False)
    assert source.resets == 3


def test_a_first_conversion_that_never_ends_is_no_sample() -> None:
    source, device, clock = meter(0.5)
    device.ready_at = -1
    device_read = device.read
    device.read = lambda register: (0, 2) if register == 6 else device_read(register)  # type: ignore[method-assign]
    before = clock.monotonic_ns()
    assert source.read() == Reading(fresh=False)
    waited = (clock.monotonic_ns() - before) * 1e-9
    assert waited == pytest.approx(device.cycle() * 1e-9 * 1.1, rel=1e-3), (
        "one conversion of the slowest chip"
    )


@pytest.mark.parametrize(
    ("maker", "die", "who"),
    [
        (0x5449, 0x2260, ""),
        (0x5449, 0x226F, ""),  # another revision
        (0x5449, 0x2270, "it is an ina260, so use ina260@1:0x40"),
        (0x5449, 0x9990, "an ina219 has no identity: try that"),
        (0x5448, 0x2260, "an ina219 has no identity: try that"),
    ],
)
def test_maker_and_die_say_who_it_is(maker: int, die: int, who: str) -> None:
    clock = ManualClock()
    device = devices.Ina226([steady(1.0)], clock.monotonic_ns, [0.1])
    device.identity = {0xFE: maker, 0xFF: die, 0x3E: 0, 0x3F: 0}
    source = Ina226(wire=device, clock=clock)
    if not who:
        source.open()
        return
    with pytest.raises(SourceMissing, match=rf"is no ina226 \(maker 0x{maker:04x}, die 0x{die:04x}\); {who}"):
        source.open()


# The INA219's gain.


@pytest.mark.parametrize(
    ("max_amps", "lowest"), [(0.0, 0), (0.4, 0), (0.401, 1), (0.8, 1), (1.6, 2), (1.601, 3), (3.2, 3)]
)
def test_the_gain_never_narrows_below_the_largest_current(max_amps: float, lowest: int) -> None:
    assert Ina219(max_amps=max_amps)._lowest_gain == lowest


@pytest.mark.parametrize(
    ("gain", "counts", "then"),
    [(0, 3500, 0), (0, 3501, 1), (1, 7000, 1), (1, 7001, 2), (3, 31999, 3)],
)
def test_the_gain_widens_above_seven_eighths(gain: int, counts: int, then: int) -> None:
    source = Ina219()
    source._converter.chip.write = lambda *_: None  # type: ignore[method-assign]
    source._set_gain(gain)
    source._follow(counts)
    assert source._gain == then


@pytest.mark.parametrize(("counts", "then"), [(3999, 2), (4000, 3)])
def test_calm_is_below_a_quarter_of_the_narrower_range(counts: int, then: int) -> None:
    source = Ina219()
    source._converter.chip.write = lambda *_: None  # type: ignore[method-assign]
    for _ in range(16):
        source._follow(counts)
    assert source._gain == then
    assert source._calm == 0


# The INA3221's channels.


def test_each_channel_has_its_shunt_its_registers_and_its_limits() -> None:
    source = Ina3221(shunt=0.1, shunt2=0.05, shunt3=0.005, total=2, tolerance=0.02)
    ohms = (0.1, 0.05, 0.005)
    for channel, shunt in zip(source.channels(), ohms, strict=True):
        facts = channel.facts
        assert facts.amps == Band(
            pytest.approx(math.hypot(0.0025, 0.02)),
            pytest.approx(80e-6 / shunt),
            pytest.approx(40e-6 / shunt),
        )
        assert facts.volts == Band(0.0025, 8e-3, 8e-3)
        assert facts.max_watts == pytest.approx(26.0 * 0.1638 / shunt)
    assert [channel.facts.counted for channel in source.channels()] == [False, True, False]
    source.tune(200.0)
    assert {channel.facts.semantics for channel in source.channels()} == {source.facts.semantics}
    assert source.channels()[0].facts.latency == source.facts.latency


@pytest.mark.parametrize("driver", [Ina219, Ina226, Ina228, Ina238, Ina3221])
def test_a_driver_looks_for_chips_of_its_own_name(
    driver: type[InaSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("energymeter.drivers.links.i2c_scan.places_of", lambda kind: iter([kind]))
    assert list(driver.addresses()) == [driver.__name__.lower()]
