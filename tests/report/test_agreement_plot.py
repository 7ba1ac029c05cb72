"""`energymeter check A --against B -o x.png`: what is found of two meters is what the picture shows."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from energymeter.calibration.second_meter import agreement
from energymeter.cli import cli
from energymeter.reading import Band, Facts, Provenance
from energymeter.recordings.trace import Trace
from energymeter.report.agreement_plot import plot_agreement

pytest.importorskip("matplotlib")
STEPS_S = np.array([0.0, 1.3, 2.1, 3.9, 5.0, 7.2, 8.1, 9.4, 11.0, 12.7, 14.1, 16.0, 17.2, 19.1])


def meter(
    name: str,
    lag_s: float = 0.0,
    offset: float = 0.0,
    provenance: Provenance = "measured",
    rate_hz: float = 100,
) -> Trace:
    """2 W and 5 W in turns, at irregular moments."""
    times = np.arange(0, 20, 1 / rate_hz)
    watts = np.where(np.searchsorted(STEPS_S, times - lag_s, side="right") % 2, 2.0, 5.0) + offset
    noise = np.random.default_rng(5).normal(0, 0.01, len(times))
    facts = Facts(provenance=provenance, watts=Band(0.01))
    return Trace.integrate(times, watts + noise, facts=facts, name=name)


@pytest.mark.parametrize("rate_hz", [100, 1000])
def test_bias_and_lag_are_drawn_as_they_were_found(rate_hz: float) -> None:
    a, b = meter("ina219", offset=0.2, rate_hz=rate_hz), meter("um25c", lag_s=0.4)
    found = agreement(a, b)
    picture = plot_agreement(a, b, found)
    power, apart = picture.figure.axes
    labels = [line.get_label() for line in power.lines]
    assert found.alignment is not None
    assert labels == ["A", f"B, moved by {-found.alignment.offset_s:+.3f} s"]
    edges = []
    for line in power.lines:
        x, y = np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)
        edges.append(float(x[1:][(np.diff(y) < -2) & (x[1:] > 0.5)][0]))
    assert edges[0] == pytest.approx(edges[1], abs=0.03), "the first step of both, once B is moved"
    (difference,) = [line for line in apart.lines if line.get_label() == "A minus B"]
    scale = 1000 if "mW" in apart.get_ylabel() else 1
    assert float(np.nanmedian(difference.get_ydata())) == pytest.approx(0.2 * scale, rel=0.1)
    (bias,) = [line for line in apart.lines if line.get_label() == "bias ±"]
    assert float(bias.get_ydata()[0]) == pytest.approx(found.bias_watts * scale)  # type: ignore[index]
    assert "A: ina219, measured at the rail, " in picture.alt
    assert "A minus B: +0.2" in picture.alt
    assert "outside the ±" in picture.alt
    assert f"Lag of B: {found.alignment.offset_s:+.4f} s" in picture.alt


def test_without_steps_the_lag_is_unknown_and_a_gap_stays_one() -> None:
    times = np.arange(0, 10, 0.01)
    noise = np.random.default_rng(1).normal(0, 0.01, len(times))
    keep = (times < 4) | (times > 6)
    a = Trace.integrate(times, 3.1 + noise, facts=Facts(watts=Band(0.01)), name="a")
    b = Trace.integrate(times[keep], 3.0 - noise[keep], facts=Facts(), name="b<script>$x$\x1b[2J")
    picture = plot_agreement(a, b, agreement(a, b), title="x")
    assert "The lag of B is unknown" in picture.alt
    assert "the accuracy of one meter is unknown" in picture.alt
    assert "\x1b" not in picture.alt
    (difference,) = [line for line in picture.figure.axes[1].lines if line.get_label() == "A minus B"]
    inside = (np.asarray(difference.get_xdata()) > 4.2) & (np.asarray(difference.get_xdata()) < 5.8)
    assert np.isnan(np.asarray(difference.get_ydata(), float)[inside]).all()
    svg = picture.to_bytes(".svg").decode()
    assert "<script" not in svg


def test_one_simulated_meter_is_enough_to_say_so() -> None:
    a, b = meter("a", provenance="simulated"), meter("b")
    picture = plot_agreement(a, b, agreement(a, b))
    assert picture.alt.startswith("SIMULATED data.")
    assert "SIMULATED" in [text.get_text() for text in picture.figure.axes[0].texts]


def check(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["check", *map(str, arguments)])


def test_check_draws_what_it_printed(tmp_path: Path) -> None:
    out = tmp_path / "x.svg"
    arguments = ["sim:pi4", "--against", "manual:5V,0.6A", "--seconds", "0.5", "--rate", "100", "-o", out]
    done = check(*arguments)
    assert done.exit_code == 0, done.output
    assert "bias, A minus B" in done.stdout
    assert "SIMULATED data." in out.read_text()
    again = check(*arguments)
    assert (again.exit_code, again.stdout) == (8, "")
    assert "exists; name another file, or use --force" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "x.png"], "give the other one with --against"),
        (["--against", "manual:3W", "-o", "x.html"], "give a name that ends with .png, .svg or .pdf"),
    ],
)
def test_a_picture_that_cannot_be_made_is_refused_before_anything_is_measured(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = check("sim:pi4", *arguments)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert message in refused.stderr
    assert not list(tmp_path.iterdir())
