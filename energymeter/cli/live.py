"""``energymeter live``: what a source draws now, as a graph on a terminal or as plain lines."""

import math
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from energymeter.cli.budget_options import basis_option
from energymeter.cli.options import Positive, meter_of, meter_options
from energymeter.errors import ExtraMissing, LogError, SpecError
from energymeter.meter.meter import EnergyMeter
from energymeter.text import printable

_LINE_SECONDS = 1.0
_POLL_SECONDS = 0.1
_NOTICES = 20
"""Warnings that are kept to be printed at the end."""


@click.command()
@click.argument("source", required=False)
@click.option("--duration", "seconds", type=Positive(), help="Stop after this many seconds.")
@click.option("--battery", help="Hours left of it, if it is full now: phone, 18650[:mAh], 4000mAh, …")
@basis_option
@click.option(
    "--grid", "zone", envvar="ENERGYMETER_GRID", help="Grams by this country's grid, as DEU; or world."
)
@click.option("--plain", is_flag=True, help="A line every second, also on a terminal.")
@meter_options
def live(
    source: str | None,
    seconds: float | None,
    battery: str | None,
    basis: Any,
    zone: str | None,
    plain: bool,
    **options: Any,
) -> None:
    """Show what SOURCE draws: power as a graph, rails, energy, charge, hours left, grams. q ends it.

    Where standard output is no terminal, or TERM is dumb, it prints a line every second until Ctrl-C.
    """
    if battery is not None and options["budget"] is not None:
        raise SpecError(
            "--battery and --budget exclude each other: a budget knows its battery; leave one out"
        )
    show = _screen() if not plain and _on_a_terminal() else _lines
    from energymeter.battery.battery import Battery
    from energymeter.carbon.grid import Grid
    from energymeter.report import Live

    cell = None if battery is None else Battery.parse(battery, basis)
    grid = None if zone is None else Grid(zone)
    meter = meter_of(source, options)
    with _ending() as asked, meter:
        end = math.inf if seconds is None else time.monotonic() + seconds
        show(Live(meter, battery=cell, grid=grid), lambda: bool(asked) or time.monotonic() >= end)
    click.echo(str(meter.usage))
    _report_log(meter, options["out"])


def _report_log(meter: EnergyMeter, out: str | None) -> None:
    recording = meter.recording
    if recording.error:
        raise LogError(f"{recording.error}; what was written before is intact; record again to another file")
    if out is not None:
        click.echo(f"{recording.rows} rows in {out}", err=True)


def _on_a_terminal() -> bool:
    """Keys come from standard input, and the screen is written to standard error."""
    streams = (sys.stdin, sys.stdout, sys.stderr)
    return os.environ.get("TERM", "dumb") not in ("", "dumb") and all(
        stream is not None and stream.isatty() for stream in streams
    )


def _screen() -> Callable[[Any, Callable[[], bool]], None]:
    """The view; it is looked for before a device is opened.

    Raises:
        ExtraMissing: textual is not installed.
    """
    try:
        from energymeter.cli import live_view
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "textual":
            raise
        raise ExtraMissing("textual", "live", "`energymeter live` on a terminal") from error

    def show(model: Any, over: Callable[[], bool]) -> None:
        with _collected(model.notices):
            live_view.show(model, over)
        for notice in model.notices:
            click.echo(f"energymeter: {notice}", err=True)

    return show


def _lines(model: Any, over: Callable[[], bool]) -> None:
    """A line every second."""
    due = time.monotonic() + _POLL_SECONDS
    while not over() and not model.ended:
        if time.monotonic() >= due:
            model.update()
            click.echo(model.line())
            due += _LINE_SECONDS
        time.sleep(_POLL_SECONDS)


@contextmanager
def _ending() -> Iterator[list[int]]:
    """End on Ctrl-C, SIGTERM and SIGHUP instead of being killed; yields the signals that came.

    A handler only adds to a list, because it may run while the main thread holds any lock.
    """
    asked: list[int] = []
    numbers = [
        n for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) != signal.SIG_IGN
    ]
    before = {number: signal.signal(number, lambda number, _: asked.append(number)) for number in numbers}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _collected(notices: list[str]) -> Iterator[None]:
    """Keep warnings for the screen, which they would disturb."""

    def keep(message: Warning | str, *_: object, **__: object) -> None:
        notices.append(printable(str(message)))
        del notices[:-_NOTICES]

    before = warnings.showwarning
    warnings.showwarning = keep
    try:
        yield
    finally:
        warnings.showwarning = before
