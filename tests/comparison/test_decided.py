"""Comparisons and sweeps of known runs say what they said when somebody last read it."""

import json
from typing import Any

import pytest
from comparison.decided import NAMES, RECORD, decided

KNOWN = json.loads(RECORD.read_text(encoding="utf-8"))


def close(value: Any) -> Any:
    """The same, but for the last digits of numbers."""
    if isinstance(value, dict):
        return {key: close(each) for key, each in value.items()}
    if isinstance(value, list):
        return [close(each) for each in value]
    return pytest.approx(value, rel=1e-5, abs=1e-9, nan_ok=True) if isinstance(value, float) else value


def test_everything_is_on_record() -> None:
    assert {*NAMES} == KNOWN.keys()


@pytest.mark.parametrize("name", NAMES)
def test_it_is_decided_as_before(name: str) -> None:
    assert decided(name) == close(KNOWN[name]), "decided.py says what to do"
