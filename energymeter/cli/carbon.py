"""``energymeter carbon``: grams of a recorded run, the places known, and when a job is cleanest."""

import csv
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from energymeter.carbon.emissions import Carbon
    from energymeter.carbon.energy import Energy
    from energymeter.carbon.grid import Grid
    from energymeter.carbon.intensity import Intensities
    from energymeter.carbon.live_grid import LiveGrid
    from energymeter.carbon.schedule import Advice
    from energymeter.reading import Place

_SERVICES = ("electricitymaps", "carbonintensity-gb", "watttime")


class _FileOrCommand(click.Group):
    """``carbon RUN.csv`` is ``carbon FILE RUN.csv``: whatever is no command is the file."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["FILE", *args]
        return super().parse_args(ctx, args)


def _live_options(command: Any) -> Any:
    """The options that ask a service on the network; none is asked without them."""
    for option in (
        click.option("--url", help="Another address of the same service."),
        click.option("--zone", help="The service's name of the place (GB: outward postcode, as RG10)."),
        click.option("--live", type=click.Choice(_SERVICES), help="Ask this service over the network."),
    ):
        command = option(command)
    return command


_json_option = click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")


def _live(service: str, zone: str | None, url: str | None, fallback: "Grid | None" = None) -> "LiveGrid":
    """The service, with what it needs from the environment: secrets on a command line are seen by all."""
    from energymeter.carbon.grid import Grid

    secrets = {
        "electricitymaps": {"token": os.environ.get("ELECTRICITYMAPS_TOKEN")},
        "watttime": {
            "user": os.environ.get("WATTTIME_USER"),
            "password": os.environ.get("WATTTIME_PASSWORD"),
        },
    }
    return Grid.live(service, zone=zone, url=url, fallback=fallback, **secrets.get(service, {}))


@click.group(cls=_FileOrCommand, subcommand_metavar="FILE | grids | when")
def carbon() -> None:
    """Grams of CO2e of a recorded FILE; the places known; the cleanest time for a job.

    energymeter carbon run.csv --grid DEU

    Nothing goes over the network unless --live is given.
    """


@carbon.command("FILE")
@click.argument("file", type=click.Path())
@click.option("--grid", "place", envvar="ENERGYMETER_GRID", help="Country code or name, as DEU; or world.")
@click.option("--region", help="US state, Canadian or Chinese province, Nordic zone, eGRID subregion.")
@click.option("--grams-per-kwh", type=float, help="Your own figure; needs --said-by.")
@click.option("--said-by", help="Who says so, and of what year.")
@click.option(
    "--place", "meter_place", type=click.Choice(["wall", "rail", "cell", "die"]), help="Where the meter sat."
)
@click.option(
    "--efficiency", type=float, help="Share of the socket's energy that reaches the meter, as 0.87."
)
@click.option("--board", help="Count making this board too, as pi-4.")
@click.option("--years", type=float, default=4.0, show_default=True, help="Lifetime of the board.")
@click.option("--litres-per-kwh", type=float, help="Water of generation (EWIF).")
@_json_option
@_live_options
def of_file(
    file: str,
    place: str | None,
    region: str | None,
    grams_per_kwh: float | None,
    said_by: str | None,
    meter_place: "Place | None",
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

    With --live each half-hour's energy meets its own intensity; --grid is then the fallback.
    """
    from energymeter.carbon.embodied import Embodied
    from energymeter.carbon.emissions import footprint
    from energymeter.carbon.emissions_over_time import mean_grid, span_of
    from energymeter.carbon.energy import Known
    from energymeter.carbon.grid import Grid
    from energymeter.recordings.trace import Trace

    trace = Trace.load(file)
    usage: Energy = trace.usage()
    if meter_place is not None:
        usage = Known(usage.joules, usage.seconds, usage.uncertainty, usage.provenance, meter_place)
    if live is not None:
        fallback = Grid(place, region=region) if place else None
        grid = mean_grid(trace, _live(live, zone, url, fallback).between(*span_of(trace)))
    else:
        grid = Grid(place, region=region, grams_per_kwh=grams_per_kwh, said_by=said_by)
    result = footprint(
        usage,
        grid,
        supply=efficiency,
        embodied=None if board is None else Embodied.board(board, lifetime_years=years),
        litres_per_kwh=litres_per_kwh,
    )
    if as_json:
        click.echo(json.dumps(result.to_dict(), ensure_ascii=False))
    else:
        _show(result)


