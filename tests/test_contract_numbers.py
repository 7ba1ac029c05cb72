"""The driver contract by exact values: readings, ages, counters, specs, units, and what board this is."""

import math
from pathlib import Path
from typing import Any

import pytest

from energymeter.boards import Board, detect_board, find_board
from energymeter.errors import SpecError
from energymeter.reading import Band, Facts, Reading, power_of, smallest_rise
from energymeter.source import Counters
from energymeter.spec import Spec, _convert, load_driver, options_of, parse
from energymeter.units import amount, find_unit, is_ambiguous, number_in

# Readings


@pytest.mark.parametrize(
    ("volts", "amps", "watts", "power"),
    [
        (5.0, 0.6, None, 3.0),
        (5.0, 0.6, 2.0, 2.0),
        (5.0, 0.6, 0.0, 0.0),
        (None, 0.6, None, None),
        (5.0, None, None, None),
        (None, None, 2.0, 2.0),
        (0.0, 0.6, None, 0.0),
    ],
)
def test_power_is_reported_or_the_product(
    volts: float | None, amps: float | None, watts: float | None, power: float | None
) -> None:
    assert power_of(volts, amps, watts) == Reading(volts=volts, amps=amps, watts=watts).power == power


def test_a_reading_says_nothing_of_what_it_is_not_given() -> None:
    assert tuple(Reading()) == (None,) * 7 + (True,)
    assert tuple(Reading(1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7, False)) == (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7, False)


GAUGE = Facts(semantics="counter", place="cell", joules=Band(0.05, 0.0, 36.0))


@pytest.mark.parametrize(
    ("facts", "is_gauge"),
    [
        (GAUGE, True),
        (GAUGE._replace(semantics="mean"), False),
        (GAUGE._replace(place="rail"), False),
        (GAUGE._replace(joules=None), False),
    ],
)
def test_what_is_the_gauge_of_a_battery(facts: Facts, is_gauge: bool) -> None:
    assert facts.is_gauge is is_gauge
    finer = facts.with_rise_seen(7.2)
    assert (finer != facts) is is_gauge


@pytest.mark.parametrize(("rise", "step"), [(None, 36.0), (36.0, 36.0), (40.0, 36.0), (35.0, 35.0)])
def test_only_a_smaller_rise_is_its_step(rise: float | None, step: float) -> None:
    assert GAUGE.with_rise_seen(rise).joules == Band(0.05, 0.0, step)


@pytest.mark.parametrize(
    ("facts", "interval", "age"),
    [
        (Facts(), 0.1, 0.0),
        (Facts(renewal_seconds=1.0), 0.1, 0.1),
        (Facts(renewal_seconds=1.0), 3.0, 1.0),
        (Facts(smoothing_seconds=0.5), 0.1, 0.5),
        (Facts(renewal_seconds=1.0, smoothing_seconds=0.5), 0.1, 0.6),
        (Facts(semantics="mean", max_hz=2.0), 0.1, 0.4),
        (Facts(semantics="mean", max_hz=2.0), 0.6, 0.0),
        (Facts(semantics="mean", max_hz=2.0, smoothing_seconds=0.7), 0.1, 0.7),
        (Facts(semantics="instant", max_hz=2.0), 0.1, 0.0),
    ],
)
def test_how_old_a_value_may_be(facts: Facts, interval: float, age: float) -> None:
    assert facts.age_seconds(interval) == pytest.approx(age)


def test_the_smallest_rise_of_a_counter() -> None:
    assert smallest_rise([]) is None
    assert smallest_rise([5.0, 5.0, 4.0]) is None
    assert smallest_rise([0.0, 3.0, 1.0, 2.0, 2.0]) == 1.0


def test_facts_survive_json() -> None:
    facts = Facts(volts=Band(0.1, 0.2, 0.3), max_watts=5.0, counted=False)
    fields = {
        name: list(field) if isinstance(field, Band) else field for name, field in facts._asdict().items()
    }
    assert Facts.from_json(fields) == facts


# Counters


