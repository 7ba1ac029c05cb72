"""Comparisons and sweeps of known runs say what they said when somebody last read it."""

import json

import pytest
from comparison.decided import NAMES, RECORD, decided
from devices.on_record import close

KNOWN = json.loads(RECORD.read_text(encoding="utf-8"))


def test_everything_is_on_record() -> None:
    assert {*NAMES} == KNOWN.keys()


@pytest.mark.parametrize("name", NAMES)
def test_it_is_decided_as_before(name: str) -> None:
    assert decided(name) == close(KNOWN[name], rel=1e-5, abs=1e-9, nan_ok=True), "decided.py says what to do"
