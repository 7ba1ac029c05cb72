"""``energymeter report``: one page, or a card for other tools, from recorded runs."""

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from energymeter.cli.budget_options import battery_option, share
from energymeter.cli.options import Finite, Positive, loaded, span_or_window
from energymeter.errors import LogError, SpecError
from energymeter.units import amount

if TYPE_CHECKING:
    from energymeter.carbon.grid import Grid
    from energymeter.comparison.comparison import Comparison
    from energymeter.report.report import Report, Stated

_PAGES = {".html": "html", ".htm": "html", ".md": "md", ".tex": "tex", ".pdf": "pdf", ".json": "json"}
_CARDS = ("boamps", "huggingface", "spdx")
_SCALES = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "B": 1e9, "T": 1e12}
_MOST = 1e30
_MOST_TEXT = 500


def count(text: str) -> float:
    """A number above 0 that may end in k, M, G or T, as 25.6M."""
    number, prefix = amount(text) or (-1.0, "")
    found = number * _SCALES.get(prefix, -1.0)
    if not 0 < found < _MOST:
        raise click.BadParameter(f"{text!r} is no number above 0: write 4200000 or 4.2M")
    return found


def short(text: str) -> str:
    """A text of limited length."""
    if len(text) > _MOST_TEXT:
        raise click.BadParameter(f"a text of {len(text)} characters is too long: give {_MOST_TEXT} at most")
    return text


_EACH = " Once, or for each run."


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN…")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="x.html, .md, .tex, .pdf or .json.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["html", "md", "tex", "pdf", "json", *_CARDS]),
    help="By default as the output's name ends.",
)
@click.option("--force", is_flag=True, help="Replace the output if it exists.")
@click.option("--title", type=short, default="Energy report", show_default=True)
@click.option("--workload", type=short, default="", help="What the runs had to do, in a sentence.")
@click.option("--name", "names", type=short, multiple=True, help="Of the model or program." + _EACH)
@click.option(
    "--units", type=Positive(), multiple=True, help="Made in a run; with --span, in a call." + _EACH
)
@click.option("--unit", type=short, default="", help="What a unit is, as inference.")
@click.option("--span", help="Count this alone: a span by name, or a time as 30:90 (s from the start).")
@click.option(
    "--skip", type=click.IntRange(0, 1_000_000), default=0, help="First calls to leave out, as warm-up."
)
@click.option("--parameters", type=count, multiple=True, help="Of the model, as 4.2M." + _EACH)
@click.option("--flops", type=count, multiple=True, help="Of one unit, as 0.57G." + _EACH)
@click.option("--accuracy", "accuracies", type=share, multiple=True, help="As 71.7%." + _EACH)
@click.option("--batch", "batches", type=Positive(), multiple=True, help="Batch size." + _EACH)
@click.option("--input-size", "input_sizes", type=short, multiple=True, help="As 224x224x3." + _EACH)
@click.option(
    "--hardware", "hardwares", type=short, multiple=True, help="As 'Raspberry Pi 4 rev 1.4'." + _EACH
)
@click.option("--idle", type=short, help="A recording of the idle board, or its watts.")
@click.option("--grid", "zone", envvar="ENERGYMETER_GRID", help="Country code or name, as DEU; or world.")
@click.option("--region", help="US state, Canadian or Chinese province, Nordic zone, eGRID subregion.")
@click.option("--grams-per-kwh", type=Finite(min=0), help="Your own figure; needs --source.")
@click.option("--source", help="Where your figure comes from, and its year.")
@click.option(
    "--efficiency", type=Positive(max=1), help="Share of the socket's energy that reaches the meter."
)
@click.option("--board", help="Count making this board too, as pi-4.")
@click.option(
    "--years", type=Positive(max=1000), default=4.0, show_default=True, help="Lifetime of the board."
)
@click.option("--litres-per-kwh", type=Finite(min=0, max=1e6), help="Water of generation (EWIF).")
@battery_option
@click.option(
    "--comparison", type=click.Path(exists=True, file_okay=False), help="Folder of energymeter compare --out."
)
@click.option("--stage", type=click.Choice(["training", "finetuning", "inference"]), help="Of a card.")
@click.option("--task", type=short, help="Of a card, as 'image classification'.")
@click.option(
    "--data-type",
    type=click.Choice(
        ["tabular", "audio", "boolean", "image", "video", "object", "text", "token", "word", "other"]
    ),
    help="Of a card: what goes into the model.",
)
@click.option(
    "--infrastructure",
    type=click.Choice(["onPremise", "publicCloud", "privateCloud", "other"]),
    help="Of a card.",
)
def report(runs: tuple[str, ...], **options: Any) -> None:
    """One page from recorded RUNs: the tables of the course, the traces, the method, the hashes of the files.

    energymeter report run.csv -o report.html --units 100 --unit inference --grid DEU

    What is not known is an empty cell with the reason. With --format json, boamps, huggingface or spdx the
    answer is for programs and goes to standard output, unless -o names a file.
    """
    form, output = _form(options["form"], options["output"]), options["output"]
    if output is not None:
        _check_output(output, runs, force=options["force"])
    _write(_made(_report(runs, options), form, options), output)


