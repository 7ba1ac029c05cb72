"""A link of the test's own: every message late by as much as is wanted, each way apart, and cuts."""

import queue
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

Delay = Callable[[], float]
"""Seconds that the next message is late."""


class Relay:
    """A port that leads to another one, with delays, and that can be cut.

    Args:
        target: where it leads, ``(host, port)``.
        there: the delay of what goes there.
        back: the delay of what comes back.
    """

    def __init__(
        self, target: tuple[str, int], there: Delay = lambda: 0.0, back: Delay = lambda: 0.0
    ) -> None:
        self._target, self._delays = target, (there, back)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._links: list[socket.socket] = []
        self.sent: list[bytes] = []
        """What went there over each connection that has ended."""
        self.cut = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                here, _ = self._listening.accept()
            except OSError:
                return
            if self.cut:
                here.close()
                continue
            there = socket.create_connection(self._target)
            self._links += [here, there]
            for source, target, delay in ((here, there, self._delays[0]), (there, here, self._delays[1])):
                late: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
                kept = self.sent if source is here else None
                threading.Thread(target=self._take, args=(source, delay, late, kept), daemon=True).start()
                threading.Thread(target=self._hand_on, args=(target, late), daemon=True).start()

    @staticmethod
    def _take(
        source: socket.socket,
        delay: Delay,
        late: "queue.SimpleQueue[tuple[float, bytes]]",
        kept: list[bytes] | None,
    ) -> None:
        whole, piece = b"", b"?"
        while piece:
            try:
                piece = source.recv(65_536)
            except OSError:
                piece = b""
            late.put((time.monotonic() + delay(), piece))
            whole += piece
        if kept is not None:
            kept.append(whole)

    @staticmethod
    def _hand_on(target: socket.socket, late: "queue.SimpleQueue[tuple[float, bytes]]") -> None:
        """What came first goes first, whatever its delay; the end, too."""
        with suppress(OSError):
            while True:
                due, piece = late.get()
                time.sleep(max(0.0, due - time.monotonic()))
                if not piece:
                    target.shutdown(socket.SHUT_WR)
                    return
                target.sendall(piece)

    def hang_up(self) -> None:
        """Cut the link; nobody comes through until `cut` is False again."""
        self.cut = True
        while self._links:
            link = self._links.pop()
            with suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
            link.close()

    def lead_to(self, target: tuple[str, int]) -> None:
        """Somewhere else from now on, for who connects again."""
        self._target, self.cut = target, False

    def close(self) -> None:
        """For good."""
        self.hang_up()
        self._listening.close()
