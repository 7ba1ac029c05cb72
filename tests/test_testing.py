"""The conformance suite: a sound source passes, and each broken promise is named."""

import importlib
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from energymeter import EnergyMeter, testing
from energymeter.clock import ManualClock
from energymeter.errors import SourceEnded, SourceError, SourceMissing, SourceTimeout
from energymeter.reading import Band, Facts, Reading
from energymeter.testing import (
    Broken,
    ScriptedSource,
    ScriptedWire,
    check_facts,
    check_reading,
    check_source,
    check_unplugged,
    expected_bytes,
)

EXACT = Band(gain=0.01)


class Sound:
    """Keeps every promise; the tests break one each."""

    facts = Facts(volts=EXACT, amps=EXACT, watts=EXACT, joules=EXACT, default_hz=1, max_hz=10)
    reading = Reading(volts=5.0, amps=0.5)

    def __init__(self) -> None:
        self.name = "sound@1"
        self.opened = False

    def open(self) -> None:
        self.opened = True

    def read(self) -> Reading:
        if not self.opened:
            raise SourceError("sound@1 is not open")
        return self.reading

    def close(self) -> None:
        self.opened = False


def with_(**changes: Any) -> Callable[[], Sound]:
    """A maker of sources with these attributes of the class changed."""
    return type("Changed", (Sound,), changes)


def test_a_sound_source_passes_made_or_given() -> None:
    assert check_source(Sound) == [Sound.reading] * 6
    assert check_source(Sound(), reads=2) == [Sound.reading] * 3


def _touch(kind: str) -> Callable[[], Any]:
    return {
        "file": lambda: Path("/proc/self/stat").read_text(),
        "listing": lambda: list(Path("/proc/self/fd").iterdir()),
        "network": lambda: socket.socket().close(),
        "program": lambda: subprocess.run(["true"], check=True),
    }[kind]


@pytest.mark.parametrize("kind", ["file", "listing", "network", "program"])
def test_a_constructor_that_touches_the_world(kind: str) -> None:
    touch = _touch(kind)

    class Greedy(Sound):
        def __init__(self) -> None:
            super().__init__()
            touch()

    with pytest.raises(Broken, match="constructor touches the system"):
        check_source(Greedy)
    check_source(Greedy())  # given ready made, nobody watched


def importing(module: str) -> type[Sound]:
    """A source whose constructor imports a module."""

    class Importing(Sound):
        def __init__(self) -> None:
            super().__init__()
            importlib.import_module(module)

    return Importing


