"""What tests of drivers and of programs that measure need; standard library only, no test framework.

The conformance suite asks whether a source keeps the contract. Each broken promise raises `Broken`, an
``AssertionError`` whose sentence names the source and the promise::

    def test_my_meter():
        check_source(lambda: MyMeter(wire=EmulatedMeter()))
        check_unplugged(lambda: MyMeter("/dev/no-such-port"))

`expected_bytes` is the wire of a driver's test, as a list of what is sent and what comes back.
`ScriptedSource` is a source without hardware, for testing what uses one.
"""

import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice, pairwise
from types import FrameType

from energymeter.clock import Clock, SystemClock
from energymeter.errors import EnergyMeterError, SourceEnded, SourceError, not_open
from energymeter.reading import PLACES, PROVENANCES, SEMANTICS, Band, Facts, Reading
from energymeter.source import Source

__all__ = [
    "Broken",
    "ScriptedSource",
    "ScriptedWire",
    "check_facts",
    "check_reading",
    "check_source",
    "check_unplugged",
    "expected_bytes",
]

_QUANTITIES = ("volts", "amps", "watts", "joules", "coulombs")
_TOUCHES = (
    "open",
    "os.listdir",
    "os.scandir",
    "socket.__new__",
    "socket.connect",
    "socket.getaddrinfo",
    "subprocess.Popen",
    "os.system",
    "os.posix_spawn",
    "os.fork",
    "fcntl.ioctl",
)
"""Audit events (PEP 578, docs.python.org/3/library/audit_events.html) that a constructor must not cause."""

_PROGRAM = (".py", ".pyc", ".so", ".pyd", ".zip")
"""Files that importing opens, whoever does it for the interpreter."""

_IMPORT = ("<frozen importlib", "<frozen zipimport")
"""Where the code of the interpreter's own import system comes from."""

_BEATS = 40
"""Signs of life that a stream may give before it must have given its samples."""

_FUTURE_NS = 1_000_000_000

_REOPENED = " after it was opened again (a scripted wire needs answers for that, too)"

_PATIENCE_SECONDS = 10.0
"""Silence on a scripted wire after which no driver may still wait: a sampler could not stop it."""


class Broken(AssertionError):
    """A source does not keep the driver contract; the message says which promise."""


class ScriptedSource:
    """A source without hardware, for tests of what uses one: it reads what its script says.

    >>> source = ScriptedSource(lambda n: Reading(watts=5.0 + n))
    >>> source.open()
    >>> source.read().watts, source.read().watts
    (5.0, 6.0)

    Args:
        script: called with the number of the reading, from 0; or the readings in order. An error in place of
            a reading is raised. After the last one of a list comes `SourceEnded`.
        name: begins ``sim:`` if the facts say simulated, and only then.
        facts: what is known about it.
    """

    def __init__(
        self,
        script: "Callable[[int], Reading | Exception] | Sequence[Reading | Exception]",
        *,
        name: str = "sim:script",
        facts: Facts = Facts(provenance="simulated"),  # noqa: B008 - a constant
    ) -> None:
        self.name, self.facts = name, facts
        self.opened = self.reads = self.closed = 0
        """How often each was called."""
        self._script, self._is_open = script, False

    def open(self) -> None:
        self.opened += 1
        self._is_open = True

    def read(self) -> Reading:
        if not self._is_open:
            raise not_open(self.name)
        number, self.reads = self.reads, self.reads + 1
        if callable(self._script):
            reading = self._script(number)
        elif number < len(self._script):
            reading = self._script[number]
        else:
            raise SourceEnded(f"{self.name} has no more readings")
        if isinstance(reading, Exception):
            raise reading
        return reading

    def close(self) -> None:
        self.closed += 1
        self._is_open = False


