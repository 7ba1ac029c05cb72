"""What the adapters do with the calls of a framework, with stand-ins that make these calls.

The frameworks themselves run in `make test-integrations`; here stands what each adapter measures, counts,
hands on and ends, call by call.
"""

import pickle
import sys
import threading
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from energymeter import Battery, Budget, EnergyMeter, SpecError
from energymeter.integrations import (
    instrument,
    keras_callback,
    layers,
    lightning_callback,
    sklearn_callback,
    transformers_callback,
)
from energymeter.integrations.devices import sync_of_devices
from energymeter.integrations.layers import LayerShares, layer_shares
from energymeter.integrations.notebook import load_ipython_extension
from energymeter.meter import active
from energymeter.meter.usage_delta import UsageDelta

SOURCE = "manual:5V,0.6A"


@pytest.fixture
def meter() -> EnergyMeter:
    return EnergyMeter(SOURCE, linger=0)


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))


def model_of(package: str, **methods: Any) -> Any:
    """An object whose class is in a package that need not be installed."""
    return type("Model", (), {**methods, "__module__": f"{package}.models"})()


def work(*_: Any, **__: Any) -> int:
    return sum(range(20_000))


def found(meter: EnergyMeter) -> dict[str, Any]:
    """How many calls each span has, and how many units."""
    return {
        name: (len(spans), {unit.unit: unit.number for unit in spans.usage.units})
        for name, spans in meter.spans.items()
    }


# Models -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("tokenizing", ["preprocess", "tokenize"])
def test_sentence_transformers_of_either_age(meter, tokenizing):
    model = model_of(
        "sentence_transformers",
        forward=lambda self, texts: {"sentence_embedding": [work()] * len(texts)},
        **{tokenizing: work},
    )
    with meter, instrument(model, meter):
        getattr(model, tokenizing)(["a", "b", "c"])
        model.forward(["a", "b", "c"])
    assert found(meter) == {"preprocess": (1, {}), "infer": (1, {"texts": 3.0})}


def test_sentence_transformers_that_give_something_else_count_no_texts(meter):
    model = model_of("sentence_transformers", preprocess=work, forward=lambda self, _: {"tokens": work()})
    with meter, instrument(model, meter):
        assert model.forward(["a"]).keys() == {"tokens"}
    assert found(meter) == {"infer": (1, {})}


class Binding:
    """Outputs that are there when they are waited for."""

    waited = 0

    def synchronize_outputs(self) -> None:
        self.waited += 1


def test_every_way_to_run_a_session_of_onnxruntime(meter):
    def run_async(self, names, feed, callback, data, options=None):
        callback([work()], data, "" if options is None else str(options))

    methods = ("run", "run_with_ort_values", "run_with_iobinding")
    session = model_of("onnxruntime", run_async=run_async, **dict.fromkeys(methods, work))
    binding, answers = Binding(), []
    with meter, instrument(session, meter, images=2):
        session.run(None, {"x": 1})
        session.run_with_ort_values(None, {"x": 1})
        assert binding.waited == 0
        session.run_with_iobinding(binding)
        assert binding.waited == 1
        session.run_async(None, {"x": 1}, lambda *answer: answers.append(answer), "mine")
        session.run_async(None, {"x": 1}, lambda *answer: answers.append(answer), "mine", "failed")
    assert answers == [([work()], "mine", ""), ([work()], "mine", "failed")]
    assert found(meter) == {"infer": (5, {"images": 10.0})}


def test_a_session_that_refuses_a_run_leaves_no_span_open(meter):
    def run_async(*_):
        raise ZeroDivisionError("of the session")

    session = model_of("onnxruntime", run_async=run_async, run=work, run_with_ort_values=work)
    type(session).run_with_iobinding = work
    with meter, instrument(session, meter):
        with pytest.raises(ZeroDivisionError, match="of the session"):
            session.run_async(None, {}, work, None)
        session.run(None, {})
    assert len(meter.spans["infer"]) == 2
    assert meter.spans["infer"].usage.seconds < meter.usage.seconds


