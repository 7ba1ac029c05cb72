"""llama-bench by the lines that it prints, from a program that prints them when it would."""

import json
import sys
import textwrap
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
