"""What llama.cpp, Ollama, transformers and onnxruntime-genai report: real answers, and their protocols.

The answers were recorded: llama-server build 10968, Ollama 0.34.1 and 0.40.12. The real llama.cpp and
transformers run in `make test-llama`.
"""

import itertools
from collections.abc import Iterator

import pytest
from devices.by_hand import Bench

from energymeter.errors import SpecError
from energymeter.integrations import EnergyStreamer, llama_cpp, ollama, onnxruntime_genai
from energymeter.meter import Timings, Tokens

CHAT = {
    "choices": [{"finish_reason": "stop", "index": 0, "message": {"role": "assistant", "content": "2"}}],
    "object": "chat.completion",
    "usage": {"completion_tokens": 2, "prompt_tokens": 26, "total_tokens": 28},
    "timings": {
        "cache_n": 0,
        "prompt_n": 26,
        "prompt_ms": 119.027,
        "predicted_n": 2,
        "predicted_ms": 46.019,
        "draft_n": 3,
        "draft_n_accepted": 3,
    },
}
OLLAMA_COLD = {
    "model": "llama3.2:1b",
    "created_at": "2026-09-17T15:42:59.7420965Z",
    "message": {"role": "assistant", "content": ""},
    "done": True,
    "done_reason": "stop",
    "total_duration": 30258609300,
    "load_duration": 19906358300,
    "prompt_eval_count": 29,
    "prompt_eval_cached_count": 0,
    "prompt_eval_duration": 10175903000,
    "eval_count": 3,
    "eval_duration": 173639000,
}


# llama.cpp ------------------------------------------------------------------------------------------------


def test_llama_server_reports_its_phases() -> None:
    assert llama_cpp.timings(CHAT) == (26, 2, 0, pytest.approx(0.119027), pytest.approx(0.046019), None)


def test_prompt_n_of_llama_cpp_excludes_the_cache() -> None:
    known = {"cache_n": 290, "prompt_n": 120, "prompt_ms": 900.0, "predicted_n": 40, "predicted_ms": 2000.0}
    found = llama_cpp.timings({"usage": {"prompt_tokens": 410, "completion_tokens": 40}, "timings": known})
    assert (found.prompt_tokens, found.cached_tokens, found.output_tokens) == (120, 290, 40)


def test_a_server_of_the_same_format_that_includes_the_cache_in_prompt_n() -> None:
    """Ollama's OpenAI endpoint, 0.35.1 and later: one token of 31 was evaluated in 8 ms."""
    answer = {
        "usage": {
            "prompt_tokens": 31,
            "prompt_tokens_details": {"cached_tokens": 30},
            "completion_tokens": 11,
        },
        "timings": {"prompt_n": 31, "prompt_ms": 8, "predicted_n": 11, "predicted_ms": 83},
    }
    found = llama_cpp.timings(answer)
    assert (found.prompt_tokens, found.cached_tokens, found.output_tokens) == (1, 30, 11)


def test_usage_alone_does_not_say_what_came_from_the_cache() -> None:
    """llama-cpp-python: its prompt_tokens include those that it kept from the call before."""
    found = llama_cpp.timings({"usage": {"prompt_tokens": 5, "completion_tokens": 8, "total_tokens": 13}})
    assert found == Timings(None, 8)


@pytest.mark.parametrize("answer", [{}, {"choices": []}, "text", None, {"timings": None}, {"usage": [1]}])
def test_an_answer_of_something_else_is_refused(answer: object) -> None:
    with pytest.raises(SpecError, match=r"no answer of llama\.cpp.*give the last chunk"):
        llama_cpp.timings(answer)


@pytest.mark.parametrize("wrong", [{"prompt_n": -1}, {"predicted_n": 1.5}, {"predicted_ms": float("nan")}])
def test_a_wrong_number_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(SpecError, match="a request has"):
        llama_cpp.timings({"timings": {**CHAT["timings"], **wrong}})


# Ollama ---------------------------------------------------------------------------------------------------


def test_ollama_reports_loading_apart_and_the_cache() -> None:
    found = ollama.timings(OLLAMA_COLD)
    assert found == (29, 3, 0, pytest.approx(10.175903), pytest.approx(0.173639), pytest.approx(19.9063583))
    warm = {**OLLAMA_COLD, "prompt_eval_count": 11, "prompt_eval_cached_count": 8}
    assert ollama.timings(warm).prompt_tokens == 3


def test_an_ollama_that_does_not_report_its_cache() -> None:
    old = {key: value for key, value in OLLAMA_COLD.items() if key != "prompt_eval_cached_count"}
    found = ollama.timings(old)
    assert found.prompt_tokens is None
    assert found.output_tokens == 3


