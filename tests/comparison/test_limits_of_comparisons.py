"""Both sides of every limit of a comparison, and what is said there, as a whole."""

import itertools
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from comparison.simulated_runs import HERE, compared, run

from energymeter.comparison import interleaved, statistics
from energymeter.comparison.arms import _titles, letter
from energymeter.comparison.commands import command, pattern
from energymeter.comparison.comparable import reasons_against
from energymeter.comparison.comparison import Comparison, Verdict, percents
from energymeter.comparison.interleaved import Arm, Protocol, Work, measure_arms
from energymeter.comparison.recorded import _spread
from energymeter.comparison.roofline import Roofline, roofline_of
from energymeter.comparison.runs import Folder, Run, load_baseline, load_folder, save_baseline
from energymeter.comparison.statistics import (
    cells,
    detectable,
    mann_whitney,
    paired_shift,
    runs_to_detect,
    series_shift,
    t_quantile,
    unpaired_shift,
    wilcoxon,
)
from energymeter.comparison.sweeping import Setting, Sweep, _better, _settings, run_sweep
from energymeter.energy.uncertainty import Component
from energymeter.energy.usage import Usage
from energymeter.errors import CommandFailed, LogError, NotMeasured, SpecError
from energymeter.meter.meter import EnergyMeter
from energymeter.text import Estimate

# Reasons not to compare -----------------------------------------------------------------------------------


def against(**known: Any) -> list[str]:
    """What speaks against a comparison whose third run has something else about it."""
    return reasons_against([[run("A", 0, 10.0), run("A", 1, 10.0)], [run("B", 0, 10.0, **known)]])


@pytest.mark.parametrize("coverage", [1.0, 0.95])
def test_so_much_of_a_run_is_enough(coverage: float) -> None:
    assert against(coverage=coverage) == []


def test_less_is_not_enough() -> None:
    assert against(coverage=0.9494) == [
        "only 94.9 % of a run was measured, and 95 % are needed: lower the rate, or repair the connection"
    ]


@pytest.mark.parametrize(
    ("parts", "share"),
    [
        ([("noise", 0.5)], None),
        ([("noise", 0.3), ("window edges", 0.4)], None),
        ([("noise", 0.501)], "10 %"),
        ([("noise", 0.6), ("window edges", 0.8)], "20 %"),
        ([("current resolution", 5.0), ("voltage resolution", 5.0), ("power resolution", 5.0)], None),
    ],
)
def test_what_sampling_may_leave_uncertain_is_a_tenth(
    parts: list[tuple[str, float]], share: str | None
) -> None:
    components = tuple(Component(cause, joules, "x") for cause, joules in parts)
    assert against(components=components) == (
        []
        if share is None
        else [
            f"runs of 10.0 s are too short for this meter, whose samples leave {share} of their energy "
            "uncertain: raise --min-seconds or the rate"
        ]
    )
    systematic = tuple(part._replace(systematic=True) for part in components)
    assert against(components=systematic) == [], "a longer run would not help"


@pytest.mark.parametrize(
    ("provenances", "said"),
    [
        (("measured", "measured"), None),
        (("measured", "manual"), None),
        (("modelled", "modelled"), None),
        (("simulated", "modelled"), "modelled and simulated"),
        (("measured", "modelled"), "measured and modelled"),
        (("simulated", "manual"), "manual and simulated"),
    ],
)
def test_what_comes_from_sensors_is_comparable(provenances: tuple[str, str], said: str | None) -> None:
    arms = [[run(name, 0, 10.0, provenance=one)] for name, one in zip("AB", provenances, strict=True)]
    expected = [f"{said} energy is not comparable: measure all arms with one source"] if said else []
    assert reasons_against(arms) == expected


@pytest.mark.parametrize(("mains", "said"), [(True, False), (None, False), (False, True)])
def test_mains_and_battery_differ(mains: bool | None, said: bool) -> None:
    text = "the arms have different supplies (battery, mains): measure all arms on mains, or all on battery"
    assert against(before=HERE._replace(mains=mains)) == ([text] if said else [])


# Statistics -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("z", "freedom", "value"),
    [
        # Abramowitz and Stegun 26.7.5, its four polynomials by hand:
        # at z = 1: 2/4, 24/96, 24/384, -528/92160; at z = 2: 10/4, 294/96, 1098/384, 169950/92160
        (1.0, 1.0, 1 + 0.5 + 0.25 + 0.0625 - 528 / 92160),
        (2.0, 1.0, 2 + 2.5 + 3.0625 + 2.859375 + 169950 / 92160),
        (2.0, 2.0, 2 + 2.5 / 2 + 3.0625 / 4 + 2.859375 / 8 + 169950 / 92160 / 16),
    ],
)
def test_the_expansion_of_student_by_hand(z: float, freedom: float, value: float) -> None:
    share = statistics.NormalDist().cdf(z)
    assert t_quantile(share, freedom) == pytest.approx(value, rel=1e-7)
    assert t_quantile(1 - share, freedom) == pytest.approx(-value, rel=1e-7)


