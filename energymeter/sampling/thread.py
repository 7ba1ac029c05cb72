"""Sampling in a thread of the measured program: what an object that exists only there needs."""

from __future__ import annotations

import os
import threading
import time

from energymeter.energy.correction import Correction
from energymeter.errors import SamplerError
from energymeter.lazy import TYPE_CHECKING
from energymeter.sampling.config import ChannelInfo, LogConfig, SourceConfig
from energymeter.sampling.descriptors import Descriptor, close, pipe
from energymeter.sampling.memory import Count, Head, LogState, State, Stop
from energymeter.sampling.pace import SystemPace
from energymeter.sampling.process import FINISH_LOG_SECONDS, LOOK_SECONDS, STOP_SECONDS
from energymeter.sampling.session import Session
from energymeter.sampling.uninterrupted import uninterrupted

if TYPE_CHECKING:
    from collections.abc import Sequence


class ThreadHost:
    """The sampling thread and its memory."""

    pid = None

    def __init__(self) -> None:
        self.memory = memoryview(b"")
        self._begun = threading.Lock()
        self._thread: threading.Thread | None = None
        self._wake: Sequence[Descriptor] = ()

    def start(
        self,
        configs: Sequence[SourceConfig],
        log: LogConfig | None,
        corrections: dict[str, Correction],
        *,
        resume: Sequence[ChannelInfo] = (),
    ) -> list[ChannelInfo]:
        """Open the sources and start the thread; nothing is left of it if that fails.

        Raises:
            EnergyMeterError: why it could not.
        """
        session = Session(configs, corrections)
        try:
            self.memory = memoryview(bytearray(session.size))
            self._wake = uninterrupted(pipe, close)
            session.prepare(
                self.memory, SystemPace(Head(self.memory), self._wake[0].fd), log, resume=bool(resume)
            )
            self._thread = threading.Thread(
                target=self._run, args=(session,), name="energymeter-sampler", daemon=True
            )
            uninterrupted(self._thread.start)
        except BaseException as failure:
            if self._begun.acquire(blocking=False):  # the thread has not begun, and will not
                session.close()
                close(self._wake)
            else:
                self.stop(discard_log=True)
            if isinstance(failure, RuntimeError) and not isinstance(failure, SamplerError):
                raise SamplerError(
                    f"no thread could be started for the sampling: {failure}; end threads, or raise the "
                    "limit (ulimit -u)"
                ) from failure
            raise
        return session.channels

    def _run(self, session: Session) -> None:
        if self._begun.acquire(blocking=False):
            session.run()

    def cancel(self) -> None:
        """There is nothing to cut short."""

    def alive(self) -> bool:
        """A thread is not killed."""
        return True

    def stop(self, *, discard_log: bool = False) -> None:
        """Have the thread take a last sample, finish the log and end.

        Args:
            discard_log: remove the log instead.
        """
        thread, self._thread = self._thread, None
        if thread is not None:
            counts = Head(self.memory).counts
            counts[Count.STOP] = Stop.DISCARD_LOG if discard_log else Stop.KEEP_LOG
            if self._wake[1].ours():
                os.write(self._wake[1].fd, b"!")
            begun = time.monotonic()
            while thread.is_alive() and counts[Count.LOG_STATE] != LogState.STALLED:
                thread.join(LOOK_SECONDS)
                patience = FINISH_LOG_SECONDS if counts[Count.STATE] == State.ENDED else STOP_SECONDS
                if time.monotonic() - begun > patience:
                    break
        close(self._wake)