class ScriptedWire:
    """The wire that `expected_bytes` gives: strict about what is sent; silence takes time on its clock."""

    address = "scripted wire"

    def __init__(
        self, exchanges: Iterable[tuple[bytes, bytes | Exception]], *, clock: Clock | None = None
    ) -> None:
        self.moved_bytes = 0
        self.is_open = False
        self._clock = clock or SystemClock()
        self._silent_seconds = 0.0
        self._ahead = list(exchanges)
        self._waiting: list[bytes | Exception] = []
        self._hear()

    def open(self) -> None:
        self.is_open = True
        self._silent_seconds = 0.0

    def close(self) -> None:
        self.is_open = False

    def write(self, data: bytes) -> None:
        """Take what the driver sends; it must be what comes next.

        Raises:
            Broken: it is something else, or nothing more was expected.
            SourceMissing: the wire is not open.
        """
        self._check_open()
        expected = _shown(self._ahead[0][0]) if self._ahead else "nothing, the script is used up"
        right = bool(self._ahead) and data == self._ahead[0][0]
        _check(right, self.address, f"the driver sent {_shown(data)}; expected {expected}")
        _, answer = self._ahead.pop(0)
        self._waiting.append(answer)
        self._hear()
        self._silent_seconds = 0.0
        self.moved_bytes += len(data)

    def read(self, seconds: float = 0.0) -> bytes:
        """What came next, one entry of the script a read; in silence ``b""``, after ``seconds`` on the clock.

        Raises:
            Broken: the driver has waited for 10 s in silence.
            SourceMissing: the wire is not open.
        """
        self._check_open()
        came = self._waiting.pop(0) if self._waiting else b""
        if isinstance(came, Exception):
            raise came
        if came:
            self._silent_seconds = 0.0
        else:
            self._clock.sleep(seconds)
            self._silent_seconds += seconds
            _check(
                self._silent_seconds < _PATIENCE_SECONDS,
                self.address,
                f"the driver still waits after {_PATIENCE_SECONDS:g} s of silence; "
                "raise SourceTimeout before that, and give the wire and the driver the same clock",
            )
        self.moved_bytes += len(came)
        return came

    def readline(self) -> bytes:
        """Up to the end of a line, as of a file; what there is of it in silence."""
        line = b""
        while not line.endswith(b"\n") and (came := self.read()):
            head, end, rest = came.partition(b"\n")
            line += head + end
            if rest:
                self._waiting.insert(0, rest)
                self.moved_bytes -= len(rest)
        return line

    def leftovers(self) -> list[str]:
        """What was expected and did not happen, and what came and was not read."""
        unread = [f"unread {_shown(data)}" for data in self._waiting if data]
        return unread + [f"{_shown(sent)} never sent" for sent, _ in self._ahead]

    def _check_open(self) -> None:
        if not self.is_open:
            raise not_open(self.address)

    def _hear(self) -> None:
        """What the device says without being asked comes as soon as all before it was sent."""
        while self._ahead and not self._ahead[0][0]:
            self._waiting.append(self._ahead.pop(0)[1])


@contextmanager
def expected_bytes(
    *exchanges: tuple[bytes, bytes | Exception], clock: Clock | None = None
) -> Iterator[ScriptedWire]:
    """A wire on which exactly this happens: (sent, received) in order, as the meter's manual shows it.

    An empty ``sent`` is what the device says without being asked; an empty ``received`` is one read in
    silence; an error in its place is raised by the read. Each ``received`` comes in a read of its own, so two
    of them are a frame in two pieces. The wire must be opened, as any.

    >>> with expected_bytes((b"MEAS?\\n", b"5.021,0.613\\n")) as wire:
    ...     wire.open()
    ...     wire.write(b"MEAS?\\n")
    ...     wire.read()
    b'5.021,0.613\\n'

    Args:
        exchanges: what happens. `check_source` opens a source twice and takes ``reads`` + 1 readings.
        clock: on which a read in silence takes its time; the driver's own. None: the system's.

    Raises:
        Broken: the driver sent something else, or waited for 10 s in silence; or at the end something was
            never sent or never read.
    """
    wire = ScriptedWire(exchanges, clock=clock)
    yield wire
    left = wire.leftovers()
    _check(not left, wire.address, f"something was left over: {', '.join(left)}")


def _shown(data: object) -> str:
    return (data.hex(" ") or "nothing") if isinstance(data, bytes) else repr(data)


def check_source(
    make: Callable[[], Source] | Source, *, reads: int = 5, accuracy_known: bool = True
) -> list[Reading]:
    """Open, read, close and reopen a source that works, and hold every promise against it.

    Args:
        make: makes a source, a new one each time; what it builds besides (an emulated device, a file) is
            better built before, because nothing may be touched while it runs. A source that exists already
            is checked too, except for its constructor and for what happens before its first ``open``.
        reads: how many readings to take; at 5, a source at 1 Hz that paces itself takes 5 seconds.
        accuracy_known: False: the source may leave a quantity's accuracy unknown (``None`` in its facts).

    Returns:
        The readings, for checks of your own.

    Raises:
        Broken: the promise that was not kept.
    """
    source = _construct(make) if callable(make) and not isinstance(make, Source) else make
    name = _check_name(source)
    source.close()  # before open: there is nothing to close, and that is fine
    _refuses(source, "before open")
    check_facts(source.facts, name)
    source.open()
    try:
        readings = _take(source, reads, accuracy_known)
    finally:
        source.close()
        source.close()  # twice is fine
    _check(source.name == name, name, f"changed its name to {source.name!r} while it was open")
    _refuses(source, "after close")
    try:
        source.open()  # what the sampler does after a failure
        readings += _take(source, 1, accuracy_known, _REOPENED)
    except SourceError as error:
        raise Broken(f"{name}: fails{_REOPENED}: {error}") from error
    finally:
        source.close()
    return readings


