"""What everything stands on, by exact values: clocks, files, tuples, texts, warnings, scripted sources."""

import copy
import math
import os
import pickle
import sys
import time
import typing
import warnings
from pathlib import Path
from typing import Any

import pytest

from energymeter import lazy, text
from energymeter.boards import detect_board, find_board
from energymeter.clock import ManualClock, SystemClock
from energymeter.errors import SourceEnded, SourceMissing, SpecError, warn
from energymeter.paths import entries, peek, peek_name, peek_number, read_file, replace_file, user_folder
from energymeter.reading import ASKED_SECONDS, Band, Facts, Reading
from energymeter.spec import _beginning, parse
from energymeter.testing import (
    Broken,
    ScriptedSource,
    check_facts,
    check_reading,
    check_source,
    expected_bytes,
)
from energymeter.units import RECTANGLE, STEP, find_unit

# Clocks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "moved_ns"),
    [(2.5, 2_500_000_000), (1e-9, 1), (1.6e-9, 2), (0.4e-9, 0), (0.0, 0), (-1.0, 0), (-1e-9, 0)],
)
def test_a_clock_that_is_moved_by_hand(seconds: float, moved_ns: int) -> None:
    clock = ManualClock(7_000_000_000, epoch=1000.0)
    assert (clock.monotonic_ns(), clock.time()) == (7_000_000_000, 1000.0)
    clock.sleep(seconds)
    assert clock.monotonic_ns() == 7_000_000_000 + moved_ns
    assert clock.time() == pytest.approx(1000.0 + moved_ns * 1e-9)
    assert (ManualClock().monotonic_ns(), ManualClock().time()) == (0, 1_700_000_000.0)


def test_the_clock_of_this_machine_waits_no_longer_than_it_is_asked() -> None:
    clock = SystemClock()
    before = clock.monotonic_ns()
    for seconds in (-5.0, 0.0, 0.001):
        clock.sleep(seconds)
    assert 1_000_000 <= clock.monotonic_ns() - before < 900_000_000
    assert abs(clock.time() - time.time()) < 60


# Warnings ---------------------------------------------------------------------------------------------------


def test_a_warning_names_the_line_of_who_is_warned() -> None:
    def careless() -> None:
        warn("far")
        warn("here", 1)

    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        careless()
        line = sys._getframe().f_lineno - 1
    assert [(str(one.message), one.category, Path(one.filename).name) for one in heard] == [
        ("far", RuntimeWarning, "test_base_numbers.py"),
        ("here", RuntimeWarning, "test_base_numbers.py"),
    ]
    assert heard[0].lineno == line
    assert heard[1].lineno == careless.__code__.co_firstlineno + 2


def test_a_warning_to_a_closed_terminal_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_: object, **__: object) -> None:
        raise ValueError("I/O operation on closed file.")

    monkeypatch.setattr(warnings, "warn", closed)
    warn("nobody hears it")


# Named tuples and protocols without `typing` ---------------------------------------------------------------


class Ours(lazy.NamedTuple):  # type: ignore[misc]
    a: int
    b: str = "x"
    c: float = 0.5


class Theirs(typing.NamedTuple):
    a: int
    b: str = "x"
    c: float = 0.5


class Deeper(Ours):
    """Has the fields of its base."""


