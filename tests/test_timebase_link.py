"""Device seconds on the host's clock."""

from hypothesis import given
from hypothesis import strategies as st

from energymeter.drivers._timebase import Timebase

SECOND = 1_000_000_000


def test_jitter_of_the_transport_does_not_reach_the_stamps() -> None:
    base = Timebase()
    stamps = []
    for second, late_ns in enumerate([3_000_000, 50_000_000, 1_000_000, 200_000_000]):
        base.arrived(float(second), (100 + second) * SECOND + late_ns)
        stamps.append(base.at_ns(float(second)))
    assert stamps[2] == 102 * SECOND + 1_000_000
    assert stamps[3] - stamps[2] == SECOND


def test_a_clock_that_steps_back_starts_anew() -> None:
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
