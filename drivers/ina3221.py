"""INA3221: three shunt monitors in one chip, 0..26 V; on most Jetsons and on cheap modules.

Wiring: each rail through its own INn+ and INn-, the board at INn-; VCC 3.3 V, GND, SDA, SCL to header
pins 3 and 5. 40 µV of shunt a count (13 bit, to ±163.8 mV; 0.4 mA at 0.1 Ω, 8 mA at a Jetson's 5 mΩ)
and 8 mV of bus. The channels are converted in turn, so each is measured a third of the time at most.

The three channels are three sources that add up. Where one of them feeds the others (VDD_IN of a
Jetson), say ``total=1``: the others are then shown but not added. A Jetson's own chip is bound to the
kernel's driver; read that through hwmon.

±0.25 % and 80 µV of shunt, ±0.25 % and 8 mV of bus [from memory]. Semantics: means, or instants where the
current is measured for less than half of the period. Sources: kernel
drivers/hwmon/ina3221.c (registers, steps, reset value, times); limits [from memory] after the datasheet.

Accuracy: ±0.25 % and 80 µV of shunt, ±0.25 % and 8 mV of bus [from memory], and the shunt's tolerance.
Renewal: each conversion of three channels; its averaging is set by the rate.
Counters: none.
Loss: none.
Tested on: an emulated chip; real hardware: none yet.
"""

from collections.abc import Sequence

from energymeter.clock import Clock
from energymeter.drivers.links import i2c
from energymeter.drivers.protocols import ina
from energymeter.drivers.protocols.ina_chip import Converter, InaSource
from energymeter.errors import SpecError
from energymeter.reading import Band, Facts, Reading
from energymeter.source import Source

__all__ = ["Ina3221"]

INA3221 = ina.Kind(
    name="ina3221",
    current=ina.Field(register=1, lsb=40e-6, limit=4095, shift=3),
    bus=ina.Field(register=2, lsb=8e-3, limit=4095, shift=3),
    config_register=0,
    config=7,
    ready=(0x0F, 1 << 0),
    dies=(0x322,),
    gain=0.0025,
    offset=80e-6,
    bus_gain=0.0025,
    bus_offset=8e-3,
)


class _Channel:
    """One of the three, read as a source of its own."""

    def __init__(self, owner: "Ina3221", number: int, shunt: float, facts: Facts) -> None:
        self.name = f"{owner.name}/{number}"
        self.facts = facts
        self._owner, self._shunt, self._seen = owner, shunt, 0
        step = 2 * (number - 1)
        self._current = INA3221.current._replace(register=INA3221.current.register + step)
        self._bus = INA3221.bus._replace(register=INA3221.bus.register + step)

    def open(self) -> None:
        """The chip is opened as a whole."""

    def read(self) -> Reading:
        """Volts and amps of this channel's latest conversion, or ``fresh=False`` when it was read before."""
        latest = self._owner.round_after(self._seen)
        if latest == self._seen:
            return Reading(fresh=False)
        converter = self._owner.converter
        amps = converter.value(self._current) / self._shunt
        volts = converter.value(self._bus)
        self._seen = latest
        return Reading(volts=volts, amps=amps) if converter.intact() else Reading(fresh=False)

    def close(self) -> None:
        """The chip is closed as a whole."""


class Ina3221(InaSource):
    """An INA3221, read channel by channel.

    Args:
        address: ``bus:address``.
        shunt: ohms of every channel's shunt.
        shunt1, shunt2, shunt3: ohms of one channel's; 0: as ``shunt``.
        use: which channels are wired, such as ``12``.
        total: the channel that feeds the others; 0: none does, they add up.
        tolerance: of the shunts, relative.
        wire: an open bus to use instead of ``/dev/i2c-N``.
        clock: what waiting is done on.

    Raises:
        SpecError: an option makes no sense.
    """

    kinds = (INA3221,)

    def __init__(
        self,
        address: str = "1:0x40",
        *,
        shunt: float = 0.1,
        shunt1: float = 0.0,
        shunt2: float = 0.0,
        shunt3: float = 0.0,
        use: str = "123",
        total: int = 0,
        tolerance: float = 0.01,
        wire: i2c.Wire | None = None,
        clock: Clock | None = None,
    ) -> None:
        chip = i2c.Chip(address, wire)
        self.name = self.identity = f"ina3221@{chip}"
        if not use or any(digit not in "123" for digit in use) or (total and str(total) not in use):
            raise SpecError(f"{self.name}: use={use}, total={total} cannot be: give channels 1, 2 and 3")
        numbers = [number for number in (1, 2, 3) if str(number) in use]
        enabled = sum(0x4000 >> (number - 1) for number in numbers)
        self.converter = self._converter = Converter(
            INA3221, chip, clock, channels=len(numbers), extra=enabled
        )
        self.facts = Facts(semantics="mean", default_hz=50.0, max_hz=500.0)
        self._round = 0
        self._channels: list[_Channel] = []
        for number in numbers:
            ohms = (shunt1, shunt2, shunt3)[number - 1] or shunt
            ina.check_options(f"{self.name}/{number}", ohms, tolerance, 0.0, 0.1638)
            facts = self.facts._replace(
                volts=Band(INA3221.bus_gain, INA3221.bus_offset, INA3221.bus.lsb),
                amps=ina.amps_band(INA3221.gain, INA3221.offset, INA3221.current.lsb, ohms, tolerance),
                max_watts=26.0 * 0.1638 / ohms,
                counted=total in (0, number),
            )
            self._channels.append(_Channel(self, number, ohms, facts))
        self.tune(self.facts.default_hz)

    def tune(self, rate_hz: float) -> None:
        """Choose averaging and times for a sample rate; takes effect at ``open``."""
        self.converter.tune(rate_hz)
        self.facts = ina.refine(self.facts, self.converter.timing, rate_hz)
        for channel in self._channels:
            channel.facts = ina.refine(channel.facts, self.converter.timing, rate_hz)

    def channels(self) -> Sequence[Source]:
        """The channels in use."""
        return self._channels

    def round_after(self, seen: int) -> int:
        """The number of the latest round of conversions; asks the chip only when ``seen`` was it."""
        if seen == self._round and self.converter.ready():
            self._round += 1
        return self._round

    def read(self) -> Reading:
        """Watts of all channels that count, added up."""
        readings = [channel.read() for channel in self._channels if channel.facts.counted]
        if not all(reading.fresh for reading in readings):
            return Reading(fresh=False)
        return Reading(watts=sum(reading.power or 0.0 for reading in readings))
