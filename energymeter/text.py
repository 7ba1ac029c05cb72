"""Numbers, durations, estimates, tables and foreign text, as they are printed."""

from __future__ import annotations

import math

from energymeter.lazy import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


_MOST_DECIMALS = 6
_LEAST_EXPONENT, _MOST_EXPONENT = -6, 15
"""Outside of these, a number is printed in powers of ten."""


_PREFIXES = ((1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))


def significant(number: float, figures: int = 3) -> str:
    """A number rounded to so many significant figures; the one rounding rule for numbers without a ±.

    >>> [significant(x) for x in (0.6789, 1234.5, 3.0, 0.9996, 2.5e-9, 0.0)]
    ['0.679', '1230', '3.00', '1.00', '2.50e-09', '0']
    >>> significant(484.33, 4), significant(12345.6, 4)
    ('484.3', '12350')
    """
    if number == 0 or not math.isfinite(number):
        return f"{number:g}".removeprefix("-" if number == 0 else "")
    rounded = f"{number:.{figures - 1}e}"
    exponent = int(rounded.partition("e")[2])
    if not _LEAST_EXPONENT <= exponent < _MOST_EXPONENT:
        return rounded
    return f"{float(rounded):.{max(figures - 1 - exponent, 0)}f}"


def percent(share: float, decimals: int = 0) -> str:
    """A share in percent.

    >>> percent(0.4), percent(0.99951, 1)
    ('40 %', '100.0 %')
    """
    return f"{100 * share:.{decimals}f} %"


def partly_measured(coverage: float) -> bool:
    """Whether so little of a time was measured that a result says how much.

    >>> partly_measured(0.9995), partly_measured(0.9)
    (False, True)
    """
    return coverage < 0.9995


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
    scale, prefix = _prefix(size)
    number, uncertainty = number / scale, uncertainty / scale
    if not uncertainty > 0:
        return f"{number:.3f} {prefix}{unit}"  # nothing is known of its error: no ± is claimed
    if math.isinf(uncertainty):
        return f"{number:.3f} {prefix}{unit} ± ∞"
    value, spread = _to_second_digit(number, uncertainty)
    return f"{value} {prefix}{unit} ± {spread}"


def plus_minus(number: float, uncertainty: float | None) -> str:
    """A number and its ± without a unit, for a column whose title has it.

    >>> plus_minus(12.3071, 0.2196), plus_minus(12.3071, None), plus_minus(3.0, math.inf)
    ('12.31 ± 0.22', '12.31', '3.000 ± ∞')
    """
    if uncertainty is None or not uncertainty > 0:
        return significant(number, 4)
    if math.isinf(uncertainty):
        return f"{significant(number, 4)} ± ∞"
    return " ± ".join(_to_second_digit(number, uncertainty))


def _to_second_digit(number: float, uncertainty: float) -> tuple[str, str]:
    """Both, to the place of the second digit of the ±."""
    digits = min(max(0, 1 - math.floor(math.log10(uncertainty))), _MOST_DECIMALS)
    return f"{number:.{digits}f}", f"{max(uncertainty, 10**-_MOST_DECIMALS):.{digits}f}"


def common_prefix(numbers: Iterable[float]) -> tuple[float, str]:
    """What the SI prefix of a column stands for, and itself: its largest number has a digit before the point.

    >>> common_prefix([0.0021, 0.00003]), common_prefix([])
    ((0.001, 'm'), (1.0, ''))
    """
    return _prefix(max(map(abs, numbers), default=0.0))


def time_text(seconds: float) -> str:
    """A time to three figures, as two arms may differ by less than a digit of `duration`.

    >>> time_text(0.0031416), time_text(2.5), time_text(3e-6)
    ('3.14 ms', '2.50 s', '3.00 µs')
    """
    scale, prefix = _prefix(seconds)
    return f"{significant(seconds / scale)} {prefix}s"


def _prefix(size: float) -> tuple[float, str]:
    """The SI prefix, and what it stands for, that leaves at least one digit before the point."""
    fitting = ((scale, prefix) for scale, prefix in _PREFIXES if size >= scale)
    return next(fitting, _PREFIXES[0] if size == 0 else _PREFIXES[-1])


# (up to this many hours, round to this many minutes): steps of maks-a/batterym (README), <= 4.2 % off.
_STEPS = ((2.0, 1), (4.0, 5), (8.0, 10), (12.0, 20), (24.0, 30), (math.inf, 60))


