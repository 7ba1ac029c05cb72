"""A report says what it said when somebody last read it: pages, answers for programs, cards."""

import json
from pathlib import Path

import pytest
from devices.on_record import close

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from written import RECORD, REPORTS, written

KNOWN = json.loads(RECORD.read_text(encoding="utf-8"))


def test_every_report_is_on_record() -> None:
    assert REPORTS.keys() == KNOWN.keys()


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_is_as_it_was(name: str, tmp_path: Path) -> None:
    known, found = KNOWN[name], written(name, tmp_path)
    assert found.pop("json") == close(known.pop("json"), rel=1e-9, abs=1e-12)
    for kind, lines in known.items():
        assert found[kind] == lines, f"{kind}: written.py says what to do"
    assert found.keys() == known.keys()