@pytest.mark.parametrize("kind", [Ours, Theirs])
def test_a_named_tuple_is_made_as_one_of_typing(kind: Any) -> None:
    one = kind(1)
    assert tuple(one) == (one.a, one.b, one.c) == (1, "x", 0.5)
    assert (
        tuple(kind(1, "y", 2.0))
        == tuple(kind(a=1, c=2.0, b="y"))
        == tuple(kind(1, c=2.0, b="y"))
        == (1, "y", 2.0)
    )
    assert tuple(kind._make([3, "z", 1.0])) == (3, "z", 1.0)
    assert one._replace(b="z") == (1, "z", 0.5)
    assert one._asdict() == {"a": 1, "b": "x", "c": 0.5}
    assert repr(one) == f"{kind.__name__}(a=1, b='x', c=0.5)"
    assert kind._fields == kind.__match_args__ == ("a", "b", "c")
    assert kind._field_defaults == {"b": "x", "c": 0.5}
    assert pickle.loads(pickle.dumps(one)) == copy.copy(one) == one  # noqa: S301 - our own
    match one:
        case kind(a=1, b=found):
            assert found == "x"
    for wrong in (
        lambda: kind(),
        lambda: kind(b="y"),
        lambda: kind(1, "y", 2.0, 3),
        lambda: kind(1, a=2),
        lambda: kind(1, d=2),
        lambda: kind(1, "y", 2.0, d=3),
    ):
        with pytest.raises(TypeError):
            wrong()
    with pytest.raises((TypeError, ValueError)):
        one._replace(d=1)
    with pytest.raises(AttributeError):
        one.a = 2


def test_what_is_wrong_with_a_named_tuple_is_named() -> None:
    for make, says in (
        (lambda: Ours(), "correct a"),
        (lambda: Ours(1, "y", 2.0, 3), "correct 4 values"),
        (lambda: Ours(1, e=1, d=2), "correct d, e"),
    ):
        with pytest.raises(TypeError, match=rf"^Ours has the fields a, b, c; {says}$"):
            make()
    assert Deeper(1).b == "x"
    assert Deeper._fields == Ours._fields


class Named(lazy.Protocol):  # type: ignore[misc]
    name: str

    def read(self) -> None: ...


class Longer(Named, lazy.Protocol):  # type: ignore[misc]
    def more(self) -> None: ...


def test_a_protocol_is_what_has_all_that_its_body_names() -> None:
    class Reads:
        def read(self) -> None: ...

    class Whole(Reads):
        name = "x"

    class More(Whole):
        def more(self) -> None: ...

    assert [isinstance(one, Named) for one in (Reads(), Whole(), More(), 5)] == [False, True, True, False]
    assert [isinstance(one, Longer) for one in (Whole(), More())] == [False, True]


def test_items_have_names_on_any_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "_collections", None)
    getter = lazy._getter(1)
    assert isinstance(getter, property)
    assert getter.fget(("a", "b")) == "b"


def test_a_face_names_what_it_exports() -> None:
    import energymeter.lake as lake

    assert lake.__all__ == sorted(lake.__all__)
    assert {*lake.__all__} <= {*dir(lake)}
    with pytest.raises(AttributeError, match=r"^module 'energymeter.lake' has no attribute 'nothing'$"):
        _ = lake.nothing


def test_an_error_is_suppressed_where_it_is_named() -> None:
    with lazy.suppress(KeyError, OSError):
        raise FileNotFoundError
    with pytest.raises(ValueError, match=r"^x$"), lazy.suppress(KeyError):
        raise ValueError("x")
    with lazy.suppress(KeyError):
        pass


# Files ------------------------------------------------------------------------------------------------------


def test_names_are_sorted_as_people_count(tmp_path: Path) -> None:
    wanted = ["hwmon0", "hwmon1", "hwmon2", "hwmon9", "hwmon10", "hwmon19", "hwmon20", "hwmon90", "hwmon100",
              "hwmon100:1", "hwmon:", "hwmona", "hwmonb1", "hwmonb2"]  # fmt: skip
    for name in reversed(wanted):
        (tmp_path / name).touch()
    assert entries(str(tmp_path)) == wanted
    assert entries(str(tmp_path / "nothing")) == []