@pytest.mark.parametrize("bytecode", ["next to the module", "in a folder of its own", "not written"])
@pytest.mark.parametrize("shape", ["module", "package", "archive"])
def test_importing_in_a_constructor_is_no_touch(
    shape: str, bytecode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python lists folders, reads programs and, unless it was asked not to, writes what it compiled."""
    name = f"never_seen_before_{shape}_{bytecode.replace(' ', '_')}"
    files = {f"{name}.py": "x = 1\n"}
    if shape == "package":
        files = {f"{name}/__init__.py": f"from {name}.inner import deep\n", f"{name}/inner/__init__.py": ""}
        files[f"{name}/inner/deep.py"] = "import json\n"
    folder = tmp_path / "library"
    if shape == "archive":
        with zipfile.ZipFile(folder.with_suffix(".pyz"), "w") as archive:
            for path, text in files.items():
                archive.writestr(path, text)
        folder = folder.with_suffix(".pyz")
    else:
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
    monkeypatch.setattr(sys, "dont_write_bytecode", bytecode == "not written")
    prefix = str(tmp_path / "cache") if bytecode == "in a folder of its own" else None
    monkeypatch.setattr(sys, "pycache_prefix", prefix)
    monkeypatch.syspath_prepend(folder)
    check_source(importing(name))
    compiled = list(tmp_path.rglob("*.pyc"))
    assert bool(compiled) == (bytecode != "not written" and shape != "archive")


def test_a_module_that_touches_the_world_when_it_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "greedy_module.py").write_text("def f():\n    open('/proc/self/stat').close()\nf()\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(Broken, match=r"constructor touches the system \(open /proc/self/stat"):
        check_source(importing("greedy_module"))


def test_what_watches_a_constructor_outlives_its_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreter that ends clears the names of modules before its last events, and a hook stays."""
    check_source(Sound)
    for name in [
        name for name, value in vars(testing).items() if getattr(value, "__module__", "") == testing.__name__
    ]:
        monkeypatch.setattr(testing, name, None)
    sys.audit("open", "/proc/self/stat")


class NoClose:
    name, facts, open, read = "x", Sound.facts, Sound.open, Sound.read


def returns(value: Any) -> Callable[..., Any]:
    return lambda self: value


def raises(error: Exception) -> Callable[..., Any]:
    def method(self: object) -> None:
        raise error

    return method


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (NoClose, "lacks one of"),
        (with_(read=returns(Reading(watts=1.0))), "read before open returns"),
        (with_(read=raises(ValueError())), "read before open raises ValueError"),
        (with_(reading=Reading()), "holds no quantity"),
        (with_(reading=Reading(watts=float("nan"))), "watts is nan"),
        (with_(reading=Reading(watts=float("inf"))), "watts is inf"),
        (with_(reading=Reading(watts=True)), "watts is True"),
        (with_(reading=Reading(watts="4")), "watts is '4'"),  # type: ignore[arg-type]
        (with_(reading=4.0), "not a Reading"),
        (with_(reading=Reading(volts=5.0)), "neither watts nor amps"),
        (with_(reading=Reading(watts=1.0, coulombs=1.0)), "facts.coulombs does not say"),
        (with_(reading=Reading(watts=1.0, seconds=-1.0)), "a mean over"),
        (with_(reading=Reading(watts=1.0, at_ns=time.monotonic_ns() + 10**13)), "in the future"),
        (with_(reading=Reading(watts=1.0, at_ns=1)), "at_ns does not increase"),
        (with_(reading=Reading(fresh=False)), "no fresh reading in 5 tries"),
        (with_(channels=returns([])), "has no channels"),
        (
            with_(facts=Facts(semantics="counter", watts=EXACT), reading=Reading(watts=1.0)),
            "neither joules nor",
        ),
    ],
)
def test_each_broken_promise_is_named(make: Callable[[], Any], match: str) -> None:
    with pytest.raises(Broken, match=match):
        check_source(make)


def test_a_name_there_is_and_it_stays() -> None:
    class Nameless(Sound):
        def __init__(self) -> None:
            super().__init__()
            self.name = " "

    class Renamed(Sound):
        def open(self) -> None:
            super().open()
            self.name = "sound@2"

    with pytest.raises(Broken, match="has no name"):
        check_source(Nameless)
    with pytest.raises(Broken, match="changed its name"):
        check_source(Renamed)


def test_a_source_that_opens_once_only() -> None:
    class Once(Sound):
        times = 0

        def open(self) -> None:
            super().open()
            type(self).times += 1
            if self.times > 1:
                raise SourceMissing("sound@1 is spent")

    with pytest.raises(Broken, match=r"fails after it was opened again .*: sound@1 is spent"):
        check_source(Once)


def test_a_counter_that_goes_back() -> None:
    class Falling(Sound):
        facts = Sound.facts._replace(semantics="counter")
        joules = 10.0

        def read(self) -> Reading:
            super().read()
            self.joules -= 1.0
            return Reading(joules=self.joules)

    with pytest.raises(Broken, match="goes back"):
        check_source(Falling)
    Falling.facts = Falling.facts._replace(joules_wrap=100.0)
    check_source(Falling)


class Streaming(Sound):
    stamped = True

    def stream(self) -> Iterator[Reading]:
        while self.opened:
            yield Reading(fresh=False)
            yield self.reading._replace(at_ns=time.monotonic_ns() if self.stamped else None)


def test_streams() -> None:
    assert len(check_source(Streaming)) == 6
    with pytest.raises(Broken, match="streams without at_ns"):
        check_source(type("Unstamped", (Streaming,), {"stamped": False}))
    with pytest.raises(Broken, match="no fresh reading"):
        check_source(type("Silent", (Streaming,), {"reading": Reading(fresh=False)}))


def test_parts_are_checked_each() -> None:
    class Part(Sound):
        def __init__(self, watts: float) -> None:
            super().__init__()
            self.reading = Reading(watts=watts)
            self.opened = True

    assert len(check_source(with_(channels=returns([Part(1.0), Part(2.0)])), reads=2)) == 6
    with pytest.raises(Broken, match="watts is nan"):
        check_source(with_(channels=returns([Part(1.0), Part(float("nan"))])))


