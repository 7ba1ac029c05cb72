"""`energymeter budget`: make, look at, spend, forecast, reset and export budgets."""

import csv
import io
import json
import re
import time
from collections.abc import Mapping
from typing import Any

import click

from energymeter.balance import say_share
from energymeter.battery import Battery
from energymeter.boards import find_board
from energymeter.budget import Budget
from energymeter.errors import SpecError
from energymeter.estimate import Estimate, say_hours, say_number
from energymeter.forecast import left
from energymeter.ledger import Ledger, Line
from energymeter.planning import course_table, inferences_a_charge, planned
from energymeter.solar import Panel, outlook
from energymeter.tab import Drawn
from energymeter.units import UNITS

_DURATIONS = {**UNITS["seconds"], "d": 86400.0}


def seconds(text: str) -> float:
    """A duration such as ``5min``."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]+)?", text.strip())
    if not match or not float(match[1]) > 0 or (match[2] or "s") not in _DURATIONS:
        raise click.BadParameter(f"{text!r} is no duration: write 30s, 5min, 2h or 1d")
    return float(match[1]) * _DURATIONS[match[2] or "s"]


def share(text: str) -> float:
    """A share such as ``10%`` or ``0.1``."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(%)?", text.strip())
    value = float(match[1]) / (100 if match[2] else 1) if match else -1.0
    if not 0 <= value <= 1:
        raise click.BadParameter(f"{text!r} is no share: write 10% or 0.1")
    return value


json_option = click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
battery_option = click.option(
    "--battery",
    default="phone",
    show_default=True,
    help="phone, 18650[:mAh], powerbank[:mAh], laptop or 4000mAh.",
)
basis_option = click.option(
    "--basis",
    type=click.Choice(["cell", "rail"]),
    default="cell",
    show_default=True,
    help="Where the mAh are counted.",
)


@click.group()
def budget() -> None:
    """One battery charge that many runs share: what is left, and for how long."""


@budget.command()
@click.argument("name")
@battery_option
@basis_option
@click.option("--volts", type=float, help="Mean volts on the side where the mAh are counted.")
@click.option("--efficiency", type=share, help="From the cell to the rail, such as 90%.")
@click.option("--usable", type=share, help="Share taken before cut-off.")
@click.option("--health", type=share, help="Share of the rated charge left by age.")
@click.option(
    "--share", "shares", multiple=True, metavar="STAGE=SHARE", help="A stage's share; may be repeated."
)
def new(name: str, battery: str, basis: Any, shares: tuple[str, ...], **changes: float | None) -> None:
    """Make budget NAME with a full battery."""
    chosen = Battery.parse(battery, basis).with_(**{k: v for k, v in changes.items() if v is not None})
    if name in Ledger().names():
        raise SpecError(f"budget {name!r} is there already: `energymeter budget reset {name}` fills it again")
    made = Budget(name, chosen, shares=dict(_stage_share(text) for text in shares))
    label = f"{say_number(chosen.mah)} mAh at {chosen.volts:g} V"
    click.echo(f"{name}: {label}, counted at the {chosen.basis}; usable {made.remaining_mah}")
    click.echo(chosen.why())


@budget.command()
@click.argument("name")
@click.option("--stage", help="Only this stage.")
@json_option
def status(name: str, stage: str | None, as_json: bool) -> None:
    """What is left of budget NAME, and what drew on it."""
    opened = Budget(name)
    seen = opened.stage(stage) if stage else opened
    facts = {
        "budget": name,
        "stage": stage,
        "spent_joules": seen.spent_joules,
        "share": seen.remaining_share,
        "joules": seen.remaining_joules,
        "mah": seen.remaining_mah,
        "hours": seen.remaining_hours,
        "runs": seen.runs_left(),
    }
    if as_json:
        click.echo(json.dumps(_plain(facts)))
        return
    click.echo(f"{name}{f' · {stage}' if stage else ''}: {say_share(seen.remaining_share)} left")
    click.echo(f"  spent   {say_number(seen.spent_joules, 4)} J at the rail")
    click.echo(
        f"  left    {seen.remaining_mah} at the {seen.battery.basis} · {seen.remaining_joules} at the rail"
    )
    click.echo(f"  lasts   {seen.remaining_hours or 'unknown: no load was seen yet'}")
    click.echo(f"  runs    {facts['runs'] or 'unknown: none was debited yet'}")
    for part, its in {}.items() if stage else opened.shares.items():
        click.echo(f"  {part}: {say_share(opened.stage(part).remaining_share)} of its {its:.0%}")


