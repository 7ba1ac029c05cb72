"""A simulated fleet: boards that run three models around the clock, for benchmarks and for trying questions.

Every row says ``simulated``. Boards are metered like an INA219 with its data sheet's accuracy, drop out for
minutes, and have clocks of their own; at noon one model of each board begins to use 3 % more.
"""

import hashlib
import os
from typing import Any, NamedTuple

import numpy as np

from energymeter.energy.uncertainty import K
from energymeter.errors import LogError, SpecError
from energymeter.lake.pushing import put_table
from energymeter.lake.rows import key_of, partition, table_of, version_of
from energymeter.lake.schema import VERSION, arrow, check_marker, schema
from energymeter.lake.store import Store
from energymeter.text import printable
from energymeter.units import RECTANGLE

_BOARDS = (
    ("Raspberry Pi 4", 2.7, 1.00),
    ("Raspberry Pi 5", 3.1, 0.55),
    ("Jetson Nano", 2.0, 0.62),
    ("Jetson Orin Nano", 5.2, 0.30),
    ("Raspberry Pi Zero 2", 0.6, 2.10),
)
"""Name, idle W, and the time that a unit takes compared with the first."""
_WORK = (("resnet50", "int8", 0.12), ("whisper-tiny", "float", 0.80), ("llama-1b", "q4", 0.30))
"""Model, variant, and s that a unit takes on the first board."""
_BUSY_WATTS = 3.4
_VOLTS_GAIN, _AMPS_GAIN, _AMPS_OFFSET = 0.005, 0.01, 0.001
_HOUR = 3600
_DAY = 24 * _HOUR
_DROPOUT_SECONDS = 300
_MOST_BOARDS = 100_000
_MOST_SAMPLES = 10**10


class Fleet(NamedTuple):
    """What was generated."""

    boards: int
    runs: int
    samples: int
    bytes: int


def generate(
    root: "str | os.PathLike[str] | Store",
    *,
    boards: int = 50,
    hours: int = 24,
    rate_hz: int = 50,
    first_day: str = "2026-11-01",
    seed: int = 1,
) -> Fleet:
    """Write the lake of a simulated fleet; the same arguments give the same figures.

    Args:
        root: a lake of its own; one that holds anything is refused.
        boards: how many.
        hours: of each; a run an hour.
        rate_hz: samples a second, a whole number.
        first_day: of UTC.
        seed: of the random numbers.

    Raises:
        SpecError: a number makes no sense.
        LogError: there is a lake already, or it cannot be written.
    """
    if not (0 < boards <= _MOST_BOARDS and hours > 0 and 0 < rate_hz <= 1000):
        raise SpecError("a fleet needs 1 board or more, 1 hour or more, and 1 to 1000 samples a second")
    if boards * hours * _HOUR * rate_hz > _MOST_SAMPLES:
        raise SpecError(
            f"a fleet of more than {_MOST_SAMPLES:.0e} samples is too large; give fewer boards or hours"
        )
    try:
        start = int(np.datetime64(first_day, "s").astype(np.int64))
    except ValueError as wrong:
        raise SpecError(f"{first_day!r} is no day; write it as 2026-11-01") from wrong
    store = root if isinstance(root, Store) else Store(root)
    if store.names(""):
        raise LogError(f"{printable(store.url)} holds something already; name an empty folder")
    check_marker(store, create=True)
    arrow()
    count = 0
    for number in range(boards):
        for first in range(0, hours, 24):
            chosen = range(first, min(first + 24, hours))
            count += _board_day(store, number, start + first * _HOUR, chosen, rate_hz, seed)
    size = sum(
        found
        for table in ("runs", "usages", "seconds", "samples")
        for found, _ in store.details(table, deep=True).values()
    )
    return Fleet(boards, boards * hours, count, size)


