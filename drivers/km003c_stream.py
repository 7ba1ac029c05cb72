"""ChargerLAB POWER-Z KM003C / KM002C, streamed: 2, 10, 50 or 1000 samples a second without a gap.

The meter, its ranges and accuracy: see ``km003c.py``. Here its own queue is fetched over USB (extra
``km003c``: pyusb and cryptography), every sample with a sequence number that runs at 1 kHz in the meter:
stamps come from it, its wrap every 65.5 s is undone. Semantics: instants. The
current is signed; ``reverse=true`` turns it round.

The slowest rate that satisfies the asked one is set. The meter hands out at most 63 samples an answer, so
it is asked every 20 ms at 1000 a second. Sent are Connect, a read of the hardware id, StreamingAuth,
StartGraph, GetData, StopGraph; nothing that alters settings or stored logs. Sources: see
``_km003c.py``.

Renewal: 2, 10, 50 or 1000 samples a second, as asked.
Counters: none while streaming.
Loss: exact, by the sequence numbers.
Tested on: an emulated wire, recorded USB sessions with their authentication; real hardware: none yet.
"""

import contextlib
import os
from collections.abc import Iterator

from energymeter.clock import Clock, SystemClock
from energymeter.drivers.links.stream import StreamingSource
from energymeter.drivers.links.timebase import DeviceClock
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
    Aes128,
    Km003cMeter,
    Sequence,
    Session,
    samples,
)
from energymeter.errors import SourceError, SpecError
from energymeter.reading import Reading

__all__ = ["Km003cStream"]

_ASK_EVERY_S = (0.4, 0.25, 0.1, 0.02)
_BACKLOG = 40  # an answer this full (of at most 63) means the meter holds more


class Km003cStream(Km003cMeter, StreamingSource):
    """``km003c_stream`` or ``km003c_stream@SERIALNUMBER``; options as of ``Km003cMeter``."""

    facts = FACTS._replace(default_hz=50.0, max_hz=1000.0)

    def __init__(
        self, address: str = "", *, wire: Wire | None = None, clock: Clock | None = None, **options: bool
    ) -> None:
        super().__init__(f"km003c_stream@{address}" if address else "km003c_stream", address, wire, **options)
        self.lost = 0
        self._rate = RATES_HZ.index(50)
        self._clock = clock or SystemClock()
        self._session = Session(self._wire)

    def tune(self, rate_hz: float) -> None:
        """Take the slowest of 2, 10, 50 and 1000 a second that is not slower than ``rate_hz``.

        Raises:
            SpecError: faster than the meter can.
        """
        if not 0 < rate_hz <= RATES_HZ[-1]:
            raise SpecError(f"{self.name} gives up to {RATES_HZ[-1]} samples a second, not {rate_hz:g}")
        self._rate = next(index for index, rate in enumerate(RATES_HZ) if rate >= rate_hz)

    def _stop(self, started: bool) -> None:
        if started:
            with contextlib.suppress(SourceError):  # unplugged: nothing to stop
                self._session.command(STOP_GRAPH)
        self._wire.close()

    def _start(self) -> None:
        """Find the meter, be let in, start the queue."""
        aes = Aes128()
        self._wire.open()
        try:
            self._session.command(CONNECT)
            self._session.authorise(aes, self._clock.time(), os.urandom(12))
            self._session.command(START_GRAPH, self._rate)
        except SourceError:
            self._wire.close()
            raise
        self._identify()

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
                    yield self._reading(sample.volts, sample.amps, device_clock.at(tick))
            if len(found) < _BACKLOG:
                self._clock.sleep(_ASK_EVERY_S[self._rate])
