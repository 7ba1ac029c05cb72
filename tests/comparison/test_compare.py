"""`compare` and its command, end to end with a real meter; what is recorded elsewhere, by hand arithmetic."""

import functools
import itertools
import json
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from devices.processes import until
from devices.sysfs import Sysfs
from devices.terminal import in_pipe, in_process, started

from energymeter import EnergyMeter, compare
from energymeter.comparison import Interrupted
from energymeter.comparison.interleaved import title_of
from energymeter.comparison.recorded import compare_recordings
from energymeter.comparison.schedule import schedule
from energymeter.errors import LogError, NotMeasured, SpecError
from energymeter.meter.conditions import celsius
from energymeter.reading import Band, Facts
from energymeter.recordings.record import RecordedSpans
from energymeter.recordings.trace import Trace

QUICK: dict[str, Any] = {"source": "manual:5V,0.6A", "min_seconds": 0.02, "idle": 0.02}
COMMAND = (
    "compare",
    "--source",
    "manual:5V,0.6A",
    "--rate",
    "200",
    "--min-seconds",
    "0.02",
    "--idle",
    "0.01",
)
COMMAND += ("--warmup", "0", "--anyway")
"""Anyway, because a busy machine may make such short runs too short."""


def rest() -> None:
    time.sleep(0.012)


def rest_less() -> None:
    time.sleep(0.005)


