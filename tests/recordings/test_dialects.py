"""Tables in all dialects, from a known truth: the reader gives it or asks, and asks seldom."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from energymeter import Trace
from energymeter.errors import LogError, NotMeasured
from tests.recordings.dialects import Table, tables

EXAMPLES = int(os.environ.get("ENERGYMETER_FUZZ_TABLES", "150"))
"""More by hand: see docs/recordings.md."""
LEAST_ANSWERED = 0.9


@pytest.mark.slow
def test_the_truth_or_a_question(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    answered, asked = 0, []

    @settings(
        max_examples=EXAMPLES,
        derandomize=EXAMPLES <= 150,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(tables())
    def holds(table: Table) -> None:
        nonlocal answered
        path.write_bytes(table.content)
        try:
            usage = Trace.load(path).usage()
        except (LogError, NotMeasured) as question:
            asked.append(str(question))
            return
        answered += 1
        assert usage.joules == pytest.approx(table.joules, rel=2e-3, abs=1e-6)
        assert usage.seconds == pytest.approx(table.seconds, rel=1e-3)
        assert usage.coverage == pytest.approx(table.coverage, abs=1e-3)

    holds()
    share = answered / (answered + len(asked))
    print(f"{answered} of {answered + len(asked)} tables answered, none wrong")
    assert share >= LEAST_ANSWERED, "\n".join(asked[:10])
