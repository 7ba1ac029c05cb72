"""Whole columns together give what reading row by row gives, to the last bit, whatever stands in a file."""

import math
import os
import random
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from energymeter import Trace
from energymeter.errors import EnergyMeterError
from energymeter.recordings import bulk, channel, reader, table
from energymeter.recordings.record import Record

pytest.importorskip("pyarrow")

EXAMPLES = int(os.environ.get("ENERGYMETER_BULK_TABLES", "60"))
"""The number of random tables."""
START = datetime(2026, 5, 4, 22, 58, 30)
TIMES = {
    "s": lambda at: f"{at:.3f}",
    "whole s": lambda at: f"{int(at)}",
    "ms": lambda at: f"{round(at * 1000)}",
    "epoch ns": lambda at: f"{1777888800 * 10**9 + round(at * 1e9)}",
    "epoch s": lambda at: f"{1777888800 + at:.2f}",
    "ISO": lambda at: (START + timedelta(seconds=at)).isoformat(sep=" "),
    "slashes": lambda at: (START + timedelta(seconds=at)).strftime("%Y/%m/%d %H:%M:%S.%f")[:-3],
    "zone": lambda at: (START + timedelta(seconds=at)).isoformat(timespec="milliseconds") + "+02:00",
    "day first": lambda at: (START + timedelta(seconds=at)).strftime("%d.%m.%Y %H:%M:%S"),
    "either": lambda at: (START + timedelta(seconds=at)).strftime("%d/%m/%Y %H:%M:%S"),
    "half days": lambda at: (START + timedelta(seconds=at)).strftime("%m/%d/%Y %I:%M:%S %p"),
    "of day": lambda at: (START + timedelta(seconds=at)).strftime("%H:%M:%S.%f")[:-4],
    "elapsed": lambda at: str(timedelta(seconds=at)),
    "two columns": lambda at: (START + timedelta(seconds=at)).strftime("%d.%m.%Y{part}%H:%M:%S.%f")[:-3],
}
TITLES = {"ms": "time (ms)", "epoch ns": "timestamp_ns", "two columns": "Date{part}Time"}
CELLS = [
    "", "N/A", "[N/A]", "nan", "inf", "1e400", "1_000", "+5", " 5 ", "1.234,5", "x", "5 W", "5 mW", '"5"',
    ".5", "1e3", "-3", "99999999999999999999", "\u00b5", '"a""b"', "1e15", "-0",
]  # fmt: skip
LINES = [
    "",
    "   ",
    "# a comment",
    ",,,",
    "no row",
    '"open',
    '5" x 6" y',
    "a,b,c,d,e,f,g",
    "\x0b",
    "1,2",
    "\ufeff",
]


