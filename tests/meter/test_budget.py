"""The budget's public face: what is left, loops that draw on it, and who is reported when it runs low."""

import asyncio
import sqlite3
import sys
import threading
import time
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from devices.budget_meter import Figures, SteadyMeter

from energymeter.battery.battery import Battery
from energymeter.battery.converter import Converter
from energymeter.battery.solar import Panel
from energymeter.budget.ledger import Ledger
from energymeter.clock import ManualClock
from energymeter.errors import BudgetExhausted, LedgerError, SpecError
from energymeter.meter import active
from energymeter.meter.billing import join
from energymeter.meter.budget import Budget
from energymeter.meter.guard import Status
from energymeter.meter.meter import EnergyMeter

RAIL = Battery(1000, basis="rail")  # 18 kJ at 5 V


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def ledger(tmp_path: Path, clock: ManualClock) -> Ledger:
    return Ledger(tmp_path / "ledger.sqlite3", clock=clock)


@pytest.fixture
def budget(ledger: Ledger, clock: ManualClock) -> Budget:
    return Budget("lab4", RAIL, ledger=ledger, clock=clock)


@pytest.fixture(autouse=True)
def _nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(active, "_meters", [])


def work(clock: ManualClock, steps: int, seconds: float = 1.0) -> Iterator[int]:
    for step in range(steps):
        clock.sleep(seconds)
        yield step


# -- what is left ------------------------------------------------------------------------------------


def test_a_new_budget_is_full_and_knows_no_load(budget: Budget) -> None:
    assert budget.remaining_mah.value == pytest.approx(1000)
    assert budget.remaining_joules.value == pytest.approx(18_000)
    assert budget.remaining_share.value == 1.0
    assert budget.remaining_hours is None
    assert budget.runs_left() is None
    assert budget.will_finish(10) is None


def test_spending_over_several_processes_lives(budget: Budget, ledger: Ledger) -> None:
    for _ in range(9):
        budget.spend(Figures(1000.0, 200.0), spans={"infer": (100, 900.0)})
    again = Budget("lab4", ledger=ledger)
    assert again.spent_joules == 9000.0
    assert again.remaining_mah.value == pytest.approx(500)
    assert again.remaining_hours is not None
    assert again.remaining_hours.value == pytest.approx(0.5)
    assert again.remaining_hours.low < 0.5 < again.remaining_hours.high
    runs, calls = again.runs_left(), again.runs_left("infer")
    assert runs is not None
    assert calls is not None
    assert (runs.value, calls.value) == pytest.approx((9, 1000))
    assert str(again.will_finish(7)) == "probably finishes with 11 % left"
    assert str(again.will_finish(100)) == "stops at step 9"
    assert again.will_finish(5, per="train") is None


def test_one_run_id_is_debited_once(budget: Budget) -> None:
    assert budget.spend(Figures(10.0), run="r") is not None
    assert budget.spend(Figures(10.0), run="r") is None
    assert budget.spend(Figures(12.0), run="r") is not None
    assert budget.spent_joules == 12.0


def test_gaps_add_no_time(budget: Budget) -> None:
    budget.spend(Figures(100.0, 40.0, coverage=0.5))
    assert budget.lines()[0].seconds == 20.0
    assert budget.remaining_hours is not None
    assert budget.remaining_hours.value == pytest.approx(17_900 / 5 / 3600)


def test_a_doubtful_meter_widens_the_interval(ledger: Ledger) -> None:
    sure, unsure = (Budget(name, RAIL, ledger=ledger) for name in ("sure", "unsure"))
    sure.spend(Figures(1000.0, uncertainty=1.0))
    unsure.spend(Figures(1000.0, uncertainty=300.0))
    assert unsure.remaining_joules.low < sure.remaining_joules.low


