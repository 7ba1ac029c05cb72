"""Fitting: the published line, exact lines, honest covariance, and every error with its reason."""

import csv
import itertools
import math
import random

import numpy as np
import pytest
from devices.real_recordings import recording
from hypothesis import given
from hypothesis import strategies as st

from energymeter.calibration.charge_reference import fit_charge, fit_clock, ticks
from energymeter.calibration.fitting import fit, model_of
from energymeter.calibration.line_fit import york
from energymeter.calibration.points import Point, average, band, read_csv, write_csv
from energymeter.energy.correction import Model
from energymeter.errors import CalibrationError
from energymeter.reading import Band

METER = Band(0.011, 2e-3, 1e-4)
EXACT = Band(0.0, 0.0, 0.0)


def line_points(gain: float, offset: float, loads, **more) -> list[Point]:
    """What a meter of this gain and offset shows of exactly known loads: true = gain * shown + offset."""
    return [Point("amps", (load - offset) / gain, load, **more) for load in loads]


def test_pearsons_data_with_yorks_weights_give_yorks_published_line():
    # York et al. 2004, table I: weights 1/u²; slope -0.480533(58), offset 5.47991(29)
    x = [0.0, 0.9, 1.8, 2.6, 3.3, 4.4, 5.2, 6.1, 6.5, 7.4]
    y = [5.9, 5.4, 4.4, 4.6, 3.5, 3.7, 2.8, 2.8, 2.4, 1.5]
    weights_x = [1000, 1000, 500, 800, 200, 80, 60, 20, 1.8, 1.0]
    weights_y = [1, 1.8, 4, 8, 20, 20, 70, 70, 100, 500]
    line = york(x, y, 1 / np.sqrt(weights_x), 1 / np.sqrt(weights_y))
    assert line.slope == pytest.approx(-0.480533407, abs=1e-9)
    assert line.offset == pytest.approx(5.479910224, abs=1e-8)
    assert np.sqrt(np.diag(line.covariance)) == pytest.approx([0.05798501, 0.29497074], rel=1e-6)
    assert line.chi_squared == pytest.approx(11.866353, rel=1e-6)


def test_exact_shown_values_make_it_ordinary_weighted_least_squares():
    rng = np.random.default_rng(1)
    x, u = np.linspace(0, 2, 9), rng.uniform(0.01, 0.1, 9)
    y = 1.02 * x - 0.003 + rng.normal(0, u)
    line = york(x, y, np.zeros(9), u)
    (slope, offset), covariance = np.polyfit(x, y, 1, w=1 / u, cov="unscaled")
    assert (line.slope, line.offset) == pytest.approx((slope, offset), rel=1e-9)
    assert line.covariance == pytest.approx(covariance, rel=1e-9)


@given(st.floats(0.91, 1.09), st.floats(-2e-3, 2e-3), st.sampled_from([2, 3, 5, 9]))
def test_any_line_is_found_again(gain, offset, n):
    found = fit(line_points(gain, offset, np.linspace(0, 1, n)), METER, EXACT)
    assert found.line.gain == pytest.approx(gain, rel=1e-6)
    assert found.line.offset == pytest.approx(offset, abs=1e-6)
    assert all(abs(after) < 1e-6 for _, _, after in found.errors())


def test_two_points_are_the_text_books_two_lines():
    (g, o), line = (1.0 / (0.99 - 0.002), -0.002 / (0.99 - 0.002)), None
    line = fit([Point("amps", 0.002, 0.0), Point("amps", 0.99, 1.0)], METER, EXACT).line
    assert (line.gain, line.offset) == pytest.approx((g, o), rel=1e-6)
    assert (line.low, line.high) == (0.002, 0.99)


def test_the_references_own_error_does_not_average_down():
    few, many = (fit(line_points(1.01, 0.0, np.linspace(0, 1, n)), METER, Band(0.01)).line for n in (5, 500))
    floor = 0.01 / math.sqrt(3) * 1.01
    assert few.slope_uncertainty() > many.slope_uncertainty() > floor
    assert many.slope_uncertainty() == pytest.approx(floor, rel=1e-3)


