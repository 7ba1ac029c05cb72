"""`energymeter budget`: make, look at, spend, forecast, reset and export budgets."""

import csv
import io
import json
import time
from typing import Any

import click

from energymeter.battery.battery import Battery
from energymeter.budget.balance import percent_text
from energymeter.budget.ledger import Ledger, Line
from energymeter.cli.budget_forecast import forecast
from energymeter.cli.budget_options import (
    basis_option,
    battery_option,
    known,
    known_options,
    plain,
    seconds,
    share,
)
from energymeter.cli.options import Finite, Positive, json_option
from energymeter.errors import SpecError
from energymeter.meter.budget import Budget
from energymeter.meter.usage_delta import UsageDelta
from energymeter.text import csv_text, percent, printable, significant

_LAST_LINE = 2**63 - 1
"""The largest integer of SQLite."""


@click.group()
def budget() -> None:
    """One battery charge that many runs share: what is left, and for how long."""


@budget.command()
@click.argument("name")
@battery_option
@basis_option
@click.option("--volts", type=Positive(max=1e4), help="Mean volts on the side where the mAh are counted.")
@click.option("--efficiency", type=share, help="From the cell to the rail, such as 90%.")
@click.option("--usable", type=share, help="Share taken before cut-off.")
@click.option("--health", type=share, help="Share of the rated charge left by age.")
@known_options
@click.option(
    "--share", "shares", multiple=True, metavar="STAGE=SHARE", help="A stage's share; may be repeated."
)
@json_option
def new(
    name: str,
    battery: str,
    basis: Any,
    shares: tuple[str, ...],
    measured: float | None,
    celsius: float | None,
    as_json: bool,
    **changes: float | None,
) -> None:
    """Make budget NAME with a full battery."""
    given = {k: v for k, v in changes.items() if v is not None}
    chosen = known(Battery.parse(battery, basis).with_(**given), measured, celsius)
    if name in Ledger().names():
        raise SpecError(f"budget {name!r} is there already: `energymeter budget reset {name}` fills it again")
    made = Budget(name, chosen, shares=dict(_stage_share(text) for text in shares))
    if as_json:
        facts = {"budget": name, "battery": chosen, "shares": made.shares, "mah": made.remaining_mah}
        click.echo(json.dumps(plain(facts | {"why": chosen.why()})))
        return
    label = f"{significant(chosen.mah)} mAh at {chosen.volts:g} V"
    click.echo(f"{name}: {label}, counted at the {chosen.basis}; usable {made.remaining_mah}")
    click.echo(chosen.knowledge)
    click.echo(chosen.why())


@budget.command()
@click.argument("name")
@click.option("--stage", help="Only this stage.")
@json_option
def status(name: str, stage: str | None, as_json: bool) -> None:
    """What is left of budget NAME, and what drew on it."""
    opened = Budget(name)
    seen = opened.stage(stage) if stage else opened
    lasts = seen.forecast()
    facts = {
        "budget": name,
        "stage": stage,
        "spent_joules": seen.spent_joules,
        "share": seen.remaining_share,
        "joules": seen.remaining_joules,
        "mah": seen.remaining_mah,
        "hours": lasts.hours,
        "reason": lasts.reason,
        "capacity": "known" if seen.battery.known else "unknown",
        "runs": seen.runs_left(),
        "spans": seen.spans(),
    }
    if as_json:
        click.echo(json.dumps(plain(facts)))
        return
    click.echo(f"{name}{f' · {stage}' if stage else ''}: {percent_text(seen.remaining_share)} left")
    click.echo(f"  spent   {significant(seen.spent_joules, 4)} J at the rail")
    click.echo(
        f"  left    {seen.remaining_mah} at the {seen.battery.basis} · {seen.remaining_joules} at the rail"
    )
    click.echo(f"  lasts   {lasts}")
    click.echo(f"  cell    {seen.battery.knowledge}")
    click.echo(f"  runs    {facts['runs'] or 'unknown: none was debited yet'}")
    for span, total in seen.spans().items():
        each = (
            f"{significant(total.microjoules / total.measured / 1e6)} J each" if total.measured else "unknown"
        )
        left_out = f", {total.left_out} left out: not fully measured" if total.left_out else ""
        click.echo(f"  {printable(span):7} {each}, {total.measured} measured{left_out}")
    for part, its in {}.items() if stage else opened.shares.items():
        click.echo(
            f"  {printable(part)}: {percent_text(opened.stage(part).remaining_share)} of its {percent(its)}"
        )


