"""Nordic Power Profiler Kit II: 100 000 current samples a second over USB, averaged to the asked rate.

Wiring, ampere mode: supply to VIN, device under test to VOUT, grounds together; the PPK2 does **not**
measure voltage, so ``volts=`` must say what the supply gives, else there are amps and coulombs but no
joules. Source mode (``source=true&volts=3.3``): the PPK2 supplies 0.8..5.0 V at VOUT, up to 1 A. 200 nA..1
A in five ranges, ±10..20 % as specified, often far better in practice [from memory of the vendor's page].
Its USB data port is the one of its two serial ports whose location ends in 1.

Semantics: means over the samples of each interval (`extremes` keeps the least and greatest of the last
one). Each sample carries a 6-bit counter, so up to 63 missing samples are counted exactly, and
losses of whole multiples of 64 are found by the host's clock within three seconds; either leaves its
time out and is in `lost`. `saturated` counts samples at the ADC's stop.

Sent are: stop (0x07), get metadata (0x19), mode (0x11) if it is another one, in source mode the voltage
(0x0D), output on (0x0C 1: in both modes nothing flows without it), start (0x06). The output stays on at the
end, so that a reconnect does not cut the supply; ``leave_on=false`` switches it off. Never sent: reset
(0x20). The usual library is GPL and ignores the counter; this decoder is our own. Sources: see
``_ppk2.py``.

Renewal: 100 000 samples a second, averaged to the asked rate.
Counters: none.
Loss: a 6-bit counter in every sample, exact to 63 in a row; more by the host's clock.
Tested on: an emulated wire; real hardware: none yet.
"""

import contextlib
from collections.abc import Iterator
from typing import ClassVar

from energymeter.clock import Clock, SystemClock
from energymeter.drivers.links.serial import SerialLine
from energymeter.drivers.links.stream import StreamingSource
from energymeter.drivers.links.timebase import DeviceClock
from energymeter.drivers.links.wire import Wire, WireMeter, drain
from energymeter.drivers.protocols.ppk2 import (
    COUNTER_WRAP,
    TICK_NS,
    Bin,
    Calibration,
    Decoder,
    parse_calibration,
)
from energymeter.errors import SourceError, SourceTimeout, SpecError
from energymeter.reading import Band, Facts, Reading

__all__ = ["Ppk2"]

SAMPLES_HZ = 100_000
_STOP, _METADATA, _MODE, _VOLTS, _OUTPUT, _START = b"\x07", b"\x19", 0x11, 0x0D, 0x0C, b"\x06"
_AMPERE, _SOURCE = 1, 2
_SILENCE_S = 2.0
_GATHER_S = 0.004  # one wake-up for some 1600 bytes instead of one for every 64-byte USB packet


