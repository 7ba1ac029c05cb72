"""What all trainings share: parts and their units, the warm-up, the guard, and every way out."""

import json
import multiprocessing

import pytest

from energymeter import Battery, Budget, EnergyMeter, NotMeasured, SpecError
from energymeter.battery.converter import Converter
from energymeter.budget.balance import Balance
from energymeter.clock import ManualClock
from energymeter.integrations import (
    TrainingEnergy,
    keras_callback,
    lightning_callback,
    sklearn_callback,
    transformers_callback,
)
from energymeter.meter import active

SOURCE = "manual:5V,0.6A"


def work(n: int = 20_000) -> int:
    return sum(range(n))


@pytest.fixture
def energy():
    made = TrainingEnergy(EnergyMeter(SOURCE, linger=0))
    yield made
    made.end_run()


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))


def train(energy: TrainingEnergy, epochs: int = 2, steps: int = 4) -> None:
    with energy:
        for _ in range(epochs):
            for _ in energy.track(range(steps)):
                work()
            with energy.part("evaluation"):
                work()
            with energy.part("checkpoint"):
                work()


def counts(energy: TrainingEnergy) -> dict[str, float]:
    return {
        unit.unit: unit.number
        for name, spans in energy.meter.spans.items()
        if name != "warm-up step"
        for unit in spans.usage.units
    }


def test_each_part_is_counted_and_the_warm_up_is_in_no_steps_cost(energy):
    train(energy)
    assert counts(energy) == {"epochs": 2, "steps": 7, "evaluations": 2, "checkpoints": 2}
    assert len(energy.meter.spans["warm-up step"]) == 1
    assert energy.steps == 8
    assert "warm-up step: " in str(energy)
    assert "in no step's cost" in str(energy)
    assert "run: " in energy._repr_html_()
    known = json.loads(json.dumps(energy.to_dict()))
    assert known["parts"]["step"]["units"]["steps"]["number"] == 7
    assert known["parts"]["epoch"]["units"]["epochs"]["joules"] > 0
    assert known["run"]["joules"] == energy.usage.joules


def test_steps_evaluations_and_checkpoints_lie_in_the_run_and_outside_of_each_other(energy):
    train(energy)
    spans = energy.meter.spans
    apart = [spans[name].usage.joules for name in ("epoch", "evaluation", "checkpoint")]
    assert sum(apart) <= energy.usage.joules
    steps = spans["step"].usage.joules + spans["warm-up step"].usage.joules
    assert steps <= spans["epoch"].usage.joules


def test_an_evaluation_within_an_epoch_is_not_in_its_energy(energy):
    with energy:
        energy.begin("epoch")
        for number in range(4):
            with energy.part("step"):
                work()
            if number == 1:
                with energy.part("evaluation"):
                    work(2_000_000)
        energy.end("epoch")
    spans = energy.meter.spans
    assert spans["epoch"].usage.per("epochs").number == 1
    assert spans["epoch"].usage.joules < spans["evaluation"].usage.joules


@pytest.mark.parametrize("evaluated", [True, False])
def test_an_epoch_that_ends_with_an_evaluation_is_one_epoch(energy, evaluated):
    with energy:
        for _ in range(3):
            energy.begin("epoch")
            with energy.part("step"):
                work()
            if evaluated:
                energy.begin("evaluation")
                work()
                energy.end("evaluation")
            energy.end("epoch")
    assert energy.meter.spans["epoch"].usage.per("epochs").number == 3
    assert len(energy.meter.spans["epoch"]) == 3


def test_units_of_a_step_are_those_that_it_reports(energy):
    with energy:
        for _ in range(3):
            energy.begin("step")
            work()
            energy.end("step", images=32)
    assert energy.meter.spans["step"].usage.per("images").number == 64


def test_without_a_warm_up_every_step_counts():
    energy = TrainingEnergy(EnergyMeter(SOURCE, linger=0), warmup_steps=0)
    train(energy)
    assert "warm-up step" not in energy.meter.spans
    assert counts(energy)["steps"] == 8


def test_a_meter_that_runs_already_is_not_left(energy):
    with energy.meter:
        train(energy)
        assert active.has(energy.meter)
        work()
    assert energy.usage.joules > energy.meter.spans["epoch"].usage.joules


def test_the_error_of_a_training_passes_and_the_meter_is_left(energy):
    with pytest.raises(ZeroDivisionError), energy:
        for _ in energy.track(range(4)):
            work()
            _ = 1 // 0
    assert not active.has(energy.meter)
    assert energy.usage.joules > 0
    train(energy)
    assert counts(energy)["steps"] == 7


