"""The other end of a client of an agent, as a script: what it was asked, and the next answer it gives."""

import json
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class SocketScript:
    """Listens at a Unix socket; answers each line with the next answer, and closes after an empty one."""

    def __init__(self, path: str, *answers: bytes) -> None:
        self.path, self.answers = path, list(answers)
        self.asked: list[Any] = []
        self.connections = 0
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(path)
        self._listening.listen(8)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                link, _ = self._listening.accept()
                self.connections += 1
                with suppress(OSError), link, link.makefile("rb") as lines:
                    for line in lines:
                        self.asked.append(json.loads(line))
                        answer = self.answers.pop(0) if self.answers else b'{"taken": 0}\n'
                        if not answer:
                            break
                        link.sendall(answer)

    def close(self) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listening.close()


@contextmanager
def socket_script(*answers: bytes) -> Iterator[SocketScript]:
    """One in a folder with a short name, as such a socket needs."""
    with tempfile.TemporaryDirectory(prefix="em-") as folder:
        script = SocketScript(os.path.join(folder, "agent.sock"), *answers)
        try:
            yield script
        finally:
            script.close()


class HttpScript:
    """Answers each path with what a script says: a status and a body, or a body alone.

    Args:
        answers: by path, without what follows a question mark.
    """

    def __init__(self, answers: dict[str, Callable[[bytes], bytes | tuple[int, bytes]]]) -> None:
        self.asked: list[tuple[str, str, bytes, str | None]] = []
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 1 << 16  # an answer in one piece

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                token = self.headers.get("Authorization")
                script.asked.append((self.command, self.path, body, token))
                said = answers[self.path.partition("?")[0]](body)
                status, content = said if isinstance(said, tuple) else (200, said)
                self.send_response_only(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = answer  # noqa: N815

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()