@budget.command()
@click.argument("name")
@click.option("--joules", type=Finite(), help="At the rail.")
@click.option("--wh", type=Finite(min=-1e11, max=1e11), help="Watt-hours at the rail.")
@click.option("--duration", type=seconds, default=None, help="How long it took, such as 5min.")
@click.option("--stage", default=None)
@click.option("--note", default="")
@click.option("--amend", type=click.IntRange(1, _LAST_LINE), metavar="LINE", help="Correct this debit.")
@click.option("--undo", type=click.IntRange(1, _LAST_LINE), metavar="LINE", help="Take this debit back.")
@json_option
def spend(
    name: str,
    joules: float | None,
    wh: float | None,
    duration: float | None,
    stage: str | None,
    note: str,
    amend: int | None,
    undo: int | None,
    as_json: bool,
) -> None:
    """Debit budget NAME by hand, as read from a wall meter; or amend or undo a debit with a new line."""
    if undo is not None and (joules, wh, amend) == (None, None, None):
        line: int | None = Budget(name).undo(undo, note)
    elif undo is None and (joules is None) != (wh is None):
        amount = joules if joules is not None else (wh or 0.0) * 3600
        opened = Budget(name)
        taken = duration or 0.0
        usage = UsageDelta(
            amount, None, taken, taken, provenance="manual", sources=("by hand",), covered_seconds=(taken,)
        )
        line = (
            opened.spend(usage, stage=stage, note=note)
            if amend is None
            else opened.amend(amend, amount, note)
        )
    else:
        raise SpecError("say what was drawn, in --joules or in --wh, or which line to --undo")
    _written(Budget(name), line, as_json)


@budget.command()
@click.argument("name")
@click.option("--battery", default=None, help="A new one instead of the old one charged.")
@basis_option
@known_options
@click.option("--note", default="")
@json_option
def reset(
    name: str,
    battery: str | None,
    basis: Any,
    measured: float | None,
    celsius: float | None,
    note: str,
    as_json: bool,
) -> None:
    """The battery of budget NAME is full again. Earlier lines stay, and count no more."""
    opened = Budget(name)
    new = Battery.parse(battery, basis) if battery else opened.battery
    changed = known(new, measured, celsius)
    line = opened.reset(changed if battery or changed != opened.battery else None, note)
    _written(opened, line, as_json)


@budget.command("list")
@click.argument("name", required=False)
@click.option(
    "--last", type=click.IntRange(1, _LAST_LINE), default=20, show_default=True, help="How many lines."
)
@json_option
def list_(name: str | None, last: int, as_json: bool) -> None:
    """The budgets, or the latest lines of budget NAME."""
    if name is None:
        names = Ledger().names()
        click.echo(
            json.dumps(names)
            if as_json
            else "\n".join(map(printable, names)) or "no budget yet: energymeter budget new lab4"
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
        click.echo(printable(f"{text}  {amount}  {line.provenance} {line.sources}  {line.note}".rstrip()))


@budget.command()
@click.argument("name")
@click.option("--format", "kind", type=click.Choice(["csv", "json"]), default="csv", show_default=True)
@click.option("--json", "kind", flag_value="json", help="The same as --format json.")
def export(name: str, kind: str) -> None:
    """Every line of budget NAME, on standard output."""
    lines = Budget(name).lines()
    if kind == "json":
        click.echo(json.dumps([line._asdict() for line in lines], indent=1))
        return
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(Line._fields)
    writer.writerows([csv_text(cell) if isinstance(cell, str) else cell for cell in line] for line in lines)
    click.echo(table.getvalue(), nl=False)


def _written(opened: Budget, line: int | None, as_json: bool) -> None:
    """What a new line left behind."""
    if as_json:
        click.echo(json.dumps(plain({"budget": opened.name, "line": line, "mah": opened.remaining_mah})))
        return
    click.echo(f"line {line} · {opened.remaining_mah} left")


def _stage_share(text: str) -> tuple[str, float]:
    stage, found, part = text.partition("=")
    if not found or not stage:
        raise SpecError(f"a stage's share is written inference=60%, not {text!r}")
    return stage, share(part)


budget.add_command(forecast)