def test_a_response_of_the_package_ollama() -> None:
    class Response:  # of pydantic
        def model_dump(self) -> dict[str, object]:
            return OLLAMA_COLD

    assert ollama.timings(Response()) == ollama.timings(OLLAMA_COLD)


@pytest.mark.parametrize(
    "answer", [{"done": False, "response": "a"}, {"done": True}, {}, [], {"error": "model not found"}]
)
def test_an_answer_of_ollama_that_is_not_the_last(answer: object) -> None:
    with pytest.raises(SpecError, match="no finished answer of Ollama"):
        ollama.timings(answer)


def test_a_recorded_answer_becomes_joules() -> None:
    """It took 19.9 s to load, which are in no figure of tokens."""
    bench = Bench()
    bench.pass_ms(10)
    bench.enter()
    bench.pass_ms(5)
    tokens = Tokens(bench.life, bench.span)
    with tokens.request() as request:
        for _ in range(61):
            bench.pass_ms(500, watts=2.0)
        request.answered(ollama.timings(OLLAMA_COLD))
    bench.pass_ms(5)
    costs = tokens.results
    assert costs.load.joules == pytest.approx(2 * 19.906, rel=1e-3)
    assert costs.prompt_token.joules == pytest.approx(2 * 10.176 / 29, rel=1e-3)
    assert costs.output_token.joules == pytest.approx(2 * 0.17364 / 3, rel=1e-2)
    bench.life.end()


# transformers ---------------------------------------------------------------------------------------------


class Ids:
    """What `generate` puts: ids of one step, of which only their number counts."""

    def __init__(self, number: int) -> None:
        self._number = number

    def numel(self) -> int:
        return self._number


def test_a_streamer_marks_prefill_and_decode() -> None:
    bench = Bench()
    bench.pass_ms(10)
    bench.enter()
    bench.pass_ms(5)
    tokens, seen = Tokens(bench.life, bench.span), []

    class Printer:
        def put(self, value: Ids) -> None:
            seen.append(value.numel())

        def end(self) -> None:
            seen.append("end")

    with tokens.request() as request:
        streamer = EnergyStreamer(request, Printer())
        bench.pass_ms(50, watts=1.0)
        streamer.put(Ids(7))
        bench.pass_ms(300, watts=4.0)
        for _ in range(5):
            streamer.put(Ids(1))
            bench.pass_ms(100, watts=2.0)
        streamer.end()
    bench.pass_ms(5)
    costs = tokens.results
    assert seen == [7, 1, 1, 1, 1, 1, "end"]
    assert (costs.prompt_tokens, costs.output_tokens) == (7, 5)
    assert costs.phases["prefill"].joules == pytest.approx(1.2, rel=0.02)
    assert costs.phases["decode"].joules == pytest.approx(0.8, rel=0.02)
    bench.life.end()


# onnxruntime-genai ----------------------------------------------------------------------------------------


class Generator:
    """The protocol of `onnxruntime_genai.Generator`."""

    def __init__(self, bench: Bench, answer: list[int]) -> None:
        self._bench, self._answer, self._given = bench, answer, 0
        self.prompt: list[int] = []

    def append_tokens(self, tokens: list[int]) -> None:
        self.prompt = tokens
        self._bench.pass_ms(300, watts=4.0)

    def is_done(self) -> bool:
        return self._given == len(self._answer)

    def generate_next_token(self) -> None:
        self._bench.pass_ms(100, watts=2.0)
        self._given += 1

    def get_next_tokens(self) -> list[int]:
        return [self._answer[self._given - 1]]


@pytest.mark.parametrize("read", [5, 3])
def test_a_generator_is_one_request_also_if_it_is_not_read_on(read: int) -> None:
    bench = Bench()
    bench.pass_ms(10)
    bench.enter()
    bench.pass_ms(5)
    tokens = Tokens(bench.life, bench.span)
    generator = Generator(bench, [11, 12, 13, 14, 15])
    found: Iterator[int] = onnxruntime_genai.generated(generator, [1, 2, 3], tokens)
    assert list(itertools.islice(found, read)) == [11, 12, 13, 14, 15][:read]
    assert generator.prompt == [1, 2, 3]
    found.close()
    bench.pass_ms(5)
    costs = tokens.results
    assert (costs.prompt_tokens, costs.output_tokens, costs.left_out) == (3, read, {})
    # the first token comes with the step that ends the prefill
    assert costs.phases["prefill"].joules == pytest.approx(1.4, rel=0.02)
    bench.life.end()


