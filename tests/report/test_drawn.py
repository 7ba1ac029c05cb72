"""Pictures look as they did when somebody last looked: places, sizes, colours, lines, texts and limits."""

import json

import pytest

pytest.importorskip("matplotlib")

from drawn import PICTURES, RECORD, VERSION, described

KNOWN = json.loads(RECORD.read_text(encoding="utf-8"))
DRAWN_WITH = KNOWN.pop("matplotlib")


def test_every_picture_is_on_record() -> None:
    assert PICTURES.keys() == KNOWN.keys()


@pytest.mark.skipif(
    DRAWN_WITH != VERSION, reason=f"on record with matplotlib {DRAWN_WITH}, here is {VERSION}"
)
@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_as_it_was(name: str) -> None:
    known, found = KNOWN[name], described(PICTURES[name]())
    assert [each[0] for each in found] == [each[0] for each in known]
    for was, now in zip(known, found, strict=True):
        words = [[cell for cell in row if isinstance(cell, str)] for row in (was, now)]
        assert words[1] == words[0], "drawn.py says what to do"
        numbers = [[cell for cell in row if isinstance(cell, int | float)] for row in (was, now)]
        assert numbers[1] == pytest.approx(numbers[0], rel=2e-3, abs=2e-3), was
