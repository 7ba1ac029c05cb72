"""Formats of others that are known by name: how each is recognised, and what its titles do not say."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from energymeter.reading import Place, Semantics
from energymeter.recordings.shape import Shape


class Format(NamedTuple):
    """One kind of table."""

    name: str
    recognised: Callable[[Shape], bool]
    semantics: Semantics | None = None
    place: Place = "rail"
    columns: Mapping[str, str] = {}
    """Titles in lower case, and the quantity and unit they stand for; empty: no measurement of the load."""
    reason: str = ""
    """Why no energy over time can be read from it, and what to do."""


def _has(*wanted: str) -> Callable[[Shape], bool]:
    def recognised(shape: Shape) -> bool:
        titles = {title.strip().lower() for title in shape.titles}
        return all(title in titles for title in wanted)

    return recognised


def _load_curve(unit: str) -> Callable[[Shape], bool]:
    """A grid operator's half-hours, whose unit stands in the preamble."""
    known = _has("horodate", "valeur")

    def recognised(shape: Shape) -> bool:
        units = {cell.strip('"') for line in shape.preamble for cell in shape.cells(line)}
        return known(shape) and unit in units

    return recognised


FORMATS: Sequence[Format] = (
    Format(
        "nvidia-smi CSV",
        lambda shape: any(title.startswith(("power.draw", "power.draw.")) for title in shape.titles),
        place="rail",
        columns={"index": "", "pstate": ""},
    ),
    Format("Joulescope statistics", _has("time", "current", "voltage", "power", "charge", "energy")),
    Format("Power Profiler Kit II export", _has("timestamp(ms)", "current(ua)")),
    Format("Monsoon export", _has("time(ms)", "main(ma)", "main voltage(v)")),
    Format(
        "EnergiBridge CSV",
        _has("delta", "time", "package_energy (j)"),
        columns={"dram_energy (j)": "", "pp0_energy (j)": "", "pp1_energy (j)": ""},
    ),
    Format("EnergiBridge CSV", _has("delta", "time", "system_power (watts)")),
    Format("Intel Power Gadget log", _has("elapsed time (sec)", "processor power_0(watt)"), semantics="mean"),
    Format("jtop log", _has("time", "uptime", "power tot"), columns={"power tot": "watts mW"}),
    Format("tegrastats log", _has("tegrastats time")),
    Format("powermetrics text", _has("powermetrics time"), "mean", "die"),
    Format("MLPerf power log", _has("ptdaemon time"), "mean", "wall"),
    Format("perf stat log", _has("perf time [s]"), "mean", "die"),
    Format(
        "turbostat table",
        _has("pkgwatt", "cpu"),
        reason="its rows are of single processors; record again with turbostat --Summary",
    ),
    Format(
        "turbostat table",
        _has("pkgwatt"),
        semantics="mean",
        columns={"pkgwatt": "watts W", "corwatt": "", "gfxwatt": "", "ramwatt": "", "syswatt": ""},
    ),
    Format(
        "FNIRSI logger table",
        _has("timestamp", "voltage_v", "current_a", "dp_v", "dn_v"),
        columns={"energy_ws": "joules J", "capacity_as": "coulombs C"},
    ),
    Format("grid load curve", _load_curve("W"), "mean", "wall", {"valeur": "watts W"}),
    Format("grid load curve", _load_curve("kW"), "mean", "wall", {"valeur": "watts kW"}),
    Format(
        "codecarbon emissions.csv",
        _has("run_id", "duration", "emissions", "energy_consumed"),
        reason="each row is the total of one run (energy_consumed, kWh; modelled where no meter was found), "
        "so it holds no energy over time; add that column",
    ),
    Format(
        "powertop report",
        lambda shape: any("powertop" in line.lower() for line in shape.preamble),
        reason="it shares a battery's discharge out among programs and holds no measured watts; "
        "record with a meter",
    ),
    Format(
        "Shelly EM data",
        _has("timestamp", "a_total_act_energy"),
        columns={"a_total_act_energy": "joules Wh per row"},
        reason="it has a column of energy for each phase; add them, and name that column with --joules",
    ),
    Format("Home Assistant history", _has("entity_id", "state", "last_changed"), "instant", "wall"),
)


def format_of(shape: Shape) -> Format | None:
    """The format of a table; ``None``: none of those known by name."""
    return next((each for each in FORMATS if each.recognised(shape)), None)


BATTERY_LOGS: Sequence[tuple[str, str]] = (
    ("Windows battery report", r"<BatteryReport\b|<UsageEntry\b"),
    ("Android battery history", r"^Battery History\b|\bRESET:TIME: "),
    ("Android dumpsys battery log", r"^Current Battery Service state|^ +(?:AC|USB|Wireless) powered: "),
    ("pmset rawlog", r"^ *(?:No )?AC; .*\bCap=\d+: FCC="),
    ("pmset log", r"-InternalBattery-\d|\bUsing (?:Batt|AC) ?\(Charge: ?\d"),
    ("upower history", r"^\d{9,}\t[\d.]+\t(?:charging|discharging|fully-charged|unknown)"),
    ("upower log", r"^ *native-path: "),
    ("acpi log", r"\bBattery \d+: (?:Disc|C|Not c|Unknown|Full)\w*, *\d+%"),
    ("uevent log", r"^POWER_SUPPLY_CAPACITY="),
)
"""Logs of how full a battery is, and what is found among their first lines."""


def battery_log_of(head: Sequence[str]) -> str | None:
    """The name of a battery's log, by its first lines; ``None``: it is none that is known."""
    text = "".join(head)
    return next((name for name, sign in BATTERY_LOGS if re.search(sign, text, re.MULTILINE)), None)
