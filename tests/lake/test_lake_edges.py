"""A lake at its limits: statements, stores, versions, groups with their intervals, the page, the upkeep."""

import datetime
import itertools
import json
import math
import os
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fsspec", reason="fsspec is not installed here: make test-lake")
pytest.importorskip("pyarrow", reason="pyarrow is not installed here")

import pyarrow as pa
import pyarrow.parquet as pq
from lakes import START, calls, pushed, recorded

from energymeter.battery import Battery
from energymeter.carbon import Grid
from energymeter.energy.uncertainty import Component
from energymeter.errors import LogError, SpecError
from energymeter.lake import Choice, Statement, Store, compact, push_budget, questions, retain
from energymeter.lake import generator as fleet
from energymeter.lake.page import KEY, _budgets, _matrix, _model, _reports, pseudonyms
from energymeter.lake.pushing import _copied, partition_rows, read_table, write_run
from energymeter.lake.questions import (
    Answer,
    Group,
    _differs,
    _group,
    _hour,
    _micros,
    _overlapping,
    _regression,
    difference_uncertainty,
    t95,
)
from energymeter.lake.rows import (
    RunRefused,
    _plain,
    folder_name,
    key_of,
    rows_of,
    table_of,
    uncertainties,
    version_of,
)
from energymeter.lake.schema import MARKER, TABLES, _described, check_marker, schema, write_table
from energymeter.lake.store import GRACE_SECONDS, UNFINISHED, _cause, _modified, _shown
from energymeter.lake.upkeep import Kept, _next
from energymeter.reading import Facts

# Statements -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["board", "model", "variant", "commit", "unit", "host", "span"])
def test_what_is_stated_is_a_short_line(name: str) -> None:
    assert getattr(Statement(**{name: "x" * 200}).checked(), name) == "x" * 200
    for wrong in ("x" * 201, "a\nb", "a\x1b"):
        with pytest.raises(
            SpecError, match=f"^{name} is not a short line of text; give up to 200 printable characters$"
        ):
            Statement(**{name: wrong}).checked()


@pytest.mark.parametrize(
    ("stated", "fine"),
    [
        ({"units": 1e-9}, True),
        ({"units": 0.0}, False),
        ({"units": -1.0}, False),
        ({"units": 9e14}, True),
        ({"units": 1e15}, False),
        ({"clock_offset_s": 9e9}, True),
        ({"clock_offset_s": -9e9}, True),
        ({"clock_offset_s": 1e10}, False),
        ({"clock_offset_s": -1e10}, False),
        ({"clock_offset_s": math.nan}, False),
        ({"clock_uncertainty_s": 0.0}, True),
        ({"clock_uncertainty_s": 9e9}, True),
        ({"clock_uncertainty_s": 1e10}, False),
        ({"clock_uncertainty_s": -0.1}, False),
    ],
)
def test_numbers_that_are_stated_make_sense(stated: dict[str, float], fine: bool) -> None:
    if fine:
        assert Statement(**stated).checked() == Statement(**stated)
    else:
        with pytest.raises(SpecError, match=r"units make no sense; give a number above 0|a ± of 0 or more"):
            Statement(**stated).checked()


def test_nothing_is_stated_unless_it_is_said_and_a_reports_folder_changes_no_row() -> None:
    assert tuple(Statement()) == ("", "", "", "", "", None, None, "", None, 0.0, None, "")
    assert Statement(report="/a/x.html").for_hash() == Statement(report="/b/x.html").for_hash()
    assert Statement(report="/a/x.html").for_hash() != Statement(report="/a/y.html").for_hash()


# Schema -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            '{"energymeter_lake": 2}',
            r"is a lake of version 2, and this package reads 1; use the version that",
        ),
        (json.dumps({"energymeter_lake": "v" * 30}), rf"of version {'v' * 20}, and this package reads 1;"),
        ('{"energymeter_lake": null}', r"of version None, and this package reads 1;"),
        ("{}", r"is damaged; remove it and push again"),
        ("[]", r"is damaged; remove it and push again"),
        ("\xff", r"is damaged; remove it and push again"),
        ("[" * 60_000, r"is damaged; remove it and push again"),
        (" " * 65_537, r"is larger than 65536 bytes; remove it"),
    ],
)
def test_a_lake_of_another_kind_is_refused(content: str, says: str, tmp_path: Any) -> None:
    (tmp_path / MARKER).write_text(content, encoding="latin-1")
    for create in (False, True):
        with pytest.raises(LogError, match=says):
            check_marker(Store(tmp_path), create=create)


def test_a_lake_is_begun_only_if_it_may_be_and_says_what_is_in_it(tmp_path: Any) -> None:
    store = Store(tmp_path / "lake")
    with pytest.raises(LogError, match=r"is no lake; begin one with `energymeter push RUN --to PATH`"):
        check_marker(store)
    check_marker(store, create=True)
    check_marker(store)
    said = json.loads((tmp_path / "lake" / MARKER).read_text())
    assert said["energymeter_lake"] == 1
    assert list(said["tables"]) == list(TABLES)
    assert said["tables"]["runs"]["run"].startswith("int64: joins a row to its run")
    assert said["tables"]["runs"]["calibrated"].startswith("bool: whether a calibration card")
    assert _described("budgets")["share_left"] == "float64: of the battery's energy, 0 to 1"


def test_a_file_has_its_encodings_and_the_version(tmp_path: Any) -> None:
    rows = table_of("samples", _samples(3), 7)
    write_table("samples", rows, str(tmp_path / "x.parquet"))
    file = pq.ParquetFile(tmp_path / "x.parquet")
    assert file.schema_arrow.metadata[b"energymeter_lake"] == b"1"
    assert file.schema_arrow.field("volts").metadata[b"meaning"] == b"V"
    (group,) = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    encodings = {
        group.column(number).path_in_schema: group.column(number).encodings
        for number in range(group.num_columns)
    }
    assert "DELTA_BINARY_PACKED" in encodings["unix_us"]
    assert "RLE_DICTIONARY" in encodings["volts"]
    assert "RLE_DICTIONARY" in encodings["channel"]
    assert group.column(0).compression == "ZSTD"
    assert file.read().equals(rows)


def _samples(count: int) -> dict[str, Any]:
    """Columns of the table of samples."""
    kinds = {"text": "x", "whole": 5, "flag": True, "number": 0.5}
    return {column.name: [kinds[column.kind]] * count for column in TABLES["samples"]}


# Stores -----------------------------------------------------------------------------------------------------


def test_files_and_folders_of_a_store(tmp_path: Any) -> None:
    for root in (str(tmp_path / "lake"), "memory://edges/lake"):
        store = Store(root)
        assert store.read("a/b") is None
        assert store.names("") == []
        assert store.folders("a") == []
        store.put("a/b", b"12345")
        store.put("a/c/d", b"1")
        assert store.read("a/b") == store.read("a/b", 5) == b"12345"
        with pytest.raises(LogError, match=r"is larger than 4 bytes; remove it"):
            store.read("a/b", 4)
        assert store.names("a") == ["a/b"]
        assert store.names("a", deep=True) == ["a/b", "a/c/d"]
        assert store.folders("a") == ["c"]
        size, age = store.details("a")["a/b"]
        assert size == 5
        assert -1.0 < age < 600.0
        store.remove(["a/b", "a/nothing"])
        assert store.names("", deep=True) == ["a/c/d"]
        assert repr(store) == f"Store({store.url})"


