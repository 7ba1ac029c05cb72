"""The gate for tests by simulated runs: a regression fails it, and noise does not."""

import random
from collections.abc import Callable, Sequence

import pytest
from comparison.simulated_runs import run

from energymeter.comparison.runs import Run, save_baseline
from energymeter.energy.uncertainty import Component
from energymeter.errors import LogError, SpecError
from energymeter.integrations.energy_gate import Gate, by_name, judge, mean

ROUNDS, NOISE = 8, 0.026
"""Recorded repeats of 10 s have a standard deviation of up to 2.6 %."""
NAMES = [f"tests/test_model.py::test_{letter}" for letter in "abcde"]


def session(dice: random.Random, change: Callable[[str], float] = lambda name: 0.0) -> dict[str, list[Run]]:
    """One run of pytest: some tests of 8 noisy runs each."""
    return {
        name: [
            run(name, pair, 2.0 * (1 + change(name)) * (1 + dice.gauss(0, NOISE)), unit="call")
            for pair in range(ROUNDS)
        ]
        for name in NAMES
    }


def fails(before: dict[str, list[Run]], now: dict[str, list[Run]]) -> list[str]:
    return [one.name for one in judge(before, now, 0.05) if one.failed]


@pytest.mark.slow
def test_noise_alone_fails_fewer_than_5_of_100() -> None:
    dice = random.Random(11)
    failed = sum(bool(fails(session(dice), session(dice))) for _ in range(100))
    assert failed < 5


@pytest.mark.slow
def test_a_regression_of_10_percent_fails_and_names_its_test() -> None:
    dice = random.Random(12)
    slower = NAMES[3]
    found = [
        fails(session(dice), session(dice, lambda name: 0.10 if name == slower else 0.0)) for _ in range(40)
    ]
    assert sum(names == [slower] for names in found) >= 38


def test_less_energy_is_no_failure() -> None:
    dice = random.Random(13)
    (one,) = judge(
        {NAMES[0]: session(dice)[NAMES[0]]}, {NAMES[0]: session(dice, lambda _: -0.3)[NAMES[0]]}, 0.05
    )
    assert not one.failed
    assert "less energy per call" in str(one)


def test_what_is_shown_but_tolerated_says_so() -> None:
    runs = [run("a", pair, 2.0 + 0.0001 * pair, unit="call") for pair in range(ROUNDS)]
    more = [one._replace(joules=one.joules * 1.03) for one in runs]
    (one,) = judge({"a": runs}, {"a": more}, 0.05)
    assert not one.failed
    assert "tolerated" in str(one)
    (one,) = judge({"a": runs}, {"a": more}, 0.0)
    assert one.failed


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (
            [run("a", pair, 2.0, unit="call", sources=("um25c",)) for pair in range(ROUNDS)],
            "different sources",
        ),
        ([run("a", pair, 2.0, unit="call") for pair in range(3)], "not enough runs"),
        ([run("a", pair, 2.0, unit="call", provenance="simulated") for pair in range(8)], "not comparable"),
    ],
)
def test_without_a_verdict_the_gate_does_not_open(now: Sequence[Run], why: str) -> None:
    before = [run("a", pair, 2.0, unit="call") for pair in range(ROUNDS)]
    (one,) = judge({"a": before}, {"a": now}, 0.05)
    assert one.failed
    assert "no verdict" in str(one)
    assert why in str(one)


# The baseline ---------------------------------------------------------------------------------------------


def gate_of(tmp_path, change: float = 0.0) -> Gate:
    path = tmp_path / "baseline.json"
    dice = random.Random(14)
    save_baseline(path, [one for runs in session(dice).values() for one in runs], force=True)
    gate = Gate(None, str(path), 0.05)
    for name, runs in session(dice, lambda _: change).items():
        gate.add(name, [one.to_dict() for one in runs])
    return gate


def test_a_baseline_is_saved_and_read_again(tmp_path) -> None:
    path = tmp_path / "baseline.json"
    gate = Gate(str(path), None, 0.05)
    before = session(random.Random(15))
    for name, runs in before.items():
        gate.add(name, [one.to_dict() for one in runs])
    gate.finish()
    assert gate.lines == [f"saved in {path}: 40 runs of 5 tests"]
    assert not gate.failed
    assert by_name(Gate(None, str(path), 0.05)._before[NAMES[0]]) == {NAMES[0]: before[NAMES[0]]}


def test_the_same_code_passes_and_more_energy_fails(tmp_path) -> None:
    same = gate_of(tmp_path)
    same.finish()
    assert not same.failed
    assert all(line.startswith("passed") for line in same.lines)
    more = gate_of(tmp_path, 0.3)
    more.finish()
    assert more.failed
    assert all(line.startswith("FAILED") for line in more.lines)
    assert "more energy per call than baseline" in more.lines[0]


def test_new_and_absent_tests_are_reported(tmp_path) -> None:
    gate = gate_of(tmp_path)
    runs = gate._now.pop(NAMES[0])
    gate.add("new", [one.to_dict() for one in runs])
    gate.finish()
    assert any(line.startswith("new    new: not in") for line in gate.lines)
    assert any(line.startswith("not measured: 1 of the 5 tests in") for line in gate.lines)
    assert not gate.failed


def test_a_gate_that_compares_nothing_fails(tmp_path) -> None:
    gate = gate_of(tmp_path)
    gate._now.clear()
    gate.finish()
    assert gate.failed


def test_nothing_measured_saves_nothing(tmp_path) -> None:
    path = tmp_path / "baseline.json"
    path.write_text("kept")
    gate = Gate(str(path), None, 0.05)
    gate.finish()
    assert path.read_text() == "kept"
    assert "was not written" in gate.lines[0]


def test_wrong_options_are_refused_before_any_test(tmp_path) -> None:
    with pytest.raises(SpecError, match="tolerance"):
        Gate(None, None, -0.1)
    with pytest.raises(SpecError, match="no folder"):
        Gate(str(tmp_path / "none" / "x.json"), None, 0.05)
    with pytest.raises(LogError):
        Gate(None, str(tmp_path / "none.json"), 0.05)


# The mean -------------------------------------------------------------------------------------------------


def test_random_errors_of_runs_average_out_and_systematic_ones_do_not() -> None:
    parts = (Component("gain", 0.02, "x", True), Component("noise", 0.02, "x"))
    runs = [run("a", pair, 2.0, units=1.0, components=parts) for pair in range(4)]
    found = mean(runs)
    assert found.joules == pytest.approx(2.0)
    assert found.uncertainty == pytest.approx(2 * (0.02**2 + 0.02**2 / 4) ** 0.5)
    assert str(found) == "2.000 J ± 0.045 per inference (4 runs, ina219@1:0x40 measured)"
