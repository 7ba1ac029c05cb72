"""The life of a streaming meter: opened, flowing, started again after a failure, ended."""

from collections.abc import Iterator

import pytest

from energymeter.drivers.links.stream import Flow
from energymeter.errors import SourceMissing, SourceTimeout
from energymeter.reading import Reading


class Meter:
    """Gives a reading of 1 A, 2 A … and fails after every second one."""

    def __init__(self) -> None:
        self.starts = self.amps = 0
        self.there = True
        self.life = Flow("meter@x", self.start, self.flow)

    def start(self) -> None:
        if not self.there:
            raise SourceMissing("meter@x is gone: plug it in again.")
        self.starts += 1

    def flow(self) -> Iterator[Reading]:
        for _ in range(2):
            self.amps += 1
            yield Reading(fresh=False)
            yield Reading(amps=float(self.amps))
        raise SourceTimeout("meter@x fell silent: look at it.")


def test_it_is_started_again_after_a_failure_and_only_then() -> None:
    meter = Meter()
    meter.life.open()
    assert [meter.life.read().amps, meter.life.read().amps] == [1.0, 2.0]
    with pytest.raises(SourceTimeout, match="silent"):
        meter.life.read()
    assert meter.starts == 1
    assert meter.life.read().amps == 3.0
    assert meter.starts == 2


def test_a_meter_that_went_away_is_told_until_it_is_back() -> None:
    meter = Meter()
    meter.life.open()
    with pytest.raises(SourceTimeout):
        list(meter.life.stream())
    meter.there = False
    for _ in range(2):
        with pytest.raises(SourceMissing, match="plug it in"):
            list(meter.life.stream())
    meter.there = True
    assert meter.life.read().amps == 3.0


def test_it_ends_once_and_says_whether_it_flowed() -> None:
    meter = Meter()
    assert not meter.life.end()
    with pytest.raises(SourceMissing, match="call open"):
        meter.life.read()
    meter.life.open()
    assert meter.life.end()
    assert not meter.life.end()
    with pytest.raises(SourceMissing, match="call open"):
        next(meter.life.stream())


def test_a_start_that_fails_leaves_it_closed() -> None:
    meter = Meter()
    meter.there = False
    with pytest.raises(SourceMissing, match="plug it in"):
        meter.life.open()
    assert not meter.life.end()
