"""What a Nordic PPK2 says: its calibration text, and 100 000 four-byte samples a second.

Layout and formula: github.com/NordicSemiconductor/pc-nrfconnect-ppk ``src/device/serialDevice.ts`` (read
for the facts, none of its code is here), cross-read with the PyPI package ppk2lab (MIT). A sample is a
little-endian u32: bits 0..13 ADC, 14..16 range, 18..23 a counter, 24..31 logic inputs. With x = 4·ADC - O,
r = x · (1.8/163840) / R: amps = UG · (r · (GS · r + GI) + S · volts + I), each constant per range, from the
meter's own calibration.

Seventeen bits decide the current, so it is looked up in one table instead of being computed per sample. The
vendor's low-pass after a change of range is left out: it does not keep the energy.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TICK_NS = 10_000
COUNTER_WRAP = 64
RANGES = 5
_ADC_TO_VOLTS = 1.8 / 163840
_SATURATED = 0x3FFF
_DEFAULTS = {  # what the vendor's program takes where the meter says nothing
    "R": (1031.64, 101.65, 10.15, 0.94, 0.043),
    "GS": (1.0,) * RANGES,
    "GI": (1.0,) * RANGES,
    "O": (0.0,) * RANGES,
    "S": (0.0,) * RANGES,
    "I": (0.0,) * RANGES,
    "UG": (1.0,) * RANGES,
}


class Calibration(NamedTuple):
    """The meter's answer to "get metadata"."""

    constants: dict[str, tuple[float, ...]]
    """R, GS, GI, O, S, I, UG: five of each."""
    calibrated: bool | None
    """False: the constants are the factory's defaults."""
    supply_volts: float | None
    mode: int | None
    """1: ampere meter, 2: source meter."""
    missing: tuple[str, ...]
    """The constants it did not give, for which defaults stand."""


