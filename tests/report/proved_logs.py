"""A log that proves its claim, and what can be changed of it."""

from pathlib import Path
from typing import Any, NamedTuple

from energymeter.energy.correction import Applied, Model
from energymeter.energy.integrate import Sample
from energymeter.meter.conditions import Conditions
from energymeter.reading import Band, Facts
from energymeter.recordings.closing import ended_spans, spans_to_json
from energymeter.recordings.writer import open_recorder

SECOND = 1_000_000_000
STARTED = 1_790_000_000.0
FACTS = Facts(place="rail", volts=Band(0.001), amps=Band(0.002))
CARD = Applied("calibrated 2026-11-21 against a reference", Model(), 0.0).to_json()
HEALTHY = Conditions(throttled=0, governor="performance", mains=True, board="pi5", battery=False)


class Channel(NamedTuple):
    """What one channel of the log says."""

    name: str = "ina226@1:0x40"
    facts: Facts = FACTS
    calibration: Any = CARD
    rows: tuple[int, int] = (0, 3001)
    """The first row, and the one after the last; one every 10 ms."""
    gap: tuple[int, int] = (0, 0)
    """Rows that are missing."""
    watts: float = 4.0


class Claim(NamedTuple):
    """What the log says of its run."""

    channels: tuple[Channel, ...] = (Channel(),)
    window: tuple[float, float] | None = (0.5, 29.5)
    spans: tuple[tuple[str, float, float, int], ...] = (("infer", 1.0, 0.5, 20),)
    """Name, first start, duration, calls; one every second."""
    conditions: Conditions | None = HEALTHY
    started: float | None = STARTED
    end: dict[str, Any] | None = {  # noqa: RUF012 - never written to
        "unix_s": STARTED + 30.1, "monotonic_ns": 30 * SECOND + SECOND // 10, "throttled": 0,
    }  # fmt: skip


def write(path: Path, claim: Claim) -> None:
    """The log, in the format that the name asks for."""
    header: dict[str, Any] = {
        "channels": [
            {"name": c.name, "source": 0, "facts": c.facts._asdict(), "calibration": c.calibration}
            for c in claim.channels
        ],
        "started": claim.started,
    }
    if claim.conditions is not None:
        header["conditions"] = claim.conditions._asdict()
    log = open_recorder(str(path), header, [c.name for c in claim.channels], 0, force=True, resume=False)
    rows = []
    for number, channel in enumerate(claim.channels):
        covered, joules, last = 0, 0.0, channel.rows[0]
        for row in range(*channel.rows):
            if channel.gap[0] <= row < channel.gap[1]:
                continue
            if row - last == 1:
                covered += SECOND // 100
                joules += channel.watts / 100
            last = row
            at_ns = row * SECOND // 100
            volts, amps = 5.0, channel.watts / 5.0
            sample = Sample(at_ns, joules, joules / 5.0, None, covered, 0.0, channel.watts, volts, amps)
            rows.append((at_ns, number, sample))
    for _, number, sample in sorted(rows, key=lambda row: row[:2]):
        log.row(number, sample)
    edges = {
        name: [
            round((first + call + edge) * SECOND) for call in range(calls) for edge in (0.0, seconds)
        ]
        for name, first, seconds, calls in claim.spans
    }  # fmt: skip
    window = None if claim.window is None else tuple(round(edge * SECOND) for edge in claim.window)
    log.close(window, spans_to_json(ended_spans(edges, 0)), claim.end)  # type: ignore[arg-type]
