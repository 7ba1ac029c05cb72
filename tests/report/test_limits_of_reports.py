"""Both sides of the limits of verification, phases and pictures."""

import os
import signal
import stat
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest
from report.proved_logs import HEALTHY, SECOND, STARTED, Channel, Claim, write

from energymeter import EnergyMeter
from energymeter.energy.window import COVERED
from energymeter.errors import LogError, SourceMissing, SpecError
from energymeter.report import picture
from energymeter.report.phases import Lines, Phases, receiving, send
from energymeter.report.verification import Limits, Rule, Verification, verify

NOW = STARTED + 100.0


def rules(
    tmp_path: Path, claim: Claim | None = None, limits: Limits | None = None, now_s: float = NOW
) -> dict[str, Rule]:
    write(tmp_path / "log.csv", claim or Claim())
    found = verify(str(tmp_path / "log.csv"), limits or Limits(), now_s=now_s)
    return {rule.name: rule for rule in found.rules}


# Verification ---------------------------------------------------------------------------------------------


def test_the_usual_limits() -> None:
    assert Limits() == (COVERED, 10, 0.01, 10.0, 10, 0.8)


def test_what_each_rule_says_of_a_good_log(tmp_path: Path) -> None:
    said = {name: rule.text for name, rule in rules(tmp_path).items()}
    assert said["duration"] == "29.0 s and 20 calls, 10.0 s or 10 needed"
    assert said["samples per span"] == "1020 in the calls of infer, 10 needed", "51 in each of 20 calls"
    assert said["samples inside the run"] == "samples on both sides of the window, 1 spans inside it"
    assert said["no gap at an edge"] == "0 gaps, none at an edge"
    assert said["clock agreement"][1:] == "0.000 s between the two clocks of the run, 0.8 s allowed"
    assert said["one supply"] == "ina226@1:0x40 at the rail"
    assert said["coverage"].startswith("100.00 % of ")
    assert said["no battery"] == "the kernel knows no battery"


@pytest.mark.parametrize(
    ("name", "limits", "passed"),
    [
        ("duration", Limits(seconds=29.0, calls=21), True),
        ("duration", Limits(seconds=29.01, calls=21), False),
        ("duration", Limits(seconds=29.01, calls=20), True),
        ("samples per span", Limits(samples=1020), True),
        ("samples per span", Limits(samples=1021), False),
        ("coverage", Limits(coverage=0.9999), True),
        ("coverage", Limits(coverage=1.0001), False),
        ("meter uncertainty", Limits(uncertainty=1.0), True),
        ("meter uncertainty", Limits(uncertainty=1e-9), False),
    ],
)
def test_a_limit_may_be_met_and_no_more(name: str, limits: Limits, passed: bool, tmp_path: Path) -> None:
    assert rules(tmp_path, limits=limits)[name].passed is passed


@pytest.mark.parametrize(
    ("name", "claim", "passed"),
    [
        ("samples inside the run", Claim(channels=(Channel(rows=(50, 3001)),)), True),
        ("samples inside the run", Claim(channels=(Channel(rows=(51, 3001)),)), False),
        ("samples inside the run", Claim(channels=(Channel(rows=(0, 2951)),)), True),
        ("samples inside the run", Claim(channels=(Channel(rows=(0, 2950)),)), False),
        ("clock agreement", Claim(channels=(Channel(), Channel("gpu", rows=(80, 3001)))), True),
        ("clock agreement", Claim(channels=(Channel(), Channel("gpu", rows=(81, 3001)))), False),
        ("clock agreement", Claim(channels=(Channel(), Channel("gpu", rows=(0, 2922)))), True),
        ("clock agreement", Claim(channels=(Channel(), Channel("gpu", rows=(0, 2919)))), False),
        ("no battery", Claim(conditions=HEALTHY._replace(battery=True)), False),
        ("no battery", Claim(conditions=HEALTHY._replace(battery=None)), None),
        ("no gap at an edge", Claim(channels=(Channel(gap=(1652, 1698)),)), True),
        ("no gap at an edge", Claim(channels=(Channel(gap=(1640, 1698)),)), False),
        ("no gap at an edge", Claim(channels=(Channel(gap=(1652, 1710)),)), False),
    ],
)
def test_a_log_just_within_a_rule_and_just_outside(
    name: str, claim: Claim, passed: bool | None, tmp_path: Path
) -> None:
    assert rules(tmp_path, claim)[name].passed is passed


