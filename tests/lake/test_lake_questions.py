"""The questions to a lake: what counts, what its intervals say, and that every engine says the same."""

import contextlib
import datetime
import functools
import json
import math
import os
import random
import time

import pytest
from click.testing import CliRunner

pytest.importorskip("ibis", reason="Ibis is not installed here: make test-lake")
pytest.importorskip("duckdb", reason="DuckDB is not installed here: make test-lake")
pytest.importorskip("fsspec", reason="fsspec is not installed here: make test-lake")

import numpy as np
from lakes import START, pushed, recorded

from energymeter.battery import Battery
from energymeter.carbon import Grid
from energymeter.cli import cli
from energymeter.errors import LogError, SpecError
from energymeter.lake import (
    Choice,
    Tables,
    battery,
    compact,
    coverage,
    fleet,
    generate,
    per_unit,
    power,
    ranking,
    regressions,
    retain,
)
from energymeter.lake.questions import QUESTIONS

HOUR = 3600


def work(root, host, watts, *, runs=3, start=START, seconds=10.0, board="", commit="", spread=0.0, **known):
    """Some runs of one model on one board, an hour apart."""
    for number in range(runs):
        trace = recorded(
            host, start + number * HOUR, watts + spread * (number - (runs - 1) / 2), seconds, **known
        )
        pushed(
            root,
            trace,
            board=board or host,
            model="net",
            variant="int8",
            commit=commit,
            units=seconds,
            unit="inference",
        )


def test_the_interval_holds_scatter_and_meter(tmp_path):
    work(tmp_path, "a", 3.0, spread=0.1)
    (row,) = per_unit(Tables(tmp_path)).rows
    assert row["joules_per_unit"] == pytest.approx(3.0)
    assert row["runs"] == 3
    # of 2.9, 3.0 and 3.1 the standard error is 0.1 / √3, and t(2) is 4.303
    meter = [3.0 * gain for gain in _relative(tmp_path)]
    assert row["joules_per_unit_uncertainty"] == pytest.approx(
        math.hypot(4.303 * 0.1 / math.sqrt(3), *meter), rel=1e-3
    )


def _relative(root):
    """Gain and offset ± of the first run, per joule."""
    tables = Tables(root)
    row = min(tables.rows(tables.runs), key=lambda row: row["start_unix_us"])
    return [
        row[f"{kind}_uncertainty_joules_per_unit"] / row["joules_per_unit"] for kind in ("gain", "offset")
    ]


def test_boards_that_do_not_differ_share_a_rank(tmp_path):
    work(tmp_path, "a", 3.0, spread=0.01)
    work(tmp_path, "b", 3.005, spread=0.01, source="ina219@1:0x41")
    work(tmp_path, "c", 4.0, spread=0.01, source="ina219@1:0x44")
    found = ranking(Tables(tmp_path))
    assert [(row["board"], row["rank"]) for row in found.rows] == [("a", 1), ("b", 1), ("c", 3)]
    assert found.left_out == {}


def test_simulated_modelled_and_uncalibrated_runs_rank_only_when_asked(tmp_path):
    work(tmp_path, "real", 3.0)
    work(tmp_path, "sim", 1.0, provenance="simulated")
    work(tmp_path, "model", 1.1, provenance="modelled")
    work(tmp_path, "plain", 1.2, calibrated=False)
    work(tmp_path, "typed", 1.3, provenance="manual")
    found = ranking(Tables(tmp_path))
    assert [row["board"] for row in found.rows] == ["real"]
    assert found.left_out == {"manual": 3, "modelled": 3, "simulated": 3, "uncalibrated": 3}
    asked = ranking(Tables(tmp_path), Choice(include=["uncalibrated"]))
    assert [(row["board"], row["trust"]) for row in asked.rows] == [
        ("plain", "uncalibrated"),
        ("real", "measured"),
    ]
    with pytest.raises(SpecError, match="provenance"):
        ranking(Tables(tmp_path), Choice(include=["guessed"]))


def test_places_and_units_are_never_compared(tmp_path):
    work(tmp_path, "a", 3.0)
    work(tmp_path, "b", 2.0, place="wall")
    assert [row["rank"] for row in ranking(Tables(tmp_path)).rows] == [1, 1]


