"""INA219: shunt monitor for 0..26 V, on most small I²C current-sensor modules.

Wiring: VIN+ to the supply, VIN- to the board, GND common; VCC 3.3 V, SDA and SCL to header pins 3 and
5. The chip senses bus voltage at VIN-, so V·I is what the board gets; the shunt's own V²/R is not in
it.

Reading: bus word (voltage and conversion-ready flag), power word (only because reading it clears that
flag), shunt word. Current is computed here as counts x 10 µV / shunt. The current, power and
calibration registers are never used: a brown-out zeroes the calibration and they then read 0. Their
overflow bit says nothing about the converter, whose saturation is not flagged at all: a shunt word at
the full scale of the gain in use is a clipped one.

Resolution 10 µV of shunt (100 µA at 0.1 Ω), 4 mV of bus at 12 bit. ±0.5 % and 200 µV offset (2 mA at
0.1 Ω: calibrate it out). Rate up to 1.6 kHz at 12 bit; three words take 1.4 ms on a 100 kHz bus. There is no
identity register: whether it is an INA219 that answers cannot be known. Semantics: means, or instants where
the converter measures the current for less than half of the period.

Sources: TI SBOS448G 7.5 (errors), 8.6 (registers), SBOS448F (what clears CNVR); the time table also in
chrisb2/pi_ina219 ina219.py and the kernel's drivers/iio/adc/ina2xx-adc.c. Default bus: 1 on a Raspberry Pi
and a Jetson Nano; 7 on Orin Nano and AGX Orin, 8 on Xavier [from memory].

Renewal: each conversion; its averaging is set by the rate.
Counters: none.
Loss: none.
Tested on: an emulated chip, recorded register values, the kernel's i2c-dev on i2c-stub; real hardware: none
    yet.
"""

from __future__ import annotations

from energymeter.drivers.protocols import ina
from energymeter.drivers.protocols.ina_chip import InaMeter
from energymeter.errors import SourceError, SpecError
from energymeter.lazy import TYPE_CHECKING
from energymeter.reading import Reading

if TYPE_CHECKING:
    from typing import Any

    from energymeter.drivers.protocols import pi_ina219


__all__ = ["Ina219"]

_RANGE_32V = 1 << 13  # 4 mV steps either way; the 16 V range would only clip earlier
_CONTINUOUS = 7
_NARROWEST = 4000  # counts at ±40 mV; each gain step doubles it
_WIDEST_GAIN = 3
_RANGES = ("40mV", "80mV", "160mV", "320mV")

# Code -> typical seconds. 9..11 bit, 12 bit, then 2..128 averages of 12 bit.
_SHUNT_SECONDS = {
    0: 84e-6, 1: 148e-6, 2: 276e-6, 3: 532e-6, 9: 1.06e-3, 10: 2.13e-3, 11: 4.26e-3,
    12: 8.51e-3, 13: 17.02e-3, 14: 34.05e-3, 15: 68.10e-3,
}  # fmt: skip
_BUS_SECONDS = {0: 84e-6, 1: 148e-6, 2: 276e-6, 3: 532e-6}

INA219 = ina.Kind(
    name="ina219",
    current=ina.Field(register=1, lsb=10e-6, limit=(_NARROWEST << _WIDEST_GAIN) - 1),
    bus=ina.Field(register=2, lsb=4e-3, limit=6500, shift=3, signed=False),  # 26 V, the most that it stands
    config_register=0,
    config=_RANGE_32V | _CONTINUOUS,
    ready=(2, 1 << 1),
    cleared_by=3,
    identity_register=None,
    gain=0.005,
    offset=200e-6,  # at the widest gain
    bus_gain=0.005,
    bus_offset=0.0,
    table=tuple(
        ina.Timing(bus << 7 | shunt << 3, seconds, seconds + bus_seconds, 9 + bus, min(9 + shunt, 12))
        for shunt, seconds in _SHUNT_SECONDS.items()
        for bus, bus_seconds in _BUS_SECONDS.items()
    ),
)


