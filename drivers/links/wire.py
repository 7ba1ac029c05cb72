"""What moves a meter's bytes, whatever carries them: the `Wire`, a question over it, a meter behind it."""

from __future__ import annotations

import time

from energymeter.errors import SourceError, SourceMissing, SourceTimeout, SpecError
from energymeter.lazy import TYPE_CHECKING, Protocol
from energymeter.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Callable


class Wire(Protocol):
    """A serial port, a HID device, a pair of USB endpoints or a Bluetooth characteristic.

    Every method may raise a `SourceError` that says what to do. After the device went away a wire that
    was opened and not closed opens itself again at the next `write` or `read`.
    """

    address: str
    """Where it is, as the user would type it: ``/dev/rfcomm0``."""
    moved_bytes: int
    """Bytes that crossed it, both ways."""

    def open(self) -> None: ...

    def close(self) -> None: ...

    def write(self, data: bytes) -> None: ...

    def read(self, seconds: float) -> bytes:
        """Whatever arrives first; ``b""`` after ``seconds`` of silence."""


class DeviceWire:
    """A wire to one device that can be unplugged; a link adds what opens it and what moves its bytes."""

    address: str
    moved_bytes = 0

    def close(self) -> None:
        raise NotImplementedError

    def _send(self, data: bytes) -> None:
        """Send ``data``, or raise an OSError."""
        raise NotImplementedError

    def _receive(self, seconds: float) -> bytes:
        """Whatever arrives first, ``b""`` after ``seconds`` of silence, or an OSError."""
        raise NotImplementedError

    def write(self, data: bytes) -> None:
        """Send ``data``.

        Raises:
            SourceMissing, SourceTimeout: the device went away, or takes nothing.
        """
        try:
            self._send(data)
        except SourceError:
            raise
        except OSError as error:
            raise self._gone(error) from error
        self.moved_bytes += len(data)

    def read(self, seconds: float) -> bytes:
        """Whatever arrives first; ``b""`` after ``seconds`` of silence.

        Raises:
            SourceMissing: the device went away.
        """
        try:
            data = self._receive(seconds)
        except SourceError:
            raise
        except OSError as error:
            raise self._gone(error) from error
        self.moved_bytes += len(data)
        return data

    def _gone(self, error: OSError) -> SourceMissing:
        self.close()
        return SourceMissing(f"{self.address} went away ({error.strerror or error}): plug the meter in again")


class WireMeter:
    """A meter at the far end of a wire."""

    name: str
    _wire: Wire

    @property
    def moved_bytes(self) -> int:
        """Bytes that crossed the wire, both ways."""
        return self._wire.moved_bytes


class AskedMeter(WireMeter):
    """A meter that answers questions; a driver adds ``read``.

    Args:
        name: of the source.
        wire: to the meter.
        timeout: seconds that one question may take.

    Raises:
        SpecError: no time at all, or so long that a sampler could not be stopped.
    """

    def __init__(self, name: str, wire: Wire, *, timeout: float = 1.0) -> None:
        if not 0 < timeout <= 2:
            raise SpecError(f"timeout={timeout:g} is out of range: give more than 0 and up to 2 s")
        self.name = name
        self._wire, self._timeout = wire, timeout

    def open(self) -> None:
        """Open the wire and take one reading, to know that the meter answers.

        Raises:
            SourceError: no port, no permission, held by another program, or no such meter answers.
        """
        self._wire.open()
        try:
            self.read()
        except OSError:
            self._wire.close()
            raise

    def read(self) -> Reading:
        """Ask once.

        Raises:
            SourceTimeout: no valid answer came.
            SourceMissing: the wire is not open, or the meter went away.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Let the wire go; twice is fine."""
        self._wire.close()

    def _ask(self, request: bytes, pick: Callable[[bytes], bytes | None]) -> bytes:
        return ask(self._wire, request, pick, self._timeout)


def ask(wire: Wire, request: bytes, pick: Callable[[bytes], bytes | None], seconds: float) -> bytes:
    """Send ``request`` and return the first whole frame that ``pick`` finds in what comes back.

    Bytes that were waiting before the question are stale and thrown away; noise around the frame is
    for ``pick`` to step over.

    Raises:
        SourceTimeout: silence, or no whole frame, within ``seconds``.
    """
    drain(wire)
    wire.write(request)
    received = b""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        received += wire.read(left)
        frame = pick(received)
        if frame is not None:
            return frame
    if not received:
        raise SourceTimeout(
            f"{wire.address} did not answer within {seconds:g} s: check that the meter is powered, "
            "that this is its port, and its Bluetooth pairing if it has one"
        )
    raise SourceTimeout(
        f"{wire.address} answered {len(received)} bytes without one valid frame: "
        "check the driver name against the meter, the cable and the radio distance"
    )


def drain(wire: Wire, limit: int = 1 << 20) -> int:
    """Throw away what is waiting, at most ``limit`` bytes; returns how many."""
    gone = 0
    while gone < limit and (stale := wire.read(0.0)):
        gone += len(stale)
    return gone
