"""A reading taken by eye."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energymeter.drivers.manual import Manual
from energymeter.errors import SpecError
from energymeter.reading import Band, Reading
from energymeter.source import Source
from energymeter.testing import check_source


@pytest.mark.parametrize(
    ("place", "watts", "step"),
    [
        ("7.2W", 7.2, 0.1),
        ("7W", 7, 1),
        ("7.20W", 7.2, 0.01),
        ("1.5kW", 1500, 100),
        ("450 mW", 0.45, 0.001),
        ("0W", 0, 1),
    ],
)
def test_watts(place: str, watts: float, step: float) -> None:
    source = Manual(place)
    source.open()
    assert source.read() == Reading(watts=watts)
    assert source.facts.watts == Band(resolution=step)
    assert source.facts.place == "wall"
    source.close()


def test_volts_and_amps() -> None:
    source = Manual("5.1V, 600mA")
    source.open()
    reading = source.read()
    assert (reading.volts, reading.amps, reading.watts) == (5.1, 0.6, None)
    assert source.facts.volts == Band(resolution=0.1)
    assert source.facts.amps == Band(resolution=0.001)
    assert source.facts.place == "rail"


def test_negative_amps_keep_their_decimals() -> None:
    source = Manual("5V,-0.6A")
    source.open()
    assert source.read().amps == -0.6


@pytest.mark.parametrize("place", ["7.2W", "5V,0.6A"])
def test_conforms(place: str) -> None:
    check_source(lambda: Manual(place))


def test_it_says_that_it_was_taken_by_eye() -> None:
    source = Manual("7.2W")
    assert isinstance(source, Source)
    assert source.name == "manual:7.2W"
    assert source.facts.provenance == "manual"


@pytest.mark.parametrize(
    "place", ["", "7.2", "W", "7,2W", "5V", "0.6A", "5V,7W", "5V,5V", "7.2W,1W", "7.2J", "1e3W", "nanW"]
)
def test_nonsense(place: str) -> None:
    with pytest.raises(SpecError, match=r"write manual:7\.2W or manual:5V,0\.6A"):
        Manual(place)


@given(st.text("0123456789.,-+eWVAkm n", max_size=12) | st.text(max_size=9))
def test_any_text_is_a_reading_or_refused(place: str) -> None:
    try:
        source = Manual(place)
    except SpecError:
        return
    source.open()
    reading = source.read()
    assert reading.watts is not None or (reading.volts is not None and reading.amps is not None)
