"""docs/write-a-driver.md, followed to the letter: its files run, and pass every check of this project."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import energymeter.drivers

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "write-a-driver.md"
BLOCKS = re.findall(
    r"^(?:`(\S+\.py)`:\n\n)?```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)
FILES = {path: code for path, code in BLOCKS if path}
"""What the reader writes, by its path in the project."""
DRIVERS = [Path(path).stem for path in FILES if path.startswith("drivers/")]
TESTS = [path for path in FILES if path.startswith("tests/")]


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The files of the page in a folder of their own, from which drivers can be imported as well."""
    for path, code in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(code, encoding="utf-8")
    folders = [*energymeter.drivers.__path__, str(tmp_path / "drivers")]
    monkeypatch.setattr(energymeter.drivers, "__path__", folders)
    yield tmp_path
    for name in DRIVERS:
        sys.modules.pop(f"energymeter.drivers.{name}", None)
        vars(energymeter.drivers).pop(name, None)


def test_the_page_has_a_driver_that_is_asked_one_that_sends_and_the_test_of_each() -> None:
    names = ["bench", "logger"]
    assert names == DRIVERS
    assert [f"tests/drivers/test_{name}.py" for name in names] == TESTS


@pytest.mark.parametrize("test", TESTS)
def test_the_tests_on_the_page_pass(test: str, written: Path) -> None:
    names: dict[str, object] = {"__name__": Path(test).stem}
    exec(compile(FILES[test], test, "exec"), names)  # noqa: S102 - our own page
    tests = [made for name, made in names.items() if name.startswith("test_")]
    assert len(tests) == 2
    for one in tests:
        one()  # type: ignore[operator]


def test_the_other_blocks_run(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {"__name__": "write_a_driver"}
    others = [code for path, code in BLOCKS if not path]
    assert len(others) == 2
    for code in others:
        exec(compile(code, str(PAGE), "exec"), names)  # noqa: S102
    promise, usage, *_ = capsys.readouterr().out.splitlines()
    assert promise.startswith("bench@/dev/ttyUSB0: read before open returns Reading(volts=5.0")
    assert "5.00 W mean" in usage


@pytest.mark.parametrize("name", DRIVERS)
def test_a_driver_and_its_test_are_short(name: str) -> None:
    lines = FILES[f"drivers/{name}.py"] + FILES[f"tests/drivers/test_{name}.py"]
    assert len([line for line in lines.splitlines() if line.strip()]) < 100


def test_the_page_is_read_in_five_minutes() -> None:
    prose = re.sub(r"^```.*?^```$", "", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert len(prose.split()) < 1000


@pytest.mark.slow
def test_a_newcomer_who_follows_the_page_passes_every_check(tmp_path: Path) -> None:
    """A copy of the project with the page's files in it, its ports listed and `docs/meters.md` made again."""
    for name in ("energymeter", "drivers", "calibration", "docs", "tests", "benchmarks", "examples"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True, ignore=ignored)
    for name in ("setup.cfg", "pyproject.toml", "CONTRIBUTING.md", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    for path, code in FILES.items():
        (tmp_path / path).write_text(code, encoding="utf-8")
    ports = tmp_path / "tests/drivers/test_serial_ports.py"
    listed = '    "bench@/dev/ttyUSB0": Port(9_600),\n    "logger@/dev/ttyUSB0": Port(115_200),\n'
    begun, middle, rest = ports.read_text(encoding="utf-8").partition('    "ppk2@')
    ports.write_text(begun + listed + middle + rest, encoding="utf-8")

    tools = Path(sys.executable).parent
    if not (tools / "ruff").exists():
        pytest.skip("ruff and mypy are not installed next to this Python: make check")
    python = [sys.executable, "-m"]
    for command in (
        [sys.executable, "docs/make_meters.py"],
        [str(tools / "ruff"), "check", *FILES],
        [str(tools / "ruff"), "format", "--check", *FILES],
        [*python, "mypy", *(f"energymeter/drivers/{name}.py" for name in DRIVERS)],
        [str(tools / "lint-imports")],
        [*python, "pytest", "-p", "no:cacheprovider", *TESTS, "tests/docs/test_make_meters.py"],
        [*python, "pytest", "-p", "no:cacheprovider", "tests/drivers/test_serial_ports.py"],
        [*python, "pytest", "-p", "no:cacheprovider", "tests/test_architecture.py", "-k", "driver"],
    ):
        environment = {**os.environ, "PYTHONPATH": str(tmp_path), "NO_COLOR": "1"}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    page = (tmp_path / "docs/meters.md").read_text(encoding="utf-8")
    for name in DRIVERS:
        rows = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
        assert len(rows) == 4
        assert not [row for row in rows[1:] if "|  |" in row or "not known" in row], "an empty cell"
