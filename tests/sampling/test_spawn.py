"""Which interpreter runs a child, and how a child answers."""

import os
import subprocess
import sys
import threading
import time
import zipapp
from pathlib import Path

import pytest

from energymeter.errors import SamplerError
from energymeter.sampling.spawn import _Process, interpreter, is_python, spawn

ROOT = Path(__file__).parents[2]


def test_this_interpreter_is_used():
    assert interpreter() == sys.executable


@pytest.mark.parametrize("executable", [None, "", "/nonexistent/python3", "/bin/sh", "/usr/sbin/uwsgi"])
def test_a_program_that_embeds_python_is_never_started_in_its_place(monkeypatch, executable):
    monkeypatch.setattr(sys, "executable", executable)
    monkeypatch.setattr(sys, "_base_executable", executable)
    found = interpreter()
    assert found is None or Path(found).name == f"python{sys.version_info[0]}.{sys.version_info[1]}"


def test_a_frozen_program_has_none_and_says_so_in_one_sentence(monkeypatch):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert interpreter() is None
    with pytest.raises(SamplerError, match=r"it is frozen, or embeds Python.*name the source"):
        spawn({})


@pytest.mark.parametrize("name", ["python", "python3", "python3.12", "pypy3", "python3-dbg", "python3.13t"])
def test_names_of_interpreters(name):
    assert is_python(name)


@pytest.mark.parametrize("name", ["pythonista", "uwsgi", "myapp", "python-app", "blender", "python3-myapp"])
def test_names_of_other_programs(name):
    assert not is_python(name)


def test_a_process_is_waited_for_until_it_ends_or_the_time_is_over():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as started:
        process = _Process(started.pid)
        begun = time.monotonic()
        assert not process.has_ended()
        assert not process.wait(0.2)
        assert 0.2 <= time.monotonic() - begun < 5.0
        assert not process.wait(0.0)
        end = threading.Timer(0.1, started.stdin.close)
        end.start()
        assert process.wait(0.95)
        assert process.has_ended()
        assert process.wait(0.0)
        process.send(9)  # to nobody
        end.join()


def test_a_child_answers_in_lines_and_ends(tmp_path, monkeypatch):
    (tmp_path / "a_job.py").write_text(
        "def main(config):\n    print(config['say'] * 2)\n    raise SystemExit\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.path.append(str(tmp_path))
    child = spawn({"job": "a_job", "say": "ha\n"})
    assert list(child.lines(time.monotonic() + 20)) == [b"ha", b"ha", b""]
    assert child.wait(20)
    child.release()


def test_a_child_that_is_killed_is_waited_for(tmp_path, monkeypatch):
    (tmp_path / "a_job.py").write_text("import time\ndef main(config):\n    time.sleep(60)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.path.append(str(tmp_path))
    child = spawn({"job": "a_job"})
    assert child.alive()
    assert not child.wait(0.01)
    child.kill()
    assert child.wait(20)
    child.release()
    assert not Path(f"/proc/{child.pid}").exists()


def test_a_zip_archive_measures(tmp_path):
    """zipapp, pex, layers of a cloud function: there no module is a file."""
    app = tmp_path / "app"
    for package in ("energymeter", "drivers", "calibration"):
        target = app / ("energymeter" if package == "energymeter" else f"energymeter/{package}")
        for path in (ROOT / package).rglob("*.py"):
            copy = target / path.relative_to(ROOT / package)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    (app / "__main__.py").write_text(
        "from energymeter import EnergyMeter\n"
        "with EnergyMeter('manual:5W', rate_hz=100) as meter: pass\n"
        "print(round(meter.usage.mean_watts, 6), meter.usage.notes)\n"
    )
    zipapp.create_archive(app, tmp_path / "app.pyz")
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-P" if sys.version_info >= (3, 11) else "-s", str(tmp_path / "app.pyz")],
        capture_output=True, text=True, env=environment, timeout=60, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.stdout.startswith("5.0"), done.stderr
    assert "thread" not in done.stdout


@pytest.mark.parametrize("most_bytes", [0, 200_000])
def test_a_limit_on_the_size_of_files_is_named(most_bytes):
    """Shared memory is a file to the system: closing files or ending processes would not help."""
    program = (
        "import resource; from energymeter import EnergyMeter\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({most_bytes}, {most_bytes}))\n"
        "try:\n with EnergyMeter('manual:5W'): pass\n"
        "except Exception as error: raise SystemExit(f'{type(error).__name__}: {error}')\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )
    assert ran.stderr.startswith("SamplerError: ")
    assert "File too large; raise the limit on the size of files (ulimit -f)" in ran.stderr
