"""Billing: on the way, at exit, over resets, next to processes and forks, every joule is debited once."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from devices.budget_meter import Figures, SteadyMeter
from devices.processes import until
from hypothesis import given, settings
from hypothesis import strategies as st

from energymeter import Battery, EnergyMeter
from energymeter.budget.account import Account
from energymeter.budget.claims import Process
from energymeter.budget.ledger import Ledger
from energymeter.clock import ManualClock
from energymeter.errors import LedgerError, SourceError, SpecError
from energymeter.meter import active, billing
from energymeter.meter.billing import cost_of, current, join
from energymeter.meter.budget import Budget
from energymeter.meter.usage_delta import NOTHING, UsageDelta
from energymeter.reading import Facts, Reading

RAIL = Battery(1000, basis="rail")  # 18 kJ at 5 V
SOURCES = SteadyMeter.sources


@pytest.fixture(autouse=True)
def _nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(active, "_meters", [])


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def ledger(tmp_path: Path, clock: ManualClock) -> Ledger:
    return Ledger(tmp_path / "ledger.sqlite3", clock=clock)


@pytest.fixture
def budget(ledger: Ledger, clock: ManualClock) -> Budget:
    return Budget("lab4", RAIL, ledger=ledger, clock=clock)


@pytest.fixture
def elsewhere(ledger: Ledger, budget: Budget, clock: ManualClock) -> Account:
    """The same budget as another process sees it."""
    return Account("lab4", ledger=ledger, clock=clock)


def passing(clock: ManualClock, opened: billing.Billing, seconds: int) -> None:
    """Seconds in which nothing but the billing's own thread does anything."""
    for _ in range(seconds):
        clock.sleep(1.0)
        opened.poll(start=False)


# -- on the way --------------------------------------------------------------------------------------


def test_a_block_pays_every_half_minute(budget: Budget, clock: ManualClock) -> None:
    meter = SteadyMeter(clock, 5.0)
    opened = join(budget, None, meter, whole=True)
    passing(clock, opened, 70)
    assert budget.spent_joules >= 5.0 * 40, "what a power cut would leave"
    opened.leave(None)
    assert budget.spent_joules == pytest.approx(350)


def run(code: str, home: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "XDG_DATA_HOME": str(home), **variables}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment, timeout=60
    )


@pytest.fixture
def users_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Budget:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return Budget("lab4", RAIL)


IMPATIENT = """
import os, sys, time
from energymeter import Budget, EnergyMeter
from energymeter.meter import billing
billing._PAY_NS, billing._POLL_SECONDS, billing._APART_NS = 50_000_000, 0.02, 0
"""


def test_what_a_killed_block_drew_is_in_the_ledger(users_budget: Budget, tmp_path: Path) -> None:
    code = IMPATIENT + (
        "with EnergyMeter('manual:5W', rate_hz=100, budget='lab4'):\n"
        "    while Budget('lab4').spent_joules < 1: time.sleep(0.01)\n"
        "    os.kill(os.getpid(), 9)"
    )
    assert run(code, tmp_path).returncode == -9
    assert users_budget.spent_joules >= 1


