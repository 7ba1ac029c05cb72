"""Tokens: phases over a curve that a test writes by hand, so that every joule is known."""

import json
import math
from collections.abc import Iterator

import pytest
from devices.by_hand import MS, Bench, Pen
from hypothesis import given, settings
from hypothesis import strategies as st

from energymeter import Battery, EnergyMeter
from energymeter.energy.usage import Idle
from energymeter.errors import NotMeasured, SpecError
from energymeter.meter import Timings, Tokens

OTHER, PREFILL, DECODE = 1.0, 4.0, 2.0
"""Watts of the phases."""


def enter(bench: Bench, **options: object) -> Tokens:
    bench.pass_ms(10, OTHER)
    bench.enter()
    bench.pass_ms(5, OTHER)
    return Tokens(bench.life, bench.span, **options)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.life.end()


def serve(
    bench: Bench, tokens: Tokens, other: int = 0, prefill: int = 400, decode: int = 800, **known
) -> None:
    """A request whose phases take so many ms; its runner reports them."""
    with tokens.request() as request:
        bench.pass_ms(other, OTHER)
        bench.pass_ms(prefill, PREFILL)
        bench.pass_ms(decode, DECODE)
        request.answered(Timings(**{**reported(prefill, decode), **known}))
    bench.pass_ms(5, OTHER)


def reported(prefill: int = 400, decode: int = 800) -> dict[str, object]:
    return {
        "prompt_tokens": 40,
        "output_tokens": 80,
        "cached_tokens": 0,
        "prefill_seconds": prefill * 1e-3,
        "decode_seconds": decode * 1e-3,
    }


# The figures ----------------------------------------------------------------------------------------------


def test_each_unit_costs_what_its_phase_drew(bench: Bench) -> None:
    tokens = enter(bench)
    for _ in range(3):
        serve(bench, tokens, other=20)
    costs = tokens.results
    assert (costs.requests, costs.prompt_tokens, costs.output_tokens) == (3, 120, 240)
    assert costs.prompt_token.joules == pytest.approx(PREFILL * 0.4 / 40, rel=0.01)
    assert costs.output_token.joules == pytest.approx(DECODE * 0.8 / 80, rel=0.01)
    whole = OTHER * 0.02 + PREFILL * 0.4 + DECODE * 0.8
    assert costs.request.joules == pytest.approx(whole, rel=0.01)
    assert costs.total_token.joules == pytest.approx(whole / 120, rel=0.01)
    assert costs.output_token.per_joule == pytest.approx(80 / (DECODE * 0.8), rel=0.01)
    assert costs.rate("prefill") == pytest.approx(100)
    assert costs.rate("decode") == pytest.approx(100)


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 60), st.integers(1, 60)), min_size=1, max_size=4)
)
@settings(max_examples=25)
def test_the_phases_add_up_to_the_request(lengths: list[tuple[int, int, int]]) -> None:
    bench = Bench(Pen(), Pen("second"))
    tokens = enter(bench)
    for other, prefill, decode in lengths:
        serve(bench, tokens, other, prefill, decode)
    costs = tokens.results
    phases = [usage for usage in costs.phases.values() if usage is not None]
    assert math.fsum(usage.joules for usage in phases) == pytest.approx(costs.usage.joules, rel=1e-9)
    assert math.fsum(usage.seconds for usage in phases) == pytest.approx(costs.usage.seconds, rel=1e-9)
    bench.life.end()


def test_tokens_from_a_cache_are_in_no_figure(bench: Bench) -> None:
    tokens = enter(bench)
    serve(bench, tokens, prompt_tokens=10, cached_tokens=30)
    costs = tokens.results
    assert costs.prompt_token.units == 10
    assert costs.total_token.units == 90
    assert "10 prompt (and 30 from the cache)" in str(costs)


def test_loading_within_a_request_is_apart(bench: Bench) -> None:
    tokens = enter(bench)
    with tokens.request() as request:
        bench.pass_ms(300, 3.0)
        bench.pass_ms(400, PREFILL)
        bench.pass_ms(800, DECODE)
        request.answered(Timings(**reported(), load_seconds=0.3))
    bench.pass_ms(5, OTHER)
    costs = tokens.results
    assert costs.load.joules == pytest.approx(3.0 * 0.3, rel=0.01)
    assert costs.request.joules == pytest.approx(PREFILL * 0.4 + DECODE * 0.8, rel=0.01)
    assert "loading, apart" in str(costs)


