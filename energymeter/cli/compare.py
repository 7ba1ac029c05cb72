"""``energymeter compare``: which of several commands or recordings uses less energy?"""

import json
import os
from collections.abc import Sequence
from typing import Any

import click

from energymeter.cli import INTERRUPTED
from energymeter.cli.budget_options import battery_option
from energymeter.cli.comparison_options import (
    call_of,
    ended_by_signals,
    grid_in,
    measuring,
    meter_in,
    new_folder,
    progress,
    protocol_of,
)
from energymeter.cli.options import Positive, loaded, span_or_window
from energymeter.errors import NotComparable, SpecError

_SEPARATOR = "---"


class _Compare(click.Command):
    """Options after a command are that command's; after recordings they are ours."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words = self.make_parser(ctx).parse_args([*args])[0].get("words")
        first = words[:1] if isinstance(words, (tuple, list)) else ()  # click marks what was not given
        ctx.allow_interspersed_args = any(map(_is_recording, first))
        return super().parse_args(ctx, args)


@click.command(
    cls=_Compare, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.option("--runs", type=click.IntRange(1, 10_000), default=10, show_default=True, help="Of each arm.")
@measuring
@click.option(
    "--per", type=Positive(), multiple=True, help="Units of one command or recording; once, or for each arm."
)
@click.option("--name", "names", multiple=True, help="Of an arm, in their order.  [default: A, B, …]")
@click.option(
    "--span",
    "spans",
    multiple=True,
    help="Of a recording, as 30:90 (s from its start) or by name; once, or for each.",
)
@click.option("--paired", is_flag=True, help="Recordings of the same number were made one after the other.")
@click.option("--save-baseline", type=click.Path(dir_okay=False), help="Keep the runs of the first arm.")
@click.option("--baseline", type=click.Path(exists=True, dir_okay=False), help="Kept runs, as the first arm.")
@click.option("--force", is_flag=True, help="Replace the file of --save-baseline if it exists.")
@click.option(
    "--out",
    type=click.Path(file_okay=False),
    help="Folder of the runs; continues what was interrupted there.",
)
@click.option("--anyway", is_flag=True, help="Give a verdict in spite of reasons against it, and mark it.")
@battery_option
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED)
def compare(words: tuple[str, ...], **options: Any) -> None:
    """Compare commands, written CMD_A --- CMD_B, or recordings, written FILE_A FILE_B.

    The commands run in turns (ABBA), so that a drift favours none. Exit code 14: no verdict, because a reason
    speaks against it or because there are too few runs. Their output is discarded.
    """
    arms = _split(words)
    if all(_is_recording(word) for arm in arms for word in arm):
        _compare_recordings(arms if len(arms) > 1 else [[word] for word in arms[0]], options)
    else:
        _compare_commands(arms, options)


def _split(words: Sequence[str]) -> list[list[str]]:
    """The command lines between separators."""
    arms: list[list[str]] = [[]]
    for word in words:
        if word == _SEPARATOR:
            arms.append([])
        else:
            arms[-1].append(word)
    if not all(arms):
        raise SpecError(f"there is nothing before or after a {_SEPARATOR}; write CMD_A {_SEPARATOR} CMD_B")
    return arms


def _is_recording(word: str) -> bool:
    path = word if os.path.exists(word) else word.partition("?")[0]
    return os.path.isfile(path) and not os.access(path, os.X_OK)


def _names(names: Sequence[str], count: int) -> list[str]:
    from energymeter.comparison.arms import letter

    if names and len(names) != count:
        raise SpecError(f"--name is given {len(names)} times for {count} arms: give one for each")
    return list(names) or [letter(number) for number in range(count)]


def _shared(options: dict[str, Any]) -> dict[str, Any]:
    """What every kind of comparison takes."""
    from energymeter.battery.battery import Battery

    return {
        "anyway": options["anyway"],
        "battery": Battery.parse(options["battery"]),
        "grid": grid_in(options["zone"]),
    }


# Commands -------------------------------------------------------------------------------------------------


def _compare_commands(lines: list[list[str]], options: dict[str, Any]) -> None:
    from energymeter.comparison.commands import shown
    from energymeter.comparison.comparison import Comparison
    from energymeter.comparison.interleaved import Arm, Interrupted, measure_arms
    from energymeter.comparison.runs import Folder, load_baseline, save_baseline

    if options["spans"] or options["paired"]:
        raise SpecError("--span and --paired are for recordings; leave them out")
    before = [] if options["baseline"] is None else list(load_baseline(options["baseline"]))
    if len(lines) < 2 and not before and options["save_baseline"] is None:
        raise SpecError(
            f"one command has nothing to be compared with; write CMD_A {_SEPARATOR} CMD_B, or give --baseline"
        )
    names = _names(options["names"], len(lines))
    if before and not options["names"]:
        names = [f"now {name}" if len(lines) > 1 else "now" for name in names]
    per = options["per"] or (1.0,)
    if len(per) not in (1, len(lines)):
        raise SpecError(
            f"--per is given {len(per)} times for {len(lines)} commands: give it once, or for each"
        )
    protocol = protocol_of(options)
    arms = [
        Arm(name, shown(line), call_of(line, options["units_regex"]), per[number % len(per)])
        for number, (name, line) in enumerate(zip(names, lines, strict=True))
    ]
    folder = Folder(options["out"] or new_folder(), protocol.plan(arms))
    shared = _shared(options)
    interrupted = False
    try:
        with ended_by_signals(), progress() as show:
            runs, idle = measure_arms(arms, protocol, meter_in(options), folder, progress=show)
    except Interrupted as stopped:
        runs, idle, interrupted = stopped.runs, stopped.idle, True
    click.echo(f"{len(runs)} of {len(arms) * protocol.runs} runs are kept in {folder.path}", err=True)
    if options["save_baseline"] is not None and not interrupted:
        first = [run for run in runs if run.arm == names[0]]
        save_baseline(options["save_baseline"], first, force=options["force"])
    notes = []
    if before:
        runs = [run._replace(arm="baseline") for run in before] + runs
        notes.append("the baseline was measured at another time: what changed since counts as a difference")
    if len({run.arm for run in runs}) > 1:
        _show(
            Comparison(
                runs, ["baseline"] * bool(before) + names, idle=idle, paired=not before, notes=notes, **shared
            ),
            options["as_json"],
            strictly=not interrupted,
        )
    elif not interrupted:
        click.echo(f"the baseline of {len(runs)} runs is in {options['save_baseline']}", err=True)
    if interrupted:
        click.echo(f"interrupted: the same command with --out {folder.path} continues", err=True)
        raise SystemExit(INTERRUPTED)


# Recordings -----------------------------------------------------------------------------------------------


def _compare_recordings(files: list[list[str]], options: dict[str, Any]) -> None:
    from energymeter.comparison.recorded import compare_recordings

    if len(files) < 2:
        raise SpecError("one recording has nothing to be compared with; give a second one")
    result = compare_recordings(
        files,
        names=_names(options["names"], len(files)),
        load=lambda path: loaded(path, "compare", quiet=options["as_json"]),
        per=options["per"],
        spans=[span_or_window(text) for text in options["spans"]],
        unit=options["unit"] or "",
        workload=options["workload"],
        paired=options["paired"],
        **_shared(options),
    )
    _show(result, options["as_json"])


def _show(result: Any, as_json: bool, *, strictly: bool = True) -> None:
    """Raises `NotComparable` where there is no verdict."""
    click.echo(json.dumps(result.to_dict()) if as_json else str(result))
    if strictly and not result.decided:
        reasons = [str(verdict) for verdict in result.verdicts if not verdict.enough or verdict.refused]
        raise NotComparable(f"no verdict: {reasons[0]}; measure more or alike, or see docs/compare.md")
