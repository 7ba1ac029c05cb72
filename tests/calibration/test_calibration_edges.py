"""Calibration by exact numbers: means, checks at both ends, texts, charge, cards, quality, charts."""

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from energymeter.calibration import card as cards
from energymeter.calibration.alignment import Alignment, align
from energymeter.calibration.card import Card, make_card
from energymeter.calibration.cards import Cards
from energymeter.calibration.charge import charge_line, read_counter
from energymeter.calibration.charge_reference import Ticks, fit_charge, fit_clock, ticks
from energymeter.calibration.clock_gain import clock_gain
from energymeter.calibration.fitting import Fit, fit, fit_all, model_of
from energymeter.calibration.line_fit import with_tempco, york
from energymeter.calibration.plot import Series, chart, residuals
from energymeter.calibration.point_checks import (
    check_gain,
    check_reference,
    check_windows,
    too_close,
    usable_points,
    warnings_of,
)
from energymeter.calibration.points import Mean, Point, Reference, average, band, read_csv, write_csv
from energymeter.calibration.procedure import PATIENCE, Settings, guided, table
from energymeter.calibration.quality import Counts, Quality, examine
from energymeter.calibration.second_meter import Agreement, agreement, in_common
from energymeter.calibration.source_buffer import ReadingBuffer
from energymeter.calibration.steady_load import SteadyLoad, SteadyReading, point_of
from energymeter.clock import ManualClock
from energymeter.energy.correction import Line, Model
from energymeter.errors import CalibrationError, NotMeasured, SourceError, SourceTimeout, SpecError
from energymeter.reading import Band, Facts, Reading
from energymeter.recordings.trace import Trace

STEP = 1 / math.sqrt(12)
RECTANGLE = 1 / math.sqrt(3)

# Means


@pytest.mark.parametrize(
    ("readings", "resolution", "mean"),
    [
        ([1.0, 2.0, 1.0, 2.0], 0.0, Mean(1.5, math.sqrt(1 / 12), 4.0, 0.0, math.sqrt(0.5))),
        ([0.0, 0.0, 1.0, 1.0], 0.0, Mean(0.5, math.sqrt(1 / 7.2), 2.4, 1.0, 2 * math.sqrt(1 / 24))),
        ([1.0, 2.0, 3.0], 0.0, Mean(2.0, math.sqrt(1 / 3), 3.0, 2.0, 2 * math.sqrt(1 / 6))),
        ([5.0] * 4, 0.1, Mean(5.0, 0.1 * STEP, 4.0, 0.0, 0.0)),
        ([0.0, 1.0, 0.0, 1.0], 1.0, Mean(0.5, math.sqrt(1 / 12), 4.0, 0.0, math.sqrt(0.5))),
        (
            [0.0, 1.0, 0.0, 1.0],
            1.01,
            Mean(0.5, math.hypot(math.sqrt(1 / 12), 1.01 * STEP), 4.0, 0.0, math.sqrt(0.5)),
        ),
    ],
)
def test_the_mean_of_neighbours_that_are_alike_knows_less(
    readings: list[float], resolution: float, mean: Mean
) -> None:
    assert average(readings, resolution) == pytest.approx(mean)


def test_readings_that_only_creep_count_as_one_at_least() -> None:
    creep = average([n / 1000 for n in range(1000)])
    assert creep.effective == pytest.approx(1000 * 0.01 / 1.99), "no correlation above 0.99 is believed"


@pytest.mark.parametrize(
    ("value", "drift", "jitter", "steady"),
    [
        (0.0, 6.0, 1.0, True),
        (0.0, -6.01, 1.0, False),
        (-100.0, 0.02, 0.0, True),
        (-100.0, 0.0201, 0.0, False),
    ],
)
def test_a_drift_is_steady_up_to_its_jitter_or_two_ten_thousandths(
    value: float, drift: float, jitter: float, steady: bool
) -> None:
    assert Mean(value, 0.1, 4.0, drift, jitter).steady is steady


# Accuracies and points


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("0%", Band()),
        ("0.05 %", Band(0.0005)),
        ("1 % + 2 * 0.01", Band(0.01, 0.02, 0.01)),
        ("1%+3", Band(0.01)),
    ],
)
def test_accuracies_as_data_sheets_write_them(text: str, meant: Band) -> None:
    assert band(text) == pytest.approx(meant)


@pytest.mark.parametrize(
    "text", ["", "1", "%", "-1%", "nan%", "1%+-3*0.1", "1%+3*-0.1", "1%+x*0.1", "1%+3*x"]
)
def test_accuracies_that_make_no_sense(text: str) -> None:
    with pytest.raises(
        CalibrationError, match="is not understood: write per cent of the reading plus digits"
    ):
        band(text)


