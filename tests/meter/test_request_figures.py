"""Where the phases of a request lie, moment by moment, and which counts, times and ranks make sense."""

import json
import os

import pytest
from devices.by_hand import Bench

from energymeter.energy.uncertainty import Component
from energymeter.energy.usage import Usage
from energymeter.errors import NotMeasured, SpecError
from energymeter.meter import Timings, Tokens, ranks
from energymeter.meter.ranks import Rank, _added, _alike, _moment_ns, _State
from energymeter.meter.token_costs import Placed, Served, _rounded_up, checked_tokens, whole
from energymeter.meter.tokens import Request, _adjoining, _moment

MS = 1_000_000


# Phases


@pytest.mark.parametrize(
    ("edges", "parts"),
    [
        ((0, 10, 30, 60, 60), [("other", 0, 10), ("prefill", 10, 30), ("decode", 30, 60)]),
        ((0, 0, 30, 60, 60), [("prefill", 0, 30), ("decode", 30, 60)]),
        ((0, 10, 10, 60, 60), [("other", 0, 10), ("decode", 10, 60)]),
        ((0, 10, 30, 30, 60), [("other", 0, 10), ("prefill", 10, 30), ("other", 30, 60)]),
        ((5, 1, 30, 90, 60), [("prefill", 5, 30), ("decode", 30, 60)]),
        ((0, 40, 30, 60, 60), [("other", 0, 30), ("decode", 30, 60)]),
        ((0, 10, 50, 30, 60), [("other", 0, 10), ("prefill", 10, 30), ("other", 30, 60)]),
        ((0, 0, 0, 0, 60), [("other", 0, 60)]), ((7, 7, 7, 7, 7), []),
    ],
)  # fmt: skip
def test_phases_adjoin_and_add_up_to_the_request(edges, parts):
    placed = _adjoining(*edges)
    assert list(placed.phases) == parts
    assert (placed.slack_ns, placed.unknown) == (0, ())


def request(prefill_ns=0, first_ns=0, last_ns=0):
    made = Request(None, None)
    made._prefill_ns, made._first_ns, made._last_ns = prefill_ns, first_ns, last_ns
    return made


@pytest.mark.parametrize(
    ("marks", "parts"),
    [
        ((0, 300, 900), [("prefill", 100, 300), ("decode", 300, 900), ("other", 900, 1000)]),
        ((200, 300, 1000), [("other", 100, 200), ("prefill", 200, 300), ("decode", 300, 1000)]),
        ((400, 300, 1000), [("other", 100, 300), ("decode", 300, 1000)]), ((0, 0, 0), []),
    ],
)  # fmt: skip
def test_a_stream_marks_its_own_phases(marks, parts):
    placed = request(*marks)._placed(Timings(), 100, 1000)
    assert list(placed.phases) == parts
    assert placed.unknown == (() if parts else ("prefill", "decode"))


