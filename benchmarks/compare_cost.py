"""A comparison of many spans, against numpy sorting them."""

import numpy as np
from _figures import Figure, processor_in_turn

from energymeter.comparison import statistics


def measure(short: bool) -> dict[str, Figure]:
    """Ratio of CPU time: interval, exact test and effect size of two arms of spans, and a sort of both."""
    count = 100_000 if short else 1_000_000
    rng = np.random.default_rng(1)
    a, b = rng.lognormal(0.0, 0.1, count // 2), rng.lognormal(-0.1, 0.1, count // 2)

    def compare() -> None:
        first, second = np.log(a), np.log(b)
        statistics.unpaired_shift(first, second)
        statistics.mann_whitney(first, second)
        statistics.cliffs_delta(first, second)

    compare()  # what is imported is no part of it
    took = processor_in_turn({"sort": lambda: np.sort(np.concatenate([a, b])), "compare": compare}, 5)
    return {
        f"{count:.0e} spans / numpy sorting them": Figure(
            took["compare"] / took["sort"], "×", remark=f"{took['compare'] * 1e3:.0f} ms"
        )
    }