@budget.command()
@click.argument("name")
@click.option("--joules", type=float, help="At the rail.")
@click.option("--wh", type=float, help="Watt-hours at the rail.")
@click.option("--duration", type=seconds, default=None, help="How long it took, such as 5min.")
@click.option("--stage", default=None)
@click.option("--note", default="")
@click.option("--amend", type=int, metavar="LINE", help="Say what this debit truly was.")
@click.option("--undo", type=int, metavar="LINE", help="Take this debit back.")
def spend(
    name: str,
    joules: float | None,
    wh: float | None,
    duration: float | None,
    stage: str | None,
    note: str,
    amend: int | None,
    undo: int | None,
) -> None:
    """Debit budget NAME by hand, as read from a wall meter; or amend or undo a debit with a new line."""
    if undo is not None and (joules, wh, amend) == (None, None, None):
        line: int | None = Budget(name).undo(undo, note)
    elif undo is None and (joules is None) != (wh is None):
        amount = joules if joules is not None else (wh or 0.0) * 3600
        opened = Budget(name)
        usage = Drawn(amount, seconds=duration or 0.0, provenance="manual", sources=("by hand",))
        line = (
            opened.spend(usage, stage=stage, note=note)
            if amend is None
            else opened.amend(amend, amount, note)
        )
    else:
        raise SpecError("say what was drawn, in --joules or in --wh, or which line to --undo")
    click.echo(f"line {line} · {Budget(name).remaining_mah} left")


@budget.command()
@click.argument("name")
@click.option("--battery", default=None, help="A new one instead of the old one charged.")
@basis_option
@click.option("--note", default="")
def reset(name: str, battery: str | None, basis: Any, note: str) -> None:
    """The battery of budget NAME is full again. Earlier lines stay, and count no more."""
    opened = Budget(name)
    line = opened.reset(Battery.parse(battery, basis) if battery else None, note)
    click.echo(f"line {line} · {opened.remaining_mah} left")


@budget.command("list")
@click.argument("name", required=False)
@click.option("--last", type=click.IntRange(min=1), default=20, show_default=True, help="How many lines.")
@json_option
def list_(name: str | None, last: int, as_json: bool) -> None:
    """The budgets, or the latest lines of budget NAME."""
    if name is None:
        names = Ledger().names()
        click.echo(
            json.dumps(names) if as_json else "\n".join(names) or "no budget yet: energymeter budget new lab4"
        )
        return
    lines = Budget(name).lines()[-last:]
    if as_json:
        click.echo(json.dumps([line._asdict() for line in lines]))
        return
    for line in lines:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(line.at))
        of = f" of {line.refers}" if line.refers else ""
        text = f"{line.id:>5}  {when}  {line.kind}{of}  {line.stage or '-'}"
        amount = f"{line.joules:.6f} J in {line.seconds:.1f} s"
        click.echo(f"{text}  {amount}  {line.provenance} {line.sources}  {line.note}".rstrip())


@budget.command()
@click.argument("name")
@click.option("--format", "kind", type=click.Choice(["csv", "json"]), default="csv", show_default=True)
def export(name: str, kind: str) -> None:
    """Every line of budget NAME, on standard output."""
    lines = Budget(name).lines()
    if kind == "json":
        click.echo(json.dumps([line._asdict() for line in lines], indent=1))
        return
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(Line._fields)
    writer.writerows(lines)
    click.echo(table.getvalue(), nl=False)


