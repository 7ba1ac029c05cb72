"""Words, options and JSON that the budget's subcommands share."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from energymeter.battery.battery import Battery
from energymeter.cli.options import Finite, Positive
from energymeter.units import UNITS, amount

F = TypeVar("F", bound=Callable[..., Any])

_LONGEST = 1e6 * 86400
_DURATIONS = {**UNITS["seconds"], "d": 86400.0}


def seconds(text: str) -> float:
    """A duration such as ``5min``."""
    value, unit = amount(text) or (0.0, "")
    found = value * _DURATIONS.get(unit or "s", 0.0)
    if not 0 < found <= _LONGEST:
        raise click.BadParameter(f"{text!r} is no duration up to a million days: write 30s, 5min, 2h or 1d")
    return found


def share(text: str) -> float:
    """A share such as ``10%`` or ``0.1``."""
    value, unit = amount(text) or (-1.0, "")
    value = {"": value, "%": value / 100}.get(unit, -1.0)
    if not 0 <= value <= 1:
        raise click.BadParameter(f"{text!r} is no share: write 10% or 0.1")
    return value


def level(text: str) -> float:
    """A reading of a gauge, such as ``7%`` or ``150``."""
    value, unit = amount(text) or (-1.0, "")
    if value < 0 or unit not in ("", "%"):
        raise click.BadParameter(f"{text!r} is no level of a gauge: write 7% or, as the gauge counts, 150")
    return value


def known(battery: Battery, measured: float | None, celsius: float | None) -> Battery:
    """A battery with what the options know of it."""
    if celsius is not None:
        battery = battery.with_(celsius=celsius)
    return battery if measured is None else battery.measured(measured)


def known_options(command: F) -> F:
    """What is known of the battery beyond its label."""
    measured = click.option(
        "--measured", type=Positive(max=1e9), help="mAh that one full discharge gave: the cell is known."
    )
    celsius = click.option("--celsius", type=Finite(-40, 80), help="Temperature of the cell.")
    return measured(celsius(command))


battery_option = click.option(
    "--battery",
    default="phone",
    show_default=True,
    help="phone, 18650[:mAh], powerbank[:mAh], laptop or 4000mAh.",
)
basis_option = click.option(
    "--basis",
    type=click.Choice(["cell", "rail"]),
    default="cell",
    show_default=True,
    help="Where the mAh are counted.",
)


def plain(facts: Any) -> Any:
    """For JSON: named tuples become objects."""
    if hasattr(facts, "_asdict"):
        return plain(facts._asdict())
    if isinstance(facts, Mapping):
        return {key: plain(value) for key, value in facts.items()}
    return facts
