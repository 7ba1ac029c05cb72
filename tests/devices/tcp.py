"""A TCP server on 127.0.0.1 for emulated devices: a context manager that can be entered again on its port."""

import socket
import socketserver
import threading
from contextlib import suppress
from types import TracebackType
from typing import TypeVar

Self = TypeVar("Self", bound="Tcp")


class Tcp:
    """Subclasses ``talk`` on each connection."""

    port = 0

    def talk(self, connection: socket.socket) -> None:
        raise NotImplementedError

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self: Self) -> Self:
        device = self
        self._open: set[socket.socket] = set()

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                device._open.add(self.request)
                with suppress(ConnectionError):
                    device.talk(self.request)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            block_on_close = False

        self._server = Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.005,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        for connection in list(self._open):
            with suppress(OSError):  # it is closed already
                connection.shutdown(socket.SHUT_RDWR)