def test_each_channel_has_its_accuracy() -> None:
    reference = Reference("it", Band(0.1), Band(0.2), Band(0.3))
    assert [reference.band(channel).gain for channel in ("volts", "amps", "watts")] == [0.1, 0.2, 0.3]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "channel,shown\namps,1\n",
            "its first line must name channel, shown and reference, and may name shown_u",
        ),
        ("channel,shown,reference,ohms\namps,1,1,1\n", "its first line must name"),
        ("channel,shown,reference\nohms,1,1\n", "line 2: the channel must be volts, amps or watts"),
        ("channel,shown,reference\namps,x,1\n", r"line 2: shown must be a number between ±1e\+09"),
        ("channel,shown,reference\namps,1,2e9\n", "line 2: reference must be a number"),
        ("channel,shown,reference\namps,1,\n", "line 2: shown and reference must be given"),
    ],
)
def test_points_of_a_file_that_cannot_be_meant(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(CalibrationError, match=said):
        read_csv(str(tmp_path / "p.csv"))


def test_points_survive_their_file(tmp_path: Path) -> None:
    points = [
        Point("amps", 1e9, -1e9, 0.1, 0.2, "40mV", 21.5, 5.0, 6.0),
        Point("volts", 5.0, 0.0),
    ]
    write_csv(str(tmp_path / "p.csv"), points)
    assert read_csv(str(tmp_path / "p.csv")) == points


# Checks


@pytest.mark.parametrize(
    ("mine", "its", "apart"),
    [
        (10.0, 9.0, False),
        (9.0, 10.0, False),
        (10.0, 8.99, True),
        (8.99, 10.0, True),
        (None, 1.0, False),
        (1.0, None, False),
    ],
)
def test_means_over_different_times_are_refused(mine: float | None, its: float | None, apart: bool) -> None:
    point = Point("amps", 1.0, 1.0, seconds=mine, reference_seconds=its)
    if apart:
        with pytest.raises(CalibrationError, match=f"over {mine:.4g} s and the reference's over {its:.4g} s"):
            check_windows([point])
    else:
        check_windows([point])


@pytest.mark.parametrize(
    ("shown", "u", "close"),
    [
        ([1.0], [0.0], True),
        ([1.0, 1.0009], [0.0, 0.0], True),
        ([1.0, 1.0011], [0.0, 0.0], False),
        ([-1.0, -1.0009], [0.0, 0.0], True),
        ([0.0, 1.0], [0.01, 0.1], True),
        ([0.0, 1.0], [0.01, 0.099], False),
    ],
)
def test_how_far_apart_points_must_be(shown: list[float], u: list[float], close: bool) -> None:
    assert too_close(np.array(shown), np.array(u)) is close


@pytest.mark.parametrize(
    ("gain", "channel", "remedy"),
    [
        (0.9, "amps", ""),
        (1.1, "amps", ""),
        (
            0.89,
            "amps",
            "0.89 times what the meter shows, outside 0.9 to 1.1; check the shunt value and the unit",
        ),
        (1.11, "volts", "check the shunt value and the unit"),
        (10.9, "amps", "it is near 10, so the shunt value is probably wrong by that factor"),
        (9.1, "amps", "it is near 10,"),
        (11.1, "amps", "check the shunt value and the unit"),
        (10.0, "volts", "check the shunt value and the unit"),
        (0.1, "amps", "it is near 0.1,"),
        (0.5, "amps", "it is near 0.5,"),
    ],
)
def test_a_gain_that_no_meter_has(gain: float, channel: str, remedy: str) -> None:
    if remedy:
        with pytest.raises(CalibrationError, match=remedy):
            check_gain(gain, channel)
    else:
        check_gain(gain, channel)


def test_a_reference_that_never_changes() -> None:
    with pytest.raises(CalibrationError, match=r"the reference shows 1.5 A at every load"):
        check_reference([Point("amps", 1.0, 1.5)], np.array([1.5, 1.5]))
    check_reference([Point("amps", 1.0, 1.5)], np.array([1.5, 1.6]))


def test_only_what_has_a_reference_is_used() -> None:
    reference = Reference("it", volts=Band(0.001))
    volts, zero, amps = Point("volts", 5.0, 5.0), Point("amps", 0.001, 0.0), Point("amps", 1.0, 1.0)
    assert usable_points([volts, zero], reference) == ([volts, zero], [])
    assert usable_points([volts, zero, amps], reference) == (
        [volts],
        ["amps are left as they are: give the reference's --amps-accuracy"],
    )
    with pytest.raises(
        CalibrationError, match=r"the accuracy of the reference is unknown; .*--volts-accuracy"
    ):
        usable_points([amps], reference)
    assert usable_points([], reference) == ([], [])


def warned(shown: list[float], rests: list[float] | None = None, bend: float = 0.0) -> list[str]:
    x = np.array(shown)
    points = [Point("amps", each, each) for each in shown]
    true = x + bend * x**2
    return warnings_of(points, x, true, np.array(rests or [0.0] * len(x)), np.full(len(x), 1e-3))


def test_warnings_of_a_line_and_none_that_is_needless() -> None:
    assert warned([0.0, 0.5, 1.0, 1.5, 2.0]) == []
    assert warned([0.0, 0.5, 1.0, 2.0]) == [
        "4 points cannot show curvature; five over a decade of loads would"
    ]
    assert warned([0.4, 0.8, 1.2, 1.6, 2.0]) == []
    assert warned([0.41, 0.8, 1.2, 1.6, 2.0]) == ["no point is near zero load: small loads are extrapolated"]
    # a parabola of 0.1 x² over 2 A departs by 0.1 * (2/2)² from its chord
    assert warned([0.0, 0.5, 1.0, 1.5, 2.0], bend=0.1) == [
        "the points curve away from a straight line by up to 0.1 A"
    ]


def test_a_load_taken_twice_differs_on_the_way_back() -> None:
    up_and_down = [0.0, 1.0, 2.0, 1.019, 0.01]
    limit = 3 * math.hypot(1e-3, 1e-3)
    assert warned(up_and_down, [0.0, 0.0, 0.0, limit * 1.01, 0.0]) == [
        f"the same load differs by {limit * 1.01:.2g} A on the way up and down: "
        "the shunt warms up, so wait longer"
    ]
    assert warned(up_and_down, [0.0, 0.0, 0.0, limit * 0.99, 0.0]) == []
    assert warned([0.0, 1.0, 2.0, 1.03, 0.01], [0.0, 0.0, 0.0, 1.0, 0.0]) == [], "another load"
    assert warned([0.0, 1.0, 1.01, 1.5, 2.0], [0.0, 0.0, 1.0, 0.0, 0.0]) == [], "its neighbour, on the way up"
    (worst,) = warned(up_and_down, [0.0, 0.0, 0.0, 0.05, 0.08])
    assert "0.08 A" in worst


# Lines


def test_a_line_through_two_points_and_through_exact_ones() -> None:
    two = york([1.0, 3.0], [2.0, 8.0], [0.0, 0.0], [0.1, 0.1])
    assert (two.slope, two.offset) == pytest.approx((3.0, -1.0))
    assert two.chi_squared == pytest.approx(0.0, abs=1e-12)
    # x = -1, 0, 1 with u = 0.1: var slope = u²/2, var offset = u²/3, no covariance
    three = york([-1.0, 0.0, 1.0], [-1.9, 0.1, 2.1], [0.0] * 3, [0.1] * 3)
    assert (three.slope, three.offset) == pytest.approx((2.0, 0.1))
    assert three.covariance == pytest.approx(np.array([[0.005, 0.0], [0.0, 0.01 / 3]]))
    off = york([-1.0, 0.0, 1.0], [0.0, 0.3, 0.0], [0.0] * 3, [0.1] * 3)
    assert off.chi_squared == pytest.approx((0.1**2 + 0.2**2 + 0.1**2) / 0.01)
    assert off.at([2.0]) == pytest.approx([0.1])


def test_errors_of_both_axes_are_demings_line() -> None:
    x, y = [0.0, 1.0, 2.0], [0.0, 2.0, 2.0]
    # equal errors: the major axis of sxx = 2, syy = 8/3, sxy = 2
    sxx, syy, sxy = 2.0, 8 / 3, 2.0
    slope = (syy - sxx + math.sqrt((syy - sxx) ** 2 + 4 * sxy**2)) / (2 * sxy)
    found = york(x, y, [0.5] * 3, [0.5] * 3)
    assert found.slope == pytest.approx(slope)
    assert found.offset == pytest.approx(4 / 3 - slope)


def test_a_tempco_is_found_with_gain_and_offset() -> None:
    x = np.array([0.0, 1.0, 2.0, 0.0, 1.0, 2.0])
    kelvin = np.array([-5.0, -5.0, -5.0, 5.0, 5.0, 5.0])
    (gain, offset, alpha), covariance = with_tempco(
        x, 1.02 * (1 + 1e-3 * kelvin) * x + 0.01, kelvin, [0.1] * 6
    )
    assert (gain, offset, alpha) == pytest.approx((1.02, 0.01, 1e-3))
    assert covariance[0, 0] == pytest.approx(0.01 / (2 * 2.0)), "u² over the sum of squares from the mean"
    assert covariance[2, 2] == pytest.approx(0.01 / (25 * 10.0) / 1.02**2, rel=0.05)


def test_no_points_make_no_line() -> None:
    with pytest.raises(CalibrationError, match="no points to fit; take at least one at zero load"):
        fit([], Band(), Band())


@pytest.mark.parametrize(("shown", "far"), [(0.0329, False), (0.0331, True), (-0.0331, True)])
def test_a_zero_far_beyond_the_data_sheet(shown: float, far: bool) -> None:
    """Three times its offset of 0.01 A, and the scatter of five standard deviations."""
    points = [Point("amps", shown, 0.0, shown_u=6e-4)]
    if far:
        with pytest.raises(CalibrationError, match=f"the meter shows {shown:.4g} A, far beyond the ±0.01"):
            fit(points, Band(0.01, 0.01, 0.0), Band())
    else:
        assert fit(points, Band(0.01, 0.01, 0.0), Band()).line.offset == -shown
    assert fit(points, Band(0.01), Band()).line.offset == -shown, "without an offset of a data sheet"


def test_a_zero_says_what_it_leaves_open() -> None:
    found = fit([Point("amps", 0.001, 0.0), Point("amps", 0.003, 0.0)], Band(0.01, 0.01), Band())
    assert found.warnings == ("only the zero was taken: the gain is as uncertain as the data sheet says",)
    assert found.residuals == pytest.approx((0.001, -0.001))
    assert all(map(math.isnan, found.left_out))
    assert found.errors() == [pytest.approx((0.0, 0.001, -0.001)), pytest.approx((0.0, 0.003, 0.001))]


def test_ranges_with_enough_points_have_lines_of_their_own() -> None:
    def at(range_name: str, gain: float, *loads: float) -> list[Point]:
        return [Point("amps", load, gain * load, range=range_name) for load in loads]

    small, large = at("40mV", 1.01, 0.0, 0.1, 0.2), at("320mV", 1.02, 0.0, 1.0, 2.0)
    facts, reference = Facts(), Reference("it", amps=Band(0.001))
    assert set(fit_all(small + large, facts, reference)) == {("amps", "40mV"), ("amps", "320mV")}
    assert set(fit_all(small, facts, reference)) == {("amps", "")}, "the only range"
    few = at("320mV", 1.01, 1.0, 1.1)
    found = fit_all(small + few, facts, reference)
    assert set(found) == {("amps", "40mV"), ("amps", "")}, "what cannot tell gain from offset"
    assert len(found["amps", ""].points) == 5
    volts = [Point("volts", load, load) for load in (0.0, 2.0, 5.0)]
    model = model_of(fit_all(small + volts, facts, reference))
    assert (model.watts, set(model.amps)) == (None, {""})
    assert model.volts is not None
    watts = model_of(fit_all([Point("watts", x, x) for x in (0.0, 2.0, 5.0)], facts, reference))
    assert watts.watts is not None
    assert (watts.volts, watts.amps) == (None, {})


@pytest.mark.parametrize(("warm", "fitted"), [(24.9, False), (25.0, True)])
def test_a_tempco_needs_four_points_and_five_kelvin(warm: float, fitted: bool) -> None:
    points = [
        Point("amps", load, load * (1.004 if celsius > 20 else 1.0), celsius=celsius)
        for celsius in (20.0, warm)
        for load in (0.0, 1.0, 2.0)
    ]
    line = fit(points, Band(resolution=1e-3), Band(resolution=1e-3)).line
    assert (line.gain_per_kelvin is not None and line.gain_per_kelvin != 0) is fitted
    unknown = [*points[:-1], points[-1]._replace(celsius=None)]
    assert not fit(unknown, Band(resolution=1e-3), Band(resolution=1e-3)).line.gain_per_kelvin


# Charge


def test_a_counter_ticks_halfway_between_its_readings() -> None:
    assert ticks([0.0, 1.0, 3.0, 4.0, 8.0], [5.0, 5.0, 6.0, 6.0, 9.0]) == pytest.approx(
        Ticks(2.0, 6.0, 3.0, 4.0 * STEP)
    )
    assert ticks([0.0, 4.0, 5.0], [1.0, 2.0, 3.0]).late_s == pytest.approx(4.0 * STEP)
    for counts in ([1.0, 1.0, 1.0], [1.0, 2.0, 2.0]):
        moved = counts.count(2.0) and 1
        with pytest.raises(CalibrationError, match=f"the counter changed {moved} times in 9 s; wait for at"):
            ticks([1.0, 5.0, 10.0], counts)


TICKS = Ticks(10.0, 1010.0, 1020.0, 0.5)
TIMES, CHARGE = [0.0, 2000.0], [0.0, 2000.0]


def test_a_gain_from_charge_and_its_covariance() -> None:
    zero = Line(1.0, 0.01, ((0.0, 0.0), (0.0, 4e-6)), 0.0, 0.0)
    line = fit_charge(TIMES, CHARGE, TICKS, Band(0.003), zero)
    gain, edges = (1020.0 - 10.0) / 1000.0, math.sqrt(2) * 0.5 / 1000
    assert (line.gain, line.offset, line.low, line.high) == pytest.approx((gain, 0.01, 0.0, 1.0))
    assert line.covariance[0][0] == pytest.approx(gain**2 * (edges**2 + 0.003**2 / 3) + 4e-6)
    assert line.covariance[0][1] == line.covariance[1][0] == pytest.approx(-4e-6)
    assert line.covariance[1][1] == 4e-6
    plain = fit_charge(TIMES, CHARGE, TICKS, Band())
    assert (plain.gain, plain.offset, plain.covariance[1][1]) == pytest.approx((1.02, 0.0, 0.0))


@pytest.mark.parametrize(
    ("coulombs", "counter", "said"),
    [
        ([0.0, 0.0], TICKS, "the meter measured no charge while the counter did"),
        ([0.0, -2000.0], TICKS, "the meter measured no charge"),
        (
            CHARGE,
            TICKS._replace(counted=899.0),
            "measured 0.899 times the meter's charge, outside 0.9 to 1.1",
        ),
        (CHARGE, TICKS._replace(counted=1101.0), "measured 1.1 times"),
        (CHARGE, TICKS._replace(late_s=7.1), "1000 s are too short: the counter's steps alone cause ±1"),
    ],
)
def test_charge_that_makes_no_gain(coulombs: list[float], counter: Ticks, said: str) -> None:
    with pytest.raises(CalibrationError, match=said):
        fit_charge(TIMES, coulombs, counter, Band())
    for counted, late in ((900.0, 0.5), (1100.0, 0.5), (1000.0, 7.0)):
        fit_charge(TIMES, CHARGE, TICKS._replace(counted=counted, late_s=late), Band())


def test_without_a_zero_the_offset_is_that_of_the_data_sheet() -> None:
    counted = ([0.0, 10.0, 1000.0, 1010.0], [0.0, 5.0, 1000.0, 1005.0])
    meter = Band(0.01, 0.002)
    line = charge_line(TIMES, CHARGE, counted, meter, Band())
    assert (line.gain, line.offset) == pytest.approx((1.0, 0.0))
    assert line.covariance[1][1] == pytest.approx(0.002**2 / 3)
    points = [Point("amps", 0.001, 0.0, shown_u=1e-4), Point("amps", 1.0, 1.0), Point("volts", 0.0, 0.0)]
    zeroed = charge_line(TIMES, CHARGE, counted, meter, Band(), points)
    assert zeroed.offset == pytest.approx(-0.001)
    assert zeroed.covariance[1][1] == pytest.approx(1e-8)


def test_the_rate_of_a_clock() -> None:
    host = [0.0, 1000.0, 2000.0]
    found = fit_clock([0.0, 999.0, 1998.0], host)
    assert (found.gain, found.uncertainty) == pytest.approx((1000 / 999, 0.0), abs=1e-9)
    bent = fit_clock([0.0, 1000.0, 2000.0], [0.0, 1003.0, 2000.0])
    # residuals -1, 2, -1: chi² = 6 over one degree of freedom, var slope = 6 / (2 * 1000²)
    assert bent.uncertainty == pytest.approx(math.sqrt(6 / 2e6))
    assert fit_clock([0.0, 1.0, 2.0], [0.0, 1.0499, 2.0998]).gain == pytest.approx(1.0499)
    for slope in (1.051, 0.949):
        with pytest.raises(CalibrationError, match=f"the meter's second is {slope:.3g} s here, too far off"):
            fit_clock([0.0, 1.0, 2.0], [0.0, slope, 2 * slope])
    for device in ([0.0, 1.0], [1.0, 1.0, 1.0]):
        with pytest.raises(CalibrationError, match="a clock needs three moments or more, well apart"):
            fit_clock(device, host[: len(device)])


def counted(tmp_path: Path, text: str) -> tuple[list[float], list[float]]:
    (tmp_path / "c.csv").write_text(text)
    return read_counter(str(tmp_path / "c.csv"))


@pytest.mark.parametrize(
    ("text", "times", "counts"),
    [
        ("time_s,mah\n0,1\n10,2\n", [0.0, 10.0], [3.6, 7.2]),
        ("time_s,coulombs\n0,1\n10,2\n", [0.0, 10.0], [1.0, 2.0]),
        ("time_ms,charge_c\n0,1\n10,2\n", [0.0, 0.01], [1.0, 2.0]),
        ("date,time_s,mah\n2026-01-01T00:00:00Z,0,1\n2026-01-01T00:00:10Z,20,2\n", [0.0, 20.0], [3.6, 7.2]),
        ("date,mah\n1970-01-01T00:00:10Z,1\n1970-01-01T00:01:00Z,2\n", [10.0, 60.0], [3.6, 7.2]),
    ],
)
def test_readings_of_a_counter(tmp_path: Path, text: str, times: list[float], counts: list[float]) -> None:
    found = counted(tmp_path, text)
    assert found[0] == pytest.approx(times)
    assert found[1] == pytest.approx(counts)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time_s,watts\n0,1\n", "its first line must name time_s, and mah or coulombs"),
        ("mah\n1\n", "its first line must name time_s"),
        ("time_s,mah,charge_c\n0,1,2\n", "has 2 columns of charge, .*; keep one of them"),
        ("time_s,mah\n0,1\n0,2\n", "line 3: times must rise"),
        ("time_s,mah\n0,1\n1\n", "line 3: "),
        ("time_s,mah\n0,1\n1,1e13\n", "line 3: .*numbers must be plausible"),
        (
            "time_s,device,mah\n0,a,1\n1,b,2\n",
            "has rows of several counters by 'device', a, b; keep those of one",
        ),
    ],
)
def test_a_counter_that_cannot_be_read(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(CalibrationError, match=said):
        counted(tmp_path, text)


# A meter's clock


class Counting:
    """Counts its current by a clock that is 1000 ppm fast, and fails where a test says so."""

    name = "counting"
    facts = Facts()

    def __init__(self, clock: ManualClock, *odd: object) -> None:
        self.clock, self.odd, self.reads = clock, dict(enumerate(odd)), 0

    def open(self) -> None: ...
    def close(self) -> None: ...

    def read(self) -> Reading:
        said = self.odd.get(self.reads)
        self.reads += 1
        if isinstance(said, BaseException):
            raise said
        if isinstance(said, Reading):
            return said
        return Reading(amps=2.0, coulombs=2.0 * 1.001 * self.clock.monotonic_ns() * 1e-9)


def timed(*odd: object, hours: float = 10 / 3600) -> tuple[Any, list[str]]:
    clock, said = ManualClock(), []  # type: ignore[var-annotated]
    buffer = ReadingBuffer(Counting(clock, *odd), 2.0, clock)
    buffer.open()
    return clock_gain(buffer, clock, hours, said.append), said


def test_what_comes_between_does_not_end_a_comparison_of_clocks() -> None:
    found, said = timed(Reading(fresh=False), SourceTimeout("busy"))
    assert found.gain == pytest.approx(1 / 1.001)
    assert said[0] == "the meter did not answer: busy"
    assert said[1] == "0.5 s on the meter's clock"
    assert said[-1] == "8.5 s on the meter's clock", "of 20 readings the first says nothing, one failed"
    early, said = timed(*[None] * 5, KeyboardInterrupt())
    assert early.gain == pytest.approx(1 / 1.001)
    assert said[-1] == "ended by hand"


@pytest.mark.parametrize(
    "reading", [Reading(coulombs=1.0), Reading(amps=1.0), Reading(amps=-0.9e-3, coulombs=1.0)]
)
def test_a_clock_is_compared_by_current_and_charge(reading: Reading) -> None:
    with pytest.raises(SpecError, match=r"^the clock of counting cannot be compared: connect a load"):
        timed(reading)
    with pytest.raises(CalibrationError, match="three moments"):
        timed(Reading(amps=1e-3, coulombs=1.0), hours=0.5 / 3600)


# The newest readings


class Bits:
    """Gives its readings in turn; a stream ends with them."""

    name, facts = "bits", Facts(max_hz=20.0)

    def __init__(self, clock: ManualClock) -> None:
        self.clock, self.tuned = clock, 0.0
        self.sent: list[Reading] = []

    def open(self) -> None: ...
    def close(self) -> None: ...

    def tune(self, rate_hz: float) -> None:
        self.tuned = rate_hz

    def read(self) -> Reading:
        return Reading(watts=1.0)


class Sends(Bits):
    def stream(self) -> Iterator[Reading]:
        yield from self.sent


def test_a_polled_meter_keeps_what_is_new() -> None:
    clock = ManualClock()
    meter = Bits(clock)
    buffer = ReadingBuffer(meter, 50.0, clock)
    buffer.open()
    assert (meter.tuned, buffer.streams, buffer.interval_s, buffer.range) == (20.0, False, 0.0, "")
    buffer.update()
    assert buffer.interval_s == 0.0, "of one reading"
    buffer.update()
    assert len(buffer.readings) == 1, "no time has passed"
    for _ in range(6):
        clock.sleep(0.5)
        buffer.update()
    assert buffer.interval_s == pytest.approx(0.5)
    assert [each.at_s for each in buffer.between(0.5, 1.5)] == [1.0, 1.5]
    assert buffer.column(lambda reading: reading.amps) == ([], [])
    assert buffer.column(lambda reading: reading.watts)[1] == [1.0] * 7


class Rail(Bits):
    """A source of so many channels."""

    names = ("a",)

    def channels(self) -> list[Bits]:
        made = [Bits(self.clock) for _ in self.names]
        for channel, name in zip(made, self.names, strict=True):
            channel.name = name
        return made


@pytest.mark.parametrize(
    ("names", "wanted", "found"),
    [
        (("a",), "", "a"),
        (("a",), "a", "a"),
        (("a", "b"), "b", "b"),
        (("a",), "b", "name one with --channel: a$"),
        (("a", "b"), "", "name one with --channel: a, b$"),
        ((), "", "name one with --channel: there is none$"),
    ],
)
def test_the_channel_that_is_read(names: tuple[str, ...], wanted: str, found: str) -> None:
    source = Rail(ManualClock())
    source.names = names
    buffer = ReadingBuffer(source, 5.0, source.clock, wanted)
    if len(found) == 1:
        buffer.open()
        assert buffer.identity == found
    else:
        with pytest.raises(SpecError, match=found):
            buffer.open()


def test_a_stream_is_read_up_to_now() -> None:
    clock = ManualClock(start_ns=2_000_000_000)
    meter = Sends(clock)
    meter.sent = [Reading(watts=float(n), at_ns=n * 10**9, fresh=n != 3) for n in (1, 2, 2, 3, 4)]
    buffer = ReadingBuffer(meter, 5.0, clock)
    buffer.open()
    assert buffer.streams
    buffer.update()
    assert [each.reading.watts for each in buffer.readings] == [1.0, 2.0]
    buffer.update()
    assert len(buffer.readings) == 2, "the same time again"
    buffer.update()
    assert len(buffer.readings) == 2, "and a sign of life"
    buffer.update()
    with pytest.raises(SourceError, match="bits has no more samples"):
        buffer.update()


# Steady loads


class Flaky(Bits):
    def __init__(self, clock: ManualClock, failures: int) -> None:
        super().__init__(clock)
        self.failures = failures

    def read(self) -> Reading:
        self.failures -= 1
        if self.failures >= 0:
            raise SourceTimeout("busy")
        return Reading(volts=5.0, amps=1.0)


def test_a_meter_may_fail_twenty_times_in_a_row() -> None:
    for failures in (20, 21):
        clock = ManualClock()
        load = SteadyLoad(ReadingBuffer(Flaky(clock, failures), 10.0, clock), None, 10.0, clock)
        load.open()
        for _ in range(20):
            load.update()
        if failures == 21:
            with pytest.raises(SourceTimeout):
                load.update()
        else:
            load.update()
            assert len(load.meter.readings) == 1
        load.close()


def test_a_steady_load_is_read_for_its_time_and_eight_readings() -> None:
    clock, shown = ManualClock(), []  # type: ignore[var-annotated]
    load = SteadyLoad(ReadingBuffer(Flaky(clock, 0), 10.0, clock), None, 10.0, clock)
    load.open()
    steady = load.means(2.0, 10.0, shown.append)
    assert clock.monotonic_ns() * 1e-9 == pytest.approx(2.0)
    assert [each.channel for each in steady] == ["volts", "amps"]
    assert len(shown) == 2, "once a second"
    began = clock.monotonic_ns()
    load.means(0.1, 10.0, shown.append)
    assert (clock.monotonic_ns() - began) * 1e-9 == pytest.approx(0.9), "nine intervals at least"
    with pytest.raises(CalibrationError, match=r"not steady for 5 s within -4.9 s; keep it steady"):
        load.means(5.0, -4.9, shown.append)


def test_a_point_of_what_was_steady() -> None:
    mean, its = Mean(1.0, 0.1, 8.0, 0.0, 0.0), Mean(1.1, 0.2, 8.0, 0.0, 0.0)
    assert point_of(SteadyReading("amps", mean, its), 1.1, "40mV", 5.0, 21.0) == Point(
        "amps", 1.0, 1.1, 0.1, 0.2, "40mV", 21.0, 5.0, 5.0
    )
    assert point_of(SteadyReading("volts", mean, None), 1.2, "40mV", 5.0, None) == Point(
        "volts", 1.0, 1.2, 0.1, 0.0, "", None, 5.0, 5.0
    )


# The person at the bench


class Bench:
    """A meter of known readings, and a person with answers."""

    range = ""

    def __init__(self, *answers: str, watts: bool = False) -> None:
        self.answers, self.asked, self.said = list(answers), [], []  # type: ignore[var-annotated]
        self.meter, self.warning, self.alignment = self, "", None
        mean = Mean(5.0, 0.01, 8.0, 0.0, 0.0)
        channels = ("watts",) if watts else ("volts", "amps")
        self.readings = [SteadyReading(channel, mean, None) for channel in channels]

    def means(self, seconds: float, patience: float, report: Any) -> list[SteadyReading]:
        assert (seconds, patience) == (5.0, PATIENCE)
        return self.readings

    def ask(self, question: str) -> str:
        self.asked.append(question)
        return self.answers.pop(0)

    def say(self, text: str) -> None:
        self.said.append(text)

    def live(self, text: str) -> None: ...

    def points(self, *points: Point) -> list[tuple[str, float]]:
        found = guided(self, self, Settings(), list(points), lambda kept: None)  # type: ignore[arg-type]
        return [(point.channel, point.reference) for point in found[len(points) :]]


def test_at_the_zero_an_empty_answer_is_no_current_and_later_none_is_taken() -> None:
    bench = Bench("", "", "", "", "", "0.5", " DONE ")
    assert bench.points() == [("amps", 0.0), ("amps", 0.5)]
    assert bench.asked == [
        "disconnect the load and leave the supply on; then Enter, or 'done'",
        "the reference's reading in V (Enter: take none)",
        "the reference's reading in A, or the resistor as 10ohm (Enter: 0 A)",
        "change to the next load; then Enter, or 'done'",
        "the reference's reading in V (Enter: take none)",
        "the reference's reading in A, or the resistor as 10ohm (Enter: take none)",
        "change to the next load; then Enter, or 'done'",
    ]
    assert bench.said == ["shown 5 A, reference 0 A", "shown 5 A, reference 0.5 A"]


def test_a_resistor_is_a_current_by_the_voltage_of_the_reference() -> None:
    assert Bench("", "4,5", "10 Ohms", "q").points() == [("volts", 4.5), ("amps", 0.45)]
    assert Bench("", "", "10Ω", "d").points() == [("amps", 0.5)], "or by the meter's own"
    nonsense = Bench("", "", "0ohm", "x", "1", "done")
    assert nonsense.points() == [("amps", 1.0)]
    assert nonsense.said[:2] == [
        f"{word!r} is not a number; type one such as 0.4873" for word in ("0ohm", "x")
    ]


def test_power_alone_has_no_resistor() -> None:
    bench = Bench("", "", "", "", "done", watts=True)
    assert bench.points(Point("watts", 1.0, 1.0)) == []
    assert bench.asked[1] == "the reference's reading in W (Enter: take none)"
    assert bench.said == ["no point was taken"] * 2


def test_a_delay_is_said_once_and_a_warning_each_time() -> None:
    bench = Bench("", "", "1", "", "", "1", "done")
    bench.alignment = Alignment(-0.5, 0.01, None, None, 1, 0.9)  # type: ignore[assignment]
    bench.points()
    assert [text for text in bench.said if "reference is" in text] == [
        "the reference is 0.50 s ahead of the meter, by a step of the load; "
        "both means are taken over the same time"
    ]
    bench = Bench("", "", "1", "", "", "1", "done")
    bench.alignment = Alignment(0.0, 0.01, None, None, 2, 0.9)  # type: ignore[assignment]
    bench.points()
    assert any("0.00 s behind the meter, by 2 steps" in text for text in bench.said)
    bench = Bench("", "", "1", "", "", "1", "done")
    bench.warning, bench.alignment = "no steps", Alignment(0.5, 0.01, None, None, 1, 0.9)  # type: ignore[assignment]
    bench.points()
    assert bench.said.count("warning: the reference may come later than the meter: no steps") == 2
    assert not any("both means" in text for text in bench.said)
    silent = Bench("", "", "1", "done")
    silent.points()
    assert silent.said == ["shown 5 A, reference 1 A"]


def test_the_table_of_a_fit() -> None:
    line = Line(1.02, -0.001, ((1e-6, 0.0), (0.0, 1e-8)), 0.0, 1.0)
    points = (Point("amps", 0.0, 0.0), Point("amps", 1.0, 1.02))
    shown = table({("amps", "40mV"): Fit(line, points, (0.001, -0.002), (math.nan, 0.004), ("careful",))})
    assert shown.split("\n") == [
        "amps 40mV: true = 1.02 × shown -0.001 A (gain ± 0.2 %, k = 2)",
        "   reference      before       after    left out  residual",
        "           0          +0      -0.001           —  ····*··|·······",
        "        1.02       -0.02      +0.002      -0.004  ·······|······*",
        "  warning: careful",
    ]


# Alignment


def test_an_alignment_in_words() -> None:
    assert str(Alignment(1.5, 0.01, 2e-6, 5e-7, 3, 0.876)) == (
        "b is +1.5000 s ± 0.0200 against a, drift +2 ppm ± 1 (3 load steps, likeness 0.88)"
    )
    assert str(Alignment(-1.5, 0.01, None, None, 1, 1.0)) == (
        "b is -1.5000 s ± 0.0200 against a, drift unknown: one step only (1 load steps, likeness 1.00)"
    )


def test_three_steps_give_a_drift_and_two_do_not() -> None:
    times = np.arange(0, 120, 0.1)

    def steps(*at: float) -> np.ndarray:
        return 1.0 + np.searchsorted(np.array(at), times, side="left") * 2.0

    two = align(times, steps(30.0, 60.0), times, steps(31.0, 61.0))
    assert (two.steps, two.drift, two.offset_uncertainty) == (2, None, pytest.approx(0.05))
    three = align(times, steps(30.0, 60.0, 90.0), times, steps(31.0, 61.0, 91.0))
    assert (three.steps, three.drift) == (3, pytest.approx(0.0, abs=1e-6))
    assert three.offset_s == pytest.approx(1.0, abs=1e-6)
    # scatter of one cell's step: over three marks 30 s apart
    assert three.offset_uncertainty == pytest.approx(0.05 * STEP / math.sqrt(3), rel=1e-3)
    assert three.drift_uncertainty == pytest.approx(0.05 * STEP / math.sqrt(2) / 30, rel=1e-3)
    early = align(times, steps(31.0, 61.0, 91.0), times, steps(30.0, 60.0, 90.0))
    assert early.offset_s == pytest.approx(-1.0, abs=1e-6)
    assert early.likeness == pytest.approx(1.0, abs=0.01)


# Cards

MADE = 1_795_219_200.0  # 2026-11-21
AMPS = Line(1.02, -0.001, ((1e-6, -1e-7), (-1e-7, 1e-8)), 0.0, 1.0)
YEAR = 365.25 * 86400


def card(identity: str = "KM003C 007", **changed: Any) -> Card:
    made = make_card(identity, Reference("it"), [], Model(None, {"": AMPS}), made=MADE, celsius=20.0)
    return made._replace(**changed)


@pytest.mark.parametrize(
    ("age", "celsius", "amps", "said"),
    [
        (YEAR, 20.0, 0.0, []),
        (1.26 * YEAR, 20.0, 0.0, ["its calibration is 1.3 years old"]),
        (0.0, 30.0, None, []),
        (0.0, 30.1, None, ["it was calibrated in air 10 K cooler"]),
        (0.0, 9.9, None, ["it was calibrated in air 10 K warmer"]),
        (0.0, None, 1.25, []),
        (0.0, None, 1.251, ["1.3 A is beyond the 1 A it was calibrated up to"]),
        (0.0, None, -1.251, ["1.3 A is beyond the 1 A it was calibrated up to"]),
    ],
)
def test_when_a_card_may_not_hold(
    age: float, celsius: float | None, amps: float | None, said: list[str]
) -> None:
    from energymeter.energy.correction import EXTRAPOLATION, UNKNOWN_KELVIN

    scaled = None if amps is None else amps / 1.25 * EXTRAPOLATION
    warmer = None if celsius is None else 20.0 + (celsius - 20.0) / 10 * UNKNOWN_KELVIN
    found = card().warnings(MADE + age, warmer, scaled)
    wanted = [text.replace("1.3 A", f"{abs(scaled or 0):.2g} A") for text in said]
    assert found == [text.replace("10 K", f"{abs((warmer or 0) - 20):.0f} K") for text in wanted]


def test_a_card_knows_how_much_warmer_it_is() -> None:
    assert [card().kelvin(celsius) for celsius in (None, 20.0, 23.5)] == [None, 0.0, 3.5]
    assert card(celsius=None).kelvin(20.0) is None
    assert card().applied(25.0).kelvin == 5.0
    corrections = Cards(
        [card("a", model=Model(None, {"": AMPS._replace(gain_per_kelvin=1e-3)}))], celsius=30.0
    )
    assert corrections.corrections()["a"].amps_gain == pytest.approx(1.02 * 1.01)
    unknown = Cards([card("a", model=Model(None, {"": AMPS._replace(gain_per_kelvin=1e-3)}))])
    assert unknown.corrections()["a"].amps_gain == pytest.approx(1.02), "in the card's own air"


@pytest.mark.parametrize(
    ("identity", "name"),
    [("KM003C 007", "km003c-007"), ("ina219@1:0x40", "ina219-1-0x40"), ("-a--b!", "a-b")],
)
def test_the_file_of_a_card_is_called_after_its_meter(
    identity: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    it = card(identity, board="")
    assert cards.path_of(it).name == f"{name}.json"
    assert cards.path_of(it._replace(board="B1")).name == f"{name}-b1.json"
    path = cards.save(it)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert cards.load_all() == [it]


def test_only_a_meter_on_a_bus_belongs_to_its_board() -> None:
    assert card("KM003C 007").board == ""
    assert card("ina219@1:0x40").board == cards.board_serial()
    mine, theirs = card("a@1", board="B1"), card("b@1", board="B2")
    found = Cards([mine, theirs, card("serial", board="B2")], "B1")
    assert [found.of(name) is not None for name in ("a@1", "b@1", "serial")] == [True, False, True]
    assert found.applied("b@1") is None
    assert set(found.in_log()) == {"a@1", "serial"}
    found.check(["a@1", "other"])
    with pytest.raises(
        CalibrationError, match=r"^the card of b@1 was made on another board, .*--no-calibration$"
    ):
        found.check(["b@1"])


def test_a_named_card_belongs_to_one_of_the_meters() -> None:
    found = Cards([card("a")], file="a.json")
    found.check(["b", "a"])
    with pytest.raises(
        CalibrationError, match=r"^a.json is the card of a, but this is b and c; name the card of this meter$"
    ):
        found.check(["c", "b"])
    Cards([card("a")]).check(["b"])


def test_cards_that_are_closed_to_this_user_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert Cards.here(21.0).celsius == 21.0, "there are none"

    def closed(folder: str) -> list[str]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listdir", closed)
    with pytest.warns(RuntimeWarning, match="no calibration card is used, because this user may not read"):
        assert Cards.here().corrections() == {}


def sealed(**changed: Any) -> str:
    fields = json.loads(card().dumps())
    del fields["seal"]
    fields |= changed
    return json.dumps({**fields, "seal": cards._seal(fields)})


@pytest.mark.parametrize(
    ("field", "fine", "wrong"),
    [
        ("identity", "x" * 500, "x" * 501),
        ("made", 0.0, -0.1),
        ("made", 253_402_300_799.0, 253_402_300_800.0),
        ("celsius", -100.0, -100.1),
        ("celsius", 150.0, 150.1),
        ("celsius", None, "warm"),
        (
            "points",
            [{"channel": "amps", "shown": 1e9, "reference": 0}],
            [{"channel": "amps", "shown": 1.1e9}],
        ),
        (
            "reference",
            {"name": "x", "volts": [0, 0, 0], "amps": [0, 0, 1e6], "watts": [0, 0, 0]},
            {"name": "x"},
        ),
    ],
)
def test_what_a_card_may_hold_at_most(field: str, fine: object, wrong: object) -> None:
    assert Card.loads(sealed(**{field: fine}), "x") is not None
    with pytest.raises(CalibrationError, match=r"^x has no valid calibration .*--no-calibration"):
        Card.loads(sealed(**{field: wrong}), "x")


def test_every_way_in_which_a_file_is_no_card(tmp_path: Path) -> None:
    for text, said in (
        ("{", r"is not a calibration card \(JSONDecodeError\); calibrate again"),
        ("[" * 100_000, r"is not a calibration card \(RecursionError\)"),
        ("[]", "is not a calibration card of this version"),
        ('{"format": "x"}', "is not a calibration card of this version"),
        (sealed(more=1), "was changed or damaged after it was written"),
        (sealed().replace("007", "008"), "was changed or damaged"),
    ):
        with pytest.raises(CalibrationError, match=f"^x {said}"):
            Card.loads(text, "x")
    (tmp_path / "c.json").write_bytes(b"\xff")
    with pytest.raises(CalibrationError, match=r"cannot be read \(it is not UTF-8\); name another card"):
        cards.load(tmp_path / "c.json")
    with pytest.raises(CalibrationError, match=r"cannot be read \(No such file"):
        cards.load(tmp_path / "d.json")


# Quality

TIME = np.arange(100) * 0.02
FINE = Counts(1000, 100, 0, 0, 0)


def judged(watts: Any = None, facts: Facts = Facts(), counts: Counts = FINE, **options: Any) -> Quality:  # noqa: B008
    shown = 3.0 + 0.01 * np.array([0, 0, 1, 1] * 25) if watts is None else watts
    time, amps = options.pop("time", TIME), options.pop("amps", 0.005)
    return examine(time, shown, np.full(len(shown), amps), facts, counts, **options)


def test_figures_of_known_samples() -> None:
    found = judged(facts=Facts(max_watts=4.0, duty=0.75))
    noise = math.sqrt(49 * 0.01**2 / 99 / 2)
    assert found.mean_watts == pytest.approx(3.005)
    assert found.noise_watts == pytest.approx(noise)
    assert found.step_watts == pytest.approx(0.01)
    assert (found.interval_s, found.longest_s) == pytest.approx((0.02, 0.02))
    assert found.jitter_s == pytest.approx(0.0, abs=1e-9)
    assert found.headroom == pytest.approx(3.01 / 4)
    assert found.least_joules == pytest.approx(2 * math.sqrt(2) * noise * math.sqrt(0.02))
    assert found.zero_amps is None
    assert judged(zero=True).zero_amps == pytest.approx(0.005)
    assert judged(zero=True, amps=math.nan).zero_amps is None
    assert found.aliasing == pytest.approx(judged().aliasing / 2), "of a mean with a duty of 0.75"
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"counts": FINE._replace(duplicates=101)}, ["10 % of the reads had nothing new: use a lower rate"]),
        ({"counts": FINE._replace(missed=1)}, ["1 readings came too late, 0 failed, 0 were lost"]),
        ({"counts": FINE._replace(failed=1)}, ["0 readings came too late, 1 failed, 0 were lost"]),
        ({"counts": FINE._replace(lost=1)}, ["0 readings came too late, 0 failed, 1 were lost"]),
        ({"facts": Facts(max_watts=3.01 / 0.799)}, []),
        ({"facts": Facts(max_watts=3.01 / 0.811)}, ["the load reaches 81 % of the range: short peaks"]),
        ({"time": TIME + 0.039 * (TIME > 1)}, []),
        ({"time": TIME + 0.041 * (TIME > 1)}, ["the longest pause was 0.061 s, 3 intervals"]),
        ({"zero": True, "facts": Facts(amps=Band(0, 0.004, 0.001))}, []),
        (
            {"zero": True, "facts": Facts(amps=Band(0, 0.0039, 0.001))},
            ["with no load it shows 0.005 A, more"],
        ),
        (
            {"zero": True, "amps": -0.005, "facts": Facts(amps=Band(0, 0.003, 0.001))},
            ["with no load it shows"],
        ),
        ({"zero": True, "facts": Facts()}, []),
        ({"facts": Facts(amps=Band(0, 0.001, 0.001))}, []),
    ],
)
def test_each_warning_at_its_limit(change: dict[str, Any], said: list[str]) -> None:
    found = judged(**change).warnings
    assert len(found) == len(said)
    assert all(text.startswith(wanted) for text, wanted in zip(found, said, strict=True))


