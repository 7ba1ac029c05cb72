"""Roofline: how near a program comes to what the board's arithmetic and its memory allow.

Williams, Waterman and Patterson, "Roofline: An Insightful Visual Performance Model", CACM 52 (2009).
"""

from typing import NamedTuple

from energymeter.errors import SpecError
from energymeter.text import significant


class Roofline(NamedTuple):
    """The work of one unit, and the limits of the board where they are known."""

    flops: float
    """Floating-point operations of one unit."""
    bytes: float | None = None
    """Memory traffic of one unit, B."""
    peak_flops_per_second: float | None = None
    peak_bytes_per_second: float | None = None

    @property
    def flop_per_byte(self) -> float | None:
        """Operational intensity; None without the memory traffic."""
        return None if self.bytes is None else self.flops / self.bytes

    @property
    def roof(self) -> float | None:
        """FLOP/s that the board allows; None where a limit of it is not known."""
        intensity, peak, carried = self.flop_per_byte, self.peak_flops_per_second, self.peak_bytes_per_second
        if peak is None or intensity is None or carried is None:
            return None
        return min(peak, intensity * carried)

    def share(self, seconds_per_unit: float) -> float | None:
        """How much of the roof is reached by a program that takes so long for a unit."""
        return None if self.roof is None else self.flops / seconds_per_unit / self.roof

    def __str__(self) -> str:
        parts = [f"{significant(self.flops / 1e9)} GFLOP a unit"]
        if self.flop_per_byte is not None:
            parts.append(f"{significant(self.flop_per_byte)} FLOP/B")
        if self.roof is not None:
            limit = "arithmetic" if self.roof == self.peak_flops_per_second else "memory"
            parts.append(f"the roof is {significant(self.roof / 1e9)} GFLOP/s by the board's {limit}")
        return "roofline: " + ", ".join(parts)


def roofline_of(
    flops: float | None,
    bytes: float | None = None,
    peak_gflops: float | None = None,
    peak_gbytes: float | None = None,
) -> Roofline | None:
    """The roofline of what is known; ``None``: no operations.

    Args:
        flops: floating-point operations of one unit.
        bytes: memory traffic of one unit.
        peak_gflops: what the board computes at most, GFLOP/s.
        peak_gbytes: what its memory carries at most, GB/s.

    Raises:
        SpecError: a limit without what it limits.
    """
    if flops is None:
        if (bytes, peak_gflops, peak_gbytes) != (None, None, None):
            raise SpecError("a roofline needs the operations of one unit; give --flops")
        return None
    if bytes is None and peak_gbytes is not None:
        raise SpecError("--peak-gbytes needs the memory traffic of one unit; give --bytes")
    return Roofline(
        flops,
        bytes,
        None if peak_gflops is None else 1e9 * peak_gflops,
        None if peak_gbytes is None else 1e9 * peak_gbytes,
    )
