"""Methods that are replaced by measured ones, and put back; the models of real packages are in other
files.
"""

import sys
from types import ModuleType

import pytest

from energymeter import EnergyMeter, SpecError
from energymeter.integrations import Instrumented, TrainingEnergy, instrument
from energymeter.integrations.inference import Phases

SOURCE = "manual:5V,0.6A"


class Model:
    """What a user might have."""

    def __init__(self) -> None:
        self.fails = False

    def predict(self, x, *, twice=False):
        """Twice as much."""
        if self.fails:
            raise ZeroDivisionError("of the user")
        return 2 * x * (1 + twice)

    def parts(self, n):
        yield from range(n)


@pytest.fixture
def meter():
    return EnergyMeter(SOURCE, linger=0)


def test_a_replaced_method_does_what_it_did_and_is_measured(meter):
    model, phases = Model(), Phases(meter, "", {"images": 4, "results": lambda result, x, **_: result / x})
    phases.around(model, "predict", "infer")
    with meter:
        assert [model.predict(3), model.predict(5, twice=True)] == [6, 20]
    usage = meter.spans["infer"].usage
    assert (usage.per("images").number, usage.per("results").number) == (8, 6)
    assert Model.predict.__doc__ == "Twice as much."
    phases.instrumented.restore()
    assert "predict" not in vars(model)
    phases.instrumented.restore()


def test_the_error_of_a_model_passes_and_its_call_is_measured(meter):
    model, phases = Model(), Phases(meter, "", {"images": 1})
    phases.around(model, "predict", "infer")
    model.fails = True
    with meter, pytest.raises(ZeroDivisionError, match="of the user"):
        model.predict(3)
    assert len(meter.spans["infer"]) == 1
    assert meter.spans["infer"].usage.units == ()


def test_each_step_of_a_lazy_result_is_measured_and_what_the_reader_does_is_not(meter):
    model, phases = Model(), Phases(meter, "words", {})
    phases.around(model, "parts", "infer")
    with meter:
        for _ in model.parts(3):
            sum(range(2_000_000))
    assert len(meter.spans["words infer"]) == 4, "the last one finds the end"
    assert meter.spans["words infer"].usage.seconds < 0.2 * meter.usage.seconds


def test_a_reader_that_stops_early_leaves_no_span_open(meter):
    model, phases = Model(), Phases(meter, "", {})
    phases.around(model, "parts", "infer")
    with meter:
        lazy = model.parts(3)
        assert next(lazy) == 0
        lazy.close()
        assert meter._latest_run().spans.open == {}
    assert len(meter.spans["infer"]) == 1


def test_restore_puts_back_what_an_object_had_itself():
    model = Model()
    model.predict = lambda x: "mine"
    with Instrumented() as instrumented:
        instrumented.replace(model, "predict", lambda x: "other")
        assert model.predict(1) == "other"
    assert model.predict(1) == "mine"


def test_what_takes_no_attributes_is_refused_with_what_to_do_instead(meter):
    with pytest.raises(SpecError, match=r"takes no other append; use `with meter\.span"):
        Phases(meter, "", {}).around([], "append", "infer")


def test_an_unknown_model_is_refused_with_those_that_are_known(meter):
    with pytest.raises(
        SpecError, match=r"calls of Model, only of models of .*onnxruntime.*; use `with meter"
    ):
        instrument(Model(), meter)


def test_a_model_may_be_called_outside_of_the_block(meter):
    model, phases = Model(), Phases(meter, "", {"images": 1})
    phases.around(model, "predict", "infer")
    assert model.predict(1) == 2


class Cuda:
    """What PyTorch says of CUDA."""

    def __init__(self, initialized):
        self.waits, self._initialized = 0, initialized

    def is_initialized(self):
        return self._initialized

    def synchronize(self):
        self.waits += 1


@pytest.mark.parametrize(("initialized", "waits"), [(False, 0), (True, 3)])
def test_every_edge_waits_for_cuda_once_it_is_in_use(meter, monkeypatch, initialized, waits):
    torch = ModuleType("torch")
    torch.cuda = cuda = Cuda(initialized)
    monkeypatch.setitem(sys.modules, "torch", torch)
    energy = TrainingEnergy(meter)
    with energy:
        before = cuda.waits
        with energy.part("step"):
            pass
    assert cuda.waits - before == waits, "both edges of the step, and the end of the block"


def test_a_sync_of_ones_own_stays():
    waits = []
    meter = EnergyMeter(SOURCE, linger=0, sync=lambda: waits.append(1))
    sync = meter.sync
    with TrainingEnergy(meter):
        assert meter.sync is sync
    assert waits
