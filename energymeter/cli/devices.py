"""``energymeter devices``: what can be measured with here, what is missing, and why."""

import json
import shutil
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

import click

from energymeter.boards import Board, detect_board
from energymeter.cli.options import Positive
from energymeter.discovery.bug_report import bundle, write
from energymeter.discovery.choice import Choice, Finding, best, look, named, remember
from energymeter.discovery.ports import (
    DISTRIBUTION,
    NOT_SUPPORTED,
    Port,
    foreign_packages,
    how_to_wire,
    serial_ports,
)
from energymeter.text import significant

_WHAT = {
    "meter": "external meter",
    "board": "the board's own sensor",
    "package": "the processor's counters",
    "gauge": "battery gauge",
    "gpu": "GPU",
    "part": "shown, never chosen by itself",
}
_WIDEST = 100


@click.command()
@click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
@click.option(
    "--bundle", "file", type=click.Path(dir_okay=False), help="Also write all that was seen to a file."
)
@click.option(
    "--seconds", type=Positive(), default=3.0, show_default=True, help="How long to wait for answers."
)
def devices(as_json: bool, file: str | None, seconds: float) -> None:
    """Look for everything that can measure here, by one real reading each, and say what is missing.

    The file that --bundle writes is for a bug report: it holds no host, user or serial numbers.
    """
    findings = look(seconds)
    choice = named()
    if choice is None:
        choice = best(findings)
        remember(choice, findings)
    board, ports, foreign = detect_board(), serial_ports(), foreign_packages()
    report = _report(choice, findings, board, ports, foreign)
    if file is not None:
        write(file, bundle(report))
        click.echo(f"all that was seen is in {file}; read it before you attach it", err=True)
    if as_json:
        click.echo(json.dumps(report))
        return
    for line in _told(choice, findings, board, ports, foreign):
        click.echo(line)


def _report(
    choice: Choice, findings: list[Finding], board: Board | None, ports: list[Port], foreign: list[str]
) -> dict[str, Any]:
    """The same for programs."""
    return {
        "board": None if board is None else board.name,
        "board_has_sensor": None if board is None else bool(board.sensor_rails),
        "choice": choice._asdict(),
        "found": [_as_json(finding) for finding in findings if finding.usable],
        "missing": [_as_json(finding) for finding in findings if not finding.usable],
        "serial_ports": [port._asdict() for port in ports],
        "not_supported": NOT_SUPPORTED,
        "foreign_packages": foreign,
    }


def _as_json(finding: Finding) -> dict[str, Any]:
    told: dict[str, Any] = {"spec": finding.spec, "kind": finding.kind}
    if finding.facts is None:
        return {**told, "trouble": finding.trouble, "late": finding.late}
    facts = finding.facts
    return {
        **told,
        "watts": finding.watts,
        "provenance": facts.provenance,
        "place": facts.place,
        "semantics": facts.semantics,
        "channels": finding.channels,
        "beside": finding.beside,
    }


def _told(
    choice: Choice, findings: list[Finding], board: Board | None, ports: list[Port], foreign: list[str]
) -> Iterator[str]:
    yield f"board: {'none that is known here' if board is None else board.title}"
    if board is not None and not any(f.usable and f.kind in ("meter", "board") for f in findings):
        yield from (f"  {line}" for line in how_to_wire(board))
    yield from _wrapped(f"chosen: {choice.spec}, {choice.reason}", "  ")
    usable = [finding for finding in findings if finding.usable]
    if usable:
        yield "found:"
        yield from _table([_cells(finding) for finding in usable])
    yield "looked for and missing:"
    for finding in findings:
        if not finding.usable:
            yield from _wrapped(f"  {finding.spec}: {finding.trouble}", "    ")
    if ports:
        yield "serial ports, to be named if a meter is on one (as in um25c@/dev/rfcomm0):"
        yield from _table([list(port) for port in ports])
    yield "not supported yet:"
    for text in NOT_SUPPORTED.values():
        yield from _wrapped(f"  {text}", "    ")
    if foreign:
        yield from _wrapped(_warning(foreign), "  ")


def _cells(finding: Finding) -> list[str]:
    assert finding.facts is not None
    watts = "no power yet" if finding.watts is None else f"{significant(finding.watts)} W"
    channels = ", ".join(finding.channels)
    beside = f" (beside: {', '.join(finding.beside)})" if finding.beside else ""
    trust = f"{finding.facts.provenance} at the {finding.facts.place}"
    return [finding.spec, watts, trust, _WHAT[finding.kind], f"{channels}{beside}"]


def _warning(foreign: list[str]) -> str:
    names = " ".join(foreign)
    return (
        f"warning: {names} on this Python brings another module called energymeter, and whichever was "
        f"installed last wins: pip uninstall {names}, then install {DISTRIBUTION} again"
    )


def _table(rows: list[list[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _wrapped(text: str, indent: str) -> Iterable[str]:
    """Within the terminal, where there is one; a remedy of several lines keeps them."""
    width = min(shutil.get_terminal_size((_WIDEST, 24)).columns, _WIDEST)
    first, *others = text.split("\n")
    lines = textwrap.wrap(
        first, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return [*lines, *(f"{indent}{line}" for line in others)]
