"""No random damage of a closed log changes a total without a warning or an error."""

import math
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from energymeter.energy.integrate import Sample
from energymeter.errors import EnergyMeterError
from energymeter.reading import Band, Facts
from energymeter.recordings.trace import Trace
from energymeter.recordings.writer import open_recorder

ROWS, STEP_NS, WATTS = 300, 10_000_000, (3.0, 1.7)
Damage = Callable[[bytearray, random.Random], bytes]


def _flipped(raw: bytearray, rnd: random.Random) -> bytes:
    raw[rnd.randrange(len(raw))] ^= 1 << rnd.randrange(8)
    return bytes(raw)


def _cut(raw: bytearray, rnd: random.Random) -> bytes:
    return bytes(raw[: rnd.randrange(len(raw))])


def _swapped(raw: bytearray, rnd: random.Random) -> bytes:
    a, b = rnd.randrange(len(raw)), rnd.randrange(len(raw))
    raw[a], raw[b] = raw[b], raw[a]
    return bytes(raw)


def _digit(raw: bytearray, rnd: random.Random) -> bytes:
    digits = [at for at, byte in enumerate(raw) if 48 <= byte <= 57]
    raw[rnd.choice(digits)] = 48 + rnd.randrange(10)
    return bytes(raw)


def _late_digit(raw: bytearray, rnd: random.Random) -> bytes:
    """What the total ends with: the last rows and the window of the closing record."""
    digits = [at for at in range(len(raw) - 700, len(raw)) if 48 <= raw[at] <= 57]
    raw[rnd.choice(digits)] = 48 + rnd.randrange(10)
    return bytes(raw)


def _dropped_line(raw: bytearray, rnd: random.Random) -> bytes:
    lines = bytes(raw).split(b"\n")
    del lines[rnd.randrange(len(lines))]
    return b"\n".join(lines)


def _doubled_line(raw: bytearray, rnd: random.Random) -> bytes:
    lines = bytes(raw).split(b"\n")
    at = rnd.randrange(len(lines))
    lines.insert(at, lines[at])
    return b"\n".join(lines)


def _exchanged_lines(raw: bytearray, rnd: random.Random) -> bytes:
    lines = bytes(raw).split(b"\n")
    a, b = rnd.randrange(len(lines)), rnd.randrange(len(lines))
    lines[a], lines[b] = lines[b], lines[a]
    return b"\n".join(lines)


def _dropped(raw: bytearray, rnd: random.Random) -> bytes:
    at = rnd.randrange(len(raw))
    del raw[at : at + rnd.randrange(1, 400)]
    return bytes(raw)


def _inserted(raw: bytearray, rnd: random.Random) -> bytes:
    at = rnd.randrange(len(raw))
    raw[at:at] = rnd.randbytes(rnd.randrange(1, 100))
    return bytes(raw)


def _zeroed(raw: bytearray, rnd: random.Random) -> bytes:
    at, size = rnd.randrange(len(raw)), rnd.randrange(1, 600)
    raw[at : at + size] = bytes(min(size, len(raw) - at))
    return bytes(raw)


DAMAGES: list[Damage] = [
    _flipped, _cut, _swapped, _digit, _late_digit, _dropped_line, _doubled_line, _exchanged_lines, _dropped,
    _inserted, _zeroed,
]  # fmt: skip


def closed_log(path: Path) -> float:
    """Write a log of two channels and close it; its total, J."""
    facts = Facts(semantics="instant", watts=Band(0.01))._asdict()
    names = ["a", "b"]
    channels = [
        {"name": name, "facts": facts, "calibration": None, "source": source}
        for source, name in enumerate(names)
    ]
    header = {"channels": channels, "started": 1.7e9, "counted_sources": 2}
    recorder = open_recorder(str(path), header, names, 0, force=False, resume=False)
    for number in range(ROWS):
        at_ns = number * STEP_NS
        for channel, watts in enumerate(WATTS):
            joules = watts * at_ns * 1e-9
            recorder.row(channel, Sample(at_ns, joules, None, None, at_ns, 0.0, watts, None, None))
    recorder.close((STEP_NS, (ROWS - 2) * STEP_NS))
    return sum(WATTS) * (ROWS - 3) * STEP_NS * 1e-9


def silently_wrong(path: Path, raw: bytes, joules: float, damages: int, seed: int) -> list[str]:
    """The damages after which another total is read, and nothing warns of it."""
    rnd, wrong = random.Random(seed), []
    for number in range(damages):
        damage = rnd.choice(DAMAGES)
        path.write_bytes(damage(bytearray(raw), rnd))
        try:
            usage = Trace.load(path).usage()
        except EnergyMeterError:
            continue
        if not math.isclose(usage.joules, joules, rel_tol=1e-6) and not usage.notes:
            wrong.append(f"{number}: {damage.__name__}: {usage}")
    return wrong


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_no_damage_changes_a_total_without_a_warning(tmp_path: Path, suffix: str) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    good, spoilt = tmp_path / f"good.{suffix}", tmp_path / f"spoilt.{suffix}"
    joules = closed_log(good)
    whole = Trace.load(good).usage()
    assert whole.joules == pytest.approx(joules, rel=1e-9)
    assert whole.notes == ()
    assert silently_wrong(spoilt, good.read_bytes(), joules, 60, seed=1) == []
