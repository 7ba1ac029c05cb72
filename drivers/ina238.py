"""INA238, and the less exact INA237: shunt monitors for 0..85 V.

Wiring: VBUS to the load's side of the shunt; VCC 3.3 V, GND, SDA, SCL to header pins 3 and 5. (INA239
is the same chip on SPI and cannot be read here.) Current is computed here from the shunt word: 5 µV a
count to ±163.84 mV, or 1.25 µV to ±40.96 mV when ``max_amps`` fits. 3.125 mV of bus a count.

INA238 ±0.1 % and 5 µV, INA237 ±0.3 % and 50 µV of shunt [from memory]; 50 µs at the fastest. Semantics:
means, or instants where the current is measured for less than half of the period.

Sources: kernel drivers/hwmon/ina238.c and ESPHome's ina2xx page (registers, steps), e2e.ti.com thread
1391284 (the ready flag must be latched); its bit, die numbers and limits [from memory] after the datasheets.

Renewal: each conversion; its averaging is set by the rate.
Counters: none.
Loss: none.
Tested on: an emulated chip; real hardware: none yet.
"""

from energymeter.drivers.protocols import ina
from energymeter.drivers.protocols.ina_chip import LATCH_READY, InaMeter

__all__ = ["Ina238"]

INA238 = ina.Kind.fast(
    name="ina238",
    current=ina.Field(register=4, lsb=5e-6, limit=32767),
    narrow=ina.Field(register=4, lsb=1.25e-6, limit=32767),
    bus=ina.Field(register=5, lsb=3.125e-3, limit=32767),
    dies=(0x238,),
    gain=0.001,
    offset=5e-6,
    bus_gain=0.001,
    bus_offset=5e-3,
    set_up=(LATCH_READY,),
)


class Ina238(InaMeter):
    """An INA238 (or ``chip=ina237``) behind any shunt; options as of ``InaMeter``."""

    kinds = (
        INA238,
        INA238._replace(name="ina237", dies=(0x237, 0x238), gain=0.003, offset=50e-6, bus_gain=0.003),
    )
