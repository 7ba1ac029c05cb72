"""Lines, models and covariances by exact numbers: closed forms, and fields that a card may leave out."""

import math

import numpy as np
import pytest

from energymeter.calibration.fitting import fit
from energymeter.calibration.points import Point
from energymeter.energy.correction import (
    DRIFT_PER_KELVIN,
    EXTRAPOLATION,
    UNKNOWN_KELVIN,
    Correction,
    Line,
    Model,
)
from energymeter.reading import Band, Facts, Reading

EXACT = Band()
CERTAIN = ((0.0, 0.0), (0.0, 0.0))
STEP = 1 / math.sqrt(12)


def line(gain: float, offset: float, u_offset: float, low: float, high: float) -> Line:
    return Line(gain, offset, ((1e-8, 0.0), (0.0, u_offset**2)), low, high)


# Lines


def test_the_uncertainty_of_a_line_is_the_quadratic_form_of_its_covariance() -> None:
    fitted = Line(1.02, 0.003, ((4e-6, -1e-6), (-1e-6, 9e-6)), 0.0, 2.0)
    assert fitted.uncertainty(0.0) == pytest.approx(3e-3)
    assert fitted.uncertainty(2.0) == pytest.approx(math.sqrt(4e-6 * 4 - 2e-6 * 2 + 9e-6))
    assert fitted.slope_uncertainty() == pytest.approx(2e-3)
    assert fitted.pivot() == pytest.approx(0.25)


def test_a_line_without_variance_has_its_pivot_at_zero() -> None:
    assert Line(1.0, 0.0, CERTAIN, 0.0, 1.0).pivot() == 0.0


def test_a_fitted_temperature_is_part_of_the_covariance_and_not_of_the_uncertainty_in_the_cards_air() -> None:
    covariance = ((4e-6, -1e-6, 5e-7), (-1e-6, 9e-6, 2e-7), (5e-7, 2e-7, 1e-8))
    fitted = Line(1.0, 0.0, covariance, 0.0, 2.0, gain_per_kelvin=3e-4)
    assert fitted.uncertainty(2.0) == pytest.approx(math.sqrt(4e-6 * 4 - 2e-6 * 2 + 9e-6))
    assert fitted.at(2.0, 10.0) == pytest.approx(2.006)
    assert fitted.at(2.0) == 2.0, "in the card's own air"
    assert fitted.drift(10.0) == pytest.approx(1e-4 * 10)
    assert fitted.drift(-10.0) == pytest.approx(1e-4 * 10)
    assert fitted.drift(None) == pytest.approx(3e-4 * UNKNOWN_KELVIN / math.sqrt(3))


def test_an_unknown_temperature_coefficient_is_that_of_a_shunt() -> None:
    plain = Line(1.0, 0.0, CERTAIN, 0.0, 1.0)
    assert plain.drift(5.0) == pytest.approx(DRIFT_PER_KELVIN / math.sqrt(3) * 5)
    assert plain.drift(None) == pytest.approx(DRIFT_PER_KELVIN * UNKNOWN_KELVIN / math.sqrt(3))


# Models


def test_of_the_ranges_that_reach_a_current_the_least_certain_speaks() -> None:
    small, large = line(1.0, 0.0, 1e-4, 0.0, 0.1), line(1.0, 0.0, 2e-3, 0.05, 3.0)
    model = Model(amps={"small": small, "large": large})
    assert model.amps_line(0.01) is small, "only the small range reaches it"
    assert model.amps_line(0.06) is large, "both reach it, and the large one is less certain"
    assert model.amps_line(0.1 * EXTRAPOLATION * 1.01) is large
    assert model.amps_line(0.05 / EXTRAPOLATION * 0.99) is small
    assert model.amps_line(-0.01) is small, "a current that flows back"
    assert model.amps_line(100.0) is large, "where none reaches, of all"
    assert Model().amps_line(1.0) is None


def test_a_card_of_power_alone_survives_json_and_corrects_power() -> None:
    model = Model(watts=line(1.03, -0.02, 1e-3, 0.0, 30.0))
    again = Model.from_json(model.to_json())
    assert again == model
    assert again.volts is None
    assert again.amps == {}
    corrected = again.correction().of(Reading(watts=10.0))
    assert corrected.watts == pytest.approx(10.28)
    assert again.correction() == Correction(watts_gain=pytest.approx(1.03), watts_offset=-0.02)


def test_a_card_of_current_alone_leaves_volts_as_they_are() -> None:
    correction = Model(amps={"": line(1.01, 0.002, 1e-3, 0.0, 3.0)}).correction()
    reading = correction.of(Reading(volts=5.0, amps=1.0))
    assert reading == Reading(volts=5.0, amps=pytest.approx(1.012))
    assert (correction.volts_gain, correction.volts_offset, correction.watts_gain) == (1.0, 0.0, None)


def test_a_warmer_air_changes_the_gain_and_not_the_offset() -> None:
    warm = Line(1.0, 0.1, CERTAIN, 0.0, 1.0, gain_per_kelvin=1e-3)
    correction = Model(volts=warm, amps={"": warm}, watts=warm).correction(kelvin=20.0)
    assert (correction.volts_gain, correction.amps_gain, correction.watts_gain) == pytest.approx([1.02] * 3)
    assert (correction.volts_offset, correction.amps_offset, correction.watts_offset) == (0.1, 0.1, 0.1)


