"""Seed task: measure the energy of any wrapped inference or training loop: a block, a decorator, a loop.

The board is simulated unless you name a meter:

    python examples/hello.py ina219@1:0x40
"""

import sys

from energymeter import EnergyMeter, measure

SOURCE = sys.argv[1] if len(sys.argv) > 1 else "sim:pi4"


def work(n: int = 300_000) -> int:
    """What you want to know the energy of."""
    return sum(i * i for i in range(n))


# a block
with EnergyMeter(SOURCE) as meter:
    for _ in range(20):
        work()
print(f"block: {meter.usage}")


# a decorator: every call is measured
@measure(SOURCE)
def train() -> None:
    """Some epochs."""
    for _ in range(20):
        work()


train()
print(f"train(): {train.usage}")

# a loop: one span for each step, and what one step costs
with EnergyMeter(SOURCE) as meter:
    for _step in meter.track(range(20), name="steps"):
        work()
steps = meter.spans["steps"]
print(steps.usage.with_units(steps=len(steps)).per("steps"))