def test_a_training_that_nobody_ended_is_ended_by_the_next_one(energy):
    energy.begin_run()
    energy.begin("step")
    energy.begin_run()
    energy.end_run()
    assert not active.has(energy.meter)


def test_what_ends_without_a_beginning_is_nothing(energy):
    energy.end("step")
    energy.end("epoch")
    energy.end_run()
    with pytest.raises(NotMeasured):
        _ = energy.usage
    assert "not measured" in str(energy)


def test_another_process_of_the_machine_measures_nothing(energy):
    with energy.run(reports=False):
        for _ in energy.track(range(3)):
            assert not active.has(energy.meter)
    assert "another process" in str(energy)


def test_a_part_that_began_earlier_is_recorded(energy):
    with energy:
        start_ns = energy.now_ns()
        work()
        energy.record("checkpoint", start_ns)
    usage = energy.meter.spans["checkpoint"].usage
    assert usage.per("checkpoints").number == 1
    assert usage.seconds > 0


# The guard --------------------------------------------------------------------------------------


def small(joules: float) -> Budget:
    return Budget("lab", Battery(joules / 3.6 / 5, basis="rail", capacity_sigma=0.0))


def guarded(joules: float, reserve: float = 0.5) -> TrainingEnergy:
    small(joules)
    return TrainingEnergy(EnergyMeter("manual:50V,20A", linger=0, budget="lab"), reserve=reserve)


def test_the_guard_ends_the_training_before_the_reserve_is_touched(monkeypatch):
    monkeypatch.setattr("energymeter.integrations.training._CHECK_NS", 0)
    energy = guarded(joules=1000.0)  # 1 s at 1 kW
    with energy:
        for _ in energy.track(range(1_000_000)):
            work(200_000)
    assert 1 < energy.steps < 1_000_000
    assert "the battery's reserve is reached" in energy.stopped
    assert energy.stopped in str(energy)
    assert energy.must_stop(), "from then on"
    left = Budget("lab").remaining_share.value
    assert 0.3 < left < 0.9, "a busy machine may rest between two steps"


@pytest.mark.parametrize(("seconds", "stops"), [(0.0, False), (55.0, True)])
def test_what_the_dearest_checkpoint_used_is_kept_free(seconds, stops):
    energy = guarded(joules=100_000.0)  # 50 s at 1 kW to the reserve
    with energy:
        energy._dearest = (1000.0 * seconds, seconds)
        assert energy.must_stop() == stops


def test_the_dearest_checkpoint_is_that_which_used_most():
    energy = guarded(joules=1000.0)
    with energy:
        for n in (10_000, 3_000_000, 10_000):
            with energy.part("checkpoint"):
                work(n)
    dearest = max(usage.joules for usage in energy.meter.spans["checkpoint"].usages)
    assert energy._dearest[0] == pytest.approx(dearest)


def test_a_guard_without_a_reserve_never_ends_a_training(energy):
    with energy:
        assert not energy.must_stop()


@pytest.mark.parametrize("reserve", [-0.1, 1.0, 10])
def test_a_reserve_is_a_share(reserve):
    with pytest.raises(SpecError, match=r"write 0\.1 for 10 %"):
        TrainingEnergy(EnergyMeter(SOURCE, budget="lab"), reserve=reserve)


def test_a_reserve_needs_a_budget_and_one_process():
    with pytest.raises(SpecError, match="needs a budget"):
        TrainingEnergy(SOURCE, reserve=0.1)
    with pytest.raises(SpecError, match="of one process, not of 2"):
        guarded(400.0).begin_run(processes=2)
    with pytest.raises(SpecError, match="cannot be left out"):
        TrainingEnergy(SOURCE, warmup_steps=-1)


# Without the frameworks -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("callback", "modules", "extra"),
    [
        (transformers_callback, ["transformers"], "transformers"),
        (lightning_callback, ["pytorch_lightning", "lightning.pytorch"], "lightning"),
        (keras_callback, ["keras.callbacks"], "keras"),
        (sklearn_callback, ["sklearn.callback"], "sklearn"),
    ],
)
def test_without_its_framework_a_callback_names_what_to_install(callback, modules, extra, monkeypatch):
    for name in modules:
        monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(ImportError, match=rf'pip install "edge-energymeter\[{extra}\]"$') as failure:
        callback(SOURCE)
    assert "\n" not in str(failure.value)


