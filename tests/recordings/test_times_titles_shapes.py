"""How times are written, what titles mean, where a table begins: each spelling, and what is next to it."""

import itertools
import time
from typing import Any

import numpy as np
import pytest

from energymeter.errors import LogError
from energymeter.recordings.shape import (
    MOST_COLUMNS,
    _decimal,
    _is_row,
    _is_value,
    check_width,
    encoding_of,
    shape_of,
    split,
)
from energymeter.recordings.times import (
    Clock,
    Counts,
    Dates,
    Elapsed,
    TimeColumn,
    Unclear,
    clock_of,
    digits_of,
    is_missing,
    of_day,
    time_column,
)
from energymeter.recordings.titles import (
    Title,
    device_key,
    is_counted,
    is_duration,
    is_level,
    is_remaining,
    is_state,
    meaning,
)

# One cell of a time -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12:00 AM", 0.0),
        ("12:30 pm", 45_000.0),
        ("1:00 am", 3600.0),
        ("11:59:59 P.M.", 86_399.0),
        ("0:30 AM", None),
        ("13:00 PM", None),
        ("24:00:00", 86_400.0),
        ("25:00:00", None),
        ("10:59:59", 39_599.0),
        ("10:59:60", 39_600.0),
        ("10:59:61", None),
        ("10:60:00", None),
        ("10:00:00.25", 36_000.25),
        ("10:00:00,5", 36_000.5),
        ("10:00:00:50", 36_000.5),
        ("10:00:00.000000001", 36_000.000000001),
    ],
)
def test_a_time_of_day(text: str, seconds: float | None) -> None:
    found = clock_of(text)
    assert (None if found is None else found.seconds) == (None if seconds is None else pytest.approx(seconds))
    assert of_day(text) == (None if seconds is None else pytest.approx(seconds))
    assert found is None or (found.day, found.offset_s, found.order) == (None, None, "")


def test_hours_and_minutes_alone_may_be_minutes_and_seconds() -> None:
    assert clock_of("10:00") is None
    assert of_day("10:00") == 36_000.0
    assert clock_of("10:00 AM") == Clock(None, 36_000.0, None)


@pytest.mark.parametrize(
    ("text", "day", "order"),
    [
        ("2026-5-4", (2026, 5, 4), ""),
        ("2026_05_04", (2026, 5, 4), ""),
        ("2026-05/04", None, ""),
        ("20260504", (2026, 5, 4), ""),
        ("18260504", None, ""),
        ("2026-13-04", None, ""),
        ("2026-02-30", None, ""),
        ("4.5.2026", (2026, 5, 4), ""),
        ("5.13.2026", None, ""),
        ("5/13/2026", (2026, 5, 13), "month"),
        ("13/5/2026", (2026, 5, 13), "day"),
        ("12/13/2026", (2026, 12, 13), "month"),
        ("13/12/2026", (2026, 12, 13), "day"),
        ("12/11/2026", (2026, 11, 12), "either"),
        ("5/5/2026", (2026, 5, 5), ""),
        ("26-05-04", (2026, 5, 4), ""),
        ("11-05-04", (2011, 5, 4), ""),
        ("10-05-04", (2004, 5, 10), "either"),
        ("59-12-09", (2059, 12, 9), ""),
        ("60-12-09", None, ""),
        ("59-12-31", None, ""),
        ("26-12-10", (2026, 12, 10), ""),
        ("26-12-11", (2011, 12, 26), "day"),
        ("04/05/26", (2026, 5, 4), "either"),
        ("4.5.26", (2026, 5, 4), ""),
        ("26-13-04", None, ""),
        ("Mon, 4 May 2026", (2026, 5, 4), ""),
        ("4-May-2026", (2026, 5, 4), ""),
        ("4 September 2026", (2026, 9, 4), ""),
        ("4 Mai 2026", None, ""),
        ("31 Dec 2026", (2026, 12, 31), ""),
        ("31 Jan 2026", (2026, 1, 31), ""),
    ],
)
def test_a_date(text: str, day: tuple[int, int, int] | None, order: str) -> None:
    found = clock_of(text)
    assert (None if found is None else (found.day, found.order)) == (None if day is None else (day, order))
    dated = clock_of(f"{text} 10:00:00")
    assert (None if dated is None else (dated.day, dated.seconds)) == (
        None if day is None else (day, 36_000.0)
    )