@pytest.mark.parametrize(
    ("prefill_ms", "decode_ms", "parts", "slack_ms"),
    [
        (200, 500, [("other", 0, 300), ("prefill", 300, 500), ("decode", 500, 1000)], 300),
        (500, 500, [("prefill", 0, 500), ("decode", 500, 1000)], 0),
        (530, 500, [("prefill", 0, 500), ("decode", 500, 1000)], 0), (531, 500, None, 0),
        (0, 1030, [("decode", 0, 1000)], 0), (None, 400, [("other", 0, 600), ("decode", 600, 1000)], 600),
        (400, None, [("other", 0, 600), ("prefill", 600, 1000)], 600),
    ],
)  # fmt: skip
def test_a_runners_phases_end_with_the_answer(prefill_ms, decode_ms, parts, slack_ms):
    """They may be longer than the request by a fiftieth and 10 ms: clocks differ."""
    timings = Timings(
        prefill_seconds=None if prefill_ms is None else prefill_ms * 1e-3,
        decode_seconds=None if decode_ms is None else decode_ms * 1e-3,
    )
    placed = request()._placed(timings, 0, 1000 * MS)
    if parts is None:
        assert placed is None
        return
    assert [(name, start // MS, end // MS) for name, start, end in placed.phases] == parts
    assert placed.slack_ns == slack_ms * MS


def test_a_runners_phases_end_with_the_last_token_and_the_first_says_by_how_much_they_are_off():
    timings = Timings(prefill_seconds=0.2, decode_seconds=0.5)
    placed = request(0, 380 * MS, 900 * MS)._placed(timings, 0, 1000 * MS)
    assert [(name, start // MS, end // MS) for name, start, end in placed.phases] == [
        ("other", 0, 200), ("prefill", 200, 400), ("decode", 400, 900), ("other", 900, 1000),
    ]  # fmt: skip
    assert placed.slack_ns == 20 * MS


@pytest.mark.parametrize(
    ("timings", "unknown"),
    [
        (Timings(prefill_seconds=0.1), ("decode",)), (Timings(decode_seconds=0.1), ("prefill",)),
        (Timings(prompt_tokens=0, decode_seconds=0.1), ()),
        (Timings(output_tokens=0, prefill_seconds=0.1), ()),
        (Timings(prompt_tokens=1, decode_seconds=0.1), ("prefill",)),
        (Timings(prefill_seconds=0.0, decode_seconds=0.1), ()),
    ],
)  # fmt: skip
def test_a_phase_without_tokens_is_not_missed(timings, unknown):
    assert request()._placed(timings, 0, 1000 * MS).unknown == unknown


@pytest.mark.parametrize(
    ("placed", "shows"),
    [
        (Placed(), (False, False, False)), (Placed((("other", 0, 1),), 0, ()), (True, True, True)),
        (Placed((("decode", 0, 1),), 0, ("prefill",)), (False, True, False)),
        (Placed((("prefill", 0, 1),), 0, ("decode",)), (True, False, False)),
    ],
)  # fmt: skip
def test_of_which_phase_it_is_known_where_it_lies(placed, shows):
    assert tuple(placed.shows(phase) for phase in ("prefill", "decode", "other")) == shows


def test_what_a_stream_says_where_the_runner_does_not():
    made = request()
    assert made._reported() is None
    made._prompt = 7
    assert made._reported() is None
    made._streamed = 5
    assert made._reported() == Timings(7, 5)
    made.answered(Timings(cached_tokens=3))
    assert made._reported() == Timings(7, 5, 3)
    made.answered(Timings(1, 2))
    assert made._reported() == Timings(1, 2)
    made._streamed = 0
    made.answered(Timings(output_tokens=0))
    assert made._reported() == Timings(7, 0)
    with pytest.raises(SpecError) as wrong:
        made.answered({"prompt_tokens": 1})
    assert str(wrong.value) == (
        "a runner reports Timings, not {'prompt_tokens': 1}; give Timings(prompt_tokens=…, …)"
    )


@pytest.mark.parametrize(
    ("timings", "counts"),
    [
        (Timings(), {}), (Timings(3), {"prefill": {"prompt_tokens": 3.0}}),
        (Timings(None, 4), {"decode": {"output_tokens": 4.0}}),
        (
            Timings(3, 4),
            {"prefill": {"prompt_tokens": 3.0}, "decode": {"output_tokens": 4.0}, "": {"tokens": 7.0}},
        ),
    ],
)  # fmt: skip
def test_the_units_of_a_request(timings, counts):
    assert timings.counts() == counts


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"prompt_tokens": 0}, ""), ({"output_tokens": 10**9}, ""), ({"load_seconds": 1e7}, ""),
        ({"decode_seconds": 0}, ""),
        ({"output_tokens": 10**9 + 1}, "a request has output_tokens from 0 to 1e+09, not 1000000001; give"),
        ({"prompt_tokens": -1}, "a request has prompt_tokens from 0 to 1e+09, not -1; give a whole number"),
        ({"cached_tokens": True}, "a request has cached_tokens from 0 to 1e+09, not True; give a whole"),
        ({"cached_tokens": 1.0}, "a request has cached_tokens from 0 to 1e+09, not 1.0; give a whole number"),
        ({"load_seconds": 1.1e7}, "a request has load_seconds from 0 to 1e+07, not 11000000.0"),
        ({"prefill_seconds": -1e-9}, "a request has prefill_seconds from 0 to 1e+07, not -1e-09"),
        ({"prefill_seconds": True}, "a request has prefill_seconds from 0 to 1e+07, not True"),
        ({"decode_seconds": "1"}, "a request has decode_seconds from 0 to 1e+07, not '1'"),
        ({"decode_seconds": float("nan")}, "a request has decode_seconds from 0 to 1e+07, not nan"),
    ],
)  # fmt: skip
def test_counts_and_times_of_a_request(fields, says):
    timings = Timings(**fields)
    if says:
        with pytest.raises(SpecError) as wrong:
            timings.check()
        assert str(wrong.value).startswith(says)
    else:
        assert timings.check() is timings


