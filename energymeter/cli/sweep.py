"""``energymeter sweep``: energy over a grid of settings, and the settings worth having."""

import json
import re
from typing import Any

import click

from energymeter.cli import INTERRUPTED
from energymeter.cli.comparison_options import (
    call_of,
    ended_by_signals,
    measuring,
    meter_in,
    new_folder,
    progress,
    protocol_of,
)
from energymeter.cli.options import Positive
from energymeter.errors import SpecError


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--over", "axes", multiple=True, required=True, help="An axis and its values: bits=4,8,16.")
@click.option(
    "--board", "boards", multiple=True, help="An axis of the board: governor, max_khz, cores, nvpmodel."
)
@click.option("--runs", type=click.IntRange(1, 10_000), default=3, show_default=True, help="Of each setting.")
@measuring
@click.option("--per", type=Positive(), default=1.0, help="Units of one command.")
@click.option(
    "--metric-regex", help="Accuracy or the like, as the command prints it: first group, last match."
)
@click.option("--flops", type=Positive(max=1e30), help="Floating-point operations of one unit, for GFLOP/J.")
@click.option("--bytes", type=Positive(max=1e30), help="Memory traffic of one unit, B, for its roofline.")
@click.option("--peak-gflops", type=Positive(max=1e15), help="What the board computes at most, GFLOP/s.")
@click.option("--peak-gbytes", type=Positive(max=1e15), help="What its memory carries at most, GB/s.")
@click.option("--budget-joules", type=Positive(), help="End when so much is used.")
@click.option("--minutes", type=Positive(), help="End after so many minutes.")
@click.option("--out", type=click.Path(file_okay=False), help="Folder of the runs; continues what is there.")
@click.option("--export", type=click.Path(dir_okay=False), help="Write the table to .csv or .parquet.")
@click.option("--force", is_flag=True, help="Replace the file of --export if it exists.")
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED)
def sweep(words: tuple[str, ...], **options: Any) -> None:
    """Measure a command at every setting of a grid: CMD {bits} {threads}.

    The settings of a --board axis are restored at the end, also after Ctrl-C. Settings on the Pareto front of
    metric (or time) and energy are marked "worth having".
    """
    from energymeter.comparison.board_axes import board_axis
    from energymeter.comparison.commands import shown
    from energymeter.comparison.interleaved import Interrupted
    from energymeter.comparison.roofline import roofline_of
    from energymeter.comparison.sweeping import run_sweep

    grid = dict(_axis(text) for text in options["axes"])
    text = " ".join(words)
    for name in grid:
        if name not in options["boards"] and f"{{{name}}}" not in text:
            raise SpecError(f"the command has no {{{name}}}; write it there, or give --board {name}")

    def program(setting: dict[str, object]) -> Any:
        line = [re.sub(r"\{(\w+)\}", lambda m: str(setting.get(m[1], m[0])), word) for word in words]
        return shown(line), call_of(line, options["units_regex"], options["metric_regex"])

    meter = meter_in(options)
    folder = options["out"] or new_folder()
    try:
        with ended_by_signals(), progress() as show:
            result = run_sweep(
                grid,
                program,
                protocol_of(options),
                meter,
                board=[board_axis(name) for name in options["boards"]],
                progress=show,
                out=folder,
                roofline=roofline_of(*(options[name] for name in _ROOFLINE)),
                **{key: options[key] for key in ("per", "budget_joules", "minutes")},
            )
    except Interrupted as stopped:
        click.echo(f"{len(stopped.runs)} runs are kept in {folder}", err=True)
        click.echo(f"interrupted: the same command with --out {folder} continues", err=True)
        raise SystemExit(INTERRUPTED) from None
    click.echo(json.dumps(result.to_dict()) if options["as_json"] else str(result))
    if options["export"] is not None:
        result.save(options["export"], force=options["force"])


_ROOFLINE = ("flops", "bytes", "peak_gflops", "peak_gbytes")


def _axis(text: str) -> tuple[str, list[str]]:
    name, _, values = text.partition("=")
    found = [value for value in values.split(",") if value]
    if not name.isidentifier() or not found or len(set(found)) < len(found):
        raise SpecError(f"{text!r} is no axis with different values; write --over bits=4,8,16")
    return name, found