class Runner:
    """A signature runner, whose class has ``__call__``."""

    inputs = ("x",)

    def __call__(self, **given: Any) -> dict[str, Any]:
        work()
        return given


def test_an_interpreter_of_litert_and_its_signature_runners(meter):
    model = model_of("ai_edge_litert", invoke=work, get_signature_runner=lambda self, key=None: Runner())
    with meter, instrument(model, meter, images=1):
        model.invoke()
        runner = model.get_signature_runner("serving")
        assert runner(x=3) == {"x": 3}
        assert runner.inputs == ("x",)
    assert found(meter) == {"infer": (2, {"images": 2.0})}


def test_a_compiled_model_of_litert(meter):
    model = model_of("ai_edge_litert", run_by_index=work, run_by_name=work)
    with meter, instrument(model, meter):
        model.run_by_index(0)
        model.run_by_name("serving")
    assert found(meter) == {"infer": (2, {})}


def test_a_program_of_executorch_and_its_methods(meter):
    method = model_of("executorch", execute=work)
    program = model_of("executorch", load_method=lambda self, name: method if name == "forward" else None)
    with meter, instrument(program, meter, images=1):
        assert program.load_method("backward") is None
        assert program.load_method("forward") is method
        method.execute([1])
    assert found(meter) == {"load": (2, {}), "infer": (1, {"images": 1.0})}
    again, other = model_of("executorch", execute=work), EnergyMeter(SOURCE, linger=0)
    with other, instrument(again, other):
        again.execute([1])
    assert found(other) == {"infer": (1, {})}


def test_the_phases_of_a_pipeline(meter):
    pipeline = model_of("transformers", preprocess=work, forward=work, postprocess=work)
    with meter, instrument(pipeline, meter, texts=1):
        for phase in (pipeline.preprocess, pipeline.forward, pipeline.postprocess):
            phase("text")
    assert found(meter) == {"preprocess": (1, {}), "infer": (1, {"texts": 1.0}), "postprocess": (1, {})}


def test_a_transcription_is_measured_where_it_is_iterated(meter):
    def transcribe(self, audio, **_):
        work()
        return (work() for _ in range(3)), SimpleNamespace(duration=12.5)

    model = model_of("faster_whisper", transcribe=transcribe)
    with meter, instrument(model, meter):
        segments, info = model.transcribe("a.wav", language="en")
        assert "infer" not in meter.spans
        assert len(list(segments)) == 3
    assert info.duration == 12.5
    assert found(meter) == {"preprocess": (1, {"audio_seconds": 12.5}), "infer": (4, {"audio_seconds": 12.5})}


class Array:
    """Data with a shape."""

    shape = (6, 2)


def test_an_estimator_is_measured_once_where_its_methods_call_each_other(meter):
    estimator = model_of(
        "sklearn",
        fit=work,
        predict=work,
        fit_predict=lambda self, X: (self.fit(X), self.predict(X)),  # noqa: N803 (as the package names it)
        score=lambda self, X, y: self.predict(X),  # noqa: N803
    )
    with meter, instrument(estimator, meter):
        estimator.fit([1, 2, 3])
        estimator.fit_predict(X=[1, 2])
        estimator.predict(Array())
        estimator.score([1], [1])
        estimator.predict()
    assert found(meter) == {"fit": (2, {"samples": 5.0}), "infer": (3, {"samples": 7.0})}
    assert not hasattr(estimator, "transform")


def test_an_estimator_that_failed_is_measured_again(meter):
    def fit(self, data):
        if not data:
            raise ZeroDivisionError("of the estimator")

    estimator = model_of("sklearn", fit=fit)
    with meter, instrument(estimator, meter):
        with pytest.raises(ZeroDivisionError, match="of the estimator"):
            estimator.fit([])
        estimator.fit([1])
    assert len(meter.spans["fit"]) == 2


# Trainers ---------------------------------------------------------------------------------------


class Base:
    """What a framework's callbacks inherit from."""


