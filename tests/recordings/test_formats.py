"""Files of other tools: each known format is read right by name, and without its detector right or refused.

The samples are our own numbers in the shape of each tool's output; docs/recordings.md says where it is from.
"""
# ruff: noqa: E501 - tools write lines as long as they like

import contextlib
from pathlib import Path
from typing import NamedTuple

import pytest

from energymeter import Trace
from energymeter.budget import gauge_table
from energymeter.budget.gauge_log import hours_from_log
from energymeter.errors import EnergyMeterError, LogError, NotMeasured
from energymeter.recordings import blocks, formats, reader
from energymeter.recordings.shape import shape_of
from tests.budget.test_gauge_table import SHAPES

EPOCH = 1_777_888_800
"""2026-05-04 10:00:00 UTC."""


class Sample(NamedTuple):
    """Eleven seconds of one tool's output, 10 W unless said otherwise."""

    text: str
    joules: float | None = 100.0
    """``None``: the file holds no energy, which must be reported."""
    said: str = ""
    """A part of what was recognised or answered."""
    hints: dict[str, str] = {}  # noqa: RUF012 - of a tuple


def lines(line: str, count: int = 11) -> str:
    return "".join(line.format(i=i, e=EPOCH + i, j=10 * i, wh=10 * i / 3600) + "\n" for i in range(count))


