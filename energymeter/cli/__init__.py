"""The ``energymeter`` command: each of its commands is a file here, loaded when it is used.

Results go to standard output, everything else to standard error. Exit codes are those of
`energymeter.errors`; ``run`` ends with the exit code of its command, and Ctrl-C gives 130.
"""

import contextlib
import errno
import importlib
import io
import os
import shlex
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import click

from energymeter.errors import EnergyMeterError, ExtraMissing
from energymeter.text import printable
from energymeter.version import __version__

INTERRUPTED = 130
_NOT_WRITTEN = (errno.EPIPE, errno.ENOSPC, errno.EIO, errno.EFBIG, errno.EDQUOT)
"""What a write to standard output meets: its reader has gone, or its disk is full."""
_COMMANDS = {
    "devices": "Sources on this machine; what is missing, and why.",
    "log": "Show and record what a source measures.",
    "live": "Power as a graph in the terminal, with rails, battery and grams.",
    "run": "Measure a command.",
    "serve": "Own the meters of this machine, for many readers.",
    "mark": "Mark a phase, from a program under `energymeter run`.",
    "compare": "Which of several commands or recordings uses less energy?",
    "sweep": "Energy over a grid of settings, and the settings worth having.",
    "calibrate": "Fit a meter against a reference and write its card.",
    "check": "Quality of a source: noise, zero, timing, resolution, aliasing.",
    "align": "Clock offset and drift between two recordings, from load steps.",
    "show": "Content of a recording: totals, gaps, source.",
    "plot": "Pictures of recordings and comparisons.",
    "report": "One page from recorded runs, or a card for other tools.",
    "export": "A recording for Perfetto, the Firefox Profiler or Chrome's tracing.",
    "verify": "Does a log prove its claim?",
    "push": "Recordings into a lake: Parquet files of many machines.",
    "lake": "Questions to a lake: rankings, regressions, coverage, a fleet's energy.",
    "budget": "Battery budgets: what is left, and for how long.",
    "carbon": "Grams of CO₂e of a recording, known zones, the cleanest time.",
}


_TYPED = "energymeter.typed"
_SUGGESTION = "say what is meant, as in "


def _as_typed(text: str, typed: Sequence[str]) -> str:
    """A question about a file, whose answer is the command that was typed, with what it lacks.

    >>> text = "load.csv: …; say what is meant, as in energymeter carbon 'load.csv?time_unit=ms'"
    >>> _as_typed(text, ["carbon", "load.csv", "--grid", "DEU"])
    "load.csv: …; say what is meant, as in energymeter carbon 'load.csv?time_unit=ms' --grid DEU"
    """
    before, marked, suggested = text.partition(_SUGGESTION)
    if not marked or suggested.startswith("energymeter show"):
        return text
    words = shlex.split(suggested) if suggested.startswith("energymeter ") else [suggested]
    file, _, options = words[-1].partition("?")
    for place, word in enumerate(typed):
        flag, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
        its_file, _, its_options = value.partition("?")
        if its_file == file:
            names = {pair.partition("=")[0] for pair in options.split("&")}
            kept = [pair for pair in its_options.split("&") if pair and pair.partition("=")[0] not in names]
            answered = f"{flag}{equals}{file}?{'&'.join([*kept, options])}"
            line = ["energymeter", *typed[:place], answered, *typed[place + 1 :]]
            return f"{before}{marked}{shlex.join(line)}"
    return text


class _Commands(click.Group):
    """Commands by file name, so that ``--help`` loads none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(f"energymeter.cli.{cmd_name}"), cmd_name)
        if ctx.obj is not None:
            ctx.obj()
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[_TYPED] = list(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except EnergyMeterError as error:  # some are EOFErrors or OSErrors, which click would handle itself
            said = _as_typed(str(error), ctx.meta[_TYPED])
            lines = map(printable, said.split("\n"))  # an error may quote a foreign file
            click.echo("energymeter: " + "\n".join(lines), err=True)
            ctx.exit(error.exit_code)
        except ModuleNotFoundError as missing:  # the command as one file leaves numpy to the system
            if missing.name != "numpy":
                raise
            click.echo("energymeter: this command needs numpy: apt install python3-numpy", err=True)
            ctx.exit(ExtraMissing.exit_code)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.command(cls=_Commands)
@click.version_option(__version__, prog_name="energymeter")
def cli() -> None:
    """What a piece of code costs in joules, mAh, grams of CO₂e and hours of battery left.

    A SOURCE is written driver@address?option=value, as in ina219@1:0x40. Several are joined by + (rails
    that add up) or , (the first counts). Without one, $ENERGYMETER_SOURCE or the best sensor here is used.
    """


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """A warning as one line, without the place in the code that raised it."""
    click.echo(f"energymeter: {printable(str(message))}", err=True)


def _output_failed(failure: OSError) -> int:
    """Say once why the output is not whole; of a reader that has gone, as `head` does, nothing is said."""
    if failure.errno != errno.EPIPE:
        click.echo(
            f"energymeter: the output cannot be written ({failure.strerror}); free some space", err=True
        )
    with contextlib.suppress(OSError):  # what is left in the buffer would fail again at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 1


def main(loaded: Callable[[], None] | None = None) -> None:
    """Run the command line and end the process with its exit code.

    Args:
        loaded: called once the command is loaded, before it runs.
    """
    warnings.showwarning = _show_warning
    warnings.simplefilter("default", RuntimeWarning)  # PYTHONWARNINGS is meant for programs under development
    if isinstance(sys.stdout, io.TextIOWrapper):  # as standard error does: in Latin-1 there is no ₂
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = cli.main(prog_name="energymeter", standalone_mode=False, obj=loaded)
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as failure:
        if failure.errno not in _NOT_WRITTEN or failure.filename is not None:
            raise
        code = _output_failed(failure)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    sys.exit(code if isinstance(code, int) else 0)
