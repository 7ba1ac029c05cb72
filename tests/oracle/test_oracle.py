"""The oracle itself: its arithmetic, whether it finds what is wrong, and that nothing it found comes back."""

import copy
import json
import math
from pathlib import Path

import pytest
from devices.processes import until
from hypothesis import given
from hypothesis import strategies as st

from oracle import steps as s
from oracle.check import Judge
from oracle.emit import emitted, named
from oracle.events import Record
from oracle.faults import FAULTS, NOT_EXPRESSED, Fault
from oracle.generate import program
from oracle.load import Load, Turn, measured
from oracle.play import PATH, play
from oracle.run import SEEDS, kept, verdict_on
from oracle.shrink import shrunk
from oracle.simulate import LongRun, long_run, simulate
from oracle.truth import Extent, Moments
from oracle.wave import Piece, Wave

_AGAIN = 3
"""Times that a kept program is run, on a machine that may be busy, before it is believed to fail."""

PIECES = st.lists(
    st.tuples(st.floats(0.01, 10.0), st.floats(0.0, 50.0), st.floats(0.0, 50.0)), min_size=1, max_size=6
)


# -- arithmetic --------------------------------------------------------------------------------------


@given(PIECES, st.floats(0.0, 50.0), st.floats(0.0, 30.0), st.floats(0.0, 30.0))
def test_adjoining_windows_of_a_wave_add_up(
    pieces: list[tuple[float, float, float]], start: float, one: float, other: float
) -> None:
    wave = Wave(pieces)
    whole = wave.joules(start, start + one + other)
    parts = wave.joules(start, start + one) + wave.joules(start + one, start + one + other)
    assert whole == pytest.approx(parts, rel=1e-9, abs=1e-9)


@given(PIECES, st.floats(0.0, 50.0), st.floats(0.001, 20.0))
def test_the_integral_of_a_wave_is_the_sum_of_its_power(
    pieces: list[tuple[float, float, float]], start: float, seconds: float
) -> None:
    wave, steps = Wave(pieces), 4000
    width = seconds / steps
    middle = sum(wave.watts(start + (step + 0.5) * width) for step in range(steps)) * width
    jumps = (wave.peak - wave.floor) * width * (2 + len(pieces) * (seconds / wave.period + 1))
    assert wave.joules(start, start + seconds) == pytest.approx(middle, abs=jumps + 1e-9)


@given(PIECES, st.floats(0.0, 50.0), st.floats(0.01, 20.0), st.floats(0.0, 1.0))
def test_any_part_of_a_window_has_more_than_its_least_share_and_less_than_its_most(
    pieces: list[tuple[float, float, float]], start: float, seconds: float, part: float
) -> None:
    wave = Wave(pieces)
    least, most = wave.share(start, start + seconds, part * seconds)
    first = wave.joules(start, start + part * seconds)
    assert least <= first + 1e-6
    assert first <= most + 1e-6


@given(PIECES, st.floats(0.0, 20.0), st.floats(0.001, 2.0), st.floats(0.01, 3.0), st.floats(0.0, 1.0))
def test_no_place_of_a_window_has_more_or_less_energy_than_those_that_are_tried(
    pieces: list[tuple[float, float, float]], start: float, doubt: float, seconds: float, part: float
) -> None:
    level = Wave([(width, watts, watts) for width, watts, _ in pieces])
    window = Extent(Moments(start, start + doubt), Moments(start + seconds, start + doubt + seconds))
    tried = [level.joules(*place) for place in window.placed(seconds, [level])]
    anywhere = level.joules(start + part * doubt, start + part * doubt + seconds)
    assert min(tried) - 1e-6 <= anywhere <= max(tried) + 1e-6


def test_a_wave_repeats() -> None:
    wave = Wave([Piece(1.0, 4.0, 4.0), Piece(3.0, 0.0, 6.0)])
    assert wave.joules(0.0, 4.0) == 13.0
    assert wave.joules(400.5, 404.5) == pytest.approx(13.0)
    assert wave.extremes(1.5, 2.5) == (1.0, 3.0)