def test_importing_the_integrations_loads_no_framework():
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        loaded = pool.apply(_frameworks_loaded)
    assert loaded == []


def _frameworks_loaded() -> list[str]:
    import sys

    import energymeter.integrations

    for name in energymeter.integrations.__all__:
        getattr(energymeter.integrations, name)
    heavy = ("torch", "transformers", "keras", "sklearn", "mlflow", "codecarbon", "IPython", "numpy")
    return [name for name in heavy if name in sys.modules]


# Parts, in what they follow from ---------------------------------------------------------------


def names(energy: TrainingEnergy) -> dict[str, int]:
    return {name: len(spans) for name, spans in energy.meter.spans.items()}


def test_a_step_outside_of_an_epoch_begins_none(energy):
    with energy:
        for _ in range(2):
            with energy.part("step"):
                work()
    assert names(energy) == {"warm-up step": 1, "step": 1}


def test_an_epoch_that_failed_is_not_gone_on_with_by_the_next_training(energy):
    with energy:
        energy.begin("epoch")
    with energy:
        with energy.part("step"):
            work()
        with energy.part("step"):
            work()
    assert names(energy) == {"warm-up step": 1, "step": 1}


@pytest.mark.parametrize("part", ["evaluation", "checkpoint"])
def test_an_epoch_ends_with_another_part_and_goes_on_with_the_next_step(energy, part):
    with energy:
        energy.begin("epoch")
        for _ in range(2):
            with energy.part("step"):
                work()
            assert energy.is_open("epoch")
            with energy.part(part):
                assert not energy.is_open("epoch")
        assert not energy.is_open("epoch")
        energy.end("epoch")
        energy.end("epoch")
    spans = energy.meter.spans
    assert len(spans["epoch"]) == 2
    assert spans["epoch"].usage.per("epochs").number == 1
    assert [unit.unit for unit in spans[part].usage.units] == [f"{part}s"]


def test_a_part_that_is_begun_again_ends_the_one_before(energy):
    with energy:
        energy.begin("evaluation")
        energy.begin("evaluation")
        energy.end("evaluation")
    assert names(energy) == {"evaluation": 2}
    assert energy.meter.spans["evaluation"].usage.per("evaluations").number == 2


def test_units_of_a_part_come_on_top_of_its_own_and_may_replace_it(energy):
    with energy:
        with energy.part("evaluation", images=8):
            work()
        with energy.part("checkpoint", checkpoints=3):
            work()
    spans = energy.meter.spans
    assert {unit.unit: unit.number for unit in spans["evaluation"].usage.units} == {
        "evaluations": 1,
        "images": 8,
    }
    assert spans["checkpoint"].usage.per("checkpoints").number == 3


@pytest.mark.parametrize("warmup_steps", [0, 1, 3])
def test_so_many_first_steps_warm_up(warmup_steps):
    energy = TrainingEnergy(EnergyMeter(SOURCE, linger=0), warmup_steps=warmup_steps)
    for _ in range(2):  # the second training warms up again
        train(energy, epochs=1, steps=5)
        found = names(energy)
        assert (found.get("warm-up step", 0), found["step"]) == (warmup_steps, 5 - warmup_steps)
        assert energy.steps == 5


def test_a_process_that_does_not_measure_records_nothing(energy):
    energy.begin_run(reports=False)
    energy.record("checkpoint", energy.now_ns())
    energy.begin("step")
    energy.end("step")
    assert energy.steps == 0
    assert not energy.must_stop()
    with pytest.raises(NotMeasured):
        _ = energy.meter.spans
    assert str(energy) == "another process of this machine reports"


def test_the_texts_of_a_training_name_the_warm_up_alone_as_in_no_cost(energy):
    train(energy)
    run, *parts = str(energy).split("\n")
    assert run == f"run: {energy.usage}"
    spans = energy.meter.spans
    assert parts == [
        f"{kept}, in no step's cost" if name == "warm-up step" else f"{kept}" for name, kept in spans.items()
    ]
    assert repr(energy) == f"TrainingEnergy({'; '.join([run, *parts])})"
    assert energy._repr_html_().count("<tr>") == 1 + len(spans)