@pytest.mark.parametrize(
    ("joules", "coulombs", "gain", "agrees"),
    [
        (1000.0, None, 0.0, True),
        (1004.0, None, 0.0, True),
        (1004.1, None, 0.0, False),
        (996.0, None, 0.0, True),
        (995.9, None, 0.0, False),
        (1024.0, None, 0.02, True),
        (1024.1, None, 0.02, False),
        (1000.0, 201.1, 0.0, False),
        (1000.0, 201.0, 0.0, True),
        (None, 200.0, 0.0, True),
        (None, None, 0.0, None),
    ],
)
def test_an_integral_agrees_within_a_step_and_a_share(
    joules: float | None, coulombs: float | None, gain: float, agrees: bool | None
) -> None:
    counted = Counters(1000.0, 200.0, joules_step=4.0, coulombs_step=1.0)
    assert counted.agree(joules, coulombs, gain) is agrees
    assert Counters(None, None).agree(joules, coulombs, gain) is None


def test_two_percent_are_allowed_where_nothing_is_said() -> None:
    assert Counters(1000.0, None).agree(1020.0, None)
    assert not Counters(1000.0, None).agree(1020.1, None)
    assert Counters(-1000.0, None).agree(-1020.0, None)


def test_what_small_meters_count() -> None:
    assert Counters.milli(10, 50) == Counters(180.0, 36.0, 3.6, 3.6)
    start, same = Counters(5.0, None), Counters(5.0, 7.0, 1.0)
    assert same.since(start) == Counters(0.0, None, 1.0), "what did not move, and what began later"


# Specs


@pytest.mark.parametrize(
    ("text", "specs"),
    [
        ("a", [[Spec("a", None, {})]]),
        (" a,b ", [[Spec("a", None, {})], [Spec("b", None, {})]]),
        ("a+b,c", [[Spec("a", None, {}), Spec("b", None, {})], [Spec("c", None, {})]]),
        ("my-driver@x", [[Spec("my_driver", "x", {})]]),
        ("a@1+2", [[Spec("a", "1+2", {})]]),
        ("a@x,y z", [[Spec("a", "x,y z", {})]]),
        ("a@x,y", [[Spec("a", "x", {})], [Spec("y", None, {})]]),
        ("a@x,Y", [[Spec("a", "x,Y", {})]]),
        ("a@x+b?c=d", [[Spec("a", "x", {}), Spec("b", None, {"c": "d"})]]),
        ('a@"x,b"+c', [[Spec("a", "x,b", {}), Spec("c", None, {})]]),
        ("a?b", [[Spec("a", None, {"b": ""})]]),
        ("a?b&c=1=2&", [[Spec("a", None, {"b": "", "c": "1=2"})]]),
        ('a@"x', None),
        ("a b", None),
        ("1a", None),
    ],
)
def test_how_texts_come_apart(text: str, specs: list[list[Spec]] | None) -> None:
    if specs is None:
        with pytest.raises(SpecError):
            parse(text)
    else:
        assert parse(text) == specs


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Http@secret", "'Http…'"),
        ("Http?password=x", "'Http…'"),
        ('Http"secret"', "'Http…'"),
        ("X" * 40, f"'{'X' * 40}'"),
        ("X" * 41, f"'{'X' * 40}…'"),
    ],
)
def test_an_error_shows_nothing_that_may_be_secret(text: str, shown: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse(text)
    assert str(caught.value).startswith(f"{shown} is no source")


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (bool, "", True),
        (bool, "TRUE", True),
        (bool, "0", False),
        (bool, "No", False),
        ("float | None", "2", 2.0),
        (float, "1e-3", 1e-3),
        (int, "-7", -7),
        (int, "0b11", 3),
        (str, "2", "2"),
    ],
)
def test_options_become_what_a_driver_expects(annotation: object, text: str, value: object) -> None:
    found = _convert("it", "x", text, annotation)
    assert (found, type(found)) == (value, type(value))


def test_an_option_that_there_is_not_and_a_driver_without_any() -> None:
    with pytest.raises(SpecError, match=r"^manual has no option 'x'; choose one of: none$"):
        Spec("manual", "5W", {"x": "1"}).build()
    source: Any = Spec("rapl", "psys", {"parts": "yes", "backend": "perf"}).build()
    assert (source.name, source._shows_inner, source._backend) == ("rapl@psys", True, "perf")


