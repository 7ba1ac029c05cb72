"""`push`: each run is in a lake once and whole, whatever happens meanwhile, and its rows add up.

===============================================  =====================================================
what could go wrong                              what holds it
===============================================  =====================================================
a push is repeated, or killed anywhere           `test_a_repeated_push_changes_nothing`, `…_are_killed`
a recording grows between two pushes             `test_a_recording_that_grew_replaces_itself`
units are corrected later                        `test_another_statement_is_refused_unless_forced`
the rows of a table do not add up to the run     `test_the_rows_add_up`
unmeasured time counts as 0 J                    `test_what_was_not_measured_is_null`
the ± shrinks because systematic errors average  `test_systematic_errors_of_seconds_add_up_to_that_of_the_run`
a clock is off                                   `test_a_clock_that_was_ahead_is_put_right`
a host's name leaves the lake                    `test_a_host_is_one_folder_that_every_store_takes`
a URL with a password is printed                 `test_a_password_in_a_url_is_refused_and_not_repeated`
a foreign lake, or one of another version        `test_another_version_is_refused`
simulated rows rank with measured ones           tests/lake/test_questions.py
a page shows who is behind a board               tests/lake/test_class_page.py
===============================================  =====================================================
"""

import json
import math
import multiprocessing
import os
import random
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("fsspec", reason="fsspec is not installed here: make test-lake")
pytest.importorskip("pyarrow", reason="pyarrow is not installed here")

import pyarrow.parquet as pq
from lakes import START, calls, pushed, recorded

from energymeter.battery.battery import Battery
from energymeter.budget.account import Account
from energymeter.energy.uncertainty import Part, components_of
from energymeter.energy.window import Window
from energymeter.errors import EnergyMeterError, LogError, SpecError
from energymeter.lake import Statement, Store, generate, push, push_budget
from energymeter.lake.rows import folder_name, rows_of, uncertainties
from energymeter.lake.schema import MARKER, TABLES, schema
from energymeter.lake.store import GRACE_SECONDS, UNFINISHED


def files(root):
    """Every file of a lake with its content."""
    return {
        os.path.relpath(os.path.join(folder, name), root): open(os.path.join(folder, name), "rb").read()
        for folder, _, names in os.walk(root)
        for name in names
    }


def rows(root, table):
    """Every row of a table, whether it counts or not."""
    found = []
    for name in files(root):
        if name.startswith(f"{table}/") and name.endswith(".parquet"):  # and not one that was never finished
            found += pq.ParquetFile(os.path.join(root, name)).read().to_pylist()
    return found


def counting(root, table):
    """The rows that count: those of the newest version of each run."""
    newest = {}
    for row in rows(root, "runs"):
        if row["run_id"] not in newest or row["version"] > newest[row["run_id"]]["version"]:
            newest[row["run_id"]] = row
    keys = {row["run"] for row in newest.values()}
    return [row for row in rows(root, table) if row["run"] in keys]


def test_the_rows_add_up(tmp_path):
    wave = lambda time: 3 + np.sin(time) + (time > 7)  # noqa: E731 - a shape
    trace = recorded(start=START + 0.4, seconds=20.5, spans=calls((1.0, 2.5), (4.0, 4.7)), wave=wave)
    pushed(tmp_path, trace, units=10.0, unit="inference", model="m")
    (run,) = counting(tmp_path, "runs")
    usage = trace.usage()
    assert run["joules"] == pytest.approx(usage.joules, rel=1e-12)
    assert run["uncertainty_joules"] == pytest.approx(usage.uncertainty, rel=1e-12)
    assert run["joules_per_unit"] == pytest.approx(usage.joules / 10, rel=1e-12)
    for table in ("usages", "seconds", "samples"):
        found = counting(tmp_path, table)
        assert math.fsum(row["joules"] or 0.0 for row in found) == pytest.approx(usage.joules, rel=1e-9), (
            table
        )
        assert math.fsum(row["coulombs"] or 0.0 for row in found) == pytest.approx(usage.coulombs, rel=1e-9)
    seconds = counting(tmp_path, "seconds")
    assert [row["unix_s"] for row in seconds] == list(range(START, START + 21))
    assert seconds[0]["seconds"] == pytest.approx(0.6)
    spans = counting(tmp_path, "spans")
    assert [row["joules"] for row in spans] == pytest.approx(
        [trace.usage(1.0, 2.5).joules, trace.usage(4.0, 4.7).joules]
    )
    assert all(
        row["provenance"] == "measured" and row["calibrated"]
        for table in TABLES
        for row in rows(tmp_path, table)
    )


