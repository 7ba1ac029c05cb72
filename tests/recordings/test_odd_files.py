"""Odd files: each gives its energy or is asked about, by whole columns and by rows; never another number."""

import os
import time
from pathlib import Path

import pytest

from energymeter import Trace
from energymeter.errors import LogError, NotMeasured, SpecError
from energymeter.recordings import bulk, table
from tests.recordings.odd_files import ODD, Odd

pytestmark = pytest.mark.usefixtures("own_zone")


def energy(folder: Path, odd: Odd) -> tuple[float | None, str]:
    """What is read, and what was said or asked."""
    path = folder / "log.csv"
    path.write_text(odd.text, encoding="utf-8")
    os.environ["TZ"] = odd.zone
    time.tzset()
    try:
        trace = Trace.load(path)
        return trace.usage().joules, "; ".join((trace.read_as, *trace.notes))
    except (LogError, NotMeasured, SpecError) as asked:
        return None, str(asked)


@pytest.mark.parametrize("name", ODD)
def test_an_odd_file_is_read_right_or_asked_about(tmp_path: Path, name: str) -> None:
    odd = ODD[name]
    joules, said = energy(tmp_path, odd)
    if joules is None:
        assert odd.asked or odd.joules is None, said
    else:
        assert odd.joules is not None, said
        assert joules == pytest.approx(odd.joules, rel=1e-4, abs=1e-6), said


@pytest.mark.parametrize("name", [name for name in ODD if ODD[name].joules is not None])
def test_an_odd_file_is_the_same_by_whole_columns(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow")
    by_row = energy(tmp_path, ODD[name])
    monkeypatch.setattr(table, "HEAD_LINES", 8)
    monkeypatch.setattr(table, "_LEAST_BLOCK", 1)
    monkeypatch.setattr(bulk, "WORTH_AN_IMPORT", 1)
    by_column = energy(tmp_path, ODD[name])
    if by_row[0] is not None and by_column[0] is not None:  # by eight rows alone, more must be asked
        assert by_column[0] == by_row[0], (by_column[1], by_row[1])
