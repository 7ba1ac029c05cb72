"""``energymeter export``: a recording as a file of another program."""

import json

import click

from energymeter.cli.options import Finite, Positive, json_option, loaded
from energymeter.errors import SpecError
from energymeter.recordings.trace import Trace
from energymeter.report.timeline import FORMATS, Shares
from energymeter.report.timeline import export as written
from energymeter.text import aligned, duration, percent, printable, significant

_ROWS = 20


@click.command()
@click.argument("file")
@click.option("--to", "form", type=click.Choice(FORMATS), required=True, help="The format.")
@click.option("-o", "--out", required=True, type=click.Path(dir_okay=False), help="The file to write.")
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@click.option("--channel", help="This channel alone; else those that count, added.")
@click.option("--rate", "rate_hz", type=Positive(), help="Means over intervals, so many a second.")
@click.option(
    "--into",
    type=click.Path(exists=True, dir_okay=False),
    help="A trace in Chrome's JSON (torch.profiler, VizTracer) that the file then also holds.",
)
@click.option(
    "--offset",
    "offset_s",
    type=Finite(),
    help="The time of that trace, in seconds, at which FILE begins; else by Unix time.",
)
@click.option("--span", help="Share out the energy of this span alone.")
@json_option
def export(
    file: str,
    form: str,
    out: str,
    force: bool,
    channel: str | None,
    rate_hz: float | None,
    into: str | None,
    offset_s: float | None,
    span: str | None,
    as_json: bool,
) -> None:
    """Write FILE for a timeline viewer: power and energy as counters, spans as slices.

    With --into, the energy is also shared out among the operators or functions of that trace, by time.
    """
    if into is None and (span is not None or offset_s is not None):
        raise SpecError("--span and --offset are about a trace; give it with --into")
    trace = loaded(file, "export", quiet=as_json, channel=channel)
    windows = _windows(trace, span)
    drawn = trace
    if rate_hz is not None:
        drawn = trace.resample(rate_hz)
        drawn.spans, drawn.window_s = trace.spans, trace.window_s
    shares = written(drawn, out, form, force=force, into=into, offset_s=offset_s)
    if shares is not None:
        click.echo(_table(trace, shares, windows, as_json))


def _windows(trace: Trace, span: str | None) -> list[tuple[float, float]]:
    """What is shared out: the calls of a span, or the window; calls that overlap are one stretch."""
    if span is None:
        return [trace.window_s or (float(trace.time_s[0]), float(trace.time_s[-1]))]
    trace.span_usage(span)  # which says what is wrong with it
    joined: list[tuple[float, float]] = []
    for start, end in sorted(trace.spans[span].windows_s):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined


def _table(trace: Trace, shares: Shares, windows: list[tuple[float, float]], as_json: bool) -> str:
    found = shares.joules(trace, windows)
    total = sum(joules for joules, _ in found.values())
    if as_json:
        rows = [{"name": name, "joules": joules, "seconds": s} for name, (joules, s) in found.items()]
        return json.dumps(
            {"joules": total, "share": "by time", "provenance": trace.facts.provenance, "rows": rows}
        )
    shown = [
        (
            printable(name),
            f"{significant(joules)} J",
            percent(joules / total if total else 0.0, 1),
            duration(s),
        )
        for name, (joules, s) in [*found.items()][:_ROWS]
    ]
    left = [*found.values()][_ROWS:]
    if left:
        joules, seconds = (sum(column) for column in zip(*left, strict=True))
        share = percent(joules / total if total else 0.0, 1)
        shown.append((f"{len(left)} more names", f"{significant(joules)} J", share, duration(seconds)))
    title = f"energy shared out by time, {trace.facts.provenance}: {significant(total, 4)} J"
    return "\n".join([title, *aligned([("name", "energy", "share", "time"), *shown], left=1)])