class Ppk2(WireMeter, StreamingSource):
    """``ppk2@/dev/ttyACM0?volts=5.1`` (ampere mode) or ``ppk2@/dev/ttyACM0?source=true&volts=3.3``.

    ``volts``: of the supply, 0 = not known; ``source``: let the PPK2 supply it; ``leave_on``: leave the
    output on at the end.
    """

    facts = Facts(
        semantics="mean",
        volts=Band(gain=0.03),  # given by the user or set by the PPK2, not measured
        amps=Band(gain=0.15, offset=2e-7, resolution=2e-7),
        watts=Band(gain=0.18, offset=1e-6, resolution=1e-6),
        default_hz=100.0,
        max_hz=10_000.0,
        max_watts=5.0,
        clock=100e-6,
    )
    usb_ids: ClassVar[tuple[tuple[int, int], ...]] = ((0x1915, 0xC00A),)

    def __init__(
        self,
        address: str = "/dev/ttyACM0",
        *,
        volts: float = 0.0,
        source: bool = False,
        leave_on: bool = True,
        wire: Wire | None = None,
        clock: Clock | None = None,
    ) -> None:
        if source and not 0.8 <= volts <= 5.0:
            raise SpecError(f"volts={volts:g}: in source mode the PPK2 gives 0.8 to 5.0 V")
        if not 0 <= volts <= 5.5:
            raise SpecError(f"volts={volts:g} must be what the supply gives, up to 5.5 V (0: not known)")
        self.name = f"ppk2@{address}"
        self.lost = 0
        self.saturated = 0
        """Samples at the ADC's stop: more current than the range can show."""
        self.extremes: tuple[float, float] | None = None
        """The least and greatest amps within the last reading."""
        self.calibration: Calibration | None = None
        self._volts = volts or None
        self._mode = _SOURCE if source else _AMPERE
        self._leave_on = leave_on
        self._per_bin = SAMPLES_HZ // 100
        self._wire = wire or SerialLine(address, 115200)
        self._clock = clock or SystemClock()
        self._decoder: Decoder | None = None

    def tune(self, rate_hz: float) -> None:
        """Average over 1/``rate_hz`` seconds.

        Raises:
            SpecError: beyond what `facts` allows.
        """
        if not 0 < rate_hz <= self.facts.max_hz:
            raise SpecError(f"{self.name} averages to at most {self.facts.max_hz:g} readings a second")
        self._per_bin = max(1, round(SAMPLES_HZ / rate_hz))

    def _stop(self, started: bool) -> None:
        """The output stays as ``leave_on`` says."""
        if started:
            with contextlib.suppress(SourceError):  # unplugged: nothing to stop
                self._wire.write(_STOP if self._leave_on else _STOP + bytes([_OUTPUT, 0]))
        self._wire.close()

    def _start(self) -> None:
        """Open the port, learn the meter's calibration, set its mode, start the flow."""
        self._wire.open()
        try:
            self.calibration = self._learn()
            if self.calibration.mode != self._mode:
                self._wire.write(bytes([_MODE, self._mode]))
            if self._mode == _SOURCE:
                self._wire.write(bytes([_VOLTS]) + round((self._volts or 0) * 1000).to_bytes(2, "big"))
            self._decoder = self._new_decoder(self.calibration)
            self._wire.write(bytes([_OUTPUT, 1]) + _START)
        except SourceError:
            self._wire.close()
            raise

    def _learn(self) -> Calibration:
        """Silence a flow that a killed program left running, then ask for the calibration."""
        self._wire.write(_STOP)
        for _ in range(40):
            if not self._wire.read(0.05):
                break
            drain(self._wire)
        self._wire.write(_METADATA)
        text = b""
        deadline_ns = self._clock.monotonic_ns() + 1_000_000_000
        while b"END" not in text:
            data = self._wire.read(0.25)
            if (not data and self._clock.monotonic_ns() >= deadline_ns) or len(text) > 65536:
                raise SourceTimeout(
                    f"{self.name} did not give its calibration: take the other one of its two ports"
                )
            text += data
        return parse_calibration(text.decode("ascii", "replace"))

    def _new_decoder(self, calibration: Calibration) -> Decoder:
        volts = self._volts or calibration.supply_volts or 0.0  # for the small S·V term only
        return Decoder(calibration, volts, self._per_bin)

    def _flow(self) -> Iterator[Reading]:
        """Means at the tuned rate; ``fresh=False`` while an interval lasts longer than a quarter second."""
        decoder = self._decoder
        assert decoder is not None
        device_clock = DeviceClock(TICK_NS)
        lost, saturated = self.lost, self.saturated
        heard_ns = said_ns = self._clock.monotonic_ns()
        while True:
            self._clock.sleep(_GATHER_S)
            data = self._wire.read(0.25)
            now_ns = self._clock.monotonic_ns()
            before = decoder.tick
            bins = decoder.feed(data)
            if decoder.tick > before:
                heard_ns = now_ns
                decoder.skip(device_clock.heard(decoder.tick, now_ns, COUNTER_WRAP))
            elif now_ns - heard_ns > _SILENCE_S * 1e9:
                raise SourceTimeout(f"{self.name} stopped sending samples: plug it in again")
            self.lost, self.saturated = lost + decoder.lost, saturated + decoder.saturated
            for one in bins:
                said_ns = now_ns
                yield self._reading(one, device_clock)
            if now_ns - said_ns > 250_000_000 or not data:
                said_ns = now_ns
                yield Reading(fresh=False)

    def _reading(self, one: Bin, device_clock: DeviceClock) -> Reading:
        self.extremes = (one.least, one.greatest)
        return Reading(
            volts=self._volts,
            amps=one.amps,
            watts=one.amps * self._volts if self._volts else None,
            seconds=one.samples * TICK_NS / 1e9,
            at_ns=device_clock.at(one.end_tick),
        )
