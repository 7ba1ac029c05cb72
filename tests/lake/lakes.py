"""Recordings with known figures, and lakes of them."""

import functools

import numpy as np

from energymeter.energy.correction import Applied, Line, Model
from energymeter.lake import Statement, push
from energymeter.reading import Band, Facts
from energymeter.recordings.record import RecordedSpans
from energymeter.recordings.trace import Trace

START = 1_795_860_000  # 2026-11-28, a full hour of UTC
BANDS = {"volts": Band(0.005, 0.0, 0.004), "amps": Band(0.01, 0.001, 0.0001)}


def line(gain=1.0, sigma=0.001):
    """A calibrated line whose slope and level are known to ``sigma``."""
    return Line(gain, 0.0, ((sigma**2, 0.0), (0.0, sigma**2)), 0.1, 3.0)


def recorded(
    host="pi-1",
    start=START,
    watts=3.0,
    seconds=20.0,
    rate_hz=10.0,
    *,
    provenance="measured",
    calibrated=True,
    gap=None,
    spans=None,
    source="ina219@1:0x40",
    place="rail",
    noise=0.0,
    seed=1,
    board="Raspberry Pi 4",
    wave=None,
):
    """A trace as `Trace.load_channels` reads one from a log of ours."""
    time = np.arange(0, seconds + 0.5 / rate_hz, 1 / rate_hz)
    power = np.full(len(time), watts) + noise * np.random.default_rng(seed).standard_normal(len(time))
    if wave is not None:
        power = wave(time)
    if gap is not None:
        kept = (time <= gap[0] + 1e-9) | (time >= gap[1] - 1e-9)
        time, power = time[kept], power[kept]
    facts = Facts(provenance=provenance, place=place, **BANDS)
    trace = Trace.integrate(
        time,
        power,
        volts=np.full(len(time), 5.0),
        amps=power / 5,
        facts=facts,
        name=source,
        epoch_s=float(start),
    )
    if calibrated:
        trace.calibration = Applied(
            "calibrated 2026-11-01 against a better meter", Model(line(), {"": line()})
        )
    trace.window_s = (0.0, seconds)
    trace.spans = spans or {}
    trace.header = {"host": host, "started": float(start), "conditions": {"board": board}}
    return trace


def calls(*windows):
    return {"infer": RecordedSpans(len(windows), windows)}


def pushed(root, *traces, force=False, **stated):
    """Push traces; each is a recording of one channel."""
    found = []
    for number, trace in enumerate(traces):
        channels = trace if isinstance(trace, list) else [trace]
        found += push(
            [f"run{number}.csv"],
            root,
            Statement(**stated),
            force=force,
            load=functools.partial(lambda known, _: known, channels),
        )
    return found


CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
}
"""For the server below, which believes anything."""


def s3_server(port=0):
    """A store that speaks S3, to be stopped, and its URL."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    return server, f"http://{host}:{port}"