# The order ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arms", [2, 3, 5])
def test_a_block_and_its_mirror_image_have_the_same_mean_time(arms: int) -> None:
    turns = list(schedule(arms, 8, seed=3))
    assert [turn.number for turn in turns] == list(range(8 * arms))
    for block in range(4):
        within = [turn for turn in turns if turn.pair // 2 == block]
        means = {arm: sum(t.number for t in within if t.arm == arm) / 2 for arm in range(arms)}
        assert len(set(means.values())) == 1
    assert len({tuple(t.arm for t in turns if t.pair == pair) for pair in range(0, 8, 2)}) > 1, "at random"


def test_more_runs_only_append_and_the_seed_decides() -> None:
    assert list(schedule(3, 20, 1))[:18] == list(schedule(3, 6, 1))
    assert list(schedule(2, 20, 1)) != list(schedule(2, 20, 2))


# Functions ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_two_functions() -> None:
    result = compare(rest, rest_less, runs=6, per=10, unit="inference", **QUICK)
    assert [row.arm for row in result.rows] == ["rest", "rest_less"]
    assert result.idle == pytest.approx([3.0] * 4)
    assert {run.unit for run in result.runs} == {"inference"}
    assert result.rows[0].seconds_per_unit >= 0.0012
    assert result.rows[0].watts == pytest.approx(3.0)


def test_a_partial_function_has_the_name_of_its_function() -> None:
    doubled = functools.partial(functools.partial(test_two_functions, 1), 2)
    assert title_of(doubled) == title_of(test_two_functions) == "test_two_functions"


def test_units_may_be_what_a_call_returned() -> None:
    result = compare(lambda: 3, lambda: 6, runs=1, per=float, names=("three", "six"), **QUICK)
    assert [run.units % 3 for run in result.runs] == [0, 0]
    with pytest.raises(NotMeasured, match="0 units"):
        compare(lambda: 0, lambda: 0, runs=1, per=float, names=("a", "b"), **QUICK)


@pytest.mark.parametrize(
    ("functions", "options", "says"),
    [
        ((rest,), {}, "second one"),
        ((rest, rest), {"names": ("a",)}, "one for each"),
        ((rest, rest), {"names": ("a", "a")}, "different names"),
        ((rest, rest), {"rnus": 3}, "no option 'rnus'"),
        ((rest, rest), {"runs": 0}, "runs must be"),
        ((rest, rest), {"idle": float("nan")}, "idle must be"),
    ],
)
def test_what_makes_no_sense_is_refused(functions: Any, options: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        compare(*functions, **{**QUICK, **options})


def test_what_only_prepares_its_work_is_not_measured() -> None:
    async def answer() -> int:
        return 1

    def stream() -> Iterator[int]:
        yield 1

    for function in (answer, stream):
        with pytest.raises(SpecError, match="which has not run yet; measure `lambda: "):
            compare(rest, function, runs=1, **QUICK)
    compare(stream, stream, runs=1, per=lambda items: len(list(items)), names=("a", "b"), **QUICK)


def test_an_exception_of_a_function_passes_untouched() -> None:
    def fails() -> None:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        compare(rest, fails, runs=2, **QUICK)


@pytest.mark.slow
def test_prepare_comes_before_each_run_and_is_not_measured() -> None:
    prepared: list[int] = []
    result = compare(
        rest, rest_less, runs=2, warmup=1, prepare=lambda: (prepared.append(1), time.sleep(0.05)), **QUICK
    )
    assert len(prepared) == 6
    assert max(run.seconds for run in result.runs) < 0.05


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_measured_and_the_same_call_continues(tmp_path: Path) -> None:
    calls: list[int] = []

    def interrupted() -> None:
        calls.append(1)
        rest()  # long enough to be measured next to a busy machine
        if len(calls) == 4:
            raise KeyboardInterrupt

    options = {**QUICK, "min_seconds": 0.0, "names": ("A", "B"), "warmup": 0, "runs": 4, "out": tmp_path}
    with pytest.raises(Interrupted) as stopped:
        compare(interrupted, rest, **options)
    kept = stopped.value.runs
    assert 4 <= len(kept) < 8
    assert len(list(tmp_path.glob("run-*.json"))) == len(kept)
    result = compare(interrupted, rest, **options)
    assert result.runs[: len(kept)] == tuple(kept)
    assert len(result.runs) == 8
    before = len(calls)
    assert compare(interrupted, rest, **options).runs == result.runs
    assert len(calls) == before, "nothing is measured twice"
    with pytest.raises(LogError, match="other"):
        compare(rest_less, rest, **options)


def test_the_meter_is_released_in_any_case() -> None:
    meter = EnergyMeter("manual:5V,0.6A")
    with pytest.raises(ZeroDivisionError):
        compare(rest, lambda: 1 / 0, **{**QUICK, "source": meter}, names=("a", "b"))
    assert "closed" in repr(meter)


# Commands -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_two_commands(tmp_path: Path) -> None:
    done = in_pipe(
        *COMMAND, "--runs", "6", "--out", str(tmp_path / "f"), "--unit", "inference", "--json", "--",
        "sleep", "0.06", "---", "sleep", "0.01",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["verdicts"][0]["ratio"]["value"] < 0.8
    assert result["arms"][0]["program"] == "sleep 0.06"
    assert len(list((tmp_path / "f").glob("run-*.json"))) == 12
    assert "12 of 12 runs are kept in" in done.stderr


def test_three_runs_are_refused_by_the_exit_code_too(tmp_path: Path) -> None:
    done = in_process(
        *COMMAND, "--runs", "3", "--out", str(tmp_path / "f"), "--", "sleep", "0.06", "---", "sleep", "0.01"
    )
    assert done.returncode == 14
    assert "not enough runs: 3 of at least 4 per arm (6 pairs)" in done.stdout


def test_units_are_read_from_the_output(tmp_path: Path) -> None:
    done = in_process(
        *COMMAND, "--runs", "1", "--json", "--out", str(tmp_path / "f"), "--units-regex", r"(\d+) tokens",
        "--unit", "token", "--", "echo", "7 tokens", "---", "echo", "of 9 tokens",
    )  # fmt: skip
    assert done.returncode == 14
    units = [run["units"] for run in json.loads(done.stdout)["runs"]]
    assert sorted(n % 7 == 0 or n % 9 == 0 for n in units) == [True, True]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("sh", "-c", "echo why >&2; exit 3", "---", "true"), 3, "failed with exit code 3: why; run it"),
        (("sh", "-c", "kill -9 $$", "---", "true"), 137, "exit code -9"),
        (("nosuchcommand", "---", "true"), 2, "cannot be run"),
        (("true",), 2, "nothing to be compared"),
        (("true", "---"), 2, "nothing before or after"),
    ],
)
def test_what_cannot_be_compared_ends_with_a_sentence(
    arguments: tuple[str, ...], code: int, says: str, tmp_path: Path
) -> None:
    done = in_process(*COMMAND, "--runs", "1", "--out", str(tmp_path / "f"), "--", *arguments)
    assert done.returncode == code, done.stderr
    assert says in done.stderr


