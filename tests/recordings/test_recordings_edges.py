"""What reads recordings, piece by piece at its limits: cells, heads, ends, lines, times, questions."""

import io
import json
import math
import struct
import warnings
from array import array
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from energymeter.errors import LogError, NotMeasured, SpecError
from energymeter.reading import Band, Facts
from energymeter.recordings import blocks, closing, foreign, header, own, reader, record, textfile, thinning
from energymeter.recordings.arrays import _gaps, begun, forward, integrated, running, scatter
from energymeter.recordings.cells import CODES, Column, cell_value, python_number
from energymeter.recordings.channel import Channel, Kind, _with_holes, _without_dips
from energymeter.recordings.question import question, spelled
from energymeter.recordings.record import (
    EXPANDED,
    Hints,
    Lines,
    Record,
    RecordedSpans,
    _has_long_line,
    constant_volts,
    gathered,
    options_in,
)
from energymeter.recordings.textfile import TitledTable, small_text, titled_table
from energymeter.recordings.timeline import (
    Oddities,
    Timeline,
    _caught_up,
    _spread,
    _typical,
    is_newest_first,
    timeline,
)

NAN = math.nan

# Columns of pyarrow -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [0, 1, 7, 8, 9])
def test_an_empty_cell_of_an_array_is_unknown(start: int) -> None:
    pa = pytest.importorskip("pyarrow")
    from energymeter.recordings.arrow import are, plain, texts

    cells = [1.0, None, 3.0, 4.0, None, 6.0, 7.0, 8.0, None, 10.0, 11.0, 12.0]
    expected = [NAN if cell is None else cell for cell in cells]
    np.testing.assert_array_equal(plain(pa.array(cells)[start:]), expected[start:])
    np.testing.assert_array_equal(plain(pa.array(cells)[start : start + 3]), expected[start : start + 3])
    whole = pa.array(range(12), pa.int32())[start:]
    np.testing.assert_array_equal(plain(whole, np.int32), range(start, 12))
    names = texts(["a", "µ", "", "a"] * 3)
    assert names.to_pylist() == ["a", "µ", "", "a"] * 3
    for name in ("a", "µ", "", "b"):
        expected_here = [one == name for one in (["a", "µ", "", "a"] * 3)[start:]]
        np.testing.assert_array_equal(are(names[start:], name), expected_here)
        np.testing.assert_array_equal(are(names.dictionary_encode()[start:], name), expected_here)


# EnergyRunner -----------------------------------------------------------------------------------------------


def energyrunner(rate: float, *microjoules: float, more: bytes = b"") -> io.BytesIO:
    return io.BytesIO(b"\xf1" + struct.pack(f"<{1 + len(microjoules)}f", rate, *microjoules) + more)


@pytest.mark.parametrize("more", [b"", b"\0", b"\0\0\0"])
def test_periods_of_an_energyrunner_trace(more: bytes) -> None:
    found = foreign.read_energyrunner("/x/a\x1b.bin", energyrunner(4.0, 1e6, 2e6, more=more))
    assert list(found.columns["time_s"]) == [0.25, 0.5]
    assert list(found.columns["watts"]) == pytest.approx([4.0, 8.0])
    assert (found.name, found.facts.semantics) == ("a\\x1b.bin", "mean")
    assert list(foreign.read_energyrunner("x", energyrunner(4.0, 1e6)).columns["time_s"]) == [0.25]


def test_an_energyrunner_trace_without_a_period_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for short in (b"", b"\xf1", energyrunner(4.0, more=b"\0\0\0").getvalue()):
        assert len(short) < 9
        with pytest.raises(NotMeasured, match=r"^x holds no samples; record again$"):
            foreign.read_energyrunner("x", io.BytesIO(short))
    assert foreign._MOST_BYTES == 32_000_000
    long = io.BytesIO(bytes(32_000_001))
    with pytest.raises(LogError, match=r"^x holds more than 8 million samples; split it$"):
        foreign.read_energyrunner("x", long)
    monkeypatch.setattr(foreign, "_MOST_BYTES", 9)
    assert len(foreign.read_energyrunner("x", energyrunner(4.0, 1e6)).columns["time_s"]) == 1
    with pytest.raises(LogError, match="split it"):
        foreign.read_energyrunner("x", energyrunner(4.0, 1e6, more=b"\0"))


@pytest.mark.parametrize(
    ("rate", "fine"), [(0.0011, True), (0.0009, False), (9.9e6, True), (1e7, False), (-4.0, False)]
)
def test_the_rate_of_an_energyrunner_trace(rate: float, fine: bool) -> None:
    if fine:
        assert foreign.read_energyrunner("x", energyrunner(rate, 1.0)).columns["watts"][0] == pytest.approx(
            rate * 1e-6, rel=1e-6
        )
    else:
        with pytest.raises(LogError, match=r"its rate must be from 0\.001 to 1e7 Hz, not "):
            foreign.read_energyrunner("x", energyrunner(rate, 1.0))


# Questions --------------------------------------------------------------------------------------------------


def test_a_question_names_forty_titles_and_keeps_what_was_answered() -> None:
    def titled(count: int) -> str:
        return str(question("x.csv", Hints(), "which", titles=[f"t{n}" for n in range(count)]))

    assert titled(40).endswith(", t39; write it as a table with titles such as time_s and power_W")
    assert ", t39 and 1 more; write it" in titled(41)
    assert str(question("x.csv", Hints(), "which", titles=["", "a\x1b"])).startswith(
        "x.csv: which; it has, parted by commas: (empty), a\\x1b; "
    )
    hints = Hints(time=record.ARRIVAL, watts="P", unit="", caller="show")
    assert str(question("x.csv", hints, "which", answer={"unit": "mW"})) == (
        "x.csv: which; say what is meant, as in energymeter show x.csv --watts P --unit mW"
    )
    assert "time='t'" in str(question("x.csv", Hints(time="t"), "which", answer={"unit": "mW"}))
    assert "decimal" in str(question("x.csv", Hints(decimal=","), "which", answer={"unit": "mW"}))


@pytest.mark.parametrize(
    ("path", "caller", "said"),
    [
        ("a b.csv", "load", "Trace.load('a b.csv', watts='P 1')"),
        ("a.csv", "csv", "csv@a.csv?watts=P%201"),
        ("a b.csv", "replay", 'replay@"a b.csv"?watts=P%201'),
        ("a.csv", "show", "energymeter show a.csv --watts 'P 1'"),
        ("a.csv", "budget", "energymeter budget 'a.csv?watts=P%201'"),
    ],
)
def test_an_answer_is_spelled_for_who_asked(path: str, caller: str, said: str) -> None:
    assert spelled(path, caller, {"watts": "P 1"}) == said


# Hints ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "volts"),
    [("3.7V", 3.7), ("3.7v", 3.7), (" 5 ", 5.0), ("1e-9", 1e-9), ("999999", 999_999.0), ("0", None),
     ("-5", None), ("1000000", None), ("nan", None), ("bus", None), ("", None), (None, None)],
)  # fmt: skip
def test_a_constant_voltage(text: str | None, volts: float | None) -> None:
    assert constant_volts(Hints(volts=text)) == volts


@pytest.mark.parametrize(
    ("hints", "named"),
    [
        (Hints(), False),
        (Hints(time="t", unit="mW"), False),
        (Hints(watts="P"), True),
        (Hints(amps="I"), True),
        (Hints(joules="E"), True),
        (Hints(volts="U"), True),
        (Hints(volts="5V"), False),
    ],
)
def test_whether_a_column_was_named(hints: Hints, named: bool) -> None:
    assert hints.named is named


