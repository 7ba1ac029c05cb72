"""Seed task: neural architecture search for energy: which small network is worth its joules on this board?

The board is simulated unless you name a meter:

    python examples/nas_search.py ina219@1:0x40
"""

import sys
from itertools import pairwise

import numpy as np

from energymeter import sweep

SOURCE = sys.argv[1] if len(sys.argv) > 1 else "sim:pi4"
dice = np.random.default_rng(7)


def spirals(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Points of two spirals, and which of them each is of."""
    turn, which = np.sqrt(dice.random(n)) * 9.0, dice.integers(2, size=n)
    angle = turn + np.pi * which
    noise = dice.normal(0.0, 0.2, (n, 2))
    return np.stack([turn * np.cos(angle), turn * np.sin(angle)], 1) / 5 + noise / 5, which


train, test = spirals(1000), spirals(2000)
networks: dict[tuple[int, int], list[np.ndarray]] = {}


def hidden(points: np.ndarray, layers: list[np.ndarray]) -> np.ndarray:
    """Random layers: only the last one is trained, so that a search takes seconds."""
    for weights in layers:
        points = np.tanh(np.hstack([points, np.ones((len(points), 1))]) @ weights)
    return np.hstack([points, np.ones((len(points), 1))])


def network(width: int, depth: int) -> list[np.ndarray]:
    """The network of this size, trained when it is first asked for."""
    if (width, depth) not in networks:
        sizes = [2] + [width] * depth
        layers = [dice.normal(0, 2.0 / np.sqrt(a), (a + 1, b)) for a, b in pairwise(sizes)]
        inputs, wanted = hidden(train[0], layers), 2.0 * train[1] - 1
        last = np.linalg.solve(inputs.T @ inputs + 0.1 * np.eye(inputs.shape[1]), inputs.T @ wanted)
        networks[width, depth] = [*layers, last]
    return networks[width, depth]


def infer(width: int, depth: int) -> float:
    """Classify the 2000 test points; the accuracy is the metric."""
    *layers, last = network(width, depth)
    return float(((hidden(test[0], layers) @ last > 0) == test[1]).mean())


found = sweep(
    infer, {"width": [16, 64, 256], "depth": [1, 2]}, source=SOURCE, per=2000, unit="inference",
    warmup=1, runs=4, min_seconds=0.25, idle=0.0, workload="two spirals",
)  # fmt: skip
print(found)
print("worth having:", ", ".join(f"{one.values} {one.metric:.1%}" for one in found.front))