def test_runs_that_were_partly_measured_are_left_out_and_counted(tmp_path):
    work(tmp_path, "a", 3.0)
    work(tmp_path, "b", 3.0, gap=(2.0, 4.0))
    pushed(tmp_path, recorded("c"))
    found = ranking(Tables(tmp_path))
    assert [row["board"] for row in found.rows] == ["a"]
    assert found.left_out == {
        "measured for less than 0.9995 of their time": 3,
        "without units (push with --units)": 1,
    }
    asked = ranking(Tables(tmp_path), Choice(least_coverage=0.5))
    assert [(row["board"], row["rank"]) for row in asked.rows] == [("a", 1), ("b", None)]


def test_a_gain_of_one_meter_cancels_between_commits_and_that_of_two_does_not(tmp_path):
    for host, second in (("one", "ina219@1:0x40"), ("two", "ina219@1:0x41")):
        known = {"spread": 0.01, "calibrated": False}
        work(tmp_path, host, 3.0, commit="a1", **known)
        work(tmp_path, host, 3.06, commit="b2", start=START + 10 * HOUR, source=second, **known)
    one, two = regressions(Tables(tmp_path), Choice(include=["uncalibrated"])).rows
    assert (one["before"], one["commit"], one["verdict"]) == ("a1", "b2", "more")
    assert one["percent"] == pytest.approx(2.0, rel=1e-6)
    assert (two["one_meter"], two["verdict"]) == (False, "no difference shown")


def test_one_run_has_no_verdict(tmp_path):
    work(tmp_path, "a", 3.0, commit="a1")
    work(tmp_path, "a", 4.0, commit="b2", start=START + 10 * HOUR, runs=1)
    work(tmp_path, "b", 4.0)
    found = regressions(Tables(tmp_path))
    assert [row["verdict"] for row in found.rows] == ["too few runs"]
    assert found.left_out == {"without a commit (push with --commit)": 3}


def test_the_worst_coverage_comes_first(tmp_path):
    work(tmp_path, "a", 3.0)
    work(tmp_path, "b", 3.0, gap=(2.0, 4.0), provenance="simulated")
    rows = coverage(Tables(tmp_path)).rows
    assert [(row["host_name"], round(row["coverage"], 6)) for row in rows] == [("b", 0.8), ("a", 1.0)]
    assert rows[0]["gap_seconds"] == pytest.approx(6.0)


def test_the_fleet_is_the_sum_of_its_hosts(tmp_path):
    """Across an hour's edge, with clocks of their own: energy lies in the hour in which it flowed."""
    first = recorded("a", START - 10, 3.0, 20.0)
    ahead = recorded("b", START - 10 + 1000, 2.0, 20.0)
    pushed(tmp_path, first, clock_uncertainty_s=0.0)
    pushed(tmp_path, ahead, clock_offset_s=1000.0, clock_uncertainty_s=0.5)
    before, after = fleet(Tables(tmp_path)).rows
    assert (before["hour"][-6:], before["hosts"]) == (
        "23:00Z" if START % 86400 == 0 else before["hour"][-6:],
        2,
    )
    assert before["joules"] == pytest.approx(50.0)
    assert after["joules"] == pytest.approx(50.0)
    assert before["amp_hours"] == pytest.approx(50.0 / 5 / 3600)
    # errors of hosts are independent; half a second of b's 2 W may lie on the other side of the edge
    meters = [_hour_uncertainty(tmp_path, host) for host in ("a", "b")]
    assert before["joules_uncertainty"] == pytest.approx(math.hypot(*meters, 0.5 * 2.0), rel=1e-6)


def _hour_uncertainty(root, host):
    """± of the first ten seconds of a host, k = 2: what is systematic adds up, the rest in squares."""
    tables = Tables(root)
    seconds = tables.seconds.filter(tables.seconds.host == host)
    rows = sorted(tables.rows(seconds), key=lambda row: row["unix_s"])[:10]
    gain, offset = (
        math.fsum(row[f"{kind}_uncertainty_joules"] for row in rows) for kind in ("gain", "offset")
    )
    return math.hypot(gain, offset, *(row["random_uncertainty_joules"] for row in rows))