def test_hints_behind_a_path(tmp_path: Path) -> None:
    assert options_in("x.csv", Hints(unit="W")) == ("x.csv", Hints(unit="W"))
    path, hints = options_in("x.csv?watts=a%20b&unit=mW", Hints(unit="W", caller="show"))
    assert (path, hints) == ("x.csv", Hints(watts="a b", unit="mW", caller="show"))
    with pytest.raises(SpecError, match=r"has no option 'caller': give some of time, watts, .*, channel$"):
        options_in("x.csv?caller=show", Hints())
    there = tmp_path / "x?watts=P"
    there.touch()
    assert options_in(str(there), Hints()) == (str(there), Hints())


def test_units_of_calls_without_the_first_ones() -> None:
    spans = RecordedSpans(3, ((0.0, 1.0),) * 3, {"image": (1.0, 2.0, 4.0)})
    assert [spans.counted(skip) for skip in (0, 1, 3)] == [{"image": 7.0}, {"image": 6.0}, {"image": 0.0}]
    assert spans.counted() == {"image": 7.0}


# Lines ------------------------------------------------------------------------------------------------------


def lines_of(text: str, most: int | None = None) -> Lines:
    return Lines(io.StringIO(text, newline=""), most)


@pytest.mark.parametrize(
    ("text", "most", "whole", "damage"),
    [
        ("a\nb\n", None, ["a\n", "b\n"], ""),
        ("a\r\nb\r", None, ["a\r\n", "b\r"], ""),
        ("a\nb", None, ["a\n", "b"], ""),
        ("a\nb\n", 4, ["a\n", "b\n"], ""),
        ("a\nb\n", 3, ["a\n"], EXPANDED),
        ("a\n" + "x" * 9, None, ["a\n"], "a row of it has no end"),
        ("a\n" + "x" * 8 + "\n", None, ["a\n"], "a row of it has no end"),
        ("a\n" + "x" * 7 + "\n", None, ["a\n", "x" * 7 + "\n"], ""),
        ("a\n" + "x" * 9, 10, ["a\n"], EXPANDED),
    ],
)
def test_lines_up_to_the_damage(
    text: str, most: int | None, whole: list[str], damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Lines.MOST == 1 << 20
    monkeypatch.setattr(Lines, "MOST", 9)
    lines = lines_of(text, most)
    assert list(lines.whole()) == whole
    assert lines.damage == damage
    for size in (1, 3, 100):
        lines = lines_of(text, most)
        assert "".join(lines.blocks(size)) == "".join(whole)
        assert lines.damage == damage


def test_a_row_that_was_cut_off_is_damage_of_our_own_and_a_row_of_others() -> None:
    lines = lines_of("a\nb")
    assert list(lines) == ["a\n"]
    assert (lines.half, lines.damage) == ("b", "its last row is cut off")
    assert list(lines.whole()) == ["b"]
    assert (lines.half, lines.damage) == ("", "")


@pytest.mark.parametrize(
    ("size", "pieces"),
    [(1, ["ab\n", "c\n", "def\n"]), (3, ["ab\n", "c\ndef\n"]), (4, ["ab\nc\n", "def\n"]),
     (9, ["ab\nc\ndef\n"]), (99, ["ab\nc\ndef\n"])],
)  # fmt: skip
def test_lines_are_gathered(size: int, pieces: list[str]) -> None:
    assert list(gathered(iter(["ab\n", "c\n", "def\n"]), size)) == pieces
    assert list(gathered(iter([]), size)) == []


@pytest.mark.parametrize(
    ("text", "long"),
    [
        ("abc\n" * 5, False),
        ("x" * 20, True),
        ("abc\n" + "x" * 20 + "\n", True),
        ("ab\r" * 5, False),
        ("", False),
    ],
)
def test_whether_a_line_may_be_longer(text: str, long: bool) -> None:
    assert _has_long_line(text, 8) is long


# Texts of others --------------------------------------------------------------------------------------------


def test_a_small_text_has_64_million_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert textfile.MOST_CHARACTERS == 64_000_000
    path = tmp_path / "x.txt"
    path.write_text("ab\ncd\n")
    monkeypatch.setattr(textfile, "MOST_CHARACTERS", 6)
    assert small_text(str(path)) == (["ab\n", "cd\n"], "")
    monkeypatch.setattr(textfile, "MOST_CHARACTERS", 5)
    with pytest.raises(LogError, match=r"x.txt is larger than 5e-06 MB of text; split it$"):
        small_text(str(path))


def test_a_small_table_knows_the_numbers_of_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("# made by hand\ntime;value\n\n1;2,5\n# a comment\n2;3,5\n")
    table = titled_table(str(path))
    assert table.titles == ("time", "value")
    assert table.rows == [(4, ["1", "2,5"]), (6, ["2", "3,5"])]
    assert table.number("3,5") == 3.5
    assert table.found == f"it has, {table.parted}: time, value"
    with pytest.raises(ValueError, match=r"^'x' is no number$"):
        table.number("x")
    path.write_text("")
    assert titled_table(str(path)).found == "it is empty"
    assert TitledTable((), [(1, ["x"])], ".").found == "it has no titles"


@pytest.mark.parametrize(("size", "most"), [(0, 1 << 28), (1_342_177, 1 << 28), (2_000_000, 400_000_000)])
def test_how_much_a_compressed_file_may_hold(size: int, most: int, tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    with path.open("wb") as file:
        file.truncate(size)
    with path.open("rb") as opened:
        assert textfile.most_expanded(opened) == most


def test_the_typical_interval_leaves_out_falls() -> None:
    assert reader.typical_interval(array("d", [])) == 1.0
    assert reader.typical_interval(array("d", [5.0])) == 1.0
    assert reader.typical_interval(array("d", [0.0, 2.0, 1.0, 4.0, 5.0, 5.0])) == 2.0
    assert reader.typical_interval(array("d", [0.0, 1.0, 4.0])) == 3.0


# Cells ------------------------------------------------------------------------------------------------------

WATTS = Column(0, "P", "watts", 1e-3)
FREE = Column(0, "P", "watts", None)


@pytest.mark.parametrize(
    ("cell", "column", "decimal", "value"),
    [
        ("5", WATTS, ".", 0.005),
        ("5 W", WATTS, ".", 5.0),
        ("5 kW", FREE, ".", 5000.0),
        ("5", FREE, ".", NAN),
        ("5 V", WATTS, ".", NAN),
        ("5 rpm", WATTS, ".", NAN),
        ("1_0", WATTS, ".", NAN),
        ("1,5", WATTS, ",", 0.0015),
        ("1.5", WATTS, ",", 0.0015),
        ("1.234,5", WATTS, ",", 1.2345),
        ("1,234.5", WATTS, ".", 1.2345),
        ("9e17", WATTS, ".", 9e14),
        ("1e18", WATTS, ".", NAN),
        ("-1e18", WATTS, ".", NAN),
        ("x", WATTS, ".", NAN),
        ("65535", WATTS._replace(highest=100.0), ".", NAN),
        ("65536", WATTS._replace(highest=100.0), ".", 65.536),
        ("-65535", WATTS._replace(highest=100.0), ".", NAN),
        ("65535", WATTS._replace(highest=65535.0), ".", 65.535),
        ("65535", WATTS, ".", 65.535),
    ],
)
def test_the_number_of_a_cell(cell: str, column: Column, decimal: str, value: float) -> None:
    found = cell_value(cell, column, decimal)
    assert found == pytest.approx(value) or (math.isnan(found) and math.isnan(value))


def test_codes_for_no_value_are_those_of_converters() -> None:
    """All nines, and the ends of 16, 24, 32 and 64 bits, also in thousandths."""
    ends = {2.0**15 - 1, 2.0**15, 2.0**16 - 1, 2.0**23 - 1, 2.0**24 - 1, 2.0**31 - 1, 2.0**31, 2.0**32 - 1}
    ends |= {(2.0**31 - 1) / 1000, (2.0**32 - 1) / 1000, 2.0**63, 2.0**64}
    nines = {float("9" * digits) for digits in range(3, 8)} | {999.9, 9999.9}
    assert {abs(code) for code in CODES} == ends | nines
    assert {-code for code in CODES} == CODES


@pytest.mark.parametrize(
    ("cell", "decimal", "python"),
    [
        ("10'000.5", ".", "10000.5"),
        ("1,234,567", ".", "1234567"),
        ("1,23", ".", "1,23"),
        ("1,2345", ".", "1,2345"),
        ("1,234,56", ".", "1,234,56"),
        ("1.234", ",", "1234"),
        ("1.5", ",", "1.5"),
        ("0,5 W", ",", "0.5 W"),
        ("1,5,6", ",", "1.5,6"),
    ],
)
def test_numbers_as_python_writes_them(cell: str, decimal: str, python: str) -> None:
    assert python_number(cell, decimal) == python


def test_a_column_for_people() -> None:
    assert Column(2, "", "watts", 1.0).said == "column 3 [W]"
    assert Column(2, "P", "watts", 1e-3, unit="mW").said == "P [mW]"
    assert Column(2, "P [mW]", "watts", 1e-3, unit="mW").said == "P [mW]"
    assert FREE.said == "P [in the cells]"


# Heads of our own logs --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("default_hz", 1e-9, 1e9),
        ("max_hz", 1e-9, 1e9),
        ("joules_wrap", 1e-9, 1e18),
        ("coulombs_wrap", 1e-9, 1e18),
        ("max_watts", 0.0, 1e12),
        ("clock", 0.0, 1.0),
        ("duty", 0.0, 1.0),
        ("latency", 0.0, 1e3),
        ("renewal_seconds", 0.0, 1e6),
        ("smoothing_seconds", 0.0, 1e6),
        ("still_seconds", 0.0, 1e6),
    ],
)
def test_facts_of_a_head_lie_within_their_limits(name: str, low: float, high: float) -> None:
    for fine in (low, high):
        assert header._field(name, fine) == fine
    for wrong in (low / 2 if low else -1e-9, high * 1.01, NAN):
        with pytest.raises(ValueError, match=rf"^{name} is not between "):
            header._field(name, wrong)
    optional = name in ("joules_wrap", "coulombs_wrap", "max_watts", "still_seconds")
    if optional:
        assert header._field(name, None) is None
    for wrong_kind in (True, "1", *([] if optional else [None])):
        with pytest.raises(TypeError, match=rf"^{name} is not a number$"):
            header._field(name, wrong_kind)


