"""``energymeter calibrate``: fit a meter against a reference and write its card."""

import contextlib
import sys
from pathlib import Path
from typing import NamedTuple

import click

from energymeter.calibration import card as cards
from energymeter.calibration.clock_gain import clock_gain
from energymeter.calibration.fitting import fit_all, model_of
from energymeter.calibration.plot import draw
from energymeter.calibration.point_checks import usable_points
from energymeter.calibration.points import UNITS, Point, Reference, band, read_csv, write_csv
from energymeter.calibration.procedure import Settings, guided, table
from energymeter.calibration.source_buffer import ReadingBuffer
from energymeter.calibration.steady_load import SteadyLoad
from energymeter.cli.calibrate_charge import Charge, recorded, watched
from energymeter.cli.options import Finite, Positive
from energymeter.clock import SystemClock
from energymeter.energy.correction import Model
from energymeter.errors import CalibrationError, SpecError
from energymeter.meter.progress import LiveLine
from energymeter.reading import Band, Facts
from energymeter.sampling.config import SourceConfig
from energymeter.source import Source
from energymeter.spec import Spec, parse
from energymeter.text import significant

_RATE_HZ = 10.0


@click.command()
@click.argument("source")
@click.option(
    "--points", "csv", type=click.Path(exists=True, dir_okay=False), help="Fit this CSV, without questions."
)
@click.option(
    "--reference", default="", help="Another meter, such as um25c@/dev/rfcomm0; or an instrument's name."
)
@click.option(
    "--volts-accuracy", default="", help="Accuracy of the reference, as in its data sheet: 0.5%+3*0.001."
)
@click.option("--amps-accuracy", default="", help="The same for current.")
@click.option(
    "--watts-accuracy", default="", help="The same for power, for a meter that reports nothing else."
)
@click.option("--celsius", type=Finite(min=-100, max=150), help="Temperature of the air.")
@click.option("--seconds", type=Positive(), default=5.0, show_default=True, help="Length of each mean.")
@click.option("--channel", default="", help="The channel of SOURCE, if it has several.")
@click.option("--keep", type=click.Path(dir_okay=False), help="File for the points.  [default: points.csv]")
@click.option(
    "--plot", type=click.Path(dir_okay=False), help="Draw the residuals: .svg, or .png with matplotlib."
)
@click.option(
    "--clock", is_flag=True, help="Also compare the clock of SOURCE (an INA228) with that of this computer."
)
@click.option("--counter", default="", help="Compare charge with a meter that counts it, such as um25c.")
@click.option(
    "--hours",
    type=Positive(),
    default=1.0,
    show_default=True,
    help="How long to count, or to compare the clock.",
)
@click.option(
    "--counted",
    type=click.Path(exists=True, dir_okay=False),
    help="Compare charge with a CSV of a counter's time_s and mah; needs --log.",
)
@click.option(
    "--log",
    type=click.Path(dir_okay=False),
    help="The recording of SOURCE for --counted, made with --no-calibration.",
)
@click.option("--card", "card_file", type=click.Path(dir_okay=False), help="Write the card to this file.")
def calibrate(
    source: str,
    csv: str | None,
    reference: str,
    celsius: float | None,
    seconds: float,
    channel: str,
    keep: str | None,
    plot: str | None,
    clock: bool,
    counter: str,
    hours: float,
    counted: str | None,
    log: str | None,
    card_file: str | None,
    **accuracies: str,
) -> None:
    """Calibrate SOURCE load by load: no load first, then known resistors or readings of the reference.

    Points are written to a CSV immediately: Ctrl-C loses none, and --points fits them later.
    """
    meter = ReadingBuffer(_only(source), _RATE_HZ, SystemClock(), channel)
    other, named = _reference(counter or reference, accuracies)
    points = [] if csv is None else read_csv(csv)
    by_charge = counter or counted is not None
    if by_charge or clock or csv is not None:
        found = _found(meter)
    else:
        if not any(any(named.band(each)) for each in UNITS):
            click.echo(
                "the accuracy of the reference is not given, so only the zero (no load) can be taken",
                err=True,
            )
        found, points = _at_the_bench(meter, other, Settings(seconds, celsius), keep or "points.csv")
    points, warnings = usable_points(points, named)
    fits = fit_all(points, found.facts, named)
    for text in filter(None, (table(fits), *warnings)):
        click.echo(text)
    model = model_of(fits)
    if counted is not None:
        model = _by_charge(_recorded(log, counted, channel), model, found.facts, named, points)
    elif counter:
        charge = _counted_live(source, other, counter, channel, hours)
        model = _by_charge(charge, model, found.facts, named, points)
    if clock:
        model = _by_clock(meter, model, hours)
    card = cards.make_card(found.identity, named, points, model, made=SystemClock().time(), celsius=celsius)
    path = cards.save(card, None if card_file is None else Path(card_file))
    click.echo(f"{found.identity}: {card.title}, in {path}")
    if plot is not None and fits:
        draw(fits, plot)
        click.echo(f"the residuals are in {plot}", err=True)