@pytest.mark.parametrize(
    ("skew_s", "passed", "text"),
    [
        (0.75, True, "+0.750 s between the two clocks of the run, 0.75 s allowed"),
        (0.78125, False, "+0.781 s between the two clocks of the run, 0.75 s allowed"),
        (-0.75, True, "-0.750 s between the two clocks of the run, 0.75 s allowed"),
        (-0.78125, False, "-0.781 s between the two clocks of the run, 0.75 s allowed"),
    ],
)
def test_two_clocks_may_be_so_far_apart(skew_s: float, passed: bool, text: str, tmp_path: Path) -> None:
    end = {"unix_s": STARTED + 30.0 + skew_s, "monotonic_ns": 30 * SECOND, "throttled": 0}
    found = rules(tmp_path, Claim(end=end), Limits(skew_seconds=0.75))["clock agreement"]
    assert (found.passed, found.text) == (passed, text)


@pytest.mark.parametrize(
    ("started", "now_s", "passed"),
    [
        (1_577_836_801.0, NOW, True),
        (1_577_836_800.0, NOW, False),
        (STARTED, STARTED - 86_399.0, True),
        (STARTED, STARTED - 86_400.0, False),
    ],
)
def test_a_log_began_after_2019_and_before_tomorrow(
    started: float, now_s: float, passed: bool, tmp_path: Path
) -> None:
    end = {"unix_s": started + 30.0, "monotonic_ns": 30 * SECOND, "throttled": 0}
    found = rules(tmp_path, Claim(started=started, end=end), now_s=now_s)["clock agreement"]
    assert found.passed is passed
    assert passed or found.text == f"the log began at {started:.0f} s of Unix time"


def test_a_verification_as_it_is_printed() -> None:
    found = Verification(
        "a.csv",
        "3 J",
        (
            Rule("one", True, "good", "do this"),
            Rule("two", False, "bad", "do that"),
            Rule("three", None, "who knows"),
            Rule("four", None, "nobody", "ask"),
        ),
    )
    assert str(found).split("\n") == [
        "a.csv: 3 J",
        "  passed      one                     good",
        "  failed      two                     bad; do that",
        "  cannot tell three                   who knows",
        "  cannot tell four                    nobody; ask",
        "  1 passed, 1 failed, 2 cannot be answered",
    ]
    assert (found.failed, found.unknown) == (["two"], ["three", "four"])
    assert found.to_dict()["rules"][0]["result"] == "passed"


# Phases ---------------------------------------------------------------------------------------------------

ARRIVED = 100 * SECOND


@pytest.fixture
def phases() -> Any:
    """Phases at a meter that notes their edges; marks arrive at 100 s."""
    edges: list[tuple[str, str, int]] = []

    def span(name: str) -> Any:
        return SimpleNamespace(
            begin_at=lambda at: edges.append(("begin", name, at)),
            end_at=lambda at: edges.append(("end", name, at)),
        )

    found = Phases(SimpleNamespace(span=span), lambda: ARRIVED)  # type: ignore[arg-type]
    found.begin()
    found.edges = edges  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize(
    ("sent_ns", "counts_ns", "implausible"),
    [
        (ARRIVED, ARRIVED, 0),
        (ARRIVED - 1, ARRIVED - 1, 0),
        (ARRIVED - 5 * SECOND, ARRIVED - 5 * SECOND, 0),
        (ARRIVED - 5 * SECOND - 1, ARRIVED, 1),
        (ARRIVED + 1_000_000, ARRIVED, 0),
        (ARRIVED + 1_000_001, ARRIVED, 1),
        ("-", ARRIVED, 0),
        ("x", ARRIVED, 1),
        ("-5", ARRIVED, 1),
        ("²", ARRIVED, 1),
    ],
)
def test_a_mark_counts_from_a_time_that_can_be(
    phases: Any, sent_ns: object, counts_ns: int, implausible: int
) -> None:
    phases.mark(f"start {sent_ns} a".encode())
    assert phases.edges == [("begin", "a", counts_ns)]
    assert (phases.implausible, phases.left_out) == (implausible, 0)


