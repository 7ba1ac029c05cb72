"""The ledger: exact sums, each debit once, many writers, sudden death, corruption, migration."""

import errno
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energymeter.budget.ledger import LIMIT, Debit, Ledger, SpanTotal
from energymeter.budget.ledger_file import MIGRATIONS, _remedy, default_path
from energymeter.clock import ManualClock
from energymeter.errors import LedgerError

WRITER = Path(__file__).parents[2] / "benchmarks/ledger.py"


def debit(microjoules: int, **known: object) -> Debit:
    return Debit(microjoules, None, 1_000_000, None, "measured", "sim:test")._replace(**known)  # type: ignore[arg-type]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "data/ledger.sqlite3", clock=ManualClock())


@pytest.fixture
def budget(ledger: Ledger) -> int:
    return ledger.create("lab4", "{}", "{}")


def total(ledger: Ledger, budget: int) -> int:
    return ledger.totals(budget).microjoules


def test_a_running_total_counts_once(ledger: Ledger, budget: int) -> None:
    assert ledger.record(budget, "run", "a", debit(100)) is not None
    assert ledger.record(budget, "run", "a", debit(100)) is None
    assert ledger.record(budget, "run", "b", debit(250, microseconds=2_000_000)) is not None
    assert [(line.joules, line.seconds, line.stage) for line in ledger.lines(budget)] == [
        (0.0001, 1.0, "a"),
        (0.00015, 1.0, "b"),
    ]
    assert total(ledger, budget) == 250


@pytest.fixture(scope="module")
def many_budgets(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], tuple[Ledger, int]]:
    """A ledger, and one more budget in it."""
    ledger = Ledger(tmp_path_factory.mktemp("many") / "l")
    numbers = count()
    return lambda: (ledger, ledger.create(f"b{next(numbers)}", "{}", "{}"))


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=20), st.integers(0, 5))
def test_whatever_is_reported_twice_the_last_word_counts(
    many_budgets: Callable[[], tuple[Ledger, int]], totals: list[int], repeat: int
) -> None:
    ledger, budget = many_budgets()
    for amount in totals:
        ledger.record(budget, "run", "", debit(amount))
    for _ in range(repeat):
        ledger.record(budget, "run", "", debit(totals[-1]))
    assert total(ledger, budget) == totals[-1]


def test_a_run_that_goes_on_after_a_reset_pays_only_the_rest(ledger: Ledger, budget: int) -> None:
    ledger.record(budget, "run", "", debit(700))
    ledger.reset(budget, "charged")
    assert total(ledger, budget) == 0
    ledger.record(budget, "run", "", debit(1000))
    assert total(ledger, budget) == 300


def test_amending_and_undoing_are_new_lines(ledger: Ledger, budget: int) -> None:
    first = ledger.record(budget, "one", "", debit(100, uncertainty_microjoules=2)) or 0
    ledger.record(budget, "two", "", debit(50, uncertainty_microjoules=1))
    before = ledger.lines(budget)
    ledger.amend(budget, first, 130, "wrong shunt")
    assert total(ledger, budget) == 180
    ledger.amend(budget, first, None, "not mine")
    assert ledger.totals(budget)[1:3] == (50, 1)
    assert ledger.lines(budget)[:2] == before
    assert [line.kind for line in ledger.lines(budget)] == ["debit", "debit", "amend", "undo"]
    assert [s.joules for s in ledger.stretches(budget, None)] == [50e-6]


def test_an_undone_run_that_reports_again_stays_undone(ledger: Ledger, budget: int) -> None:
    line = ledger.record(budget, "run", "", debit(100)) or 0
    ledger.amend(budget, line, None, "")
    ledger.record(budget, "run", "", debit(100))
    assert total(ledger, budget) == 0


def test_what_cannot_be_undone(ledger: Ledger, budget: int) -> None:
    line = ledger.record(budget, "run", "", debit(100)) or 0
    undo = ledger.amend(budget, line, None, "")
    with pytest.raises(LedgerError, match="undone already"):
        ledger.amend(budget, line, None, "")
    for nothing in (undo, 999):
        with pytest.raises(LedgerError, match="no debit"):
            ledger.amend(budget, nothing, None, "")
    old = ledger.record(budget, "two", "", debit(100)) or 0
    ledger.reset(budget, "")
    with pytest.raises(LedgerError, match="since the last reset"):
        ledger.amend(budget, old, None, "")


