"""PyTorch and what is built on it, on the processor: the Trainers, Keras, Accelerate, pipelines, layers."""

import os
from pathlib import Path

import pytest
from integrations.frameworks import SOURCE, agree, offline_with_one_thread, versions

from energymeter import Battery, Budget, EnergyMeter
from energymeter.integrations import (
    TrainingEnergy,
    instrument,
    keras_callback,
    layer_shares,
    lightning_callback,
    transformers_callback,
)
from energymeter.meter import active

offline_with_one_thread()
os.environ["KERAS_BACKEND"] = "torch"
torch = pytest.importorskip("torch", reason="torch is not installed; `make test-integrations` has it")
transformers = pytest.importorskip("transformers")
lightning = pytest.importorskip("pytorch_lightning")
keras = pytest.importorskip("keras")
accelerate = pytest.importorskip("accelerate")

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]
torch.set_num_threads(1)


@pytest.fixture(
    autouse=True,
    params=[versions("torch", "transformers", "pytorch-lightning", "keras", "accelerate")],
    ids=str,
)
def _desk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))


@pytest.fixture
def meter():
    return EnergyMeter(SOURCE, linger=0)


class Squares(torch.utils.data.Dataset):
    """Random inputs and what is to be learned of them."""

    def __init__(self, n=32):
        self.x = torch.randn(n, 8)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return {"x": self.x[i], "labels": (self.x[i] ** 2).sum()}


class Stream(torch.utils.data.IterableDataset):
    """The same, without a length."""

    def __iter__(self):
        yield from Squares()


class Regression(torch.nn.Module):
    """What the Trainer of transformers can train."""

    def __init__(self):
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Linear(8, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))

    def forward(self, x, labels=None):
        y = self.net(x).squeeze(-1)
        return {"loss": torch.nn.functional.mse_loss(y, labels), "logits": y}


def counts(energy):
    return {
        unit.unit: unit.number
        for name, spans in energy.meter.spans.items()
        if name != "warm-up step"
        for unit in spans.usage.units
    }


# Plain PyTorch ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dataset", "options"),
    [
        (Squares, {}),
        (Squares, {"num_workers": 2, "persistent_workers": True}),
        (Stream, {}),
        (Stream, {"num_workers": 1, "persistent_workers": True}),
    ],
)
def test_a_data_loader_is_tracked_and_its_workers_end(meter, dataset, options):
    model, loader = Regression(), torch.utils.data.DataLoader(dataset(), batch_size=8, **options)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    with meter:
        for _ in range(2):
            for batch in meter.track(loader, name="step"):
                optimizer.zero_grad()
                model(**batch)["loss"].backward()
                optimizer.step()
    assert len(meter.spans["step"]) == 8
    assert meter.spans["step"].usage.joules < meter.usage.joules
    assert not active.has(meter)


def test_a_training_of_ones_own_with_accelerate(meter):
    accelerator = accelerate.Accelerator(cpu=True)
    model = Regression()
    model, optimizer, loader = accelerator.prepare(
        model,
        torch.optim.SGD(model.parameters(), lr=1e-3),
        torch.utils.data.DataLoader(Squares(), batch_size=8),
    )
    energy = TrainingEnergy(meter)
    outer = EnergyMeter(SOURCE, linger=0)
    with (
        outer,
        energy.run(reports=accelerator.is_local_main_process, processes=accelerator.num_processes),
    ):
        for _ in range(2):
            for batch in energy.track(loader):
                accelerator.backward(model(**batch)["loss"])
                optimizer.step()
                optimizer.zero_grad()
            with energy.part("checkpoint"):
                accelerator.save_state("state")
    assert counts(energy) == {"epochs": 2, "steps": 7, "checkpoints": 2}
    assert agree(meter, outer)


# Hugging Face -----------------------------------------------------------------------------------


def trainer(callback, **options):
    arguments = transformers.TrainingArguments(
        "out",
        per_device_train_batch_size=8,
        num_train_epochs=2,
        use_cpu=True,
        report_to=[],
        disable_tqdm=True,
        **options,
    )
    return transformers.Trainer(
        Regression(), arguments, train_dataset=Squares(), eval_dataset=Squares(16), callbacks=[callback]
    )


