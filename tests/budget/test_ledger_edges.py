"""The ledger, its claims and accounts at their limits: who bills, what is refused, what is taken back."""

import errno
import json
import os
import sqlite3
from pathlib import Path

import pytest

from energymeter.battery.battery import Battery
from energymeter.budget import claims
from energymeter.budget.account import Account, _micro
from energymeter.budget.claims import Charge, Claim, Process
from energymeter.budget.ledger import LIMIT, Debit, Ledger
from energymeter.budget.ledger_file import LedgerFile, _remedy
from energymeter.clock import ManualClock
from energymeter.errors import LedgerError, SpecError

SECOND = 1_000_000_000


@pytest.fixture
def file(tmp_path: Path) -> LedgerFile:
    made = LedgerFile(tmp_path / "ledger.sqlite3", ManualClock(), 1.0)
    with made.transaction() as db:
        db.execute("CREATE TABLE t (n INTEGER)")
    return made


def numbers(file: LedgerFile) -> list[int]:
    with file.transaction(write=False) as db:
        return [n for (n,) in db.execute("SELECT n FROM t")]


def test_a_piece_of_work_happens_wholly_or_not_at_all(file: LedgerFile) -> None:
    with file.transaction() as db:
        db.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(KeyError), file.transaction() as db:
        db.execute("INSERT INTO t VALUES (2)")
        raise KeyError
    assert numbers(file) == [1]
    with pytest.raises(KeyError), file.transaction() as db:
        db.execute("INSERT INTO t VALUES (3)")
        db.execute("ROLLBACK")  # as SQLite does by itself where the disk is full
        raise KeyError
    assert numbers(file) == [1]
    with file.transaction(durable=False) as db:
        db.execute("INSERT INTO t VALUES (4)")
        assert db.execute("PRAGMA synchronous").fetchone() == (1,)
        assert db.execute("PRAGMA foreign_keys").fetchone() == (1,)
        assert db.execute("PRAGMA trusted_schema").fetchone() == (0,)
    with file.transaction() as db:
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert numbers(file) == [1, 4]


def test_what_a_ledger_cannot_hold(file: LedgerFile) -> None:
    with pytest.raises(LedgerError) as wrong, file.transaction() as db:
        db.execute("INSERT INTO t VALUES (?)", (1 << 63,))
    assert str(wrong.value) == "a number does not fit into the ledger's 64 bits: check it"
    with pytest.raises(LedgerError) as wrong, file.transaction() as db:
        db.execute("INSERT INTO t VALUES (?)", ("\ud800",))
    assert str(wrong.value) == "the ledger holds no '\\ud800': write it without lone surrogates"
    assert numbers(file) == []


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (sqlite3.OperationalError("database is locked"), "is held by another program: end it and try again"),
        (
            sqlite3.OperationalError("attempt to write a readonly database"),
            "cannot be written (attempt to write a readonly database): check its permissions, or set "
            "XDG_DATA_HOME",
        ),
        (
            sqlite3.OperationalError("unable to open database file"),
            "cannot be written (unable to open database file): check its permissions, or set XDG_DATA_HOME",
        ),
        *(
            (
                OSError(code, "x"),
                f"cannot be written ([Errno {code}] x): check its permissions, or set XDG_DATA_HOME",
            )
            for code in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)
        ),
        (
            sqlite3.OperationalError("disk I/O error"),
            "cannot be used (disk I/O error): move it away and begin a new one",
        ),
        (
            OSError(errno.EIO, "x"),
            f"cannot be used ([Errno {errno.EIO}] x): move it away and begin a new one",
        ),
    ],
)  # fmt: skip
def test_each_error_has_its_remedy(tmp_path: Path, error: Exception, says: str) -> None:
    path = tmp_path / "l"
    assert _remedy(path, error) == f"the ledger {path} {says}"