def test_a_converter_curve_counts_stretch_by_stretch(ledger: Ledger) -> None:
    battery = Battery(1000, volts=3.7, efficiency=Converter(0.2, 1.1, 0.0), usable=1.0)
    budget = Budget("curve", battery, ledger=ledger)
    budget.spend(Figures(100.0, 1000.0))
    budget.spend(Figures(100.0, 10.0))
    assert (1 - budget.remaining_share.value) * battery.joules == pytest.approx(220 + 0.2 * 1010)


@pytest.mark.parametrize("joules", [-1.0, float("nan"), float("inf")])
def test_nonsense_is_not_debited(budget: Budget, joules: float) -> None:
    with pytest.raises(SpecError):
        budget.spend(Figures(joules))
    assert budget.lines() == []


def test_opening(ledger: Ledger, budget: Budget) -> None:
    assert Budget("lab4", RAIL, ledger=ledger).battery == RAIL
    with pytest.raises(LedgerError, match="there: lab4"):
        Budget("lab5", ledger=ledger)
    with pytest.raises(LedgerError, match="another battery"):
        Budget("lab4", Battery.phone(), ledger=ledger)
    with pytest.raises(SpecError):
        Budget(" ", RAIL, ledger=ledger)


def test_the_users_own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    Budget("lab4", Battery.phone()).spend(Figures(3.6))
    assert Budget.open("lab4").spent_joules == 3.6


def test_undo_amend_and_reset(budget: Budget) -> None:
    one, two = budget.spend(Figures(10.0)), budget.spend(Figures(20.0))
    assert one is not None
    assert two is not None
    budget.amend(one, 11.0, "second look")
    budget.undo(two)
    assert budget.spent_joules == 11.0
    budget.reset(Battery.phone(), "new phone")
    assert budget.spent_joules == 0.0
    assert budget.remaining_mah.value == pytest.approx(3600)
    assert [line.kind for line in budget.lines()] == ["debit", "debit", "amend", "undo", "reset"]


def test_stages_have_shares_of_their_own(ledger: Ledger) -> None:
    budget = Budget("lab4", RAIL, shares={"inference": 0.5, "training": 0.3}, ledger=ledger)
    inference, training, update = (budget.stage(name) for name in ("inference", "training", "update"))
    inference.spend(Figures(4500.0, 900.0))
    training.spend(Figures(1800.0, 180.0))
    assert inference.remaining_share.value == pytest.approx(0.5)
    assert training.remaining_joules.value == pytest.approx(3600)
    assert update.remaining_joules.value == pytest.approx(18_000 - 6300)
    assert inference.remaining_hours is not None
    assert inference.remaining_hours.value == pytest.approx(0.25)
    update.spend(Figures(11_000.0))
    assert inference.remaining_joules.value == pytest.approx(700), "no more than the whole has"
    with pytest.raises(LedgerError, match="shares"):
        Budget("lab4", shares={"inference": 0.6}, ledger=ledger)
    for shares in ({"a": 0.7, "b": 0.7}, {"a": 0.0}):
        with pytest.raises(SpecError):
            Budget("other", RAIL, shares=shares, ledger=ledger)


def test_with_the_sun(ledger: Ledger) -> None:
    lit = RAIL.with_(input=Panel(20, sun_hours=4.0))
    budget = Budget("lab4", lit, ledger=ledger)
    assert budget.outlook(12.0) is None
    budget.spend(Figures(9000.0, 9000.0))
    noon, midnight = budget.outlook(hour=12.0), budget.outlook(hour=0.0)
    assert noon is not None
    assert midnight is not None
    assert midnight.hours == pytest.approx(2.5)  # 9 kJ at 1 W, no sun before six
    assert noon.hours is not None
    assert 10 < noon.hours < 11  # five hours from when the evening sun falls below 1 W
    assert budget.outlook() is not None
    with pytest.raises(SpecError, match="no input"):
        Budget("lab4", ledger=ledger).outlook(12.0)


# -- loops -------------------------------------------------------------------------------------------


