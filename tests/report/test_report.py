"""The figures of a report: per unit, net, grams, hours; what is not known stays so."""

import hashlib
import json
import math
import os
from pathlib import Path

import pytest
from report.recorded import record, reported

from energymeter.battery.battery import Battery
from energymeter.carbon.embodied import Embodied, Range, sci
from energymeter.carbon.grid import Grid
from energymeter.errors import LogError, NotMeasured, SpecError
from energymeter.recordings.record import RecordedSpans
from energymeter.recordings.trace import Trace
from energymeter.report.cards import _strict, everything
from energymeter.report.report import Report, Settings, Stated


def test_energy_is_that_of_the_measured_window_and_of_one_unit(tmp_path: Path) -> None:
    run = reported(record(tmp_path / "a.csv"), stated=Stated(units=7)).runs[0]
    assert run.usage.joules == pytest.approx(5 * 9.8)
    assert run.joules_per_unit == pytest.approx(7.0)
    assert run.seconds_per_unit == pytest.approx(1.4)
    assert run.mah_per_unit == pytest.approx(1.4 / 3.6)


def test_calls_of_a_span_are_counted_one_by_one_and_the_first_can_be_left_out(tmp_path: Path) -> None:
    path = record(tmp_path / "a.csv")
    run = reported(path, span="infer", skip=1, stated=Stated(units=2)).runs[0]
    assert run.usage.joules == pytest.approx(15.0)
    assert run.units == 6
    assert run.joules_per_unit == pytest.approx(2.5)
    assert run.calls is not None
    assert run.calls.seconds.tolist() == pytest.approx([1, 1, 1, 1])
    assert run.calls.joules.tolist() == pytest.approx([5, 5, 5])
    assert run.spread_per_unit == run.seconds_spread_per_unit == 0
    assert run.windows_s == ((3.0, 4.0), (5.0, 6.0), (7.0, 8.0))


def test_units_that_calls_counted_themselves_need_no_statement(tmp_path: Path) -> None:
    counted = {
        "infer": RecordedSpans(4, ((1.0, 2.0), (3.0, 4.0), (5.0, 6.0), (7.0, 8.0)), {"images": (1, 2, 3, 4)})
    }
    path = record(tmp_path / "a.csv", spans=counted)
    run = reported(path, span="infer", skip=1, unit="images").runs[0]
    assert (run.units_counted, run.units) == (9.0, 9.0)
    assert run.joules_per_unit == pytest.approx(15.0 / 9)
    other = reported(path, span="infer", skip=1, unit="words").runs[0]
    assert (other.units_counted, other.units) == (None, 3.0)