def test_ten_samples_are_enough() -> None:
    assert judged(np.arange(10.0), time=TIME[:10]).step_watts == 1.0
    with pytest.raises(NotMeasured, match="only 9 samples have a power; measure for longer"):
        judged(np.array([math.nan, *range(9)]), time=TIME[:10])


# Two meters


def trace(watts: float, name: str, facts: Facts, seconds: float = 20.0, start: float = 0.0) -> Trace:
    times = start + np.arange(0, seconds + 0.05, 0.1)
    steps = np.where(np.searchsorted([3.0, 7.0, 12.0], times - 0.0) % 2, 1.0, 0.0)
    return Trace.integrate(times, watts + steps, facts=facts, name=name)


def test_the_common_time_of_two_meters() -> None:
    facts = Facts(watts=Band(0.01))
    edges, a, b = in_common(trace(3.0, "a", facts), trace(2.0, "b", facts, 30.0, 5.0), 1.0, 4)
    assert edges == pytest.approx([4.0, 8.0, 12.0, 16.0, 20.0])
    assert len(a) == len(b) == 4
    with pytest.raises(NotMeasured, match="no time in common"):
        in_common(trace(3.0, "a", facts), trace(2.0, "b", facts, 30.0, 25.0), 1.0)


@pytest.mark.parametrize(
    ("a", "b", "known"),
    [
        (Facts(watts=Band(0.01)), Facts(watts=Band(0.01)), True),
        (Facts(volts=Band(0.01), amps=Band(0.01)), Facts(watts=Band(0.01)), True),
        (Facts(volts=Band(0.01)), Facts(watts=Band(0.01)), False),
        (Facts(watts=Band(0.01)), Facts(amps=Band(0.01)), False),
    ],
)
def test_what_is_allowed_needs_both_accuracies(a: Facts, b: Facts, known: bool) -> None:
    found = agreement(trace(3.0, "a", a), trace(3.0, "b", b))
    assert (found.allowed_watts is not None) is known
    assert (found.agrees is not None) is known