@pytest.mark.parametrize("name", ["volts", "amps", "watts", "joules", "coulombs"])
def test_accuracies_of_a_head(name: str) -> None:
    assert header._field(name, None) is None
    assert header._field(name, [0.0, 1e12, 0.5]) == Band(0.0, 1e12, 0.5)
    for wrong in ([0.0, 0.0], [0.0] * 4, "000", 0.5):
        with pytest.raises(TypeError, match=rf"^the accuracy of {name} is not three numbers$"):
            header._field(name, wrong)
    for wrong in ([-1e-9, 0.0, 0.0], [0.0, 1.1e12, 0.0]):
        with pytest.raises(ValueError, match=rf"^the accuracy of {name} is not between 0 and 1e\+12$"):
            header._field(name, wrong)


def test_words_and_flags_of_a_head() -> None:
    assert header._field("semantics", "mean") == "mean"
    with pytest.raises(ValueError, match=rf"^'{'x' * 40}' is none of instant, mean, counter$"):
        header._field("semantics", "x" * 50)
    assert header._field("counted", False) is False
    with pytest.raises(TypeError, match=r"^replayed is neither true nor false$"):
        header._field("replayed", 0)


@pytest.mark.parametrize(
    ("notes", "fine"),
    [
        ([], True),
        (["x" * 1000] * 100, True),
        (["x"] * 101, False),
        (["x" * 1001], False),
        ([1], False),
        ("x", False),
    ],
)
def test_notes_of_a_head(notes: Any, fine: bool) -> None:
    if fine:
        assert header._notes(notes) == tuple(notes)
    else:
        with pytest.raises(
            ValueError, match=r"its notes are no list of at most 100|a note is not a short text"
        ):
            header._notes(notes)


@pytest.mark.parametrize(
    ("name", "fine"),
    [("x", True), ("x" * 1000, True), ("", False), ("x" * 1001, False), ("a\nb", False), (5, False)],
)
def test_the_name_of_a_channel_in_a_head(name: Any, fine: bool) -> None:
    if fine:
        assert header._name(name) == name
    else:
        with pytest.raises(ValueError, match=r"not a short text|has control characters"):
            header._name(name)


def head(count: int, **more: Any) -> dict[str, Any]:
    channels = [{"name": f"c{number}", "facts": {}, "source": number} for number in range(count)]
    return {"channels": channels, **more}


def test_channels_of_a_head() -> None:
    assert len(header.empty_records("x", head(1024))) == 1024
    with pytest.raises(
        LogError, match=r"damaged header \(it has more than 1024 channels\); restore its first line"
    ):
        header.empty_records("x", head(1025))
    one, *rest = header.empty_records("x", head(3, counted_sources=2, started=5.0))
    assert [one.facts.counted, *(other.facts.counted for other in rest)] == [True, True, False]
    assert (one.read_as, one.period_s, one.epoch_s) == ("energymeter log 1: 3 channels", 0.0, 5.0)
    (alone,) = header.empty_records("x", head(1))
    assert (alone.read_as, alone.epoch_s) == ("energymeter log 1: 1 channel", None)
    rated = head(1)
    rated["channels"][0]["rate_hz"] = 4.0
    assert header.empty_records("x", rated)[0].period_s == 0.25
    old = head(1)
    old["channels"][0]["facts"] = dict(zip(header._NAMES_OF_0_1_0, (True, 0.5, 0.25), strict=True))
    facts = header.empty_records("x", old)[0].facts
    assert (facts.replayed, facts.duty, facts.latency) == (True, 0.5, 0.25)
    for wrong in (
        head(2, counted_sources=True), head(2, counted_sources=-1), head(2, counted_sources=1025),
        head(1, started=1.1e12), head(1, started=-1.1e12),
        {"channels": head(1)["channels"] * 2}, {"channels": [5]},
    ):  # fmt: skip
        with pytest.raises(LogError, match="has a damaged header"):
            header.empty_records("x", wrong)
    assert header.empty_records("x", head(1, counted_sources=1024, started=-1e12))[0].epoch_s == -1e12
    for nothing in ({}, {"channels": []}, {"channels": {}}):
        with pytest.raises(LogError, match="its header names no channel; give another file"):
            header.empty_records("x", nothing)


