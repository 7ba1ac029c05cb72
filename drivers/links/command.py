"""Link helper: programs that print what a sensor says, once or line after line."""

import subprocess
import threading
import time
from collections.abc import Sequence

from energymeter.drivers.links.sysfs import translated
from energymeter.errors import SourceError, SourceMissing, SourceTimeout


def output(command: Sequence[str], seconds: float, missing: str) -> str:
    """What a command prints on stdout, when it ends well in time.

    Raises:
        SourceMissing: there is no such program; ``missing`` says what to do.
        SourceTimeout: it did not end within ``seconds`` and was stopped.
        SourceError: it failed; its own words are in the message.
    """
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False
        )
    except FileNotFoundError:
        raise SourceMissing(f"{command[0]} is not installed here; {missing}") from None
    except subprocess.TimeoutExpired:
        raise SourceTimeout(
            f"`{' '.join(command)}` did not answer within {seconds:g} s; try it by hand"
        ) from None
    except OSError as error:
        raise translated(error, command[0]) from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip() or "no reason given"
        raise SourceError(f"`{' '.join(command)}` ended with code {done.returncode}: {said[:200]}")
    return done.stdout.decode("utf-8", "replace")


class Lines:
    """The newest line of a running program, stamped when it arrived by a thread that does nothing else."""

    def __init__(self, command: Sequence[str], missing: str) -> None:
        """Start the program.

        Raises:
            SourceMissing: there is no such program; ``missing`` says what to do.
            SourceError: it cannot be started.
        """
        self._arrived = threading.Condition()
        self._newest: tuple[int, str] | None = None
        try:
            self._program = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        except FileNotFoundError:
            raise SourceMissing(f"{command[0]} is not installed here; {missing}") from None
        except OSError as error:
            raise translated(error, command[0]) from error
        self._ended = False
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        assert self._program.stdout is not None
        with self._program.stdout as lines:
            for line in lines:
                with self._arrived:
                    self._newest = (time.monotonic_ns(), line.decode("utf-8", "replace"))
                    self._arrived.notify_all()
        with self._arrived:
            self._ended = True
            self._arrived.notify_all()

    @property
    def newest(self) -> tuple[int, str] | None:
        """When the newest line came (monotonic ns), and the line."""
        return self._newest

    @property
    def ended(self) -> bool:
        """True once the program has closed its output."""
        return self._ended

    def first(self, seconds: float) -> tuple[int, str] | None:
        """Wait for a first line, at most ``seconds``; None: none came."""
        with self._arrived:
            self._arrived.wait_for(lambda: self._newest is not None or self._ended, seconds)
        return self._newest

    def close(self) -> None:
        """Stop the program and collect it."""
        self._program.terminate()
        try:
            self._program.wait(1.0)
        except subprocess.TimeoutExpired:
            self._program.kill()
            self._program.wait()
