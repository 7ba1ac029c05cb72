"""The real, unpatched jetson-stats service and client under our driver; only what is in /sys is ours.

It runs in a private mount namespace (with a user namespace where we are not root), so nothing is
left on this machine. Skipped, saying so, where jetson-stats is not installed or namespaces are not
allowed. No kernel driver and no I2C chip is in this.
"""

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

DEVICES = Path(__file__).parents[1] / "devices"
ROOT = Path(__file__).parents[2]


@cache
def namespace() -> list[str]:
    """The command that opens a private mount namespace; empty when none may be opened."""
    if shutil.which("unshare") is None:
        return []
    flags = ["-m"] if os.geteuid() == 0 else ["-U", "-r", "-m"]
    command = ["unshare", *flags, "--propagation", "private"]
    probe = subprocess.run(
        [*command, "mount", "-t", "tmpfs", "tmpfs", "/run"], capture_output=True, check=False
    )
    return command if probe.returncode == 0 else []


@pytest.fixture(autouse=True)
def _possible() -> None:
    if shutil.which("jtop", path=os.path.dirname(sys.executable)) is None:
        pytest.skip("jetson-stats is not installed here: pip install jetson-stats")
    if not namespace():
        pytest.skip("no private mount namespace may be opened here (unshare -m)")


def outcome(board: str, story: str) -> dict[str, Any]:
    script = str(DEVICES / "jtop_namespace.sh")
    done = subprocess.run(
        [*namespace(), "bash", script, sys.executable, "-m", "devices.jtop_scenario", board, story],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize(
    ("board", "counted", "shown"),
    [
        ("nano", {"POM_5V_IN"}, {"POM_5V_GPU", "POM_5V_CPU"}),
        ("xavier_nx", {"VDD_IN"}, {"VDD_CPU_GPU_CV", "VDD_SOC"}),
        ("orin_nano", {"VDD_IN"}, {"VDD_CPU_GPU_CV", "VDD_SOC"}),
        ("agx_orin", {"VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"}, {"VDDQ_VDD2_1V8AO"}),
    ],
)
def test_every_rail_follows_its_sensor(board: str, counted: set[str], shown: set[str]) -> None:
    found = outcome(board, "follow")
    assert found["counted"] == {**dict.fromkeys(counted, True), **dict.fromkeys(shown, False)}
    assert found["followed"] == {rail: [400, 1000, 152] for rail in counted | shown}


def test_a_service_killed_and_restarted_is_found_again() -> None:
    found = outcome("orin_nano", "restarted")
    assert "sudo systemctl" in found["lost"]
    assert found["absent"].startswith(("SourceMissing", "SourceError"))


def test_a_lost_input_rail_is_a_gap_and_nothing_is_invented() -> None:
    found = outcome("orin_nano", "rail_lost")
    assert "no longer sees the rail VDD_IN" in found["lost"]
    assert found["invented"] == []


def test_a_hung_service_is_a_timeout_within_two_seconds() -> None:
    found = outcome("orin_nano", "hung")
    assert found["silent"].startswith("SourceTimeout")
    assert found["closed"].startswith("SourceTimeout")
    assert found["seconds"] < 2.5


def test_a_slow_sensor_is_waited_for() -> None:
    assert outcome("orin_nano", "slow")["samples"] >= 8
