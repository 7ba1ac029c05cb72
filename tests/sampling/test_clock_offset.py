"""The offset between two clocks: its bound holds whatever the delays of the link were."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energymeter.sampling.clock_offset import MOST_DRIFT, MOST_KEPT, MOST_WANDER, ClockOffset, Exchange

SECOND = 1_000_000_000


class Link:
    """Two clocks and the messages between them; the clock there is ahead, and runs faster."""

    def __init__(self, offset_ns: int, drift: float, seed: int = 0) -> None:
        self._offset_ns, self._drift = offset_ns, drift
        self._random = random.Random(seed)

    def there(self, here_ns: float) -> int:
        return round(here_ns + self._offset_ns + self._drift * here_ns)

    def exchange(self, at_ns: int, to_ns: float | None = None, back_ns: float | None = None) -> Exchange:
        """One exchange; without delays, of 20 ± 15 ms, each way another."""
        to_ns = self._random.uniform(5e6, 35e6) if to_ns is None else to_ns
        back_ns = self._random.uniform(5e6, 35e6) if back_ns is None else back_ns
        arrived = at_ns + to_ns
        left = arrived + 100_000
        return Exchange(at_ns, self.there(arrived), self.there(left), round(left + back_ns))


def test_the_true_offset_is_within_the_bound() -> None:
    """3 s ahead, 20 ± 15 ms each way, 50 ppm: before, during and after a window of 10 s."""
    inside, bounds = 0, []
    for trial in range(100):
        link, clock = Link(3 * SECOND, 50e-6, trial), ClockOffset()
        for around_s in (0.0, 5.0, 10.0):
            clock.extend(link.exchange(round((around_s + 0.05 * number) * 1e9)) for number in range(8))
        moment = round(5.5e9)
        offset = clock.at(moment)
        assert offset is not None
        inside += abs(offset.ns - (link.there(moment) - moment)) <= offset.bound_ns
        bounds.append(offset.bound_ns)
    assert inside >= 95
    assert sorted(bounds)[50] < 17.5e6  # half of the mean round trip would be 20 ms


@given(
    offset_ns=st.integers(-(10**18), 10**18),
    drift=st.floats(-MOST_DRIFT / 2, MOST_DRIFT / 2),
    delays=st.lists(
        st.tuples(st.integers(0, 10**8), st.floats(0, 1e9), st.floats(0, 1e9)), min_size=1, max_size=20
    ),
    moment=st.integers(0, 10**10),
)
def test_no_delays_put_the_truth_outside(
    offset_ns: int, drift: float, delays: list[tuple[int, float, float]], moment: int
) -> None:
    link, clock = Link(offset_ns, drift), ClockOffset()
    at_ns = 0
    for pause, to_ns, back_ns in delays:
        at_ns += pause
        assert clock.add(link.exchange(at_ns, to_ns, back_ns))
    offset = clock.at(moment)
    assert offset is not None
    rounding = 256 if abs(offset_ns) > 2**53 else 16  # of the floats of this test
    assert offset.least_ns - rounding <= link.there(moment) - moment <= offset.most_ns + rounding


def test_an_asymmetry_shows_in_the_bound_alone() -> None:
    link, clock = Link(3 * SECOND, 0.0), ClockOffset()
    clock.add(link.exchange(0, to_ns=0.0, back_ns=40e6))
    offset = clock.at(0)
    assert offset is not None
    assert offset.most_ns == pytest.approx(3 * SECOND, abs=10_000)
    assert offset.bound_ns == pytest.approx(20e6, rel=0.01)


def test_the_bound_grows_with_the_time_since() -> None:
    link, clock = Link(0, 0.0), ClockOffset()
    clock.add(link.exchange(0, 1e6, 1e6))
    near, far = clock.at(0), clock.at(100 * SECOND)
    assert near is not None
    assert far is not None
    assert far.bound_ns - near.bound_ns == pytest.approx(MOST_DRIFT * 100 * SECOND, rel=0.01)


def an_hour(link: Link, clock: ClockOffset) -> int:
    """Exchanges every twelve seconds; the moment of the last one."""
    for number in range(300):
        clock.add(link.exchange(12 * number * SECOND))
    return 12 * 299 * SECOND


@pytest.mark.parametrize("drift", [50e-6, -50e-6, 0.0, 150e-6])
def test_the_drift_is_fitted(drift: float) -> None:
    link, fitted = Link(3 * SECOND, drift), ClockOffset()
    last = an_hour(link, fitted)
    least, most = fitted.rates()
    assert least <= drift <= most
    assert most - least < 4 * MOST_WANDER + 20e-6  # of an hour, with 10 ms a trip at best
    alone = ClockOffset()
    alone.add(link.exchange(last, 5e6, 5e6))
    later = last + 600 * SECOND  # as after a cut
    known, unfitted = fitted.at(later), alone.at(later)
    assert known is not None
    assert unfitted is not None
    assert known.bound_ns < unfitted.bound_ns / 2
    assert known.least_ns <= link.there(later) - later <= known.most_ns


class Warming(Link):
    """A clock whose drift changes with its temperature, by 8 ppm up and down in twenty minutes."""

    def there(self, here_ns: float) -> int:
        turns = 2 * math.pi / (1200 * SECOND)
        return super().there(here_ns) + round(8e-6 / turns * (1 - math.cos(turns * here_ns)))


@pytest.mark.parametrize("seed", range(2))
def test_a_drift_that_changes_leaves_the_truth_within_the_bound(seed: int) -> None:
    link, clock = Warming(3 * SECOND, 50e-6, seed), ClockOffset()
    for number in range(300):
        clock.add(link.exchange(12 * number * SECOND))
        if number % 10 == 0:
            for later in (0, 1, 100, 600):
                moment = (12 * number + later) * SECOND
                known = clock.at(moment)
                assert known is not None
                assert known.least_ns <= link.there(moment) - moment <= known.most_ns


@given(
    drift=st.floats(-MOST_DRIFT / 2, MOST_DRIFT / 2),
    delays=st.lists(
        st.tuples(st.integers(0, 10**12), st.floats(0, 1e9), st.floats(0, 1e9)), min_size=2, max_size=20
    ),
    later=st.integers(0, 10**13),
)
def test_no_delays_put_the_fitted_truth_outside(
    drift: float, delays: list[tuple[int, float, float]], later: int
) -> None:
    link, clock = Link(3 * SECOND, drift), ClockOffset()
    at_ns = 0
    for pause, to_ns, back_ns in delays:
        at_ns += pause
        assert clock.add(link.exchange(at_ns, to_ns, back_ns))
    offset = clock.at(at_ns + later)
    assert offset is not None
    least, most = clock.rates()
    assert least - 1e-12 <= drift <= most + 1e-12
    assert offset.least_ns - 16 <= link.there(at_ns + later) - at_ns - later <= offset.most_ns + 16


def test_a_clock_that_was_set_is_no_drift() -> None:
    clock = ClockOffset()
    clock.add(Link(0, 0.0).exchange(0, 1e6, 1e6))
    clock.add(Link(SECOND, 0.0).exchange(100 * SECOND, 1e6, 1e6))
    assert clock.rates() == (-MOST_DRIFT, MOST_DRIFT)
    assert clock.at(100 * SECOND) is None


def test_nothing_is_known_without_exchanges_or_where_a_clock_was_set() -> None:
    clock = ClockOffset()
    assert clock.at(0) is None
    clock.add(Link(0, 0.0).exchange(0, 1e6, 1e6))
    clock.add(Link(SECOND, 0.0).exchange(SECOND, 1e6, 1e6))
    assert clock.at(SECOND) is None


@pytest.mark.parametrize("times", [(10, 0, 0, 5), (0, 5, 4, 10), (0, 0, 10**9, 10)])
def test_times_that_cannot_be_are_left_out(times: tuple[int, int, int, int]) -> None:
    clock = ClockOffset()
    assert not clock.add(Exchange(*times))
    assert clock.at(0) is None


def test_the_shortest_exchanges_are_kept() -> None:
    link, clock = Link(0, 0.0), ClockOffset()
    clock.add(link.exchange(0, 1e3, 1e3))
    clock.extend(link.exchange(number * 1000, 1e6, 1e6) for number in range(2 * MOST_KEPT))
    offset = clock.at(0)
    assert offset is not None
    assert offset.bound_ns < 10_000
