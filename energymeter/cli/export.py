"""``energymeter export``: a recording as a file of another program."""

import json

import click

from energymeter.cli.options import Finite, Positive, json_option, loaded
from energymeter.errors import SpecError
from energymeter.recordings.trace import Trace
from energymeter.report.decimation import Decimated, decimated, is_long
from energymeter.report.timeline import FORMATS, MOST_SAMPLES, STRETCHES, Shares
from energymeter.report.timeline import export as written
from energymeter.text import aligned, duration, percent, printable, significant

_ROWS = 20
_TIMELINES = ("perfetto", "firefox", "chrome")


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
    help="A trace in Chrome's JSON (torch.profiler, VizTracer, py-spy) that the file then also holds.",
)
@click.option(
    "--offset",
    "offset_s",
    type=Finite(),
    help="The time of that trace, in seconds, at which FILE begins; else by Unix time.",
)
@click.option(
    "--align",
    metavar="NAME",
    help="Instead: the first call of the span NAME begins with the first slice NAME; or SPAN=SLICE.",
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
    align: str | None,
    span: str | None,
    as_json: bool,
) -> None:
    """Write FILE for a timeline viewer: power and energy as counters, spans as slices.

    With --into, the energy is also shared out among the operators or functions of that trace, by time.
    """
    if into is None and not (span is None and offset_s is None and align is None):
        raise SpecError("--span, --offset and --align are about a trace; give it with --into")
    if offset_s is not None and align is not None:
        raise SpecError("--offset and --align both bring the clocks together; leave one out")
    long = form in _TIMELINES and rate_hz is None and is_long(file)
    trace = None if long and into is None else loaded(file, "export", channel=channel)
    windows = [] if trace is None else _windows(trace, span)
    drawn: Trace | Decimated
    if trace is None or long:
        drawn = decimated(file, channel, STRETCHES)
    elif rate_hz is not None:
        drawn = trace.resample(rate_hz)
        drawn.spans, drawn.window_s = trace.spans, trace.window_s
    elif form in _TIMELINES and max(map(len, trace.parts)) > MOST_SAMPLES:
        drawn = decimated(trace, None, STRETCHES)
    else:
        drawn = trace
    if isinstance(drawn, Decimated):
        count = sum(each.envelope.samples for each in drawn.counted)
        click.echo(
            f"{count} samples as {STRETCHES} stretches of time, each with its highest and its lowest power",
            err=True,
        )
    shares = written(drawn, out, form, force=force, into=into, offset_s=offset_s, align=align)
    if trace is not None and shares is not None:
        for note in shares.notes:
            click.echo(printable(note), err=True)
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
