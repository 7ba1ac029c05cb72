"""Options and output that several subcommands share."""

import json
import math
from collections.abc import Callable
from typing import Any, TypeVar

import click

from energymeter.energy.usage import Usage
from energymeter.errors import SpecError
from energymeter.meter.meter import EnergyMeter

F = TypeVar("F", bound=Callable[..., Any])


class Positive(click.FloatRange):
    """A number above 0, which "nan" is not."""

    name = "number above 0"

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        converted: float = super().convert(value, param, ctx)
        if math.isnan(converted):
            self.fail(f"{value} is not a number.", param, ctx)
        return converted


def metering(command: F) -> F:
    """The options that make an `EnergyMeter`, see `meter_of`, and ``--json``."""
    decorators = (
        click.option("--rate", "rate_hz", type=float, help="Readings a second."),
        click.option("--out", type=click.Path(dir_okay=False), help="Record to .csv, .jsonl or .parquet."),
        click.option("--force", is_flag=True, help="Replace the file if it exists."),
        click.option(
            "--require",
            type=click.Choice(["measured", "manual", "modelled", "simulated"]),
            help="Refuse a source of any other provenance (exit code 3).",
        ),
        click.option(
            "--nominal-volts", type=Positive(), help="Count mAh at this voltage if no current is measured."
        ),
        click.option("--budget", help="The budget that pays; see `energymeter budget`."),
        click.option("--stage", help="The budget's stage that pays."),
        click.option(
            "--calibration",
            "card",
            type=click.Path(exists=True, dir_okay=False),
            help="Use this card instead of the meter's own.",
        ),
        click.option("--no-calibration", is_flag=True, help="Take what the meter shows, without its card."),
        click.option("--celsius", type=float, help="Temperature of the air, to compare with the card's."),
        click.option("--json", "as_json", is_flag=True, help="JSON instead of text."),
    )
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


def meter_of(source: str | None, options: dict[str, Any]) -> EnergyMeter:
    """The meter that the `metering` options describe.

    Raises:
        SpecError: they contradict each other.
    """
    card, without = options.pop("card"), options.pop("no_calibration")
    if card is not None and without:
        raise SpecError("--calibration and --no-calibration exclude each other; leave one out.")
    return EnergyMeter(source, calibration=card if card is not None else not without, **options)


def told(usage: Usage, as_json: bool) -> str:
    """A usage for people, or for programs."""
    return json.dumps(usage.to_dict()) if as_json else str(usage)