def test_the_covariance_says_how_the_line_scatters():
    rng = random.Random(3)
    reference, loads = Band(0.004, 1e-3), (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
    hits, trials = {0.05: 0, 0.5: 0, 1.0: 0}, 400
    for _ in range(trials):
        wrong_gain, wrong_offset = rng.uniform(-0.004, 0.004), rng.uniform(-1e-3, 1e-3)
        points = [
            Point("amps", load / 1.02 + rng.gauss(0, 2e-4), load * (1 + wrong_gain) + wrong_offset, 2e-4)
            for load in loads
        ]
        line = fit(points, Band(0.0, 5e-3), reference).line
        for load in hits:
            hits[load] += abs(line.at(load / 1.02) - load) <= 2 * line.uncertainty(load / 1.02)
    # one rectangular error alone lies wholly within 2 standard deviations, two together nearly
    assert all(share >= 0.93 * trials for share in hits.values())
    wide = fit(points, Band(), Band(0.004, 1e-3)).line.uncertainty(1.0)
    assert 2 * wide < 2 * math.hypot(0.004, 1e-3)


def test_at_the_pivot_level_and_slope_are_independent():
    line = fit(line_points(1.01, 1e-3, (0.1, 0.4, 0.9)), METER, EXACT).line
    assert 0.1 < line.pivot() < 0.9
    least = line.uncertainty(line.pivot())
    assert least < line.uncertainty(line.pivot() + 0.1)
    assert line.uncertainty(0.9) ** 2 == pytest.approx(
        least**2 + line.covariance[0][0] * (0.9 - line.pivot()) ** 2
    )


def test_zero_load_alone_gives_the_offset_and_leaves_the_gain():
    found = fit([Point("amps", 1.2e-3, 0.0), Point("amps", 1.0e-3, 0.0)], METER, EXACT)
    assert (found.line.gain, found.line.offset) == (1.0, pytest.approx(-1.1e-3))
    assert found.line.slope_uncertainty() == pytest.approx(0.011 / math.sqrt(3))
    assert "the gain is as uncertain" in found.warnings[0]


def test_points_at_several_temperatures_give_the_drift():
    points = [
        Point("amps", load / (1.01 * (1 + 2e-4 * (celsius - 25))), load, 1e-5, celsius=celsius)
        for celsius in (15.0, 25.0, 35.0)
        for load in (0.0, 0.3, 0.6, 1.0)
    ]
    line = fit(points, METER, EXACT).line
    assert line.gain_per_kelvin == pytest.approx(2e-4, rel=1e-3)
    assert len(line.covariance) == 3
    assert line.at(1 / (1.01 * 1.002), 10) == pytest.approx(1.0, rel=1e-5)
    assert line.drift(None) == pytest.approx(2e-3 / math.sqrt(3), rel=1e-3)


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ([], "no points"),
        (line_points(10.0, 0.0, (0.0, 0.5, 1.0)), "shunt value is probably wrong"),
        (line_points(0.85, 0.0, (0.0, 0.5, 1.0)), "outside 0.9 to 1.1"),
        (line_points(1.0, 0.0, (0.5, 0.5001)), "too little to separate gain from offset"),
        ([Point("amps", 0.3, 0.3)], "too little to separate gain from offset"),
        ([Point("amps", x, 0.4) for x in (0.0, 0.5, 1.0)], "connect it to the same load"),
        ([Point("amps", 0.2, 0.0)], "disconnect the load"),
        (line_points(1.0, 0.0, (0.0, 0.4, 1.0), seconds=10.0, reference_seconds=2.0), "not simultaneous"),
        ([*line_points(1.0, 0.0, (0.0, 0.2, 0.4, 1.0)), Point("amps", 0.6, 0.7)], "not simultaneous"),
    ],
)
def test_what_cannot_be_a_calibration_is_refused_with_the_reason(points, reason):
    with pytest.raises(CalibrationError, match=reason):
        fit(points, METER, EXACT)


def test_a_column_that_lags_one_row_is_recognised():
    loads = (0.1, 0.3, 0.2, 0.8, 0.5, 1.0, 0.4)
    points = [Point("amps", now, before) for before, now in itertools.pairwise(loads)]
    with pytest.raises(CalibrationError, match=r"those of the point before \d+ times better"):
        fit(points, METER, EXACT)


@pytest.mark.parametrize(
    ("loads", "bend", "warning"),
    [
        ((0.0, 1.0), 0.0, "cannot show curvature"),
        ((0.5, 0.6, 0.7, 0.8, 1.0), 0.0, "no point is near zero"),
        ((0.0, 0.2, 0.4, 0.6, 0.8, 1.0), 4e-3, "curve away"),
    ],
)
def test_what_is_doubtful_is_said(loads, bend, warning):
    points = [Point("amps", load + bend * load * (1 - load), load) for load in loads]
    assert any(warning in text for text in fit(points, METER, EXACT).warnings)


def test_a_good_calibration_has_no_warnings():
    assert not fit(line_points(1.01, 1e-3, np.linspace(0, 1, 6)), METER, EXACT).warnings