def test_what_is_not_whole_is_no_file_of_a_lake(tmp_path: Any) -> None:
    store = Store(tmp_path)
    for name in ("whole", ".hidden", f"half{UNFINISHED}"):
        (tmp_path / name).write_bytes(b"x")
    assert store.names("") == ["whole"]
    with pytest.raises(ZeroDivisionError), store.writing("a/b") as path:
        _ = 1 / 0
    assert not os.path.exists(path)
    with store.writing("a/b") as path, open(path, "wb") as file:
        file.write(b"done")
    assert store.read("a/b") == b"done"
    assert sorted(os.listdir(tmp_path / "a")) == ["b"]


def test_how_long_a_file_that_nobody_finishes_is_left_alone(tmp_path: Any, monkeypatch: Any) -> None:
    assert GRACE_SECONDS == 86_400.0
    path = tmp_path / f".x{UNFINISHED}"
    path.touch()
    os.utime(path, (1_000_000, 1_000_000))
    for now, found in ((1_086_400, []), (1_086_401, [str(path)])):
        monkeypatch.setattr(time, "time", lambda now=now: float(now))
        assert Store(tmp_path).unfinished("") == found


@pytest.mark.parametrize(
    ("info", "at"),
    [
        ({"mtime": 5}, 5.0),
        ({"LastModified": datetime.datetime.fromtimestamp(7, datetime.timezone.utc)}, 7.0),
        ({"created": 3.5, "mtime": 5}, 5.0),
        ({"mtime": "soon", "created": 3.5}, 3.5),
        ({}, 99.0),
    ],
)
def test_when_a_file_was_written_as_its_store_says(info: dict[str, Any], at: float) -> None:
    assert _modified(info, 99.0) == at


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (OSError(13, "Permission denied"), "PermissionError: Permission denied"),
        (ValueError("first\nsecond"), "ValueError: first"),
        (ValueError("x" * 130), "ValueError: " + "x" * 120),
        (ValueError(), "ValueError"),
    ],
)
def test_why_a_store_failed_in_a_few_words(failure: Exception, said: str) -> None:
    assert _cause(failure) == said


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://key:secret@bucket/lake", "s3://bucket/lake"),
        ("s3://bucket/a@b", "s3://bucket/a@b"),
        ("s3://a@b@bucket", "s3://bucket"),
        ("/plain@folder", "/plain@folder"),
    ],
)
def test_a_url_is_shown_without_its_user(url: str, shown: str) -> None:
    assert _shown(url) == shown


class Broken:
    """A file system that fails."""

    def __init__(self, failure: BaseException) -> None:
        self._failure = failure

    def __getattr__(self, name: str) -> Any:
        def fail(*_: Any, **__: Any) -> None:
            raise self._failure

        return fail


@pytest.mark.parametrize(
    ("failure", "raised"),
    [
        (RuntimeError("no"), LogError),
        (OSError(5, "Input/output error"), LogError),
        (MemoryError(), MemoryError),
        (AssertionError(), AssertionError),
    ],
)
def test_what_a_store_raises_is_one_sentence(failure: BaseException, raised: type[BaseException]) -> None:
    store = Store("memory://broken")
    store.files = Broken(failure)
    with pytest.raises(raised):
        store.put("a", b"x")
    if raised is LogError:
        for use, says in (
            (lambda: store.put("a", b"x"), "cannot be written"),
            (lambda: store.read("a"), "cannot be read"),
            (lambda: store.names("a"), "cannot be listed"),
        ):
            with pytest.raises(LogError, match=says):
                use()
    for gone in (FileNotFoundError(), NotADirectoryError()):
        store.files = Broken(gone)
        assert (store.names("a"), store.folders("a")) == ([], [])


@pytest.mark.parametrize(
    ("root", "base", "url", "remote"),
    [
        ("memory://bucket/lake/", "bucket/lake", "memory://bucket/lake", True),
        ("file:///srv/lake", "/srv/lake", "/srv/lake", False),
        ("/srv/lake/", "/srv/lake", "/srv/lake", False),
    ],
)
def test_where_a_lake_is(root: str, base: str, url: str, remote: bool) -> None:
    store = Store(root)
    assert (store.base, store.url, store.remote) == (base, url, remote)
    assert (store.path(""), store.path("a/b"), store.url_of("a")) == (base, f"{base}/a/b", f"{url}/a")


def test_a_store_whose_package_is_missing_says_which() -> None:
    import fsspec

    def missing(*_: Any, **__: Any) -> None:
        raise ImportError("no")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fsspec, "filesystem", missing)
        for protocol, package in (("s3", "s3fs"), ("gs", "gcsfs"), ("az", "adlfs")):
            with pytest.raises(
                SpecError, match=f"^{protocol}:// needs a package of fsspec; install {package}$"
            ):
                Store(f"{protocol}://bucket")


# Rows -------------------------------------------------------------------------------------------------------


def test_versions_are_ordered_by_revision_length_and_compaction() -> None:
    ordered = [
        version_of(0, 5, 0, "f"),
        version_of(0, 5, 1, "a"),
        version_of(0, 10, 0, "a"),
        version_of(0, 10**18, 0, "a"),
        version_of(1, 0, 0, "a"),
    ]
    assert ordered == sorted(ordered)
    assert ordered[1] == "0000000000000000000.0000000000000000005.000001.a"
    assert _next(ordered[1]) == "0000000000000000000.0000000000000000005.000002.a"
    assert _next("1.2.000009.x") == "1.2.000010.x"
    for damaged in ("", "1.2.3", "1.2.x.4", "1.2.3.4.5"):
        with pytest.raises(LogError, match="a row of runs has a damaged version; remove its file and push"):
            _next(damaged)


def test_the_key_of_a_run_is_a_signed_number_of_64_bits() -> None:
    # the first eight bytes of SHA-256("a b"), by sha256sum
    assert key_of("a", "b") == int.from_bytes(bytes.fromhex("c8687a08aa5d6ed2"), "big") - (1 << 64)
    assert -(1 << 63) <= key_of("a", "c") < 1 << 63


@pytest.mark.parametrize(
    ("host", "begin", "same"),
    [("pi-4", "pi-4", True), ("x" * 60, "x" * 60, True), ("x" * 61, "x" * 60 + "_", False),
     ("ä", "__", False), ("a b", "a_b_", False), (".", "._", False), ("a.b_c-D9", "a.b_c-D9", True)],
)  # fmt: skip
def test_the_folder_of_a_host(host: str, begin: str, same: bool) -> None:
    assert folder_name(host).startswith(begin)
    assert (folder_name(host) == host) is same
    assert len(folder_name(host)) == (len(host) if same else len(begin) + 8)


@pytest.mark.parametrize(
    ("value", "plain"), [(1.5, 1.5), (math.nan, None), (math.inf, None), ("nan", "nan"), (3, 3), (None, None)]
)
def test_what_is_no_number_is_null(value: Any, plain: Any) -> None:
    assert _plain(value) == plain