def check_unplugged(make: Callable[[], Source]) -> None:
    """Hold a source whose device is missing to its promises: open says so, and close forgives.

    Raises:
        Broken: the promise that was not kept.
    """
    source = _construct(make)
    name = _check_name(source)
    for attempt in ("", " the second time"):
        try:
            source.open()
        except EnergyMeterError as error:
            _check(
                bool(str(error).strip()),
                name,
                f"open fails{attempt} without a reason: say what to do about it",
            )
        except Exception as error:
            raise Broken(
                f"{name}: open raises {type(error).__name__}{attempt}; raise a SourceError with a remedy"
            ) from error
        else:
            raise Broken(f"{name}: open succeeds{attempt} without its device; touch the hardware there")
        source.close()
        source.close()


def check_facts(facts: Facts, name: str) -> None:
    """Hold a source's facts to sense.

    Raises:
        Broken: what makes none.
    """
    for word, words in ((facts.semantics, SEMANTICS), (facts.provenance, PROVENANCES), (facts.place, PLACES)):
        _check(word in words, name, f"facts say {word!r}; use one of {', '.join(words)}")
    _check(
        0 < facts.default_hz <= facts.max_hz < math.inf,
        name,
        f"default_hz {facts.default_hz} and max_hz {facts.max_hz} must be above 0 and in this order",
    )
    for quantity in _QUANTITIES:
        band: Band | None = getattr(facts, quantity)
        for part in band or ():
            _check(
                _finite(part) and part >= 0,
                name,
                f"facts.{quantity} holds {part!r}; limits are ± and positive",
            )
    for limit in ("joules_wrap", "coulombs_wrap", "max_watts"):
        value = getattr(facts, limit)
        _check(
            value is None or (_finite(value) and value > 0), name, f"facts.{limit} is {value!r}, not above 0"
        )
    for duration in ("renewal_seconds", "smoothing_seconds", "still_seconds"):
        value = getattr(facts, duration)
        known = _finite(value) and value >= 0
        _check(
            known or (value is None and duration == "still_seconds"),
            name,
            f"facts.{duration} is {value!r}, no time",
        )
    _check(
        _finite(facts.clock) and 0 <= facts.clock < 1, name, f"facts.clock is {facts.clock!r}, not relative"
    )
    simulated = facts.provenance == "simulated"
    _check(
        simulated == name.startswith("sim:"),
        name,
        "a simulated source's name begins sim:, and no other's does",
    )


def check_reading(reading: Reading, facts: Facts, name: str, *, accuracy_known: bool = True) -> None:
    """Hold one reading to its facts. A stale one (``fresh=False``) may be empty.

    Raises:
        Broken: what does not fit.
    """
    _check(isinstance(reading, Reading), name, f"read returns {type(reading).__name__}, not a Reading")
    if not reading.fresh:
        return
    given = [q for q in _QUANTITIES if getattr(reading, q) is not None]
    _check(bool(given), name, "a fresh reading holds no quantity; raise SourceError or say fresh=False")
    for quantity in given:
        value = getattr(reading, quantity)
        _check(
            _finite(value), name, f"{quantity} is {value!r}; give a finite number, or None for cannot tell"
        )
        known = getattr(facts, quantity) is not None or not accuracy_known
        _check(known, name, f"reads {quantity}, but facts.{quantity} does not say how exactly")
    if facts.semantics == "counter":
        counts = reading.joules is not None or reading.coulombs is not None
        _check(counts, name, "counts (semantics counter), but its reading holds neither joules nor coulombs")
    else:
        flows = reading.watts is not None or reading.amps is not None
        _check(flows, name, f"is {facts.semantics}, but its reading holds neither watts nor amps")
    _check(
        reading.seconds is None or (_finite(reading.seconds) and reading.seconds >= 0),
        name,
        f"a mean over {reading.seconds!r} s",
    )
    late = reading.at_ns is None or reading.at_ns <= time.monotonic_ns() + _FUTURE_NS
    _check(late, name, "at_ns lies in the future; it is time.monotonic_ns() of the value")