def test_options_of_a_base_come_first_and_only_where_they_are_passed_on() -> None:
    class Base:
        def __init__(self, *, a: int = 0, b: "float | None" = None, c: object = None) -> None: ...

    class Passes(Base):
        def __init__(self, *, b: str = "", d: bool = False, **options: Any) -> None: ...

    class Keeps(Base):
        def __init__(self, *, d: bool = False) -> None: ...

    class Nothing(Base): ...

    assert list(options_of(Passes)) == ["a", "b", "d"]
    assert options_of(Passes)["b"].annotation in (str, "str"), "that of the driver itself"
    assert list(options_of(Keeps)) == ["d"]
    assert list(options_of(Nothing)) == ["a", "b"]


def test_a_driver_whose_own_import_fails_is_no_unknown_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> object:
        raise ModuleNotFoundError("No module named 'lib'", name="lib")

    monkeypatch.setattr("energymeter.spec.module", broken)
    with pytest.raises(ModuleNotFoundError, match="lib"):
        load_driver("manual")


# Units


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("W", ("watts", "W")),
        (" mW. ", ("watts", "mW")),
        ("MILLIWATTS", ("watts", "mW")),
        ("milli-amp hours", ("coulombs", "mAh")),
        ("W·h", ("joules", "Wh")),
        ("A*h", ("coulombs", "Ah")),
        ("µs", ("seconds", "us")),
        ("mwh", ("joules", "mWh")),
        ("MW", None),
        ("", None),
        ("milliamperehours", ("coulombs", "mAh")),
        ("x" * 17, None),
        ("furlong", None),
    ],
)
def test_units_in_any_spelling(text: str, meant: tuple[str, str] | None) -> None:
    assert find_unit(text) == meant


def test_a_mega_may_be_a_milli() -> None:
    assert [is_ambiguous(unit) for unit in ("MW", " MWh ", "mW", "MV")] == [True, True, False, False]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("5", (5.0, "")),
        (" +5.5e3 W ", (5500.0, "W")),
        (".5A", (0.5, "A")),
        ("5.W", (5.0, "W")),
        ("1e999 W", None),
        ("W 5", None),
        ("5 W 3", None),
        ("5 " + "W" * 13, (5.0, "W" * 13)),
        ("5 " + "W" * 14, None),
        ("5:30", None),
        ("", None),
    ],
)
def test_amounts_with_their_unit(text: str, found: tuple[float, str] | None) -> None:
    assert amount(text) == found


@pytest.mark.parametrize(
    ("value", "fine"), [(0, True), (5.0, True), (-0.1, False), (5.1, False), (math.nan, False)]
)
def test_a_number_lies_between_its_ends(value: float, fine: bool) -> None:
    if fine:
        found = number_in(value, 0.0, 5.0, "it")
        assert (found, type(found)) == (float(value), float)
    else:
        with pytest.raises(ValueError, match=r"^it is not between 0 and 5$"):
            number_in(value, 0.0, 5.0, "it")


@pytest.mark.parametrize("value", [True, "1", None])
def test_what_is_no_number_lies_nowhere(value: object) -> None:
    with pytest.raises(TypeError, match=r"^it is not a number$"):
        number_in(value, 0.0, 5.0, "it")


# Boards


def test_a_board_of_unknown_draw_has_an_open_range() -> None:
    plain = Board("x", "X", 5.0, None, None, None, "me")
    assert plain.watts_range == (0.0, math.inf)
    assert plain._replace(idle_watts=4.0, max_watts=9.0).watts_range == (1.0, 9.0)
    assert plain._replace(idle_watts=4.0, busy_watts=9.0).span_watts == (4.0, 9.0)
    for half in (plain._replace(idle_watts=4.0), plain._replace(busy_watts=9.0)):
        with pytest.raises(
            SpecError, match="no public idle and busy figures are known for the X: measure it"
        ):
            _ = half.span_watts


@pytest.mark.parametrize("name", ["RASPBERRY_PI_4", "raspberry pi 4", "Raspberry-Pi-4"])
def test_a_board_by_any_spelling(name: str) -> None:
    assert find_board(name).name == "pi4"


def test_the_longest_name_of_a_model_wins(tmp_path: Path) -> None:
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/model").write_text("Raspberry Pi Zero W and Raspberry Pi 3 Model B\0")
    board = detect_board(str(tmp_path))
    assert board is not None
    assert board.name == "pi3b+"
