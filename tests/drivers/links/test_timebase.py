"""Device seconds on the host's clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energymeter.drivers.links.timebase import DeviceClock, Timebase

SECOND = 1_000_000_000


def test_jitter_of_the_transport_does_not_reach_the_stamps() -> None:
    base = Timebase()
    stamps = []
    for second, late_ns in enumerate([3_000_000, 50_000_000, 1_000_000, 200_000_000]):
        base.arrived(float(second), (100 + second) * SECOND + late_ns)
        stamps.append(base.at_ns(float(second)))
    assert stamps[2] == 102 * SECOND + 1_000_000
    assert stamps[3] - stamps[2] == pytest.approx(SECOND, rel=201e-6)


@pytest.mark.parametrize("parts_per_million", [-100, 100])
def test_a_day_of_drift_does_not_reach_the_stamps(parts_per_million: int) -> None:
    base, pace = Timebase(), 1 + parts_per_million * 1e-6
    for second in range(0, 86_400, 10):
        now = round(second * pace * SECOND) + 5_000_000
        base.arrived(float(second), now)
        assert 0 <= now - base.at_ns(float(second)) <= 10 * 300e-6 * SECOND


@pytest.mark.parametrize("parts_per_million", [-100, 0, 100])
def test_counted_ticks_follow_a_drifting_device_through_bursts(parts_per_million: int) -> None:
    clock, pace = DeviceClock(10_000_000), 1 + parts_per_million * 1e-6
    off = []
    for tick in range(0, 360_000, 25):  # an hour at 100 Hz, a quarter of a second in each burst
        true = round(tick * 10_000_000 * pace)
        assert clock.heard(tick, true + (tick // 25 % 4) * 1_000_000) == 0
        off.append(clock.at(tick) - true)
    assert max(map(abs, off)) < 5_000_000


def test_ticks_that_vanished_unseen_are_counted_and_drift_is_not_taken_for_loss() -> None:
    clock, lost, gone = DeviceClock(10_000_000), 0, 0
    for packet in range(400):
        gone += 8 if packet == 200 else 0  # two packets of four
        lost += clock.heard(4 * packet + lost, (4 * packet + gone) * 10_000_000, packet_ticks=4)
    assert lost == 8


def test_a_clock_that_steps_back_starts_again() -> None:
    base = Timebase()
    base.arrived(5000.0, 10 * SECOND)
    assert base.at_ns(5000.0) == 10 * SECOND
    base.arrived(1.0, 11 * SECOND)
    assert base.at_ns(1.0) == 11 * SECOND


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.integers(0, SECOND)), min_size=1))
def test_stamps_always_increase_and_are_never_in_the_future(arrivals: list[tuple[float, int]]) -> None:
    base, now, last = Timebase(), 10**6 * SECOND, -(10**30)
    for count, (seconds, wait) in enumerate(arrivals):
        now += wait + 1
        base.arrived(seconds, now)
        stamp = base.at_ns(seconds)
        assert stamp > last
        assert stamp <= now + count
        last = stamp


def test_within_a_window_the_device_is_taken_at_its_word() -> None:
    clock, pace = DeviceClock(10_000_000), 1 + 400e-6
    for tick in range(0, 300, 4):  # less than three seconds
        clock.heard(tick, round(tick * 10_000_000 * pace))
        assert clock.at(tick) == tick * 10_000_000
    for tick in range(300, 900, 4):
        clock.heard(tick, round(tick * 10_000_000 * pace))
    assert clock.at(900) > 900 * 10_000_000, "then its drift is followed"