def _construct(make: Callable[[], Source]) -> Source:
    with _Watch() as watch:
        source = make()
    _check(isinstance(source, Source), repr(source), "lacks one of name, facts, open, read and close")
    touched = ", ".join(watch.touched[:3])
    _check(not touched, source.name, f"its constructor touches the system ({touched}); leave that to open")
    return source


def _check_name(source: Source) -> str:
    named = isinstance(source.name, str) and source.name.strip() != ""
    _check(named, type(source).__name__, "has no name; it is what every error and log calls it")
    return source.name


def _take(source: Source, reads: int, accuracy_known: bool, when: str = "") -> list[Reading]:
    """``reads`` fresh readings, from the parts, the stream or the source itself."""
    tries = "1 try" if reads == 1 else f"{reads} tries"
    channels = getattr(source, "channels", None)
    parts: Iterable[Source] = [source] if channels is None else channels()
    taken: list[Reading] = []
    for part in parts:
        check_facts(part.facts, part.name)
        fresh = [r for r in _readings(part, reads, accuracy_known) if r.fresh]
        _check(bool(fresh), part.name, f"gave no fresh reading in {tries}{when}")
        _check_series(fresh, part)
        taken += fresh
    _check(bool(taken), source.name, "has no channels")
    return taken


def _readings(part: Source, reads: int, accuracy_known: bool) -> list[Reading]:
    stream = getattr(part, "stream", None)
    taken: list[Reading] = []
    if stream is None:
        for _ in range(reads):
            reading = part.read()
            check_reading(reading, part.facts, part.name, accuracy_known=accuracy_known)
            taken.append(reading)
        return taken
    running = stream()
    try:
        for reading in islice(running, reads + _BEATS):
            check_reading(reading, part.facts, part.name, accuracy_known=accuracy_known)
            if reading.fresh:
                _check(
                    reading.at_ns is not None, part.name, "streams without at_ns; only the device knows it"
                )
                taken.append(reading)
            if len(taken) == reads:
                break
    finally:
        close = getattr(running, "close", None)
        if close is not None:
            close()
    return taken


def _check_series(readings: list[Reading], part: Source) -> None:
    """What must not go back: time, and a counter of joules that does not wrap."""
    stamps = [r.at_ns for r in readings if r.at_ns is not None]
    _check(all(a < b for a, b in pairwise(stamps)), part.name, "at_ns does not increase")
    if part.facts.joules_wrap is None and part.facts.semantics == "counter":
        counts = [r.joules for r in readings if r.joules is not None]
        grows = all(a <= b for a, b in pairwise(counts))
        _check(
            grows, part.name, "its joules counter goes back, and facts.joules_wrap says that it never wraps"
        )


def _refuses(source: Source, when: str) -> None:
    try:
        reading = source.read()
    except SourceError:
        return
    except Exception as error:
        raise Broken(
            f"{source.name}: read {when} raises {type(error).__name__}; raise SourceError"
        ) from error
    raise Broken(f"{source.name}: read {when} returns {reading}; raise SourceError")


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check(kept: bool, name: str, promise: str) -> None:
    if not kept:
        raise Broken(f"{name}: {promise}")


class _Watch:
    """Sees what the interpreter does to the system while it is entered.

    An audit hook cannot be removed, so there is one for the process, which does nothing when nobody watches.
    """

    _watching: "list[_Watch]" = []  # noqa: RUF012
    _hooked = False

    def __init__(self) -> None:
        self.touched: list[str] = []

    def __enter__(self) -> "_Watch":
        if not _Watch._hooked:
            _Watch._hooked = True
            watching = _Watch._watching  # the hook outlives the names of this module

            def see(event: str, args: tuple[object, ...]) -> None:
                if watching:
                    watching[-1]._see(event, args)

            sys.addaudithook(see)
        _Watch._watching.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _Watch._watching.remove(self)

    def _see(self, event: str, args: tuple[object, ...]) -> None:
        if event not in _TOUCHES:
            return
        what = str(args[0]) if args and event in ("open", "os.listdir", "os.scandir") else ""
        listing = event in ("os.listdir", "os.scandir")
        program = what in ("", *sys.path) if listing else what.endswith(_PROGRAM)
        if not program and not _importing():
            self.touched.append(f"{event} {what}".strip())


def _importing() -> bool:
    """Whether the import system is at work: it lists folders, reads programs and writes ``.pyc`` files.

    What a module does while it is imported is not among it.
    """
    frame: FrameType | None = sys._getframe(3)  # who caused the event
    while frame is not None and frame.f_code.co_name != "<module>":
        if frame.f_code.co_filename.startswith(_IMPORT):
            return True
        if frame.f_code is _construct.__code__:
            return False
        frame = frame.f_back
    return False
