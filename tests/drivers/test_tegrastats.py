"""tegrastats: lines of many boards, and the command that prints them."""

import json
from pathlib import Path

import pytest
from devices.programs import program
from devices.real_recordings import recording
from hypothesis import given
from hypothesis import strategies as st

from energymeter.drivers.tegrastats import Tegrastats
from energymeter.errors import SourceEnded, SourceError, SourceMissing, SpecError
from energymeter.recordings.tegrastats import printed_rails
from energymeter.source import Source

HEAD = "RAM 2448/62840MB (lfb 2x4MB) SWAP 0/31420MB (cached 0MB) IRAM 0/252kB(lfb 252kB) "
SHAPES = {
    "AGX Xavier: rails without a prefix": (
        HEAD
        + "CPU [1%@1190,off] EMC_FREQ 0%@2133 GR3D_FREQ 0%@[305,305] APE 150 MTS fg 0% bg 0% AO@38C GPU@38C "
        "PMIC@100C GPU 0/0 CPU 311/311 SOC 933/931 CV 0/0 VDDRQ 155/155 SYS5V 1760/1750",
        {"GPU": 0.0, "CPU": 0.311, "SOC": 0.933, "CV": 0.0, "VDDRQ": 0.155, "SYS5V": 1.76},
        0.311 + 0.933 + 0.155 + 1.76,
    ),
    "TX1 (L4T 28)": (
        "RAM 1283/3995MB (lfb 499x4MB) cpu [0%,0%,0%,0%]@518 EMC 3%@408 APE 25 GR3D 0%@76 "
        "VDD_IN 3004/2985 VDD_CPU 307/313 VDD_GPU 38/38",
        {"VDD_IN": 3.004, "VDD_CPU": 0.307, "VDD_GPU": 0.038},
        3.004,
    ),
    "AGX Orin: five rails, one inside another": (
        "12-09-2025 10:00:00 "
        + HEAD
        + "CPU [0%@2201] cpu@42C VDD_GPU_SOC 4940mW/4940mW VDD_CPU_CV 988mW/988mW "
        "VIN_SYS_5V0 4442mW/4442mW NC 0mW/0mW VDDQ_VDD2_1V8AO 706mW/706mW NC 0mW/0mW",
        {"VDD_GPU_SOC": 4.94, "VDD_CPU_CV": 0.988, "VIN_SYS_5V0": 4.442, "VDDQ_VDD2_1V8AO": 0.706},
        10.37,
    ),
    "Thor: three numbers, one negative": (
        "07-31-2026 14:45:55 RAM 86905/125772MB (lfb 368x4MB)  CPU [12%@972,off] tj@39.906C "
        "VDD_GPU -392mW/-392mW/7mW VDD_CPU_SOC_MSS 7910mW/7910mW/8000mW VIN_SYS_5V0 7620mW/7620mW/7700mW "
        "VIN 26686mW/26600mW/26900mW",
        {"VDD_GPU": -0.392, "VDD_CPU_SOC_MSS": 7.91, "VIN_SYS_5V0": 7.62, "VIN": 26.686},
        26.686,
    ),
    "a board nobody has seen": (
        HEAD + "CARRIER_IN 12.5W/12.4W CORE 3100mW RAM2 5/10GB",
        {"CARRIER_IN": 12.5, "CORE": 3.1},
        12.5,
    ),
}


def play(tmp_path: Path, *lines: str) -> Tegrastats:
    recording = tmp_path / "tegrastats.log"
    recording.write_text("\n".join(lines) + "\n")
    source = Tegrastats(str(recording))
    source.open()
    return source


@pytest.mark.parametrize("shape", SHAPES)
def test_rails_and_total(tmp_path: Path, shape: str) -> None:
    line, expected, total = SHAPES[shape]
    assert printed_rails(line) == pytest.approx(expected)
    source = play(tmp_path, line)
    assert [channel.name for channel in source.channels()] == [f"tegrastats:{name}" for name in expected]
    reading = source.read()
    assert reading.watts == pytest.approx(total)
    assert reading.volts is None
    assert reading.amps is None


def test_recorded_boards(tmp_path: Path) -> None:
    recorded = recording("wire/tegrastats_lines.json")
    for board in json.loads(recorded.read_text()):
        expected = {name: values[0] * 1e-3 for name, values in board["rails_mW"].items()}
        assert printed_rails(board["line"]) == pytest.approx(expected), board["board"]
        assert play(tmp_path, board["line"]).read().watts == pytest.approx(board["total_mW"] * 1e-3)