def test_a_host_that_is_measured_twice_counts_once(tmp_path):
    pushed(tmp_path, recorded("a", START, 3.0, 20.0))
    pushed(tmp_path, recorded("a", START + 5, 3.0, 10.0))
    pushed(tmp_path, recorded("a", START + 20, 3.0, 10.0))
    found = fleet(Tables(tmp_path))
    assert math.fsum(row["joules"] for row in found.rows) == pytest.approx(90.0)
    assert found.left_out == {"measured at the same time as a longer run of their host": 1}
    assert "clocks" in found.notes[0]


def test_power_counts_a_host_that_is_measured_twice_once(tmp_path):
    pushed(tmp_path, recorded("a", START, 3.0, 20.0))
    pushed(tmp_path, recorded("a", START + 5, 3.0, 10.0, source="ina219@1:0x41"))
    found = power(Tables(tmp_path))
    assert math.fsum(row["joules"] for row in found.rows) == pytest.approx(60.0)
    assert found.left_out == {"measured at the same time as a longer run of their host": 1}


@pytest.mark.parametrize("provenance", ["measured", "manual", "modelled"])
def test_a_simulated_run_hides_no_other(tmp_path, provenance):
    pushed(tmp_path, recorded("a", START, 9.0, 60.0, provenance="simulated", calibrated=False))
    pushed(tmp_path, recorded("a", START + 5, 3.0, 10.0, provenance=provenance))
    include = ("simulated", "manual", "modelled")
    for question in (power, fleet):
        found = question(Tables(tmp_path), Choice(include=include))
        joules = {row["trust"]: row["joules"] for row in found.rows}
        assert joules == {"simulated": pytest.approx(540.0), provenance: pytest.approx(30.0)}


def test_a_battery_counts_a_host_that_is_measured_twice_once(tmp_path):
    pushed(tmp_path, recorded("a", START, 3.0, 20.0), model="net")
    pushed(tmp_path, recorded("a", START + 5, 9.0, 10.0, source="ina219@1:0x41"), model="net")
    found = battery(Tables(tmp_path), cell=Battery.parse("4000mAh"))
    (row,) = found.rows
    assert (row["runs"], row["mean_watts"]) == (1, pytest.approx(3.0))
    assert found.left_out == {"measured at the same time as a longer run of their host": 1}


MIDNIGHT = START - START % 86400 + 86400
HOSTS = ("pi", "Pi", "..", "host=pi/date=2026-11-28", "Küche/π", "a b%2F*?")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_fleet_adds_up_to_the_integral_of_its_hosts(tmp_path, seed):
    """Runs that overlap, cross midnight and hours, of clocks that are off, on hosts with odd names."""
    made = random.Random(seed)
    known = []
    for number in range(14):
        host, trust = made.choice(HOSTS), made.choice(("measured", "simulated", "manual"))
        start = MIDNIGHT + made.choice((0, 3600)) + made.uniform(-30, 10) + number * 1e-3
        seconds, level, slope = made.randint(2, 40), made.uniform(1, 9), made.uniform(-0.02, 0.1)
        offset = made.choice((0.0, -7200.0, 3600.25))
        wave = functools.partial(lambda time, level, slope: level + slope * time, level=level, slope=slope)
        pushed(
            tmp_path,
            recorded(host, start + offset, seconds=seconds, wave=wave, provenance=trust),
            clock_offset_s=offset,
        )
        known.append((host, trust, start, seconds, level, slope))
    kept = []
    for one in sorted(known, key=lambda one: (-one[3], one[2])):
        rivals = [other for other in kept if other[:2] == one[:2]]
        if all(one[2] >= other[2] + other[3] or other[2] >= one[2] + one[3] for other in rivals):
            kept.append(one)
    hours, hosts = {}, {}
    for host, trust, start, seconds, level, slope in kept:
        for hour in range(math.floor(start / HOUR), math.ceil((start + seconds) / HOUR)):
            first, last = max(0.0, hour * HOUR - start), min(seconds, (hour + 1) * HOUR - start)
            joules = (last - first) * (level + slope * (first + last) / 2)
            hours.setdefault((hour, trust), []).append(joules)
            hosts.setdefault((host, trust), []).append(joules)
    include = Choice(include=("simulated", "manual"))
    tables = Tables(tmp_path)
    found = {(row["hour"], row["trust"]): row["joules"] for row in fleet(tables, include).rows}
    written = {
        (time.strftime("%Y-%m-%dT%H:00Z", time.gmtime(hour * HOUR)), trust): math.fsum(joules)
        for (hour, trust), joules in hours.items()
    }
    assert found == pytest.approx(written, rel=1e-6)  # times are kept in µs
    by_host = {(row["host_name"], row["trust"]): row["joules"] for row in power(tables, include).rows}
    assert by_host == pytest.approx({key: math.fsum(joules) for key, joules in hosts.items()}, rel=1e-9)
    left_out = len(known) - len(kept)
    assert fleet(tables, include).left_out.get(
        "measured at the same time as a longer run of their host", 0
    ) == (left_out)


