"""Starts a child process of this package with a bare interpreter, and talks to it."""

from __future__ import annotations

import os
import select
import sys
import threading
import time
import weakref

from energymeter.errors import SamplerError
from energymeter.lazy import TYPE_CHECKING, suppress
from energymeter.sampling.descriptors import Descriptor, anonymous_file, close, pipe, remedy
from energymeter.sampling.messages import packed

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterator, Sequence
    from typing import Any
else:
    import _signal as signal  # `signal` makes enums of its numbers, which takes half of a bare start

_HERE = os.path.dirname(os.path.abspath(__file__))
_ROOT = os.path.dirname(os.path.dirname(_HERE))
_CHILD = os.path.join(_HERE, "child.py")
_PROGRAM = "import sys; sys.path.append(sys.argv[1]); from energymeter.sampling.child import main; main()"
"""Python keeps what it compiles of a module, and not of a script: a seventh of the child's start."""
_LONGEST_LINE = 1 << 20
_REAP_SECONDS = 15.0
_LOOK_SECONDS = (0.0005, 0.05)
"""Pauses while a process is waited for: the first, and the longest."""

_children: weakref.WeakSet[Child] = weakref.WeakSet()


def interpreter() -> str | None:
    """The Python that can run a child; ``None``: a frozen program, or one that embeds Python and no more."""
    if getattr(sys, "frozen", False) or not (os.path.isfile(_CHILD) or _archive()):
        return None
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    here = os.path.join(sys.base_exec_prefix, "bin", version)
    for path in (sys.executable, getattr(sys, "_base_executable", None), here):
        if path and is_python(os.path.basename(path)) and os.path.isfile(path):
            return path
    return None


def is_python(name: str) -> bool:
    """Whether an interpreter has this name; a program that embeds Python must not be started again.

    >>> is_python("python3.13t"), is_python("pypy3"), is_python("python-app"), is_python("uwsgi")
    (True, True, False, False)
    """
    version = name.removesuffix("-dbg").removesuffix("d").removesuffix("t")
    return version.rstrip("0123456789.") in ("python", "pypy")


def _archive() -> bool:
    """Whether this package lies in a zip file, as in a zipapp."""
    folder = _ROOT
    while not os.path.exists(folder) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    return os.path.isfile(folder)