def _board_day(store: Store, number: int, start: int, hours: range, rate_hz: int, seed: int) -> int:
    """One board's day: a run an hour, in one file of each table."""
    pa = arrow()
    host = f"sim-{number:05d}"
    rng = np.random.default_rng([seed, number, start])
    day = str(np.datetime64(start, "s"))[:10]
    folder = partition(host, day)
    stem = hashlib.sha256(f"{seed} {number} {start} {len(hours)} {rate_hz}".encode()).hexdigest()[:32]
    runs, usages, seconds = [], [], []
    count = 0
    dropout = int(rng.integers(0, len(hours) * _HOUR))
    clock = float(np.round(rng.normal(0.0, 0.02), 4))
    with store.writing(f"samples/{folder}/{stem}.parquet") as path:
        wanted = schema("samples")
        options: dict[str, Any] = {
            "compression": "zstd",
            "use_dictionary": [field.name for field in wanted if not pa.types.is_integer(field.type)],
            "column_encoding": {"run": "DELTA_BINARY_PACKED", "unix_us": "DELTA_BINARY_PACKED"},
        }
        with pa.parquet.ParquetWriter(path, wanted, **options) as writer:
            for place, hour in enumerate(hours):
                begin = start + place * _HOUR
                gap = (
                    max(dropout - place * _HOUR, 0),
                    min(dropout + _DROPOUT_SECONDS - place * _HOUR, _HOUR),
                )
                made = _run_hour(rng, host, number, hour, begin, rate_hz, gap, clock)
                writer.write_table(made[3])
                count += made[3].num_rows
                runs.append(made[0])
                usages.append(made[1])
                seconds.append(made[2])
    for table, parts in (("usages", usages), ("seconds", seconds), ("runs", runs)):
        put_table(store, f"{table}/{folder}/{stem}.parquet", table, pa.concat_tables(parts))
    return count