@pytest.mark.parametrize(
    ("zone", "offset"),
    [
        ("Z", 0),
        ("z", 0),
        (" UTC", 0),
        ("+02:00", 7200),
        ("-0530", -19_800),
        ("+02", 7200),
        ("\u221202:00", -7200),
        (" CEST", 7200),
        (" EST", -18_000),
        (" PDT", -25_200),
        (" XYZ", None),
        ("", None),
        ("+01:00[Europe/Berlin]", 3600),
    ],
)
def test_a_zone(zone: str, offset: int | None) -> None:
    found = clock_of(f"2026-05-04T10:00:00{zone}")
    assert found == Clock((2026, 5, 4), 36_000.0, offset)


@pytest.mark.parametrize(
    ("text", "day", "seconds"),
    [
        ("20260504T100000.5", (2026, 5, 4), 36_000.5),
        ("20260504100000", (2026, 5, 4), 36_000.0),
        ("Mon May  4 22:58:30 2026", (2026, 5, 4), 82_710.0),
        ("May 4, 2026, 10:00:00 PM", (2026, 5, 4), 79_200.0),
        ("May 4 10:00:00", (1970, 5, 4), 36_000.0),
        ("2026-05-04_10:00:00", (2026, 5, 4), 36_000.0),
    ],
)
def test_a_date_with_its_time(text: str, day: tuple[int, int, int], seconds: float) -> None:
    found = clock_of(text)
    assert found is not None
    assert (found.day, found.seconds) == (day, seconds)


@pytest.mark.parametrize(
    ("cell", "missing"), [("[N/A]", True), (" ( - ) ", True), ("NaN", True), ("0", False), ("x", False)]
)
def test_a_cell_without_a_value(cell: str, missing: bool) -> None:
    assert is_missing(cell) is missing


# Columns of times -------------------------------------------------------------------------------------------


def test_counts_keep_their_digits() -> None:
    plain = Counts(1e-3, "[ms]", since_1970=False, decimal=".")
    assert [plain.seconds(cell) for cell in ("1500", " 2.5 ", "10 000")] == pytest.approx([1.5, 0.0025, 10.0])
    for wrong in ("1_0", "inf", "nan", "x", ""):
        with pytest.raises(ValueError, match=r"^"):
            plain.seconds(wrong)
    assert (plain.epoch_of_zero(), plain.dated) == (None, False)
    comma = Counts(1.0, "[s]", since_1970=False, decimal=",")
    assert comma.seconds("1,5") == 1.5
    since = Counts(1e-9, "[ns]", since_1970=True, decimal=".")
    assert [since.seconds(f"17778888000000000{n:02}") for n in (5, 6, 7)] == [0.0, 1e-9, 2e-9]
    assert since.seconds("1777888800000000005.5") == pytest.approx(0.0, abs=1e-6)
    assert since.epoch_of_zero() == pytest.approx(1_777_888_800.0)
    assert since.dated


def test_which_of_day_and_month_comes_first_is_decided_by_the_next_date() -> None:
    for cells, gained in (
        (("4/5/2026 10:00:00", "5/5/2026 10:00:00"), 86_400.0),
        (("4/5/2026 10:00:00", "4/6/2026 10:00:00"), 86_400.0),
        (("5/4/2026 10:00:00", "4/5/2026 10:00:00"), 29 * 86_400.0),
        (("4/5/2026 10:00:00", "13/5/2026 10:00:00"), 9 * 86_400.0),
        (("4/5/2026 10:00:00", "4/13/2026 10:00:00"), 8 * 86_400.0),
        (("4/5/2026 10:00:00", "4/5/2026 10:00:01"), 1.0),
    ):
        column = Dates("[local]", "either")
        first, later = (column.seconds(cell) for cell in cells)
        assert later - first == pytest.approx(gained, abs=3601 if gained > 20 * 86_400 else 1e-6), cells


