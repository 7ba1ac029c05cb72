"""The ± of an energy: what each promised limit contributes, and how they add."""

import math
import random
from bisect import bisect_right
from collections.abc import Iterator

import pytest
from devices.rows import row_of
from hypothesis import given, settings
from hypothesis import strategies as st

from energymeter.energy.correction import Line, Model
from energymeter.energy.integrate import Integrator, Sample
from energymeter.energy.uncertainty import Component, Part, components_of, expanded, subtracted
from energymeter.energy.window import Edges, Near, Window
from energymeter.reading import Band, Facts, Reading
from energymeter.sampling.curve import Curve
from energymeter.sampling.memory import ChannelMemory, CurveWriter, channel_bytes

DRAW = Window(10.0, 20.0, 4.0, 50.0, 10.0, 0.0, 0.0, 0.0, 2.0)  # 10 s, 20 J, 4 C, 5 V
THIRD = 1 / math.sqrt(3)
TWELFTH = 1 / math.sqrt(12)


def shares(facts: Facts, draw: Window = DRAW, model: Model | None = None, kelvin: float | None = 0.0):
    return {share.cause: share.joules for share in components_of(Part("it", facts, draw, 0.0, model, kelvin))}


def test_volts_and_amps() -> None:
    """GUM 4.3.7: ±a at most is a/√3. An offset of the current weighs as many joules as there are V·s."""
    found = shares(Facts(volts=Band(0.01, 0.02, 0.004), amps=Band(0.02, 0.001)))
    assert found == pytest.approx(
        {
            "voltage gain": 20 * 0.01 * THIRD,
            "voltage offset": 4 * 0.02 * THIRD,
            "voltage resolution": 4 * 0.004 * TWELFTH,
            "current gain": 20 * 0.02 * THIRD,
            "current offset": 50 * 0.001 * THIRD,
        }
    )


def test_power_and_time_base() -> None:
    found = shares(Facts(watts=Band(0.01, 0.1), clock=1e-3))
    assert found == pytest.approx(
        {"time base": 20e-3 * THIRD, "power gain": 0.2 * THIRD, "power offset": 10 * 0.1 * THIRD}
    )


def test_counter_is_a_difference_of_two_steps() -> None:
    found = shares(Facts(semantics="counter", joules=Band(resolution=0.06)))
    assert found == pytest.approx({"counter resolution": 0.06 * TWELFTH * math.sqrt(2)})


def test_unknown_charge_and_voltage_add_nothing() -> None:
    nothing = DRAW._replace(coulombs=math.nan, volt_seconds=math.nan)
    assert shares(Facts(volts=Band(0, 1), amps=Band(0, 1)), nothing) == {}


def test_noise_and_edges_come_from_the_curve() -> None:
    found = shares(Facts(semantics="mean"), DRAW._replace(variance_joules2=0.04, edge_joules=0.3))
    assert found == {"noise and sampling": pytest.approx(0.2), "window edges": 0.3}


@settings(max_examples=15)
@given(st.floats(0.001, 0.1), st.integers(0, 1000))
def test_white_noise_is_found_from_the_samples_alone(sigma: float, seed: int) -> None:
    """The sum over n samples of noise s has the standard deviation s dt √n, whatever the load does slowly."""
    rng, n, dt = random.Random(seed), 2000, 0.01
    integrator = Integrator(Facts(semantics="mean"), 10**9)
    for i in range(n + 1):
        last = integrator.add(round(i * dt * 1e9), Reading(watts=3 + i / n + rng.gauss(0, sigma)))
    assert last is not None
    assert math.sqrt(last.variance_joules2) == pytest.approx(sigma * dt * math.sqrt(n), rel=0.12)


