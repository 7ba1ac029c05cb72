"""A callback for the Trainer of Lightning."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from energymeter.errors import ExtraMissing
from energymeter.integrations.inference import Instrumented
from energymeter.integrations.training import TrainingEnergy

if TYPE_CHECKING:
    from energymeter.meter.meter import EnergyMeter
    from energymeter.source import Source

CHECKPOINT = "energy-reserve.ckpt"
"""What is written to the trainer's ``default_root_dir`` when the guard ends a training."""


def lightning_callback(meter: EnergyMeter | str | Source | None = None, **options: Any) -> Any:
    """A ``Callback`` for ``Trainer(callbacks=[...])``; its ``energy`` is the `TrainingEnergy`.

    A step is a training batch, without loading it. The sanity check before the training is in no part. Of
    several processes of one machine, the first one measures. At the reserve the checkpoint
    ``energy-reserve.ckpt`` is written to ``default_root_dir``, and the training ends.

    Args:
        meter: as for `TrainingEnergy`, like the options.

    Raises:
        ExtraMissing: Lightning is not installed.
    """
    try:
        from pytorch_lightning import Callback
    except ImportError:
        try:
            from lightning.pytorch import Callback
        except ImportError:
            raise ExtraMissing("pytorch-lightning", "lightning", "a callback for its Trainer") from None

    class EnergyCallback(Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            self.energy = TrainingEnergy(meter, **options)
            self._saving: Instrumented | None = None

        def on_fit_start(self, trainer: Any, module: Any) -> None:
            self.energy.begin_run(reports=trainer.local_rank == 0, processes=trainer.world_size)
            self._saving = Instrumented()
            self._saving.around(trainer, "save_checkpoint", lambda: self.energy.part("checkpoint"))

        def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
            self.energy.begin("epoch")

        def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
            self.energy.begin("step")

        def on_train_batch_end(
            self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int
        ) -> None:
            self.energy.end("step")
            if self.energy.must_stop() and not trainer.should_stop:
                trainer.save_checkpoint(os.path.join(trainer.default_root_dir, CHECKPOINT))
                trainer.should_stop = True

        def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
            self.energy.end("epoch")

        def on_validation_start(self, trainer: Any, module: Any) -> None:
            if not trainer.sanity_checking:
                self.energy.begin("evaluation")

        def on_validation_end(self, trainer: Any, module: Any) -> None:
            self.energy.end("evaluation")

        on_test_start, on_test_end = on_validation_start, on_validation_end

        def on_fit_end(self, trainer: Any, module: Any) -> None:
            self.energy.end_run()
            if self._saving is not None:
                self._saving.restore()

        def on_exception(self, trainer: Any, module: Any, exception: BaseException) -> None:
            self.on_fit_end(trainer, module)

    return EnergyCallback()
