"""The arithmetic of a battery's gauge by itself: steps, limits, jitter, jumps, and who may be measured."""

from itertools import product

import pytest

from energymeter.drivers.protocols.gauge import (
    Discharging,
    Gauge,
    PhoneBattery,
    PhoneGauge,
    gauge_facts,
    must_discharge,
    must_fit,
    plausible_phone,
    step,
)
from energymeter.errors import ImplausibleReading, SourceError, SourceMissing
from energymeter.reading import Band, Reading


@pytest.mark.parametrize(
    ("figures", "size"),
    [
        ([], 1.0),
        ([0.0, 0.0], 1.0),
        ([7.0], 1.0),
        ([10.0], 10.0),
        ([0.0, 500.0], 100.0),
        ([500.0, 20.0], 10.0),
        ([500.0, 25.0], 1.0),
        ([1000.0, 3000.0, 2000.0], 1000.0),
        ([-500.0, 200.0], 100.0),
        ([1999.6], 1000.0),
    ],
)
def test_the_step_is_the_power_of_ten_in_every_figure(figures: list[float], size: float) -> None:
    assert step(figures) == size


def test_only_a_gauge_of_charge_promises_charge() -> None:
    facts = gauge_facts(joule_step=36.0)
    assert (facts.coulombs, facts.joules) == (None, Band(gain=0.05, resolution=36.0))
    assert gauge_facts(coulomb_step=3.6, joule_step=14.0).coulombs == Band(gain=0.05, resolution=3.6)


FREE = {  # what the gauge may say while power is taken from it, by whether a charger is connected
    None: {"Discharging", "unknown", "UNKNOWN"},
    False: {"Discharging", "unknown", "UNKNOWN", "Full", "not_charging", "Not charging"},
    True: set(),
}


@pytest.mark.parametrize(
    ("plugged", "status"),
    [
        *product(
            (None, False, True),
            ("Discharging", "unknown", "UNKNOWN", "Full", "not_charging", "Not charging", "CHARGING"),
        )
    ],
)
def test_who_is_being_used(plugged: bool | None, status: str) -> None:
    if status in FREE[plugged]:
        must_discharge(status, plugged, "cell")
        return
    with pytest.raises(SourceError) as caught:
        must_discharge(status, plugged, "cell")
    word = status.lower().replace("_", " ")
    assert str(caught.value) == (
        "cell is charging by its own word, with no charger connected; wait until it agrees"
        if plugged is False
        else f"cell is {'on the mains' if plugged else word}, so it does not show what is consumed; unplug "
        "the charger, or measure at the wall"
    )


@pytest.mark.parametrize(
    ("left", "full", "fits"),
    [
        (0.0, 100.0, True),
        (-0.001, 100.0, False),
        (150.0, 100.0, True),
        (150.001, 100.0, False),
        (1e12, 0.0, True),
        (1e12, None, True),
        (-1.0, None, False),
    ],
)
def test_a_gauge_holds_between_nothing_and_half_as_much_again(
    left: float, full: float | None, fits: bool
) -> None:
    if fits:
        must_fit(left, full, "cell")
    else:
        with pytest.raises(
            SourceError, match=f"^cell shows {left:g} of {full or 0:g}, which no battery holds"
        ):
            must_fit(left, full, "cell")


def test_a_battery_that_was_refused_is_resumed_once() -> None:
    discharging = Discharging("cell")
    assert discharging.resumed("Discharging", None) is False
    for _ in range(2):
        with pytest.raises(SourceError):
            discharging.resumed("Charging", None)
    assert discharging.resumed("Discharging", None) is True
    assert discharging.resumed("Discharging", None) is False


def test_a_charge_is_worth_the_mean_voltage_of_its_step() -> None:
    gauge = Gauge("cell")
    assert gauge.by_charge(1000.0, 4.0) == Reading(volts=4.0, coulombs=0.0, joules=0.0)
    assert gauge.by_charge(1000.0, 3.9) == Reading(volts=3.9, coulombs=0.0, joules=0.0, fresh=False)
    assert gauge.by_charge(990.0, 3.8) == Reading(volts=3.8, coulombs=10.0, joules=10 * 3.9)
    assert gauge.by_charge(986.0, 3.6) == Reading(
        volts=3.6, coulombs=14.0, joules=pytest.approx(39 + 4 * 3.7)
    )


