"""ONNX Runtime: every way to run an `InferenceSession`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from energymeter.integrations.inference import Phases


def instrument(session: Any, phases: Phases) -> None:
    """Measure ``run``, also with an io-binding, whose outputs are waited for, and until the callback."""
    phases.around(session, "run", "infer")
    phases.around(session, "run_with_ort_values", "infer")
    phases.around(
        session,
        "run_with_iobinding",
        "infer",
        then=lambda iobinding, *_, **__: iobinding.synchronize_outputs(),
    )
    original = session.run_async

    def run_async(
        output_names: Any,
        input_feed: Any,
        callback: Callable[[Any, Any, str], Any],
        user_data: Any,
        run_options: Any = None,
    ) -> Any:
        span = phases.span("infer")

        def ended(results: Any, data: Any, error: str) -> None:
            span.__exit__()
            phases.count(span, "infer", None, results, output_names, input_feed)
            callback(results, data, error)

        span.__enter__()
        try:
            return original(output_names, input_feed, ended, user_data, run_options)
        except BaseException:
            span.__exit__()
            raise

    phases.instrumented.replace(session, "run_async", run_async)
