"""The thread that looks after one sampler, from block to block while it stays ready."""

from __future__ import annotations

import threading

from energymeter.errors import SamplerError
from energymeter.lazy import TYPE_CHECKING
from energymeter.sampling.uninterrupted import uninterrupted

if TYPE_CHECKING:
    from collections.abc import Callable

_SECONDS = 0.25
"""How often it looks."""


class Watchdog:
    """Looks four times a second, until it is ended; what it looks at changes from block to block."""

    def __init__(self) -> None:
        self.look: Callable[[], float | None] | None = None
        """Called each time; it may return that it must be called again in fewer seconds."""
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look; a second call does nothing.

        Raises:
            SamplerError: there can be no more threads.
        """
        if self._thread is None:
            self._thread = uninterrupted(self._started, lambda _: self.end())

    def _started(self) -> threading.Thread:
        thread = threading.Thread(target=self._run, name="energymeter-watchdog", daemon=True)
        try:
            thread.start()
        except RuntimeError as failure:
            raise SamplerError(
                f"no thread could be started to watch the sampling ({failure}); end some others"
            ) from failure
        return thread

    def end(self) -> None:
        """Stop looking, without waiting for that; twice is fine."""
        self._ended.set()
        self.look = None

    def join(self) -> None:
        """Wait until the thread has ended, unless this is it."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(_SECONDS)

    def _run(self) -> None:
        seconds = _SECONDS
        while not self._ended.wait(seconds):
            look = self.look
            asked = look() if look is not None else None
            seconds = _SECONDS if asked is None else min(asked, _SECONDS)
