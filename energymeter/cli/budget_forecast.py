"""`energymeter budget forecast`: how long a budget lasts, or a board and a battery that are only planned."""

import json
from collections.abc import Mapping
from typing import Any

import click
from click.core import ParameterSource

from energymeter.battery.battery import Battery
from energymeter.battery.planning import Load, course_table, inferences_a_charge, planned
from energymeter.battery.solar import Panel, outlook
from energymeter.boards import find_board
from energymeter.budget.forecast import HoursLeft, left
from energymeter.budget.gauge_log import hours_from_log
from energymeter.cli.budget_options import (
    basis_option,
    battery_option,
    known,
    known_options,
    level,
    plain,
    seconds,
    share,
)
from energymeter.cli.options import Finite, Positive, json_option
from energymeter.errors import SpecError
from energymeter.meter.budget import Budget
from energymeter.text import Estimate, duration, printable, significant
from energymeter.units import number


@click.command()
@click.argument("name", required=False)
@click.option("--board", help="A board by name, such as jetson-nano.")
@click.option("--watts", type=Finite(min=0), help="Watts at the rail, in place of the board's.")
@battery_option
@basis_option
@click.option("--duty", type=share, help="Share of the time that it is busy.")
@click.option("--every", type=seconds, help="A job starts this often, such as 5min ...")
@click.option(
    "--joules", type=Positive(), help="... and costs this much over idle; alone: joules an inference."
)
@click.option("--idle", type=Finite(min=0), help="Watts while idle; else the board's.")
@click.option("--solar", help="Panel watts and peak sun hours, such as 10W,4h.")
@click.option(
    "--hour",
    type=Finite(0, 24),
    default=12.0,
    show_default=True,
    help="Hour of the day at the start.",
)
@click.option("--last", type=seconds, help="Say what mean power lasts this long, such as 24h.")
@click.option("--iterations", type=click.IntRange(1, 10**12), help="With NAME: will so many runs finish?")
@click.option("--log", help="A discharge so far, with percent or watts.")
@click.option(
    "--empty", type=level, help="With --log: what the gauge reads when the device dies, such as 7%."
)
@known_options
@json_option
def forecast(
    name: str | None,
    battery: str,
    basis: Any,
    iterations: int | None,
    log: str | None,
    empty: float | None,
    measured: float | None,
    celsius: float | None,
    as_json: bool,
    **options: Any,
) -> None:
    """How long budget NAME lasts; or a board and a battery, no hardware needed; or a device by its --log.

    With nothing given, the course's table: 4 Ah at 2, 0.6 and 0.15 A, both ways of counting.
    """
    if empty is not None and log is None:
        raise SpecError("--empty is a level of a gauge: give its --log, too")
    if log is not None:
        named = _given("battery") or measured is not None
        _forecast_log(
            log,
            known(Battery.parse(battery, basis), measured, celsius) if named else None,
            empty or 0.0,
            as_json,
        )
        return
    if name is not None:
        _forecast_budget(Budget(name), iterations, as_json)
        return
    given = {**options, "hour": None, "measured": measured, "celsius": celsius}
    if all(value is None for value in given.values()):
        _course(as_json)
        return
    facts = _planned(known(Battery.parse(battery, basis), measured, celsius), options)
    click.echo(json.dumps(plain(facts)) if as_json else "\n".join(_sentences(facts, options)))


def _planned(battery: Battery, options: Mapping[str, Any]) -> dict[str, Any]:
    """What a board and a battery that are not here would do."""
    load = planned(
        find_board(options["board"]) if options["board"] else None,
        watts=options["watts"],
        idle_watts=options["idle"],
        duty=options["duty"],
        every_seconds=options["every"],
        joules=options["joules"],
    )
    if load is None and options["solar"]:
        raise SpecError("say what draws on it under the sun, in --watts or as a --board")
    facts: dict[str, Any] = {"battery": battery._asdict(), "why": battery.why(), **_capacity(battery)}
    facts["knowledge"] = battery.knowledge
    if load is not None:
        facts |= _hours_of(battery, load)
        if options["solar"]:
            lit = battery.with_(input=Panel.parse(options["solar"]))
            facts["solar"] = outlook(lit, load.watts, hour=options["hour"])
    if options["joules"]:
        facts["inferences"] = inferences_a_charge(battery, options["joules"], load.watts if load else None)
    if options["last"]:
        facts["watts_to_last"] = battery.watts_for(options["last"] / 3600)
    return facts


