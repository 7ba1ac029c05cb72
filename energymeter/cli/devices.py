"""``energymeter devices``: what can be measured with here, what is missing, and why."""

import json
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

import click

from energymeter.boards import Board, detect_board
from energymeter.cli.options import Positive, json_option
from energymeter.clock import SystemClock
from energymeter.discovery.bug_report import bundle, names_of, refuse_existing, write
from energymeter.discovery.choice import Choice, Finding, best, find, named, remember
from energymeter.discovery.permissions import permissions
from energymeter.discovery.ports import (
    DISTRIBUTION,
    NOT_SUPPORTED,
    Port,
    foreign_packages,
    how_to_wire,
    serial_ports,
)
from energymeter.errors import SourceMissing, SpecError
from energymeter.sampling import priority
from energymeter.spec import parse
from energymeter.text import aligned, printable, significant

_WHAT = {
    "meter": "external meter",
    "board": "the board's own sensor",
    "package": "the processor's counters",
    "gauge": "battery gauge",
    "gpu": "GPU",
    "part": "shown, not chosen by itself",
}
_WIDEST = 100


@click.command()
@json_option
@click.option(
    "--bundle",
    "file",
    type=click.Path(dir_okay=False),
    help="Also write all that was found to a file.",
)
@click.option(
    "--seconds", type=Positive(), default=3.0, show_default=True, help="Seconds to wait for answers."
)
@click.option(
    "--permissions", "print_permissions", is_flag=True, help="Print udev rules and groups to paste."
)
@click.option("--acceptance", metavar="SOURCE", help="Check SOURCE on real hardware and write a report.")
@click.option(
    "--minutes", type=Positive(max=1440), default=10.0, show_default=True, help="Duration of --acceptance."
)
@click.option("--channel", default="", help="The channel for --acceptance, if SOURCE has several.")
@click.option(
    "--report", type=click.Path(dir_okay=False), help="File of --acceptance.  [acceptance-DRIVER.md]"
)
def devices(
    as_json: bool,
    file: str | None,
    seconds: float,
    print_permissions: bool,
    acceptance: str | None,
    minutes: float,
    channel: str,
    report: str | None,
) -> None:
    """Probe for everything that can measure here, by one reading each, and show what is missing and why.

    The file that --bundle writes is for a bug report, without the names of hosts and users or serial numbers.
    The report of --acceptance is, too; without a terminal, the checks that need hands are left out.
    """
    if print_permissions:
        click.echo(permissions(), nl=False)
        return
    if acceptance is not None:
        _accept(acceptance, minutes, channel, report, as_json)
        return
    findings = find(seconds)
    choice = named()
    if choice is not None:
        choice = choice._replace(spec=names_of(choice.spec))
    else:
        choice = best(findings)
        remember(choice, findings)
    board, foreign = detect_board(), foreign_packages()
    try:
        ports = serial_ports()
    except SourceMissing as missing:
        click.echo(f"warning: {missing}", err=True)
        ports = []
    answer = _report(choice, findings, board, ports, foreign)
    if file is not None:
        write(file, bundle(answer))
        click.echo(f"everything that was found is in {file}; read it before you attach it", err=True)
    if as_json:
        click.echo(json.dumps(answer))
        return
    for line in _lines(choice, findings, board, ports, foreign):
        click.echo(printable(line))  # devices choose their names


def _accept(text: str, minutes: float, channel: str, path: str | None, as_json: bool) -> None:
    """Check one source and write the report."""
    from energymeter.discovery.acceptance import Acceptance

    groups = parse(text)
    if len(groups) != 1 or len(groups[0]) != 1:
        raise SpecError("several sources were named: check one at a time")
    spec = groups[0][0]
    path = path or f"acceptance-{spec.driver}.md"
    refuse_existing(path)  # before ten minutes of work, and again when it is written
    person = _AtTerminal() if sys.stdin.isatty() else None
    checks = Acceptance(spec.build(), spec.driver, spec.options, SystemClock(), person, channel).run(minutes)
    write(path, checks.markdown())
    if as_json:
        click.echo(json.dumps({**checks._asdict(), "checks": [check._asdict() for check in checks.checks]}))
    else:
        for line in _table([[printable(cell) for cell in check.row()] for check in checks.checks]):
            click.echo(line)
    click.echo(f"the report is in {path}; read it before you attach it", err=True)


class _AtTerminal:
    """The person at this terminal."""

    def ask(self, question: str) -> str:
        answer: str = click.prompt(question, default="", show_default=False, err=True)
        return answer

    def say(self, text: str) -> None:
        click.echo(text, err=True)


def _report(
    choice: Choice, findings: list[Finding], board: Board | None, ports: list[Port], foreign: list[str]
) -> dict[str, Any]:
    """Everything, as JSON types."""
    return {
        "board": None if board is None else board.name,
        "board_has_sensor": None if board is None else bool(board.sensor_rails),
        "choice": choice._asdict(),
        "sampling_priority": priority.granted(),
        "found": [_as_json(finding) for finding in findings if finding.usable],
        "missing": [_as_json(finding) for finding in findings if not finding.usable],
        "serial_ports": [port._asdict() for port in ports],
        "not_supported": NOT_SUPPORTED,
        "foreign_packages": foreign,
    }


def _as_json(finding: Finding) -> dict[str, Any]:
    source = {"spec": finding.spec, "kind": finding.kind}
    if finding.facts is None:
        return {**source, "error": finding.error, "late": finding.late}
    facts = finding.facts
    return {
        **source,
        "watts": finding.watts,
        "provenance": facts.provenance,
        "place": facts.place,
        "semantics": facts.semantics,
        "channels": finding.channels,
        "excluded": finding.excluded,
    }


def _lines(
    choice: Choice, findings: list[Finding], board: Board | None, ports: list[Port], foreign: list[str]
) -> Iterator[str]:
    yield f"board: {'not known' if board is None else board.title}"
    if board is not None and not any(f.usable and f.kind in ("meter", "board") for f in findings):
        yield from (f"  {line}" for line in how_to_wire(board))
    yield from _wrapped(f"chosen: {choice.spec}, {choice.reason}", "  ")
    yield from _wrapped(f"sampling priority: {priority.described(priority.granted())}", "  ")
    usable = [finding for finding in findings if finding.usable]
    if usable:
        yield "found:"
        yield from _table([_cells(finding) for finding in usable])
    yield "not available:"
    for finding in findings:
        if not finding.usable:
            yield from _wrapped(f"  {finding.spec}: {finding.error}", "    ")
    if ports:
        yield "serial ports; if a meter is on one, name it as in um25c@/dev/rfcomm0:"
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
    excluded = f" (not in the total: {', '.join(finding.excluded)})" if finding.excluded else ""
    trust = f"{finding.facts.provenance} at the {finding.facts.place}"
    return [finding.spec, watts, trust, _WHAT[finding.kind], f"{channels}{excluded}"]


def _warning(foreign: list[str]) -> str:
    names = " ".join(foreign)
    return (
        f"warning: {names} on this Python contains another module called energymeter, and the one "
        f"installed last is used: pip uninstall {names}, then install {DISTRIBUTION} again"
    )


def _table(rows: list[list[str]]) -> list[str]:
    return [f"  {line}" for line in aligned(rows)]


def _wrapped(text: str, indent: str) -> Iterable[str]:
    """Wrapped to the width of the terminal; a remedy of several lines keeps its lines."""
    width = min(shutil.get_terminal_size((_WIDEST, 24)).columns, _WIDEST)
    first, *others = text.split("\n")
    lines = textwrap.wrap(
        first, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return [*lines, *(f"{indent}{line}" for line in others)]