@pytest.mark.parametrize(
    "error",
    [
        sqlite3.OperationalError("database or disk is full"), OSError(errno.ENOSPC, "x"),
        OSError(errno.EDQUOT, "x"),
    ],
)  # fmt: skip
def test_a_full_disk_loses_nothing(tmp_path: Path, error: Exception) -> None:
    path = tmp_path / "l"
    assert _remedy(path, error) == (
        f"no room left for the ledger {path}: free some space; no earlier line is lost"
    )


# Claims


def process(**changed: object) -> Process:
    return Process("boot", "1", 77, "500")._replace(**changed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changed", "silent_s", "started", "bills"),
    [
        ({}, 0.0, "500", True), ({}, 90.0, "500", True), ({}, 90.000000001, "500", False),
        ({"started": ""}, 0.0, "500", False), ({}, 0.0, "501", False), ({}, 0.0, "", False),
        ({"boot": "before"}, 0.0, "500", False), ({"namespace": "2"}, 0.0, "", True),
        ({"namespace": "2"}, 91.0, "", False), ({"namespace": "2", "started": ""}, 0.0, "", False),
    ],
)  # fmt: skip
def test_who_still_bills(
    monkeypatch: pytest.MonkeyPatch, changed: dict[str, object], silent_s: float, started: str, bills: bool
) -> None:
    monkeypatch.setattr(claims, "_started", lambda pid: started)
    assert process(**changed).bills(process(pid=88), round(silent_s * 1e9)) is bills


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("boot/1/77/500", process()), ("boot/1/77/", process(started="")), ("//0/", Process("", "", 0, "")),
        ("boot/1/1234567890/5", process(pid=123_456_789, started="5")), ("boot/1/77", None),
        ("boot/1/77/500/", None), ("boot/1/x/500", None), ("boot/1//500", None), ("boot/1/-7/500", None),
    ],
)  # fmt: skip
def test_a_process_as_it_is_written(text: str, found: Process | None) -> None:
    assert Process.parse(text) == (found or Process("", "", 0, ""))
    if found is not None and found.pid < 1e8:
        assert str(found) == text


@pytest.mark.parametrize(
    ("state", "started"), [("S", "19"), ("Z", ""), ("X", ""), ("R", "19"), ("short", "")]
)
def test_when_a_process_was_started(monkeypatch: pytest.MonkeyPatch, state: str, started: str) -> None:
    fields = [state, *map(str, range(1, 19 if state == "short" else 30))]
    monkeypatch.setattr(claims, "_text", lambda path: f"77 (a ) b) {' '.join(fields)}\n")
    assert claims._started(77) == started


def test_without_proc_a_process_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(path: str) -> object:
        raise FileNotFoundError

    monkeypatch.setattr(os, "stat", missing)
    assert Process.of(2**22 + 1)[1:] == ("", 2**22 + 1, "")


