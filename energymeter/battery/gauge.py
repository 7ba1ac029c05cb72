"""The kernel's battery gauge (``/sys/class/power_supply``): the capacity by design and today."""

from energymeter.errors import SourceMissing
from energymeter.paths import below, entries, peek, peek_number


def full_charge(root: str) -> tuple[float, float, float]:
    """(rated mAh, design volts, health) of the first system battery under ``root``.

    Units as in the kernel's Documentation/power/power_supply_class.rst: µWh, µAh, µV. A battery
    reports either energy or charge; energy is converted to mAh with the design voltage.

    Raises:
        SourceMissing: there is none, or it reports no capacity.
    """
    for supply in (below(root, name) for name in entries(root)):
        if peek(below(supply, "type")) != "Battery" or peek(below(supply, "scope")) == "Device":
            continue  # "Device" is a mouse's or a headset's battery
        volts = _micro(supply, "voltage_min_design") or _micro(supply, "voltage_now")
        for kind in ("energy", "charge"):
            full, design = _micro(supply, f"{kind}_full"), _micro(supply, f"{kind}_full_design")
            if volts and (full or design):
                rated = (design or full or 0.0) * 1000 / (volts if kind == "energy" else 1.0)
                return rated, volts, min((full / design) if full and design else 1.0, 1.2)
    raise SourceMissing(
        f"no battery gauge with a capacity under {root}: give the battery as milliamp-hours instead"
    )


def _micro(supply: str, name: str) -> float | None:
    value = peek_number(below(supply, name))
    return value * 1e-6 if value is not None and value > 0 else None
