"""Experiment trackers: MLflow, Weights & Biases, TensorBoard, Trackio and Comet get the same names and
units.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

from energymeter.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Callable

    from energymeter.carbon.emissions import GridNow
    from energymeter.energy.usage import Usage

PREFIX = "energy/"
FIGURES: dict[str, Callable[[Usage], float | None]] = {
    "joules": lambda usage: usage.joules,
    "uncertainty_joules": lambda usage: usage.uncertainty,
    "net_joules": lambda usage: usage.net_joules,
    "mah": lambda usage: usage.mah,
    "mean_watts": lambda usage: usage.mean_watts,
    "peak_watts": lambda usage: usage.peak_watts,
    "seconds": lambda usage: usage.seconds,
    "coverage_ratio": lambda usage: usage.coverage,
}
"""The names of all figures, with their units; what is unknown is left out. With a grid ``grams_co2e``
follows, and for each unit, such as images, ``joules_per/images``, ``mah_per/images``, ``grams_per/images``,
``per_charge/images``."""


def figures(usage: Usage, grid: GridNow | str | None = None) -> dict[str, float]:
    """The numbers of a usage by their names.

    Raises:
        GridError: there is no such zone.
    """
    known: dict[str, float | None] = {name: read(usage) for name, read in FIGURES.items()}
    if grid is not None:
        known["grams_co2e"] = usage.carbon(grid).grams
    for unit in usage.units:
        charge = unit.per_charge
        known[f"joules_per/{unit.unit}"] = unit.joules
        known[f"mah_per/{unit.unit}"] = unit.mah
        known[f"grams_per/{unit.unit}"] = unit.grams
        known[f"per_charge/{unit.unit}"] = None if charge is None else charge.value
    return {f"{PREFIX}{name}": value for name, value in known.items() if value is not None}


def origin(usage: Usage) -> dict[str, str]:
    """Where the numbers come from: provenance, place, sources, calibration and notes."""
    return {
        f"{PREFIX}provenance": usage.provenance,
        f"{PREFIX}place": usage.place,
        f"{PREFIX}sources": " + ".join(usage.sources),
        f"{PREFIX}calibration": "; ".join(usage.calibration) or "none",
        f"{PREFIX}notes": "; ".join(usage.notes) or "none",
    }


def log_usage(
    tracker: Any, usage: Usage, *, step: int | None = None, grid: GridNow | str | None = None
) -> None:
    """Send the figures of a usage, and where they come from, to a tracker.

    Args:
        tracker: the module ``mlflow``, ``wandb`` or ``trackio``, with a run that was started there; a run of
            wandb or trackio; a ``SummaryWriter``; an ``Experiment`` of Comet.
        usage: of a run, a span, a training.
        step: of the training.
        grid: for grams.

    Raises:
        SpecError: it is none of these.
        GridError: there is no such zone.
    """
    numbers, texts = figures(usage, grid), origin(usage)
    if isinstance(tracker, ModuleType):
        package = tracker.__name__.partition(".")[0]
    else:
        package = type(tracker).__module__.partition(".")[0]
    if package == "mlflow":
        tracker.log_metrics(numbers, step=step)
        tracker.set_tags(texts)
    elif package == "wandb":
        tracker.log(numbers, step=step)
        tracker.config.update(texts, allow_val_change=True)
    elif package == "trackio":
        tracker.log({**numbers, **texts}, step=step)
    elif package == "comet_ml":
        tracker.log_metrics(numbers, step=step)
        tracker.log_others(texts)
    elif hasattr(tracker, "add_scalar"):
        for name, value in numbers.items():
            tracker.add_scalar(name, value, step)
        for name, text in texts.items():
            tracker.add_text(name, text, step)
    else:
        raise SpecError(
            f"nothing is known of a tracker {type(tracker).__name__}; give mlflow, wandb, trackio, a "
            "SummaryWriter or an Experiment of Comet, or log the dictionary of figures(usage)"
        )