def test_parts_of_an_uncertainty() -> None:
    parts = [
        Component("gain", 3.0, "m", systematic=True),
        Component("shunt", 4.0, "m", systematic=True),
        Component("current offset", 1.0, "m", systematic=True),
        Component("level", 2.0, "m", systematic=True),
        Component("noise and sampling", 0.5),
    ]
    whole, gain, offset, random = uncertainties(parts)
    assert random == 1.0
    assert whole**2 == pytest.approx(gain**2 + offset**2 + random**2)
    assert uncertainties([]) == (0.0, 0.0, 0.0, 0.0)


def made(trace: Any, **stated: Any) -> Any:
    return rows_of(trace if isinstance(trace, list) else [trace], "run.csv", Statement(**stated))


def test_what_a_run_says_of_itself() -> None:
    found = made(recorded(seconds=20.0), model="net", units=4.0)
    run = found.run
    assert run["start_unix_us"] == START * 10**6
    assert found.end_unix_us == (START + 20) * 10**6
    assert found.folder == found.home == "host=pi-1/date=2026-11-28"
    assert (run["unit"], run["units"], run["seconds_per_unit"]) == ("unit", 4.0, 5.0)
    assert run["joules_per_unit"] == pytest.approx(15.0)
    assert run["uncertainty_joules_per_unit"] == pytest.approx(run["uncertainty_joules"] / 4)
    assert (run["board"], run["file"], run["report"], run["schema"]) == ("Raspberry Pi 4", "run.csv", "", 1)
    assert made(recorded(), unit="frame", units=1.0).run["unit"] == "frame"
    plain = made(recorded(), unit="frame").run
    assert (plain["unit"], plain["units"], plain["joules_per_unit"]) == ("frame", None, None)
    bare = recorded()
    bare.header = {"host": "h" * 600, "started": float(START), "conditions": "none"}
    assert made(bare).run["board"] == "unknown"
    assert made(bare).run["host_name"] == "h" * 500


def test_the_unit_may_be_a_call() -> None:
    trace = recorded(seconds=20.0, spans=calls((1.0, 3.0), (5.0, 7.0)))
    run = made(trace, span="infer").run
    assert (run["unit"], run["units"], run["seconds_per_unit"]) == ("call of infer", 2.0, 2.0)
    assert run["joules_per_unit"] == pytest.approx(6.0)
    run = made(trace, span="infer", units=8.0, unit="frame").run
    assert (run["unit"], run["units"], run["seconds_per_unit"]) == ("frame", 16.0, 0.25)
    spans = made(trace).tables["spans"]
    assert (spans["call"], spans["calls"]) == ([1, 2], [2, 2])
    assert spans["start_unix_us"] == [(START + 1) * 10**6, (START + 5) * 10**6]
    assert spans["joules"] == pytest.approx([6.0, 6.0])


def test_a_channel_that_counts_nothing_is_nothing() -> None:
    trace = recorded()
    trace.facts = trace.facts._replace(counted=False)
    with pytest.raises(
        SpecError, match=r"^run.csv has no channel that counts, of ina219@1:0x40; record it again"
    ):
        made(trace)


@pytest.mark.parametrize(
    ("started", "fine"),
    [(0.0, True), (-0.5, False), (7.3e9 - 21, True), (7.3e9 - 19.9, False), (math.nan, False)],
)
def test_when_a_run_may_have_begun(started: float, fine: bool) -> None:
    trace = recorded(seconds=20.0)
    if fine:
        assert made(trace, started=started).run["start_unix_us"] == round(started * 1e6)
    else:
        with pytest.raises(
            RunRefused, match=r"has times that make no sense; give --started, as 2026-11-28T14:00"
        ):
            made(trace, started=started)


def test_a_run_without_a_log_of_ours_is_known_by_its_samples() -> None:
    ids = set()
    for header in ({}, {"host": "pi"}, {"started": 5.0}):
        trace = recorded()
        trace.header = header
        ids.add(made(trace, host="x").run_id)
    assert len(ids) == 1
    trace.header = {"host": "pi", "started": 5.0}
    assert made(trace).run_id not in ids
    other = recorded(watts=3.0001)
    other.header = {}
    assert made(other, host="x").run_id not in ids
    assert len(made(other, host="x").run_id) == 32


def test_seconds_of_a_run_that_begins_and_ends_within_one() -> None:
    trace = recorded(start=START + 0.25, seconds=61.5)
    seconds = made(trace).tables["seconds"]
    assert seconds["unix_s"] == list(range(START, START + 62))
    assert seconds["seconds"] == pytest.approx([0.75, *[1.0] * 60, 0.75])
    assert seconds["joules"] == pytest.approx([2.25, *[3.0] * 60, 2.25])
    assert set(seconds["place"]) == {"rail"}
    whole = made(recorded(seconds=2.0)).tables["seconds"]
    assert whole["unix_s"] == [START, START + 1], "none of no length"


def test_a_run_that_is_too_long_is_refused(monkeypatch: Any) -> None:
    from energymeter.lake import rows

    assert rows._MOST_SECONDS == 4_000_000
    monkeypatch.setattr(rows, "_MOST_SECONDS", 20)
    assert len(made(recorded(seconds=20.0)).tables["seconds"]["unix_s"]) == 20
    with pytest.raises(RunRefused, match=r"^a run of 21 s is longer than 20 s; split the recording$"):
        made(recorded(seconds=20.5))


def test_samples_say_what_flowed_since_the_one_before() -> None:
    trace = recorded(seconds=2.0, rate_hz=2.0, gap=(0.5, 1.5), calibrated=False)
    samples = made(trace).tables["samples"]
    assert list(samples["unix_us"]) == [START * 10**6 + us for us in (0, 500_000, 1_500_000, 2_000_000)]
    measured = [False, True, True, True]
    if samples["covered_seconds"][2] == 0.0:
        measured[2] = False
    assert [bool(one) for one in ~np.isnan(samples["joules"])] == measured
    assert samples["joules"][3] == pytest.approx(1.5)
    assert samples["coulombs"][3] == pytest.approx(0.3)
    # INA219 by its bands: ±0.5 % of V, ±1 % of A and ±1 mA, each a rectangle (1/√3), k = 2
    expected = 2 / math.sqrt(3) * math.hypot(3.0 * 0.005, 3.0 * 0.01, 5.0 * 0.001)
    assert samples["uncertainty_watts"][3] == pytest.approx(expected, rel=0.01)
    assert math.isnan(samples["uncertainty_watts"][0])


def test_channels_of_a_run_stand_one_after_the_other() -> None:
    nested = recorded(source="rail@b", watts=1.0)
    nested.facts = nested.facts._replace(counted=False)
    found = made([recorded(), nested])
    assert found.tables["usages"]["channel"] == ["ina219@1:0x40", "rail@b"]
    assert found.tables["usages"]["counted"] == [True, False]
    assert found.tables["usages"]["joules"] == pytest.approx([60.0, 20.0])
    assert len(found.tables["samples"]["unix_us"]) == 402
    assert found.tables["samples"]["channel"][200:202] == ["ina219@1:0x40", "rail@b"]
    assert found.run["joules"] == pytest.approx(60.0)
    still = recorded(source="still@c", watts=0.0)
    still.facts = Facts(semantics="counter", still_seconds=1.0, counted=False)
    assert made([recorded(), still]).tables["usages"]["channel"][1] == "still@c"


