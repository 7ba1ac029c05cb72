"""``energymeter run``: measure a command."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from typing import Any

import click

from energymeter.cli.options import Positive, meter_of, metering, usage_text
from energymeter.errors import NotMeasured
from energymeter.meter.meter import EnergyMeter

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
@metering
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(
    source: str | None,
    repeat: int,
    warmup: int,
    idle_seconds: float | None,
    as_json: bool,
    command: tuple[str, ...],
    **options: Any,
) -> None:
    """Measure COMMAND. Its output, signals and exit code pass through; the result goes to standard error."""
    meter = meter_of(source, options)
    for _ in range(warmup):
        _stop_unless_zero(_run(command))
    if idle_seconds is not None:
        meter.idle(idle_seconds)
    code = 0
    with meter:
        for _ in range(repeat):
            with meter.span("run"):
                code = _run(command)
            if code:
                break
    try:
        click.echo(_result(meter, repeat, as_json), err=True)
    except NotMeasured as reason:
        if not code:
            raise
        click.echo(f"energymeter: {reason}", err=True)
    _stop_unless_zero(code)


def _result(meter: EnergyMeter, repeat: int, as_json: bool) -> str:
    if repeat == 1:
        return usage_text(meter.spans["run"].usage, as_json)
    runs = meter.spans["run"]
    if as_json:
        return json.dumps(
            {
                "runs": [usage.to_dict() for usage in runs.usages],
                "joules": runs.joules.to_dict(),
                "seconds": runs.seconds.to_dict(),
                "all": runs.usage.to_dict(),
            }
        )
    return f"each run: {runs.joules}\n          {runs.seconds}\ntogether: {runs.usage}"


def _run(command: Sequence[str]) -> int:
    """Run a command to its end; exit with a shell's code if it cannot start."""
    with _Relay() as relay:
        try:
            process = subprocess.Popen(command)
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
