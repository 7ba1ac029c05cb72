"""Tables of others: their shape, their times, what their columns mean, and what is asked."""

import itertools
import math
from pathlib import Path

import pytest

from energymeter import Trace
from energymeter.errors import LogError, NotMeasured, SpecError
from energymeter.recordings.question import _MOST_TITLES, question
from energymeter.recordings.reader import Hints, Record, explained, read
from energymeter.recordings.shape import split

EPOCH = 1_777_888_800


def write(folder: Path, text: str | bytes, name: str = "x.csv") -> str:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(folder / name)


def only(folder: Path, text: str | bytes, **hints: str) -> Record:
    (record,) = read(write(folder, text), Hints(**hints))  # type: ignore[arg-type]
    return record


def joules(folder: Path, text: str | bytes, **hints: str) -> float:
    return Trace.load(write(folder, text), **hints).usage().joules


def rows(line: str, count: int = 11, first: int = 0) -> str:
    return "".join(line.format(i=i, e=EPOCH + i) + "\n" for i in range(first, first + count))


# -- shape ---------------------------------------------------------------------------------------------

SHAPES = {
    "comma": "time_s,power_W\n" + rows("{i},10.0"),
    "semicolon": "time_s;power_W\n" + rows("{i};10.0"),
    "tab": "time_s\tpower_W\n" + rows("{i}\t10.0"),
    "bar": "| time_s | power_W |\n|---|---|\n" + rows("| {i} | 10.0 |"),
    "spaces": "time_s   power_W\n" + rows("{i:3}      10.0"),
    "decimal comma": "time_s;power_W\n" + rows("{i},5;10,0"),
    "quoted decimal comma": "time_s,power_W\n" + rows('"{i},5","10,0"'),
    "sep=": "sep=;\ntime_s;power_W\n" + rows("{i};10,0"),
    "preamble": "Exported by X\nSerial: 0001\n\ntime_s,power_W\n" + rows("{i},10.0"),
    "titles behind #": "# made by hand\n#time_s,power_W\n" + rows("{i},10.0"),
    "a line of units": "time,power\n[s],[W]\n" + rows("{i},10.0"),
    "units without brackets": "time,power\ns,mW\n" + rows("{i},10000"),
    "quoted titles": '"time_s","power_W"\n' + rows('"{i}","10.0"'),
    "a last empty column": "time_s,power_W,\n" + rows("{i},10.0,"),
    "windows line ends": "time_s,power_W\r\n" + rows("{i},10.0").replace("\n", "\r\n"),
    "old line ends": ("time_s,power_W\n" + rows("{i},10.0")).replace("\n", "\r"),
    "comments between": "time_s,power_W\n" + rows("{i},10.0", 5) + "# mark\n\n" + rows("{i},10.0", 6, 5),
    "unit in the cell": "time_s,draw\n" + rows("{i}, 10.0 W"),
    "units that change": "time_s,power\n" + rows("{i}, 10 W", 5) + rows("{i}, 10000 mW", 6, 5),
    "byte order mark": "\ufefftime_s,power_W\n" + rows("{i},10.0"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_holds_the_same_energy(tmp_path: Path, shape: str) -> None:
    assert joules(tmp_path, SHAPES[shape]) == pytest.approx(100)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    text = "Zeit (s);Leistung (µW)\n" + rows("{i};10000000")
    assert joules(tmp_path, text.encode(encoding)) == pytest.approx(100)


@pytest.mark.parametrize(
    "cell", ["", "[N/A]", "N/A", "nan", "NaN", "inf", "-", "[Not Supported]", "unavailable"]
)
def test_a_cell_without_a_value_is_a_gap_and_is_counted(tmp_path: Path, cell: str) -> None:
    text = "time_s,power_W\n" + rows("{i},10.0", 5) + f"5,{cell}\n" + rows("{i},10.0", 5, 6)
    usage = Trace.load(write(tmp_path, text)).usage()
    assert usage.joules == pytest.approx(80)
    assert usage.coverage == pytest.approx(0.8)
    assert any("1 of 11 rows without a value" in note for note in usage.notes)


def test_a_row_that_cannot_be_read_is_a_gap_and_is_counted(tmp_path: Path) -> None:
    text = "time_s,power_W\n" + rows("{i},10.0", 5) + "half a ro\n" + rows("{i},10.0", 5, 6)
    usage = Trace.load(write(tmp_path, text)).usage()
    assert usage.coverage == pytest.approx(0.8)
    assert any("1 of 11 rows left out: no time in 'half a ro'" in note for note in usage.notes)


def test_what_was_recognised_is_reported(tmp_path: Path) -> None:
    text = "timestamp;power [mW]\n" + rows("2026-05-04 10:00:{i:02};10000")
    assert only(tmp_path, text).read_as == "table with semicolon: timestamp [local], power [mW]"
    assert Trace.load(tmp_path / "x.csv").read_as.startswith("table with semicolon")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("\n\n\n", "is empty"),
        (rows("{i},10.0"), "it has no titles; say what is meant, as in .*time='1', watts='2', unit='W'"),
        ("hello\nworld\n", "there is no table in it"),
        ("time_s,colour\n" + rows("{i},3"), "it has, parted by comma: time_s, colour; say what is meant"),
    ],
)
def test_what_is_no_table_is_refused_with_what_was_found(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(LogError, match=said):
        read(write(tmp_path, text))


def test_titles_alone_are_not_measured(tmp_path: Path) -> None:
    with pytest.raises(NotMeasured, match="holds no samples"):
        read(write(tmp_path, "Timestamp (s),Power (mW)\n"))


def test_a_table_without_titles_by_number(tmp_path: Path) -> None:
    assert joules(tmp_path, rows("{i},x,10000"), time="1", watts="3", unit="mW") == pytest.approx(100)


# -- time ----------------------------------------------------------------------------------------------

TIMES = {
    "ISO": "2026-05-04T10:00:{i:02}",
    "ISO with a zone": "2026-05-04T10:00:{i:02}+01:00",
    "UTC": "2026-05-04 10:00:{i:02}.000Z",
    "slashes": "2026/05/04 10:00:{i:02}.000",
    "day first": "4.5.2026 10:00:{i:02}",
    "day or month first": "04/05/2026 10:00:{i:02}",
    "twelve hours": "5/4/2026 10:00:{i:02} AM",
    "a month's name": "04-May-2026 10:00:{i:02}",
    "ctime": "Mon May  4 10:00:{i:02} 2026",
    "digits alone": "20260504T1000{i:02}",
    "elapsed": "0:00:{i:02}.000250",
    "days and a time": '"1 day, 0:00:{i:02}"',
    "time of day": "10:00:{i:02}",
    "seconds since 1970": "{e}",
    "with a fraction": "{e}.25",
    "milliseconds since 1970": "{e}000",
    "microseconds since 1970": "{e}000000",
    "nanoseconds since 1970": "{e}000000123",
    "seconds": "{i}.0",
    "whole seconds": "{i}",
}


@pytest.mark.parametrize("time", TIMES)
def test_every_way_to_write_the_time(tmp_path: Path, time: str) -> None:
    trace = Trace.load(write(tmp_path, "time,power_W\n" + rows(TIMES[time] + ",10.0")))
    assert trace.usage().joules == pytest.approx(100)
    assert trace.usage().coverage == pytest.approx(1)
    assert trace.seconds == pytest.approx(10)


@pytest.mark.parametrize(
    ("first", "later"),
    [("31/12/2025", "01/01/2026"), ("12/31/2025", "01/01/2026"), ("04/05/2026", "05/05/2026"),
     ("05/04/2026", "05/05/2026"), ("4.5.26", "5.5.26"), ("26/05/04", "26/05/05"),
     ("04-05-2026", "04-06-2026")],
)  # fmt: skip
def test_midnight_in_every_order_of_day_and_month(tmp_path: Path, first: str, later: str) -> None:
    text = "time,power_W\n" + "".join(f"{first} 23:59:5{i},10\n" for i in range(5, 10))
    text += "".join(f"{later} 00:00:0{i},10\n" for i in range(6))
    usage = Trace.load(write(tmp_path, text)).usage()
    assert (usage.joules, usage.coverage) == (pytest.approx(100), pytest.approx(1))


def test_midnight_without_a_date(tmp_path: Path) -> None:
    text = "time,power_W\n" + "".join(f"23:59:5{i},10\n" for i in range(5, 10))
    text += "".join(f"00:00:0{i},10\n" for i in range(6))
    assert joules(tmp_path, text) == pytest.approx(100)


@pytest.mark.parametrize("date", ["2026-05-04", "4.5.2026", "05/04/2026", "4 May 2026"])
def test_date_and_time_in_two_columns(tmp_path: Path, date: str) -> None:
    assert joules(tmp_path, "Date,Time,Power (W)\n" + rows(date + ",12:00:{i:02},10.0")) == pytest.approx(100)


def test_nanoseconds_keep_their_digits(tmp_path: Path) -> None:
    text = "timestamp_ns,power_W\n" + "".join(f"{EPOCH * 10**9 + i * 1001},1\n" for i in range(5))
    record = only(tmp_path, text)
    assert record.columns["time_s"].tolist() == pytest.approx([i * 1.001e-6 for i in range(5)], rel=1e-12)
    assert record.epoch_s == pytest.approx(EPOCH)


def test_a_title_of_seconds_over_milliseconds_since_1970(tmp_path: Path) -> None:
    assert joules(tmp_path, "time (s),power_W\n" + rows("{e}000,10")) == pytest.approx(100)


@pytest.mark.parametrize(
    ("time", "said"),
    [
        ("{i}00", r"its times go on by 100 and have no unit in 'time'.*time_unit='ms'"),
        ("10:{i:02}", r"its times may be hh:mm or mm:ss.*time_unit='mm:ss'"),
        ("46146.41666{i:02}", r"a spreadsheet's days or seconds"),
    ],
)
def test_a_time_that_may_mean_two_things_is_asked(tmp_path: Path, time: str, said: str) -> None:
    path = write(tmp_path, "time,power_W\n" + rows(time + ",10.0"))
    with pytest.raises(LogError, match=said):
        read(path)


def test_answers_to_the_questions(tmp_path: Path) -> None:
    text = "time,power_W\n" + rows("{i}00,10.0")
    assert joules(tmp_path, text, time_unit="ms") == pytest.approx(10)
    assert joules(tmp_path, text, time_unit="s") == pytest.approx(10_000)
    minutes = "time,power_W\n" + rows("10:{i:02},10.0")
    assert joules(tmp_path, minutes, time_unit="hh:mm") == pytest.approx(6000)
    assert joules(tmp_path, minutes, time_unit="mm:ss") == pytest.approx(100)


def test_a_clock_set_back_is_reported_and_no_row_is_lost(tmp_path: Path) -> None:
    text = "timestamp,power_W\n" + "".join(
        f"2026-05-04 {10 - i // 600}:{i // 60 % 60:02}:{i % 60:02},5\n" for i in range(1200)
    )
    usage = Trace.load(write(tmp_path, text)).usage()
    assert usage.joules == pytest.approx(5995)
    assert any("the clock went back by 1 h at row 601" in note for note in usage.notes)


def test_stamps_to_the_second(tmp_path: Path) -> None:
    text = "timestamp,power_W\n" + "".join(
        f"2026-05-04 10:00:{i // 5:02},{10 if i % 5 == 0 else 0}\n" for i in range(300)
    )
    usage = Trace.load(write(tmp_path, text)).usage()
    assert usage.mean_watts == pytest.approx(2, rel=0.01)
    assert any("5 rows share the same time" in note for note in usage.notes)


def test_rows_written_late_are_sorted(tmp_path: Path) -> None:
    order = [0, 1, 2, 4, 3, 5, 6, 8, 9, 7, 10]
    text = "time_s,power_W\n" + "".join(f"{i},{i}\n" for i in order)
    usage = Trace.load(write(tmp_path, text)).usage()
    assert usage.joules == pytest.approx(50)
    assert any("out of order" in note for note in usage.notes)


def test_several_runs_in_one_file(tmp_path: Path) -> None:
    run = "time_s,power_W\n" + rows("{i},10.0")
    usage = Trace.load(write(tmp_path, run + run)).usage()
    assert usage.joules == pytest.approx(200)
    assert usage.seconds == pytest.approx(21)
    assert usage.coverage == pytest.approx(20 / 21)
    assert any("2 runs in one file" in note for note in usage.notes)


# -- meaning -------------------------------------------------------------------------------------------

POWERS = [
    "power_mw",
    "Power [mW]",
    "POWER (Milliwatts)",
    "P/mW",
    "Leistung (mW)",
    "Power in mW",
    "powerMW_mW",
]


@pytest.mark.parametrize("title", POWERS)
def test_power_in_every_spelling(tmp_path: Path, title: str) -> None:
    assert joules(tmp_path, f"time_s,{title}\n" + rows("{i},10000")) == pytest.approx(100)


@pytest.mark.parametrize(
    ("volts", "amps"),
    [
        ("voltage_mv", "current_ma"),
        ("VOLTAGE_MV", "CURRENT_MA"),
        ("Spannung (mV)", "Strom (mA)"),
        ("U/mV", "I/mA"),
    ],
)
def test_volts_and_amps_in_every_spelling(tmp_path: Path, volts: str, amps: str) -> None:
    usage = Trace.load(write(tmp_path, f"time_s,{volts},{amps}\n" + rows("{i},5000,2000"))).usage()
    assert usage.joules == pytest.approx(100)
    assert usage.coulombs == pytest.approx(20)


@pytest.mark.parametrize("title", ["Power (hp)", "Power [MW]", "power [furlong]", "POWER_MW"])
def test_an_unknown_unit_is_asked_and_never_si(tmp_path: Path, title: str) -> None:
    path = write(tmp_path, f"time_s,{title}\n" + rows("{i},10"))
    with pytest.raises(LogError, match=r"the unit '\w+' of '.*' is not known.*unit='mW'"):
        read(path)
    assert Trace.load(path, watts=title, unit="mW").usage().joules == pytest.approx(0.1)


def test_large_numbers_without_a_unit_are_asked(tmp_path: Path) -> None:
    with pytest.raises(LogError, match=r"the unit of 'power' is not known"):
        read(write(tmp_path, "time_s,power\n" + rows("{i},5200")))
    assert joules(tmp_path, "time_s,power\n" + rows("{i},5.2")) == pytest.approx(52)


def test_a_unit_by_what_agrees_with_it(tmp_path: Path) -> None:
    """5 V times 1 A makes 5000 of something: of milliwatts."""
    assert joules(tmp_path, "time_s,voltage,current,power\n" + rows("{i},5,1,5000")) == pytest.approx(50)


def test_a_power_that_contradicts_volts_and_amps_by_a_thousand_is_asked(tmp_path: Path) -> None:
    path = write(tmp_path, "time_s,power_mW,voltage_V,current_A\n" + rows("{i},5,5,1"))
    with pytest.raises(LogError, match=r"'power_mW' is 0.001 times 'voltage_V' times 'current_A'.*unit='W'"):
        read(path)


ENERGIES = {
    "counts up": "time_s,power_W,energy_J\n" + rows("{i},10,{i}0"),
    "counts up in another unit": "time_s,power_W,energy (mWh)\n"
    + "".join(f"{i},10,{i * 10 / 3.6}\n" for i in range(11)),
    "without a unit": "time_s,power_W,energy\n" + "".join(f"{i},10,{i * 10 / 3600}\n" for i in range(11)),
    "of each row": "time_s,energy delta (J)\n" + rows("{i},10"),
    "alone": "time_s,energy_J\n" + rows("{i},{i}0"),
    "of half-hours": "time,consumption (kWh)\n"
    + "".join(f"2026-05-04 {i // 2:02}:{i % 2 * 30:02},{0.1 + 0.1 * (i % 2)}\n" for i in range(9)),
}


@pytest.mark.parametrize("kind", ENERGIES)
def test_columns_of_energy(tmp_path: Path, kind: str) -> None:
    expected = 3.6e6 * 1.2 if kind == "of half-hours" else 100
    assert joules(tmp_path, ENERGIES[kind]) == pytest.approx(expected)


def test_an_energy_that_was_reset_is_a_gap(tmp_path: Path) -> None:
    values = [0, 10, 20, 30, 0, 10, 20]
    usage = Trace.load(
        write(tmp_path, "time_s,energy_J\n" + "".join(f"{i},{v}\n" for i, v in enumerate(values)))
    ).usage()
    assert usage.joules == pytest.approx(50)
    assert usage.coverage == pytest.approx(5 / 6)


def test_a_current_alone_is_a_charge_and_with_a_voltage_an_energy(tmp_path: Path) -> None:
    path = write(tmp_path, "time_ms,current_uA\n" + "".join(f"{i},28\n" for i in range(1001)))
    trace = Trace.load(path)
    assert trace.coulombs[-1] == pytest.approx(28e-6)
    with pytest.raises(NotMeasured, match=r"its charge is known, its energy is not; give the voltage"):
        trace.usage()
    assert Trace.load(path, volts="3.7V").usage().joules == pytest.approx(28e-6 * 3.7)


def test_devices_are_channels_and_add_up(tmp_path: Path) -> None:
    text = "timestamp, index, power.draw [W]\n" + "".join(
        f"2026/05/04 10:00:{i:02}.{gpu}00, {gpu}, {40 + 20 * gpu}.00 W\n" for i in range(11) for gpu in (0, 1)
    )
    path = write(tmp_path, text)
    usage = Trace.load(path).usage()
    assert usage.joules == pytest.approx(1000)
    assert Trace.load(path, channel="index 1").usage().joules == pytest.approx(600)
    assert Trace.load(path).read_as == "nvidia-smi CSV: timestamp [local], power.draw [W], 2 channels"


def test_rails_that_may_contain_others_are_asked(tmp_path: Path) -> None:
    text = "time_s,rail,power_mW\n" + "".join(
        f"{i},{rail},{watts}\n" for i in range(5) for rail, watts in (("A", 1000), ("B", 2000))
    )
    path = write(tmp_path, text)
    with pytest.raises(LogError, match=r"2 channels, and which of them contain others is not known: A, B"):
        read(path)
    assert Trace.load(path, channel="B").usage().joules == pytest.approx(8)
    assert Trace.load(path, channel="all").usage().joules == pytest.approx(12)
    total = write(tmp_path, text.replace(",B,", ",total,"))
    assert Trace.load(total).usage().joules == pytest.approx(8)


def test_several_columns_of_power(tmp_path: Path) -> None:
    text = "time_s,CPU Package Power [W],GPU Power [W]\n" + rows("{i},10,20")
    with pytest.raises(LogError, match=r"2 columns of power, and which contain others is not known"):
        read(write(tmp_path, text))
    assert joules(tmp_path, text, watts="GPU Power [W]") == pytest.approx(200)
    assert joules(tmp_path, text.replace("GPU", "Total")) == pytest.approx(200)
    nested = "time_s,CPU Package Power [W],IA Cores Power [W]\n" + rows("{i},10,6")
    assert joules(tmp_path, nested) == pytest.approx(100)


def test_a_limit_is_no_power(tmp_path: Path) -> None:
    text = "time_s,power.limit [W],power.draw [W],max power [W]\n" + rows("{i},250,10,300")
    assert joules(tmp_path, text) == pytest.approx(100)


def test_hints_behind_a_path(tmp_path: Path) -> None:
    path = write(tmp_path, "when,P\n" + rows("{i}00,10000"))
    assert Trace.load(f"{path}?time=when&watts=P&unit=mW&time_unit=ms").usage().joules == pytest.approx(10)
    with pytest.raises(SpecError, match="no option 'wat'"):
        read(f"{path}?wat=P")


def test_what_an_error_says_can_be_pasted(tmp_path: Path) -> None:
    """The guess is read from the message, given as it stands, and answers."""
    path = write(tmp_path, "moment;Wert;Farbe\n" + rows("{i};10;rot"))
    said = ""
    for _ in range(4):
        with pytest.raises(LogError) as refused:
            Trace.load(path) if not said else eval(said, {"Trace": Trace})  # noqa: S307
        said = str(refused.value).partition("as in ")[2]
        if "unit" in said:
            break
    assert eval(said, {"Trace": Trace}).usage().joules == pytest.approx(100)  # noqa: S307


def test_no_traceback_from_any_mixture(tmp_path: Path) -> None:
    cells = ["", "1", "-1e308", "1e308", "2026-05-04", "10:00", "99:99:99", "1,5", "W", "nan", "'", '"', "#"]
    for number, pair in enumerate(itertools.product(cells, cells)):
        text = "time,power_W\n" + f"{pair[0]},{pair[1]}\n" * 3
        try:
            usage = Trace.load(write(tmp_path, text, f"{number}.csv")).usage()
        except (LogError, NotMeasured):
            continue
        assert not math.isnan(usage.joules)


def test_a_rail_named_after_an_input_is_not_the_whole(tmp_path: Path) -> None:
    text = "time_s,Power VDD_GPU_SOC (mW),Power VDD_CPU_CV (mW),Power VIN_SYS_5V0 (mW)\n"
    with pytest.raises(LogError, match="3 columns of power, and which contain others is not known"):
        read(write(tmp_path, text + rows("{i},5000,3000,2000")))


def test_dates_without_a_time_are_no_times(tmp_path: Path) -> None:
    """Eleven rows of one day are not spread over a second."""
    text = "Date,Time,power_W,\n" + rows("4.5.2026,10:00:{i:02}.5,10,") + "Date,Time,power_W,\n"
    assert joules(tmp_path, text) == pytest.approx(100)
    with pytest.raises(LogError, match="time"):
        read(write(tmp_path, "Date,power_W\n" + rows("4.5.2026,10")))


def test_columns_are_explained_by_the_first_rows_alone(tmp_path: Path) -> None:
    text = "time_s,power_W,gpu\n" + rows("{i},10.0,0", 500) + "damage\n" * 5
    said = explained(write(tmp_path, text))
    assert said[1:] == ["  1. time_s: time [s]", "  2. power_W: watts [W]", "  3. gpu: device"]
    with pytest.raises(LogError, match="it has, parted by comma: a, b"):
        explained(write(tmp_path, "a,b\n" + rows("x,1")))
    with pytest.raises(LogError, match="is empty"):
        explained(write(tmp_path, ""))


def test_columns_are_explained_by_the_first_rows_of_a_huge_file(tmp_path: Path) -> None:
    path = tmp_path / "huge.csv"
    with path.open("wb") as file:
        file.write(b"time_s,power_W\n" + b"".join(b"%d,10.0\n" % i for i in range(50_000)))
        file.truncate(1 << 35)  # much of nothing, which nobody reads to its end
    assert "power_W: watts [W]" in "\n".join(explained(str(path)))


@pytest.mark.parametrize(
    ("line", "delimiter", "cells"),
    [
        ("| 1 | 2 |", "|", ["1", "2"]),
        ("| 1 |", "|", ["1"]),
        ("1 | 2", "|", ["1", "2"]),
        ("| 1 | 2", "|", ["", "1", "2"]),
        ("||", "|", [""]),
        ("|", "|", ["", ""]),
        (",1,", ",", ["", "1", ""]),
        (' "a, b" , 2\r\n', ",", ["a, b", "2"]),
        ("  1   2 ", " ", ["1", "2"]),
    ],
)
def test_the_cells_of_a_line(line: str, delimiter: str, cells: list[str]) -> None:
    """A table as Markdown has it begins and ends with a bar; other empty cells are cells."""
    assert split(line, delimiter) == cells


def test_of_many_titles_the_first_are_shown_and_the_others_counted() -> None:
    titles = [f"column{n}" for n in range(_MOST_TITLES + 3)]
    text = str(question("a.csv", Hints(), "no power is named", titles=titles))
    assert f"column{_MOST_TITLES - 1} and 3 more" in text
    assert f"column{_MOST_TITLES}" not in text
    assert " more" not in str(question("a.csv", Hints(), "no power is named", titles=titles[:_MOST_TITLES]))