def _form(form: str | None, output: str | None) -> str:
    """The format, by its option or by the name of the output."""
    if form is None and output is None:
        raise SpecError("say what to write: -o report.html, .md, .tex or .pdf, or --format json")
    ending = os.path.splitext(output or "")[1].lower()
    found = form or _PAGES.get(ending)
    if found is None:
        raise SpecError(f"a page does not end in {ending!r}; name .html, .md, .tex or .pdf, or give --format")
    if found == "pdf" and output is None:
        raise SpecError("a PDF is no text for the terminal; name its file with -o report.pdf")
    return found


def _check_output(output: str, runs: Sequence[str], *, force: bool) -> None:
    """Before anything is read. A recording is never replaced."""
    if not os.path.lexists(output):
        return
    for run in runs:
        path = run if os.path.exists(run) else run.partition("?")[0]
        if os.path.exists(path) and os.path.exists(output) and os.path.samefile(path, output):
            raise SpecError(f"{output} is a recording of this report; name another output")
    if not force:
        raise LogError(f"{output} exists; name another file, or use --force")


def _report(runs: Sequence[str], options: dict[str, Any]) -> "Report":
    from energymeter.battery.battery import Battery
    from energymeter.carbon.embodied import Embodied
    from energymeter.report.report import Report, Settings

    board = options["board"]
    span = None if options["span"] is None else span_or_window(options["span"])
    grid = _grid(options)
    battery = Battery.parse(options["battery"])
    settings = Settings(
        title=options["title"],
        workload=options["workload"],
        unit=options["unit"],
        span=span if isinstance(span, str) else None,
        window=span if isinstance(span, tuple) else None,
        skip=options["skip"],
        idle=options["idle"],
        grid=grid,
        supply=options["efficiency"],
        embodied=None if board is None else Embodied.board(board, lifetime_years=options["years"]),
        litres_per_kwh=options["litres_per_kwh"],
        battery=battery,
        comparison=_comparison(options["comparison"], battery, grid),
    )
    quiet = options["form"] in ("json", *_CARDS)
    return Report(
        runs, _stated(len(runs), options), settings, lambda path: loaded(path, "report", quiet=quiet)
    )


def _grid(options: dict[str, Any]) -> "Grid | None":
    given = {name: options[name] for name in ("region", "grams_per_kwh", "source")}
    if options["zone"] is None and not any(value is not None for value in given.values()):
        return None
    from energymeter.carbon.grid import Grid

    return Grid(options["zone"], **given)


def _comparison(path: str | None, battery: Any, grid: "Grid | None") -> "Comparison | None":
    if path is None:
        return None
    from energymeter.comparison.comparison import Comparison
    from energymeter.comparison.runs import load_folder

    names, runs, idle = load_folder(path)
    return Comparison(runs, names, idle=idle, battery=battery, grid=grid)


def _stated(count: int, options: dict[str, Any]) -> "list[Stated]":
    """What is stated of each run; an option that is given once is for all of them."""
    from energymeter.report.report import Stated

    found: dict[str, list[Any]] = {}
    for field, key in _FIELDS.items():
        values = options[key]
        if len(values) not in (0, 1, count) or (field == "name" and len(values) == 1 < count):
            flag = field.replace("_", "-")
            raise SpecError(f"--{flag} is given {len(values)} times for {count} runs; give it for each")
        found[field] = [*(values if len(values) == count else [*values] * count)] or [None] * count
    rows = [dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)]
    return [Stated(**{**row, "name": row["name"] or ""}) for row in rows]


_FIELDS = {
    "name": "names",
    "units": "units",
    "parameters": "parameters",
    "flops": "flops",
    "accuracy": "accuracies",
    "batch": "batches",
    "input_size": "input_sizes",
    "hardware": "hardwares",
}


def _made(made: "Report", form: str, options: dict[str, Any]) -> str | bytes:
    if form == "json":
        from energymeter.report.cards import everything

        return json.dumps(everything(made), ensure_ascii=False, allow_nan=False) + "\n"
    if form in _CARDS:
        from energymeter.report.cards import Task, card

        task = Task(options["stage"], options["task"], options["data_type"], options["infrastructure"])
        return card(made, form, task)
    from energymeter.report.page import render

    return render(made, form)


def _write(content: str | bytes, output: str | None) -> None:
    if output is None:
        click.echo(content, nl=False)
        return
    from energymeter.paths import replace_file

    try:
        replace_file(output, content)
    except OSError as failure:
        raise LogError(f"{output} cannot be written ({failure.strerror}); name another file") from failure
    click.echo(f"written: {output}", err=True)