# -- the language ------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", range(0, 300, 60))
def test_a_program_is_the_same_for_a_seed_survives_json_and_is_python(first: int) -> None:
    for seed in range(first, first + 60):
        one = program(seed)
        assert one == program(seed), seed
        assert s.Program.from_json(one.to_json()) == one, seed
        text = emitted(one, "/nowhere", PATH, 1.0)
        compile(text, f"program {seed}", "exec")
        names = [name for name, step in named(one.steps).items() if isinstance(step, s.Span)]
        assert all(f"'{name}'" in text for name in names), seed


def test_a_long_run_is_the_same_for_a_seed_and_survives_json() -> None:
    for seed in range(100):
        one = long_run(seed)
        assert one == long_run(seed), seed
        assert LongRun.from_json(one.to_json()) == one, seed


def test_every_step_is_generated() -> None:
    seen = {type(step).__name__ for seed in range(3000) for step in s.walk(program(seed).steps)}
    assert seen == {name for name in s.Step.kinds if not name.startswith("_")}


def test_shrinking_keeps_what_fails_and_drops_the_rest() -> None:
    large = s.Program(
        0,
        (s.MeterSpec((s.SourceSpec(late=1.0), s.SourceSpec())),),
        (s.Sleep(0.1), s.Block((s.Sleep(0.2), s.Threads(((s.Kill(),), (s.Ask(),))), s.Span((s.Sleep(),))))),
        ("crowd",),
    )
    smallest = shrunk(large, lambda one: any(isinstance(step, s.Kill) for step in s.walk(one.steps)), 10.0)
    assert [type(step) for step in s.walk(smallest.steps)] == [s.Block, s.Kill]
    assert smallest.meters == (s.MeterSpec((s.SourceSpec(),)),)
    assert not smallest.where


# -- the judge ---------------------------------------------------------------------------------------

CALM = s.Program(
    0,
    (s.MeterSpec((s.SourceSpec(wave=((1.0, 5.0, 5.0),), hz=20.0),), object=True),),
    (s.Block((s.Span((s.Sleep(0.6),)), s.Span((s.Sleep(0.8),)), s.Sleep(0.1), s.Ask("spans"))),),
)


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """The record of a program in which nothing goes wrong."""
    for _ in range(_AGAIN):  # a busy machine may hold up the readings
        folder = tmp_path_factory.mktemp("calm")
        play(CALM, folder)
        record = Record(CALM, folder)
        usages = [answer.value for answer in record.answers if answer.what == "usage" and not answer.error]
        if usages and usages[0]["coverage"] == 1.0 and not Judge(record).judge().findings:
            break
    return record


def codes(record: Record) -> set[str]:
    return {finding.code for finding in Judge(record).judge().findings}


def changed(record: Record, what: str, change: object) -> Record:
    """The record with another answer."""
    other = copy.copy(record)
    other.answers = [
        answer._replace(value=change(copy.deepcopy(answer.value)))  # type: ignore[operator]
        if answer.what == what and answer.error is None
        else answer
        for answer in record.answers
    ]
    return other


def scaled(name: str, factor: float) -> object:
    def change(value: dict[str, float]) -> dict[str, float]:
        return {**value, name: value[name] * factor}

    return change


@pytest.mark.slow
def test_the_truth_is_no_finding(calm: Record) -> None:
    verdict = Judge(calm).judge()
    assert verdict.findings == []
    assert verdict.figures >= 9  # a busy machine leaves out a span


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "factor", "code"),
    [
        ("joules", 1.06, "usage joules"),
        ("joules", 0.94, "usage joules"),
        ("seconds", 1.3, "usage seconds"),
        ("coverage", 1.01, "usage coverage"),
        ("mean_watts", 1.01, "usage mean_watts"),
        ("peak_watts", 1.2, "usage peak"),
        ("peak_watts", 0.8, "usage peak"),
        ("wh", 1.01, "usage wh"),
    ],
)
def test_a_wrong_usage_is_found(calm: Record, name: str, factor: float, code: str) -> None:
    assert code in codes(changed(calm, "usage", scaled(name, factor)))


