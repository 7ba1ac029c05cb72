"""Writes tables as other tools would, from a truth that is known: for the tests of the reader."""
# ruff: noqa: E501 - lists of titles are read more easily side by side

import gzip
import itertools
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from hypothesis import strategies as st

_START = datetime(2026, 5, 4, 21, 58, 30, tzinfo=timezone.utc)
_DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|", "spaces": "   "}
_TIMES = {
    "Time (s)": "count",
    "time": "count",
    "elapsed": "h:mm:ss",
    "t_ms": "ms",
    "Timestamp (ms)": "epoch ms",
    "timestamp": "ISO",
    "Timestamp": "slashes",
    "Zeit": "day first",
    "datetime": "UTC",
    "epoch": "epoch s",
    "timestamp_ns": "epoch ns",
    "Date and time": "month first",
    "time of day": "clock",
}
"""Title, and how the times below it are written."""
_POWERS = [
    ("power_W", 1), ("Power (W)", 1), ("power [mW]", 1e-3), ("power_mw", 1e-3), ("SYSTEM_POWER (Watts)", 1), ("P/W", 1),
    ("Leistung (W)", 1), ("POWER (Milliwatts)", 1e-3), ("power", 1), ("Power", 1), ("watts", 1), ("Puissance (kW)", 1e3),
    ("power_uW", 1e-6), ("power.draw [W]", 1), ("Wattage", 1),
]  # fmt: skip
_PAIRS = [
    (("voltage_V", 1), ("current_A", 1)), (("Voltage (V)", 1), ("Current (mA)", 1e-3)), (("volts", 1), ("amps", 1)),
    (("voltage_mv", 1e-3), ("current_ma", 1e-3)), (("U [V]", 1), ("I [A]", 1)), (("Spannung (V)", 1), ("Strom (A)", 1)),
    (("bus voltage (mV)", 1e-3), ("current (uA)", 1e-6)),
]  # fmt: skip
_ENERGIES = [("energy_J", 1.0), ("Energy (Wh)", 3600.0), ("energy [mWh]", 3.6), ("Arbeit (kWh)", 3.6e6)]
_OTHERS = [
    ("temperature (C)", "45.5"), ("cpu_usage", "12"), ("power limit (W)", "250"), ("fan rpm", "1200"), ("note", "ok"),
    ("frequency_MHz", "1500"), ("GPU Clock [MHz]", "1300"),
]  # fmt: skip


