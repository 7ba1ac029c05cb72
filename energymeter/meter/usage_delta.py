"""What a stretch of a running meter drew: the difference of two usages."""

from typing import NamedTuple, Protocol

from energymeter.budget.account import Spent


class SpentSoFar(Spent, Protocol):
    """What a budget needs of the usage of a meter that goes on."""

    @property
    def seconds(self) -> float:
        """The gaps included, s."""

    @property
    def covered_seconds(self) -> tuple[float, ...]:
        """How long each of the sources measured, s."""


class UsageDelta(NamedTuple):
    """What a stretch of a running meter drew."""

    joules: float = 0.0
    coulombs: float | None = None
    seconds: float = 0.0
    measured_seconds: float = 0.0
    """Seconds without the gaps, which add no joules."""
    uncertainty: float | None = None
    provenance: str = "measured"
    sources: tuple[str, ...] = ()
    covered_seconds: tuple[float, ...] = ()
    """How long each of the sources measured, s."""

    @property
    def coverage(self) -> float:
        """The share of the seconds that was measured, by the source that missed most."""
        covered = min(self.covered_seconds, default=self.measured_seconds)
        return min(1.0, covered / self.seconds) if self.seconds > 0 else 1.0

    @classmethod
    def between(cls, start: SpentSoFar | None, end: SpentSoFar) -> "UsageDelta":
        """The difference of two usages of one run; the relative uncertainty is taken to be all gain."""
        start = start or NOTHING
        joules = end.joules - start.joules
        charge = None if end.coulombs is None or start.coulombs is None else end.coulombs - start.coulombs
        uncertainty = (
            None if end.uncertainty is None or not end.joules else end.uncertainty * joules / end.joules
        )
        return cls(
            joules,
            charge,
            end.seconds - start.seconds,
            end.measured_seconds - start.measured_seconds,
            uncertainty,
            end.provenance,
            *_by_source(end, start, -1),
        )

    def part(self, share: float) -> "UsageDelta":
        """The first ``share`` of it, 0 to 1, as if all went on evenly."""
        return self._replace(
            joules=self.joules * share,
            coulombs=None if self.coulombs is None else self.coulombs * share,
            seconds=self.seconds * share,
            measured_seconds=self.measured_seconds * share,
            covered_seconds=tuple(seconds * share for seconds in self.covered_seconds),
            uncertainty=None if self.uncertainty is None else self.uncertainty * share,
        )

    def __add__(self, later: "UsageDelta") -> "UsageDelta":  # type: ignore[override]
        """With what was measured after it; uncertainties add up, as those of a gain do."""
        if not self.seconds:
            return later
        charge = None if self.coulombs is None or later.coulombs is None else self.coulombs + later.coulombs
        both = (self.uncertainty, later.uncertainty)
        known = [one for one in both if one is not None]
        return UsageDelta(
            self.joules + later.joules,
            charge,
            self.seconds + later.seconds,
            self.measured_seconds + later.measured_seconds,
            sum(known) if len(known) == len(both) else None,
            later.provenance,
            *_by_source(self, later, 1),
        )


NOTHING = UsageDelta(coulombs=0.0)
"""What was drawn before anything was."""


def _by_source(one: SpentSoFar, other: SpentSoFar, sign: int) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """All sources, and how long each measured in ``one``, plus or minus the ``other``."""
    seconds = dict(zip(one.sources, one.covered_seconds, strict=True))
    for source, covered in zip(other.sources, other.covered_seconds, strict=True):
        seconds[source] = seconds.get(source, 0.0) + sign * covered
    return tuple(seconds), tuple(seconds.values())
