"""The language of the programs: what a measured program may do, in small steps that JSON can hold."""

import dataclasses
import json
import typing
from collections.abc import Iterator
from typing import Any, ClassVar

Body = tuple["Step", ...]


@dataclasses.dataclass(frozen=True)
class SourceSpec:
    """One source of known power."""

    wave: tuple[tuple[float, float, float], ...] = ((1.0, 5.0, 5.0),)
    """(seconds, watts at its start, watts at its end), repeated."""
    semantics: str = "instant"
    quantity: str = "watts"
    """``watts``, ``amps`` (with 5 V) or ``joules`` (a counter)."""
    hz: float = 100.0
    nominal_hz: float = 0.0
    """What its facts promise; 0: the truth."""
    way: str = "read"
    """``read``, ``stream``, or ``missing``: it cannot be opened."""
    band: tuple[float, float, float] = (0.01, 0.0, 0.0)
    """± gain, offset and resolution that its facts promise."""
    gain: float = 0.0
    """The gain error of this source, inside the band; the same for ``offset``."""
    offset: float = 0.0
    wrap: float = 0.0
    max_watts: float = 0.0
    renews: float = 0.0
    """Seconds from one new value to the next; in between it repeats the last one as if it were new."""
    news: float = 0.0
    """Seconds from one fresh reading to the next; in between it says that it has nothing newer."""
    batch: float = 0.0
    """A stream that is handed on every so many seconds."""
    late: float = 0.0
    """No reading before this second."""
    slow: float = 0.0
    """Seconds that a reading takes."""
    stamped: bool = True
    """Whether readings carry the device's own time."""
    window: float = 0.0
    """A mean of the last so many seconds, whenever it is read."""
    describes: bool = False
    """A mean says how long a stretch it describes."""
    shared: bool = False
    """Others may use it, so that its sampler stays ready for the next block."""
    restarts: bool = False
    """A counter that begins again at 0 whenever it is opened."""
    troubles: tuple[tuple[str, float, float, str], ...] = ()
    provenance: str = "measured"
    rails: tuple["SourceSpec", ...] = ()
    """The channels of a source that divides; its own wave is then unused."""

    @property
    def healthy(self) -> bool:
        """Nothing was arranged to go wrong."""
        return not (self.troubles or self.late or self.restarts or self.way == "missing") and all(
            rail.healthy for rail in self.rails
        )


@dataclasses.dataclass(frozen=True)
class MeterSpec:
    """One meter of the program."""

    sources: tuple[SourceSpec, ...]
    object: bool = False
    """The (only) source is an object of the program."""
    rate_hz: float = 0.0
    """0: the source's own."""
    log: str = ""
    """``csv``, ``jsonl``, ``parquet``, ``fifo``, or ``bytes``: a Parquet log whose name is not UTF-8."""
    budget: bool = False
    require: str = ""
    linger: float | None = None
    """Seconds that its source stays ready for the next block; None: as it is by itself."""


@dataclasses.dataclass(frozen=True)
class Step:
    """One thing that the program does."""

    kinds: ClassVar[dict[str, type["Step"]]] = {}

    def __init_subclass__(cls) -> None:
        Step.kinds[cls.__name__] = cls

    def bodies(self) -> tuple[Body, ...]:
        """The steps within it."""
        return ()

    def with_bodies(self, bodies: tuple[Body, ...]) -> "Step":
        """The same step around others."""
        return self


@dataclasses.dataclass(frozen=True)
class _Around(Step):
    body: Body = ()

    def bodies(self) -> tuple[Body, ...]:
        return (self.body,)

    def with_bodies(self, bodies: tuple[Body, ...]) -> Step:
        return dataclasses.replace(self, body=bodies[0])


@dataclasses.dataclass(frozen=True)
class _AllOf(Step):
    parts: tuple[Body, ...] = ()

    def bodies(self) -> tuple[Body, ...]:
        return self.parts

    def with_bodies(self, bodies: tuple[Body, ...]) -> Step:
        return dataclasses.replace(self, parts=tuple(body for body in bodies if body))