def test_systematic_errors_of_seconds_add_up_to_that_of_the_run(tmp_path):
    pushed(tmp_path, recorded(calibrated=False, seconds=30.0, wave=lambda time: 2 + (time > 11.25)))
    (run,) = counting(tmp_path, "runs")
    seconds = counting(tmp_path, "seconds")
    assert run["gain_uncertainty_joules"] > 0 < run["offset_uncertainty_joules"]
    for name in ("gain_uncertainty_joules", "offset_uncertainty_joules"):
        assert math.fsum(row[name] for row in seconds) == pytest.approx(run[name], rel=1e-9)
    for row in (run, *seconds):
        parts = [row[f"{kind}_uncertainty_joules"] for kind in ("gain", "offset", "random")]
        assert row["uncertainty_joules"] == pytest.approx(math.hypot(*parts))


@pytest.mark.parametrize("calibrated", [True, False])
def test_the_uncertainty_of_a_sample_is_that_of_its_interval(calibrated):
    trace = recorded(calibrated=calibrated, seconds=5.0, wave=lambda time: 1 + time)
    made = rows_of([trace], "run.csv", Statement()).tables["samples"]
    number = 23
    interval = {name: made[name][number] for name in ("joules", "coulombs", "covered_seconds")}
    seconds = interval["covered_seconds"]
    window = Window(
        seconds, interval["joules"], interval["coulombs"], 5.0 * seconds, seconds, 0.0, 0.0, 0.0, math.nan
    )
    part = Part("", trace.facts, window)
    if calibrated:
        part = part._replace(model=trace.calibration.model, kelvin=trace.calibration.kelvin)
    direct = uncertainties(components_of(part))[0] / seconds
    assert made["uncertainty_watts"][number] == pytest.approx(direct, rel=1e-6)
    assert math.isnan(made["uncertainty_watts"][0])


def test_what_was_not_measured_is_null(tmp_path):
    pushed(tmp_path, recorded(seconds=20.0, gap=(5.0, 9.0)), units=4.0)
    seconds = {row["unix_s"] - START: row for row in counting(tmp_path, "seconds")}
    assert seconds[6]["joules"] is None
    assert seconds[6]["covered_seconds"] == 0
    assert seconds[3]["joules"] == pytest.approx(3.0)
    (run,) = counting(tmp_path, "runs")
    assert run["covered_seconds"] == pytest.approx(16.0)
    assert run["joules"] == pytest.approx(48.0)
    assert run["uncertainty_joules_per_unit"] is None  # it is not known of what was not measured
    after = next(row for row in counting(tmp_path, "samples") if row["unix_us"] == (START + 9) * 10**6)
    assert after["joules"] is None


def test_a_source_of_unknown_accuracy_has_no_uncertainty_per_unit(tmp_path):
    trace = recorded(calibrated=False)
    trace.facts = trace.facts._replace(volts=None, amps=None)
    pushed(tmp_path, trace, units=4.0)
    (run,) = counting(tmp_path, "runs")
    assert not run["accuracy_known"]
    assert run["uncertainty_joules_per_unit"] is None
    assert all(row["uncertainty_watts"] is None for row in counting(tmp_path, "samples"))


def test_a_repeated_push_changes_nothing(tmp_path):
    trace = recorded()
    (first,) = pushed(tmp_path, trace, model="m")
    before = files(tmp_path)
    (second,) = pushed(tmp_path, trace, model="m")
    assert (first.is_new, second.is_new) == (True, False)
    assert files(tmp_path) == before
    assert not [name for name in before if os.path.basename(name).startswith(".")]