class Table(NamedTuple):
    """A table, and what is true of it."""

    content: bytes
    joules: float
    seconds: float
    coverage: float


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Tables in every dialect."""
    count = draw(st.integers(5, 40))
    interval = draw(st.sampled_from([0.1, 0.5, 1.0, 2.0, 10.0, 60.0]))
    watts = draw(st.lists(st.integers(20, 900), min_size=count, max_size=count))
    power = [value / 100 for value in watts]
    part = draw(st.sampled_from(list(_DELIMITERS)))
    decimal = "." if part == "comma" else draw(st.sampled_from([".", ","]))
    title = draw(st.sampled_from(list(_TIMES)))
    columns = [(title, _times(_TIMES[title], count, interval, decimal))]
    missing = draw(st.sets(st.integers(0, count - 1), max_size=2)) if draw(st.booleans()) else set()
    word = draw(
        st.sampled_from(["", "N/A", "[N/A]", "nan", "-"] if part != "spaces" else ["N/A", "nan", "-"])
    )
    kinds = draw(st.sampled_from(["power", "power", "power", "pair", "both", "energy"]))
    totals = [0.0]
    for before, after in itertools.pairwise(power):
        totals.append(totals[-1] + (before + after) / 2 * interval)
    if kinds == "energy":
        missing = set()
        name, factor = draw(st.sampled_from(_ENERGIES))
        columns.append((name, [_number(total / factor, decimal, 9) for total in totals]))
    if kinds in ("power", "both", "energy"):
        name, scale = draw(st.sampled_from(_POWERS))
        unit = " W" if name in ("power", "Power") and part not in ("spaces",) and draw(st.booleans()) else ""
        columns.append((name, [_number(value / scale, decimal, 6) + unit for value in power]))
    if kinds in ("pair", "both"):
        (volts, per_volt), (amps, per_amp) = draw(st.sampled_from(_PAIRS))
        columns.append((volts, [_number(5 / per_volt, decimal, 3)] * count))
        columns.append((amps, [_number(value / 5 / per_amp, decimal, 6) for value in power]))
    measured = range(1, len(columns))
    for name, cell in draw(st.lists(st.sampled_from(_OTHERS), max_size=3, unique=True)):
        columns.append((name, [cell.replace(".", decimal)] * count))
    rows = []
    for row in range(count):
        rows.append([
            word if row in missing and place in measured else cells[row] for place, (_, cells) in enumerate(columns)
        ])  # fmt: skip
    order = draw(st.permutations(range(1, len(columns))))
    order = [0, *order]
    steps = [k for k in range(1, count) if not {k - 1, k} & missing]
    joules = sum((power[k - 1] + power[k]) / 2 * interval for k in steps)
    seconds = (count - 1) * interval
    content = _written(draw, [columns[k][0] for k in order], [[row[k] for k in order] for row in rows], part)
    return Table(content, joules, seconds, len(steps) * interval / seconds)


def _number(value: float, decimal: str, places: int) -> str:
    return f"{value:.{places}f}".replace(".", decimal)


def _times(kind: str, count: int, interval: float, decimal: str) -> list[str]:
    return [_time(kind, k * interval, interval, decimal) for k in range(count)]


def _time(kind: str, at: float, interval: float, decimal: str) -> str:
    moment = _START + timedelta(seconds=at)
    fraction = f".{moment.microsecond // 1000:03}" if interval < 1 else ""
    nanoseconds = int(_START.timestamp()) * 10**9 + round(at * 1e9)
    if kind == "count":
        return _number(at, decimal, 2)
    if kind == "h:mm:ss":
        hours, rest = divmod(at, 3600)
        return f"{hours:.0f}:{int(rest // 60):02}:{int(rest % 60):02}.{round(at % 1 * 1000):03}"
    patterns = {
        "ISO": "%Y-%m-%dT%H:%M:%S",
        "slashes": "%Y/%m/%dT%H:%M:%S",
        "day first": "%d.%m.%Y-%H:%M:%S",
        "month first": "%m/%d/%Y-%H:%M:%S",
        "UTC": "%Y-%m-%dT%H:%M:%S",
        "clock": "%H:%M:%S",
    }
    if kind in patterns:
        return moment.strftime(patterns[kind]) + fraction + ("Z" if kind == "UTC" else "")
    scale = {"ms": 10**6, "epoch ms": 10**6, "epoch s": 10**9, "epoch ns": 1}[kind]
    whole = round(at * 1e9) if kind == "ms" else nanoseconds
    if whole % scale:
        return f"{whole // scale}{decimal}{whole % scale / scale:.3f}".replace("0.", "", 1)
    return str(whole // scale)


def _written(draw: st.DrawFn, titles: list[str], rows: list[list[str]], part: str) -> bytes:
    delimiter = _DELIMITERS[part]
    if part == "spaces":
        titles = [title.replace(" ", "_") for title in titles]
        rows = [[cell.replace(" ", "") for cell in row] for row in rows]
    quoted = part != "spaces" and draw(st.booleans())

    def line(cells: list[str]) -> str:
        return delimiter.join(f'"{cell}"' if quoted else cell for cell in cells)

    above = draw(st.sampled_from(["", "", "Exported by a tool\nSerial 0012\n\n", "# made by hand\n"]))
    hash_sign = draw(st.sampled_from(["", "", "# "])) if not quoted else ""
    lines = [hash_sign + line(titles), *(line(row) for row in rows)]
    if draw(st.booleans()):
        lines.insert(len(lines) // 2 + 1, "" if draw(st.booleans()) else "# a mark")
    ends = draw(st.sampled_from(["\n", "\r\n"]))
    text = (above + "\n".join(lines) + draw(st.sampled_from(["\n", ""]))).replace("\n", ends)
    content = text.encode(draw(st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16", "cp1252"])))
    return gzip.compress(content) if draw(st.booleans()) and draw(st.booleans()) else content
