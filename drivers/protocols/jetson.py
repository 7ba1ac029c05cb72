"""A Jetson's power rails as sensors: which are counted, also after one of them failed."""

from collections.abc import Iterable

from energymeter.errors import SourceError
from energymeter.recordings.tegrastats import counted_rails

MOST_WATTS = 1000.0
"""No module takes a fifth of it (Thor: 130 W)."""


def pinned_rails(before: frozenset[str], names: Iterable[str]) -> frozenset[str]:
    """The counted rails, which stay what they were when the source is opened again after a failure.

    Raises:
        SourceError: one of them is gone; the sum of the others is not the board.
    """
    rails = list(names)
    counted = before or counted_rails(rails)
    if lost := counted - frozenset(rails):
        raise SourceError(
            f"the rail {', '.join(sorted(lost))} is gone; its sensor failed, so look into `dmesg`"
        )
    return counted