def installed(monkeypatch: pytest.MonkeyPatch, name: str, **content: Any) -> None:
    """A module that need not be installed."""
    module = ModuleType(name)
    vars(module).update(content)
    package, _, last = name.rpartition(".")
    if package:
        installed(monkeypatch, package, **{last: module})
    monkeypatch.setitem(sys.modules, name, module)


def nearly_empty() -> EnergyMeter:
    """A budget that is below any reserve of a half."""
    battery = Battery(1000.0 / 3.6 / 5, basis="rail", capacity_sigma=0.0)
    spent = UsageDelta(
        600.0, None, 1.0, 1.0, provenance="manual", sources=("by hand",), covered_seconds=(1.0,)
    )
    Budget("lab", battery).spend(spent)
    return EnergyMeter("manual:50V,20A", linger=0, budget="lab")


def counts(energy: Any) -> dict[str, tuple[int, dict[str, float]]]:
    return found(energy.meter)


def trainer_of(saved: list[str]) -> Any:
    class Trainer:
        local_rank, world_size, sanity_checking, should_stop, default_root_dir = 0, 1, False, False, "out"

        def save_checkpoint(self, path: str) -> None:
            saved.append(path)
            work()

    return Trainer()


@pytest.mark.parametrize("package", ["pytorch_lightning", "lightning.pytorch"])
def test_the_hooks_of_lightning(meter, monkeypatch, package):
    monkeypatch.setitem(sys.modules, "pytorch_lightning", None)
    installed(monkeypatch, package, Callback=Base)
    callback, saved = lightning_callback(meter), []
    trainer = trainer_of(saved)
    trainer.sanity_checking = True
    callback.on_fit_start(trainer, None)
    callback.on_validation_start(trainer, None)  # of the sanity check: no evaluation
    callback.on_validation_end(trainer, None)
    trainer.sanity_checking = False
    for _ in range(2):
        callback.on_train_epoch_start(trainer, None)
        for batch in range(3):
            callback.on_train_batch_start(trainer, None, None, batch)
            work()
            callback.on_train_batch_end(trainer, None, None, None, batch)
        callback.on_validation_start(trainer, None)
        callback.on_validation_end(trainer, None)
        trainer.save_checkpoint("a.ckpt")
        callback.on_train_epoch_end(trainer, None)
    callback.on_fit_end(trainer, None)
    trainer.save_checkpoint("later.ckpt")
    assert saved == ["a.ckpt", "a.ckpt", "later.ckpt"]
    assert not active.has(meter)
    units = {unit: n for _, each in counts(callback.energy).values() for unit, n in each.items()}
    assert units == {"epochs": 2.0, "steps": 5.0, "evaluations": 2.0, "checkpoints": 2.0}
    assert callback.energy.steps == 6
    assert not callback.energy.stopped


def test_lightning_saves_and_ends_at_the_reserve_once(monkeypatch):
    installed(monkeypatch, "pytorch_lightning", Callback=Base)
    callback, saved = lightning_callback(nearly_empty(), reserve=0.5), []
    trainer = trainer_of(saved)
    callback.on_fit_start(trainer, None)
    for batch in range(3):
        callback.on_train_batch_start(trainer, None, None, batch)
        callback.on_train_batch_end(trainer, None, None, None, batch)
    assert trainer.should_stop
    (path,) = saved
    assert path.startswith("out/")
    callback.on_exception(trainer, None, KeyboardInterrupt())
    assert not active.has(callback.energy.meter)
    assert "save_checkpoint" not in vars(trainer)


@pytest.mark.parametrize(("rank", "measures"), [(0, True), (1, False)])
def test_one_process_of_a_machine_measures(monkeypatch, rank, measures):
    installed(monkeypatch, "pytorch_lightning", Callback=Base)
    installed(monkeypatch, "transformers", TrainerCallback=Base)
    trainer = trainer_of([])
    trainer.local_rank, trainer.world_size = rank, 2
    callback = lightning_callback(EnergyMeter(SOURCE, linger=0))
    callback.on_fit_start(trainer, None)
    assert active.has(callback.energy.meter) == callback.energy.reports == measures
    callback.on_fit_end(trainer, None)
    other = transformers_callback(EnergyMeter(SOURCE, linger=0))
    state, arguments = SimpleNamespace(is_local_process_zero=not rank), SimpleNamespace(world_size=2)
    other.on_train_begin(arguments, state, None)
    assert active.has(other.energy.meter) == other.energy.reports == measures
    other.on_train_end(arguments, state, None)
    assert not active.has(other.energy.meter)


