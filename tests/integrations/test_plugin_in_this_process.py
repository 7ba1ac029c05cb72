"""The pytest plugin in runs of pytest within this process: each limit from both sides, each text whole."""

import fcntl
import itertools
import json
import os
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from comparison.simulated_runs import run

from energymeter.comparison.runs import save_baseline
from energymeter.integrations import pytest_entry, pytest_plugin
from energymeter.integrations.pytest_plugin import Energy

SOURCE = "manual:5V,0.6A"
QUICK = ("--energy-source", SOURCE, "--energy-rounds", "2", "--energy-min-seconds", "0.01")
Inner = Callable[..., tuple[int, str]]
_NUMBERS = itertools.count()


@pytest.fixture(autouse=True)
def _lock_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    monkeypatch.delenv(pytest_plugin._HELD, raising=False)


@pytest.fixture
def inner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Inner]:
    """Runs code as the tests of a user; gives the exit code and what was printed."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.delenv("PYTEST_PLUGINS", raising=False)
    monkeypatch.chdir(tmp_path)
    before = {*sys.modules}

    def run_it(code: str, *options: str, plugins: tuple[object, ...] = ()) -> tuple[int, str]:
        name = f"test_inner_{next(_NUMBERS)}"
        (tmp_path / f"{name}.py").write_text("import pytest\n" + textwrap.dedent(code))
        usual = ["-q", "-s", "--rootdir", str(tmp_path), "-p", "no:cacheprovider", "-p", "no:faulthandler"]
        usual += [
            "-p",
            "energymeter.integrations.pytest_plugin",
            "--import-mode=importlib",
            "--strict-markers",
        ]
        ended = pytest.main([*usual, *options, f"{name}.py"], plugins=[*plugins])
        printed = capsys.readouterr()
        return int(ended), printed.out + printed.err

    yield run_it
    for name in {*sys.modules} - before:
        if name.startswith("test_inner_"):
            del sys.modules[name]


# Numbers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [1, 8, 10**9])
@pytest.mark.parametrize("whole", [True, False])
def test_a_limit_that_is_right(value: int, whole: bool) -> None:
    assert pytest_plugin._wrong(value, whole=whole) == ""


@pytest.mark.parametrize("value", [1e-9, 0.5, 1e9])
def test_a_limit_that_need_not_be_whole(value: float) -> None:
    assert pytest_plugin._wrong(value) == ""
    assert pytest_plugin._wrong(value, whole=True).startswith(
        "a whole number above 0 and at most 1e+09, not "
    )


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0"), (-1, "-1"), (10**9 + 1, "1000000001"), (True, "True"), ("1", "'1'")]
)
@pytest.mark.parametrize(("whole", "kind"), [(True, "a whole number "), (False, "")])
def test_a_limit_that_is_wrong(value: object, shown: str, whole: bool, kind: str) -> None:
    assert pytest_plugin._wrong(value, whole=whole) == f"{kind}above 0 and at most 1e+09, not {shown}"


def test_a_number_of_seconds_may_be_up_to_the_most_alone() -> None:
    assert pytest_plugin._wrong(1e9) == ""
    assert pytest_plugin._wrong(1000000000.1) == "above 0 and at most 1e+09, not 1000000000.1"


# The fixture --------------------------------------------------------------------------------------------


def failure(call: Callable[[], object]) -> str:
    """What a test that does this ends with."""
    with pytest.raises(pytest.fail.Exception) as caught:
        call()
    assert not caught.value.pytrace, "the user's code is not at fault"
    return str(caught.value)


SECOND = "the energy fixture measures one thing a test; write a second test"
NOTHING = "nothing was measured yet; call energy(function) or use `with energy:`"


def test_a_call_is_made_in_so_many_runs_and_gives_its_last_result() -> None:
    energy, calls = Energy("it", SOURCE, 3, 0.01), []

    def called(step: int, *, start: int) -> int:
        calls.append(step)
        time.sleep(0.002)
        return start + len(calls)

    assert energy(called, 1, start=100) == 100 + len(calls)
    assert {*calls} == {1}
    assert energy.repeated
    assert [(one.pair, one.arm, one.program, one.unit) for one in energy.runs] == [
        (number, "it", f"{called.__qualname__}", "call") for number in range(3)
    ]
    assert all(0.01 <= one.seconds < 1 for one in energy.runs)
    assert sum(one.units for one in energy.runs) <= len(calls)
    by_hand = sum(3.0 * one.seconds / one.units for one in energy.runs) / 3
    assert energy.joules == pytest.approx(by_hand, rel=0.01)
    assert 0 <= energy.uncertainty < energy.joules
    assert failure(lambda: energy(called, 1, start=0)) == SECOND
    assert failure(energy.__enter__) == SECOND


def test_a_block_is_measured_once() -> None:
    energy = Energy("it", SOURCE, 3, 0.01)
    before = time.time()
    with energy as same:
        assert same is energy
        assert failure(energy.__enter__) == SECOND, "while it runs, too"
        time.sleep(0.02)
    assert not energy.repeated
    (one,) = energy.runs
    assert (one.arm, one.program, one.workload, one.pair, one.units, one.unit) == (
        "it",
        "it",
        "",
        0,
        1.0,
        "test",
    )
    assert energy.joules == pytest.approx(3.0 * one.seconds, rel=0.01)
    assert before - 1 <= one.started <= time.time()
    assert 0 < energy.uncertainty < energy.joules


def test_a_block_that_fails_leaves_no_run() -> None:
    energy = Energy("it", SOURCE, 3, 0.01)
    with pytest.raises(ZeroDivisionError), energy:
        _ = 1 // 0
    assert energy.runs == []


def test_what_was_not_measured_has_no_figure() -> None:
    energy = Energy("it", SOURCE, 3, 0.01)
    for ask in (lambda: energy.joules, lambda: energy.uncertainty, lambda: energy.check(None)):
        assert failure(ask) == NOTHING


def test_a_test_may_use_its_limit_and_no_more() -> None:
    energy = Energy("it", SOURCE, 3, 0.01)
    energy.runs = [run("it", 0, 6.0, units=2.0, unit="call", sources=("um25c",))]
    energy.check(3.0)
    energy.check(None)
    assert failure(lambda: energy.check(2.999)) == (
        "it uses 3.000 J per call (1 run, um25c measured), and may use 2.999 J"
    )


def test_what_has_not_run_yet_is_refused_in_one_sentence() -> None:
    def stream() -> Iterator[int]:
        yield 1

    assert failure(lambda: Energy("it", SOURCE, 2, 0.01)(stream)).endswith(
        "stream returned a generator, which has not run yet; measure `lambda: "
        "list(test_what_has_not_run_yet_is_refused_in_one_sentence.<locals>.stream(...))`"
    )


# The lock -----------------------------------------------------------------------------------------------


def held(path: Path, kind: int) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, kind)
    return descriptor


@pytest.mark.parametrize(
    ("theirs", "exclusive", "waits"),
    [
        (fcntl.LOCK_SH, False, False),
        (fcntl.LOCK_SH, True, True),
        (fcntl.LOCK_EX, False, True),
        (fcntl.LOCK_EX, True, True),
    ],
)
def test_one_measured_test_or_many_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, theirs: int, exclusive: bool, waits: bool
) -> None:
    """Whoever waits polls until the other lets go."""
    os.close(pytest_plugin._locked(exclusive=True))
    path = tmp_path / "cache" / "energymeter" / "pytest.lock"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    other, polls = held(path, theirs), []

    def poll(seconds: float) -> None:
        polls.append(seconds)
        if len(polls) == 3:
            os.close(other)

    monkeypatch.setattr(pytest_plugin, "time", SimpleNamespace(sleep=poll, monotonic=lambda: 0.0))
    descriptor = pytest_plugin._locked(exclusive=exclusive)
    assert len(polls) == (3 if waits else 0)
    os.close(descriptor)
    if not waits:
        os.close(other)


def test_a_lock_is_waited_for_an_hour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.close(pytest_plugin._locked(exclusive=True))
    path = tmp_path / "cache" / "energymeter" / "pytest.lock"
    other, now, asked = held(path, fcntl.LOCK_EX), [5.0], []

    def poll(seconds: float) -> None:
        now[0] = 3605.0 if len(asked) < 2 else 3605.5
        asked.append(now[0])

    monkeypatch.setattr(pytest_plugin, "time", SimpleNamespace(sleep=poll, monotonic=lambda: now[0]))
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(pytest.fail.Exception) as caught:
        pytest_plugin._locked(exclusive=True)
    assert str(caught.value) == f"another test run has held {path} for an hour; end it, or run this one later"
    assert asked == [3605.0, 3605.0, 3605.5], "an hour is not yet more than an hour"
    assert len(os.listdir("/proc/self/fd")) == before
    os.close(other)


NOTES_THE_LOCK = """
    import os
    def test_plain():
        assert "ENERGYMETER_PYTEST_LOCK" not in os.environ
    def test_measured(energy):
        assert os.environ["ENERGYMETER_PYTEST_LOCK"] == str(os.getpid())
        energy(int)
