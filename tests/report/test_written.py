"""A report says what it said when somebody last read it: pages, answers for programs, cards."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from written import RECORD, REPORTS, written

KNOWN = json.loads(RECORD.read_text(encoding="utf-8"))


def test_every_report_is_on_record() -> None:
    assert REPORTS.keys() == KNOWN.keys()


def numbers_in(fields: Any, at: str = "") -> dict[str, Any]:
    """Every leaf by its path, so that numbers are compared as numbers."""
    if isinstance(fields, dict):
        return {
            key: leaf for name in fields for key, leaf in numbers_in(fields[name], f"{at}.{name}").items()
        }
    if isinstance(fields, list):
        pairs = enumerate(fields)
        return {f"{at}#": len(fields)} | {
            k: v for n, one in pairs for k, v in numbers_in(one, f"{at}[{n}]").items()
        }
    return {at: fields}


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_is_as_it_was(name: str, tmp_path: Path) -> None:
    known, found = KNOWN[name], written(name, tmp_path)
    was, now = numbers_in(known.pop("json")), numbers_in(found.pop("json"))
    assert now.keys() == was.keys()
    for key, value in was.items():
        close = pytest.approx(value, rel=1e-9, abs=1e-12) if isinstance(value, float) else value
        assert now[key] == close, key
    for kind, lines in known.items():
        assert found[kind] == lines, f"{kind}: written.py says what to do"
    assert found.keys() == known.keys()
