"""Files and titles of others are read as before: columns, rows, notes, questions."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.recordings.recognised import FILES, RECORD, TITLES, recognised, title

pytestmark = pytest.mark.usefixtures("own_zone")
KNOWN = json.loads(RECORD.read_text(encoding="utf-8"))


def close(value: Any) -> Any:
    """The same, but for the last digits of numbers."""
    if isinstance(value, dict):
        return {key: close(each) for key, each in value.items()}
    if isinstance(value, list):
        return [close(each) for each in value]
    return pytest.approx(value, rel=1e-7, abs=1e-9) if isinstance(value, float) else value


def test_every_file_and_title_is_on_record() -> None:
    assert (FILES.keys(), set(TITLES)) == (KNOWN["files"].keys(), KNOWN["titles"].keys())


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_read_as_before(name: str, tmp_path: Path) -> None:
    assert recognised(name, tmp_path) == close(KNOWN["files"][name]), "recognised.py says what to do"


@pytest.mark.parametrize("text", TITLES)
def test_a_title_says_what_it_said(text: str) -> None:
    assert title(text) == close(KNOWN["titles"][text]), "recognised.py says what to do"