def test_each_range_has_its_own_current_and_the_first_one_those_without() -> None:
    correction = Model(
        amps={"low": line(1.1, 0.0, 0.0, 0.0, 1.0), "high": line(1.2, 0.5, 0.0, 0.0, 9.0)}
    ).correction()
    assert correction.of(Reading(amps=1.0), "low").amps == pytest.approx(1.1)
    assert correction.of(Reading(amps=1.0), "high").amps == pytest.approx(1.7)
    assert correction.of(Reading(amps=1.0), "other").amps == pytest.approx(1.1)


def test_counters_and_their_wraps_follow_gain_and_clock() -> None:
    correction = Correction(volts_gain=1.02, amps_gain=0.98, clock_gain=1.001)
    reading = correction.of(Reading(joules=1000.0, coulombs=100.0))
    assert reading.joules == pytest.approx(1000 * 1.02 * 0.98 * 1.001)
    assert reading.coulombs == pytest.approx(100 * 0.98 * 1.001)
    facts = correction.wraps(Facts(joules_wrap=1000.0, coulombs_wrap=100.0))
    assert (facts.joules_wrap, facts.coulombs_wrap) == pytest.approx((reading.joules, reading.coulombs))
    own = Correction(volts_gain=1.02, watts_gain=1.5)
    assert own.of(Reading(joules=10.0)).joules == pytest.approx(15.0)
    assert own.wraps(Facts(joules_wrap=10.0)).joules_wrap == pytest.approx(15.0)


def test_on_mains_power_does_not_follow_volts_and_amps() -> None:
    reading = Reading(volts=230.0, amps=1.0, watts=100.0)
    direct = Correction(volts_gain=1.1, amps_gain=1.2).of(reading)
    mains = Correction(volts_gain=1.1, amps_gain=1.2, alternating=True).of(reading)
    assert direct.watts is None
    assert mains.watts == pytest.approx(132.0)


# Fits


def test_the_zero_alone_gives_the_offset_with_the_scatter_of_its_points() -> None:
    points = [Point("amps", shown, 0.0, shown_u=2e-4) for shown in (0.0011, 0.0009, 0.0010, 0.0010)]
    found = fit(points, Band(gain=0.005, offset=2e-3, resolution=1e-4), EXACT)
    assert found.line.offset == pytest.approx(-0.0010)
    assert found.line.gain == 1.0
    (gain, mixed), (_, offset) = found.line.covariance
    assert gain == pytest.approx((0.005 / math.sqrt(3)) ** 2)
    assert mixed == 0.0
    assert offset == pytest.approx((2e-4**2 + (1e-4 * STEP) ** 2) / 4)


def test_one_voltage_gives_the_gain_with_the_offset_of_the_data_sheet() -> None:
    points = [Point("volts", 5.00, 5.05, shown_u=1e-3, reference_u=1e-3) for _ in range(4)]
    meter = Band(gain=0.01, offset=4e-3, resolution=1e-3)
    found = fit(points, meter, EXACT)
    assert found.line.gain == pytest.approx(1.01)
    assert found.line.offset == 0.0
    offset = (4e-3 / math.sqrt(3)) ** 2
    (gain, mixed), (_, known) = found.line.covariance
    assert known == pytest.approx(offset)
    assert mixed == pytest.approx(-offset / 5.0)
    assert gain == pytest.approx((2e-6 / 4 + offset) / 25.0)


def test_one_voltage_that_scatters_more_than_its_points_say_is_less_certain() -> None:
    shown = (5.000, 5.004, 4.996, 5.000)
    points = [Point("volts", one, 5.05, shown_u=1e-3, reference_u=1e-3) for one in shown]
    meter = Band(gain=0.01, offset=4e-3, resolution=1e-3)
    found = fit(points, meter, EXACT)
    rests = [5.05 - found.line.gain * one for one in shown]
    worse = sum(rest**2 for rest in rests) / 2e-6 / 3
    assert worse > 5
    offset = (4e-3 / math.sqrt(3)) ** 2
    assert found.line.covariance[0][0] == pytest.approx((worse * 2e-6 / 4 + offset) / 25.0, rel=1e-6)


def test_a_perfect_fit_has_the_covariance_of_its_points_and_no_less() -> None:
    loads = [0.0, 0.5, 1.0, 1.5, 2.0]
    points = [Point("amps", load, load, shown_u=1e-3, reference_u=0.0) for load in loads]
    found = fit(points, Band(resolution=1e-3), EXACT)
    # weighted least squares, all weights 1/u²; the resolution is in the scatter of the points already
    u = math.hypot(1e-3, 1e-6 * 2.0)
    spread = float(((np.array(loads) - 1.0) ** 2).sum())
    (gain, mixed), (_, offset) = found.line.covariance
    assert gain == pytest.approx(u**2 / spread, rel=1e-3)
    assert offset == pytest.approx(u**2 * (1 / 5 + 1.0 / spread), rel=1e-3)
    assert mixed == pytest.approx(-(u**2) / spread, rel=1e-3)


def test_the_resolution_counts_where_the_points_have_no_scatter() -> None:
    points = [Point("amps", load, load) for load in (0.0, 0.5, 1.0, 1.5, 2.0)]
    coarse = fit(points, Band(resolution=0.01), EXACT).line.covariance[0][0]
    assert coarse == pytest.approx((0.01 * STEP) ** 2 / 2.5, rel=1e-3)