def parse_calibration(text: str) -> Calibration:
    """Read the ``KEY: number`` lines. Zero is a value; only what is absent or no number is missing."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        key, _, number = line.partition(":")
        try:
            value = float(number)
        except ValueError:
            continue
        if abs(value) < 1e12:  # neither nan nor inf
            found[key.strip()] = value
    names = [f"{name}{index}" for name in _DEFAULTS for index in range(RANGES)]
    constants = {
        name: tuple(found.get(f"{name}{index}", default) for index, default in enumerate(defaults))
        for name, defaults in _DEFAULTS.items()
    }
    return Calibration(
        constants=constants,
        calibrated=bool(found["Calibrated"]) if "Calibrated" in found else None,
        supply_volts=found["VDD"] / 1000 if "VDD" in found else None,
        mode=int(found["mode"]) if "mode" in found else None,
        missing=tuple(name for name in names if name not in found),
    )


class Bin(NamedTuple):
    """The samples of one output interval."""

    end_tick: int
    """One past its last sample, in ticks of 10 µs."""
    samples: int
    amps: float
    least: float
    greatest: float


class Decoder:
    """Turns bytes into bins of ``per_bin`` ticks; keeps count of what was lost, dropped or at the stop."""

    def __init__(self, calibration: Calibration, volts: float, per_bin: int) -> None:
        import numpy as np

        self.lost = 0
        self.saturated = 0
        self.tick = 0
        """One past the newest sample."""
        self._np = np
        self._per_bin = per_bin
        self._amps_of = _table(calibration, volts)
        self._rest = b""
        self._counter: int | None = None
        self._open: Bin | None = None

    def skip(self, ticks: int) -> None:
        """That many samples are known to be gone besides what the counter shows."""
        self.tick += ticks
        self.lost += ticks

    def feed(self, data: bytes) -> list[Bin]:
        """The bins that are complete now."""
        self._rest += data
        done: list[Bin] = []
        while (words := self._in_step()) is not None:
            done += self._take(words)
        return done

    def _in_step(self) -> "NDArray[np.uint32] | None":
        """The next words that follow each other by their counters, taken off the rest; None: no more for now.

        Three steps in a row that are not 1 mean that bytes were lost and the words are cut in the wrong
        place; one or two are lost samples.
        """
        if self._counter is None and not self._find_step():
            return None
        words = self._np.frombuffer(self._rest, "<u4", len(self._rest) // 4)
        wrong = self._steps(words) != 0
        in_a_row = wrong[:-2] & wrong[1:-1] & wrong[2:]
        count = int(in_a_row.argmax()) if in_a_row.any() else len(words)
        while count and count > len(words) - 2 and wrong[count - 1]:
            count -= 1  # not clear yet what these are
        if count == 0:
            slipped = bool(in_a_row.any())
            return self._in_step() if slipped and self._find_step() else None
        self._rest = self._rest[4 * count :]
        return words[:count]

    def _find_step(self) -> bool:
        """Throw away bytes until five words follow each other; False: there are none yet."""
        np = self._np
        found = -1
        for offset in range(min(4, len(self._rest))):
            words = np.frombuffer(self._rest, "<u4", (len(self._rest) - offset) // 4, offset)
            right = self._steps(words)[1:] == 0
            run = right[:-3] & right[1:-2] & right[2:-1] & right[3:]
            if run.any():
                at = offset + 4 * int(run.argmax())
                found = at if found < 0 else min(found, at)
        if found < 0:
            self._rest = self._rest[-20:]
            return False
        self._rest = self._rest[found:]
        return True

    def _take(self, words: "NDArray[np.uint32]") -> list[Bin]:
        """Count, look up and average words that are in step."""
        np = self._np
        steps = self._steps(words)
        lost = int(steps.sum())
        ticks = np.arange(self.tick, self.tick + len(words), dtype=np.int64)
        if lost:
            ticks += np.cumsum(steps, dtype=np.int64)
        self.tick = int(ticks[-1]) + 1
        self.lost += lost
        self._counter = int(words[-1] >> 18 & 63)
        self.saturated += int(np.count_nonzero((words & 0x3FFF) == _SATURATED))
        amps = self._amps_of[words & 0x1FFFF]
        known = ~np.isnan(amps)
        if not known.all():  # a range that does not exist: no sample, but its time passed
            self.lost += int(len(amps) - np.count_nonzero(known))
            ticks, amps = ticks[known], amps[known]
        return self._bins(ticks, amps)

    def _steps(self, words: "NDArray[np.uint32]") -> "NDArray[np.uint8]":
        """How many samples are missing before each word, by the counter (modulo 64)."""
        np = self._np
        counters = (words >> 18 & 63).astype(np.uint8)
        if not len(counters):
            return counters
        last = int(counters[0]) - 1 if self._counter is None else self._counter
        before = np.concatenate((np.array([last & 63], np.uint8), counters[:-1]))
        missing: NDArray[Any] = (counters - before - np.uint8(1)) & np.uint8(63)
        return missing

    def _bins(self, ticks: "NDArray[np.int64]", amps: "NDArray[np.float64]") -> list[Bin]:
        np = self._np
        if not len(ticks):
            return []
        owner = ticks // self._per_bin
        starts = np.concatenate(([0], np.flatnonzero(np.diff(owner)) + 1))
        ends = np.concatenate((starts[1:], [len(ticks)]))
        sums = np.add.reduceat(amps, starts)
        least = np.minimum.reduceat(amps, starts)
        greatest = np.maximum.reduceat(amps, starts)
        fresh = [
            Bin(int(ticks[end - 1]) + 1, int(end - start), total / (end - start), low, high)
            for start, end, total, low, high in zip(
                starts.tolist(), ends.tolist(), sums.tolist(), least.tolist(), greatest.tolist(), strict=True
            )
        ]
        done: list[Bin] = []
        for one in fresh:
            if self._open is not None and self._owner(self._open) == self._owner(one):
                one = _joined(self._open, one)
            elif self._open is not None:
                done.append(self._open)
            self._open = one
        if self._open is not None and self._open.end_tick % self._per_bin == 0:
            done.append(self._open)
            self._open = None
        return done

    def _owner(self, one: Bin) -> int:
        return (one.end_tick - 1) // self._per_bin


def _joined(early: Bin, late: Bin) -> Bin:
    count = early.samples + late.samples
    amps = (early.amps * early.samples + late.amps * late.samples) / count
    return Bin(late.end_tick, count, amps, min(early.least, late.least), max(early.greatest, late.greatest))


def _table(calibration: Calibration, volts: float) -> "NDArray[np.float64]":
    """Amps of every ADC value in every range; nan for the three ranges that do not exist."""
    import numpy as np

    table = np.full(8 << 14, np.nan)
    adc = np.arange(1 << 14) * 4.0
    for index in range(RANGES):
        of = {name: values[index] for name, values in calibration.constants.items()}
        ratio = (adc - of["O"]) * (_ADC_TO_VOLTS / of["R"])
        table[index << 14 : (index + 1) << 14] = of["UG"] * (
            ratio * (of["GS"] * ratio + of["GI"]) + of["S"] * volts + of["I"]
        )
    return table