def test_cells_are_means_of_neighbours() -> None:
    assert cells(range(6), 3).tolist() == [0.5, 2.5, 4.5]
    assert cells(range(5), 2).tolist() == [0.5, 3.0]
    assert cells([1, 5], 2).tolist() == [1, 5]
    assert cells([1, 5, 6], 2).tolist() == [1, 5.5]
    assert len(cells(range(32))) == 32
    assert cells(range(33)).tolist()[-1] == 31.5


def test_the_middle_of_all_means_of_two() -> None:
    """Those of 1, 2 and 4 are 1, 1.5, 2, 2.5, 3 and 4."""
    assert paired_shift([1.0, 2.0, 4.0])[::2] == (2.25, 2)
    assert paired_shift([3.0, 3.0]) == (3.0, 0.0, 1)


def test_the_middle_of_all_differences_of_two_arms() -> None:
    """10 and 13 over 1, 2 and 4: 6, 8, 9, 9, 11, 12."""
    shift = unpaired_shift([1.0, 2.0, 4.0], [10.0, 13.0])
    assert shift.value == 9.0
    # Welch: variances 7/3 and 9/2 of 3 and 2 values
    a, b = 7 / 9, 9 / 4
    assert shift.freedom == pytest.approx((a + b) ** 2 / (a**2 / 2 + b**2 / 1))
    assert unpaired_shift([1.0, 1.0, 1.0], [2.0, 2.0]) == (1.0, 0.0, 3.0)


def test_two_series_by_their_means() -> None:
    shift = series_shift([1.0, 3.0], [3.0, 5.0])
    assert shift.value == pytest.approx(math.log(2.0))
    # standard errors of 1 of 2, and of 1 of 4
    assert shift.error == pytest.approx(math.hypot(0.5, 0.25))
    a, b = 0.5 / 2, 0.125 / 2
    assert shift.freedom == pytest.approx((a + b) ** 2 / (a**2 + b**2))


def test_the_ends_of_an_interval_are_as_far_away() -> None:
    shift = statistics.Shift(1.0, 0.1, 9)
    assert (shift.low, shift.high) == pytest.approx((1 - 0.2262, 1 + 0.2262), abs=1e-4)