SAMPLES = {
    "codecarbon emissions.csv": Sample(
        "timestamp,project_name,run_id,experiment_id,duration,emissions,emissions_rate,cpu_power,gpu_power,"
        "ram_power,cpu_energy,gpu_energy,ram_energy,energy_consumed,water_consumed,country_name\n"
        + lines("2026-05-04T10:00:{i:02},codecarbon,a{i},b,10.0,1e-5,1e-6,42.5,0.0,3.0,1e-4,0.0,1e-5,2e-4,0.0,France"),
        None,
        "codecarbon",
    ),
    "Joulescope statistics": Sample(
        "#time,current,voltage,power,charge,energy\n"
        + lines("{i}.0,2.0,5.0,10.0,{i},{j}")
    ),
    "Joulescope UI export": Sample(
        "#time (s),current (A),voltage (V),power (W)\n" + lines("{i}.0,2.0,5.0,10.0")
    ),
    "Power Profiler Kit II export": Sample(
        "Timestamp(ms),Current(uA),D0-D7\n" + lines("{i}000.000,2000000.000,00000000"), hints={"volts": "5"}
    ),
    "Otii export": Sample("Timestamp,ARC Main Current (A),ARC Main Voltage (V)\n" + lines("{i}.0,2.0,5.0")),
    "Monsoon": Sample("Time(ms),Main(mA),Main Voltage(V)\n" + lines("{i}000,2000.0,5.0")),
    "EnergiBridge power": Sample(
        "Delta,Time,CPU_FREQUENCY_0,CPU_USAGE_0,SYSTEM_POWER (Watts),TOTAL_MEMORY\n"
        + lines("1000,{e}000,3200,11.0,10.0,16000000000")
    ),
    "EnergiBridge energy": Sample(
        "Delta,Time,CPU_FREQUENCY_0,CPU_USAGE_0,PACKAGE_ENERGY (J),DRAM_ENERGY (J),PP0_ENERGY (J)\n"
        + lines("1000,{e}000,3200,11.0,5{j:03},100,6{j:03}")
    ),
    "HWiNFO": Sample(
        "Date,Time,\"CPU Package Power [W]\",\"IA Cores Power [W]\",\"CPU (Tctl/Tdie) [°C]\",\n"
        + lines("4.5.2026,10:00:{i:02}.123,10.0,6.0,51.0,")
        + "Date,Time,\"CPU Package Power [W]\",\"IA Cores Power [W]\",\"CPU (Tctl/Tdie) [°C]\",\n"
    ),
    "Intel Power Gadget": Sample(
        "System Time,RDTSC,Elapsed Time (sec), CPU Utilization(%),CPU Frequency_0(MHz),Processor Power_0(Watt),"
        "Cumulative Processor Energy_0(Joules),Cumulative Processor Energy_0(mWh),IA Power_0(Watt),"
        "Cumulative IA Energy_0(Joules),Cumulative IA Energy_0(mWh),Package Temperature_0(C)\n"
        + lines("10:00:{i:02}:250,12345{i:02},{i}.000,12.0,1800,10.0,{j}.000,{wh:.6f},4.0,{i}.0,0.1,50")
        + "\nTotal Elapsed Time (sec) = 10.000000\nMeasured RDTSC Frequency (GHz) = 1.8\n"
        "Cumulative Processor Energy_0 (Joules) = 100.0\nAverage Processor Power_0 (Watt) = 10.0\n"
    ),
    "nvidia-smi CSV": Sample(
        "timestamp, index, power.draw [W], power.limit [W], pstate\n"
        + "".join(
            f"2026/05/04 10:00:{i:02}.{gpu}00, {gpu}, 5.00 W, 250.00 W, P{gpu}\n" for i in range(11) for gpu in (0, 1)
        )
    ),
    "nvidia-smi dmon": Sample(
        "#Date       Time        gpu    pwr  gtemp  mtemp     sm\n#YYYYMMDD   HH:MM:SS    Idx      W      C      C      %\n"
        + lines(" 20260504   10:00:{i:02}      0     10     45      -      0")
    ),
    "jtop logger": Sample(
        "time,uptime,CPU1,CPU2,RAM,GPU,Fan pwmfan0,Temp cpu,Power VDD_CPU,Power VDD_SOC,Power TOT,jetson_clocks\n"
        + lines("2026-05-04 10:00:{i:02}.000000,1 day,12,13,0.4,50,0,45.0,4000,3000,10000,OFF")
    ),
    "tegrastats": Sample(
        lines(
            "05-04-2026 10:00:{i:02} RAM 6982/7620MB (lfb 5x1MB) SWAP 2640/16384MB (cached 202MB) CPU [97%@1984,88%@247] "
            "EMC_FREQ 18%@3199 GR3D_FREQ 84%@[713] cpu@65.562C gpu@63.5C VDD_IN 10000mW/9000mW "
            "VDD_CPU_GPU_CV 8896mW/7585mW VDD_SOC 3923mW/3515mW"
        )
    ),
    "powertop": Sample(
        "PowerTOP Report;\n\n *  *  *   Overview of Software Power Consumers   *  *  *\n\nUsage;Wakeups/s;GPU ops/s;Disk IO/s;"
        "GFX Wakeups/s;Category;Description;PW Estimate\n5.3 ms/s;112.4;;;;Process;[PID 1] init;1.20 W\n"
        "1.2 ms/s;10.4;;;;Timer;tick;30.0 mW\n",
        None,
        "powertop",
    ),
    "MLPerf power log": Sample(
        lines("Time,05-04-2026 10:00:{i:02}.000,Watts,10.0,Volts,230.1,Amps,0.05,PF,0.9,Mark,run")
    ),
    "FNIRSI logger": Sample(
        "\ntimestamp sample_in_packet voltage_V current_A dp_V dn_V temp_C_ema energy_Ws capacity_As\n"
        + lines("{e}.775 0 5.00000 2.00000 1.184 1.031 30.500 {j}.000000 {i}.000001")
    ),
    "FNIRSI Toolbox": Sample("Time(s),Voltage(V),Current(A),Power(W),D+(V),D-(V)\n" + lines("{i}.0,5.0,2.0,10.0,0.6,0.6")),
    "UM25C app": Sample("Time,Voltage(V),Current(A),Power(W)\n" + lines("00:00:{i:02},5.0,2.0,10.0")),
    "TC66C": Sample(
        "timestamp,volt,current,power,resistance,temp,d+,d-\n" + lines("{e},5.0,2.0,10.0,2.5,25,0.6,0.6")
    ),
    "AVHzY": Sample(
        "Time[s],Vbus[V],Ibus[A],Power[W],D+[V],D-[V]\n" + lines("{i}.0,5.0,2.0,10.0,0.6,0.6")
    ),
    "Home Assistant history": Sample(
        "entity_id,state,last_changed\n" + lines("sensor.plug_power,10.0,2026-05-04T10:00:{i:02}.000Z"),
        None,
        "Home Assistant",
    ),
    "Shelly history": Sample("Timestamp,Power [W],Voltage [V],Energy [Wh]\n" + lines("{e},10.0,230.1,{wh:.7f}")),
    "Shelly EM data": Sample(
        "timestamp,a_total_act_energy,a_total_act_ret_energy,a_avg_voltage\n" + lines("{e},1.5,0.0,230.1"), None, "phase"
    ),
    "grid load curve": Sample(
        "Identifiant PRM;Type de donnees;Date de debut;Date de fin;Grandeur physique;Grandeur metier;Etape metier;Unite;"
        "Pas en minutes\n00000000000000;Courbe de charge;01/01/2026;02/01/2026;Energie active;Consommation;Comptage Brut;"
        "W;\nHorodate;Valeur\n"
        + "".join(f"2026-01-01T{i // 2:02}:{i % 2 * 30:02}:00+01:00;10\n" for i in range(11)),
        10 * 5 * 3600.0,
    ),
    "turbostat": Sample(
        "Time_Of_Day_Seconds\tBusy%\tBzy_MHz\tPkgTmp\tPkgWatt\tCorWatt\tGFXWatt\tRAMWatt\n"
        + lines("{e}.123456\t1.5\t1200\t45\t10.00\t3.0\t0.1\t1.0")
    ),
    "powermetrics": Sample(
        lines(
            "*** Sampled system activity (Mon May  4 10:00:{i:02} 2026 +0000) (1000.00ms elapsed) ***\n\n"
            "**** Processor usage ****\n\nE-Cluster HW active frequency: 1049 MHz\nCPU Power: 6000 mW\nGPU Power: 3000 mW\n"
            "ANE Power: 1000 mW\nCombined Power (CPU + GPU + ANE): 10000 mW\n"
        ),
        110,
    ),
}  # fmt: skip


