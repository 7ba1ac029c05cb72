"""``energymeter log``: show and record what a source measures."""

import json
import math
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from energymeter.cli.options import Positive, meter_of, metering, usage_text
from energymeter.energy.usage import Usage
from energymeter.errors import LogError, NotMeasured
from energymeter.meter.meter import EnergyMeter
from energymeter.meter.progress import LiveLine
from energymeter.text import duration, printable

_SHOW_SECONDS = 1.0
_POLL_SECONDS = 0.1


@click.command()
@click.argument("source", required=False)
@click.option("--duration", "seconds", type=Positive(), help="Stop after this many seconds.")
@metering
def log(source: str | None, seconds: float | None, as_json: bool, **options: Any) -> None:
    """Show what SOURCE measures, once a second, and record it with --out. Ctrl-C ends it."""
    meter = meter_of(source, options)
    with _ending() as asked, meter, _live_line(as_json) as show:
        _until_over(meter, asked, math.inf if seconds is None else seconds, show)
    click.echo(usage_text(meter.usage, as_json))
    if meter.recording.error:
        raise LogError(
            f"{meter.recording.error}; what was written before is intact; record again to another file"
        )
    if options["out"] is not None:
        click.echo(f"{meter.recording.rows} rows in {options['out']}", err=True)


def _until_over(
    meter: EnergyMeter, asked: list[int], seconds: float, show: Callable[[EnergyMeter], None]
) -> None:
    """Show the usage every second until Ctrl-C, the end of the time or of a replay, or a log error."""
    now = next_show = time.monotonic()
    end = now + seconds
    while not (asked or meter.recording.ended or meter.recording.error) and now < end:
        if now >= next_show:
            show(meter)
            next_show += _SHOW_SECONDS
        time.sleep(max(0.0, min(_POLL_SECONDS, end - now)))
        now = time.monotonic()


@contextmanager
def _ending() -> Iterator[list[int]]:
    """End the log on Ctrl-C and SIGTERM instead of being killed; yields the signals that came.

    A plain list, because a handler may run while the main thread holds the lock of an `Event`.
    """
    asked: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: asked.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _live_line(as_json: bool) -> Iterator[Callable[[EnergyMeter], None]]:
    """A line that is redrawn on a terminal; elsewhere one line per second."""
    if as_json or not sys.stdout.isatty():
        yield lambda meter: click.echo(_line(meter, as_json))
        return
    live = LiveLine(sys.stdout)
    try:
        yield lambda meter: live.show(_line(meter, as_json))
    finally:
        live.close()


def _line(meter: EnergyMeter, as_json: bool) -> str:
    try:
        usage = meter.usage
    except NotMeasured as reason:
        if as_json:
            return json.dumps({"not_measured": str(reason)})
        return printable(f"nothing measured: {reason}")  # it may quote what a program wrote
    return json.dumps({"so_far": usage.to_dict()}) if as_json else _now(meter, usage)


def _now(meter: EnergyMeter, usage: Usage) -> str:
    latest = meter.latest
    cells = [
        f"{value:8.{digits}f} {unit}"
        for value, digits, unit in ((latest.watts, 3, "W"), (latest.amps, 4, "A"), (latest.volts, 3, "V"))
        if value is not None
    ]
    if usage.mah is not None:
        cells.append(f"{usage.mah:9.3f} mAh")
    return "  ".join([*cells, f"{usage.joules:10.2f} J", duration(usage.seconds), usage.provenance])
