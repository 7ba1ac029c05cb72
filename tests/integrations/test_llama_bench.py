"""llama-bench by the lines that it prints, from a program that prints them when it would."""

import json
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from energymeter import EnergyMeter
from energymeter.errors import CommandFailed, SpecError
from energymeter.integrations import llama_bench
from energymeter.integrations.llama_bench import BenchTest

PROMPT: dict[str, Any] = {
    "build_commit": "689e227db",
    "model_filename": "models/SmolLM2-135M-Instruct-Q4_K_M.gguf",
    "model_type": "llama 256M Q4_K - Medium",
    "n_batch": 2048,
    "n_ubatch": 512,
    "n_threads": 6,
    "type_k": "f16",
    "n_gpu_layers": -1,
    "n_prompt": 32,
    "n_gen": 0,
    "n_depth": 0,
    "test_time": "2026-10-07T19:58:17Z",
    "avg_ns": 60_000_000,
    "samples_ns": [60_000_000, 61_000_000, 59_000_000],
}
OUTPUT = {**PROMPT, "n_prompt": 0, "n_gen": 16}


def bench(folder: Path, *lines: object, code: int = 0) -> list[str]:
    """A program that takes as long as its lines say, and prints each at its test's end."""
    path = folder / "llama-bench"
    path.write_text(
        textwrap.dedent(f"""\
        import json, sys, time
        assert sys.argv[1:] == ["-m", "x.gguf", "-o", "jsonl"]
        for line in {[line if isinstance(line, str) else json.dumps(line) for line in lines]!r}:
            time.sleep(0.05)  # a warm-up
            samples = json.loads(line).get("samples_ns") if line.startswith("{{") else None
            if isinstance(samples, list):
                time.sleep(sum(samples) * 1e-9)
            print(line, flush=True)
        sys.exit({code})
        """)
    )
    return [sys.executable, str(path), "-m", "x.gguf"]


def test_each_repetition_is_a_request_that_ends_with_its_line(tmp_path: Path) -> None:
    with EnergyMeter("manual:5V,0.6A", rate_hz=500) as meter:
        prompt, output = llama_bench.run(meter, bench(tmp_path, PROMPT, OUTPUT))
    costs = prompt.results
    assert (prompt.name, output.name) == ("pp32", "tg16")
    assert (costs.requests, costs.prompt_tokens, costs.output_tokens) == (3, 96, 0)
    assert costs.prompt_token.joules == pytest.approx(3.0 * 0.06 / 32)
    assert output.results.output_token.joules == pytest.approx(3.0 * 0.06 / 16)
    assert output.results.prompt_token.reason == "none"
    assert "model llama 256M Q4_K - Medium, batch 2048" in str(prompt)
    assert "threads 6" in str(prompt)
    edges = meter.spans["pp32"]._snapshot.edges
    assert [end - start for start, end in zip(edges[::2], edges[1::2], strict=True)] == PROMPT["samples_ns"]
    assert list(edges[2::2]) == list(edges[1:-1:2]), "one after the other"


def test_a_prompt_and_output_together_have_no_phases(tmp_path: Path) -> None:
    with EnergyMeter("manual:5V,0.6A", rate_hz=500) as meter:
        (both,) = llama_bench.run(meter, bench(tmp_path, {**PROMPT, "n_gen": 16}))
    costs = both.results
    assert both.name == "pp32+tg16"
    assert costs.total_token.joules == pytest.approx(3.0 * 0.06 / 48)
    assert costs.output_token.joules is None


def test_the_same_test_again_has_a_name_of_its_own(tmp_path: Path) -> None:
    with EnergyMeter("manual:5V,0.6A", rate_hz=500) as meter:
        found = llama_bench.run(meter, bench(tmp_path, PROMPT, {**PROMPT, "n_threads": 1}))
    assert [tokens.name for tokens in found] == ["pp32", "pp32 #2"]
    assert [tokens.settings["threads"] for tokens in found] == [6, 1]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("| model | size |", "is no JSON of llama-bench; leave out -o"),
        ('["a"]', "no result of llama-bench; run it with -o jsonl"),
        ({"n_prompt": 1}, "no result of llama-bench"),
        ({**PROMPT, "n_depth": 512}, "leave out -d"),
        ({**PROMPT, "n_prompt": 0}, "give -p or -n"),
        ({**PROMPT, "samples_ns": []}, "give -p or -n"),
        ({**PROMPT, "samples_ns": [0]}, "took no time"),
        ({**PROMPT, "samples_ns": 5}, "no result of llama-bench"),
    ],
)
def test_other_output_is_refused(tmp_path: Path, line: object, message: str) -> None:
    with EnergyMeter("manual:5V,0.6A") as meter, pytest.raises(SpecError, match=message):
        llama_bench.run(meter, bench(tmp_path, line))


def test_a_line_of_more_than_a_megabyte_is_refused(tmp_path: Path) -> None:
    with EnergyMeter("manual:5V,0.6A") as meter, pytest.raises(SpecError, match="no JSON of llama-bench"):
        llama_bench.run(meter, bench(tmp_path, {**PROMPT, "samples_ns": [1] * 300_000, "n": "x" * 1_000_000}))


def test_a_failure_has_its_exit_code(tmp_path: Path) -> None:
    with EnergyMeter("manual:5V,0.6A") as meter:
        with pytest.raises(CommandFailed) as failure:
            llama_bench.run(meter, bench(tmp_path, code=3))
        assert failure.value.exit_code == 3
        with pytest.raises(SpecError, match="check its name"):
            llama_bench.run(meter, [str(tmp_path / "nothing")])


