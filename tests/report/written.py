"""Reports of known recordings, and everything that is written in them: `written.json`.

    cd tests/report && PYTHONPATH=../..:.. ../../.venv/bin/python written.py        writes it again

Read what has changed before that. Every run draws a steady power, so that its figures can be checked by hand:
5 W from 0.1 to 9.9 s are 49 J, at 5 V 9.8 C, which are 2.72 mAh.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from recorded import record, reported
from simulated_comparison import runs_of

from energymeter.battery.battery import Battery
from energymeter.carbon.embodied import Embodied
from energymeter.carbon.grid import Grid
from energymeter.comparison.comparison import Comparison
from energymeter.errors import SpecError
from energymeter.recordings.record import RecordedSpans
from energymeter.report.cards import Task, card, everything
from energymeter.report.page import render
from energymeter.report.report import Report, Settings, Stated
from energymeter.version import __version__

RECORD = Path(__file__).with_name("written.json")
ALL = Stated("int8", 49, 4.2e6, 0.569e9, 0.717, 8, "224x224x3", "Raspberry Pi 4")
GRID = Grid("DEU")
OWN_GRID = Grid(grams_per_kwh=400, source="measured by us, 2026")
MADE = Embodied.board("pi-4", lifetime_years=5)


def nothing_stated(folder: Path) -> Report:
    return reported(record(folder / "a.csv"))


def all_stated(folder: Path) -> Report:
    paths = [record(folder / "a.csv"), record(folder / "b.csv", 4.0)]
    settings = Settings(
        title="Lab 2", workload="classify", unit="inference", idle="2W", grid=GRID, supply=0.9, embodied=MADE,
        litres_per_kwh=1.8, battery=Battery.parse("powerbank:10000"),
    )  # fmt: skip
    return Report(paths, [ALL, ALL._replace(name="float", units=25, accuracy=None)], settings)


def calls_of_a_span(folder: Path) -> Report:
    idle = record(folder / "idle.csv", 1.0, spans={})
    path = record(folder / "a.csv")
    known = Battery.parse("phone").measured(3000)
    return reported(
        path, stated=Stated(units=10), span="infer", skip=1, idle=idle, grid=OWN_GRID, battery=known
    )


def many_short_calls(folder: Path) -> Report:
    spans = {"infer": RecordedSpans(30, tuple((1 + n / 4, 1.1 + n / 4) for n in range(12)))}
    return reported(record(folder / "a.csv", spans=spans), span="infer", skip=2)


def partly_measured(folder: Path) -> Report:
    path = record(folder / "a.csv", gap=(4.0, 6.0), place="wall", name="shelly@host")
    return reported(path, stated=Stated(units=7), grid=GRID, supply=0.9, battery=Battery.parse("phone"))


def on_the_die(folder: Path) -> Report:
    path = record(folder / "a.csv", place="die", name="rapl")
    return reported(path, window=(2.0, 4.0), battery=Battery.parse("phone"))


def nothing_measured(folder: Path) -> Report:
    kinds = ("manual", "modelled", "simulated")
    paths = [record(folder / f"{kind}.csv", provenance=kind, place="cell") for kind in kinds]
    return reported(*paths, battery=Battery.parse("phone"))


def foreign_and_long_names(folder: Path) -> Report:
    rows = "".join(f"{second},2,5,0.4\n" for second in [*range(6), *range(8, 11)])
    (folder / "a_file_of_which_the_name_is_very_long.csv").write_text("time_s,watts,volts,amps\n" + rows)
    (folder / "b.csv").write_text("time_s,watts\n0,0\n1,0\n2,0\n")
    return reported(str(folder / "a_file_of_which_the_name_is_very_long.csv"), str(folder / "b.csv"))


def with_a_comparison(folder: Path) -> Report:
    comparison = Comparison(runs_of({"A": 10.0, "B": 7.0}), ["A", "B"])
    return reported(record(folder / "a.csv"), comparison=comparison)


REPORTS: dict[str, Callable[[Path], Report]] = {
    each.__name__.replace("_", " "): each
    for each in (
        nothing_stated, all_stated, calls_of_a_span, many_short_calls, partly_measured, on_the_die,
        nothing_measured, foreign_and_long_names, with_a_comparison,
    )
}  # fmt: skip
TASKS = {
    "nothing": Task(),
    "training": Task("training", "image classification", "image", "onPremise"),
    "inference": Task("inference", "chat", "text", "other"),
}


def _steady(text: str) -> str:
    """Without what differs from day to day: hashes, versions, dates of writing, pictures."""
    text = re.sub(r"\b[0-9a-f]{64}\b", "HASH", text).replace(__version__, "VERSION")
    text = re.sub(r"(data:image/[^;]+;base64,)[\w+/=]+", r"\1PICTURE", text)
    text = re.sub(r"<svg.*?</svg>", "PICTURE", text, flags=re.S)
    return re.sub(r'("reportDatetime": )"[^"]+"', r'\1"NOW"', text)


def written(name: str, folder: Path) -> dict[str, Any]:
    """The page as text, the answer for programs, and the cards; of one report all formats."""
    report = REPORTS[name](folder)
    found: dict[str, Any] = {"md": _steady(str(render(report, "md"))).splitlines()}
    facts = {key: each for key, each in everything(report).items() if key not in ("tables", "method")}
    found["json"] = json.loads(_steady(json.dumps(facts)))
    for form in ("tex", "html") if name == "all stated" else ():
        found[form] = _steady(str(render(report, form))).splitlines()
    if len(report.runs) == 1:
        for form in ("boamps", "huggingface", "spdx"):
            for kind, task in TASKS.items():
                try:
                    text = card(report, form, task)
                except SpecError as missing:
                    text = f"refused: {missing}"
                found[f"{form} {kind}"] = _steady(text).splitlines()
    return found


def fresh() -> dict[str, Any]:
    found = {}
    for name in REPORTS:
        with TemporaryDirectory() as folder:
            found[name] = written(name, Path(folder))
    return found


if __name__ == "__main__":
    RECORD.write_text(json.dumps(fresh(), indent=0, ensure_ascii=False) + "\n", encoding="utf-8")
