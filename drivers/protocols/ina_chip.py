"""The sources that the chips of the INA family make: set up, watched for a lost setting, read when ready."""

from __future__ import annotations

from energymeter.clock import Clock, SystemClock
from energymeter.drivers.links import i2c
from energymeter.drivers.protocols import ina
from energymeter.errors import SourceError, SourceMissing, SpecError
from energymeter.lazy import TYPE_CHECKING
from energymeter.reading import Band, Facts, Reading

if TYPE_CHECKING:
    from collections.abc import Iterator


_RANGE_REGISTER, _NARROW = 0, 1 << 4
LATCH_READY = (0x0B, 1 << 15)
"""ALATCH in DIAG_ALRT of INA228 and INA238: reading clears the ready flag. Unlatched, it clears by itself
immediately, read or not (TI, e2e.ti.com thread 1391284)."""


class Converter:
    """One chip: its identity and setting, whether it has a new result, and whether it lost its setting.

    Args:
        kind: its table.
        chip: where it is.
        narrow: use the narrower of its two ranges.
        channels: converted in turn.
        extra: more bits of its configuration (which channels, which gain).
    """

    def __init__(
        self,
        kind: ina.Kind,
        chip: i2c.Chip,
        clock: Clock | None,
        *,
        narrow: bool = False,
        channels: int = 1,
        extra: int = 0,
    ) -> None:
        self.kind, self.chip = kind, chip
        self.current = kind.narrow if narrow and kind.narrow else kind.current
        self.resets = 0
        """Times the chip was found at its power-on setting and set up again."""
        self.status: int
        """The register with the ready flag, as it was last read."""
        self.extra = extra
        self._clock = clock or SystemClock()
        self._channels = channels
        # In the narrow range a chip at its power-on setting counts in other steps: check every time.
        self._always = narrow
        self._until_check, self._started = 1, False

    def tune(self, rate_hz: float) -> None:
        """Choose averaging and times for a sample rate."""
        self.timing = ina.choose(self.kind.timings(self._channels), rate_hz)
        self._check_every = 1 if self._always else max(1, round(rate_hz / 2))

    def open(self) -> None:
        """Open the bus, make sure who answers, and only then write.

        Raises:
            SourceError: the chip cannot be reached, or it is another one.
        """
        self.chip.open()
        try:
            self._identify()
            self._set_up()
        except SourceError:
            self.chip.close()
            raise
        self._started = False
        self._until_check = self._check_every

    def ready(self) -> bool:
        """Whether there is a result that was not read yet; the very first one is waited for."""
        register, bit = self.kind.ready
        self.status = self.word(register)
        if not self.status & bit and not self._started:
            self.wait()
            self.status = self.word(register)
        if not self.status & bit:
            return False
        self._started = True
        if self.kind.cleared_by is not None:
            self.word(self.kind.cleared_by)
        return True

    def wait(self) -> None:
        """Let one conversion of the slowest chip pass."""
        self._clock.sleep(self.timing.cycle * ina.SPREAD)

    def value(self, field: ina.Field) -> float:
        """A register's content in the field's unit.

        Raises:
            SourceError: it is at full scale, where the converter clips.
        """
        counts = field.counts(self.word(field.register, field.size))
        if abs(counts) >= field.limit:
            remedy = "leave max_amps out for its wider range" if self._always else self.kind.beyond
            raise SourceError(f"{self.kind.name}@{self.chip} clipped at its full scale; {remedy}")
        return counts * field.lsb

    def count(self, register: int, signed: bool) -> int:
        """A hardware accumulator of 40 bits."""
        raw = self.word(register, 5)
        return ina.signed(raw, 40) if signed else raw

    def intact(self) -> bool:
        """Whether what was just read was read at our setting, as far as a check was due."""
        self._until_check -= 1
        return self._until_check > 0 or not self.lost_power()

    def resume(self) -> None:
        """Check the setting at the next reading."""
        self._until_check = 0

    def lost_power(self) -> bool:
        """Whether the chip forgot its setting; if so it is set up again and ``resets`` counts it."""
        lost = self.word(self.kind.config_register) != self._config
        if lost:
            self.resets += 1
            self._set_up()
        self._until_check = self._check_every
        return lost

    def configure(self, extra: int) -> None:
        """Change the extra bits of the configuration."""
        self.extra = extra
        self.chip.write(self.kind.config_register, self._config)

    def word(self, register: int, size: int = 2) -> int:
        """A register's content, unsigned.

        Raises:
            SourceError: the chip does not answer.
        """
        try:
            return self.chip.word(register) if size == 2 else self.chip.wide(register, size)
        except SourceError:
            self._until_check = 0  # a chip that was gone may have come back at its power-on setting
            raise

    @property
    def _config(self) -> int:
        return self.kind.config | self.extra | self.timing.config

    def _set_up(self) -> None:
        if self.kind.narrow is not None:
            self.chip.write(_RANGE_REGISTER, _NARROW if self.current is self.kind.narrow else 0)
        for register, value in self.kind.set_up:
            self.chip.write(register, value)
        self.chip.write(self.kind.config_register, self._config)

    def _identify(self) -> None:
        register = self.kind.identity_register
        if register is None:
            return
        maker, die = self.chip.word(register), self.chip.word(register + 1)
        if maker == ina.TI and die >> 4 in self.kind.dies:
            return
        who = ina.DIES.get(die >> 4) if maker == ina.TI else None
        for elsewhere in (0xFE, 0x3E):
            if who is None and self.chip.word(elsewhere) == ina.TI:
                who = ina.DIES.get(self.chip.word(elsewhere + 1) >> 4)
        remedy = f"it is an {who}, so use {who}@{self.chip}" if who else "an ina219 has no identity: try that"
        raise SourceMissing(
            f"the chip at {self.chip} is no {self.kind.name} (maker 0x{maker:04x}, die 0x{die:04x}); {remedy}"
        )


