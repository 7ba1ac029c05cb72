"""Whole columns of tables that are nearly plain: the same as row by row, and by columns where it can be."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from energymeter.recordings import bulk, reader, table
from energymeter.recordings.record import Hints, Lines

pytest.importorskip("pyarrow")


def rows(count: int, line: Callable[[int], str], titles: str = "time,power [W]") -> str:
    return "\n".join([titles, *(line(number) for number in range(count))]) + "\n"


def clock(seconds: int) -> str:
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


TABLES: dict[str, tuple[str, bool]] = {
    "hours of one and two digits": (rows(90, lambda n: f"{clock(35_970 + n)},{n % 7}"), True),
    "dates of one and two digits": (
        rows(90, lambda n: f"{9 + (n > 45)}.5.2026 {clock(43_200 + n)},{n % 7}"),
        True,
    ),
    "fractions of many lengths": (rows(90, lambda n: f"{clock(n)}.{'1' * (1 + n % 8)},{n % 7}"), True),
    "fractions of nine lengths": (rows(90, lambda n: f"{clock(n)}.{'1' * (1 + n % 9)},{n % 7}"), False),
    "a time that is empty": (rows(90, lambda n: f"{clock(n) if n != 50 else ''},{n % 7}"), False),
    "minutes of 60": (rows(90, lambda n: f"{clock(n) if n != 50 else '0:60:00'},{n % 7}"), False),
    "a letter in a time": (rows(90, lambda n: f"{clock(n) if n != 50 else '0:00:5x'},{n % 7}"), False),
    "a unit in each cell": (rows(90, lambda n: f"{n},{n % 7} mW"), True),
    "a unit and no value": (rows(90, lambda n: f"{n},{f'{n % 7} mW' if n % 5 != 3 else 'N/A'}"), True),
    "two units": (rows(90, lambda n: f"{n},{n % 7} {'mW' if n != 50 else 'W'}"), False),
    "a unit and no number": (rows(90, lambda n: f"{n},{n % 7 if n != 50 else 'x'} mW"), False),
    "a code for no value": (rows(90, lambda n: f"{n},{n % 7 if n != 50 else 65535}"), True),
    "a number beyond all": (rows(90, lambda n: f"{n},{n % 7 if n != 50 else '1e16'}"), True),
    "a comment": (rows(90, lambda n: f"{n},{n % 7}" if n != 50 else "# here"), False),
    "counts since 1970": (
        rows(90, lambda n: f"{1777888800 * 10**9 + n},{n % 7}", "timestamp_ns,power [W]"),
        True,
    ),
    "counts of parts": (rows(90, lambda n: f"{n / 8},{n % 7}"), True),
    "two devices": (rows(90, lambda n: f"{n // 2},{n % 7},card {n % 2}", "time,power [W],gpu"), True),
    "one device": (rows(90, lambda n: f"{n},{n % 7},card", "time,power [W],gpu"), True),
    "a device without a name": (
        rows(90, lambda n: f"{n // 2},{n % 7},{f'c{n % 2}' if n != 50 else ''}", "time,power [W],gpu"),
        True,
    ),
    "a date of its own": (
        rows(90, lambda n: f"0{4 + (n > 45)}.05.2026,{clock(43_200 + n)},{n % 7}", "Date,Time,power [W]"),
        True,
    ),
    "a date that there is not": (
        rows(90, lambda n: f"2026-0{5 if n != 50 else 0}-04 {clock(43_200 + n)},{n % 7}"),
        False,
    ),
}


def first_rows(text: str, path: str) -> Any:
    lines = text.splitlines(keepends=True)
    layout, _ = table.plan(path, lines[:41], Hints())
    return layout, "".join(lines[41:])


@pytest.mark.parametrize("name", TABLES)
def test_both_ways_give_the_same(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, _ = TABLES[name]
    path = tmp_path / "x.csv"
    path.write_text(text)
    monkeypatch.setattr(table, "HEAD_LINES", 20)
    monkeypatch.setattr(table, "_LEAST_BLOCK", 300)
    monkeypatch.setattr(table, "_MOST_FAILURES", 10**6)
    monkeypatch.setattr(bulk, "is_worth_it", lambda text: True)
    mine = reader.read(str(path))
    monkeypatch.setattr(bulk, "is_possible", lambda layout: False)
    theirs = reader.read(str(path))
    assert [one._replace(columns={}) for one in mine] == [one._replace(columns={}) for one in theirs]
    for one, other in zip(mine, theirs, strict=True):
        assert list(one.columns) == list(other.columns)
        for name in one.columns:
            np.testing.assert_array_equal(one.columns[name], other.columns[name])


@pytest.mark.parametrize("name", TABLES)
def test_a_block_is_read_by_columns_where_every_row_is_plain(name: str, tmp_path: Path) -> None:
    text, plain = TABLES[name]
    layout, block = first_rows(text, str(tmp_path / "x.csv"))
    assert bulk.is_possible(layout)
    found = bulk.read_block(block, layout)
    if name == "a device without a name":
        plain = found is not None
    assert (found is not None) is plain
    if found is not None:
        assert len(found.times) == 50
        values = {"a unit in each cell": 1e-3, "a unit and no value": 1e-3}.get(name, 1.0)
        known = [(number, value) for number, value in enumerate(found.values[0], 40) if not math.isnan(value)]
        assert all(value == pytest.approx(number % 7 * values) for number, value in known)
        left_out = {"a unit and no value": 10, "a code for no value": 1, "a number beyond all": 1}.get(
            name, 0
        )
        assert len(known) == 50 - left_out
        assert list(bulk.rows_without_values(found)) == [
            number for number, value in enumerate(found.values[0]) if math.isnan(value)
        ]


@pytest.mark.parametrize(
    ("text", "balanced"),
    [
        ("a,b\n", True),
        ('"a",b\n', True),
        ('"a\n",b\n', False),
        ('a,"b', False),
        ('"a"\r"b', False),
        ('"a"\r"b"\r', True),
    ],
)
def test_quotes_are_closed_on_their_line(text: str, balanced: bool) -> None:
    assert bulk.is_balanced(text) is balanced


def test_a_long_block_is_worth_an_import(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    assert bulk.is_worth_it("")
    monkeypatch.delitem(sys.modules, "pyarrow")
    assert bulk.WORTH_AN_IMPORT == 2_097_152
    assert bulk.is_worth_it("x" * 2_097_152)
    assert not bulk.is_worth_it("x" * 2_097_151)
    assert Lines.MOST == 1_048_576