class _Process:
    """A child of this process, until it is waited for."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.ended = False

    def has_ended(self) -> bool:
        # No lock: an exception that arrives in here would leave it held. The second to ask finds no child.
        if not self.ended:
            try:
                self.ended = os.waitpid(self.pid, os.WNOHANG)[0] == self.pid
            except ChildProcessError:  # waited for: by another thread, or by the program, with all it had
                self.ended = True
        return self.ended

    def send(self, number: int) -> None:
        """Send a signal, if it has not ended.

        Its number stands for another process only once the kernel has used all others, which takes longer
        than the step from the question to the signal.

        Raises:
            OSError: it has other rights now.
        """
        if not self.has_ended():
            os.kill(self.pid, number)

    def wait(self, seconds: float) -> bool:
        """Wait for its end; True if it has ended."""
        end = time.monotonic() + seconds
        pause, longest = _LOOK_SECONDS
        while not self.has_ended():
            left = end - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(pause, left))
            pause = min(2 * pause, longest)
        return True


class Child:
    """A process that got a job and answers in lines; it ends when asked, or with the program.

    Args:
        process: it.
        wake: both ends of its standard input. The reading end is kept so that writing never raises SIGPIPE.
        answer: the reading end of its standard output, which ends with it.
    """

    def __init__(self, process: _Process, wake: tuple[Descriptor, Descriptor], answer: Descriptor) -> None:
        self.pid = process.pid
        self._process = process
        self._wake = wake
        self._answer = answer
        self._unread = b""
        _children.add(self)

    def alive(self) -> bool:
        return not self._process.has_ended()

    def answers(self) -> bool:
        """Whether it is alive and can be woken."""
        return self._wake[1].ours() and self.alive()

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
            with suppress(BlockingIOError):  # the pipe is full: it has not looked for long
                os.write(self._wake[1].fd, b"!")
        with suppress(OSError):  # it may be stopped, and the program may have lost its rights
            self._process.send(signal.SIGCONT)

    def wait(self, seconds: float) -> bool:
        """Wait for its end; True if it has ended."""
        end = time.monotonic() + seconds
        ending = not self._answer.ours()
        while not ending and self._readable(end - time.monotonic()):
            ending = not os.read(self._answer.fd, 65_536)
        if ending:
            self._process.wait(max(0.01, end - time.monotonic()))
        return not self.alive()

    def kill(self) -> None:
        """End it by force, without waiting."""
        with suppress(OSError):
            self._process.send(signal.SIGKILL)

    def release(self) -> None:
        """Close what connects it; one that has not ended is waited for by a thread, and killed in the end."""
        close((*self._wake, self._answer))
        if self.alive():
            threading.Thread(target=self._reap, name="energymeter-reaper", daemon=True).start()

    def forget(self) -> None:
        """It is the child of another process, which forked this one."""
        self._process.ended = True

    def _reap(self) -> None:
        if not self._process.wait(_REAP_SECONDS):
            self.kill()
            self._process.wait(float("inf"))

    def _readable(self, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._answer.fd, select.POLLIN)
        return bool(poll.poll(max(0.0, seconds) * 1e3))


def spawn(config: dict[str, Any], pass_fds: Sequence[int] = (), stderr: int | None = None) -> Child:
    """Start a child with its job.

    Args:
        config: what it shall do; what JSON can hold. The program's import path is added.
        pass_fds: descriptors that it inherits.
        stderr: where its last words go; None: nowhere.

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
        os.set_blocking(wake[1].fd, False)
        answer, its_answer = pipe()
        mine.append(answer)
        theirs.append(its_answer)
        job = anonymous_file("energymeter-job")
        theirs.append(job)
        with open(job.fd, "wb", closefd=False) as file:
            file.write(packed({**config, "path": _import_path()}))
        if stderr is None:
            nowhere = Descriptor(os.open(os.devnull, os.O_WRONLY))
            theirs.append(nowhere)
            stderr = nowhere.fd
        streams = (wake[0].fd, its_answer.fd, stderr)
        # a number that is given to itself is inherited; what else is, the child closes
        inherited = [(fd, number) for number, fd in enumerate(streams)]
        inherited += [(fd, fd) for fd in (*pass_fds, job.fd)]
        pid = os.posix_spawn(  # `subprocess` takes as long to load as a bare interpreter to start
            python,
            # -I ignores PYTHONUTF8: names of files must be the same bytes there as here
            [python, "-I", "-S", "-X", f"utf8={sys.flags.utf8_mode}", "-c", _PROGRAM, _ROOT, str(job.fd)],
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, fd, number) for fd, number in inherited],
            setsid=True,  # the terminal's Ctrl-C and Ctrl-Z are for the program
        )
    except OSError as failure:  # too many processes, too many open files
        close(mine)
        raise SamplerError(
            f"the sampling process could not be started: {failure.strerror}; {remedy(failure)}"
        ) from failure
    except BaseException:
        close(mine)
        raise
    finally:
        close(theirs)
    return Child(_Process(pid), wake, answer)


def _import_path() -> list[str]:
    """Where this program finds modules, packages first and the script's own folder last."""
    entries = []
    for entry in sys.path:
        with suppress(TypeError, OSError):  # not a path; the current folder was removed
            entries.append(os.path.abspath(os.fsdecode(entry)))
    return [_ROOT, *entries[1:], *entries[:1]]


def _forked() -> None:
    for child in list(_children):
        child.forget()


os.register_at_fork(after_in_child=_forked)
