"""The loops of other libraries: trainings, inference, trackers and notebooks, each measured by one line."""

from energymeter.lazy import face

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing
if TYPE_CHECKING:
    from energymeter.integrations.codecarbon import with_codecarbon as with_codecarbon
    from energymeter.integrations.inference import Instrumented as Instrumented
    from energymeter.integrations.inference import instrument as instrument
    from energymeter.integrations.keras import keras_callback as keras_callback
    from energymeter.integrations.layers import layer_shares as layer_shares
    from energymeter.integrations.lightning import lightning_callback as lightning_callback
    from energymeter.integrations.notebook import load_ipython_extension as load_ipython_extension
    from energymeter.integrations.sklearn import sklearn_callback as sklearn_callback
    from energymeter.integrations.trackers import figures as figures
    from energymeter.integrations.trackers import log_usage as log_usage
    from energymeter.integrations.training import TrainingEnergy as TrainingEnergy
    from energymeter.integrations.transformers import transformers_callback as transformers_callback
    from energymeter.integrations.transformers_generate import EnergyStreamer as EnergyStreamer

__all__, __getattr__, __dir__ = face(
    __name__,
    {
        "codecarbon": "with_codecarbon",
        "inference": "Instrumented instrument",
        "keras": "keras_callback",
        "layers": "layer_shares",
        "lightning": "lightning_callback",
        "notebook": "load_ipython_extension",
        "sklearn": "sklearn_callback",
        "trackers": "figures log_usage",
        "training": "TrainingEnergy",
        "transformers": "transformers_callback",
        "transformers_generate": "EnergyStreamer",
    },
)
