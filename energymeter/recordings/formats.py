"""Formats of others that are known by name: how each is recognised, and what its titles do not say."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from energymeter.reading import Place, Semantics
from energymeter.recordings.shape import Shape


class Format(NamedTuple):
    """One kind of table."""

    name: str
    recognised: Callable[[Shape], bool]
    semantics: Semantics | None = None
    place: Place = "rail"
    columns: Mapping[str, str] = {}
    """Titles in lower case, and the quantity and unit they stand for; empty: no measurement of the load."""


def _has(*wanted: str) -> Callable[[Shape], bool]:
    def recognised(shape: Shape) -> bool:
        titles = {title.strip().lower() for title in shape.titles}
        return all(title in titles for title in wanted)

    return recognised


FORMATS: Sequence[Format] = (
    Format(
        "nvidia-smi CSV",
        lambda shape: any(title.startswith(("power.draw", "power.draw.")) for title in shape.titles),
        place="rail",
        columns={"index": "", "pstate": ""},
    ),
    Format("Joulescope statistics", _has("time", "current", "voltage", "power", "charge", "energy")),
    Format("Power Profiler Kit II export", _has("timestamp(ms)", "current(ua)")),
)


def format_of(shape: Shape) -> Format | None:
    """The format of a table; ``None``: none of those known by name."""
    return next((each for each in FORMATS if each.recognised(shape)), None)
