"""Starts a child process of this package with a bare interpreter, and talks to it."""

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

from energymeter.errors import SamplerError
from energymeter.sampling.descriptors import Descriptor, anonymous_file, close, inherited, pipe

_HERE = os.path.dirname(os.path.abspath(__file__))
_ROOT = os.path.dirname(os.path.dirname(_HERE))
_SCRIPT = os.path.join(_HERE, "child.py")
_FROM_ARCHIVE = (
    "import sys; sys.path.insert(0, sys.argv[1]); from energymeter.sampling.child import main; main()"
)
_PYTHON = re.compile(r"(python|pypy)[\d.]*t?d?(-dbg)?")
"""The names of interpreters; a program that embeds Python has another one, and must not be started again."""
_LONGEST_LINE = 1 << 20
_REAP_SECONDS = 15.0

_children: "weakref.WeakSet[Child]" = weakref.WeakSet()


def interpreter() -> str | None:
    """The Python that can run a child; ``None``: a frozen program, or one that embeds Python and no more."""
    if getattr(sys, "frozen", False) or not (os.path.isfile(_SCRIPT) or _archive()):
        return None
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    here = os.path.join(sys.base_exec_prefix, "bin", version)
    for path in (sys.executable, getattr(sys, "_base_executable", None), here):
        if path and _PYTHON.fullmatch(os.path.basename(path)) and os.path.isfile(path):
            return path
    return None


def _archive() -> bool:
    """Whether this package lies in a zip file, as in a zipapp."""
    folder = _ROOT
    while not os.path.exists(folder) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    return os.path.isfile(folder)


class Child:
    """A process that got a job and answers in lines; it ends when asked, or with the program.

    Args:
        process: it.
        wake: both ends of its standard input. The reading end is kept so that writing never raises SIGPIPE.
        answer: the reading end of its standard output, which ends with it.
    """

    def __init__(
        self, process: "subprocess.Popen[bytes]", wake: tuple[Descriptor, Descriptor], answer: Descriptor
    ) -> None:
        self.pid = process.pid
        self._process = process
        self._wake = wake
        self._answer = answer
        self._unread = b""
        _children.add(self)

    def alive(self) -> bool:
        return self._process.poll() is None

    def lines(self, deadline: float) -> Iterator[bytes]:
        """What it says, line by line, until it ends or ``time.monotonic()`` is past the deadline."""
        while self._readable(deadline - time.monotonic()):
            piece = os.read(self._answer.fd, 65_536)
            *lines, self._unread = (self._unread + piece).split(b"\n")
            yield from lines
            if not piece or len(self._unread) > _LONGEST_LINE:
                return

    def wake(self) -> None:
        """Make whatever waits in it look at what is asked."""
        if self._wake[1].ours():
            os.write(self._wake[1].fd, b"!")
        with contextlib.suppress(OSError):  # it may be stopped, and the program may have lost its rights
            self._process.send_signal(signal.SIGCONT)

    def wait(self, seconds: float) -> bool:
        """Wait for its end; True if it has ended."""
        end = time.monotonic() + seconds
        ending = not self._answer.ours()
        while not ending and self._readable(end - time.monotonic()):
            ending = not os.read(self._answer.fd, 65_536)
        if ending:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(max(0.01, end - time.monotonic()))
        return not self.alive()

    def kill(self) -> None:
        """End it by force, without waiting."""
        with contextlib.suppress(OSError):
            self._process.kill()

    def release(self) -> None:
        """Close what connects it; one that has not ended is waited for by a thread, and killed in the end."""
        close((*self._wake, self._answer))
        if self.alive():
            threading.Thread(target=self._reap, name="energymeter-reaper", daemon=True).start()

    def forget(self) -> None:
        """It is the child of another process, which forked this one."""
        self._process.returncode = 0

    def _reap(self) -> None:
        try:
            self._process.wait(_REAP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()

    def _readable(self, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._answer.fd, select.POLLIN)
        return bool(poll.poll(max(0.0, seconds) * 1e3))


def spawn(config: dict[str, Any], pass_fds: Sequence[int] = (), stderr: int = subprocess.DEVNULL) -> Child:
    """Start a child with its job.

    Args:
        config: what it shall do; must be JSON. The program's import path is added.
        pass_fds: descriptors that it inherits.
        stderr: where its last words go.

    Raises:
        SamplerError: it cannot be started.
    """
    python = interpreter()
    if python is None:
        raise SamplerError(
            "this program has no Python interpreter that could be started next to it (it is frozen, or "
            "embeds Python); name the source, as in EnergyMeter('rapl')"
        )
    mine: list[Descriptor] = []
    theirs: list[Descriptor] = []
    try:
        wake = pipe()
        mine += wake
        answer, its_answer = pipe()
        mine.append(answer)
        theirs.append(its_answer)
        job = anonymous_file("energymeter-job")
        theirs.append(job)
        with open(job.fd, "wb", closefd=False) as file:
            file.write(json.dumps({**config, "path": _import_path()}).encode())
        how = [_SCRIPT] if os.path.isfile(_SCRIPT) else ["-c", _FROM_ARCHIVE, _ROOT]
        passed = (*pass_fds, job.fd)
        with inherited((wake[0].fd, its_answer.fd, stderr, *passed)):
            process = subprocess.Popen(
                # -I ignores PYTHONUTF8: names of files must be the same bytes there as here
                [python, "-I", "-S", "-X", f"utf8={sys.flags.utf8_mode}", *how, str(job.fd)],
                stdin=wake[0].fd,
                stdout=its_answer.fd,
                stderr=stderr,
                pass_fds=passed,
                start_new_session=True,  # the terminal's Ctrl-C and Ctrl-Z are for the program
            )
    except OSError as failure:  # too many processes, too many open files
        close(mine)
        raise SamplerError(
            f"the sampling process could not be started: {failure.strerror}; close files or end processes, "
            "or raise the limit (ulimit -n, ulimit -u)"
        ) from failure
    except BaseException:
        close(mine)
        raise
    finally:
        close(theirs)
    return Child(process, wake, answer)


def _import_path() -> list[str]:
    """Where this program finds modules, packages first and the script's own folder last."""
    entries = []
    for entry in sys.path:
        with contextlib.suppress(TypeError, OSError):  # not a path; the current folder was removed
            entries.append(os.path.abspath(os.fsdecode(entry)))
    return [_ROOT, *entries[1:], *entries[:1]]


def _forked() -> None:
    for child in list(_children):
        child.forget()


os.register_at_fork(after_in_child=_forked)
