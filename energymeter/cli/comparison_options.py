"""What `compare` and `sweep` share: options, arms from command lines, and a line of progress."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from energymeter.cli.options import (
    Finite,
    Positive,
    card_option,
    json_option,
    meter_of,
    no_card_option,
    require_option,
    with_options,
)
from energymeter.comparison.commands import command, pattern
from energymeter.comparison.interleaved import Protocol, Work
from energymeter.meter.progress import LiveLine

if TYPE_CHECKING:
    from energymeter.carbon.grid import Grid
    from energymeter.meter.meter import EnergyMeter

F = TypeVar("F", bound=Callable[..., Any])


def measuring(command: F) -> F:
    """Options of the meter and of the runs."""
    return with_options(
        command,
        click.option("--source", help="The source to measure with."),
        click.option("--rate", "rate_hz", type=Positive(), help="Readings per second."),
        require_option,
        card_option,
        no_card_option,
        click.option(
            "--min-seconds",
            type=Finite(min=0, max=1e6),
            default=10.0,
            show_default=True,
            help="A shorter command is repeated until a run lasts so long.",
        ),
        click.option(
            "--warmup",
            type=click.IntRange(0, 1000),
            default=1,
            show_default=True,
            help="Calls before, not measured.",
        ),
        click.option("--prepare", help="A shell command before each run, not measured."),
        click.option(
            "--cooldown", type=Finite(min=0, max=1e6), default=0.0, help="Seconds of rest before each run."
        ),
        click.option(
            "--celsius", type=Finite(min=-100, max=150), help="Rest until the hottest sensor is below."
        ),
        click.option(
            "--idle",
            type=Finite(min=0, max=1e6),
            help="Seconds of idle power before, between and after blocks.  [default: a twentieth of a run]",
        ),
        click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the order."),
        click.option("--unit", help="What is counted: inference, token, epoch.  [default: run]"),
        click.option(
            "--units-regex", help="Units of a command, as it prints them: the first group, last match."
        ),
        click.option(
            "--workload", default="", help="What the commands have to do; printed with the numbers."
        ),
        click.option("--zone", help="For grams of CO₂e: a zone such as DEU."),
        json_option,
    )


def meter_in(options: dict[str, Any]) -> "EnergyMeter":
    """The meter that the `measuring` options describe."""
    named = {name: options[name] for name in ("rate_hz", "require", "card", "no_calibration")}
    return meter_of(options["source"], named)


def protocol_of(options: dict[str, Any]) -> Protocol:
    """How the runs are made, by the options; they are taken out."""
    prepare = options.pop("prepare")
    fields = {
        name: options.pop(name)
        for name in ("runs", "min_seconds", "warmup", "cooldown", "celsius", "idle", "seed", "workload")
    }
    return Protocol(
        **fields,
        unit=options.pop("unit") or "run",
        prepare=None if prepare is None else command(["/bin/sh", "-c", prepare]),
    )


def call_of(words: list[str], units_regex: str | None, metric_regex: str | None = None) -> Callable[[], Work]:
    """The call that runs a command line."""
    return command(
        words,
        units=None if units_regex is None else pattern(units_regex, "--units-regex"),
        metric=None if metric_regex is None else pattern(metric_regex, "--metric-regex"),
    )


def grid_in(zone: str | None) -> "Grid | None":
    """The grid of a zone."""
    from energymeter.comparison.arms import grid_of

    return grid_of(zone)


@contextmanager
def progress() -> Iterator[Callable[[int, int, str], None]]:
    """A line on a terminal that shows which run is made; elsewhere nothing."""
    if not sys.stderr.isatty():
        yield lambda done, total, name: None
        return
    live = LiveLine(sys.stderr)
    try:
        yield lambda done, total, name: live.show(f"run {done + 1} of {total}: {name}")
    finally:
        live.close()


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM ends the runs as Ctrl-C does, so that what was measured is kept and settings are restored."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def new_folder() -> str:
    """A folder for runs that were given none, by the time at which they began."""
    from energymeter.paths import user_folder

    name = time.strftime("%Y-%m-%d-%H%M%S", time.gmtime())
    return os.path.join(user_folder("data"), "comparisons", f"{name}-{os.getpid()}")
