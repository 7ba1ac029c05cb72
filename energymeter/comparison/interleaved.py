"""Measuring the arms of a comparison in turns, with one meter that runs all the time."""

import functools
import time
import types
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from energymeter.comparison.runs import Folder, Run
from energymeter.comparison.schedule import Turn, schedule
from energymeter.energy.window import COVERED
from energymeter.errors import NotMeasured, SpecError
from energymeter.meter.conditions import Conditions, celsius
from energymeter.meter.meter import EnergyMeter

if TYPE_CHECKING:
    from energymeter.energy.usage import Usage
    from energymeter.meter.span import Span

T = TypeVar("T")

_MOST_COOLING_SECONDS = 600.0
_COOLING_POLL_SECONDS = 1.0
_MOST_ASKS, _ASK_SECONDS = 10, 0.05


class Work(NamedTuple):
    """What one call of an arm did."""

    units: float | None = None
    """As the program counted them; ``None``: as the arm says."""
    metric: float | None = None


class Arm(NamedTuple):
    """One of the things that are compared."""

    name: str
    program: str
    """A command line, or the name of a function."""
    call: Callable[[], Work | None]
    per: float = 1.0
    """Units of one call."""
    before: Callable[[], object] | None = None
    """Called before each of its runs, outside of it."""


def title_of(function: Callable[..., object]) -> str:
    """What an arm is called that is a function, or a `functools.partial` of one."""
    while isinstance(function, functools.partial):
        function = function.func
    return str(getattr(function, "__qualname__", repr(function)))


def finished(result: T, title: str) -> T:
    """What a call returned, if that was all of its work.

    Raises:
        SpecError: nothing has run yet, and measuring that would give microjoules.
    """
    for kind, name, runs in (
        (types.CoroutineType, "a coroutine", f"asyncio.run({title}(...))"),
        (types.AsyncGeneratorType, "an async generator", "asyncio.run(a function that reads it)"),
        (types.GeneratorType, "a generator", f"list({title}(...))"),
    ):
        if isinstance(result, kind):
            if isinstance(result, types.CoroutineType):
                result.close()  # so that Python does not warn of it
            raise SpecError(f"{title} returned {name}, which has not run yet; measure `lambda: {runs}`")
    return result