def test_dates_of_a_zone_and_what_is_none() -> None:
    column = Dates("[UTC]")
    assert column.seconds("2026-05-04T10:00:00Z") == 36_000.0
    assert column.seconds("2026-05-04T12:00:01+02:00") == 36_001.0
    assert column.seconds("2026-05-05T00:00:00Z") == 86_400.0
    assert column.epoch_of_zero() == 1_777_852_800.0
    for wrong in ("10:00:00", "x", ""):
        with pytest.raises(ValueError, match=r"^"):
            column.seconds(wrong)


@pytest.mark.usefixtures("own_zone")
def test_an_hour_that_comes_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Berlin, 2026-10-25: at 3:00 it is 2:00 again."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()

    def steps(*clocks: str, day: str = "2026-10-25") -> list[float]:
        column = Dates("[local]")
        seconds = [column.seconds(f"{day} {clock}") for clock in clocks]
        return [later - earlier for earlier, later in itertools.pairwise(seconds)]

    assert steps("01:59:59", "02:00:00", "02:59:59", "02:00:00", "02:59:59", "03:00:00", "04:00:00") == [
        1.0, 3599.0, 1.0, 3599.0, 1.0, 3600.0,
    ]  # fmt: skip
    assert steps("02:30:00", "02:29:50", "02:30:00") == [-10.0, 10.0], "a row that was written late"
    assert steps("02:40:00", "02:10:00") == [-1800.0]
    assert steps("02:40:01", "02:10:00") == [1799.0]
    assert steps("04:59:59", "04:00:00") == [-3599.0]
    assert steps("02:59:59", "03:00:00") == [3601.0]
    assert steps("02:59:59", "02:00:00", day="2026-10-24") == [-3599.0]
    column = Dates("[local]")
    repeated = {
        clock: column.is_repeated(f"2026-10-25 {clock}") for clock in ("01:59", "02:00", "02:59", "03:00")
    }
    assert list(repeated.values()) == [False, True, True, False]
    assert not column.is_repeated("2026-10-25T02:30:00Z")
    assert not column.is_repeated("02:30:00")


@pytest.mark.parametrize(
    ("cell", "seconds"),
    [
        ("0:00:01.5", 1.5),
        ("1 day, 0:00:01", 86_401.0),
        ("2 days, 1:02:03", 176_523.0),
        ("1.02:03:04", 93_784.0),
        ("3d 0:00:00", 259_200.0),
        ("100:00:00", 360_000.0),
        ("11:59:59 PM", 86_399.0),
        ("12:00:00 AM", 0.0),
        ("5:30", None),
        ("x", None),
        ("", None),
    ],
)
def test_a_time_since_a_start(cell: str, seconds: float | None) -> None:
    if seconds is None:
        with pytest.raises(ValueError, match=r"^"):
            Elapsed("x").of(cell)
    else:
        assert Elapsed("x").of(cell) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("unit", "cell", "seconds"),
    [
        ("mm:ss", "5:30", 330.0),
        ("mm:ss", "100:30.5", 6030.5),
        ("hh:mm", "5:30", 19_800.0),
        ("mm:ss", "0:00:01", None),
    ],
)
def test_times_in_two_parts(unit: str, cell: str, seconds: float | None) -> None:
    if seconds is None:
        with pytest.raises(ValueError, match=r"^"):
            Elapsed("x", unit=unit).seconds(cell)
    else:
        assert Elapsed("x", unit=unit).seconds(cell) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("cells", "seconds"),
    [
        (("23:59:59", "0:00:00", "0:00:01"), (86_399, 86_400, 86_401)),
        (("23:59:59", "0:59:58"), (86_399, 89_998)),
        (("23:59:59", "0:59:59"), (86_399, 3599)),
        (("23:30:00", "1:00:00"), (84_600, 3600)),
        (("23:59:59", "0:00:00", "23:59:59", "0:00:00"), (86_399, 86_400, 172_799, 172_800)),
        (("0:00:05", "0:00:01"), (5, 1)),
        (("48:00:00", "0:00:00"), (172_800, 86_400)),
    ],
)
def test_midnight_is_passed(cells: tuple[str, ...], seconds: tuple[float, ...]) -> None:
    column = Elapsed("x")
    assert [column.seconds(cell) for cell in cells] == list(seconds)
    for parted in range(1, len(cells)):
        column, single = Elapsed("x"), Elapsed("x")
        alone = np.array([single.of(cell) for cell in cells], np.float64)
        both = [*column.unwrapped(alone[:parted].copy()), *column.unwrapped(alone[parted:].copy())]
        assert both == list(seconds)