@dataclasses.dataclass(frozen=True)
class Sleep(Step):
    """Let time pass."""

    seconds: float = 0.1


@dataclasses.dataclass(frozen=True)
class Hold(Step):
    """Let time pass in a call that blocks every other thread of the program."""

    seconds: float = 0.3


@dataclasses.dataclass(frozen=True)
class Block(_Around):
    """Enter the meter and leave it: ``with``, ``async``, ``function``, ``generator``, ``agenerator``,
    ``twice`` (left once more than entered), ``forgotten`` (entered and dropped), ``raises`` (left by an
    exception)."""

    meter: int = 0
    way: str = "with"


@dataclasses.dataclass(frozen=True)
class Span(_Around):
    """A span: ``with``, ``function``, ``coroutine``, ``generator``, ``agenerator``, ``track``, ``raises``."""

    label: str = "a"
    meter: int = 0
    way: str = "with"


@dataclasses.dataclass(frozen=True)
class Many(Step):
    """Many short spans, one after the other."""

    label: str = "m"
    meter: int = 0
    count: int = 50
    seconds: float = 0.001


@dataclasses.dataclass(frozen=True)
class Interrupted(Step):
    """Short spans, and an alarm that raises while they are asked for, several times."""

    label: str = "i"
    meter: int = 0
    times: int = 3
    count: int = 300
    seconds: float = 2e-4


@dataclasses.dataclass(frozen=True)
class Signals(_Around):
    """A signal handler asks the meter every few milliseconds while the program does the same."""

    meter: int = 0
    label: str = "a"


@dataclasses.dataclass(frozen=True)
class Threads(_AllOf):
    """The parts run in threads, at the same time."""


@dataclasses.dataclass(frozen=True)
class Tasks(Step):
    """Spans in so many tasks of one event loop, overlapping."""

    label: str = "t"
    meter: int = 0
    count: int = 5
    seconds: float = 0.1


@dataclasses.dataclass(frozen=True)
class Rush(Step):
    """A function that the meter decorates, called by several threads at the same time."""

    meter: int = 0
    threads: int = 4
    seconds: float = 0.1


@dataclasses.dataclass(frozen=True)
class Fork(_Around):
    """A worker runs the steps and lives on for a while; the program does not wait for it."""

    lives: float = 5.0


@dataclasses.dataclass(frozen=True)
class Kill(Step):
    """End the sampling process, as the system does where memory is short; ``gone``: and take away what it
    plays."""

    gone: bool = False
    crowded: bool = False
    """While no file can be opened."""


@dataclasses.dataclass(frozen=True)
class Stop(Step):
    """Halt the sampling process for a while."""

    seconds: float = 0.5


@dataclasses.dataclass(frozen=True)
class Idle(Step):
    """Take a baseline."""

    meter: int = 0
    seconds: float = 0.3


@dataclasses.dataclass(frozen=True)
class Ask(Step):
    """Ask the meter for ``usage``, ``usages``, ``spans``, ``trace`` or ``latest``."""

    what: str = "usage"
    meter: int = 0


@dataclasses.dataclass(frozen=True)
class Keep(Step):
    """Keep the answers of ``meter.spans``; they must say the same at the end of the program."""

    meter: int = 0


@dataclasses.dataclass(frozen=True)
class Reset(Step):
    """The battery of the budget was changed."""


@dataclasses.dataclass(frozen=True)
class Close(Step):
    """Release what stays ready of the meter for its next block."""

    meter: int = 0


@dataclasses.dataclass(frozen=True)
class Environ(Step):
    """Change the environment: what stays ready must not be used again."""


@dataclasses.dataclass(frozen=True)
class Drawing(_Around):
    """What the steps draw is debited, as a meter sees it that they enter themselves."""

    meter: int = 0


@dataclasses.dataclass(frozen=True)
class Guarded(Step):
    """A loop that the budget guards, or a function that it decorates."""

    way: str = "guard"
    """``guard``, ``track``, ``function``, ``generator`` or ``endless`` (its length raises)."""
    count: int = 5
    seconds: float = 0.05


@dataclasses.dataclass(frozen=True)
class Company(_Around):
    """Another process measures the same source meanwhile, for the same budget."""

    meter: int = 0
    seconds: float = 0.5