def test_an_unknown_accuracy_must_be_admitted() -> None:
    make = with_(facts=Facts(), reading=Reading(watts=1.0))
    with pytest.raises(Broken, match=r"facts\.watts does not say how exactly"):
        check_source(make)
    check_source(make, accuracy_known=False)


@pytest.mark.parametrize(
    ("facts", "match"),
    [
        (Facts(default_hz=0), "above 0 and in this order"),
        (Facts(default_hz=10, max_hz=1), "above 0 and in this order"),
        (Facts(semantics="total"), "facts say 'total'"),  # type: ignore[arg-type]
        (Facts(place="moon"), "facts say 'moon'"),  # type: ignore[arg-type]
        (Facts(provenance="guess"), "facts say 'guess'"),  # type: ignore[arg-type]
        (Facts(watts=Band(gain=-0.1)), r"facts\.watts holds -0\.1"),
        (Facts(joules_wrap=0.0), r"facts\.joules_wrap is 0\.0"),
        (Facts(renewal_seconds=-1.0), r"facts\.renewal_seconds is -1\.0"),
        (Facts(smoothing_seconds=float("nan")), r"facts\.smoothing_seconds is nan"),
        (Facts(still_seconds=float("inf")), r"facts\.still_seconds is inf"),
        (Facts(clock=2.0), r"facts\.clock is 2\.0"),
        (Facts(provenance="simulated"), "begins sim:"),
    ],
)
def test_facts_that_make_no_sense(facts: Facts, match: str) -> None:
    with pytest.raises(Broken, match=match):
        check_facts(facts, "x@1")
    check_facts(Facts(provenance="simulated"), "sim:x")


def test_a_stale_reading_may_be_empty() -> None:
    check_reading(Reading(fresh=False), Facts(), "x")


def test_unplugged() -> None:
    check_unplugged(with_(open=raises(SourceMissing("no such meter; plug it in"))))
    with pytest.raises(Broken, match="open succeeds without its device"):
        check_unplugged(Sound)
    with pytest.raises(Broken, match="open raises OSError"):
        check_unplugged(with_(open=raises(OSError(5, "Input/output error"))))
    with pytest.raises(Broken, match="without a reason"):
        check_unplugged(with_(open=raises(SourceMissing(""))))


def test_a_scripted_source_keeps_the_contract() -> None:
    facts = Facts(provenance="simulated", watts=EXACT)
    check_source(lambda: ScriptedSource(lambda n: Reading(watts=float(n)), facts=facts))


def test_a_scripted_source_follows_a_list_raises_its_errors_and_ends() -> None:
    source = ScriptedSource([Reading(watts=1.0), SourceMissing("unplugged: plug it in"), Reading(watts=2.0)])
    source.open()
    assert source.read().watts == 1.0
    with pytest.raises(SourceMissing, match="unplugged"):
        source.read()
    assert source.read().watts == 2.0
    with pytest.raises(SourceEnded):
        source.read()
    source.close()
    assert (source.opened, source.reads, source.closed) == (1, 4, 1)


def test_a_meter_measures_a_scripted_source() -> None:
    source = ScriptedSource(lambda n: Reading(watts=6.0))
    with EnergyMeter(source, rate_hz=50) as meter:
        while source.reads < 5:
            time.sleep(0.01)
    assert meter.usage.mean_watts == pytest.approx(6.0)
    assert meter.usage.provenance == "simulated"


def test_expected_bytes_are_exchanged_in_order_and_counted() -> None:
    with expected_bytes(
        (b"", b"hello"), (b"a", b"1"), (b"b", b""), (b"c", SourceMissing("gone: back")), clock=ManualClock()
    ) as wire:
        wire.open()
        assert wire.read(1.0) == b"hello"
        wire.write(b"a")
        assert (wire.read(0.5), wire.read(0.5)) == (b"1", b"")
        wire.write(b"b")
        assert wire.read(0.5) == b""
        wire.write(b"c")
        with pytest.raises(SourceMissing, match="gone"):
            wire.read(0.5)
        assert wire.moved_bytes == 5 + 2 + 1 + 1
        wire.close()
    assert not wire.is_open


def test_lines_are_read_one_by_one() -> None:
    with expected_bytes((b"?\n", b"1\n2\n3"), (b"", b"4\n5")) as wire:
        wire.open()
        wire.write(b"?\n")
        assert [wire.readline(), wire.readline(), wire.readline(), wire.readline()] == [
            b"1\n",
            b"2\n",
            b"34\n",
            b"5",
        ]
    assert wire.moved_bytes == 10


