"""Files and titles of others are read as before: columns, rows, notes, questions."""

import json
from pathlib import Path

import pytest
from devices.on_record import close

from tests.recordings.recognised import FILES, RECORD, TITLES, recognised, title

pytestmark = pytest.mark.usefixtures("own_zone")
KNOWN = json.loads(RECORD.read_text(encoding="utf-8"))


def test_every_file_and_title_is_on_record() -> None:
    assert (FILES.keys(), set(TITLES)) == (KNOWN["files"].keys(), KNOWN["titles"].keys())


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_read_as_before(name: str, tmp_path: Path) -> None:
    known = close(KNOWN["files"][name], rel=1e-7, abs=1e-9)
    assert recognised(name, tmp_path) == known, "recognised.py says what to do"


@pytest.mark.parametrize("text", TITLES)
def test_a_title_says_what_it_said(text: str) -> None:
    known = close(KNOWN["titles"][text], rel=1e-7, abs=1e-9)
    assert title(text) == known, "recognised.py says what to do"