def test_titles_of_a_csv_of_ours() -> None:
    assert header.csv_head({"a": 1}, 1) == '# {"a": 1}\ntime_s,volts,amps,watts,joules,coulombs,covered_s\n'
    assert header.csv_head({}, 2).endswith(",covered_s,source\n")


# Closing records --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "found"),
    [(None, None), ([0, 5], (0.0, 5.0)), ([5, 5], (5.0, 5.0)), ([-1e12, 1e12], (-1e12, 1e12))],
)
def test_the_window_of_a_closing_record(window: Any, found: Any) -> None:
    assert closing.window_of({"window_s": window}) == found
    for wrong in ([5, 4.9], [0, 1.1e12], [-1.1e12, 0], [0], [0, "1"]):
        with pytest.raises((ValueError, TypeError)):
            closing.window_of({"window_s": wrong})


def test_spans_of_a_closing_record_at_their_limits() -> None:
    def named(count: int, calls: int = 1, name: str = "", units: Any = None) -> dict[str, Any]:
        each = {"n": calls, "windows_s": [[0, 1]] * calls, **({} if units is None else {"units": units})}
        return {"spans": {"named": {name or f"s{n}": each for n in range(count)}, "left_out": 0}}

    assert len(closing.spans_of(named(100))[0]) == 100
    assert closing.spans_of(named(1, 1000))[0]["s0"].n == 1000
    assert closing.spans_of(named(1, name="x" * 100))[0]["x" * 100].n == 1
    assert closing.spans_of({}) == ({}, ())
    more = {"spans": {"named": {}, "left_out": 2}}
    assert closing.spans_of(more) == ({}, ("spans of 2 more names are not in the log",))
    units = {f"u{n}": 2 for n in range(20)}
    assert closing.spans_of(named(1, 3, units=units))[0]["s0"].units["u0"] == (2.0, 2.0, 2.0)
    assert closing.spans_of(named(1, 2, units={"u": [1, 1e15]}))[0]["s0"].units == {"u": (1.0, 1e15)}
    for wrong in (
        named(101), named(1, 1001), named(2, 501), named(1, name="x" * 101), named(1, name="a\n"),
        named(1, 2, units={f"u{n}": 2 for n in range(21)}), named(1, 2, units={"u": [1]}),
        named(1, 2, units={"u": [1, 1.1e15]}), named(1, 2, units={"u": -1}), named(1, 2, units=[1]),
        {"spans": {"named": {}, "left_out": -1}}, {"spans": {"named": {}, "left_out": True}},
        {"spans": {"named": {}, "left_out": 10**15 + 1}}, {"spans": {"named": [], "left_out": 0}},
        {"spans": {"named": {"a": {"n": 0, "windows_s": [[0, 1]]}}, "left_out": 0}},
        {"spans": {"named": {"a": {"n": 2, "windows_s": [[0, 1], None]}}, "left_out": 0}},
    ):  # fmt: skip
        with pytest.raises((ValueError, KeyError, TypeError)):
            closing.spans_of(wrong)
    assert closing.spans_of({"spans": {"named": {}, "left_out": 10**15}})[1]


def test_the_end_of_a_run() -> None:
    assert closing.run_end_of({}) is None
    assert closing.run_end_of({"end": {"unix_s": 5, "time_s": -1}}) == (5.0, -1.0, None)
    assert closing.run_end_of({"end": {"unix_s": 5, "time_s": 1, "throttled": 0}}) == (5.0, 1.0, 0)
    for wrong in (
        {"unix_s": 1.1e12, "time_s": 0},
        {"unix_s": 0, "time_s": -1.1e12},
        {"unix_s": 0, "time_s": 0, "throttled": -1},
    ):
        with pytest.raises(ValueError, match=r"is not between|is no count"):
            closing.run_end_of({"end": wrong})


def test_spans_that_ended_and_what_they_counted() -> None:
    edges = {"a": [10, 20, 30, 40, 50], "b": [1], "c": []}
    found = closing.ended_spans(edges, 10, {"a": {"image": [3.0], "x\n": [1.0], "y": [1.0, 2.0, 9.0]}})
    assert list(found) == ["a"]
    assert found["a"] == (2, ((0.0, 1e-8), (2e-8, 3e-8)), {"image": (3.0, 0.0), "y": (1.0, 2.0)})
    many = closing.ended_spans({"a": [*range(2 * 1001)]}, 0)["a"]
    assert (many.n, len(many.windows_s)) == (1001, 1000)


def test_a_closing_record_says_as_much_of_spans_as_fits() -> None:
    assert closing.spans_to_json({}) is None
    window = (0.0, 1.0)
    said = closing.spans_to_json(
        {"a": RecordedSpans(5, (window, window), {"u": (2.0, 2.0), "v": (1.0, 2.0)})}
    )
    assert said == {
        "named": {"a": {"n": 5, "windows_s": (window, window), "units": {"u": 2.0, "v": (1.0, 2.0)}}},
        "left_out": 0,
    }
    names = {f"n{number}": RecordedSpans(1, (window,)) for number in range(101)}
    made = closing.spans_to_json({**names, "x" * 101: RecordedSpans(1, ())})
    assert made is not None
    assert (len(made["named"]), made["left_out"]) == (100, 2)
    # names of 100 characters take 102 bytes each of the 8192 for names
    long = {f"{number:0100}": RecordedSpans(1, ()) for number in range(100)}
    made = closing.spans_to_json(long)
    assert made is not None
    assert (len(made["named"]), made["left_out"]) == (80, 20)
    busy = {"rare": RecordedSpans(3, (window,) * 3), "often": RecordedSpans(5000, ((1 / 3, 2 / 3),) * 1000)}
    made = closing.spans_to_json(busy)
    assert made is not None
    assert len(json.dumps(made)) < closing.SPANS_BYTES == 32_768
    assert len(made["named"]["rare"]["windows_s"]) == 3, "rare names keep all they have"
    # 42 bytes a window: of 1000, 750 fit, of which three are the rare one's
    assert len(made["named"]["often"]["windows_s"]) == 747
    unitless = closing.spans_to_json({"a": RecordedSpans(2, (), {"u": ()})})
    assert unitless == {"named": {"a": {"n": 2, "windows_s": ()}}, "left_out": 0}


# Our own logs in text ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("block", "at"),
    [
        (b"1,2\n3,4\n", -1),
        (b'# {"closed": {}}\n', 0),
        (b'{"closed": {}}\n', 0),
        (b'1,2\n# {"closed": {}}\n', 4),
        (b'{"a": 1}\n{"closed": {}}\n', 9),
        (b'1 {"closed": {}}\n', -1),
        (b"{\n", -1),
    ],
)
def test_where_a_closing_record_begins(block: bytes, at: int) -> None:
    assert own._closing_in(block) == at


def test_lines_of_a_block_that_are_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lines, "MOST", 8)
    assert own._up_to_long_line(b"abc\n" * 5) == (b"abc\n" * 5, False)
    assert own._up_to_long_line(b"abcdef\n" * 3) == (b"abcdef\n" * 3, False)
    assert own._up_to_long_line(b"abc\nabcdefg\nabc\n") == (b"abc\n", True)
    assert own._up_to_long_line(b"abcdefg\n") == (b"", True)
    assert own._up_to_long_line(b"") == (b"", False)


