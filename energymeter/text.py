"""Numbers, durations, estimates and foreign text, as they are printed."""

import math
from typing import NamedTuple

_MOST_DECIMALS = 6


def with_uncertainty(number: float, uncertainty: float, unit: str) -> str:
    """A number to the place of the second digit of its ±, with a prefix that keeps it readable.

    >>> with_uncertainty(12.3071, 0.2196, "J")
    '12.31 J ± 0.22'
    >>> with_uncertainty(0.00021, 0.0000041, "J")
    '210.0 µJ ± 4.1'
    >>> with_uncertainty(5.0, 0.0, "J"), with_uncertainty(2.0, 1e-9, "J")
    ('5.000 J', '2.000000 J ± 0.000001')
    """
    size = max(abs(number), uncertainty if math.isfinite(uncertainty) else 0.0)
    scale, prefix = next(
        ((scale, prefix) for scale, prefix in ((1.0, ""), (1e-3, "m"), (1e-6, "µ")) if size >= scale),
        (1.0, "") if size == 0 else (1e-9, "n"),
    )
    number, uncertainty = number / scale, uncertainty / scale
    if not uncertainty > 0:
        return f"{number:.3f} {prefix}{unit}"  # nothing is known of its error: no ± is claimed
    if math.isinf(uncertainty):
        return f"{number:.3f} {prefix}{unit} ± ∞"
    digits = min(max(0, 1 - math.floor(math.log10(uncertainty))), _MOST_DECIMALS)
    return f"{number:.{digits}f} {prefix}{unit} ± {max(uncertainty, 10**-_MOST_DECIMALS):.{digits}f}"


def significant(number: float, figures: int = 3) -> str:
    """A number to three significant figures, in powers of ten only below a millionth.

    >>> significant(0.6789), significant(1234.5), significant(3.0), significant(0.9996), significant(2.5e-9)
    ('0.679', '1234', '3.00', '1.00', '2.50e-09')
    """
    if number == 0:
        return "0"
    if not math.isfinite(number):
        return str(number)
    rounded = f"{number:.{figures - 1}e}"
    exponent = int(rounded.partition("e")[2])
    return rounded if exponent < -6 else f"{number:.{max(figures - 1 - exponent, 0)}f}"


def duration(seconds: float) -> str:
    """A time as one reads it.

    >>> duration(0.00042), duration(0.9997), duration(4.02), duration(7265)
    ('420 µs', '1.0 s', '4.0 s', '2 h 1 min')
    """
    if seconds < 0.9995e-6:
        return f"{seconds * 1e9:.0f} ns" if seconds else "0 s"
    if seconds < 0.9995e-3:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 0.9995:
        return f"{seconds * 1e3:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


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
            return f"{hours_text(self.value)} ({hours_text(self.low)} to {hours_text(self.high)})"
        value = f"{number_text(self.value)} {self.unit}".rstrip()
        return f"{value} ({number_text(self.low)} to {number_text(self.high)})"


def hours_text(hours: float) -> str:
    """A duration as one says it: the longer, the coarser.

    >>> [hours_text(h) for h in (0.004, 0.3, 1.999, 5.3333, 26.67, 400.0)]
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


def number_text(number: float, digits: int = 3) -> str:
    """Three significant digits, never an exponent below a million.

    >>> [number_text(x) for x in (0.012345, 3.14159, 2412.3, 0.0)]
    ['0.0123', '3.14', '2410', '0']
    """
    if number == 0 or not math.isfinite(number):
        return f"{number:g}"
    places = digits - 1 - math.floor(math.log10(abs(number)))
    return f"{round(number, places):.{max(places, 0)}f}"


def printable(text: str) -> str:
    """The text with everything that does not show written as an escape.

    Control characters, half surrogates (which cannot be encoded) and marks that turn the reading direction
    are among it.

    >>> printable("um25c \\x1b[2J")
    'um25c \\\\x1b[2J'
    """
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
