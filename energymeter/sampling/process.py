"""Sampling in a process of its own, as the measured program sees it."""

from __future__ import annotations

import errno
import mmap
import os
import sys
import time

from energymeter import errors
from energymeter.errors import SamplerError, SourceTimeout
from energymeter.lazy import TYPE_CHECKING, suppress
from energymeter.sampling.config import ChannelInfo, LogConfig, SourceConfig
from energymeter.sampling.descriptors import Descriptor, anonymous_file, sealed
from energymeter.sampling.memory import Count, Head, LogState, State, Stop
from energymeter.sampling.messages import unpacked
from energymeter.sampling.spawn import Child, spawn

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from energymeter.energy.correction import Correction


OPEN_SECONDS = 15.0
"""A source that has not opened by then never will."""
STOP_SECONDS = 10.0
"""A source that has not given its last sample by then is given up."""
FINISH_LOG_SECONDS = 300.0
"""Joining the parts of a long Parquet log, once all sources are done."""
LOOK_SECONDS = 0.02

_pinned: list[mmap.mmap] = []
"""Memory of a program that closed its descriptor: freeing it would close what has the number now."""


class _Mapping(mmap.mmap):
    """Memory of a file. Before Python 3.13 it has a copy of the descriptor, closed when it is freed."""

    copy = -1
    file: Descriptor

    def __del__(self) -> None:
        if self.copy >= 0 and not self.file.is_also(self.copy):
            _pinned.append(self)


class ProcessHost:
    """The sampling process, and the memory that it shares with the program.

    Args:
        sealable: others shall read the memory, see `shared`.
    """

    def __init__(self, *, sealable: bool = False) -> None:
        self._sealable = sealable
        self.memory = memoryview(b"")
        self._file: Descriptor | None = None
        self._child: Child | None = None
        self._logs = False

    @property
    def pid(self) -> int | None:
        """The process id; ``None``: there is no process."""
        return self._child.pid if self._child is not None else None

    def start(
        self,
        configs: Sequence[SourceConfig],
        log: LogConfig | None,
        corrections: dict[str, Correction],
        *,
        resume: Sequence[ChannelInfo] = (),
    ) -> list[ChannelInfo]:
        """Start the process and have it open the sources; nothing is left of it if that fails.

        Args:
            configs: the sources, as specs.
            log: the file for every sample.
            corrections: calibrations by meter identity.
            resume: the channels of one that has died, which it follows in the same memory.

        Raises:
            EnergyMeterError: why it could not.
        """
        if self._child is not None:
            self._child.release()
            self._child = None
        last_words: Descriptor | None = None
        try:
            if not resume:
                self._file = anonymous_file("energymeter", sealable=self._sealable)
            if self._file is None or not self._file.ours():
                raise SamplerError("the program closed the memory of the samples; start a new measurement")
            last_words = anonymous_file("energymeter-stderr")
            config = {
                "sources": configs,
                "log": log._asdict() if log is not None else None,
                "corrections": corrections,
                "memory_fd": self._file.fd,
                "parent_pid": os.getpid(),
                "resume": [info.to_json() for info in resume],
            }
            self._logs = log is not None
            self._child = spawn(config, (self._file.fd,), last_words.fd)
            answer = _answer(self._child, last_words)
            if not resume:
                self.memory = memoryview(_mapped(self._file, answer["bytes"]))
        except OSError as failure:
            self._abort(bool(resume))
            if isinstance(failure, errors.EnergyMeterError):
                raise
            raise SamplerError(
                f"there is no memory for the samples: {failure.strerror}; free some, or set TMPDIR to a "
                "folder with room"
            ) from failure
        except BaseException:
            self._abort(bool(resume))
            raise
        finally:
            if last_words is not None:
                last_words.close()
        return [ChannelInfo.from_json(channel) for channel in answer["channels"]]

    @classmethod
    def continuing(cls, samples: bytearray) -> ProcessHost:
        """A host whose process, once it is started with ``resume``, goes on with these samples.

        Raises:
            OSError: there is no memory for them.
        """
        host = cls()
        host._file = anonymous_file("energymeter")
        try:
            os.ftruncate(host._file.fd, len(samples))
            host.memory = memoryview(_mapped(host._file, len(samples)))
            host.memory[:] = samples
        except BaseException:
            host._file.close()
            raise
        return host

    def shared(self) -> Descriptor:
        """A descriptor of the memory for other processes, which can only read it; only after `start`.

        Raises:
            OSError: it cannot be sealed.
        """
        if self._file is None:
            raise OSError(errno.EBADF, "there is no memory yet")
        return sealed(self._file)

    def _abort(self, resume: bool) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait(STOP_SECONDS)
            child.release()
        if not resume and self._file is not None:
            self._file.close()

    def cancel(self) -> None:
        """Cut short a start that is under way in another thread."""
        child = self._child
        if child is not None:
            child.kill()

    def alive(self) -> bool:
        """Whether the process is running."""
        return self._child is not None and self._child.alive()

    def answers(self) -> bool:
        """Whether the process is running and can be woken."""
        return self._child is not None and self._child.answers()

    def wake(self) -> None:
        """Make the process look at what is asked."""
        child = self._child
        if child is not None:
            child.wake()

    def stop(self, *, discard_log: bool = False, patience: float = STOP_SECONDS) -> None:
        """Have the process take a last sample, finish the log and end.

        Args:
            discard_log: remove the log instead.
            patience: seconds that the sample may take.
        """
        child, self._child = self._child, None
        if child is not None and self.memory:
            counts = Head(self.memory).counts
            counts[Count.STOP] = Stop.DISCARD_LOG if discard_log else Stop.KEEP_LOG
            child.wake()
            if not self._ended(child, counts, patience) and self._logs and not discard_log:
                Head(self.memory).error = (
                    "the log was cut short: its process did not end in time and was killed; measure on a "
                    "machine that is less busy, or look for a source that hangs"
                )
        if child is not None:
            child.release()
        if self._file is not None:
            self._file.close()  # the mapping stays

    @staticmethod
    def _ended(child: Child, counts: memoryview, stop_seconds: float) -> bool:
        """Wait for its end; False if it had to be killed."""
        begun = time.monotonic()
        while not child.wait(LOOK_SECONDS):
            if counts[Count.LOG_STATE] == LogState.STALLED:
                return True  # it finishes the log by itself, or gives up
            patience = FINISH_LOG_SECONDS if counts[Count.STATE] == State.ENDED else stop_seconds
            if time.monotonic() - begun > patience:
                child.kill()
                child.wait(STOP_SECONDS)  # a read stuck in the kernel outlasts even this
                return False
        return True