@pytest.mark.parametrize(
    ("value", "number"), [("", NAN), (None, NAN), ("1.5", 1.5), ("inf", NAN), (2, 2.0), ("nan", NAN)]
)
def test_a_cell_of_our_own(value: Any, number: float) -> None:
    found = own._cell(value)
    assert found == number or (math.isnan(found) and math.isnan(number))


class LongFile(io.BytesIO):
    """A file that is read in blocks, as one on a disk."""


@pytest.mark.parametrize(
    ("rest", "damage", "closed", "after"),
    [
        (b"", "", None, False),
        (b'# {"closed": 1}\n', "", '{"closed": 1}\n', False),
        (b'# {"closed": 1}\n5,6\n', "", '{"closed": 1}\n', True),
        (b'# {"closed": 1}\nx', "", '{"closed": 1}\n', True),
        (b"5,", "its last row is cut off", None, False),
        (b"x" * 40, "a row of it has no end", None, False),
    ],
)
@pytest.mark.parametrize("size", [3, 8, 1000])
def test_blocks_of_a_log_up_to_its_end(
    rest: bytes, damage: str, closed: str | None, after: bool, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hashlib

    monkeypatch.setattr(Lines, "MOST", 30)
    rows = b"1,2\n3,4\n"
    lines = own._HashedLines(LongFile(rows + rest), None)
    assert b"".join(lines.blocks(size)) == rows
    assert (lines.damage, lines.closing, lines.after_closing) == (damage, closed, after)
    assert lines.sha256.hexdigest() == hashlib.sha256(rows).hexdigest()


def test_lines_of_a_log_that_is_compressed_too_well() -> None:
    for most, whole, damage in ((8, ["1,2\n", "3,4\n"], ""), (7, ["1,2\n"], EXPANDED)):
        lines = own._HashedLines(io.BytesIO(b"1,2\n3,4\n"), most)
        assert list(lines) == whole
        assert lines.damage == damage


def test_rows_of_our_own_up_to_the_first_that_is_damaged() -> None:
    def rows(*times: Any, **more: Any) -> Any:
        made = own._Rows(header.empty_records("x", head(1)))
        made.take({**dict.fromkeys(header.COLUMNS, "1"), "time_s": time, **more} for time in times)
        return made

    fine = rows("0", "1")
    assert (fine.damage, list(fine.finished()[0].columns["time_s"])) == ("", [0.0, 1.0])
    still = rows("0", "0")
    assert still.damage == "its row 2 is damaged (it does not go forward in time)"
    assert rows("x").damage.startswith("its row 1 is damaged (could not convert")
    made = own._Rows(header.empty_records("x", head(2)))
    made.take([{**dict.fromkeys(header.COLUMNS, "1"), "source": "c9"}])
    assert made.damage == "its row 1 is damaged ('c9')"
    long = own._Rows(header.empty_records("x", head(1)))
    long.take([{**dict.fromkeys(header.COLUMNS, "1"), None: ["2"]}])
    assert "does not go forward" in long.damage
    assert "a row is no object" in _taken(["[1]"])


def _taken(lines: list[str]) -> str:
    made = own._Rows(header.empty_records("x", head(1)))
    made.take(own._json_rows(lines))
    return made.damage


def test_what_is_no_file_on_a_disk_is_read_row_by_row() -> None:
    assert not own._is_long(io.BytesIO(b"x" * 10))


def test_a_file_that_was_added_to_another_ends_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("time_s,power_W\n0,3\n1,3\n\ufeff,\n2,3\n\ufeff3,3\n", encoding="utf-8")
    (found,) = reader.read(str(path))
    assert list(found.columns["time_s"]) == [0.0, 1.0, 2.0, 3.0]


# Logs in lines and blocks -----------------------------------------------------------------------------------


def table(name: str, text: str) -> list[str]:
    (log,) = [log for log in blocks.LOGS if log.name == name]
    return [line.rstrip("\n") for line in log.rows("x.log", iter(text.splitlines(keepends=True)))]


def test_a_log_of_tegrastats_as_rows() -> None:
    line = (
        "05-04-2026 22:58:30 RAM 1/2MB (lfb 1x4MB) GR3D_FREQ 0% VDD_IN 4070mW/4000mW VDD_SOC 1000mW/1000mW\n"
    )
    assert table("tegrastats log", line + "no rails\n") == [
        "tegrastats time,power [W]",
        "2026-05-04 22:58:30,4.07",
        "no rails",
    ]
    with pytest.raises(LogError, match="without times: JetPack 5 and later write them"):
        table("tegrastats log", line.partition(" RAM")[2].join(["RAM", ""]))
    parts = "05-04-2026 22:58:30 RAM 1/2MB VDD_A 1mW/1mW VDD_B 2mW/2mW\n"
    with pytest.raises(LogError, match="none of its rails is the whole board's: VDD_A, VDD_B; record again"):
        table("tegrastats log", parts)


def test_a_log_of_powermetrics_as_rows() -> None:
    block = "*** Sampled system activity (Mon May  4 22:58:{} 2026 +0200) ({}ms elapsed) ***\n"
    text = (
        "Combined Power (CPU + GPU): 9 mW\n"
        + block.format(30, 1000.0)
        + "Combined Power (CPU + GPU + ANE): 500 mW\n"
    )
    text += block.format(31, 1500.0) + "Combined Power (CPU + GPU): 1.5 W\n"
    text += block.format(33, 1000.0) + block.format(59, 1000.0)
    text += "*** Sampled system activity (yesterday) (1000.0ms elapsed) ***\n"
    text += "Intel energy model derived package power (CPUs+GT+SA): 2.25W\n"
    at = 1_777_928_310  # 2026-05-04 20:58:30 UTC
    assert table("powermetrics text", text) == [
        "powermetrics time,package power [mW]",
        f"{at - 1}.000000,",
        f"{at}.000000,500",
        f"{at + 1}.500000,1500",
        "*** Sampled system activity (yesterday) (1000.0ms elapsed) ***",
        f"{at + 29}.000000,2250",
    ]


def test_stamps_of_powermetrics_follow_the_lengths_while_they_agree() -> None:
    block = "* Sampled system activity (Mon May  4 22:58:{} 2026 +0200) (1000.0ms elapsed) *\n"
    block += "Combined Power (CPU + GPU): 1 mW\n"
    at = 1_777_928_310
    for second, follows in ((33, at + 1), (34, at + 4), (29, at + 1), (28, at - 2)):
        rows = table("powermetrics text", block.format(30) + block.format(second))
        assert rows[-1] == f"{follows}.000000,1", second


def test_a_log_of_ptdaemon_as_rows() -> None:
    text = "Time,05-04-2026 22:58:30.500,Watts,1.5,Volts,230.0,Amps,0.1,PF,0.9\n"
    text += (
        "Time,05-04-2026 22:58:31,Watts,2.5,Volts,231.0,Amps,0.2\nTime,x,Watts,1\n"
        + "Time,05-04-2026 22:58:32,Watts,9"
    )
    assert table("MLPerf power log", text) == [
        "ptdaemon time,power [W],voltage [V],current [A]",
        "2026-05-04 22:58:30.500,1.5,230.0,0.1",
        "2026-05-04 22:58:31,2.5,231.0,0.2",
        '"Time,x,Watts,1",1,,',
        '"Time,05-04-2026 22:58:32,Watts,9",9,,',
    ]


def test_a_log_of_perf_as_rows() -> None:
    text = "# started\n 1.0 10.0 Joules power/energy-pkg/\n 1.0 4,0 Joules power/energy-ram/\n"
    text += " 3.0,30.0,Joules,power/energy-pkg/\n 3.0 <not counted> Joules power/energy-ram/\n"
    text += " 4.0 5.0 Joules power/energy-ram/\n 4.0 5.0 Joules power/energy-ram/\n 4.5 7 cycles\n"
    assert table("perf stat", text) == [
        "perf time [s],power [W],rail",
        "0,10,pkg",
        "1.0,10,pkg",
        "0,4,ram",
        "1.0,4,ram",
        "3.0,15,pkg",
        "3.0,,ram",
        "4.0,5,ram",
        "4.0,,ram",
    ]


def test_json_lines_as_rows() -> None:
    text = '[\n{"t": 1, "power": {"watts": 2.50, "list": [1]}, "ok": null},\n'
    text += '{"t": 2, "power": {"watts": 3}}]\n\nno\n'
    assert table("JSON lines", text) == ["t,power.watts,ok", "1,2.50,", "2,3,", "no"]
    for depth, read in ((8, True), (9, False)):
        nested = '{"a": ' * depth + "1" + "}" * depth
        assert (blocks._object('{"x": 1, "y": ' + nested + "}") is not None) is read


def test_line_protocol_as_rows() -> None:
    text = "power,device=a,room=k\\ 1 watts=1.5,on=true 1000000000\n# c\n\n"
    text += 'power,device=b value=2i,s="a=b,c" 2000000000\nnonsense\n'
    assert table("line protocol", text) == [
        "timestamp,watts,on,power,s,device,channel",
        "1000000000,1.5,true,,,a,room=k 1",
        '2000000000,,,2,"a=b,c",b,',
        "nonsense",
    ]
    with pytest.raises(
        LogError, match=r"of several measurements, power and other; keep one, as in grep '\^power\[, \]'"
    ):
        table("line protocol", "power v=1 1000000000\nother v=1 1000000000\n")
    assert table("line protocol", "power,device=a v=1u 1000000000\n") == [
        "timestamp,v,device",
        "1000000000,1,a",
    ]


def test_pairs_of_keys_and_values_as_rows() -> None:
    text = '2026-05-04 22:58:30,5: watts = 1.5, note="a=b" volts=5;\n# c\n\nwatts=2 volts=6\nbad\n'
    assert table("key=value lines", text) == [
        "timestamp,watts,note,volts",
        "2026-05-04 22:58:30.5,1.5,a=b,5",
        ",2,,6",
        "bad",
    ]
    for none in ("a=1", "a=1 a=2", "hello a=1 b=2", "# a=1 b=2", "a b"):
        assert blocks._pairs(none) is None
    assert blocks._pairs("17.5 a=1") == {"timestamp": "17.5", "a": "1"}


def test_a_log_is_known_by_four_of_five_of_its_first_lines() -> None:
    row = '{"t": 1}\n'
    assert blocks.as_table("x", [row * 4 + "no\n"], iter([])).name == "JSON lines"  # type: ignore[union-attr]
    assert blocks.as_table("x", [row * 3 + "no\n"], iter([])) is None
    assert blocks.as_table("x", ["\n", "# c\n"], iter([])) is None
    log = blocks.as_table("x", [row], iter([row]))
    assert log is not None
    assert list(log.lines) == ["t\n", "1\n", "1\n"]
    head_lines = [row] * 50 + ["no\n"] * 50  # the first fifty say what it is
    assert blocks.as_table("x", head_lines, iter([])) is not None
    assert blocks.as_table("x", ["no\n"] * 50 + [row] * 500, iter([])) is None


# Rows on one line of time -----------------------------------------------------------------------------------


def times_of(*values: float) -> Any:
    return np.array(values, np.float64)


@pytest.mark.parametrize(
    ("steps", "typical"),
    [([], 1.0), ([2.0], 2.0), ([1.0, 2.0, 9.0], 2.0), ([-1.0], 1.0), ([1.0, 1.0, -5.0, 7.0, 1.0], 1.0),
     ([3.0, -5.0, 7.0], 7.0), ([0.0, 2.0, 0.0, 4.0], 4.0)],
)  # fmt: skip
def test_the_typical_step(steps: list[float], typical: float) -> None:
    assert _typical(times_of(*steps)) == typical


@pytest.mark.parametrize(
    ("values", "newest"),
    [
        ((4, 3, 2, 1), True),
        ((4, 3, 3, 1), True),
        ((3, 2, 1), False),
        ((4, 4, 4, 4), False),
        ((4, 3, 4, 1), False),
    ],
)
def test_rows_that_stand_newest_first(values: tuple[float, ...], newest: bool) -> None:
    assert is_newest_first(times_of(*values)) is newest


@pytest.mark.parametrize(
    ("values", "after", "spread", "shared", "over"),
    [
        ((0, 1, 2), None, (0, 1, 2), 1, 0.0),
        ((0, 0, 1, 1), None, (0, 0.5, 1, 1.5), 2, 1.0),
        ((0, 0, 1, 1), 1.5, (0, 0.5, 1, 1.25), 2, 1.0),
        ((0, 0, 1, 1), 1.0, (0, 0.5, 1, 1.5), 2, 1.0),
        ((0, 0, 1, 1), 9.0, (0, 0.5, 1, 1.5), 2, 1.0),
        ((0, 0, 5, 6, 7), None, (0, 0.5, 5, 6, 7), 2, 1.0),
        ((0, 0, 0, 0, 2), None, (0, 0.5, 1, 1.5, 2), 4, 2.0),
    ],
)
def test_rows_of_one_stamp_are_spread(
    values: tuple[float, ...], after: float | None, spread: tuple[float, ...], shared: int, over: float
) -> None:
    found = _spread(times_of(*values), after)
    assert list(found[0]) == pytest.approx(spread)
    assert found[1:] == (shared, over)


@pytest.mark.parametrize(
    ("values", "fall", "until"),
    [
        ((0, 1, 3, 2, 4), 3, 4),
        ((0, 1, 3, 2, 3), 3, 0),
        ((0, 1, 4, 2, 3, 5), 3, 5),
        ((0, 1, 9, 2, 10), 3, 0),
        ((5, 0, 1, 2), 1, 0),
        ((0, 1.4, 3, 2.2, 4), 3, 4),
        ((0, 1, 3, 1.5, 4), 3, 0),
    ],
)
def test_rows_that_were_written_late_are_caught_up_with(
    values: tuple[float, ...], fall: int, until: int
) -> None:
    assert _caught_up(times_of(*values), fall, 1.0) == until


def test_a_row_comes_sixteen_rows_late_at_most() -> None:
    for late, until in ((14, 16), (16, 0)):
        values = [0.0, 20.0, *[float(n) for n in range(1, late + 1)], 21.0]
        found = _caught_up(times_of(0.0, late + 1.0, *range(1, late + 1), late + 2.0), 2, 1.0)
        assert found == (late + 2 if until else 0), values


@pytest.mark.parametrize(
    ("values", "starts", "dated", "times", "breaks", "back"),
    [
        ((0, 1, 2), (), False, (0, 1, 2), [], ()),
        ((0, 1, 2, 0, 1, 2), (), False, (0, 1, 2, 3, 4, 5), [3], ()),
        ((0, 1, 2, 0, 1, 2), (), True, (0, 1, 2, 3, 4, 5), [], ((4, 2.0),)),
        ((10, 11, 12, 12.5, 11.5, 12.5), (), False, (10, 11, 12, 12.5, 13.5, 14.5), [], ((5, 1.0),)),
        ((0, 1, 2, 3, 4), (2,), False, (0, 1, 2, 3, 4), [2], ()),
        ((10, 11, 12, 11, 12), (3,), True, (10, 11, 12, 13, 14), [3], ()),
        ((0, 1e5, 2e5, 5e4, 1.5e5), (), True, (0, 1e5, 2e5, 3e5, 4e5), [3], ()),
    ],
)
def test_clocks_that_go_back(
    values: tuple[float, ...],
    starts: tuple[int, ...],
    dated: bool,
    times: tuple[float, ...],
    breaks: list[int],
    back: tuple[tuple[int, float], ...],
) -> None:
    line = timeline(times_of(*values), starts, dated=dated)
    assert list(line.times) == pytest.approx(times)
    assert line.breaks == breaks
    assert line.oddities.set_back == back
    assert line.oddities.runs_after == len(breaks)


def test_a_clock_set_back_by_more_than_a_day_is_another_run() -> None:
    for hours, breaks in ((25.9, []), (26.1, [3])):
        fell = hours * 3600
        line = timeline(times_of(1e6, 1e6 + 1, 1e6 + 2, 1e6 + 2 - fell, 1e6 + 3 - fell), dated=True)
        assert line.breaks == breaks


def test_positions_follow_rows_that_were_sorted_or_turned() -> None:
    line = timeline(times_of(0, 1, 3, 2, 4))
    assert list(line.order) == [0, 1, 3, 2, 4]  # type: ignore[call-overload]
    assert (line.oddities.late, line.positions([2, 3])) == (2, [3, 2])
    turned = timeline(times_of(5, 4, 3, 2))
    assert list(turned.times) == [2, 3, 4, 5]
    assert turned.oddities.newest_first
    assert turned.positions([1, 3]) == [3, 1]
    assert turned.positions([0]) == []
    assert Timeline(times_of(0), None, [], Oddities(), 0.0).positions([5]) == [5]


def test_what_was_done_to_times_is_said() -> None:
    assert Oddities().notes() == ()
    everything = Oddities(((5, 3600.0),), 1, 2, 3, 1.0, True)
    assert everything.notes() == (
        "its rows stood newest first and were turned round",
        "the clock went back by 60 min at row 5; the rows after it follow on".replace("60 min", "1 h"),
        "2 runs in one file, put one after the other; between them nothing is known",
        "2 rows were out of order in time and were sorted",
        "up to 3 rows share the same time: they were spread evenly over 1.0 s",
    )
    both = everything.and_then(Oddities(((9, 1.0), (12, 2.0)), 2, 1, 5, 7.0))
    assert both == (((5, 3600.0), (9, 1.0), (12, 2.0)), 3, 3, 5, 1.0, True)
    assert "at row 5, and 2 times more;" in both.notes()[1]
    assert Oddities().and_then(everything) == everything


# Columns ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counter", "mended"),
    [
        ((0, 1, 2, 0, 4), (0, 1, 2, 0, 4)),
        ((0, 10, 20, 31, 0, 41, 50), (0, 10, 20, 31, 31, 41, 50)),
        ((0, 10, 20, 31, 0, 0, 41, 50), (0, 10, 20, 31, 31, 31, 41, 50)),
        ((0, 10, 20, 30, 0, 40, 50), (0, 10, 20, 30, 0, 40, 50)),
        ((0, 10, 20, 31, 0, 31, 41), (0, 10, 20, 31, 31, 31, 41)),
        ((0, 10, 20, 31, 0, 30, 41), (0, 10, 20, 31, 0, 30, 41)),
        ((NAN, 0, 10, 20, 31, NAN, 0, 41, 50), (NAN, 0, 10, 20, 31, NAN, 31, 41, 50)),
        ((0, 10, 20, 30, 0, 10, 20), (0, 10, 20, 30, 0, 10, 20)),
        ((5, 4, 3, 2), (5, 4, 3, 2)),
        ((0, 10, 20, 10, 30), (0, 10, 20, 10, 30)),
    ],
)
def test_a_counter_that_dips_once_was_not_reset(
    counter: tuple[float, ...], mended: tuple[float, ...]
) -> None:
    np.testing.assert_array_equal(_without_dips(times_of(*counter)), mended)