def test_the_trainer_of_transformers(meter):
    callback = transformers_callback(meter)
    training = trainer(callback, eval_strategy="epoch", save_strategy="epoch")
    outer = EnergyMeter(SOURCE, linger=0)
    with outer:
        training.train()
    energy = callback.energy
    assert counts(energy) == {"epochs": 2, "steps": 7, "evaluations": 2, "checkpoints": 2}
    assert not active.has(meter)
    assert agree(meter, outer)
    parts = [energy.meter.spans[name].usage.joules for name in ("epoch", "evaluation", "checkpoint")]
    assert 0.5 * energy.usage.joules < sum(parts) <= energy.usage.joules


def test_evaluations_in_the_midst_of_an_epoch_are_in_none(meter):
    callback = transformers_callback(meter)
    training = trainer(
        callback, eval_strategy="steps", eval_steps=2, save_strategy="best", metric_for_best_model="loss"
    )
    training.train()
    found = counts(callback.energy)
    assert (found["evaluations"], found["epochs"], found["steps"]) == (4, 2, 7)
    assert 1 <= found["checkpoints"] <= 4


def test_accumulated_batches_are_one_step(meter):
    callback = transformers_callback(meter, warmup_steps=0)
    trainer(callback, gradient_accumulation_steps=2, save_strategy="no").train()
    assert counts(callback.energy) == {"epochs": 2, "steps": 4}


def test_the_error_of_a_dataset_passes_through_the_trainer(meter):
    class Broken(Squares):
        def __getitem__(self, i):
            raise ZeroDivisionError("of the user")

    callback = transformers_callback(meter)
    training = trainer(callback, save_strategy="no")
    training.train_dataset = Broken()
    with meter, pytest.raises(ZeroDivisionError, match="of the user"):
        training.train()
    assert not active.has(meter)


def budgeted(joules):
    Budget("lab", Battery(joules / 3.6 / 5, basis="rail", capacity_sigma=0.0))
    return EnergyMeter("manual:50V,20A", linger=0, budget="lab")


def test_at_the_reserve_the_trainer_saves_and_ends():
    callback = transformers_callback(budgeted(2000.0), reserve=0.5)
    training = trainer(callback, save_strategy="no", max_steps=1_000_000)
    training.train()
    assert "reserve is reached" in callback.energy.stopped
    steps = training.state.global_step
    assert 0 < steps < 1_000_000
    assert Path(f"out/checkpoint-{steps}").is_dir()
    assert Budget("lab").remaining_share.value > 0.3


def test_a_pipeline_by_phase(meter):
    config = transformers.BertConfig(
        vocab_size=30, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghij"]
    Path("vocab.txt").write_text("\n".join(words))
    pipe = transformers.pipeline(
        "text-classification",
        model=transformers.BertForSequenceClassification(config),
        tokenizer=transformers.BertTokenizer(
            vocab_file="vocab.txt", vocab={w: i for i, w in enumerate(words)}
        ),
        device="cpu",
    )
    before = pipe("a b c")
    outer = EnergyMeter(SOURCE, linger=0)
    with instrument(pipe, meter, texts=1), outer, meter:
        assert pipe("a b c")[0]["label"] == before[0]["label"]
        assert len(pipe(["a b", "c d", "e f"])) == 3
    for phase in ("preprocess", "infer", "postprocess"):
        assert len(meter.spans[phase]) == 4, phase
    assert meter.spans["infer"].usage.per("texts").number == 4
    assert sum(meter.spans[phase].usage.joules for phase in meter.spans) <= meter.usage.joules
    assert agree(meter, outer)
    assert "forward" not in vars(pipe)


# Lightning --------------------------------------------------------------------------------------


class Module(lightning.LightningModule):
    """The same regression."""

    def __init__(self):
        super().__init__()
        self.model = Regression()

    def training_step(self, batch, _):
        return self.model(**batch)["loss"]

    def validation_step(self, batch, _):
        self.log("loss", self.model(**batch)["loss"])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1e-3)


