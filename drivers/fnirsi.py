"""FNIRSI FNB48, FNB48S, FNB48P, FNB58 and C1 USB power meters over USB HID.

Plug: between supply and load; the meter's PC port to the host. 100 samples a second, fixed; steps 10 µV,
10 µA; 0..28 V (48P, C1: 50 V), 0..7 A. Accuracy ±0.2 % volts, ±0.5 % amps: **from memory of the maker's
pages, taken wide**. Semantics: instants;
the current carries no direction.

Wire (github.com/baryluk/fnirsi-usb-power-data-logger, MIT; github.com/yeckel/OpenFNB58): 64-byte reports.
The host sends AA 81, AA 82, then AA 83 (FNB48, C1) or AA 82 (FNB58, FNB48S, FNB48P), and afterwards AA 83 to
keep the flow going: after every packet on the old models, once a second on the new. A data packet is AA 04,
four samples of 15 bytes, one unknown byte, CRC-8 (poly 0x39, init 0x42, over bytes 1..62).

Time: samples are counted, 10 ms each; host arrival times even go backwards from packet to packet when they
are stamped (issue in that logger). There is no sequence number: a packet with a wrong CRC or with values no
such meter can see (the first after a restart has shown 188 V, 170 A) is dropped, its 40 ms are left out
and counted in `lost`; packets that vanish unseen are noticed by the host's clock within three seconds
and counted too. Where a firmware gets every CRC wrong (reported of an FNB48S) the range check stands alone.
AA 81 is reported to restart some FNB58: none but the start sequence above is ever sent. No raw packet has
been published.

Renewal: 100 samples a second; the meter itself averages over 0.12 to 0.5 s.
Counters: none over USB; ``fnirsi_ble`` has them.
Loss: packets with a wrong CRC, and those that vanished unseen for three seconds, 40 ms each.
Tested on: an emulated wire, recorded commands and decoded rows (no raw packet is public); real hardware:
    none yet.
"""

import contextlib
import struct
import time
from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from energymeter.clock import Clock, SystemClock
from energymeter.drivers.links.hid import REPORT, HidLine
from energymeter.drivers.links.stream import StreamingSource
from energymeter.drivers.links.timebase import DeviceClock
from energymeter.drivers.links.usb import plugged
from energymeter.drivers.links.wire import Wire, WireMeter
from energymeter.drivers.protocols.crc import crc8_fnirsi
from energymeter.errors import SourceError, SourceMissing, SourceTimeout, SpecError
from energymeter.reading import Band, Facts, Reading
from energymeter.text import printable

__all__ = ["Fnirsi"]

TICK_NS = 10_000_000
SAMPLES = 4
_DATA = 0x04
_SAMPLE = struct.Struct("<IIHHBH")
_MAX_VOLTS, _MAX_AMPS = 60.0, 10.0  # none of the models goes this far
_CRC_TRIALS = 25  # one second of packets, wrong but for a chance hit: this firmware does not do it our way
_CRC_CHANCE = 8  # so many times the right ones; of random bytes 255 are wrong to one that is right
_SILENCE_S = 2.0


class Model(NamedTuple):
    """How one model is started and kept going."""

    name: str
    third_start: int
    keep_alive_s: float


MODELS = {
    (0x0483, 0x003A): Model("fnb48", 0x83, 0.003),
    (0x0483, 0x003B): Model("c1", 0x83, 0.003),
    (0x2E3C, 0x0049): Model("fnb48s", 0x82, 1.0),
    (0x2E3C, 0x5558): Model("fnb58", 0x82, 1.0),
}


class Sample(NamedTuple):
    """10 ms of one packet. SI units."""

    volts: float
    amps: float
    data_plus_volts: float
    data_minus_volts: float
    celsius: float


def command(code: int) -> bytes:
    """One 64-byte command, e.g. ``aa 81 00 … 00 8e``."""
    body = bytes([code]) + bytes(REPORT - 3)
    return b"\xaa" + body + bytes([crc8_fnirsi(body)])


def crc_fits(report: bytes) -> bool:
    """Whether the CRC-8 of a whole report is right."""
    return len(report) == REPORT and crc8_fnirsi(report[1:-1]) == report[-1]


def decode(report: bytes) -> list[Sample]:
    """The four samples of a data packet; none where the report is no data packet or cannot be true."""
    if len(report) != REPORT or report[0] != 0xAA or report[1] != _DATA:
        return []
    samples = []
    for volts, amps, plus, minus, _, celsius in _SAMPLE.iter_unpack(report[2:62]):
        if volts > _MAX_VOLTS * 1e5 or amps > _MAX_AMPS * 1e5:
            return []
        samples.append(Sample(volts / 1e5, amps / 1e5, plus / 1e3, minus / 1e3, celsius / 10))
    return samples


