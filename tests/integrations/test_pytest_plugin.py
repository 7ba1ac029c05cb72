"""The pytest plugin in runs of pytest of its own: limits, baselines, workers, and what it costs unused."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = "manual:5V,0.6A"
"""3 W: a call that sleeps 20 ms uses 60 mJ."""


def run_pytest(
    folder: Path, code: str, *options: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """What a user's run prints; the plugin is loaded by hand, as this checkout may not be installed."""
    (folder / "test_it.py").write_text(textwrap.dedent(code))
    plugin = ["-p", "energymeter.integrations.pytest_entry"] if not installed() else []
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin, *options, "test_it.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": "", **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def installed() -> bool:
    from importlib.metadata import entry_points

    return any(point.value.startswith("energymeter.") for point in entry_points(group="pytest11"))


QUICK = ("--energy-source", SOURCE, "--energy-rounds", "4", "--energy-min-seconds", "0.05")

MEASURED = """
    import time
    import pytest
    def add(a, b=0):
        time.sleep(0.02)
        return a + b
    def test_passes_function(energy):
        assert energy(add, 1, b=2) == 3
        assert 0.04 < energy.joules < 0.2
        assert energy.uncertainty >= 0
        assert len(energy.runs) == 4
    def test_passes_block(energy):
        with energy:
            time.sleep(0.1)
        assert 0.25 < energy.joules < 3
    @pytest.mark.energy(max_joules=100)
    def test_passes_within_its_limit():
        time.sleep(0.05)
    @pytest.mark.energy(max_joules=0.1)
    def test_whole():
        time.sleep(0.1)
    @pytest.mark.energy(max_joules=0.001, rounds=2, min_seconds=0.03)
    def test_called(energy):
        energy(time.sleep, 0.02)
    def test_uncalled(energy):
        pass
    def test_twice(energy):
        energy(int)
        energy(int)
    @pytest.mark.energy(max_joules=0)
    def test_zero():
        pass
    @pytest.mark.energy(joules=1)
    def test_unknown_option():
        pass
    @pytest.mark.energy(5)
    def test_bare():
        pass
    def test_of_a_user_that_fails(energy):
        energy(lambda: 1 // 0)
    async def answer():
        time.sleep(1)
    def stream():
        yield 1
    async def astream():
        yield 1
    def test_coroutine(energy):
        energy(answer)
    def test_generator(energy):
        energy(lambda: stream())
    def test_async_generator(energy):
        energy(astream)
    @pytest.mark.energy(rounds=1.5)
    def test_half_a_round(energy):
        energy(int)
    @pytest.mark.energy(rounds=True)
    def test_true_rounds():
        pass
    @pytest.mark.energy(min_seconds=float("nan"))
    def test_no_time(energy):
        energy(int)
    @pytest.mark.energy(max_joules=float("inf"))
    def test_no_limit():
        pass
    @pytest.mark.energy(max_joules=10**400)
    def test_far_too_much():
        pass
    @pytest.mark.energy(max_joules="0.5")
    def test_text():
        pass
"""
MESSAGES = {
    "whole": "per test (1 run, manual:5V,0.6A manual), and may use 0.1 J",
    "called": "per call (2 runs, manual:5V,0.6A manual), and may use 0.001 J",
    "uncalled": "call energy(function)",
    "twice": "write a second test",
    "zero": "must be above 0",
    "unknown_option": "max_joules=",
    "bare": "max_joules=",
    "of_a_user_that_fails": "ZeroDivisionError",
    "coroutine": "answer returned a coroutine, which has not run yet; measure `lambda: asyncio.run(answer(",
    "generator": "returned a generator, which has not run yet",
    "async_generator": "astream returned an async generator, which has not run yet",
    "half_a_round": "rounds of the marker energy must be a whole number above 0 and at most 1e+09, not 1.5",
    "true_rounds": "must be a whole number above 0 and at most 1e+09, not True",
    "no_time": "min_seconds of the marker energy must be above 0 and at most 1e+09, not nan",
    "no_limit": "not inf",
    "far_too_much": "not 1000000000000000000000000000000000000000…",
    "text": "not '0.5'",
}


@pytest.mark.slow
def test_the_fixture_the_limit_and_wrong_use(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, MEASURED, *QUICK, "--junitxml=found.xml")
    assert "15 failed, 3 passed, 2 errors" in done.stdout, done.stdout + done.stderr
    for name, message in MESSAGES.items():
        outcome = "ERROR" if name in ("half_a_round", "no_time") else "FAILED"  # found by the fixture
        assert f"{outcome} test_it.py::test_{name} " in done.stdout
        assert message in done.stdout, done.stdout
    cases = ElementTree.parse(tmp_path / "found.xml").iter("testcase")
    (found,) = (case for case in cases if case.get("name") == "test_passes_function")
    (kept,) = found.iter("property")
    assert "per call (4 runs, manual:5V,0.6A manual)" in kept.get("value", "")


@pytest.mark.parametrize(
    ("option", "value"),
    [("--energy-rounds", "0"), ("--energy-min-seconds", "nan"), ("--energy-min-seconds", "inf")],
)
def test_an_option_that_makes_no_sense_ends_the_run(tmp_path: Path, option: str, value: str) -> None:
    done = run_pytest(tmp_path, "def test_it(energy):\n    energy(int)", option, value)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"{option} must be " in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.slow
def test_a_source_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    code = "def test_it(energy):\n    energy(int)"
    done = run_pytest(tmp_path, code, "--energy-source", f"csv@{tmp_path}/none.csv")
    assert done.returncode == 1
    assert "none.csv" in done.stdout


# The gate -------------------------------------------------------------------------------------------------

