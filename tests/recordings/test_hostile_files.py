"""What files made to hurt cannot do: run, fetch, overwrite, fill the memory, or speak to the terminal."""

import contextlib
import gzip
import json
import math
import os
import sqlite3
import stat
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fuzz.targets import TARGETS, ledgers

from energymeter import EnergyMeter
from energymeter.battery.battery import Battery
from energymeter.budget.ledger import Ledger
from energymeter.calibration.card import Card, load, save
from energymeter.cli import cli
from energymeter.discovery import choice
from energymeter.errors import EnergyMeterError, LedgerError, LogError, SpecError
from energymeter.meter.budget import Budget
from energymeter.meter.usage_delta import UsageDelta
from energymeter.paths import cards_folder, user_folder
from energymeter.reading import Facts
from energymeter.recordings.header import COLUMNS, FORMAT
from energymeter.recordings.reader import read
from energymeter.recordings.textfile import most_expanded
from energymeter.recordings.window_energy import window_joules
from energymeter.recordings.writer import open_recorder

ROOT = Path(__file__).parents[2]
HEADER = {"format": FORMAT, "channels": [{"name": "a", "facts": Facts()._asdict()}]}
ESCAPE = "\x1b[2J\x1b]0;title\x07"
BY_HAND = {
    "seconds": 1.0,
    "measured_seconds": 1.0,
    "provenance": "manual",
    "sources": ("by hand",),
    "covered_seconds": (1.0,),
}

# -- nothing runs ----------------------------------------------------------------------------------

WATCHED = """
import sys
seen = set()
FORBIDDEN = ("socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system",
             "ctypes.", "pickle.", "exec", "compile", "import", "shutil.", "os.remove", "os.rename",
             "os.chmod", "os.mkdir")
def watch(event, arguments):
    writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if writes or event.startswith(FORBIDDEN):
        seen.add(f"{event} {arguments}")
from energymeter.calibration.card import Card
from energymeter.errors import EnergyMeterError
from energymeter.recordings.reader import read
def everything():
    for path in sys.argv[1:]:
        try:
            Card.loads(open(path).read(), path) if path.endswith("card") else read(path)
        except EnergyMeterError:
            pass
everything()  # loads what is loaded when first needed
sys.addaudithook(watch)
everything()
print(sorted(seen))
"""


