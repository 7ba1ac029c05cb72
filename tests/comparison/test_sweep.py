"""`sweep`: the grid, the front, the best of k by enumeration, limits, and settings that are restored."""

import csv
import itertools
import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from comparison.simulated_runs import run
from devices.processes import until
from devices.terminal import in_pipe, in_process, started

from energymeter import sweep
from energymeter.comparison.board_axes import BoardAxis, board_axis, restored, set_axis
from energymeter.comparison.comparison import Comparison
from energymeter.comparison.roofline import Roofline, roofline_of
from energymeter.comparison.sweeping import Sweep
from energymeter.errors import LogError, NotMeasured, SourceForbidden, SpecError

QUICK: dict[str, Any] = {"source": "manual:5V,0.6A", "min_seconds": 0.0, "idle": 0.01}
COMMAND = ("sweep", "--source", "manual:5V,0.6A", "--min-seconds", "0.01", "--idle", "0.01", "--runs", "2")


def swept(*points: tuple[float, float | None]) -> Sweep:
    """Joules and metric of each setting."""
    runs = [run(f"n={i}", 0, joules, metric=metric) for i, (joules, metric) in enumerate(points)]
    return Sweep(runs, {f"n={i}": {"n": str(i)} for i in range(len(points))}, roofline=Roofline(1e9))


@pytest.mark.slow
def test_a_function_at_every_setting() -> None:
    seen: list[tuple[int, int]] = []

    def work(bits: int, threads: int) -> float:
        seen.append((bits, threads))
        time.sleep(0.002 * bits)
        return bits / 10

    result = sweep(work, {"bits": [1, 4], "threads": [1, 2]}, runs=2, **QUICK)
    assert {(s.values["bits"], s.values["threads"]) for s in result.settings} == set(
        itertools.product("14", "12")
    )
    assert len(seen) == 8
    assert [s.metric for s in result.settings] == [0.1, 0.1, 0.4, 0.4]
    assert {s.runs for s in result.settings} == {2}


def test_the_front_by_hand() -> None:
    result = swept((10, 0.7), (20, 0.8), (30, 0.75), (20, 0.6), (40, 0.9))
    assert [s.values["n"] for s in result.front] == ["0", "1", "4"]
    assert "worth having" in str(result)


def test_without_a_metric_time_counts() -> None:
    runs = [run("a", 0, 10.0, 4.0), run("b", 0, 20.0, 2.0), run("c", 0, 30.0, 3.0)]
    front = Sweep(runs, {name: {"n": name} for name in "abc"}).front
    assert [s.values["n"] for s in front] == ["a", "b"]


def test_each_setting_is_stated_over_the_least_with_the_interval_of_a_comparison() -> None:
    joules = {"n=0": [20.2, 19.8, 20.1, 20.0], "n=1": [10.1, 9.9, 10.0, 10.05], "n=2": [10.2, 9.8, 10.1, 9.9]}
    runs = [run(label, pair, one) for label, each in joules.items() for pair, one in enumerate(each)]
    alone = run("n=3", 0, 12.0)
    result = Sweep([*runs, alone], {label: {"n": label[2:]} for label in [*joules, "n=3"]}, complete=False)
    by = {setting.values["n"]: setting.ratio for setting in result.settings}
    compared = Comparison([one for one in runs if one.arm != "n=1"], ["n=2", "n=0"])
    assert by["2"] is None, "it uses least"
    assert by["3"] is None, "it lacks runs"
    assert by["0"] == compared.verdict.ratio
    assert by["0"].low > 1
    assert by["1"].low < 1 < by["1"].high
    assert "over the least" in str(result)
    rows = {row["n"]: row for row in result.to_rows()}
    assert (rows["0"]["ratio"], rows["0"]["ratio_low"], rows["0"]["ratio_high"]) == by["0"][:3]
    assert result.to_dict()["settings"][0]["ratio"]["interval"] == [*by["0"][1:3]]


def test_equal_settings_are_both_worth_having() -> None:
    assert len(swept((10, 0.7), (10, 0.7)).front) == 2


@pytest.mark.parametrize("tries", [1, 2, 3, 5])
def test_the_best_of_k_by_enumeration(tries: int) -> None:
    metrics = [0.3, 0.9, 0.5, 0.5, 0.7]
    result = swept(*((1.0, metric) for metric in metrics))
    best = [max(chosen) for chosen in itertools.combinations(metrics, tries)]
    assert result.best_of(tries) == pytest.approx(sum(best) / len(best))
    with pytest.raises(SpecError, match="from 1 to"):
        result.best_of(6)


