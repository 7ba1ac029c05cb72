"""`energymeter check A --against B`: bias, noise and lag of one meter against another."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from energymeter.calibration.second_meter import Agreement, agreement
from energymeter.cli import cli
from energymeter.errors import NotMeasured
from energymeter.reading import Band, Facts
from energymeter.recordings.trace import Trace

BANDS = Facts(watts=Band(0.01))
STEPS_S = np.array([0.0, 1.3, 2.1, 3.9, 5.0, 7.2, 8.1, 9.4, 11.0, 12.7, 14.1, 16.0, 17.2, 19.1])


def load(times: np.ndarray) -> np.ndarray:
    """2 W and 5 W in turns, at irregular moments."""
    return np.where(np.searchsorted(STEPS_S, times, side="right") % 2, 2.0, 5.0)


def meter(
    rate_hz: float = 100,
    *,
    lag_s: float = 0.0,
    gain: float = 1.0,
    offset: float = 0.0,
    noise: float = 0.0,
    facts: Facts = BANDS,
    name: str = "a",
    seconds: float = 20.0,
) -> Trace:
    times = np.arange(0, seconds, 1 / rate_hz)
    rng = np.random.default_rng(5)
    watts = gain * load(times - lag_s) + offset + rng.normal(0, noise, len(times))
    return Trace.integrate(times, watts, facts=facts, name=name)


def held(a: Trace, b: Trace) -> Agreement:
    return agreement(a, b)


def test_a_meter_agrees_with_itself() -> None:
    found = held(meter(), meter(name="b"))
    assert found.bias_watts == pytest.approx(0, abs=1e-9)
    assert found.agrees
    assert found.alignment is not None
    assert found.alignment.offset_s == pytest.approx(0, abs=0.005)
    assert (found.a, found.b) == ("a", "b")


@pytest.mark.parametrize("lag_s", [-0.4, 0.03, 0.25, 0.9])
def test_the_lag_is_found_and_makes_no_bias(lag_s: float) -> None:
    found = held(meter(noise=0.01), meter(lag_s=lag_s, noise=0.01, rate_hz=80, name="b"))
    assert found.alignment is not None
    assert found.alignment.offset_s == pytest.approx(lag_s, abs=0.01)
    assert abs(found.bias_watts) < 0.02


@pytest.mark.parametrize(("gain", "offset"), [(1.03, 0.0), (1.0, -0.2), (0.97, 0.1)])
def test_the_bias_is_that_of_the_mean_power(gain: float, offset: float) -> None:
    found = held(meter(gain=gain, offset=offset, noise=0.02), meter(name="b", noise=0.02))
    expected = (gain - 1) * found.b_watts + offset
    assert found.bias_watts == pytest.approx(expected, abs=0.01)
    # 1 % of some 3.5 W, twice, as a rectangle
    assert found.agrees is (abs(expected) < 0.05)


def test_noise_is_that_of_each_meter_without_the_steps() -> None:
    found = held(meter(noise=0.02), meter(noise=0.1, name="b"))
    assert found.a_noise_watts == pytest.approx(0.02, rel=0.1)
    assert found.b_noise_watts == pytest.approx(0.1, rel=0.1)


def test_a_load_without_steps_has_a_bias_and_no_lag() -> None:
    rng = np.random.default_rng(1)
    times = np.arange(0, 10, 0.01)
    a = Trace.integrate(times, 3.1 + rng.normal(0, 0.01, 1000), facts=BANDS, name="a")
    b = Trace.integrate(times, 3.0 + rng.normal(0, 0.01, 1000), facts=BANDS, name="b")
    found = held(a, b)
    assert found.alignment is None
    assert found.bias_watts == pytest.approx(0.1, abs=0.005)
    assert "lag of B            unknown" in str(found)
    json.dumps(found.to_dict())


def test_an_unknown_accuracy_gives_no_verdict() -> None:
    found = held(meter(facts=Facts()), meter(name="b"))
    assert (found.allowed_watts, found.agrees) == (None, None)
    assert "cannot tell" in str(found)


def test_too_little_is_refused() -> None:
    with pytest.raises(NotMeasured, match="fewer than 20 samples"):
        held(meter(rate_hz=0.5), meter())


@pytest.mark.slow
def test_two_sources_in_one_command() -> None:
    line = ["check", "sim:pi4", "--against", "sim:pi4?noise=0.02", "--seconds", "3", "--rate", "50", "--work"]
    done = CliRunner().invoke(cli, line)
    assert done.exit_code == 0, done.output
    for row in ("A ", "B ", "bias, A minus B", "agreement", "noise of a sample", "lag of B"):
        assert f"  {row}" in done.stdout
    done = CliRunner().invoke(cli, [*line, "--json"])
    said = json.loads(done.stdout)
    assert said["seconds"] > 1.5
    assert abs(said["bias_watts"]) < 0.5
    assert said["b_noise_watts"] > said["a_noise_watts"]


@pytest.mark.slow
def test_a_source_against_itself_is_two_sources() -> None:
    line = ["check", "manual:5V,0.6A", "--against", "manual:5V,0.6A", "--seconds", "1", "--rate", "50"]
    done = CliRunner().invoke(cli, [*line, "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["bias_watts"] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    "options", [["--zero", "--against", "manual:1W"], ["--work"]], ids=["zero", "work alone"]
)
def test_options_that_exclude_each_other(options: list[str]) -> None:
    done = CliRunner().invoke(cli, ["check", "manual:1W", *options])
    assert done.exit_code == 2
    assert "leave" in done.stderr or "give" in done.stderr