class InaSource:
    """What every source of the family shares, whatever its number of channels: one watched chip."""

    kind = "meter"
    kinds: tuple[ina.Kind, ...]
    """The chip, and those that differ from it in a table entry only."""

    _converter: Converter

    @classmethod
    def addresses(cls) -> Iterator[str]:
        """Where one answers."""
        from energymeter.drivers.links.i2c_scan import places_of

        return places_of(cls.kinds[0].name)

    @property
    def moved_bytes(self) -> int:
        """Bytes that crossed the bus, addresses included."""
        return self._converter.chip.moved_bytes

    @property
    def resets(self) -> int:
        """Times the chip was found at its power-on setting and set up again."""
        return self._converter.resets

    def open(self) -> None:
        """Make sure who answers, then set it up.

        Raises:
            SourceError: the chip cannot be reached, or it is another one.
        """
        self._converter.open()

    def resume(self) -> None:
        """Somebody else may have set up the chip meanwhile: look at the next reading."""
        self._converter.resume()

    def close(self) -> None:
        """Let go of the bus; the chip goes on converting."""
        self._converter.chip.close()


class InaMeter(InaSource):
    """A source made of one single-channel chip with a shunt outside.

    Args:
        address: ``bus:address``.
        shunt: ohms; not given: that of the common module.
        max_amps: the largest current to expect, spikes included; where the chip has several ranges, those
            that cannot hold it are never used. Averaging hides spikes that clip, so give it when the load
            has some. 0: unknown.
        tolerance: of the shunt, relative.
        board: a board's name; ``open`` then checks that what is read is plausible for it.
        chip: which of the look-alikes it is; empty: the one the driver is called after.
        wire: an open bus to use instead of ``/dev/i2c-N``.
        clock: what waiting is done on.

    Raises:
        SpecError: an option makes no sense.
    """

    module_shunt = 0.1
    """Ohms on the module that most people have."""

    max_hz = 1000.0

    def __init__(
        self,
        address: str = "1:0x40",
        *,
        shunt: float | None = None,
        max_amps: float = 0.0,
        tolerance: float = 0.01,
        board: str = "",
        chip: str = "",
        wire: i2c.Wire | None = None,
        clock: Clock | None = None,
    ) -> None:
        by_name = {kind.name: kind for kind in self.kinds}
        if chip and chip not in by_name:
            raise SpecError(f"chip={chip} is unknown: use {' or '.join(by_name)}")
        self._kind = kind = by_name[chip or self.kinds[0].name]
        self._shunt = shunt = self.module_shunt if shunt is None else shunt
        self._tolerance, self._board = tolerance, board
        link = i2c.Chip(address, wire)
        self.name = f"{self.kinds[0].name}@{link}"
        full_scale = kind.current.lsb * (kind.current.limit + 1)
        ina.check_options(self.name, shunt, tolerance, max_amps, full_scale)
        self._max_amps = max_amps
        narrow = (
            kind.narrow is not None
            and max_amps > 0
            and not ina.exceeds(max_amps, shunt, kind.narrow.lsb * kind.narrow.limit)
        )
        self._converter = Converter(kind, link, clock, narrow=narrow)
        self.range = "narrow" if narrow else ""
        self.identity = f"{self.name} with {shunt:g} ohm"
        self.facts = Facts(
            semantics="mean",
            default_hz=50.0,
            max_hz=self.max_hz,
            max_watts=kind.bus.limit * kind.bus.lsb * full_scale / shunt,
        )
        self.tune(self.facts.default_hz)

    def tune(self, rate_hz: float) -> None:
        """Choose averaging and times for a sample rate; takes effect at ``open``."""
        kind, converter = self._kind, self._converter
        converter.tune(rate_hz)
        # a converter of fewer bits counts in coarser steps
        bus_step = kind.bus.lsb * (1 << 12 - converter.timing.bus_bits)
        step = converter.current.lsb * (1 << 12 - converter.timing.bits)
        self.facts = ina.refine(
            self.facts._replace(
                volts=Band(kind.bus_gain, kind.bus_offset, bus_step),
                amps=ina.amps_band(kind.gain, kind.offset, step, self._shunt, self._tolerance),
            ),
            converter.timing,
            rate_hz,
        )

    def open(self) -> None:
        """Make sure who answers, then set it up.

        Raises:
            SourceError: the chip cannot be reached, or it is another one.
            ImplausibleReading: what it reads cannot be the ``board``.
        """
        super().open()
        if not self._board:
            return
        try:
            watts = self.read().power
            if watts is not None:
                ina.check_plausible(self.name, watts, self._shunt, self._board)
        except Exception:
            self.close()
            raise

    def read(self) -> Reading:
        """Volts and amps of the latest conversion, or ``fresh=False`` when it was read before.

        Raises:
            SourceError: the chip does not answer, or the current is beyond the range.
        """
        if not self._converter.ready():
            self._converter.intact()  # it may be silent because it forgot its setting
            return Reading(fresh=False)
        reading = self._latest()
        return reading if self._converter.intact() else Reading(fresh=False)

    def _latest(self) -> Reading:
        amps = self._converter.value(self._converter.current) / self._shunt
        return Reading(volts=self._converter.value(self._kind.bus), amps=amps)
