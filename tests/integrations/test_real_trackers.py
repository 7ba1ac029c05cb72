"""Trackers in their offline modes: what was logged is read back."""

import contextlib
import json
import os
import sqlite3
import zipfile
from pathlib import Path

import pytest
from integrations.frameworks import offline_with_one_thread, versions

from energymeter import EnergyMeter
from energymeter.integrations import figures, log_usage

offline_with_one_thread()
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def usage(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with EnergyMeter("manual:5V,0.6A", linger=0) as meter:
        sum(range(100_000))
    return meter.usage.with_units(grid="DEU", images=8)


def version(package, module=None):
    """Skip where it is absent, else run with its version next to the name."""
    pytest.importorskip(module or package, reason=f"{package} is not installed; `make test-trackers` has it")
    return versions(package)


def test_mlflow(usage, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    print(version("mlflow-skinny", "mlflow"))
    import mlflow

    mlflow.set_tracking_uri(Path("runs").absolute().as_uri())
    with mlflow.start_run() as run:
        log_usage(mlflow, usage, step=3, grid="DEU")
    stored = mlflow.get_run(run.info.run_id).data
    assert stored.metrics == pytest.approx(figures(usage, "DEU"))
    assert stored.tags["energy/provenance"] == "manual"


def test_weights_and_biases(usage):
    print(version("wandb"))
    import wandb

    with wandb.init(mode="offline", dir=str(Path.cwd()), project="energy") as run:
        log_usage(run, usage, step=3, grid="DEU")
    wandb.teardown()  # its process may write after the run has ended; this waits until it is gone
    assert run.config["energy/provenance"] == "manual"
    (kept,) = Path("wandb").glob("offline-run-*/*.wandb")
    written = kept.read_bytes()  # records of names and JSON values
    numbers = figures(usage, "DEU")
    assert [name for name in numbers if name.encode() not in written] == []
    assert json.dumps(usage.joules).encode()[:12] in written


def test_tensorboard(usage):
    print(version("tensorboard"))
    summary_writer = pytest.importorskip("tensorboardX").SummaryWriter
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with summary_writer("logs") as writer:
        log_usage(writer, usage, step=3, grid="DEU")
    stored = EventAccumulator("logs").Reload()
    assert set(stored.Tags()["scalars"]) == set(figures(usage, "DEU"))
    (event,) = stored.Scalars("energy/joules")
    assert (event.step, event.value) == (3, pytest.approx(usage.joules))


def test_comet(usage, monkeypatch):
    print(version("comet-ml", "comet_ml"))
    import comet_ml

    experiment = comet_ml.OfflineExperiment(
        api_key="none", project_name="energy", offline_directory=os.getcwd(), display_summary_level=0
    )
    log_usage(experiment, usage, step=3, grid="DEU")
    experiment.end()
    (archive,) = Path.cwd().glob("*.zip")
    with zipfile.ZipFile(archive) as stored:
        lines = [json.loads(line) for line in stored.read("messages.json").decode().splitlines()]
    logged = json.dumps(lines)
    assert all(name in logged for name in figures(usage, "DEU"))


def test_trackio(usage, monkeypatch):
    monkeypatch.setenv("TRACKIO_DIR", str(Path.cwd()))
    print(version("trackio"))
    import trackio

    trackio.init(project="energy", name="run")
    log_usage(trackio, usage, step=3, grid="DEU")
    trackio.finish()
    with contextlib.closing(sqlite3.connect("energy.db")) as database:
        ((step, logged),) = database.execute("SELECT step, metrics FROM metrics")
    stored = json.loads(logged)
    assert step == 3
    assert {name: stored[name] for name in figures(usage, "DEU")} == pytest.approx(figures(usage, "DEU"))
    assert stored["energy/provenance"] == "manual"