def test_a_baseline_is_kept_and_compared_with(tmp_path: Path) -> None:
    base = str(tmp_path / "base.json")
    saved = in_process(
        *COMMAND, "--runs", "5", "--out", str(tmp_path / "a"), "--save-baseline", base, "--", "sleep", "0.03"
    )
    assert saved.returncode == 0, saved.stderr
    now = in_process(
        *COMMAND, "--runs", "5", "--out", str(tmp_path / "b"), "--baseline", base, "--", "sleep", "0.01"
    )
    assert now.returncode == 0, now.stdout + now.stderr
    assert "now/baseline = 0." in now.stdout
    assert "measured at another time" in now.stdout
    other = in_process(
        *COMMAND,
        "--runs",
        "5",
        "--unit",
        "token",
        "--out",
        str(tmp_path / "c"),
        "--baseline",
        base,
        "--",
        "true",
    )
    assert "(although the arms have different units (run, token)" in other.stdout


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_an_interrupted_command_continues_with_its_folder(number: signal.Signals, tmp_path: Path) -> None:
    out = tmp_path / "f"
    words = (
        *COMMAND,
        "--runs",
        "4",
        "--out",
        str(out),
        "--json",
        "--",
        "sleep",
        "0.1",
        "---",
        "sleep",
        "0.08",
    )
    process = started(*words)
    until(lambda: list(out.glob("run-*.json")))
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    kept = len(list(out.glob("run-*.json")))
    if process.returncode != 130:  # it had finished
        pytest.skip(f"this machine was too slow to interrupt it: {err}")
    assert re.search(r"interrupted: the same command with --out .* continues", err), err
    again = in_pipe(*words)
    assert again.returncode == 0, again.stderr
    assert len(json.loads(again.stdout)["runs"]) == 8 > kept


# Recordings -----------------------------------------------------------------------------------------------


def window(folder: Path) -> tuple[Path, float, float, float]:
    """The official window of a recorded MLPerf run: its log, start and end in s from it, and inferences."""
    from datetime import datetime

    def seconds(text: str, start: str) -> float:
        form = "%m-%d-%Y %H:%M:%S.%f"
        return (datetime.strptime(text, form) - datetime.strptime(start, form)).total_seconds()

    log = folder / "spl.txt"
    first = log.read_text().splitlines()[0].split(",")[1]
    edges = json.loads((folder / "window.json").read_text())
    summary = (folder / "mlperf_log_summary.txt").read_text()
    qps = re.search(r"QPS w/o loadgen overhead\s*:\s*([\d.]+)", summary)
    start, end = (seconds(edges[key], first) for key in ("power_begin", "power_end"))
    assert qps is not None
    return log, start, end, float(qps[1]) * (end - start)


def by_hand(log: Path, start: float, end: float) -> float:
    """Mean of the watts between, times the time: no code of ours."""
    from datetime import datetime

    rows = [line.split(",") for line in log.read_text().splitlines()]
    times = [datetime.strptime(row[1], "%m-%d-%Y %H:%M:%S.%f") for row in rows]
    watts = [
        float(row[3])
        for row, at in zip(rows, times, strict=True)
        if start <= (at - times[0]).total_seconds() <= end
    ]
    return sum(watts) / len(watts) * (end - start)


