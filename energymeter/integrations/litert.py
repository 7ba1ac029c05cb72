"""LiteRT and TensorFlow Lite: interpreters with or without a delegate, signature runners, compiled models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from energymeter.integrations.inference import Phases


def instrument(model: Any, phases: Phases) -> None:
    """Measure ``invoke`` and the signature runners of an interpreter, or both calls of a compiled model."""
    if hasattr(model, "run_by_index"):
        phases.around(model, "run_by_index", "infer")
        phases.around(model, "run_by_name", "infer")
        return
    phases.around(model, "invoke", "infer")
    original = model.get_signature_runner

    def get_signature_runner(*args: Any, **kwargs: Any) -> _Runner:
        return _Runner(original(*args, **kwargs), phases)

    phases.instrumented.replace(model, "get_signature_runner", get_signature_runner)


class _Runner:
    """A signature runner whose calls are measured: Python looks for ``__call__`` in the class alone."""

    def __init__(self, runner: Any, phases: Phases) -> None:
        self._runner = runner
        self._phases = phases

    def __call__(self, **inputs: Any) -> Any:
        with self._phases.span("infer") as span:
            result = self._runner(**inputs)
        self._phases.count(span, "infer", None, result, **inputs)
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)