GATED = """
    import time
    def test_it(energy):
        energy(time.sleep, 0.1)
    def test_plain():
        pass
"""


def level(folder: Path, watts: float) -> tuple[str, ...]:
    """A simulated source whose power is in a file: one name, whatever the power."""
    (folder / "watts").write_text(f"{watts}\n")
    feed = (
        "import sys, time\nwhile True: print(open(sys.argv[1]).read(), end='', flush=True); time.sleep(0.005)"
    )
    (folder / "feed.py").write_text(feed)
    command = f"{sys.executable} {folder}/feed.py {folder}/watts"
    return "--energy-source", f'exec@"{command}"?stream=1&unit=W'


@pytest.mark.slow
def test_a_baseline_is_saved_and_a_regression_fails_the_run(tmp_path: Path) -> None:
    quick = ("--energy-rounds", "6", "--energy-min-seconds", "0.3")
    saved = run_pytest(tmp_path, GATED, *level(tmp_path, 3.0), *quick, "--energy-save", "base.json")
    assert saved.returncode == 0, saved.stdout + saved.stderr
    assert "saved in base.json: 6 runs of 1 test" in saved.stdout
    assert len(json.loads((tmp_path / "base.json").read_text())["runs"]) == 6
    more = run_pytest(tmp_path, GATED, *level(tmp_path, 6.0), *quick, "--energy-compare", "base.json")
    assert more.returncode == 1, more.stdout + more.stderr
    assert "2 passed" in more.stdout, "the tests themselves have passed"
    assert "FAILED test_it.py::test_it: now uses" in more.stdout


def test_a_wrong_baseline_ends_the_run_before_its_first_test(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, GATED, *QUICK, "--energy-compare", "none.json")
    assert done.returncode == 4
    assert "none.json" in done.stderr
    assert "passed" not in done.stdout


# Workers --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_measured_tests_of_several_workers_run_alone(tmp_path: Path) -> None:
    """Each test notes when it ran; a measured one overlaps no other."""
    pytest.importorskip("xdist", reason="pytest-xdist is not installed here")
    code = """
        import time
        import pytest
        @pytest.fixture(autouse=True)
        def noted(request):
            start = time.monotonic()
            yield
            with open(f"{request.node.name}.time", "w") as file:
                file.write(f"{start} {time.monotonic()}")
        @pytest.mark.parametrize("n", range(3))
        def test_measured(energy, n):
            energy(time.sleep, 0.05)
        @pytest.mark.parametrize("n", range(8))
        def test_plain(n):
            time.sleep(0.1)
        """
    options = (*QUICK, "-n", "3", "--energy-save", "base.json")
    done = run_pytest(tmp_path, code, *options, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert "11 passed" in done.stdout, done.stdout + done.stderr
    assert "saved in base.json: 12 runs of 3 tests" in done.stdout
    times = {path.stem: [*map(float, path.read_text().split())] for path in tmp_path.glob("*.time")}
    measured = {name for name in times if "measured" in name}
    assert len(times) == 11
    assert len(measured) == 3
    for name in measured:
        start, end = times[name]
        assert all(e <= start or s >= end for other, (s, e) in times.items() if other != name)
    plain = [times[name] for name in times if name not in measured]
    together = [True for a in plain for b in plain if a is not b and a[0] < b[0] < a[1]]
    assert together, "the others ran at the same time"


@pytest.mark.slow
def test_a_run_within_a_measured_test_does_not_wait_for_it(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    inner = "def test_inner(energy):\n    energy(int)"
    (tmp_path / "inner" / "test_inner.py").write_text(inner)
    done = run_pytest(
        tmp_path,
        f"""
        import subprocess, sys
        def test_outer(energy):
            with energy:
                command = [sys.executable, "-m", "pytest", *{QUICK!r}, "inner"]
                code = subprocess.run(command, timeout=60).returncode
            assert code in (0, 4)  # 4: the plugin is not installed there
        """,
        *QUICK,
    )
    assert done.returncode == 0, done.stdout + done.stderr


# What it costs --------------------------------------------------------------------------------------------


def test_a_run_that_measures_nothing_loads_nothing(tmp_path: Path) -> None:
    done = run_pytest(
        tmp_path,
        """
        import sys
        def test_it():
            ours = sorted(name for name in sys.modules if name.partition(".")[0] == "energymeter")
            assert ours == [
                "energymeter", "energymeter.integrations", "energymeter.integrations.pytest_entry",
                "energymeter.integrations.pytest_plugin", "energymeter.lazy", "energymeter.version",
            ]
            assert not {"numpy", "click", "fcntl"} & {*sys.modules} - {"fcntl"}
        """,
        XDG_CACHE_HOME=str(tmp_path / "cache"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (tmp_path / "cache").exists(), "no lock is taken"


# A pytest that is too old ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "ends"),
    [
        ("def test_it(): pass", 0),
        ("def test_it(energy): pass", pytest.ExitCode.USAGE_ERROR),
        ("import pytest\n@pytest.mark.energy\ndef test_it(): pass", pytest.ExitCode.USAGE_ERROR),
    ],
)
def test_with_an_old_pluggy_only_tests_that_are_to_be_measured_end_the_run(
    tmp_path: Path, code: str, ends: int
) -> None:
    (tmp_path / "conftest.py").write_text(
        "from energymeter.integrations.pytest_entry import TooOld\n"
        "def pytest_configure(config):\n    config.pluginmanager.register(TooOld())\n"
    )
    done = run_pytest(tmp_path, code, "--strict-markers")
    assert done.returncode == ends, done.stdout + done.stderr
    assert ("test_it.py::test_it is to be measured, which needs pluggy 1.2" in done.stderr) is bool(ends)
