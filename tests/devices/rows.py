"""Samples as rows of the sampler's memory, for tests that write a curve by hand."""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from energymeter.energy.integrate import Row, Sample


def row_of(sample: Sample) -> Row:
    """What the sampler appends for this sample."""
    at_ns, joules, coulombs, volt_seconds, covered_ns, gap_fill, watts, volts, amps, variance = sample
    peak_watts = -inf if watts is None else watts
    joules, coulombs, volt_seconds, watts, volts, amps = (
        nan if number is None else number for number in (joules, coulombs, volt_seconds, watts, volts, amps)
    )
    return (
        *(at_ns, joules, coulombs, volt_seconds, covered_ns, gap_fill, watts, volts, amps, variance),
        peak_watts,
    )