def test_what_a_small_file_holds(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b" \t5.5\r\n\0")
    assert (peek(str(path)), peek_name(str(path)), peek_number(str(path))) == ("5.5", "5.5", 5.5)
    path.write_bytes(b"a\x1b\xff")
    assert (peek(str(path)), peek_name(str(path)), peek_number(str(path))) == (
        "a\x1b\ufffd",
        "a\\x1b\ufffd",
        None,
    )
    gone = str(tmp_path / "nothing")
    assert (peek(gone), peek_name(gone), peek_number(gone)) == (None, "", None)


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_elsewhere_the_folders_are_those_of_platformdirs(
    platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import platformdirs

    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name: f"/elsewhere/{name}")
    assert user_folder("cache") == "/elsewhere/energymeter"


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_file_that_could_not_be_written_is_as_it_was(
    failure: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x"
    path.write_text("before")

    def fails(*_: object) -> None:
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fails)
        with pytest.raises(type(failure)):
            replace_file(str(path), "after")
    assert (path.read_text(), os.listdir(tmp_path)) == ("before", ["x"])


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_waits_for_the_disk_only_if_it_has_to(
    durable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bool] = []
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: synced.append(os.path.isdir(f"/proc/self/fd/{descriptor}"))
    )
    monkeypatch.chdir("/proc")  # where no file can be made: it is made next to its place
    replace_file(str(tmp_path / "x"), b"\xff", durable=durable)
    assert synced == ([False, True] if durable else []), "the file, and then its folder"
    monkeypatch.chdir(tmp_path)
    replace_file("y", "µ", durable=durable)
    assert (tmp_path / "x").read_bytes() == b"\xff"
    assert (tmp_path / "y").read_bytes() == "µ".encode()
    assert (tmp_path / "y").stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_too_large_or_grows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with path.open("wb") as file:
        file.truncate(1_500_001)
    with pytest.raises(OSError, match=r"it is larger than 1.5 MB$"):
        read_file(str(path), 1_500_000)
    assert len(read_file(str(path), 1_500_001)) == 1_500_001
    with pytest.raises(OSError, match=r"it is larger than 1e-05 MB$"):  # it says that it is empty
        read_file("/proc/self/status", 10)
    assert read_file("/proc/self/status", 100_000).startswith(b"Name:")


# Boards -----------------------------------------------------------------------------------------------------


def test_a_slip_of_the_pen_is_put_right() -> None:
    for slip, name in (("coral-stik", "coral-usb"), ("Jetson_Nanoo", "jetson-nano"), ("rpi55", "pi5")):
        with pytest.raises(SpecError, match=rf"^no board is called '{slip}'; did you mean {name}\?$"):
            find_board(slip)


def test_the_longest_model_is_the_board(tmp_path: Path) -> None:
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/model").write_text("Jetson AGX Orin Nano\0")  # made up: two are in it
    board = detect_board(str(tmp_path))
    assert board is not None
    assert board.name == "agx-orin"


# Facts and specs --------------------------------------------------------------------------------------------


def test_what_is_known_of_a_source_that_says_nothing() -> None:
    assert Facts()._asdict() == {
        "semantics": "instant", "provenance": "measured", "place": "rail", "volts": None, "amps": None,
        "watts": None, "joules": None, "coulombs": None, "default_hz": 10.0, "max_hz": 1000.0,
        "joules_wrap": None, "coulombs_wrap": None, "max_watts": None, "clock": 0.0, "counted": True,
        "replayed": False, "duty": 0.0, "latency": 0.0, "renewal_seconds": 0.0, "smoothing_seconds": 0.0,
        "still_seconds": None,
    }  # fmt: skip
    assert tuple(Band()) == (0.0, 0.0, 0.0)
    assert ASKED_SECONDS == 0.02
    facts = Facts(volts=Band(0.1, 0.2, 0.3), max_hz=5.0)
    fields = {
        name: list(value) if isinstance(value, tuple) else value for name, value in facts._asdict().items()
    }
    assert Facts.from_json(fields) == facts
    with pytest.raises(TypeError):
        Facts.from_json({"x": 1})


def test_limits_as_standard_uncertainties() -> None:
    assert pytest.approx(0.577350269) == RECTANGLE
    assert pytest.approx(0.288675135) == STEP
    assert find_unit("milliwatthours") == ("joules", "mWh")
    assert find_unit("kilowatthours..") == ("joules", "kWh")
    assert find_unit("x" * 17) is None


