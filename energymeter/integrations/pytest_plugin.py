"""pytest: what a test costs in energy, as a limit and as a gate against a saved baseline.

pytest loads this file in every run of everybody who has installed us, so nothing is imported before a test
asks for energy.
"""

from __future__ import annotations

import os
import time

import pytest

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any, TypeVar

    from energymeter.comparison.runs import Run
    from energymeter.integrations.energy_gate import Gate
    from energymeter.meter.meter import EnergyMeter

    T = TypeVar("T")

_MARKER = (
    "energy(max_joules, rounds, min_seconds): measure the test, or what it gives to the `energy` fixture; it "
    "fails above max_joules"
)
_HELD = "ENERGYMETER_PYTEST_LOCK"
"""Set while this process holds the lock, so that a pytest which a test starts does not wait for it."""
_POLL_SECONDS, _MOST_SECONDS = 0.02, 3600.0
_ROUNDS, _SECONDS, _TOLERANCE = 8, 0.5, 0.05
_MOST = 1e9
"""More rounds, seconds or joules than that are a mistake."""

_energy = pytest.StashKey["Energy"]()
_some_measured = pytest.StashKey[bool]()
_gate = pytest.StashKey["Gate"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Our options."""
    group = parser.getgroup("energy", "energy of tests, by energymeter")
    group.addoption(
        "--energy-source", metavar="SPEC", help="the source, as ina219@1:0x40; else the best one here"
    )
    group.addoption(
        "--energy-save", metavar="FILE", help="save the energy of the tests as a baseline; replaces it"
    )
    group.addoption(
        "--energy-compare", metavar="FILE", help="fail if a test uses more energy than in a baseline"
    )
    group.addoption(
        "--energy-tolerance",
        metavar="SHARE",
        type=float,
        default=_TOLERANCE,
        help="how much more is no failure, as a share (default: 0.05)",
    )
    group.addoption(
        "--energy-rounds",
        metavar="N",
        type=int,
        default=_ROUNDS,
        help="runs of a function that the `energy` fixture is called with (default: 8)",
    )
    group.addoption(
        "--energy-min-seconds",
        metavar="S",
        type=float,
        default=_SECONDS,
        help="the least time of a run (default: 0.5)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known; read the baseline first of all, so that a wrong one costs nothing."""
    config.addinivalue_line("markers", _MARKER)
    for option, whole in (("--energy-rounds", True), ("--energy-min-seconds", False)):
        wrong = _wrong(config.getoption(option), whole=whole)
        if wrong:
            raise pytest.UsageError(f"{option} must be {wrong}")
    save, compare = config.getoption("--energy-save"), config.getoption("--energy-compare")
    if (save is not None or compare is not None) and not hasattr(config, "workerinput"):
        from energymeter.errors import EnergyMeterError
        from energymeter.integrations.energy_gate import Gate

        try:
            gate = config.stash[_gate] = Gate(save, compare, config.getoption("--energy-tolerance"))
        except EnergyMeterError as failure:
            raise pytest.UsageError(str(failure)) from failure
        config.pluginmanager.register(_Collector(gate), "energymeter-collector")


def _is_measured(item: pytest.Item) -> bool:
    return _asks_for_it(item) or item.get_closest_marker("energy") is not None


def _asks_for_it(item: pytest.Item) -> bool:
    """Whether it asks for this fixture, and not for an argument or a fixture of its own of the same name."""
    known = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
    return "energy" in known and known["energy"][-1].func.__module__ == __name__


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Note whether anything is to be measured."""
    config.stash[_some_measured] = any(map(_is_measured, items))


# One meter per host -----------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """A measured test runs alone on this host; with pytest-xdist, the other tests wait meanwhile."""
    alone = _is_measured(item)
    workers = "PYTEST_XDIST_WORKER" in os.environ and item.config.stash.get(_some_measured, False)
    if not (alone or workers) or _HELD in os.environ:
        return (yield)
    descriptor = _locked(exclusive=alone)
    os.environ[_HELD] = str(os.getpid())
    try:
        return (yield)
    finally:
        del os.environ[_HELD]
        os.close(descriptor)


def _locked(*, exclusive: bool) -> int:
    """The descriptor of this user's lock file, locked: for one measured test, or for many others."""
    import fcntl

    from energymeter.paths import user_folder

    folder = user_folder("cache")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    path = os.path.join(folder, "pytest.lock")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    kind = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
    last = time.monotonic() + _MOST_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            if time.monotonic() > last:
                os.close(descriptor)
                pytest.fail(f"another test run has held {path} for an hour; end it, or run this one later")
            time.sleep(_POLL_SECONDS)


# Measuring --------------------------------------------------------------------------------------------


class Energy:
    """The ``energy`` fixture: measures what a test gives to it.

    ``result = energy(function, *arguments)`` calls the function again and again, in several runs, and returns
    the result of its last call. ``with energy:`` measures a block once.
    """

    def __init__(self, name: str, source: str | None, rounds: int, min_seconds: float) -> None:
        self.name = name
        self.runs: list[Run] = []
        """What was measured."""
        self.repeated = False
        """Whether a function was called in several runs, which can be compared."""
        self._source, self._rounds, self._min_seconds = source, rounds, min_seconds
        self._meter: EnergyMeter | None = None

    def __call__(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        from energymeter.comparison.interleaved import Arm, Protocol, finished, measure_arms, title_of
        from energymeter.errors import SpecError

        self._refuse_second()
        results: list[T] = []
        title = title_of(function)

        def call() -> None:
            result = function(*args, **kwargs)
            try:
                results[:] = [finished(result, title)]
            except SpecError as error:
                pytest.fail(str(error), pytrace=False)

        protocol = Protocol(runs=self._rounds, min_seconds=self._min_seconds, idle=0.0, unit="call")
        arm = Arm(self.name, title, call)
        self.repeated = True
        self.runs, _ = measure_arms([arm], protocol, self._new_meter())
        return results[0]

    def __enter__(self) -> Energy:
        from energymeter.meter.conditions import Conditions

        self._refuse_second()
        self._before, self._started = Conditions.now(), time.time()
        self._meter = self._new_meter()
        self._meter.__enter__()
        return self

    def __exit__(self, kind: object = None, *_: object) -> None:
        assert self._meter is not None
        self._meter.__exit__(kind)
        if kind is None:
            from energymeter.comparison.runs import Run
            from energymeter.meter.conditions import Conditions

            self.runs = [
                Run.of(
                    self._meter.usage,
                    arm=self.name,
                    program=self.name,
                    workload="",
                    pair=0,
                    units=1.0,
                    unit="test",
                    started=self._started,
                    before=self._before,
                    after=Conditions.now(),
                )
            ]

    @property
    def joules(self) -> float:
        """J of one call, or of the block: the mean of the runs."""
        from energymeter.integrations.energy_gate import mean

        self._refuse_none()
        return mean(self.runs).joules

    @property
    def uncertainty(self) -> float:
        """± of `joules`, coverage factor 2."""
        from energymeter.integrations.energy_gate import mean

        self._refuse_none()
        return mean(self.runs).uncertainty

    def check(self, max_joules: float | None) -> None:
        """Fail the test if nothing was measured, or more than it may use."""
        self._refuse_none()
        if max_joules is None:
            return
        from energymeter.integrations.energy_gate import mean

        found = mean(self.runs)
        if found.joules > max_joules:
            pytest.fail(f"it uses {found}, and may use {max_joules:g} J", pytrace=False)

    def _new_meter(self) -> EnergyMeter:
        from energymeter.meter.meter import EnergyMeter

        return EnergyMeter(self._source, linger=0.0)  # the next worker takes the meter

    def _refuse_second(self) -> None:
        if self.runs or self._meter is not None:
            pytest.fail("the energy fixture measures one thing a test; write a second test", pytrace=False)

    def _refuse_none(self) -> None:
        if not self.runs:
            pytest.fail(
                "nothing was measured yet; call energy(function) or use `with energy:`", pytrace=False
            )


@pytest.fixture
def energy(request: pytest.FixtureRequest) -> Energy:
    """Measure a function, `energy(function, *arguments)`, or a block, `with energy:`."""
    return _new_energy(request.node)


def _new_energy(item: pytest.Item) -> Energy:
    limits, config = _limits(item), item.config
    made = item.stash[_energy] = Energy(
        item.nodeid,
        config.getoption("--energy-source"),
        limits.get("rounds", config.getoption("--energy-rounds")),
        limits.get("min_seconds", config.getoption("--energy-min-seconds")),
    )
    return made


def _limits(item: pytest.Item) -> dict[str, Any]:
    """The arguments of the marker; that of the test takes precedence over those of its class and module."""
    found: dict[str, Any] = {}
    for marker in reversed([*item.iter_markers("energy")]):
        unknown = {*marker.kwargs} - {"max_joules", "rounds", "min_seconds"}
        if unknown or marker.args:
            pytest.fail(
                "the marker energy has max_joules=, rounds= and min_seconds= only; write one of them",
                pytrace=False,
            )
        found |= marker.kwargs
    for name, value in found.items():
        wrong = _wrong(value, whole=name == "rounds")
        if wrong:
            pytest.fail(f"{name} of the marker energy must be {wrong}", pytrace=False)
    return found


def _wrong(value: object, *, whole: bool = False) -> str:
    """What a limit must be and is not; empty: it is that."""
    kinds = (int,) if whole else (int, float)
    if isinstance(value, kinds) and not isinstance(value, bool) and 0 < value <= _MOST:
        return ""
    from energymeter.text import shown

    return f"{'a whole number ' * whole}above 0 and at most {_MOST:g}, not {shown(value)}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Measure the test as a whole if it is only marked, and hold it to its limit."""
    if not _is_measured(item):
        return (yield)
    limits = _limits(item)
    if _asks_for_it(item):
        result = yield
    else:
        with _new_energy(item):
            result = yield
    item.stash[_energy].check(limits.get("max_joules"))
    return result


# The gate ---------------------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test has used is shown with its report, and travels with it from a worker if it was repeated."""
    report = yield
    found = item.stash.get(_energy, None)
    if call.when == "call" and found is not None and found.runs:
        from energymeter.integrations.energy_gate import mean

        report.sections.append(("energy", str(mean(found.runs))))
        item.user_properties.append(("energy", str(mean(found.runs))))  # for --junitxml
        if report.passed and found.repeated:
            report.energymeter_runs = [run.to_dict() for run in found.runs]  # type: ignore[attr-defined]
    return report


class _Collector:
    """Collects what the tests have used, in the process that decides: `pytest_runtest_logreport` knows no
    configuration."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        runs = getattr(report, "energymeter_runs", None)
        if runs:
            self._gate.add(report.nodeid, runs)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Save the baseline, or decide."""
    gate = session.config.stash.get(_gate, None)
    if gate is None:
        return
    from energymeter.errors import EnergyMeterError

    try:
        gate.finish()
    except EnergyMeterError as failure:
        gate.lines.append(f"FAILED {failure}")
        gate.failed = True
    if gate.failed and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """What was saved, and each verdict."""
    gate = config.stash.get(_gate, None)
    if gate is not None and gate.lines:
        terminalreporter.section("energy")
        for line in gate.lines:
            terminalreporter.line(line)
