"""Training and semester estimates: jobs, repeats, one sum."""

import pytest

from energymeter.carbon.amount import Known
from energymeter.carbon.grid import Grid
from energymeter.carbon.jobs import Job, estimate
from energymeter.errors import SpecError

ROUND = Grid(grams_per_kwh=400, source="a round figure", relative=0.1)


def test_a_training_as_the_course_taught_it() -> None:
    # p_t = 1.58 t P kWh and 0.954 lb CO2e a kWh (2021 lab 9, after Strubell et al. 2019): 310 W for 24 h.
    grid = Grid(pounds_per_mwh=954, source="Strubell et al. 2019")
    taught_pounds = 0.954 * 1.58 * 24 * 0.310
    training = estimate([Job("training", Known.of(watts=310, seconds=24 * 3600))], grid, pue=1.58)
    assert training.grams == pytest.approx(taught_pounds * 453.59237)


def test_a_semester_adds_up() -> None:
    parts = [
        Job("epoch", Known.of(watt_hours=10, uncertainty=360), times=30),
        Job("lab session", Known.of(watt_hours=20, uncertainty=720), times=12),
    ]
    semester = estimate(parts, ROUND)
    assert semester.socket_kwh == pytest.approx(0.54)
    assert semester.grams == pytest.approx(216)
    assert [name for name, _ in semester.jobs] == ["epoch", "lab session"]
    # 1 % of the meter and 10 % of the grid, the same everywhere: not smaller by being added.
    assert semester.uncertainty == pytest.approx(216 * (0.01**2 + 0.1**2) ** 0.5)
    assert str(semester).splitlines()[-1] == "in all: 216 g CO2e ± 22, 0.5400 kWh"
    assert repr(semester).startswith("JobsTotal(epoch: 120 g CO2e ± 12, 0.3000 kWh")
    assert "<tr><td>in all</td><td>216 g CO2e ± 22</td><td>0.5400 kWh</td></tr>" in semester._repr_html_()


def test_a_measurement_scaled_up_is_a_model() -> None:
    once = Known(10.0, 1.0, 0.1, "measured", "rail")
    assert Job("epoch", once, times=30).total() == Known(300.0, 30.0, 3.0, "modelled", "rail")
    assert Job("epoch", once).total() == once


def test_an_unknown_spread_makes_the_sum_s_unknown() -> None:
    parts = [Job("a", Known.of(watt_hours=10, uncertainty=360)), Job("b", Known.of(watt_hours=10))]
    assert estimate(parts, ROUND).uncertainty is None


def test_nothing_to_estimate() -> None:
    with pytest.raises(SpecError, match="at least one job"):
        estimate([], ROUND)
    with pytest.raises(SpecError, match="cannot be done -1 times"):
        Job("x", Known.of(joules=1.0), times=-1).total()
