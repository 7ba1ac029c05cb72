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
0.1 Ω: calibrate it out). Rate up to 1.6 kHz at 12 bit; three words take 1.4 ms on a 100 kHz bus. No
identity register: it cannot tell whether an INA219 is there. Semantics: means, or instants where the
converter looks at less than half of the period.

Sources: TI SBOS448G 7.5 (errors), 8.6 (registers), SBOS448F (what clears CNVR); the time table also in
chrisb2/pi_ina219 ina219.py and the kernel's drivers/iio/adc/ina2xx-adc.c. Default bus: 1 on a Raspberry Pi
and a Jetson Nano; 7 on Orin Nano and AGX Orin, 8 on Xavier [from memory].

Counters: none.
Loss: none.
Tested on: an emulated chip, recorded register values, the kernel's i2c-dev on i2c-stub; real hardware: none
    yet.
"""

from collections.abc import Iterator

from energymeter.clock import Clock, SystemClock
from energymeter.drivers.links import i2c
from energymeter.drivers.links.i2c_scan import places_of
from energymeter.drivers.protocols import ina, pi_ina219
from energymeter.errors import SourceError, SpecError
from energymeter.reading import Band, Facts, Reading

__all__ = ["Ina219"]

_CONFIG, _SHUNT, _BUS, _POWER = 0, 1, 2, 3
_RANGE_32V = 1 << 13  # 4 mV steps either way; the 16 V range would only clip earlier
_CONTINUOUS = 7
_READY = 1 << 1
_STEP_VOLTS = 10e-6
_OFFSET_VOLTS = 200e-6  # at the widest gain
_BUS_STEP_VOLTS = 4e-3
_NARROWEST = 4000  # counts at ±40 mV; each gain step doubles it
_WIDEST_GAIN = 3
_FULL_SCALE_VOLTS = 0.32
_RANGES = ("40mV", "80mV", "160mV", "320mV")

# Code -> typical seconds. 9..11 bit, 12 bit, then 2..128 averages of 12 bit.
_SHUNT_SECONDS = {
    0: 84e-6, 1: 148e-6, 2: 276e-6, 3: 532e-6, 9: 1.06e-3, 10: 2.13e-3, 11: 4.26e-3,
    12: 8.51e-3, 13: 17.02e-3, 14: 34.05e-3, 15: 68.10e-3,
}  # fmt: skip
_BUS_SECONDS = {0: 84e-6, 1: 148e-6, 2: 276e-6, 3: 532e-6}
_TIMINGS = [
    ina.Timing(bus << 7 | shunt << 3, seconds, seconds + bus_seconds, 9 + bus, min(9 + shunt, 12))
    for shunt, seconds in _SHUNT_SECONDS.items()
    for bus, bus_seconds in _BUS_SECONDS.items()
]


class Ina219:
    """An INA219 behind any shunt.

    Args:
        place: ``bus:address``, such as ``1:0x41``.
        shunt: ohms.
        max_amps: the largest current to expect, spikes included. The gain then never goes below what it
            needs. Averaging hides spikes that clip, so say it when the load has some; 0: unknown.
        tolerance: of the shunt, relative.
        board: a board's name; ``open`` then checks that what is read is plausible for it.
        backend: ``registers``, or ``pi-ina219`` to read through that library.
        wire: an open bus to use instead of ``/dev/i2c-N``.
        clock: what waiting is done on.

    Raises:
        SpecError: an option cannot be.
    """

    kind = "meter"

    @staticmethod
    def places() -> Iterator[str]:
        """Where one answers."""
        return places_of("ina219")

    def __init__(
        self,
        place: str = "1:0x40",
        *,
        shunt: float = 0.1,
        max_amps: float = 0.0,
        tolerance: float = 0.01,
        board: str = "",
        backend: str = "registers",
        wire: i2c.Wire | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._chip = i2c.Chip(place, wire)
        self.name = f"ina219@{self._chip}"
        ina.check_options(self.name, shunt, tolerance, max_amps, _FULL_SCALE_VOLTS)
        if backend not in ("registers", "pi-ina219"):
            raise SpecError(f"{self.name}: backend={backend} is unknown: registers or pi-ina219")
        self.facts = Facts(
            semantics="mean",
            default_hz=50.0,
            max_hz=2000.0,
            max_watts=26.0 * _FULL_SCALE_VOLTS / shunt,
        )
        self.identity = f"{self.name} with {shunt:g} ohm"
        self.range = ""
        """Full scale of the gain that the last reading was taken at: each has an offset of its own."""
        self.resets = 0
        """Times the chip was found at its power-on setting and set up again."""
        self._shunt, self._tolerance, self._board, self._backend = shunt, tolerance, board, backend
        self._library: pi_ina219.Backend | None = None
        self._lowest_gain = next(g for g in range(4) if max_amps * shunt <= (_NARROWEST << g) * _STEP_VOLTS)
        self._clock = clock or SystemClock()
        self._gain, self._calm = _WIDEST_GAIN, 0
        self._until_check, self._started = 1, False
        self.tune(self.facts.default_hz)

    @property
    def moved_bytes(self) -> int:
        """Bytes that crossed the bus, addresses included; pi-ina219 does not tell its own."""
        return self._chip.moved_bytes

    def tune(self, rate_hz: float) -> None:
        """Choose the averaging for a sample rate; takes effect at ``open``."""
        self._timing = ina.choose(_TIMINGS, rate_hz)
        self._check_every = max(1, round(rate_hz / 2))
        volts = Band(0.005, 0.0, _BUS_STEP_VOLTS * (1 << 12 - self._timing.bus_bits))
        step_volts = _STEP_VOLTS * (1 << 12 - self._timing.bits)
        amps = ina.amps_band(0.005, _OFFSET_VOLTS, step_volts, self._shunt, self._tolerance)
        self.facts = ina.refine(self.facts._replace(volts=volts, amps=amps), self._timing, rate_hz)

    def open(self) -> None:
        """Set the chip up, at the widest gain.

        Raises:
            SourceError: it does not answer, or clips.
            ImplausibleReading: ``board`` says otherwise.
        """
        if self._backend == "pi-ina219":
            self._library = pi_ina219.Backend(self._chip, self._shunt, self._timing.config)
            return
        self._chip.open()
        try:
            self._set_gain(_WIDEST_GAIN)
            self._until_check = self._check_every
            self._started = False
            if self._board:
                self._check_board()
        except Exception:
            self.close()
            raise

    def read(self) -> Reading:
        """Volts and amps of the latest conversion, or ``fresh=False`` when it was read before.

        Raises:
            SourceError: nobody answers, or the current is beyond the widest range.
        """
        if self._library is not None:
            return self._library.read()
        try:
            return self._read()
        except SourceError:
            self._until_check = 0  # a chip that was gone may have come back at its power-on setting
            raise

    def close(self) -> None:
        """Let go of the bus; the chip goes on converting."""
        self._library = None
        self._chip.close()

    def _read(self) -> Reading:
        if self._until_check <= 0:
            self._heal()
        self._until_check -= 1
        bus = self._chip.word(_BUS)
        if not bus & _READY and not self._started:
            self._wait()
            bus = self._chip.word(_BUS)
        if not bus & _READY:
            return Reading(fresh=False)
        self._started = True
        self._chip.word(_POWER)  # clears the flag
        counts = ina.signed(self._chip.word(_SHUNT), 16)
        if abs(counts) >= _NARROWEST << self._gain:
            return self._unclip()
        self.range = _RANGES[self._gain]
        self._follow(abs(counts))
        return Reading(volts=(bus >> 3) * _BUS_STEP_VOLTS, amps=counts * _STEP_VOLTS / self._shunt)

    def _unclip(self) -> Reading:
        """Take a clipped sample again at the widest gain."""
        if self._gain == _WIDEST_GAIN:
            amps = _FULL_SCALE_VOLTS / self._shunt
            raise SourceError(
                f"{self.name} clipped at ±{amps:g} A: use a smaller shunt than {self._shunt:g} Ω"
            )
        self._set_gain(_WIDEST_GAIN)
        self._wait()
        return self._read()

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

    def _set_gain(self, gain: int) -> None:
        self._gain, self._calm = gain, 0
        self._config = _RANGE_32V | gain << 11 | self._timing.config | _CONTINUOUS
        self._chip.write(_CONFIG, self._config)

    def _heal(self) -> None:
        """Notice a brown-out by the setting it leaves, and set the chip up again.

        Until then volts and amps are right all the same, their steps being alike at every setting, only
        less averaged.
        """
        self._until_check = self._check_every
        if self._chip.word(_CONFIG) != self._config:
            self.resets += 1
            self._chip.write(_CONFIG, self._config)

    def _wait(self) -> None:
        self._clock.sleep(self._timing.cycle * ina.SPREAD)

    def _check_board(self) -> None:
        reading = self._read()
        if reading.volts is not None and reading.amps is not None:
            ina.check_plausible(self.name, reading.volts * reading.amps, self._shunt, self._board)
