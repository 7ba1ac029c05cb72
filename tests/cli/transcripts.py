"""What commands answer in a folder of known files: the transcripts in `transcripts/`, one a subject.

    cd tests/cli && PYTHONPATH=../..:.. ../../.venv/bin/python transcripts.py        writes them again

Read what has changed before that. In a transcript ``$`` is a command, ``!`` a line of standard error, and ``?``
an exit code other than 0. Every recording is of a steady power, so that its figures can be checked by hand.
"""

import contextlib
import os
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
from devices.terminal import in_process

from energymeter.reading import Band, Facts
from energymeter.recordings.record import RecordedSpans
from energymeter.recordings.trace import Trace

FOLDER = Path(__file__).with_name("transcripts")
FACTS = Facts(watts=Band(0.01))


def _files() -> None:
    """Recordings at 5 W and 5 V with spans; at 2.5 W; of two rails; with gaps; of others; of a battery."""
    time = np.arange(0, 10.01, 0.1)
    full = np.full(len(time), 1.0)
    calls = {
        "infer": RecordedSpans(4, ((1.0, 2.0), (3.0, 4.0), (5.0, 6.0), (7.0, 8.0))),
        "load": RecordedSpans(1, ((0.2, 0.8),)),
        "most": RecordedSpans(7, ((1.0, 2.0), (3.0, 4.0))),
        "gone": RecordedSpans(3, ()),
    }
    for name, watts in (("five.csv", 5.0), ("half.csv", 2.5)):
        trace = Trace.integrate(
            time, watts * full, volts=5 * full, amps=watts / 5 * full, facts=FACTS, name="ina219@1:0x40",
            epoch_s=1_700_000_000.0,
        )  # fmt: skip
        trace.window_s, trace.spans = (0.1, 9.9), calls
        trace.save(name)
    rails = [
        Trace.integrate([0, 1, 2], [watts] * 3, facts=FACTS, name=f"rail{watts:g}") for watts in (1.0, 2.0)
    ]
    (rails[0] + rails[1]).save("rails.csv")
    many = [second for gap in range(12) for second in (100 * gap, 100 * gap + 1, 100 * gap + 2)]
    for name, times in (("gaps.csv", many), ("ten.csv", many[:33])):
        gaps = Trace.integrate(times, [3.0] * len(times), facts=FACTS, epoch_s=9e11)
        count = 12 if name == "gaps.csv" else 10
        gaps.spans = {f"s{n}": RecordedSpans(1, ((100.0 * n, 100.0 * n + 1),)) for n in range(count)}
        gaps.save(name)
    turns = np.where(
        np.searchsorted([0.0, 7.0, 11.0, 23.0, 31.0, 36.0], np.arange(0, 40, 0.1), side="right") % 2, 2, 5
    )
    for name, lag in (("steps.csv", 0), ("late.csv", 10)):
        Trace.integrate(np.arange(0, 40, 0.1), np.roll(turns, lag).astype(float), facts=FACTS).save(name)
    Path("foreign.csv").write_text("time_s,watts\n0,1\n1,1\n1,1\n2,nan\n3,1\n")
    Path("amps.csv").write_text("time_s,current (A)\n0,1\n1800,1\n3600,1\n")
    readings = (
        f"2026-05-04 10:{n:02}:00+00:00 Battery 0: Discharging, {90 - n}%, 03:42:11 remaining"
        for n in range(12)
    )
    Path("acpi.log").write_text("".join(f"{line}\n" for line in readings))
    Path("charging.log").write_text(
        "2026-05-04 10:00:00+00:00 Battery 0: Charging, 90%, 03:42:11 remaining\n"
    )
    Path("day.csv").write_text(
        "from,to,g_per_kwh\n2026-11-22T10:00Z,2026-11-22T11:00Z,300\n2026-11-22T11:00Z,2026-11-22T12:00Z,100\n"
        "2026-11-22T12:00Z,2026-11-22T13:00Z,400\n"
    )
    rows = "amps,0.001,0\namps,0.2,0.203\namps,0.5,0.506\namps,0.8,0.809\namps,1,1.011\n"
    Path("points.csv").write_text(f"channel,shown,reference\n{rows}")
    events = [
        {"ph": "X", "name": f"op{n % 23}", "ts": 1e5 * n, "dur": 4e4 + 1500 * (n % 23), "tid": 1}
        for n in range(92)
    ]
    Path("ops.json").write_text(str(events).replace("'", '"'))