def test_a_log_or_card_runs_nothing_fetches_nothing_and_writes_nothing(tmp_path: Path) -> None:
    """As the interpreter's own audit events tell."""
    wishes = {"sources": 'exec@"touch made"', "__reduce__": "os.system", "calibration": "http://localhost/"}
    (tmp_path / "wishes.jsonl").write_text("\n".join(map(json.dumps, ({**HEADER, **wishes}, {}))) + "\n")
    for name in ("csv", "jsonl", "parquet", "energyrunner", "card"):
        for number, seed in enumerate(TARGETS[name].seeds()):
            (tmp_path / f"{number}.{name}").write_bytes(seed)
            (tmp_path / f"half-{number}.{name}").write_bytes(seed[: len(seed) // 2])
    run = subprocess.run(
        [sys.executable, "-c", WATCHED, *map(str, tmp_path.iterdir())],
        check=False,
        text=True,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert run.stdout == "[]\n", run.stderr


def test_a_trigger_in_a_ledger_calls_no_function(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    path.write_bytes(ledgers()[0])
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TRIGGER t AFTER INSERT ON lines BEGIN SELECT load_extension('/tmp/x'); END")
        db.commit()
    with pytest.raises(LedgerError, match="load_extension"):
        Budget("lab", ledger=Ledger(path)).spend(UsageDelta(1.0, **BY_HAND))


# -- nothing speaks to the terminal ------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_a_name_that_would_move_the_cursor_is_refused(tmp_path: Path, ending: str) -> None:
    header = json.dumps({**HEADER, "channels": [{"name": ESCAPE, "facts": Facts()._asdict()}]})
    path = tmp_path / f"x.{ending}"
    if ending == "parquet":
        arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        rows = arrow.table({name: [1.0] for name in COLUMNS})
        parquet.write_table(rows.replace_schema_metadata({"energymeter": header}), path)
    else:
        path.write_text(f"{'# ' if ending == 'csv' else ''}{header}\n")
    with pytest.raises(LogError, match="control characters") as refused:
        read(str(path))
    assert "\x1b" not in str(refused.value)


def test_our_own_channels_names_can_be_printed(tmp_path: Path) -> None:
    """Also where a meter's name is that of a file."""
    recording, out = tmp_path / f"{ESCAPE}.csv", tmp_path / "run.csv"
    recording.write_text("time_s,power_W\n0,5\n1,5\n2,5\n")
    assert read(str(recording))[0].name.isprintable()
    with EnergyMeter(f'replay@"{recording}"?speed=max', out=out) as meter:
        pass
    assert str(meter.usage).isprintable()
    assert read(str(out))[0].name.isprintable()


def test_errors_quote_csv_titles_without_their_escapes(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(f"when,{ESCAPE}\n1,2\n")
    with pytest.raises(LogError, match=r"\\x1b\[2J") as refused:
        read(str(tmp_path / "x.csv"))
    assert "\x1b" not in str(refused.value)


def test_errors_quote_a_cards_reference_without_its_escapes() -> None:
    fields = json.loads(TARGETS["card"].seeds()[0])
    fields["reference"]["name"] = ESCAPE
    made = Card._of(fields)
    assert "\x1b" not in made.title


def test_the_command_prints_no_escapes_of_a_ledger_or_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    Budget("lab", Battery(4000)).spend(UsageDelta(1.0, **{**BY_HAND, "sources": (ESCAPE,)}), note=ESCAPE)
    Budget(f"lab{ESCAPE}", Battery(4000))
    for arguments in (["list", "lab"], ["list"], ["export", "lab"], ["status", f"none{ESCAPE}"]):
        output = CliRunner().invoke(cli, ["budget", *arguments], prog_name="energymeter").output
        assert r"\x1b[2J" in output, arguments
        assert "\x1b" not in output, arguments


# -- nothing fills the memory, or passes for a number ------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [b"", b'{"format": "', json.dumps(HEADER).encode() + b"\n", b"time_s,power_W\n0,1\n"],
    ids=["title", "header", "our_row", "their_row"],
)
def test_a_disk_of_zeros_in_a_small_file_takes_no_memory(tmp_path: Path, head: bytes) -> None:
    """A hundred megabytes without an end of line, in less than half a megabyte."""
    with gzip.open(tmp_path / "x.log", "wb", compresslevel=1) as file:
        file.write(head)
        for _ in range(100):
            file.write(b"0" * 1_000_000)
    tracemalloc.start()
    with contextlib.suppress(EnergyMeterError):
        read(str(tmp_path / "x.log"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30_000_000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"0" * 3_000_000, "no whole row: a row of it has no end"),
        (b"\0" * 3_000_000, "not text"),
        (b"time_s," + b"c," * 100_000 + b"power_W\n0,1\n", "100002 columns.* cut -d, -f1,2 "),
        (b'time_s,power_W,note\n0,1,a\n1,1,"open\n' + b"2,1,x\n" * 60_000, "quote after row 0 is never"),
        (
            b"time_s,power_W,note\n" + b"2,1,x\n" * 900 + b'1,1,"open\n' + b"2,1,x\n" * 60_000,
            "quote after row",
        ),
        (b"\xf1\0\0\x80D" + bytes(33_000_000), "8 million samples; split it"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git lfs pull"),
    ],
    ids=["one line", "zeros", "columns", "open quote", "late open quote", "EnergyRunner", "Git LFS"],
)
def test_what_is_no_table_of_a_sane_size_is_refused(tmp_path: Path, text: bytes, said: str) -> None:
    (tmp_path / "x.csv").write_bytes(text)
    with pytest.raises(LogError, match=said):
        read(str(tmp_path / "x.csv"))


def parquet_of(path: Path, **columns: Any) -> str:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    whole = {**{name: [0.0, 1.0, 2.0] for name in COLUMNS}, **columns}
    parquet.write_table(arrow.table(whole).replace_schema_metadata({"energymeter": json.dumps(HEADER)}), path)
    return str(path)


@pytest.mark.parametrize("cells", [[1, 2, 3], ["1", "2", "3"], [[1.0], [2.0], [3.0]]])
def test_a_parquet_of_other_types_is_never_read_as_numbers(tmp_path: Path, cells: list[object]) -> None:
    path = parquet_of(tmp_path / "x.parquet", watts=cells)
    for reader in (lambda: read(path), lambda: window_joules(path, [0.0], [1.0])):
        with pytest.raises(LogError, match="no one column watts of doubles"):
            reader()


def test_a_parquet_that_does_not_go_forward_is_read_up_to_there(tmp_path: Path) -> None:
    """A few bytes can stand for more rows than there is memory, but not for rows of a growing time."""
    (record,) = read(parquet_of(tmp_path / "x.parquet", time_s=[1.0, 1.0, 2.0]))
    assert list(record.columns["time_s"]) == [1.0]
    assert "row 2 does not go forward" in record.damage


def test_empty_cells_of_a_parquet_are_no_numbers(tmp_path: Path) -> None:
    path = parquet_of(tmp_path / "x.parquet", joules=[0.0, None, 2.0])
    (record,) = read(path)
    assert math.isnan(record.columns["joules"][1])
    with pytest.raises(LogError, match="empty cells"):
        window_joules(path, [0.0], [1.0])


# -- nothing of ours is written through a link, or read from a stranger --------------------------------


@pytest.fixture
def treasure(tmp_path: Path) -> Iterator[Path]:
    """A file that a planted link points to, and that must stay as it is."""
    file = tmp_path / "treasure"
    file.write_text("mine")
    yield file
    assert file.read_text() == "mine"


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_log_is_not_written_through_a_link_that_appears_meanwhile(
    tmp_path: Path, treasure: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    if ending == "parquet":
        pytest.importorskip("pyarrow")
        (tmp_path / "folder").mkdir()
        (tmp_path / "run.parquet.parts").symlink_to(tmp_path / "folder")
    else:
        (tmp_path / f"run.{ending}").symlink_to(treasure)
    monkeypatch.setattr(os.path, "lexists", lambda path: False)  # it was not there when we looked
    with pytest.raises(LogError, match="exists"):
        open_recorder(str(tmp_path / f"run.{ending}"), {}, ["a"], 0, force=False, resume=False)


def test_a_parquet_log_is_not_finished_through_a_planted_link(tmp_path: Path, treasure: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "run.parquet.unfinished").symlink_to(treasure)
    with EnergyMeter("manual:5V,0.6A", out=tmp_path / "run.parquet", rate_hz=100):
        time.sleep(0.05)
    assert len(read(str(tmp_path / "run.parquet"))) == 1


def test_a_card_is_not_written_through_a_planted_link(tmp_path: Path, treasure: Path) -> None:
    for name in ("c.part", "c.json"):
        (tmp_path / name).symlink_to(treasure)
    card = Card.loads(TARGETS["card"].seeds()[0].decode(), "x")
    assert load(save(card, tmp_path / "c.json")) == card


def test_folders_that_are_made_are_their_owners_alone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    Budget("lab", Battery(4000))
    save(Card.loads(TARGETS["card"].seeds()[0].decode(), "x"))
    choice.remember(choice.Choice("manual:5V,0.6A", "a test"), [])
    made = (user_folder("data"), user_folder("cache"), cards_folder())
    assert {str(path): stat.S_IMODE(os.stat(path).st_mode) for path in made} == {
        str(path): 0o700 for path in made
    }


def test_a_choice_that_another_user_left_is_not_taken(home: Path) -> None:
    if os.geteuid():
        pytest.skip("making a file somebody else's needs root")
    choice.remember(choice.Choice("manual:5V,0.6A", "a test"), [])
    assert choice.choose().reason == "a test"
    try:
        os.chown(Path(user_folder("cache")) / "choice.json", 65534, 65534)
    except OSError:
        pytest.skip("this user namespace knows no other user")
    assert choice.choose().reason != "a test"


def test_a_configuration_that_cannot_be_read_is_not_passed_over(home: Path) -> None:
    (Path(user_folder("config")) / "config.ini").mkdir(parents=True)
    with pytest.raises(SpecError, match="cannot be read"):
        choice.named()


@pytest.mark.parametrize(("size", "most"), [(10, 1 << 28), (2 << 20, 200 * (2 << 20))])
def test_a_compressed_file_may_hold_two_hundred_times_its_size(tmp_path: Path, size: int, most: int) -> None:
    (tmp_path / "x.gz").write_bytes(b"x" * size)
    with open(tmp_path / "x.gz", "rb") as file:
        assert most_expanded(file) == most
