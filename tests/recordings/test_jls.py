"""Joulescope's JLS files, written by their maker's library and read with it."""

import builtins
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from energymeter import Trace
from energymeter.cli import cli
from energymeter.errors import ExtraMissing, LogError, NotMeasured
from energymeter.recordings import jls

pyjls = pytest.importorskip("pyjls", reason="pyjls, which writes and reads JLS files, is not installed")

EPOCH = 1_777_888_800.0
HZ = 1000


def written(
    path: Path,
    devices: dict[str, dict[str, Any]],
    *,
    hz: int = HZ,
    starts: tuple[float, ...] = (EPOCH, EPOCH),
) -> Path:
    """A JLS file with these signals, by device and name."""
    units = {"current": "A", "voltage": "V", "power": "W"}
    with pyjls.Writer(str(path)) as writer:
        number = 0
        for source, (device, signals) in enumerate(devices.items(), 1):
            writer.source_def(
                source_id=source,
                name=device,
                vendor="Jetperch",
                model="JS220",
                version="1",
                serial_number="1",
            )
            for name, samples in signals.items():
                number += 1
                writer.signal_def(
                    signal_id=number, source_id=source, sample_rate=hz, name=name, units=units[name],
                    data_type=pyjls.DataType.F32,
                )  # fmt: skip
                data = np.asarray(samples, np.float32)
                writer.fsr(number, 0, data)
                start = starts[source - 1]
                for at in (0, len(data)):
                    writer.utc(number, at, pyjls.utc_to_jls(start + at / hz))
    return path


def load(seconds: float, watts: float = 5.0) -> dict[str, Any]:
    """A load that swings, at 5 V; the power is as exact as float32 is."""
    at = np.arange(round(seconds * HZ)) / HZ
    amps = (watts / 5 * (1 + 0.5 * np.sin(at))).astype(np.float32)
    return {"current": amps, "voltage": np.full(len(at), 5, np.float32), "power": amps * np.float32(5)}


def integral(signals: dict[str, Any]) -> float:
    return float(np.sum(signals["power"].astype(np.float64)) / HZ)


def test_the_energy_is_the_sum_of_the_samples(tmp_path: Path) -> None:
    signals = load(50)
    trace = Trace.load(written(tmp_path / "a.jls", {"JS220-000001": signals}))
    usage = trace.usage()
    assert usage.joules == pytest.approx(integral(signals), rel=1e-9)
    assert usage.coulombs == pytest.approx(integral(signals) / 5, rel=1e-6)
    assert usage.seconds == pytest.approx(50)
    assert usage.coverage == pytest.approx(1.0)
    assert trace.epoch_s == pytest.approx(EPOCH, abs=1e-6)
    assert "Joulescope JLS: 1000 samples a second, watts [W], volts [V], amps [A]" in trace.read_as


def test_many_samples_are_joined_and_keep_their_energy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jls, "MOST_ROWS", 1000)
    monkeypatch.setattr(jls, "_BLOCK_SAMPLES", 512)
    signals = load(33.333)
    trace = Trace.load(written(tmp_path / "a.jls", {"one": signals}))
    assert len(trace) <= 1001
    assert trace.usage().joules == pytest.approx(integral(signals), rel=1e-9)
    assert trace.usage().seconds == pytest.approx(33.333)
    assert "34 samples each were joined" in trace.notes[0]


def test_devices_are_added_or_chosen(tmp_path: Path) -> None:
    one, other = load(20, 5.0), load(20, 10.0)
    path = written(tmp_path / "a.jls", {"JS220-1": one, "JS220-2": other})
    assert Trace.load(path).usage().joules == pytest.approx(integral(one) + integral(other), rel=1e-9)
    assert Trace.load(path, channel="JS220-2").usage().joules == pytest.approx(integral(other), rel=1e-9)


def test_without_power_volts_and_amps_are_multiplied_sample_by_sample(tmp_path: Path) -> None:
    signals = load(20)
    del signals["power"]
    signals["voltage"] = (5 - signals["current"]).astype(np.float32)
    product = np.sum(signals["voltage"].astype(np.float64) * signals["current"]) / HZ
    trace = Trace.load(written(tmp_path / "a.jls", {"one": signals}))
    assert trace.usage().joules == pytest.approx(product, rel=1e-9)


def test_missing_samples_are_no_energy_and_not_covered(tmp_path: Path) -> None:
    signals = load(20)
    for samples in signals.values():
        samples[5000:7000] = np.nan
    trace = Trace.load(written(tmp_path / "a.jls", {"one": signals}))
    usage = trace.usage()
    assert usage.coverage == pytest.approx(0.9)
    assert usage.joules == pytest.approx(float(np.nansum(signals["power"].astype(np.float64)) / HZ), rel=1e-6)


def test_flipped_bytes_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jls", {"one": load(50)})
    whole = bytearray(path.read_bytes())
    for place in range(len(whole) // 4, len(whole), len(whole) // 7):
        whole[place] ^= 0xFF
    path.write_bytes(whole)
    with pytest.raises(LogError, match="no whole JLS file"):
        Trace.load(path)


def test_a_current_alone_is_a_charge(tmp_path: Path) -> None:
    signals = {"current": load(20)["current"]}
    trace = Trace.load(written(tmp_path / "a.jls", {"one": signals}))
    assert trace.is_charge_alone
    assert trace.coulombs[-1] == pytest.approx(float(np.sum(signals["current"].astype(np.float64)) / HZ))


def test_a_file_of_volts_alone_holds_nothing(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jls", {"one": {"voltage": np.full(1000, 5)}})
    with pytest.raises(NotMeasured, match="no samples of a current or a power"):
        Trace.load(path)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_a_file_cut_short_is_refused_and_not_changed(tmp_path: Path, share: float) -> None:
    path = written(tmp_path / "a.jls", {"one": load(50)})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(LogError, match="and give the copy"):
        Trace.load(path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


def test_show_reads_and_explains_it(tmp_path: Path) -> None:
    path = str(written(tmp_path / "a.jls", {"one": load(10, 10.0)}))
    shown = CliRunner().invoke(cli, ["show", path])
    assert shown.exit_code == 0
    assert "Joulescope JLS" in shown.output
    assert "Joulescope JLS" in CliRunner().invoke(cli, ["show", "--columns", path]).output


def test_without_the_library_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "a.jls", {"one": load(1)})
    found = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "pyjls":
            raise ImportError(name)
        return found(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ExtraMissing, match="jls"):
        Trace.load(path)
