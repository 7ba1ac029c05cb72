"""The ± of many spans together, against the exact integral of a load that the test draws."""

import random
from bisect import bisect_right
from itertools import accumulate, pairwise

import pytest
from devices.by_hand import MS, Bench, Pen
from devices.rows import row_of

from benchmarks.budget_intervals import wilson
from energymeter.energy.integrate import Integrator
from energymeter.energy.window import Window, together
from energymeter.reading import Facts, Reading
from energymeter.sampling.curve import Curve

TRIALS, SAMPLES = 12, 40
LATE = Facts(renewal_seconds=0.004)


class Load:
    """Power that is level between steps, and its energy."""

    def __init__(self, steps: list[tuple[int, float]]) -> None:
        """``steps``: (ns, watts)."""
        self._times = [0, *accumulate(ns for ns, _ in steps)]
        self.watts = [watts for _, watts in steps]
        self._joules = [0.0, *accumulate(ns * 1e-9 * watts for ns, watts in steps)]

    def _number(self, at_ns: int) -> int:
        return min(bisect_right(self._times, at_ns) - 1, len(self.watts) - 1)

    def power(self, at_ns: int) -> float:
        return self.watts[self._number(at_ns)]

    def joules(self, at_ns: int) -> float:
        number = self._number(at_ns)
        return self._joules[number] + self.watts[number] * (at_ns - self._times[number]) * 1e-9


def stepping(rng: random.Random) -> Load:
    """Steps at random moments, some samples apart, or many."""
    steps = [(round(rng.expovariate(1 / rng.choice((3, 30))) * MS), rng.uniform(1, 6)) for _ in range(200)]
    return Load([(ns + 1, watts) for ns, watts in steps] + [(10 * SAMPLES * MS, 2.0)])


def working(edges: list[tuple[int, int]], rng: random.Random) -> Load:
    """5 W or so in spans that do not overlap, and less between them: what a loop really draws."""
    steps, at_ns = [], 0
    for start, end in edges:
        steps += [(start - at_ns, rng.uniform(0.5, 1.5)), (end - start, rng.uniform(4, 6))]
        at_ns = end
    return Load([*steps, (10 * SAMPLES * MS, 1.0)])


class MeanPen(Pen):
    """A device that shows the mean of the ms before."""

    def __init__(self, name: str = "bench") -> None:
        super().__init__(name)
        facts = Facts(semantics="mean")
        self.integrator = Integrator(facts, 10**9)
        self.curve = Curve.of(facts, self.curve._memory)
        info = self.channel.info._replace(facts=facts)
        self.channel = self.channel._replace(curve=self.curve, info=info)


class LatePen(Pen):
    """A device that renews its value every 4 ms, and shows the mean of the ms before."""

    def __init__(self, name: str = "bench") -> None:
        super().__init__(name)
        self.integrator = Integrator(LATE, 10**9)
        self.curve = Curve.of(LATE, self.curve._memory)
        info = self.channel.info._replace(facts=LATE)
        self.channel = self.channel._replace(curve=self.curve, info=info)

    def write(self, at_ns: int, watts: float) -> None:
        sample = self.integrator.add(at_ns, Reading(watts=watts))
        if sample is not None:  # else it repeats
            self.writer.append(row_of(sample))


def measured(edges: list[tuple[int, int]], loads: list[Load], *pens: Pen, phase_ns: int = 0) -> Bench:
    """A run in which these spans have ended, on curves of a sample a millisecond."""
    bench = Bench(*pens)
    bench.sleep(MS)
    for number in range(max(SAMPLES, 60) + 20):
        bench.sleep(MS + (phase_ns if number == 0 else 0))
        now_ns = bench.now_ns
        for pen, load in zip(bench.pens, loads, strict=True):
            shown_ns = (now_ns - phase_ns) // (4 * MS) * 4 * MS + phase_ns
            at_ns = max(shown_ns, MS) if isinstance(pen, LatePen) else now_ns
            mean = (load.joules(at_ns) - load.joules(at_ns - MS)) / (MS * 1e-9)
            pen.write(now_ns, load.power(now_ns) if type(pen) is Pen else mean)
        if number == 2:
            run = bench.enter()
            run.counted = bench.channels
            run.spans = type(run.spans)([pen.curve for pen in bench.pens], 10**12, bench.clock.monotonic_ns)
    for start, end in edges:
        span = bench.span()
        span.begin_at(start)
        span.end_at(end)
    return bench


def touching(rng: random.Random) -> list[tuple[int, int]]:
    moments = [6 * MS + rng.randrange(MS)]
    mean = rng.choice((0.2, 1.3, 8)) * MS
    while moments[-1] < SAMPLES * MS:
        moments.append(moments[-1] + round(rng.uniform(0.7, 1.3) * mean))
    return [*pairwise(moments)]


