"""``energymeter plot``: a picture of recordings, or of a comparison."""

import os
from collections.abc import Sequence

import click

from energymeter.cli.options import Positive
from energymeter.errors import SpecError
from energymeter.report.picture import FORMATS, Picture, check_free, write

_PAGES = (".html", ".htm")


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path())
@click.option(
    "-o",
    "--out",
    required=True,
    type=click.Path(dir_okay=False),
    help="The picture: .png, .svg, .pdf or .html.",
)
@click.option("--title", default="", help="Of the picture; else the names of the files.")
@click.option("--channel", help="This channel alone; else those that count, added.")
@click.option("--histogram", is_flag=True, help="Also how long each power lasted.")
@click.option("--budget-mah", type=Positive(), help="A line across the charge, mAh.")
@click.option("--force", is_flag=True, help="Replace the file of -o if it exists.")
def plot(
    files: tuple[str, ...],
    out: str,
    title: str,
    channel: str | None,
    histogram: bool,
    budget_mah: float | None,
    force: bool,
) -> None:
    """Draw FILEs: power over time with spans and gaps, and what was used until then.

    Several recordings are drawn one over the other, by time from their start. The folder of a comparison or a
    sweep is drawn as intervals, or as energy against time or metric. An .html page can be zoomed.
    """
    ending = os.path.splitext(out)[1].lower()
    if ending not in (*FORMATS, *_PAGES):
        raise SpecError(f"{out} is no picture; give a name that ends with .png, .svg, .pdf or .html")
    check_free(out, force=force)  # before what may take long
    folders = [file for file in files if os.path.isdir(file)]
    if folders:
        for name, given in (("channel", channel), ("histogram", histogram), ("budget-mah", budget_mah)):
            if given:
                raise SpecError(f"--{name} is for recordings; leave it out")
        if len(files) > 1:
            raise SpecError("a comparison is drawn by itself; give one folder")
        if ending in _PAGES:
            raise SpecError("a comparison is drawn as .png, .svg or .pdf; name such a file with -o")
        _of_folder(files[0], title).save(out, force=force)
    elif ending in _PAGES:
        if histogram or budget_mah is not None:
            raise SpecError("--histogram and --budget-mah are for .png, .svg and .pdf; leave them out")
        from energymeter.report.interactive import interactive_page

        write(out, interactive_page(files, title=title, channel=channel), force=force)
    else:
        _of_files(files, title, channel, budget_mah, histogram).save(out, force=force)


def _of_files(
    files: Sequence[str], title: str, channel: str | None, budget_mah: float | None, histogram: bool
) -> Picture:
    from energymeter.report.plot import plot_traces

    return plot_traces(files, title=title, channel=channel, budget_mah=budget_mah, histogram=histogram)


def _of_folder(folder: str, title: str) -> Picture:
    from energymeter.report.decision_plot import plot_folder

    return plot_folder(folder, title=title)
