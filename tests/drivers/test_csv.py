"""Growing files as meters: header, tail, time column, rotation, tegrastats; on a clock moved by hand."""

import contextlib
import itertools
import os
import time
from pathlib import Path
from typing import Any

import pytest
from devices.real_recordings import recorded
from hypothesis import given
from hypothesis import strategies as st

from energymeter.clock import ManualClock
from energymeter.drivers.csv import Csv
from energymeter.drivers.protocols.text_table import Table
from energymeter.errors import SourceError, SourceForbidden, SourceMissing, SourceTimeout, SpecError
from energymeter.reading import Reading
from energymeter.recordings.record import Hints
from energymeter.testing import check_source, check_unplugged

SECOND = 1_000_000_000


class Log:
    """A file, its writer, and the driver that follows it."""

    def __init__(self, path: Path, text: str, **options: Any) -> None:
        self.path, self.clock = path, ManualClock(start_ns=100 * SECOND)
        path.write_text(text)
        self.source = Csv(str(path), clock=self.clock, **options)
        self.source.open()
        self._rows = self.source.stream()

    def write(self, text: str, mode: str = "a") -> None:
        with self.path.open(mode) as file:
            file.write(text)

    def rows(self) -> list[Reading]:
        """What the driver sees up to its next sign of life."""
        seen: list[Reading] = []
        for reading in self._rows:
            if not reading.fresh:
                return seen
            seen.append(reading)
        return seen

    def watts(self) -> list[float | None]:
        return [r.watts for r in self.rows()]


class WritersClock(ManualClock):
    """Whenever the driver waits, the writer gets on: a row every 50 ms."""

    def __init__(self, path: Path) -> None:
        super().__init__(start_ns=time.monotonic_ns())
        self._path, self._row = path, 0

    def sleep(self, seconds: float) -> None:
        with self._path.open("a") as file:
            file.write(f"{self._row * 0.05},5.0\n")
        self._row += 1