@pytest.mark.parametrize(
    ("message", "left_out"),
    [
        (b"start - " + b"x" * 504, 0),
        (b"start - " + b"x" * 505, 1),
        (b"start -", 1),
        (b"begin - a", 1),
        (b"", 1),
        (b"start - a b c", 0),
    ],
)
def test_a_mark_has_three_words_and_512_bytes(phases: Any, message: bytes, left_out: int) -> None:
    phases.mark(message)
    assert phases.left_out == left_out
    assert len(phases.names) == 1 - left_out


def test_what_the_reader_of_phases_should_know(phases: Any) -> None:
    assert phases.notes() == []
    phases.mark(b"nonsense")
    phases.mark(b"stop - a")
    phases.mark(b"start - a")
    phases.mark(b"start - a")
    phases.mark(b"start 1 b")
    assert phases.notes() == [
        "1 marks were left out: they make no sense, or are of more than 100 names",
        "2 marks were left out: the phase was open already, or was not open",
        "1 marks had a time that cannot be; they count from their arrival",
    ]
    phases.next("c", ARRIVED + 1)
    assert phases.edges[2:] == [
        ("end", "b", ARRIVED + 1),
        ("end", "a", ARRIVED + 1),
        ("begin", "c", ARRIVED + 1),
    ]


def test_a_hundred_names_of_a_hundred_signs(phases: Any) -> None:
    for number in range(101):
        phases.start(f"n{number}", ARRIVED)
    assert (len(phases.names), phases.left_out) == (100, 1)
    phases.stop("n0", ARRIVED)
    phases.start("n0", ARRIVED)
    assert phases.left_out == 1, "a name that is known may come again"
    other = Phases(SimpleNamespace(span=lambda name: SimpleNamespace(begin_at=lambda at: None)))  # type: ignore[arg-type]
    other.start("early", ARRIVED)
    assert other.names == [], "nothing is measured yet"
    other.begin()
    for name in ("x" * 101, " run ", "run", "  "):
        other.start(name, ARRIVED)
    assert other.names == ["x" * 100, "run (phase)", "phase"]
    assert other.unpaired == 1


@pytest.mark.parametrize(
    ("pieces", "begun"),
    [
        ([b"go a\n"], ["a"]),
        ([b"go a\ngo b\n"], ["a", "b"]),
        ([b"go", b" a\n"], ["a"]),
        ([b"go a\r\n"], ["a"]),
        ([b"x go a"], ["a"]),
        ([b"stay\n"], []),
        ([b"x" * 65_532 + b"go a\n"], ["a"]),
        ([b"x" * 65_533 + b"go a\n"], []),
        ([b"x" * 65_532, b"go a", b"\n"], ["a"]),
        ([b"x" * 65_536, b"go a", b"\n"], []),
    ],
)
def test_a_line_is_searched_to_its_65536th_byte(phases: Any, pieces: list[bytes], begun: list[str]) -> None:
    lines = Lines(r"go (\w)$|go (\w)", phases)
    for piece in pieces:
        lines.take(piece, ARRIVED)
    lines.end(ARRIVED)
    lines.end(ARRIVED)
    assert [name for what, name, _ in phases.edges if what == "begin"] == begun
    assert lines.notes() == []


def test_the_alarm_of_a_search_is_put_back(phases: Any) -> None:
    before = signal.getsignal(signal.SIGALRM)
    Lines("a", phases).take(b"a\n", ARRIVED)
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_marks_are_received_by_this_user_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        TemporaryDirectory(prefix="em-") as folder,  # a socket's path is short
        EnergyMeter("manual:5V,0.6A", linger=0) as meter,
    ):
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        phases = Phases(meter)
        phases.begin()
        with receiving(phases) as (environment, take_all):
            (path,) = environment.values()
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
            assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o700
            for number in range(3):
                send(f"n{number}", "start", 0, path)
            take_all()
            assert phases.names == ["n0", "n1", "n2"]
        assert not os.path.exists(os.path.dirname(path))
        phases.stop_all(time.monotonic_ns())