@dataclasses.dataclass(frozen=True)
class ForkWhileLeaving(Step):
    """A thread enters and leaves a meter that pays, again and again; the program forks meanwhile."""

    meter: int = 0
    times: int = 6


@dataclasses.dataclass(frozen=True)
class Chdir(Step):
    """Go to another folder."""


@dataclasses.dataclass(frozen=True)
class Closerange(Step):
    """Close the files that are not the program's own, and open some, as a daemon does."""


@dataclasses.dataclass(frozen=True)
class Refused(Step):
    """A meter that is refused, several times: ``require``, ``missing`` or ``log`` (in the way)."""

    way: str = "missing"
    times: int = 3


@dataclasses.dataclass(frozen=True)
class Track(Step):
    """A tracked loop over something strange: ``endless`` (its length raises) or ``plain``."""

    meter: int = 0
    way: str = "endless"
    count: int = 3
    seconds: float = 0.05
    progress: bool = True


@dataclasses.dataclass(frozen=True)
class Replay(Step):
    """Play a recording of known power as fast as it can be read."""

    rows: int = 2000
    hz: float = 100.0
    channels: int = 1
    kill: str = ""
    """``kill``: the sampling process meanwhile; ``gone``: and the file, too."""


@dataclasses.dataclass(frozen=True)
class Leave(Step):
    """The program ends here, in the middle of everything, by ``exit`` or by ``kill``."""

    way: str = "exit"


@dataclasses.dataclass(frozen=True)
class Program:
    """One random program."""

    seed: int
    meters: tuple[MeterSpec, ...]
    steps: Body
    where: tuple[str, ...] = ()
    """The circumstances: ``crowd`` (1 100 open files), ``no stderr``, ``broken stderr``, ``closed stdin``,
    ``closed stdout``, ``no memfd``, ``forbidden memfd``, ``no executable``, ``frozen``, ``strict`` (warnings
    are errors)."""
    capacity_joules: float = 50_000.0

    @property
    def seconds(self) -> float:
        """How long it takes at least."""
        return sum(map(_seconds, self.steps))

    @property
    def pays(self) -> bool:
        """There is a budget."""
        return any(meter.budget for meter in self.meters) or any(
            isinstance(step, Drawing | Guarded) for step in walk(self.steps)
        )

    def to_json(self) -> str:
        return json.dumps(_plain(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Program":
        return typing.cast(Program, _made(cls, json.loads(text)))


def walk(steps: Body) -> Iterator[Step]:
    """Every step, and those within."""
    for step in steps:
        yield step
        for body in step.bodies():
            yield from walk(body)


def _seconds(step: Step) -> float:
    own = getattr(step, "seconds", 0.0) * getattr(step, "count", 1)
    if isinstance(step, Tasks | Rush):
        own = 4 * step.seconds
    if isinstance(step, Replay):
        own = 2.0
    within = [sum(map(_seconds, body)) for body in step.bodies()]
    return float(own + (max(within, default=0.0) if isinstance(step, Threads) else sum(within)))


def _plain(thing: Any) -> Any:
    if dataclasses.is_dataclass(thing):
        fields = {
            field.name: _plain(getattr(thing, field.name))
            for field in dataclasses.fields(thing)
            if getattr(thing, field.name) != field.default
        }
        return {"step": type(thing).__name__, **fields} if isinstance(thing, Step) else fields
    return [_plain(part) for part in thing] if isinstance(thing, tuple) else thing


def _made(kind: Any, fields: Any) -> Any:
    """A dataclass again, from what `_plain` made of it."""
    if isinstance(fields, dict) and "step" in fields:
        kind = Step.kinds[fields.pop("step")]
    if dataclasses.is_dataclass(kind) and isinstance(fields, dict):
        of = {"meters": MeterSpec, "sources": SourceSpec, "rails": SourceSpec}
        return kind(**{name: _made(of.get(name), value) for name, value in fields.items()})  # type: ignore[operator]
    if isinstance(fields, list):
        return tuple(_made(kind, part) for part in fields)
    return fields
