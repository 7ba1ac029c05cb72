"""Traces with gaps, with samples that nobody read, and with steps of any length."""

import numpy as np
from hypothesis import strategies as st

from energymeter.reading import Facts
from energymeter.recordings.trace import Trace


def made(watts, steps, semantics, unknown=()):
    """A trace with gaps, and with samples that nobody read."""
    time = np.cumsum(np.concatenate([[0.0], steps]))[: len(watts)]
    watts = np.array(watts, float)
    watts[[n for n in unknown if n < len(watts)]] = np.nan
    return Trace.integrate(time, watts, volts=np.full(len(time), 5.0), facts=Facts(semantics=semantics))


@st.composite
def traces(draw):
    count = draw(st.integers(2, 60))
    watts = draw(st.lists(st.floats(0, 100), min_size=count, max_size=count))
    steps = draw(st.lists(st.sampled_from([0.01, 0.011, 0.02, 0.5]), min_size=count - 1, max_size=count - 1))
    unknown = draw(st.sets(st.integers(0, 59), max_size=3))
    return made(watts, steps, draw(st.sampled_from(["instant", "mean"])), unknown)
