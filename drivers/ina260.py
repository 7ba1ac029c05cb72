"""INA260: current monitor with its own 2 mΩ shunt inside, ±15 A, 0..36 V.

Wiring: IN+ to the supply, IN- to the board, VBUS to IN-; VCC 3.3 V, GND, SDA, SCL to header pins 3 and
5. 1.25 mA and 1.25 mV a count. ±0.5 % and 5 mA of current, shunt included, ±0.1 % and 7.5 mV of bus
[from memory]; 140 µs at the fastest. Semantics: means, or instants where the converter looks at less than
half of the period.

Sources: kernel drivers/hwmon/ina2xx.c (registers, steps, reset value); limits [from memory] after the
datasheet.

Renewal: each conversion; its averaging is set by the rate.
Counters: none.
Loss: none.
Tested on: an emulated chip; real hardware: none yet.
"""

from energymeter.clock import Clock
from energymeter.drivers.links import i2c
from energymeter.drivers.protocols import ina
from energymeter.drivers.protocols.ina_chip import InaMeter

__all__ = ["Ina260"]

INA260 = ina.Kind(
    name="ina260",
    current=ina.Field(register=1, lsb=1.25e-3, limit=12_000),
    bus=ina.Field(register=2, lsb=1.25e-3, limit=32767, signed=False),
    config_register=0,
    config=0x6000 | 7,
    ready=(6, 1 << 3),
    dies=(0x227,),
    gain=0.005,
    offset=5e-3,
    bus_gain=0.001,
    bus_offset=7.5e-3,
    beyond="more than ±15 A must not flow through it",
)


class Ina260(InaMeter):
    """An INA260.

    Args:
        address: ``bus:address``.
        board: a board's name; ``open`` then checks that what is read is plausible for it.
        wire: an open bus to use instead of ``/dev/i2c-N``.
        clock: what waiting is done on.
    """

    kinds = (INA260,)

    def __init__(
        self,
        address: str = "1:0x40",
        *,
        board: str = "",
        wire: i2c.Wire | None = None,
        clock: Clock | None = None,
    ) -> None:
        # Its register is in amps already, as if the shunt's voltage were read over exactly 1 Ω.
        super().__init__(address, shunt=1.0, tolerance=0.0, board=board, wire=wire, clock=clock)
        self.identity = self.name