def _counted_live(source: str, other: Source | None, counter: str, channel: str, hours: float) -> Charge:
    if other is None:
        raise SpecError(
            f"{counter} is not a meter; name one that counts charge, or give a table with --counted"
        )
    with contextlib.closing(LiveLine(sys.stderr)) as line:
        config = SourceConfig(parse(source)[0][0])
        return watched(config, other, channel, hours, SystemClock(), line.show)


def _recorded(log: str | None, counted: str, channel: str) -> Charge:
    if log is None:
        raise SpecError(
            f"{counted} is only one side; give the recording that SOURCE made meanwhile with --log"
        )
    return recorded(log, counted, channel)


def _by_charge(charge: Charge, model: Model, facts: Facts, named: Reference, points: list[Point]) -> Model:
    if not any(named.amps):
        raise SpecError("the accuracy of the counter is unknown; give it with --amps-accuracy 0.5%")
    line = charge.line(facts, named.amps, points)
    gain = f"{line.gain:.5f} ± {2 * line.slope_uncertainty():.2g}"
    click.echo(f"amps: gain {gain}, at a mean of {significant(line.high)} A")
    return model._replace(amps={"": line})


def _by_clock(meter: ReadingBuffer, model: Model, hours: float) -> Model:
    meter.open()
    try:
        with contextlib.closing(LiveLine(sys.stderr)) as line:
            found = clock_gain(meter, SystemClock(), hours, line.show)
    finally:
        meter.close()
    click.echo(f"clock: {1e6 * (found.gain - 1):+.0f} ppm ± {2e6 * found.uncertainty:.0f}")
    return model._replace(clock_gain=found.gain, clock_uncertainty=found.uncertainty)


class _Found(NamedTuple):
    """The identity of a meter, and its facts."""

    identity: str
    facts: Facts


def _only(spec: str) -> Source:
    groups = parse(spec)
    if len(groups) != 1 or len(groups[0]) != 1:
        raise SpecError(f"{spec} is several sources; calibrate one at a time")
    return groups[0][0].build()


def _reference(text: str, accuracies: dict[str, str]) -> tuple[Source | None, Reference]:
    """The reference as a source, if it is one, and as it is named on the card."""
    source = None
    if text:
        try:
            spec: Spec = parse(text)[0][0]
            source = spec.build()
        except SpecError:
            if "@" in text:
                raise
    if source is not None:
        facts, name = source.facts, source.name
        given = [facts.volts or Band(), facts.amps or facts.coulombs or Band(), facts.watts or Band()]
    else:
        name, given = text or "readings typed in", [Band(), Band(), Band()]
    for number, channel in enumerate(("volts", "amps", "watts")):
        accuracy = accuracies[f"{channel}_accuracy"]
        given[number] = band(accuracy) if accuracy else given[number]
    return source, Reference(name, *given)


def _found(meter: ReadingBuffer) -> _Found:
    """Open a meter for a moment, to read its identity."""
    meter.open()
    try:
        return _Found(meter.identity, meter.meter.facts)
    finally:
        meter.close()


def _at_the_bench(
    meter: ReadingBuffer, reference: Source | None, settings: Settings, kept: str
) -> tuple[_Found, list[Point]]:
    points: list[Point] = []
    clock, rate_hz = SystemClock(), min(_RATE_HZ, meter.meter.facts.max_hz)
    other = None if reference is None else ReadingBuffer(reference, rate_hz, clock)
    load = SteadyLoad(meter, other, rate_hz, clock)
    load.open()
    try:
        found = _Found(meter.identity, meter.meter.facts)
        click.echo(f"calibrating {found.identity}; points are written to {kept}", err=True)
        guided(load, _Terminal(load), settings, points, lambda taken: write_csv(kept, taken))
    except (KeyboardInterrupt, click.Abort):
        if points:
            click.echo(f"\n{len(points)} points are in {kept}; fit them with --points {kept}", err=True)
        raise
    finally:
        load.close()
    if not points:
        raise CalibrationError(
            "no points were taken and nothing was written; start again and take one without load"
        )
    return found, points


class _Terminal:
    """The person at this terminal; both meters are read while the load is changed."""

    def __init__(self, load: SteadyLoad) -> None:
        self._load = load
        self._line: LiveLine | None = None

    def ask(self, question: str) -> str:
        self._clear()
        with self._load.in_background() if self._load.reference is not None else contextlib.nullcontext():
            answer: str = click.prompt(question, default="", show_default=False, err=True)
        return answer

    def say(self, text: str) -> None:
        self._clear()
        click.echo(text, err=True)

    def live(self, text: str) -> None:
        if self._line is None:
            self._line = LiveLine(sys.stderr)
        self._line.show(text)

    def _clear(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None