def test_of_several_who_bill_the_latest_says_until_when(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(tmp_path / "l")
    budget = ledger.create("lab", "{}", "{}")
    monkeypatch.setattr(claims, "_started", lambda pid: "500" if pid in (1, 2) else "")
    first, second, third, old = (process(pid=pid) for pid in (1, 2, 3, 4))
    assert ledger.claims.take(budget, ["a"], 10 * SECOND, first).ours
    assert ledger.claims.take(budget, ["b"], 20 * SECOND, second).ours
    assert ledger.claims.take(budget, ["c"], 30 * SECOND, third).ours
    assert ledger.claims.take(budget, ["d"], 99 * SECOND, old._replace(boot="before")).ours
    found = ledger.claims.take(budget, ["a", "b", "c", "d"], 40 * SECOND, process(pid=5))
    assert found == Claim(False, Charge(0, 0.0), 30 * SECOND, 1, ("a", "b"))
    ledger.claims.release(budget, ["a", "b"], 50 * SECOND, first)
    found = ledger.claims.take(budget, ["a", "b"], 51 * SECOND, process(pid=5))
    assert found == Claim(False, Charge(0, 0.0), 50 * SECOND, 2, ("b",)), "it had released its own alone"
    ledger.claims.release(budget, ["b"], 60 * SECOND, second)
    assert ledger.claims.take(budget, ["a", "b"], 61 * SECOND, process(pid=5)) == Claim(
        True, Charge(0, 0.0), 60 * SECOND
    )


# An account


@pytest.mark.parametrize(
    ("amount", "micro"),
    [(0.0, 0), (1.0000004, 1_000_000), (1.0000006, 1_000_001), (-2.5, -2_500_000), (LIMIT / 1e6, LIMIT)],
)
def test_amounts_in_millionths(amount: float, micro: int) -> None:
    assert _micro(amount) == pytest.approx(micro, rel=1e-12)


@pytest.mark.parametrize("amount", [LIMIT / 1e6 * 1.001, -LIMIT / 1e6 * 1.001, float("nan"), float("inf")])
def test_amounts_that_no_ledger_holds(amount: float) -> None:
    with pytest.raises(SpecError) as wrong:
        _micro(amount)
    assert str(wrong.value) == f"an amount is a number up to {LIMIT / 1e6:g}, not {amount!r}: check it"


@pytest.mark.parametrize(
    ("microjoules", "uncertainty", "gain"),
    [
        (1_000_000, 100_000, 0.05), (1_000_000, 5_000_000, 1.0), (1_000_000, 0, 0.0),
        (1_000_000, None, 0.0), (0, 100_000, 0.0), (1_000_000, 2_000_000, 1.0), (1_000_000, 1_900_000, 0.95),
    ],
)  # fmt: skip
def test_what_is_unknown_of_the_meter(
    tmp_path: Path, microjoules: int, uncertainty: int | None, gain: float
) -> None:
    """Half of the ±, as a share of what was drawn; never more than all of it."""
    ledger = Ledger(tmp_path / "l", clock=ManualClock())
    account = Account("lab", Battery(1000), ledger=ledger, clock=ManualClock())
    ledger.record(account._id, "run", "", Debit(microjoules, None, 1_000_000, uncertainty, "measured", "sim"))
    assert account.balance().gain == pytest.approx(gain)


@pytest.mark.parametrize(
    ("shares", "fine"),
    [
        ({}, True), ({"a": 1.0}, True), ({"a": 0.5, "b": 0.5}, True), ({"a": 0.6, "b": 0.4000000005}, True),
        ({"a": 0.6, "b": 0.41}, False), ({"a": 0.0}, False), ({"a": -0.1}, False), ({"a": 1.1}, False),
    ],
)  # fmt: skip
def test_the_shares_of_stages(tmp_path: Path, shares: dict[str, float], fine: bool) -> None:
    ledger = Ledger(tmp_path / "l", clock=ManualClock())
    if fine:
        Account("lab", Battery(1000), ledger=ledger, shares=shares)
    else:
        with pytest.raises(SpecError) as wrong:
            Account("lab", Battery(1000), ledger=ledger, shares=shares)
        assert str(wrong.value) == f"stages' shares are above 0 and together at most 1, not {shares!r}"
    with pytest.raises(SpecError, match=r"^a budget needs a name$"):
        Account("  ", Battery(1000), ledger=ledger)


@pytest.mark.parametrize("battery", ["x", "[]", "{}", "null", json.dumps({"mah": "x"}), "[" * 5000])
def test_a_budget_that_is_damaged_is_named(tmp_path: Path, battery: str) -> None:
    ledger = Ledger(tmp_path / "l", clock=ManualClock())
    ledger.create("lab", battery, "{}")
    with pytest.raises(LedgerError) as wrong:
        Account("lab", ledger=ledger)
    assert str(wrong.value).startswith(f"the ledger {ledger.path} holds no whole budget 'lab' (")
    assert str(wrong.value).endswith("): move it away and begin a new one")
