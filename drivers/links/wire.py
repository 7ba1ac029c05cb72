"""What moves a meter's bytes, whatever carries them: the `Wire`, and a question asked over one."""

import time
from collections.abc import Callable
from typing import Protocol

from energymeter.errors import SourceTimeout, SpecError


class Wire(Protocol):
    """A serial port, a HID device, a pair of USB endpoints or a Bluetooth characteristic.

    Every method may raise a `SourceError` that says what to do. After the device went away a wire that
    was opened and not closed opens itself again at the next `write` or `read`.
    """

    place: str
    """Where it is, as the user would type it: ``/dev/rfcomm0``."""
    moved_bytes: int
    """Bytes that crossed it, both ways."""

    def open(self) -> None: ...

    def close(self) -> None: ...

    def write(self, data: bytes) -> None: ...

    def read(self, seconds: float) -> bytes:
        """Whatever arrives first; ``b""`` after ``seconds`` of silence."""


def patience(timeout: float) -> float:
    """The option ``timeout`` of a meter that is asked: how many seconds one question may take.

    Raises:
        SpecError: no time at all, or so long that a sampler could not be stopped.
    """
    if not 0 < timeout <= 2:
        raise SpecError(f"timeout={timeout:g} must lie above 0 and up to 2 s.")
    return timeout


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
            f"{wire.place} did not answer within {seconds:g} s: check that the meter is powered, "
            "that this is its port, and its Bluetooth pairing if it has one."
        )
    raise SourceTimeout(
        f"{wire.place} answered {len(received)} bytes without one valid frame: "
        "check the driver name against the meter, the cable and the radio distance."
    )


def drain(wire: Wire, limit: int = 1 << 20) -> int:
    """Throw away what is waiting, at most ``limit`` bytes; returns how many."""
    gone = 0
    while gone < limit and (stale := wire.read(0.0)):
        gone += len(stale)
    return gone
