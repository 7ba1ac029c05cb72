"""Power that is known at every moment, and its exact integral."""

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

_MOST_TURNS = 100
_GRAIN = 8
"""A ramp counts as so many steps where its power is sorted by size."""


class Piece(NamedTuple):
    """A stretch in which power runs straight."""

    seconds: float
    watts: float
    """At its start."""
    to_watts: float
    """At its end."""

    def joules(self, start: float, end: float) -> float:
        """The integral between two moments of the piece."""
        slope = (self.to_watts - self.watts) / self.seconds
        return (end - start) * (self.watts + slope * (start + end) / 2)


class Wave:
    """Pieces that repeat forever; the first one starts at second 0.

    >>> wave = Wave([Piece(1.0, 4.0, 4.0), Piece(1.0, 0.0, 2.0)])
    >>> wave.joules(0.5, 4.0), wave.watts(3.5)
    (8.0, 1.0)
    """

    def __init__(self, pieces: Sequence[Sequence[float]]) -> None:
        self.pieces = [Piece(*piece) for piece in pieces]
        self._ends = list(accumulate(piece.seconds for piece in self.pieces))
        self._totals = list(accumulate(piece.joules(0.0, piece.seconds) for piece in self.pieces))
        self.period = self._ends[-1]
        self.peak = max(max(piece.watts, piece.to_watts) for piece in self.pieces)
        self.floor = min(min(piece.watts, piece.to_watts) for piece in self.pieces)

    def watts(self, seconds: float) -> float:
        """The power at a moment."""
        piece, into = self._at(seconds)
        return piece.watts + (piece.to_watts - piece.watts) * into / piece.seconds

    def joules(self, start: float, end: float) -> float:
        """The energy between two moments, J."""
        return self._total(end) - self._total(start)

    def joints(self, start: float, end: float) -> list[float]:
        """The moments between two others at which a piece begins; none of more periods than are worth it.

        >>> Wave([Piece(1.0, 4.0, 4.0), Piece(1.0, 0.0, 2.0)]).joints(0.5, 3.0)
        [1.0, 2.0, 3.0]
        """
        turns = range(math.floor(start / self.period), math.floor(end / self.period) + 1)
        if len(turns) > _MOST_TURNS:
            return []
        begins = (turn * self.period + into for turn in turns for into in (0.0, *self._ends[:-1]))
        return [at for at in begins if start <= at <= end]

    def extremes(self, start: float, end: float) -> tuple[float, float]:
        """The least and the most power in a window, W."""
        if end - start >= self.period:
            return self.floor, self.peak
        levels = [watts for _, low, high in self._parts(start, end) for watts in (low, high)]
        return (min(levels), max(levels)) if levels else (self.floor, self.peak)

    def share(self, start: float, end: float, seconds: float) -> tuple[float, float]:
        """The least and the most energy of any part of a window that lasts so many seconds, J."""
        steps = list(self._fine(start, end))
        least = _filled(sorted(steps, key=lambda step: step[1]), seconds, 1)
        return least, _filled(sorted(steps, key=lambda step: -step[2]), seconds, 2)

    def _total(self, seconds: float) -> float:
        turns, rest = divmod(seconds, self.period)
        number = min(bisect_right(self._ends, rest), len(self.pieces) - 1)
        before = self._ends[number - 1] if number else 0.0
        joules = self._totals[number - 1] if number else 0.0
        return turns * self._totals[-1] + joules + self.pieces[number].joules(0.0, rest - before)

    def _at(self, seconds: float) -> tuple[Piece, float]:
        rest = seconds % self.period
        number = min(bisect_right(self._ends, rest), len(self.pieces) - 1)
        return self.pieces[number], rest - (self._ends[number - 1] if number else 0.0)

    def _parts(self, start: float, end: float) -> Iterator[tuple[float, float, float]]:
        """(seconds, least watts, most watts) of every piece that a window touches."""
        rest = start % self.period
        number = min(bisect_right(self._ends, rest), len(self.pieces) - 1)
        into = rest - (self._ends[number - 1] if number else 0.0)
        left = end - start
        while left > 0:
            piece = self.pieces[number]
            length = min(max(piece.seconds - into, 0.0), left)
            if length > 0:
                slope = (piece.to_watts - piece.watts) / piece.seconds
                first = piece.watts + slope * into
                last = first + slope * length
                yield length, min(first, last), max(first, last)
            left -= length
            number, into = (number + 1) % len(self.pieces), 0.0

    def _fine(self, start: float, end: float) -> Iterator[tuple[float, float, float]]:
        for length, low, high in self._parts(start, end):
            if high == low:
                yield length, low, high
                continue
            for grain in range(_GRAIN):
                step = (high - low) / _GRAIN
                yield length / _GRAIN, low + grain * step, low + (grain + 1) * step


def _filled(steps: list[tuple[float, float, float]], seconds: float, column: int) -> float:
    joules = 0.0
    for step in steps:
        length = min(step[0], seconds)
        joules += length * step[column]
        seconds -= length
        if seconds <= 0:
            break
    return joules