def test_loading_before_the_first_request_is_apart(bench: Bench) -> None:
    tokens = enter(bench)
    with tokens.loading():
        bench.pass_ms(100, 3.0)
    serve(bench, tokens)
    assert tokens.results.load.joules == pytest.approx(0.3, rel=0.02)


def test_gross_and_net_of_idle(bench: Bench) -> None:
    tokens = enter(bench)
    bench.life.running._idle = Idle(OTHER, 0.0)
    serve(bench, tokens)
    cost = tokens.results.output_token
    assert cost.net_joules == pytest.approx((DECODE - OTHER) * 0.8 / 80, rel=0.01)
    assert "net of idle" in str(tokens)


# Where the phases lie -------------------------------------------------------------------------------------


def test_phases_that_may_lie_elsewhere_widen_the_interval(bench: Bench) -> None:
    """The time before the prefill could be after the decode: the runner does not say."""
    tokens = enter(bench)
    serve(bench, tokens, other=50)
    unsure = tokens.results.output_token
    causes = {part.cause: part.joules for part in unsure.usage.components}
    assert causes["place of the runner's phases"] == pytest.approx(
        (PREFILL - DECODE) * 0.05 / 3**0.5, rel=0.01
    )
    low, high = unsure.joules - unsure.uncertainty, unsure.joules + unsure.uncertainty
    earliest = (DECODE * 0.75 + PREFILL * 0.05) / 80
    assert low < earliest < high


def test_a_stream_marks_its_phases_itself(bench: Bench) -> None:
    tokens = enter(bench)

    def chunks() -> Iterator[str]:
        bench.pass_ms(400, PREFILL)
        for _ in range(9):
            yield "a"
            bench.pass_ms(100, DECODE)

    with tokens.request() as request:
        bench.pass_ms(50, OTHER)
        request.prefill(40)
        assert list(request.stream(chunks())) == ["a"] * 9
    bench.pass_ms(5, OTHER)
    costs = tokens.results
    assert (costs.prompt_tokens, costs.output_tokens) == (40, 9)
    assert costs.prompt_token.joules == pytest.approx(PREFILL * 0.4 / 40, rel=0.02)
    assert costs.phases["decode"].joules == pytest.approx(DECODE * 0.8, rel=0.02)


def test_a_runners_counts_take_precedence_over_chunks(bench: Bench) -> None:
    tokens = enter(bench)
    with tokens.request() as request:
        bench.pass_ms(400, PREFILL)
        for _ in request.stream(range(3)):
            bench.pass_ms(400, DECODE)
        request.answered(Timings(40, 80, 0, 0.4, 0.8))
    bench.pass_ms(5, OTHER)
    assert tokens.results.output_tokens == 80


def test_without_phases_whole_requests_have_a_figure(bench: Bench) -> None:
    tokens = enter(bench)
    with tokens.request() as request:
        bench.pass_ms(1000, DECODE)
        request.answered(Timings(40, 80))
    bench.pass_ms(5, OTHER)
    costs = tokens.results
    assert costs.request.joules == pytest.approx(2.0, rel=0.01)
    assert costs.output_token.joules is None
    assert "reports no phases" in costs.output_token.reason


def test_an_unknown_count_has_no_figure(bench: Bench) -> None:
    tokens = enter(bench)
    serve(bench, tokens, prompt_tokens=None)
    costs = tokens.results
    assert costs.prompt_token.joules is None
    assert "does not report how many" in costs.prompt_token.reason
    assert costs.total_token.joules is None
    assert costs.output_token.joules is not None


# Too short ------------------------------------------------------------------------------------------------


