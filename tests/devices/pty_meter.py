"""A serial meter behind a pseudo-terminal: a thread hands what arrives to a device and answers for it."""

import os
import select
import threading
import tty
from pathlib import Path
from types import TracebackType
from typing import Protocol


class SerialDevice(Protocol):
    """What sits at the far end of the line."""

    def receive(self, data: bytes) -> bytes:
        """Take what the host wrote, return what the device says to it."""


class PtyMeter:
    """Plugged in while the ``with`` block lasts; `unplug` and `plug` in between keep the same path."""

    def __init__(self, device: SerialDevice, address: Path) -> None:
        self.device = device
        self.address = str(address)
        self.failures: list[BaseException] = []
        self._master = self._slave = -1
        self._thread: threading.Thread | None = None

    def plug(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        Path(self.address).unlink(missing_ok=True)
        Path(self.address).symlink_to(os.ttyname(self._slave))
        self._stop_in, self._stop_out = os.pipe()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        if self._thread is None:
            return
        os.write(self._stop_out, b"x")
        self._thread.join()
        self._thread = None
        for fd in (self._master, self._slave, self._stop_in, self._stop_out):
            os.close(fd)
        Path(self.address).unlink()

    def say(self, data: bytes) -> None:
        """Send without being asked."""
        os.write(self._master, data)

    def _serve(self) -> None:
        while True:
            ready = select.select([self._master, self._stop_in], [], [])[0]
            if self._stop_in in ready:
                return
            try:
                answer = self.device.receive(os.read(self._master, 4096))
                while answer:
                    answer = answer[os.write(self._master, answer) :]
            except BaseException as error:  # noqa: BLE001  found to the test when the block ends
                self.failures.append(error)
                return

    def __enter__(self) -> "PtyMeter":
        self.plug()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unplug()
        if self.failures and error is None:
            raise self.failures[0]