# Pushing ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".html", ".pdf", ".md", ".HTML"])
def test_a_report_is_named_by_what_is_in_it(ending: str, tmp_path: Any) -> None:
    path = tmp_path / f"x{ending}"
    path.write_bytes(b"page")
    store = Store(tmp_path / "lake")
    name = _copied(str(path), store)
    assert name == f"3660315a9af3df255d8f19ab077e4797{ending.lower()}", "SHA-256, by sha256sum"
    assert store.read(f"reports/{name}") == b"page"
    assert _copied("", store) == ""


def test_what_is_no_report_is_refused(tmp_path: Any) -> None:
    store = Store(tmp_path / "lake")
    with pytest.raises(SpecError, match=r"x.exe is no report; give an .html, .pdf or .md file"):
        _copied("x.exe", store)
    with pytest.raises(LogError, match=r"x.md cannot be read: No such file or directory; correct the path"):
        _copied(str(tmp_path / "x.md"), store)


def test_rows_of_an_interrupted_push_are_written_again_once_they_are_old(tmp_path: Any) -> None:
    store, rows = Store(tmp_path), made(recorded(seconds=2.0))
    write_run(store, rows)
    (name,) = store.names("seconds", deep=True)
    path = tmp_path / name
    for age, again in ((12 * 3600 - 600, False), (12 * 3600 + 600, True)):
        at = time.time() - age
        path.write_bytes(b"earlier")
        os.utime(path, (at, at))
        write_run(store, rows)
        assert (path.read_bytes() != b"earlier") is again
    assert partition_rows(store, rows.folder) == [
        (rows.run_id, version_of(0, rows.end_unix_us, 0, rows.content))
    ]


def test_a_damaged_file_names_itself(tmp_path: Any) -> None:
    store = Store(tmp_path)
    (tmp_path / "x.parquet").write_bytes(b"no Parquet")
    with pytest.raises(LogError, match=r"x.parquet is damaged; remove it and push its runs again"):
        read_table(store, "x.parquet")


def test_a_budget_of_a_host(tmp_path: Any, monkeypatch: Any) -> None:
    from energymeter.budget.account import Account

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    Account("lab", Battery.parse("4000mAh"))
    push_budget("lab", str(tmp_path / "lake"), "pi 1")
    (name,) = Store(tmp_path / "lake").names("budgets", deep=True)
    (row,) = pq.ParquetFile(tmp_path / "lake" / name).read().to_pylist()
    assert abs(row["unix_us"] / 1e6 - time.time()) < 600
    assert (row["host_name"], row["budget"]) == ("pi 1", "lab")
    date = time.strftime("%Y-%m-%d", time.gmtime(row["unix_us"] / 1e6))
    assert name.startswith(f"budgets/host={folder_name('pi 1')}/date={date}/")


# Questions --------------------------------------------------------------------------------------------------


def test_an_answer_as_text() -> None:
    rows = [
        {"board": "a\x1b", "joules": 12.3456, "joules_uncertainty": 0.5, "joules_low": 1.0, "hosts": 2},
        {"board": "b", "joules": 2.0, "joules_uncertainty": None, "joules_low": None, "hosts": 10},
    ]
    for row, rank in zip(rows, (None, 1), strict=True):
        row["rank"] = rank
    answer = Answer("x", rows, {"simulated": 1, "manual": 2}, ("a note",))
    assert str(answer).splitlines() == [
        "board  joules        hosts  rank",
        "a\\x1b  12.35 ± 0.50  2      unknown",
        "b      2.000         10     1",
        "left out: 1 run, simulated",
        "left out: 2 runs, manual",
        "a note",
    ]
    assert str(Answer("x", [], {})) == "no run that counts"
    assert answer.to_dict() == {
        "question": "x",
        "rows": rows,
        "left_out": answer.left_out,
        "notes": ["a note"],
    }
    assert str(Answer("x", [{"watts": 1.23456, "on": True}], {})).splitlines()[1].split() == ["1.235", "True"]


@pytest.mark.parametrize(
    ("share", "fine"), [(0.0, True), (1.0, True), (-0.01, False), (1.01, False), (math.nan, False)]
)
def test_a_coverage_is_a_share(share: float, fine: bool) -> None:
    if fine:
        assert Choice(least_coverage=share).checked().least_coverage == share
    else:
        with pytest.raises(
            SpecError, match=f"^a coverage of {share:g} makes no sense; give a share from 0 to 1$"
        ):
            Choice(least_coverage=share).checked()


def test_the_first_and_the_last_moment_that_is_asked_for() -> None:
    assert Choice().started_us == (-(1 << 62), 1 << 62)
    assert Choice().least_coverage == 0.9995
    day = Choice(since="1970-01-02", until="1970-01-02")
    assert day.started_us == (86_400_000_000, 2 * 86_400_000_000 - 1)
    assert day.checked() is day
    assert _micros("1970-01-01T00:00:00.000001Z", 5) == 1
    assert _micros("1970-01-01", 5) == 5
    moment = "2026-11-28T10:00Z"
    assert Choice(since=moment, until=moment).checked().started_us[0] == START * 10**6
    with pytest.raises(
        SpecError, match=r"^no run starts from 1970-01-02 until 1970-01-01; give the earlier one as"
    ):
        Choice(since="1970-01-02", until="1970-01-01").checked()
    assert Choice(include=("manual", "measured", "manual")).trusts == ["measured", "manual"]


@pytest.mark.parametrize(
    ("freedom", "t"), [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (5, 2.571), (30, 2.042)]
)
def test_students_t_is_that_of_the_tables(freedom: int, t: float) -> None:
    assert t95(freedom) == pytest.approx(t, rel=2e-3)


ROW = {
    "n": 4, "known": 4, "hosts": 1, "sources": 1, "units": 8.0, "value": 2.0, "seconds": 0.5, "off2": 0.03,
    "gain": 0.1, "offset": 0.05, "random2": 0.0004, "host": "h", "source": "s", "first": 17, "board": "b",
}  # fmt: skip


def test_the_scatter_of_a_group_is_that_of_its_runs_or_what_is_random_in_each() -> None:
    group = _group(ROW, ["board"])
    # s/√n by off2·n/(n−1) = 0.04, and t(3) is 3.182
    assert group.scatter == pytest.approx(3.182 * 0.2)
    assert group.uncertainty == pytest.approx(math.hypot(3.182 * 0.2, 0.1, 0.05))
    assert (group.key, group.meter, group.gain, group.offset) == ({"board": "b"}, "h s", 0.1, 0.05)
    assert (group.runs, group.hosts, group.units, group.first_unix_us) == (4, 1, 8.0, 17)
    assert _group({**ROW, "off2": -1e-18}, []).scatter == pytest.approx(0.02)
    assert _group({**ROW, "n": 1, "known": 1}, []).scatter == pytest.approx(0.02), (
        "of one run the meter's alone"
    )
    two = _group({**ROW, "n": 2, "known": 2, "off2": 0.02}, [])
    assert two.scatter == pytest.approx(12.706 * 0.2)
    unknown = _group({**ROW, "known": 3}, [])
    assert (unknown.scatter, unknown.gain, unknown.offset, unknown.uncertainty) == (None,) * 4
    assert _group({**ROW, "hosts": 2}, []).meter is None
    assert _group({**ROW, "sources": 2}, []).meter is None