def test_a_line_of_the_documentation() -> None:
    """The JSON of llama.cpp's README, with its own figures."""
    record = {**OUTPUT, "n_gen": 128, "samples_ns": [1075361300, 1065089400, 1071761200]}
    test = BenchTest.of(record)
    assert test.name == "tg128"
    assert test.timings(1075361300) == (0, 128, 0, None, pytest.approx(1.0753613), None)


# Figures and names ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompt", "output", "name", "prefill", "decode"),
    [
        (1, 0, "pp1", 0.25, None),
        (0, 1, "tg1", None, 0.25),
        (512, 512, "pp512+tg512", None, None),
        (1, 2, "pp1+tg2", None, None),
    ],
)
def test_the_time_of_a_repetition_belongs_to_the_one_phase_that_it_has(
    prompt: int, output: int, name: str, prefill: float | None, decode: float | None
) -> None:
    test = BenchTest.of({**PROMPT, "n_prompt": prompt, "n_gen": output})
    assert test.name == name
    known = (None if one is None else pytest.approx(one) for one in (prefill, decode))
    assert test.timings(250_000_000) == (prompt, output, 0, *known, None)


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ({"n_prompt": -1}, "a test of -1 and 0 tokens has no figure; give -p or -n, and -r"),
        ({"n_gen": -1}, "a test of 32 and -1 tokens has no figure; give -p or -n, and -r"),
        ({"n_prompt": -1, "n_gen": 2}, "a test of -1 and 2 tokens has no figure; give -p or -n, and -r"),
        ({"samples_ns": [1] * 100_000}, "a test of 32 and 0 tokens has no figure; give -p or -n, and -r"),
        ({"samples_ns": [1, 0, 1]}, "a repetition took no time; give more tokens with -p or -n"),
        ({"samples_ns": [-1]}, "a repetition took no time; give more tokens with -p or -n"),
        ({"n_depth": 1}, "at a depth, llama-bench works between its repetitions; leave out -d"),
        ({"n_gen": "many"}, "this line is no result of llama-bench; run it with -o jsonl"),
        ({"samples_ns": ["a"]}, "this line is no result of llama-bench; run it with -o jsonl"),
    ],
)
def test_a_result_just_outside_of_its_limits(known: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as failure:
        BenchTest.of({**PROMPT, **known})
    assert str(failure.value) == message


@pytest.mark.parametrize("samples", [[1], [1] * 99_999])
def test_a_result_just_within_its_limits(samples: list[int]) -> None:
    assert BenchTest.of({**PROMPT, "samples_ns": samples}).nanoseconds == (*samples,)


def test_the_settings_of_a_result_by_their_names_for_people() -> None:
    assert BenchTest.of(PROMPT).settings == {
        "model": "llama 256M Q4_K - Medium",
        "batch": 2048,
        "micro-batch": 512,
        "threads": 6,
        "layers on a GPU": -1,
        "cache": "f16",
    }
    assert BenchTest.of({**PROMPT, "n_gpu_layers": 3, "type_k": "q8_0"}).settings["layers on a GPU"] == 3


def printing(folder: Path, *lines: str, ends: str = "") -> list[str]:
    """A program that prints these lines, without waiting."""
    path = folder / "printing"
    path.write_text(f"import os, signal, sys\nfor line in {lines!r}: print(line, flush=True)\n{ends}")
    return [sys.executable, str(path)]


def test_lines_are_placed_where_they_arrive_and_repeated_tests_are_numbered(tmp_path: Path) -> None:
    quick = {**PROMPT, "samples_ns": [1_000_000, 2_000_000]}
    both, output = {**quick, "n_gen": 16}, {**quick, "n_prompt": 0, "n_gen": 16}
    lines = ["", *(json.dumps(one) for one in (output, quick, quick, both, quick)), " "]
    with EnergyMeter("manual:5V,0.6A", rate_hz=500) as meter:
        began = time.monotonic_ns()
        while meter.usage.seconds < 0.1:  # so long that nothing would have begun before the meter
            time.sleep(0.01)
        found = llama_bench.run(meter, printing(tmp_path, *lines))
        ended = time.monotonic_ns()
    assert [tokens.name for tokens in found] == ["tg16", "pp32", "pp32 #2", "pp32+tg16", "pp32 #3"]
    assert [tokens.settings["context"] for tokens in found] == [16, 32, 32, 48, 32]
    for tokens in found:
        first, middle, again, last = meter.spans[tokens.name]._snapshot.edges
        assert (middle - first, last - again, again - middle) == (1_000_000, 2_000_000, 0)
        assert began < first < last < ended


@pytest.mark.parametrize(
    ("ends", "code"),
    [("sys.exit(1)", 1), ("sys.exit(255)", 255), ("os.kill(os.getpid(), signal.SIGTERM)", 143)],
)
def test_the_exit_code_is_that_of_a_shell(tmp_path: Path, ends: str, code: int) -> None:
    with EnergyMeter("manual:5V,0.6A") as meter, pytest.raises(CommandFailed) as failure:
        llama_bench.run(meter, printing(tmp_path, ends=ends))
    assert failure.value.exit_code == code
    assert str(failure.value) == (
        f"llama-bench failed with exit code {-15 if code == 143 else code}; run it by itself first"
    )


def test_the_beginning_of_a_line_that_is_no_json_is_shown(tmp_path: Path) -> None:
    with EnergyMeter("manual:5V,0.6A") as meter, pytest.raises(SpecError) as failure:
        llama_bench.run(meter, printing(tmp_path, "| " + "0123456789" * 8))
    shown = "| " + "0123456789" * 5 + "01234567"
    assert str(failure.value) == f"{shown!r} is no JSON of llama-bench; leave out -o"
    assert len(shown) == 60
