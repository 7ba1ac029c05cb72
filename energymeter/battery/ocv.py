"""State of charge from the voltage of a lithium cell at rest.

Tables are published facts (``ocv-capacity-table-0`` of device trees, vendors' battery books); each
names its source. They hold for one cell that has rested more than 30 minutes near 20 °C. Between
3.7 V and 3.85 V ten millivolts are 5 to 10 % of charge, so the answer carries an interval; lithium
iron phosphate is left out on purpose: on its plateau (3.2 to 3.3 V) voltage does not show the charge.
"""

from itertools import pairwise

from energymeter.errors import SpecError
from energymeter.text import Estimate

_FIVES = tuple(range(100, -1, -5))
_FINE = (*range(100, 15, -5), 16, 13, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)


def _table(percents: tuple[int, ...], millivolts: str) -> tuple[tuple[float, float], ...]:
    volts = [int(word) / 1000 for word in millivolts.split()]
    return tuple(zip(volts, (p / 100 for p in percents), strict=True))


TABLES = {
    # SolidRun SolidSense AIOT, device tree `simple-battery`: 2500 mAh 18650, LCO, 0.100 ohm, 20 °C.
    "lco-4.20": _table(
        _FIVES,
        "4200 4150 4110 4080 4020 3980 3950 3910 3870 3850 3840 3820 3800 3790 3770 3750 3730 3710 3690 3610"
        " 3000",
    ),
    # Vendor battery book JBT-D009: 2780 mAh phone cell, 0.320 ohm, 20 °C.
    "phone-4.35": _table(
        _FIVES,
        "4330 4249 4189 4133 4081 4034 3991 3953 3910 3866 3836 3813 3795 3782 3774 3765 3750 3726 3687 3658"
        " 3400",
    ),
    # torvalds/linux arch/arm64/boot/dts/qcom/msm8916-longcheer-l8150.dts: 2500 mAh phone cell, 25 °C.
    "lihv-4.35": _table(
        _FINE,
        "4330 4265 4208 4153 4100 4049 4001 3962 3919 3872 3839 3817 3798 3783 3767 3747 3729 3709 3688 3681"
        " 3680 3679 3677 3674 3666 3641 3597 3537 3457 3336 3000",
    ),
    # torvalds/linux arch/arm64/boot/dts/qcom/msm8939-asus-z00t.dts: 3000 mAh lithium polymer, 25 °C.
    "lihv-4.40": _table(
        _FINE,
        "4372 4306 4247 4190 4134 4081 4030 3984 3930 3884 3850 3826 3804 3786 3770 3753 3734 3712 3693 3686"
        " 3684 3682 3680 3676 3668 3643 3600 3542 3462 3340 3000",
    ),
}
"""Resting volts and share of charge, falling; the names say chemistry and full voltage."""


def state_of_charge(
    resting_volts: float, table: str = "lco-4.20", *, volts_uncertainty: float = 0.010
) -> Estimate | None:
    """Share of charge, 0 to 1, of one cell at rest; the interval follows from ``volts_uncertainty`` (V).

    ``None`` outside 2.5 V to 0.1 V above full, where no such cell is at rest.

    Raises:
        SpecError: no such table.

    >>> str(state_of_charge(3.84))
    '0.500 (0.475 to 0.550)'
    """
    rows = _rows(table)
    if not 2.5 <= resting_volts <= rows[0][0] + 0.1:
        return None
    low, value, high = (
        _interpolate(rows, resting_volts + d) for d in (-volts_uncertainty, 0.0, volts_uncertainty)
    )
    return Estimate(value, low, high)


def sagged(table: str, used: float) -> float:
    """Volts that a cell has sagged from full, at rest, once the share ``used`` of its charge is gone.

    Raises:
        SpecError: no such table.
    """
    rows = _rows(table)
    share = min(max(1 - used, 0.0), 1.0)
    for (upper_volts, upper), (lower_volts, lower) in pairwise(rows):
        if share >= lower:
            volts = lower_volts + (upper_volts - lower_volts) * (share - lower) / (upper - lower)
            return rows[0][0] - volts
    return rows[0][0] - rows[-1][0]


def mean_volts(table: str = "lco-4.20") -> float:
    """Mean resting volts over a full discharge: ampere-hours times this are the cell's watt-hours at no load.

    Raises:
        SpecError: no such table.
    """
    rows = _rows(table)
    return sum((v1 + v0) / 2 * (s1 - s0) for (v1, s1), (v0, s0) in pairwise(rows))


def _rows(table: str) -> tuple[tuple[float, float], ...]:
    try:
        return TABLES[table]
    except KeyError:
        raise SpecError(f"no voltage table {table!r}: choose one of {', '.join(TABLES)}") from None


def _interpolate(rows: tuple[tuple[float, float], ...], volts: float) -> float:
    if volts >= rows[0][0]:
        return 1.0
    for (upper_volts, upper), (lower_volts, lower) in pairwise(rows):
        if volts >= lower_volts:
            return lower + (upper - lower) * (volts - lower_volts) / (upper_volts - lower_volts)
    return 0.0
