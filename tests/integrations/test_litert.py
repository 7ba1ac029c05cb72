"""LiteRT on the processor: an interpreter, its signature runner, and a compiled model."""

import pytest
from integrations.frameworks import SOURCE, agree, offline_with_one_thread, versions

from energymeter import EnergyMeter
from energymeter.integrations import instrument

offline_with_one_thread()
interpreter = pytest.importorskip(
    "ai_edge_litert.interpreter", reason="ai-edge-litert is not installed; `make test-integrations` has it"
)
compiled_model = pytest.importorskip("ai_edge_litert.compiled_model")
numpy = pytest.importorskip("numpy")
from integrations.tflite_model import doubled  # noqa: E402

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(autouse=True, params=[versions("ai-edge-litert")], ids=str)
def _version(request):
    """It stands next to the name of each test."""


@pytest.fixture
def meter():
    return EnergyMeter(SOURCE, linger=0)


@pytest.fixture
def x():
    return numpy.arange(1024, dtype=numpy.float32)


def test_an_interpreter(meter, x):
    model = interpreter.Interpreter(model_content=doubled(1024), num_threads=1)
    model.allocate_tensors()
    outer = EnergyMeter(SOURCE, linger=0)
    with instrument(model, meter, frames=1), outer, meter:
        for _ in range(200):
            model.set_tensor(model.get_input_details()[0]["index"], x)
            model.invoke()
    result = model.get_tensor(model.get_output_details()[0]["index"])
    assert numpy.array_equal(result, 2 * x)
    assert meter.spans["infer"].usage.per("frames").number == 200
    assert meter.spans["infer"].usage.joules <= meter.usage.joules
    assert agree(meter, outer)
    assert "invoke" not in vars(model)


def test_a_signature_runner(meter, x):
    model = interpreter.Interpreter(model_content=doubled(1024), num_threads=1)
    instrument(model, meter, frames=1)
    runner = model.get_signature_runner("serving_default")
    with meter:
        assert numpy.array_equal(runner(x=x)["y"], 2 * x)
    assert list(runner.get_input_details()) == ["x"]
    assert meter.spans["infer"].usage.per("frames").number == 1


def test_a_compiled_model(meter, x):
    model = compiled_model.CompiledModel.from_buffer(doubled(1024))
    instrument(model, meter, frames=1)
    inputs, outputs = model.create_input_buffers(0), model.create_output_buffers(0)
    inputs[0].write(x)
    with meter:
        model.run_by_index(0, inputs, outputs)
        model.run_by_name("serving_default", {"x": inputs[0]}, {"y": outputs[0]})
    assert numpy.array_equal(outputs[0].read(1024, numpy.float32), 2 * x)
    assert meter.spans["infer"].usage.per("frames").number == 2


def test_a_delegate_that_is_absent_is_the_error_of_the_package():
    with pytest.raises((ValueError, OSError)):
        interpreter.load_delegate("libedgetpu.so.1")