def test_of_several_sequences_the_first_one_is_passed_on() -> None:
    class Several(Generator):
        def get_next_tokens(self) -> list[int]:
            return [*super().get_next_tokens(), 99]

    bench = Bench()
    bench.pass_ms(10)
    bench.enter()
    bench.pass_ms(5)
    tokens = Tokens(bench.life, bench.span)
    assert [*onnxruntime_genai.generated(Several(bench, [11, 12]), [1, 2], tokens)] == [11, 12]
    bench.pass_ms(5)
    assert (tokens.results.prompt_tokens, tokens.results.output_tokens) == (2, 2)
    bench.life.end()


# What an answer may leave out -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "usage", "found"),
    [
        # of llama.cpp itself: prompt_n is what was evaluated, whatever the usage says
        ({"prompt_n": 7, "cache_n": 3}, {"prompt_tokens": 10}, (7, 3)),
        ({"prompt_n": 7, "cache_n": 0}, {"prompt_tokens": 7}, (7, 0)),
        ({"cache_n": 3}, {"prompt_tokens": 10}, (None, 3)),
        # of another server: the usage says how many of all came from the cache
        ({"prompt_n": 10}, {"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 4}}, (6, 4)),
        ({}, {"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 4}}, (6, 4)),
        ({}, {"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 0}}, (10, 0)),
        ({"prompt_n": 6}, {"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 4}}, (6, 4)),
        ({"prompt_n": 10}, {"prompt_tokens": 10}, (10, None)),
        ({"prompt_n": 10}, {"prompt_tokens": 10, "prompt_tokens_details": None}, (10, None)),
        ({"prompt_n": 10}, {"prompt_tokens_details": {"cached_tokens": 4}}, (10, 4)),
        ({}, {"prompt_tokens_details": {"cached_tokens": 4}}, (None, 4)),
        ({}, {"prompt_tokens": 10}, (None, None)),
    ],
)
def test_what_of_a_prompt_was_evaluated_and_what_came_from_the_cache(
    known: dict[str, object], usage: dict[str, object], found: tuple[int | None, int | None]
) -> None:
    answer = {"timings": known, "usage": {**usage, "completion_tokens": 2}}
    assert llama_cpp.timings(answer) == (found[0], 2, found[1], None, None, None)


def test_each_time_that_llama_cpp_reports_is_in_seconds() -> None:
    for name, place in (("prompt_ms", 3), ("predicted_ms", 4)):
        found = llama_cpp.timings({"timings": {"prompt_n": 1, "predicted_n": 1, "cache_n": 0, name: 2500}})
        assert [one for one in found[3:] if one is not None] == [found[place]] == [pytest.approx(2.5)]


def test_the_tokens_of_the_timings_come_before_those_of_the_usage() -> None:
    answer = {"timings": {"predicted_n": 3}, "usage": {"completion_tokens": 2}}
    assert llama_cpp.timings(answer).output_tokens == 3
    assert llama_cpp.timings({"timings": {"predicted_n": 3}}).output_tokens == 3


@pytest.mark.parametrize(
    ("count", "cached", "evaluated"), [(11, 8, 3), (11, 0, 11), (8, 8, 0), (None, 8, None), (11, None, None)]
)
def test_what_ollama_evaluated_of_a_prompt(
    count: int | None, cached: int | None, evaluated: int | None
) -> None:
    answer = {**OLLAMA_COLD, "prompt_eval_count": count, "prompt_eval_cached_count": cached}
    found = ollama.timings({name: value for name, value in answer.items() if value is not None})
    assert (found.prompt_tokens, found.cached_tokens, found.output_tokens) == (evaluated, cached, 3)


@pytest.mark.parametrize(
    ("name", "place"), [("prompt_eval_duration", 3), ("eval_duration", 4), ("load_duration", 5)]
)
def test_each_time_that_ollama_reports_is_in_seconds(name: str, place: int) -> None:
    found = ollama.timings({"done": True, "eval_count": 1, name: 2_500_000_000})
    assert [one for one in found[3:] if one is not None] == [found[place]] == [pytest.approx(2.5)]


@pytest.mark.parametrize("done", [1, "true", None, False])
def test_an_answer_is_finished_where_ollama_says_so(done: object) -> None:
    with pytest.raises(SpecError) as failure:
        ollama.timings({**OLLAMA_COLD, "done": done})
    assert str(failure.value) == (
        "this is no finished answer of Ollama; give the whole answer, or a stream's last chunk"
    )


def test_a_streamer_by_itself_needs_no_other() -> None:
    bench = Bench()
    bench.pass_ms(10)
    bench.enter()
    bench.pass_ms(5)
    tokens = Tokens(bench.life, bench.span)
    with tokens.request() as request:
        streamer = EnergyStreamer(request)
        for number in (7, 2, 2):
            streamer.put(Ids(number))
            bench.pass_ms(100, watts=2.0)
        streamer.end()
    bench.pass_ms(5)
    assert (tokens.results.prompt_tokens, tokens.results.output_tokens) == (7, 4)
    bench.life.end()
