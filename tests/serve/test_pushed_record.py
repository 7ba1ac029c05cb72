"""An agent that pushes its record to a lake.

What could go wrong, and where it is held:

============================================  ==========================================================
a recording is in the lake twice              test_the_record_is_in_the_lake_once
files that touch hide one another             test_the_record_is_in_the_lake_once
the lake is away: something is lost           test_a_lake_that_is_away_gets_everything_when_it_is_back
it is said at each try                        test_a_lake_that_is_away_gets_everything_when_it_is_back
a disk that is not mounted gets a lake        test_a_lake_that_is_gone_is_not_begun_again
more is lost than is said, or less            test_what_the_record_could_not_keep_is_counted_and_said
one recording keeps all others waiting        test_a_recording_that_cannot_be_pushed_keeps_no_other_waiting
what a person stated is replaced              test_what_was_stated_by_hand_stays
what is written now is pushed                 test_the_record_is_in_the_lake_once
a damaged note of what is done                test_a_damaged_note_of_what_is_done_doubles_nothing
another lake gets the rest only               test_another_lake_gets_all_of_it
a store that hangs keeps the agent            test_a_store_that_hangs_does_not_keep_the_agent
a killed agent loses or doubles               test_a_killed_agent_pushes_when_it_is_started_again
a bucket that is away (S3)                    tests/lake/test_record_to_s3.py
============================================  ==========================================================
"""

import json
import logging
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("fsspec", reason="fsspec is not installed here: make test-lake")
pytest.importorskip("pyarrow", reason="pyarrow is not installed here")

import pyarrow.parquet as pq
from devices.processes import until
from drawn_source import SECOND, DrawnSource

from energymeter.clock import ManualClock
from energymeter.errors import SpecError
from energymeter.lake import Statement, push
from energymeter.serve.push import STATE, LakePusher
from energymeter.serve.record import RecordSettings, RollingRecord
from energymeter.serve.snapshot import PushState


class Recording:
    """A source with its record, in files of a minute."""

    def __init__(self, folder: Path, most_bytes: int = 10_000_000) -> None:
        self.clock = ManualClock(1000 * SECOND, epoch=1_795_860_000.0)
        self.source = DrawnSource("board", self.clock)
        settings = RecordSettings(str(folder), most_bytes, 60.0)
        self.record = RollingRecord([self.source], settings, clock=self.clock)
        self.source.run(0.5, 3.0)

    def minutes(self, count: int, watts: float = 3.0) -> None:
        """Record so long, and into the next file."""
        for _ in range(count):
            self.source.run(60, watts)
            self.record.step()

    @property
    def joules(self) -> float:
        """What the finished files hold, J."""
        return sum(_joules(self.record.folder.path, file.name) for file in self.record.folder.finished())


def _joules(folder: str, name: str) -> float:
    rows = [line.split(",") for line in Path(folder, name).read_text().splitlines() if line[0].isdigit()]
    return float(rows[-1][4]) - float(rows[0][4])


def in_lake(lake: Path) -> list[dict[str, object]]:
    """The rows of ``runs``."""
    return [
        row for path in lake.glob("runs/*/*/*.parquet") for row in pq.ParquetFile(path).read().to_pylist()
    ]


def joules_in(lake: Path) -> float:
    return math.fsum(row["joules"] for row in in_lake(lake))


Messages = Callable[[], list[str]]


@pytest.fixture
def messages(caplog: pytest.LogCaptureFixture) -> Messages:
    """What the agent has said so far."""
    caplog.set_level(logging.INFO, "energymeter.serve")
    return lambda: [one.getMessage() for one in caplog.records]