class Fnirsi(WireMeter, StreamingSource):
    """``fnirsi`` (the first found), ``fnirsi@/dev/hidraw3`` or ``fnirsi@SERIALNUMBER``.

    ``model``: taken from the USB id; given, only where that cannot be seen.
    """

    kind = "meter"

    facts = Facts(
        volts=Band(gain=0.002, offset=0.0002, resolution=0.00001),
        amps=Band(gain=0.005, offset=0.0002, resolution=0.00001),
        default_hz=100.0,
        max_hz=100.0,
        max_watts=50 * 7.0,
        smoothing_seconds=0.5,
    )
    usb_ids: ClassVar[tuple[tuple[int, int], ...]] = tuple(MODELS)
    usb_node = "hidraw"

    @classmethod
    def addresses(cls) -> list[str]:
        """None: its start sequence is reported to restart some, so a person decides."""
        if plugged(cls.usb_ids):
            raise SourceMissing("an FNIRSI meter is plugged in; name it to start its stream: fnirsi")
        return []

    def __init__(
        self,
        address: str = "",
        *,
        model: str = "",
        wire: Wire | None = None,
        clock: Clock | None = None,
        sysfs: str = "/sys",
    ) -> None:
        named = {known.name: known for known in MODELS.values()}
        if model and model not in named:
            raise SpecError(f"model={model} is not known: {', '.join(named)}, or leave it out")
        self.name = f"fnirsi@{address}" if address else "fnirsi"
        self.identity: str | None = None
        self.lost = 0
        self.dropped = 0
        """Packets with a wrong CRC or impossible values; their samples are in `lost`."""
        self._wire = wire or HidLine(address, self.usb_ids, sysfs)
        self._clock = clock or SystemClock()
        self._model = named[model or "fnb58"]
        self._crc_right = self._crc_wrong = 0

    def _stop(self, started: bool) -> None:
        """Empty the queue first: an FNB48's display freezes otherwise."""
        if started:
            deadline = time.monotonic() + 1.0
            with contextlib.suppress(SourceError):  # unplugged: nothing to empty
                while time.monotonic() < deadline and self._wire.read(0.06):
                    pass
        self._wire.close()

    def _start(self) -> None:
        self._wire.open()
        node = self._wire.node if isinstance(self._wire, HidLine) else None
        if node is not None:
            self._model = MODELS[node.usb_id]
            self.identity = f"{self._model.name} {printable(node.serial)}" if node.serial else None
        for code in (0x81, 0x82, self._model.third_start):
            self._wire.write(command(code))

    def _checked(self, report: bytes) -> list[Sample]:
        """The samples of a data packet; none, and counted, where it cannot be true."""
        fits = crc_fits(report)
        self._crc_right += fits
        self._crc_wrong += not fits
        other_crc = self._crc_wrong > _CRC_TRIALS + _CRC_CHANCE * self._crc_right
        samples = decode(report) if fits or other_crc else []
        if not samples:
            self.dropped += 1
            self.lost += SAMPLES
        return samples

    def _flow(self) -> Iterator[Reading]:
        device_clock, tick = DeviceClock(TICK_NS), 0
        heard_ns = alive_ns = self._clock.monotonic_ns()
        while True:
            report = self._wire.read(0.25)
            now_ns = self._clock.monotonic_ns()
            if now_ns - alive_ns >= self._model.keep_alive_s * 1e9:
                alive_ns = now_ns
                self._wire.write(command(0x83))
            if report[1:2] != bytes([_DATA]):
                if now_ns - heard_ns > _SILENCE_S * 1e9:
                    raise SourceTimeout(
                        f"{self.name} stopped sending samples: plug it in again, and check for newer firmware"
                    )
                yield Reading(fresh=False)
                continue
            heard_ns = now_ns
            tick += SAMPLES
            samples = self._checked(report)
            if not samples:
                yield Reading(fresh=False)
                continue
            unseen = device_clock.heard(tick, now_ns, SAMPLES)
            self.lost += unseen
            tick += unseen
            for back, sample in zip(range(SAMPLES - 1, -1, -1), samples, strict=True):
                yield Reading(volts=sample.volts, amps=sample.amps, at_ns=device_clock.at(tick - back))