SAID = Agreement("a", "b", 20.0, 3.1234567, 3.0, 0.12, 0.01, 0.2, 0.0123, 0.0456, None, "no steps")


@pytest.mark.parametrize(
    ("change", "row"),
    [
        ({}, "  A                   a: 3.123 W"),
        ({}, "  B                   b: 3.000 W"),
        ({}, "  bias, A minus B     +0.1200 W ± 0.010, 4.00 % of B"),
        ({"b_watts": 0.0}, "  bias, A minus B     +0.1200 W ± 0.010"),
        ({"b_watts": -3.0}, "  bias, A minus B     +0.1200 W ± 0.010, 4.00 % of B"),
        ({}, "  agreement           within the ± 0.20 W of both meters"),
        ({"bias_watts": -0.3}, "  agreement           outside the ± 0.20 W of both meters"),
        ({"allowed_watts": None}, "  agreement           cannot tell: the accuracy of one meter is unknown"),
        ({}, "  noise of a sample   A 0.012 W, B 0.046 W"),
        ({}, "  lag of B            unknown: no steps"),
        (
            {"alignment": Alignment(0.25, 0.01, None, None, 2, 0.987)},
            "  lag of B            +0.2500 s ± 0.0200, by 2 load steps (likeness 0.99)",
        ),
    ],
)
def test_an_agreement_in_words(change: dict[str, Any], row: str) -> None:
    rows = str(SAID._replace(**change)).split("\n")
    assert row in rows