@pytest.mark.slow
def test_a_span_too_many_is_found(calm: Record) -> None:
    def one_more(value: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
        value["a"]["n"] += 1
        return value

    assert "span count" in codes(changed(calm, "spans", one_more))


@pytest.mark.slow
def test_a_wrong_statistic_is_found(calm: Record) -> None:
    def diluted(value: dict[str, dict[str, dict[str, dict[str, float]]]]) -> object:
        joules = value["a"]["joules"]["value"]
        joules["total"] /= 2
        joules["mean"] /= 2
        return value

    assert "statistics total" in codes(changed(calm, "spans", diluted))


@pytest.mark.slow
def test_an_error_is_counted_where_nothing_was_wrong(calm: Record) -> None:
    error = {"error": "NotMeasured", "ours": True, "message": "nothing"}
    other = copy.copy(calm)
    other.answers = [
        answer._replace(value=None, error=error) if answer.what == "usage" else answer
        for answer in calm.answers
    ]
    assert Judge(other).judge().refused == 1


@pytest.mark.slow
def test_an_error_of_another_kind_is_a_crash(calm: Record) -> None:
    error = {"error": "TypeError", "ours": False, "message": "NoneType"}
    other = copy.copy(calm)
    other.answers = [answer._replace(value=None, error=error) for answer in calm.answers]
    assert "crash TypeError" in codes(other)


def test_a_program_that_does_not_end_is_found(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text("")
    (tmp_path / "hung.txt").write_text("Timeout (0:00:26)!\n")
    assert codes(Record(CALM, tmp_path)) == {"hang"}


# -- the load ----------------------------------------------------------------------------------------


def test_a_limit_grows_by_the_load_within_its_window_alone() -> None:
    quiet = [Turn(0.01 * n, 0.0, 1) for n in range(100)]
    crowded = [Turn(1.0 + 0.01 * n, 0.0, 8) for n in range(100)]
    late = [Turn(2.0, 0.5, 1), Turn(2.5, 0.25, 1), Turn(2.75, 0.0, 1, 3.0)]
    load = Load([*quiet, *crowded, *late], processors=2)
    assert load.allowed(0.2, 0.2, 0.8) == 0.2
    assert load.allowed(0.2, 1.2, 1.8) == pytest.approx(0.8)
    assert load.allowed(0.2, 2.1, 2.7) == pytest.approx(0.2 + 0.75)
    assert load.allowed(0.2, 2.755, 2.757) == pytest.approx(0.6)
    assert load.late(0.0, 1.9) == 0.0
    assert Load([]).allowed(0.2, 0.0, 10.0) == 0.2


def test_the_load_is_measured_while_a_program_runs(tmp_path: Path) -> None:
    path = tmp_path / "load.txt"
    with measured(path):
        until(lambda: path.exists() and path.read_text().count("\n") > 3)
    turns = Load.read(path)
    assert turns.late(0.0, math.inf) >= 0.0
    assert turns.allowed(1.0, 0.0, math.inf) >= 1.0
    assert not Load.read(tmp_path / "none").late(0.0, math.inf)


# -- what was found ----------------------------------------------------------------------------------

KEPT = sorted(path.stem for path in SEEDS.glob("*.json"))


@pytest.mark.slow
@pytest.mark.parametrize("name", KEPT)
def test_what_was_found_once_is_not_found_again(name: str) -> None:
    for _ in range(_AGAIN):
        verdict = verdict_on(kept(SEEDS / f"{name}.json"))
        if not verdict.findings:
            return
    pytest.fail("\n".join(f"{f.code}: {f.figure}: {f.message}" for f in verdict.findings))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 4, 6])
def test_a_long_run_has_figures_of_every_kind(seed: int) -> None:
    verdict = simulate(long_run(seed))
    assert verdict.figures > 60


def test_kept_programs_are_small_and_named_by_their_fault() -> None:
    assert len(KEPT) > 50
    for name in KEPT:
        text = (SEEDS / f"{name}.json").read_text()
        assert len(text) < 6000
        json.loads(text)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.row)
def test_the_edit_that_puts_a_fault_back_fits_the_code(fault: Fault) -> None:
    assert fault.broken() == []


def test_every_row_has_an_edit_or_a_reason() -> None:
    rows = {row for fault in FAULTS for row in fault.row.split(" (")[0].split()} | set(NOT_EXPRESSED)
    assert rows == {f"W{n}" for n in range(1, 25)} | {f"H{n}" for n in range(1, 23)}