def test_an_unknown_row_stands_in_the_middle_of_what_could_not_be_read() -> None:
    columns = {"time_s": times_of(0, 1, 3), "watts": times_of(5, 6, 7)}
    found = _with_holes(columns, [2], {})
    np.testing.assert_array_equal(found["time_s"], [0, 1, 2, 3])
    np.testing.assert_array_equal(found["watts"], [5, 6, NAN, 7])
    found = _with_holes(columns, [0], {"time_s": -2.0})
    np.testing.assert_array_equal(found["time_s"], [-1, 0, 1, 3])
    assert _with_holes(columns, [], {}) is columns


KIND = Kind(("watts",), None, False, False, Facts())


def channel(*rows: tuple[float, float], kind: Kind = KIND) -> Channel:
    made = Channel(kind)
    for at, value in rows:
        made.times.append(at)
        made.values[0].append(value)
    return made


def test_few_plain_rows_of_a_channel() -> None:
    made = channel((10.0, 1.0), (11.0, 2.0))
    assert (len(made), made.first, made.stands()) == (2, 10.0, False)
    columns, notes = made.columns(10.0)
    assert ({name: list(column) for name, column in columns.items()}, notes) == (
        {"time_s": [0.0, 1.0], "watts": [1.0, 2.0]},
        (),
    )
    assert channel((5.0, 1.0), (5.0, 2.0)).stands()
    fixed = channel((0.0, 1.0), (1.0, 2.0), kind=KIND._replace(quantities=("amps",), volts=5.0))
    assert list(fixed.columns(0.0)[0]["volts"]) == [5.0, 5.0]


