"""Claims: one process bills a source at a time, and the next one goes on where it stopped."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from energymeter.budget.claims import Charge, Claim, Process
from energymeter.budget.ledger import Ledger

SECOND = 1_000_000_000
SOURCES = ["ina219@1:0x40"]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.sqlite3")


@pytest.fixture
def budget(ledger: Ledger) -> int:
    return ledger.create("lab4", "{}", "{}")


@pytest.fixture
def other() -> Process:
    """A process that is alive and is not this one."""
    return Process.of(os.getppid())


def test_the_first_one_bills_until_it_releases(ledger: Ledger, budget: int, other: Process) -> None:
    charge = Charge(0, 0.0)
    assert ledger.claims.take(budget, SOURCES, 0, other) == Claim(True, charge, None)
    assert ledger.claims.take(budget, SOURCES, 5 * SECOND) == Claim(
        False, charge, 0, os.getppid(), tuple(SOURCES)
    )
    assert ledger.claims.take(budget, SOURCES, 30 * SECOND, other) == Claim(True, charge, None)
    ledger.claims.release(budget, SOURCES, 40 * SECOND, other)
    assert ledger.claims.take(budget, SOURCES, 41 * SECOND) == Claim(True, charge, 40 * SECOND)
    assert not ledger.claims.take(budget, SOURCES, 42 * SECOND, other).ours


def test_other_sources_and_other_budgets_are_free(ledger: Ledger, budget: int, other: Process) -> None:
    ledger.claims.take(budget, SOURCES, 0, other)
    assert ledger.claims.take(budget, ["rapl"], 0).ours
    assert ledger.claims.take(ledger.create("lab5", "{}", "{}"), SOURCES, 0).ours


def test_all_sources_or_none(ledger: Ledger, budget: int, other: Process) -> None:
    ledger.claims.take(budget, SOURCES, 0, other)
    claim = ledger.claims.take(budget, ["rapl", *SOURCES], 0)
    assert not claim.ours
    assert claim.sources == tuple(SOURCES)
    assert ledger.claims.take(budget, ["rapl"], 0, other).ours, "it was not taken"


@pytest.mark.parametrize("reaped", [True, False])
def test_who_was_killed_bills_no_more(ledger: Ledger, budget: int, reaped: bool) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        ledger.claims.take(budget, SOURCES, 3 * SECOND, Process.of(child.pid))
        assert not ledger.claims.take(budget, SOURCES, 4 * SECOND).ours
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # now it is a zombie
        if reaped:
            child.wait()
        assert ledger.claims.take(budget, SOURCES, 4 * SECOND) == Claim(True, Charge(0, 0.0), 3 * SECOND)


def test_a_pid_that_is_used_again_is_another_process(ledger: Ledger, budget: int, other: Process) -> None:
    ledger.claims.take(budget, SOURCES, 0, other._replace(started="1"))
    assert ledger.claims.take(budget, SOURCES, 0).ours


def test_a_boot_before_this_one_says_nothing_of_this_clock(
    ledger: Ledger, budget: int, other: Process
) -> None:
    ledger.claims.take(budget, SOURCES, 10**15, other._replace(boot="before"))
    assert ledger.claims.take(budget, SOURCES, 0) == Claim(True, Charge(0, 0.0), None)


def test_a_claim_that_is_not_renewed_lapses(ledger: Ledger, budget: int, other: Process) -> None:
    ledger.claims.take(budget, SOURCES, 0, other)
    assert not ledger.claims.take(budget, SOURCES, 90 * SECOND).ours
    assert ledger.claims.take(budget, SOURCES, 91 * SECOND).ours


def test_pids_of_other_namespaces_are_not_looked_up(ledger: Ledger, budget: int) -> None:
    """A container has other pids: only what it renews counts."""
    container = Process.here()._replace(namespace="1", pid=99_999_999)
    ledger.claims.take(budget, SOURCES, 0, container)
    assert not ledger.claims.take(budget, SOURCES, 60 * SECOND).ours
    assert ledger.claims.take(budget, SOURCES, 91 * SECOND).ours


def test_the_charge_is_counted(ledger: Ledger, budget: int) -> None:
    assert ledger.claims.take(budget, SOURCES, 0).charge == Charge(0, 0.0)
    ledger.reset(budget, "")
    ledger.reset(budget, "")
    charge = ledger.claims.take(budget, SOURCES, 0).charge
    assert charge.number == 2
    assert charge.began == ledger.lines(budget)[-1].at


def test_processes_are_read_as_written() -> None:
    here = Process.here()
    assert Process.parse(str(here)) == here
    assert here.bills(here, 0)
    assert not here.ended().bills(here, 0)


@pytest.mark.parametrize("text", ["", "x", "a/b/c/d", "a/b/²/d", "/" * 9, "a/b/" + "9" * 400 + "/d"])
def test_what_is_no_process_bills_nothing(text: str) -> None:
    assert not Process.parse(text).bills(Process.here(), 0)
