"""What the chips of the INA family have in common, so that a new one is a table entry.

All of them are shunt monitors: one converter measures the shunt and the bus in turn, averages,
and leaves results in registers. They differ in register numbers, steps and time tables; those are data.
"""

from __future__ import annotations

import math

from energymeter.boards import find_board
from energymeter.errors import ImplausibleReading, SpecError
from energymeter.lazy import TYPE_CHECKING, NamedTuple
from energymeter.reading import Band, Facts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


SPREAD = 1.1
"""A conversion may take 10 % longer than typical (INA219 586/532 µs, SBOS448G 7.5; INA226 from memory)."""

_FINE_BITS = 11
"""A bus conversion of 8 mV a step on an INA219 is ± 0.08 % of 5 V at most."""

_ROUNDING = 1e-9
"""More than products of decimal fractions are off by, and less than any figure that a person gives."""

_COMMON_SHUNTS = (0.1, 0.01, 0.05, 0.02, 0.015, 0.005, 0.002, 0.001, 0.5, 1.0)
"""Ohms, those on the most modules first."""


class Field(NamedTuple):
    """One result register."""

    register: int
    lsb: float
    """Worth of one count, in volts (or amps on a chip with its own shunt)."""
    limit: int
    """Counts at full scale; there the converter clips and nothing flags it."""
    size: int = 2
    """Bytes."""
    shift: int = 0
    """Unused low bits."""
    signed: bool = True

    def counts(self, raw: int) -> int:
        """The register's content as a number of steps."""
        return (signed(raw, 8 * self.size) if self.signed else raw) >> self.shift


class Timing(NamedTuple):
    """One way to set the converter's times."""

    config: int
    """The bits that set it, in place."""
    current_seconds: float
    """Seconds of each cycle in which the current is converted."""
    cycle: float
    """Seconds from one result to the next, typical."""
    bus_bits: int = 12
    bits: int = 12
    """The resolution of the current's conversion."""


def signed(raw: int, bits: int) -> int:
    """Two's complement of ``bits`` bits."""
    return raw - (1 << bits) if raw >> (bits - 1) else raw


def choose(timings: Sequence[Timing], rate_hz: float) -> Timing:
    """The setting that measures most of a sample period and still has a result for every sample.

    The longest conversion of the current whose whole cycle fits into the period on the slowest chip, with a
    bus conversion of `_FINE_BITS` or more; among equals the longest bus conversion. What the chip misses
    while it converts the bus it would miss while it waits for the next read just as well, and that averages
    out over a run; a coarse step of the voltage is the same error in every sample.
    Averages come in powers of two, so this covers between half and nine tenths of the period.
    When even the fastest does not fit, it is taken, and some reads will find nothing new.
    """
    fits = [t for t in timings if t.cycle * SPREAD * rate_hz <= 1.0]
    if not fits:
        return min(timings, key=lambda t: t.cycle)
    fine = [t for t in fits if t.bus_bits >= _FINE_BITS] or fits
    return max(fine, key=lambda t: (t.current_seconds, t.cycle))


def refine(facts: Facts, timing: Timing, rate_hz: float) -> Facts:
    """``facts`` with the semantics that a timing gives at a rate.

    A result whose cycle covers half of the sample period or more (on the slowest chip) stands for that
    period as its mean; a shorter one is an instant. The chip runs freely, so that its latest result is
    anything from new to a whole cycle old.
    """
    if timing.cycle * SPREAD * rate_hz < 0.5:
        return facts._replace(semantics="instant", duty=0.0, latency=0.0)
    return facts._replace(
        semantics="mean",
        duty=min(1.0, timing.current_seconds * rate_hz),
        latency=min(1.0, timing.cycle * rate_hz),
    )


def amps_band(gain: float, offset_volts: float, lsb_volts: float, shunt: float, tolerance: float) -> Band:
    """The current's limits from the chip's gain error, its offset at the shunt, and the shunt's tolerance.

    Chip and shunt are independent, so their limits combine as a root of squares.
    """
    return Band(math.hypot(gain, tolerance), offset_volts / shunt, lsb_volts / shunt)


def exceeds(amps: float, shunt: float, volts: float) -> bool:
    """Whether a current through a shunt gives more than these volts; 3.2 A through 0.1 Ω are 0.32 V."""
    return amps * shunt > volts * (1 + _ROUNDING)