def test_a_phase_too_short_for_the_meter_says_how_long_it_should_be(bench: Bench) -> None:
    tokens = enter(bench)
    serve(bench, tokens, prefill=1, decode=800, prompt_tokens=4)
    cost = tokens.results.prompt_token
    assert cost.joules is None
    assert cost.per_joule is None
    assert cost.at_least >= 8, "two samples, at a ms each"
    assert f"measure at least {cost.at_least} prompt tokens a request" in str(tokens)
    assert tokens.results.output_token.joules is not None

    longer = math.ceil(cost.at_least / 4)  # 4 tokens a ms, as before
    bench.leave()
    bench.enter()
    serve(bench, tokens, prefill=longer, decode=800, prompt_tokens=4 * longer)
    assert tokens.results.prompt_token.joules == pytest.approx(PREFILL * 1e-3 / 4, rel=0.1)


# What is left out -----------------------------------------------------------------------------------------


def test_a_request_that_failed_is_counted_and_left_out(bench: Bench) -> None:
    tokens = enter(bench)
    serve(bench, tokens)
    with pytest.raises(ZeroDivisionError), tokens.request():
        bench.pass_ms(50, 9.0)
        _ = 1 // 0
    bench.pass_ms(5, OTHER)
    costs = tokens.results
    assert costs.requests == 1
    assert costs.left_out == {"failed": 1}
    assert "1 left out: they failed" in str(costs)


def test_requests_that_overlap_share_one_board_and_are_left_out(bench: Bench) -> None:
    tokens = enter(bench)
    serve(bench, tokens)
    first, second = tokens.request(), tokens.request()
    with first:
        bench.pass_ms(100)
        second.__enter__()
        bench.pass_ms(100)
        first.answered(Timings(4, 8))
    bench.pass_ms(100)
    second.answered(Timings(4, 8))
    second.__exit__()
    bench.pass_ms(5, OTHER)
    costs = tokens.results
    assert costs.requests == 1
    assert costs.left_out == {"overlapped another": 2}


def test_a_runner_that_reports_more_time_than_there_was_is_left_out(bench: Bench) -> None:
    tokens = enter(bench)
    serve(bench, tokens, decode_seconds=5.0)
    with pytest.raises(NotMeasured, match="1 reported more time than they took"):
        _ = tokens.results
    serve(bench, tokens, decode_seconds=0.805)  # two clocks
    assert tokens.results.requests == 1


def test_a_request_without_an_answer_is_left_out(bench: Bench) -> None:
    tokens = enter(bench)
    with tokens.request():
        bench.pass_ms(10)
    bench.pass_ms(5)
    with pytest.raises(NotMeasured, match="1 reported no tokens"):
        _ = tokens.results


def test_a_request_with_a_gap_is_left_out(bench: Bench) -> None:
    tokens = enter(bench)
    serve(bench, tokens)
    with tokens.request() as request:
        bench.pass_ms(100, DECODE)
        bench.sleep(4000 * MS)
        bench.pass_ms(100, DECODE)
        request.answered(Timings(4, 8))
    bench.pass_ms(5, OTHER)
    costs = tokens.results
    assert costs.requests == 1
    assert costs.left_out == {"measured in part": 1}


def test_nothing_is_known_before_the_first_request(bench: Bench) -> None:
    tokens = enter(bench)
    with pytest.raises(NotMeasured, match="no request has ended yet"):
        _ = tokens.results
    assert "no request has ended yet" in repr(tokens)


def test_entering_the_meter_again_begins_again(bench: Bench) -> None:
    tokens = enter(bench)
    serve(bench, tokens)
    bench.leave()
    bench.enter()
    bench.pass_ms(5, OTHER)
    with pytest.raises(NotMeasured):
        _ = tokens.results
    serve(bench, tokens)
    assert tokens.results.requests == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"prompt_tokens": -1},
        {"output_tokens": 1.5},
        {"output_tokens": True},
        {"decode_seconds": math.nan},
        {"prefill_seconds": -0.1},
        {"load_seconds": math.inf},
        {"decode_seconds": "1"},
        {"prompt_tokens": 10**12},
    ],
)
def test_counts_and_times_that_no_request_has(wrong: dict[str, object]) -> None:
    with pytest.raises(SpecError, match="a request has"):
        Timings(**wrong).check()


# Per charge, and how it is shown --------------------------------------------------------------------------