NAMES = {
    "Joulescope statistics": "Joulescope statistics",
    "Power Profiler Kit II export": "Power Profiler Kit II export",
    "Monsoon": "Monsoon export",
    "EnergiBridge power": "EnergiBridge CSV",
    "EnergiBridge energy": "EnergiBridge CSV",
    "Intel Power Gadget": "Intel Power Gadget log",
    "nvidia-smi CSV": "nvidia-smi CSV",
    "jtop logger": "jtop log",
    "tegrastats": "tegrastats log",
    "FNIRSI logger": "FNIRSI logger table",
    "grid load curve": "grid load curve",
    "turbostat": "turbostat table",
    "powermetrics": "powermetrics text",
}
"""What they are recognised as; the others are read by their titles alone."""


def read(folder: Path, sample: Sample) -> tuple[float | None, str]:
    """The energy, and what was recognised or refused."""
    path = folder / "recording.csv"
    path.write_text(sample.text, encoding="utf-8")
    try:
        trace = Trace.load(path, **sample.hints)
        return trace.usage().joules, trace.read_as
    except (LogError, NotMeasured) as refused:
        return None, str(refused)


@pytest.mark.parametrize("name", SAMPLES)
def test_each_format_is_read_right(tmp_path: Path, name: str) -> None:
    sample = SAMPLES[name]
    joules, said = read(tmp_path, sample)
    assert joules == (None if sample.joules is None else pytest.approx(sample.joules, rel=1e-4)), said
    assert (sample.said or NAMES.get(name, "")).lower() in said.lower()


@pytest.mark.parametrize("name", SAMPLES)
def test_without_its_detector_a_format_is_right_or_refused(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "FORMATS", ())
    monkeypatch.setattr(blocks, "LOGS", ())
    sample = SAMPLES[name]
    joules, said = read(tmp_path, sample)
    assert joules is None or joules == pytest.approx(sample.joules, rel=1e-4), said


