"""Where sampling runs: in a process of its own, or in a thread of this one."""

import contextlib
import json
import mmap
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import IO, Any

from energymeter import errors
from energymeter.energy.correction import Correction
from energymeter.errors import SamplerError, SourceTimeout
from energymeter.sampling.config import ChannelInfo, LogConfig, SourceConfig
from energymeter.sampling.loop import PipePace
from energymeter.sampling.memory import Count, Head, State
from energymeter.sampling.session import Session

OPEN_SECONDS = 15.0
"""A source that has not opened by then never will."""
STOP_SECONDS = 10.0
"""A source that has not given its last sample by then is given up."""
_FINISH_LOG_SECONDS = 300.0
"""Joining the parts of a long Parquet log, once all sources are done."""

_HERE = os.path.dirname(os.path.abspath(__file__))


class ProcessHost:
    """The sampling process, seen from its parent."""

    def __init__(self) -> None:
        self._memory_fd = anonymous_file("energymeter")
        self._process: subprocess.Popen[bytes] | None = None
        self.memory = memoryview(b"")

    def start(
        self,
        configs: Sequence[SourceConfig],
        log: LogConfig | None,
        corrections: dict[str, Correction],
        *,
        resume: bool = False,
    ) -> list[ChannelInfo]:
        self._end(0)  # what is left of one that was killed
        config = {
            "sources": configs,
            "log": log._asdict() if log is not None else None,
            "corrections": corrections,
            "memory_fd": self._memory_fd,
            "parent_pid": os.getpid(),
            "resume": resume,
        }
        with open(anonymous_file("energymeter-stderr"), "w+b") as complaints:
            try:
                self._process = spawn(config, (self._memory_fd,), complaints)
            except OSError as refusal:  # too many processes, too many open files
                raise SamplerError(
                    f"the sampling process could not be started: {refusal.strerror}."
                ) from refusal
            try:
                answer = self._ask(self._process, complaints)
            except BaseException:
                self._end(0)
                raise
        if not resume:
            self.memory = memoryview(self._mapped(answer["bytes"]))
        return [ChannelInfo.from_json(channel) for channel in answer["channels"]]

    def _mapped(self, size: int) -> mmap.mmap:
        try:
            return mmap.mmap(self._memory_fd, size)
        except OSError as refusal:
            self._end(0)
            raise SamplerError(f"there is no memory for the samples: {refusal.strerror}.") from refusal

    def _ask(self, process: "subprocess.Popen[bytes]", complaints: IO[bytes]) -> dict[str, Any]:
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], (), (), OPEN_SECONDS)
        if not ready:
            raise SourceTimeout(
                f"the source did not open within {OPEN_SECONDS:g} s; check that its device answers."
            )
        line = process.stdout.readline()
        if not line:
            complaints.seek(0)
            said = complaints.read().decode("utf-8", "replace").strip().splitlines()
            raise SamplerError(
                f"the sampling process ended at once, saying: {said[-1] if said else 'nothing'}."
            )
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise _reported(answer["error"], answer["message"])
        return answer

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        self._end(STOP_SECONDS)
        os.close(self._memory_fd)  # the mapping stays

    def _end(self, seconds: float) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        process.send_signal(signal.SIGCONT)  # one that somebody stopped could not end
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        with contextlib.suppress(subprocess.TimeoutExpired):
            if self.memory and Head(self.memory).counts[Count.STATE] == State.ENDED:
                process.wait(_FINISH_LOG_SECONDS)
        if process.poll() is None:
            process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)  # a read stuck in the kernel outlasts even this


class ThreadHost:
    """Sampling inside this process: what an object that exists only here needs."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._stop_fd: int | None = None
        self.memory = memoryview(b"")

    def start(
        self,
        configs: Sequence[SourceConfig],
        log: LogConfig | None,
        corrections: dict[str, Correction],
        *,
        resume: bool = False,
    ) -> list[ChannelInfo]:
        session = Session(configs, corrections)
        self.memory = memoryview(bytearray(session.size))
        waker, self._stop_fd = os.pipe()
        session.prepare(self.memory, PipePace(waker), log, resume=resume)

        def run() -> None:
            try:
                session.run()
            finally:
                os.close(waker)

        self._thread = threading.Thread(target=run, name="energymeter-sampler", daemon=True)
        self._thread.start()
        return session.channels

    def alive(self) -> bool:
        return True

    def stop(self) -> None:
        if self._stop_fd is not None:
            os.close(self._stop_fd)
            self._stop_fd = None
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)
            if Head(self.memory).counts[Count.STATE] == State.ENDED:
                self._thread.join(_FINISH_LOG_SECONDS)
            self._thread = None


def _reported(name: str, message: str) -> errors.EnergyMeterError:
    """The error that the sampling process named, as if it had been raised here."""
    kind = getattr(errors, name)
    error: errors.EnergyMeterError = kind.__new__(kind)
    error.args = (message,)
    return error


def anonymous_file(name: str) -> int:
    """A file without a name: memory where the system has it, else a temporary file."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name)
    import tempfile

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def spawn(
    config: dict[str, Any], pass_fds: Sequence[int] = (), stderr: IO[bytes] | int = subprocess.DEVNULL
) -> "subprocess.Popen[bytes]":
    """Start the child with its line of JSON; its standard output and the stop pipe are open.

    Args:
        config: what it shall do; the program's import path is added.
        pass_fds: descriptors that it inherits.
        stderr: where its last words go.
    """
    process = subprocess.Popen(
        # -I ignores PYTHONUTF8: names of files must be the same bytes there as here
        [sys.executable, "-I", "-S", "-X", f"utf8={sys.flags.utf8_mode}", os.path.join(_HERE, "child.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        pass_fds=pass_fds,
        start_new_session=True,  # the terminal's Ctrl-C and Ctrl-Z are for the program
        bufsize=0,
    )
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # dead already: who waits for its answer will see
        process.stdin.write(json.dumps({**config, "path": _import_path()}).encode() + b"\n")
    return process


def _import_path() -> list[str]:
    """Where this program finds modules, packages first and the script's own folder last."""
    entries = [os.path.abspath(entry) for entry in sys.path]
    root = os.path.dirname(os.path.dirname(_HERE))
    return [root, *entries[1:], *entries[:1]]
