"""sentence-transformers: what `encode` does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from energymeter.integrations.inference import Phases


def instrument(model: Any, phases: Phases) -> None:
    """Measure tokenizing as ``preprocess``, and ``forward``, which counts texts, as ``infer``."""
    phases.around(model, "preprocess" if hasattr(model, "preprocess") else "tokenize", "preprocess")
    phases.around(model, "forward", "infer", _texts)


def _texts(result: Any, *_: Any, **__: Any) -> dict[str, float]:
    embeddings = result.get("sentence_embedding")
    return {} if embeddings is None else {"texts": float(len(embeddings))}