def test_a_charge_pays_for_requests_with_an_interval(bench: Bench) -> None:
    battery = Battery(4000, basis="rail")
    tokens = enter(bench)
    bench.life.running._battery = battery
    serve(bench, tokens)
    costs = tokens.results
    known, joules = costs.per_charge, costs.request.joules
    assert known.value == pytest.approx(4000 * 3.6 * 5 / joules, rel=1e-6)
    assert known.low < 0.83 * known.value, "a declared battery: ± 20 %"
    assert known.high > 1.2 * known.value
    assert costs.output_tokens_per_charge.value == pytest.approx(80 * known.value)
    assert costs.hours.value == pytest.approx(battery.hours(watts=costs.usage.mean_watts), rel=1e-6)


def test_the_median_of_an_unknown_cell_is_less_than_its_label(bench: Bench) -> None:
    tokens = enter(bench)
    serve(bench, tokens)
    costs = tokens.results
    label = Battery.phone().rail_joules(costs.usage.mean_watts) / costs.request.joules
    assert costs.per_charge.low < costs.per_charge.value < label


def test_the_spans_of_requests_and_phases_count_their_units(bench: Bench) -> None:
    tokens = enter(bench)
    serve(bench, tokens)
    serve(bench, tokens)
    costs = tokens.results
    for name, unit, count, cost in (
        ("request", "requests", 2, costs.request),
        ("request", "tokens", 240, costs.total_token),
        ("request/prefill", "prompt_tokens", 80, costs.prompt_token),
        ("request/decode", "output_tokens", 160, costs.output_token),
    ):
        known = bench.spans(name).usage.per(unit)
        assert known.number == count
        assert known.joules == pytest.approx(cost.joules)


def test_what_the_figures_depend_on_is_printed_with_them(bench: Bench) -> None:
    tokens = enter(bench, settings={"model": "tiny", "quantization": "Q4_1", "batch": 1, "threads": None})
    serve(bench, tokens)
    text = str(tokens)
    assert "model tiny, quantization Q4_1, batch 1, threads unknown, power mode" in text
    for row in ("J per prompt token", "J per output token", "J per total token", "J per request"):
        assert f"{row}  " in text
    assert "per charge of 4 Ah" in text
    assert "of decode" in text
    assert "of whole requests" in text
    assert json.loads(json.dumps(tokens.results.to_dict(), allow_nan=False))["requests"] == 1
    assert "<table>" in tokens._repr_html_()


def test_a_request_of_a_real_meter() -> None:
    with EnergyMeter("manual:5V,0.6A", rate_hz=200) as meter:
        tokens = meter.tokens(model="none", threads=1)
        ask = tokens.wrap(lambda words: words, lambda words: Timings(4, 8))
        assert ask("x") == "x"
    assert tokens.results.left_out == {}
    assert tokens.results.requests == 1
    assert {"request"} == set(meter.spans)


def test_outside_of_the_meters_block_nothing_is_measured() -> None:
    meter = EnergyMeter("manual:5V,0.6A")
    tokens = meter.tokens()
    with tokens.request() as request:
        request.answered(Timings(4, 8))
    with pytest.raises(NotMeasured):
        _ = tokens.results


# What a program may do wrong ------------------------------------------------------------------------------


def test_a_phase_that_some_requests_report_is_divided_by_their_tokens(bench: Bench) -> None:
    tokens = enter(bench)
    serve(bench, tokens, prefill=400)
    serve(bench, tokens, prefill=400, prefill_seconds=None, prompt_tokens=4000)
    costs = tokens.results
    assert costs.prompt_token.units == 40
    assert costs.prompt_token.joules == pytest.approx(PREFILL * 0.4 / 40, rel=0.01)
    assert costs.rate("prefill") == pytest.approx(100)
    assert costs.output_token.units == 160
    assert costs.prompt_tokens == 4040, "the requests have them all"
    assert costs.phases["other"] is None, "that of the second request contains its prefill"
    assert "of a request         decode" in str(costs)
    assert "prefill of the 1 of 2 requests whose runner reports it" in str(costs)


