"""Options and output that several commands share."""

import json
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from energymeter.energy.usage import Usage
from energymeter.errors import SpecError
from energymeter.meter.meter import EnergyMeter
from energymeter.text import printable

if TYPE_CHECKING:
    from energymeter.recordings.trace import Trace

F = TypeVar("F", bound=Callable[..., Any])


def loaded(file: str, caller: str, *, quiet: bool = False, **hints: Any) -> "Trace":
    """A recording; what a file of others was recognised as is reported on standard error.

    Args:
        file: its path, after which options may stand, as in ``log.csv?watts=P&unit=mW``.
        caller: the command, in whose spelling an error names its remedy.
        quiet: report nothing, because the answer holds it.
        hints: see `energymeter.recordings.Hints`.
    """
    from energymeter.recordings.trace import Trace

    trace = Trace.load(file, caller=caller, **hints)
    if not quiet and not trace.is_own:
        click.echo(f"read as {printable(trace.read_as)}", err=True)
    if not quiet and caller != "show":  # whose answer holds them
        for note in trace.notes:
            click.echo(f"note: {printable(note)}", err=True)
    return trace


def span_or_window(text: str) -> tuple[float, float] | str:
    """Start and end in seconds, or else the name of a span."""
    from energymeter.units import number

    start, end = (number(edge) for edge in (text.partition(":")[0], text.partition(":")[2]))
    if start is None or end is None:
        return text
    if not start < end:
        raise SpecError(f"{text!r} ends before it begins; write start and end in seconds, as 30:90")
    return start, end


_LEAST = 1e-12


class Finite(click.FloatRange):
    """A finite number: not "nan", not "inf", and no larger than any quantity that this package handles.

    Limits of 1e15 and, but for 0, of 1e-12 keep the arithmetic of every command far from overflow. The
    largest sensible values are Unix times and joules, at some 1e10.
    """

    name = "number"

    def __init__(self, min: float = -1e15, max: float = 1e15) -> None:
        super().__init__(min=min, max=max)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        converted: float = click.FLOAT.convert(value, param, ctx)
        if not math.isfinite(converted):
            self.fail(f"{value} is not a finite number", param, ctx)
        if 0 < abs(converted) < _LEAST:
            self.fail(f"{value} is too close to 0; give 0, or at least {_LEAST:g}", param, ctx)
        ranged: float = super().convert(value, param, ctx)
        return ranged


class Positive(Finite):
    """A finite number above 0; at least 1e-9, so that its inverse is finite, too."""

    name = "number above 0"

    def __init__(self, max: float = 1e15) -> None:
        super().__init__(min=1e-9, max=max)


def with_options(command: F, *decorators: Callable[[F], F]) -> F:
    """A command with these options, in the order of its help."""
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


require_option = click.option(
    "--require",
    type=click.Choice(["measured", "manual", "modelled", "simulated"]),
    help="Refuse a source of any other provenance (exit code 3).",
)
card_option = click.option(
    "--calibration",
    "card",
    type=click.Path(exists=True, dir_okay=False),
    help="Use this card instead of the meter's own.",
)
no_card_option = click.option(
    "--no-calibration", is_flag=True, help="Use the readings without the meter's card."
)
json_option = click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")


def metering(command: F) -> F:
    """The `meter_options`, and ``--json``."""
    return with_options(command, meter_options, json_option)


def meter_options(command: F) -> F:
    """The options that make an `EnergyMeter`, see `meter_of`."""
    return with_options(
        command,
        click.option("--rate", "rate_hz", type=Finite(), help="Readings per second."),
        click.option("--out", type=click.Path(dir_okay=False), help="Record to .csv, .jsonl or .parquet."),
        click.option("--force", is_flag=True, help="Replace the file if it exists."),
        require_option,
        click.option(
            "--nominal-volts", type=Positive(), help="Count mAh at this voltage if no current is measured."
        ),
        click.option("--budget", help="The budget to debit; see `energymeter budget`."),
        click.option("--stage", help="The stage of the budget to debit."),
        card_option,
        no_card_option,
        click.option(
            "--celsius",
            type=Finite(min=-100, max=150),
            help="Temperature of the air, to compare with the card's.",
        ),
    )


def meter_of(source: str | None, options: dict[str, Any]) -> EnergyMeter:
    """The meter that the `metering` options describe.

    Raises:
        SpecError: they contradict each other.
    """
    card, without = options.pop("card"), options.pop("no_calibration")
    if card is not None and without:
        raise SpecError("--calibration and --no-calibration exclude each other; leave one out")
    return EnergyMeter(source, calibration=card if card is not None else not without, **options)


def usage_text(usage: Usage, as_json: bool) -> str:
    """A usage as text, or as JSON."""
    return json.dumps(usage.to_dict()) if as_json else str(usage)