@given(st.text(max_size=200))
def test_any_text_is_read_or_left_alone(text: str) -> None:
    assert all(isinstance(watts, float) for watts in printed_rails(text).values())


@given(
    st.dictionaries(st.from_regex(r"V[A-Z0-9_]{1,12}", fullmatch=True), st.integers(-999, 99999), max_size=8),
    st.sampled_from(["{0}/{0}", "{0}mW/{0}mW", "{0}mW/1mW/{0}mW"]),
)
def test_what_was_printed_is_read(milliwatts: dict[str, int], form: str) -> None:
    connected = {name: value for name, value in milliwatts.items() if "NC" not in name.split("_")}
    line = HEAD + " ".join(f"{name} {form.format(value)}" for name, value in connected.items())
    assert printed_rails(line) == pytest.approx({name: value * 1e-3 for name, value in connected.items()})


def test_recorded_lines_play_one_a_read_and_end(tmp_path: Path) -> None:
    source = play(
        tmp_path, "# a heading", "RAM 1/2MB VDD_IN 1000/1 VDD_SOC 400/1", "", "VDD_IN 3000/1 VDD_SOC 500/1"
    )
    total, soc = source.channels()
    assert total.facts.counted
    assert not soc.facts.counted
    assert [total.read().watts, soc.read().watts] == [1.0, 0.4]
    assert [total.read().watts, soc.read().watts] == [3.0, 0.5]
    for channel in (total, soc):
        with pytest.raises(SourceEnded):
            channel.read()
    source.close()
    source.close()


def test_a_lost_total_is_a_gap_and_never_the_sum_of_the_rest(tmp_path: Path) -> None:
    source = play(tmp_path, "VDD_IN 2032/1 VDD_SOC 446/1", "VDD_SOC 446/1", "VDD_IN 2000/1 VDD_SOC 446/1")
    total, soc = source.channels()
    assert total.read().watts == pytest.approx(2.032)
    assert soc.read().watts == pytest.approx(0.446)
    with pytest.raises(SourceError, match="VDD_IN"):
        total.read()
    assert soc.read().watts == pytest.approx(0.446)
    assert total.read().watts == pytest.approx(2.0)


def test_opened_again_it_counts_the_same_rails(tmp_path: Path) -> None:
    source = play(tmp_path, "VDD_IN 2032/1 VDD_SOC 446/1")
    (tmp_path / "tegrastats.log").write_text("VDD_SOC 446/1\n")
    with pytest.raises(SourceError, match="VDD_IN is gone"):
        source.open()


def test_lines_without_power_say_so(tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match="Nano 2GB"):
        play(tmp_path, "RAM 534/3964MB SWAP 5/1982MB CPU [1%@102] GR3D_FREQ 0% PMIC@100C")


def test_its_name_has_the_recording() -> None:
    assert Tegrastats().name == "tegrastats"
    assert Tegrastats("run.log").name == "tegrastats@run.log"


def test_the_running_command(tmp_path: Path) -> None:
    found = tmp_path / "found"
    line = "RAM 1/2MB VDD_IN 5000mW/5000mW VDD_SOC 1mW/1mW"
    command = program(tmp_path, "tegrastats", f'echo "$@" > {found}; echo "{line}"; exec sleep 60')
    source = Tegrastats(command=command)
    source.tune(5.0)
    source.open()
    try:
        assert found.read_text().split() == ["--interval", "200"]
        total, soc = source.channels()
        reading = total.read()
        assert reading.watts == 5.0
        assert reading.at_ns is not None
        assert soc.read() == reading._replace(watts=0.001)
        assert not total.read().fresh
    finally:
        source.close()


def read_while_stale(channel: Source) -> None:
    while True:
        assert not channel.read().fresh


def test_a_command_that_ends_is_started_again(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    command = program(tmp_path, "tegrastats", f"echo run >> {runs}; echo VDD_IN 5000mW/5000mW")
    source = Tegrastats(command=command)
    source.open()
    try:
        (total,) = source.channels()
        assert total.read().watts == 5.0
        with pytest.raises(SourceError, match="started again"):
            read_while_stale(total)
    finally:
        source.close()


def test_the_command_may_be_absent_or_the_interval_silly(tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match="L4T"):
        Tegrastats(command=str(tmp_path / "tegrastats")).open()
    with pytest.raises(SourceMissing):
        Tegrastats(str(tmp_path / "log")).open()
    with pytest.raises(SpecError, match="every"):
        Tegrastats(interval=0.001)