def with_gaps(rng: random.Random) -> list[tuple[int, int]]:
    share = rng.choice((0.01, 0.05, 0.2))
    return [(start, end - round(rng.uniform(0, 2) * share * (end - start))) for start, end in touching(rng)]


def overlapping(rng: random.Random) -> list[tuple[int, int]]:
    return sorted([*touching(rng), *with_gaps(rng)])


def shuffled(rng: random.Random) -> list[tuple[int, int]]:
    edges = touching(rng)
    rng.shuffle(edges)
    return edges


PENS = {"instant": Pen, "mean": MeanPen, "late": LatePen}


@pytest.mark.slow
@pytest.mark.parametrize("semantics", PENS)
def test_the_interval_of_all_calls_holds(semantics):
    kinds = [(touching, 1), (touching, 3), (with_gaps, 1), (with_gaps, 3), (overlapping, 1), (shuffled, 1)]
    held = {(kind.__name__, rails): times_held(kind, rails, semantics) for kind, rails in kinds}
    assert sum(held.values()) >= 0.95 * TRIALS * len(kinds), held
    assert all(wilson(times, TRIALS)[1] >= 0.95 for times in held.values()), held


def times_held(kind, rails, semantics):
    """In how many trials the interval holds the true energy."""
    held = TRIALS
    for trial in range(TRIALS):
        rng = random.Random(f"{kind.__name__} {rails} {semantics} {trial}")
        edges = kind(rng)
        works = kind is with_gaps and trial % 2
        loads = [working(edges, rng) if works else stepping(rng) for _ in range(rails)]
        pens = [PENS[semantics](f"rail{n}") for n in range(rails)]
        usage = measured(edges, loads, *pens, phase_ns=rng.randrange(MS)).spans().usage
        truth = sum(load.joules(end) - load.joules(start) for load in loads for start, end in edges)
        held -= abs(usage.joules - truth) > usage.uncertainty + 1e-9
    return held


@pytest.mark.parametrize("pen", [Pen, MeanPen])
@pytest.mark.parametrize("order", [1, -1])
def test_spans_that_touch_are_as_uncertain_as_the_one_from_first_to_last(pen, order):
    for seed in range(5):
        rng = random.Random(seed)
        edges, loads = touching(rng), [stepping(rng)]
        many = measured(edges[::order], loads, pen()).spans().usage
        one = measured([(edges[0][0], edges[-1][1])], loads, pen()).spans().usage
        assert many.joules == pytest.approx(one.joules)
        assert many.uncertainty == pytest.approx(one.uncertainty, rel=1e-5)


def test_a_late_device_moves_both_edges_of_spans_that_touch_alike():
    for seed in range(5):
        rng = random.Random(seed)
        edges, loads = touching(rng), [stepping(rng)]
        many = measured(edges, loads, LatePen()).spans()
        one = measured([(edges[0][0], edges[-1][1])], loads, LatePen()).spans().usage
        assert one.uncertainty * 0.99 <= many.usage.uncertainty <= 3 * one.uncertainty


def test_a_loop_of_two_thousand_short_spans_is_as_well_known_as_its_time():
    moments = range(10 * MS, 60 * MS, 25_000)
    bench = measured([*pairwise(moments)], [stepping(random.Random(3))])
    spans = bench.spans()
    assert len(spans) == 1999
    assert spans.usage.uncertainty < 0.05 * spans.usage.joules
    assert sum(usage.uncertainty for usage in spans.usages) > 5 * spans.usage.uncertainty


def test_a_gap_adds_what_may_have_flowed_in_it():
    """Two windows of 10 s at 2 W whose edges misplace 0.1 J each, 0.01 s apart: 0.01 s at 2 W at the most."""
    window = Window(10.0, 20.0, 4.0, 50.0, 10.0, 0.0, 0.0, 0.2, 2.0, 0.1, 0.1)

    def joined(gap: float, **changes: float) -> float:
        two = [window._replace(**changes)] * 2
        return together(two, [(0.0, 10.0), (10.0 + gap, 20.0 + gap)], 0.2).edge_joules

    assert joined(0.0) == pytest.approx(0.2)
    assert joined(0.0, start_shift=0.05, end_shift=0.03) == pytest.approx(0.22), "one delay moves both"
    assert joined(0.01) == pytest.approx(0.2 + 0.01 * 2 / 3**0.5)
    assert joined(1.0) == pytest.approx(0.4), "no more than both by themselves"
    assert joined(0.0, start_joules=float("inf"), end_joules=float("inf")) == pytest.approx(0.4)
    assert joined(0.01, peak_watts=float("nan")) == pytest.approx(0.4)
    assert joined(-5.0) == pytest.approx(0.4), "they overlap"
