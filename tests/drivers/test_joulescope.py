"""Joulescope, against a stand-in for its package's Driver."""

import itertools
import sys
from itertools import islice

import pytest
from devices.joulescope import FakeDriver

from energymeter.drivers.joulescope import Joulescope
from energymeter.errors import (
    ExtraMissing,
    SourceBusy,
    SourceError,
    SourceForbidden,
    SourceMissing,
    SourceTimeout,
    SpecError,
)
from energymeter.testing import check_source, check_unplugged

JS220 = "u/js220/001234"


class Delivering(FakeDriver):
    """Has eight blocks ready as soon as it is listened to."""

    def subscribe(self, topic: str, flags: str, fn: object) -> None:
        super().subscribe(topic, flags, fn)  # type: ignore[arg-type]
        for _ in range(8):
            self.deliver(2.5)


def opened(driver: FakeDriver, place: str = "") -> Joulescope:
    source = Joulescope(place, driver=lambda: driver, clock=driver.clock)
    source.open()
    return source


def test_conforms() -> None:
    check_source(lambda: Joulescope(driver=lambda: Delivering([JS220])))


def test_energy_is_the_instruments_own() -> None:
    driver = FakeDriver([JS220])
    source = opened(driver, "001234")
    for watts in (1.0, 9.0, 2.0):
        driver.deliver(watts)
    first, second, third = islice(source.stream(), 3)
    assert third.joules is not None
    assert first.joules is not None
    assert third.joules - first.joules == pytest.approx((9.0 + 2.0) * 0.1)
    assert (second.volts, second.amps, second.watts) == (5.0, 1.8, 9.0)
    assert second.seconds == pytest.approx(0.1)
    assert (third.at_ns or 0) - (second.at_ns or 0) == pytest.approx(100_000_000, abs=10)
    assert source.identity == "js220/001234"
    source.close()
    assert driver.finalized
    assert not driver.listeners
    assert not driver.opened


def test_a_block_is_stamped_by_its_end_however_long_it_is() -> None:
    driver = FakeDriver([JS220])
    source = opened(driver)
    for seconds in (0.1, 0.3, 0.2):
        driver.deliver(1.0, seconds)
    stamps = [reading.at_ns or 0 for reading in islice(source.stream(), 3)]
    assert [b - a for a, b in itertools.pairwise(stamps)] == pytest.approx([3e8, 2e8], abs=10)
    source.close()


def test_blocks_that_never_came_are_counted_and_their_energy_is_not_lost() -> None:
    driver = FakeDriver([JS220])
    source = opened(driver)
    driver.deliver(1.0)
    for _ in range(3):
        driver.deliver(4.0, lose=True)
    driver.deliver(1.0)
    first, last = islice(source.stream(), 2)
    assert source.lost == 3
    assert (last.joules or 0) - (first.joules or 0) == pytest.approx(3 * 0.4 + 0.1)


@pytest.mark.parametrize(("hz", "samples"), [(50.0, 20_000), (1.0, 500_000), (5000.0, 10_000)])
def test_the_js220_sends_as_often_as_it_is_asked(hz: float, samples: int) -> None:
    driver = FakeDriver([JS220])
    source = Joulescope(driver=lambda: driver)
    source.tune(hz)
    source.open()
    assert driver.published[f"{JS220}/s/stats/scnt"] == samples
    assert driver.published[f"{JS220}/s/stats/ctrl"] == 1
    assert driver.published[f"{JS220}/s/i/range/mode"] == "auto"


def test_the_js110_sends_its_own_statistics() -> None:
    driver = FakeDriver(["u/js110/000042"], samples_per_second=2_000_000)
    assert opened(driver).facts.max_hz == 2.0
    assert driver.published == {"u/js110/000042/s/i/range/select": "auto"}
    assert set(driver.listeners) == {"u/js110/000042/s/sstats/value"}


def test_which_one() -> None:
    both = ["u/js110/000042", JS220]
    assert opened(FakeDriver(both), "js110/000042").identity == "js110/000042"
    with pytest.raises(SourceError, match="name one"):
        opened(FakeDriver(both))
    with pytest.raises(SourceMissing, match="there is u/js110/000042"):
        opened(FakeDriver(both[:1]), "001234")
    check_unplugged(lambda: Joulescope(driver=lambda: FakeDriver([])))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RuntimeError("jsdrv_open failed 18 | u/js220/001234"), SourceForbidden),
        (RuntimeError("jsdrv_open failed 19 | u/js220/001234"), SourceBusy),
        (RuntimeError("jsdrv_open failed 21 | u/js220/001234"), SourceBusy),
        (RuntimeError("jsdrv_open failed 4 | u/js220/001234"), SourceError),
        (TimeoutError("jsdrv_open timed out | u/js220/001234"), SourceTimeout),
    ],
)
def test_rejections(error: Exception, kind: type[SourceError]) -> None:
    driver = FakeDriver([JS220], refuses=error)
    with pytest.raises(SourceError) as caught:
        opened(driver)
    assert type(caught.value) is kind
    assert driver.finalized


@pytest.mark.parametrize("value", [None, {}, {"time": 5}, "x", [1]])
def test_values_of_another_shape_are_dropped_and_counted(value: object) -> None:
    driver = FakeDriver([JS220])
    source = opened(driver)
    for listener in driver.listeners.values():
        listener("topic", value)
    driver.deliver(1.0)
    assert source.read().watts == 1.0
    assert source.lost == 1


@pytest.mark.slow
def test_silence_ends_the_stream() -> None:
    driver = FakeDriver([JS220])
    source = opened(driver)
    stream = source.stream()
    assert not next(stream).fresh
    driver.clock.sleep(4.0)
    with pytest.raises(SourceTimeout, match="went silent"):
        next(stream)


def test_pulled_out_and_back() -> None:
    driver = FakeDriver([JS220])
    source = opened(driver)
    driver.pulled = True
    source.close()
    assert driver.finalized
    again = FakeDriver([JS220])
    source._make = lambda: again
    source.open()
    again.deliver(1.0)
    assert source.read().watts == 1.0


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyjoulescope_driver", None)
    with pytest.raises(ExtraMissing, match=r"edge-energymeter\[joulescope\]"):
        Joulescope().open()


def test_places_that_make_no_sense() -> None:
    with pytest.raises(SpecError):
        Joulescope("/dev/ttyUSB0")