def test_what_was_too_short_is_none_in_the_json(energy):
    with energy:
        start_ns = energy.now_ns()
        energy.record("evaluation", start_ns)
        work(3_000_000)
        energy._clock = ManualClock(start_ns)  # a part of no length
        energy.record("checkpoint", start_ns)
    known = energy.to_dict()
    assert known["stopped"] == ""
    assert known["parts"]["checkpoint"] is None


# The guard, on a clock that is moved by hand ----------------------------------------------------


class Drawn:
    """A meter of which a guard asks the balance alone."""

    def __init__(
        self, taken_joules: float, capacity_joules: float = 1.0, battery: Battery | None = None
    ) -> None:
        self.taken_joules, self.capacity_joules, self.asked = taken_joules, capacity_joules, 0
        self.battery = Battery(1000.0, basis="rail") if battery is None else battery

    @property
    def balance(self) -> Balance:
        self.asked += 1
        return Balance(self.battery, self.capacity_joules, self.taken_joules, 0.01)


def watched(drawn: Drawn, reserve: float = 0.5) -> TrainingEnergy:
    energy = TrainingEnergy(EnergyMeter(SOURCE, budget="lab"), reserve=reserve)
    energy.meter, energy._clock = drawn, ManualClock(10**9)
    return energy


@pytest.mark.parametrize(
    ("taken", "reserve", "stops"),
    [(0.0, 0.5, False), (0.499, 0.5, False), (0.5, 0.5, True), (0.999, 0.0, False)],
)
def test_before_any_checkpoint_nothing_is_kept_free_for_one(taken, reserve, stops):
    assert watched(Drawn(taken), reserve).must_stop() is stops


def test_a_checkpoint_that_was_not_made_takes_no_time_of_the_converter():
    battery = Battery(1000.0, efficiency=Converter(quiescent_watts=0.6))
    assert not watched(Drawn(0.0, battery=battery)).must_stop()


def test_the_balance_is_asked_for_ten_times_a_second():
    drawn = Drawn(0.0)
    energy = watched(drawn)
    asked = []
    for step_s in (0.0, 0.05, 0.049, 0.001, 0.099, 0.001, 0.5):
        energy._clock.sleep(step_s)
        assert not energy.must_stop()
        asked.append(drawn.asked)
    assert asked == [1, 1, 1, 2, 2, 3, 4]


def test_a_guard_that_ended_a_training_asks_no_more():
    drawn = Drawn(0.6)
    energy = watched(drawn)
    energy.steps = 7
    assert energy.must_stop()
    assert (
        energy.stopped == "the battery's reserve is reached, 40 % (38 % to 42 %) of the battery after step 7"
    )
    drawn.taken_joules = 0.0
    energy._clock.sleep(1.0)
    assert energy.must_stop()
    assert drawn.asked == 1


def test_a_guard_of_a_meter_that_does_not_run_ends_nothing():
    energy = guarded(1000.0)
    assert energy.must_stop() is False


def test_an_evaluation_that_used_more_than_a_checkpoint_is_not_kept_free():
    energy = guarded(joules=100_000.0)
    with energy:
        with energy.part("checkpoint"):
            work(400_000)
        kept = energy._dearest
        with energy.part("evaluation"):
            work(4_000_000)
        with energy.part("epoch"):
            work(4_000_000)
        assert energy._dearest == kept
    usage = energy.meter.spans["checkpoint"].usage
    assert kept == pytest.approx((usage.joules, usage.seconds))


@pytest.mark.parametrize("reserve", [0, 0.0, 0.999])
def test_a_reserve_within_its_limits(reserve):
    TrainingEnergy(EnergyMeter(SOURCE, budget="lab"), reserve=reserve)


def test_wrong_settings_are_one_sentence_each():
    meter = EnergyMeter(SOURCE, budget="lab")
    for made, message in (
        (
            lambda: TrainingEnergy(meter, reserve=1),
            "a reserve is a share in [0, 1), not 1: write 0.1 for 10 %",
        ),
        (
            lambda: TrainingEnergy(meter, warmup_steps=-1),
            "-1 steps of warm-up cannot be left out; give 0 or more",
        ),
        (
            lambda: TrainingEnergy(meter, reserve=0.1).begin_run(processes=2),
            "a reserve can end a training of one process, not of 2; leave it out",
        ),
    ):
        with pytest.raises(SpecError) as failure:
            made()
        assert str(failure.value) == message
    other = TrainingEnergy(EnergyMeter(SOURCE, linger=0))
    with other.run(processes=2):
        assert other.reports
        assert active.has(other.meter)
    assert not active.has(other.meter)
