"""The gate for tests by simulated runs: a regression fails it, and noise does not."""

import random
from collections.abc import Callable, Sequence

import pytest
from comparison.simulated_runs import run

from energymeter.comparison.comparison import Verdict
from energymeter.comparison.runs import Run, save_baseline
from energymeter.energy.uncertainty import Component
from energymeter.errors import LogError, SpecError
from energymeter.integrations.energy_gate import Gate, Judged, by_name, judge, mean
from energymeter.text import Estimate

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


@pytest.mark.parametrize(
    ("joules", "units", "parts", "text"),
    [
        ([6.0], 2.0, (), "3.000 J per inference (1 run, ina219@1:0x40 measured)"),
        ([6.0, 12.0], 2.0, (), "4.500 J per inference (2 runs, ina219@1:0x40 measured)"),
        # of two runs of 6 J: 3 J a unit; 0.3 J of gain in each stays 0.15 J, 0.4 J of noise falls to 0.14 J
        (
            [6.0, 6.0],
            2.0,
            (Component("gain", 0.3, "x", True), Component("noise", 0.4, "x")),
            "3.00 J ± 0.41 per inference (2 runs, ina219@1:0x40 measured)",
        ),
    ],
)
def test_the_mean_of_runs_as_it_is_printed(joules, units, parts, text) -> None:
    assert (
        str(mean([run("a", pair, each, units=units, components=parts) for pair, each in enumerate(joules)]))
        == text
    )


def test_the_mean_names_every_source_and_the_least_trusted_provenance() -> None:
    both = ("ina219@1:0x40", "um25c")
    runs = [run("a", 0, 2.0, units=1.0, sources=both), run("a", 1, 2.0, units=1.0, provenance="modelled")]
    assert str(mean(runs)) == "2.000 J per inference (2 runs, ina219@1:0x40 + um25c modelled)"


# Verdicts, one by one -------------------------------------------------------------------------------------


def verdict(change: float, chance: float = 0.01, runs: int = 8) -> Verdict:
    """So much more energy per call, known to 1 %."""
    ratio = Estimate(1 + change, (1 + change) * 0.99, (1 + change) * 1.01)
    known = {"test": "Mann-Whitney", "delta": 1.0, "detectable": 0.03, "runs": runs, "least_runs": 4}
    return Verdict(
        "baseline", "now", "call", ratio, chance, paired=False, within=False, runs_for_five_percent=None,
        watts_ratio=1 + change, seconds_ratio=1.0, **known
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "tolerance", "failed", "tolerated"),
    [
        (0.25, 0.25, False, True),
        (0.25, 0.2499, True, False),
        (0.25, 0.2501, False, True),
        (0.25, 0.0, True, False),
        (-0.25, 0.0, False, False),
        (-0.25, 0.5, False, False),
        (0.0, 0.0, False, False),
        (0.0, 0.25, False, False),
    ],
)
def test_a_change_may_be_as_large_as_the_tolerance(change, tolerance, failed, tolerated) -> None:
    judged = Judged("a", verdict(change), tolerance)
    assert judged.failed is failed
    assert str(judged).startswith("a: ")
    assert str(judged).endswith(f", which is tolerated ({100 * tolerance:.0f} %)") is tolerated
    assert ("tolerated" in str(judged)) is tolerated


@pytest.mark.parametrize(
    ("known", "text"),
    [
        ({"refused": ("other sources",)}, "a: no verdict: refused: other sources"),
        ({"runs": 3}, "a: no verdict: not enough runs: 3 of at least 4 per arm"),
        ({"runs": 3, "refused": ("other sources",)}, "a: no verdict: refused: other sources"),
    ],
)
@pytest.mark.parametrize("change", [0.25, -0.25])
def test_no_verdict_is_a_failure_also_where_it_would_be_less(change, known, text) -> None:
    judged = Judged("a", verdict(change)._replace(**known), 0.5)
    assert judged.failed
    assert str(judged) == text