def test_a_tracked_loop_is_debited_exactly(budget: Budget, clock: ManualClock) -> None:
    meter = SteadyMeter(clock, 3.0)
    clock.sleep(50)  # drawn before the loop: not the loop's
    assert list(budget.track(work(clock, 100), meter, name="infer")) == list(range(100))
    assert budget.spent_joules == pytest.approx(300)
    assert len(budget.lines()) > 1, "also on the way, so that a power cut costs little"
    calls = budget.runs_left("infer")
    assert calls is not None
    assert calls.value == pytest.approx(17_700 / 3)


def test_what_is_left_is_known_inside_the_loop(budget: Budget, clock: ManualClock) -> None:
    for step in budget.track(work(clock, 20), SteadyMeter(clock, 3.0)):
        if step == 10:
            assert budget.remaining_joules.value == pytest.approx(18_000 - 30)
            assert budget.remaining_hours is not None


def test_a_meter_that_pays_for_its_block_counts_once(budget: Budget, clock: ManualClock) -> None:
    meter = SteadyMeter(clock, 3.0)
    clock.sleep(5)  # until it was asked
    billing = join(budget, None, meter, whole=True)
    clock.sleep(45)
    for _ in budget.track(work(clock, 100), meter):
        pass
    clock.sleep(50)
    billing.leave(None)
    assert budget.spent_joules == pytest.approx(600)


def test_nested_loops_count_once(budget: Budget, clock: ManualClock) -> None:
    meter = SteadyMeter(clock, 2.0)
    for _ in budget.track(range(3), meter, name="epoch"):
        for _ in budget.track(work(clock, 10), meter, name="batch"):
            pass
        for _ in budget.track(work(clock, 5), name="validate"):
            pass
    assert budget.spent_joules == pytest.approx(90)
    epochs, batches = budget.runs_left("epoch"), budget.runs_left("batch")
    assert epochs is not None
    assert batches is not None
    assert (epochs.value, batches.value) == pytest.approx((17_910 / 30, 17_910 / 2))


def test_two_budgets_of_one_name_pay_once(budget: Budget, ledger: Ledger, clock: ManualClock) -> None:
    again = Budget("lab4", ledger=ledger, clock=clock)
    for _ in budget.track(range(3), SteadyMeter(clock, 2.0), name="epoch"):
        for _ in again.track(work(clock, 10), SteadyMeter(clock, 2.0), name="batch"):
            pass
    assert budget.spent_joules == pytest.approx(60)
    assert len({line.run for line in budget.lines()}) == 1
    batches = again.runs_left("batch")
    assert batches is not None
    assert batches.value == pytest.approx(17_940 / 2)


def test_another_budget_pays_for_itself(budget: Budget, ledger: Ledger, clock: ManualClock) -> None:
    other = Budget("lab5", RAIL, ledger=ledger, clock=clock)
    for _ in budget.track(range(3), SteadyMeter(clock, 2.0)):
        for _ in other.track(work(clock, 10), SteadyMeter(clock, 2.0)):
            pass
    assert budget.spent_joules == other.spent_joules == pytest.approx(60)


def test_loops_of_two_threads_that_overlap_pay_once(
    budget: Budget, ledger: Ledger, clock: ManualClock
) -> None:
    """One from 0 to 30 s, another from 10 to 60 s: a minute of the board's 2 W, as two threads would meet."""
    meter = SteadyMeter(clock, 2.0)
    one = budget.track(range(30), meter, name="one")
    two = Budget("lab4", ledger=ledger, clock=clock).track(range(50), meter, name="two")
    for second in range(60):
        next(one, None)
        if second >= 10:
            next(two, None)
        clock.sleep(1.0)
    assert (list(one), list(two)) == ([], [])
    assert budget.spent_joules == pytest.approx(120)
    left = {name: budget.runs_left(name) for name in ("one", "two")}
    assert {name: count and round(count.value) for name, count in left.items()} == {
        name: round(17_880 / 2) for name in left
    }