"""


def test_a_measured_test_alone_holds_the_lock(inner: Inner, tmp_path: Path) -> None:
    ended, out = inner(NOTES_THE_LOCK, *QUICK)
    assert ended == 0, out
    assert (tmp_path / "cache" / "energymeter" / "pytest.lock").exists()
    assert pytest_plugin._HELD not in os.environ


def test_other_tests_hold_it_together_where_there_are_workers_and_measured_tests(
    inner: Inner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    lock = tmp_path / "cache" / "energymeter" / "pytest.lock"
    code = """
        import os
        def test_plain():
            assert ("ENERGYMETER_PYTEST_LOCK" in os.environ) is {held}
        """
    ended, out = inner(code.format(held=False))
    assert ended == 0, out
    assert not lock.exists(), "nothing is measured, so nobody waits"
    measured = "\ndef test_measured(energy):\n    energy(int)\n"
    ended, out = inner(textwrap.dedent(code.format(held=True)) + measured, *QUICK)
    assert ended == 0, out
    assert lock.exists()


def test_a_run_within_a_measured_test_takes_no_lock(
    inner: Inner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(pytest_plugin._HELD, "1")
    ended, out = inner("def test_it(energy):\n    energy(int)", *QUICK)
    assert ended == 0, out
    assert not (tmp_path / "cache").exists()
    assert os.environ[pytest_plugin._HELD] == "1", "it is the outer run's"


# Whole runs ---------------------------------------------------------------------------------------------


def test_each_test_is_measured_and_held_to_its_own_limit(inner: Inner) -> None:
    code = """
        import time
        pytestmark = pytest.mark.energy(max_joules=100)
        @pytest.mark.energy(max_joules=0.001)
        def test_whole():
            time.sleep(0.01)
        @pytest.mark.energy(rounds=3, min_seconds=0.02)
        def test_called(energy):
            energy(time.sleep, 0.001)
            assert len(energy.runs) == 3
            assert all(0.02 <= run.seconds < 0.5 for run in energy.runs)
        def test_by_the_options(energy):
            energy(time.sleep, 0.001)
            assert len(energy.runs) == 2
            assert all(0.01 <= run.seconds < 0.5 for run in energy.runs)
        @pytest.mark.energy
        def test_within():
            time.sleep(0.01)
        def test_uncalled(energy):
            pass
        @pytest.mark.energy
        class TestOfAClass:
            def test_also(self):
                time.sleep(0.01)
    """
    ended, out = inner(code, *QUICK)
    assert ended == 1
    assert "2 failed, 4 passed" in out, out
    assert "test_whole - Failed: it uses " in out
    assert f"per test (1 run, {SOURCE} manual), and may use 0.001 J" in out
    assert f"test_uncalled - Failed: {NOTHING}" in out


def test_a_test_may_have_an_argument_of_that_name(inner: Inner) -> None:
    code = """
        @pytest.mark.parametrize("energy", [1, 2])
        def test_argument(energy):
            assert energy in (1, 2)
        class TestOther:
            @pytest.fixture
            def energy(self):
                return "mine"
            def test_fixture(self, energy):
                assert energy == "mine"
    """
    ended, out = inner(code, *QUICK)
    assert (ended, "3 passed" in out) == (0, True), out


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ("5", "the marker energy has max_joules=, rounds= and min_seconds= only; write one of them"),
        ("joules=1", "the marker energy has max_joules=, rounds= and min_seconds= only; write one of them"),
        ("max_joules=0", "max_joules of the marker energy must be above 0 and at most 1e+09, not 0"),
        (
            "rounds=2.0",
            "rounds of the marker energy must be a whole number above 0 and at most 1e+09, not 2.0",
        ),
        (
            "min_seconds=1e10",
            "min_seconds of the marker energy must be above 0 and at most 1e+09, not 100000",
        ),
    ],
)
def test_a_marker_that_makes_no_sense(inner: Inner, marker: str, message: str) -> None:
    ended, out = inner(f"@pytest.mark.energy({marker})\ndef test_it():\n    pass", *QUICK, "-rN")
    assert ended == 1
    assert message in out
    assert "test_inner_" not in out.replace("_ test_it _", ""), "no line of code is shown"
    assert "pytest_plugin.py" not in out, "nor one of ours"


def test_the_usual_options() -> None:
    options: dict[str, dict[str, Any]] = {}
    group = SimpleNamespace(addoption=lambda name, **known: options.update({name: known}))
    names: list[tuple[str, str]] = []
    parser: Any = SimpleNamespace(getgroup=lambda *known: names.append(known) or group)
    pytest_plugin.pytest_addoption(parser)
    assert names == [("energy", "energy of tests, by energymeter")]
    usual = {name: (known.get("type"), known.get("default")) for name, known in options.items()}
    assert usual == {
        "--energy-source": (None, None),
        "--energy-save": (None, None),
        "--energy-compare": (None, None),
        "--energy-tolerance": (float, 0.05),
        "--energy-rounds": (int, 8),
        "--energy-min-seconds": (float, 0.5),
    }


@pytest.mark.parametrize(
    ("option", "value", "must"),
    [
        ("--energy-rounds", "0", "a whole number above 0 and at most 1e+09, not 0"),
        ("--energy-min-seconds", "0", "above 0 and at most 1e+09, not 0.0"),
    ],
)
def test_an_option_out_of_its_limits(inner: Inner, option: str, value: str, must: str) -> None:
    ended, out = inner("def test_it(energy):\n    energy(int)", option, value)
    assert ended == pytest.ExitCode.USAGE_ERROR
    assert f"ERROR: {option} must be {must}\n" in out


class Reports:
    """What is known of each test at its end."""

    def __init__(self) -> None:
        self.properties: dict[str, list[tuple[str, object]]] = {}
        self.sections: dict[str, list[str]] = {}
        self.runs: dict[str, int] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid.partition("::")[2]
        if report.when == "teardown":
            self.properties[name] = report.user_properties
        if report.when == "call":
            self.sections[name] = [title for title, _ in report.sections]
        if hasattr(report, "energymeter_runs"):
            self.runs[name] = len(report.energymeter_runs)


def test_a_report_says_what_was_used_and_carries_the_runs_that_can_be_compared(inner: Inner) -> None:
    code = """
        def test_repeated(energy):
            energy(int)
        def test_block(energy):
            with energy:
                sum(range(100_000))
        def test_repeated_and_fails(energy):
            energy(int)
            assert False
        def test_plain():
            pass
    """
    reports = Reports()
    ended, out = inner(code, *QUICK, plugins=(reports,))
    assert ended == 1, out
    assert reports.runs == {"test_repeated": 2}
    assert reports.sections == {
        "test_repeated": ["energy"],
        "test_block": ["energy"],
        "test_repeated_and_fails": ["energy"],
        "test_plain": [],
    }
    assert {name: len(kept) for name, kept in reports.properties.items()} == {
        "test_repeated": 1,
        "test_block": 1,
        "test_repeated_and_fails": 1,
        "test_plain": 0,
    }
    ((title, text),) = reports.properties["test_repeated"]
    assert title == "energy"
    assert str(text).endswith(f" per call (2 runs, {SOURCE} manual)")


# The gate -----------------------------------------------------------------------------------------------


def test_a_baseline_is_saved_and_shown(inner: Inner, tmp_path: Path) -> None:
    code = "def test_it(energy):\n    energy(int)\ndef test_plain():\n    pass\n"
    ended, out = inner(code, *QUICK, "--energy-save", "base.json")
    assert ended == 0, out
    assert "\nsaved in base.json: 2 runs of 1 test\n" in out
    assert len(json.loads((tmp_path / "base.json").read_text())["runs"]) == 2


@pytest.mark.parametrize("code", ["def test_it(): pass", "", "def test_it(): assert False"])
def test_a_gate_that_fails_fails_a_run_that_has_passed(inner: Inner, tmp_path: Path, code: str) -> None:
    save_baseline(tmp_path / "base.json", [run("gone", pair, 2.0) for pair in range(2)], force=True)
    ended, out = inner(code, *QUICK, "--energy-compare", "base.json")
    assert ended == pytest.ExitCode.TESTS_FAILED
    assert "not measured: 1 of the 1 tests in base.json\n" in out
    assert "FAILED no test of the baseline was measured: nothing was compared\n" in out


def test_a_run_that_ended_otherwise_ends_as_it_did(inner: Inner, tmp_path: Path) -> None:
    save_baseline(tmp_path / "base.json", [run("gone", pair, 2.0) for pair in range(2)], force=True)
    ended, out = inner("1 / 0", *QUICK, "--energy-compare", "base.json")
    assert ended == pytest.ExitCode.INTERRUPTED
    assert "FAILED no test of the baseline was measured" in out


def test_a_baseline_that_cannot_be_written_fails_the_run(inner: Inner, tmp_path: Path) -> None:
    (tmp_path / "base.json").mkdir()
    ended, out = inner("def test_it(energy):\n    energy(int)", *QUICK, "--energy-save", "base.json")
    assert ended == pytest.ExitCode.TESTS_FAILED
    assert "\nFAILED " in out
    assert "base.json" in out.partition("\nFAILED ")[2]


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--energy-compare", "none.json", "none.json"),
        ("--energy-save", "none/base.json", "there is no folder "),
    ],
)
def test_a_gate_that_cannot_be_ends_the_run_before_its_first_test(
    inner: Inner, option: str, value: str, message: str
) -> None:
    ended, out = inner("def test_it(): pass", *QUICK, option, value)
    assert ended == pytest.ExitCode.USAGE_ERROR
    assert message in out.partition("ERROR: ")[2]
    assert "passed" not in out


def test_without_a_gate_nothing_is_shown(inner: Inner) -> None:
    ended, out = inner("def test_it(energy):\n    energy(int)", *QUICK)
    assert (ended, " energy " in out) == (0, False), out


def test_a_worker_has_no_gate(tmp_path: Path) -> None:
    """It neither reads nor writes the baseline: the process that decides does."""
    known = {
        "--energy-rounds": 8,
        "--energy-min-seconds": 0.5,
        "--energy-compare": "none.json",
        "--energy-save": None,
    }
    config: Any = SimpleNamespace(
        addinivalue_line=lambda *_: None, getoption=known.get, stash=pytest.Stash(), workerinput={}
    )
    pytest_plugin.pytest_configure(config)
    assert pytest_plugin._gate not in config.stash
    del config.workerinput
    known["--energy-tolerance"] = 0.05
    with pytest.raises(pytest.UsageError, match=r"none\.json"):
        pytest_plugin.pytest_configure(config)


# The way in ---------------------------------------------------------------------------------------------


def test_pluggy_of_today_gets_the_plugin() -> None:
    manager = pytest.PytestPluginManager()
    pytest_entry.pytest_addoption(manager)
    assert manager.get_plugin(pytest_entry.PLUGIN) is pytest_plugin
    assert not any(isinstance(plugin, pytest_entry.TooOld) for plugin in manager.get_plugins())


def test_what_is_for_types_alone_is_not_imported() -> None:
    """Every run of pytest loads this file, of everybody."""
    assert not {"Any", "Callable", "EnergyMeter", "Gate", "Run", "TypeVar"} & {*vars(pytest_plugin)}


def test_an_old_pluggy_gets_its_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    def old(*, hookwrapper: bool = False, tryfirst: bool = False) -> None:
        """As pluggy 1.0 has it."""

    monkeypatch.setattr(pytest, "hookimpl", old)
    manager = pytest.PytestPluginManager()
    pytest_entry.pytest_addoption(manager)
    assert manager.get_plugin(pytest_entry.PLUGIN) is None
    assert any(isinstance(plugin, pytest_entry.TooOld) for plugin in manager.get_plugins())


@pytest.mark.parametrize(
    ("marked", "fixtures", "measured"),
    [(True, (), True), (False, ("energy",), True), (True, ("energy",), True), (False, ("tmp_path",), False)],
)
def test_the_stand_in_ends_a_run_that_is_to_measure(
    marked: bool, fixtures: tuple[str, ...], measured: bool
) -> None:
    plain: Any = SimpleNamespace(nodeid="a.txt", get_closest_marker=lambda name: None)
    item: Any = SimpleNamespace(
        nodeid="a.py::b",
        fixturenames=fixtures,
        get_closest_marker=lambda name: pytest.mark.energy if marked and name == "energy" else None,
    )
    if not measured:
        pytest_entry.TooOld.pytest_collection_modifyitems([plain, item])
        return
    with pytest.raises(pytest.UsageError) as failed:
        pytest_entry.TooOld.pytest_collection_modifyitems([plain, item])
    assert str(failed.value) == (
        "a.py::b is to be measured, which needs pluggy 1.2; pip install --upgrade pluggy"
    )
