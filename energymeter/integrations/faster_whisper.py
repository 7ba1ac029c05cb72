"""faster-whisper: a transcription is a lazy generator, and most of its energy is in iterating it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from energymeter.integrations.inference import Phases


def instrument(model: Any, phases: Phases) -> None:
    """Measure ``transcribe`` as ``preprocess`` and each segment as ``infer``; both count seconds of audio.

    ``preprocess`` decodes the file, computes features and detects the language where none is given.
    """
    original = model.transcribe

    def transcribe(*args: Any, **kwargs: Any) -> Any:
        with phases.span("preprocess") as span:
            segments, info = original(*args, **kwargs)
        units = {"audio_seconds": float(info.duration)}
        span.units(**units)
        return phases.steps(segments, "infer", units), info

    phases.instrumented.replace(model, "transcribe", transcribe)
