"""Recordings that nobody here made give the figures that their makers published."""

import json
import re
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from energymeter import EnergyMeter
from energymeter.cli import cli
from energymeter.errors import ImplausibleReading, NotMeasured
from energymeter.recordings.trace import Trace

UPS = "traces/rpi4_ups_discharge/batt_log_2021-04-28_203426.csv"
DAY = "traces/e2fl/jetson_power_log_24h_20250131.csv.gz"
SILENT = "traces/e2fl/power_RPi5_2025-05-16_011058.291038.csv"
MISLABELLED = "traces/e2fl/power_RPi5_2025-03-28_015640.230948.csv"
MCU = "traces/mlperf_tiny/NUCLEO_L4R5ZI_ad"
PI4 = "traces/mlperf_inference_rpi4/mobilenet-v1-"


def test_mlperf_tiny_energy_per_inference(shared_data: Path) -> None:
    """Every second window of the timestamps is a measured one of 2 000 inferences (results.txt)."""
    trace = Trace.load(shared_data / MCU / "trace1-energy.bin")
    edges = json.loads((shared_data / MCU / "trace1-timestamps.json").read_text())
    microjoules = trace.energy(edges[1::2], np.array(edges[1::2]) + 10.5) * 1e6 / 2000
    official = (shared_data / MCU / "results.txt").read_text()
    (published,) = re.findall(r"Median energy cost is ([\d.]+) uJ/inf", official)
    assert float(published) == 203.368
    assert float(np.median(microjoules)) == pytest.approx(203.368, rel=1e-4)


def test_pi4_run_down_on_its_ups(shared_data: Path) -> None:
    usage = Trace.load(shared_data / UPS).usage()
    assert usage.wh == pytest.approx(33.59, rel=1e-3)
    assert usage.mean_watts == pytest.approx(8.154, rel=1e-3)
    assert usage.seconds / 3600 == pytest.approx(4.12, rel=1e-3)
    assert usage.mah is None  # no current was recorded
    assert usage.mean_volts == pytest.approx(3.7, abs=0.5)


def test_jetson_idle_for_a_day(shared_data: Path) -> None:
    trace = Trace.load(shared_data / DAY)
    assert len(trace) == 171_982
    assert trace.usage().wh == pytest.approx(117.78, rel=1e-3)
    assert trace.usage().coverage == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("network", "watts", "joules"), [("quantized", 7.359, 0.2241), ("non-quantized", 7.044, 0.5039)]
)
def test_mlperf_pi4_official_window(shared_data: Path, network: str, watts: float, joules: float) -> None:
    """Mean power over the official power window; energy of one of its queries a second."""
    run = shared_data / f"{PI4}{network}-run_1"
    trace = Trace.load(run / "spl.txt")
    assert trace.epoch_s is not None
    window = json.loads((run / "window.json").read_text())
    start, end = (
        datetime.strptime(window[edge], "%m-%d-%Y %H:%M:%S.%f").timestamp() - trace.epoch_s
        for edge in ("power_begin", "power_end")
    )
    usage = trace.usage(start, end)
    (rate,) = re.findall(
        r"QPS w/ loadgen overhead\s*: ([\d.]+)", (run / "mlperf_log_summary.txt").read_text()
    )
    assert usage.mean_watts == pytest.approx(watts, rel=1e-3)
    assert usage.mean_watts is not None
    assert usage.mean_watts / float(rate) == pytest.approx(joules, rel=1e-3)
    assert usage.place == "wall"
    assert usage.coulombs is None  # alternating current carries no charge


def test_header_without_a_sample(shared_data: Path) -> None:
    with pytest.raises(NotMeasured, match="holds no samples"):
        Trace.load(shared_data / SILENT)


def test_power_in_the_wrong_unit(shared_data: Path) -> None:
    """The header says mW, the values are W: a Pi 5 of 4 mW does not exist."""
    with pytest.raises(ImplausibleReading, match="say unit=W"):
        Trace.load(shared_data / MISLABELLED)
    usage = Trace.load(shared_data / MISLABELLED, unit="W").usage()
    assert usage.mean_watts == pytest.approx(4.17, rel=0.01)


@pytest.mark.parametrize(("cycle", "amp_hours"), [("003", 1.8684), ("319", 1.3605)])
def test_cell_capacity(shared_data: Path, cycle: str, amp_hours: float) -> None:
    """Discharge currents are recorded as negative."""
    usage = Trace.load(shared_data / f"traces/nasa_pcoe/B0018_cycle_{cycle}.csv").usage()
    assert usage.mah is not None
    assert -usage.mah / 1000 == pytest.approx(amp_hours, rel=1e-4)
    assert usage.joules < 0


@pytest.mark.parametrize(
    ("file", "options"),
    [
        (UPS, ""),
        (f"{MCU}/trace1-energy.bin", ""),
        (f"{PI4}quantized-run_1/spl.txt", ""),
        (MISLABELLED, "&unit=W"),
    ],
)
def test_played_and_shown_alike(shared_data: Path, file: str, options: str) -> None:
    """The live path (sampling process, shared curve) and the command line agree with numpy."""
    path = shared_data / file
    hints = dict(pair.split("=") for pair in options.split("&") if pair)
    expected = Trace.load(path, **hints).usage()
    with EnergyMeter(f'replay@"{path}"?speed=max{options}') as meter:
        pass
    played = meter.usage
    assert played.joules == pytest.approx(expected.joules, rel=1e-9)
    assert played.seconds == pytest.approx(expected.seconds, rel=1e-9)
    assert played.coverage == pytest.approx(expected.coverage, rel=1e-9)
    shown = CliRunner().invoke(cli, ["show", str(path), "--json", *(f"--{k}={v}" for k, v in hints.items())])
    assert json.loads(shown.stdout)["joules"] == pytest.approx(expected.joules, rel=1e-12)


@pytest.mark.parametrize(("file", "kind"), [(SILENT, NotMeasured), (MISLABELLED, ImplausibleReading)])
def test_bad_recordings_are_not_played(shared_data: Path, file: str, kind: type[Exception]) -> None:
    with pytest.raises(kind), EnergyMeter(f'replay@"{shared_data / file}"?speed=max'):
        pass