@pytest.mark.parametrize("question", [coverage, power, fleet, per_unit, battery])
def test_since_and_until_are_days_or_moments(tmp_path, question):
    pushed(tmp_path, recorded("a", START, 3.0, 20.0), units=2.0)
    tables = Tables(tmp_path)
    for wrong in ("yesterday", "2026-13-01", "28.11.2026", "", "2026-11-28T10:00", "٢٠٢٦-11-28"):
        with pytest.raises(SpecError, match=r"is no day or moment; give it as"):
            question(tables, Choice(since=wrong))
        with pytest.raises(SpecError, match=r"is no day or moment; give it as"):
            question(tables, Choice(until=wrong))
    for since, until in (("2026-11-29", "2026-11-28"), ("2026-11-28T02:00+02:00", "2026-11-27T23:59Z")):
        with pytest.raises(SpecError, match="the earlier one"):
            question(tables, Choice(since=since, until=until))
    ahead = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
    moment = datetime.datetime.fromtimestamp(START, ahead)
    later = moment + datetime.timedelta(seconds=1)
    assert question(tables, Choice(since="2026-11-28", until="2026-11-28")).rows
    assert question(tables, Choice(since=moment.isoformat(), until=moment.isoformat())).rows
    for empty in ({"since": "2026-11-29"}, {"until": "2026-11-27"}, {"since": later.isoformat()}):
        assert not question(tables, Choice(**empty)).rows


def test_grams_are_those_of_a_footprint(tmp_path):
    trace = recorded("a", START, 3.0, 20.0)
    pushed(tmp_path, trace, clock_uncertainty_s=0.0)
    (row,) = fleet(Tables(tmp_path), grid=Grid("DEU")).rows
    direct = trace.usage().carbon("DEU")
    assert row["grams"] == pytest.approx(direct.grams, rel=1e-9)
    assert row["grams_uncertainty"] == pytest.approx(direct.uncertainty, rel=1e-2)


def test_charge_at_different_voltages_is_not_added(tmp_path):
    pushed(tmp_path, recorded("a", START, 3.0, 20.0))
    other = recorded("b", START, 3.0, 20.0)
    other.amps, other.volts, other.coulombs = other.amps / 2, other.volts * 2, other.coulombs / 2
    pushed(tmp_path, other)
    (row,) = fleet(Tables(tmp_path)).rows
    assert row["amp_hours"] is None
    assert row["joules"] == pytest.approx(120.0)


def test_hours_are_those_of_a_report(tmp_path):
    from energymeter.report.report import RawFile, ReportedRun, Settings, Stated

    trace = recorded("a", START, 3.0, 20.0)
    pushed(tmp_path, trace, model="net")
    pushed(tmp_path, recorded("b", place="wall"))
    cell = Battery.parse("4000mAh")
    found = battery(Tables(tmp_path), cell=cell)
    reported = ReportedRun(
        trace, RawFile("a", None, None), Stated(), Settings(battery=cell), None, trace
    ).hours
    (row,) = found.rows
    assert (row["hours"], row["hours_low"], row["hours_high"]) == pytest.approx(reported[:3], rel=1e-9)
    assert found.left_out == {"measured at the wall, which no battery feeds": 1}


def test_power_is_that_of_the_samples(tmp_path):
    trace = recorded("a", seconds=20.0, wave=lambda time: 3 + np.sin(time))
    pushed(tmp_path, trace)
    (row,) = power(Tables(tmp_path)).rows
    assert row["joules"] == pytest.approx(trace.usage().joules, rel=1e-12)
    assert row["peak_watts"] == pytest.approx(float(trace.watts.max()))
    assert row["samples"] == 201


