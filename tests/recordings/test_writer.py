"""Log files as other programs read them, and what is left of them when something goes wrong."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from energymeter.energy.integrate import Sample
from energymeter.errors import LogError
from energymeter.reading import Facts
from energymeter.recordings.header import COLUMNS
from energymeter.recordings.reader import read
from energymeter.recordings.writer import PARTS_SUFFIX, Recorder, _Parquet, open_recorder

NAMES = ["rail", 'manual:5V,0.6A "#1"']
SUFFIXES = ["csv", "jsonl", "parquet"]


def header(names: list[str]) -> dict[str, object]:
    channels = [{"name": name, "facts": Facts()._asdict()} for name in names]
    return {"channels": channels, "started": 1_700_000_000.0}


def recorder(path: Path, names: list[str] = NAMES, *, force: bool = False, resume: bool = False) -> Recorder:
    return open_recorder(str(path), header(names), names, 1_000, force=force, resume=resume)


def sample(number: int) -> Sample:
    at_ns = 1_000 + number * 100_000_000
    return Sample(at_ns, 0.1 * number, None, None, number * 100_000_000, 0.0, 1 / 3, 5.0, float("nan"))


def fill(out: Recorder, rows: int, first: int = 0) -> None:
    for number in range(first, first + rows):
        for channel in range(2):
            out.row(channel, sample(number))


def needs(suffix: str) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rows_come_back_exactly(tmp_path: Path, suffix: str) -> None:
    needs(suffix)
    path = tmp_path / f"run.{suffix}"
    out = recorder(path)
    fill(out, 30)
    out.close()
    assert out.rows == 60
    records = read(str(path))
    assert [record.name for record in records] == NAMES
    for record in records:
        assert record.columns["time_s"].tolist() == [number / 10 for number in range(30)]
        assert record.columns["watts"].tolist() == [1 / 3] * 30
        assert record.columns["joules"].tolist() == [0.1 * number for number in range(30)]
        assert all(value != value for value in record.columns["coulombs"])
        assert all(value != value for value in record.columns["amps"])
        assert record.damage == ""


def test_csv_as_pandas_reads_it(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    out = recorder(tmp_path / "run.csv")
    fill(out, 3)
    out.close()
    frame = pandas.read_csv(tmp_path / "run.csv", comment="#")
    assert list(frame.columns) == [*COLUMNS, "source"]
    assert frame["source"].tolist()[:2] == NAMES
    assert frame["watts"].tolist() == pytest.approx([1 / 3] * 6)
    assert frame["coulombs"].isna().all()


def test_csv_header_is_one_comment_of_json(tmp_path: Path) -> None:
    recorder(tmp_path / "run.csv", ["rail"]).close()
    first, second, last = (tmp_path / "run.csv").read_text().splitlines()
    assert json.loads(last.removeprefix("# "))["closed"]["window_s"] is None
    assert json.loads(first.removeprefix("# "))["format"] == "energymeter log 1"
    assert next(csv.reader(io.StringIO(second))) == list(COLUMNS)


def test_json_lines_are_strict_json(tmp_path: Path) -> None:
    out = recorder(tmp_path / "run.jsonl")
    fill(out, 2)
    out.close()

    def refuse(text: str) -> None:
        raise AssertionError(f"{text} is not JSON")

    lines = (tmp_path / "run.jsonl").read_text().splitlines()
    first = [json.loads(line, parse_constant=refuse) for line in lines][1]
    assert first["source"] == "rail"
    assert first["amps"] is None


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_existing_file_is_left_alone(tmp_path: Path, suffix: str) -> None:
    needs(suffix)
    path = tmp_path / f"run.{suffix}"
    path.write_text("precious")
    with pytest.raises(LogError, match="exists and is not overwritten; give --force"):
        recorder(path)
    assert path.read_text() == "precious"
    recorder(path, force=True).close()
    assert b"precious" not in path.read_bytes()


@pytest.mark.parametrize("name", ["run.txt", "run", "run.csv.gz"])
def test_unknown_ending(tmp_path: Path, name: str) -> None:
    with pytest.raises(LogError, match="a log ends in"):
        recorder(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_place_that_is_not(tmp_path: Path, suffix: str) -> None:
    needs(suffix)
    with pytest.raises(LogError, match="cannot be written"):
        recorder(tmp_path / "nowhere" / f"run.{suffix}")


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_resumed_after_half_a_row(tmp_path: Path, suffix: str) -> None:
    """A writer killed in the middle of a row; its successor appends to what was whole."""
    path = tmp_path / f"run.{suffix}"
    out = recorder(path)
    fill(out, 5)
    out.flush()
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    again = recorder(path, resume=True)
    fill(again, 5, first=5)
    again.close()
    first, second = read(str(path))
    assert len(first.columns["time_s"]) == 10
    assert len(second.columns["time_s"]) == 9
    assert first.damage == second.damage == ""
    assert first.notes == ()


def test_resumed_file_that_is_gone_is_a_whole_log(tmp_path: Path) -> None:
    out = recorder(tmp_path / "run.csv", resume=True)
    fill(out, 2)
    out.close()
    assert len(read(str(tmp_path / "run.csv"))[0].columns["time_s"]) == 2


def test_parquet_in_row_groups(tmp_path: Path) -> None:
    """Ten minutes at 1 Hz: groups up to a minute, each on disk when it is full, one file at the end."""
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "day.parquet"
    out = recorder(path)
    for second in range(600):
        fill(out, 1, first=10 * second)
        out.flush()
    first = 2 + 3 + 5 + 9 + 17 + 33  # of 1, 2, 4 s and so on
    minutes = (600 - first) // 61
    assert len(list(tmp_path.glob("day.parquet.parts/*.parquet"))) == 6 + minutes
    assert out.rows == 2 * (first + 61 * minutes)
    out.close()
    assert out.rows == 1200
    assert not (tmp_path / f"day.parquet{PARTS_SUFFIX}").exists()
    assert parquet.ParquetFile(path).num_row_groups == 6 + minutes + 1
    assert len(read(str(path))[1].columns["time_s"]) == 600


def test_parquet_never_holds_more_than_a_group(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    out = recorder(tmp_path / "fast.parquet", ["rail"])
    for number in range(_Parquet.GROUP_ROWS):
        out.row(0, sample(0)._replace(at_ns=1_000 + number))
    out.flush()
    assert out.rows == _Parquet.GROUP_ROWS


def test_parquet_of_a_writer_that_is_killed_early_holds_all_but_the_last_seconds(tmp_path: Path) -> None:
    """Groups of 1, 2, 4 s and so on: whenever it is killed, at most about as much is lost as is kept."""
    pytest.importorskip("pyarrow")
    path = tmp_path / "run.parquet"
    out = recorder(path)
    kept = []
    for tenth in range(200):
        fill(out, 1, first=tenth)
        out.flush()
        kept.append(out.rows)
    assert kept[:10] == [0] * 10
    assert kept[10] == 2 * 11
    assert all(rows >= number - 12 for number, rows in enumerate(kept))
    assert len(list((tmp_path / "run.parquet.parts").iterdir())) == 4
    assert 2 * len(read(str(path))[0].columns["time_s"]) == out.rows


def test_parquet_of_a_killed_writer(tmp_path: Path) -> None:
    """Whole minutes are there, resumed or not; and a new run does not sweep them away."""
    pytest.importorskip("pyarrow")
    path = tmp_path / "run.parquet"
    out = recorder(path)
    fill(out, 700)
    out.flush()
    fill(out, 20, first=700)  # lost with the writer
    assert not path.exists()
    assert len(read(str(path))[0].columns["time_s"]) == 700
    with pytest.raises(LogError, match=r"run\.parquet\.parts exists"):
        recorder(path)
    again = recorder(path, resume=True)
    fill(again, 10, first=800)
    again.close()
    assert len(read(str(path))[0].columns["time_s"]) == 710


FULL_DISK = """
import os, sys
sys.path[:0] = sys.argv[2:]
from test_writer import recorder, fill
from pathlib import Path
out = recorder(Path(sys.argv[1]))
try:
    for number in range(100_000):
        fill(out, 100, first=100 * number)
        out.flush()
