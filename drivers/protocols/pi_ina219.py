"""An INA219 through the library pi-ina219 (extra), for those who trust it more than us.

It needs seven transfers for what we read in three, so voltage and current are not of one conversion,
and on its own it narrows and widens the gain by a flag that does not show clipping; here it is held
at the widest gain and clipping is looked for. Tested on pi-ina219 1.4.1 over the emulated chip.
"""

from __future__ import annotations

from energymeter.drivers.links import i2c
from energymeter.errors import ExtraMissing, SourceError
from energymeter.lazy import TYPE_CHECKING, module
from energymeter.reading import Reading

if TYPE_CHECKING:
    from typing import Any


_FULL_SCALE_MILLIVOLTS = 320.0


class Backend:
    """An opened chip.

    Args:
        chip: where it is.
        shunt: ohms.
        times: configuration bits of the two converters, as the register has them.

    Raises:
        ExtraMissing: the library is not installed.
        SourceError: the chip cannot be reached.
    """

    def __init__(self, chip: i2c.Chip, shunt: float, times: int) -> None:
        try:
            self._library: Any = module("ina219")
        except ImportError as error:
            raise ExtraMissing("pi-ina219", "pi-ina219", "backend=pi-ina219") from error
        self._chip = chip
        try:
            self._meter: Any = self._library.INA219(shunt, busnum=chip.bus, address=chip.address)
            self._meter.configure(
                voltage_range=self._meter.RANGE_32V,
                gain=self._meter.GAIN_8_320MV,
                bus_adc=times >> 7 & 15,
                shunt_adc=times >> 3 & 15,
            )
        except OSError as error:
            raise chip.explain(error) from error

    def read(self) -> Reading:
        """Volts and amps as the library has them.

        Raises:
            SourceError: nobody answers, or the shunt's voltage is at full scale.
        """
        try:
            if not self._meter.is_conversion_ready():
                return Reading(fresh=False)
            reading = Reading(volts=self._meter.voltage(), amps=self._meter.current() / 1000)
            clipped = abs(self._meter.shunt_voltage()) >= _FULL_SCALE_MILLIVOLTS
            self._meter.power()  # clears the ready flag
        except self._library.DeviceRangeError:
            clipped = True
        except OSError as error:
            raise self._chip.explain(error) from error
        if clipped:
            raise SourceError(f"ina219@{self._chip} clipped at its widest range: use a smaller shunt")
        return reading