def test_up_and_down_apart_is_a_shunt_that_warms_up():
    up = line_points(1.0, 0.0, (0.0, 0.25, 0.5, 0.75, 1.0))
    down = [point._replace(shown=point.shown + 1.5e-3) for point in up[3::-1]]
    assert any("way up and down" in text for text in fit([*up, *down], METER, EXACT).warnings)
    assert not any("way up" in text for text in fit([*up, *up[::-1]], METER, EXACT).warnings)


def test_a_point_left_out_shows_what_a_new_one_would_be_off_by():
    points = line_points(1.0, 0.0, (0.0, 0.25, 0.5, 0.75, 1.0))
    points[2] = points[2]._replace(reference=0.502)
    found = fit(points, METER, EXACT)
    assert max(found.left_out, key=abs) == found.left_out[2] == pytest.approx(2e-3, rel=1e-3)
    assert abs(found.residuals[2]) < abs(found.left_out[2])


def _rapl() -> list[dict[str, float]]:
    (path,) = recording("traces/rapl").glob("*.csv")
    with path.open() as file:
        return [
            {
                k: float(row[k])
                for k in ("rapl_power", "rapl_energy", "tapo_power", "tapo_time_delta", "duration")
            }
            for row in csv.DictReader(file)
        ]


def test_the_wall_plug_recorded_next_to_rapl_is_rejected_as_not_simultaneous():
    points = [
        Point(
            "watts",
            row["rapl_power"],
            row["tapo_power"],
            seconds=row["duration"],
            reference_seconds=row["tapo_time_delta"],
        )
        for row in _rapl()
    ]
    with pytest.raises(CalibrationError, match=r"not simultaneous: .* 30\.5\d* s .* reference's over 0 s"):
        fit(points, Band(), Band(0.01))


def test_the_two_columns_of_rapl_itself_are_rejected_as_a_row_apart():
    rows = _rapl()  # kWh over the run against the power of its end
    points = [Point("watts", r["rapl_power"], r["rapl_energy"] * 3.6e6 / r["duration"]) for r in rows]
    with pytest.raises(CalibrationError, match=r"not simultaneous: .* those of the point before \d+ times"):
        fit(points, Band(), Band(0.01))


# -- averages --------------------------------------------------------------------------------------


def test_correlated_readings_count_for_fewer():
    rng = random.Random(5)
    white = [rng.gauss(1, 0.01) for _ in range(4000)]
    slow = [0.0]
    for _ in range(4000):
        slow.append(0.8 * slow[-1] + rng.gauss(0, 0.01))
    assert average(white).effective == pytest.approx(4000, rel=0.1)
    assert average(slow).effective == pytest.approx(4000 * 0.2 / 1.8, rel=0.15)


def test_a_mean_within_one_step_is_not_known_better_than_the_step():
    assert average([0.5] * 100, 1e-4).uncertainty == pytest.approx(1e-4 / math.sqrt(12))


@pytest.mark.parametrize(("slope", "settled"), [(0.0, True), (1e-4, False)])
def test_a_drifting_reading_has_not_settled(slope, settled):
    rng = random.Random(2)
    assert average([0.5 + slope * i + rng.gauss(0, 1e-4) for i in range(100)]).steady is settled


@pytest.mark.parametrize("text", ["1.5", "x%", "1%+3*y", "-1%", "nan%"])
def test_an_accuracy_that_is_none_is_refused(text):
    with pytest.raises(CalibrationError, match="not understood"):
        band(text)


def test_accuracies_as_data_sheets_write_them():
    assert band("1.5% + 3*0.001") == Band(0.015, pytest.approx(0.003), 0.001)
    assert band("0.05%") == Band(0.0005, 0.0, 0.0)


def test_points_survive_their_file(tmp_path):
    points = [Point("volts", 5.01, 5.0, 1e-4, 2e-4, "", 21.5, 10.0), Point("amps", 0.1, 0.11, range="40mV")]
    write_csv(str(tmp_path / "p.csv"), points)
    assert read_csv(str(tmp_path / "p.csv")) == points


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "first line must name"),
        ("a,b\n1,2\n", "first line must name"),
        ("channel,shown,reference\nohms,1,2\n", "line 2: the channel"),
        ("channel,shown,reference\namps,1,x\n", "line 2: reference must be a number"),
        ("channel,shown,reference\namps,1,\n", "line 2: shown and reference"),
        ("channel,shown,reference\namps,nan,1\n", "line 2: shown must be a number"),
    ],
)
def test_a_bad_file_of_points_is_refused_with_its_line(tmp_path, text, reason):
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(CalibrationError, match=reason):
        read_csv(str(tmp_path / "p.csv"))
    with pytest.raises(CalibrationError, match="cannot be read"):
        read_csv(str(tmp_path / "absent.csv"))


# -- counters --------------------------------------------------------------------------------------