@pytest.mark.parametrize("absent", [True, False])
def test_exact_tests_with_and_without_scipy(absent: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if absent:
        monkeypatch.setitem(sys.modules, "scipy.stats", None)
    assert wilcoxon([]) == wilcoxon([0.0, 0.0]) == 1.0
    assert wilcoxon([1.0]) == 1.0
    assert wilcoxon([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) == pytest.approx(2 / 64)
    assert wilcoxon([-1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) == pytest.approx(4 / 64)
    assert wilcoxon([1.0, -1.0]) == 1.0
    assert mann_whitney([1, 2, 3], [4, 5, 6]) == pytest.approx(2 / 20)
    assert mann_whitney([1, 2], [1, 2]) == 1.0


@pytest.mark.parametrize(
    ("comparisons", "paired", "runs"),
    # the least p of n against n is 2 / C(2n, n), and of n pairs, from 6 on, 2 / 2**n
    [(1, True, 4), (1, False, 4), (2, True, 5), (6, True, 5), (7, True, 9), (7, False, 6), (1000, True, 16)],
)
def test_the_least_runs(comparisons: int, paired: bool, runs: int) -> None:
    least = statistics.least_runs(comparisons, paired=paired)
    assert least == runs

    def chance(number: int) -> float:
        return 2 / 2**number if paired and number >= 6 else 2 / math.comb(2 * number, number)

    assert chance(least) * comparisons <= 0.05
    assert least == 4 or chance(least - 1) * comparisons > 0.05


def test_a_detectable_shift_by_hand() -> None:
    """9 degrees of freedom: t is 2.262 and 0.883, and 6/27 more for few runs."""
    assert detectable(0.01, 9) == pytest.approx((2.2622 + 0.8834) * 0.01 * (1 + 6 / 27), rel=1e-3)


@pytest.mark.parametrize(("shift", "error", "runs"), [(1.0, 1e-9, 4), (1e-9, 1.0, 10_000)])
def test_the_number_of_runs_that_would_show_it_has_its_ends(shift: float, error: float, runs: int) -> None:
    assert runs_to_detect(shift, error, 10) == runs


# Verdicts -------------------------------------------------------------------------------------------------


MORE = Estimate(1.2, 1.1, 1.3)


def verdict(ratio: Estimate | None = MORE, chance: float | None = 0.01, **known: Any) -> Verdict:
    fields: dict[str, Any] = {
        "a": "A", "b": "B", "unit": "call", "ratio": ratio, "chance": chance, "test": "Wilcoxon",
        "delta": 1.0, "detectable": 0.03, "runs": 8, "least_runs": 4, "paired": True, "within": False,
        "runs_for_five_percent": 20, "watts_ratio": 1.2, "seconds_ratio": 1.0,
    }  # fmt: skip
    return Verdict(**{**fields, **known})


@pytest.mark.parametrize(
    ("known", "change"),
    [
        ({}, 0.2),
        ({"chance": 0.05}, 0.2),
        ({"chance": 0.0501}, None),
        ({"chance": None}, None),
        ({"ratio": None}, None),
        ({"ratio": Estimate(1.2, 1.0, 1.3)}, None),
        ({"ratio": Estimate(1.2, 1.0001, 1.3)}, 0.2),
        ({"ratio": Estimate(0.8, 0.7, 1.0)}, None),
        ({"ratio": Estimate(0.8, 0.7, 0.9999)}, -0.2),
        ({"runs": 4}, 0.2),
        ({"runs": 3}, None),
        ({"refused": ("why",)}, None),
    ],
)
def test_a_change_is_shown_by_interval_and_chance_alike(known: dict[str, Any], change: float | None) -> None:
    assert verdict(**known).change == (None if change is None else pytest.approx(change))


@pytest.mark.parametrize(
    ("low", "high", "enough"),
    [
        (math.exp(0.0501), 1.3, True),
        (math.exp(0.0499), 1.3, False),
        (0.7, math.exp(-0.0501), True),
        (0.7, math.exp(-0.0499), False),
        (0.7, 1.3, False),
    ],
)
def test_one_recording_each_shows_what_runs_do_not_differ_by(low: float, high: float, enough: bool) -> None:
    assert verdict(Estimate(1.0, low, high), within=True, runs=1).enough is enough


@pytest.mark.parametrize(
    ("known", "text"),
    [
        ({}, "B uses 20 % more energy per call than A [+10, +30]"),
        (
            {"ratio": Estimate(0.8, 0.7, 0.9), "watts_ratio": 0.8},
            "B uses 20 % less energy per call than A [−30, −10]",
        ),
        ({"chance": 0.2}, "no difference larger than 30 % in energy per call"),
        (
            {"ratio": Estimate(1.0, 0.6, 1.3), "chance": 0.2},
            "no difference larger than 40 % in energy per call",
        ),
        (
            {"ratio": Estimate(1.0, 0.99, 1.01), "chance": 0.2},
            "no difference larger than 3.0 % in energy per call",
        ),
        ({"runs": 3}, "not enough runs: 3 of at least 4 per arm (6 pairs); 20 would show 5 %"),
        ({"runs": 3, "paired": False}, "not enough runs: 3 of at least 4 per arm; 20 would show 5 %"),
        ({"runs": 3, "runs_for_five_percent": None}, "not enough runs: 3 of at least 4 per arm (6 pairs)"),
        ({"runs": 5, "least_runs": 6}, "not enough runs: 5 of at least 6 per arm; 20 would show 5 %"),
        (
            {"runs": 4, "least_runs": 5},
            "not enough runs: 4 of at least 5 per arm (6 pairs); 20 would show 5 %",
        ),
        ({"runs": 30, "least_runs": 31}, "not enough runs: 30 of at least 31 per arm; 31 would show 5 %"),
        ({"detectable": None}, "not enough runs: 8 of at least 4 per arm (6 pairs); 20 would show 5 %"),
        ({"refused": ("why", "and so")}, "refused: why; and so"),
        (
            {"despite": ("why", "and so")},
            "B uses 20 % more energy per call than A [+10, +30] (although why; and so)",
        ),
        (
            {"within": True},
            "B uses 20 % more energy per call than A [+10, +30] in these two recordings; how much runs "
            "differ "
            "is unknown",
        ),
        (
            {"within": True, "ratio": Estimate(1.0, 0.9, 1.1), "paired": False, "runs": 1},
            "not enough runs: 1 of at least 4 per arm; these two recordings differ by +0 % [−10, +10]",
        ),
        (
            {"watts_ratio": 0.98, "seconds_ratio": 1.22},
            "B uses 20 % more energy per call than A [+10, +30], although it draws 2 % less power: it takes "
            "22 % more time",
        ),
        (
            {"ratio": Estimate(0.8, 0.7, 0.9), "watts_ratio": 1.02, "seconds_ratio": 0.78},
            "B uses 20 % less energy per call than A [−30, −10], although it draws 2 % more power: it takes "
            "22 % less time",
        ),
        ({"watts_ratio": 0.9901}, "B uses 20 % more energy per call than A [+10, +30]"),
        ({"watts_ratio": 1.0}, "B uses 20 % more energy per call than A [+10, +30]"),
    ],
)
def test_a_verdict_in_words(known: dict[str, Any], text: str) -> None:
    assert str(verdict(**known)) == text


@pytest.mark.parametrize(
    ("half", "text"),
    [
        (0.0101, "+50 % [+49, +51]"),
        (0.0099, "+50.0 % [+49.0, +51.0]"),
        (0.00101, "+50.0 % [+49.9, +50.1]"),
        (0.00099, "+50.00 % [+49.90, +50.10]"),
    ],
)
def test_an_interval_has_as_many_digits_as_it_allows(half: float, text: str) -> None:
    assert percents(Estimate(1.5, 1.5 - half, 1.5 + half)) == text


def two(**known: Any) -> list[Run]:
    """Two arms of four runs of 10 s; what is known is of the last run."""
    runs = [run(arm, pair, 10.0 + 0.01 * pair) for pair in range(4) for arm in "AB"]
    return [*runs[:-1], runs[-1]._replace(**known)]


@pytest.mark.parametrize(
    ("runs", "options", "note"),
    [
        (two(), {}, None),
        (two(seconds=10.0), {}, None),
        (two(seconds=9.9), {}, "runs of 9.9 s are short: from 10 s on they differ less"),
        (two(after=HERE._replace(celsius=60.0)), {}, None),
        (
            [*two(after=HERE._replace(celsius=60.0)), run("A", 4, 10.0, after=HERE._replace(celsius=50.0))],
            {},
            None,
        ),
        (
            [*two(after=HERE._replace(celsius=60.4)), run("A", 4, 10.0, after=HERE._replace(celsius=50.0))],
            {},
            "the board was at 50 to 60 °C",
        ),
        (two(after=HERE._replace(throttled=0)), {}, None),
        (two(after=HERE._replace(throttled=0xF0000)), {}, None),
        *(
            (
                two(after=HERE._replace(throttled=bit)),
                {},
                "the processor was throttled during a run: cool it, or improve its supply",
            )
            for bit in (1, 2, 4, 8, 0x50008)
        ),
        (two(), {"idle": [2.0]}, None),
        (two(), {"idle": [2.0, 2.1]}, None),
        (two(), {"idle": [2.0, 2.11]}, "the idle power was 2.00 to 2.11 W"),
        (two(provenance="manual"), {}, "energy is manual, not measured"),
        (two(coverage=0.9995), {}, None),
        (two(coverage=0.98), {}, "98.0 % of the least covered run was measured"),
    ],
)
def test_what_the_reader_should_know(runs: list[Run], options: dict[str, Any], note: str | None) -> None:
    assert compared(runs, **options).notes == (() if note is None else (note,))


def test_of_many_wild_runs_five_are_named() -> None:
    runs = [run(arm, pair, 10.0 + 0.001 * (pair % 3)) for pair in range(16) for arm in "AB"]
    for number in range(6):
        place = 2 * (number + 4)
        runs[place] = runs[place]._replace(joules=30.0)
    (note,) = compared(runs, paired=False).notes
    assert note == "far from the others: run 5 of A, run 6 of A, run 7 of A, run 8 of A, run 9 of A"


def test_the_first_arm_named_is_the_reference_and_arms_without_runs_are_left_out() -> None:
    found = Comparison(two(), ["B", "C", "A"])
    assert [*found.arms] == ["B", "A"]
    with pytest.raises(SpecError, match="a comparison needs two arms at least; give a second one"):
        Comparison(two(), ["A", "C"])


def test_net_of_idle_is_nothing_where_it_is_nothing() -> None:
    rows = {line[0]: line[1:] for line in compared(two(), idle=[1.0])._lines()}
    assert rows["  net of idle"] == ["0.000150", "0.000150"]
    exact = [run(arm, pair, 10.0) for pair in range(4) for arm in "AB"]
    rows = {line[0]: line[1:] for line in compared(exact, idle=[1.0])._lines()}
    assert rows["  net of idle"] == ["0", "0"]


# Roofline, names, numbers of options ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "roof", "text"),
    [
        ((2e9,), None, "roofline: 2.00 GFLOP a unit"),
        ((2e9, 1e9), None, "roofline: 2.00 GFLOP a unit, 2.00 FLOP/B"),
        ((2e9, 1e9, 8e9), None, "roofline: 2.00 GFLOP a unit, 2.00 FLOP/B"),
        ((2e9, 1e9, None, 3e9), None, "roofline: 2.00 GFLOP a unit, 2.00 FLOP/B"),
        ((2e9, None, 8e9, 3e9), None, "roofline: 2.00 GFLOP a unit"),
        (
            (2e9, 1e9, 8e9, 3e9),
            6e9,
            "roofline: 2.00 GFLOP a unit, 2.00 FLOP/B, the roof is 6.00 GFLOP/s by the board's memory",
        ),
        (
            (2e9, 1e9, 6e9, 3e9),
            6e9,
            "roofline: 2.00 GFLOP a unit, 2.00 FLOP/B, the roof is 6.00 GFLOP/s by the board's arithmetic",
        ),
        (
            (2e9, 1e9, 5e9, 3e9),
            5e9,
            "roofline: 2.00 GFLOP a unit, 2.00 FLOP/B, the roof is 5.00 GFLOP/s by the board's arithmetic",
        ),
    ],
)
def test_a_roof_needs_all_of_its_limits(
    known: tuple[float | None, ...], roof: float | None, text: str
) -> None:
    line = Roofline(*known)  # type: ignore[arg-type]
    assert (line.roof, str(line)) == (roof, text)
    assert line.share(0.5) == (None if roof is None else pytest.approx(4e9 / roof))


def test_the_options_of_a_roofline() -> None:
    assert roofline_of(None) is None
    assert roofline_of(2.0, 4.0, 0.5, 0.25) == (2.0, 4.0, 5e8, 2.5e8)
    assert roofline_of(2.0) == (2.0, None, None, None)
    for options in ((None, 1.0), (None, None, 1.0), (None, None, None, 1.0)):
        with pytest.raises(SpecError, match="a roofline needs the operations of one unit; give --flops"):
            roofline_of(*options)
    with pytest.raises(SpecError, match="--peak-gbytes needs the memory traffic of one unit; give --bytes"):
        roofline_of(2.0, None, 0.5, 0.25)


def test_the_letters_of_arms() -> None:
    assert [letter(number) for number in (0, 1, 25, 26, 27, 51, 52)] == [
        "A",
        "B",
        "Z",
        "A1",
        "B1",
        "Z1",
        "A2",
    ]


def test_functions_with_one_name_or_none_have_letters() -> None:
    def one() -> None: ...

    assert _titles([one, max]) == ["one", "max"]
    assert _titles([one, one]) == ["A", "B"]
    assert _titles([one, lambda: None]) == ["A", "B"]


@pytest.mark.parametrize(
    ("values", "counts", "spread"),
    [
        ([7], [2, 3], [7] * 5),
        ([7, 8], [2, 3], [7, 7, 8, 8, 8]),
        ([1, 2, 3, 4, 5], [2, 3], [1, 2, 3, 4, 5]),
        ([7, 8], [1, 1], [7, 8]),
    ],
)
def test_one_value_for_each_recording(values: list[int], counts: list[int], spread: list[int]) -> None:
    assert _spread("--per", values, counts) == spread


@pytest.mark.parametrize("values", [[1, 2, 3], [1] * 6, [1] * 4, []])
def test_another_number_of_values(values: list[int]) -> None:
    with pytest.raises(SpecError) as failure:
        _spread("--per", values, [2, 3])
    assert str(failure.value) == (
        f"--per is given {len(values)} times for 2 arms with 5 recordings: give it once, once for each "
        "arm, or "
        "once for each recording"
    )


# Commands -------------------------------------------------------------------------------------------------


def printed(text: str, **searched: str) -> Work:
    patterns = {name: pattern(value, f"--{name}") for name, value in searched.items()}
    return command(["printf", text], **patterns)()


def test_what_a_command_printed_is_searched_for_the_last_number() -> None:
    text = "n=3\nn=4\nacc 0.5\nacc 0.75\n"
    assert printed(text) == (None, None)
    assert printed(text, units=r"n=(\d+)") == (4.0, None)
    assert printed(text, metric=r"^acc (.*)$") == (None, 0.75)
    assert printed(text, units=r"\d(?=\nn)", metric=r"acc (.*)") == (3.0, 0.75)
    assert printed("7", units=r"\d") == (7.0, None)


def test_what_a_command_did_not_print_is_named() -> None:
    with pytest.raises(SpecError) as failure:
        printed("nothing here", units="x=(.)")
    assert str(failure.value) == (
        "the output of `printf 'nothing here'` has no number where 'x=(.)' matches; correct the pattern"
    )


@pytest.mark.parametrize(
    ("script", "code", "text"),
    [
        ("exit 1", 1, "failed with exit code 1; run"),
        ("exit 255", 255, "failed with exit code 255; run"),
        ("echo first >&2; echo last >&2; exit 3", 3, "failed with exit code 3: last; run"),
        ("kill -TERM $$", 143, "failed with exit code -15; run"),
        (f"echo {'x' * 201} >&2; exit 3", 3, f"failed with exit code 3: {'x' * 200}; run"),
    ],
)
def test_a_command_that_fails_says_why(script: str, code: int, text: str) -> None:
    with pytest.raises(CommandFailed) as failure:
        command(["sh", "-c", script])()
    assert failure.value.exit_code == code
    assert str(failure.value).endswith(f"` {text} it by itself first")


# Measuring in turns ---------------------------------------------------------------------------------------


def test_the_usual_protocol() -> None:
    assert Protocol() == (10, 10.0, 1, None, 0.0, None, None, 0, "run", "")


@pytest.mark.parametrize(
    ("name", "least"), [("runs", 1), ("min_seconds", 0.0), ("warmup", 0), ("cooldown", 0.0), ("idle", 0.0)]
)
def test_the_numbers_of_a_protocol(name: str, least: float) -> None:
    for value in (least, 999_999_999):
        Protocol(**{name: value}).check()
    for value in (least - 1, 1e9, 1e10, math.nan):
        if name == "idle" and value == -1:
            assert least - 1 == value
        with pytest.raises(SpecError) as failure:
            Protocol(**{name: value}).check()
        assert str(failure.value) == f"{name} must be from {least} to 1e9, not {value!r}"


class Measured:
    """The calls of two arms, in their order."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.progress: list[tuple[int, int, str]] = []

    def arm(self, name: str, **known: Any) -> Arm:
        def call() -> Work:
            self.calls.append(name)
            return Work(metric=len(self.calls))

        return Arm(name, name, call, before=lambda: self.calls.append(f"before {name}"), **known)

    def measure(
        self, over: Callable[[Any], bool] = lambda runs: False, **known: Any
    ) -> tuple[list[Run], list[float]]:
        protocol = Protocol(**{"runs": 2, "min_seconds": 0.0, "idle": 0.0, **known})
        return measure_arms(
            [self.arm("A"), self.arm("B", per=3.0)],
            protocol,
            EnergyMeter("manual:5V,0.6A", linger=0),
            progress=lambda *given: self.progress.append(given),
            over=over,
        )


def test_each_run_is_prepared_announced_and_made() -> None:
    measured = Measured()
    prepared = measured.calls
    runs, idle = measured.measure(warmup=1, prepare=lambda: prepared.append("prepare"))
    order = [one.arm for one in runs]
    assert sorted(order[:2]) == ["A", "B"]
    assert order[2:] == order[1::-1], "mirrored"
    assert measured.calls == [*itertools.chain.from_iterable(
        (f"before {name}", "prepare", name) for name in ("A", "B", *order)
    )]  # fmt: skip
    assert measured.progress == [
        (0, 4, "warmup A"),
        (0, 4, "warmup B"),
        *((n, 4, arm) for n, arm in enumerate(order)),
    ]
    assert {one.arm: one.units for one in runs} == {"A": 1.0, "B": 3.0}
    assert all(one.metric is not None for one in runs)
    assert idle == []


def test_it_ends_with_what_is_known_where_it_is_over() -> None:
    measured = Measured()
    runs, _ = measured.measure(warmup=0, over=lambda runs: len(runs) >= 3)
    assert len(runs) == 3


def test_idle_power_is_measured_before_each_block_and_at_the_end() -> None:
    measured, slept = Measured(), []
    runs, idle = measured.measure(runs=4, idle=0.02, warmup=0)
    assert idle == pytest.approx([3.0] * 3, rel=0.01)
    assert len(runs) == 8
    assert slept == []


def test_a_twentieth_of_the_least_time_is_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    sleep = interleaved.time.sleep
    monkeypatch.setattr(interleaved.time, "sleep", lambda seconds: (slept.append(seconds), sleep(seconds))[1])
    Measured().measure(runs=1, idle=None, min_seconds=0.4, warmup=0)
    assert slept.count(0.4 / 20) == 2


def test_arms_of_one_name_are_refused() -> None:
    meter = EnergyMeter("manual:5V,0.6A", linger=0)
    arms = [Measured().arm("A"), Measured().arm("A")]
    for given, text in (
        (arms, "arms need different names, not A, A; give names"),
        ([], "arms need different names, not ; give names"),
    ):
        with pytest.raises(SpecError) as failure:
            measure_arms(given, Protocol(min_seconds=0.0), meter)
        assert str(failure.value) == text
    runs, _ = measure_arms(arms[:1], Protocol(runs=1, min_seconds=0.0, idle=0.0), meter)
    assert len(runs) == 1


# What is kept of a run ------------------------------------------------------------------------------------

KNOWN = run("A", 0, 10.0, components=(Component("gain", 0.1, "x", True),), started=5.0, metric=0.5)


@pytest.mark.parametrize(
    ("key", "right", "wrong"),
    [
        ("units", [1e-12, 1e15], [0, 9e-13, 1.1e15, -1]),
        ("seconds", [1e-12, 1e15], [0, 9e-13, 1.1e15]),
        ("joules", [1e-15, 1e15], [0, 9e-16, 1.1e15]),
        ("measured_seconds", [1e-12, 1e15], [0, 9e-13, 1.1e15]),
        ("coverage", [1e-9, 1, 1.0], [0, 9e-10, 1.0000001]),
        ("coulombs", [None, -1e15, 1e15, 0], [1.1e15, -1.1e15, "1"]),
        ("started", [None, -1e15, 1e15], [1.1e15, -1.1e15]),
        ("metric", [None, -1e15, 1e15], [1.1e15, -1.1e15]),
        ("pair", [0, 1, 99_999], [-1, 100_000, 1.0, None]),
        ("arm", ["", "x" * 100_000], ["x" * 100_001, 1, None]),
        ("provenance", ["measured", "manual", "modelled", "simulated"], ["", "other"]),
        ("place", ["rail", "wall", "die", "cell"], ["", "other"]),
        (
            "components",
            [[], [["gain", -1e15, "x", False]]],
            [[["gain", 1.1e15, "x", True]], [["gain", 1, "x", 1]]],
        ),
    ],
)
def test_the_limits_of_a_run_that_is_read(key: str, right: list[Any], wrong: list[Any]) -> None:
    for value in right:
        found = Run.from_dict({**KNOWN.to_dict(), key: value})
        assert found == KNOWN._replace(**{key: value}) or key == "components"
    for value in wrong:
        with pytest.raises((TypeError, ValueError)):
            Run.from_dict({**KNOWN.to_dict(), key: value})


def usage(joules: float = 10.0, coverage: float = 1.0, **known: Any) -> Usage:
    return Usage(
        10.0, joules, 2.0, 5.0, 1.0, 10.0 * coverage, "measured", "rail", ("x",), (10.0 * coverage,)
    )._replace(**known)


@pytest.mark.parametrize("units", [0.0, -1.0, math.inf, math.nan])
def test_a_run_has_units(units: float) -> None:
    assert Run.of(usage(), arm="A", program="a", workload="", pair=0, unit="call", units=1e-9).units == 1e-9
    with pytest.raises(NotMeasured) as failure:
        Run.of(usage(), arm="A", program="a", workload="", pair=0, unit="call", units=units)
    assert str(failure.value) == (
        f"a run of {units:g} units has no energy per unit; check --per or --units-regex"
    )


@pytest.mark.parametrize(("joules", "coverage"), [(0.0, 1.0), (-1.0, 1.0), (10.0, 0.0), (0.0, 0.0)])
def test_a_run_has_energy(joules: float, coverage: float) -> None:
    with pytest.raises(NotMeasured) as failure:
        Run.of(usage(joules, coverage), arm="A", program="a", workload="", pair=0, unit="call", units=1.0)
    assert str(failure.value) == f"a run of A used {joules:g} J, which has no ratio; measure longer runs"


def test_what_was_not_measured_of_a_run_counts_as_the_mean() -> None:
    half = Run.of(usage(10.0, 0.5), arm="A", program="a", workload="", pair=0, unit="call", units=4.0)
    assert (half.watts, half.joules_per_unit, half.seconds_per_unit) == (2.0, 5.0, 2.5)
    bare = Run.of(usage(coulombs=None), arm="A", program="a", workload="", pair=0, unit="call", units=4.0)
    assert bare.coulombs is None


def test_a_baseline_has_runs(tmp_path: Path) -> None:
    path = tmp_path / "base.json"
    save_baseline(path, [KNOWN])
    assert [*load_baseline(path)] == [KNOWN]
    with pytest.raises(LogError, match="exists; name another file, or use --force"):
        save_baseline(path, [KNOWN])
    save_baseline(path, [], force=True)
    with pytest.raises(LogError, match="holds 0 runs; save one with --save-baseline"):
        load_baseline(path)


def test_a_folder_is_read_in_the_order_of_its_times(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "runs", {"arms": [["A", "a", 1.0]]})
    with pytest.raises(LogError) as failure:
        load_folder(folder.path)
    assert str(failure.value) == f"{folder.path} holds no run; measure with --out {folder.path}"
    for number in (2, 0, 10):
        folder.keep(number, KNOWN._replace(pair=number))
        folder.keep_idle(number, float(number))
    kept = load_folder(folder.path)
    assert (kept.arms, kept.idle) == (("A",), (0.0, 2.0, 10.0))
    assert [one.pair for one in kept.runs] == [0, 2, 10]
    with pytest.raises(LogError) as failure:
        Folder(folder.path, {"arms": [["B", "a", 1.0]], "seed": 1})
    assert str(failure.value) == (
        f"{folder.path} holds a comparison with other arms, seed; name a new folder"
    )
    with pytest.raises(LogError, match="with other settings; name a new folder"):
        Folder(folder.path, {})


# Sweeps ---------------------------------------------------------------------------------------------------


def setting(joules: float, seconds: float = 1.0, metric: float | None = None) -> Setting:
    return Setting({"n": "1"}, 1, joules, None, seconds, 1.0, metric, None, None, None, False, None)


@pytest.mark.parametrize(
    ("a", "b", "better"),
    [
        (setting(1.0), setting(2.0), True),
        (setting(1.0), setting(1.0), False),
        (setting(2.0), setting(1.0), False),
        (setting(1.0, 2.0), setting(2.0, 1.0), False),
        (setting(1.0, 1.0), setting(1.0, 2.0), True),
        (setting(1.0, 2.0), setting(1.0, 1.0), False),
        (setting(1.0, 2.0, 0.9), setting(1.0, 1.0, 0.8), True),
        (setting(1.0, 1.0, 0.8), setting(1.0, 2.0, 0.9), False),
        (setting(1.0, 1.0, 0.8), setting(2.0, 1.0, 0.9), False),
        (setting(1.0, 1.0, 0.9), setting(2.0, 1.0, 0.9), True),
        (setting(1.0, 2.0, 0.9), setting(1.0, 1.0), False),
        (setting(1.0, 2.0), setting(1.0, 1.0, 0.9), False),
        (setting(1.0, 1.0, 0.0), setting(1.0, 1.0, -0.5), True),
    ],
)
def test_which_of_two_settings_is_better(a: Setting, b: Setting, better: bool) -> None:
    assert _better(a, b) is better


def swept(metrics: list[float | None]) -> Sweep:
    runs = [run(f"n={n}", 0, 10.0 + n, metric=metric) for n, metric in enumerate(metrics)]
    return Sweep(runs, {f"n={n}": {"n": str(n)} for n in range(len(metrics))})


def test_the_best_of_some_tries_has_its_ends() -> None:
    sweep = swept([1.0, 3.0, None, 2.0])
    assert (sweep.best_of(1), sweep.best_of(3)) == (pytest.approx(2.0), 3.0)
    assert sweep.best_of(2) == pytest.approx((2 + 3 + 3) / 3)
    for tries in (0, 4, -1):
        with pytest.raises(
            SpecError, match="3 settings have a metric; give a number of tries from 1 to that"
        ):
            sweep.best_of(tries)


def test_so_many_settings_are_the_most() -> None:
    assert len(_settings({"a": range(100), "b": range(100)})) == 10_000
    with pytest.raises(SpecError, match="10001 settings are too many; give at most 10000"):
        _settings({"a": range(10_001)})
    for grid in ({}, {"a": []}, {"a": [1], "b": []}):
        with pytest.raises(SpecError, match="a sweep needs axes with values; give --over bits=4,8,16"):
            _settings(grid)


def test_the_mean_and_the_spread_of_a_setting() -> None:
    runs = [run("n=1", 0, 200.0), run("n=1", 1, 400.0), run("n=2", 0, 400.0)]
    sweep = Sweep(runs, {"n=1": {"n": "1"}, "n=2": {"n": "2"}, "n=3": {"n": "3"}}, complete=False)
    first, second = sweep.settings
    assert (first.joules_per_unit, first.spread) == (3.0, pytest.approx(math.sqrt(2) / 3))
    assert (second.joules_per_unit, second.spread) == (4.0, None)
    assert (first.watts, first.seconds_per_unit) == (30.0, 0.1)
    assert (first.ratio, second.ratio) == (None, None), "the second lacks a run"
    assert str(sweep).endswith("\nended early: 2 of 3 settings measured")
    assert repr(sweep) == "Sweep(2 settings, 1 worth having)"
    with pytest.raises(NotMeasured, match="nothing of the sweep was measured; give it more time or joules"):
        Sweep([], {"n=1": {"n": "1"}})


@pytest.mark.parametrize(
    ("limits", "made", "complete"),
    [
        ({}, 4, True),
        ({"minutes": 0}, 0, False),
        ({"minutes": 1.0}, 4, True),
        ({"budget_joules": 1e-9}, 1, False),
        ({"budget_joules": 1e9}, 4, True),
        ({"minutes": 1.0, "budget_joules": 1e-9}, 1, False),
    ],
)
def test_a_sweep_ends_with_what_it_may_use(limits: dict[str, float], made: int, complete: bool) -> None:
    def it() -> Sweep:
        return run_sweep(
            {"n": [1, 2]},
            lambda setting: ("it", lambda: Work()),
            Protocol(runs=2, min_seconds=0.001, idle=0.0, warmup=0),
            EnergyMeter("manual:5V,0.6A", linger=0),
            **limits,
        )

    if not made:
        with pytest.raises(NotMeasured):
            it()
        return
    sweep = it()
    assert (len(sweep.runs), sweep.complete) == (made, complete)


def test_minutes_of_a_sweep_are_sixty_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    from energymeter.comparison import sweeping

    seen: list[float] = []

    def measure(
        arms: Any, protocol: Any, meter: Any, folder: Any, *, over: Callable[[Any], bool], **_: Any
    ) -> Any:
        for now in (59.9, 60.0):
            clock[0] = now
            seen.append(over([]))
        return [run("n=1", 0, 10.0)], []

    clock = [0.0]
    monkeypatch.setattr(sweeping, "measure_arms", measure)
    monkeypatch.setattr(sweeping.time, "monotonic", lambda: clock[0])
    run_sweep(
        {"n": [1]}, lambda setting: ("it", Work), Protocol(runs=2), EnergyMeter("manual:5V,0.6A"), minutes=1
    )
    assert seen == [False, True]