@pytest.mark.parametrize(
    ("cell", "column", "apart", "places"),
    [
        ("10:20:30.5", Elapsed("x"), False, ((3, 5), (6, 8), (9, 10))),
        ("10:20:30", Elapsed("x"), False, ((3, 5), (6, 8), (0, 0))),
        ("10:20:30,25", Dates("x"), True, ((3, 5), (6, 8), (9, 11))),
        ("2026-05-04 10:20:30.25", Dates("x"), False, ((14, 16), (17, 19), (20, 22))),
        ("10:20", Dates("x"), True, None),
        ("2026-05-04", Dates("x"), False, None),
        ("10:20:30", Dates("x"), False, None),
    ],
)
def test_where_the_digits_of_a_time_stand(cell: str, column: TimeColumn, apart: bool, places: Any) -> None:
    found = digits_of(cell, column, date_apart=apart)
    assert (None if found is None else (found["m"], found["s"], found["f"])) == places


@pytest.mark.parametrize(
    ("cells", "options", "said"),
    [
        (["0", "1", "2"], {}, "[s]"),
        (["0", "9", "18"], {}, "[s]"),
        (["0", "10", "20"], {}, "its times go on by 10 and"),
        (["0", "10", "20"], {"assume": True}, "[s]"),
        (["0", "10", "20"], {"seconds_below": 11}, "[s]"),
        (["0.5", "10.5", "20.5"], {}, "[s]"),
        (["0", "100"], {"unit": "ms"}, "[ms]"),
        (["0", "1"], {"unit": "day"}, "[days]"),
        (["1777888800", "1777888801"], {}, "[s since 1970]"),
        (["1777888800000", "1777888800100"], {}, "[ms since 1970]"),
        (["1777888800000000", "1777888800000100"], {}, "[µs since 1970]"),
        (["1777888800000000000", "1777888800000100000"], {}, "[ns since 1970]"),
        (["946684800", "946684801"], {}, "[s since 1970]"),
        (["946684799", "946684800"], {}, "[s]"),
        (["2840140800", "2840140801"], {}, "[s since 1970]"),
        (["2840140801", "2840140802"], {}, "[s]"),
        (["1777888800000", "1777888800100"], {"unit": "s"}, "[ms since 1970]"),
        (["1777888800", "1777888801"], {"unit": "s"}, "[s since 1970]"),
        (["5", "6"], {"unit": "h"}, "[h]"),
        (["1777888800"], {}, "[s since 1970]"),
        (["45000.0", "45000.01"], {}, "its times may be a spreadsheet's days or"),
        (["45000.0", "45000.01"], {"assume": True}, "[s]"),
        (["36526.0", "36526.01"], {}, "[s]"),
        (["36526.5", "36526.51"], {}, "its times may be a spreadsheet's days"),
        (["58000.0", "58000.01"], {}, "[s]"),
        (["45000.0", "45000.05"], {}, "[s]"),
        (["45000.0", "45000.04"], {}, "its times may be a spreadsheet's days"),
        (["5:30", "6:30"], {}, "its times may be hh:mm or mm:ss"),
        (["23:59", "0:00"], {}, "its times may be hh:mm or"),
        (["24:00", "24:01"], {}, "[mm:ss]"),
        (["5:30.5", "6:30"], {}, "[mm:ss]"),
        (["5:30"], {"unit": "hh:mm"}, "[hh:mm]"),
        (["5:30"], {"unit": " M:SS "}, "[mm:ss]"),
        (["5:30"], {"unit": "h:mm"}, "[hh:mm]"),
        (["0:00:01", "0:00:02"], {}, "[h:mm:ss]"),
        (["10:00 AM", "10:01 AM"], {}, "[h:mm:ss]"),
        (["2026-05-04 10:00:00"], {}, "[local]"),
        (["2026-05-04T10:00:00Z"], {}, "[UTC]"),
        (["2026-05-04T10:00:00+02:00"], {}, "[with zone]"),
        (["20260504100000", "20260504100001"], {}, "[local]"),
        (["x", "1", "2"], {}, "[s]"),
        (["x", "1"], {}, None),
        (["x", "y", "5:30"], {}, None),
        ([], {}, None),
        (["x", "0:00:01"], {}, None),
        (["x", "2026-05-04"], {}, None),
        (["", "N/A", "1"], {}, "[s]"),
    ],
)
def test_how_a_column_of_times_is_written(
    cells: list[str], options: dict[str, Any], said: str | None
) -> None:
    if said is not None and not said.startswith("["):
        with pytest.raises(Unclear) as unclear:
            time_column(cells, **options)
        assert str(unclear.value).startswith(said)
    else:
        found = time_column(cells, **options)
        assert (None if found is None else found.said) == said


