"""``energymeter run``: measure a command."""

import json
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from energymeter.cli.options import meter_of, metering, told
from energymeter.meter import EnergyMeter

_NOT_EXECUTABLE, _NOT_FOUND = 126, 127


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--source", help="What to measure with.")
@click.option("--repeat", type=click.IntRange(min=1), default=1, help="Measured runs.", show_default=True)
@click.option("--warmup", type=click.IntRange(min=0), default=0, help="Runs before, not measured.")
@click.option("--idle", "idle_seconds", type=float, help="First measure this many seconds of doing nothing.")
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
    """Measure COMMAND; its output, signals and exit code pass through, the result is on standard error."""
    meter = meter_of(source, options)
    for _ in range(warmup):
        _stop_unless_zero(_run(command))
    if idle_seconds:
        meter.idle(idle_seconds)
    code = 0
    with meter:
        for _ in range(repeat):
            with meter.span("run"):
                code = _run(command)
            if code:
                break
    click.echo(_result(meter, repeat, as_json), err=True)
    _stop_unless_zero(code)


def _result(meter: EnergyMeter, repeat: int, as_json: bool) -> str:
    if repeat == 1:
        return told(meter.spans["run"].usage._replace(idle=meter.usage.idle), as_json)
    runs = meter.spans["run"]
    if as_json:
        return json.dumps(
            {
                "runs": [usage.to_dict() for usage in runs.usages],
                "joules": runs.joules._asdict(),
                "seconds": runs.seconds._asdict(),
                "all": runs.usage.to_dict(),
            }
        )
    return f"each run: {runs.joules} J\n          {runs.seconds} s\ntogether: {runs.usage}"


def _run(command: Sequence[str]) -> int:
    try:
        with subprocess.Popen(command) as process, _passing_signals_to(process):
            code = process.wait()
    except FileNotFoundError:
        click.echo(f"energymeter: there is no command {command[0]!r}.", err=True)
        return _NOT_FOUND
    except PermissionError:
        click.echo(f"energymeter: {command[0]!r} may not be executed.", err=True)
        return _NOT_EXECUTABLE
    return 128 - code if code < 0 else code


@contextmanager
def _passing_signals_to(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """The command gets our SIGTERM and SIGHUP; Ctrl-C reaches it from the terminal by itself."""
    handlers: dict[signal.Signals, Any] = {
        signal.SIGTERM: lambda number, _: process.send_signal(number),
        signal.SIGHUP: lambda number, _: process.send_signal(number),
        signal.SIGINT: lambda *_: None,
    }
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop_unless_zero(code: int) -> None:
    if code:
        raise SystemExit(code)
