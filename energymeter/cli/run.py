"""``energymeter run``: measure a command."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from energymeter.cli.options import Positive, meter_of, metering
from energymeter.errors import NotMeasured
from energymeter.meter.meter import EnergyMeter
from energymeter.text import printable

if TYPE_CHECKING:
    from energymeter.report.phases import Lines

_NOT_EXECUTABLE, _NOT_FOUND = 126, 127
_FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT)
_FROM_PROGRAMS = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--source", help="The source to measure with.")
@click.option("--repeat", type=click.IntRange(min=1), default=1, help="Measured runs.", show_default=True)
@click.option("--warmup", type=click.IntRange(min=0), default=0, help="Runs before, not measured.")
@click.option(
    "--idle", "idle_seconds", type=Positive(), help="First measure this many seconds of doing nothing."
)
@click.option(
    "--phase-on",
    "pattern",
    metavar="REGEX",
    help="A phase begins where the command prints a line that matches; a group names it.",
)
@metering
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(
    source: str | None,
    repeat: int,
    warmup: int,
    idle_seconds: float | None,
    pattern: str | None,
    as_json: bool,
    command: tuple[str, ...],
    **options: Any,
) -> None:
    """Measure COMMAND. Its output, signals and exit code pass through; the result goes to standard error.

    COMMAND may mark its phases with `energymeter mark NAME start` and `energymeter mark NAME stop`.
    """
    from energymeter.report.phases import Lines, Phases, receiving

    meter = meter_of(source, options)
    phases = Phases(meter)
    lines = None if pattern is None else Lines(pattern, phases)
    with contextlib.ExitStack() as stack:
        environment, take_marks = {**os.environ}, None
        try:
            marks, take_marks = stack.enter_context(receiving(phases))
            environment |= marks
        except OSError as failure:
            click.echo(f"energymeter: marks are unavailable: {failure.strerror}", err=True)
        for _ in range(warmup):
            _stop_unless_zero(_run(command, environment))
        if idle_seconds is not None:
            meter.idle(idle_seconds)
        code = 0
        with meter:
            phases.begin()
            for _ in range(repeat):
                with meter.span("run"):
                    code = _run(command, environment, lines)
                end_ns = time.monotonic_ns()
                if take_marks is not None:  # what the command sent last may not have been taken yet
                    take_marks()
                phases.stop_all(end_ns)
                if code:
                    break
            stack.close()  # what was sent has arrived
            phases.stop_all(time.monotonic_ns())
    for note in [*phases.notes(), *(lines.notes() if lines is not None else [])]:
        click.echo(f"energymeter: {note}", err=True)
    try:
        click.echo(_result(meter, repeat, phases.names, as_json), err=True)
    except NotMeasured as reason:
        if not code:
            raise
        click.echo(f"energymeter: {reason}", err=True)
    _stop_unless_zero(code)


def _result(meter: EnergyMeter, repeat: int, phases: Sequence[str], as_json: bool) -> str:
    runs = meter.spans["run"]
    if as_json:
        found: dict[str, Any] = runs.usage.to_dict()
        if repeat > 1:
            found = {
                "runs": [usage.to_dict() for usage in runs.usages],
                "joules": runs.joules.to_dict(),
                "seconds": runs.seconds.to_dict(),
                "all": found,
            }
        if phases:
            found["phases"] = {name: _phase(meter, name) for name in phases}
        return json.dumps(found)
    whole = f"each run: {runs.joules}\n          {runs.seconds}\ntogether: {runs.usage}"
    return "\n".join([whole if repeat > 1 else str(runs.usage), *(_phase_text(meter, n) for n in phases)])


def _phase(meter: EnergyMeter, name: str) -> dict[str, Any] | None:
    """The calls of a phase together, and how many there were; None: they were not measured."""
    try:
        return {"calls": len(meter.spans[name]), **meter.spans[name].usage.to_dict()}
    except NotMeasured:
        return None


def _phase_text(meter: EnergyMeter, name: str) -> str:
    calls = len(meter.spans[name])
    counted = f", {calls} times" if calls > 1 else ""
    try:
        usage = meter.spans[name].usage
    except NotMeasured as reason:
        return f"phase {name}{counted}: not measured: {printable(str(reason))}"
    return f"phase {name}{counted}: {usage}"


def _run(command: Sequence[str], environment: dict[str, str], lines: "Lines | None" = None) -> int:
    """Run a command to its end; exit with a shell's code if it cannot start."""
    from energymeter.report.phases import pass_through

    with _Relay() as relay:
        try:
            process = subprocess.Popen(
                command, env=environment, stdout=None if lines is None else subprocess.PIPE
            )
        except OSError as error:
            absent = isinstance(error, FileNotFoundError)
            if "/" not in command[0]:  # then a folder on PATH that this user may not read gives another error
                absent = shutil.which(command[0], os.F_OK) is None
            if absent:
                click.echo(f"energymeter: there is no command {command[0]!r}; check its name", err=True)
                raise SystemExit(_NOT_FOUND) from None
            click.echo(f"energymeter: {command[0]!r} cannot be executed: {error.strerror}", err=True)
            raise SystemExit(_NOT_EXECUTABLE) from None
        with process:
            relay.to(process)
            if lines is not None:
                pass_through(process, lines, sys.stdout.fileno())
            code = process.wait()
    return 128 - code if code < 0 else code


class _Relay:
    """Forwards signals to the command, except those that the terminal sends to it directly.

    The handlers are in place before the command starts, so that no signal is lost. A signal that is ignored,
    as under nohup, stays ignored.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []

    def __enter__(self) -> "_Relay":
        handled = [n for n in (*_FROM_TERMINAL, *_FROM_PROGRAMS) if signal.getsignal(n) != signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._pass_on) for number in handled}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def to(self, process: "subprocess.Popen[bytes]") -> None:
        """Forward signals to this process from now on, and those that came before."""
        self._process = process
        while self._early:
            process.send_signal(self._early.pop(0))

    def _pass_on(self, number: int, _: object) -> None:
        if number in _FROM_TERMINAL and _in_foreground():
            return
        if self._process is None:
            self._early.append(number)
        else:
            self._process.send_signal(number)


def _in_foreground() -> bool:
    """Whether Ctrl-C on the terminal reaches this process group, and with it the command."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    finally:
        os.close(terminal)


def _stop_unless_zero(code: int) -> None:
    if code:
        raise SystemExit(code)
