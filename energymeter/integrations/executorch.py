"""ExecuTorch: the methods of a program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from energymeter.integrations.inference import Phases


def instrument(method: Any, phases: Phases) -> None:
    """Measure ``execute`` of a `Method`, or of each method that a `Program` loads."""
    if hasattr(method, "execute"):
        phases.around(method, "execute", "infer")
        return
    original = method.load_method

    def load_method(*args: Any, **kwargs: Any) -> Any:
        with phases.span("load"):
            loaded = original(*args, **kwargs)
        if loaded is not None:
            phases.around(loaded, "execute", "infer")
        return loaded

    phases.instrumented.replace(method, "load_method", load_method)