def group(value: float, scatter: float | None = 0.1, gain: float | None = 0.3, offset: float | None = 0.2,
          meter: str | None = "m", runs: int = 3, **key: str) -> Group:  # fmt: skip
    return Group({"commit": "c", **key}, runs, 1, 10.0, value, 0.5, scatter, gain, offset, meter, 0)


def test_what_one_meter_has_in_common_cancels() -> None:
    a, b = group(1.0), group(2.0, scatter=0.0, gain=0.5, offset=0.1)
    assert difference_uncertainty(a, b) == pytest.approx(math.hypot(0.1, 0.2, 0.1))
    for other in (b._replace(meter="n"), b._replace(meter=None)):
        assert difference_uncertainty(a, other) == pytest.approx(math.hypot(0.1, 0.3, 0.2, 0.5, 0.1))
    assert difference_uncertainty(a._replace(meter=None), b._replace(meter=None)) == pytest.approx(
        math.hypot(0.1, 0.3, 0.2, 0.5, 0.1)
    )


def test_groups_differ_beyond_their_uncertainty_alone() -> None:
    a, b = group(1.0, 0.0, 0.0, 0.0), group(1.5, 0.5, 0.0, 0.0)
    assert not _differs(a, b)
    assert _differs(a, b._replace(joules_per_unit=1.5001))
    assert _differs(b._replace(joules_per_unit=0.4), a)
    for unknown in (
        b._replace(gain=None, joules_per_unit=9.0),
        b._replace(scatter=None, joules_per_unit=9.0),
    ):
        assert not _differs(a, unknown)
        assert not _differs(unknown, a)


@pytest.mark.parametrize(
    ("before", "after", "verdict", "spread"),
    [
        (group(2.0, 0.0, 0.0, 0.0), group(2.5, 0.5, 0.0, 0.0), "no difference shown", 0.5),
        (group(2.0, 0.0, 0.0, 0.0), group(2.51, 0.5, 0.0, 0.0), "more", 0.5),
        (group(2.0, 0.0, 0.0, 0.0), group(1.49, 0.5, 0.0, 0.0), "less", 0.5),
        (group(2.0, runs=1), group(3.0), "too few runs", None),
        (group(2.0), group(3.0, runs=1), "too few runs", None),
        (group(2.0, runs=2, gain=None), group(3.0, runs=2), "unknown", None),
        (group(2.0), group(3.0, gain=None), "unknown", None),
    ],
)
def test_the_verdict_on_a_commit(before: Group, after: Group, verdict: str, spread: float | None) -> None:
    row = _regression(before, after)
    assert (row["verdict"], row["change_uncertainty"]) == (verdict, spread)
    change = after.joules_per_unit - 2.0
    assert row["change"] == pytest.approx(change)
    assert row["percent"] == pytest.approx(50 * change)
    assert row["percent_uncertainty"] == (None if spread is None else pytest.approx(50 * spread))
    assert row["one_meter"] is True
    assert (row["runs"], row["runs_before"], row["before"]) == (after.runs, before.runs, "c")


def test_a_change_from_nothing_has_no_percent() -> None:
    row = _regression(group(0.0), group(1.0, meter=None))
    assert (row["percent"], row["percent_uncertainty"], row["one_meter"]) == (None, None, False)
    assert _regression(group(1.0, meter=None), group(1.0, meter=None))["one_meter"] is False
    assert _regression(group(-2.0), group(1.0))["percent_uncertainty"] > 0


HOUR = {
    "hour": 498_850, "place": "rail", "trust": "measured", "hosts": 2, "covered_seconds": 3600.0,
    "seconds": 7200.0, "joules": 7200.0, "spread2": 9.0, "coulombs": 1440.0, "dark": 0,
    "least_volts": 5.0, "most_volts": 5.5, "no_clock": 0, "no_accuracy": 0,
}  # fmt: skip


def test_an_hour_of_a_fleet() -> None:
    row = _hour(HOUR, None, None)
    assert row == {
        "hour": "2026-11-28T10:00Z",
        "place": "rail",
        "trust": "measured",
        "hosts": 2,
        "coverage": 0.5,
        "joules": 7200.0,
        "joules_uncertainty": 3.0,
        "amp_hours": pytest.approx(0.4),
    }
    assert _hour({**HOUR, "no_accuracy": 1}, None, None)["joules_uncertainty"] is None
    assert _hour({**HOUR, "covered_seconds": 7201.0}, None, None)["coverage"] == 1.0
    assert _hour({**HOUR, "seconds": 0.0}, None, None)["coverage"] == 1.0
    for odd in ({"most_volts": 5.51}, {"dark": 1}, {"coulombs": None}, {"least_volts": None}):
        assert _hour({**HOUR, **odd}, None, None)["amp_hours"] is None


def test_the_grams_of_an_hour_are_those_of_its_intensity() -> None:
    class Steps:
        asked: tuple[float, float] = (0.0, 0.0)

        def mean(self, start: float, end: float) -> Any:
            self.asked = (start, end)
            return 500.0

    steps = Steps()
    row = _hour({**HOUR, "trust": "uncalibrated"}, None, steps)  # type: ignore[arg-type]
    assert steps.asked == (START, START + 3600)
    # 7200 J are 2 Wh at the rail, and 2 Wh / 0.873 at the wall
    assert row["grams"] == pytest.approx(1.0 / 0.873)
    grid = Grid(grams_per_kwh=250.0, source="me", checked=True)
    assert _hour(HOUR, grid, None)["grams"] == pytest.approx(0.5 / 0.873)


class Rows:
    """Tables whose answer a test gives."""

    def __init__(self, *rows: dict[str, Any]) -> None:
        self._rows = rows

    def select(self, *columns: str) -> "Rows":
        return self

    def rows(self, _: Any) -> list[dict[str, Any]]:
        return [dict(row) for row in self._rows]


def run(key: int, start_s: float, seconds: float, version: str = "1", **where: str) -> dict[str, Any]:
    where = {"host_name": "h", "place": "rail", "trust": "measured", **where}
    return {
        "run": key,
        "start_unix_us": round(start_s * 1e6),
        "seconds": seconds,
        "version": version,
        **where,
    }


