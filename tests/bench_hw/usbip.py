"""Any USB device written in Python, plugged into this machine's own kernel (vhci-hcd) over a socket pair.

The kernel's side of USB/IP is Documentation/usb/usbip_protocol.rst in torvalds/linux: a header of 48
bytes, big endian, then data. Its virtual host controller takes the socket itself, so no tools are needed.
"""

import socket
import struct
import threading
from pathlib import Path
from typing import NamedTuple

CONTROLLER = Path("/sys/devices/platform/vhci_hcd.0")
FULL_SPEED = 2
_SUBMIT, _UNLINK, _SUBMITTED, _UNLINKED = 1, 2, 3, 4
_STALL, _RESET = -32, -104
_IDLE_SECONDS = 0.002


class Stall(Exception):
    """The device does not know this request."""


class Setup(NamedTuple):
    """The eight bytes that begin a control transfer."""

    kind: int
    request: int
    value: int
    index: int
    length: int


def device_descriptor(vid: int, pid: int, version: int, device_class: int = 0) -> bytes:
    return struct.pack(
        "<BBHBBBBHHHBBBB", 18, 1, 0x0200, device_class, 0, 0, 64, vid, pid, version, 1, 2, 3, 1
    )


def interface(number: int, endpoints: int, kind: int, subclass: int = 0, protocol: int = 0) -> bytes:
    return struct.pack("<9B", 9, 4, number, 0, endpoints, kind, subclass, protocol, 0)


def endpoint(address: int, attributes: int, size: int, interval: int) -> bytes:
    return struct.pack("<BBBBHB", 7, 5, address, attributes, size, interval)


class Device:
    """A device's answers; a subclass has its identity, its descriptors and what it does."""

    vid = pid = device_class = 0
    version = 0x0100
    interfaces = 1
    texts = ("emulated", "meter", "0001")

    def descriptors(self) -> bytes:
        """What follows the configuration descriptor: interfaces, endpoints."""
        raise NotImplementedError

    def vendor(self, setup: Setup, data: bytes) -> bytes:
        raise Stall

    def of_class(self, setup: Setup, data: bytes) -> bytes:
        raise Stall

    def of_interface(self, setup: Setup) -> bytes:
        raise Stall

    def take(self, endpoint: int, data: bytes) -> None:
        """What the host sent."""

    def give(self, endpoint: int, length: int) -> bytes | None:
        """What the host asked for; None: nothing yet, ask again."""
        return None

    def control(self, setup: Setup, data: bytes) -> bytes:
        kind = setup.kind & 0x60
        if kind == 0x40:
            return self.vendor(setup, data)
        if kind == 0x20:
            return self.of_class(setup, data)
        if setup.request == 6:
            return self.of_interface(setup) if setup.kind & 0x1F else self._descriptor(setup.value)
        return {0: b"\0\0", 8: b"\1", 10: b"\0"}.get(setup.request, b"")

    def _descriptor(self, value: int) -> bytes:
        kind, index = value >> 8, value & 0xFF
        if kind == 1:
            return device_descriptor(self.vid, self.pid, self.version, self.device_class)
        if kind == 2:
            body = self.descriptors()
            return struct.pack("<BBHBBBBB", 9, 2, 9 + len(body), self.interfaces, 1, 0, 0x80, 50)[:9] + body
        if kind == 3 and index == 0:
            return b"\x04\x03\x09\x04"
        if kind == 3 and index <= len(self.texts):
            text = self.texts[index - 1].encode("utf-16-le")
            return bytes([2 + len(text), 3]) + text
        raise Stall


class Plugged:
    """A device in a port of the virtual controller, from construction to `unplug`."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self._pending: dict[int, tuple[int, int]] = {}
        self._changed = threading.Condition()
        self._gone = False
        self._socket, kernels = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._port = _free_port()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._listen, self._answer)]
        for thread in self._threads:
            thread.start()
        device_id = 0x10001 + self._port
        (CONTROLLER / "attach").write_text(f"{self._port} {kernels.fileno()} {device_id} {FULL_SPEED}")
        kernels.close()

    def unplug(self) -> None:
        """Pull the cable; twice is fine."""
        if not self._gone:
            (CONTROLLER / "detach").write_text(str(self._port))
        for thread in self._threads:
            thread.join(10)
        self._socket.close()

    def _listen(self) -> None:
        try:
            while True:
                self._request(self._receive(48))
        except (EOFError, OSError):
            with self._changed:
                self._gone = True
                self._changed.notify_all()

    def _request(self, header: bytes) -> None:
        command, sequence, _, inward, number = struct.unpack_from(">5I", header)
        if command == _UNLINK:
            (which,) = struct.unpack_from(">I", header, 20)
            with self._changed:
                found = self._pending.pop(which, None)
                self._send(_UNLINKED, sequence, _RESET if found else 0)
            return
        (length,) = struct.unpack_from(">i", header, 24)
        data = b"" if inward else self._receive(length)
        if number == 0:
            self._control(sequence, bool(inward), Setup(*struct.unpack("<BBHHH", header[40:])), data)
        elif inward:
            with self._changed:
                self._pending[sequence] = (number, length)
                self._changed.notify_all()
        else:
            self.device.take(number, data)
            with self._changed:
                self._send(_SUBMITTED, sequence, 0, length=len(data))
                self._changed.notify_all()

    def _control(self, sequence: int, inward: bool, setup: Setup, data: bytes) -> None:
        try:
            answer = self.device.control(setup, data)[: setup.length]
        except Stall:
            with self._changed:
                self._send(_SUBMITTED, sequence, _STALL)
            return
        with self._changed:
            if inward:
                self._send(_SUBMITTED, sequence, 0, answer, len(answer))
            else:
                self._send(_SUBMITTED, sequence, 0, length=len(data))

    def _answer(self) -> None:
        """Serve what the host waits for, as soon as the device has it."""
        while True:
            with self._changed:
                while not self._pending and not self._gone:
                    self._changed.wait()
                if self._gone:
                    return
                waiting = dict(self._pending)
            served = False
            silent = set()
            for sequence, (number, length) in waiting.items():
                data = None if number in silent else self.device.give(number, length)
                if data is None:
                    silent.add(number)
                    continue
                with self._changed:
                    if self._pending.pop(sequence, None):
                        served = True
                        self._send(_SUBMITTED, sequence, 0, data, len(data))
            if not served:
                with self._changed:
                    self._changed.wait(_IDLE_SECONDS)

    def _send(self, command: int, sequence: int, status: int, data: bytes = b"", length: int = 0) -> None:
        self._socket.sendall(struct.pack(">5Iii20x", command, sequence, 0, 0, 0, status, length) + data)

    def _receive(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self._socket.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data


def _free_port() -> int:
    """The first full-speed port that nothing is plugged into."""
    for line in (CONTROLLER / "status").read_text().splitlines()[1:]:
        hub, port, status, *_ = line.split()
        if hub == "hs" and int(status) == 4:
            return int(port)
    raise OSError("every port of the virtual controller is taken")