# Titles -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "quantity", "unit", "unknown", "kind"),
    [
        ("Power (mW)", "watts", "mW", "", ""),
        ("power_W", "watts", "W", "", ""),
        ("Leistung", "watts", "", "", ""),
        ("P", "watts", "", "", ""),
        ("voltage [V]", "volts", "V", "", ""),
        ("Strom in mA", "amps", "mA", "", ""),
        ("energy_Wh", "joules", "Wh", "", ""),
        ("charge [mAh]", "coulombs", "mAh", "", ""),
        ("time_s", "seconds", "s", "", ""),
        ("timestamp", "seconds", "", "", ""),
        ("avg power [W]", "watts", "W", "", "mean"),
        ("instant power W", "watts", "W", "", "instant"),
        ("energy delta (J)", "joules", "J", "", "per row"),
        ("power limit [W]", None, "", "", ""),
        ("power [furlong]", "watts", "", "", ""),
        ("Power (hp)", "watts", "", "hp", ""),
        ("power x10", "watts", "", "x10", ""),
        ("power (0.1 W)", "watts", "", "0.1 W", ""),
        ("POWER_MW", "watts", "", "mw", ""),
        ("temperature_C", None, "", "", ""),
        ("min", None, "", "", ""),
        ("C", None, "", "", ""),
        ("W", "watts", "W", "", ""),
        ("power_now", "watts", "uW", "", "instant"),
        ("POWER_SUPPLY_CHARGE_NOW", "coulombs", "uAh", "", "instant"),
        ("batteryvoltage", "volts", "", "", ""),
        ("busVoltage", "volts", "", "", ""),
        ("power density [W/m2]", None, "", "", ""),
        ("cumulative power W", None, "", "", ""),
        ("created_at", "seconds", "", "", ""),
        ("cpu time", None, "", "", ""),
        ("power [%]", "watts", "", "%", ""),
        ("gpu_0", None, "", "", ""),
        ("", None, "", "", ""),
    ],
)
def test_what_a_title_means(text: str, quantity: str | None, unit: str, unknown: str, kind: str) -> None:
    found = meaning(text)
    if text == "power [furlong]":  # longer than any unit, but in square brackets
        unknown = found.unknown_unit
        assert unknown == "furlong"
    assert (found.quantity, found.unit, found.unknown_unit.lower(), found.kind) == (
        quantity,
        unit,
        unknown.lower(),
        kind,
    )


