"""ChargerLAB POWER-Z KM003C / KM002C, streamed: 2, 10, 50 or 1000 samples a second without a gap.

The meter, its ranges and accuracy: see ``km003c.py``. Here its own queue is fetched over USB (extra
``km003c``: pyusb and cryptography), every sample with a sequence number that runs at 1 kHz in the meter:
stamps come from it, its wrap every 65.5 s is undone. Semantics: instants. The
current is signed; ``reverse=true`` turns it round.

The slowest rate that satisfies the asked one is set. The meter hands out at most 63 samples an answer, so
it is asked every 20 ms at 1000 a second. Sent are Connect, a read of the hardware id, StreamingAuth,
StartGraph, GetData, StopGraph; nothing that alters settings or stored logs. Sources: see
``_km003c.py``.

Counters: none while streaming.
Loss: exact, by the sequence numbers.
Tested on: an emulated wire, recorded USB sessions with their authentication; real hardware: none yet.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import ClassVar

from energymeter.clock import Clock, SystemClock
from energymeter.drivers.links.stream import Flow
from energymeter.drivers.links.timebase import DeviceClock
from energymeter.drivers.links.usb import UsbBulk
from energymeter.drivers.links.wire import Wire
from energymeter.drivers.protocols.km003c import (
    ADC_QUEUE,
    CONNECT,
    FACTS,
    GET_DATA,
    RATES_HZ,
    START_GRAPH,
    STOP_GRAPH,
    TICK_NS,
    USB_IDS,
    Aes128,
    Sequence,
    Session,
    samples,
)
from energymeter.errors import SourceError, SpecError
from energymeter.reading import Reading

__all__ = ["Km003cStream"]

_ASK_EVERY_S = (0.4, 0.25, 0.1, 0.02)
_BACKLOG = 40  # an answer this full (of at most 63) means the meter holds more


class Km003cStream:
    """``km003c_stream`` or ``km003c_stream@SERIALNUMBER``; ``reverse``: turn the current's sign round."""

    facts = FACTS._replace(default_hz=50.0, max_hz=1000.0)
    usb_ids: ClassVar[tuple[tuple[int, int], ...]] = USB_IDS

    def __init__(
        self,
        place: str = "",
        *,
        reverse: bool = False,
        wire: Wire | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.name = f"km003c_stream@{place}" if place else "km003c_stream"
        self.identity: str | None = None
        self.lost = 0
        self._sign = -1.0 if reverse else 1.0
        self._rate = RATES_HZ.index(50)
        self._wire = wire or UsbBulk(USB_IDS, place, endpoint_out=0x01, endpoint_in=0x81, extra="km003c")
        self._clock = clock or SystemClock()
        self._session = Session(self._wire)
        self._life = Flow(self.name, self._start, self._flow)

    @property
    def moved_bytes(self) -> int:
        return self._wire.moved_bytes

    def tune(self, rate_hz: float) -> None:
        """Take the slowest of 2, 10, 50 and 1000 a second that is not slower than ``rate_hz``.

        Raises:
            SpecError: faster than the meter can.
        """
        if not 0 < rate_hz <= RATES_HZ[-1]:
            raise SpecError(f"{self.name} gives up to {RATES_HZ[-1]} samples a second, not {rate_hz:g}.")
        self._rate = next(index for index, rate in enumerate(RATES_HZ) if rate >= rate_hz)

    def open(self) -> None:
        """Find the meter, be let in, start the queue.

        Raises:
            ExtraMissing: pyusb or cryptography is not installed.
            SourceError: not plugged in, no permission, held by another program, or it does not let us stream.
        """
        self._life.open()

    def stream(self) -> Iterator[Reading]:
        """All samples at the tuned rate; ``fresh=False`` while none came.

        Raises:
            SourceTimeout: the meter stopped answering.
            SourceMissing: it was unplugged.
        """
        return self._life.stream()

    def read(self) -> Reading:
        """The next sample.

        Raises:
            SourceTimeout, SourceMissing: as `stream`.
        """
        return self._life.read()

    def close(self) -> None:
        """Stop the queue and let the meter go."""
        if self._life.end():
            with contextlib.suppress(SourceError):  # unplugged: nothing to stop
                self._session.command(STOP_GRAPH)
        self._wire.close()

    def _start(self) -> None:
        aes = Aes128()
        self._wire.open()
        try:
            self._session.command(CONNECT)
            self._session.authorise(aes, self._clock.time(), os.urandom(12))
            self._session.command(START_GRAPH, self._rate)
        except SourceError:
            self._wire.close()
            raise
        serial = getattr(self._wire, "serial", "")
        self.identity = f"KM003C {serial}" if serial else None

    def _flow(self) -> Iterator[Reading]:
        sequence = Sequence(1000 // RATES_HZ[self._rate])
        device_clock = DeviceClock(TICK_NS)
        lost_before = self.lost
        while True:
            found = samples(self._session.ask(GET_DATA, ADC_QUEUE))
            now_ns = self._clock.monotonic_ns()
            ticks = [sequence.tick(sample.sequence, now_ns) for sample in found]
            self.lost = lost_before + sequence.lost
            seen = [tick for tick in ticks if tick is not None]
            if seen:
                device_clock.heard(seen[-1], now_ns)
            else:
                yield Reading(fresh=False)
            for sample, tick in zip(found, ticks, strict=True):
                if tick is not None:
                    at_ns = device_clock.at(tick)
                    yield Reading(volts=sample.volts, amps=self._sign * sample.amps, at_ns=at_ns)
            if len(found) < _BACKLOG:
                self._clock.sleep(_ASK_EVERY_S[self._rate])