def test_whole_numbers_of_any_library():
    class Own:
        def __index__(self):
            return 7

    assert [whole(value) for value in (3, Own(), True, 1.0, "1", None)] == [3, 7, None, None, None, None]
    assert checked_tokens(Own(), "x") == 7


@pytest.mark.parametrize(
    ("at_ns", "fine"),
    [(1, True), (2**63 - 1, True), (0, False), (2**63, False), (1.0, False), (-1, False)],
)
def test_a_moment_is_in_whole_nanoseconds(at_ns, fine):
    if fine:
        assert _moment(at_ns, "start") == at_ns
    else:
        with pytest.raises(SpecError) as wrong:
            _moment(at_ns, "start")
        assert str(wrong.value) == (
            f"a request has its start in whole ns, not {at_ns!r}; give what time.monotonic_ns() says"
        )


@pytest.mark.parametrize(
    ("number", "up"), [(0.0, 0), (0.4, 1), (9.1, 10), (10.0, 10), (99.1, 100), (101.0, 110), (1234.0, 1300)]
)
def test_a_length_is_rounded_up_to_two_digits(number, up):
    assert _rounded_up(number) == up


@pytest.mark.parametrize(("end_ns", "says"), [(100, "a request of 0 ns"), (99, "a request of -1 ns")])
def test_a_request_that_ends_before_it_begins(end_ns, says):
    bench = Bench()
    tokens = Tokens(bench.life, bench.span)
    with pytest.raises(SpecError) as wrong:
        tokens.record(100, end_ns, Timings())
    assert str(wrong.value) == f"{says} has no energy; give its start and its end"
    with pytest.raises(NotMeasured, match="no request has ended yet; use `with tokens"):
        _ = tokens.results
    assert repr(tokens).startswith("Tokens(request: no request has ended yet")
    bench.life.end()


@pytest.fixture
def bench():
    made = Bench()
    made.pass_ms(10, 1.0)
    made.enter()
    yield made
    made.life.end()


@pytest.mark.parametrize(("load_seconds", "from_ms"), [(None, 0), (0.0, 0), (0.3, 300), (5.0, None)])
def test_loading_comes_before_the_request_and_leaves_a_moment_of_it(bench, load_seconds, from_ms):
    tokens = Tokens(bench.life, bench.span)
    start_ns = bench.clock.monotonic_ns()
    with tokens.request() as one:
        bench.pass_ms(1000, 2.0)
        one.answered(Timings(1, 1, load_seconds=load_seconds))
    (served,) = tokens._served
    end_ns = start_ns + 1000 * MS
    assert served.start_ns == (end_ns - 1 if from_ms is None else start_ns + from_ms * MS)
    assert served.end_ns == end_ns
    edges = bench.life.latest.spans.edges
    assert ("request/load" in edges) is bool(load_seconds)
    if load_seconds:
        assert edges["request/load"].tolist() == [start_ns, served.start_ns]


def test_why_a_request_is_left_out(bench):
    tokens = Tokens(bench.life, bench.span)
    with pytest.raises(KeyError), tokens.request():
        bench.pass_ms(10, 2.0)
        raise KeyError
    with tokens.request():
        bench.pass_ms(10, 2.0)
    with tokens.request() as one:
        bench.pass_ms(10, 2.0)
        one.answered(Timings(1, 1, decode_seconds=9.0))
    with tokens.request() as one:
        bench.pass_ms(10, 2.0)
        one.token(0)
    assert [served.why_left_out for served in tokens._served] == [
        "failed", "reported no tokens", "reported more time than they took", "reported no tokens",
    ]  # fmt: skip
    generator = (chunk for chunk in tokens.request().stream([1, 2]))
    assert next(generator) == 1
    with pytest.raises(NotMeasured) as none:
        _ = tokens.results
    assert str(none.value) == (
        "none of 4 requests has a figure (1 failed, 2 reported no tokens, 1 reported more time than they "
        "took); measure one at a time"
    )


@pytest.mark.parametrize(
    ("edges", "left_out"),
    [
        ([(0, 10), (10, 20)], 0), ([(0, 11), (10, 20)], 2), ([(0, 50), (10, 20), (30, 40)], 3),
        ([(0, 10), (10, 30), (20, 25), (30, 40)], 2), ([(0, 30), (10, 30), (30, 40)], 2),
        ([(20, 30), (0, 10)], 0),
    ],
)  # fmt: skip
def test_requests_that_overlap_are_left_out(edges, left_out):
    from energymeter.meter.token_costs import TokenCosts

    costs = object.__new__(TokenCosts)
    costs.left_out = {}
    kept = costs._apart([Served(None, *pair) for pair in edges])
    assert (len(kept), costs.left_out.get("overlapped another", 0)) == (len(edges) - left_out, left_out)


