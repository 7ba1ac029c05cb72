"""scikit-learn: a callback for the estimators that take one, and a wrapper of fit and predict for all."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from energymeter.errors import ExtraMissing
from energymeter.integrations.training import TrainingEnergy

if TYPE_CHECKING:
    from energymeter.integrations.inference import Phases
    from energymeter.meter.meter import EnergyMeter
    from energymeter.meter.span import Span
    from energymeter.source import Source

FIT = ("fit", "partial_fit", "fit_transform", "fit_predict")
INFER = ("predict", "predict_proba", "transform", "score")


def instrument(estimator: Any, phases: Phases) -> None:
    """Measure fitting as ``fit`` and predicting as ``infer``, which counts samples.

    Clones, such as those of a grid search, are not measured. A method that calls another one is measured
    once.
    """
    busy = threading.local()
    for method in (*FIT, *INFER):
        if hasattr(estimator, method):
            _around(estimator, method, "fit" if method in FIT else "infer", phases, busy)


def _around(estimator: Any, method: str, phase: str, phases: Phases, busy: threading.local) -> None:
    original = getattr(estimator, method)

    def measured(*args: Any, **kwargs: Any) -> Any:
        if getattr(busy, "inside", False):  # `score` predicts, and `fit_predict` fits
            return original(*args, **kwargs)
        busy.inside = True
        try:
            with phases.span(phase) as span:
                result = original(*args, **kwargs)
        finally:
            busy.inside = False
        phases.count(span, phase, _samples, result, *args, **kwargs)
        return result

    measured.__wrapped__ = original  # type: ignore[attr-defined]  # whose signature is asked for
    phases.instrumented.replace(estimator, method, measured)


def _samples(result: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
    data = args[0] if args else kwargs.get("X")
    shape = getattr(data, "shape", None)
    return {"samples": float(shape[0] if shape else len(data))} if data is not None else {}


def sklearn_callback(meter: EnergyMeter | str | Source | None = None, **options: Any) -> Any:
    """A `FitCallback` for ``estimator.set_callbacks(...)``; its ``energy`` is the `TrainingEnergy`.

    Each task of the fit, such as an iteration or a fit of a search, is a span named ``LogisticRegression
    fit``. At the reserve, the estimator is asked to end its iterations. Tasks in other processes are measured
    as part of the whole alone.

    Args:
        meter: as for `TrainingEnergy`, like the options.

    Raises:
        ExtraMissing: scikit-learn is not installed, or is older than 1.9.
    """
    try:
        import sklearn.callback  # noqa: F401
    except ImportError:
        raise ExtraMissing("scikit-learn", "sklearn", "a callback for its estimators") from None
    return _EnergyCallback(TrainingEnergy(meter, **options))


class _EnergyCallback:
    """The hooks that scikit-learn calls."""

    def __init__(self, energy: TrainingEnergy) -> None:
        self.energy = energy
        self._tasks: dict[int, Span] = {}

    def setup(self, estimator: Any, context: Any) -> None:
        self.energy.begin_run()

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        if self.energy.reports:
            span = self.energy.meter.span(f"{context.estimator_name} {context.task_name}")
            self._tasks[id(context)] = span
            span.__enter__()

    def on_fit_task_end(self, estimator: Any, context: Any) -> bool:
        span = self._tasks.pop(id(context), None)
        if span is not None:
            span.__exit__()
        return self.energy.must_stop()

    def teardown(self, estimator: Any, context: Any) -> None:
        for span in self._tasks.values():  # of a fit that failed
            span.__exit__()
        self._tasks.clear()
        self.energy.end_run()

    def __getstate__(self) -> dict[str, Any]:
        """For a worker process, whose tasks belong to the whole: a meter sees the board."""
        return {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.energy, self._tasks = TrainingEnergy("manual:0W"), {}
        self.energy.reports = False