@pytest.mark.parametrize(
    ("spec", "shown"),
    [
        ("x" * 40, "'" + "x" * 40 + "'"),
        ("x" * 41, "'" + "x" * 40 + "…'"),
        ('a"secret', "'a…'"),
        ("a@secret", "'a…'"),
        ("a?secret", "'a…'"),
        ("a?b@c", "'a…'"),
        ("", "''"),
    ],
)
def test_what_an_error_shows_of_a_spec(spec: str, shown: str) -> None:
    assert _beginning(spec) == shown


@pytest.mark.parametrize(
    ("spec", "groups"),
    [
        ("a,b", [["a"], ["b"]]),
        ("a+b", [["a", "b"]]),
        ("a:1,2", [["a"]]),
        ("a:1,b@2+c", [["a"], ["b", "c"]]),
        ("a:x,y z", [["a"]]),
        ("a-b,c_d9", [["a_b"], ["c_d9"]]),
        (" a , b ", [["a"]]),
    ],
)
def test_where_a_spec_is_joined(spec: str, groups: list[list[str]]) -> None:
    try:
        found = [[one.driver for one in group] for group in parse(spec)]
    except SpecError:
        assert spec == " a , b "
        return
    assert found == groups


# Texts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "figures", "shown"),
    [
        (999_999, 3, "1000000"), (1e15, 3, "1.00e+15"),
        (9.99e14, 3, "999000000000000"), (1e-6, 3, "0.00000100"),
        (9.99e-7, 3, "9.99e-07"), (-0.0, 3, "0"), (math.inf, 3, "inf"), (math.nan, 3, "nan"), (5, 1, "5"),
        (0.05, 1, "0.05"), (99.96, 3, "100"), (99.94, 3, "99.9"),
    ],
)  # fmt: skip
def test_significant_figures(number: float, figures: int, shown: str) -> None:
    assert text.significant(number, figures) == shown


@pytest.mark.parametrize(("share", "partly"), [(0.9994999, True), (0.9995, False), (1.0, False), (0.0, True)])
def test_what_is_partly_measured(share: float, partly: bool) -> None:
    assert text.partly_measured(share) is partly


@pytest.mark.parametrize(
    ("number", "uncertainty", "shown"),
    [
        (5.0, math.inf, "5.000 J ± ∞"), (5.0, -1.0, "5.000 J"), (5.0, math.nan, "5.000 J"),
        (0.0, 1.0, "0.0 J ± 1.0"),
        (0.999, 0.1, "999 mJ ± 100"), (1.0, 0.1, "1.00 J ± 0.10"), (1e-3, 1e-5, "1.000 mJ ± 0.010"),
        (9.99e-4, 1e-5, "999 µJ ± 10"), (1e-6, 1e-7, "1.00 µJ ± 0.10"), (5e-10, 1e-10, "0.50 nJ ± 0.10"),
        (5.0, 9.9, "5.0 J ± 9.9"), (5.0, 10.0, "5 J ± 10"), (1.0, 2e-6, "1.000000 J ± 0.000002"),
        (1.0, 4e-7, "1.000000 J ± 0.000001"),
    ],
)  # fmt: skip
def test_a_number_and_what_is_known_of_its_error(number: float, uncertainty: float, shown: str) -> None:
    assert text.with_uncertainty(number, uncertainty, "J") == shown