class HuggingFace:
    """The hooks of one training in the order in which the Trainer calls them."""

    def __init__(self, callback: Any) -> None:
        self.callback = callback
        self.control = SimpleNamespace(should_training_stop=False, should_save=False, should_evaluate=False)
        callback.on_train_begin(
            SimpleNamespace(world_size=1), SimpleNamespace(is_local_process_zero=True), None
        )

    def call(self, hook: str, *more: Any) -> None:
        work()
        getattr(self.callback, hook)(None, None, self.control, *more)

    def step(self, **announced: bool) -> None:
        vars(self.control).update(should_save=False, should_evaluate=False)
        self.call("on_step_begin")
        vars(self.control).update(announced)
        self.call("on_step_end")

    def units(self) -> dict[str, float]:
        self.callback.on_train_end(None, None, None)
        assert not active.has(self.callback.energy.meter)
        return {unit: n for _, each in counts(self.callback.energy).values() for unit, n in each.items()}


@pytest.fixture
def hugging_face(monkeypatch, meter):
    installed(monkeypatch, "transformers", TrainerCallback=Base)
    return HuggingFace(transformers_callback(meter, warmup_steps=0))


def test_what_the_trainer_of_transformers_announces_is_measured(hugging_face):
    hugging_face.call("on_epoch_begin")
    hugging_face.step(should_evaluate=True, should_save=True)
    assert hugging_face.callback.energy.is_open("evaluation")
    hugging_face.call("on_prediction_step")
    hugging_face.call("on_evaluate")
    assert hugging_face.callback.energy.is_open("checkpoint")
    hugging_face.call("on_save")
    hugging_face.step(should_save=True)
    assert hugging_face.callback.energy.is_open("checkpoint")
    hugging_face.call("on_save")
    hugging_face.step()
    hugging_face.call("on_epoch_end")
    assert hugging_face.units() == {"epochs": 1.0, "steps": 3.0, "evaluations": 1.0, "checkpoints": 2.0}


def test_a_best_model_that_is_saved_after_its_evaluation_is_a_checkpoint(hugging_face):
    hugging_face.step(should_evaluate=True)
    hugging_face.call("on_evaluate")
    hugging_face.call("on_save")
    hugging_face.step()
    hugging_face.call("on_save")  # nobody announced it, and no evaluation came before
    hugging_face.step(should_evaluate=True)
    hugging_face.call("on_evaluate")
    hugging_face.step()
    hugging_face.call("on_save")  # the evaluation was before the step
    assert hugging_face.units() == {"steps": 4.0, "evaluations": 2.0, "checkpoints": 1.0}


def test_a_trainer_that_saves_first_of_all_saves_unmeasured(hugging_face):
    hugging_face.call("on_save")
    assert hugging_face.units() == {}


def test_an_evaluation_and_a_prediction_of_ones_own(hugging_face):
    hugging_face.call("on_prediction_step")
    hugging_face.call("on_prediction_step")
    hugging_face.call("on_evaluate")
    hugging_face.call("on_prediction_step")
    hugging_face.call("on_predict", {})
    assert hugging_face.units() == {"evaluations": 2.0}


def test_transformers_saves_and_ends_at_the_reserve(monkeypatch):
    installed(monkeypatch, "transformers", TrainerCallback=Base)
    training = HuggingFace(transformers_callback(nearly_empty(), reserve=0.5))
    training.step()
    assert training.control.should_training_stop
    assert training.control.should_save
    assert training.callback.energy.is_open("checkpoint")
    training.step()
    assert not training.control.should_save
    training.units()


