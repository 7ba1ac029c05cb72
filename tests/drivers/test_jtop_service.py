"""The real, unpatched jetson-stats service and client under our driver; only what is in /sys is ours.

It runs in a private mount namespace (with a user namespace where we are not root), so nothing is
left on this machine. Skipped, saying so, where jetson-stats is not installed or namespaces are not
allowed. No kernel driver and no I2C chip is in this.
"""

import os
import shutil
import sys

import pytest
from devices.jtop_service import namespace, run_story

pytestmark = pytest.mark.peers


@pytest.fixture(autouse=True)
def _possible() -> None:
    if shutil.which("jtop", path=os.path.dirname(sys.executable)) is None:
        pytest.skip("jetson-stats is not installed here: pip install jetson-stats")
    if not namespace():
        pytest.skip("no private mount namespace may be opened here (unshare -m)")


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
    found = run_story(board, "follow")
    assert found["counted"] == {**dict.fromkeys(counted, True), **dict.fromkeys(shown, False)}
    assert found["followed"] == {rail: [400, 1000, 152] for rail in counted | shown}


def test_a_service_killed_and_restarted_is_found_again() -> None:
    found = run_story("orin_nano", "restarted")
    assert "sudo systemctl" in found["lost"]
    assert found["absent"].startswith(("SourceMissing", "SourceError"))


def test_a_lost_input_rail_is_a_gap_and_nothing_is_invented() -> None:
    found = run_story("orin_nano", "rail_lost")
    assert "no longer sees the rail VDD_IN" in found["lost"]
    assert found["invented"] == []


def test_a_hung_service_is_a_timeout_within_two_seconds() -> None:
    found = run_story("orin_nano", "hung")
    assert found["silent"].startswith("SourceTimeout")
    assert found["closed"].startswith("SourceTimeout")
    assert found["seconds"] < 2.5


def test_a_slow_sensor_is_waited_for() -> None:
    assert run_story("orin_nano", "slow")["samples"] >= 8
