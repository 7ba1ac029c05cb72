"""What files and titles of others are read as, to the last row and note: `recognised.json`.

    cd tests/recordings && PYTHONPATH=../..:.. ../../.venv/bin/python recognised.py        writes it again

Read what has changed before that. The energy of each file is tested by reasoning in the tests next to this.
"""
# ruff: noqa: E501 - titles are read more easily side by side

import json
import math
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from devices.on_record import entries

from energymeter.errors import EnergyMeterError
from energymeter.recordings import titles
from energymeter.recordings.reader import Hints, explained, read
from tests.recordings.odd_files import ODD
from tests.recordings.test_formats import SAMPLES
from tests.recordings.test_tables import SHAPES

RECORD = Path(__file__).with_name("recognised.json")
_RUN = "time_s,power_W\n0,10\n1,12\n2,14\n"
MORE: dict[str, tuple[str, dict[str, str]]] = {
    "no rows": ("time_s,power_W\n", {}),
    "one row": ("time_s,power_W\n0,10\n", {}),
    "empty": ("", {}),
    "prose": ("once upon a time\nthere was a meter\n", {}),
    "one column": ("power_W\n10\n11\n12\n", {}),
    "no time": ("power_W,volts\n10,5\n11,5\n", {}),
    "no titles": ("0,10\n1,11\n2,12\n", {}),
    "two times": ("time_s,timestamp,power_W\n0,1777888800,10\n1,1777888801,11\n2,1777888802,12\n", {}),
    "two powers": ("time_s,gpu power (W),cpu power (W)\n0,10,1\n1,10,1\n2,10,1\n", {}),
    "a total and its parts": ("time_s,total power (W),cpu power (W)\n0,10,1\n1,10,1\n2,10,1\n", {}),
    "devices": ("time_s,gpu,power_W\n0,0,10\n0,1,20\n1,0,10\n1,1,20\n2,0,10\n2,1,20\n", {}),
    "rails": ("time_s,rail,power_W\n0,core,1\n0,dram,2\n1,core,1\n1,dram,2\n", {}),
    "counter that falls": ("time_s,energy_J\n0,0\n1,10\n2,20\n3,0\n4,10\n5,20\n", {}),
    "counter that dips": ("time_s,energy_J\n0,10\n1,20\n2,30\n3,0\n4,50\n5,60\n", {}),
    "energy of each row": ("time_s,energy delta (J)\n1,10\n2,10\n4,20\n", {}),
    "newest first": ("time_s,power_W\n3,10\n2,12\n1,14\n0,16\n", {}),
    "out of order": ("time_s,power_W\n0,10\n2,12\n1,14\n3,16\n", {}),
    "titles again": (_RUN + _RUN, {}),
    "hole": ("time_s,power_W\n0,10\n1,bad\n2,10\n3,\n4,10\n", {}),
    "unknown unit": ("time_s,power (dBm)\n0,10\n1,10\n", {}),
    "negative": ("time_s,power_W\n0,-10\n1,-10\n2,5\n", {}),
    "charge alone": ("time_s,current (mA)\n0,100\n1,100\n2,100\n", {}),
    "charge with volts": ("time_s,current (mA)\n0,100\n1,100\n2,100\n", {"volts": "5V"}),
    "asked for": ("t;P\n0;10,5\n1;10,5\n", {"time": "t", "watts": "P", "unit": "mW", "time_unit": "min"}),
    "by number": ("a,b,c\n0,10,5\n1,10,5\n", {"time": "1", "amps": "2", "volts": "3", "semantics": "mean"}),
    "no such column": (_RUN, {"watts": "P"}),
    "no such unit": (_RUN, {"unit": "furlong"}),
    "board": (_RUN, {"board": "pi4"}),
    "implausible": ("time_s,power\n0,10000\n1,10000\n", {"board": "pi4"}),
    "thousands": ('time_s,power_mW\n0,"1,000"\n1,"2,000"\n', {}),
    "thousands stated": ('time_s,power_mW\n0,"1,000"\n1,"2,000"\n', {"decimal": "."}),
    "delimiter stated": ("time_s~power_W\n0~10\n1~11\n", {"delimiter": "~"}),
    "many columns": (
        "time_s,power_W," + ",".join(f"c{n}" for n in range(60)) + "\n" + "0,1" + ",0" * 60 + "\n",
        {"watts": "P"},
    ),
}
"""Files of their own, with what is said of them."""
TITLES = [
    "power", "Power (W)", "power_mW", "P", "p", "P/W", "U [V]", "I [A]", "i", "current_ua", "bus voltage (mV)", "vbus",
    "batteryvoltage", "gpupower", "Stromverbrauch", "Leistung (W)", "Energy (Wh)", "energy [mWh]", "E (J)", "work", "mAh",
    "mwh", "BASE (Wh)", "charge (mAh)", "charge_now", "energy_now", "power_supply_current_now", "voltage_now", "capacity",
    "battery level", "Battery %", "soc", "state of charge (%)", "remaining", "full level", "status", "plugged", "ac",
    "power source", "time", "t", "t_ms", "timestamp", "Timestamp (ms)", "time_ns", "elapsed", "delta t (s)", "dt", "duration_s",
    "created_at", "last changed", "time zone", "cpu time", "inference time (s)", "power limit (W)", "max power", "P max [W]",
    "avg power (W)", "power instant", "power now", "energy per inference (J)", "energy delta (J)", "cumulative power",
    "power density (W/m2)", "power (dBm)", "Energy [dBm]", "apparent power (VA)", "power (x10)", "power x10", "power [0.1 W]",
    "temperature (C)", "temperature_C", "fan rpm", "GPU Clock [MHz]", "cpu_usage", "power factor", "power (%)", "power ratio",
    "W", "V", "A", "J", "C", "min", "h", "s", "kWh", "mA", "µA", "uW", "VDD_IN", "VDD_IN mW", "in_power1", "phase A",
    "line A", "channel A current", "Current A", "current a", "I1 (A)", "U1", "power2", "CPU Package Power [W]", "dram energy (J)",
    "pp0", "total_W", "tot", "voltageV", "powerW", "currentmA", "PowerDraw", "SYSTEM_POWER (Watts)", "Processor Power_0(Watt)",
    "Strom (A)", "Spannung", "courant (mA)", "Wirkleistung", "horodate", "Zeit", "Datum Uhrzeit", "power.draw [W]", "kernel",
    "", "#time", '"power"', "power (avg, W)", "power {W}", "power <mW>", "power (gross) [W]", "power ()", "W per core", "hp",
]  # fmt: skip