# ruff: noqa: E501 - a command is a line
SUBJECTS = {
    "show": """
        show five.csv
        show rails.csv
        show rails.csv --channel rail2
        show gaps.csv
        show ten.csv
        show foreign.csv
        show foreign.csv --json
        show foreign.csv --columns
        show amps.csv
        show amps.csv --json
        show amps.csv --volts 3.7V
        show acpi.log
        show acpi.log --json
        show charging.log
        show nothing.csv
    """,
    "budget": """
        budget list
        budget new lab --share infer=60% --share load=40%
        budget new lab
        budget list
        budget status lab
        budget spend lab --joules 3600 --duration 10min --stage infer --note first
        budget spend lab --wh 1 --stage load
        budget spend lab --joules 1 --wh 1
        budget spend lab
        budget spend lab --undo 2 --joules 1
        budget spend lab --joules 7200 --amend 2
        budget spend lab --undo 3
        budget spend lab --undo 2 --note "was another board" --json
        budget status lab
        budget status lab --stage infer
        budget list lab
        budget list lab --last 1
        budget list lab --last 2 --json
        budget export lab
        budget export lab --json
        budget forecast lab
        budget forecast lab --iterations 3
        budget forecast lab --json
        budget reset lab --note charged
        budget reset lab --battery 2000mAh --basis rail --measured 1800 --json
        budget new tiny --battery 18650:2500 --volts 3.6 --efficiency 85% --usable 90% --health 80%
        budget new known --measured 3000 --json
        budget new wrong --share infer
        budget new wrong --share =5%
        budget list --json
    """,
    "forecast": """
        budget forecast
        budget forecast --json
        budget forecast --board pi4
        budget forecast --watts 2 --battery 4000mAh --basis rail --last 1d
        budget forecast --watts 2 --measured 3600 --celsius 0
        budget forecast --watts 0
        budget forecast --every 5min --joules 2.1 --idle 0.5
        budget forecast --watts 1 --solar 20W,4h
        budget forecast --watts 1 --solar 20W,4h --hour 18
        budget forecast --solar 20W,4h
        budget forecast --watts 5 --last 1000h
        budget forecast --empty 5
        budget forecast --log acpi.log
        budget forecast --log acpi.log --empty 50
        budget forecast --log acpi.log --battery phone --json
        budget forecast --log five.csv --battery phone
        budget forecast --log charging.log
    """,
    "carbon": """
        carbon five.csv --grid DEU
        carbon five.csv --grid DEU --board pi-4 --years 5 --litres-per-kwh 1.8 --efficiency 0.9
        carbon five.csv --grid DEU --place wall
        carbon five.csv --grams-per-kwh 400 --source "measured, 2026" --json
        carbon foreign.csv --grid DEU --json
        carbon grids zealand
        carbon grids zealand --json
        carbon grids Atlantis
        carbon when --wh 50 --hours 1 --forecast day.csv
        carbon when --wh 50 --hours 1 --within 1.5 --forecast day.csv
        carbon when --wh 50 --hours 0.5 --forecast day.csv --json
        carbon when --wh 50 --hours 1
    """,
    "export": """
        align steps.csv late.csv
        align steps.csv late.csv --json
        align five.csv half.csv
        export five.csv --to chrome -o x.json
        export five.csv --to chrome -o x.json
        export foreign.csv --to chrome -o x.json --force
        export five.csv --to firefox -o x.json --force --rate 1
        export five.csv --to csv -o x.csv --channel none
        export five.csv --to chrome -o x.json --force --span infer
        export five.csv --to chrome -o x.json --force --into ops.json --offset 0 --align infer
        export five.csv --to chrome -o x.json --force --into ops.json
        export five.csv --to chrome -o x.json --force --into ops.json --offset 0
        export five.csv --to chrome -o x.json --force --into ops.json --offset 0 --span infer
        export five.csv --to chrome -o x.json --force --into ops.json --align infer=op1 --json
    """,
    "compare": """
        compare five.csv half.csv
        compare five.csv half.csv --name full --name half --per 10 --unit inference --workload w --json
        compare five.csv half.csv --name one
        compare five.csv half.csv --span infer --span 1:2 --span load
        compare five.csv half.csv --span 2:4
        compare five.csv
        compare five.csv --- true
        compare --- five.csv
        compare five.csv five.csv --- half.csv half.csv --anyway --paired
        compare --source manual:1W --span 1:2 true --- true
        compare --source manual:1W true
        compare --source manual:1W --per 1 --per 2 --per 3 true --- true
        sweep --source manual:1W --over bits=4,8 true
        sweep --source manual:1W --over bits=4,4 true {bits}
        sweep --source manual:1W --over 4bits=4 true {4bits}
        sweep --source manual:1W --over bits true {bits}
    """,
    "calibrate": """
        calibrate sim:pi4 --points points.csv --reference "Fluke 17B+" --amps-accuracy 1.5%+3*0.001 --card c.json
        calibrate sim:pi4 --points points.csv --card c.json
        calibrate sim:pi4 --points points.csv --amps-accuracy 1% --plot r.svg --celsius 22 --card d.json
        calibrate sim:pi4,sim:pi5 --points points.csv --amps-accuracy 1%
        calibrate sim:pi4 --counted points.csv
        calibrate sim:pi4 --counter bucket
    """,
    "plot and report": """
        plot five.csv -o x.gif
        plot five.csv -o x.svg --channel none
        plot five.csv -o x.html --budget-mah 5
        report five.csv
        report five.csv --format md --span infer --skip 4
        report five.csv half.csv --format md --name one
        report five.csv --format pdf
        report five.csv -o x.docx
        report five.csv -o five.csv --format html
        verify five.csv
        verify five.csv half.csv --strict --coverage 0 --seconds 1
        verify foreign.csv
    """,
}
"""Commands that are given one after the other."""


