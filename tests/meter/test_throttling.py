"""Sagging supplies and throttled clocks of a Raspberry Pi, as reported after a run."""

from pathlib import Path

import pytest
from devices.programs import program
from hypothesis import given
from hypothesis import strategies as st

from energymeter.meter import throttling

BITS = st.integers(0, 15).flatmap(lambda now: st.integers(0, 15).map(lambda ever: now | (now | ever) << 16))


@pytest.mark.parametrize(
    ("before", "after", "during", "earlier"),
    [
        (0x0, 0x0, 0, 0),
        (0x0, 0x50005, 2, 0),
        (0x0, 0x80000, 1, 0),  # came and went between the looks
        (0x50000, 0x50000, 0, 2),
        (0x50000, 0x50001, 1, 1),
        (0x50005, 0x50000, 2, 0),  # it was so when the run began
        (None, 0x50005, 0, 0),
        (0x50005, None, 0, 0),
    ],
)
def test_what_happened_when(before: int | None, after: int | None, during: int, earlier: int) -> None:
    reported = throttling.sentences(before, after)
    assert len([one for one in reported if one.startswith("During the run")]) == during
    assert len([one for one in reported if one.startswith("Since boot, before the run")]) == earlier
    assert len(reported) == during + earlier


@given(BITS, BITS)
def test_every_flag_is_reported_once(before: int, new: int) -> None:
    after = (before & 0xF0000) | new
    reported = throttling.sentences(before, after)
    assert len(reported) == bin(after >> 16).count("1")


def test_it_asks_the_firmware(tmp_path: Path) -> None:
    asking = program(tmp_path, "vcgencmd", '[ "$1" = get_throttled ] && echo throttled=0x50005')
    assert throttling.read(asking) == 0x50005
    assert throttling.read(program(tmp_path, "broken", "echo VCHI initialization failed; exit 1")) is None
    assert throttling.read(str(tmp_path / "none")) is None
