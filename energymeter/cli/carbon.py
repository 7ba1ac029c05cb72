"""``energymeter carbon``: grams of a recorded run, the known zones, and when a job is cleanest."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from energymeter.cli.options import Finite, Positive, json_option

if TYPE_CHECKING:
    from energymeter.carbon.amount import Energy
    from energymeter.carbon.emissions import Carbon
    from energymeter.carbon.grid import Grid
    from energymeter.carbon.intensity import Intensities
    from energymeter.carbon.live_grid import LiveGrid
    from energymeter.carbon.schedule import Advice
    from energymeter.reading import Place

_SERVICES = ("electricitymaps", "carbonintensity-gb", "watttime")


class _FileOrCommand(click.Group):
    """``carbon RUN.csv`` is ``carbon FILE RUN.csv``: what is not a command is the file."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["FILE", *args]
        return super().parse_args(ctx, args)


def _live_options(command: Any) -> Any:
    """The options for a service on the network; without them nothing goes over the network."""
    for option in (
        click.option("--url", help="Another address of the same service."),
        click.option("--zone", help="The service's name of the zone (GB: an outward postcode, as RG10)."),
        click.option("--live", type=click.Choice(_SERVICES), help="Ask this service over the network."),
    ):
        command = option(command)
    return command


def _live(service: str, zone: str | None, url: str | None, fallback: "Grid | None" = None) -> "LiveGrid":
    """The service, with its secrets from the environment: every user can see a command line."""
    from energymeter.carbon import LiveGrid

    secrets: dict[str, dict[str, Any]] = {
        "electricitymaps": {"token": os.environ.get("ELECTRICITYMAPS_TOKEN")},
        "watttime": {
            "user": os.environ.get("WATTTIME_USER"),
            "password": os.environ.get("WATTTIME_PASSWORD"),
        },
    }
    return LiveGrid(service, zone=zone, url=url, fallback=fallback, **secrets.get(service, {}))


@click.group(cls=_FileOrCommand, subcommand_metavar="FILE | grids | when")
def carbon() -> None:
    """Grams of CO2e of a recorded FILE; the known zones; the cleanest time for a job.

    energymeter carbon run.csv --grid DEU

    Nothing goes over the network unless --live is given.
    """


@carbon.command("FILE")
@click.argument("file", type=click.Path())
@click.option("--grid", "country", envvar="ENERGYMETER_GRID", help="Country code or name, as DEU; or world.")
@click.option("--region", help="US state, Canadian or Chinese province, Nordic zone, eGRID subregion.")
@click.option("--grams-per-kwh", type=Finite(min=0), help="Your own figure; needs --source.")
@click.option("--source", help="Where your figure comes from, and its year.")
@click.option("--place", type=click.Choice(["wall", "rail", "cell", "die"]), help="Where the meter was.")
@click.option(
    "--efficiency", type=Positive(max=1), help="Share of the socket's energy that reaches the meter, as 0.87."
)
@click.option("--board", help="Count making this board too, as pi-4.")
@click.option(
    "--years", type=Positive(max=1000), default=4.0, show_default=True, help="Lifetime of the board."
)
@click.option("--litres-per-kwh", type=Finite(min=0, max=1e6), help="Water of generation (EWIF).")
@json_option
@_live_options
def of_file(
    file: str,
    country: str | None,
    region: str | None,
    grams_per_kwh: float | None,
    source: str | None,
    place: "Place | None",
    efficiency: float | None,
    board: str | None,
    years: float,
    litres_per_kwh: float | None,
    as_json: bool,
    live: str | None,
    zone: str | None,
    url: str | None,
) -> None:
    """Grams of a recorded log.

    With --live, the energy of each half-hour is multiplied by its own intensity; --grid is then the fallback.
    """
    from energymeter.carbon.amount import Known
    from energymeter.carbon.embodied import Embodied
    from energymeter.carbon.emissions import footprint
    from energymeter.carbon.emissions_over_time import mean_grid, span_of
    from energymeter.carbon.grid import Grid
    from energymeter.cli.options import loaded

    trace = loaded(file, "carbon", quiet=as_json)
    usage: Energy = trace.usage()
    if place is not None:
        usage = Known(usage.joules, usage.seconds, usage.uncertainty, usage.provenance, place)
    if live is not None:
        fallback = Grid(country, region=region) if country else None
        grid = mean_grid(trace, _live(live, zone, url, fallback).between(*span_of(trace)))
    else:
        grid = Grid(country, region=region, grams_per_kwh=grams_per_kwh, source=source)
    result = footprint(
        usage,
        grid,
        supply=efficiency,
        embodied=None if board is None else Embodied.board(board, lifetime_years=years),
        litres_per_kwh=litres_per_kwh,
    )
    if as_json:
        answer = {"read_as": trace.read_as, **result.to_dict()}
        answer["notes"] = [*result.notes, *trace.notes]
        click.echo(json.dumps(answer, ensure_ascii=False))
    else:
        _show(result)