def test_of_many_tests_each_has_to_show_more() -> None:
    """Four runs against four show 1 of 35 at best: enough for one test alone, not for any of three."""
    before = {name: [run(name, pair, 2.0 + 0.001 * pair) for pair in range(4)] for name in "abc"}
    now = {name: [run(name, pair, 3.0 + 0.001 * pair) for pair in range(4)] for name in "abc"}
    (alone,) = judge({"a": before["a"]}, {"a": now["a"]}, 0.05)
    assert (alone.verdict.least_runs, alone.verdict.enough) == (4, True)
    assert alone.verdict.chance == pytest.approx(2 / 70)
    assert not alone.verdict.paired
    three = judge(before, now, 0.05)
    assert [one.name for one in three] == ["a", "b", "c"]
    assert [one.verdict.chance for one in three] == pytest.approx([6 / 70] * 3)
    assert {one.verdict.least_runs for one in three} == {5}
    assert all(one.failed and "not enough runs: 4 of at least 5" in str(one) for one in three)
    mixed = judge(before, {**now, "b": [run("b", 0, 3.0)]}, 0.05)
    assert [one.verdict.chance for one in mixed] == pytest.approx([4 / 70, None, 4 / 70])
    assert judge(before, {"new": now["a"]}, 0.05) == []


@pytest.mark.parametrize("tolerance", [0, 0.0, 0.05, 1.0, 1e9])
def test_a_tolerance_that_is_right(tolerance: float) -> None:
    Gate(None, None, tolerance).finish()


@pytest.mark.parametrize(
    ("tolerance", "shown"), [(-1e-9, "-1e-09"), (float("inf"), "inf"), (float("nan"), "nan")]
)
def test_a_tolerance_that_is_wrong(tolerance: float, shown: str) -> None:
    with pytest.raises(SpecError) as failure:
        Gate(None, None, tolerance)
    assert str(failure.value) == f"a tolerance of {shown} makes no sense; give a share from 0, as 0.05"


def test_a_gate_without_files_says_nothing() -> None:
    gate = Gate(None, None, 0.05)
    gate.add("a", [run("a", 0, 2.0).to_dict()])
    gate.finish()
    assert (gate.lines, gate.failed) == ([], False)


@pytest.mark.parametrize(
    ("tests", "said"), [({"a": 1}, "1 runs of 1 test"), ({"a": 2, "b": 1}, "3 runs of 2 tests")]
)
def test_what_was_saved_is_counted_and_replaces_the_file(tmp_path, tests: dict[str, int], said: str) -> None:
    path = tmp_path / "baseline.json"
    path.write_text("of another time")
    gate = Gate(str(path), None, 0.05)
    for name, number in tests.items():
        gate.add(name, [run(name, pair, 9.0).to_dict() for pair in range(7)])
        gate.add(name, [run(name, pair, 2.0).to_dict() for pair in range(number)])  # of its second attempt
    gate.finish()
    assert gate.lines == [f"saved in {path}: {said}"]
    kept = by_name(one for runs in Gate(None, str(path), 0.05)._before.values() for one in runs)
    assert {name: [one.joules for one in runs] for name, runs in kept.items()} == {
        name: [2.0] * number for name, number in tests.items()
    }


def test_all_that_is_said_of_a_baseline(tmp_path) -> None:
    path = tmp_path / "baseline.json"
    before = {
        name: [run(name, pair, 2.0 + 0.001 * pair) for pair in range(8)]
        for name in ("a", "b", "gone", "left")
    }
    save_baseline(path, [one for runs in before.values() for one in runs], force=True)
    gate = Gate(None, str(path), 0.05)
    gate.add("b", [one._replace(joules=3.0 * one.joules).to_dict() for one in before["b"]])
    gate.add("a", [one.to_dict() for one in before["a"]])
    gate.add("new", [one.to_dict() for one in before["a"]])
    gate.finish()
    failed, passed, *rest = gate.lines
    assert failed.startswith("FAILED b: now uses 200.0 % more energy per inference than baseline")
    assert passed.startswith("passed a: no difference larger than ")
    assert rest == [f"new    new: not in {path}", f"not measured: 2 of the 4 tests in {path}"]
    assert gate.failed


def test_a_gate_that_compares_nothing_says_so(tmp_path) -> None:
    path = tmp_path / "baseline.json"
    save_baseline(path, [run("a", 0, 2.0)], force=True)
    gate = Gate(None, str(path), 0.05)
    gate.finish()
    assert gate.lines == [
        f"not measured: 1 of the 1 tests in {path}",
        "FAILED no test of the baseline was measured: nothing was compared",
    ]
    assert gate.failed
