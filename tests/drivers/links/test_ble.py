"""The Bluetooth LE link over a ``bleak`` whose radio is in memory: what it asks for, how it ends."""

import asyncio
import concurrent.futures
import sys
import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from energymeter.drivers.links import ble
from energymeter.drivers.links.ble import BleLine
from energymeter.errors import ExtraMissing, SourceMissing

BASE = "-0000-1000-8000-00805f9b34fb"
"""The end of every 16-bit number (Bluetooth Core Specification, Vol 3, Part B, 2.5.1)."""


class BleakError(Exception):
    """As bleak's own."""


class Radio:
    """The device at the other end, and what was done to it."""

    def __init__(self) -> None:
        self.done: list[tuple[Any, ...]] = []
        self.failures: dict[str, Exception] = {}
        self.clients: list[Any] = []
        self.hangs = "nothing"

    def client(self, address: str, disconnected_callback: Callable[[Any], None]) -> Any:
        radio = self

        class Client:
            def __init__(self) -> None:
                self.gone = lambda: disconnected_callback(self)
                self.notify: Callable[[int, bytearray], None]

            async def connect(self) -> None:
                await radio.do("connect", address)

            async def start_notify(self, uuid: str, notify: Callable[[int, bytearray], None]) -> None:
                self.notify = notify
                await radio.do("start_notify", uuid)

            async def write_gatt_char(self, uuid: str, data: bytes, response: bool) -> None:
                await radio.do("write", uuid, data, response)

            async def disconnect(self) -> None:
                await radio.do("disconnect")

        self.clients.append(Client())
        return self.clients[-1]

    async def do(self, what: str, *details: Any) -> None:
        self.done.append((what, *details))
        if self.hangs == what:
            await asyncio.sleep(60)
        if what in self.failures:
            raise self.failures[what]

    @property
    def names(self) -> list[str]:
        return [what for what, *_ in self.done]


@pytest.fixture
def radio(monkeypatch: pytest.MonkeyPatch) -> Radio:
    radio = Radio()
    package, errors = ModuleType("bleak"), ModuleType("bleak.exc")
    package.BleakClient = radio.client  # type: ignore[attr-defined]
    errors.BleakError = BleakError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "bleak", package)
    monkeypatch.setitem(sys.modules, "bleak.exc", errors)
    return radio


def threads(address: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == f"ble:{address}"]


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.001)


def opened(address: str = "AA:01", notify: str = "FFE4", write: str | None = "FFE9") -> BleLine:
    line = BleLine(address, notify, write)
    line.open()
    return line


def test_it_connects_then_listens_and_lets_go(radio: Radio) -> None:
    line = opened()
    assert line.address == "ble:AA:01"
    assert radio.done == [("connect", "AA:01"), ("start_notify", f"0000ffe4{BASE}")]
    assert len(threads("AA:01")) == 1
    (thread,) = threads("AA:01")
    assert thread.daemon
    line.close()
    line.close()
    assert radio.names == ["connect", "start_notify", "disconnect"]
    thread.join(20)
    assert not thread.is_alive(), "its loop has ended"


@pytest.mark.parametrize(("write", "uuid"), [("FFE9", "0000ffe9"), (None, "0000ffe4")])
def test_what_is_written_goes_to_its_characteristic(radio: Radio, write: str | None, uuid: str) -> None:
    line = opened(write=write)
    line.write(b"\xaa\x81")
    line.write(b"?")
    assert radio.done[2:] == [("write", uuid + BASE, b"\xaa\x81", False), ("write", uuid + BASE, b"?", False)]
    assert line.moved_bytes == 3
    line.close()


def test_notifications_come_one_by_one(radio: Radio) -> None:
    line = opened()
    (client,) = radio.clients
    assert line.read(0) == b""
    assert line.read(-1.0) == b"", "no time is no wait"
    assert line.read(0.01) == b""
    for piece in (b"abc", b"de"):
        client.notify(1, bytearray(piece))
    assert line.read(0) == b"abc"
    assert line.moved_bytes == 3
    found = line.read(5.0)
    assert (found, type(found)) == (b"de", bytes)
    assert line.moved_bytes == 5
    threading.Timer(0.01, client.notify, (1, bytearray(b"late"))).start()
    assert line.read(20.0) == b"late"
    line.close()