def test_stages_and_budgets_keep_apart(ledger: Ledger, budget: int) -> None:
    other = ledger.create("other", "{}", "{}")
    ledger.record(budget, "r1", "train", debit(1))
    ledger.record(budget, "r2", "infer", debit(2))
    ledger.record(other, "r1", "infer", debit(4))
    assert [ledger.totals(budget, stage).microjoules for stage in ("train", "infer", None)] == [1, 2, 3]
    assert total(ledger, other) == 4
    assert ledger.names() == ["lab4", "other"]


def test_spans_are_running_totals_too(ledger: Ledger, budget: int) -> None:
    ledger.record(budget, "r", "", debit(100, spans={"infer": SpanTotal(10, 80)}))
    ledger.record(budget, "r", "", debit(300, spans={"infer": SpanTotal(30, 250)}))
    assert sorted(ledger.units(budget, None, "infer")) == [(10, 80e-6), (20, 170e-6)]
    assert ledger.units(budget, None, None) == [(1, 300e-6)]


def test_one_line_without_a_doubt_makes_the_doubt_unknown(ledger: Ledger, budget: int) -> None:
    ledger.record(budget, "r1", "", debit(100, uncertainty_microjoules=2))
    assert ledger.totals(budget)[1:] == (100, 2, 1)
    ledger.record(budget, "r2", "", debit(100))
    assert ledger.totals(budget)[1:] == (200, None, 2)


def test_the_same_name_made_twice_is_one_budget(ledger: Ledger, budget: int) -> None:
    assert ledger.create("lab4", "other", "{}") == budget


def test_a_ledger_of_the_first_schema_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    with sqlite3.connect(path) as db:
        db.executescript(MIGRATIONS[0])
        db.execute("INSERT INTO budgets VALUES (7, 'old', '{}', 0.0)")
        db.execute(
            "INSERT INTO lines VALUES"
            " (NULL, 7, 'debit', 0.0, 'r', '', NULL, 42, NULL, 1, NULL, 'measured', 's', '')"
        )
        db.execute("PRAGMA user_version = 1")
    db.close()
    ledger = Ledger(path)
    assert ledger.budget("old") == (7, "{}", "{}")
    ledger.record(7, "r", "", debit(50, spans={"a": SpanTotal(1, 8)}))
    assert total(ledger, 7) == 50
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    db.close()


def test_a_ledger_from_the_future_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(LedgerError, match="newer energymeter"):
        Ledger(path).names()
    assert list(tmp_path.glob("*corrupt*")) == []


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["not a database", "torn pages"])
def test_a_corrupt_ledger_is_set_aside_and_kept(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "ledger.sqlite3"
    ledger = Ledger(path)
    budget = ledger.create("lab4", "{}", "{}")
    for i in range(200):
        ledger.record(budget, f"run {i}", "", debit(i))
    content = path.read_bytes()
    broken = (
        b"hello, this is a diary" * 200
        if damage == "not a database"
        else content[:4096] + bytes(len(content) - 4096)
    )
    path.write_bytes(broken)
    with pytest.warns(RuntimeWarning, match="corrupt"):
        assert Ledger(path).names() == []
    (kept,) = tmp_path.glob("*.corrupt-*")
    assert kept.read_bytes() == broken
    assert Ledger(path).names() == []


def test_a_budget_id_of_a_ledger_set_aside_means_nothing_in_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    before = Ledger(path)
    old = before.create("lab4", "{}", "{}")
    path.write_bytes(b"x" * 9000)
    with pytest.warns(RuntimeWarning, match="corrupt"):
        Ledger(path).create("lab5", "{}", "{}")
    with pytest.raises(LedgerError, match="FOREIGN KEY"):
        before.record(old, "run", "", debit(1))


def test_held_by_another_program(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    ledger = Ledger(path, busy_seconds=0.01)
    budget = ledger.create("lab4", "{}", "{}")
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerError, match="held by another program"):
        ledger.record(budget, "run", "", debit(1))
    holder.execute("ROLLBACK")
    holder.close()
    assert ledger.record(budget, "run", "", debit(1)) is not None


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LedgerError, match=r"cannot be written .*: check its permissions"):
        Ledger(tmp_path / "file" / "ledger.sqlite3").names()


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (errno.EACCES, "check its permissions"),
        (errno.EPERM, "check its permissions"),
        (errno.EROFS, "check its permissions"),
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "free some space"),
        (errno.EIO, "move it away"),
    ],
)
def test_what_the_system_refuses_has_its_remedy(code: int, remedy: str, tmp_path: Path) -> None:
    assert remedy in _remedy(tmp_path, OSError(code, os.strerror(code), str(tmp_path)))