@pytest.mark.parametrize("kind", ["run_1", "ranging"])
def test_float_and_int8_agree_with_hand_arithmetic(kind: str, shared_data: Path) -> None:
    folder = shared_data / "traces/mlperf_inference_rpi4"
    pair = [window(folder / f"mobilenet-v1-{name}-{kind}") for name in ("non-quantized", "quantized")]
    result = compare_recordings(
        [[str(log)] for log, *_ in pair],
        names=("float", "int8"),
        load=Trace.load,
        per=[inferences for *_, inferences in pair],
        spans=[(start, end) for _, start, end, _ in pair],
        unit="inference",
    )
    joules = [by_hand(log, start, end) / inferences for log, start, end, inferences in pair]
    verdict = result.verdict
    assert verdict.ratio is not None
    assert verdict.ratio.value == pytest.approx(joules[1] / joules[0], abs=0.001)
    assert verdict.ratio.low < joules[1] / joules[0] < verdict.ratio.high
    assert verdict.change is not None
    assert "in these two recordings; how much runs differ is unknown" in str(verdict)


def test_one_recording_each_proves_no_small_difference(tmp_path: Path) -> None:
    for name, watts in (("a", 5.0), ("b", 5.1)):
        Trace.integrate(range(60), [watts + 0.01 * (i % 3) for i in range(60)]).save(tmp_path / f"{name}.csv")
    done = in_process("compare", str(tmp_path / "a.csv"), str(tmp_path / "b.csv"))
    assert done.returncode == 14
    assert "these two recordings differ by +2.0" in done.stdout