class Network:
    """A model that Keras trains."""

    def __init__(self) -> None:
        self.saved: list[str] = []
        self.stop_training = False

    def save(self, path: str) -> None:
        self.saved.append(path)

    save_weights = save


def test_the_hooks_of_keras(monkeypatch, meter):
    installed(monkeypatch, "keras.callbacks", Callback=Base)
    callback = keras_callback(meter)
    callback.model = Network()
    callback.on_train_begin()
    for epoch in range(2):
        callback.on_epoch_begin(epoch)
        for batch in range(2):
            callback.on_train_batch_begin(batch)
            work()
            callback.on_train_batch_end(batch)
        callback.on_test_begin()
        callback.on_test_end()
        callback.model.save("a.keras")
        callback.model.save_weights("a.h5")
        callback.on_epoch_end(epoch)
    callback.on_train_end()
    assert vars(callback.model).keys() == {"saved", "stop_training"}
    assert callback.model.saved == ["a.keras", "a.h5"] * 2
    assert not callback.model.stop_training
    units = {unit: n for _, each in counts(callback.energy).values() for unit, n in each.items()}
    assert units == {"epochs": 2.0, "steps": 3.0, "evaluations": 2.0, "checkpoints": 4.0}


def test_keras_saves_and_ends_at_the_reserve_once(monkeypatch):
    installed(monkeypatch, "keras.callbacks", Callback=Base)
    callback = keras_callback(nearly_empty(), reserve=0.5, save_to="model.keras")
    callback.model = Network()
    callback.on_train_begin()  # of a training that failed
    callback.on_train_begin()
    for batch in range(2):
        callback.on_train_batch_begin(batch)
        callback.on_train_batch_end(batch)
    assert callback.model.saved == ["model.keras"]
    assert callback.model.stop_training
    assert len(callback.energy.meter.spans["checkpoint"]) == 1
    callback.on_train_end()


def test_keras_needs_a_file_for_a_reserve(monkeypatch):
    installed(monkeypatch, "keras.callbacks", Callback=Base)
    with pytest.raises(ValueError, match=r'give save_to="model\.keras"'):
        keras_callback(SOURCE, reserve=0.5)


def test_the_hooks_of_scikit_learn(monkeypatch, meter):
    installed(monkeypatch, "sklearn.callback")
    callback = sklearn_callback(meter)
    tasks = [SimpleNamespace(estimator_name="Search", task_name=name) for name in ("fit", "iteration")]
    callback.setup(None, None)
    for task in tasks:
        callback.on_fit_task_begin(None, task)
    work()
    assert not callback.on_fit_task_end(None, tasks[1])
    assert not callback.on_fit_task_end(None, SimpleNamespace())  # it was never given
    callback.teardown(None, None)  # while the first one runs
    assert {name: n for name, (n, _) in counts(callback.energy).items()} == {
        "Search fit": 1,
        "Search iteration": 1,
    }
    assert not active.has(meter)


def test_a_copy_of_the_callback_for_a_worker_measures_nothing(monkeypatch, meter):
    installed(monkeypatch, "sklearn.callback")
    copy = pickle.loads(pickle.dumps(sklearn_callback(meter)))  # noqa: S301 - our own
    task = SimpleNamespace(estimator_name="Search", task_name="fit")
    copy.on_fit_task_begin(None, task)
    assert copy.on_fit_task_end(None, task) is False
    assert not copy.energy.reports
    assert not active.has(copy.energy.meter)


def test_scikit_learn_ends_at_the_reserve(monkeypatch):
    installed(monkeypatch, "sklearn.callback")
    callback = sklearn_callback(nearly_empty(), reserve=0.5)
    callback.setup(None, None)
    assert callback.on_fit_task_end(None, SimpleNamespace()) is True
    callback.teardown(None, None)


# Notebooks and layers ---------------------------------------------------------------------------


class Shell:
    """What the magic asks of a notebook's shell."""

    def __init__(self) -> None:
        self.user_ns: dict[str, Any] = {}
        self.magics: dict[str, Any] = {}

    def register_magic_function(self, function: Any, magic_kind: str) -> None:
        self.magics[magic_kind] = function

    def transform_cell(self, cell: str) -> str:
        return cell


