"""The real `energymeter serve` process is killed while a block reads from it, and is started again."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import pytest
from devices.processes import until

from energymeter import EnergyMeter
from energymeter.sampling import agent as client

WATTS = 3.0


class ServeProcess:
    """`energymeter serve` at a Unix socket, as a process of its own."""

    def __init__(self, path: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "energymeter", "serve", "manual:5V,0.6A"],
            env={**os.environ, client.VARIABLE: path},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        until(self._answers)

    def _answers(self) -> bool:
        assert self._process.poll() is None, "the agent has ended"
        try:
            client.Connection().close()
        except client.SourceMissing:
            return False
        return True

    def kill(self) -> None:
        """As `kill -9` of the agent alone: what it started must notice by itself."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()


@pytest.fixture
def path(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="em-")  # short, as a Unix socket needs
    made = os.path.join(folder, "agent.sock")
    monkeypatch.setenv(client.VARIABLE, made)
    yield made
    shutil.rmtree(folder)


@pytest.mark.slow
def test_a_killed_agent_is_a_gap_and_the_reader_goes_on(path: str) -> None:
    agents = [ServeProcess(path)]
    try:
        with EnergyMeter("agent") as meter:
            (channel,) = meter._life.latest.sampler.channels
            until(lambda: len(channel.curve) > 5)
            agents[0].kill()
            away = time.monotonic()
            time.sleep(1.0)
            agents.append(ServeProcess(path))
            away = time.monotonic() - away
            sampler = meter._life.latest.sampler
            count = len(sampler.channels[0].curve)
            until(lambda: len(meter._life.latest.sampler.channels[0].curve) > count + 10)
            leaving = time.monotonic()
        left = time.monotonic() - leaving
    finally:
        agents[-1].close()
    usage = meter.usage
    assert left < 1.0
    assert usage.seconds - usage.measured_seconds > 0.8 * away  # nothing is filled in
    assert usage.coverage > 0.0
    assert usage.joules == pytest.approx(WATTS * usage.measured_seconds, rel=0.01)
    assert any("the agent was away" in note for note in usage.notes), usage.notes