# Ranks


@pytest.mark.parametrize(
    ("text", "alike"),
    [
        ("", 0),
        ("4", 4),
        ("4(x2)", 4),
        ("2(x2),1", 0),
        ("4(xa)", 0),
        ("x4", 0),
        ("²", 0),
        ("4,4", 0),
    ],
)
def test_how_many_ranks_a_machine_has(text, alike):
    assert _alike(text) == alike


@pytest.mark.parametrize(
    ("said", "moment"),
    [(1, 1), (10**18 - 1, 10**18 - 1), (10**18, 0), (0, 0), (-1, 0), (1.0, 0), ("1", 0), (None, 0)],
)
def test_a_moment_that_another_rank_wrote(said, moment):
    assert _moment_ns(said) == moment


@pytest.mark.parametrize(
    ("rank", "local", "world", "fine"),
    [
        (0, 0, 1, True), (999_999, 0, 1_000_000, True), (0, 0, 1_000_001, False), (1, 1, 2, True),
        (1, 2, 2, False), (1, -1, 2, False), (2, 0, 2, False), (-1, 0, 2, False), (0, 0, 0, False),
    ],
)  # fmt: skip
def test_the_numbers_of_a_rank(rank, local, world, fine):
    environment = {"RANK": str(rank), "LOCAL_RANK": str(local), "WORLD_SIZE": str(world)}
    if fine:
        assert Rank.here(environment) == Rank(rank, local, world, "torchrun", 0)
    else:
        with pytest.raises(SpecError) as wrong:
            Rank.here(environment)
        assert str(wrong.value) == f"torchrun says rank {rank} of {world}; unset RANK and WORLD_SIZE"
    assert Rank.here({"RANK": "0"}) == Rank.here({"WORLD_SIZE": "4"}) == Rank()


def usage(**changed):
    fields = {
        "seconds": 10.0, "joules": 20.0, "coulombs": 4.0, "mean_volts": None, "peak_watts": 3.0,
        "measured_seconds": 10.0, "provenance": "measured", "place": "rail", "sources": ("a",),
        "covered_seconds": (10.0,), "missed": 1, "components": (Component("gain", 0.5, "a", True),),
        "calibration": ("card",), "notes": ("a note",),
    }  # fmt: skip
    return Usage(**{**fields, **changed})


@pytest.mark.parametrize(
    ("sampled_s", "left_s", "seconds", "share"),
    [
        (0, 100, 10.0, 1.0),
        (50, 50, 10.0, 1.0),
        (50, 49, 10.0, 1.0),
        (50, 60, 20.0, 0.5),
        (50, 52.5, 12.5, 0.8),
    ],
)
def test_ranks_that_go_on_after_the_one_that_samples(sampled_s, left_s, seconds, share):
    state = _State("host", True, usage(), round(sampled_s * 1e9)).until(round(left_s * 1e9))
    assert (state.usage.seconds, state.sampled_share) == pytest.approx((seconds, share))
    assert state.usage.measured_seconds == 10.0


def test_two_machines_add_up():
    """2 W for 10 s, and 4 W of which 5 s were measured in 20 s: 40 J of 6 W are 6.7 s."""
    first = _State("one", True, usage())
    second = _State(
        "two", True, usage(seconds=20.0, measured_seconds=5.0, covered_seconds=(5.0,), missed=2,
                           provenance="modelled", peak_watts=4.5),
    )  # fmt: skip
    added = _added([first, second], ["three"], ("said",))
    assert (added.seconds, added.joules, added.coulombs, added.peak_watts) == (20.0, 40.0, None, 7.5)
    assert added.measured_seconds == pytest.approx(40 / 6)
    assert (added.provenance, added.missed) == ("modelled", 3)
    assert added.sources == ("one: a", "two: a", "three: not measured")
    assert added.covered_seconds == (10.0, 5.0, 0.0)
    assert [part.source for part in added.components] == ["one: a", "two: a"]
    assert added.calibration == ("one: card", "two: card")
    assert added.notes == ("one: a note", "two: a note", "said")