@pytest.mark.parametrize(
    ("values", "size"),
    [((), 0.0), ((0.0, NAN), 0.0), ((-3.0, 0.0, 1.0, 2.0), 2.0), ((1.0, 2.0, 3.0, -4.0), 3.0)],
)
def test_the_typical_size_of_a_column(values: tuple[float, ...], size: float) -> None:
    made = channel(*((float(n), value) for n, value in enumerate(values)))
    assert made.typical_size(0) == size


def test_rows_as_columns_of_a_channel() -> None:
    made = channel((0.0, 1.0))
    made.extend(times_of(1, 2), [times_of(-4, 0)])
    made.extend(times_of(), [times_of()])
    assert (len(made), made.first, made.typical_size(0)) == (3, 0.0, 4.0)
    made.times.append(3.0)
    made.values[0].append(9.0)
    columns, _ = made.columns(0.0)
    assert list(columns["watts"]) == [1.0, -4.0, 0.0, 9.0]
    newest = channel((4.0, 1.0), (3.0, 2.0), (2.0, 3.0), (1.0, 4.0))
    assert newest.first == 1.0
    assert list(newest.columns(1.0)[0]["watts"]) == [4.0, 3.0, 2.0, 1.0]


def test_rows_that_were_left_out_leave_a_hole_and_energies_of_rows_are_powers() -> None:
    made = channel((0.0, 1.0), (1.0, 2.0), (3.0, 4.0))
    made.left_out = [0, 2, 3]
    columns, _ = made.columns(0.0)
    assert list(columns["time_s"]) == [0.0, 1.0, 2.0, 3.0]
    assert math.isnan(columns["watts"][2])
    per_row = channel(
        (0.0, 5.0), (2.0, 6.0), (3.0, 4.0), kind=KIND._replace(quantities=("joules",), per_row=True)
    )
    watts = list(per_row.columns(0.0)[0]["watts"])
    assert math.isnan(watts[0])
    assert watts[1:] == [3.0, 4.0]
    counter = channel((0.0, 5.0), (1.0, 6.0), (2.0, 6.0), kind=KIND._replace(quantities=("joules",)))
    assert list(counter.columns(0.0)[0]["raw_joules"]) == [5.0, 6.0, 6.0]