except OSError as failure:
    print(out.rows, failure.strerror or failure)
"""


@pytest.mark.slow
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_full_disk_keeps_whole_rows(tmp_path: Path, suffix: str) -> None:
    """On a file system of half a megabyte, which only this test sees."""
    needs(suffix)
    folder = tmp_path / "small"
    folder.mkdir()
    here = Path(__file__).parent
    script = tmp_path / "fill.py"
    script.write_text(FULL_DISK)
    mount = (
        f'mount -t tmpfs -o size=512k none "{folder}" || exit 99; "$@"; cp -r "{folder}" "{tmp_path}/kept"'
    )
    run = subprocess.run(
        [
            "unshare", "-m", "sh", "-c", mount, "sh", sys.executable, str(script),
            str(folder / f"run.{suffix}"), str(here), str(here.parent),
        ],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    if run.returncode == 99 or "unshare" in run.stderr:
        pytest.skip(f"no file system may be mounted here: {run.stderr.strip()}")
    rows, _, reason = run.stdout.strip().partition(" ")
    assert "No space left on device" in reason, run.stderr
    records = read(str(tmp_path / "kept" / f"run.{suffix}"))
    assert sum(len(record.columns["time_s"]) for record in records) == int(rows) > 1000
    assert all(record.damage == "" for record in records)


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_file_that_is_removed_or_cut_short_is_reported(tmp_path: Path, suffix: str) -> None:
    for spoil, reason in (
        (Path.unlink, "removed"),
        (lambda path: os.truncate(path, 0), "cut its file short"),
    ):
        path = tmp_path / f"run.{suffix}"
        out = recorder(path, force=True)
        fill(out, 3)
        out.flush()
        assert out.rows == 6
        spoil(path)
        fill(out, 3, first=3)
        with pytest.raises(OSError, match=reason):
            out.flush()
        assert out.rows == 6
        with pytest.raises(OSError, match=reason):
            out.close()


@pytest.mark.parametrize("names", [["a"], ["a", "b"]], ids=len)
def test_writing_a_parquet_log_imports_nothing(tmp_path: Path, names: list[str]) -> None:
    """Leaving a block waits for it: pandas, where it is installed, would take longer than that may."""
    pytest.importorskip("pyarrow")
    code = (
        "import sys\n"
        "from energymeter.energy.integrate import Sample\n"
        "from energymeter.recordings.writer import open_recorder\n"
        f"log = open_recorder('a.parquet', {{'channels': []}}, {names}, 0, force=False, resume=False)\n"
        "from energymeter.recordings import arrow\n"
        "before = set(sys.modules)\n"
        "for number in range(100):\n"
        "    at_ns = number * 10**8\n"
        "    log.row(0, Sample(at_ns, 1.0 * number, None, None, at_ns, 0.0, 1.0, None, None))\n"
        "    log.flush()\n"
        "log.close((0, 10**10))\n"
        "print(sorted(set(sys.modules) - before))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_a_parquet_log_is_read_without_pandas(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    code = (
        "import sys; from pathlib import Path; from recordings.test_writer import fill, read, recorder\n"
        "out = recorder(Path(sys.argv[1])); fill(out, 3); out.close()\n"
        "print(len(read(sys.argv[1])[0].columns['time_s']), 'pandas' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "run.parquet")],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == ["3", "False"]
