"""`Statement`: what the author of recordings states of them when they are pushed."""

import os
from typing import Any, NamedTuple

from energymeter.errors import SpecError

_MOST_TEXT = 200


class Statement(NamedTuple):
    """What the author of recordings states of them; nothing of it was measured."""

    board: str = ""
    """Empty: as the log says."""
    model: str = ""
    variant: str = ""
    """A form of the model or program, such as int8."""
    commit: str = ""
    """The revision of the program."""
    unit: str = ""
    """What a unit is called."""
    units: float | None = None
    """In each recording; with a span, in each of its calls."""
    span: str | None = None
    """Only the calls of this span count for the energy of a unit."""
    host: str = ""
    """Empty: the machine that the log names."""
    started: float | None = None
    """Unix time of second 0, for a recording without a date."""
    clock_offset_s: float = 0.0
    """By how much the host's clock was ahead; times are corrected by it."""
    clock_uncertainty_s: float | None = None
    """± of the times after that, k = 2; ``None``: unknown."""
    report: str = ""
    """A page about the runs, which is copied into the lake."""

    def checked(self) -> "Statement":
        """Itself.

        Raises:
            SpecError: a text is too long or does not print, or a number makes no sense.
        """
        for name in ("board", "model", "variant", "commit", "unit", "host", "span"):
            text = getattr(self, name) or ""
            if len(text) > _MOST_TEXT or not text.isprintable():
                raise SpecError(
                    f"{name} is not a short line of text; give up to {_MOST_TEXT} printable characters"
                )
        if self.units is not None and not 0 < self.units < 1e15:
            raise SpecError(f"{self.units:g} units make no sense; give a number above 0")
        if not abs(self.clock_offset_s) < 1e10 or not 0 <= (self.clock_uncertainty_s or 0.0) < 1e10:
            raise SpecError("the offset of a clock makes no sense; give seconds, and a ± of 0 or more")
        return self

    def for_hash(self) -> list[Any]:
        """What changes the rows."""
        return [*self._replace(report=os.path.basename(self.report))]