def test_what_a_gauge_gives_back_is_owed_before_anything_counts() -> None:
    gauge = Gauge("cell")
    assert gauge.by_energy(1000.0, 4.0) == Reading(volts=4.0, joules=0.0)
    seen = [gauge.by_energy(left, None) for left in (1010.0, 1005.0, 1000.0, 998.0, 998.0, 990.0)]
    assert [reading.joules for reading in seen] == [0.0, 0.0, 0.0, 2.0, 2.0, 10.0]
    assert [reading.fresh for reading in seen] == [False, False, False, True, False, True]


def test_a_rise_of_two_percent_is_jitter_and_a_larger_one_a_jump() -> None:
    gauge = Gauge("cell")
    gauge.by_energy(980.0, None)
    assert not gauge.by_energy(1000.0, None).fresh, "20 of 1000"
    assert gauge.by_energy(960.0, None).joules == 20.0
    gauge.by_energy(970.0, None)  # owes 10
    with pytest.raises(SourceError, match=r"the gauge of cell jumped up: .*measure again, off the charger"):
        gauge.by_energy(990.0, None)
    assert gauge.by_energy(985.0, None).joules == 25.0, "nothing is owed after a jump"


@pytest.mark.parametrize(
    ("left_uah", "percent", "volts", "fault"),
    [
        (2e6, 50.0, 2.0, ""),
        (2e6, 50.0, 1.999, "1999 mV, which no battery has"),
        (2e6, 50.0, 20.0, ""),
        (2e6, 50.0, 20.001, "20001 mV, which no battery has"),
        (0.051e6, 50.0, 4.0, ""),
        (0.049e6, 50.0, 4.0, "49000 µAh at 50 %, a battery of 0.098 Ah"),
        (25e6, 50.0, 4.0, ""),
        (25.1e6, 50.0, 4.0, "2.51e[+]07 µAh at 50 %, a battery of 50.2 Ah"),
        (1.0, None, 4.0, ""),
        (1.0, 0.0, 4.0, ""),
        (1.0, 0.99, 4.0, ""),
        (1.0, 1.0, 4.0, "1 µAh at 1 %"),
    ],
)
def test_units_of_a_phone_that_cannot_be_androids(
    left_uah: float, percent: float | None, volts: float, fault: str
) -> None:
    if fault:
        with pytest.raises(ImplausibleReading, match=f"^phone says {fault}.*use an external meter"):
            plausible_phone(left_uah, percent, volts, "phone")
    else:
        plausible_phone(left_uah, percent, volts, "phone")


class Phone(PhoneGauge):
    """Says what it is handed."""

    name = "phone"

    def __init__(self, *said: PhoneBattery) -> None:
        self.said = list(said)

    def _ask(self) -> PhoneBattery:
        return self.said.pop(0)


IDLE = PhoneBattery("Discharging", False, 60.0, 2_400_000.0, 4000.0)


@pytest.mark.parametrize("field", ["left_uah", "millivolts"])
def test_a_phone_must_say_both_and_need_not_each_time(field: str) -> None:
    for nothing in (None, 0.0):
        with pytest.raises(SourceMissing, match=r"no charge counter or no voltage.*; use an external meter$"):
            Phone(IDLE._replace(**{field: nothing})).open()
    phone = Phone(IDLE, IDLE, IDLE._replace(**{field: None}))
    phone.open()
    assert phone.read() == Reading(volts=4.0, coulombs=0.0, joules=0.0)
    with pytest.raises(
        SourceError, match=r"^phone left out the charge counter or the voltage this time; wait"
    ):
        phone.read()


def test_a_phone_counts_from_where_its_charger_was_taken_away() -> None:
    plugged = IDLE._replace(plugged=True)
    less = IDLE._replace(left_uah=2_300_000.0)
    phone = Phone(IDLE, IDLE, plugged, less, less._replace(left_uah=2_200_000.0), less)
    phone.open()
    phone.read()
    with pytest.raises(SourceError, match="on the mains"):
        phone.read()
    assert phone.read() == Reading(), "the first after it says nothing"
    assert phone.read().coulombs == 0.0, "and the next one begins again"
    phone.close()
    with pytest.raises(SourceError, match="not open"):
        phone.read()