def written(draws: random.Random, kind: str, count: int, odd: int) -> str:
    """A table with so many odd cells, lines and times."""
    part = draws.choice([",", ";", "\t"])
    decimal = "." if part == "," else draws.choice([".", ","])
    step = draws.choice([0.01, 0.25, 1.0, 700.0])
    unit = draws.choice(["", "", " W"])
    devices = draws.choice([0, 0, 1, 3])
    with_volts = draws.random() < 0.5
    titles = [TITLES.get(kind, "time").format(part=part), "power [W]", *["voltage_V"] * with_volts]
    titles += ["gpu"] * (devices > 0)
    lines = [part.join(titles)]
    back = 0.0
    for row in range(count):
        if odd and draws.random() < 0.002:
            back += draws.choice([0.5, 3600.0, 1e5, -50.0])
        time = TIMES[kind](max(row // max(devices, 1) * step - back, 0.0)).format(part=part)
        if decimal == "," and kind in ("s", "epoch s"):
            time = time.replace(".", ",")
        cells = [time, f"{draws.uniform(0, 9):.3f}".replace(".", decimal) + unit]
        cells += ["5"] * with_volts
        cells += [f"card {row % devices}"] if devices else []
        lines.append(part.join(cells))
    for _ in range(odd):
        place = draws.randrange(1, len(lines))
        what = draws.randrange(6)
        if what < 3:
            cells = lines[place].split(part)
            cells[draws.randrange(len(cells))] = draws.choice(CELLS)
            lines[place] = part.join(cells)
        elif what == 3:
            lines.insert(place, draws.choice(LINES).replace(",", part))
        elif what == 4:
            lines[place] = lines[place] + draws.choice([part, part + "x", "!"])
        else:
            other = draws.randrange(1, len(lines))
            lines[place], lines[other] = lines[draws.choice([0, other])], lines[place]
    end = draws.choice(["\n", "\n", "\r\n"])
    return end.join(lines) + draws.choice(["", end])


def answer(path: Path) -> list[Record] | str:
    try:
        return reader.read(str(path))
    except EnergyMeterError as error:
        return str(error)


def same(one: Any, other: Any) -> bool:
    """Equal to the last bit, NaN to NaN."""
    if isinstance(one, str) or isinstance(other, str):
        return bool(one == other)
    for mine, yours in zip(one, other, strict=True):
        assert mine._replace(columns={}) == yours._replace(columns={})
        assert list(mine.columns) == list(yours.columns)
        for name, column in mine.columns.items():
            assert len(column) == len(yours.columns[name])
            for a, b in zip(column, yours.columns[name], strict=True):
                assert a == b or (math.isnan(a) and math.isnan(b)), name
    return True


@pytest.fixture
def in_small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "HEAD_LINES", 20)
    monkeypatch.setattr(table, "_LEAST_BLOCK", 300)
    monkeypatch.setattr(table, "_MOST_FAILURES", 10**6)
    monkeypatch.setattr(reader, "BLOCK_CHARACTERS", 3000)
    monkeypatch.setattr(bulk, "is_worth_it", lambda text: True)


@pytest.mark.slow
@given(st.integers(0, 2**32), st.sampled_from(list(TIMES)), st.sampled_from([0, 0, 1, 3, 10]))
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@example(1, "ISO", 0)
@example(3253, "of day", 1)  # a block that could not be read had moved its midnight on
def test_both_ways_give_the_same(
    tmp_path: Path, in_small_blocks: None, seed: int, kind: str, odd: int
) -> None:
    draws = random.Random(seed)
    path = tmp_path / "x.csv"
    path.write_text(written(draws, kind, draws.choice([30, 300, 900]), odd), newline="")
    at_once = answer(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bulk, "is_possible", lambda layout: False)
        one_by_one = answer(path)
    assert same(at_once, one_by_one)


@pytest.mark.parametrize("kind", TIMES)
def test_plain_tables_are_read_at_once(
    tmp_path: Path, in_small_blocks: None, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Beyond the first rows, none is read one by one: else the property test would compare nothing."""
    path = tmp_path / "x.csv"
    part = ";"
    lines = [TITLES.get(kind, "time").format(part=part) + ";power [W]"]
    lines += [TIMES[kind](row * 1.0).format(part=part) + f";{row % 7}.5" for row in range(900)]
    path.write_text("\n".join(lines) + "\n")
    real, taken = table._Reading._take_rows, []

    def take_rows(reading: Any, rows: Any) -> None:
        before = reading._rows
        real(reading, rows)
        taken.append(reading._rows - before)

    monkeypatch.setattr(table._Reading, "_take_rows", take_rows)
    if isinstance(answer(path), str):
        pytest.fail(str(answer(path)))
    assert sum(taken) <= 20


def long_table(case: str) -> str:
    """6000 rows, a hundred a second, of a power that changes."""
    lines = [
        "timestamp,power [W],voltage_V,current_A,energy [J]" if case == "counter" else "timestamp,power [W]"
    ]
    energy = 0.0
    for row in range(6000):
        at = row * 0.01
        if case == "clock" and row > 3333:
            at -= 20
        if case == "runs" and row >= 4000:
            at -= 40
        if case == "coarse":
            at = at // 1
        if case == "gap" and row >= 2500:
            at += 30
        power = 1 + row % 7
        energy += 0.01 * power
        time = (
            f"{at:.2f}"
            if case == "runs"
            else (START + timedelta(seconds=at)).isoformat(timespec="milliseconds")
        )
        lines.append(f"{time},{power}" + (f",5,{power / 5},{energy:.6f}" if case == "counter" else ""))
        if case == "left out" and row % 999 == 0:
            lines.append("not a row")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("case", ["plain", "clock", "runs", "coarse", "gap", "counter", "left out"])
@pytest.mark.parametrize("at_once", [True, False])
def test_very_long_tables_are_joined_and_lose_no_energy(
    tmp_path: Path, in_small_blocks: None, monkeypatch: pytest.MonkeyPatch, case: str, at_once: bool
) -> None:
    path = tmp_path / "x.csv"
    path.write_text(long_table(case))
    whole = Trace.load(path)
    monkeypatch.setattr(table, "MOST_ROWS", 1000)
    monkeypatch.setattr(table, "_FOLDED_ROWS", 300)
    monkeypatch.setattr(table, "LEAST_ROWS", 500)
    monkeypatch.setattr(channel, "_STRETCH_ROWS", 300)
    monkeypatch.setattr(channel, "_LOOK_BACK", 200)
    if not at_once:
        monkeypatch.setattr(bulk, "is_possible", lambda layout: False)
    joined = Trace.load(path)
    assert len(joined) <= 1000 < len(whole)
    assert joined.usage().joules == pytest.approx(whole.usage().joules, rel=1e-6)
    assert joined.usage().coverage == pytest.approx(whole.usage().coverage, rel=1e-6)
    assert joined.seconds == pytest.approx(whole.seconds, rel=1e-6)
    assert any("were joined into one mean" in note for note in joined.notes)
    assert [note for note in joined.notes if "joined" not in note] == list(whole.notes)


@pytest.mark.slow
def test_the_memory_for_five_million_rows_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    with path.open("w") as file:
        file.write("time_s,power_W,voltage_V,current_A\n")
        for start in range(0, 5_000_000, 10_000):
            file.write(
                "".join(
                    f"{i / 1000:.3f},{1 + i % 7},5,{0.2 + i % 7 / 5:.1f}\n"
                    for i in range(start, start + 10_000)
                )
            )
    code = (
        "import resource, sys\nfrom energymeter import Trace\nusage = Trace.load(sys.argv[1]).usage()\n"
        "print(usage.joules, usage.coverage, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, str(path)], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    joules, coverage, megabytes = map(float, said.split())
    assert joules == pytest.approx(4 * 5000, rel=1e-5)
    assert coverage == pytest.approx(1)
    assert megabytes < 1000