def test_a_load_that_steps_leaves_half_an_interval_at_each_step() -> None:
    n, dt, steps = 1000, 0.01, 20
    integrator = Integrator(Facts(), 10**9)
    for i in range(n + 1):
        last = integrator.add(round(i * dt * 1e9), Reading(watts=2.0 + (i * steps // n) % 2))
    assert last is not None
    assert last.variance_joules2 == pytest.approx(steps * dt**2 / 12, rel=1e-6)


class FreelyRunning:
    """A converter that looks at 1 W coming and going, in cycles of its own; one reading each second.

    Args:
        seen: the share of a second that it looks, at the start of each cycle.
        cycle: s.
        stay: mean time between steps, s.
    """

    def __init__(self, seen: float, cycle: float, stay: float, seconds: int, rng: random.Random) -> None:
        self._seen, self._cycle = seen, cycle
        self._phase = rng.uniform(0, cycle)
        self._steps, self._energy = [3.0], [0.0]
        while self._steps[-1] < seconds - 3.0:  # it is off at both ends
            for gain in (0.0, 1.0):
                wait = rng.expovariate(1 / stay)
                self._steps.append(self._steps[-1] + wait)
                self._energy.append(self._energy[-1] + gain * wait)

    def joules(self, at: float) -> float:
        """Since the beginning, truly."""
        i = max(bisect_right(self._steps, at) - 1, 0)
        return self._energy[i] + (at - self._steps[i] if i % 2 and i < len(self._steps) - 1 else 0.0)

    def readings(self) -> Iterator[float]:
        """Means of the latest cycle that is over."""
        for second in range(math.ceil(self._steps[-1]) + 4):
            whole = math.floor((second - self._phase) / self._cycle) - 1
            start = self._phase + whole * self._cycle
            yield (self.joules(start + self._seen) - self.joules(start)) / self._seen


@pytest.mark.parametrize(
    ("seen", "cycle", "known"),
    [(0.68, 0.69, True), (0.48, 0.73, True), (0.85, 0.9, True), (0.02, 0.02, False)],
)
@pytest.mark.parametrize("stay", [0.3, 1.7, 11.3])
def test_what_a_share_of_the_time_has_seen_errs_as_much_as_reported(
    seen: float, cycle: float, known: bool, stay: float
) -> None:
    """Over many loads, the squared errors of the energy are the variance that its samples tell."""
    rng, errors, reported = random.Random(f"{seen} {stay}"), 0.0, 0.0
    for _ in range(150):
        its = cycle * rng.uniform(0.9, 1.1)
        load = FreelyRunning(seen * its / cycle, its, stay, 120, rng)
        facts = Facts(semantics="mean", duty=seen if known else 0.0, latency=cycle if known else 0.0)
        integrator = Integrator(facts, 10**12)
        for second, watts in enumerate(load.readings()):
            last = integrator.add(second * 10**9, Reading(watts=watts))
        assert last is not None
        assert last.joules is not None
        errors += (last.joules - load.joules(1e9)) ** 2
        reported += last.variance_joules2
    assert 0.85 < math.sqrt(reported / errors) < 1.5


def test_who_has_seen_everything_in_time_knows_every_step() -> None:
    integrator = Integrator(Facts(semantics="mean", duty=1.0), 10**12)
    for second in range(100):
        last = integrator.add(second * 10**9, Reading(watts=second % 7 * 1.5))
    assert last is not None
    assert last.variance_joules2 == 0.0


def test_steady_power_has_no_edges_and_a_step_at_one_does() -> None:
    steady, stepped = (
        [Sample(i * 10**8, 0.3 * i, None, None, i * 10**8, 0.0, watts[i], None, None) for i in range(4)]
        for watts in ((3.0, 3.0, 3.0, 3.0), (1.0, 1.0, 3.0, 3.0))
    )
    for samples, expected in ((steady, 0.0), (stepped, 2.0 * 0.1 / math.sqrt(20))):
        memory = ChannelMemory(memoryview(bytearray(channel_bytes(1024))), 1024)
        writer = CurveWriter(memory)
        for sample in samples:
            writer.append(row_of(sample))
        draw = Curve(memory, trapezoids=True).window(150_000_000, 300_000_000)
        assert draw.edge_joules == pytest.approx(expected)


def test_of_a_window_between_two_samples_only_the_surroundings_are_known() -> None:
    (share,) = components_of(Part("it", Facts(), DRAW, 40.0))
    assert share == ("shorter than a sample", pytest.approx(20 * 0.75 * THIRD), "it", False)
    assert not components_of(Part("it", Facts(), DRAW, 10.0))


LINE = Line(1.01, 0.002, ((1e-6, -4e-7), (-4e-7, 1e-6)), 0.0, 1.0)


def test_a_card_takes_the_place_of_the_data_sheet() -> None:
    facts = Facts(volts=Band(0.005, 0.0, 0.004), amps=Band(0.01, 2e-3, 1e-4))
    found = shares(facts, DRAW, Model(amps={"": LINE}))
    assert set(found) == {
        "voltage gain", "voltage resolution", "calibrated current gain", "calibrated current level",
        "current resolution",
    }  # fmt: skip
    # gain and level are independent about the pivot: together they are the line's own covariance
    both = math.hypot(found["calibrated current gain"], found["calibrated current level"])
    shown = (20 - 0.002 * 50) / 1.01
    assert both**2 == pytest.approx(1e-6 * shown**2 - 2 * 4e-7 * shown * 50 + 1e-6 * 50**2)


def test_the_air_away_from_the_cards_adds_its_drift() -> None:
    model = Model(amps={"": LINE})
    assert shares(Facts(), DRAW, model, 10.0)["temperature"] == pytest.approx(20 * 1e-3 * THIRD)
    assert shares(Facts(), DRAW, model, None)["temperature"] == pytest.approx(20 * 1e-3 * THIRD)
    assert "temperature" not in shares(Facts(), DRAW, model, 0.0)
    assert "temperature" not in shares(Facts(), DRAW, None, None)


def test_counters_and_powers_are_calibrated_too() -> None:
    counter = shares(
        Facts(semantics="counter", joules=Band(0.05)),
        DRAW,
        Model(volts=LINE, amps={"": LINE}, clock_uncertainty=1e-3),
    )
    assert counter == pytest.approx(
        {"time base": 0.02, "calibrated counter gain": 20 * math.sqrt(2) * 1e-3 / 1.01}
    )
    power = shares(Facts(watts=Band(0.05, 1.0)), DRAW, Model(watts=LINE))
    assert set(power) == {"calibrated power gain", "calibrated power level"}


def test_an_offset_cancels_in_a_difference_and_a_gain_scales() -> None:
    facts = Facts(volts=Band(0.01), amps=Band(0.02, 0.001))
    busy = components_of(Part("it", facts, DRAW))
    calm = components_of(Part("it", facts, DRAW._replace(joules=10.0, coulombs=2.0)))
    net = {share.cause: share.joules for share in subtracted(busy, calm)}
    assert net == pytest.approx(
        {"voltage gain": 0.1 * THIRD, "current gain": 0.2 * THIRD, "current offset": 0.0}
    )


def test_noise_never_cancels() -> None:
    noisy = components_of(Part("it", Facts(), DRAW._replace(variance_joules2=9.0)))
    assert expanded(subtracted(noisy, noisy)) == pytest.approx(2 * math.sqrt(18))


def test_causes_add_in_squares_to_two_sigma() -> None:
    assert expanded([Component("a", 3.0), Component("b", 4.0)]) == 10.0
    assert expanded([]) == 0.0


def test_relative_error_does_not_shrink_with_time() -> None:
    facts = Facts(watts=Band(0.01, 0.01, 0.01))
    tenfold = DRAW._replace(seconds=100.0, joules=200.0, covered_seconds=100.0)
    assert expanded(components_of(Part("it", facts, tenfold))) == pytest.approx(
        10 * expanded(components_of(Part("it", facts, DRAW)))
    )


def test_of_a_counter_s_tick_the_whole_may_have_flowed_within_a_shorter_window() -> None:
    for semantics, joules in (("instant", 20.0), ("counter", 120.0)):
        facts = Facts(semantics=semantics)  # type: ignore[arg-type]
        (share,) = components_of(Part("it", facts, DRAW, 60.0))
        assert share.cause == "shorter than a sample"
        assert share.joules == pytest.approx(joules * (1 - 10 / 60) * THIRD)


def test_of_a_shorter_window_within_means_the_edges_say_what_is_hidden() -> None:
    assert components_of(Part("it", Facts(semantics="mean"), DRAW, 60.0)) == []
    steady = Near([-2.0, -1.0, 0.0, 1.0, 2.0], [0.0, 5.0, 10.0, 15.0, 20.0], [5.0] * 5, straight=False)
    burst = Near([-2.0, -1.0, 0.0, 1.0, 2.0], [0.0, 1.0, 2.0, 7.0, 8.0], [1.0, 1.0, 1.0, 5.0, 1.0], False)
    # of alike means up to 2.8 times as much may be within 0.2 s; above its neighbours a mean has 4 J
    assert 2 * Edges(steady, steady, 0.0, math.inf).misplaced_joules(0.2) == pytest.approx(1.62)
    assert 2 * Edges(burst, burst, 0.0, math.inf).misplaced_joules(0.2) == pytest.approx(1.1 * 4 * 0.8)
    assert 2 * Edges(steady, steady, 0.0, math.inf).misplaced_joules(0.8) == pytest.approx(4.0 * 1.8 * 0.6)