def test_a_title_for_people() -> None:
    assert meaning("CPU Package Power [W]").subject == "cpu package"
    assert meaning("Power [mW]").factor == 1e-3
    assert meaning("Power").factor is None
    assert meaning("Power [mW]").said == "Power [mW]"
    assert meaning("Power (mW)").said == "Power (mW) [mW]"
    assert meaning("Power").said == "Power [W]"
    assert Title("x", None, "", "", "", "").said == "x"


@pytest.mark.parametrize(
    ("text", "duration", "level", "remaining", "counted", "state"),
    [
        ("delta (ms)", True, False, False, False, False),
        ("step time", True, False, False, False, False),
        ("timestamp", False, False, False, False, False),
        ("elapsed duration", False, False, False, False, False),
        ("battery %", False, True, False, False, False),
        ("soc", False, True, False, False, False),
        ("cpu usage %", False, False, False, False, False),
        ("charge_now", False, False, True, False, False),
        ("BASE (Wh)", False, False, True, True, False),
        ("remaining mWh", False, False, True, False, False),
        ("battery status", False, False, False, False, True),
        ("plugged", False, False, False, False, True),
        ("AC", False, False, False, False, True),
    ],
)
def test_what_else_a_title_may_be(
    text: str, duration: bool, level: bool, remaining: bool, counted: bool, state: bool
) -> None:
    assert is_duration(meaning(text)) is duration
    assert is_level(text) is level
    assert is_remaining(text) is remaining
    assert is_counted(text) is counted
    assert is_state(text) is state


def test_a_device_by_any_spelling() -> None:
    assert device_key(' "GPU UUID" ') == "gpu_uuid"
    assert device_key("# gpu.index") == "gpu_index"
    assert device_key("") == ""


# Shapes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "encoding"),
    [
        (b"", "utf-8-sig"),
        (b"a,b", "utf-8-sig"),
        ("µ".encode(), "utf-8-sig"),
        ("µ".encode()[:1], "utf-8-sig"),
        (b"\xb5W", "cp1252"),
        ("a,b\n".encode("utf-16"), "utf-16"),
        ("a,b\n".encode("utf-16-le"), "utf-16-le"),
        ("a,b\n".encode("utf-16-be"), "utf-16-be"),
        ("a,b\n".encode("utf-32"), "utf-32"),
        (b"a\0b\0", "utf-16-le"),
        (b"a\0b", None),
        (b"\0" * 20, None),
        (b"\x01" * 4 + b"a" * 4, "utf-8-sig"),
        (b"\x01" * 5 + b"a" * 4, None),
        (b"\x01" * 6 + b"a" * 294, "utf-8-sig"),
        (b"\x01" * 6 + b"a" * 293, None),
    ],
)
def test_the_encoding_of_a_text(start: bytes, encoding: str | None) -> None:
    assert encoding_of(start) == encoding


@pytest.mark.parametrize(
    ("line", "delimiter", "cells"),
    [
        ("| a | b |\n", "|", ["a", "b"]),
        ("a|b", "|", ["a", "b"]),
        ("||", "|", [""]),
        ("|a", "|", ["", "a"]),
        ("a,, b", ",", ["a", "", "b"]),
        (" a  b ", " ", ["a", "b"]),
        ("|a|b", "|", ["", "a", "b"]),
    ],
)
def test_the_cells_of_a_line(line: str, delimiter: str, cells: list[str]) -> None:
    assert split(line, delimiter) == cells