def _show(result: "Carbon") -> None:
    from energymeter.carbon import equivalents
    from energymeter.text import significant

    click.echo(str(result))
    for each in equivalents(result):
        click.echo(f"  as much as {each}")
    litres = (
        "unknown (give --litres-per-kwh)" if result.litres is None else f"{significant(result.litres, 4)} L"
    )
    click.echo(f"  water: {litres}")
    if result.kg_sb_eq is None:
        click.echo("  minerals: unknown (give --board)")
    else:
        click.echo(f"  minerals: {result.kg_sb_eq.text(2)} kg Sb-eq of making the board")
    for note in result.notes:
        click.echo(f"  note: {note}")


@carbon.command()
@click.argument("search", default="")
@json_option
def grids(search: str, as_json: bool) -> None:
    """The zones in the built-in tables whose code or name contains SEARCH."""
    from energymeter.carbon.grid_lookup import figures, look_up

    found = figures(search)
    if not found:
        look_up(search)  # raises an error with near matches
    if as_json:
        click.echo(json.dumps([each._asdict() for each in found], ensure_ascii=False))
        return
    for each in found:
        grams, year = f"{each.grams_per_kwh:7.1f} g/kWh", f"{each.year or '?':>4}"
        click.echo(f"{each.zone:<28} {grams}  {year}  {each.name}  [{each.source}]")


@carbon.command()
@click.option(
    "--wh", "watt_hours", type=Positive(), required=True, help="Energy of the job at the socket, Wh."
)
@click.option("--hours", type=Positive(max=1e5), required=True, help="Duration of the job.")
@click.option("--within", type=Positive(max=1e5), help="Hours from now by which it must be done.")
@click.option(
    "--forecast",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A forecast of your own: CSV with columns from,to,g_per_kwh (ISO times with zone).",
)
@json_option
@_live_options
def when(
    watt_hours: float,
    hours: float,
    within: float | None,
    forecast: Path | None,
    as_json: bool,
    live: str | None,
    zone: str | None,
    url: str | None,
) -> None:
    """When in the forecast a job is cleanest."""
    from energymeter.carbon.schedule import cleanest
    from energymeter.clock import SystemClock

    if (forecast is None) == (live is None):
        raise click.UsageError("give the forecast: --live SERVICE to ask one, or --forecast FILE")
    now = None
    if live is not None:
        now = SystemClock().time()
        expected = _live(live, zone, url).forecast(max(hours, within or 24.0))
    else:
        assert forecast is not None
        expected = read_forecast(forecast)
    start = expected.start if now is None else now
    before = None if within is None else start + within * 3600
    advice = cleanest(expected, watt_hours=watt_hours, hours=hours, after=start, before=before)
    if as_json:
        windows = {name: window._asdict() for name, window in advice._asdict().items()}
        source = {"marginal": expected.marginal, "zone": expected.zone, "source": expected.source}
        click.echo(json.dumps({**windows, "saved_grams": advice.saved_grams, **source}, ensure_ascii=False))
    else:
        _advise(advice, expected)


def _advise(advice: "Advice", expected: "Intensities") -> None:
    from energymeter.carbon.intensity import clock_text
    from energymeter.text import significant

    best, immediate, worst = advice.best, advice.immediate, advice.worst
    kind = "marginal " if expected.marginal else ""
    click.echo(
        f"cleanest: {clock_text(best.start)} to {clock_text(best.end)}, {significant(best.grams, 4)} g CO2e "
        f"at {significant(best.grams_per_kwh, 4)} {kind}g/kWh"
    )
    click.echo(
        f"now:      {clock_text(immediate.start)}, {significant(immediate.grams, 4)} g; "
        f"waiting saves {significant(advice.saved_grams)} g"
    )
    click.echo(f"worst:    {clock_text(worst.start)}, {significant(worst.grams, 4)} g")
    click.echo(
        f"forecast: {expected.zone or 'zone not named'}, {clock_text(expected.start)} to "
        f"{clock_text(expected.end)} ({expected.source})"
    )


def read_forecast(path: Path) -> "Intensities":
    """Intensities over time from a CSV with ``from,to,g_per_kwh``."""
    from energymeter.carbon.intensity import Intensities, Slot, parse_time
    from energymeter.errors import GridError, LogError
    from energymeter.recordings.textfile import titled_table

    try:
        table = titled_table(str(path))
    except LogError as why:
        raise GridError(str(why)) from why
    try:
        start, end, grams = (table.titles.index(title) for title in ("from", "to", "g_per_kwh"))
        slots = [
            Slot(parse_time(row[start]), parse_time(row[end]), table.number(row[grams]), True)
            for _, row in table.rows
        ]
    except (ValueError, IndexError, OverflowError) as why:
        raise GridError(
            f"{path} is not a forecast ({why}): give a CSV with from,to,g_per_kwh, times as 2026-11-22T14:30Z"
        ) from why
    return Intensities(slots, zone=None, source=str(path))
