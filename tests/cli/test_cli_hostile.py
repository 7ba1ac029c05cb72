"""What shows a recording, given hostile names, outputs and logs: a file or one sentence, and nothing else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from energymeter.cli import cli
from energymeter.reading import Facts, Provenance
from energymeter.recordings.record import RecordedSpans
from energymeter.recordings.trace import Trace

pytest.importorskip("matplotlib")
ROOT = Path(__file__).parents[2]
HOSTILE = (
    "<script>alert(1)</script>$\\frac{1$ \\input{/etc/passwd} \x1b[2J\u202e\udcff\x07%s{0}&amp;\"'`#"
    + "long " * 20
)
NAME = "".join(sign for sign in HOSTILE if sign.isprintable())[:90]
"""What a channel or a span may be called in a log."""
PICTURES = ("png", "svg", "pdf", "html")
PAGES = ("html", "md", "tex")
TIMELINES = ("perfetto", "firefox", "chrome")
DOCUMENTED = set(range(2, 16))
COMMANDS = [
    *(("plot", f"x.{ending}", ()) for ending in PICTURES),
    *(("report", f"x.{ending}", ()) for ending in PAGES),
    *(("export", f"x.{form}", ("--to", form)) for form in TIMELINES),
]
NAMES = [f"{command}-{out}" for command, out, _ in COMMANDS]


def run(command: str, *arguments: object) -> Result:
    return CliRunner().invoke(cli, [command, *map(str, arguments)])


def made(
    path: Path,
    *,
    time_s: "np.typing.ArrayLike | None" = None,
    watts: "np.typing.ArrayLike" = 3.0,
    name: str = "rail",
    provenance: Provenance = "measured",
    spans: dict[str, RecordedSpans] | None = None,
) -> Path:
    times = np.arange(0, 2, 0.1) if time_s is None else np.asarray(time_s, float)
    level = np.broadcast_to(np.asarray(watts, float), times.shape)
    facts = Facts("mean", provenance)
    trace = Trace.integrate(
        times, level, volts=np.full(times.shape, 5.0), amps=level / 5, facts=facts, name=name, epoch_s=1.7e9
    )
    trace.spans = spans or {}
    trace.save(path)
    return path


def check(done: Result, out: Path) -> None:
    """Either a whole file, or one sentence with a documented exit code and no file."""
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
    if done.exit_code == 0:
        assert out.stat().st_size > 100
    else:
        assert done.exit_code in DOCUMENTED
        (sentence,) = [line for line in done.stderr.splitlines() if line.startswith("energymeter: ")]
        assert sentence.isprintable()
        assert not out.exists()
    assert not [name for name in os.listdir(out.parent) if name.startswith(".unfinished")]


@pytest.mark.parametrize(("command", "out", "options"), COMMANDS, ids=NAMES)
def test_a_hostile_name_is_text_and_nothing_else(
    command: str, out: str, options: tuple[str, ...], tmp_path: Path
) -> None:
    spans = {NAME: RecordedSpans(1, ((0.5, 1.0),))}
    log = made(tmp_path / "a.csv", name=NAME, spans=spans)
    title = () if command == "export" else ("--title", HOSTILE)
    target = tmp_path / out
    done = run(command, log, *options, *title, "-o", target)
    assert done.exit_code == 0, done.output
    check(done, target)
    content = target.read_bytes()
    if out.rpartition(".")[2] in ("png", "pdf", "perfetto"):
        return
    text = content.decode()
    if command != "export":  # in a string of JSON it is text already
        assert "<script>alert" not in text
    assert not {"\x1b", "\u202e", "\udcff", "\x07"} & set(text)
    if out == "x.tex":
        assert "\\input{/etc" not in text
    if command == "export":
        json.loads(text)


LOGS: dict[str, dict[str, object]] = {
    "one sample": {"time_s": [0.0]},
    "two samples": {"time_s": [0.0, 0.1]},
    "times that stand still": {"time_s": [0.0, 0.0, 0.0]},
    "NaN": {"watts": np.where(np.arange(20) % 3 == 0, np.nan, 3.0)},
    "NaN alone": {"watts": np.nan},
    "infinite": {"watts": np.where(np.arange(20) == 9, np.inf, 3.0)},
    "zero": {"watts": 0.0},
    "charging": {"watts": -3.0},
    "huge": {"watts": 1e12},
    "tiny": {"watts": 1e-15},
    "a span of no length": {"spans": {"a": RecordedSpans(1, ((0.5, 0.5),))}},
    "a span outside": {"spans": {"a": RecordedSpans(2, ((-5.0, -4.0), (50.0, 60.0)))}},
    "a span without calls": {"spans": {"a": RecordedSpans(0, ())}},
    "a span that ends before it begins": {"spans": {"a": RecordedSpans(1, ((1.0, 0.5),))}},
}


@pytest.mark.slow
@pytest.mark.parametrize("case", LOGS)
@pytest.mark.parametrize(
    ("command", "out", "options"),
    [one for one in COMMANDS if one[1] in ("x.svg", "x.html", "x.chrome", "x.firefox", "x.perfetto")],
    ids=[name for name in NAMES if name.endswith(("svg", "html", "chrome", "firefox", "perfetto"))],
)
def test_a_hostile_log_is_shown_or_refused(
    case: str, command: str, out: str, options: tuple[str, ...], tmp_path: Path
) -> None:
    log = made(tmp_path / "a.csv", **LOGS[case])  # type: ignore[arg-type]
    check(run(command, log, *options, "-o", tmp_path / out), tmp_path / out)


@pytest.mark.parametrize("case", LOGS)
def test_a_hostile_log_is_verified(case: str, tmp_path: Path) -> None:
    log = made(tmp_path / "a.csv", **LOGS[case])  # type: ignore[arg-type]
    done = run("verify", log)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
    assert done.exit_code in DOCUMENTED


@pytest.mark.parametrize(("command", "out", "options"), COMMANDS, ids=NAMES)
def test_one_simulated_log_among_measured_ones_is_enough(
    command: str, out: str, options: tuple[str, ...], tmp_path: Path
) -> None:
    kinds: tuple[Provenance, ...] = ("simulated", "measured", "simulated")
    logs = [made(tmp_path / f"{number}.csv", provenance=kind) for number, kind in enumerate(kinds)]
    target = tmp_path / out
    given = logs[:1] if command == "export" else logs
    done = run(command, *given, *options, "-o", target)
    assert done.exit_code == 0, done.output
    if out.rpartition(".")[2] not in ("png", "pdf"):
        assert b"SIMULATED" in target.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(("command", "out", "options"), COMMANDS, ids=NAMES)
@pytest.mark.parametrize("place", ["missing/x", "folder", "name", "pipe", "device", "file/x"])
def test_an_output_that_cannot_be_is_refused_and_nothing_is_replaced(
    command: str, out: str, options: tuple[str, ...], place: str, tmp_path: Path
) -> None:
    log = made(tmp_path / "a.csv")
    ending = out.rpartition(".")[2]
    target = tmp_path / {"name": "n" * 300}.get(place, place)
    target = target.with_name(f"{target.name}.{ending}")
    if place == "folder":
        target.mkdir()
    elif place == "pipe":
        os.mkfifo(target)
    elif place == "device":
        target.symlink_to("/dev/null")
    elif place == "file/x":
        (tmp_path / "file").write_text("mine")
    before = sorted(os.listdir(tmp_path))
    done = run(command, log, *options, "-o", target, "--force")
    assert done.exit_code in (2, 8), done.output
    assert isinstance(done.exception, SystemExit)
    assert sorted(os.listdir(tmp_path)) == before
    if place == "pipe":
        assert target.is_fifo()
    if place == "device":
        assert os.readlink(target) == "/dev/null"


READERS_GONE = {
    "closed": "{python} -m energymeter {arguments} >&-",
    "gone": "{python} -m energymeter {arguments} | true; exit ${{PIPESTATUS[0]}}",
}


@pytest.mark.parametrize("how", READERS_GONE)
@pytest.mark.parametrize("arguments", ["verify a.csv", "report a.csv --format json"])
def test_standard_output_that_takes_nothing_is_no_traceback(how: str, arguments: str, tmp_path: Path) -> None:
    made(tmp_path / "a.csv")
    line = READERS_GONE[how].format(python=sys.executable, arguments=arguments)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 1, done.stderr


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\nstop - b", "\udcff", "a\x00b"])
def test_a_hostile_mark_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENERGYMETER_MARKS", str(tmp_path / "none"))
    done = CliRunner().invoke(cli, ["mark", name, "start"])
    assert isinstance(done.exception, SystemExit)
    assert done.exit_code in DOCUMENTED
    assert done.stderr.count("\n") <= 3
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [("show", "r.csv"), ("verify", "r.csv"), ("report", "r.csv", "--format", "json"), ("budget", "forecast")],
)
def test_an_output_that_cannot_be_written_is_one_sentence(words, tmp_path):
    made(tmp_path / "r.csv")
    command = [sys.executable, "-c", "from energymeter.cli import main; main()", *words]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "energymeter: the output cannot be written (No space left on device); free some space"
    )
    assert "Traceback" not in done.stderr


def test_a_reader_that_has_gone_gets_no_traceback(tmp_path):
    made(tmp_path / "r.csv")
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-c", "from energymeter.cli import main; main()", "show", "r.csv"]
    done = subprocess.run(
        command, cwd=tmp_path, stdout=write, stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr.count("Traceback")) == (1, 0)