def check_options(name: str, shunt: float, tolerance: float, max_amps: float, full_scale: float) -> None:
    """Refuse a shunt or a current that makes no sense.

    Args:
        full_scale: volts across the shunt that the chip can measure.

    Raises:
        SpecError: with the number that would do.
    """
    if not (math.isfinite(shunt) and shunt > 0):
        raise SpecError(
            f"{name}: shunt={shunt:g} cannot be: give its resistance in ohms, 0.1 for a part marked R100"
        )
    if not 0 <= tolerance < 1:
        raise SpecError(f"{name}: tolerance={tolerance:g} cannot be: give 0.01 for a shunt of ±1 %")
    if not (math.isfinite(max_amps) and max_amps >= 0):
        raise SpecError(f"{name}: max_amps={max_amps:g} cannot be: give the largest expected current in amps")
    if exceeds(max_amps, shunt, full_scale):
        raise SpecError(
            f"{name}: {max_amps:g} A through {shunt:g} Ω is more than the chip's ±{full_scale:g} V: "
            f"use a shunt of at most {full_scale / max_amps:.2g} Ω"
        )


def check_plausible(name: str, watts: float, shunt: float, board: str) -> None:
    """Compare a reading with what a board can draw, to catch a wrong shunt value.

    Linux' own ina2xx drivers assume 10 mΩ where modules carry 100 mΩ, which reads ten times too much.

    Raises:
        ImplausibleReading: with the shunt value that would make it plausible, where a common one does.
        SpecError: no such board.
    """
    profile = find_board(board)
    low, high = profile.watts_range
    if low <= abs(watts) <= high:
        return
    likely = next((s for s in _COMMON_SHUNTS if low <= abs(watts) * shunt / s <= high), None)
    remedy = (
        f"shunt={likely:g} would fit, so check the shunt's marking (R100 is 0.1, R010 is 0.01)"
        if likely is not None
        else "check that the board is on, and powered through this shunt"
    )
    raise ImplausibleReading(
        f"{name} reads {watts:.3g} W with shunt={shunt:g}, but a {profile.title} draws "
        f"{low:.2g} to {high:.3g} W: {remedy}"
    )


AVERAGES = (1, 4, 16, 64, 128, 256, 512, 1024)
SLOW_SECONDS = (140e-6, 204e-6, 332e-6, 588e-6, 1.1e-3, 2.116e-3, 4.156e-3, 8.244e-3)
"""Typical conversion times of INA226, INA260 and INA3221 (kernel drivers/hwmon/ina2xx.c, ina3221.c)."""
FAST_SECONDS = (50e-6, 84e-6, 150e-6, 280e-6, 540e-6, 1.052e-3, 2.074e-3, 4.12e-3)
"""Those of INA228, INA237 and INA238 (kernel drivers/hwmon/ina238.c)."""

TI = 0x5449
DIES = {
    0x226: "ina226",
    0x227: "ina260",
    0x228: "ina228",
    0x237: "ina238",
    0x238: "ina238",
    0x322: "ina3221",
}


class Kind(NamedTuple):
    """One chip of the family, as data."""

    name: str
    current: Field
    """The shunt's voltage, or the current itself on a chip with its own shunt."""
    bus: Field
    config_register: int
    config: int
    """The bits that do not set times: continuous conversion of shunt and bus."""
    ready: tuple[int, int]
    """Register and bit of the flag that a conversion ended."""
    gain: float
    """± of the current, without the shunt's own tolerance."""
    offset: float
    """± in the current field's unit."""
    bus_gain: float
    bus_offset: float
    identity_register: int | None = 0xFE
    """The maker's number (0x5449, "TI"); the die's is in the next one. None: it has neither."""
    dies: tuple[int, ...] = ()
    """Die numbers without the revision, which is the last four bits."""
    shifts: tuple[int, int, int] = (9, 6, 3)
    """Where averaging, bus time and shunt time sit in the configuration."""
    seconds: tuple[float, ...] = SLOW_SECONDS
    """Typical conversion time by code."""
    table: tuple[Timing, ...] = ()
    """Every setting of the times, where they are no product of averages and times."""
    cleared_by: int | None = None
    """The register that clears the ready flag when read; None: that of the flag itself."""
    narrow: Field | None = None
    """The current field in the narrower of two ranges (bit 4 of register 0)."""
    set_up: tuple[tuple[int, int], ...] = ()
    """More registers to write, and what."""
    beyond: str = "use a smaller shunt"
    """What to do about a current beyond its range."""

    @classmethod
    def fast(cls, **table: Any) -> Kind:
        """A chip with the registers that INA228, INA237 and INA238 share."""
        return cls(
            config_register=1,
            config=0xB << 12,
            shifts=(0, 9, 6),
            seconds=FAST_SECONDS,
            ready=(0x0B, 1 << 1),
            identity_register=0x3E,
            **table,
        )

    def timings(self, channels: int = 1) -> list[Timing]:
        """Every setting of averaging and times; the averages interleave shunt and bus of every channel."""
        if self.table:
            return list(self.table)
        average_at, bus_at, shunt_at = self.shifts
        return [
            Timing(i << average_at | b << bus_at | s << shunt_at, n * shunt, n * channels * (shunt + bus))
            for i, n in enumerate(AVERAGES)
            for b, bus in enumerate(self.seconds)
            for s, shunt in enumerate(self.seconds)
            if bus <= shunt
        ]
