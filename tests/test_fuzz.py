"""Whatever stands in a file, a spec or a frame of others: read, or refused with a sentence; nothing else.

The same targets run under atheris for as long as one likes: `make fuzz`. What was found stays here as a file
under ``tests/fuzz/findings``.
"""

import contextlib
import sqlite3
import warnings
from pathlib import Path
from typing import Any

import pytest
from fuzz.targets import TARGETS, ledgers, use_ledger
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from energymeter.budget.ledger import Ledger
from energymeter.errors import EnergyMeterError

FINDINGS = sorted((Path(__file__).parent / "fuzz" / "findings").glob("*/*"))
TOKENS = [
    b"\x1b[2J", b"\xed\xa0\x80", b'"\\ud800"', b"1e999", b"nan", b"-1", b"\0", b"9" * 400, b"[" * 5000,
    b"null", b"\n", b",", b'"', b"{}", b"true", b"\r", b"\xff", b"1e308", b"-0.0",
]  # fmt: skip


@st.composite
def spoiled(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A file with some pieces replaced, taken out, put in or doubled."""
    content = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        end = min(len(content), at + draw(st.integers(0, 12)))
        piece = draw(st.sampled_from(TOKENS) | st.binary(max_size=8) | st.just(content[at:end] * 2))
        content = content[:at] + piece + content[end:]
    return content


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_spoiled_file_is_read_or_refused(name: str, data: st.DataObject) -> None:
    seeds = TARGETS[name].seeds()
    if not seeds:
        pytest.skip(f"{name} needs pyarrow (extra parquet)")
    TARGETS[name].run(data.draw(spoiled(seeds) | st.binary(max_size=200)))


@pytest.mark.parametrize("name", TARGETS)
def test_the_seeds_are_whole(name: str) -> None:
    for seed in TARGETS[name].seeds():
        TARGETS[name].run(seed)


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_found_once(finding: Path) -> None:
    TARGETS[finding.parent.name].run(finding.read_bytes())


CELLS = (
    st.none() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=6) | st.binary(max_size=6)
)
COLUMNS = [
    *("budgets." + name for name in ("name", "battery", "created", "shares")),
    *(
        "lines." + name
        for name in ("kind", "at", "stage", "refers", "microjoules", "microcoulombs", "microseconds")
    ),
    *("lines." + name for name in ("uncertainty_microjoules", "provenance", "sources", "note", "charge")),
    *("spans." + name for name in ("name", "count", "microjoules", "left_out")),
    *("claims." + name for name in ("source", "process", "until_ns")),
]


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cells=st.dictionaries(st.sampled_from(COLUMNS), CELLS, min_size=1, max_size=3))
@example(cells={"lines.microjoules": 2**63 - 1})
@example(cells={"lines.uncertainty_microjoules": 4_345_688_100})
@example(cells={"budgets.battery": '{"capacity_mah": 1e999}'})
def test_any_cell_of_a_ledger_is_read_or_refused(tmp_path: Path, cells: dict[str, Any]) -> None:
    path = tmp_path / "ledger.sqlite3"
    for file in tmp_path.iterdir():
        file.unlink()
    path.write_bytes(ledgers()[0])
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA ignore_check_constraints = ON")
        for column, value in cells.items():
            table, name = column.split(".")
            with contextlib.suppress(sqlite3.IntegrityError):
                db.execute(f"UPDATE {table} SET {name} = ?", (value,))
        db.commit()
    with contextlib.suppress(EnergyMeterError), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # set aside as corrupt
        use_ledger(Ledger(path, busy_seconds=0.1))
