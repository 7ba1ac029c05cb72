"""``energymeter push``: recordings into a lake of Parquet files."""

from typing import Any

import click

from energymeter.cli.options import Finite, Positive
from energymeter.cli.report import short


def moment(text: str) -> float:
    """A moment as ``2026-11-28T14:00``, of UTC where it names no zone; as Unix time."""
    from energymeter.carbon.intensity import parse_time

    try:
        return parse_time(text)
    except ValueError as wrong:
        raise click.BadParameter(f"{text!r} is no time: write 2026-11-28T14:00Z") from wrong


@click.command()
@click.argument("runs", nargs=-1, metavar="RUN…")
@click.option("--to", required=True, help="Folder of the lake, or s3://bucket/folder.")
@click.option("--board", type=short, default="", help="By default as the log says.")
@click.option("--model", type=short, default="", help="Of all the runs.")
@click.option("--variant", type=short, default="", help="As int8.")
@click.option("--commit", type=short, default="", help="Revision of the program.")
@click.option("--units", type=Positive(), help="Made in a run; with --span, in a call.")
@click.option("--unit", type=short, default="", help="What a unit is, as inference.")
@click.option("--span", type=short, help="Only the calls of this span count for a unit.")
@click.option("--host", type=short, default="", help="The machine; by default as the log says.")
@click.option("--started", type=moment, help="Time of second 0, of a recording without a date.")
@click.option(
    "--clock-offset", type=Finite(-1e9, 1e9), default=0.0, help="Seconds by which the host's clock was ahead."
)
@click.option("--clock-uncertainty", type=Finite(0, 1e9), help="± of its times after that, in seconds.")
@click.option("--report", type=click.Path(exists=True, dir_okay=False), help="A page to keep with them.")
@click.option("--budget", help="Add what is left of this budget now.")
@click.option("--force", is_flag=True, help="Replace what an earlier push stated of these runs.")
@click.option("--endpoint", help="URL of a store that speaks S3.")
def push(
    runs: tuple[str, ...], to: str, budget: str | None, endpoint: str | None, *, force: bool, **options: Any
) -> None:
    """Add recorded RUNs to a lake: Parquet files by host and day, which any engine reads.

    energymeter push run.csv --to lake --model resnet50 --variant int8 --units 100 --unit inference

    A push that was interrupted is repeated; one that is repeated doubles nothing.
    """
    from energymeter.errors import SpecError
    from energymeter.lake.pushing import push as pushed
    from energymeter.lake.pushing import push_budget
    from energymeter.lake.statement import Statement
    from energymeter.lake.store import Store

    if not runs and budget is None:
        raise SpecError("nothing is to be pushed; name recordings, or a --budget")
    store = Store(to, **({} if endpoint is None else {"endpoint_url": endpoint}))
    stated = Statement(
        **{name: options[name] for name in Statement._fields if options.get(name) is not None},
        clock_offset_s=options["clock_offset"],
        clock_uncertainty_s=options["clock_uncertainty"],
    )
    for one in pushed(runs, store, stated, force=force):
        click.echo(str(one))
    if budget is not None:
        push_budget(budget, store, options["host"])
        click.echo(f"budget {budget}: pushed")
