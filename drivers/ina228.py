"""INA228: 20-bit shunt monitor for 0..85 V with accumulators of joules and coulombs.

Wiring: VBUS to the load's side of the shunt; VCC 3.3 V, GND, SDA, SCL to header pins 3 and 5. (INA229
is the same chip on SPI and cannot be read here.) Shunt 312.5 nV a count to ±163.84 mV, or 78.125 nV to
±40.96 mV when ``max_amps`` fits; bus 195.3 µV a count. The bus adapter must do plain I²C transfers, for
the 40-bit counters.

The counters miss nothing between reads, whatever the rate. ENERGY is unsigned and adds up magnitudes;
CHARGE is signed and falls while current flows backwards. Both run on the chip's own clock, ±0.5 %,
which the facts state apart so that the host's clock can correct it. The calibration is always 4096: then
a count of current is exactly a count of the shunt's voltage over its ohms. After a brown-out the
counters restart from 0, in the narrow range at a wrong scale until set up again: the read that finds it
fails.

±0.05 % and 1 µV of shunt, ±0.05 % and 2.5 mV of bus [from memory]; ±1 % for both counters (vendor).
Sources: TI SLYS021A table 7-3 (scaling), RobTillaart/INA228 (signedness), the embedded-devices crate's
ina228 page (clock), e2e.ti.com thread 1391284 (the ready flag must be latched); its bit [from memory].

Renewal: each conversion; the counters miss none.
Counters: its joules and coulombs are the curve.
Loss: the counters miss nothing; a brown-out, which zeroes them, is reported.
Tested on: an emulated chip; real hardware: none yet.
"""

import math

from energymeter.drivers.protocols import ina
from energymeter.drivers.protocols.ina_chip import LATCH_READY, InaMeter
from energymeter.errors import SourceError
from energymeter.reading import Band, Reading

__all__ = ["Ina228"]

INA228 = ina.Kind.fast(
    name="ina228",
    current=ina.Field(register=4, lsb=312.5e-9, limit=(1 << 19) - 1, size=3, shift=4),
    narrow=ina.Field(register=4, lsb=78.125e-9, limit=(1 << 19) - 1, size=3, shift=4),
    bus=ina.Field(register=5, lsb=195.3125e-6, limit=(1 << 19) - 1, size=3, shift=4),
    dies=(0x228,),
    gain=0.0005,
    offset=1e-6,
    bus_gain=0.0005,
    bus_offset=2.5e-3,
    set_up=((2, 4096), LATCH_READY),
)

_ENERGY, _CHARGE = 0x09, 0x0A
_COUNTER_GAIN = 0.01
_CLOCK = 0.005


class Ina228(InaMeter):
    """An INA228 behind any shunt (15 mΩ on the common module); options as of ``InaMeter``."""

    kinds = (INA228,)
    module_shunt = 0.015

    def tune(self, rate_hz: float) -> None:
        """Choose averaging and times; the counters count all the same."""
        super().tune(rate_hz)
        self._coulombs = self._converter.current.lsb / self._shunt
        self._joules = 16 * 3.2 * self._coulombs
        gain = math.hypot(_COUNTER_GAIN, self._tolerance)
        self.facts = self.facts._replace(
            semantics="counter",
            duty=0.0,
            latency=0.0,
            joules=Band(gain, 0.0, self._joules),
            coulombs=Band(gain, 0.0, self._coulombs),
            joules_wrap=self._joules * (1 << 40),
            clock=_CLOCK,
        )

    def read(self) -> Reading:
        """Joules and coulombs counted so far, with the latest volts and amps.

        Raises:
            SourceError: the chip does not answer, the current is beyond the range, or the counters restarted.
        """
        reading = Reading(fresh=False)
        if self._converter.ready():
            joules = self._converter.count(_ENERGY, signed=False) * self._joules
            coulombs = self._converter.count(_CHARGE, signed=True) * self._coulombs
            reading = self._latest()._replace(joules=joules, coulombs=coulombs)
        if self._converter.lost_power():
            raise SourceError(
                f"{self.name} lost its power for a moment and counts from 0 again: check its supply"
            )
        return reading