def test_a_device_that_goes_away_is_connected_again_by_the_next_question(radio: Radio) -> None:
    line = opened()
    radio.clients[0].gone()
    with pytest.raises(SourceMissing, match=r"^ble:AA:01 went away: bring the meter back in range$"):
        line.read(5.0)
    assert radio.names == ["connect", "start_notify", "disconnect"]
    line.write(b"?")
    assert radio.names[3:] == ["connect", "start_notify", "write"]
    radio.clients[1].notify(1, bytearray(b"again"))
    assert line.read(5.0) == b"again"
    line.close()
    for question in (lambda: line.read(0), lambda: line.write(b"?")):
        with pytest.raises(SourceMissing, match="ble:AA:01 is not open"):
            question()


def test_opened_again_it_drops_the_old_connection_and_what_came_by_it(radio: Radio) -> None:
    line = opened()
    radio.clients[0].notify(1, bytearray(b"old"))
    line.open()
    assert radio.names == ["connect", "start_notify", "disconnect", "connect", "start_notify"]
    radio.clients[0].gone()
    assert line.read(0) == b"", "the end of the old one is not that of the new"
    line.close()


@pytest.mark.parametrize("what", ["connect", "start_notify"])
@pytest.mark.parametrize("failure", [BleakError("not found"), OSError("no adapter"), TimeoutError()])
def test_a_device_that_does_not_connect(radio: Radio, what: str, failure: Exception) -> None:
    radio.failures[what] = failure
    line = BleLine("AA:02", "FFE1")
    with pytest.raises(
        SourceMissing,
        match=rf"^ble:AA:02 did not connect \({failure}\): power the meter on, with no phone connected to",
    ):
        line.open()
    assert radio.names[-1] == "disconnect"
    wait_until(lambda: not threads("AA:02"))
    with pytest.raises(SourceMissing, match="is not open"):
        line.read(0)


def test_a_write_that_fails(radio: Radio) -> None:
    line = opened()
    for failure in (BleakError("gone"), OSError("gone"), TimeoutError("gone")):
        radio.failures["write"] = failure
        with pytest.raises(
            SourceMissing, match=r"^ble:AA:01 went away \(gone\): bring the meter back in range$"
        ):
            line.write(b"?")
        assert radio.names[-1] == "disconnect"
    assert line.moved_bytes == 0
    assert radio.names.count("connect") == 3
    line.close()


@pytest.mark.parametrize("failure", [OSError("gone"), EOFError(), TimeoutError()])
def test_a_device_that_cannot_be_left_is_left(radio: Radio, failure: Exception) -> None:
    line = opened("AA:03")
    radio.failures["disconnect"] = failure
    line.close()
    wait_until(lambda: not threads("AA:03"))


def test_nothing_is_waited_for_without_end(radio: Radio, monkeypatch: pytest.MonkeyPatch) -> None:
    """A radio that hangs costs fifteen seconds at the start, and two at the end."""
    waits: list[float | None] = []
    run = asyncio.run_coroutine_threadsafe

    class Future:
        """Patience that is over as soon as the radio hangs."""

        def __init__(self, job: Any, loop: asyncio.AbstractEventLoop) -> None:
            self._name, self._future = job.__name__, run(job, loop)

        def result(self, seconds: float | None = None) -> None:
            waits.append(seconds)
            if self._name != radio.hangs:
                self._future.result(20)
                return
            wait_until(lambda: radio.hangs in radio.names)
            self._future.cancel()
            raise concurrent.futures.TimeoutError

    monkeypatch.setattr(ble.asyncio, "run_coroutine_threadsafe", Future)
    radio.hangs = "connect"
    with pytest.raises(SourceMissing, match="did not connect"):
        BleLine("AA:04", "FFE1").open()
    assert waits == [15.0, 2.0]
    wait_until(lambda: not threads("AA:04"))


def test_without_bleak_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bleak", None)
    with pytest.raises(ExtraMissing, match=r"a Bluetooth LE meter needs bleak.*edge-energymeter\[ble\]"):
        BleLine("AA:05", "FFE1").open()
    assert threads("AA:05") == []