def _run_hour(
    rng: "np.random.Generator",
    host: str,
    number: int,
    hour: int,
    begin: int,
    rate_hz: int,
    gap: tuple[int, int],
    clock: float,
) -> tuple[Any, Any, Any, Any]:
    """The rows of one run: of runs, usages, seconds and samples, as tables."""
    board, idle, slowness = _BOARDS[number % len(_BOARDS)]
    model, variant, unit_seconds = _WORK[hour % len(_WORK)]
    commit = "b2" if hour % 24 >= 12 else "a1"
    busy = _BUSY_WATTS * (1.03 if commit == "b2" and model == "resnet50" else 1.0) * (1 + 0.02 * rng.normal())
    run_id = hashlib.sha256(f"{host} {begin} simulated".encode()).hexdigest()[:32]
    version = version_of(0, (begin + _HOUR) * 10**6, 0, hashlib.sha256(run_id.encode()).hexdigest()[:32])
    key = key_of(run_id, version)
    n = _HOUR * rate_hz + 1  # one on each edge
    level = np.repeat(rng.random(_HOUR // 10) < 0.7, 10 * rate_hz)
    level = np.append(level, level[-1])
    # what the chip shows: steps of 4 mV and 1 mA
    amps = np.round((idle + busy * level) / 5.1 * (1 + 0.004 * rng.standard_normal(n)), 3)
    volts = np.round((5.15 - 0.08 * amps) / 0.004) * 0.004
    watts = volts * amps
    dt = 1.0 / rate_hz
    columns = [np.concatenate([[np.nan], (one[1:] + one[:-1]) / 2 * dt]) for one in (watts, amps, volts)]
    covered = np.concatenate([[0.0], np.full(n - 1, dt)])
    kept = np.ones(n, dtype=bool)
    if gap[0] < gap[1]:
        kept[gap[0] * rate_hz + 1 : gap[1] * rate_hz] = False
        for column in columns:
            column[gap[0] * rate_hz + 1 : gap[1] * rate_hz + 1] = np.nan
        covered[gap[0] * rate_hz + 1 : gap[1] * rate_hz + 1] = 0.0
    joules, coulombs, volt_seconds = columns
    trust = {"provenance": "simulated", "calibrated": False, "accuracy_known": True}
    by_second = [_sums(column, rate_hz) for column in (joules, coulombs, volt_seconds, covered)]
    scatter = _sums(np.concatenate([[np.nan], np.diff(watts) ** 2 * dt**2 / 12]), rate_hz)
    joined, charge, at_volts, measured = by_second
    used = _used(
        joined, charge, at_volts, measured, scatter, np.nanmax(watts[1:].reshape(_HOUR, rate_hz), axis=1)
    )
    seconds = {
        "unix_s": begin + np.arange(_HOUR),
        "place": ["rail"] * _HOUR,
        **_repeated(trust, _HOUR),
        **used,
        "seconds": np.ones(_HOUR),
    }
    peak = float(np.max(watts[kept]))
    sums = [np.array([np.nansum(one)]) for one in (*by_second, scatter, [peak])]
    whole = _used(sums[0], sums[1], sums[2], sums[3], sums[4], sums[5])
    totals = {name: values[0] for name, values in whole.items()} | {"seconds": float(_HOUR)}
    units = float(round(0.7 * _HOUR / (unit_seconds * slowness)))
    share = _HOUR / totals["covered_seconds"] / units if totals["covered_seconds"] else np.nan
    partly = totals["covered_seconds"] < 0.9995 * _HOUR
    run = {
        "run_id": run_id,
        "version": version,
        "schema": VERSION,
        "host_name": host,
        "start_unix_us": begin * 10**6,
        "clock_offset_seconds": clock,
        "clock_uncertainty_seconds": 0.005,
        "file": f"{host}-{begin}.parquet",
        "board": board,
        "model": model,
        "variant": variant,
        "commit": commit,
        "unit": "inference",
        "units": units,
        "joules_per_unit": totals["joules"] * share,
        "seconds_per_unit": _HOUR / units,
        **{
            f"{name}uncertainty_joules_per_unit": None
            if partly
            else totals[f"{name}uncertainty_joules"] / units
            for name in ("", "gain_", "offset_", "random_")
        },
        "report": "",
        "notes": "SIMULATED",
        "source": f"sim:fleet@{number}",
        "place": "rail",
        **trust,
        **totals,
    }
    usage = {"channel": f"sim:fleet@{number}", "counted": True, "place": "rail", **trust, **totals}
    rows = int(kept.sum())
    gain = np.hypot(_VOLTS_GAIN, _AMPS_GAIN)
    samples = {
        "channel": [f"sim:fleet@{number}"] * rows,
        "counted": np.ones(rows, dtype=bool),
        "unix_us": (begin * 10**6 + np.round(np.arange(n) * dt * 1e6).astype(np.int64))[kept],
        "volts": volts[kept],
        "amps": amps[kept],
        "watts": watts[kept],
        "joules": joules[kept],
        "coulombs": coulombs[kept],
        "covered_seconds": covered[kept],
        # to 10 µW: it is a limit, not a measurement
        "uncertainty_watts": np.round(K * RECTANGLE * np.hypot(watts * gain, volts * _AMPS_OFFSET), 5)[kept],
        **_repeated(trust, rows),
    }
    return (
        table_of("runs", {name: [value] for name, value in run.items()}, key),
        table_of("usages", {name: [value] for name, value in usage.items()}, key),
        table_of("seconds", seconds, key),
        table_of("samples", samples, key),
    )


def _sums(column: Any, rate_hz: int) -> Any:
    """The sums of each second; what lies between two samples belongs to that of the later one."""
    return np.nansum(column[1:].reshape(_HOUR, rate_hz), axis=1)


def _used(
    joules: Any, coulombs: Any, volt_seconds: Any, covered: Any, variance: Any, peak: Any
) -> dict[str, Any]:
    """The columns of a window that every table has, but for its length."""
    gain = K * RECTANGLE * joules * np.hypot(_VOLTS_GAIN, _AMPS_GAIN)
    offset = K * RECTANGLE * volt_seconds * _AMPS_OFFSET
    random = K * np.sqrt(variance)
    dark = ~(covered > 0)
    found = {
        "joules": joules,
        "coulombs": coulombs,
        "mean_watts": joules / np.where(dark, 1.0, covered),
        "peak_watts": peak,
        "uncertainty_joules": np.sqrt(gain**2 + offset**2 + random**2),
        "gain_uncertainty_joules": gain,
        "offset_uncertainty_joules": offset,
        "random_uncertainty_joules": random,
    }
    return {name: np.where(dark, np.nan, values) for name, values in found.items()} | {
        "covered_seconds": covered
    }


def _repeated(values: dict[str, Any], count: int) -> dict[str, Any]:
    return {
        name: [value] * count if isinstance(value, str) else np.full(count, value)
        for name, value in values.items()
    }