def _show(result: "Carbon") -> None:
    from energymeter.carbon.equivalences import comparisons

    click.echo(str(result))
    for each in comparisons(result):
        click.echo(f"  as much as {each}")
    litres = "not known (give --litres-per-kwh)" if result.litres is None else f"{result.litres:.4g} L"
    click.echo(f"  water: {litres}")
    if result.kg_sb_eq is None:
        click.echo("  minerals: not known (give --board)")
    else:
        low, typical, high = result.kg_sb_eq
        click.echo(f"  minerals: {typical:.2g} kg Sb-eq ({low:.2g} to {high:.2g}) of making the board")
    for note in result.notes:
        click.echo(f"  note: {note}")


@carbon.command()
@click.argument("search", default="")
@_json_option
def grids(search: str, as_json: bool) -> None:
    """The places known offline whose code or name contains SEARCH."""
    from energymeter.carbon.grid_lookup import figures, look_up

    found = figures(search)
    if not found:
        look_up(search)  # raises, with what is near
    if as_json:
        click.echo(json.dumps([each._asdict() for each in found], ensure_ascii=False))
        return
    for each in found:
        grams, year = f"{each.grams_per_kwh:7.1f} g/kWh", f"{each.year or '?':>4}"
        click.echo(f"{each.place:<28} {grams}  {year}  {each.name}  [{each.said_by}]")


@carbon.command()
@click.option("--wh", "watt_hours", type=float, required=True, help="Energy of the job at the socket, Wh.")
@click.option("--hours", type=float, required=True, help="How long it takes.")
@click.option("--within", type=float, help="Hours from now by which it must be done.")
@click.option(
    "--forecast",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A forecast you have: CSV with columns from,to,g_per_kwh (ISO times with zone).",
)
@_json_option
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
        expected = _read_forecast(forecast)
    start = expected.start if now is None else now
    before = None if within is None else start + within * 3600
    advice = cleanest(expected, watt_hours=watt_hours, hours=hours, after=start, before=before)
    if as_json:
        windows = {name: window._asdict() for name, window in advice._asdict().items()}
        source = {"marginal": expected.marginal, "place": expected.place, "said_by": expected.said_by}
        click.echo(json.dumps({**windows, "saved_grams": advice.saved_grams, **source}, ensure_ascii=False))
    else:
        _advise(advice, expected)


def _advise(advice: "Advice", expected: "Intensities") -> None:
    from energymeter.carbon.intensity import clock_text

    best, at_once, worst = advice.best, advice.at_once, advice.worst
    kind = "marginal " if expected.marginal else ""
    click.echo(
        f"cleanest: {clock_text(best.start)} to {clock_text(best.end)}, {best.grams:.4g} g CO2e "
        f"at {best.grams_per_kwh:.4g} {kind}g/kWh"
    )
    click.echo(
        f"at once:  {clock_text(at_once.start)}, {at_once.grams:.4g} g; "
        f"waiting saves {advice.saved_grams:.3g} g"
    )
    click.echo(f"worst:    {clock_text(worst.start)}, {worst.grams:.4g} g")
    click.echo(
        f"forecast: {expected.place or 'place not named'}, {clock_text(expected.start)} to "
        f"{clock_text(expected.end)} ({expected.said_by})"
    )


def _read_forecast(path: Path) -> "Intensities":
    from energymeter.carbon.intensity import Intensities, Slot, parse_time
    from energymeter.errors import GridError

    try:
        with path.open(encoding="utf-8-sig", newline="") as rows:
            slots = [
                Slot(parse_time(row["from"]), parse_time(row["to"]), float(row["g_per_kwh"]), True)
                for row in csv.DictReader(rows)
            ]
    except (KeyError, ValueError, TypeError, AttributeError, csv.Error) as why:
        raise GridError(
            f"{path} is no forecast ({why}): a CSV with from,to,g_per_kwh is, its times as 2026-11-22T14:30Z"
        ) from why
    return Intensities(slots, place=None, said_by=str(path))
