"""A callback for the Trainer of Hugging Face Transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from energymeter.errors import ExtraMissing
from energymeter.integrations.training import TrainingEnergy

if TYPE_CHECKING:
    from energymeter.meter.meter import EnergyMeter
    from energymeter.source import Source


def transformers_callback(meter: EnergyMeter | str | Source | None = None, **options: Any) -> Any:
    """A ``TrainerCallback`` for ``Trainer(callbacks=[...])``; its ``energy`` is the `TrainingEnergy`.

    A step is an optimizer step, with all its accumulated batches, and without loading them. Of several
    processes of one machine, the first one measures. At the reserve the Trainer saves a checkpoint and ends.
    An evaluation outside of `train` is measured from its first batch's end.

    Args:
        meter: as for `TrainingEnergy`, like the options.

    Raises:
        ExtraMissing: transformers is not installed.
    """
    try:
        from transformers import TrainerCallback
    except ImportError:
        raise ExtraMissing("transformers", "transformers", "a callback for its Trainer") from None

    class EnergyCallback(TrainerCallback):  # type: ignore[misc]
        def __init__(self) -> None:
            self.energy = TrainingEnergy(meter, **options)
            self._evaluated_ns = 0

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.energy.begin_run(reports=state.is_local_process_zero, processes=args.world_size)

        def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.energy.begin("epoch")

        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.energy.begin("step")

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.energy.end("step")
            if self.energy.must_stop() and not control.should_training_stop:
                control.should_save = control.should_training_stop = True
            self._announced(control)

        def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.energy.end("epoch")
            self._announced(control)

        def _announced(self, control: Any) -> None:
            """What the Trainer does next: nobody is called when it begins."""
            self._evaluated_ns = 0
            if control.should_evaluate:
                self.energy.begin("evaluation")
            elif control.should_save:
                self.energy.begin("checkpoint")

        def on_prediction_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if not self.energy.is_open("evaluation"):
                self.energy.begin("evaluation")

        def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.energy.end("evaluation")
            if control.should_save:
                self.energy.begin("checkpoint")
            else:  # it may still be saved, as the best one so far
                self._evaluated_ns = self.energy.now_ns()

        def on_predict(self, args: Any, state: Any, control: Any, *_: Any, **__: Any) -> None:
            self.energy.end("evaluation")

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if self.energy.is_open("checkpoint"):
                self.energy.end("checkpoint")
            elif self._evaluated_ns:
                self.energy.record("checkpoint", self._evaluated_ns)
            self._evaluated_ns = 0

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.energy.end_run()

    return EnergyCallback()
