"""A number that was worked out and how sure we are of it, written the way one reads it."""

import math
from typing import NamedTuple

# (up to this many hours, round to this many minutes): steps of maks-a/batterym (README), <= 4.2 % off.
_STEPS = ((2.0, 1), (4.0, 5), (8.0, 10), (12.0, 20), (24.0, 30), (math.inf, 60))


class Estimate(NamedTuple):
    """The best value and its 95 % interval, all in ``unit``.

    >>> str(Estimate(5.3333, 4.21, 6.4, "h"))
    '5 h 20 min (4 h 10 min to 6 h 20 min)'
    >>> str(Estimate(2412.3, 1990.0, 2801.0, "mAh"))
    '2410 mAh (1990 to 2800)'
    """

    value: float
    low: float
    high: float
    unit: str = ""

    def scaled(self, factor: float, unit: str) -> "Estimate":
        """The same in another unit: each number times ``factor`` (> 0)."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor, unit)

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        if self.unit == "h":
            return f"{say_hours(self.value)} ({say_hours(self.low)} to {say_hours(self.high)})"
        value = f"{say_number(self.value)} {self.unit}".rstrip()
        return f"{value} ({say_number(self.low)} to {say_number(self.high)})"


def say_hours(hours: float) -> str:
    """A duration as one says it: the longer, the coarser.

    >>> [say_hours(h) for h in (0.004, 0.3, 1.999, 5.3333, 26.67, 400.0)]
    ['less than a minute', '18 min', '2 h', '5 h 20 min', '27 h', '17 d']
    """
    if hours * 60 < 0.5:
        return "less than a minute"
    if hours >= 14 * 24:
        return f"{round(hours / 24)} d"
    step = next(minutes for limit, minutes in _STEPS if hours < limit)
    minutes = max(round(hours * 60 / step) * step, 1)
    if minutes >= 48 * 60:
        days, rest = divmod(round(minutes / 60), 24)
        return f"{days} d {rest} h" if rest else f"{days} d"
    whole, rest = divmod(minutes, 60)
    return " ".join(part for part in (f"{whole} h" * bool(whole), f"{rest} min" * bool(rest)) if part)


def say_number(number: float, digits: int = 3) -> str:
    """Three significant digits, never an exponent below a million.

    >>> [say_number(x) for x in (0.012345, 3.14159, 2412.3, 0.0)]
    ['0.0123', '3.14', '2410', '0']
    """
    if number == 0 or not math.isfinite(number):
        return f"{number:g}"
    places = digits - 1 - math.floor(math.log10(abs(number)))
    return f"{round(number, places):.{max(places, 0)}f}"