def test_an_agreement_is_within_both_uncertainties_together() -> None:
    limit = math.hypot(0.2, 0.01)
    assert SAID._replace(bias_watts=-limit * 0.9999).agrees
    assert SAID._replace(bias_watts=limit * 1.0001).agrees is False
    assert SAID.to_dict()["alignment"] is None
    assert SAID.to_dict()["agrees"] is True


# Charts


def test_a_chart_puts_its_marks_where_they_belong() -> None:
    svg = chart("T", "x", "y", [Series("s", [0.0, 1.0], [-1.0, 1.0], joined=True)])
    # 5 % of room on each side: 80 + 540 * 0.05 / 1.1, and 310 - 270 * 0.1 / 2.2
    assert 'cx="104.5" cy="297.7"' in svg
    assert 'cx="595.5" cy="52.3"' in svg
    assert 'points="104.5,297.7 595.5,52.3"' in svg
    assert svg.count("#444") == 1, "the line of zero"
    apart = chart("T", "x", "y", [Series("s", [0.0, 1.0], [-1.0, 1.0])])
    assert "polyline" not in apart
    log = chart("T", "x", "y", [Series("s", [1.0, 100.0], [0.0, 1.0])], log_x=True)
    assert 'cx="104.5"' in log
    assert 'cx="595.5"' in log
    assert all(f">{decade}</text>" in log for decade in ("1", "10", "100"))


def test_residuals_are_shares_of_the_largest() -> None:
    line = Line(1.0, 0.0, ((0.0, 0.0), (0.0, 0.0)), 0.0, 1.0)
    points = (Point("amps", 0.0, 0.0), Point("amps", 2.0, -4.0))
    fits = {
        ("amps", "40mV"): Fit(line, points, (0.02, -0.04), (), ()),
        ("volts", ""): Fit(line, points[:1], (0.5,), (), ()),
    }
    first, second = residuals(fits)
    assert first == Series("amps 40mV", [0.0, -1.0], [pytest.approx(0.5), pytest.approx(-1.0)])
    assert second == Series("volts", [0.0], [50.0])