def test_a_recording_that_grew_replaces_itself(tmp_path):
    pushed(tmp_path, recorded(seconds=10.0))
    pushed(tmp_path, recorded(seconds=20.0))
    assert len({row["run_id"] for row in rows(tmp_path, "runs")}) == 1
    assert math.fsum(row["joules"] for row in counting(tmp_path, "seconds")) == pytest.approx(60.0)
    with pytest.raises(LogError, match="more samples"):
        pushed(tmp_path, recorded(seconds=15.0))
    (known,) = pushed(tmp_path, recorded(seconds=10.0))
    assert not known.is_new
    assert math.fsum(row["joules"] for row in counting(tmp_path, "seconds")) == pytest.approx(60.0)


def test_another_statement_is_refused_unless_forced(tmp_path):
    pushed(tmp_path, recorded(), units=10.0)
    with pytest.raises(LogError, match="--force"):
        pushed(tmp_path, recorded(), units=20.0)
    pushed(tmp_path, recorded(), units=20.0, force=True)
    assert [row["units"] for row in counting(tmp_path, "runs")] == [20.0]
    assert math.fsum(row["joules"] for row in counting(tmp_path, "seconds")) == pytest.approx(60.0)


@pytest.mark.parametrize("way", ["stated first", "stated later"])
@pytest.mark.parametrize("stated", [{"host": "other"}, {"started": START + 86400.0}, {"clock_offset_s": 9e4}])
def test_a_run_of_another_host_or_day_is_moved_only_if_forced(tmp_path, way, stated):
    first, later = ({}, stated) if way == "stated later" else (stated, {})
    pushed(tmp_path, recorded(), **first)
    with pytest.raises(LogError, match=r"in the lake already, as host=.*--force to move"):
        pushed(tmp_path, recorded(), **later)
    assert [one.is_new for one in pushed(tmp_path, recorded(), **first)] == [False]
    pushed(tmp_path, recorded(), **later, force=True)
    (run,) = counting(tmp_path, "runs")
    assert run["host_name"] == later.get("host", "pi-1")
    assert math.fsum(row["joules"] for row in counting(tmp_path, "seconds")) == pytest.approx(60.0)
    pushed(tmp_path, recorded(seconds=30.0), **later, force=True)
    (run,) = counting(tmp_path, "runs")
    assert run["host_name"] == later.get("host", "pi-1")
    with pytest.raises(LogError, match="--force to move"):
        pushed(tmp_path, recorded(seconds=40.0), **first)


def test_a_recording_without_host_or_date_is_found_wherever_it_was_put(tmp_path):
    trace = recorded()
    trace.header, trace.epoch_s = {}, None
    pushed(tmp_path, trace, host="a", started=float(START))
    for other in ({"host": "b", "started": float(START)}, {"host": "a", "started": START + 86400.0}):
        with pytest.raises(LogError, match="as host=a/"):
            pushed(tmp_path, trace, **other)
    pushed(tmp_path, trace, host="b", started=float(START), force=True)
    assert [row["host_name"] for row in counting(tmp_path, "runs")] == ["b"]


def test_a_clock_that_was_ahead_is_put_right(tmp_path):
    pushed(tmp_path, recorded(start=START + 3600), clock_offset_s=3600.0, clock_uncertainty_s=0.5)
    (run,) = counting(tmp_path, "runs")
    assert run["start_unix_us"] == START * 10**6
    assert run["clock_uncertainty_seconds"] == 0.5
    assert counting(tmp_path, "seconds")[0]["unix_s"] == START


def test_a_recording_without_host_or_date_is_asked_about(tmp_path):
    trace = recorded()
    trace.header = {}
    with pytest.raises(SpecError, match="--host"):
        pushed(tmp_path, trace)
    trace.epoch_s = None
    with pytest.raises(SpecError, match="--started"):
        pushed(tmp_path, trace, host="pi")
    (one,) = pushed(tmp_path, trace, host="pi", started=float(START))
    assert one.is_new


@given(st.text(min_size=1, max_size=80))
def test_a_host_is_one_folder_that_every_store_takes(host):
    name = folder_name(host)
    assert name == "".join(sign for sign in name if sign.isascii() and (sign.isalnum() or sign in "-_."))
    assert name.strip(".")
    assert len(name) <= 69
    assert folder_name(host) == name


