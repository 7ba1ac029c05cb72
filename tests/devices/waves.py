"""Exactly known currents for emulated chips to measure."""

from collections.abc import Sequence


class Steps:
    """A current that is constant between given times; the last step lasts to the end.

    Args:
        steps: pairs of seconds to last and amps.
        volts: of the bus.
    """

    def __init__(self, steps: Sequence[tuple[float, float]], volts: float = 5.0) -> None:
        self.bus_volts = volts
        self._steps = steps

    def charge(self, at_ns: int) -> float:
        left, coulombs = at_ns / 1e9, 0.0
        for seconds, amps in self._steps[:-1]:
            lasted = min(left, seconds)
            coulombs += amps * lasted
            left -= lasted
        return coulombs + self._steps[-1][1] * left

    def steady(self, since_ns: int, until_ns: int) -> bool:
        return False

    def volts(self, at_ns: int) -> float:
        return self.bus_volts


class Square(Steps):
    """High for the first half of each period, low for the second."""

    def __init__(self, period: float, high: float, low: float, volts: float = 5.0) -> None:
        super().__init__([(period, high)], volts)
        self._period, self._high, self._low = period, high, low

    def charge(self, at_ns: int) -> float:
        whole, part = divmod(at_ns / 1e9, self._period)
        half = self._period / 2
        each = (self._high + self._low) * half
        return whole * each + min(part, half) * self._high + max(part - half, 0.0) * self._low


def steady(amps: float, volts: float = 5.0) -> Steps:
    """The same without end."""
    return Steps([(0.0, amps)], volts)
