"""``energymeter check``: the quality of a source."""

import json
import time

import click

from energymeter.calibration.quality import Counts, Quality, examine
from energymeter.cli.options import Positive, json_option
from energymeter.reading import Facts
from energymeter.recordings.trace import Trace
from energymeter.sampling.config import SourceConfig
from energymeter.sampling.memory import Count
from energymeter.sampling.sampler import SampledChannel, Sampler
from energymeter.spec import parse
from energymeter.text import duration, percent, significant


@click.command()
@click.argument("source")
@click.option("--seconds", type=Positive(), default=10.0, show_default=True, help="For how many seconds.")
@click.option("--rate", "rate_hz", type=Positive(), help="Readings per second.")
@click.option("--zero", is_flag=True, help="The load is off: show the offset.")
@json_option
def check(source: str, seconds: float, rate_hz: float | None, zero: bool, as_json: bool) -> None:
    """Measure the quality of SOURCE, without its card: noise, zero, timing, steps, headroom and aliasing."""
    sampler = Sampler([SourceConfig(spec, rate_hz) for group in parse(source) for spec in group])
    sampler.start()
    try:
        time.sleep(seconds)
    finally:
        sampler.stop()
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
