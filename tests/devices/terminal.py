"""The ``energymeter`` command as people run it, in a pipe or on a terminal; or called in this process."""

import fcntl
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path

from click.testing import CliRunner

from devices.processes import PATIENCE_SECONDS, every_signal_counts
from energymeter.cli import cli

ROOT = Path(__file__).parents[2]
_COMMAND = [sys.executable, "-c", "from energymeter.cli import main; main()"]


def environment(**others: str) -> dict[str, str]:
    """This one, importing this tree."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120", "PYTHONUNBUFFERED": "1", **others}


def in_pipe(*arguments: str | bytes, **others: str) -> "subprocess.CompletedProcess[str]":
    """Run it to its end."""
    return subprocess.run(
        [*_COMMAND, *arguments], capture_output=True, encoding="utf-8", check=False, timeout=PATIENCE_SECONDS,
        env=environment(**others),
    )  # fmt: skip


def in_process(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Call it here, which saves a start: where no signal, no other stream and no traceback matters."""
    done = CliRunner().invoke(cli, arguments, prog_name="energymeter", catch_exceptions=False)
    return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)


def started(*arguments: str) -> "subprocess.Popen[str]":
    """Start it in a session of its own, without a terminal."""
    return subprocess.Popen(
        [*_COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
        env=environment(), start_new_session=True, preexec_fn=every_signal_counts,
    )  # fmt: skip


class Terminal:
    """A process on a pseudo-terminal, with what it wrote there."""

    def __init__(self, *arguments: str, program: Sequence[str] = _COMMAND, **others: str) -> None:
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [*program, *arguments], stdin=slave, stdout=slave, stderr=slave,
            env=environment(**{"TERM": "xterm", **others}), preexec_fn=_own_terminal,
        )  # fmt: skip
        os.close(slave)
        self.written = ""

    def wait_for(self, pattern: str) -> None:
        """Read until a pattern stands there."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        while not re.search(pattern, self.written):
            assert time.monotonic() < give_up, f"{pattern!r} never came: {self.written!r}"
            assert self._read(0.1), f"it ended without {pattern!r}: {self.written!r}"

    def type(self, keys: bytes) -> None:
        """Press keys; ``b"\\x03"`` is Ctrl-C."""
        os.write(self._master, keys)

    def end(self) -> int:
        """Read to the end; the exit code."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        while self._read(0.1):
            assert time.monotonic() < give_up, f"it does not end: {self.written!r}"
        os.close(self._master)
        return self.process.wait(PATIENCE_SECONDS)

    def _read(self, seconds: float) -> bool:
        if not select.select([self._master], (), (), seconds)[0]:
            return True
        try:
            data = os.read(self._master, 4096)
        except OSError:  # the other side is closed
            return False
        self.written += data.decode("utf-8", "replace")
        return bool(data)


def _own_terminal() -> None:
    every_signal_counts()
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
