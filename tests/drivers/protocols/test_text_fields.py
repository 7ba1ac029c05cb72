"""Options that say which number is which quantity: paths, units, accuracy."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energymeter.drivers.protocols.text_fields import Fields, find, steps
from energymeter.errors import SourceError, SpecError
from energymeter.reading import Band

UNITS = {"watts": "mW", "volts": "V", "amps": "mA", "joules": "Wh"}
DOCUMENT = {"a": {"b": [{"w": 5}, {"w": 7.5}]}, "dotted.key": {"x": None}, "": 3, "list": [[1, 2], [3, 4]]}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$", DOCUMENT),
        ("$.a.b[1].w", 7.5),
        ("$.a.b[-2].w", 5),
        ("$['dotted.key'].x", None),
        ('$["dotted.key"]["x"]', None),
        ("$['']", 3),
        ("$.list[1][0]", 3),
    ],
)
def test_paths(path: str, expected: object) -> None:
    assert find(DOCUMENT, path) == expected


@pytest.mark.parametrize(
    ("path", "match"),
    [
        ("$.a.c", "step 2 is not in {b}"),
        ("$.a.b[2]", "step 3 is not in a list of 2"),
        ("$.a.b.w", "step 3 is not in a list of 2"),
        ("$.a.b[0].w.x", "step 5 is not in 5"),
        ("$.a[0]", "step 2 is not in {b}"),
    ],
)
def test_paths_that_lead_nowhere_say_how_far_they_led(path: str, match: str) -> None:
    with pytest.raises(LookupError, match=match):
        find(DOCUMENT, path)


@pytest.mark.parametrize("path", ["", "a.b", "$a", "$.", "$.a..b", "$[x]", "$[1", "$.a b[", "$.*["])
def test_no_paths(path: str) -> None:
    with pytest.raises(SpecError):
        steps(path)


@given(st.text() | st.text("$.[]'\"ab01-").map("$".__add__))
def test_any_text_is_a_path_or_refused(path: str) -> None:
    try:
        steps(path)
    except SpecError:
        return
    assert path.startswith("$")


def fields(**selectors: str) -> Fields:
    return Fields({"watts": "", "volts": "", "amps": "", "joules": "", **selectors}, UNITS)


def read(document: Any, **selectors: str) -> Any:
    return fields(**selectors).reading(lambda path: find(document, path), "test@x")


def test_units_are_applied_to_each() -> None:
    reading = read({"p": "4500", "u": 5.0, "i": 900}, watts="$.p", volts="$.u", amps="$.i")
    assert reading[:3] == (5.0, 0.9, 4.5)


def test_null_is_cannot_tell_and_never_zero() -> None:
    assert read({"p": None, "u": 5.0, "i": 1}, watts="$.p", volts="$.u", amps="$.i").watts is None
    with pytest.raises(SourceError, match="no number"):
        read({"p": None}, watts="$.p")


@pytest.mark.parametrize(
    ("document", "match"),
    [({"p": "n/a"}, "'n/a' at .* is no number"), ({}, "leads nowhere"), ({"p": True}, "no number")],
)
def test_what_is_no_number_is_an_error(document: Any, match: str) -> None:
    with pytest.raises(SourceError, match=match):
        read(document, watts="$.p")


def test_facts_follow_the_options() -> None:
    counter = fields(joules="$.e").facts(accuracy=0.02, place="wall", hz=1, max_hz=10)
    assert (counter.semantics, counter.place, counter.joules, counter.watts) == (
        "counter",
        "wall",
        Band(gain=0.02),
        None,
    )
    unknown = fields(watts="$.p").facts(accuracy=math.nan, place="rail", hz=1, max_hz=10)
    assert (unknown.semantics, unknown.watts) == ("instant", None)


@pytest.mark.parametrize(("accuracy", "place"), [(1.5, "rail"), (-0.1, "rail"), (0.1, "moon")])
def test_facts_that_make_no_sense(accuracy: float, place: str) -> None:
    with pytest.raises(SpecError):
        fields(watts="$.p").facts(accuracy=accuracy, place=place, hz=1, max_hz=10)


def test_a_bare_number_needs_its_unit() -> None:
    nothing = dict.fromkeys(UNITS, "")
    with pytest.raises(SpecError, match="unit"):
        Fields(nothing, UNITS)
    assert Fields(nothing, UNITS, "mA").reading(lambda _: "250", "x").amps == 0.25
    for bad in ("V", "horses"):
        with pytest.raises(SpecError):
            Fields(nothing, UNITS, bad)