def test_hosts_that_are_written_alike_are_two():
    assert len({folder_name(host) for host in ("a b", "a_b", "a/b", "..", "...")}) == 5


def test_a_password_in_a_url_is_refused_and_not_repeated():
    with pytest.raises(SpecError) as refused:
        Store("s3://key:secret@bucket/lake")
    assert "secret" not in str(refused.value)
    assert "key" not in str(refused.value).partition("AWS")[0]


@pytest.mark.parametrize("url", ["http://host/lake", "simplecache::s3://b", "ftp://host/lake"])
def test_other_stores_are_refused(url):
    with pytest.raises(SpecError):
        Store(url)


def test_another_version_is_refused(tmp_path):
    pushed(tmp_path, recorded())
    (tmp_path / MARKER).write_text(json.dumps({"energymeter_lake": 2}))
    with pytest.raises(LogError, match="version 2"):
        pushed(tmp_path, recorded(host="pi-2"))
    (tmp_path / MARKER).write_text("{")
    with pytest.raises(LogError, match="damaged"):
        pushed(tmp_path, recorded(host="pi-2"))


def test_a_store_of_objects_holds_the_same(tmp_path):
    import fsspec

    trace = recorded(spans=calls((1.0, 2.0)))
    pushed(tmp_path, trace)
    pushed("memory://lake-test", trace)
    kept = fsspec.filesystem("memory")
    remote = {path.removeprefix("/lake-test/"): kept.cat_file(path) for path in kept.find("/lake-test")}
    assert remote == files(tmp_path)
    (again,) = pushed("memory://lake-test", trace)
    assert not again.is_new


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "lake").write_text("a file")
    with pytest.raises(EnergyMeterError, match="lake"):
        pushed(tmp_path / "lake", recorded())


def test_a_log_of_energymeter_is_pushed_from_its_file(tmp_path):
    trace = recorded(seconds=5.0)
    trace.save(tmp_path / "run.parquet")
    (one,) = push([str(tmp_path / "run.parquet")], str(tmp_path / "lake"), Statement(host="pi"))
    assert one.rows == 51
    trace.save(tmp_path / "run.csv")
    (same,) = push([str(tmp_path / "run.csv")], str(tmp_path / "lake"), Statement(host="pi"))
    assert not same.is_new  # the samples are the same, whatever file they are in


def test_every_column_has_a_unit_or_none():
    named = {"seconds", "joules", "coulombs", "watts", "volts", "amps", "us", "s", "mah", "unit"}
    plain = {"units", "share_left", "share_left_low", "share_left_high"}
    for table, columns in TABLES.items():
        assert len(schema(table)) == len(columns)
        for column in columns:
            if column.kind == "number":
                assert named & set(column.name.split("_")) or column.name in plain, (table, column.name)


# Killed pushes --------------------------------------------------------------------------------------------


def _push_again(root, host):
    pushed(root, recorded(host=host, seconds=8.0, spans=calls((1.0, 2.0))), units=2.0)


def _killed(root, times, seed):
    """Pushes that are killed after a random time; how many did not come to their end."""
    rng = random.Random(seed)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        [
            "lakes",
            "energymeter.lake.pushing",
            "energymeter.recordings.trace",
            "pyarrow.parquet",
            "fsspec.implementations.local",
        ]
    )
    begin = time.monotonic()
    whole = context.Process(target=_push_again, args=(root, "pi-0"))
    whole.start()
    whole.join()
    assert whole.exitcode == 0
    begin = time.monotonic()
    whole = context.Process(target=_push_again, args=(root, "pi-0"))
    whole.start()
    whole.join()
    most = 1.5 * (time.monotonic() - begin)
    killed = 0
    for number in range(times):
        process = context.Process(target=_push_again, args=(root, f"pi-{number % 7}"))
        process.start()
        time.sleep(rng.uniform(0.0, most))
        process.kill()
        process.join()
        killed += process.exitcode != 0
        _check_whole(root)
    return killed


def _check_whole(root):
    """Each run that counts is there once and with all of its rows."""
    runs = counting(root, "runs")
    ids = [row["run_id"] for row in runs]
    assert len(ids) == len(set(ids))
    for table, count in (("seconds", 8), ("samples", 81), ("spans", 1), ("usages", 1)):
        found = counting(root, table)
        assert len(found) == count * len(runs), table
    assert math.fsum(row["joules"] for row in counting(root, "seconds")) == pytest.approx(24.0 * len(runs))


