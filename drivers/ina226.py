"""INA226, and INA230 and INA231 of the same registers: shunt monitors for 0..36 V, finer than an INA219.

Wiring: VBUS to the load's side of the shunt; VCC 3.3 V, GND, SDA, SCL to header pins 3 and 5. Current
is computed here from the shunt word (2.5 µV a count, ±81.92 mV); the calibration register, which a
brown-out zeroes, is never used. Reading: mask word (conversion-ready flag), shunt word, bus word.

±0.1 % and 10 µV offset of shunt, ±0.1 % and 7.5 mV of bus [from memory]; 1.25 mV of bus a count. 140 µs at
the fastest. Semantics: means, or instants where the current is measured for less than half of the period.
INA230 and INA231 have no identity registers [from memory]: say ``chip=ina230``.

Sources: kernel drivers/hwmon/ina2xx.c (registers, steps, reset value, averages); limits [from memory] after
the datasheet.

Renewal: each conversion; its averaging is set by the rate.
Counters: none.
Loss: none.
Tested on: an emulated chip; real hardware: none yet.
"""

from energymeter.drivers.protocols import ina
from energymeter.drivers.protocols.ina_chip import InaMeter

__all__ = ["Ina226"]

INA226 = ina.Kind(
    name="ina226",
    current=ina.Field(register=1, lsb=2.5e-6, limit=32767),
    bus=ina.Field(register=2, lsb=1.25e-3, limit=32767, signed=False),
    config_register=0,
    config=0x4000 | 7,
    ready=(6, 1 << 3),
    dies=(0x226,),
    gain=0.001,
    offset=10e-6,
    bus_gain=0.001,
    bus_offset=7.5e-3,
)


class Ina226(InaMeter):
    """An INA226 (or ``chip=ina230``, ``chip=ina231``) behind any shunt; options as of ``InaMeter``."""

    kinds = (INA226, *(INA226._replace(name=name, identity_register=None) for name in ("ina230", "ina231")))
