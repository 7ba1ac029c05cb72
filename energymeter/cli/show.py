"""``energymeter show``: what a log holds."""

import json
import math
import os
import shlex
from datetime import datetime, timezone
from typing import Any

import click

from energymeter.cli.options import json_option, loaded
from energymeter.energy.usage import Usage
from energymeter.errors import LogError, NotMeasured, SpecError
from energymeter.recordings.question import spelled
from energymeter.recordings.reader import Hints, battery_log, explained
from energymeter.recordings.trace import Trace
from energymeter.recordings.writer import PARTS_SUFFIX
from energymeter.text import duration, significant, with_uncertainty

_GAPS_SHOWN = 10
_SPANS_SHOWN = 10


@click.command()
@click.argument("file", type=click.Path())
@click.option("--channel", help="This channel alone; else those that count, added.")
@click.option("--time", help="The time column of a foreign CSV.")
@click.option("--watts", help="Its power column.")
@click.option("--volts", help="Its voltage column, or a constant voltage such as 3.7V.")
@click.option("--amps", help="Its current column.")
@click.option("--joules", help="Its column of energy that counts up.")
@click.option("--unit", help="The power column's unit, whatever its title says.")
@click.option("--time-unit", help="The time column's: s, ms, us, ns, min, h, days, hh:mm or mm:ss.")
@click.option("--volts-unit", help="The voltage column's.")
@click.option("--amps-unit", help="The current column's.")
@click.option("--joules-unit", help="The energy column's.")
@click.option("--delimiter", help="What parts the cells of a table.")
@click.option("--decimal", type=click.Choice([".", ","]), help="The decimal mark of its numbers.")
@click.option(
    "--semantics",
    type=click.Choice(["instant", "mean"]),
    help="Of its rows; else as the file says, or instants.",
)
@click.option("--board", help="Whose power it is: implausible values are refused.")
@click.option("--columns", is_flag=True, help="What each column is read as, by the first rows alone.")
@json_option
def show(file: str, columns: bool, as_json: bool, **hints: Any) -> None:
    """What FILE holds: totals, gaps, where it came from. Reads our logs and other CSV files."""
    if columns:
        for line in explained(file, Hints(**hints, caller="show")):
            click.echo(line)
        return
    try:
        trace = loaded(file, "show", quiet=as_json, **hints)
    except LogError:
        name = battery_log(file) if os.path.isfile(file) else None
        if name is None:
            raise
        _show_battery(file, name, as_json)
        return
    if trace.is_charge_alone:
        _show_charge(trace, file, as_json)
        return
    usage, gaps = trace.usage(), trace.gaps()
    unfinished = not os.path.exists(file) and os.path.isdir(file + PARTS_SUFFIX)
    if as_json:
        channels = {" + ".join(part.names): part.usage().to_dict() for part in trace.parts}
        answer = {"samples": len(trace), "gaps": gaps, "unfinished": unfinished, **usage.to_dict()}
        answer["read_as"] = trace.read_as
        answer["spans"] = {name: _span_figures(trace, name) for name in trace.spans}
        click.echo(json.dumps({**answer, "started": trace.epoch_s, "channels": channels}))
        return
    click.echo(usage)
    if len(trace.parts) > 1:
        for part in trace.parts:
            click.echo(f"  {part.usage()}")
    click.echo(_samples(trace))
    for name in [*trace.spans][:_SPANS_SHOWN]:
        click.echo(_span(trace, name))
    if len(trace.spans) > _SPANS_SHOWN:
        click.echo(f"… and spans of {len(trace.spans) - _SPANS_SHOWN} more names")
    for start, end in gaps[:_GAPS_SHOWN]:
        click.echo(f"gap of {duration(end - start)} at {duration(start)}")
    if len(gaps) > _GAPS_SHOWN:
        click.echo(f"… and {len(gaps) - _GAPS_SHOWN} more gaps")
    if unfinished:
        click.echo("its run was killed: shown is what was whole")