class Ina219(InaMeter):
    """An INA219 behind any shunt; options as of ``InaMeter``, and one more.

    Args:
        address: ``bus:address``, such as ``1:0x41``.
        backend: ``registers``, or ``pi-ina219`` to read through that library.

    Raises:
        SpecError: an option makes no sense.
    """

    kinds = (INA219,)
    max_hz = 2000.0

    def __init__(self, address: str = "1:0x40", *, backend: str = "registers", **options: Any) -> None:
        super().__init__(address, **options)
        if backend not in ("registers", "pi-ina219"):
            raise SpecError(f"{self.name}: backend={backend} is unknown: use registers or pi-ina219")
        self._backend = backend
        self._library: pi_ina219.Backend | None = None
        self._lowest_gain = next(
            gain for gain in range(4) if not ina.exceeds(self._max_amps, self._shunt, _full_scale(gain))
        )
        self._gain, self._calm = _WIDEST_GAIN, 0

    def open(self) -> None:
        """Set the chip up, at the widest gain.

        Raises:
            SourceError: it does not answer, or clips.
            ImplausibleReading: what it reads cannot be the ``board``.
        """
        if self._backend == "pi-ina219":
            from energymeter.drivers.protocols import pi_ina219

            converter = self._converter
            self._library = pi_ina219.Backend(converter.chip, self._shunt, converter.timing.config)
            return
        self._set_gain(_WIDEST_GAIN, write=False)
        super().open()

    def read(self) -> Reading:
        """Volts and amps of the latest conversion, or ``fresh=False`` when it was read before.

        Raises:
            SourceError: the chip does not answer, or the current is beyond the widest range.
        """
        return super().read() if self._library is None else self._library.read()

    def close(self) -> None:
        """Let go of the bus; the chip goes on converting."""
        self._library = None
        super().close()

    def _latest(self) -> Reading:
        bus = self._converter.status  # the word with the ready flag holds the voltage too
        counts = INA219.current.counts(self._converter.word(INA219.current.register))
        if abs(counts) >= _NARROWEST << self._gain:
            return self._at_widest()
        self.range = _RANGES[self._gain]
        """Full scale of the gain that the last reading was taken at: each has an offset of its own."""
        self._follow(abs(counts))
        return Reading(
            volts=INA219.bus.counts(bus) * INA219.bus.lsb, amps=counts * INA219.current.lsb / self._shunt
        )

    def _at_widest(self) -> Reading:
        """Take a clipped sample again at the widest gain."""
        if self._gain == _WIDEST_GAIN:
            amps = _full_scale(_WIDEST_GAIN) / self._shunt
            raise SourceError(
                f"{self.name} clipped at ±{amps:g} A: use a smaller shunt than {self._shunt:g} Ω"
            )
        self._set_gain(_WIDEST_GAIN)
        self._converter.wait()
        return self.read()

    def _follow(self, counts: int) -> None:
        """Widen the gain before it clips; narrow it, for its smaller offset, after a calm while.

        Narrowing needs sixteen samples in a row below a quarter of the narrower range, because an
        average may hide a spike four times its height.
        """
        limit = _NARROWEST << self._gain
        self._calm = self._calm + 1 if counts * 8 < limit else 0
        if counts * 8 > limit * 7 and self._gain < _WIDEST_GAIN:
            self._set_gain(self._gain + 1)
        elif self._calm >= 16 and self._gain > self._lowest_gain:
            self._set_gain(self._gain - 1)

    def _set_gain(self, gain: int, *, write: bool = True) -> None:
        self._gain, self._calm = gain, 0
        if write:
            self._converter.configure(gain << 11)
        else:
            self._converter.extra = gain << 11


def _full_scale(gain: int) -> float:
    """Volts across the shunt that a gain can show."""
    return (_NARROWEST << gain) * INA219.current.lsb
