"""What a stretch of a running meter drew: the difference of two usages."""

from typing import NamedTuple

from energymeter.budget.account import Spent


class UsageDelta(NamedTuple):
    """What a stretch of a running meter drew."""

    joules: float = 0.0
    coulombs: float | None = None
    seconds: float = 0.0
    coverage: float = 1.0
    """The share of the seconds that was measured: gaps add no joules."""
    uncertainty: float | None = None
    provenance: str = "measured"
    sources: tuple[str, ...] = ()

    @property
    def measured_seconds(self) -> float:
        """Seconds without the gaps."""
        return self.seconds * self.coverage

    @classmethod
    def between(cls, start: "Spent | None", end: Spent) -> "UsageDelta":
        """The difference of two usages of one run; the relative uncertainty is taken to be all gain."""
        start = start or NOTHING
        joules = end.joules - start.joules
        charge = None if end.coulombs is None or start.coulombs is None else end.coulombs - start.coulombs
        uncertainty = (
            None if end.uncertainty is None or not end.joules else end.uncertainty * joules / end.joules
        )
        seconds = end.seconds - start.seconds
        measured = end.seconds * end.coverage - start.seconds * start.coverage
        return cls(
            joules, charge, *_covered(seconds, measured), uncertainty, end.provenance, tuple(end.sources)
        )

    def part(self, share: float) -> "UsageDelta":
        """The first ``share`` of it, 0 to 1, as if all went on evenly."""
        return self._replace(
            joules=self.joules * share,
            coulombs=None if self.coulombs is None else self.coulombs * share,
            seconds=self.seconds * share,
            uncertainty=None if self.uncertainty is None else self.uncertainty * share,
        )

    def __add__(self, later: "UsageDelta") -> "UsageDelta":  # type: ignore[override]
        """With what was measured after it; uncertainties add up, as those of a gain do."""
        if not self.seconds:
            return later
        charge = None if self.coulombs is None or later.coulombs is None else self.coulombs + later.coulombs
        both = (self.uncertainty, later.uncertainty)
        known = [one for one in both if one is not None]
        measured = self.measured_seconds + later.measured_seconds
        return UsageDelta(
            self.joules + later.joules,
            charge,
            *_covered(self.seconds + later.seconds, measured),
            sum(known) if len(known) == len(both) else None,
            later.provenance,
            tuple(dict.fromkeys(self.sources + later.sources)),
        )


NOTHING = UsageDelta(coulombs=0.0)
"""What was drawn before anything was."""


def _covered(seconds: float, measured: float) -> tuple[float, float]:
    return seconds, measured / seconds if seconds > 0 else 1.0
