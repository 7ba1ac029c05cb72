"""The life of a streaming meter: opened, streaming, started again after a failure, closed."""

from collections.abc import Iterator

import pytest

from energymeter.clock import ManualClock
from energymeter.drivers.links.stream import StreamingSource
from energymeter.errors import SourceMissing, SourceTimeout
from energymeter.reading import Reading


class Meter(StreamingSource):
    """Gives a reading of 1 A, 2 A … and fails after every second one."""

    name = "meter@x"

    def __init__(self) -> None:
        self.starts = self.amps = 0
        self.there = True
        self.stops: list[bool] = []
        self._clock = ManualClock()

    def _start(self) -> None:
        if not self.there:
            raise SourceMissing("meter@x is gone: plug it in again")
        self.starts += 1

    def _flow(self) -> Iterator[Reading]:
        for _ in range(2):
            self.amps += 1
            yield Reading(fresh=False)
            yield Reading(amps=float(self.amps))
        raise SourceTimeout("meter@x went silent: switch it on")

    def _stop(self, started: bool) -> None:
        self.stops.append(started)


def test_it_is_started_again_after_a_failure_and_only_then() -> None:
    meter = Meter()
    meter.open()
    assert [meter.read().amps, meter.read().amps] == [1.0, 2.0]
    with pytest.raises(SourceTimeout, match="silent"):
        meter.read()
    assert meter.starts == 1
    assert meter.read().amps == 3.0
    assert meter.starts == 2


def test_a_meter_that_went_away_is_reported_until_it_is_back() -> None:
    meter = Meter()
    meter.open()
    with pytest.raises(SourceTimeout):
        list(meter.stream())
    meter.there = False
    for _ in range(2):
        with pytest.raises(SourceMissing, match="plug it in"):
            list(meter.stream())
    meter.there = True
    assert meter.read().amps == 3.0


def test_it_is_stopped_once_and_only_if_it_was_sending() -> None:
    meter = Meter()
    meter.close()
    with pytest.raises(SourceMissing, match="call open"):
        meter.read()
    meter.open()
    meter.close()
    meter.close()
    assert meter.stops == [False, True, False]
    with pytest.raises(SourceMissing, match="call open"):
        next(meter.stream())


def test_a_start_that_fails_leaves_it_closed() -> None:
    meter = Meter()
    meter.there = False
    with pytest.raises(SourceMissing, match="plug it in"):
        meter.open()
    meter.close()
    assert meter.stops == [False]
    with pytest.raises(SourceMissing, match="call open"):
        meter.read()


def test_waiting_has_an_end_and_the_stream_goes_on_afterwards() -> None:
    class Slow(Meter):
        def _flow(self) -> Iterator[Reading]:
            for number in range(20):
                self._clock.sleep(0.5)
                yield Reading(amps=1.0, fresh=number == 6)

    meter = Slow()
    meter.open()
    with pytest.raises(SourceTimeout, match="meter@x sent nothing valid within 2 s"):
        meter.read()
    assert meter.read().amps == 1.0
    assert meter.starts == 1
