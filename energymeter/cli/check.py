"""``energymeter check``: the quality of a source."""

import itertools
import json
import os
import time

import click

from energymeter.calibration.quality import Counts, Quality, examine
from energymeter.calibration.second_meter import agreement
from energymeter.cli.options import Positive, json_option
from energymeter.errors import NotMeasured, SpecError
from energymeter.reading import Facts
from energymeter.recordings.trace import Trace
from energymeter.sampling.config import SourceConfig
from energymeter.sampling.memory import Count
from energymeter.sampling.sampler import SampledChannel, Sampler
from energymeter.spec import parse
from energymeter.text import duration, percent, significant

_WORK_SECONDS = (0.5, 0.8, 1.1, 0.6, 1.4, 0.9, 0.4)
"""Work and rest in turns; an odd number, so that a period is two rounds."""


@click.command()
@click.argument("source")
@click.option("--seconds", type=Positive(), default=10.0, show_default=True, help="For how many seconds.")
@click.option("--rate", "rate_hz", type=Positive(), help="Readings per second.")
@click.option("--against", help="A second source at the same place: show bias, noise and lag.")
@click.option(
    "--work", is_flag=True, help="With --against, make steps of the load: this computer works and rests."
)
@click.option(
    "-o",
    "--out",
    type=click.Path(dir_okay=False),
    help="With --against, also a picture of both: .png, .svg or .pdf.",
)
@click.option("--force", is_flag=True, help="Replace the file of -o if it exists.")
@click.option("--zero", is_flag=True, help="The load is off: show the offset.")
@json_option
def check(
    source: str,
    seconds: float,
    rate_hz: float | None,
    against: str | None,
    work: bool,
    out: str | None,
    force: bool,
    zero: bool,
    as_json: bool,
) -> None:
    """Measure the quality of SOURCE, without its card: noise, zero, timing, steps, headroom and aliasing.

    With --against, hold it against a second meter of the same load, aligned by the steps of the load.
    """
    if work and against is None:
        raise SpecError("--work makes steps to compare two sources by; give the other one with --against")
    if zero and against is not None:
        raise SpecError("--zero needs no load, and --against needs one; leave one out")
    if out is not None:
        _check_picture(out, against, force)
    configs = [_configs(text, rate_hz) for text in (source, against) if text is not None]
    sampler = Sampler([config for of_one in configs for config in of_one])
    sampler.start()
    try:
        if work:
            _work_and_rest(seconds)
        else:
            time.sleep(seconds)
    finally:
        sampler.stop()
    if against is not None:
        a, b = _two_traces(sampler, len(configs[0]))
        found_both = agreement(a, b)
        click.echo(json.dumps(found_both.to_dict()) if as_json else str(found_both))
        if out is not None:
            from energymeter.report.agreement_plot import plot_agreement

            plot_agreement(a, b, found_both).save(out, force=force)
        return
    found = {channel.info.name: (channel.info.facts, _quality(channel, zero)) for channel in sampler.channels}
    if as_json:
        fields = {
            name: {**quality._asdict(), "counts": quality.counts._asdict()}
            for name, (_, quality) in found.items()
        }
        click.echo(json.dumps(fields))
        return
    for name, (facts, quality) in found.items():
        click.echo(f"{name}\n{_text(facts, quality)}")


def _check_picture(out: str, against: str | None, force: bool) -> None:
    """Refuse what could not be drawn before anything is measured."""
    from energymeter.report.picture import FORMATS, check_free, styled

    if against is None:
        raise SpecError("a picture is of two sources; give the other one with --against, or leave out -o")
    if os.path.splitext(out)[1].lower() not in FORMATS:
        raise SpecError(f"{out} is no picture; give a name that ends with .png, .svg or .pdf")
    check_free(out, force=force)
    styled()  # which says what is not installed


def _configs(text: str, rate_hz: float | None) -> list[SourceConfig]:
    return [SourceConfig(spec, rate_hz) for group in parse(text) for spec in group]


def _work_and_rest(seconds: float) -> None:
    """Steps of the load at moments that do not repeat, so that no two are alike."""
    now = time.monotonic()
    end = now + seconds
    lengths = itertools.cycle(_WORK_SECONDS)
    while (now := time.monotonic()) < end:
        until = min(end, now + next(lengths))
        while time.monotonic() < until:
            pass
        time.sleep(max(0.0, min(end - time.monotonic(), next(lengths))))


def _two_traces(sampler: Sampler, first: int) -> tuple[Trace, Trace]:
    """What counts of the first sources and of the others, from one moment on.

    Raises:
        NotMeasured: one of them gave nothing.
    """
    channels = [channel for channel in sampler.channels if channel.info.facts.counted]
    samples = [channel.curve.samples() for channel in channels]
    start_ns = min((of_one[0].at_ns for of_one in samples if of_one), default=0)
    traces: list[list[Trace]] = [[], []]
    for channel, of_one in zip(channels, samples, strict=True):
        info = channel.info
        trace = Trace.from_samples(of_one, info.name, info.facts, start_ns=start_ns)
        traces[info.source_index >= first].append(trace)
    if not all(traces):
        raise NotMeasured("one of the two sources has no channel that counts; name another one")
    a, b = (sum(of_one[1:], start=of_one[0]) for of_one in traces)
    return a, b


def _quality(channel: SampledChannel, zero: bool) -> Quality:
    trace = Trace.from_samples(channel.curve.samples(), channel.info.name, channel.info.facts)
    counts = Counts(
        sum(map(channel.observed, Count.READ)),
        *map(channel.observed, (Count.DUPLICATES, Count.MISSED, Count.FAILED, Count.LOST)),
    )
    return examine(trace.time_s, trace.watts, trace.amps, channel.info.facts, counts, zero=zero)


def _text(facts: Facts, found: Quality) -> str:
    interval, jitter, longest = map(duration, (found.interval_s, found.jitter_s, found.longest_s))
    rows = [
        ("load", f"{significant(found.mean_watts, 4)} W"),
        ("noise of a sample", f"{significant(found.noise_watts, 2)} W"),
        ("smallest change", "none" if found.step_watts is None else f"{significant(found.step_watts, 2)} W"),
        *(
            (f"resolution, {name}", f"{significant(band.resolution, 2)} {unit}")
            for name, band, unit in (("voltage", facts.volts, "V"), ("current", facts.amps, "A"))
            if band is not None and band.resolution
        ),
        (
            "zero",
            "disconnect the load and use --zero"
            if found.zero_amps is None
            else f"{significant(found.zero_amps)} A",
        ),
        ("interval", f"{interval} ± {jitter}, longest {longest}"),
        *(
            (("duty, latency", f"{percent(facts.duty)}, {percent(facts.latency)} of the interval"),)
            if facts.duty
            else ()
        ),
        ("reads", f"{found.counts.reads}, {found.counts.duplicates} of them with nothing new"),
        ("share of the range", "unknown" if found.headroom is None else f"{percent(found.headroom, 1)}"),
        ("aliasing", f"{percent(found.aliasing, 2)} of the energy depends on which samples are taken"),
        ("least energy in 1 s", f"{significant(found.least_joules, 2)} J"),
    ]
    return "\n".join(
        [*(f"  {name:24}{text}" for name, text in rows), *(f"  warning: {text}" for text in found.warnings)]
    )
