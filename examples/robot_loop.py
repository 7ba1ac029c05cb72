"""Seed task: a robot at 50 Hz: what each rail draws, how busy the processor is, and what early exit saves.

Two rails are simulated, the board's and the motors'. With two meters of your own:

    python examples/robot_loop.py ina219@1:0x40+ina219@1:0x41
"""

import math
import sys
import time

import numpy as np

from energymeter import EnergyMeter
from energymeter.energy import difference

SOURCE = sys.argv[1] if len(sys.argv) > 1 else "sim:pi4+manual:6V,0.3A"
PERIOD, STEPS = 0.02, 100
large, small = np.random.default_rng(1).normal(size=(128, 128)), np.array([1.0, 2.0, 20.0, 4.0])


def policy(state: np.ndarray, *, early_exit: bool) -> float:
    """Push left or right. While the pole is nearly upright, a linear policy is enough."""
    if not (early_exit and abs(state[2]) < 0.05):
        for _ in range(4):  # the layers of a large network, in time and energy
            np.tanh(large @ large)
    return 10.0 if state @ small > 0 else -10.0


def moved(state: np.ndarray, force: float) -> np.ndarray:
    """The cart and its pole, 20 ms later."""
    x, v, angle, turn = state
    swing = (9.8 * math.sin(angle) - math.cos(angle) * force / 1.1) / (0.5 * (4 / 3 - 0.1 / 1.1))
    return np.array([x + PERIOD * v, v + PERIOD * force / 1.1, angle + PERIOD * turn, turn + PERIOD * swing])


def control(*, early_exit: bool) -> EnergyMeter:
    """Two seconds of control, idle between the steps."""
    state = np.array([0.0, 0.0, 0.03, 0.0])
    with EnergyMeter(SOURCE) as meter:
        due = time.monotonic()
        for _ in range(STEPS):
            with meter.span("steps"):
                state = moved(state, policy(state, early_exit=early_exit))
            due += PERIOD
            time.sleep(max(0.0, due - time.monotonic()))
    return meter


always, early = control(early_exit=False), control(early_exit=True)
for name, meter in (("large network always", always), ("early exit", early)):
    busy = meter.spans["steps"].seconds.total / meter.usage.seconds
    print(f"{name}: busy {busy:.0%} of the time")
    for rail, usage in meter.usages.items():
        print(f"  {rail}: {usage}")
    print(f"  {meter.usage.with_units(steps=STEPS).per('steps')}")
saved = difference(always.usage, early.usage)
shown = "" if abs(saved.joules) > saved.uncertainty else ": no saving is shown"
print(f"saved by early exit: {saved.joules:.2f} J ± {saved.uncertainty:.2f}{shown}")
