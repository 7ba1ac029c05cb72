"""The order of the runs: mirrored blocks, so that a drift that is linear in time favours no arm."""

import random
from collections.abc import Iterator
from typing import NamedTuple


class Turn(NamedTuple):
    """One run that is to be made."""

    number: int
    """From 0, in the order of time."""
    arm: int
    pair: int
    """Runs of one pair are neighbours in time, one of each arm."""


def schedule(arms: int, runs: int, seed: int = 0) -> Iterator[Turn]:
    """Turns for so many runs of each arm.

    A block is a random order and its mirror image: ABBA or BAAB, and ABCCBA and so on for more arms. The
    order of a block depends on the seed and the number of the block alone, so that more runs only append.

    >>> [turn.arm for turn in schedule(2, 4, seed=1)]
    [0, 1, 1, 0, 1, 0, 0, 1]
    """
    number = 0
    for pair in range(runs):
        if pair % 2 == 0:
            order = list(range(arms))
            random.Random(f"{seed}, block {pair // 2}").shuffle(order)
        else:
            order.reverse()
        for arm in order:
            yield Turn(number, arm, pair)
            number += 1
