"""Measured numbers as one reads them: to the place of their ±, to three figures, seconds as a time."""

import math

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


def in_figures(number: float, figures: int = 3) -> str:
    """A number to three significant figures, in powers of ten only below a millionth.

    >>> in_figures(0.6789), in_figures(1234.5), in_figures(3.0), in_figures(0.9996), in_figures(2.5e-9)
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
