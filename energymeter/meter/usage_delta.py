"""What a stretch of a running meter drew: differences of its usages."""

from typing import NamedTuple, Protocol


class Figures(Protocol):
    """What the ledger needs of a usage."""

    @property
    def joules(self) -> float: ...
    @property
    def coulombs(self) -> float | None: ...
    @property
    def seconds(self) -> float: ...
    @property
    def coverage(self) -> float: ...
    @property
    def uncertainty(self) -> float | None: ...
    @property
    def provenance(self) -> str: ...
    @property
    def sources(self) -> tuple[str, ...]: ...


class UsageDelta(NamedTuple):
    """What a stretch of a running meter drew."""

    joules: float = 0.0
    coulombs: float | None = None
    seconds: float = 0.0
    """That were measured: gaps add neither joules nor seconds."""
    coverage: float = 1.0
    uncertainty: float | None = None
    provenance: str = "measured"
    sources: tuple[str, ...] = ()

    @classmethod
    def between(cls, start: "Figures | None", end: Figures) -> "UsageDelta":
        """The difference of two usages of one meter; its relative doubt is taken to be all gain."""
        measured = end.seconds * end.coverage
        if start is None:
            return cls(
                end.joules, end.coulombs, measured, 1.0, end.uncertainty, end.provenance, tuple(end.sources)
            )
        joules = end.joules - start.joules
        both = None if end.coulombs is None or start.coulombs is None else end.coulombs - start.coulombs
        doubt = None if end.uncertainty is None or not end.joules else end.uncertainty * joules / end.joules
        seconds = measured - start.seconds * start.coverage
        return cls(joules, both, seconds, 1.0, doubt, end.provenance, tuple(end.sources))

    def __add__(self, later: "UsageDelta") -> "UsageDelta":  # type: ignore[override]
        """With what another meter measured after it; doubts add up, as one of a gain does."""
        coulombs = None if self.coulombs is None or later.coulombs is None else self.coulombs + later.coulombs
        doubts = (self.uncertainty, later.uncertainty)
        known = [doubt for doubt in doubts if doubt is not None]
        return UsageDelta(
            self.joules + later.joules,
            coulombs,
            self.seconds + later.seconds,
            1.0,
            sum(known) if len(known) == len(doubts) else None,
            later.provenance,
            tuple(dict.fromkeys(self.sources + later.sources)),
        )