def _span_figures(trace: Trace, name: str) -> dict[str, Any]:
    """The calls of a span; joules, seconds and units are those of the calls that the log holds."""
    n, windows, _ = trace.spans[name]
    usage = _span_usage(trace, name)
    if usage is None:
        return {"calls": n, "held": len(windows), "joules": None, "uncertainty": None, "seconds": None}
    figures = {"joules": usage.joules, "uncertainty": usage.uncertainty, "seconds": usage.seconds}
    units = {"units": usage.to_dict()["units"]} if usage.units else {}
    return {"calls": n, "held": len(windows), **figures, **units}


def _span_usage(trace: Trace, name: str) -> Usage | None:
    try:
        return trace.span_usage(name)
    except (NotMeasured, SpecError):
        return None


def _span(trace: Trace, name: str) -> str:
    n, windows, _ = trace.spans[name]
    held = len(windows)
    calls = "1 call" if n == 1 else f"{n} calls"
    some = f", {held} of them in the log" if held < n else ""
    usage = _span_usage(trace, name)
    if usage is None:
        return f"span {name}: not measured, {calls}{some}"
    total = with_uncertainty(usage.joules, usage.uncertainty, "J")
    each = f", {significant(usage.joules / held)} J a call" if held > 1 else ""
    text = f"span {name}: {total} in {duration(usage.seconds)}, {calls}{some}{each}"
    return "\n".join([text, *(f"  {one}" for one in usage.units)])


def _show_charge(trace: Trace, file: str, as_json: bool) -> None:
    """A current alone is a charge; only a voltage makes an energy of it."""
    coulombs = float(trace.coulombs[-1] - trace.coulombs[0])
    if as_json:
        answer = {"samples": len(trace), "gaps": trace.gaps(), "joules": None, "coulombs": coulombs}
        click.echo(
            json.dumps({**answer, "mah": coulombs / 3.6, "started": trace.epoch_s, "notes": trace.notes})
        )
        return
    milliamp_hours = with_uncertainty(coulombs / 3600, 0.0, "Ah")
    said = [
        f"{with_uncertainty(coulombs, 0.0, 'C')} ({milliamp_hours}), no energy",
        duration(trace.seconds),
        *trace.notes,
    ]
    click.echo(" · ".join(said))
    click.echo(_samples(trace))
    again = spelled(file, "show", {"volts": "3.7V"})
    click.echo(f"it holds no voltage; for joules give one, as in {again}")


def _show_battery(file: str, name: str, as_json: bool) -> None:
    """The log of a battery's gauge holds no energy, but how far the battery fell."""
    from energymeter.budget import gauge_table

    gauge = gauge_table.read(file)
    if gauge is None:
        raise LogError(
            f"{file} is recognised as {name}, and no reading in it has a time; record again with times"
        )
    levels = [level for level in gauge.levels if math.isfinite(level)]
    seconds = gauge.times_s[-1] - gauge.times_s[0] if gauge.times_s else 0.0
    again = f"energymeter budget forecast --log {shlex.quote(file)}"
    if as_json:
        answer = {
            "samples": len(levels),
            "joules": None,
            "seconds": seconds,
            "levels": levels[:1] + levels[-1:],
        }
        click.echo(json.dumps({**answer, "read_as": name, "notes": [gauge.note] if gauge.note else []}))
        return
    click.echo(f"read as {name}", err=True)
    if not levels:
        click.echo("on the charger all the time, no energy; log on while it runs from its battery")
        return
    fell = f"{levels[0]:.4g}{gauge.unit} to {levels[-1]:.4g}{gauge.unit}"
    noted = f" · {gauge.note}" if gauge.note else ""
    click.echo(f"battery from {fell} in {duration(seconds)}, no energy{noted}")
    click.echo(f"{len(levels)} readings since it was last charged; for the hours left run {again}")


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