def test_what_comes_in_two_pieces_is_read_in_two() -> None:
    with expected_bytes((b"", b"5.0"), (b"?", b"21,"), (b"", b"0.613\n")) as wire:
        wire.open()
        assert wire.read(1.0) == b"5.0"
        wire.write(b"?")
        assert [wire.read(1.0), wire.read(1.0)] == [b"21,", b"0.613\n"]


class Quick:
    """Streams what comes on its wire; in silence it has nothing fresh, or fails."""

    name, facts = "quick@1", Facts(watts=EXACT)

    def __init__(self, wire: ScriptedWire, *, fails: bool) -> None:
        self._wire, self._fails, self._at_ns = wire, fails, 0
        self.open, self.close = wire.open, wire.close

    def read(self) -> Reading:
        return next(self.stream())

    def stream(self) -> Iterator[Reading]:
        while True:
            came = self._wire.read(0.1)
            if not came and self._fails:
                raise SourceTimeout("quick@1 is silent: switch it on")
            self._at_ns += 1
            yield Reading(watts=float(came), at_ns=self._at_ns) if came else Reading(fresh=False)


@pytest.mark.parametrize(
    ("fails", "complaint"),
    [
        (True, r"fails after it was opened again \(a scripted wire .* too\): quick@1 is silent"),
        (False, r"gave no fresh reading in 1 try after it was opened again \(a scripted wire"),
    ],
)
def test_a_script_that_is_used_up_before_the_source_is_opened_again_is_named(
    fails: bool, complaint: str
) -> None:
    lines = [(b"", b"5.0")] * 6
    with expected_bytes(*lines, clock=ManualClock()) as wire:
        check_source(lambda: Quick(wire, fails=fails))
    with pytest.raises(Broken, match=complaint), expected_bytes(*lines[:5], clock=ManualClock()) as wire:
        check_source(lambda: Quick(wire, fails=fails))


def test_silence_takes_its_time_on_the_clock_and_what_came_takes_none() -> None:
    clock = ManualClock()
    with expected_bytes((b"", b""), (b"", b"a"), clock=clock) as wire:
        wire.open()
        assert [wire.read(0.25), clock.monotonic_ns()] == [b"", 250_000_000]
        assert [wire.read(0.25), clock.monotonic_ns()] == [b"a", 250_000_000]
        assert [wire.read(0.5), clock.monotonic_ns()] == [b"", 750_000_000]


@pytest.mark.parametrize("shared", [True, False], ids=["one clock", "a clock of its own"])
def test_a_driver_that_waits_in_silence_without_end_is_stopped(shared: bool) -> None:
    """One that never gives up; and one whose own clock stands still, because nothing moves it."""
    clock, wires = ManualClock(), ManualClock()
    with (
        pytest.raises(Broken, match=r"10 s of silence; raise SourceTimeout before that, and .* same clock"),
        expected_bytes((b"", b"a"), clock=clock if shared else wires) as wire,
    ):
        wire.open()
        while shared or clock.monotonic_ns() < 2e9:
            wire.read(0.25)


def test_a_wire_that_was_not_opened_is_neither_read_nor_written() -> None:
    with expected_bytes() as wire:
        for use in (lambda: wire.write(b""), lambda: wire.read(0.0), wire.readline):
            with pytest.raises(SourceMissing, match=r"not open; call open\(\)"):
                use()
        wire.open()
        wire.close()
        with pytest.raises(SourceMissing):
            wire.read(0.0)


@pytest.mark.parametrize(
    ("sent", "reads", "complaint"),
    [
        ([b"b"], 0, "the driver sent 62; expected 61"),
        ([], 0, "left over: 61 never sent"),
        ([b"a"], 0, "left over: unread 31"),
        ([b"a", b"a"], 1, "the driver sent 61; expected nothing, the script is used up"),
        ([b"a", b""], 1, "the driver sent nothing; expected nothing, the script is used up"),
    ],
)
def test_expected_bytes_are_strict(sent: list[bytes], reads: int, complaint: str) -> None:
    with pytest.raises(Broken, match=complaint), expected_bytes((b"a", b"1")) as wire:
        wire.open()
        for data in sent:
            wire.write(data)
        for _ in range(reads):
            wire.read(0.0)


def test_a_test_that_fails_is_not_hidden_by_what_is_left_over() -> None:
    with pytest.raises(ZeroDivisionError), expected_bytes((b"a", b"1")):
        _ = 1 / 0
