"""ONNX Runtime on the processor: plain, with an io-binding, and asynchronous."""

import threading

import pytest
from integrations.frameworks import SOURCE, agree, offline_with_one_thread, versions

from energymeter import EnergyMeter
from energymeter.integrations import instrument

offline_with_one_thread()
onnxruntime = pytest.importorskip(
    "onnxruntime", reason="onnxruntime is not installed; `make test-integrations` has it"
)
onnx = pytest.importorskip("onnx")
numpy = pytest.importorskip("numpy")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(autouse=True, params=[versions("onnxruntime")], ids=str)
def _version(request):
    """It stands next to the name of each test."""


@pytest.fixture
def meter():
    return EnergyMeter(SOURCE, linger=0)


@pytest.fixture
def session():
    """y = x w, 64 rows of 256."""
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    weights = numpy.eye(256, dtype=numpy.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", float32, [64, 256])],
        [helper.make_tensor_value_info("y", float32, [64, 256])],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


@pytest.fixture
def x():
    return numpy.random.default_rng(1).random((64, 256), dtype=numpy.float32)


def test_run(session, meter, x):
    outer = EnergyMeter(SOURCE, linger=0)
    instrument(session, meter, images=lambda result, names, feed: len(feed["x"]))
    with outer, meter:
        for _ in range(50):
            assert numpy.array_equal(session.run(None, {"x": x})[0], x)
    usage = meter.spans["infer"].usage
    assert usage.per("images").number == 50 * 64
    assert usage.joules <= meter.usage.joules
    assert agree(meter, outer)


def test_an_io_binding(session, meter, x):
    binding = session.io_binding()
    binding.bind_cpu_input("x", x)
    binding.bind_output("y")
    with instrument(session, meter, name="product"), meter:
        session.run_with_iobinding(binding)
    assert numpy.array_equal(binding.copy_outputs_to_cpu()[0], x)
    assert len(meter.spans["product infer"]) == 1
    assert "run" not in vars(session)


def test_an_asynchronous_run_lasts_until_its_callback(meter, x, session):
    done, found = threading.Event(), []

    def callback(results, user_data, error):
        found.extend([results, user_data, error])
        done.set()

    # ONNX Runtime refuses asynchronous runs in a session of one thread
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    instrument(session, meter, images=64)
    model = session._model_bytes
    parallel = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    instrument(parallel, meter, images=64)
    with meter:
        parallel.run_async(None, {"x": x}, callback, "mine")
        assert done.wait(60)
    assert numpy.array_equal(found[0][0], x)
    assert found[1:] == ["mine", ""]
    assert meter.spans["infer"].usage.per("images").number == 64


def test_the_error_of_a_wrong_input_passes(session, meter):
    instrument(session, meter, images=64)
    with meter, pytest.raises(Exception, match="x") as failure:
        session.run(None, {"x": numpy.zeros((1, 1), dtype=numpy.float32)})
    assert type(failure.value).__module__.startswith("onnxruntime")