def test_a_lake_may_have_any_name(tmp_path):
    folder = tmp_path / "it's [a] lake; *"
    pushed(folder, recorded("a", START, 3.0, 20.0))
    (row,) = power(Tables(folder)).rows
    assert row["joules"] == pytest.approx(60.0)


def test_an_empty_lake_and_none_at_all(tmp_path):
    with pytest.raises(LogError, match="no lake"):
        Tables(tmp_path / "nothing")
    work(tmp_path, "sim", 1.0, provenance="simulated")
    assert str(ranking(Tables(tmp_path))) == "no run that counts\nleft out: 3 runs, simulated"


def test_a_damaged_file_is_one_sentence(tmp_path):
    work(tmp_path, "a", 3.0)
    for folder, _, names in os.walk(tmp_path / "seconds"):
        for name in names:
            (tmp_path / folder / name).write_bytes(b"no Parquet at all")
    with pytest.raises(LogError, match="cannot answer"):
        fleet(Tables(tmp_path))


# Engines --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small_fleet(tmp_path_factory):
    root = tmp_path_factory.mktemp("fleet") / "lake[1]"  # a name that a glob would misread
    generate(root, boards=6, hours=26, rate_hz=1)
    return root


ALL = Choice(include=("simulated",), least_coverage=0.9)


def answers(tables):
    return {name: question(tables, ALL).rows for name, question in QUESTIONS.items()}


def same(mine, theirs):
    assert mine.keys() == theirs.keys()
    for name, rows in mine.items():
        assert len(rows) == len(theirs[name]), name
        for row, other in zip(rows, theirs[name], strict=True):
            assert row.keys() == other.keys()
            for key, value in row.items():
                if isinstance(value, float):
                    assert other[key] == pytest.approx(value, rel=1e-9, abs=1e-12), (name, key)
                else:
                    assert other[key] == value, (name, key)


def test_polars_says_the_same(small_fleet):
    pytest.importorskip("polars", reason="Polars is not installed here: make test-lake")
    same(answers(Tables(small_fleet)), answers(Tables(small_fleet, "polars")))


@pytest.mark.slow
def test_a_generated_fleet_adds_up_and_says_that_it_is_simulated(small_fleet):
    tables = Tables(small_fleet)
    assert ranking(tables).rows == []
    assert ranking(tables).left_out == {"simulated": 6 * 26}
    found = answers(tables)
    by_hour = math.fsum(row["joules"] for row in found["fleet"])
    assert by_hour == pytest.approx(math.fsum(row["joules"] for row in found["power"]), rel=1e-9)
    assert {row["trust"] for rows in found.values() for row in rows} == {"simulated"}
    assert min(row["coverage"] for row in found["coverage"]) < 1
    with pytest.raises(LogError, match="empty folder"):
        generate(small_fleet, boards=1, hours=1, rate_hz=1)


# Upkeep ---------------------------------------------------------------------------------------------------


def lake_of_many(root):
    for number in range(5):
        work(root, "a", 3.0, start=START + number * 100, runs=2, seconds=5.0)
    pushed(root, recorded("b", seconds=5.0), units=1.0)
    pushed(root, recorded("b", seconds=9.0), units=1.0)  # which replaces the shorter one


@pytest.mark.slow
def test_compaction_changes_files_and_no_answer(tmp_path):
    lake_of_many(tmp_path)
    before = {name: question(Tables(tmp_path)).rows for name, question in QUESTIONS.items()}
    kept = compact(tmp_path)
    assert kept.files_after < kept.files_before / 3
    same(before, {name: question(Tables(tmp_path)).rows for name, question in QUESTIONS.items()})
    again = compact(tmp_path)
    assert again.files_before == again.files_after == kept.files_after
    lake_of_many_again = [*(("a", START + number * 100) for number in range(5))]
    for host, start in lake_of_many_again:
        work(tmp_path, host, 3.0, start=start, runs=2, seconds=5.0)  # pushed again after a compaction
    same(before, {name: question(Tables(tmp_path)).rows for name, question in QUESTIONS.items()})


