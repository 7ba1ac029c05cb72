"""Sun and chargers: balances, nights, sizes; and a night and morning of a real solar Pi."""

from datetime import datetime

import pytest
from devices.real_recordings import rows
from hypothesis import given
from hypothesis import strategies as st

from energymeter.battery.battery import Battery
from energymeter.battery.solar import Panel, Profile, Steady, battery_wh, clear_sky, outlook, panel_watts
from energymeter.errors import ExtraMissing, NotMeasured, SpecError
from energymeter.reading import Facts, Reading

CELL = Battery(10_000, volts=3.6, efficiency=0.9, usable=1.0)  # 36 Wh


class OneReading:
    """A source at the panel that always reads the same."""

    name = "ina219@1:0x44"
    facts = Facts()

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self.is_open = False

    def open(self) -> None:
        self.is_open = True

    def read(self) -> Reading:
        assert self.is_open
        return self._reading

    def close(self) -> None:
        self.is_open = False


@given(st.floats(0.5, 10), st.floats(0.1, 1), st.floats(0, 24))
def test_without_sun_it_is_the_plain_battery(watts: float, share: float, hour: float) -> None:
    dark = outlook(CELL.with_(input=Steady(0.0)), watts, share=share, hour=hour)
    assert dark is not None
    assert dark.hours == pytest.approx((CELL.hours(watts) or 0) * share)
    assert dark.margin == -1.0


def test_a_charger_stretches_it() -> None:
    half = outlook(CELL.with_(input=Steady(1.0)), 1.8)  # 2 W leave the cell
    assert half is not None
    assert half.hours == pytest.approx(36.0)
    assert str(half) == "1 d 12 h left (the day's balance is -50 %)" or "36 h left" in str(half)


def test_a_charger_that_gives_enough() -> None:
    fed = outlook(CELL.with_(input=Steady(2.5)), 1.8, share=0.5)
    assert fed is not None
    assert fed.sustained
    assert fed.margin == pytest.approx(0.25)
    assert "sustained, margin +25 %" in str(fed)


def test_a_day_that_balances_and_a_night_that_does_not() -> None:
    panel = Panel(40.0, sun_hours=4.0, sunrise=6, sunset=18)
    assert sum(panel.watts_at(h + 0.5) for h in range(24)) == pytest.approx(40 * 4 * 0.8, rel=0.01)
    balanced = outlook(CELL.with_(input=panel), 1.8, hour=12)
    assert balanced is not None
    assert balanced.sustained
    # From the hour the panel falls below 2 W to the hour it is above again: a bit over 12 h at 2 W.
    assert balanced.lowest_share == pytest.approx(1 - 25.2 / 36, abs=0.03)
    small = Battery(2000, volts=3.6, efficiency=0.9, usable=1.0, input=panel)  # 7.2 Wh: 3.6 h of night
    night = outlook(small, 1.8, hour=12)
    assert night is not None
    assert night.hours == pytest.approx(6 + 3.6, abs=0.5)
    assert night.margin > 0


def test_a_profile_repeats() -> None:
    profile = Profile((0.0,) * 12 + (4.0,) * 12)
    assert [profile.watts_at(h) for h in (0, 11.9, 12, 23.9, 24, 37)] == [0, 0, 4, 4, 0, 4]


def test_an_input_that_is_a_source() -> None:
    source = OneReading(Reading(volts=5.0, amps=0.4))
    assert Steady.read(source).watts_at(3.0) == pytest.approx(2.0)
    assert not source.is_open
    assert Steady.read(OneReading(Reading(watts=1.5))).watts == 1.5
    with pytest.raises(NotMeasured, match="0x44"):
        Steady.read(OneReading(Reading(volts=5.0)))


def test_sizes_carry_the_load() -> None:
    panel = Panel(panel_watts(1.62, sun_hours=2.5), 2.5)
    sized = Battery(battery_wh(1.62, days=2, usable=0.8) / 3.6 * 1000, 3.6, 0.9, usable=0.8, input=panel)
    carried = outlook(sized, 1.62 * 0.9)
    assert carried is not None
    assert carried.margin == pytest.approx(0.0, abs=0.01)
    assert sized.with_(input=None).hours(1.62 * 0.9) == pytest.approx(48)


def test_words() -> None:
    assert Panel.parse("10W, 4h") == Panel(10.0, 4.0)
    for text in ("10W", "sun,4h", "-1,4", "10,40"):
        with pytest.raises(SpecError):
            Panel.parse(text)
    with pytest.raises(SpecError, match="no input"):
        outlook(CELL, 1.0)
    assert outlook(CELL.with_(input=Steady(1.0)), 0.0) is None


def test_the_clear_sky_model_or_how_to_get_it() -> None:
    try:
        import pvlib  # type: ignore[import-not-found, unused-ignore] # noqa: F401
    except ImportError:
        with pytest.raises(ExtraMissing, match=r"edge-energymeter\[solar\]"):
            clear_sky(10, 40.44, -79.99, "2025-06-21")
        return
    june, december = (clear_sky(10, 40.44, -79.99, day) for day in ("2025-06-21", "2025-12-21"))
    assert len(june.watts) == 288
    assert min(june.watts) == 0.0
    # 10 W rated in clear sun at 30° tilt in Pittsburgh: 7 to 8.5 peak sun hours in June, 4 to 6 in December.
    assert 7.0 < sum(june.watts) / 12 / 8 < 8.5
    assert 3.5 < sum(december.watts) / 12 / 8 < 6.0


def test_a_real_solar_pi_over_a_night_and_a_morning() -> None:
    """The load fitted to the first hours of the night predicts its end, across the gaps in the log."""
    table = [
        (datetime.fromisoformat(time), float(percent) / 100)
        for time, percent in rows("traces/rpi_solar/battery_log.csv")
        if percent
    ]
    start = table[0][0].replace(hour=0, minute=0)
    points = [((time - start).total_seconds() / 3600, share) for time, share in table]
    (t0, s0), dawn = points[0], min(points, key=lambda point: point[1])
    assert (s0, dawn[1], points[-1][1]) == (0.69, 0.52, 0.61)
    an_hour = min(points, key=lambda point: abs(point[0] - t0 - 10))
    watts = (s0 - an_hour[1]) / (an_hour[0] - t0) * CELL.joules / 3600  # leaving the cell, in its own size
    at_dawn = s0 - watts * (dawn[0] - t0) * 3600 / CELL.joules
    assert at_dawn == pytest.approx(dawn[1], abs=0.02)
    night = outlook(CELL.with_(input=Steady(0.0)), watts * 0.9, share=s0, hour=t0)
    assert night is not None
    assert night.hours == pytest.approx(s0 / (s0 - dawn[1]) * (dawn[0] - t0), rel=0.1)