def test_one_machine_is_itself():
    added = _added([_State("one", True, usage())], [], ())
    assert added == usage()
    idle = usage(joules=0.0, measured_seconds=4.0, peak_watts=None)
    nothing = _added([_State("one", True, usage(joules=0.0)), _State("two", True, idle)], [], ())
    assert (nothing.measured_seconds, nothing.peak_watts) == (4.0, None)
    odd = _added([_State("one", True, usage(joules=30.0)), _State("two", True, usage(joules=-29.0))], [], ())
    assert odd.measured_seconds == 10.0, "no less than any of them measured, and no more"


def said(**changed):
    fields = json.loads(
        json.dumps(
            {
                "host": "one", "ended": True, "sampled_ns": 5, "seconds": 10.0, "joules": 20.0,
                "coulombs": 4.0, "peak_watts": 3.0, "measured_seconds": 10.0, "provenance": "measured",
                "place": "rail",
                "sources": ["a"], "covered_seconds": [10.0], "missed": 1,
                "components": [["gain", 0.5, "a", True]], "calibration": ["card"], "notes": ["a note"],
            }
        )
    )  # fmt: skip
    return {**fields, **changed}


def test_what_a_machine_wrote():
    assert _State.of(said()) == _State("one", True, usage(), 5)
    assert _State.of(said(ended=1, sampled_ns=None, coulombs=None, peak_watts=None)) == _State(
        "one", False, usage(coulombs=None, peak_watts=None), 0
    )
    long = _State.of(said(components=[["c" * 300, 1.0, "s" * 300, 0]]))
    assert long.usage.components == (Component("c" * 200, 1.0, "s" * 200, False),)


@pytest.mark.parametrize(
    "changed",
    [
        {"host": 5}, {"sources": [5]}, {"sources": []}, {"sources": ["a", "b"]}, {"notes": [None]},
        {"calibration": [1]}, {"provenance": "guessed"}, {"place": "moon"}, {"seconds": "x"},
        {"seconds": 1.1e18}, {"joules": float("nan")}, {"missed": -1}, {"covered_seconds": [-1.0]},
        {"components": [["gain", 0.5, "a"]]}, {"peak_watts": "3"}, {"measured_seconds": None},
    ],
    ids=str,
)  # fmt: skip
def test_what_no_machine_writes(changed):
    assert _State.of(said(**changed)) is None
    assert _State.of({}) is None


def test_a_machine_has_a_name(monkeypatch):
    monkeypatch.setenv(ranks.HOST, "x\x1b" + "y" * 200)
    assert ranks._host() == "x\\x1b" + "y" * 95
    monkeypatch.setenv(ranks.HOST, "")
    with open("/proc/sys/kernel/random/boot_id") as file:
        boot = file.read(8)
    assert ranks._host() == f"{os.uname().nodename}-{boot}"
    assert len(ranks._file_name("x")) == 5 + 32


def test_ranks_of_a_job_share_a_folder_and_no_other_job_does(monkeypatch, tmp_path):
    for name in (*ranks._JOBS, *ranks._PARTS_OF_JOB, ranks.FOLDER):
        monkeypatch.delenv(name, raising=False)
    alone, started = Rank(), Rank(0, 0, 2, "torchrun")
    assert ranks._folder(None, "j", started) == ranks._folder(None, "j", started._replace(number=1))
    assert ranks._folder(None, "j", started) != ranks._folder(None, "k", started)
    assert ranks._folder(None, None, started) == ranks._folder(None, None, started), "one parent"
    assert ranks._folder(None, None, alone) != ranks._folder(None, None, alone)
    assert (
        ranks._folder(None, "j", alone)
        == ranks._folder(None, "j", alone)
        != ranks._folder(None, "j", started)
    )
    assert ranks._folder(tmp_path, "j", started).startswith(f"{tmp_path}/job-")
    assert f"energymeter-ranks-{os.geteuid()}/job-" in ranks._folder(None, "j", started)
    for name in ("", "none"):
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", name)
        with pytest.raises(SpecError) as wrong:
            ranks._folder(tmp_path, None, started)
        assert str(wrong.value) == (
            "torchrun gives this job no name that its machines share; give --rdzv-id, or job="
        )
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "mine")
    first = ranks._folder(tmp_path, None, started)
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert ranks._folder(tmp_path, None, started) != first, "it was started again"


def test_a_process_is_known_by_its_number_and_when_it_began():
    with open("/proc/self/stat") as file:
        began = file.read().rpartition(")")[2].split()[19]
    assert ranks._process(os.getpid()) == f"{os.getpid()} {began}"
    assert ranks._process(2**22 + 1) == f"{2**22 + 1} "