@pytest.mark.slow
@pytest.mark.parametrize("times", [6, pytest.param(100, marks=pytest.mark.slow)])
def test_pushes_that_are_killed(times, tmp_path):
    root = str(tmp_path)
    killed = _killed(root, times, seed=times)
    for number in range(7):
        _push_again(root, f"pi-{number}")
    _check_whole(root)
    assert len(counting(root, "runs")) == 7
    if times > 20:
        assert killed > times / 4  # else nothing was tried


def test_files_that_nobody_finishes_are_found_and_no_others(tmp_path):
    store = Store(str(tmp_path))
    old, new = time.time() - GRACE_SECONDS - 60, time.time() - GRACE_SECONDS + 600
    folder = tmp_path / "samples" / "host=a"
    folder.mkdir(parents=True)
    for name, at in {
        f".old{UNFINISHED}": old,
        f".new{UNFINISHED}": new,
        f"shown{UNFINISHED}": old,
        ".other": old,
        "run.parquet": old,
    }.items():
        (folder / name).write_bytes(b"")
        os.utime(folder / name, (at, at))
    assert store.unfinished("samples") == [str(folder / f".old{UNFINISHED}")]
    assert store.unfinished("runs") == []


def test_what_became_of_a_push_is_said(tmp_path):
    (first,) = pushed(tmp_path, recorded(seconds=5.0, rate_hz=10.0))
    (again,) = pushed(tmp_path, recorded(seconds=5.0, rate_hz=10.0))
    assert str(first) == f"run0.csv: {first.rows} samples"
    assert first.is_new
    assert 50 <= first.rows <= 51
    assert str(again) == "run0.csv: in the lake already"
    assert again.run_id == first.run_id


def test_a_budget_is_pushed_with_the_time_and_what_is_left(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    Account("lab", Battery.parse("4000mAh"))
    before = time.time()
    push_budget("lab", str(tmp_path / "lake"), "pi-1")
    (row,) = rows(tmp_path / "lake", "budgets")
    assert before - 1e-3 <= row["unix_us"] * 1e-6 <= time.time()
    assert (row["host_name"], row["budget"], row["provenance"]) == ("pi-1", "lab", "measured")
    assert row["share_left"] == 1.0
    assert row["share_left_low"] <= 1.0 <= row["share_left_high"]
    assert row["mah_left"] == pytest.approx(Account.open("lab").balance().mah.value)
    push_budget("lab", str(tmp_path / "lake"))
    assert {row["host_name"] for row in rows(tmp_path / "lake", "budgets")} == {"pi-1", os.uname().nodename}


def test_the_boards_of_a_generated_fleet_draw_what_they_draw_idle(tmp_path):
    generate(tmp_path, boards=5, hours=1, rate_hz=1)
    hosts = {row["run"]: row["host_name"] for row in rows(tmp_path, "runs")}
    drawn = {host: [] for host in sorted(hosts.values())}
    for row in rows(tmp_path, "seconds"):
        if row["joules"] is not None:
            drawn[hosts[row["run"]]].append(row["joules"])
    idle = [float(np.quantile(joules, 0.1)) for joules in drawn.values()]
    assert idle == pytest.approx([2.7, 3.1, 2.0, 5.2, 0.6], rel=0.02)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"boards": 0}, "1 board or more"),
        ({"hours": 0}, "1 hour or more"),
        ({"rate_hz": 1001}, "1 to 1000 samples"),
        ({"boards": 100_001}, "1 board or more"),
        ({"boards": 1000, "hours": 24 * 365, "rate_hz": 1000}, r"more than 1e\+10 samples is too large"),
        ({"first_day": "soon"}, "'soon' is no day"),
    ],
)
def test_a_fleet_that_makes_no_sense_is_refused(tmp_path, asked, says):
    with pytest.raises(SpecError, match=says):
        generate(tmp_path / "lake", **({"boards": 1, "hours": 1, "rate_hz": 1} | asked))
    assert not (tmp_path / "lake").exists()
