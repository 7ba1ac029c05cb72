"""Commands as arms: run to their end, with a number of units or a metric read from their output."""

import re
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from typing import IO

from energymeter.comparison.interleaved import Work
from energymeter.errors import CommandFailed, SpecError
from energymeter.text import printable
from energymeter.units import number

_MOST_BYTES = 1 << 20
"""What is kept of the output: its end."""


def pattern(text: str, option: str) -> "re.Pattern[str]":
    """A regular expression whose first group, or whole match, is a number.

    Raises:
        SpecError: it is none.
    """
    try:
        return re.compile(text, re.MULTILINE)
    except re.error as error:
        raise SpecError(f"{option} {text!r} is no regular expression ({error}); correct it") from None


def command(
    words: Sequence[str],
    *,
    units: "re.Pattern[str] | None" = None,
    metric: "re.Pattern[str] | None" = None,
) -> Callable[[], Work]:
    """A call that runs a command to its end. Its output is discarded unless it is searched.

    The call raises:
        SpecError: there is no such command.
        CommandFailed: it failed; the message has the end of its standard error.
        NotMeasured: it printed no number where one is expected.
    """

    def call() -> Work:
        searched = units is not None or metric is not None
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            quiet = out if searched else subprocess.DEVNULL
            try:
                done = subprocess.run(
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=quiet,
                    stderr=err,
                    check=False,
                )
            except OSError as error:
                raise SpecError(
                    f"{printable(words[0])!r} cannot be run ({error.strerror}); check its name"
                ) from None
            if done.returncode:
                raise _failed(words, done.returncode, err)
            text = _end_of(out) if searched else ""
        return Work(
            None if units is None else _found(units, text, words),
            None if metric is None else _found(metric, text, words),
        )

    return call


def _found(wanted: "re.Pattern[str]", text: str, words: Sequence[str]) -> float:
    """The number of the last match."""
    value = None
    for match in wanted.finditer(text):
        value = number(match[1] if wanted.groups else match[0])
    if value is None:
        raise SpecError(
            f"the output of `{shown(words)}` has no number where {wanted.pattern!r} matches; correct the "
            "pattern"
        )
    return value


def _failed(words: Sequence[str], code: int, err: IO[bytes]) -> CommandFailed:
    lines = _end_of(err).strip().splitlines()
    why = f": {printable(lines[-1][:200])}" if lines else ""
    failure = CommandFailed(f"`{shown(words)}` failed with exit code {code}{why}; run it by itself first")
    failure.exit_code = 128 - code if code < 0 else code
    return failure


def _end_of(file: IO[bytes]) -> str:
    file.seek(max(0, file.seek(0, 2) - _MOST_BYTES))
    return file.read().decode("utf-8", "replace")


def shown(words: Sequence[str]) -> str:
    """A command line as one would type it."""
    return printable(shlex.join(words))