@budget.command()
@click.argument("name", required=False)
@click.option("--board", help="A board by name, such as jetson-nano.")
@click.option("--watts", type=float, help="Draw at the rail, in place of the board's.")
@battery_option
@basis_option
@click.option("--duty", type=share, help="Share of the time that it is busy.")
@click.option("--every", type=seconds, help="A job starts this often, such as 5min ...")
@click.option("--joules", type=float, help="... and costs this much over idle; alone: joules an inference.")
@click.option("--idle", type=float, help="Watts while idle; else the board's.")
@click.option("--solar", help="Panel watts and peak sun hours, such as 10W,4h.")
@click.option(
    "--hour",
    type=click.FloatRange(0, 24),
    default=12.0,
    show_default=True,
    help="Hour of the day at the start.",
)
@click.option("--last", type=seconds, help="Say what mean power lasts this long, such as 24h.")
@click.option("--iterations", type=click.IntRange(min=1), help="With NAME: will so many runs finish?")
@json_option
def forecast(
    name: str | None, battery: str, basis: Any, iterations: int | None, as_json: bool, **options: Any
) -> None:
    """How long budget NAME lasts; or, without one, a board and a battery, no hardware needed.

    With nothing given, the course's table: 4 Ah at 2, 0.6 and 0.15 A, both ways of counting.
    """
    if name is not None:
        _forecast_budget(Budget(name), iterations, as_json)
        return
    chosen = Battery.parse(battery, basis)
    board = find_board(options["board"]) if options["board"] else None
    if all(value is None for key, value in options.items() if key != "hour"):
        _course(as_json)
        return
    load = planned(
        board,
        watts=options["watts"],
        idle_watts=options["idle"],
        duty=options["duty"],
        every_seconds=options["every"],
        joules=options["joules"],
    )
    if load is None and options["solar"]:
        raise SpecError("say what draws on it under the sun, in --watts or as a --board")
    facts: dict[str, Any] = {"battery": chosen._asdict(), "why": chosen.why()}
    if load is not None:
        facts |= {
            "watts": load.watts,
            "load": load.says,
            "hours": _with_sigma(chosen, chosen.hours(load.watts)),
        }
        facts["rail_convention_hours"] = Battery(chosen.mah, basis="rail").hours(load.watts)
        if options["solar"]:
            lit = chosen.with_(input=Panel.parse(options["solar"]))
            facts["solar"] = outlook(lit, load.watts, hour=options["hour"])
    if options["joules"]:
        facts["inferences"] = inferences_a_charge(chosen, options["joules"], load.watts if load else None)
    if options["last"]:
        facts["watts_to_last"] = chosen.watts_for(options["last"] / 3600)
    click.echo(json.dumps(_plain(facts)) if as_json else "\n".join(_sentences(facts, options)))


def _sentences(facts: Mapping[str, Any], options: Mapping[str, Any]) -> list[str]:
    lines = []
    if "watts" in facts:
        hours = facts["hours"]
        lines.append(f"{facts['load']}: {say_number(facts['watts'])} W at the rail")
        lines.append(f"  lasts {hours}" if hours else "  draws nothing: it lasts")
        if facts["battery"]["basis"] == "cell" and facts["rail_convention_hours"]:
            rail = facts["rail_convention_hours"]
            lines.append(f"  by the course's rail convention {rail:.2f} h ({say_hours(rail)})")
        lines.append(f"  {facts['why']}")
    if "solar" in facts:
        lines.append(f"  with sun: {facts['solar']}")
    if "inferences" in facts:
        lines.append(f"  {say_number(facts['inferences'])} inferences of {options['joules']:g} J a charge")
    if "watts_to_last" in facts:
        watts = facts["watts_to_last"]
        reach = f"{say_number(watts)} W at the rail or less" if watts is not None else "not even with no load"
        lines.append(f"  to last {say_hours(options['last'] / 3600)}: {reach}")
    return lines


def _forecast_budget(opened: Budget, iterations: int | None, as_json: bool) -> None:
    outcome = opened.will_finish(iterations) if iterations else None
    facts = {"hours": opened.remaining_hours, "runs": opened.runs_left(), "outcome": outcome}
    if as_json:
        click.echo(json.dumps(_plain(facts)))
        return
    click.echo(f"{opened.name}: lasts {facts['hours'] or 'unknown: no load was seen yet'}")
    click.echo(f"  {facts['runs'] or 'no run was debited yet'}")
    if outcome is not None:
        click.echo(f"  {iterations} more runs: {outcome}")


def _course(as_json: bool) -> None:
    rows = course_table()
    if as_json:
        click.echo(json.dumps([row._asdict() for row in rows]))
        return
    click.echo("4 Ah               at   on the 5 V rail   3.7 V cell, 90 % converter")
    for row in rows:
        click.echo(f"{row.board:14}{row.amps:5.2f} A  {row.rail_hours:14.2f} h  {row.cell_hours:26.2f} h")
    click.echo(Battery(4000, volts=3.7, efficiency=0.9, usable=1.0).why())


def _with_sigma(battery: Battery, hours: float | None) -> Estimate | None:
    return None if hours is None else left(hours, battery.capacity_sigma, 0.0, "h")


def _stage_share(text: str) -> tuple[str, float]:
    stage, found, part = text.partition("=")
    if not found or not stage:
        raise SpecError(f"a stage's share is written inference=60%, not {text!r}")
    return stage, share(part)


def _plain(facts: Any) -> Any:
    """For JSON: named tuples become objects."""
    if hasattr(facts, "_asdict"):
        return _plain(facts._asdict())
    if isinstance(facts, Mapping):
        return {key: _plain(value) for key, value in facts.items()}
    return facts