@pytest.mark.parametrize(
    ("number", "uncertainty", "shown"),
    [
        (12.3071, 0.0, "12.31"),
        (12.3071, -1.0, "12.31"),
        (12.3071, 5.0, "12.3 ± 5.0"),
        (0.0, 0.5, "0.00 ± 0.50"),
    ],
)
def test_a_number_of_a_column(number: float, uncertainty: float, shown: str) -> None:
    assert text.plus_minus(number, uncertainty) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.99949e-6, "999 ns"), (0.9995e-6, "1 µs"), (0.99949e-3, "999 µs"), (0.9995e-3, "1 ms"),
        (0.99949, "999 ms"), (0.9995, "1.0 s"), (119.94, "119.9 s"), (120.0, "2 min"), (3599.0, "1 h"),
        (3570.0, "1 h"), (3569.0, "59 min"), (-math.inf, "unknown"), (math.nan, "unknown"),
    ],
)  # fmt: skip
def test_times_change_their_unit(seconds: float, shown: str) -> None:
    assert text.duration(seconds) == shown


@pytest.mark.parametrize(
    ("hours", "shown"),
    [
        (0.49 / 60, "less than a minute"), (0.5 / 60, "1 min"), (0.9 / 60, "1 min"), (1.99, "1 h 59 min"),
        (2.0, "2 h"), (2.04, "2 h"), (2.05, "2 h 5 min"), (3.99, "4 h"), (4.05, "4 h"), (4.1, "4 h 10 min"),
        (8.0, "8 h"), (8.15, "8 h"), (8.2, "8 h 20 min"),
        (12.0, "12 h"), (12.2, "12 h"), (12.3, "12 h 30 min"),
        (24.4, "24 h"), (24.6, "25 h"), (47.4, "47 h"), (47.6, "2 d"), (48.0, "2 d"), (49.0, "2 d 1 h"),
        (335.4, "13 d 23 h"), (336.0, "14 d"), (350.0, "15 d"),
    ],
)  # fmt: skip
def test_a_forecast_is_the_coarser_the_longer(hours: float, shown: str) -> None:
    assert text.duration(3600 * hours, rough=True) == shown


def test_prefixes_and_quotations() -> None:
    assert text.common_prefix([-5.0, 0.1]) == (1.0, "")
    assert text.common_prefix([0.0]) == (1.0, "")
    assert text.common_prefix([1e-12]) == (1e-9, "n")
    assert text.time_text(0.0) == "0 s"
    assert text.shown("x" * 38) == "'" + "x" * 38 + "'"
    assert text.shown("x" * 39) == "'" + "x" * 39 + "…"
    assert text.percent(0.125, 1) == "12.5 %"
    assert text.aligned([["a", "bb"], ["ccc", "d"]]) == ["a    bb", "ccc  d"]
    assert text.aligned([["a", "bb", "c"], ["ccc", "d", "ee"]], left=2) == ["a    bb   c", "ccc  d   ee"]
    assert text.html_table([]) == "<table></table>"
    estimate = text.Estimate(2.0, 1.0, 3.0)
    assert str(estimate) == "2.00 (1.00 to 3.00)"


# The conformance suite --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "fine"),
    [
        (Facts(default_hz=1e-9, max_hz=1e-9), True), (Facts(default_hz=10.0, max_hz=9.9), False),
        (Facts(default_hz=1.0, max_hz=math.inf), False), (Facts(volts=Band(0.0, 0.0, 0.0)), True),
        (Facts(volts=Band(0.0, 0.0, -1e-9)), False),
        (Facts(amps=Band(math.inf)), False), (Facts(clock=0.0), True),
        (Facts(clock=0.999), True), (Facts(clock=1.0), False), (Facts(clock=-1e-9), False),
        (Facts(coulombs_wrap=0.0), False), (Facts(max_watts=1e-9), True), (Facts(max_watts=-1.0), False),
        (Facts(still_seconds=0.0), True),
        (Facts(still_seconds=-1e-9), False), (Facts(still_seconds=None), True),
        (Facts(renewal_seconds=None), False), (Facts(smoothing_seconds=0.0), True),
        (Facts(smoothing_seconds=True), False),
    ],
)  # fmt: skip
def test_facts_make_sense(facts: Facts, fine: bool) -> None:
    if fine:
        check_facts(facts, "x@1")
    else:
        with pytest.raises(Broken, match=r"^x@1: "):
            check_facts(facts, "x@1")
    with pytest.raises(Broken, match="a simulated source's name begins sim:, and no other's does"):
        check_facts(Facts(), "sim:x")