def test_a_mark_that_cannot_be_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENERGYMETER_MARKS", raising=False)
    (tmp_path / "file").write_text("")
    start = "start the program with `energymeter run -- …`"
    for path, text in (
        (None, f"$ENERGYMETER_MARKS is not set: {start}"),
        (str(tmp_path / "file"), f"{tmp_path}/file is no socket; {start}"),
        (
            str(tmp_path / "none"),
            f"nobody receives marks at {tmp_path}/none (No such file or directory); {start}",
        ),
    ):
        with pytest.raises(SourceMissing) as failure:
            send("a", "start", 0, path)
        assert str(failure.value) == text
    for name in ("", "  ", "x" * 505):
        with pytest.raises(SpecError, match="a phase has a name of 1 to 100 characters; give another one"):
            send(name, "start", 0, str(tmp_path / "none"))
    with pytest.raises(SourceMissing):
        send("x" * 504, "start", 0, str(tmp_path / "none"))


# Pictures -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("most", "factor", "prefix"),
    [
        (0.0, 1.0, ""), (-1.0, 1.0, ""), (1e6, 1e-6, "M"), (9.99e5, 1e-3, "k"), (1e3, 1e-3, "k"),
        (999.0, 1.0, ""),
        (1.0, 1.0, ""), (0.999, 1e3, "m"), (1e-3, 1e3, "m"), (9.9e-4, 1e6, "µ"), (1e-6, 1e6, "µ"),
        (9e-7, 1e9, "n"),
    ],
)  # fmt: skip
def test_the_prefix_of_an_axis(most: float, factor: float, prefix: str) -> None:
    assert picture.si_scale(most) == (pytest.approx(factor), prefix)


@pytest.mark.parametrize(
    ("seconds", "factor", "unit"),
    [
        (0.499, 1e3, "ms"), (0.5, 1.0, "s"), (300.0, 1.0, "s"), (300.1, 1 / 60, "min"),
        (10_800.0, 1 / 60, "min"), (10_801.0, 1 / 3600, "h"),
    ],
)  # fmt: skip
def test_the_unit_of_the_axis_of_time(seconds: float, factor: float, unit: str) -> None:
    assert picture.time_scale(seconds) == (pytest.approx(factor), unit)


@pytest.mark.parametrize(("length", "shown"), [(79, "x" * 79), (80, "x" * 80), (81, "x" * 79 + "…")])
def test_a_text_has_its_place(length: int, shown: str) -> None:
    assert picture.shown("x" * length) == shown
    assert picture.shown("abc", 3) == "abc"
    assert picture.shown("abcd", 3) == "ab…"


class Texts:
    """A figure of 5 by 4 inches that notes what is written into it."""

    def __init__(self) -> None:
        self.texts: list[tuple[float, float, str]] = []

    def get_figheight(self) -> float:
        return 4.0

    def get_figwidth(self) -> float:
        return 5.0

    def text(self, x: float, y: float, text: str, **_: Any) -> None:
        self.texts.append((round(x, 6), round(y, 6), text))


def test_where_the_texts_of_a_picture_stand() -> None:
    """In inches: the title 0.19 below the top, lines from 0.39 on, notes from 0.05 above the foot."""
    figure = Texts()
    picture.captioned(figure, "title", ["a", "b"], ["c", "d"])
    assert figure.texts == [
        (0.05, round(1 - 0.19 / 4, 6), "title"),
        (0.05, round(1 - 0.39 / 4, 6), "a"),
        (0.05, round(1 - 0.545 / 4, 6), "b"),
        (0.05, round(0.05 / 4, 6), "d"),
        (0.05, round(0.18 / 4, 6), "c"),
    ]
    other = Texts()
    picture.captioned(other, "t", [], [], left_inches=1.0)
    assert other.texts == [(0.2, round(1 - 0.19 / 4, 6), "t")]


def test_a_file_in_the_way_of_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.svg"
    picture.check_free(str(path), force=False)
    path.symlink_to(tmp_path / "none")
    with pytest.raises(LogError) as failure:
        picture.check_free(str(path), force=False)
    assert str(failure.value) == f"{path} exists; name another file, or use --force"
    picture.check_free(str(path), force=True)
    picture.write(str(path), "new", force=True)
    assert not path.is_symlink()
    with pytest.raises(LogError, match=r"cannot be written \(No such file or directory\); name another file"):
        picture.write(str(tmp_path / "none" / "a.svg"), "new", force=False)
