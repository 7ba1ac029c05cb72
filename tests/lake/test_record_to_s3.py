"""An agent pushes its record to a bucket that goes away and comes back; moto's server speaks S3."""

import math
import time

import pytest

pytest.importorskip("s3fs", reason="s3fs is not installed here: make test-lake")
pytest.importorskip("moto.server", reason="moto is not installed here: make test-lake")
pytest.importorskip("duckdb", reason="DuckDB is not installed here: make test-lake")

from lakes import CREDENTIALS, s3_server

from energymeter import EnergyMeter
from energymeter.clock import SystemClock
from energymeter.lake import Choice, Store, Tables
from energymeter.lake.questions import QUESTIONS
from energymeter.recordings.trace import Trace
from energymeter.serve.push import LakePusher
from energymeter.serve.record_folder import RecordFolder
from energymeter.serve.snapshot import PushState

pytestmark = pytest.mark.peers


def test_a_bucket_that_was_away_gets_every_recording_once(tmp_path, monkeypatch):
    for name, value in {**CREDENTIALS, "AWS_MAX_ATTEMPTS": "1"}.items():
        monkeypatch.setenv(name, value)
    server, endpoint = s3_server()
    store = Store("s3://record/lake", endpoint_url=endpoint)
    store.files.mkdir("record")
    folder = RecordFolder(str(tmp_path), 10_000_000, 1_000_000)
    folder.take()
    pusher = LakePusher(folder, "s3://record/lake", endpoint)
    joules = recorded(folder, 2)
    assert pusher.step()
    server.stop()
    joules += recorded(folder, 2)
    assert not pusher.step()
    assert pusher.state() == PushState(2, 0)
    server, _ = s3_server(int(endpoint.rpartition(":")[2]))
    try:
        assert pusher.step()
        assert pusher.state() == PushState(0, 0)
        assert LakePusher(folder, "s3://record/lake", endpoint).step()
        answer = QUESTIONS["fleet"](Tables(store), Choice(include=("simulated", "manual", "uncalibrated")))
    finally:
        server.stop()
    assert math.fsum(row["joules"] for row in answer.rows) == pytest.approx(joules)


def recorded(folder, count):
    """Finish so many recordings, one after the other; the J that are in them."""
    joules = 0.0
    for _ in range(count):
        path = folder.begin("board", SystemClock().time())
        with EnergyMeter("manual:5V,0.6A", rate_hz=50, out=path, force=True):
            time.sleep(0.2)  # it is time that is recorded
        folder.finish(path)
        joules += Trace.load(path).usage().joules
    return joules