def test_files_of_others_name_no_meter_so_their_names_are_no_difference(tmp_path: Path) -> None:
    for name, watts in (("float.csv", 5), ("int8.csv", 3)):
        (tmp_path / name).write_text("time_s,watts\n" + "".join(f"{i},{watts}.{i % 3}\n" for i in range(60)))
    done = in_process("compare", str(tmp_path / "float.csv"), str(tmp_path / "int8.csv"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "a meter that the file does not name" in done.stdout


def test_several_recordings_an_arm_are_runs(tmp_path: Path) -> None:
    for name, watts in (("a", 5.0), ("b", 4.0)):
        for run in range(4):
            Trace.integrate(range(60), [watts + 0.01 * run] * 60).save(tmp_path / f"{name}{run}.csv")
    a, b = ([str(tmp_path / f"{name}{run}.csv") for run in range(4)] for name in "ab")
    done = in_process("compare", "--span", "10:50", *a, "---", *b)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "B uses 2" in done.stdout or "B uses 19" in done.stdout
    wrong = in_process("compare", "--per", "1", "--per", "2", "--per", "3", *a, "---", *b)
    assert wrong.returncode == 2
    assert "give it once, once for each arm, or once for each recording" in wrong.stderr


def spanned(path: Path, watts: float, seconds: float) -> None:
    """Ten calls of a span at some power, at a pause of 1 W each."""
    times = [number / 100 for number in range(4000)]
    trace = Trace.integrate(times, [watts if at % 2.0 < seconds else 1.0 for at in times])
    windows = tuple((2.0 * call, 2.0 * call + seconds) for call in range(1, 11))
    trace.spans = {"infer": RecordedSpans(10, windows), "other": RecordedSpans(1, ((0.0, 1.0),))}
    trace.save(path)


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_span_is_compared_by_its_name_and_call(where: str, tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in ("a.csv", "b.csv")]
    for path, watts in zip(files, (5.0, 3.0), strict=True):
        spanned(Path(path), watts, 1.0)
    span = ["--span", "infer", "--json"]
    done = in_process("compare", *(span + files if where == "before" else files + span))
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["verdicts"][0]["ratio"]["value"] == pytest.approx(0.6, rel=0.02)
    assert [arm["joules_per_unit"] for arm in found["arms"]] == pytest.approx([5.0, 3.0], rel=0.02)
    wrong = in_process("compare", "--span", "nix", *files)
    assert (wrong.returncode, "it has infer, other" in wrong.stderr) == (2, True)


def test_half_the_time_at_the_same_power_is_half_the_energy(tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in ("a.csv", "b.csv")]
    for path, seconds in zip(files, (1.0, 0.5), strict=True):
        spanned(Path(path), 5.0, seconds)
    done = in_process("compare", *files, "--span", "infer", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    (verdict,) = json.loads(done.stdout)["verdicts"]
    assert verdict["change"] == pytest.approx(-0.5, abs=0.02)


def test_of_a_span_that_the_log_holds_in_part_no_units_can_be_given(tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in ("a.csv", "b.csv")]
    for path in files:
        spanned(Path(path), 5.0, 1.0)
        trace = Trace.load(path)
        trace.spans["infer"] = trace.spans["infer"]._replace(n=5000)
        trace.save(path, force=True)
    assert "holds the first 10" in in_process("compare", *files, "--span", "infer").stdout
    wrong = in_process("compare", *files, "--span", "infer", "--per", "100")
    assert (wrong.returncode, "holds 10 of 5000 spans 'infer'" in wrong.stderr) == (2, True)


def test_each_run_begins_after_the_rest_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[float] = []
    sleep = time.sleep
    clock = SimpleNamespace(
        **{**vars(time), "sleep": lambda seconds: rests.append(seconds) if seconds == 7.0 else sleep(seconds)}
    )
    monkeypatch.setattr("energymeter.comparison.interleaved.time", clock)
    before: list[int] = []
    compare(
        lambda: before.append(len(rests)),
        lambda: before.append(len(rests)),
        **{**QUICK, "runs": 2, "warmup": 1, "min_seconds": 0.0, "cooldown": 7.0},
    )
    assert before == [0, 0, 1, 2, 3, 4], "each run rests, and warming up does not"


def test_the_hottest_zone_of_the_kernel_decides(tmp_path: Path) -> None:
    sysfs = Sysfs(tmp_path)
    assert celsius(sysfs.root) is None
    for number, text in enumerate(("48500", "61250", "-274000", "garbage")):
        sysfs.put(f"sys/class/thermal/thermal_zone{number}/temp", text)
    assert celsius(sysfs.root) == 61.25


@pytest.mark.slow
def test_a_run_begins_when_the_board_has_cooled(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[float] = []
    hot = itertools.cycle([70.0, 55.0, 49.0])

    def celsius() -> float:
        shown.append(next(hot))
        return shown[-1]

    monkeypatch.setattr("energymeter.comparison.interleaved.celsius", celsius)
    monkeypatch.setattr("energymeter.comparison.interleaved._COOLING_POLL_SECONDS", 0.0)
    began: list[float] = []
    compare(
        lambda: began.append(shown[-1]),
        lambda: began.append(shown[-1]),
        **{**QUICK, "runs": 2, "warmup": 0, "celsius": 50.0},
    )
    assert set(began) == {49.0}
    assert shown == [70.0, 55.0, 49.0] * 4
    monkeypatch.setattr("energymeter.comparison.interleaved._MOST_COOLING_SECONDS", -1.0)
    with pytest.raises(SpecError, match=r"stays at 70 °C and does not cool to 50 °C; raise --celsius"):
        compare(lambda: None, lambda: None, **{**QUICK, "celsius": 50.0})


def test_without_a_verdict_the_first_reason_is_said(tmp_path: Path) -> None:
    files = []
    for name, watts in (("a", 3.0), ("b", 3.1), ("c", 4.7)):
        trace = Trace.integrate(range(4), [watts] * 4, facts=Facts(watts=Band(0.01)), name="rail")
        trace.save(tmp_path / f"{name}.csv")
        files.append(str(tmp_path / f"{name}.csv"))
    done = in_process("compare", *files)
    assert done.returncode == 14
    assert done.stderr.startswith("energymeter: no verdict: not enough runs: 1 of at least 5 per arm; ")
    assert "+3.33 %" in done.stderr
    assert "+56.7 %" not in done.stderr