def test_the_record_is_in_the_lake_once(tmp_path: Path) -> None:
    recording, lake = Recording(tmp_path / "record"), tmp_path / "lake"
    pusher = LakePusher(recording.record.folder, str(lake))
    recording.minutes(2)
    assert pusher.step()
    recording.minutes(2)
    assert pusher.state() == PushState(2, 0)
    assert pusher.step()
    assert pusher.step()
    assert pusher.state() == PushState(0, 0)
    rows = in_lake(lake)
    assert [row["file"] for row in sorted(rows, key=lambda row: row["start_unix_us"])] == [
        f"board_0000000{number}_20261128T100{number - 1}00Z.csv" for number in (1, 2, 3, 4)
    ]
    assert joules_in(lake) == pytest.approx(recording.joules, rel=1e-12)
    pytest.importorskip("duckdb", reason="DuckDB is not installed here")
    from energymeter.lake import Choice, Tables
    from energymeter.lake.questions import QUESTIONS

    answer = QUESTIONS["fleet"](Tables(lake), Choice(include=("uncalibrated",)))
    assert math.fsum(row["joules"] for row in answer.rows) == pytest.approx(recording.joules, rel=1e-9)


def test_a_lake_that_is_away_gets_everything_when_it_is_back(tmp_path: Path, messages: Messages) -> None:
    recording, mount = Recording(tmp_path / "record"), tmp_path / "mount"
    lake = mount / "lake"
    pusher = LakePusher(recording.record.folder, str(lake))
    mount.touch()  # a file where the folder is to be
    for _ in range(3):
        recording.minutes(1)
        assert not pusher.step()
    mount.unlink()
    mount.mkdir()
    assert pusher.step()
    recording.minutes(1)
    (tmp_path / "away").mkdir()
    mount.rename(tmp_path / "away" / "mount")
    mount.touch()
    for _ in range(3):
        recording.minutes(1)
        assert not pusher.step()
    mount.unlink()
    (tmp_path / "away" / "mount").rename(mount)
    assert pusher.step()
    assert joules_in(lake) == pytest.approx(recording.joules, rel=1e-12)
    assert len(in_lake(lake)) == len(recording.record.folder.finished()) == 7
    texts = messages()
    assert sum("is not pushed, and tried again" in text for text in texts) == 2
    assert sum("again; 0 recordings were lost" in text for text in texts) == 2


def test_a_lake_that_is_gone_is_not_begun_again(tmp_path: Path) -> None:
    recording, lake = Recording(tmp_path / "record"), tmp_path / "lake"
    pusher = LakePusher(recording.record.folder, str(lake))
    recording.minutes(2)
    assert pusher.step()
    lake.rename(tmp_path / "elsewhere")
    recording.minutes(2)
    assert not pusher.step()
    assert not LakePusher(recording.record.folder, str(lake)).step(), "nor by the next agent"
    assert not lake.exists()
    (tmp_path / "elsewhere").rename(lake)
    assert pusher.step()
    assert len(in_lake(lake)) == 4


def test_what_the_record_could_not_keep_is_counted_and_said(tmp_path: Path, messages: Messages) -> None:
    recording, mount = Recording(tmp_path / "record", most_bytes=1_000_000), tmp_path / "mount"
    pusher = LakePusher(recording.record.folder, str(mount / "lake"))
    mount.touch()
    recording.minutes(30)
    assert not pusher.step()
    lost = pusher.state().lost
    kept = recording.record.folder.finished()
    assert lost == kept[0].number - 1 > 0
    assert pusher.state() == PushState(len(kept), lost)
    mount.unlink()
    assert pusher.step()
    assert joules_in(mount / "lake") == pytest.approx(recording.joules, rel=1e-12)
    recording.minutes(5)  # what is in the lake may go
    assert pusher.step()
    assert pusher.state().lost == lost
    assert LakePusher(recording.record.folder, str(mount / "lake")).state() == PushState(0, lost)
    assert sum("was removed before it was pushed" in text for text in messages()) == 1
    assert any(f"again; {lost} recordings were lost" in text for text in messages())


def test_a_recording_that_cannot_be_pushed_keeps_no_other_waiting(tmp_path: Path, messages: Messages) -> None:
    recording, lake = Recording(tmp_path / "record"), tmp_path / "lake"
    recording.minutes(4)
    names = [file.name for file in recording.record.folder.finished()]
    (tmp_path / "record" / names[0]).write_text("no log")
    second = tmp_path / "record" / names[1]
    second.write_text("".join(second.read_text().splitlines(keepends=True)[:2]))  # without a row
    pusher = LakePusher(recording.record.folder, str(lake))
    assert pusher.step()
    assert pusher.step()
    assert {row["file"] for row in in_lake(lake)} == set(names[2:])
    said = messages()
    assert [sum(name in text and "is not pushed" in text for text in said) for name in names] == [1, 1, 0, 0]


