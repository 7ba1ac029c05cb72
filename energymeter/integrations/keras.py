"""A callback for Keras."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from energymeter.errors import ExtraMissing, SpecError
from energymeter.integrations.inference import Instrumented
from energymeter.integrations.training import TrainingEnergy

if TYPE_CHECKING:
    from energymeter.meter.meter import EnergyMeter
    from energymeter.source import Source


def keras_callback(
    meter: EnergyMeter | str | Source | None = None,
    *,
    save_to: str | None = None,
    **options: Any,
) -> Any:
    """A ``Callback`` for ``model.fit(callbacks=[...])``; its ``energy`` is the `TrainingEnergy`.

    A step is a call of the training function, without loading its batch. Saving the model or its weights is a
    checkpoint. At the reserve the model is saved to ``save_to``, and the training ends.

    Args:
        meter: as for `TrainingEnergy`, like the options.
        save_to: a ``.keras`` file, as `Model.save` takes it; a ``reserve`` needs it.

    Raises:
        ExtraMissing: Keras is not installed.
        SpecError: there is a reserve, and nowhere to save to.
    """
    try:
        from keras.callbacks import Callback
    except ImportError:
        raise ExtraMissing("keras", "keras", "a callback for it") from None
    if options.get("reserve") is not None and save_to is None:
        raise SpecError('a training that ends at a reserve is saved before: give save_to="model.keras"')

    class EnergyCallback(Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.energy = TrainingEnergy(meter, **options)
            self._saving: Instrumented | None = None

        def on_train_begin(self, logs: Any = None) -> None:
            self.energy.begin_run()
            if self._saving is not None:  # the training before failed
                self._saving.restore()
            self._saving = Instrumented()
            for method in ("save", "save_weights"):
                self._saving.around(self.model, method, lambda: self.energy.part("checkpoint"))

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.energy.begin("epoch")

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            self.energy.begin("step")

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.energy.end("step")
            if self.energy.must_stop() and not self.model.stop_training:
                self.model.save(save_to)
                self.model.stop_training = True

        def on_test_begin(self, logs: Any = None) -> None:
            self.energy.begin("evaluation")

        def on_test_end(self, logs: Any = None) -> None:
            self.energy.end("evaluation")

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.energy.end("epoch")

        def on_train_end(self, logs: Any = None) -> None:
            self.energy.end_run()
            if self._saving is not None:
                self._saving.restore()
                self._saving = None

    return EnergyCallback()