def test_a_block_that_is_never_left_is_paid_when_the_program_ends(
    users_budget: Budget, tmp_path: Path
) -> None:
    code = (
        "import time; from energymeter import EnergyMeter\n"
        "EnergyMeter('manual:5W', rate_hz=100, budget='lab4').__enter__(); time.sleep(0.3)"
    )
    done = run(code, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert users_budget.spent_joules >= 1.4


def test_what_the_ledger_refuses_at_the_end_is_reported(users_budget: Budget, tmp_path: Path) -> None:
    code = (
        "import time; from energymeter import Budget, EnergyMeter\n"
        "EnergyMeter('manual:5W', rate_hz=100, budget='lab4').__enter__(); time.sleep(0.3)\n"
        "Budget('lab4')._ledger.path.write_bytes(b'spoiled' * 2000)"
    )
    done = run(code, tmp_path)
    assert re.search(r"J are not debited: `energymeter budget spend lab4 --joules \d", done.stderr)


def test_the_thread_survives_a_ledger_that_fails(
    users_budget: Budget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where warnings are errors: no traceback, and the end reports it."""
    code = IMPATIENT + (
        "with EnergyMeter('manual:5W', rate_hz=100, budget='lab4'):\n"
        "    path = Budget('lab4')._ledger.path\n"
        "    saved = path.read_bytes(); path.write_bytes(b'spoiled' * 2000); time.sleep(0.3)\n"
    )
    done = run(code, tmp_path, PYTHONWARNINGS="error")
    assert done.returncode == 1
    assert "Exception in thread" not in done.stderr
    assert "LedgerError" in done.stderr.splitlines()[-1]
    assert "are not debited" in done.stderr.splitlines()[-1]


# -- resets ------------------------------------------------------------------------------------------


def test_a_reset_in_mid_run_charges_only_what_came_after(
    budget: Budget, elsewhere: Account, clock: ManualClock
) -> None:
    opened = join(budget, None, SteadyMeter(clock, 2.0))
    passing(clock, opened, 10)
    clock.sleep(0.4)
    elsewhere.reset(note="charged")
    clock.sleep(0.6)
    passing(clock, opened, 4)
    opened.leave(None)
    assert budget.spent_joules == pytest.approx(2 * 4.6)
    assert [(line.kind, round(line.joules, 6)) for line in budget.lines()] == [
        ("reset", 0.0),
        ("debit", 20.8),
        ("debit", 9.2),
    ]


def test_a_reset_in_the_same_process_pays_first(budget: Budget, clock: ManualClock) -> None:
    with budget.drawing(SteadyMeter(clock, 2.0)):
        clock.sleep(10)
        budget.reset(Battery(2000, basis="rail"))
        assert budget.spent_joules == 0.0
        clock.sleep(3)
    assert budget.spent_joules == pytest.approx(6)
    assert [line.kind for line in budget.lines()] == ["debit", "reset", "debit"]


def test_a_battery_that_another_process_changes_is_noticed(budget: Budget, elsewhere: Account) -> None:
    elsewhere.reset(Battery(3000, basis="rail"))
    assert budget.remaining_mah.value == pytest.approx(3000)
    assert budget.battery.mah == 3000


# -- several processes -------------------------------------------------------------------------------


@pytest.fixture
def other() -> Process:
    """Another living process."""
    return Process.of(os.getppid())


def test_what_another_process_bills_is_not_billed_again(
    budget: Budget, ledger: Ledger, clock: ManualClock, other: Process
) -> None:
    number = (ledger.budget("lab4") or (0,))[0]

    def now() -> int:
        return clock.monotonic_ns()

    ledger.claims.take(number, SOURCES, now(), other)
    opened = join(budget, None, SteadyMeter(clock, 2.0))
    passing(clock, opened, 10)
    ledger.claims.release(number, SOURCES, now(), other)  # it has billed the first 10 s
    passing(clock, opened, 5)
    assert opened.pending[0] == pytest.approx(30), "not known before the next debit"
    opened.leave(None)
    assert budget.spent_joules == pytest.approx(10)


def test_a_block_within_that_of_another_process_leaves_a_line_of_nothing(
    budget: Budget, ledger: Ledger, clock: ManualClock, other: Process
) -> None:
    number = (ledger.budget("lab4") or (0,))[0]
    ledger.claims.take(number, SOURCES, clock.monotonic_ns(), other)
    opened = join(budget, None, SteadyMeter(clock, 2.0))
    opened.count("infer", 3, 1.5)
    passing(clock, opened, 10)
    opened.leave(None)
    (line,) = budget.lines()
    assert (line.joules, line.run, line.note) == (0.0, opened.run, f"billed by process {os.getppid()}")
    assert budget.spans()["infer"].measured == 3
    assert budget.runs_left() is None


def test_a_source_that_stays_unbilled_is_reported(
    budget: Budget, ledger: Ledger, clock: ManualClock, other: Process
) -> None:
    number = (ledger.budget("lab4") or (0,))[0]
    ledger.claims.take(number, SOURCES, clock.monotonic_ns(), other)
    meter = SteadyMeter(clock, 2.0)
    meter.sources = ("rapl", *SOURCES)
    with pytest.warns(RuntimeWarning, match=r"rapl is not debited to lab4 while process \d+ bills ina219"):
        opened = join(budget, None, meter)
    opened.leave(None)


@settings(max_examples=20, deadline=None)
@given(
    events=st.lists(
        st.tuples(st.floats(0.1, 35.0), st.sampled_from(["poll", "reset", "take", "release"])), max_size=6
    )
)
def test_every_joule_is_debited_once(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[float, str]]
) -> None:
    """A steady 2 W, while the battery is charged, and while another process takes and releases the source."""
    clock = ManualClock()
    ledger = Ledger(tmp_path_factory.mktemp("ledger") / "ledger.sqlite3", clock=clock)
    budget = Budget("lab4", RAIL, ledger=ledger, clock=clock)
    elsewhere = Account("lab4", ledger=ledger, clock=clock)
    number, other = (ledger.budget("lab4") or (0,))[0], Process.of(os.getppid())
    meter = SteadyMeter(clock, 2.0)
    opened = join(budget, None, meter)
    theirs, began, reset_at = 0.0, None, 0.0
    for seconds, event in events:
        for _ in range(int(seconds / 10)):
            clock.sleep(10.0)
            if began is not None:
                ledger.claims.take(number, SOURCES, clock.monotonic_ns(), other)
            opened.poll(start=False)
        clock.sleep(seconds % 10)
        now_ns = clock.monotonic_ns()
        if event == "poll":
            opened.poll(start=False)
        elif event == "reset":
            elsewhere.reset()
            reset_at = now_ns / 1e9
        elif event == "take" and began is None:
            opened.pay_now()
            opened._release()  # ours ends, or theirs would not begin
            assert ledger.claims.take(number, SOURCES, now_ns, other).ours
            began = now_ns
        elif event == "release" and began is not None:
            ledger.claims.release(number, SOURCES, now_ns, other)
            theirs, began = theirs + (now_ns - began) / 1e9, None
    if began is not None:
        ledger.claims.release(number, SOURCES, clock.monotonic_ns(), other)
        theirs += (clock.monotonic_ns() - began) / 1e9
    opened.leave(None)
    meter.leave()
    seconds = clock.monotonic_ns() / 1e9
    assert sum(line.joules for line in budget.lines()) == pytest.approx(2 * (seconds - theirs), abs=1e-5)
    assert all(line.joules >= 0 for line in budget.lines())
    assert budget.spent_joules <= 2 * (seconds - reset_at) + 1e-5


def test_three_processes_on_one_board_pay_it_once(users_budget: Budget, tmp_path: Path) -> None:
    code = (
        "import time; from energymeter import EnergyMeter\n"
        "start = time.monotonic()\n"
        "with EnergyMeter('manual:5W', rate_hz=100, budget='lab4') as meter: time.sleep(0.5)\n"
        "print(start, time.monotonic(), meter.usage.joules)"
    )
    environment = os.environ | {"XDG_DATA_HOME": str(tmp_path)}
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(3)
    ]
    runs = [[float(word) for word in process.communicate()[0].split()] for process in processes]
    board = 5.0 * (max(end for _, end, _ in runs) - min(start for start, _, _ in runs))
    # who takes the claim over begins with its next sample: on a busy machine some of a handover is nobody's
    assert 0.9 * max(joules for _, _, joules in runs) <= users_budget.spent_joules <= board


# -- forks -------------------------------------------------------------------------------------------


def test_a_forked_worker_never_pays_its_parents_bill(users_budget: Budget, tmp_path: Path) -> None:
    code = IMPATIENT + (
        "import atexit\n"
        "meter = EnergyMeter('manual:5W', rate_hz=100, budget='lab4')\n"
        "budget = Budget('lab4')\n"
        "with meter:\n"
        "    steps = budget.track(range(3)); next(steps); time.sleep(0.2)\n"
        "    before = budget.lines()\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        next(steps); steps.close()\n"
        "        meter.__exit__()\n"
        "        atexit._run_exitfuncs(); os._exit(0)\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
        "print({line.run for line in budget.lines()} == {meter.run_id}, meter.usage.joules)"
    )
    done = run(code, tmp_path)
    assert done.returncode == 0, done.stderr
    alone, joules = done.stdout.split()
    assert alone == "True"
    assert users_budget.spent_joules == pytest.approx(float(joules), abs=1e-5)


def test_a_worker_with_a_budget_of_its_own_is_covered_by_its_parent(
    users_budget: Budget, tmp_path: Path
) -> None:
    code = (
        "import os, time; from energymeter import EnergyMeter\n"
        "with EnergyMeter('manual:5W', rate_hz=100, budget='lab4') as meter:\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        with EnergyMeter('manual:5W', rate_hz=100, budget='lab4'): time.sleep(0.1)\n"
        "        os._exit(0)\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
        "print(meter.usage.joules)"
    )
    done = run(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert users_budget.spent_joules == pytest.approx(float(done.stdout), abs=1e-5)


def test_a_fork_while_a_meter_is_stopped_does_not_hang(users_budget: Budget, tmp_path: Path) -> None:
    """A Bluetooth meter takes its time to hang up, in another thread; the worker pays for itself."""
    code = """
import os, signal, threading, time
from energymeter import Budget, EnergyMeter
from energymeter.meter.billing import join
from energymeter.reading import Facts, Reading

closing, released = threading.Event(), threading.Event()

class Slow:
    name, facts = "slow", Facts()
    def open(self): pass
    def read(self): return Reading(watts=5.0)
    def close(self):
        closing.set()
        released.wait(20)

def own():
    opened = join(Budget("lab4"), None, None, lambda: EnergyMeter(Slow(), rate_hz=100))
    time.sleep(0.1)
    opened.leave(None)

thread = threading.Thread(target=own)
thread.start()
closing.wait()
child = os.fork()
if not child:
    signal.alarm(15)
    with EnergyMeter("manual:5W", rate_hz=100, budget="lab4"):
        time.sleep(0.1)
    os._exit(0)
print(os.waitpid(child, 0)[1])
released.set()
thread.join()
"""
    done = run(code, tmp_path)
    assert done.stdout == "0\n", done.stderr
    assert users_budget.spent_joules >= 1.0


def test_a_fork_while_a_thread_is_in_sqlite_does_not_hang(users_budget: Budget, tmp_path: Path) -> None:
    code = """
import os, signal, threading
from energymeter import Budget
over = threading.Event()
def read():
    budget = Budget("lab4")
    while not over.is_set():
        budget.spent_joules
for _ in range(3):
    threading.Thread(target=read).start()
failed = 0
for _ in range(12):
    child = os.fork()
    if not child:
        signal.alarm(10)
        Budget("lab4").spent_joules
        os._exit(0)
    failed += os.waitpid(child, 0)[1] != 0
over.set()
print(failed)
"""
    assert run(code, tmp_path).stdout == "0\n"


# -- covered spans -----------------------------------------------------------------------------------


class GappyMeter(SteadyMeter):
    """A steady meter that can be unplugged for a while."""

    gap = 0.0

    def unplugged(self, seconds: float) -> None:
        self._clock.sleep(seconds)
        self.gap += seconds

    @property
    def usage(self) -> Figures:
        whole = super().usage
        measured = whole.seconds - self.gap
        return whole._replace(joules=self._watts * measured, coverage=measured / whole.seconds)


def test_unit_costs_count_covered_steps_only(budget: Budget, clock: ManualClock) -> None:
    meter = GappyMeter(clock, 2.0)
    clock.sleep(1.0)
    for step in budget.track(range(10), meter):
        if step == 4:
            meter.unplugged(3.0)
        else:
            clock.sleep(1.0)
    assert budget.spent_joules == pytest.approx(18)
    spans = budget.spans()["step"]
    assert (spans.measured, spans.microjoules, spans.left_out) == (9, 18_000_000, 1)
    steps = budget.runs_left("step")
    assert steps is not None
    assert steps.value == pytest.approx((18_000 - 18) / 2)


def test_calls_of_a_decorated_function_too(budget: Budget, clock: ManualClock) -> None:
    meter = GappyMeter(clock, 2.0)
    clock.sleep(1.0)

    @budget
    def infer(*, unplugged: bool) -> None:
        meter.unplugged(2.0) if unplugged else clock.sleep(2.0)

    with budget.drawing(meter):
        for unplugged in (False, True, False):
            infer(unplugged=unplugged)
    assert budget.spans()["infer"] == (2, 8_000_000, 1)


def after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


class Unplugged:
    """A source that is unplugged on command."""

    name, facts = "unplugged", Facts()
    connected = True

    def open(self) -> None: ...

    def read(self) -> Reading:
        if not self.connected:
            raise SourceError("unplugged: plug it in again")
        return Reading(watts=5.0)

    def close(self) -> None: ...


def test_spans_of_a_meter_that_were_not_measured_are_left_out(users_budget: Budget) -> None:
    source = Unplugged()
    meter = EnergyMeter(source, rate_hz=200, budget="lab4")
    with meter:
        until(lambda: meter.usage.seconds > 0.05)
        for connected in (True, False, True):
            source.connected = connected
            with meter.span("infer"):
                until(after(0.05))
        until(lambda: meter.usage.seconds > 0.2)
    spans = users_budget.spans()["infer"]
    assert spans.measured + spans.left_out == 3
    assert spans.left_out >= 1
    assert spans.microjoules / 1e6 == pytest.approx(spans.measured * 0.25, rel=0.2)


def delta(joules: float, *covered: float, seconds: float = 3.0) -> UsageDelta:
    """What each of some sources measured for so many seconds."""
    names = tuple(f"source {number}" for number in range(len(covered)))
    return UsageDelta(joules, None, seconds, max(covered), None, "measured", names, covered)


@pytest.mark.parametrize(
    ("start", "end", "cost"),
    [
        (None, None, (0, 0.0, 3)),
        (None, delta(6.0, 3.0), (3, 6.0, 0)),
        (delta(6.0, 3.0), delta(6.0, 3.0), (3, 0.0, 0)),
        (NOTHING, delta(6.0, 2.97), (0, 0.0, 3)),
        (NOTHING, delta(6.0, 2.988), (3, 6.0, 0)),
        (NOTHING, delta(6.0, 3.0, 2.97), (0, 0.0, 3)),  # one of two sources missed a moment
        # the one missed a part of the time before, the other one now: neither may hide the other
        (delta(1.0, 2.0, 3.0), delta(7.0, 5.0, 5.0, seconds=6.0), (0, 0.0, 3)),
    ],
)
def test_the_cost_of_spans(
    start: UsageDelta | None, end: UsageDelta | None, cost: tuple[int, float, int]
) -> None:
    assert cost_of(3, start, end) == cost


# -- beginning and ending ----------------------------------------------------------------------------


def test_a_meter_that_does_not_start_leaves_nothing_behind(budget: Budget, clock: ManualClock) -> None:
    def unplugged() -> EnergyMeter:
        raise SourceError("unplugged: plug it in")

    with pytest.raises(SourceError):
        join(budget, None, None, unplugged)
    with pytest.raises(SpecError, match="no meter runs"):
        join(budget, None, None)
    assert active.billings == {}
    with budget.drawing(SteadyMeter(clock, 2.0)):
        assert current(budget) is not None
    assert current(budget) is None


def test_who_comes_while_a_meter_starts_waits_and_joins(budget: Budget, clock: ManualClock) -> None:
    meter = SteadyMeter(clock, 2.0)
    meter.leave()
    starting, go = threading.Event(), threading.Event()

    class Starting:
        def __enter__(self) -> SteadyMeter:
            starting.set()
            go.wait(20)
            meter.enter()
            return meter

        def __exit__(self, *_: object) -> None:
            meter.leave()

    opened: list[billing.Billing] = []
    threads = [
        threading.Thread(target=lambda: opened.append(join(budget, None, None, Starting))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    starting.wait(20)
    go.set()
    for thread in threads:
        thread.join(20)
    assert len(opened) == 3
    assert len({each.run for each in opened}) == 1
    for each in opened:
        each.leave(None)
    assert active.billings == {}


def test_an_amount_that_no_ledger_holds_is_refused(budget: Budget) -> None:
    for joules in (1e13, 9e12):
        with pytest.raises(SpecError, match="check it"):
            budget.spend(Figures(joules))
    with pytest.raises(SpecError, match="check it"):
        budget.amend(1, float("nan"))
    with pytest.raises(LedgerError, match="64 bits"):
        budget.undo(10**20)
    with pytest.raises(LedgerError, match="lone surrogates"):
        budget.spend(Figures(1.0), note="\udcff")
    for _ in range(40):
        budget.spend(Figures(9e11, coulombs=1.8e11))
    assert budget.spent_joules == 40 * 9e11, "more than 64 bits of microjoules"
    assert budget.runs_left() is not None
    assert budget.reset()


def test_loops_take_what_has_no_length_and_need_no_standard_error(budget: Budget, clock: ManualClock) -> None:
    class Loader:
        def __iter__(self) -> Iterator[int]:
            return iter(range(3))

        def __len__(self) -> int:
            raise TypeError("an IterableDataset has no len()")

    meter = SteadyMeter(clock, 2.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stderr", None)
        assert list(budget.track(Loader(), meter)) == [0, 1, 2]
        assert list(budget.guard(Loader(), meter)) == [0, 1, 2]