@pytest.mark.slow
def test_a_compaction_that_is_interrupted_anywhere_loses_and_doubles_nothing(tmp_path, monkeypatch):
    from energymeter.lake.store import Store

    lake_of_many(tmp_path)
    before = {name: question(Tables(tmp_path)).rows for name, question in QUESTIONS.items()}
    rng = random.Random(5)
    for method in ("put_file", "remove"):
        whole = getattr(Store, method)
        for _ in range(8):
            left = rng.randrange(6)

            def stopping(self, *arguments, whole=whole):
                nonlocal left
                left -= 1
                if left < 0:
                    raise KeyboardInterrupt
                return whole(self, *arguments)

            with monkeypatch.context() as patch:
                patch.setattr(Store, method, stopping)
                with contextlib.suppress(KeyboardInterrupt):
                    compact(tmp_path)
            same(before, {name: question(Tables(tmp_path)).rows for name, question in QUESTIONS.items()})
    compact(tmp_path)
    same(before, {name: question(Tables(tmp_path)).rows for name, question in QUESTIONS.items()})


def test_retention_keeps_runs_and_drops_samples(tmp_path):
    import datetime

    work(tmp_path, "a", 3.0)
    before = ranking(Tables(tmp_path)).rows
    day = datetime.date(2026, 12, 28)
    kept = retain(tmp_path, samples_days=7, today=day)
    assert kept.bytes_after < kept.bytes_before
    assert ranking(Tables(tmp_path)).rows == before
    assert power(Tables(tmp_path)).rows == []
    retain(tmp_path, runs_days=7, today=day)
    assert ranking(Tables(tmp_path)).rows == []
    with pytest.raises(SpecError, match="days"):
        retain(tmp_path)


# The command ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_command_asks_and_answers(tmp_path):
    root = str(tmp_path / "lake")
    recorded(seconds=5.0).save(tmp_path / "run.csv")
    runner = CliRunner()
    done = runner.invoke(
        cli,
        [
            "push",
            str(tmp_path / "run.csv"),
            "--to",
            root,
            "--host",
            "pi",
            "--model",
            "net",
            "--units",
            "5",
            "--board",
            "Π",
        ],
    )
    assert done.exit_code == 0, done.output
    assert "51 samples" in done.output
    answer = runner.invoke(cli, ["lake", "ranking", root, "--json"])
    (row,) = json.loads(answer.output)["rows"]
    assert (row["board"], row["rank"]) == ("Π", 1)
    assert "Π" in answer.output  # as it is, and not as an escape
    for name in QUESTIONS:
        options = ["--grid", "DEU"] if name == "fleet" else []
        answer = runner.invoke(cli, ["lake", name, root, *options])
        assert answer.exit_code == 0, (name, answer.output)
    assert runner.invoke(cli, ["lake", "compact", root]).exit_code == 0
    assert runner.invoke(cli, ["lake", "retain", root, "--samples-days", "1"]).exit_code == 0
    nothing = runner.invoke(cli, ["lake", "ranking", str(tmp_path / "none")])
    assert nothing.exit_code == 8
    assert runner.invoke(cli, ["push", "--to", root]).exit_code == 2


def test_a_budget_and_a_dated_recording_are_pushed_from_the_command_line(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    runner, root = CliRunner(), str(tmp_path / "lake")
    (tmp_path / "run.csv").write_text("time_s,power_W\n0,3\n1,3\n2,3\n")
    run = ["push", str(tmp_path / "run.csv"), "--to", root, "--host", "pi-1", "--started"]
    wrong = runner.invoke(cli, [*run, "yesterday"])
    assert wrong.exit_code == 2
    assert "'yesterday' is no time: write 2026-11-28T14:00Z" in wrong.output
    done = runner.invoke(cli, [*run, "2026-11-28T14:00Z"])
    assert (done.exit_code, done.output) == (0, "run.csv: 3 samples\n")
    assert runner.invoke(cli, ["budget", "new", "lab"]).exit_code == 0
    done = runner.invoke(cli, ["push", "--to", root, "--budget", "lab", "--host", "pi-1"])
    assert (done.exit_code, done.output) == (0, "budget lab: pushed\n")
    (run,) = Tables(root).rows(Tables(root).runs)
    assert run["start_unix_us"] == 1_795_874_400 * 10**6