class Line:
    """A line of output that is written again."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def update(self, data: dict[str, str], raw: bool) -> None:
        assert raw
        self.texts.append(data["text/plain"])


@pytest.fixture
def notebook(monkeypatch):
    shell, shown, line = Shell(), [], Line()

    def display(what: Any, *, raw: bool = False, display_id: bool = False) -> Line | None:
        if display_id:
            assert raw
            return line
        shown.append(what)
        return None

    installed(monkeypatch, "IPython.display", display=display)
    load_ipython_extension(shell)
    return shell, shown, line


def test_a_cell_of_a_notebook_is_measured_and_its_last_expression_is_shown(notebook, capsys, monkeypatch):
    monkeypatch.setattr("energymeter.integrations.notebook._REDRAW_SECONDS", 0.001)
    shell, shown, line = notebook
    cell = "import time\nbegun = time.monotonic()\nwhile time.monotonic() < begun + 0.1: pass\n21 * 2"
    shell.magics["cell"](f" {SOURCE} ", cell)
    assert capsys.readouterr().out == "42\n"
    (usage,) = shown
    assert usage is shell.user_ns["_energy"]
    assert usage.mean_watts == pytest.approx(3.0)
    assert usage.seconds >= 0.1
    assert any(" J" in text for text in line.texts)
    assert line.texts[-1] == ""


def test_a_cell_that_fails_is_measured_up_to_there(notebook, capsys):
    shell, shown, _ = notebook
    with pytest.raises(ZeroDivisionError):
        shell.magics["cell"](SOURCE, "x = sum(range(1_000_000))\n1 / 0\nx = 0")
    assert shell.user_ns["x"] > 0
    assert shown == [shell.user_ns["_energy"]]
    assert capsys.readouterr().out == ""


def test_an_empty_cell_is_one_sentence_or_a_usage(notebook):
    shell, shown, _ = notebook
    shell.magics["cell"](SOURCE, "")
    (what,) = shown
    assert what is shell.user_ns.get("_energy") or str(what).startswith("not measured: ")


class Layer:
    """A module of PyTorch, as far as its hooks go."""

    def __init__(self, *children: "Layer") -> None:
        self._children = children
        self.hooks: list[tuple[str, Any]] = []

    def children(self) -> Any:
        return iter(self._children)

    def named_modules(self, path: str = "") -> Any:
        yield path, self
        for number, child in enumerate(self._children):
            yield from child.named_modules(f"{path}.{number}".strip("."))

    def _hook(self, when: str, hook: Any) -> Any:
        self.hooks.append((when, hook))
        return SimpleNamespace(remove=lambda: self.hooks.remove((when, hook)))

    def register_forward_pre_hook(self, hook: Any) -> Any:
        return self._hook("before", hook)

    def register_forward_hook(self, hook: Any) -> Any:
        return self._hook("after", hook)

    def __call__(self, rounds: int) -> None:
        for when, hook in self.hooks:
            if when == "before":
                hook(self, rounds)
        for child in self._children:
            child(rounds)
        if not self._children:
            for _ in range(rounds * self.weight):
                work()
        for when, hook in self.hooks:
            if when == "after":
                hook(self, rounds, None)

    weight = 1


class Heavy(Layer):
    weight = 9


def test_the_energy_of_a_block_is_shared_out_by_the_time_in_each_layer(meter):
    light, heavy = Layer(), Heavy()
    model = Layer(light, Layer(heavy))
    with meter, layer_shares(model, meter, name="forward") as shares:
        for _ in range(3):
            model(20)
    first, second = shares.layers
    assert (first.name, first.kind, first.calls) == ("1.0", "Heavy", 3)
    assert (second.name, second.kind, second.calls) == ("0", "Layer", 3)
    assert first.share + second.share == pytest.approx(1.0)
    assert first.share == pytest.approx(first.seconds / (first.seconds + second.seconds))
    assert first.share > 0.6
    joules = meter.spans["forward"].usage.joules
    assert first.joules + second.joules == pytest.approx(joules)
    assert first.joules == pytest.approx(joules * first.share)
    text = str(shares)
    assert text.startswith("energy of the block, shared out by the time in each layer")
    assert f"{1e3 * first.seconds:.0f}"[:2] in text
    assert "<td>Heavy</td>" in shares._repr_html_()
    assert not any(layer.hooks for _, layer in model.named_modules())


def test_a_block_in_which_no_layer_was_called_says_so(meter):
    with meter, layer_shares(Layer(), meter) as shares:
        work()
    with pytest.raises(SpecError, match="no layer was called"):
        _ = shares.layers


def test_what_a_model_counts_is_counted_where_it_infers_alone(meter):
    pipeline = model_of("transformers", preprocess=work, forward=lambda self, n: n, postprocess=work)
    with meter, instrument(pipeline, meter, name="ocr", words=lambda result, *_: 2 * result):
        pipeline.preprocess(3)
        pipeline.forward(3)
    assert found(meter) == {"ocr preprocess": (1, {}), "ocr infer": (1, {"words": 6.0})}


def test_the_shares_of_layers_as_they_are_printed():
    """4 ms and 12 ms of 16 ms, and 8 J: a quarter, and three."""
    shares = LayerShares()
    shares._times = {"light": [0.001, 0.003], "a\nb": [0.012]}
    shares._kinds = {"light": "Linear", "a\nb": "Conv2d", "never": "ReLU"}
    shares.span = SimpleNamespace(usage=SimpleNamespace(joules=8.0))
    assert [tuple(layer) for layer in shares.layers] == [
        ("a\nb", "Conv2d", 1, 0.012, pytest.approx(0.75), pytest.approx(6.0)),
        ("light", "Linear", 2, 0.004, pytest.approx(0.25), pytest.approx(2.0)),
    ]
    assert str(shares).split("\n") == [
        "energy of the block, shared out by the time in each layer",
        "layer  kind    calls    ms  share of time  J by time",
        r"a\nb   Conv2d      1  12.0         75.0 %       6.00",
        "light  Linear      2  4.00         25.0 %       2.00",
    ]
    assert shares._repr_html_() == (
        "<table><tr><th>layer</th><th>kind</th><th>calls</th><th>ms</th>"
        "<th>share of time</th><th>J by time</th></tr>"
        r"<tr><td>a\nb</td><td>Conv2d</td><td>1</td><td>12.0</td><td>75.0 %</td><td>6.00</td></tr>"
        "<tr><td>light</td><td>Linear</td><td>2</td><td>4.00</td><td>25.0 %</td><td>2.00</td></tr></table>"
    )


def test_layers_that_took_no_time_have_no_shares():
    shares = LayerShares()
    shares._times, shares._kinds = {"a": [0.0]}, {"a": "ReLU"}
    shares.span = SimpleNamespace(usage=SimpleNamespace(joules=8.0))
    with pytest.raises(SpecError, match="no layer was called; call the module within the block"):
        _ = shares.layers
    shares._times, shares.span = {"a": [0.1]}, None
    with pytest.raises(SpecError, match="no layer was called"):
        _ = shares.layers


def test_a_layer_is_timed_from_its_beginning_to_its_end(meter, monkeypatch):
    """On a clock that is moved by hand: 1 ms, 2 ms, and one call that began before the block."""
    ticks = iter([0, 1_000_000, 5_000_000, 7_000_000])
    monkeypatch.setattr(layers, "time", SimpleNamespace(perf_counter_ns=lambda: next(ticks)))
    layer = Layer()
    with meter, layer_shares(layer, meter) as shares:
        before, after = (hook for _, hook in layer.hooks)
        after(layer, 1, None)  # a call that had begun before
        for _ in range(2):
            before(layer, 1)
            after(layer, 1, None)
        after(layer, 1, None)
    assert shares._times == {"": [pytest.approx(0.001), pytest.approx(0.002)]}
    (found,) = shares.layers
    assert (found.calls, found.seconds, found.share) == (2, pytest.approx(0.003), 1.0)
    assert len(meter.spans["layers"]) == 1


def test_fitting_counts_no_images(meter):
    estimator = model_of("sklearn", fit=work, predict=work)
    with meter, instrument(estimator, meter, images=lambda result, data, *_: 10 * len(data)):
        estimator.fit([1, 2, 3], None)
        estimator.predict([1, 2])
    assert found(meter) == {"fit": (1, {"samples": 3.0}), "infer": (1, {"samples": 2.0, "images": 20.0})}


def test_a_model_of_which_a_part_is_missing_is_left_as_it_was(meter):
    session = model_of("onnxruntime", run=work)
    with pytest.raises(AttributeError, match="run_with_ort_values"):
        instrument(session, meter)
    assert vars(session) == {}


@pytest.mark.parametrize("package", ["numpy.linalg", "onnxruntimes", "sklearn_extra"])
def test_a_model_of_another_package_is_unknown(meter, package):
    with pytest.raises(SpecError) as failure:
        instrument(model_of(package, run=work), meter)
    assert str(failure.value) == (
        "nothing is known of the calls of Model, only of models of ai_edge_litert, executorch, "
        "faster_whisper, onnxruntime, sentence_transformers, sklearn, tflite_runtime, transformers; use "
        '`with meter.span("infer")` around them'
    )


def test_a_class_of_ones_own_is_known_by_what_it_is_made_of(meter):
    known = type(model_of("sklearn.linear_model", fit=work))
    estimator = type("Mine", (known,), {"__module__": "mine"})()
    with meter, instrument(estimator, meter):
        estimator.fit([1])
    assert found(meter) == {"fit": (1, {"samples": 1.0})}


def test_a_model_waits_for_its_devices_unless_the_meter_does(meter):
    instrument(model_of("sklearn", fit=work), meter)
    assert meter.sync is sync_of_devices
    own = EnergyMeter(SOURCE, linger=0, sync=work)
    before = own.sync
    instrument(model_of("sklearn", fit=work), own)
    assert own.sync is before


def test_a_best_model_is_saved_once_after_its_evaluation(hugging_face):
    hugging_face.step(should_evaluate=True)
    hugging_face.call("on_evaluate")
    hugging_face.call("on_save")
    hugging_face.call("on_save")
    assert hugging_face.units() == {"steps": 1.0, "evaluations": 1.0, "checkpoints": 1.0}


def test_a_training_of_keras_that_ends_twice_is_put_back_once(monkeypatch, meter):
    installed(monkeypatch, "keras.callbacks", Callback=Base)
    callback = keras_callback(meter)
    callback.model = Network()
    callback.on_train_end()  # it never began
    callback.on_train_begin()
    callback.on_train_end()
    callback.on_train_end()
    assert "save" not in vars(callback.model)


def test_a_trainer_of_lightning_that_fails_before_it_fits(monkeypatch, meter):
    installed(monkeypatch, "pytorch_lightning", Callback=Base)
    callback = lightning_callback(meter)
    callback.on_exception(trainer_of([]), None, KeyboardInterrupt())
    assert not active.has(meter)


def test_a_cell_with_spans_shows_them_and_its_line_ends_with_the_program(notebook):
    shell, shown, _ = notebook
    before = {*threading.enumerate()}
    shell.user_ns["spanned"] = lambda: active.latest().span("part")
    cell = "import threading\nwith spanned(): threads = threading.enumerate()\n[1, 2]\nx = 3"
    shell.magics["cell"](SOURCE, cell)
    usage, spans = shown
    assert usage is shell.user_ns["_energy"]
    assert [*spans] == ["part"]
    assert shell.user_ns["x"] == 3
    begun = [thread for thread in shell.user_ns["threads"] if thread not in before]
    assert begun
    assert all(thread.daemon for thread in begun), "an interpreter that ends does not wait for them"
    assert not any(thread.is_alive() for thread in begun if thread.name.startswith("Thread-"))