@pytest.mark.parametrize(
    ("runs", "doubled"),
    [
        ([run(1, 0, 20), run(2, 5, 10)], [2]),
        ([run(1, 0, 20), run(2, 20, 10)], []),
        ([run(1, 0, 20), run(2, 19.99, 10)], []),
        ([run(1, 0, 20), run(2, 19.98, 10)], [2]),
        ([run(1, 20, 20), run(2, 10, 10)], []),
        ([run(1, 20, 20), run(2, 10, 10.01)], []),
        ([run(1, 20, 20), run(2, 10, 10.02)], [2]),
        ([run(1, 0, 20), run(2, 0, 20, "2")], [2]),
        ([run(1, 0, 20, "2"), run(2, 0, 20, "1")], [1]),
        ([run(1, 1, 20), run(2, 0, 20)], [1]),
        ([run(1, 0, 20), run(2, 5, 10, host_name="i")], []),
        ([run(1, 0, 20), run(2, 5, 10, place="wall")], []),
        ([run(1, 0, 20), run(2, 5, 10, trust="manual")], []),
        ([run(1, 0, 9), run(2, 100, 8), run(3, 50, 7), run(4, 104, 1)], [4]),
    ],
)
def test_a_shorter_run_during_a_longer_one_counts_once(
    runs: list[dict[str, Any]], doubled: list[int]
) -> None:
    tables = Rows(*runs)
    assert _overlapping(tables, tables) == doubled  # type: ignore[arg-type]


# The page ---------------------------------------------------------------------------------------------------


def boards(**values: Any) -> list[Group]:
    common = {
        "host_name": "h1",
        "board": "Pi\x1b",
        "model": "net",
        "variant": "int8",
        "unit": "u",
        "place": "rail",
    }
    found = []
    for name, (joules, spread, trust) in values.items():
        one = group(
            joules,
            spread,
            0.0 if spread is not None else None,
            0.0,
            trust=trust,
            **{**common, "host_name": name},
        )
        found.append(one)
    return found


SHOWN = {"a": "board 1", "b": "board 2", "c": "board 3"}


def test_a_model_on_its_axis() -> None:
    found = _model(boards(a=(3.0, 1.0, "measured"), b=(1.0, None, "manual"), c=(2.0, 0.5, "measured")), SHOWN)
    assert (found.title, found.unit, found.place, found.ends) == ("net int8", "u", "rail", ("0", "4.00"))
    assert [row.who for row in found.rows] == ["board 2", "board 3", "board 1"], "the least first"
    # from 6 to 194 for 0 to 4 J
    assert [row.value for row in found.rows] == [53.0, 100.0, 147.0]
    assert [row.interval for row in found.rows] == [None, (76.5, 100.0, 123.5), (100.0, 147.0, 194.0)]
    assert [row.figure for row in found.rows] == ["1.000 ± unknown", "2.00 ± 0.50", "3.0 ± 1.0"]
    assert {(row.board, row.seconds, row.is_open) for row in found.rows} == {("Pi\\x1b", "0.500", False)}
    (alone,) = _model([boards(a=(0.0, 0.0, "measured"))[0]._replace(runs=1)], SHOWN).rows
    assert (alone.is_open, alone.value) == (True, 6.0)
    below = _model(boards(a=(1.0, 2.0, "measured")), SHOWN)
    assert below.ends == ("-1.00", "3.00")
    assert below.rows[0].interval == (6.0, 100.0, 194.0)


def test_the_boards_of_a_class_and_their_models() -> None:
    found = boards(a=(3.0, 1.0, "measured"), b=(1.0, 0.5, "simulated"))
    works = [("net", "int8", "u", "rail"), ("other", "", "u", "rail")]
    assert _matrix(found, works, SHOWN) == [
        ("board 1", "Pi\\x1b", ["3.0 ± 1.0", ""]),
        ("board 2", "Pi\\x1b", ["1.00 ± 0.50 (simulated)", ""]),
    ]


def test_the_newest_state_of_each_budget() -> None:
    def state(host: str, seconds: int, left: float) -> dict[str, Any]:
        return {
            "host_name": host, "budget": "lab", "unix_us": (START + seconds) * 10**6, "share_left": left,
            "share_left_low": left - 0.1, "share_left_high": left + 0.1, "mah_left": 1234.5,
            "provenance": "measured",
        }  # fmt: skip

    found = _budgets(
        [state("b", 0, 0.9), state("a", 60, 0.5), state("a", 0, 0.8), state("a", 60, 0.4)], SHOWN
    )
    assert found == [
        ("board 1", "lab", "50 % (40 % to 60 %)", "1230 mAh, measured", "2026-11-28 10:01 UTC"),
        ("board 2", "lab", "90 % (80 % to 100 %)", "1230 mAh, measured", "2026-11-28 10:00 UTC"),
    ]


def test_pseudonyms_are_short_different_and_the_same_on_every_page(tmp_path: Any) -> None:
    store = Store(tmp_path)
    hosts = [f"pi-{number}" for number in range(600)]
    shown = pseudonyms(store, hosts)
    assert len(set(shown.values())) == 600
    assert pseudonyms(store, hosts) == shown
    assert {len(name) for name in pseudonyms(store, ["a", "b"]).values()} == {len("board 1234")}
    lengths = {len(name) for name in shown.values()}
    assert len(lengths) == 1
    assert lengths <= {10, 11, 12, 13}
    assert (tmp_path / KEY).stat().st_size == 32
    (tmp_path / KEY).write_bytes(b"x" * 31)
    with pytest.raises(
        LogError, match=r"energymeter-lake-pseudonyms is damaged; remove it for new pseudonyms"
    ):
        pseudonyms(store, hosts)
    (tmp_path / KEY).write_bytes(b"x" * 33)
    with pytest.raises(LogError, match="is larger than 32 bytes"):
        pseudonyms(store, hosts)


class Reports(Rows):
    """Runs with reports, in a lake."""

    report = SimpleNamespace(__ne__=lambda *_: True)

    def __init__(self, store: Store, *rows: dict[str, Any]) -> None:
        super().__init__(*rows)
        self.store = store

    def filter(self, _: Any) -> "Reports":
        return self


def test_only_reports_that_a_push_has_named_are_copied(tmp_path: Any) -> None:
    store = Store(tmp_path / "lake")
    for name in ("one.html", ".two.html", "three.html"):
        store.put(f"reports/{name}", name.encode())
    rows = [
        {"host_name": host, "report": report}
        for host, report in (("b", "one.html"), ("a", ".two.html"), ("a", "../x.html"), ("a", "gone.html"),
                             ("a", "three.html"), ("a", "one.html"), ("a", "one.html"))
    ]  # fmt: skip
    tables = Reports(store, *rows)
    page = tmp_path / "class.html"
    assert _reports(tables, tables, SHOWN, str(page)) == [
        ("board 1", ["class-reports/one.html", "class-reports/three.html"]),
        ("board 2", ["class-reports/one.html"]),
    ]  # type: ignore[arg-type]
    assert sorted(os.listdir(tmp_path / "class-reports")) == ["one.html", "three.html"]
    (tmp_path / "file-reports").touch()
    with pytest.raises(LogError, match=r"file-reports cannot be written \(File exists\); name another page"):
        _reports(tables, tables, SHOWN, str(tmp_path / "file.html"))  # type: ignore[arg-type]


# Upkeep -----------------------------------------------------------------------------------------------------


def files(root: Any) -> list[str]:
    return Store(root).names("", deep=True)


def rows(root: Any, table: str) -> list[dict[str, Any]]:
    names = [name for name in files(root) if name.startswith(f"{table}/")]
    return [row for name in names for row in pq.ParquetFile(os.path.join(root, name)).read().to_pylist()]