def test_operations_per_joule() -> None:
    assert swept((50, None)).settings[0].flop_per_joule == pytest.approx(1e9 / 0.5)


@pytest.mark.parametrize(("bytes", "roof_gflops", "limit"), [(4e9, 2.5, "memory"), (1e8, 8.0, "arithmetic")])
def test_the_position_under_the_roof_by_hand(bytes: float, roof_gflops: float, limit: str) -> None:
    roofline = roofline_of(1e9, bytes, peak_gflops=8.0, peak_gbytes=10.0)
    runs = [run("a", 0, 10.0, seconds=100.0)]  # 100 units of 1 s, 1 GFLOP each
    result = Sweep(runs, {"a": {"n": "a"}}, roofline=roofline)
    setting = result.settings[0]
    assert setting.flop_per_second == pytest.approx(1e9)
    assert setting.roof_share == pytest.approx(1 / roof_gflops)
    assert f"{roof_gflops:.3g}" in str(result).replace(".00", "")
    assert f"by the board's {limit}" in str(result)


def test_a_limit_without_what_it_limits_is_refused() -> None:
    with pytest.raises(SpecError, match="give --flops"):
        roofline_of(None, peak_gflops=1.0)
    with pytest.raises(SpecError, match="give --bytes"):
        roofline_of(1e9, None, peak_gbytes=1.0)
    known = roofline_of(1e9, 1e9)
    assert known is not None
    assert known.share(1.0) is None, "no limit of the board is known"


def test_a_budget_ends_it_with_what_is_known() -> None:
    result = sweep(lambda n: time.sleep(0.02), {"n": [1, 2, 3]}, runs=5, budget_joules=0.15, **QUICK)
    assert not result.complete
    assert 0.15 <= sum(one.joules for one in result.runs) < 3.0
    with pytest.raises(NotMeasured, match="more time or joules"):
        sweep(lambda n: None, {"n": [1]}, minutes=0.0, **QUICK)


def test_it_is_saved_as_a_table(tmp_path: Path) -> None:
    result = swept((10, 0.7), (20, 0.8))
    result.save(tmp_path / "s.csv")
    rows = list(csv.DictReader((tmp_path / "s.csv").open()))
    assert [(row["n"], float(row["joules_per_unit"])) for row in rows] == [("0", 0.1), ("1", 0.2)]
    with pytest.raises(LogError, match="exists"):
        result.save(tmp_path / "s.csv")
    with pytest.raises(SpecError, match="neither"):
        result.save(tmp_path / "s.txt")
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed here")
    result.save(tmp_path / "s.parquet")
    assert parquet.read_table(tmp_path / "s.parquet").column("metric").to_pylist() == [0.7, 0.8]


# The board ------------------------------------------------------------------------------------------------


def cpufreq(root: Path) -> list[Path]:
    """The governors of two policies."""
    files = []
    for number, governor in enumerate(("ondemand", "schedutil")):
        folder = root / f"sys/devices/system/cpu/cpufreq/policy{number}"
        folder.mkdir(parents=True)
        (folder / "scaling_governor").write_text(governor + "\n")
        files.append(folder / "scaling_governor")
    return files


def governors(files: list[Path]) -> list[str]:
    return [file.read_text().strip() for file in files]


