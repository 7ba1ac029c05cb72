"""``energymeter check``: how good a source is."""

import json
import time

import click

from energymeter.calibration.quality import Counts, Quality, examine
from energymeter.cli.options import Positive
from energymeter.reading import Facts
from energymeter.recordings.trace import Trace
from energymeter.sampling.config import SourceConfig
from energymeter.sampling.memory import Count
from energymeter.sampling.sampler import SampledChannel, Sampler
from energymeter.spec import parse


@click.command()
@click.argument("source")
@click.option("--seconds", type=Positive(), default=10.0, show_default=True, help="How long to look.")
@click.option("--rate", "rate_hz", type=Positive(), help="Readings a second.")
@click.option("--zero", is_flag=True, help="The load is off: tell the offset.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
def check(source: str, seconds: float, rate_hz: float | None, zero: bool, as_json: bool) -> None:
    """Look at SOURCE for a while, without its card: noise, zero, timing, steps, head-room and aliasing."""
    sampler = Sampler([SourceConfig(spec, rate_hz) for group in parse(source) for spec in group])
    sampler.start()
    try:
        time.sleep(seconds)
    finally:
        sampler.stop()
    found = {channel.name: (channel.facts, _quality(channel, zero)) for channel in sampler.channels}
    if as_json:
        told = {name: quality._asdict() for name, (_, quality) in found.items()}
        click.echo(json.dumps({name: {**it, "counts": it["counts"]._asdict()} for name, it in told.items()}))
        return
    for name, (facts, quality) in found.items():
        click.echo(f"{name}\n{_text(facts, quality)}")


def _quality(channel: SampledChannel, zero: bool) -> Quality:
    trace = Trace.from_samples(channel.curve.samples(), channel.name, channel.facts)
    counts = Counts(
        *map(channel.observed, (Count.READS, Count.DUPLICATES, Count.MISSED, Count.FAILED, Count.LOST))
    )
    return examine(trace.time_s, trace.watts, trace.amps, channel.facts, counts, zero=zero)


def _text(facts: Facts, found: Quality) -> str:
    rows = [
        ("load", f"{found.mean_watts:.4g} W"),
        ("noise of a sample", f"{found.noise_watts:.2g} W"),
        ("smallest change seen", _or_none(found.step_watts, "W")),
        *(
            (f"resolution, {name}", f"{band.resolution:.2g} {unit}")
            for name, band, unit in (("voltage", facts.volts, "V"), ("current", facts.amps, "A"))
            if band is not None and band.resolution
        ),
        (
            "zero",
            "take the load off and use --zero" if found.zero_amps is None else f"{found.zero_amps:.3g} A",
        ),
        ("interval", f"{found.interval_s:.4g} s ± {found.jitter_s:.1g}, longest {found.longest_s:.3g} s"),
        *(
            (("seen of it", f"{facts.duty:.0%}, and told up to {facts.latency:.0%} of it later"),)
            if facts.duty
            else ()
        ),
        ("reads", f"{found.counts.reads}, {found.counts.duplicates} with nothing new"),
        ("of the range used", "unknown" if found.headroom is None else f"{found.headroom:.1%}"),
        ("aliasing", f"{found.aliasing:.2%} of the energy hangs on which samples are taken"),
        ("least energy in 1 s", f"{found.least_joules:.2g} J"),
    ]
    return "\n".join(
        [*(f"  {name:24}{text}" for name, text in rows), *(f"  mind: {text}" for text in found.warnings)]
    )


def _or_none(number: float | None, unit: str) -> str:
    return "none" if number is None else f"{number:.2g} {unit}"
