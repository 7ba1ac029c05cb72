"""Simulated board: an emulated INA219 under the real driver, fed by this machine's real CPU load.

``sim:pi4`` draws what a Raspberry Pi 4 draws at rest when this machine rests, and what one draws when
busy when this machine is: every step from registers to joules is the real one, only the current is made
up. Load is read ten times a second, whatever the sample rate, so the current lags it by a tenth.
Figures: ``energymeter.boards``.

Semantics: means, as of the emulated INA219, and so is its accuracy.
Renewal: each conversion of the emulated chip.
Counters: none.
Loss: none.
Tested on: itself; real hardware: does not apply.
"""

from __future__ import annotations

from energymeter.boards import find_board
from energymeter.clock import Clock, SystemClock
from energymeter.drivers.emulated.ina219 import Ina219Chip
from energymeter.drivers.emulated.load import CpuLoad
from energymeter.drivers.ina219 import Ina219
from energymeter.errors import SpecError
from energymeter.lazy import TYPE_CHECKING
from energymeter.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Callable


__all__ = ["Sim"]

_LOAD_NS = 100_000_000


class _Current:
    """A current that steps whenever the load is read; the chip's ``Load``."""

    def __init__(self, idle_amps: float, busy_amps: float, volts: float) -> None:
        self._idle, self._more, self._volts = idle_amps, busy_amps - idle_amps, volts
        self._steps = [(0, 0.0, idle_amps)]  # since ns, coulombs by then, amps from then

    def follow(self, at_ns: int, busy: float) -> None:
        step = at_ns, self.charge(at_ns), self._idle + self._more * busy
        self._steps = [*self._steps[-15:], step]

    def charge(self, at_ns: int) -> float:
        since, coulombs, amps = next((s for s in reversed(self._steps) if s[0] <= at_ns), self._steps[0])
        return coulombs + amps * (at_ns - since) * 1e-9

    def steady(self, since_ns: int, until_ns: int) -> bool:
        return self._steps[-1][0] <= since_ns

    def volts(self, at_ns: int) -> float:
        return self._volts


def _gauss(sigma: float, seed: int) -> Callable[[], float]:
    from random import Random  # slow to import

    gauss = Random(seed).gauss
    return lambda: gauss(0.0, sigma)


class Sim:
    """A board that is not there.

    Args:
        address: the board: ``pi4``, ``jetson-nano``, ...
        volts: of its rail; 0: the board's nominal one.
        noise: amps, rms of each conversion, from a generator seeded with ``seed``.
        clock, root: time, and where ``proc/stat`` is looked up.

    Raises:
        SpecError: no such board, or one whose draw is unknown.
    """

    shared = True

    def __init__(
        self,
        address: str = "pi4",
        *,
        volts: float = 0.0,
        noise: float = 0.0,
        seed: int = 0,
        clock: Clock | None = None,
        root: str = "/",
    ) -> None:
        board = find_board(address)
        if volts < 0 or volts > 26 or noise < 0:
            raise SpecError(
                f"sim:{address}: volts={volts:g} and noise={noise:g} cannot be: 0 to 26 V, 0 A or more"
            )
        self.name = f"sim:{board.name}"
        idle, busy = (watts / (volts or board.rail_volts) for watts in board.span_watts)
        shunt = 0.1 if busy < 2.5 else 0.01
        self._clock = clock or SystemClock()
        self._load = CpuLoad(root)
        self._next_load_ns = 0
        self._current = _Current(idle, busy, volts or board.rail_volts)
        self.chip = Ina219Chip(
            self._current,
            self._clock.monotonic_ns,
            shunt=shunt,
            noise=_gauss(noise * shunt, seed) if noise else None,
        )
        self._meter = Ina219("1:0x40", shunt=shunt, tolerance=0.0, wire=self.chip, clock=self._clock)
        self.tune(self._meter.facts.default_hz)

    def tune(self, rate_hz: float) -> None:
        """Choose the emulated chip's averaging."""
        self._meter.tune(rate_hz)
        self.facts = self._meter.facts._replace(provenance="simulated")

    def open(self) -> None:
        """Begin to follow the CPU load.

        Raises:
            SourceMissing: there is no ``/proc/stat`` to follow.
        """
        self._load.open()
        self._meter.open()

    def read(self) -> Reading:
        """What the driver reads from the emulated chip."""
        now = self._clock.monotonic_ns()
        if now >= self._next_load_ns:
            self._next_load_ns = now + _LOAD_NS
            busy = self._load.busy()
            if busy is not None:
                self._current.follow(now, busy)
        return self._meter.read()

    def close(self) -> None:
        """Stop; twice is fine."""
        self._meter.close()
        self._load.close()
        self._next_load_ns = 0
