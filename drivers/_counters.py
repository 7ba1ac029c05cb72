"""A meter's own energy and charge counters, to hold against an integral of its readings."""

from typing import NamedTuple


class Counters(NamedTuple):
    """What the meter has counted since its user last cleared it; ``None``: it does not count that."""

    joules: float | None
    coulombs: float | None
    joules_step: float = 0.0
    """One step of the energy counter in joules; the difference of two readings is good to ± one step."""
    coulombs_step: float = 0.0

    def since(self, start: "Counters") -> "Counters":
        """What was counted after ``start``; ``None`` where the counter went backwards (it was cleared).

        >>> later = Counters(joules=39.6, coulombs=None, joules_step=3.6)
        >>> later.since(Counters(36.0, None))
        Counters(joules=3.6000000000000014, coulombs=None, joules_step=3.6, coulombs_step=0.0)
        """
        return self._replace(
            joules=_rise(start.joules, self.joules), coulombs=_rise(start.coulombs, self.coulombs)
        )

    def agree(self, joules: float | None, coulombs: float | None, gain: float = 0.02) -> bool | None:
        """Whether an integral over the same stretch matches to ``gain`` plus one step; None: cannot tell."""
        verdicts = [
            abs(ours - theirs) <= step + gain * abs(theirs)
            for ours, theirs, step in (
                (joules, self.joules, self.joules_step),
                (coulombs, self.coulombs, self.coulombs_step),
            )
            if ours is not None and theirs is not None
        ]
        return all(verdicts) if verdicts else None


def _rise(start: float | None, end: float | None) -> float | None:
    return end - start if start is not None and end is not None and end >= start else None
