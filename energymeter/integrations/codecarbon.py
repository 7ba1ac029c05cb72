"""codecarbon and this meter around the same code, so that a lab can move from one to the other."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple

from energymeter.errors import ExtraMissing, NotMeasured
from energymeter.text import significant, with_uncertainty

if TYPE_CHECKING:
    from collections.abc import Iterator

    from energymeter.energy.usage import Usage
    from energymeter.meter.meter import EnergyMeter

JOULES_PER_KWH = 3.6e6


class Both(NamedTuple):
    """What both report of one block."""

    usage: Usage
    """Ours."""
    grams: float
    """Ours, g CO₂e at the socket."""
    codecarbon_joules: float
    codecarbon_grams: float
    codecarbon_method: str
    """How codecarbon came by the power of the processor: a counter, or a model."""

    @property
    def difference_joules(self) -> float:
        """Ours minus codecarbon's, J. It is of two places: a meter on the rail sees the whole board."""
        return self.usage.joules - self.codecarbon_joules

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain JSON types."""
        return {
            **self._asdict(),
            "usage": self.usage.to_dict(),
            "difference_joules": self.difference_joules,
        }

    def __str__(self) -> str:
        ours = with_uncertainty(self.usage.joules, self.usage.uncertainty, "J")
        theirs = f"{significant(self.codecarbon_joules, 4)} J"
        place = f"{self.usage.provenance} at the {self.usage.place}"
        return (
            f"energymeter: {ours}, {significant(self.grams)} g CO2e; {place}\n"
            f"codecarbon:  {theirs}, {significant(self.codecarbon_grams)} g CO2e; {self.codecarbon_method}\n"
            f"difference:  {significant(self.difference_joules)} J"
        )


class WithCodecarbon:
    """What `with_codecarbon` gives: the result is there when the block has ended."""

    def __init__(self) -> None:
        self._result: Both | None = None

    @property
    def result(self) -> Both:
        """Both figures, and their difference.

        Raises:
            NotMeasured: the block has not ended.
        """
        if self._result is None:
            raise NotMeasured("the block has not ended; ask after it")
        return self._result

    def __str__(self) -> str:
        return str(self.result)


@contextlib.contextmanager
def with_codecarbon(meter: EnergyMeter, country: str, **options: Any) -> Iterator[WithCodecarbon]:
    """Measure a block with the meter and with codecarbon's offline tracker at the same time.

    Args:
        meter: ours; entered for the block.
        country: the ISO 3166-1 alpha-3 code, such as ``"DEU"``, for the grams of both.
        options: of codecarbon's ``OfflineEmissionsTracker``.

    Raises:
        ExtraMissing: codecarbon is not installed.
        GridError: there is no such zone.
    """
    try:
        from codecarbon import OfflineEmissionsTracker
    except ImportError:
        raise ExtraMissing("codecarbon", "carbon", "a comparison with codecarbon") from None
    from energymeter.carbon.grid import Grid

    grid, both = Grid(country), WithCodecarbon()
    tracker = OfflineEmissionsTracker(
        **{
            "country_iso_code": country,
            "save_to_file": False,
            "log_level": "error",
            "allow_multiple_runs": True,
            **options,
        }
    )
    with meter, meter.span("with codecarbon") as span:
        tracker.start()
        try:
            yield both
        finally:
            tracker.stop()
    theirs = tracker.final_emissions_data
    both._result = Both(
        span.usage,
        span.usage.carbon(grid).grams,
        theirs.energy_consumed * JOULES_PER_KWH,
        theirs.emissions * 1000,
        _method(tracker),
    )


def _method(tracker: Any) -> str:
    hardware = [str(part) for part in getattr(tracker, "_hardware", [])]
    return ", ".join(hardware) or "unknown"