_FALL = [90 - i for i in range(11)]
BATTERY_LOGS = {
    **SHAPES,
    "acpi": "".join(
        f"2026-05-04 10:{5 * i:02}:00\nBattery 0: Discharging, {p}%, 03:42:00 remaining\n"
        for i, p in enumerate(_FALL)
    ),
    "upower -i": "".join(
        f"2026-05-04 10:{5 * i:02}:00\n  native-path:          BAT0\n    state:               discharging\n"
        f"    energy-rate:         9.5 W\n    percentage:          {p}%\n"
        for i, p in enumerate(_FALL)
    ),
    "pmset -g rawlog": "".join(
        f"05/04/2026 10:{5 * i:02}:00\n No AC; Not Charging; {p}%; Cap={p}: FCC=100; Design=100; Time=3:42; -412mA; "
        "Cycles=1/1000; Location=0; \n"
        for i, p in enumerate(_FALL)
    ),
    "dumpsys batterystats": "Battery History (1% used, 2 of 256KB):\n  0 (9) RESET:TIME: 2026-05-04-10-00-00\n"
    + "".join(
        f"  +{5 * i}m00s000ms (2) {p:03} status=discharging health=good plug=none temp=251 volt=3900\n"
        for i, p in enumerate(_FALL)
    ),
}
_BATTERY_LOGS = [
    name for name, text in BATTERY_LOGS.items() if formats.battery_log_of(text.splitlines(keepends=True))
]


def test_each_battery_log_has_a_sample() -> None:
    found = {formats.battery_log_of(BATTERY_LOGS[name].splitlines(keepends=True)) for name in _BATTERY_LOGS}
    assert found == {name for name, _ in formats.BATTERY_LOGS}


@pytest.mark.parametrize("name", _BATTERY_LOGS)
def test_without_its_detector_a_battery_log_is_right_or_refused(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "battery.log"
    path.write_text(BATTERY_LOGS[name], encoding="utf-8")
    right = hours_from_log(str(path)).hours
    assert right is not None
    monkeypatch.setattr(formats, "BATTERY_LOGS", ())
    with pytest.raises((LogError, NotMeasured)):  # it holds no power
        Trace.load(path)
    with contextlib.suppress(EnergyMeterError):  # refused
        assert hours_from_log(str(path)).hours == right


def test_without_its_detector_a_jls_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyjls", reason="pyjls, which writes JLS files, is not installed")
    from tests.recordings.test_jls import load, written

    path = written(tmp_path / "a.jls", {"JS220": load(2)})
    monkeypatch.setattr(reader, "JLS", b"not this")
    monkeypatch.setattr(gauge_table, "JLS", b"not this")
    for read_it in (Trace.load, hours_from_log):
        with pytest.raises(LogError, match="not text"):
            read_it(str(path))


@pytest.mark.parametrize(
    ("name", "content", "remedy"),
    [
        ("a.xlsx", b"PK\x03\x04" + bytes(100), "save its table as CSV"),
        ("a.db", b"SQLite format 3\0" + bytes(100), "sqlite3 -header -csv"),
        ("a.csv.zst", b"\x28\xb5\x2f\xfd" + bytes(100), "unzstd"),
        ("a.json", b'{\n "a": 1\n}\n', "jq -c"),
        ("a.json", b'[{"t": 1}, {"t": 2}]\n', "jq -c"),
        ("a.xml", b"<?xml version='1.0'?>\n<a/>\n", "XML or HTML"),
    ],
)
def test_what_is_no_table_is_named_with_a_remedy(
    tmp_path: Path, name: str, content: bytes, remedy: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(LogError, match=remedy):
        Trace.load(path)


@pytest.mark.parametrize(("unit", "known"), [("W", True), ("kW", True), ("VAR", False), ("", False)])
def test_a_load_curve_is_known_by_the_unit_of_its_preamble(tmp_path: Path, unit: str, known: bool) -> None:
    path = tmp_path / "curve.csv"
    path.write_text(SAMPLES["grid load curve"].text.replace("W;", f"{unit};"))
    shape = shape_of(path.read_text().splitlines(keepends=True))
    assert shape is not None
    found = formats.format_of(shape)
    assert (found is not None and found.name == "grid load curve") == known
