"""The Bluetooth LE link: notifications of one characteristic as a byte pipe, through ``bleak``.

bleak is asynchronous, so its event loop lives in a thread of this link. Kept thin on purpose: it cannot be
tried without a radio (extra ``ble``), and it was **not tested on hardware**.
"""

import asyncio
import concurrent.futures
import contextlib
import queue
import threading
from typing import TYPE_CHECKING

from energymeter.errors import ExtraMissing, SourceMissing, not_open

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

_UUID = "0000{}-0000-1000-8000-00805f9b34fb"  # Bluetooth base UUID with a 16-bit number
_CONNECT_SECONDS = 15.0


class BleLine:
    """One notifying (and one writable) characteristic as a `Wire`; both given by their 16-bit numbers."""

    def __init__(self, address: str, notify: str, write: str | None = None) -> None:
        self.address = f"ble:{address}"
        self.moved_bytes = 0
        self._address = address
        self._notify = _UUID.format(notify.lower())
        self._write = _UUID.format((write or notify).lower())
        self._arrived: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: Any = None
        self._wanted = False

    def open(self) -> None:
        """Connect and subscribe.

        Raises:
            ExtraMissing: bleak is not installed.
            SourceMissing: the device does not answer.
        """
        try:
            from bleak import BleakClient  # type: ignore[import-not-found,unused-ignore]
            from bleak.exc import BleakError  # type: ignore[import-not-found,unused-ignore]
        except ImportError as error:
            raise ExtraMissing("bleak", "ble", "a Bluetooth LE meter") from error
        self._drop()
        arrived: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._arrived = arrived
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=_turn, args=(self._loop,), name=self.address, daemon=True).start()
        self._client = BleakClient(self._address, disconnected_callback=lambda _: arrived.put(None))
        try:
            self._run(self._client.connect())
            self._run(self._client.start_notify(self._notify, lambda _, data: arrived.put(bytes(data))))
        except (BleakError, OSError, concurrent.futures.TimeoutError) as error:
            self._drop()
            raise SourceMissing(
                f"{self.address} did not connect ({error}): power the meter on, with no phone connected to it"
            ) from error
        self._wanted = True

    def close(self) -> None:
        """Disconnect; twice is fine."""
        self._wanted = False
        self._drop()

    def write(self, data: bytes) -> None:
        """Send ``data`` without asking for a response."""
        from bleak.exc import BleakError  # type: ignore[import-not-found,unused-ignore]

        self._need()
        try:
            self._run(self._client.write_gatt_char(self._write, data, response=False))
        except (BleakError, OSError, concurrent.futures.TimeoutError) as error:
            self._drop()
            raise SourceMissing(
                f"{self.address} went away ({error}): bring the meter back in range"
            ) from error
        self.moved_bytes += len(data)

    def read(self, seconds: float) -> bytes:
        """The next notification; ``b""`` after ``seconds`` of silence."""
        self._need()
        try:
            data = self._arrived.get(timeout=seconds) if seconds > 0 else self._arrived.get_nowait()
        except queue.Empty:
            return b""
        if data is None:
            self._drop()
            raise SourceMissing(f"{self.address} went away: bring the meter back in range")
        self.moved_bytes += len(data)
        return data

    def _need(self) -> None:
        if self._client is None:
            if not self._wanted:
                raise not_open(self.address)
            self.open()

    def _run(self, job: "Coroutine[Any, Any, Any]") -> None:
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(job, self._loop).result(_CONNECT_SECONDS)

    def _drop(self) -> None:
        client, loop = self._client, self._loop
        self._client = self._loop = None
        if loop is None:
            return
        if client is not None:
            with contextlib.suppress(
                OSError, EOFError, concurrent.futures.TimeoutError
            ):  # it is gone already
                asyncio.run_coroutine_threadsafe(client.disconnect(), loop).result(2.0)
        loop.call_soon_threadsafe(loop.stop)


def _turn(loop: asyncio.AbstractEventLoop) -> None:
    """Run the loop until it is stopped, then free its pipes."""
    loop.run_forever()
    loop.close()