def test_threads_pay_once(users_budget: Budget) -> None:
    def draw() -> None:
        for _ in Budget("lab4").track(range(20)):
            sum(range(50_000))

    with EnergyMeter("manual:5V,0.6A", rate_hz=500.0, budget="lab4") as meter:
        workers = [threading.Thread(target=draw) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert users_budget.spent_joules == pytest.approx(meter.usage.joules, abs=1e-5)
    assert {line.run for line in users_budget.lines()} == {meter.run_id}


def test_meters_of_one_budget_in_each_other_pay_once(users_budget: Budget) -> None:
    # what a stage is billed is reported by the outer one's samples
    with EnergyMeter("manual:5V,0.6A", rate_hz=500.0, budget="lab4") as outer:
        for _ in users_budget.track(range(2)):
            inner = EnergyMeter("manual:5V,0.3A", rate_hz=500.0, budget="lab4", stage="inference")
            with inner, inner.span("infer"):
                sum(range(3_000_000))
    assert users_budget.spent_joules == pytest.approx(outer.usage.joules, abs=1e-5)
    inference = users_budget.stage("inference")
    assert 0 < inference.spent_joules < users_budget.spent_joules
    assert inference.runs_left("infer") is not None


def test_a_block_that_ends_badly_leaves_nothing_open(users_budget: Budget) -> None:
    calls = iter([None])

    def sync() -> None:
        next(calls)  # fails at the second edge

    with pytest.raises(StopIteration), EnergyMeter("manual:5V,0.6A", budget="lab4", sync=sync):
        sum(range(1_000_000))
    spent = users_budget.spent_joules
    with EnergyMeter("manual:5V,0.6A", budget="lab4") as meter:
        sum(range(1_000_000))
    assert users_budget.spent_joules == pytest.approx(spent + meter.usage.joules, abs=1e-5)


def test_the_stage_joined_last_is_billed(budget: Budget, clock: ManualClock) -> None:
    meter = SteadyMeter(clock, 2.0)
    for _ in budget.track(work(clock, 3, seconds=10.0), meter):
        for _ in budget.stage("validation").track(work(clock, 5), meter):
            pass
    assert budget.spent_joules == pytest.approx(90)
    assert budget.stage("validation").spent_joules == pytest.approx(30)


def test_a_meter_entered_again_under_a_loop_is_never_a_credit(budget: Budget, clock: ManualClock) -> None:
    meter = SteadyMeter(clock, 2.0)
    for step in budget.track(work(clock, 100), meter):
        if step == 49:
            meter.leave()
            meter.enter()
    assert budget.spent_joules == pytest.approx(200)
    assert all(line.joules >= 0 for line in budget.lines())


def test_a_loop_that_outlives_its_meter_goes_on_with_another(
    users_budget: Budget, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENERGYMETER_SOURCE", "manual:5V,0.2A")
    steps = Budget("lab4", clock=clock).track(work(clock, 100))
    with EnergyMeter("manual:5V,0.6A", budget="lab4") as meter:
        next(steps)
        next(steps)
    for _ in steps:
        sum(range(100_000))
    assert active.latest() is None, "the one of its own was let go"
    first, last = users_budget.lines()[0], users_budget.lines()[-1]
    assert first.run == last.run == meter.run_id
    assert last.sources.count("manual") == 2
    assert users_budget.spent_joules > meter.usage.joules


def test_a_loop_left_early_is_debited(budget: Budget, clock: ManualClock) -> None:
    for step in budget.track(work(clock, 100), SteadyMeter(clock, 3.0)):
        if step == 9:
            break
    assert budget.spent_joules == pytest.approx(30)


def test_an_error_in_a_loop_passes_and_is_debited(budget: Budget, clock: ManualClock) -> None:
    def failing() -> None:
        for step in budget.track(work(clock, 100), SteadyMeter(clock, 3.0)):
            if step == 9:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert budget.spent_joules == pytest.approx(30)


def test_a_first_sample_alone_is_no_debit_of_nothing(budget: Budget, clock: ManualClock) -> None:
    class Standing(SteadyMeter):
        usage = Figures(0.0, 0.0, 0.0, uncertainty=0.0)  # it stands where its first sample was

    meter = Standing(clock, 3.0)
    with pytest.warns(RuntimeWarning, match="nothing was debited"):
        assert list(budget.track(work(clock, 5), meter)) == [0, 1, 2, 3, 4]
    assert budget.spent_joules == 0


def test_a_warning_to_a_closed_standard_error_does_not_end_the_loop(
    budget: Budget, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    closed = (tmp_path / "stderr").open("w")
    closed.close()
    monkeypatch.setattr("sys.stderr", closed)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", _as_python_shows_it)
        steps = list(budget.track(work(clock, 3), SteadyMeter(clock, 3.0, samples=False)))
    assert steps == [0, 1, 2]


def _as_python_shows_it(*what: object, **more: object) -> None:
    print(*what, file=sys.stderr)


def test_no_sample_is_reported_and_the_loop_goes_on(budget: Budget, clock: ManualClock) -> None:
    meter = SteadyMeter(clock, 3.0, samples=False)
    with pytest.warns(RuntimeWarning, match="nothing was debited"):
        assert len(list(budget.track(work(clock, 5), meter))) == 5
    assert budget.lines() == []


def test_a_ledger_that_fails_does_not_stop_the_work(
    budget: Budget, ledger: Ledger, clock: ManualClock, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = budget.track(work(clock, 5), SteadyMeter(clock, 3.0))
    next(steps)
    for part in ledger.path.parent.glob("ledger.sqlite3*"):
        part.unlink()
    with pytest.warns(RuntimeWarning, match="not debited"):
        assert len(list(steps)) == 4


def test_the_line_in_a_pipe(budget: Budget, clock: ManualClock, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in budget.track(work(clock, 100), SteadyMeter(clock, 3.6), total=3450, name="infer"):
        pass
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("infer:   3%|")
    assert " 100/3450 [" in last
    assert last.endswith(", 20.0 mAh used · 0.200 mAh a step · 1 h 22 min left · finishes with 31 % left]")


@pytest.mark.slow
def test_the_guard_ends_before_the_reserve(budget: Budget, clock: ManualClock) -> None:
    steps = sum(1 for _ in budget.guard(work(clock, 10_000), SteadyMeter(clock, 5.0), reserve=0.1))
    assert 0.1 <= budget.remaining_share.value < 0.101
    assert steps == pytest.approx(18_000 * 0.9 / 5, abs=2)
    assert list(budget.guard([1, 2], SteadyMeter(clock, 5.0), reserve=0.5)) == []


def test_a_big_step_is_foreseen(budget: Budget, clock: ManualClock) -> None:
    """One step takes a twelfth of the battery: the next one would touch the reserve, so it is not begun."""
    steps = sum(1 for _ in budget.guard(work(clock, 50, seconds=300), SteadyMeter(clock, 5.0), reserve=0.1))
    assert steps == 10
    assert budget.remaining_share.value == pytest.approx(1 - 10 / 12)


def test_the_guard_raises_where_asked(budget: Budget, clock: ManualClock) -> None:
    with pytest.raises(BudgetExhausted, match="reserve is reached"):
        for _ in budget.guard(work(clock, 10_000), SteadyMeter(clock, 50.0), raises=True):
            pass
    assert budget.remaining_share.value >= 0.1


def test_the_guard_calls_back_and_goes_on_to_the_end(budget: Budget, clock: ManualClock) -> None:
    reported: list[tuple[str, Status]] = []
    guarded = budget.guard(
        work(clock, 10_000),
        SteadyMeter(clock, 50.0),
        on_low=lambda status: reported.append(("low", status)),
        on_empty=lambda status: reported.append(("empty", status)),
    )
    assert sum(1 for _ in guarded) == pytest.approx(360, abs=2)
    assert [word for word, _ in reported] == ["low", "empty"]
    assert "after step" in str(reported[0][1])
    assert 0.1 <= reported[0][1].balance.share.value < 0.11


@pytest.mark.parametrize("reserve", [-0.1, 1.0, 10])
def test_a_reserve_is_a_share(budget: Budget, reserve: float) -> None:
    with pytest.raises(SpecError):
        budget.guard([], reserve=reserve)


# -- blocks and functions ----------------------------------------------------------------------------


def test_a_decorated_function_draws(budget: Budget, clock: ManualClock) -> None:
    @budget
    def infer(seconds: float) -> str:
        clock.sleep(seconds)
        return "cat"

    with budget.drawing(SteadyMeter(clock, 2.0)):
        assert [infer(1.0), infer(3.0)] == ["cat", "cat"]
        clock.sleep(6.0)
    assert budget.spent_joules == pytest.approx(20)
    calls = budget.runs_left("infer")
    assert calls is not None
    assert calls.value == pytest.approx(17_980 / 4)


def test_a_decorated_coroutine_draws_until_it_is_done(budget: Budget, clock: ManualClock) -> None:
    @budget
    async def infer() -> str:
        clock.sleep(2.0)
        return "cat"

    with budget.drawing(SteadyMeter(clock, 2.0)):
        assert asyncio.run(infer()) == "cat"  # type: ignore[arg-type]
    calls = budget.runs_left("infer")
    assert calls is not None
    assert calls.value == pytest.approx(17_996 / 4)


def test_a_decorated_function_starts_a_meter_of_its_own(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENERGYMETER_SOURCE", "manual:5V,0.6A")
    budget = Budget("real clock", RAIL, ledger=ledger)

    @budget
    def infer() -> int:
        return sum(range(200_000))

    infer()
    (line,) = budget.lines()
    assert line.provenance == "manual"
    assert line.joules == pytest.approx(3.0 * line.seconds, rel=1e-3)


@pytest.fixture
def users_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Budget:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv("ENERGYMETER_SOURCE", raising=False)
    return Budget("lab4", RAIL)


def draw_in_every_way(budget: Budget) -> None:
    @budget
    def infer() -> int:
        return sum(range(1_000_000))

    for _ in budget.track(range(3)):
        infer()
    infer()
    worker = threading.Thread(target=infer)
    worker.start()
    worker.join()


def test_a_meter_that_pays_is_found_and_bills_once(users_budget: Budget) -> None:
    with EnergyMeter("manual:5V,0.6A", budget="lab4") as meter:
        draw_in_every_way(users_budget)
    assert users_budget.spent_joules == pytest.approx(meter.usage.joules, abs=1e-5)
    assert {line.run for line in users_budget.lines()} == {meter.run_id}
    assert {line.sources for line in users_budget.lines()} == {meter.usage.sources[0]}


def test_a_running_meter_without_a_budget_is_found_too(users_budget: Budget) -> None:
    with EnergyMeter("manual:5V,0.6A", rate_hz=500.0) as meter:
        draw_in_every_way(users_budget)
    assert 0 < users_budget.spent_joules <= meter.usage.joules + 1e-5
    assert {line.sources for line in users_budget.lines()} == {meter.usage.sources[0]}


def test_the_meter_that_pays_goes_before_a_nearer_one(users_budget: Budget) -> None:
    with EnergyMeter("manual:5V,0.6A", budget="lab4") as paying, EnergyMeter("manual:5V,0.3A"):
        draw_in_every_way(users_budget)
    assert users_budget.spent_joules == pytest.approx(paying.usage.joules, abs=1e-5)
    assert active.latest() is None


def test_a_meter_takes_a_budget_as_well_as_its_name(ledger: Ledger) -> None:
    budget = Budget("own ledger", RAIL, shares={"inference": 0.5}, ledger=ledger)
    with EnergyMeter("manual:5V,0.6A", budget=budget) as meter:
        sum(range(1_000_000))
    with EnergyMeter("manual:5V,0.6A", budget=budget.stage("inference")) as staged:
        sum(range(1_000_000))
    assert budget.spent_joules == pytest.approx(meter.usage.joules + staged.usage.joules, abs=1e-5)
    assert budget.stage("inference").spent_joules == pytest.approx(staged.usage.joules, abs=1e-5)


def test_a_decorated_generator_draws_until_it_is_used_up(budget: Budget, clock: ManualClock) -> None:
    @budget
    def frames() -> Iterator[int]:
        yield from work(clock, 3)

    with budget.drawing(SteadyMeter(clock, 2.0)):
        assert list(frames()) == [0, 1, 2]
    calls = budget.runs_left("frames")
    assert calls is not None
    assert calls.value == pytest.approx(17_994 / 6)


def test_a_decorated_async_generator_draws_until_it_is_used_up(budget: Budget, clock: ManualClock) -> None:
    @budget
    async def frames() -> AsyncIterator[int]:
        for number in work(clock, 3):
            yield number

    async def used() -> list[int]:
        return [number async for number in frames()]

    with budget.drawing(SteadyMeter(clock, 2.0)):
        assert asyncio.run(used()) == [0, 1, 2]
    calls = budget.runs_left("frames")
    assert calls is not None
    assert calls.value == pytest.approx(17_994 / 6)


def test_a_meter_that_does_not_run_is_refused(budget: Budget) -> None:
    meter = EnergyMeter("manual:5V,0.6A")
    with pytest.raises(SpecError, match="enter its"), budget.drawing(meter):
        pass
    with meter:
        pass
    with pytest.raises(SpecError, match="enter its"):
        list(budget.track(range(3), meter))
    assert budget.lines() == []


def test_a_meter_entered_again_and_again_counts_every_time(budget: Budget, clock: ManualClock) -> None:
    meter = SteadyMeter(clock, 5.0)
    with budget.drawing(meter):
        for seconds in (0.3, 0.9, 0.3):
            clock.sleep(seconds)
            meter.leave()
            clock.sleep(100.0)
            meter.enter()
    assert budget.spent_joules == pytest.approx(7.5)
    meter.leave()


def test_representations_have_units(budget: Budget) -> None:
    assert repr(budget) == "<Budget 'lab4': 100 % (82 % to 120 %) left, 1000 mAh (822 to 1220) at the rail>"
    budget.spend(Figures(9000.0, 9000.0))
    assert repr(budget).endswith(
        "left, 500 mAh (322 to 717) at the rail, 2 h 30 min (1 h 32 min to 3 h 40 min)>"
    )
    assert "<td>lab4 · train</td>" in budget.stage("train")._repr_html_()
    assert "500 mAh" in budget._repr_html_()


def test_a_view_never_fails(ledger: Ledger, budget: Budget) -> None:
    ledger.path.write_bytes(b"no ledger " * 100)
    assert "unavailable" in repr(budget)


def test_what_opening_a_budget_takes_is_not_the_block_s(tmp_path: Path) -> None:
    """Another program holds the ledger while the block is entered."""
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    budget = Budget("lab4", RAIL, ledger=ledger)
    holder = sqlite3.connect(tmp_path / "ledger.sqlite3", isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN EXCLUSIVE")
    begun = time.monotonic()
    threading.Timer(0.3, holder.execute, ["COMMIT"]).start()
    with EnergyMeter("manual:5V,1A", budget=budget) as meter:
        entered = time.monotonic()
    left = time.monotonic()
    holder.close()
    assert entered - begun >= 0.3
    assert meter.usage.seconds <= left - entered + 0.01
    assert budget.spent_joules == pytest.approx(meter.usage.joules, abs=1e-5)
