"""The driver of an agent: its samples one by one, as a stream."""

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from energymeter import EnergyMeter
from energymeter.drivers.agent import Agent
from energymeter.energy.integrate import Sample
from energymeter.errors import SourceMissing, SpecError
from energymeter.reading import Reading
from energymeter.sampling.agent import VARIABLE, Address
from energymeter.sampling.agent_feed import readings_of
from energymeter.serve.agent import Agent as Serving
from energymeter.serve.config import Config
from energymeter.serve.local import LocalServer, bound
from energymeter.testing import check_source, check_unplugged


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serving]:
    with tempfile.TemporaryDirectory(prefix="em-") as folder:
        path = os.path.join(folder, "agent.sock")
        monkeypatch.setenv(VARIABLE, path)
        agent = Serving(Config.of(("manual:5V,0.6A", "sim:pi4")))
        server = LocalServer(agent, bound(path, None))
        yield agent
        server.close()
        agent.close()


def test_keeps_the_drivers_contract(serving: Serving) -> None:
    check_source(Agent, accuracy_known=False)
    check_source(lambda: Agent("sim"), accuracy_known=False)


def test_without_an_agent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "agent.sock"))
    check_unplugged(Agent)
    assert Agent.addresses() == []


def test_another_source_is_measured_next_to_it(serving: Serving) -> None:
    assert Agent.addresses() == [""]
    with EnergyMeter("agent+manual:5V,1A") as meter:
        time.sleep(0.2)
    assert meter.usage.mean_watts == pytest.approx(8.0, rel=0.01)
    assert set(meter.usage.sources) == {"manual:5V,0.6A", "manual:5V,1A"}


def test_a_name_that_the_agent_does_not_serve(serving: Serving) -> None:
    with pytest.raises(SourceMissing, match="it has: manual, sim"):
        Agent("um25c").open()


@pytest.mark.parametrize("text", ["laptop/um25c", ":80/x", "laptop:0/x", "laptop:http/x", "laptop:99999"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(SpecError):
        Address.of(text)


SAMPLE = Sample(10_000_000_000, 30.0, 6.0, 50.0, 10_000_000_000, 0.0, 3.0, 5.0, 0.6)


def test_a_gap_stays_a_gap() -> None:
    later = SAMPLE._replace(at_ns=20_000_000_000, joules=30.0)
    gap, sample = readings_of("instant", SAMPLE, later)
    assert gap == Reading(at_ns=15_000_000_000)
    assert (sample.watts, sample.volts, sample.amps, sample.at_ns) == (3.0, 5.0, 0.6, 20_000_000_000)
    (covered,) = readings_of("instant", SAMPLE, later._replace(covered_ns=20_000_000_000))
    assert covered == sample


def test_a_mean_describes_what_was_covered() -> None:
    later = SAMPLE._replace(at_ns=20_000_000_000, covered_ns=14_000_000_000)
    (mean,) = readings_of("mean", SAMPLE, later)
    assert mean.seconds == pytest.approx(4.0)


def test_a_counter_is_passed_on() -> None:
    (counter,) = readings_of("counter", None, SAMPLE)
    assert (counter.joules, counter.coulombs, counter.watts) == (30.0, 6.0, None)