def lightning_trainer(callback, **options):
    return lightning.Trainer(
        accelerator="cpu",
        callbacks=[callback],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )


def loaders(n=32):
    load = torch.utils.data.DataLoader
    return load(Squares(n), batch_size=8), load(Squares(16), batch_size=8)


def test_lightning(meter):
    callback = lightning_callback(meter)
    training, (train, validate) = lightning_trainer(callback, max_epochs=2), loaders()
    outer = EnergyMeter(SOURCE, linger=0)
    with outer:
        training.fit(Module(), train, validate)
    energy = callback.energy
    assert counts(energy) == {"epochs": 2, "steps": 7, "evaluations": 2, "checkpoints": 2}
    assert agree(meter, outer)
    assert "save_checkpoint" not in vars(training)


def test_the_error_of_a_step_passes_through_lightning_and_the_meter_is_left(meter):
    class Broken(Module):
        def training_step(self, batch, number):
            return 1 // (1 - number) * super().training_step(batch, number)

    callback = lightning_callback(meter)
    with pytest.raises(ZeroDivisionError):
        lightning_trainer(callback, max_epochs=1).fit(Broken(), *loaders())
    assert not active.has(meter)


def test_at_the_reserve_lightning_saves_and_ends(tmp_path):
    callback = lightning_callback(budgeted(1500.0), reserve=0.5)
    training = lightning_trainer(
        callback, max_epochs=100_000, default_root_dir=str(tmp_path), enable_checkpointing=False
    )
    training.fit(Module(), loaders()[0])
    assert "reserve is reached" in callback.energy.stopped
    assert (tmp_path / "energy-reserve.ckpt").is_file()
    assert Budget("lab").remaining_share.value > 0.3


# Keras ------------------------------------------------------------------------------------------


def keras_model():
    model = keras.Sequential(
        [keras.layers.Input((8,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(1)]
    )
    model.compile("sgd", "mse")
    return model


def test_keras(meter):
    x = torch.randn(32, 8).numpy()
    callback, model = keras_callback(meter), keras_model()
    saving = keras.callbacks.ModelCheckpoint("best.keras")
    outer = EnergyMeter(SOURCE, linger=0)
    with outer:
        model.fit(
            x,
            x[:, :1],
            batch_size=8,
            epochs=2,
            validation_data=(x, x[:, :1]),
            verbose=0,
            callbacks=[callback, saving],
        )
    energy = callback.energy
    assert counts(energy) == {"epochs": 2, "steps": 7, "evaluations": 2, "checkpoints": 2}
    assert agree(meter, outer)
    assert "save" not in vars(model)
    keras.saving.load_model("best.keras")


def test_at_the_reserve_keras_saves_and_ends():
    x = torch.randn(32, 8).numpy()
    callback, model = keras_callback(budgeted(1500.0), reserve=0.5, save_to="last.keras"), keras_model()
    model.fit(x, x[:, :1], batch_size=8, epochs=100_000, verbose=0, callbacks=[callback])
    assert "reserve is reached" in callback.energy.stopped
    keras.saving.load_model("last.keras")
    assert Budget("lab").remaining_share.value > 0.3


# Layers -----------------------------------------------------------------------------------------


def test_layers_share_the_energy_of_the_block_by_time(meter):
    model = torch.nn.Sequential(torch.nn.Linear(512, 512), torch.nn.ReLU(), torch.nn.Linear(512, 4))
    with meter, layer_shares(model, meter) as shares, torch.no_grad():
        for _ in range(5):
            model(torch.randn(256, 512))
    layers = {layer.name: layer for layer in shares.layers}
    assert sorted(layers) == ["0", "1", "2"]
    assert [layers[name].kind for name in "012"] == ["Linear", "ReLU", "Linear"]
    assert {layer.calls for layer in layers.values()} == {5}
    assert sum(layer.share for layer in layers.values()) == pytest.approx(1)
    assert sum(layer.joules for layer in layers.values()) == pytest.approx(shares.span.usage.joules)
    assert "shared out by the time" in str(shares)
    assert "J by time" in shares._repr_html_()
    assert not model[0]._forward_hooks
    assert not model[0]._forward_pre_hooks