KNOWN = Facts(watts=Band(0.1), joules=Band(0.1), coulombs=Band(0.1), volts=Band(0.1), amps=Band(0.1))


@pytest.mark.parametrize(
    ("reading", "semantics", "fine"),
    [
        (Reading(watts=1.0, seconds=0.0), "mean", True), (Reading(watts=1.0, seconds=-1e-9), "mean", False),
        (Reading(amps=1.0), "instant", True), (Reading(joules=1.0), "instant", False),
        (Reading(joules=1.0), "counter", True), (Reading(coulombs=1.0), "counter", True),
        (Reading(watts=1.0), "counter", False), (Reading(watts=5), "instant", True),
        (Reading(watts=1.0, seconds=math.inf), "mean", False),
    ],
)  # fmt: skip
def test_a_reading_fits_its_facts(reading: Reading, semantics: Any, fine: bool) -> None:
    facts = KNOWN._replace(semantics=semantics)
    if fine:
        check_reading(reading, facts, "x@1")
    else:
        with pytest.raises(Broken, match=r"^x@1: "):
            check_reading(reading, facts, "x@1")


@pytest.mark.parametrize(("ahead_ns", "fine"), [(0, True), (500_000_000, True), (60_000_000_000, False)])
def test_a_stamp_is_not_of_the_future(ahead_ns: int, fine: bool) -> None:
    reading = Reading(watts=1.0, at_ns=time.monotonic_ns() + ahead_ns)
    if fine:
        check_reading(reading, KNOWN, "x@1")
    else:
        with pytest.raises(Broken, match="at_ns lies in the future"):
            check_reading(reading, KNOWN, "x@1")


def test_a_scripted_source_counts_and_ends() -> None:
    source = ScriptedSource([Reading(watts=1.0)])
    assert (source.opened, source.reads, source.closed, source.name) == (0, 0, 0, "sim:script")
    with pytest.raises(SourceMissing, match=r"sim:script is not open; call open\(\) first"):
        source.read()
    source.open()
    source.read()
    with pytest.raises(SourceEnded, match="sim:script has no more readings"):
        source.read()
    source.close()
    assert (source.opened, source.reads, source.closed) == (1, 2, 1)


@pytest.mark.parametrize(("waits", "fine"), [(9.9, True), (10.0, False)])
def test_a_driver_waits_less_than_ten_seconds(waits: float, fine: bool) -> None:
    with expected_bytes((b"", b""), clock=ManualClock()) as wire:
        wire.open()
        if fine:
            assert wire.read(waits) == b""
            wire.open()  # begins to wait again
            assert wire.read(waits) == b""
        else:
            with pytest.raises(Broken, match="still waits after 10 s of silence"):
                wire.read(waits)


class Sparse:
    """Streams a sample after so many signs of life."""

    name, facts = "sparse@1", KNOWN

    def __init__(self, beats: int) -> None:
        self._beats, self._open = beats, False

    def open(self) -> None:
        self._open = True

    def close(self) -> None:
        self._open = False

    def read(self) -> Reading:
        if not self._open:
            raise SourceMissing("sparse@1 is not open")
        return Reading(watts=1.0)

    def stream(self) -> Any:
        for number in range(1000):
            for _ in range(self._beats if number == 0 else 0):
                yield Reading(fresh=False)
            yield Reading(watts=1.0, at_ns=time.monotonic_ns())


@pytest.mark.parametrize(("beats", "fine"), [(0, True), (40, True), (45, False)])
def test_a_stream_may_give_forty_signs_of_life(beats: int, fine: bool) -> None:
    if fine:
        assert len(check_source(lambda: Sparse(beats), reads=3)) == 4
    else:
        with pytest.raises(Broken, match="gave no fresh reading in 3 tries"):
            check_source(lambda: Sparse(beats), reads=3)
