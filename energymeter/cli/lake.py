"""``energymeter lake``: questions to a lake, its page for a class, and its upkeep."""

import json
from pathlib import Path
from typing import Any

import click

from energymeter.cli.budget_options import battery_option, share
from energymeter.cli.options import json_option, with_options
from energymeter.cli.report import short
from energymeter.errors import LogError

_ENGINES = ("duckdb", "polars", "spark")
_ALSO = ("uncalibrated", "manual", "modelled", "simulated")


@click.group()
def lake() -> None:
    """Ask a lake that `energymeter push` has filled.

    energymeter lake ranking PATH --model resnet50

    Only measured runs with a calibrated meter count, unless --include names others.
    """


def _choosing(command: Any) -> Any:
    return with_options(
        command,
        click.argument("root", metavar="PATH"),
        click.option(
            "--include",
            type=click.Choice(_ALSO),
            multiple=True,
            help="Count these, too; rows say what they are.",
        ),
        click.option("--model", type=short, help="Only runs of this model."),
        click.option("--variant", type=short, help="Only runs of this variant."),
        click.option("--since", type=short, help="First day of UTC, as 2026-11-01, or moment with zone."),
        click.option("--until", type=short, help="Last day or moment; the start of a run decides."),
        click.option("--least-coverage", type=share, help="Leave out runs of which less was measured."),
        click.option("--endpoint", help="URL of a store that speaks S3."),
    )


def _choice(options: dict[str, Any]) -> Any:
    from energymeter.lake.questions import LEAST_COVERAGE, Choice

    names = ("include", "model", "variant", "since", "until")
    given = options["least_coverage"]
    return Choice(
        **{name: options[name] for name in names}, least_coverage=LEAST_COVERAGE if given is None else given
    )


def _store(root: str, endpoint: str | None) -> Any:
    from energymeter.lake.store import Store

    return Store(root, **({} if endpoint is None else {"endpoint_url": endpoint}))


def _ask(name: str, options: dict[str, Any], **further: Any) -> None:
    from energymeter.lake.engines import Tables
    from energymeter.lake.questions import QUESTIONS

    tables = Tables(_store(options["root"], options["endpoint"]), options["engine"])
    answer = QUESTIONS[name](tables, _choice(options), **further)
    if options["as_json"]:
        click.echo(json.dumps(answer.to_dict(), ensure_ascii=False, allow_nan=False))
    else:
        click.echo(str(answer))


def _question(name: str, help: str) -> None:
    def ask(**options: Any) -> None:
        _ask(name, options)

    engine = click.option("--engine", type=click.Choice(_ENGINES), default="duckdb", show_default=True)
    lake.add_command(click.command(name, help=help)(_choosing(engine(json_option(ask)))))


for _name, _help in {
    "per-unit": "Joules per unit by board, model and variant, with 95 % intervals.",
    "ranking": "Boards by joules per unit; those that do not differ share a rank.",
    "regressions": "Each commit against the one before.",
    "coverage": "The hosts of whose runs the least was measured.",
    "power": "Energy, mean and highest power by host, from the samples at full rate.",
}.items():
    _question(_name, _help)

_engine = click.option("--engine", type=click.Choice(_ENGINES), default="duckdb", show_default=True)


@lake.command()
@_choosing
@_engine
@json_option
@click.option("--grid", "zone", envvar="ENERGYMETER_GRID", help="Country code or name, as DEU; or world.")
@click.option(
    "--intensities",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV with from,to,g_per_kwh.",
)
def fleet(zone: str | None, intensities: Path | None, **options: Any) -> None:
    """Energy, charge and grams of CO₂e of all hosts, hour by hour."""
    from energymeter.carbon.grid import Grid
    from energymeter.cli.carbon import read_forecast

    _ask(
        "fleet",
        options,
        grid=None if zone is None else Grid(zone),
        intensities=None if intensities is None else read_forecast(intensities),
    )


@lake.command()
@_choosing
@_engine
@json_option
@battery_option
def battery(battery: str, **options: Any) -> None:
    """Hours that a battery lasts at the mean power of each board."""
    from energymeter.battery.battery import Battery

    _ask("battery", options, cell=Battery.parse(battery))


@lake.command("class")
@_choosing
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False), required=True, help="The page, as class.html."
)
@click.option("--force", is_flag=True, help="Replace the page if it exists.")
@click.option("--title", type=short, default="Energy of a class", show_default=True)
@click.option("--names", is_flag=True, help="Show the names of hosts instead of pseudonyms.")
def class_(output: str, title: str, *, force: bool, names: bool, **options: Any) -> None:
    """One page: boards and models with joules per unit, budgets left, and links to the reports."""
    import os

    from energymeter.lake.engines import Tables
    from energymeter.lake.page import class_page

    if os.path.lexists(output) and not force:
        raise LogError(f"{output} exists; name another file, or use --force")
    class_page(
        Tables(_store(options["root"], options["endpoint"])),
        output,
        _choice(options),
        title=title,
        names=names,
    )
    click.echo(f"written: {output}", err=True)


@lake.command()
@click.argument("root", metavar="PATH")
@click.option("--boards", type=click.IntRange(1, 100_000), default=50, show_default=True)
@click.option("--hours", type=click.IntRange(1, 24 * 366), default=24, show_default=True)
@click.option("--rate", "rate_hz", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--first-day", type=short, default="2026-11-01", show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
def generate(root: str, **options: Any) -> None:
    """Fill an empty folder with the lake of a simulated fleet."""
    from energymeter.lake.generator import generate as generated

    made = generated(root, **options)
    click.echo(
        f"simulated: {made.boards} boards, {made.runs} runs, {made.samples} samples, {made.bytes} bytes"
    )


@lake.command()
@click.argument("root", metavar="PATH")
@click.option("--endpoint", help="URL of a store that speaks S3.")
def compact(root: str, endpoint: str | None) -> None:
    """Join the files of each host and day, and remove what no run names any more."""
    from energymeter.lake.upkeep import compact as compacted

    click.echo(str(compacted(_store(root, endpoint))))


@lake.command()
@click.argument("root", metavar="PATH")
@click.option("--samples-days", type=click.IntRange(0), help="Keep samples for so many days.")
@click.option("--seconds-days", type=click.IntRange(0), help="Keep the means of seconds for so many days.")
@click.option(
    "--runs-days", type=click.IntRange(0), help="Keep runs, and all that belongs to them, for so many days."
)
@click.option("--endpoint", help="URL of a store that speaks S3.")
def retain(root: str, endpoint: str | None, **days: Any) -> None:
    """Remove what is older than so many days."""
    from energymeter.lake.upkeep import retain as retained

    click.echo(str(retained(_store(root, endpoint), **days)))