def _mapped(file: Descriptor, size: int) -> mmap.mmap:
    if sys.version_info >= (3, 13):
        return mmap.mmap(file.fd, size, trackfd=False)
    number = os.dup(file.fd)
    os.close(number)  # the copy very likely gets this number
    mapping = _Mapping(file.fd, size)
    if file.is_also(number):
        mapping.copy, mapping.file = number, file
    return mapping


def _answer(child: Child, last_words: Descriptor) -> dict[str, Any]:
    """What the process found.

    Raises:
        EnergyMeterError: what it met.
    """
    deadline = time.monotonic() + OPEN_SECONDS
    for line in child.lines(deadline):
        answer = unpacked(line)
        if "error" in answer:
            raise _reported(answer["error"], answer["message"])
        return answer
    if time.monotonic() >= deadline:
        raise SourceTimeout(
            f"the source did not open within {OPEN_SECONDS:g} s; check that its device answers"
        )
    said = ""
    with suppress(OSError):
        said = os.pread(last_words.fd, 65_536, 0).decode("utf-8", "replace").strip()
    raise SamplerError(
        f"the sampling process ended immediately; look for the reason in its last words: "
        f"{said.splitlines()[-1] if said else 'it has none'}"
    )


def _reported(name: str, message: str) -> errors.EnergyMeterError:
    """The error that the sampling process named, as if it had been raised here."""
    kind = getattr(errors, name)
    error: errors.EnergyMeterError = kind.__new__(kind)
    error.args = (message,)
    return error