def test_conforms(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("time,watts\n")
    clock = WritersClock(path)
    check_source(lambda: Csv(str(path), time="time", watts="watts", accuracy=0.02, clock=clock))


def test_only_new_rows_count_and_a_half_one_waits(tmp_path: Path) -> None:
    log = Log(
        tmp_path / "p.csv", "Time,Power (mW)\n0,1000\n1,2000\n", time="Time", watts="Power (mW)", unit="mW"
    )
    assert log.watts() == []
    log.write("2,3000\n3,40")
    assert log.watts() == [3.0]
    log.write("00\n")
    assert log.watts() == [4.0]
    assert log.source.lost == 0


def test_rows_are_spaced_by_the_files_time(tmp_path: Path) -> None:
    log = Log(tmp_path / "p.csv", "ms;P\n", time="ms", time_unit="ms", watts="P")
    log.write("1000;1\n1250;2\n1500;3\n")
    rows = log.rows()
    assert [r.at_ns for r in rows] == [100 * SECOND - 500_000_000, 100 * SECOND - 250_000_000, 100 * SECOND]


def test_iso_times(tmp_path: Path) -> None:
    log = Log(tmp_path / "p.csv", "when,watts\n", time="when", watts="watts")
    log.write("2024-05-01T12:00:00Z,1\n2024-05-01T12:00:00.5+00:00,2\n")
    first, second = log.rows()
    assert second.at_ns is not None
    assert first.at_ns is not None
    assert second.at_ns - first.at_ns == pytest.approx(0.5 * SECOND, abs=1000)


def test_without_a_time_column_arrival_counts_and_stamps_increase(tmp_path: Path) -> None:
    log = Log(tmp_path / "p.csv", "watts\n", watts="watts")
    log.write("1\n2\n")
    stamps = [r.at_ns or 0 for r in log.rows()]
    assert stamps[0] == pytest.approx(100 * SECOND, abs=1000)
    assert stamps[1] > stamps[0]


def test_header_below_a_preamble_and_comments(tmp_path: Path) -> None:
    text = "# exported by X\nDevice: CT-3\n\nTime(s);Voltage;Current\n"
    log = Log(tmp_path / "p.csv", text, volts="voltage", amps="CURRENT", amps_unit="mA")
    log.write("0,0;5,02;900\n# mark\n\n  \n # mark\n0,5;5,03;1000\nTime(s);Voltage;Current\n")
    assert [(r.volts, r.amps) for r in log.rows()] == [(5.02, 0.9), (5.03, 1.0)]
    assert log.source.lost == 0, "none of these should be a row"


def test_a_header_that_comes_after_open(tmp_path: Path) -> None:
    log = Log(tmp_path / "p.csv", "", watts="watts")
    log.write("time,watts\n0,5\n")
    assert log.watts() == [5.0]


def test_columns_by_number_without_a_header(tmp_path: Path) -> None:
    log = Log(tmp_path / "p.csv", "", watts="2", time="1")
    log.write("0\t5\n1\t6\n")
    assert log.watts() == [5.0, 6.0]


def test_a_wrong_column_shows_the_header(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("time,power\n0,5\n")
    with pytest.raises(
        SourceError, match=r"no column 'watts'; it has, parted by comma: time, power; .*watts=power"
    ):
        Csv(str(path), watts="watts").open()


def test_bad_rows_are_counted(tmp_path: Path) -> None:
    log = Log(tmp_path / "p.csv", "t,w\n", time="t", watts="w")
    log.write("0,1\nx,2\n1,n/a\n2\n3,4,5,6\n")
    assert log.watts() == [1.0, 4.0]
    assert log.source.lost == 3


def test_a_line_without_an_end_is_dropped(tmp_path: Path) -> None:
    log = Log(tmp_path / "p.csv", "t,w\n", time="t", watts="w")
    log.write("0,4\n1," + "1" * 300_000 + "\n2,5\n3,6\n")
    assert log.watts() == [4.0, 5.0, 6.0]
    once = log.source.lost
    assert once >= 1
    log.write("4," + "1" * 300_000 + "\n5,7\n")
    assert log.watts() == [7.0]
    assert log.source.lost == 2 * once, "each of them is counted"


@pytest.mark.parametrize("how", ["truncate", "replace"])
def test_rotation(tmp_path: Path, how: str) -> None:
    log = Log(tmp_path / "p.csv", "watts,x\n1,2\n3,4\n", watts="watts")
    log.write("5,6\n")
    assert log.watts() == [5.0]
    if how == "replace":
        os.rename(log.path, tmp_path / "p.csv.1")
        assert log.watts() == [], "between the two steps of a rotation"
    log.write("x,watts\n7,8\n", mode="w")
    assert log.watts() == [8.0]


def test_a_read_waits_for_a_row_and_gives_up_in_time(tmp_path: Path) -> None:
    log = Log(tmp_path / "p.csv", "watts\n", watts="watts")
    before = log.clock.monotonic_ns()
    with pytest.raises(SourceTimeout, match="gained no row"):
        log.source.read()
    assert log.clock.monotonic_ns() - before <= 2.5 * SECOND
    log.write("5\n")
    assert log.source.read().watts == 5.0
    log.source.close()
    with pytest.raises(SourceError, match="not open"):
        log.source.read()


def test_recorded_tegrastats_lines(tmp_path: Path) -> None:
    for entry in recorded("wire/tegrastats_lines.json"):
        for rail, (now, *_) in entry["rails_mW"].items():
            log = Log(tmp_path / "t.log", "", format="tegrastats", watts=rail)
            log.write(entry["line"] + "\n")
            assert log.watts() == [pytest.approx(now / 1000)], (entry["board"], rail)


def test_tegrastats_traps(tmp_path: Path) -> None:
    line = "05-01-2024 12:00:00 RAM 4412/7772MB  GR3D_FREQ 0%@[305] GPU 0/0 VDD_IN 4956mW/4900mW/4800mW\n"
    log = Log(tmp_path / "t.log", "", format="tegrastats", watts="VDD_IN")
    log.write("starting\n" + line)
    assert log.watts() == [4.956]
    thor = Log(tmp_path / "v.log", "", format="tegrastats", watts="VDD_GPU")
    thor.write("RAM 86905/125772MB  tj@39.906C VDD_GPU  -392mW/-392mW/7mW VIN 26686mW/26600mW\n")
    assert thor.watts() == [-0.392]
    other = Log(tmp_path / "u.log", "", format="tegrastats", watts="RAM")
    other.write(line)
    with pytest.raises(SourceError, match="has no rail RAM, but GPU, VDD_IN"):
        other.rows()


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_unplugged(lambda: Csv(str(tmp_path / "none.csv"), watts="w"))
    with pytest.raises(SourceMissing, match="start its writer"):
        Csv(str(tmp_path / "none.csv"), watts="w").open()
    with pytest.raises(SourceError, match="plain file"):
        Csv(str(tmp_path), watts="w").open()
    secret = tmp_path / "secret.csv"
    secret.write_text("w\n")
    secret.chmod(0)
    if os.geteuid() != 0:  # root reads everything
        with pytest.raises(SourceForbidden):
            Csv(str(secret), watts="w").open()


@pytest.mark.parametrize(
    "options",
    [
        {"watts": "w", "unit": "mX"},
        {"watts": "w", "time_unit": "fortnight"},
        {"watts": "w", "format": "xls"},
        {"watts": "w", "delimiter": ";;"},
        {"format": "tegrastats"},
        {"format": "tegrastats", "watts": "VDD_IN", "unit": "W"},
        {"volts": "v"},
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(SpecError):
        Csv("power.csv", **options)


@given(st.lists(st.binary(max_size=80), max_size=20))
def test_any_bytes_are_rows_or_are_dropped(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes]
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.csv"
    log = Log(path, "time,watts\n", time="time", watts="watts")
    for chunk in chunks:
        with path.open("ab") as file:
            file.write(chunk)
        with contextlib.suppress(SourceError):  # columns that are not known are asked for
            for reading in log.rows():
                assert reading.watts is not None
    log.source.close()


def test_columns_found_by_their_titles(tmp_path: Path) -> None:
    text = "timestamp, power.draw [W]\n2026/05/04 10:00:00.000, 45.00 W\n2026/05/04 10:00:01.000, 45.00 W\n"
    log = Log(tmp_path / "smi.csv", text)
    log.write(
        "2026/05/04 10:00:02.000, 46.50 W\n2026/05/04 10:00:03.000, [N/A]\n2026/05/04 10:00:03.500, 47 W\n"
    )
    rows = log.rows()
    assert [row.watts for row in rows] == [46.5, 47.0]
    assert log.source.lost == 1
    assert (rows[1].at_ns or 0) - (rows[0].at_ns or 0) == pytest.approx(1.5 * SECOND, abs=1000)


def test_units_of_the_titles(tmp_path: Path) -> None:
    log = Log(tmp_path / "p.csv", "voltage_mv,current_ma\n5020,300\n", volts="voltage_mv", amps="current_ma")
    log.write("5020,300\n")
    assert [(row.volts, row.amps) for row in log.rows()] == [(pytest.approx(5.02), pytest.approx(0.3))]


def test_rows_of_several_devices(tmp_path: Path) -> None:
    text = "timestamp,index,power.draw [W]\n2026/05/04 10:00:00.000,0,45 W\n2026/05/04 10:00:00.000,1,70 W\n"
    text += text.partition("\n")[2].replace(":00.000", ":01.000")
    row = "2026/05/04 10:00:02.000,0,46 W\n2026/05/04 10:00:02.000,1,71 W\n"
    log = Log(tmp_path / "one.csv", text, channel="1")
    log.write(row)
    assert log.watts() == [71.0]
    (alone,) = log.source.notes
    assert alone.startswith("read as ")
    assert "channels" not in alone
    log = Log(tmp_path / "two.csv", text)
    assert log.source.notes == (f"{alone}, 2 channels",)
    log.write(row)
    assert [(part.name[-7:], part.facts.counted) for part in log.source.channels()] == [
        ("index 0", True),
        ("index 1", True),
    ]
    assert taken(log) == [(0, 46.0), (1, 71.0)]
    for part, watts in zip(log.source.channels(), (46.0, 71.0), strict=True):
        log.write(row)
        stream = part.stream()  # type: ignore[attr-defined]
        assert [one.watts for one in itertools.takewhile(lambda one: one.fresh, stream)] == [watts]
    with pytest.raises(SourceError, match=r"several channels, .*choose one with channel="):
        next(log.source.stream())
    log.source.close()


def taken(log: Log) -> list[tuple[int, float | None]]:
    """The number of the channel and the power of each new row."""
    return [
        (number, reading.watts)
        for number, reading in itertools.takewhile(lambda row: row[1].fresh, log.source.stream_parts())
    ]


def test_of_rails_the_total_counts_and_without_one_is_asked(tmp_path: Path) -> None:
    rails = "time_s,rail,power_W\n" + "".join(f"{i},VDD_IN,10\n{i},VDD_CPU,4\n" for i in range(3))
    log = Log(tmp_path / "rails.csv", rails)
    assert [part.facts.counted for part in log.source.channels()] == [True, False]
    every = Log(tmp_path / "all.csv", rails, channel="all")
    assert len(every.source.channels()) == 2
    log.source.close()
    every.source.close()
    with pytest.raises(SourceError, match=r"which of them contain others is not known: .*channel=VDD_SOC"):
        Log(tmp_path / "open.csv", rails.replace("VDD_IN", "VDD_SOC"))
    with pytest.raises(SourceError, match="has no channel 'VDD_GPU'; choose one of VDD_IN, VDD_CPU"):
        Log(tmp_path / "none.csv", rails, channel="VDD_GPU")


def test_a_device_that_comes_later_is_asked_about(tmp_path: Path) -> None:
    head = "time_s,gpu,power_W\n" + "".join(f"{i},0,10\n{i},1,10\n" for i in range(3))
    log = Log(tmp_path / "p.csv", head)
    log.write("3,0,10\n3,2,10\n")
    with pytest.raises(SourceError, match=r"and 2 was not there at the start; .*\?channel=0$"):
        taken(log)
    log.source.close()


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-le", "utf-8-sig"])
def test_any_encoding_is_followed(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "p.csv"
    text = "Zeit (s);Leistung (µW)\n0;10500000,0\n1;10500000,0\n".encode(encoding)
    cut = len(text) - len(
        "1;10500000,0\n".encode(encoding.removesuffix("-sig"))[2 * (encoding == "utf-16") :]
    )
    path.write_bytes(text[:cut])
    source = Csv(str(path), clock=ManualClock(start_ns=100 * SECOND))
    source.open()
    with path.open("ab") as file:
        file.write(text[cut:])
    assert next(source.stream()).watts == pytest.approx(10.5)
    source.close()


def test_stamps_that_are_coarser_than_the_rows_are_spread(tmp_path: Path) -> None:
    """Ten watts in one of five rows a second are two."""
    log = Log(tmp_path / "p.csv", "time,power_W\n2026-05-04T10:00:00Z,0\n")
    stamps = []
    for i in range(50):
        log.clock.sleep(0.2)
        log.write(f"2026-05-04T10:00:{1 + i // 5:02}Z,{10 * (i % 5 == 0)}\n")
        stamps += [reading.at_ns for reading in log.rows()]
    steps = [(b or 0) - (a or 0) for a, b in itertools.pairwise(stamps[10:])]
    assert max(steps) < 1.0 * SECOND
    assert min(steps) > 0.1 * SECOND


def test_rows_without_any_number_are_explained(tmp_path: Path) -> None:
    log = Log(tmp_path / "p.csv", "t_s,power_W\n0,1\n")
    log.write("".join(f"{i},off\n" for i in range(6)))
    with pytest.raises(SourceError, match="gained 6 rows without a number that is known, such as '0,off'"):
        log.rows()


def test_a_row_too_short_to_say_its_device_is_passed_over(tmp_path: Path) -> None:
    text = "time_s,power_W,gpu\n" + "".join(f"{i},{5 + gpu},{gpu}\n" for i in range(3) for gpu in (0, 1))
    log = Log(tmp_path / "p.csv", text)
    log.write("3,7,0\n4,8\n5\n6,9,1\n")
    assert taken(log) == [(0, 7.0), (1, 9.0)]
    log.source.close()


def test_what_is_lost_are_rows_without_a_number_and_lines_without_an_end(tmp_path: Path) -> None:
    log = Log(tmp_path / "p.csv", "t_s,power_W\n0,1\n")
    log.write("1,off\n2,5\n3,off\n")
    assert log.watts() == [5.0]
    log.write("x" * 70_000)
    log.rows()
    assert log.source.lost == 3
    log.source.close()


def test_devices_are_looked_for_among_the_first_rows_only() -> None:
    table = Table("p.csv", "csv@p.csv", Hints())
    table.learn(["time_s,power_W", *(f"{i},5" for i in range(60))])
    for i in range(60, 90):
        assert table.row(f"{i},5") is not None
    assert len(table._head) == 61, "no more are kept"
    early = Table("p.csv", "csv@p.csv", Hints())
    early.learn(["time_s,power_W", "0,5"])
    for i in range(1, 90):
        early.row(f"{i},5")
    assert len(early._head) == 48


def test_five_rows_without_a_number_are_too_many_unless_one_had_one(tmp_path: Path) -> None:
    def bad(count: int) -> str:
        return "".join(f"{i},off\n" for i in range(count))

    four = Log(tmp_path / "four.csv", "t_s,power_W\n0,1\n")
    four.write(bad(4))
    assert four.watts() == []
    assert four.source.lost == 4
    four.write("9,5\n" + bad(4))
    assert four.watts() == [5.0]
    assert four.source.lost == 8, "one was good"
    four.source.close()
    five = Log(tmp_path / "five.csv", "t_s,power_W\n0,1\n")
    five.write("x" * 70 + "\n" + bad(4))
    with pytest.raises(
        SourceError, match=f"gained 5 rows without a number that is known, such as '{'x' * 60}'; correct"
    ):
        five.rows()
    five.source.close()


@pytest.mark.parametrize("channel", ["1", "index 1"])
def test_a_channel_is_named_as_in_a_recording(tmp_path: Path, channel: str) -> None:
    titles = "timestamp, index, power.draw [W]\n"
    lines = "".join(
        f"2026/05/04 10:00:{i:02}.000, {gpu}, {gpu + 5}.00 W\n" for i in range(3) for gpu in (0, 1)
    )
    log = Log(tmp_path / "smi.csv", titles, channel=channel)
    log.write(lines)
    assert log.watts() == [6.0, 6.0, 6.0]


def test_several_channels_are_asked_about_and_never_mixed(tmp_path: Path) -> None:
    log = Log(tmp_path / "p.csv", "timestamp,phase,power_W\n")
    log.write("".join(f"2026-05-04T10:00:0{i}Z,{phase},5\n" for i in range(9) for phase in "ABC"))
    with pytest.raises(
        SourceError, match=r"several devices, [ABC] and [ABC], .*choose one, as in csv@.*\?channel=[ABC]$"
    ):
        log.watts()


def test_devices_are_found_also_where_no_column_is_the_time(tmp_path: Path) -> None:
    log = Log(tmp_path / "p.csv", "phase,power_W\n", watts="power_W")
    log.write("".join(f"{phase},5\n" for _ in range(9) for phase in "ABC"))
    with pytest.raises(SourceError, match=r"several devices, [ABC] and [ABC], "):
        log.watts()
    log.source.close()


@pytest.mark.parametrize(
    "line", ['{{"time_s": {i}, "power_W": 5}}\n', "t={i} power=5 W\n", "power watts=5 177788880{i}\n"]
)
def test_what_is_no_table_is_not_followed(tmp_path: Path, line: str) -> None:
    with pytest.raises(SourceError, match=r"tables alone can be followed.* replay@"):
        Log(tmp_path / "p.log", "".join(line.format(i=i) for i in range(5)))
