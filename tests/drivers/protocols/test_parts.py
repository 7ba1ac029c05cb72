"""A source that streams its channels together: who may be read, and what streams an only channel."""

from collections.abc import Iterator

import pytest

from energymeter.drivers.protocols.parts import InParts, Part
from energymeter.errors import SourceEnded, SourceError
from energymeter.reading import Facts, Reading


class Source(InParts):
    name = "two"

    def __init__(self) -> None:
        self._parts = [Part("two/a", Facts()), Part("two/b", Facts())]

    def stream_parts(self) -> Iterator[tuple[int, Reading]]:
        yield 0, Reading(watts=1.0)
        yield 1, Reading(watts=2.0)


def test_neither_the_source_nor_its_parts_are_read_one_by_one() -> None:
    source = Source()
    for one in (source, *source.channels()):
        with pytest.raises(SourceEnded, match=f"^{one.name} is a stream$"):
            one.read()


def test_a_part_streams_what_its_source_streams_once_it_is_a_channel() -> None:
    source = Source()
    part = source._parts[0]
    part.open()
    with pytest.raises(SourceError, match=r"two/a is not open"):
        part.stream()
    assert list(source.channels()) == source._parts
    assert [reading.watts for reading in part.stream()] == [1.0, 2.0]
    assert [reading.watts for reading in source.stream()] == [1.0, 2.0]
    part.close()
    assert part.recorded, "a counter that stands still did stand still"


def test_what_streams_is_the_matter_of_the_driver() -> None:
    with pytest.raises(NotImplementedError):
        InParts().stream_parts()