@pytest.mark.parametrize(
    ("time", "known"),
    [((0, 1, 1, 2), (True, True, False, True)), ((0, NAN, 1, 0.5), (True, False, True, False)), ((), ()),
     ((math.inf, 1), (False, True))],
)  # fmt: skip
def test_rows_that_go_forward(time: tuple[float, ...], known: tuple[bool, ...]) -> None:
    assert tuple(forward(times_of(*time))) == known


def test_totals_are_running_and_begin_at_nothing() -> None:
    np.testing.assert_array_equal(running(times_of(1, 2, 3)), [0, 1, 3, 6])
    np.testing.assert_array_equal(begun(times_of(NAN, 1, 2)), [0, 1, 2])
    np.testing.assert_array_equal(begun(times_of(NAN, NAN)), [NAN, NAN])


def test_what_jumps_add_to_the_variance() -> None:
    from energymeter.energy.integrate import Weights

    found = scatter(times_of(2, -3, 1), Weights(step=0.5, turn=0.25))
    np.testing.assert_allclose(found, [2.0, 4.5 + 0.25 * 6, 0.5 + 0.25 * 3])
    assert len(scatter(times_of(), Weights(0.5, 0.25))) == 0


def test_columns_are_integrated_by_what_their_rows_mean() -> None:
    time, watts = times_of(0, 1, 2, 2, 3), times_of(2, 4, 6, 99, 8)
    instants = integrated(time, {"watts": watts}, Facts())
    np.testing.assert_allclose(instants["joules"], [0, 3, 8, 15])
    np.testing.assert_allclose(instants["covered_s"], [0, 1, 2, 3])
    means = integrated(time, {"watts": watts}, Facts(semantics="mean"))
    np.testing.assert_allclose(means["joules"], [0, 4, 10, 18])
    both = integrated(times_of(0, 1), {"volts": times_of(5, 5), "amps": times_of(1, 3)}, Facts())
    np.testing.assert_allclose(both["joules"], [0, 10])
    np.testing.assert_allclose(both["coulombs"], [0, 2])
    charge = integrated(times_of(0, 1), {"amps": times_of(1, 3)}, Facts())
    assert "joules" not in charge
    hole = integrated(times_of(0, 1, 2, 3), {"watts": times_of(1, NAN, 1, 1)}, Facts())
    np.testing.assert_allclose(hole["covered_s"], [0, 0, 0, 1])
    after = integrated(times_of(0, 1, 2, 3), {"watts": times_of(1, NAN, 1, 1)}, Facts(semantics="mean"))
    np.testing.assert_allclose(after["covered_s"], [0, 0, 1, 2])
    counter = integrated(
        times_of(0, 1, 2, 4), {"raw_joules": times_of(5, 8, 1, 5)}, Facts(semantics="counter")
    )
    np.testing.assert_allclose(counter["joules"], [0, 3, 3, 7])
    np.testing.assert_allclose(counter["covered_s"], [0, 1, 1, 3])
    np.testing.assert_allclose(counter["watts"], [NAN, 3, NAN, 2])
    flat = integrated(times_of(0, 1), {"watts": times_of(NAN, NAN)}, Facts())
    assert np.isnan(flat["joules"]).all()


def test_gaps_are_found_wherever_a_block_ends() -> None:
    steps = np.ones(200)
    steps[[0, 63, 64, 150, 199]] = 50.0
    assert list(np.flatnonzero(_gaps(steps))) == [0, 63, 64, 150, 199]
    assert len(_gaps(times_of())) == 0
    slower = np.concatenate([np.ones(100), np.full(100, 30.0)])
    found = np.flatnonzero(_gaps(slower))
    assert 0 < len(found) < 20, "after some in a row it is another pace, and no gap"
    assert found[0] == 100


# Joined rows ------------------------------------------------------------------------------------------------


def test_rows_are_joined_into_means_and_totals_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (thinning.BLOCK_ROWS, thinning.MOST_ROWS) == (65_536, 4_194_304)
    monkeypatch.setattr(thinning, "BLOCK_ROWS", 4)
    for count, stride in ((5, 1), (6, 2), (9, 4), (40, 32)):
        columns = {name: array("d") for name in header.COLUMNS}
        made = thinning.ChannelRows(Record("a", Facts(duty=0.5, latency=0.5), columns, None, {}), 5)
        for row in range(count):
            values = {"time_s": row, "volts": 5.0, "amps": row / 5, "watts": row, "covered_s": row,
                      "joules": row * row / 2, "coulombs": row * row / 10}  # fmt: skip
            for name, value in values.items():
                columns[name].append(float(value))
            assert len(made) == len(made._kept["time_s"]) + len(columns["time_s"])
            made.take()
        found = made.finished()
        times = list(found.columns["time_s"])
        assert len(times) <= 5
        assert (times[0], times[-1], found.columns["joules"][-1]) == (0.0, count - 1.0, (count - 1) ** 2 / 2)
        assert list(found.columns["joules"]) == pytest.approx([at * at / 2 for at in times])
        if stride == 1:
            assert (found.notes, found.facts.semantics) == ((), "instant")
            continue
        assert found.notes == (f"it is long: {stride} samples each were joined into one mean",)
        assert (found.facts.semantics, found.facts.duty, found.facts.latency) == ("mean", 0.0, 0.0)
        for place in range(1, len(times)):
            assert found.columns["watts"][place] == pytest.approx((times[place] + times[place - 1]) / 2)
            assert found.columns["amps"][place] == pytest.approx((times[place] + times[place - 1]) / 10)
            assert found.columns["volts"][place] == pytest.approx(5.0)


def test_a_mean_of_joined_rows_is_over_what_was_measured() -> None:
    rows = {"time_s": (1, 2, 3, 4), "volts": (4, 6, NAN, 8), "amps": (1,) * 4, "watts": (1,) * 4,
            "joules": (4, 10, 10, 18), "coulombs": (1, 2, 2, 3), "covered_s": (1, 2, 2, 3)}  # fmt: skip
    columns = {name: array("d", map(float, values)) for name, values in rows.items()}
    before = {**dict.fromkeys(rows, 0.0), "volts": 2.0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        means = thinning._joined(before, columns, 2, instants=False)
        instants = thinning._joined(before, columns, 2, instants=True)
        odd = thinning._joined(before, columns, 3, instants=False)
    assert list(means["time_s"]) == [2.0, 4.0]
    assert list(means["watts"]) == [5.0, 8.0]
    assert list(means["amps"]) == [1.0, 1.0]
    assert list(means["volts"]) == [5.0, 8.0]
    assert instants["volts"][0] == 4.0, "3 V and 5 V, the means of both ends"
    assert list(odd["time_s"]) == [3.0, 4.0]
    assert list(odd["joules"]) == [10.0, 18.0]
