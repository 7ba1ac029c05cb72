"""The spans in the closing record of our logs: what is kept, read back, refused, and compared."""

import json
import sys
import time
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from energymeter import EnergyMeter, Trace
from energymeter.energy.integrate import Sample
from energymeter.errors import EnergyMeterError, SpecError
from energymeter.reading import Facts, Reading
from energymeter.recordings.closing import MOST_SPANS, SPANS_BYTES, ended_spans, spans_of, spans_to_json
from energymeter.recordings.record import RecordedSpans
from energymeter.recordings.writer import open_recorder
from energymeter.sampling.memory import LETTER_BYTES

SECOND = 1_000_000_000
SUFFIXES = ["csv", "jsonl", "parquet"]


def edges(count: int, first_s: float = 0.1) -> list[int]:
    """Calls of 10 ms, one every 20 ms."""
    starts = [round((first_s + 0.02 * number) * SECOND) for number in range(count)]
    return list(chain.from_iterable((start, start + SECOND // 100) for start in starts))


def log(path: Path, spans: dict[str, RecordedSpans], *, resume: bool = False) -> None:
    """Ten seconds at 2 W, then at 4 W."""
    if path.suffix == ".parquet":
        pytest.importorskip("pyarrow")
    header = {"channels": [{"name": "rail", "facts": Facts()._asdict()}], "started": 1.7e9}
    out = open_recorder(str(path), header, ["rail"], 0, force=False, resume=resume)
    for number in range(101) if not resume else range(101, 201):
        at_ns, watts = number * SECOND // 10, 2.0 if number <= 100 else 4.0
        joules = 0.2 * number if number <= 100 else 20.0 + 0.4 * (number - 100)
        out.row(0, Sample(at_ns, joules, None, None, at_ns, 0.0, watts, None, None))
    out.close((0, 10 * SECOND), spans_to_json(spans))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_spans_come_back_as_they_were(suffix: str, tmp_path: Path) -> None:
    path, again = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    spans = ended_spans({"infer": edges(5), "größer, 漢字": edges(1, 9.5), "none": []}, 0)
    log(path, spans)
    trace = Trace.load(path)
    assert trace.spans == spans
    assert trace.spans["infer"].windows_s[1] == (0.12, 0.13)
    assert list(trace.spans) == ["infer", "größer, 漢字"]
    assert (trace.notes, trace.window_s) == ((), (0.0, 10.0))
    assert trace.span_usage("infer").joules == pytest.approx(5 * 0.01 * 2.0)
    trace.save(again)
    assert Trace.load(again).spans == spans
    with pytest.raises(SpecError, match="has no span 'nix'; it has infer, größer, 漢字"):
        trace.span_usage("nix")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_log_without_spans_says_nothing_of_them(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    log(path, {})
    assert b"spans" not in path.read_bytes()
    assert Trace.load(path).spans == {}
    with pytest.raises(SpecError, match="it has none; a log holds those of a meter with out="):
        Trace.load(path).span_usage("infer")


def test_of_many_calls_the_first_are_kept_and_rare_names_keep_all_theirs() -> None:
    spans = ended_spans({"batch": edges(6000), "epoch": edges(10), "save": edges(3)}, 0)
    said = spans_to_json(spans)
    assert said is not None
    assert len(json.dumps(said)) < SPANS_BYTES <= LETTER_BYTES - 8
    back, notes = spans_of({"spans": said})
    assert notes == ()
    assert {name: one.n for name, one in back.items()} == {"batch": 6000, "epoch": 10, "save": 3}
    assert (back["epoch"], back["save"]) == (spans["epoch"], spans["save"])
    kept = back["batch"].windows_s
    assert kept == spans["batch"].windows_s[: len(kept)]
    assert 500 < len(kept) <= MOST_SPANS - 13


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        ([f"step {number}" for number in range(3000)], 100),
        (["\U0001f600" * 100 + f"{number:03d}"[:0] for number in range(1)], 1),
        ([chr(0x10000 + number) * 100 for number in range(200)], 6),
        (["a" * 101, "line\nbreak", "\ud800", "fine"], 1),
    ],
)
def test_names_that_have_no_room_are_counted(names: list[str], kept: int) -> None:
    spans = ended_spans(dict.fromkeys(names, edges(40)), 0)
    said = spans_to_json(spans)
    assert said is not None
    assert len(json.dumps(said)) < SPANS_BYTES
    back, notes = spans_of({"spans": said})
    assert len(back) == kept
    assert notes == (
        (f"spans of {len(names) - kept} more names are not in the log",) if kept < len(names) else ()
    )


def test_a_log_that_goes_on_after_its_end_has_one_closing_record(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    log(path, ended_spans({"infer": edges(6000)}, 0))
    log(path, ended_spans({"later": edges(2)}, 0), resume=True)
    trace = Trace.load(path)
    assert (len(trace), list(trace.spans), trace.notes) == (201, ["later"], ())


GOOD = {"named": {"a": {"n": 1, "windows_s": [[0.0, 1.0]]}}, "left_out": 0}
HOSTILE: dict[str, Any] = {
    "no object": 7,
    "no names": {"left_out": 0},
    "a list of names": {"named": [], "left_out": 0},
    "too many names": {"named": {str(n): GOOD["named"]["a"] for n in range(101)}, "left_out": 0},  # type: ignore[index]
    "an escape": {"named": {"\x1b[2J": {"n": 0, "windows_s": []}}, "left_out": 0},
    "a long name": {"named": {"a" * 101: {"n": 0, "windows_s": []}}, "left_out": 0},
    "fewer calls than windows": {"named": {"a": {"n": 0, "windows_s": [[0, 1]]}}, "left_out": 0},
    "a call that is true": {"named": {"a": {"n": True, "windows_s": [[0, 1]]}}, "left_out": 0},
    "half a call": {"named": {"a": {"n": 1.5, "windows_s": [[0, 1]]}}, "left_out": 0},
    "no numbers": {"named": {"a": {"n": 1, "windows_s": [["0", 1]]}}, "left_out": 0},
    "not finite": {"named": {"a": {"n": 1, "windows_s": [[0, 1e999]]}}, "left_out": 0},
    "backwards": {"named": {"a": {"n": 1, "windows_s": [[2, 1]]}}, "left_out": 0},
    "three edges": {"named": {"a": {"n": 1, "windows_s": [[0, 1, 2]]}}, "left_out": 0},
    "no window": {"named": {"a": {"n": 1, "windows_s": [None]}}, "left_out": 0},
    "an object": {"named": {"a": {"n": 1, "windows_s": {"0": 1}}}, "left_out": 0},
    "too many": {"named": {"a": {"n": 9999, "windows_s": [[0, 1]] * (MOST_SPANS + 1)}}, "left_out": 0},
    "negative": {"named": {}, "left_out": -1},
}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("what", HOSTILE)
def test_spans_that_make_no_sense_are_reported_and_not_used(
    what: str, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written by somebody who knows how to make the checksums."""
    path = tmp_path / f"a.{suffix}"
    monkeypatch.setattr(sys.modules[__name__], "spans_to_json", lambda spans: spans)
    log(path, HOSTILE[what])
    try:
        trace = Trace.load(path)
    except EnergyMeterError:
        return  # of a Parquet log the closing record is part of the header
    assert trace.spans == {}
    assert trace.notes


@pytest.mark.parametrize("change", [(b'"n": 5', b'"n": 6'), (b"0.13]", b"0.14]"), (b"infer", b"inferx")])
def test_changed_spans_are_noticed(change: tuple[bytes, bytes], tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    log(path, ended_spans({"infer": edges(5)}, 0))
    raw = path.read_bytes()
    assert change[0] in raw
    path.write_bytes(raw.replace(*change))
    assert "changed after it was closed" in Trace.load(path).notes[0]
    assert Trace.load(path).spans == {}
    said, _, rest = raw.rpartition(b', "spans": ')
    path.write_bytes(said + rest[rest.index(b', "sha256"') :])
    assert "changed after it was closed" in Trace.load(path).notes[0]


class Here:
    """A source that exists only in this process."""

    name = "here"
    facts = Facts(default_hz=200.0)

    def open(self) -> None:
        """Nothing to do."""

    def read(self) -> Reading:
        return Reading(watts=3.0)

    def close(self) -> None:
        """Nothing to do."""


@pytest.mark.parametrize("source", ["manual:5V,0.6A", Here()], ids=["process", "thread"])
def test_the_log_of_a_meter_holds_its_spans(source: Any, tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    meter = EnergyMeter(source, rate_hz=200, out=path)
    with meter:
        for _ in range(3):
            with meter.span("step"):
                time.sleep(0.02)
        open_span = meter.span("open").__enter__()
    open_span.__exit__()
    trace, live = Trace.load(path), meter.spans["step"].usage
    assert {name: one.n for name, one in trace.spans.items()} == {"step": 3}
    assert trace.span_usage("step").joules == pytest.approx(live.joules, rel=1e-6)
    assert trace.span_usage("step").seconds == pytest.approx(live.seconds, rel=1e-6)
