"""A source that streams its channels together: what it and each of them answer."""

from __future__ import annotations

from energymeter.errors import SourceEnded, not_open
from energymeter.lazy import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from energymeter.reading import Facts, Reading


class Part:
    """One channel of the stream.

    Args:
        name: of the channel.
        facts: what is known of it.
    """

    recorded = True
    """A counter that stands still in the samples did."""

    def __init__(self, name: str, facts: Facts) -> None:
        self.name, self.facts = name, facts
        self.play: Callable[[], Iterator[Reading]] | None = None
        """What streams it, where it is the only channel."""

    def open(self) -> None:
        """Nothing to do: its source is open."""

    def close(self) -> None:
        """Nothing to do: its source closes."""

    def read(self) -> Reading:
        """Not how it is read: it streams."""
        raise SourceEnded(f"{self.name} is a stream")

    def stream(self) -> Iterator[Reading]:
        """The samples of the channel, as its source streams them."""
        if self.play is None:
            raise not_open(self.name)
        return self.play()


class InParts:
    """The source; what it streams is its own matter."""

    name: str
    _parts: Sequence[Part]
    """None while it is closed."""

    def channels(self) -> Sequence[Part]:
        """The channels of the source."""
        for part in self._parts:
            part.play = self.stream
        return self._parts

    def read(self) -> Reading:
        """Not how it is read: it streams."""
        raise SourceEnded(f"{self.name} is a stream")

    def stream(self) -> Iterator[Reading]:
        """Every sample of an only channel."""
        return (reading for _, reading in self.stream_parts())

    def stream_parts(self) -> Iterator[tuple[int, Reading]]:
        """Every sample with the number of its channel.

        Raises:
            SourceError: it is not open, or has gone.
        """
        raise NotImplementedError