def test_a_time_of_the_recording_can_be_reported(tmp_path: Path) -> None:
    run = reported(record(tmp_path / "a.csv"), window=(2.0, 4.0)).runs[0]
    assert run.usage.joules == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"span": "infer", "skip": 4}, SpecError, "leave out fewer"),
        ({"span": "train"}, SpecError, "has no span 'train'; it has infer, load"),
        ({"skip": 1}, SpecError, "name the span, too"),
        ({"span": "infer", "window": (0.0, 1.0)}, SpecError, "give one of them"),
        ({"window": (20.0, 30.0)}, NotMeasured, "measured nothing"),
        ({"idle": "-1"}, SpecError, "is no idle power"),
        ({"idle": "nowhere.csv"}, LogError, "nowhere.csv cannot be read"),
    ],
)
def test_what_makes_no_sense_is_refused(
    tmp_path: Path, settings: dict[str, object], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        reported(record(tmp_path / "a.csv"), **settings)


def test_a_report_is_of_some_recordings() -> None:
    with pytest.raises(SpecError, match="1 to 100 recordings, not 0"):
        Report([])


def test_what_was_not_measured_counts_as_the_mean_and_leaves_no_uncertainty(tmp_path: Path) -> None:
    run = reported(record(tmp_path / "a.csv", gap=(4.0, 6.0)), stated=Stated(units=7)).runs[0]
    assert run.usage.joules == pytest.approx(5 * 7.8)
    assert run.joules_per_unit == pytest.approx(7.0)
    assert run.uncertainty_per_unit is None


def test_a_call_in_a_gap_has_no_energy_of_its_own(tmp_path: Path) -> None:
    run = reported(record(tmp_path / "a.csv", gap=(3.5, 4.5)), span="infer").runs[0]
    assert run.calls is not None
    assert len(run.calls.joules) == 3
    assert len(run.calls.counted_seconds) == 4


def test_calls_shorter_than_the_samples_show_have_no_spread(tmp_path: Path) -> None:
    from energymeter.recordings.record import RecordedSpans

    short = {"infer": RecordedSpans(2, ((1.0, 1.2), (2.0, 2.2)))}
    run = reported(record(tmp_path / "a.csv", spans=short), span="infer").runs[0]
    assert run.calls is not None
    assert run.calls.unresolved
    assert run.spread_per_unit is None
    assert run.joules_per_unit == pytest.approx(1.0)


# Idle -----------------------------------------------------------------------------------------------------


def test_net_of_a_recorded_idle_power_has_a_small_uncertainty(tmp_path: Path) -> None:
    idle = record(tmp_path / "idle.csv", 2.0)
    report = reported(record(tmp_path / "a.csv"), idle=idle, stated=Stated(units=1))
    run = report.runs[0]
    assert run.usage.net_joules == pytest.approx(3 * 9.8)
    assert run.net_joules_per_unit == pytest.approx(3 * 9.8)
    # a gain of one meter scales the difference: 1 % of 3 W, not of 5 W and of 2 W
    assert run.net_uncertainty_per_unit == pytest.approx(run.usage.uncertainty * 3 / 5, rel=0.02)
    assert report.idle_from is not None
    assert report.idle_from.file.name == "idle.csv"


def test_an_idle_power_that_is_only_stated_leaves_no_uncertainty(tmp_path: Path) -> None:
    run = reported(record(tmp_path / "a.csv"), idle="2.0 W", stated=Stated(units=1)).runs[0]
    assert run.net_joules_per_unit == pytest.approx(3 * 9.8)
    assert run.net_uncertainty_per_unit is None


def test_an_idle_power_of_another_place_is_refused(tmp_path: Path) -> None:
    idle = record(tmp_path / "idle.csv", place="wall")
    with pytest.raises(SpecError, match="measured at the wall, a run at the rail; measure both at the same"):
        reported(record(tmp_path / "a.csv"), idle=idle)


def test_a_simulated_idle_power_makes_the_report_simulated(tmp_path: Path) -> None:
    idle = record(tmp_path / "idle.csv", provenance="simulated")
    assert reported(record(tmp_path / "a.csv")).provenance == "measured"
    assert reported(record(tmp_path / "a2.csv"), idle=idle).provenance == "simulated"


# Carbon and battery ---------------------------------------------------------------------------------------


def test_the_example_of_the_sci_specification() -> None:
    """1000 kg over 4 years, one hour: M is 28.5 g; with E·I of 71.5 g and 10 units SCI is 10 g a unit."""
    server = Embodied(Range(1e3, 1e3, 1e3), "example", lifetime_years=4)
    assert server.grams(3600).typical == pytest.approx(28.5, abs=0.04)
    assert sci(71.5, 28.5, 10) == pytest.approx(10.0)


def test_grams_and_sci_of_a_unit(tmp_path: Path) -> None:
    grid = Grid(grams_per_kwh=360.0, source="a test, 2026", relative=0.1)
    path = record(tmp_path / "a.csv", place="wall")
    run = reported(path, grid=grid, stated=Stated(units=49)).runs[0]
    assert run.operational_grams_per_unit == pytest.approx(1.0 * 360 / 3.6e6)
    assert run.sci is None
    board = Embodied(Range(10, 20, 40), "a test", lifetime_years=4)
    run = reported(path, grid=grid, embodied=board, stated=Stated(units=49)).runs[0]
    making = 20_000 * 9.8 / (4 * 365 * 86400) / 49
    assert run.sci == pytest.approx(1e-4 + making)
    assert run.operational_grams_per_unit == pytest.approx(1e-4)
    assert run.break_even_units is not None
    assert run.break_even_units.typical == pytest.approx(20_000 / 1e-4)


def test_hours_depend_on_where_the_meter_is(tmp_path: Path) -> None:
    battery = Battery(4000, volts=3.7, efficiency=0.9, usable=1.0, capacity_sigma=0.03)
    stated = Stated(units=49)
    rail = reported(record(tmp_path / "rail.csv"), battery=battery, stated=stated).runs[0]
    cell = reported(record(tmp_path / "cell.csv", place="cell"), battery=battery, stated=stated).runs[0]
    wall = reported(record(tmp_path / "wall.csv", place="wall"), battery=battery, stated=stated).runs[0]
    die = reported(record(tmp_path / "die.csv", place="die"), battery=battery, stated=stated).runs[0]
    assert rail.hours is not None
    assert cell.hours is not None
    assert rail.units_per_charge is not None
    assert rail.hours.value == pytest.approx(14.8 * 0.9 / 5)
    assert cell.hours.value == pytest.approx(14.8 / 5)
    assert rail.units_per_charge.value == pytest.approx(14.8 * 3600 * 0.9 / 1.0)
    assert rail.hours.low < rail.hours.value < rail.hours.high
    label = battery.with_(capacity_sigma=None)
    unknown = reported(str(tmp_path / "rail.csv"), battery=label, stated=stated).runs[0]
    assert unknown.hours is not None
    assert unknown.hours.low < unknown.hours.value < unknown.hours.high
    assert unknown.hours.value < rail.hours.value
    assert wall.hours is wall.units_per_charge is die.hours is None
    assert "at the wall" in wall.no_battery
    assert "on the die" in die.no_battery


# Files ----------------------------------------------------------------------------------------------------


def test_the_hash_is_that_of_the_bytes_of_the_file(tmp_path: Path) -> None:
    path = record(tmp_path / "a.csv")
    file = reported(path).runs[0].file
    assert file.sha256 == hashlib.sha256(Path(path).read_bytes()).hexdigest()
    assert file.bytes == os.path.getsize(path)
    assert file.name == "a.csv"


def test_a_file_that_changes_meanwhile_is_refused(tmp_path: Path) -> None:
    def load(path: str) -> Trace:
        trace = Trace.load(path)
        with open(path, "a") as file:
            file.write("\n")
        return trace

    with pytest.raises(LogError, match="changed while it was read"):
        Report([record(tmp_path / "a.csv")], load=load)


def test_a_folder_of_parts_has_no_hash(tmp_path: Path) -> None:
    Trace.load(record(tmp_path / "a.csv")).save(tmp_path / "a.parquet")
    whole = tmp_path / "a.parquet"
    parts = tmp_path / "b.parquet.parts"
    parts.mkdir()
    whole.rename(parts / "000000.parquet")
    try:
        trace = Trace.load(tmp_path / "b.parquet")
    except LogError as error:
        pytest.skip(f"parts are named otherwise: {error}")
    assert len(trace)
    assert reported(str(tmp_path / "b.parquet")).runs[0].file.sha256 is None


def test_json_holds_all_and_is_strict(tmp_path: Path) -> None:
    report = reported(
        record(tmp_path / "a.csv"),
        stated=Stated(name="m", units=49),
        grid=Grid("DEU"),
        battery=Battery.phone(),
        idle="2",
    )
    made = json.loads(json.dumps(everything(report), allow_nan=False))
    run = made["runs"][0]
    assert run["wh_per_1000_units"] == pytest.approx(1000 / 3600)
    assert made["idle_watts"] == 2.0
    assert made["idle_uncertainty"] is None
    assert {table["asked_by"] for table in made["tables"]} > {"Lab 2 of 2021", "Lab 9 of 2021"}
    assert str(tmp_path) not in json.dumps(made)


def test_a_number_that_json_has_not_is_null() -> None:
    strict = _strict({"a": (math.inf, 1.0), "b": {"c": math.nan}})
    assert strict == {"a": [None, 1.0], "b": {"c": None}}


def test_settings_have_no_grid_and_no_battery_of_their_own() -> None:
    assert Settings().grid is None
    assert Settings().battery is None
