"""A board whose Python is too old: the meter here, the program there, its phases by what it prints.

===============================================  ================================================
the page uses what Python 3.6 does not know      test_the_program_of_the_page_is_for_an_old_python
lines are held back, and all come at the end     test_its_phases_are_measured_here
the delay of the link is taken for the phase     test_its_phases_are_measured_here
===============================================  ================================================
"""

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from devices.pages import block
from devices.terminal import in_pipe

OLDEST = (3, 6)
LATE_SECONDS = 0.02
LINK = f"""#!{sys.executable}
import subprocess, sys, time
there = subprocess.Popen([{{python!r}}, *sys.argv[3:]], stdout=subprocess.PIPE, cwd={{folder!r}})
for line in there.stdout:
    time.sleep({LATE_SECONDS})
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()
sys.exit(there.wait())
"""
"""In the place of ssh: a host's name, ``python3``, and what it gets; its lines come late."""


def old_python() -> str:
    """A Python 3.6 if there is one here."""
    kept = Path(os.environ.get("PYENV_ROOT", "/nowhere"), "versions").glob("3.6.*/bin/python")
    for python in (*map(str, kept), shutil.which("python3.6")):
        if python and not subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode:
            return python
    return sys.executable


def test_the_program_of_the_page_is_for_an_old_python() -> None:
    tree = ast.parse(block("serve.md", "python", "def phase"), feature_version=OLDEST)
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert imported == {"sys", "time"}
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]


@pytest.mark.slow
def test_its_phases_are_measured_here(tmp_path: Path) -> None:
    (tmp_path / "infer.py").write_text(block("serve.md", "python", "def phase"))
    link = tmp_path / "ssh"
    link.write_text(LINK.format(python=old_python(), folder=str(tmp_path)))
    link.chmod(0o755)
    (command,) = re.findall(
        r"^\$ (energymeter run .*)$", block("serve.md", "text", "--phase-on"), re.MULTILINE
    )
    words = shlex.split(command.replace("um25c@/dev/rfcomm0", "manual:5V,0.6A"))[1:]
    out = str(tmp_path / "jetson.csv")
    words = [out if word == "jetson.csv" else str(link) if word == "ssh" else word for word in words]
    run = in_pipe("run", "--json", *words[1:])
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["phase", "load", "phase", "infer", "phase", "end"]
    phases = json.loads(run.stderr)["phases"]
    assert [*phases] == ["load", "infer", "end"]
    assert phases["load"]["seconds"] == pytest.approx(0.2, abs=0.15)
    assert phases["infer"]["seconds"] == pytest.approx(0.5, abs=0.15)
    assert phases["infer"]["joules"] == pytest.approx(3.0 * phases["infer"]["seconds"], rel=0.1)