def duration(seconds: float, *, rough: bool = False) -> str:
    """A time for people.

    >>> [duration(s) for s in (0.00042, 0.9997, 4.02, 7265, 86400)]
    ['420 µs', '1.0 s', '4.0 s', '2 h 1 min', '24 h']
    >>> [duration(3600 * hours, rough=True) for hours in (0.004, 0.3, 1.999, 5.3333, 26.67, 400.0)]
    ['less than a minute', '18 min', '2 h', '5 h 20 min', '27 h', '17 d']

    Args:
        seconds: zero or more.
        rough: for a forecast: no seconds, and the longer, the coarser (by at most 4.2 %).
    """
    if not math.isfinite(seconds):
        return "∞" if seconds > 0 else "unknown"
    if rough:
        return _rough(seconds)
    if seconds < 0.9995e-6:
        return f"{seconds * 1e9:.0f} ns" if seconds else "0 s"
    if seconds < 0.9995e-3:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 0.9995:
        return f"{seconds * 1e3:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return _hours_and_minutes(round(seconds / 60))


def _rough(seconds: float) -> str:
    hours = seconds / 3600
    if hours * 60 < 0.5:
        return "less than a minute"
    if hours >= 14 * 24:
        return f"{round(hours / 24)} d"
    step = next(minutes for limit, minutes in _STEPS if hours < limit)
    minutes = max(round(hours * 60 / step) * step, 1)
    if minutes >= 48 * 60:
        days, rest = divmod(round(minutes / 60), 24)
        return f"{days} d {rest} h" if rest else f"{days} d"
    return _hours_and_minutes(minutes)


def _hours_and_minutes(minutes: int) -> str:
    whole, rest = divmod(minutes, 60)
    return " ".join(part for part in (f"{whole} h" * bool(whole), f"{rest} min" * bool(rest)) if part)


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

    def scaled(self, factor: float, unit: str) -> Estimate:
        """The same in another unit: each number times ``factor`` (> 0)."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor, unit)

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        if self.unit == "h":
            value, low, high = (duration(3600 * hours, rough=True) for hours in self[:3])
            return f"{value} ({low} to {high})"
        value = f"{significant(self.value)} {self.unit}".rstrip()
        return f"{value} ({significant(self.low)} to {significant(self.high)})"


def printable(text: str) -> str:
    """The text with everything that does not show written as an escape.

    This includes control characters, lone surrogates (which cannot be encoded) and marks that turn the
    reading direction.

    >>> printable("um25c \\x1b[2J")
    'um25c \\\\x1b[2J'
    """
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def shown(value: object, most: int = 40) -> str:
    """A value that was given, as a message quotes it: its first characters, whatever it is.

    >>> shown("five"), shown(10**400, 6), shown(10**9999)
    ("'five'", '100000…', 'a huge number')
    """
    try:
        text = printable(repr(value))
    except ValueError:  # Python writes no integers of more than 4300 digits
        return "a huge number"
    return text if len(text) <= most else f"{text[:most]}…"


def csv_text(text: str) -> str:
    """A text for a cell of a CSV file: printable, and no formula for the spreadsheet that opens it.

    What a spreadsheet would compute (OWASP, "CSV Injection") begins with an apostrophe, which spreadsheets
    take for "this is text".

    >>> csv_text("lab 4"), csv_text('=HYPERLINK("http://…")'), csv_text("-3 dB"), csv_text("-3")
    ('lab 4', '\\'=HYPERLINK("http://…")', "'-3 dB", '-3')
    """
    text = printable(text)
    if not text.lstrip().startswith(("=", "+", "-", "@", "|", "%", "＝", "＋", "－", "＠")):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def aligned(rows: Sequence[Sequence[str]], left: int | None = None) -> list[str]:
    """The lines of a table whose first ``left`` columns (``None``: all) are flush left, and the others right.

    >>> aligned([["", "A"], ["J", "1.5"]], left=1)
    ['     A', 'J  1.5']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if left is None or place < left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def html_table(rows: Iterable[Iterable[object]], head: Iterable[object] = ()) -> str:
    """A table for a notebook; every cell is text, whatever it holds.

    >>> html_table([["energy", "3 J"]])
    '<table><tr><td>energy</td><td>3 J</td></tr></table>'
    """
    import html

    def row(cells: Iterable[object], kind: str) -> str:
        return f"<tr>{''.join(f'<{kind}>{html.escape(str(cell))}</{kind}>' for cell in cells)}</tr>"

    first = list(head)
    lines = [row(first, "th")] if first else []
    return f"<table>{''.join([*lines, *(row(cells, 'td') for cells in rows)])}</table>"
