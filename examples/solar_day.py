"""Seed task: solar and batteries: does a camera survive the night, and on which panel?

The board is simulated unless you name a meter:

    python examples/solar_day.py ina219@1:0x40
"""

import sys
import time

import numpy as np

from energymeter import Battery, EnergyMeter
from energymeter.battery import Panel, outlook, panel_watts

SOURCE = sys.argv[1] if len(sys.argv) > 1 else "sim:pi-zero-w"
EVERY = 10.0
"""Seconds from one picture to the next."""
picture = np.random.default_rng(1).random((240, 320))


def inspect() -> float:
    """One picture: edges in both directions, and how many of them are strong."""
    across, down = np.gradient(picture)
    return float((np.hypot(across, down) > 0.4).mean())


meter = EnergyMeter(SOURCE)
idle = meter.idle(1.0)
with meter:
    for _ in range(10):
        with meter.span("pictures"):
            for _ in range(10):
                inspect()
        time.sleep(0.02)
pictures = meter.spans["pictures"]
each = pictures.usage.with_units(pictures=10 * len(pictures)).per("pictures")
print(f"idle and pictures: {meter.usage}")
print(each)

# what a picture adds to idle, so many times a day
net = each.net_joules or 0.0
watts, spread = idle.watts + net / EVERY, idle.uncertainty + (each.uncertainty or 0.0) / EVERY
print(f"a picture every {EVERY:g} s: {watts:.3f} W ± {spread:.3f}, of which idle {idle.watts:.3f} W")
print(
    f"panel for a winter of 2.5 sun hours: {panel_watts(watts, 2.5):.1f} W ± {panel_watts(spread, 2.5):.1f}"
)
for panel in (5.0, 10.0, 20.0):
    bank = Battery.power_bank(10_000).with_(input=Panel(panel, sun_hours=2.5))
    worst, best = (outlook(bank, load, hour=18.0) for load in (watts + spread, watts - spread))
    print(f"{panel:g} W panel: {worst}" + ("" if str(worst) == str(best) else f" to {best}"))
