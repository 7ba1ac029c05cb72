"""Recordings of ours and of others: what is read, what is refused, what is kept of a damaged one."""

import contextlib
import gzip
import json
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from energymeter.errors import EnergyMeterError, ImplausibleReading, LogError, NotMeasured, SpecError
from energymeter.reading import Band, Facts
from energymeter.recordings.reader import Hints, Record, read
from energymeter.recordings.trace import Trace

FACTS = Facts(volts=Band(0.01, 0.002, 0.004), amps=Band(0.01))


def write(folder: Path, name: str, text: str | bytes) -> str:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A small log of two channels, in every format."""
    folder = tmp_path_factory.mktemp("logs")
    one = Trace.integrate([0.0, 0.1, 0.2, 0.3], volts=[5.0] * 4, amps=[0.1, 0.2, 0.3, 0.4], facts=FACTS)
    two = Trace.integrate([0.0, 0.1, 0.2, 0.3], [1.0, 1.5, 2.0, 2.5], facts=FACTS, name="b")
    kept = {}
    for suffix in ("csv", "jsonl"):
        (one + two).save(folder / f"run.{suffix}")
        kept[suffix] = (folder / f"run.{suffix}").read_bytes()
    kept["csv.gz"] = gzip.compress(kept["csv"], mtime=0)
    return kept


SUFFIXES = st.sampled_from(["csv", "jsonl", "csv.gz"])
FUZZ = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def outcome(path: str) -> list[Record]:
    """What the file gives; anything but our own errors fails the test."""
    try:
        records = read(path)
    except EnergyMeterError:
        return []
    with contextlib.suppress(EnergyMeterError):
        str(Trace.load(path).usage())
    return records


@FUZZ
@given(suffix=SUFFIXES, share=st.floats(0, 1))
def test_truncated_anywhere(tmp_path: Path, logs: dict[str, bytes], suffix: str, share: float) -> None:
    whole = logs[suffix]
    cut = whole[: int(share * len(whole))]
    records = outcome(write(tmp_path, f"cut.{suffix}", cut))
    if suffix != "csv.gz":
        heads = 2 if suffix == "csv" else 1
        rows = max(0, cut.count(b"\n") - heads - (cut == whole))  # the last line is the closing record
        assert sum(len(record.columns["time_s"]) for record in records) == rows
        assert all(bool(record.damage) == (not cut.endswith(b"\n")) for record in records)


@FUZZ
@given(
    suffix=SUFFIXES,
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), max_size=4),
)
def test_flipped_bytes(
    tmp_path: Path, logs: dict[str, bytes], suffix: str, flips: list[tuple[float, int]]
) -> None:
    damaged = bytearray(logs[suffix])
    for share, mask in flips:
        damaged[int(share * len(damaged))] ^= mask
    outcome(write(tmp_path, f"flipped.{suffix}", bytes(damaged)))


@FUZZ
@given(
    raw=st.binary(max_size=300),
    start=st.sampled_from([b"", b"# {", b"{", b"\xf1", b"\x1f\x8b", b"Time,1,Watts,"]),
)
def test_any_bytes_at_all(tmp_path: Path, raw: bytes, start: bytes) -> None:
    for name in ("any.csv", "any.parquet"):
        outcome(write(tmp_path, name, start + raw))


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
@pytest.mark.parametrize("damage", ["??", ',"', "nonsense\x00", "\udcff"])
def test_rows_before_damage_are_kept(
    tmp_path: Path, logs: dict[str, bytes], suffix: str, damage: str
) -> None:
    lines = logs[suffix].splitlines(keepends=True)
    broken = damage.encode("utf-8", "surrogateescape")
    lines[-3] = lines[-3][:5] + broken + lines[-3][5:]
    path = write(tmp_path, f"run.{suffix}", b"".join(lines))
    records = read(path)
    assert [len(record.columns["time_s"]) for record in records] == [3, 3]
    assert "row 7 is damaged" in records[0].damage
    assert "only what comes before was read" in str(Trace.load(path).usage())


def test_time_that_goes_back_is_damage(tmp_path: Path, logs: dict[str, bytes]) -> None:
    lines = logs["csv"].splitlines(keepends=True)
    path = write(tmp_path, "run.csv", b"".join([*lines[:6], lines[4], *lines[6:]]))
    assert "does not go forward" in read(path)[0].damage


def test_row_of_an_unknown_source_is_damage(tmp_path: Path, logs: dict[str, bytes]) -> None:
    path = write(tmp_path, "run.csv", logs["csv"].replace(b",b\n", b",c\n"))
    assert read(path)[0].damage


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "energymeter log 2"}, "no log of this version"),
        ({"channels": []}, "names no channel"),
        ({"channels": ["a"]}, "damaged header"),
        ({"channels": [{"name": "a"}]}, "damaged header"),
        ({"channels": [{"name": "a", "facts": {"provenance": "divined"}}]}, "'divined' is none of measured"),
        ({"channels": [{"name": "a", "facts": {"shunt": 1}}]}, "damaged header"),
        ({"channels": [{"name": "a", "facts": {"volts": ["a", 0, 0]}}]}, "damaged header"),
        ({"channels": [{"name": "a", "facts": {"max_hz": "fast"}}]}, "damaged header"),
    ],
)
def test_header_that_makes_no_sense(tmp_path: Path, change: dict[str, object], said: str) -> None:
    header = {"format": "energymeter log 1", "channels": [{"name": "a", "facts": {}}], **change}
    path = write(tmp_path, "run.jsonl", json.dumps(header) + "\n")
    with pytest.raises(LogError, match=said):
        read(path)


def test_header_alone_is_not_measured(tmp_path: Path, logs: dict[str, bytes]) -> None:
    head = b"".join(logs["csv"].splitlines(keepends=True)[:2])
    with pytest.raises(NotMeasured, match="holds no samples"):
        read(write(tmp_path, "run.csv", head))
    with pytest.raises(LogError, match="no whole row"):
        read(write(tmp_path, "run.csv", head + b"0.0,5.0"))


def test_sources_side_by_side_do_not_add(tmp_path: Path) -> None:
    channels = [{"name": name, "source": at, "facts": Facts()._asdict()} for at, name in enumerate("abc")]
    header = {"format": "energymeter log 1", "counted_sources": 2, "channels": channels}
    rows = [
        {"time_s": t, "volts": None, "amps": None, "watts": w, "joules": w * t, "coulombs": None,
         "covered_s": t, "source": name}
        for t in (0.0, 1.0) for name, w in (("a", 1.0), ("b", 2.0), ("c", 4.0))
    ]  # fmt: skip
    path = write(tmp_path, "run.jsonl", "".join(json.dumps(row) + "\n" for row in [header, *rows]))
    assert Trace.load(path).usage().joules == 3.0
    assert Trace.load(path, channel="c").usage().joules == 4.0


@pytest.mark.parametrize("cut", [0, 1, 4, 100, 2000])
def test_truncated_parquet(tmp_path: Path, cut: int) -> None:
    pytest.importorskip("pyarrow")
    Trace.integrate([0, 1, 2], [1.0, 1.0, 1.0]).save(tmp_path / "whole.parquet")
    whole = (tmp_path / "whole.parquet").read_bytes()
    with pytest.raises(LogError, match="no whole Parquet"):
        read(write(tmp_path, "cut.parquet", whole[:cut]))


def test_parquet_parts_before_a_damaged_one_are_kept(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    Trace.integrate([0, 1, 2], [1.0, 1.0, 1.0]).save(tmp_path / "one.parquet")
    parts = tmp_path / "run.parquet.parts"
    parts.mkdir()
    (tmp_path / "one.parquet").rename(parts / "000000.parquet")
    write(parts, "000001.parquet", b"PAR1 and no more")
    usage = Trace.load(tmp_path / "run.parquet").usage()
    assert usage.joules == 2.0
    assert any("damaged" in note for note in usage.notes)


def test_foreign_parquet(tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table({"watts": [1.0]}), tmp_path / "other.parquet")
    with pytest.raises(LogError, match="no log of this version"):
        read(str(tmp_path / "other.parquet"))


@pytest.mark.parametrize("name", ["gone.csv", "gone.parquet", "folder"])
def test_file_that_cannot_be_opened(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(LogError, match="cannot be read"):
        read(str(tmp_path / name))


CSV = "Timestamp (s),Power (mW)\n0.0,1000\n1.0,2000\n2.0,3000\n"


def test_foreign_csv_by_its_titles(tmp_path: Path) -> None:
    (record,) = read(write(tmp_path, "x.csv", CSV))
    assert record.columns["watts"].tolist() == [1.0, 2.0, 3.0]


def test_foreign_csv_without_a_last_line_end(tmp_path: Path) -> None:
    (record,) = read(write(tmp_path, "x.csv", CSV[:-1]))
    assert len(record.columns["watts"]) == 3
    assert record.damage == ""


@pytest.mark.parametrize("bad", ["", "nan", "inf", "-inf", "--", "1,0"])
def test_foreign_cell_that_is_no_number_is_unknown(tmp_path: Path, bad: str) -> None:
    text = CSV.replace("2000", f'"{bad}"')
    (record,) = read(write(tmp_path, "x.csv", text))
    watts = record.columns["watts"].tolist()
    assert (watts[0], watts[2]) == (1.0, 3.0)
    assert watts[1] != watts[1]
    with pytest.raises(NotMeasured):
        Trace.load(str(tmp_path / "x.csv")).usage(0.5, 1.5)


def test_foreign_columns_by_name(tmp_path: Path) -> None:
    path = write(tmp_path, "x.csv", "task,when,p\na,0,1500\nb,500,1500\n")
    (record,) = read(path, Hints(time="when", watts="p", unit="mW", time_unit="ms"))
    assert record.columns["watts"].tolist() == [1.5, 1.5]
    assert record.columns["time_s"].tolist() == [0.0, 0.5]
    with pytest.raises(LogError, match="no column 'q'; it has, parted by comma: task, when, p"):
        read(path, Hints(watts="q", time_unit="ms"))


@pytest.mark.parametrize("unit", ["µW", "μW", "uW"])
def test_micro_in_a_title(tmp_path: Path, unit: str) -> None:
    for hints in (Hints(), Hints(watts=f"P ({unit})")):
        (record,) = read(write(tmp_path, "x.csv", f"time_s,P ({unit})\n0,5\n1,5\n"), hints)
        assert record.columns["watts"].tolist() == pytest.approx([5e-6, 5e-6])


def test_a_unit_of_something_else_is_no_power(tmp_path: Path) -> None:
    path = write(tmp_path, "x.csv", "time_s,P,U_V\n0,5,5\n1,5,5\n")
    for hints in (Hints(watts="P", unit="furlong"), Hints(watts="P", unit="MW"), Hints(watts="U_V")):
        with pytest.raises(SpecError, match="is no unit of watts"):
            read(path, hints)


def test_titles_that_only_begin_like_time(tmp_path: Path) -> None:
    (record,) = read(write(tmp_path, "x.csv", "task,temperature_C,time_ms,power_W\n1,2,0,5\n1,2,1000,5\n"))
    assert record.columns["time_s"].tolist() == [0.0, 1.0]


def test_unreadable_dates_are_reported(tmp_path: Path) -> None:
    with pytest.raises(LogError, match=r"no row whose time can be read; its first is 'yesterday"):
        read(write(tmp_path, "x.csv", "time,power_W\nyesterday,5\n"))


def test_a_wrong_unit_is_reported_with_the_right_one(tmp_path: Path) -> None:
    path = write(tmp_path, "pi4.csv", "time_s,power_W\n0,5000\n1,5000\n")
    with pytest.raises(ImplausibleReading, match="say unit=mW"):
        read(path)
    assert read(path, Hints(unit="mW"))[0].columns["watts"].tolist() == [5.0, 5.0]


def test_ptdaemon_keeps_what_precedes_damage(tmp_path: Path) -> None:
    row = "Time,03-06-2021 14:26:{:02}.000,Watts,4.0,Volts,250.0,Amps,0.03,PF,0.4,Mark,m\n"
    text = "".join(row.format(second) for second in range(5))
    (record,) = read(write(tmp_path, "spl.txt", text[:-20]))
    assert record.columns["time_s"].tolist() == pytest.approx([0, 1, 2, 3])
    assert "1 of 5 rows left out" in " ".join(record.notes)
    with pytest.raises(LogError, match="time"):
        read(write(tmp_path, "spl.txt", "Time,99,Watts,4.0,Volts,250.0,Amps,0.03\n"))


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_energyrunner_rate_that_makes_no_sense(tmp_path: Path, rate: float) -> None:
    with pytest.raises(LogError, match="rate must be"):
        read(write(tmp_path, "e.bin", b"\xf1" + struct.pack("<3f", rate, 1.0, 1.0)))


def test_energyrunner_periods(tmp_path: Path) -> None:
    """Three periods of 1 ms: 1, 2 and 3 µJ; the first has no sample before it."""
    path = write(tmp_path, "e.bin", b"\xf1" + struct.pack("<4f", 1000.0, 1.0, 2.0, 3.0) + b"\x00")
    trace = Trace.load(path)
    assert trace.watts.tolist() == pytest.approx([1e-3, 2e-3, 3e-3])
    assert trace.usage().joules == pytest.approx(5e-6)


@pytest.mark.parametrize(
    ("name", "joules", "samples"),
    [("log-0.1.0.csv", 12.805526100547054, 21), ("log-0.1.0.jsonl", 7.981488072905402, 13),
     ("log-0.1.0.parquet", 12.835743713719115, 21)],
)  # fmt: skip
def test_logs_of_earlier_versions_are_read(name: str, joules: float, samples: int) -> None:
    """The figures are those that the version that wrote the log showed for it; these files never change."""
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    trace = Trace.load(Path(__file__).parent / "fixtures" / name)
    assert trace.usage().joules == pytest.approx(joules, rel=1e-9)
    assert len(trace) == samples
    assert trace.usage().provenance == "simulated"
