"""Voltage tables: as published, monotone, and humble on the plateau."""

import json
from itertools import pairwise

import pytest
from devices.real_recordings import recording

from energymeter.battery.ocv import TABLES, mean_volts, state_of_charge
from energymeter.errors import SpecError

PUBLISHED = {
    "lco-4.20": "generic_18650_lco_4v20_2500mAh_20C",
    "phone-4.35": "li_4v35_2780mAh_jbt_d009_20C",
    "lihv-4.35": "lihv_4v35_2500mAh_longcheer_l8150_25C",
    "lihv-4.40": "lihv_4v40_3000mAh_asus_z00t_25C",
}


@pytest.mark.parametrize("name", TABLES)
def test_the_table_is_the_published_one(name: str) -> None:
    path = recording("wire/ocv_soc_tables.json")
    published = json.loads(path.read_text())[PUBLISHED[name]]
    assert TABLES[name] == tuple((uv / 1e6, pct / 100) for uv, pct in published["table_uV_pct"])
    assert mean_volts(name) == pytest.approx(published["mean_ocv_V_over_full_discharge"], abs=5e-5)


@pytest.mark.parametrize("name", TABLES)
def test_charge_never_falls_as_volts_rise(name: str) -> None:
    charges = [state_of_charge(2.9 + i / 200, name) for i in range(270)]
    assert all(a is not None and b is not None and a.value <= b.value for a, b in pairwise(charges))


def test_the_plateau_shows_little() -> None:
    plateau, steep = state_of_charge(3.80), state_of_charge(4.10)
    assert plateau is not None
    assert steep is not None
    assert plateau.high - plateau.low > steep.high - steep.low
    assert plateau.low <= plateau.value <= plateau.high


@pytest.mark.parametrize("name", TABLES)
def test_a_full_cell_is_full_and_an_empty_one_is_empty(name: str) -> None:
    full, empty = TABLES[name][0][0], TABLES[name][-1][0]
    for volts in (full, full + 0.05, full + 0.0999):
        found = state_of_charge(volts, name)
        assert found is not None
        assert (found.value, found.high) == (1.0, 1.0)
        assert 0 < found.low <= 1.0
    below = state_of_charge(max(2.5, empty - 0.1), name)
    assert below is not None
    assert (below.value, below.low) == (0.0, 0.0)


def test_a_voltage_between_two_rows_is_between_their_charges() -> None:
    (upper_volts, upper), (lower_volts, lower) = TABLES["lco-4.20"][3:5]
    middle = state_of_charge((upper_volts + lower_volts) / 2, volts_uncertainty=0.0)
    assert middle == pytest.approx(((upper + lower) / 2,) * 3 + ("",))


def test_no_cell_like_that() -> None:
    assert state_of_charge(5.1) is None
    assert state_of_charge(1.0) is None
    with pytest.raises(SpecError, match=r"lco-4\.20"):
        state_of_charge(3.7, "lifepo4")