def counting(amps: float, step: float, seconds: float, period: float) -> tuple[list[float], list[float]]:
    """A counter of whole steps of charge, read every ``period``."""
    times = [i * period for i in range(round(seconds / period))]
    return times, [math.floor(amps * t / step + 0.37) * step for t in times]


def test_charge_between_ticks_is_known_far_better_than_the_step():
    times, counts = counting(0.5, 3.6, 3600, 0.5)  # 1 mAh steps of a USB meter
    seen = ticks(times, counts)
    mine = [0.5 * t / 1.02 for t in times]  # this meter shows 2 % too little
    line = fit_charge(times, mine, seen, Band())
    assert line.gain == pytest.approx(1.02, abs=4 * line.slope_uncertainty())
    assert line.slope_uncertainty() < 1e-4  # 500 whole steps alone would leave 3.6 / 1800 / √6 = 8e-4


def test_a_known_offset_is_taken_off_the_charge():
    times, counts = counting(0.5, 3.6, 3600, 0.5)
    zero = fit([Point("amps", 5e-3, 0.0, 1e-5)], Band(0.01, 5e-3), EXACT).line
    mine = [(0.5 / 1.01 + 5e-3) * t for t in times]
    line = fit_charge(times, mine, ticks(times, counts), Band(), zero)
    assert line.at(0.5 / 1.01 + 5e-3) == pytest.approx(0.5, abs=2e-4)
    assert line.covariance[0][1] < 0


@pytest.mark.parametrize(
    ("seconds", "period", "scale", "reason"),
    [
        (5, 0.5, 1.0, "two changes"),
        (40, 7.0, 1.0, "too short"),
        (600, 0.5, 2.0, "check the shunt value"),
        (600, 0.5, 0.0, "no charge"),
    ],
)
def test_a_charge_that_cannot_calibrate_is_refused(seconds, period, scale, reason):
    times, counts = counting(0.5, 3.6, seconds, period)
    with pytest.raises(CalibrationError, match=reason):
        fit_charge(times, [0.5 * scale * t for t in times], ticks(times, counts), Band())


def test_a_clock_is_fitted_by_moments_reported_on_both():
    rng = random.Random(7)
    device = [float(i) for i in range(200)]
    clock = fit_clock(device, [1.004 * t + 3 + rng.gauss(0, 0.002) for t in device])
    assert clock.gain == pytest.approx(1.004, abs=4 * clock.uncertainty)
    assert clock.uncertainty < 1e-5
    for moments, host in (([0.0, 1.0], [0.0, 1.0]), ([0.0, 1.0, 2.0], [0.0, 1000.0, 2000.0])):
        with pytest.raises(CalibrationError):
            fit_clock(moments, host)


def test_a_supply_s_voltage_that_never_changes_gives_the_gain_there():
    """Volts hold still while the load goes up: known at that level as well as the reference knows it."""
    points = [Point("volts", x, 5.1, 1e-3, 1e-4) for x in (5.080, 5.081, 5.079, 5.080)]
    found = fit(points, Band(0.005, 0.01, 0.004), Band(0.001, 0.0, 1e-4))
    assert found.line.at(5.08) == pytest.approx(5.1, abs=1e-4)
    assert found.line.uncertainty(5.08) == pytest.approx(5.1e-3 / math.sqrt(3), rel=0.05)
    assert found.line.uncertainty(3.3) > 0.3 * 0.01 / math.sqrt(3), "elsewhere the data sheet's offset counts"
    assert any("5.08 V at every load" in text for text in found.warnings)


def test_one_current_alone_is_no_calibration():
    with pytest.raises(CalibrationError, match="too little to separate gain from offset"):
        fit([Point("amps", 0.5, 0.51)] * 3, Band(0.005), Band(0.001))


def test_a_voltage_of_another_wire_is_refused():
    with pytest.raises(CalibrationError, match=r"outside 0.9"):
        fit([Point("volts", 5.0, 12.0)] * 3, Band(0.005), Band(0.001))


def test_each_channel_of_a_model_has_its_own_line():
    gains = {("volts", ""): 1.01, ("amps", ""): 1.02, ("amps", "40mV"): 1.03, ("watts", ""): 1.04}
    band = Band(0.01, 0.001, 0.001)
    found = {key: fit(line_points(gain, 0.0, (1.0, 2.0, 3.0)), band, Band()) for key, gain in gains.items()}
    model = model_of(found)
    assert model.volts == found["volts", ""].line
    assert model.amps == {"": found["amps", ""].line, "40mV": found["amps", "40mV"].line}
    assert model.watts == found["watts", ""].line
    assert len({line.gain for line in (model.volts, *model.amps.values(), model.watts)}) == 4
    assert model_of({}) == Model()