class Protocol(NamedTuple):
    """How the runs are made."""

    runs: int = 10
    min_seconds: float = 10.0
    """The least time of a run; a shorter arm is called again and again."""
    warmup: int = 1
    """Calls of each arm before, which do not count."""
    prepare: Callable[[], object] | None = None
    """Called before each run, outside of it."""
    cooldown: float = 0.0
    """Seconds of rest before each run."""
    celsius: float | None = None
    """Rest until the hottest zone is below."""
    idle: float | None = None
    """Seconds of idle power before the first block, between blocks and after the last; ``None``: a twentieth
    of ``min_seconds``."""
    seed: int = 0
    unit: str = "run"
    workload: str = ""

    @classmethod
    def asked(cls, caller: str, fields: dict[str, Any]) -> "Protocol":
        """The protocol with these fields.

        Raises:
            SpecError: one is not known; the message names the ``caller``.
        """
        unknown = set(fields) - set(cls._fields)
        if unknown:
            raise SpecError(f"{caller} has no option {min(unknown)!r}; give some of {', '.join(cls._fields)}")
        return cls(**fields)

    def check(self) -> None:
        """Raises `SpecError` where a number makes no sense."""
        for name, value, least in (
            ("runs", self.runs, 1),
            ("min_seconds", self.min_seconds, 0.0),
            ("warmup", self.warmup, 0),
            ("cooldown", self.cooldown, 0.0),
            ("idle", self.idle or 0.0, 0.0),
        ):
            if not least <= value < 1e9:
                raise SpecError(f"{name} must be from {least} to 1e9, not {value!r}")

    def plan(self, arms: Sequence[Arm]) -> dict[str, Any]:
        """What must be the same for an interrupted comparison to continue; more runs may be asked for."""
        fields = self._asdict()
        for name in ("runs", "warmup", "prepare"):
            del fields[name]
        return {**fields, "arms": [[arm.name, arm.program, arm.per] for arm in arms]}


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while arms were compared; what was measured until then is here."""

    def __init__(self, runs: list[Run], idle: list[float]) -> None:
        super().__init__("interrupted")
        self.runs, self.idle = runs, idle


def measure_arms(
    arms: Sequence[Arm],
    protocol: Protocol,
    meter: EnergyMeter,
    folder: Folder | None = None,
    *,
    progress: Callable[[int, int, str], object] = lambda done, total, name: None,
    over: Callable[[Sequence[Run]], bool] = lambda runs: False,
) -> tuple[list[Run], list[float]]:
    """The runs in the order of their times, and the idle power in between.

    Args:
        arms: two or more, with different names.
        meter: not entered yet.
        folder: keeps each run when it is made; what is there already is not measured again.
        progress: called before each run.
        over: asked before each run whether to end with what is known.

    Raises:
        SpecError: arms with the same name, or fewer than one.
        NotMeasured: a run has no energy.
        Interrupted: on Ctrl-C.
    """
    protocol.check()
    names = [arm.name for arm in arms]
    if not names or len(set(names)) < len(names):
        raise SpecError(f"arms need different names, not {', '.join(names)}; give names")
    kept = {} if folder is None else folder.runs()
    idle = {} if folder is None else folder.idle()
    turns = [turn for turn in schedule(len(arms), protocol.runs, protocol.seed) if turn.number not in kept]
    if turns:
        bench = _Bench(arms, protocol, meter, folder, kept, idle)
        try:
            with meter:
                bench.measure(turns, progress, over)
        except KeyboardInterrupt:
            raise Interrupted(*_in_order(kept, idle)) from None
    return _in_order(kept, idle)


def _in_order(kept: dict[int, Run], idle: dict[int, float]) -> tuple[list[Run], list[float]]:
    return [kept[number] for number in sorted(kept)], [idle[number] for number in sorted(idle)]


class _Bench:
    """The meter and the arms, while they are measured."""

    def __init__(
        self,
        arms: Sequence[Arm],
        protocol: Protocol,
        meter: EnergyMeter,
        folder: Folder | None,
        kept: dict[int, Run],
        idle: dict[int, float],
    ) -> None:
        self._arms, self._protocol, self._meter, self._folder = arms, protocol, meter, folder
        self._kept, self._idle = kept, idle

    def measure(
        self,
        turns: Sequence[Turn],
        progress: Callable[[int, int, str], object],
        over: Callable[[Sequence[Run]], bool],
    ) -> None:
        protocol, total = self._protocol, len(self._arms) * self._protocol.runs
        for _ in range(protocol.warmup):
            for arm in self._arms:
                self._prepare(arm)
                progress(len(self._kept), total, f"warmup {arm.name}")
                arm.call()
        block = None
        for turn in turns:
            if over(list(self._kept.values())):
                break
            if turn.pair // 2 != block:
                block = turn.pair // 2
                self._measure_idle(turn.number)
            arm = self._arms[turn.arm]
            self._prepare(arm)
            self._cool()
            progress(len(self._kept), total, arm.name)
            run = self._run(arm, turn.pair)
            self._kept[turn.number] = run
            if self._folder is not None:
                self._folder.keep(turn.number, run)
        self._measure_idle(turns[-1].number + 1)

    def _prepare(self, arm: Arm) -> None:
        if arm.before is not None:
            arm.before()
        if self._protocol.prepare is not None:
            self._protocol.prepare()

    def _cool(self) -> None:
        time.sleep(self._protocol.cooldown)
        limit = self._protocol.celsius
        if limit is None:
            return
        end = time.monotonic() + _MOST_COOLING_SECONDS
        while (now := celsius()) is not None and now > limit:
            if time.monotonic() > end:
                raise SpecError(
                    f"the board stays at {now:.0f} °C and does not cool to {limit:g} °C; raise --celsius"
                )
            time.sleep(_COOLING_POLL_SECONDS)

    def _measure_idle(self, number: int) -> None:
        protocol = self._protocol
        seconds = protocol.min_seconds / 20 if protocol.idle is None else protocol.idle
        if not seconds > 0:
            return
        with self._meter.span("idle") as span:
            time.sleep(seconds)
        try:
            watts = self._usage(span).mean_watts
        except NotMeasured:
            return  # a moment without a sample: the runs next to it have no idle power
        assert watts is not None
        self._idle[number] = watts
        if self._folder is not None:
            self._folder.keep_idle(number, watts)

    def _run(self, arm: Arm, pair: int) -> Run:
        before, started = Conditions.now(), time.time()
        with self._meter.span(arm.name) as span:
            units, metric = self._call(arm)
        usage = self._usage(span)
        return Run.of(
            usage,
            arm=arm.name,
            program=arm.program,
            workload=self._protocol.workload,
            pair=pair,
            units=units,
            unit=self._protocol.unit,
            started=started,
            before=before,
            after=Conditions.now(),
            metric=metric,
        )

    def _call(self, arm: Arm) -> tuple[float, float | None]:
        """Call an arm until the least time is over: its units, and its last metric."""
        units, metric = 0.0, None
        end = time.monotonic() + self._protocol.min_seconds
        while True:
            work = arm.call() or Work()
            units += arm.per if work.units is None else work.units
            metric = work.metric if work.metric is not None else metric
            if time.monotonic() >= end:
                return units, metric

    @staticmethod
    def _usage(span: "Span") -> "Usage":
        """What a span used. On a busy machine the sample after its end may be late: it is asked for again."""
        for _ in range(_MOST_ASKS):
            try:
                if span.usage.coverage >= COVERED:
                    break
            except NotMeasured:
                pass  # raised below, if it stays so
            time.sleep(_ASK_SECONDS)
        usage = span.usage
        if not usage.coverage > 0:
            raise NotMeasured("a run has no sample; raise --min-seconds or the rate")
        return usage