def test_a_compaction_joins_files_and_keeps_every_row_that_counts(tmp_path: Any) -> None:
    for number in range(3):
        pushed(
            tmp_path, recorded(start=START + 100 * number, seconds=3.0, spans=calls((0.5, 1.0))), units=1.0
        )
    pushed(tmp_path, recorded(seconds=4.0), units=1.0)  # the first one, longer
    pushed(tmp_path, recorded("pi-2", seconds=3.0))
    before = len(files(tmp_path))
    size = sum(found for table in ("runs", "samples", "seconds", "spans", "usages")
               for found, _ in Store(tmp_path).details(table, deep=True).values())  # fmt: skip
    old = tmp_path / "runs" / f".x{UNFINISHED}"
    old.touch()
    os.utime(old, (0, 0))
    kept = compact(tmp_path)
    assert (kept.files_before, kept.bytes_before) == (before - 1, size), "the marker is none of them"
    assert (kept.files_after, len(files(tmp_path))) == (8 + 1, 8 + 1 + 1)
    assert not old.exists()
    runs = rows(tmp_path, "runs")
    assert sorted(run["start_unix_us"] - START * 10**6 for run in runs) == [0, 0, 100 * 10**6, 200 * 10**6]
    keys = {run["run"] for run in runs}
    for table, count in (("seconds", 4 + 3 + 3 + 3), ("samples", 41 + 3 * 31), ("usages", 4), ("spans", 2)):
        found = rows(tmp_path, table)
        assert {row["run"] for row in found} <= keys
        assert len(found) == count, table
    assert math.fsum(row["joules"] for row in rows(tmp_path, "seconds")) == pytest.approx(39.0)
    versions = {run["version"].split(".")[2] for run in runs if run["host_name"] == "pi-1"}
    assert versions == {"000001"}
    assert {run["version"].split(".")[2] for run in runs if run["host_name"] == "pi-2"} == {"000000"}
    again = compact(tmp_path)
    assert (again.files_before, again.bytes_before) == (again.files_after, again.bytes_after)
    assert str(Kept(5, 2, 100, 50)) == "5 files of 100 bytes became 2 of 50 bytes"


def test_a_compaction_leaves_rows_of_a_push_that_is_under_way_and_removes_old_ones(tmp_path: Any) -> None:
    for number in range(2):
        pushed(tmp_path, recorded(start=START + 100 * number, seconds=2.0))
    folder = "host=pi-1/date=2026-11-28"
    columns = {name: [value[0]] for name, value in made(recorded(seconds=2.0)).tables["seconds"].items()}
    for name, age in (("new", 60.0), ("old", GRACE_SECONDS + 60.0)):
        path = tmp_path / "seconds" / folder / f"{name}.parquet"
        write_table("seconds", table_of("seconds", columns, 12345), str(path))
        os.utime(path, (time.time() - age, time.time() - age))
    compact(tmp_path)
    names = [os.path.basename(name) for name in files(tmp_path) if name.startswith("seconds/")]
    assert "new.parquet" in names
    assert "old.parquet" not in names
    assert len(names) == 2


def test_a_partition_without_runs_keeps_what_is_young(tmp_path: Any) -> None:
    pushed(tmp_path, recorded(seconds=2.0))
    for name in files(tmp_path):
        if name.startswith("runs/"):
            os.unlink(tmp_path / name)
    compact(tmp_path)
    assert len(rows(tmp_path, "seconds")) == 2
    for name in files(tmp_path):
        os.utime(tmp_path / name, (0, 0))
    compact(tmp_path)
    assert files(tmp_path) == [MARKER]


@pytest.mark.parametrize(("days", "left"), [(0, [2]), (1, [1, 2]), (2, [0, 1, 2])])
def test_so_many_days_before_today_are_kept(days: int, left: list[int], tmp_path: Any) -> None:
    for number in range(3):
        pushed(tmp_path, recorded(start=START + 86_400 * number, seconds=2.0))
    today = datetime.date(2026, 11, 30)
    kept = retain(tmp_path, seconds_days=days, today=today)
    found = {(row["unix_s"] - START) // 86_400 for row in rows(tmp_path, "seconds")}
    assert sorted(found) == left
    assert kept.files_before - kept.files_after == 3 - len(left)
    assert len(rows(tmp_path, "runs")) == 3
    retain(tmp_path, runs_days=days, today=today)
    for table in ("runs", "samples", "usages"):
        assert len({row["run"] for row in rows(tmp_path, table)}) == len(left)


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({}, "nothing is to be removed; give the days to keep of samples, seconds or runs"),
        ({"samples_days": -1}, "days to keep cannot be negative; give 0 or more"),
        ({"runs_days": 3, "seconds_days": -1}, "days to keep cannot be negative; give 0 or more"),
    ],
)
def test_days_that_make_no_sense(limits: dict[str, int], says: str, tmp_path: Any) -> None:
    check_marker(Store(tmp_path), create=True)
    with pytest.raises(SpecError, match=f"^{says}$"):
        retain(tmp_path, **limits)  # type: ignore[arg-type]
    assert retain(tmp_path, samples_days=0).files_after == 0


# The generated fleet ----------------------------------------------------------------------------------------


def test_what_a_window_of_the_fleet_is_worth() -> None:
    joules, coulombs = np.array([10.0, 0.0]), np.array([2.0, 0.0])
    used = fleet._used(
        joules,
        coulombs,
        np.array([25.0, 0.0]),
        np.array([5.0, 0.0]),
        np.array([0.04, 0.0]),
        np.array([3.0, 0.0]),
    )
    # an INA219: ±0.5 % of V and ±1 % of A scale with energy, ±1 mA with volt-seconds; rectangles, k = 2
    gain, offset = 2 / math.sqrt(3) * 10 * math.hypot(0.005, 0.01), 2 / math.sqrt(3) * 25 * 0.001
    expected = {
        "joules": 10.0,
        "coulombs": 2.0,
        "mean_watts": 2.0,
        "peak_watts": 3.0,
        "uncertainty_joules": math.hypot(gain, offset, 0.4),
        "gain_uncertainty_joules": gain,
        "offset_uncertainty_joules": offset,
        "random_uncertainty_joules": 0.4,
    }
    assert {name: used[name][0] for name in expected} == pytest.approx(expected)
    assert all(math.isnan(used[name][1]) for name in expected), "unmeasured is unknown"
    assert list(used["covered_seconds"]) == [5.0, 0.0]


def hour(number: int = 0, hour: int = 0, rate_hz: int = 1, gap: tuple[int, int] = (3600, 3600)) -> Any:
    """The tables of one hour: runs, usages, seconds, samples."""
    rng = np.random.default_rng(3)
    return fleet._run_hour(rng, f"sim-{number}", number, hour, START, rate_hz, gap, 0.01)


def the_run(tables: Any) -> dict[str, Any]:
    (row,) = tables[0].to_pylist()
    return dict(row)


