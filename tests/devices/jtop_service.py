"""The real jetson-stats service in a private mount namespace, where only what is in /sys is ours."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from shutil import which
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@cache
def namespace() -> list[str]:
    """The command that opens a private mount namespace; empty when none may be opened."""
    if which("unshare") is None:
        return []
    flags = ["-m"] if os.geteuid() == 0 else ["-U", "-r", "-m"]
    command = ["unshare", *flags, "--propagation", "private"]
    probe = subprocess.run(
        [*command, "mount", "-t", "tmpfs", "tmpfs", "/run"], capture_output=True, check=False
    )
    return command if probe.returncode == 0 else []


def run_story(board: str, story: str) -> dict[str, Any]:
    """What `devices.jtop_scenario` reports of one story on one board."""
    script = str(HERE / "jtop_namespace.sh")
    done = subprocess.run(
        [*namespace(), "bash", script, sys.executable, "-m", "devices.jtop_scenario", board, story],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    outcome: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return outcome
