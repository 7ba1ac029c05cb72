"""Verdicts: false claims, missed effects, what misleads others, refusals, and the words."""

import json
import math
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from comparison.simulated_runs import HERE, compared, run, simulated

from energymeter.comparison.runs import Run
from energymeter.comparison.schedule import schedule
from energymeter.energy.uncertainty import Component
from energymeter.errors import SpecError
from energymeter.recordings.trace import Trace

MANY = [50, pytest.param(400, marks=pytest.mark.slow)]


def most_of(share: float, trials: int) -> int:
    """What so many trials exceed once in a thousand times, if this share is true."""
    return math.ceil(trials * share + NormalDist().inv_cdf(0.999) * math.sqrt(trials * share * (1 - share)))


def gauss(rng: np.random.Generator, cv: float = 0.01) -> Any:
    return lambda number: rng.normal(0, cv)


# What would be wrong --------------------------------------------------------------------------------------


@pytest.mark.parametrize("trials", MANY)
@pytest.mark.parametrize("runs", [4, 6, 10])
def test_equal_arms_are_claimed_to_differ_in_one_of_twenty_at_most(
    trials: int, runs: int, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(runs)
    claims = sum(
        compared(simulated(runs, (50, 50), gauss(rng), seed)).verdict.change is not None
        for seed in range(trials)
    )
    with capsys.disabled():
        print(f" A/A, {runs} runs: {claims} of {trials} claimed, bound {most_of(0.05, trials)}", end="")
    assert claims <= most_of(0.05, trials)


@pytest.mark.parametrize("trials", MANY)
def test_an_effect_of_the_stated_size_is_found_in_four_of_five(trials: int) -> None:
    rng = np.random.default_rng(3)
    found = 0
    for seed in range(trials):
        stated = compared(simulated(10, (50, 50), gauss(rng), seed)).verdict.detectable
        assert stated is not None
        again = compared(simulated(10, (50, 50 * (1 + stated)), gauss(rng), seed + trials)).verdict
        found += again.change is not None and again.change > 0
    assert found >= trials - most_of(0.20, trials)


@pytest.mark.parametrize("trials", MANY)
def test_a_drift_of_three_percent_misleads_one_order_and_not_ours(trials: int) -> None:
    """The board warms up: the last run of twenty draws 3 % more than the first."""
    rng = np.random.default_rng(4)

    def noise(number: int) -> float:
        return 0.03 * number / 19 + rng.normal(0, 0.003)

    ours = theirs = 0
    for seed in range(trials):
        ours += compared(simulated(10, (50, 50), noise, seed)).verdict.change is not None
        one_after_the_other = [
            run("AB"[number // 10], number % 10, 50 * (1 + noise(number))) for number in range(20)
        ]
        theirs += compared(one_after_the_other, paired=False).verdict.change is not None
    assert theirs == trials, "else there was nothing to protect from"
    assert ours <= most_of(0.05, trials)


@pytest.mark.parametrize("trials", [75, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("rho", [0.5, 0.9])
def test_runs_that_depend_on_each_other_do_not_narrow_the_interval(rho: float, trials: int) -> None:
    rng = np.random.default_rng(6)
    hits = 0
    for seed in range(trials):
        level = [rng.normal()]
        for _ in range(40):
            level.append(rho * level[-1] + math.sqrt(1 - rho**2) * rng.normal())
        runs = simulated(20, (50, 60), lambda number, level=level: 0.01 * level[number], seed)
        ratio = compared(runs).verdict.ratio
        assert ratio is not None
        hits += ratio.low <= 1.2 <= ratio.high
    spread = NormalDist().inv_cdf(0.9995) * math.sqrt(0.05 * 0.95 / trials)
    assert 0.93 - spread <= hits / trials <= 0.97 + spread, hits / trials


def test_one_wild_run_does_not_decide() -> None:
    rng = np.random.default_rng(7)
    equal = simulated(10, (50, 50), gauss(rng))
    wild = [
        one._replace(joules=20 * one.joules) if one.arm == "B" and one.pair == 4 else one for one in equal
    ]
    assert compared(wild).verdict.change is None
    better = simulated(10, (50, 40), gauss(rng))
    wild = [
        one._replace(joules=20 * one.joules) if one.arm == "B" and one.pair == 4 else one for one in better
    ]
    assert compared(wild).verdict.change == pytest.approx(-0.2, abs=0.02)


def real_windows(folder: Path) -> list[np.ndarray]:
    """Power of real boards, as energy of equal windows in the order of their times."""
    files = [
        (folder / "traces/e2fl/jetson_power_log_24h_20250131.csv.gz", 60.0, {}),
        (folder / "traces/mlperf_inference_rpi4/mobilenet-v1-quantized-run_1/spl.txt", 10.0, {}),
        (folder / "traces/mlperf_inference_rpi4/mobilenet-v1-non-quantized-run_1/spl.txt", 10.0, {}),
    ]
    found = []
    for path, seconds, hints in files:
        trace = Trace.load(path, **hints)
        start, end = (40.0, 630.0) if path.name == "spl.txt" else (trace.time_s[0], trace.time_s[-1])
        edges = np.arange(start, end, seconds)
        joules = np.diff(trace.at(edges))
        covered = np.diff(trace.at(edges, "covered_s"))
        found.append(joules[covered > 0.99 * seconds] if len(joules) else joules)
    return found


def test_parts_of_one_real_load_are_not_claimed_to_differ(
    shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Windows of real recordings, dealt out to two arms as our schedule would make the runs."""
    claims = trials = 0
    for joules in real_windows(shared_data):
        for first in range(0, len(joules) - 12, 12):
            runs = [
                run("AB"[turn.arm], turn.pair, joules[first + turn.number]) for turn in schedule(2, 6, first)
            ]
            claims += compared(runs).verdict.change is not None
            trials += 1
    with capsys.disabled():
        print(f" recorded A/A: {claims} of {trials} claimed, bound {most_of(0.05, trials)}", end="")
    assert trials > 100
    assert claims <= most_of(0.05, trials)


# The meter ------------------------------------------------------------------------------------------------


def with_components(runs: list[Run], **watts: float) -> list[Run]:
    """An offset in watts and a gain as a share, of one meter."""
    return [
        one._replace(
            components=(
                Component("power gain", watts.get("gain", 0.0) * one.joules, "ina219", True),
                Component("power offset", watts.get("offset", 0.0) * one.seconds, "ina219", True),
                Component("power resolution", watts.get("step", 0.0) * one.seconds, "ina219"),
            )
        )
        for one in runs
    ]


def width(runs: list[Run]) -> float:
    ratio = compared(runs).verdict.ratio
    assert ratio is not None
    return ratio.high - ratio.low


def test_a_common_gain_cancels_and_offset_and_resolution_do_not() -> None:
    runs = simulated(10, (50, 25), gauss(np.random.default_rng(8), 0.001))
    plain = width(with_components(runs))
    assert width(with_components(runs, gain=0.10)) == pytest.approx(plain, rel=1e-6)
    # 0.1 W more or less: (2.5 + 0.1) / (5 + 0.1) is 2 % above 2.5 / 5
    assert width(with_components(runs, offset=0.1)) == pytest.approx(0.5 * 2 * 2 * 0.02, rel=0.1)
    assert width(with_components(runs, step=0.1)) > 3 * plain


def test_equal_readings_of_a_coarse_meter_are_no_proof() -> None:
    """Every run of A shows 50 J and every run of B 51 J, in steps of 5 J."""
    runs = [run("AB"[turn.arm], turn.pair, (50, 51)[turn.arm]) for turn in schedule(2, 10)]
    assert compared(runs).verdict.change == pytest.approx(0.02)
    assert compared(with_components(runs, step=0.5 / math.sqrt(12))).verdict.change is None


# Words ----------------------------------------------------------------------------------------------------


def test_less_more_and_no_difference() -> None:
    rng = np.random.default_rng(9)
    less = str(compared(simulated(10, (50, 35), gauss(rng, 0.02))).verdict)
    assert less.startswith("B uses 30 % less energy per inference than A [−3"), less
    more = str(compared(simulated(10, (35, 50), gauss(rng, 0.02))).verdict)
    assert more.startswith("B uses 4"), more
    assert " % more energy per inference than A [+" in more
    none = compared(simulated(10, (50, 50), gauss(rng))).verdict
    assert str(none).startswith("no difference larger than "), none
    assert none.ratio is not None
    assert none.ratio.low < 1 < none.ratio.high


def test_what_is_called_no_difference_lies_within_the_interval() -> None:
    verdict = compared(simulated(10, (50, 50.3), gauss(np.random.default_rng(10), 0.02))).verdict
    assert verdict.change is None
    assert verdict.ratio is not None
    stated = float(str(verdict).split()[4])
    assert stated >= 100 * max(abs(verdict.ratio.low - 1), abs(verdict.ratio.high - 1)) - 0.06


@pytest.mark.parametrize("runs", [2, 3])
def test_few_runs_are_refused_with_the_number_that_is_needed(runs: int) -> None:
    verdict = compared(simulated(runs, (50, 25), gauss(np.random.default_rng(runs)))).verdict
    assert str(verdict).startswith(f"not enough runs: {runs} of at least 4 per arm (6 pairs); ")
    assert str(verdict).endswith(" would show 5 %")
    assert verdict.change is None
    assert not compared(simulated(runs, (50, 25), gauss(np.random.default_rng(runs)))).decided


def test_one_run_an_arm_has_a_table_and_no_verdict() -> None:
    result = compared(simulated(1, (50, 25), lambda number: 0.0))
    assert str(result.verdict) == "not enough runs: 1 of at least 4 per arm (6 pairs)"
    assert result.rows[0].joules_per_unit == 0.5
    json.dumps(result.to_dict(), allow_nan=False)


def test_power_may_rise_while_energy_falls_and_the_text_says_so() -> None:
    rng = np.random.default_rng(11)
    runs = [
        run("AB"[turn.arm], turn.pair, (50, 40)[turn.arm] * (1 + rng.normal(0, 0.005)), (10, 6)[turn.arm])
        for turn in schedule(2, 10)
    ]
    result = compared(runs)
    assert "although it draws 34 % more power: it takes 40 % less time" in str(result.verdict)
    a, b = result.rows
    assert (a.watts, b.watts) == pytest.approx((5.0, 6.67), rel=0.01)
    assert a.hours is not None
    assert b.hours is not None
    assert a.hours > b.hours, "a charge lasts shorter"
    assert b.units_per_charge > a.units_per_charge, "and is enough for more"


def test_more_than_two_arms_are_corrected() -> None:
    rng = np.random.default_rng(12)
    runs = [run("ABC"[turn.arm], turn.pair, 50 * (1 + rng.normal(0, 0.01))) for turn in schedule(3, 6)]
    result = compared(runs)
    assert [verdict.least_runs for verdict in result.verdicts] == [5, 5]
    alone = [compared([one for one in runs if one.arm in ("A", name)]).verdict.chance for name in ("B", "C")]
    least = min(chance for chance in alone if chance is not None)
    assert min(v.chance for v in result.verdicts if v.chance is not None) == pytest.approx(min(1, 2 * least))


def test_a_board_that_warms_up_loses_its_first_blocks() -> None:
    rng = np.random.default_rng(13)
    runs = simulated(12, (50, 45), lambda n: (-0.08 if n < 4 else 0.0) + rng.normal(0, 0.002))
    result = compared(runs)
    assert result.dropped == 2
    assert "the first 2 runs of each arm are left out" in str(result)
    assert result.rows[0].runs == 10
    assert compared(simulated(12, (50, 45), gauss(rng, 0.03))).dropped == 0, "noise is no warming up"


def test_what_is_not_measured_is_said() -> None:
    text = str(compared(simulated(6, (50, 25), lambda n: n * 1e-5, provenance="simulated")))
    assert "note: energy is simulated, not measured" in text


def test_an_energy_is_that_of_the_whole_run() -> None:
    """Half of the energy of a run of which half was measured is no saving."""
    one = run("A", 0, 25.0, coverage=0.5)
    assert one.joules_per_unit == 0.5
    assert one.watts == 5.0


def test_one_arm_is_no_comparison() -> None:
    with pytest.raises(SpecError, match="second one"):
        compared([run("A", 0, 1.0)])


# Refusals -------------------------------------------------------------------------------------------------

OTHER: dict[str, dict[str, Any]] = {
    "sources": {"sources": ("rapl",)},
    "places": {"place": "wall"},
    "calibrations": {"calibration": ("calibrated 2026-01-01",)},
    "boards": {"before": HERE._replace(board="pi5")},
    "machines": {"before": HERE._replace(host="shelf")},
    "power modes": {"before": HERE._replace(power_mode="10W")},
    "governors": {"before": HERE._replace(governor="powersave")},
    "supplies": {"before": HERE._replace(mains=False)},
    "workloads": {"workload": "224 px"},
    "units": {"unit": "token"},
    "modelled": {"provenance": "modelled"},
    "simulated": {"provenance": "simulated"},
    "only 94.0 %": {"coverage": 0.94},
    "too short": {"components": (Component("shorter than a sample", 10.0, "plug"),)},
}


@pytest.mark.parametrize("reason", OTHER)
def test_what_differs_in_more_than_the_program_is_refused(reason: str) -> None:
    runs = simulated(6, (50, 25), lambda n: n * 1e-4, workload="160 px")
    runs = [one._replace(**OTHER[reason]) if one.arm == "B" else one for one in runs]
    result = compared(runs)
    assert result.verdict.change is None
    assert not result.decided
    assert str(result.verdict).startswith("refused: ")
    assert reason in str(result.verdict)
    overruled = compared(runs, anyway=True)
    assert overruled.decided
    assert "B uses " in str(overruled.verdict)
    assert "(although " in str(overruled.verdict)
    assert reason in str(overruled.verdict)


def test_what_is_unknown_is_no_difference() -> None:
    runs = simulated(6, (50, 25), lambda n: n * 1e-4)
    runs = [one._replace(before=HERE._replace(governor=None)) if one.arm == "B" else one for one in runs]
    assert compared(runs).decided


def test_shown_and_json_hold_every_figure() -> None:
    result = compared(simulated(6, (50, 25), lambda n: n * 1e-4), idle=(2.0, 2.0))
    text = str(result)
    for title in ("J/inference", "net of idle", "W", "mAh/inference", "battery lasts", "inference a charge"):
        assert title in text
    fields = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert [arm["net_joules_per_unit"] for arm in fields["arms"]] == pytest.approx([0.3, 0.05], rel=0.01)
    assert fields["verdicts"][0]["change"] == pytest.approx(-0.5, abs=1e-3)
    assert len(fields["runs"]) == 12
    assert "<td>" in result._repr_html_()