def _hours_of(battery: Battery, load: Load) -> dict[str, Any]:
    label_hours = number(battery.hours(load.watts))
    return {
        "watts": load.watts,
        "load": load.description,
        "hours": _with_spread(battery, label_hours, load.watts),
        "label_hours": label_hours,
        "rail_convention_hours": number(Battery(battery.mah, basis="rail").hours(load.watts)),
    }


def _sentences(facts: Mapping[str, Any], options: Mapping[str, Any]) -> list[str]:
    lines = []
    if "watts" in facts:
        hours = facts["hours"]
        lines.append(f"{facts['load']}: {significant(facts['watts'])} W at the rail")
        lines.append(f"  lasts {hours}" if hours else "  draws nothing: it lasts")
        if hours and facts["capacity"] == "unknown":
            lines.append(f"  by the label alone {duration(3600 * facts['label_hours'], rough=True)}")
        if hours:
            lines.append(f"  {facts['knowledge']}")
        if facts["battery"]["basis"] == "cell" and facts["rail_convention_hours"]:
            rail = facts["rail_convention_hours"]
            lines.append(
                f"  by the course's rail convention {rail:.2f} h ({duration(3600 * rail, rough=True)})"
            )
        lines.append(f"  {facts['why']}")
    if "solar" in facts:
        lines.append(f"  with sun: {facts['solar']}")
    if "inferences" in facts:
        lines.append(f"  {significant(facts['inferences'])} inferences of {options['joules']:g} J a charge")
    if "watts_to_last" in facts:
        watts = facts["watts_to_last"]
        reach = (
            f"{significant(watts)} W at the rail or less" if watts is not None else "not even with no load"
        )
        lines.append(f"  to last {duration(options['last'], rough=True)}: {reach}")
    return lines


def _given(option: str) -> bool:
    return click.get_current_context().get_parameter_source(option) is not ParameterSource.DEFAULT


def _forecast_log(path: str, battery: Battery | None, empty: float, as_json: bool) -> None:
    found = hours_from_log(path, battery, empty=empty)
    if as_json:
        click.echo(json.dumps(plain({"log": path, **found._asdict()} | _capacity(battery))))
        return
    if found.read_as:
        click.echo(f"read as {printable(found.read_as)}", err=True)
    by = "the gauge's slope" if found.method == "slope" else "what was drawn of the battery"
    note = found.note and f", {found.note}"
    click.echo(f"{path}: {_lasts(HoursLeft(found.hours, found.reason))}")
    click.echo(f"  by {by}{note}")
    if found.hours and battery is not None and found.method == "energy":
        click.echo(f"  {battery.knowledge}")


def _forecast_budget(opened: Budget, iterations: int | None, as_json: bool) -> None:
    outcome = opened.will_finish(iterations) if iterations else None
    lasts, runs = opened.forecast(), opened.runs_left()
    if as_json:
        facts = {"hours": lasts.hours, "reason": lasts.reason, "runs": runs, "outcome": outcome}
        click.echo(json.dumps(plain(facts | _capacity(opened.battery))))
        return
    click.echo(f"{opened.name}: {_lasts(lasts)}")
    click.echo(f"  {opened.battery.knowledge}")
    click.echo(f"  {runs or 'no run was debited yet'}")
    if outcome is not None:
        click.echo(f"  {iterations} more runs: {outcome}")


def _lasts(left: HoursLeft) -> str:
    return str(left) if left.reason.startswith("cannot tell") else f"lasts {left}"


def _capacity(battery: Battery | None) -> dict[str, str]:
    """For JSON: whether more is known of the battery than its label."""
    return {} if battery is None else {"capacity": "known" if battery.known else "unknown"}


def _course(as_json: bool) -> None:
    rows = course_table()
    if as_json:
        click.echo(json.dumps([row._asdict() for row in rows]))
        return
    click.echo("4 Ah               at   on the 5 V rail   3.7 V cell, 90 % converter")
    for row in rows:
        click.echo(f"{row.board:14}{row.amps:5.2f} A  {row.rail_hours:14.2f} h  {row.cell_hours:26.2f} h")
    click.echo(Battery(4000, volts=3.7, efficiency=0.9, usable=1.0).why())


def _with_spread(battery: Battery, hours: float | None, watts: float) -> Estimate | None:
    return None if hours is None else left(hours, battery.spread(watts), 0.0, "h", running=True)
