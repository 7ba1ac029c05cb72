"""What a client sends an agent of its spans: one message, the same over a Unix socket and over HTTP.

``{"spans": {"infer": [1000, 1900]}, "open": [500], "left_out": {"infer": 7}, "bound_ns": 0}``

``spans`` holds begin, end, begin, end, … of the calls of each name, in ns of the agent's monotonic clock;
``open``, when spans began that have not ended yet; ``left_out``, how many calls were not sent; and
``bound_ns``, by how much those times may be wrong. All but ``spans`` may be absent.
"""

from __future__ import annotations

import time

from energymeter.errors import SpecError
from energymeter.lazy import TYPE_CHECKING, NamedTuple
from energymeter.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

SPANS_BYTES = 65_536
"""A message is no longer."""
MOST_CALLS = 1000
"""In a message, and a second from one program."""
MOST_NAMES = 100
MOST_OPEN = 100
MOST_CHARACTERS = 100
"""A longer name is cut."""
BURST_SECONDS = 5.0
_MOST_NS = 1 << 62
_MOST_LEFT_OUT = 1 << 32


class SpanMessage(NamedTuple):
    """One message, checked."""

    spans: Mapping[str, list[int]]
    open: list[int]
    left_out: Mapping[str, int]
    bound_ns: int

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> SpanMessage:
        """Take a message apart; names are cut, and written with escapes.

        Raises:
            SpecError: it makes no sense.
        """
        spans, begun = message.get("spans"), message.get("open", [])
        left_out, bound_ns = message.get("left_out", {}), message.get("bound_ns", 0)
        known = {"spans", "open", "left_out", "bound_ns"}
        if not (
            set(message) <= known
            and isinstance(spans, dict)
            and isinstance(left_out, dict)
            and max(len(spans), len(left_out)) <= MOST_NAMES
            and all(_are_times(edges, 2 * MOST_CALLS) and len(edges) % 2 == 0 for edges in spans.values())
            and sum(len(edges) for edges in spans.values()) <= 2 * MOST_CALLS
            and _are_times(begun, MOST_OPEN)
            and all(type(count) is int and 0 <= count <= _MOST_LEFT_OUT for count in left_out.values())
            and _are_times([bound_ns], 1)
        ):
            raise SpecError("the spans are not what docs/serve.md describes; install the same version")
        joined: dict[str, list[int]] = {}
        for name, edges in spans.items():
            joined.setdefault(short(name), []).extend(edges)
        counts: dict[str, int] = {}
        for name, count in left_out.items():
            counts[short(name)] = counts.get(short(name), 0) + count
        return cls(joined, begun, counts, bound_ns)


def _are_times(values: object, most: int) -> bool:
    return (
        isinstance(values, list)
        and len(values) <= most
        and all(type(value) is int and 0 <= value < _MOST_NS for value in values)
    )


def short(name: str) -> str:
    """A name as an agent shows it: without control characters, and of bounded length.

    >>> short("load\\n"), short(""), len(short("x" * 1000))
    ('load\\\\n', 'unnamed', 100)
    """
    shown = printable(name[: MOST_CHARACTERS + 1])
    if len(shown) > MOST_CHARACTERS:
        return f"{shown[: MOST_CHARACTERS - 1]}…"
    return shown or "unnamed"


class Allowance:
    """How much may be done now: so much a second, and no more than that of a few seconds together.

    Args:
        a_second: how much.
        burst_seconds: it is saved for so long.
        now: the clock, s.
    """

    def __init__(
        self, a_second: float, burst_seconds: float = BURST_SECONDS, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._a_second, self._most, self._now = a_second, a_second * burst_seconds, now
        self._saved, self._at = self._most, now()

    def take(self, wanted: int) -> int:
        """How many of these may be done; they are counted as done."""
        now = self._now()
        self._saved = min(self._most, self._saved + (now - self._at) * self._a_second)
        self._at = now
        granted = min(wanted, int(self._saved))
        self._saved -= granted
        return granted
