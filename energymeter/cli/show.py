"""``energymeter show``: what a log holds."""

import json
import os
from datetime import datetime, timezone
from typing import Any

import click

from energymeter.recordings.trace import Trace
from energymeter.recordings.writer import PARTS_SUFFIX
from energymeter.text import duration, significant

_GAPS_SHOWN = 10


@click.command()
@click.argument("file", type=click.Path())
@click.option("--channel", help="This channel alone; else those that count, added.")
@click.option("--time", help="The time column of a foreign CSV.")
@click.option("--watts", help="Its power column.")
@click.option("--volts", help="Its voltage column.")
@click.option("--amps", help="Its current column.")
@click.option("--unit", help="The power column's unit, whatever its name says.")
@click.option("--semantics", type=click.Choice(["instant", "mean"]), default="instant", show_default=True)
@click.option("--board", help="Whose power it is: implausible values are refused.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
def show(file: str, as_json: bool, **hints: Any) -> None:
    """What FILE holds: totals, gaps, where it came from. Reads our logs and other CSV files."""
    trace = Trace.load(file, **hints)
    usage, gaps = trace.usage(), trace.gaps()
    unfinished = not os.path.exists(file) and os.path.isdir(file + PARTS_SUFFIX)
    if as_json:
        channels = {" + ".join(part.names): part.usage().to_dict() for part in trace.parts}
        answer = {"samples": len(trace), "gaps": gaps, "unfinished": unfinished, **usage.to_dict()}
        click.echo(json.dumps({**answer, "started": trace.epoch_s, "channels": channels}))
        return
    click.echo(usage)
    if len(trace.parts) > 1:
        for part in trace.parts:
            click.echo(f"  {part.usage()}")
    click.echo(_samples(trace))
    for start, end in gaps[:_GAPS_SHOWN]:
        click.echo(f"gap of {duration(end - start)} at {duration(start)}")
    if len(gaps) > _GAPS_SHOWN:
        click.echo(f"… and {len(gaps) - _GAPS_SHOWN} more gaps")
    if unfinished:
        click.echo("its run was killed: shown is what was whole")


def _samples(trace: Trace) -> str:
    count = "1 sample" if len(trace) == 1 else f"{len(trace)} samples"
    started = "" if trace.epoch_s is None else f" from {_date(trace.epoch_s)}"
    pace = f", {significant((len(trace) - 1) / trace.seconds)} a second" if trace.seconds > 0 else ""
    return count + started + pace


def _date(epoch_s: float) -> str:
    try:
        return datetime.fromtimestamp(epoch_s, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return "a time that is no date"
