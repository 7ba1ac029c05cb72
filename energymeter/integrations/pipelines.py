"""Pipelines of Hugging Face Transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from energymeter.integrations.inference import Phases


def instrument(pipeline: Any, phases: Phases) -> None:
    """Measure the three phases of a pipeline; with ``num_workers``, preprocessing is in other processes."""
    for method, phase in (("preprocess", "preprocess"), ("forward", "infer"), ("postprocess", "postprocess")):
        phases.around(pipeline, method, phase)