def test_a_board_axis_is_set_for_each_run_and_restored(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    files = cpufreq(tmp_path)
    seen: list[list[str]] = []
    hook = board_axis("governor", str(tmp_path))
    grid = {"governor": ["powersave", "performance"]}
    result = sweep(lambda: seen.append(governors(files)), grid, board=[hook], runs=2, **QUICK)
    assert sorted(map(tuple, seen)) == [("performance",) * 2] * 2 + [("powersave",) * 2] * 2
    assert governors(files) == ["ondemand", "schedutil"]
    assert not (tmp_path / "data/energymeter/board.json").exists()
    assert len(result.settings) == 2


def processors(root: Path, states: str) -> list[Path]:
    """Folders of processors; the first one cannot be switched off."""
    files = [root / f"sys/devices/system/cpu/cpu{number}/online" for number in range(len(states))]
    for file, state in zip(files, states, strict=True):
        file.parent.mkdir(parents=True)
        if file != files[0]:
            file.write_text(state + "\n")
    return files[1:]


def test_cores_are_switched_off_and_on_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    files = processors(tmp_path, "1101")
    seen: set[str] = set()
    hook = board_axis("cores", str(tmp_path))
    sweep(lambda: seen.add("".join(governors(files))), {"cores": [1, 3]}, board=[hook], runs=1, **QUICK)
    assert seen == {"000", "110"}
    assert governors(files) == ["1", "0", "1"]


def test_a_number_of_cores_that_the_board_has_not(tmp_path: Path) -> None:
    processors(tmp_path, "11")
    hook = board_axis("cores", str(tmp_path))
    for value in ("0", "3", "two"):
        with pytest.raises(SpecError, match=f"cores cannot be '{value}' .this board has 1 to 2"):
            set_axis(hook, value)
    (tmp_path / "sys/devices/system/cpu/cpu1/online").unlink()
    with pytest.raises(SpecError, match="cannot switch processors off"):
        board_axis("cores", str(tmp_path))


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_a_board_axis_is_restored_after_errors(
    error: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    files = cpufreq(tmp_path)

    def fails() -> None:
        assert governors(files) == ["powersave"] * 2
        raise error

    with pytest.raises(error):
        sweep(fails, {"governor": ["powersave"]}, board=[board_axis("governor", str(tmp_path))], **QUICK)
    assert governors(files) == ["ondemand", "schedutil"]


def test_what_a_killed_sweep_left_is_restored_by_the_next_one(tmp_path: Path) -> None:
    files = cpufreq(tmp_path)
    hook = board_axis("governor", str(tmp_path))
    file = str(tmp_path / "board.json")
    Path(file).write_text(json.dumps({"governor": hook.read(), "nvpmodel": "2"}))
    hook.write("powersave")  # and there it was killed
    with restored([hook], file):
        assert governors(files) == ["ondemand", "schedutil"]
    assert governors(files) == ["ondemand", "schedutil"]
    assert json.loads(Path(file).read_text()) == {"nvpmodel": "2"}, "which is for a sweep of that axis"


def test_without_permission_nothing_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))

    def refuse(value: str) -> None:
        raise PermissionError(value)

    called: list[int] = []
    with pytest.raises(SourceForbidden, match="run it with sudo"):
        sweep(
            lambda: called.append(1), {"mode": ["1"]}, board=[BoardAxis("mode", lambda: "0", refuse)], **QUICK
        )
    assert not called


def test_a_board_without_the_setting(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no cpufreq"):
        board_axis("governor", str(tmp_path))
    with pytest.raises(SpecError, match="give one of governor, max_khz, cores, nvpmodel"):
        board_axis("turbo")


# The command ----------------------------------------------------------------------------------------------


def test_a_command_at_every_setting(tmp_path: Path) -> None:
    done = in_process(
        *COMMAND, "--over", "a=1,2", "--over", "b=x", "--metric-regex", r"acc=([\d.]+)", "--json",
        "--out", str(tmp_path / "f"), "--export", str(tmp_path / "t.csv"), "--", "echo", "{b} acc=0.{a}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert [(s["values"], s["metric"]) for s in result["settings"]] == [
        ({"a": "1", "b": "x"}, 0.1),
        ({"a": "2", "b": "x"}, 0.2),
    ]
    assert result["best_of"] == {"1": pytest.approx(0.15), "2": 0.2}
    assert (tmp_path / "t.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--over", "a=1,2", "--", "true"), "no {a}"),
        (("--over", "a", "--", "echo", "{a}"), "no axis"),
        (("--over", "a=1,1", "--", "echo", "{a}"), "no axis"),
        (("--over", "a=1", "--board", "turbo", "--", "echo", "{a}"), "no setting 'turbo'"),
        (("--over", "a=1", "--peak-gflops", "8", "--", "echo", "{a}"), "give --flops"),
        (("--over", "a=1", "--metric-regex", "(", "--", "echo", "{a}"), "no regular expression"),
    ],
)
def test_what_makes_no_sense_ends_with_a_sentence(
    arguments: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    done = in_process(*COMMAND, "--out", str(tmp_path / "f"), *arguments)
    assert done.returncode == 2, done.stdout
    assert says in done.stderr


@pytest.mark.slow
def test_an_interrupted_sweep_continues(tmp_path: Path) -> None:
    out = tmp_path / "f"
    words = (*COMMAND, "--over", "a=1,2,3,4", "--json", "--out", str(out), "--", "sleep", "0.1{a}")
    process = started(*words)
    until(lambda: list(out.glob("run-*.json")))
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    if process.returncode == 0:
        pytest.skip("this machine was too slow to interrupt it")
    assert process.returncode == 130, err
    assert "with --out" in err
    again = in_pipe(*words)
    assert again.returncode == 0, again.stderr
    assert len(json.loads(again.stdout)["runs"]) == 8