def files() -> dict[str, tuple[str, dict[str, str], str]]:
    """Text, hints and zone by name."""
    odd = {f"odd: {name}": (one.text, {}, one.zone) for name, one in ODD.items()}
    samples = {f"sample: {name}": (one.text, one.hints, "UTC") for name, one in SAMPLES.items()}
    shapes = {f"shape: {name}": (text, {}, "UTC") for name, text in SHAPES.items()}
    more = {f"more: {name}": (text, hints, "UTC") for name, (text, hints) in MORE.items()}
    return {**odd, **samples, **shapes, **more}


FILES = files()


def _column(values: Any) -> list[float]:
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return [len(values), 0]
    figures = (known[0], known[-1], min(known), max(known), math.fsum(known))
    return [len(values), len(known), *(float(f"{each:.9g}") for each in figures)]


def recognised(name: str, folder: Path) -> list[Any]:
    """What is read of a file, channel by channel, or why nothing is; and what each column means."""
    text, hints, zone = FILES[name]
    path = folder / "log.csv"
    path.write_text(text, encoding="utf-8")
    os.environ["TZ"] = zone
    time.tzset()
    found: list[Any] = []
    wanted = Hints(**hints, caller="show")  # type: ignore[arg-type]
    for ask in (explained, read):
        try:
            for one in ask(str(path), wanted):
                found.append(one if isinstance(one, str) else _channel(one))
        except EnergyMeterError as asked:
            said = f"{type(asked).__name__}: {asked}"
            found += [said] if said not in found else []
    return json.loads(json.dumps(found).replace(str(folder), "HERE"))


def _channel(record: Any) -> list[Any]:
    facts = record.facts
    about = [
        record.name,
        facts.semantics,
        facts.place,
        facts.provenance,
        facts.counted,
        record.epoch_s,
        record.start_s,
    ]
    columns = {name: _column(values) for name, values in record.columns.items()}
    return [*about, record.damage, record.read_as, list(record.notes), columns]


def title(text: str) -> list[Any]:
    """What a title says, and which kinds of columns it may name."""
    found = titles.meaning(text)
    kinds = (
        titles.is_duration(found),
        *(ask(text) for ask in (titles.is_level, titles.is_remaining, titles.is_counted, titles.is_state)),
    )
    return [*found[1:], found.factor, found.said, titles.device_key(text), *kinds]


if __name__ == "__main__":
    with TemporaryDirectory() as place:
        said = {name: recognised(name, Path(place)) for name in FILES}
    named = {text: title(text) for text in TITLES}
    RECORD.write_text(f'{{"files": {entries(said)}, "titles": {entries(named)}}}\n', encoding="utf-8")