def test_an_hour_of_a_board_adds_up() -> None:
    made = hour(rate_hz=2)
    run, (usage,) = the_run(made), made[1].to_pylist()
    seconds, samples = made[2].to_pylist(), made[3].to_pylist()
    assert len(seconds) == 3600
    assert len(samples) == 7201
    joules = math.fsum(row["joules"] or 0.0 for row in samples)
    watts = [row["watts"] for row in samples]
    trapezoids = math.fsum((a + b) / 4 for a, b in itertools.pairwise(watts))
    assert joules == pytest.approx(trapezoids)
    for total in (run["joules"], usage["joules"], math.fsum(row["joules"] for row in seconds)):
        assert total == pytest.approx(joules)
    assert run["coulombs"] == pytest.approx(math.fsum(row["coulombs"] or 0.0 for row in samples))
    assert run["mean_watts"] == pytest.approx(joules / 3600)
    assert run["peak_watts"] == max(watts)
    assert (run["seconds"], run["covered_seconds"]) == (3600.0, pytest.approx(3600.0))
    assert all(row["watts"] == pytest.approx(row["volts"] * row["amps"]) for row in samples[:20])
    assert all(row["volts"] / 0.004 == pytest.approx(round(row["volts"] / 0.004)) for row in samples[:20])
    assert samples[0]["joules"] is None
    assert [row["unix_us"] - START * 10**6 for row in samples[:3]] == [0, 500_000, 1_000_000]
    assert [row["unix_s"] - START for row in seconds[:2]] == [0, 1]
    # ten seconds at a time, seven of ten of them busy: 2.7 W idle and 3.4 W more
    assert run["mean_watts"] == pytest.approx(2.7 + 0.7 * 3.4, rel=0.1)
    busy = sorted(watts)[-1000:]
    assert sum(busy) / 1000 == pytest.approx(6.1, rel=0.08)
    # 0.12 s a unit, while it is busy
    assert run["units"] == 21_000.0
    assert run["seconds_per_unit"] == pytest.approx(3600 / 21_000)
    assert run["joules_per_unit"] == pytest.approx(joules / 21_000)
    for kind in ("", "gain_", "offset_", "random_"):
        assert run[f"{kind}uncertainty_joules_per_unit"] == pytest.approx(
            run[f"{kind}uncertainty_joules"] / 21_000
        )
    one = samples[5]
    expected = 2 / math.sqrt(3) * math.hypot(one["watts"] * math.hypot(0.005, 0.01), one["volts"] * 0.001)
    assert one["uncertainty_watts"] == pytest.approx(expected, abs=1e-5)
    assert (run["commit"], run["model"], run["variant"], run["board"]) == (
        "a1",
        "resnet50",
        "int8",
        "Raspberry Pi 4",
    )
    assert run["version"].split(".")[1] == f"{(START + 3600) * 10**6:019d}"


@pytest.mark.parametrize(
    ("number", "hour_of_day", "model", "units", "commit", "board"),
    [
        (1, 1, "whisper-tiny", round(2520 / (0.8 * 0.55)), "a1", "Raspberry Pi 5"),
        (2, 11, "llama-1b", round(2520 / (0.3 * 0.62)), "a1", "Jetson Nano"),
        (3, 12, "resnet50", round(2520 / (0.12 * 0.3)), "b2", "Jetson Orin Nano"),
        (4, 23, "llama-1b", round(2520 / (0.3 * 2.1)), "b2", "Raspberry Pi Zero 2"),
        (5, 24, "resnet50", round(2520 / 0.12), "a1", "Raspberry Pi 4"),
    ],
)
def test_boards_take_turns_with_models_and_at_noon_comes_another_commit(
    number: int, hour_of_day: int, model: str, units: float, commit: str, board: str
) -> None:
    run = the_run(hour(number, hour_of_day))
    assert (run["model"], run["units"], run["commit"], run["board"]) == (model, units, commit, board)


def test_the_commit_of_noon_makes_one_model_use_three_percent_more() -> None:
    before, after = (the_run(hour(0, number))["joules"] for number in (0, 12))
    assert after / before == pytest.approx(1 + 0.03 * 2.38 / (2.7 + 2.38), abs=0.004)
    before, after = (the_run(hour(0, number))["joules"] for number in (1, 13))
    assert after == before


def test_a_dropout_of_a_board_is_unmeasured() -> None:
    made = hour(gap=(100, 400))
    run, seconds, samples = the_run(made), made[2].to_pylist(), made[3].to_pylist()
    assert run["covered_seconds"] == pytest.approx(3300.0)
    assert len(samples) == 3601 - 299
    dark = [row["unix_s"] - START for row in seconds if row["joules"] is None]
    assert dark == list(range(100, 400))
    assert all(row["covered_seconds"] == 0.0 for row in seconds[100:400])
    assert [row["unix_us"] // 10**6 - START for row in samples[99:103]] == [99, 100, 400, 401]
    assert samples[101]["joules"] is None
    assert run["uncertainty_joules_per_unit"] is None
    assert run["joules_per_unit"] * run["units"] == pytest.approx(run["mean_watts"] * 3600)
    dark_run = the_run(hour(gap=(0, 3600)))
    assert dark_run["covered_seconds"] == pytest.approx(0.0)
    assert dark_run["joules_per_unit"] is None


def test_sums_of_seconds_leave_out_what_is_unknown() -> None:
    column = np.append(np.nan, np.ones(7200))
    column[3] = np.nan
    sums = fleet._sums(column, 2)
    assert list(sums[:3]) == [2.0, 1.0, 2.0]
    assert len(sums) == 3600
    assert fleet._repeated({"a": "x", "b": True}, 2)["a"] == ["x", "x"]


def test_a_fleet_of_one_board(tmp_path: Any) -> None:
    found = fleet.generate(tmp_path, boards=1, hours=25, rate_hz=1, first_day="2026-11-28")
    assert (found.boards, found.runs) == (1, 25)
    names = files(tmp_path)
    assert len([name for name in names if name.startswith("seconds/host=sim-00000/date=2026-11-28/")]) == 1
    assert len([name for name in names if name.startswith("runs/host=sim-00000/date=2026-11-29/")]) == 1
    runs = rows(tmp_path, "runs")
    assert sorted(run["start_unix_us"] // 10**6 for run in runs) == [
        START - 36_000 + 3600 * number for number in range(25)
    ]
    samples = [name for name in names if name.startswith("samples/")]
    assert found.samples == sum(pq.ParquetFile(tmp_path / name).metadata.num_rows for name in samples)
    assert found.bytes == sum((tmp_path / name).stat().st_size for name in names if name != MARKER)
    dark = sum(3600.0 - run["covered_seconds"] for run in runs)
    assert 300.0 <= dark <= 600.0
    assert {run["clock_uncertainty_seconds"] for run in runs} == {0.005}


def test_a_fleet_has_a_lake_of_its_own(tmp_path: Any) -> None:
    (tmp_path / "x").touch()
    with pytest.raises(LogError, match="holds something already; name an empty folder"):
        fleet.generate(tmp_path, boards=1, hours=1, rate_hz=1)


def test_the_questions_have_names() -> None:
    assert list(questions.QUESTIONS) == [
        "per-unit", "ranking", "regressions", "coverage", "power", "fleet", "battery",
    ]  # fmt: skip
    assert schema("runs").field("run").type == pa.int64()