def test_what_was_stated_by_hand_stays(tmp_path: Path) -> None:
    recording, lake = Recording(tmp_path / "record"), tmp_path / "lake"
    recording.minutes(2)
    names = [file.name for file in recording.record.folder.finished()]
    push([str(tmp_path / "record" / names[0])], lake, Statement(model="by hand"))
    pusher = LakePusher(recording.record.folder, str(lake))
    assert pusher.step()
    assert {row["file"]: row["model"] for row in in_lake(lake)} == {names[0]: "by hand", names[1]: ""}


@pytest.mark.parametrize(
    "text", [None, "", "{", "[]", '{"lake": 1}', '{"lost": -1, "lake": "", "files": []}', "[" * 100_000]
)
def test_a_damaged_note_of_what_is_done_doubles_nothing(tmp_path: Path, text: str | None) -> None:
    recording, lake = Recording(tmp_path / "record"), tmp_path / "lake"
    recording.minutes(2)
    assert LakePusher(recording.record.folder, str(lake)).step()
    note = tmp_path / "record" / STATE
    note.unlink() if text is None else note.write_text(text)
    pusher = LakePusher(recording.record.folder, str(lake))
    assert pusher.state() == PushState(2, 0)
    assert pusher.step()
    assert len(in_lake(lake)) == 2
    assert json.loads(note.read_text())["lake"] == str(lake)


def test_another_lake_gets_all_of_it(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "record")
    recording.minutes(2)
    for name in ("a", "b"):
        assert LakePusher(recording.record.folder, str(tmp_path / name)).step()
        assert len(in_lake(tmp_path / name)) == 2


@pytest.mark.slow
def test_a_store_that_hangs_does_not_keep_the_agent(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "record")
    recording.minutes(2)
    pipe = tmp_path / "lake" / "energymeter-lake.json"
    pipe.parent.mkdir()
    os.mkfifo(pipe)  # whoever opens it waits for a writer
    pusher = LakePusher(recording.record.folder, str(tmp_path / "lake"))
    pusher.start()
    until(lambda: any("pipe" in one or "wait" in one for one in _waiting(pusher._thread)))
    started = time.monotonic()
    pusher.stop()
    assert time.monotonic() - started < 20
    with open(pipe, "wb"):
        pusher._thread.join(30)
    assert not pusher._thread.is_alive()


def _waiting(thread: threading.Thread) -> list[str]:
    """Where the kernel has a thread wait."""
    return [Path(f"/proc/self/task/{thread.native_id}/wchan").read_text()]


def test_a_url_with_a_password_is_refused_without_it(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "record")
    with pytest.raises(SpecError) as refused:
        LakePusher(recording.record.folder, "s3://me:secret@bucket/lake")
    assert "secret" not in str(refused.value)


@pytest.mark.slow
def test_a_killed_agent_pushes_when_it_is_started_again() -> None:
    with tempfile.TemporaryDirectory(prefix="em-") as made:
        folder, lake = Path(made) / "record", Path(made) / "lake"
        command = [
            sys.executable, "-m", "energymeter", "serve", "manual:5V,0.6A", "--socket", f"{made}/agent.sock",
            "--record", str(folder), "--push", str(lake),
        ]  # fmt: skip
        for number, ending in enumerate((signal.SIGKILL, signal.SIGTERM, signal.SIGKILL)):

            def written(number: int = number) -> bool:
                files = sorted(folder.glob("*.csv"))
                return len(files) > number and files[number].read_text().count("\n") > 5

            with subprocess.Popen(command, stderr=subprocess.DEVNULL) as running:
                until(written)
                until(lambda number=number: len(in_lake(lake)) == number)
                running.send_signal(ending)
                running.wait(30)
        files = sorted(folder.glob("*.csv"))
        rows = {row["file"]: row["joules"] for row in in_lake(lake)}
        assert set(rows) == {path.name for path in files[:2]}
        for path in files[:2]:
            assert rows[path.name] == pytest.approx(_joules(str(folder), path.name), rel=1e-12)