def test_a_phase_that_no_request_reports_has_no_figure(bench: Bench) -> None:
    tokens = enter(bench)
    serve(bench, tokens, prefill_seconds=None)
    assert tokens.results.prompt_token.reason == "not measured: the runner reports no prefill"
    assert tokens.results.output_token.joules is not None


def test_a_prompt_that_was_cached_has_no_prefill_to_miss(bench: Bench) -> None:
    tokens = enter(bench)
    serve(bench, tokens)
    serve(bench, tokens, other=20, prefill=0, prefill_seconds=None, prompt_tokens=0, cached_tokens=40)
    costs = tokens.results
    assert costs.prompt_token.units == 40
    assert costs.phases["other"].joules == pytest.approx(OTHER * 0.02, rel=0.1)
    assert "whose runner reports" not in str(costs)


@pytest.mark.parametrize("count", [-5, math.nan, True, 2.5, 1.0, 10**400, "3", None, math.inf])
def test_a_count_that_no_request_has_is_refused_at_once(bench: Bench, count: object) -> None:
    tokens = enter(bench)
    with tokens.request() as request:
        with pytest.raises(SpecError, match="a request has output_tokens from 0 to 1e"):
            request.token(count)
        if count is not None:
            with pytest.raises(SpecError, match="a request has prompt_tokens from 0 to 1e"):
                request.prefill(count)
        bench.pass_ms(5, PREFILL)
        request.token()
        bench.pass_ms(5, DECODE)
    bench.pass_ms(5, OTHER)
    assert tokens.results.output_tokens == 1


@given(st.lists(st.tuples(st.sampled_from(["prefill", "token", "load"]), st.integers(1, 40)), max_size=6))
@settings(max_examples=40)
def test_the_phases_of_a_stream_add_up_in_any_order(steps: list[tuple[str, int]]) -> None:
    bench = Bench()
    tokens = enter(bench)
    with tokens.request() as request:
        for step, milliseconds in steps:
            if step == "prefill":
                request.prefill(7)
            elif step == "token":
                request.token(3)
            else:
                request.answered(Timings(load_seconds=milliseconds * 1e-3))
            bench.pass_ms(milliseconds, DECODE)
        bench.pass_ms(50, DECODE)
        request.token()
    bench.pass_ms(5, OTHER)
    costs = tokens.results
    parts = [usage.seconds for usage in costs.phases.values() if usage is not None]
    assert math.fsum(parts) == pytest.approx(costs.usage.seconds)
    bench.life.end()


@pytest.mark.parametrize(
    ("start", "end", "timings"),
    [
        (1.5, 20 * MS, Timings(1, 1)),
        (10 * MS, "20", Timings(1, 1)),
        (10 * MS, 2**63, Timings(1, 1)),
        (-1, 20 * MS, Timings(1, 1)),
        (True, 20 * MS, Timings(1, 1)),
        (20 * MS, 10 * MS, Timings(1, 1)),
        (10 * MS, 20 * MS, Timings(-1, 1)),
        (10 * MS, 20 * MS, {"prompt_tokens": 1}),
    ],
)
def test_a_request_that_cannot_be_recorded_leaves_nothing_open(bench: Bench, start, end, timings) -> None:
    tokens = enter(bench)
    bench.pass_ms(20)
    with pytest.raises(SpecError):
        tokens.record(start, end, timings)
    assert not bench.life.latest.spans.open
    tokens.record(10 * MS, 20 * MS, Timings(1, 1, prefill_seconds=0.005, decode_seconds=0.005))
    assert tokens.results.requests == 1


def test_requests_with_one_start_or_both_edges_keep_their_own_tokens(bench: Bench) -> None:
    tokens = enter(bench)
    bench.pass_ms(50)
    for end_ms, output in ((30, 1), (40, 10), (40, 100)):
        tokens.record(10 * MS, end_ms * MS, Timings(0, output))
    spans = bench.spans("request")
    assert spans.usage.per("tokens").number == 111
    assert [usage.per("tokens").number for usage in spans.usages] == [1, 10, 100]
    assert bench.life.latest.spans.counted()["request"] == {"requests": [1, 1, 1], "tokens": [1, 10, 100]}
