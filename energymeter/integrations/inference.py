"""Models whose calls are measured by phase: preprocess, infer, postprocess. The object stays what it is."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from energymeter.errors import SpecError
from energymeter.integrations.devices import sync_of_devices
from energymeter.lazy import module
from energymeter.meter.wrapped import wrapped

if TYPE_CHECKING:
    from energymeter.meter.meter import EnergyMeter
    from energymeter.meter.span import Span

Count = float | Callable[..., float]
"""How many of a unit: in every call, or made of the result of a call, followed by its arguments."""

ADAPTERS = {
    "onnxruntime": "onnxruntime",
    "ai_edge_litert": "litert",
    "tflite_runtime": "litert",
    "executorch": "executorch",
    "transformers": "pipelines",
    "sentence_transformers": "sentence_transformers",
    "faster_whisper": "faster_whisper",
    "sklearn": "sklearn",
}
"""Which file here knows the models of a package."""

_ABSENT = object()


class Instrumented:
    """Methods of objects that are measured until `restore`, or until a ``with`` block around them ends."""

    def __init__(self) -> None:
        self._replaced: list[tuple[Any, str, Any]] = []

    def around(self, owner: Any, method: str, block: Callable[[], AbstractContextManager[object]]) -> None:
        """Put a fresh ``block()`` around every call of a method."""
        self.replace(owner, method, wrapped(getattr(owner, method), block))

    def replace(self, owner: Any, method: str, function: Callable[..., Any]) -> None:
        """Use another function in place of a method of this object.

        Raises:
            SpecError: the object takes no attributes.
        """
        had = vars(owner).get(method, _ABSENT) if hasattr(owner, "__dict__") else _ABSENT
        try:
            setattr(owner, method, function)
        except AttributeError:
            raise SpecError(
                f"{type(owner).__name__} takes no other {method}; use `with meter.span(...)` around its calls"
            ) from None
        self._replaced.append((owner, method, had))

    def restore(self) -> None:
        """Put everything back as it was; twice is fine."""
        while self._replaced:
            owner, method, had = self._replaced.pop()
            if had is _ABSENT:
                vars(owner).pop(method, None)
            else:
                setattr(owner, method, had)

    def __enter__(self) -> Instrumented:
        return self

    def __exit__(self, *_: object) -> None:
        self.restore()


class Phases:
    """The phases of one model as spans of a meter, for the adapters."""

    def __init__(self, meter: EnergyMeter, name: str, counts: dict[str, Count]) -> None:
        self.instrumented = Instrumented()
        self._meter, self._name, self._counts = meter, name, counts

    def span(self, phase: str) -> Span:
        """A span of a phase: ``infer``, or ``detector infer`` of a model that has a name."""
        return self._meter.span(f"{self._name} {phase}" if self._name else phase)

    def around(
        self,
        owner: Any,
        method: str,
        phase: str,
        count: Callable[..., dict[str, float]] | None = None,
        *,
        then: Callable[..., object] | None = None,
    ) -> None:
        """Measure every call of a method as this phase, or each step of the generator that it returns.

        Args:
            count: makes units of the result of a call and its arguments.
            then: called with the arguments of a call before its phase ends.
        """
        original = getattr(owner, method)

        def measured(*args: Any, **kwargs: Any) -> Any:
            if inspect.isgeneratorfunction(original):
                return self.steps(original(*args, **kwargs), phase, {})
            with self.span(phase) as span:
                result = original(*args, **kwargs)
                if then is not None:
                    then(*args, **kwargs)
            self.count(span, phase, count, result, *args, **kwargs)
            return result

        measured.__wrapped__ = original  # type: ignore[attr-defined]  # whose signature is asked for
        self.instrumented.replace(owner, method, measured)

    def steps(self, items: Any, phase: str, units: dict[str, float]) -> Generator[Any, Any, None]:
        """Pass a lazy sequence on; making each item is a span, and the first one is about the units."""
        found = iter(items)
        while True:
            with self.span(phase) as span:
                item = next(found, _ABSENT)
            if units:
                span.units(**units)
                units = {}
            if item is _ABSENT:
                return
            yield item

    def count(
        self,
        span: Span,
        phase: str,
        count: Callable[..., dict[str, float]] | None,
        result: Any,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Count the units of a call: the adapter's, and in ``infer`` those that were asked for."""
        units = count(result, *args, **kwargs) if count is not None else {}
        if phase == "infer":
            for unit, number in self._counts.items():
                units[unit] = number(result, *args, **kwargs) if callable(number) else number
        if units:
            span.units(**units)


def instrument(model: Any, meter: EnergyMeter, *, name: str = "", **units: Count) -> Instrumented:
    """Measure the calls of a model as spans of the meter: ``preprocess``, ``infer``, ``postprocess``.

    The object stays what it is, with some of its methods replaced until `Instrumented.restore`.

        session = onnxruntime.InferenceSession("model.onnx")
        instrument(session, meter, images=1)
        with meter:
            session.run(None, {"x": image})
        print(meter.spans["infer"].usage)

    Args:
        model: of onnxruntime, LiteRT or TFLite, ExecuTorch, transformers (a pipeline), sentence-transformers,
            faster-whisper or scikit-learn.
        meter: whose spans they are. While CUDA is in use, it waits for it unless it has a ``sync`` of its
            own.
        name: comes before the phase, where several models are measured.
        units: how many of each one call is about: a number, or a function of the result and the arguments.

    Raises:
        SpecError: nothing is known of such a model.
    """
    for kind in type(model).__mro__:
        adapter = ADAPTERS.get(kind.__module__.partition(".")[0])
        if adapter is not None:
            break
    else:
        known = ", ".join(sorted(ADAPTERS))
        raise SpecError(
            f"nothing is known of the calls of {type(model).__name__}, only of models of {known}; use "
            '`with meter.span("infer")` around them'
        )
    meter.sync = meter.sync or sync_of_devices
    phases = Phases(meter, name, units)
    try:
        module(f"energymeter.integrations.{adapter}").instrument(model, phases)
    except BaseException:
        phases.instrumented.restore()
        raise
    return phases.instrumented