def test_the_users_own_ledger(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_path() == tmp_path / "energymeter" / "ledger.sqlite3"


@pytest.mark.slow
def test_eight_processes_some_killed_and_not_a_microjoule_amiss(tmp_path: Path) -> None:
    """Each prints what it will debit before and what it has debited after; a killed one may be in between."""
    path = tmp_path / "ledger.sqlite3"
    budget = Ledger(path).create("lab4", "{}", "{}")
    command = [sys.executable, str(WRITER), "--write", str(path), str(budget)]
    environment = os.environ | {"PYTHONPATH": str(WRITER.parents[1])}
    writers = [  # every third would go on indefinitely, and is killed
        subprocess.Popen(
            [*command, str(seed), "25" if seed % 3 else "1000000"], stdout=subprocess.PIPE, env=environment
        )
        for seed in range(8)
    ]
    done, maybe = 0, []
    for seed, writer in enumerate(writers):
        assert writer.stdout is not None
        said = []
        for raw in writer.stdout:
            said.append(raw.decode().split())
            if seed % 3 == 0 and len(said) == 21:
                writer.send_signal(signal.SIGKILL)
        writer.stdout.close()
        assert writer.wait() == (0 if seed % 3 else -signal.SIGKILL)
        finished = {words[1] for words in said if words[0] == "done"}
        for word, run, amount in (words for words in said if words[0] == "will"):
            assert word == "will"
            if run in finished:
                done += int(amount)
            else:
                maybe.append((run, int(amount)))
    ledger = Ledger(path)
    there = {line.run: round(line.joules * 1e6) for line in ledger.lines(budget)}
    assert all(there.get(run, amount) == amount for run, amount in maybe)
    assert total(ledger, budget) == done + sum(amount for run, amount in maybe if run in there)
    assert done > 0


# -- what no line may hold ---------------------------------------------------------------------------

WRONG = {
    "kind": [b"x", 1.5],
    "at": ["now", -1.0, float("inf"), 1e300, b""],
    "run": [b"x"],
    "stage": [b"x"],
    "refers": ["x", 1.5],
    "microjoules": ["x", 1.5, 2**62, -(2**63), float("inf"), b"1"],
    "microcoulombs": ["x", 1e308, 2**63 - 1],
    "microseconds": ["x", float("-inf"), 2**62],
    "uncertainty_microjoules": ["x", 1e300, 2**62],
    "provenance": [b"x"],
    "sources": [b"x"],
    "note": [b"x"],
    "charge": ["x", -1, 2**62, 0.5],
}


@pytest.mark.parametrize(("column", "value"), [(c, v) for c, values in WRONG.items() for v in values])
def test_a_cell_of_another_type_or_range_is_damage_that_is_named(
    ledger: Ledger, budget: int, column: str, value: object
) -> None:
    line = ledger.record(budget, "run", "", debit(100))
    with sqlite3.connect(ledger.path) as db:
        db.execute("PRAGMA ignore_check_constraints = ON")
        db.execute(f"UPDATE lines SET {column} = ?", (value,))
    db.close()
    for use in (
        ledger.lines,
        ledger.totals,
        lambda budget: ledger.units(budget, None, None),
        lambda budget: ledger.stretches(budget, None),
        lambda budget: ledger.spans(budget, None),
    ):
        with pytest.raises(LedgerError, match=f"line {line} of the ledger .* is damaged"):
            use(budget)


@pytest.mark.parametrize("column", ["count", "microjoules", "left_out"])
@pytest.mark.parametrize("value", ["x", 1.5, 2**62, -(2**63), float("inf")])
def test_spans_that_cannot_be_are_not_counted(
    ledger: Ledger, budget: int, column: str, value: object
) -> None:
    ledger.record(budget, "run", "", debit(100, spans={"infer": SpanTotal(1, 100)}))
    with sqlite3.connect(ledger.path) as db:
        db.execute(f"UPDATE spans SET {column} = ?", (value,))
    db.close()
    assert ledger.spans(budget, None) == {}
    assert ledger.units(budget, None, "infer") == []


def test_damage_in_an_older_charge_hides_nothing_of_this_one(ledger: Ledger, budget: int) -> None:
    ledger.record(budget, "run", "", debit(100))
    ledger.reset(budget, "")
    with sqlite3.connect(ledger.path) as db:
        db.execute("UPDATE lines SET microjoules = 'x' WHERE kind = 'debit'")
    db.close()
    ledger.record(budget, "later", "", debit(5))
    assert total(ledger, budget) == 5
    with pytest.raises(LedgerError, match="damaged"):
        ledger.lines(budget)


def test_sums_do_not_end_at_64_bits(ledger: Ledger, budget: int) -> None:
    for run in range(30):
        ledger.record(budget, f"run {run}", "", debit(LIMIT, microcoulombs=LIMIT, uncertainty_microjoules=1))
    assert ledger.totals(budget).microjoules == 30 * LIMIT
    assert ledger.stretches(budget, None)[0].joules == LIMIT / 1e6
    assert len(ledger.units(budget, None, None)) == 30
    with pytest.raises(LedgerError, match="at most: check the amount"):
        ledger.record(budget, "more", "", debit(LIMIT + 1))
    assert len(ledger.lines(budget)) == 30


def test_a_full_disk_under_the_shared_memory_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    assert "move it away" in _remedy(tmp_path / "ledger", error)
    disk = os.statvfs(tmp_path)
    full = os.statvfs_result((*disk[:4], 3, *disk[5:]))
    monkeypatch.setattr(os, "statvfs", lambda path: full)
    assert "free some space" in _remedy(tmp_path / "ledger", error)


def test_a_debit_of_an_old_charge_is_not_of_this_one(ledger: Ledger, budget: int) -> None:
    ledger.record(budget, "run", "", debit(100))
    ledger.reset(budget, "")
    assert ledger.record(budget, "run", "", debit(150), 0) is not None
    ledger.record(budget, "run", "", debit(175))
    assert total(ledger, budget) == 25


def test_questions_are_answered_while_another_program_writes(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    ledger = Ledger(path, busy_seconds=0.01)
    budget = ledger.create("lab4", "{}", "{}")
    ledger.record(budget, "run", "", debit(100, spans={"infer": SpanTotal(2, 80, 0)}))
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    holder.execute("UPDATE budgets SET battery = 'another'")
    assert ledger.names() == ["lab4"]
    assert total(ledger, budget) == 100
    assert ledger.totals(budget).battery == "{}"
    assert [line.joules for line in ledger.lines(budget)] == [0.0001]
    assert len(ledger.stretches(budget, None)) == 1
    assert ledger.units(budget, None, None) == [(1, 0.0001)]
    assert ledger.spans(budget, None)["infer"] == SpanTotal(2, 80, 0)
    holder.execute("ROLLBACK")
    holder.close()


@pytest.mark.slow
def test_units_are_counted_over_the_latest_thousand_runs(ledger: Ledger, budget: int) -> None:
    for run in range(1003):
        ledger.record(budget, f"run {run}", "", debit(1))
    assert len(ledger.units(budget, None, None)) == 1000
    assert len(ledger.units(budget, None, None, latest=7)) == 7
