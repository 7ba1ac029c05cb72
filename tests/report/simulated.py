"""A trace whose power, spans and gap are known."""

import numpy as np

from energymeter.reading import Band, Facts
from energymeter.recordings.record import RecordedSpans
from energymeter.recordings.trace import Trace


def make_trace(provenance="simulated", seconds=10.0, rate_hz=50.0):
    """2 W at 5 V with 6 W from 1 to 2 s and from 6 to 7 s, and nothing measured from 4 to 5 s."""
    time = np.arange(0, seconds + 0.5 / rate_hz, 1 / rate_hz)
    time = time[(time <= 4 + 1e-9) | (time >= 5 - 1e-9)]
    watts = np.where(((time > 1) & (time <= 2)) | ((time > 6) & (time <= 7)), 6.0, 2.0)
    facts = Facts(provenance=provenance, volts=Band(0.005), amps=Band(0.01, 0.001))
    trace = Trace.integrate(
        time, watts, volts=np.full(len(time), 5.0), amps=watts / 5, facts=facts, name="desk"
    )
    trace.spans = {
        "load": RecordedSpans(1, ((0.2, 0.9),)),
        "infer": RecordedSpans(2, ((1.0, 2.0), (6.0, 7.0))),
    }
    return trace