def test_a_table_has_4096_columns() -> None:
    assert MOST_COLUMNS == 4096
    check_width("x", ["," * 4095])
    check_width("x", [";" * 5000], ",")
    check_width("x", ["a"] * 50 + ["," * 5000])
    for delimiter in ("", ","):
        with pytest.raises(
            LogError, match=r"^x has 4097 columns, parted by comma, and at most 4096 are read; keep"
        ):
            check_width("x", ["a", "," * 4096], delimiter)
    with pytest.raises(LogError, match="has 4097 columns"):
        check_width("x", ["a"] * 49 + ["," * 4096])


@pytest.mark.parametrize(
    ("cells", "is_row"),
    [
        (["1", "2"], True),
        (["a", "b", "1"], True),
        (["a", "b", "c", "1"], False),
        (["a", "N/A", "1"], True),
        (["N/A", "N/A"], False),
        ([], False),
        (["", "1"], True),
        (["x", "2026-05-04"], True),
    ],
)
def test_a_third_of_the_cells_of_a_row_are_values(cells: list[str], is_row: bool) -> None:
    assert _is_row(cells) is is_row


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1", True),
        ("-1,5", True),
        ("5 W", True),
        ("10:00", True),
        ("May 4 10:00:00", True),
        ("W", False),
        ("", False),
        ("1.2.3", True),
        ("1a", True),
        ("1 a b", False),
        ("+", False),
        ("\u22125", True),
    ],
)
def test_what_is_a_value(cell: str, value: bool) -> None:
    assert _is_value(cell) is value


@pytest.mark.parametrize(
    ("rows", "delimiter", "mark", "unclear"),
    [
        ([["1,5", "2,25"]], ";", ",", ""),
        ([["1.5", "2.25"]], ",", ".", ""),
        ([["1.234,5"]], ";", ",", ""),
        ([["1,234.5"]], ";", ".", ""),
        ([["10,000"]], "\t", ",", "10,000"),
        ([["10.000"]], ";", ".", "10.000"),
        ([["10.000"]], ",", ".", ""),
        ([["10,000"]], ";", ",", ""),
        ([["10,000", "1,5"]], "\t", ",", ""),
        ([["10,000", "1.5"]], "\t", ".", ""),
        ([["1", "2"]], ",", ".", ""),
        ([["1,5", "2", "3"]], ",", ".", ""),
    ],
)
def test_the_decimal_mark(rows: list[list[str]], delimiter: str, mark: str, unclear: str) -> None:
    assert _decimal(rows, delimiter) == (mark, unclear)


@pytest.mark.parametrize(
    ("text", "delimiter", "titles", "rows_from"),
    [
        ("time,power\n0,1\n1,2\n", ",", ("time", "power"), 1),
        ("made by hand\n\ntime;power\n0;1,5\n1;2,5\n", ";", ("time", "power"), 3),
        ("sep=|\ntime|power\n0|1\n1|2\n", "|", ("time", "power"), 2),
        ("| time | power |\n|---|---|\n| 0 | 1 |\n| 1 | 2 |\n", "|", ("time", "power"), 2),
        ("0,1\n1,2\n", ",", (), 0),
        ("time,power\ns,mW\n0,1\n1,2\n", ",", ("time [s]", "power [mW]"), 2),
        ("time power\n0 1\n1 2\n", " ", ("time", "power"), 1),
        ("Serial,12\nRate,5\ntime,power\n0,1\n1,2\n2,3\n", ",", ("time", "power"), 3),
        ("time,power\n", ",", ("time", "power"), 1),
        ("# time,power\n0,1\n1,2\n", ",", ("time", "power"), 1),
        ("power\n1\n2\n", ",", ("power",), 1),
    ],
)
def test_where_a_table_begins(text: str, delimiter: str, titles: tuple[str, ...], rows_from: int) -> None:
    found = shape_of(text.splitlines(keepends=True))
    assert found is not None
    assert (found.delimiter, found.titles, found.rows_from) == (delimiter, titles, rows_from)
    assert found.said.startswith("parted by ")


def test_no_table_at_all() -> None:
    assert shape_of([]) is None
    assert shape_of(["hello\n"]) is None
    assert shape_of(["a,b\n", "0,1\n"], delimiter=";") is None