def _steady(text: str) -> str:
    """Without what differs from time to time: moments and runs; and in fewer digits than a processor may differ in."""
    text = re.sub(r"^( +\d+  )[\d-]+ [\d:]+", r"\1DAY", text)
    text = re.sub(r"(calibrated )[\d-]{10}", r"\1DAY", text)
    text = re.sub(r"\b[0-9a-f]{32}\b", "RUN", text)
    text = re.sub(r"(?<![\d.])1(?!700000000)[78]\d{8}\.\d+", "NOW", text)
    text = re.sub(r"\d+\.\d{9,}(?:e-?\d+)?", lambda found: f"{float(found[0]):.9g}", text)
    return text.replace(os.getcwd(), "HERE")


@contextlib.contextmanager
def _folder(path: Path) -> Iterator[None]:
    """Everything that a command keeps is in it; clocks show UTC."""
    before = os.getcwd()
    kinds = {f"XDG_{kind}_HOME": str(path / kind.lower()) for kind in ("CONFIG", "DATA", "STATE", "CACHE")}
    os.chdir(path)
    try:
        with patch.dict(os.environ, {**kinds, "COLUMNS": "120"}):
            _files()
            yield
    finally:
        os.chdir(before)


def answered(command: str) -> list[str]:
    """A command and its answer, as in a transcript."""
    done = in_process(*shlex.split(command))
    lines = [f"$ {command}", *done.stdout.splitlines(), *(f"! {line}" for line in done.stderr.splitlines())]
    return [_steady(line).rstrip() for line in lines] + [f"? {done.returncode}"] * bool(done.returncode)


def transcript(subject: str, path: Path, check: Callable[[list[str]], None] | None = None) -> str:
    """All commands of a subject; each answer may be checked before the next command."""
    said = []
    with _folder(path):
        for command in SUBJECTS[subject].strip().splitlines():
            said.append(answered(command.strip()))
            if check is not None:
                check(said[-1])
    return "".join("\n".join(lines) + "\n\n" for lines in said)


def file_of(subject: str) -> Path:
    return FOLDER / f"{subject.replace(' ', '_')}.txt"


if __name__ == "__main__":
    for name in SUBJECTS:
        with TemporaryDirectory() as folder:
            file_of(name).write_text(transcript(name, Path(folder)), encoding="utf-8")
