"""What commands accept and say, on both sides of each limit, within this process."""

import errno
import json
import math
import os
import signal
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner

from energymeter import EnergyMeter
from energymeter.boards import find_board
from energymeter.cli import _as_typed, _output_failed, cli, devices, live, run, serve, show
from energymeter.cli.budget_options import level, seconds, share
from energymeter.cli.check import _work_and_rest
from energymeter.cli.compare import _is_recording, _names, _split
from energymeter.cli.options import Finite, Positive, span_or_window
from energymeter.cli.serve_options import exporter_arguments
from energymeter.cli.sweep import _axis
from energymeter.discovery.choice import Choice, Finding
from energymeter.discovery.ports import Port
from energymeter.errors import CommandFailed, LogError, NotMeasured, SpecError
from energymeter.reading import Facts

SOURCE = "manual:5V,0.6A"


def said(*arguments: str, code: int = 0) -> str:
    """What a command prints."""
    done = CliRunner().invoke(cli, [*arguments])
    assert done.exit_code == code, done.output
    return done.output


def refused(call: Any) -> str:
    with pytest.raises((SpecError, LogError, NotMeasured, CommandFailed, click.UsageError)) as failure:
        call()
    return str(getattr(failure.value, "message", failure.value))


# Values of options ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["0", "1e-12", "-1e-12", "1e15", "-1e15"])
def test_a_number_within_its_limits(value: str) -> None:
    assert Finite().convert(value, None, None) == float(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("nan", "nan is not a finite number"),
        ("inf", "inf is not a finite number"),
        ("9e-13", "9e-13 is too close to 0; give 0, or at least 1e-12"),
        ("-9e-13", "-9e-13 is too close to 0; give 0, or at least 1e-12"),
        ("1.1e15", "1100000000000000.0 is not in the range"),
        ("-1.1e15", "-1100000000000000.0 is not in the range"),
    ],
)
def test_a_number_outside_of_its_limits(value: str, text: str) -> None:
    assert refused(lambda: Finite().convert(value, None, None)).startswith(text)


def test_a_number_above_0() -> None:
    assert Positive().convert("1e-9", None, None) == 1e-9
    assert Positive(max=1).convert("1", None, None) == 1.0
    for value in ("9e-10", "0", "-1", "1.01"):
        refused(lambda v=value: Positive(max=1).convert(v, None, None))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("30:90", (30.0, 90.0)),
        ("-1:0", (-1.0, 0.0)),
        ("a:b", "a:b"),
        ("30", "30"),
        ("30:", "30:"),
        ("a", "a"),
    ],
)
def test_a_window_or_the_name_of_a_span(text: str, found: object) -> None:
    assert span_or_window(text) == found


@pytest.mark.parametrize("text", ["90:30", "30:30"])
def test_a_window_that_ends_before_it_begins(text: str) -> None:
    assert refused(lambda: span_or_window(text)) == (
        f"{text!r} ends before it begins; write start and end in seconds, as 30:90"
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("30", 30.0),
        ("30s", 30.0),
        ("5min", 300.0),
        ("2h", 7200.0),
        ("1d", 86400.0),
        ("1000000d", 8.64e10),
        ("1ms", 0.001),
    ],
)
def test_a_duration(text: str, found: float) -> None:
    assert seconds(text) == pytest.approx(found)


@pytest.mark.parametrize("text", ["0", "0s", "-1s", "1000001d", "5 apples", "", "h"])
def test_what_is_no_duration(text: str) -> None:
    assert refused(lambda: seconds(text)) == (
        f"{text!r} is no duration up to a million days: write 30s, 5min, 2h or 1d"
    )


@pytest.mark.parametrize(
    ("text", "found"), [("0", 0.0), ("1", 1.0), ("10%", 0.1), ("100%", 1.0), ("0%", 0.0), ("0.5", 0.5)]
)
def test_a_share(text: str, found: float) -> None:
    assert share(text) == pytest.approx(found)


@pytest.mark.parametrize("text", ["1.01", "101%", "-0.1", "-1%", "", "x", "1h"])
def test_what_is_no_share(text: str) -> None:
    assert refused(lambda: share(text)) == f"{text!r} is no share: write 10% or 0.1"


@pytest.mark.parametrize(("text", "found"), [("0", 0.0), ("7%", 7.0), ("150", 150.0)])
def test_a_level_of_a_gauge(text: str, found: float) -> None:
    assert level(text) == found


@pytest.mark.parametrize("text", ["-0.1", "-1%", "7V", "", "x"])
def test_what_is_no_level_of_a_gauge(text: str) -> None:
    assert refused(lambda: level(text)) == (
        f"{text!r} is no level of a gauge: write 7% or, as the gauge counts, 150"
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [("bits=4,8", ("bits", ["4", "8"])), ("a=b=c", ("a", ["b=c"])), ("a=1,,2,", ("a", ["1", "2"]))],
)
def test_an_axis_of_a_sweep(text: str, found: object) -> None:
    assert _axis(text) == found


@pytest.mark.parametrize("text", ["bits", "bits=", "=4", "4=4", "bits=4,4", "bits=,"])
def test_what_is_no_axis_of_a_sweep(text: str) -> None:
    assert refused(lambda: _axis(text)) == (
        f"{text!r} is no axis with different values; write --over bits=4,8,16"
    )


def test_commands_are_parted_by_dashes(tmp_path: Path) -> None:
    assert _split(["a", "b", "---", "c"]) == [["a", "b"], ["c"]]
    assert _split(["a"]) == [["a"]]
    for words in (["---", "a"], ["a", "---"], ["a", "---", "---", "b"]):
        assert refused(lambda w=words: _split(w)) == (
            "there is nothing before or after a ---; write CMD_A --- CMD_B"
        )
    assert _names([], 2) == ["A", "B"]
    assert _names(["x", "y"], 2) == ["x", "y"]
    assert refused(lambda: _names(["x"], 2)) == "--name is given 1 times for 2 arms: give one for each"
    recording, program = tmp_path / "a.csv", tmp_path / "b"
    for path in (recording, program):
        path.write_text("")
    program.chmod(0o755)
    assert _is_recording(str(recording))
    assert _is_recording(f"{recording}?watts=P")
    assert not _is_recording(str(program))
    assert not _is_recording(str(tmp_path))
    assert not _is_recording(str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        (["show", "a.csv"], "energymeter show 'a.csv?unit=mW'"),
        (["show", "a.csv?unit=W&time=t", "-x"], "energymeter show 'a.csv?time=t&unit=mW' -x"),
        (["verify", "--log=a.csv"], "energymeter verify '--log=a.csv?unit=mW'"),
        (["show", "b.csv"], "a.csv?unit=mW"),
    ],
)
def test_an_answer_to_a_question_is_what_was_typed(typed: list[str], answer: str) -> None:
    text = "a.csv: what is it; say what is meant, as in a.csv?unit=mW"
    assert _as_typed(text, typed) == f"a.csv: what is it; say what is meant, as in {answer}"
    assert _as_typed("no question", typed) == "no question"


def test_an_output_that_cannot_be_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    turned: list[int] = []
    monkeypatch.setattr(os, "dup2", lambda _, number: turned.append(number))
    assert _output_failed(OSError(errno.EPIPE, "Broken pipe")) == 1
    assert capsys.readouterr().err == ""
    assert _output_failed(OSError(errno.ENOSPC, "No space left on device")) == 1
    assert capsys.readouterr().err == (
        "energymeter: the output cannot be written (No space left on device); free some space\n"
    )
    assert turned == [1, 1]


# live -----------------------------------------------------------------------------------------------------


class Clock:
    """What a command asks of `time`."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now = round(self.now + seconds, 6)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_line_is_printed_every_second(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(live, "time", clock)
    times: list[float] = []
    model = SimpleNamespace(
        ended=False, update=lambda: times.append(clock.now), line=lambda: f"at {clock.now:g}"
    )
    live._lines(model, lambda: clock.now >= 3.0)
    assert times == [0.1, 1.1, 2.1]
    assert capsys.readouterr().out == "at 0.1\nat 1.1\nat 2.1\n"
    assert {*clock.slept} == {0.1}
    model.ended = True
    live._lines(model, lambda: False)
    assert len(times) == 3


@pytest.mark.parametrize(
    ("term", "terminals", "is_one"),
    [
        ("xterm", "ioe", True),
        ("xterm", "io", False),
        ("xterm", "oe", False),
        ("xterm", "ie", False),
        ("dumb", "ioe", False),
        ("", "ioe", False),
        (None, "ioe", False),
    ],
)
def test_what_is_a_terminal(
    term: str | None, terminals: str, is_one: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if term is None:
        monkeypatch.delenv("TERM", raising=False)
    else:
        monkeypatch.setenv("TERM", term)
    for letter, name in (("i", "stdin"), ("o", "stdout"), ("e", "stderr")):
        monkeypatch.setattr(sys, name, SimpleNamespace(isatty=lambda yes=letter in terminals: yes))
    found = live._on_a_terminal()
    monkeypatch.setattr(sys, "stdin", None)
    without = live._on_a_terminal()
    monkeypatch.undo()
    assert (found, without) == (is_one, False)


def test_signals_end_it_and_are_put_back() -> None:
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    ignored = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with live._ending() as asked:
            assert asked == []
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
            assert asked == [signal.SIGTERM, signal.SIGINT]
    finally:
        signal.signal(signal.SIGHUP, ignored)
    assert {n: signal.getsignal(n) for n in before} == before


def test_the_last_twenty_warnings_are_kept() -> None:
    notices: list[str] = []
    before = warnings.showwarning
    with live._collected(notices):
        for number in range(21):
            warnings.showwarning(f"warning {number}\n", UserWarning, "a.py", 1)
        assert len(notices) == 20
    assert notices[0] == r"warning 1\n"
    assert notices[-1] == r"warning 20\n"
    assert warnings.showwarning is before


def test_what_a_live_log_says_at_its_end(tmp_path: Path) -> None:
    out = tmp_path / "run.csv"
    done = CliRunner().invoke(cli, ["live", SOURCE, "--duration", "0.15", "--out", str(out)])
    assert done.exit_code == 0, done.output
    first, usage = done.stdout.strip().split("\n")
    assert "3.000 W · mean 3.00 W" in first
    assert usage.endswith(f"{SOURCE} manual")
    rows = int(done.stderr.removesuffix(f" rows in {out}\n"))
    assert rows > 0
    meter: Any = SimpleNamespace(recording=SimpleNamespace(error="the disk is full", rows=3))
    assert refused(lambda: live._report_log(meter, "x")) == (
        "the disk is full; what was written before is intact; record again to another file"
    )
    text = said("live", SOURCE, "--battery", "phone", "--budget", "lab", code=2)
    assert text == (
        "energymeter: --battery and --budget exclude each other: a budget knows its battery; leave one out\n"
    )


# The screen of live ---------------------------------------------------------------------------------------


def app_of(**known: Any) -> tuple[Any, Any, list[str]]:
    """A view that was not started, its model, and what it did."""
    live_view = pytest.importorskip("energymeter.cli.live_view")
    did: list[str] = []
    model = SimpleNamespace(
        typing=False, filter="", help=False, pause=lambda: did.append("pause"),
        zoom_by=lambda steps: did.append(f"zoom {steps}"), update=lambda: did.append("update"),
        lines=lambda width, height: [(("x" * width, ""),)] * height,
    )  # fmt: skip
    vars(model).update(known)
    app = live_view.LiveApp(model, lambda: False)
    app.exit = lambda *_: did.append("exit")
    app.query_one = lambda _: SimpleNamespace(draw=lambda: did.append("draw"))
    app._draw_all = lambda *_: did.append("draw all")
    return app, model, did


def press(app: Any, character: str | None, key: str = "") -> None:
    app.on_key(SimpleNamespace(stop=lambda: None, character=character, key=key))


@pytest.mark.parametrize(
    ("character", "key", "does"),
    [
        ("q", "q", ["exit", "draw"]),
        ("p", "p", ["pause", "draw"]),
        ("+", "plus", ["zoom -1", "draw"]),
        ("=", "equals_sign", ["zoom -1", "draw"]),
        ("-", "minus", ["zoom 1", "draw"]),
        ("_", "underscore", ["zoom 1", "draw"]),
        (None, "ctrl+l", ["draw all", "draw"]),
        ("x", "x", []),
        (None, "f1", []),
    ],
)
def test_each_key_does_one_thing(character: str | None, key: str, does: list[str]) -> None:
    app, _, did = app_of()
    press(app, character, key)
    assert did == does


def test_keys_for_help_and_for_the_rails() -> None:
    app, model, did = app_of()
    for character, shown in (("h", True), ("?", False), ("?", True), ("h", False)):
        press(app, character)
        assert model.help is shown
    press(app, "/")
    assert model.typing
    for letter in "qph/":
        press(app, letter)
    assert (model.filter, model.help) == ("qph/", False)
    press(app, None, "f1")
    press(app, "\t", "tab")
    press(app, None, "backspace")
    assert model.filter == "qph"
    press(app, "\r", "enter")
    assert (model.filter, model.typing) == ("qph", False)
    model.help = True
    press(app, None, "escape")
    assert (model.filter, model.help) == ("", False)
    press(app, "/")
    for _ in range(50):
        press(app, "a")
    assert model.filter == "a" * 40
    press(app, None, "escape")
    assert (model.filter, model.typing) == ("", False)
    assert did.count("draw") == len(did)


def test_a_picture_is_drawn_again_after_its_pace() -> None:
    app, _, did = app_of()
    timers: list[float] = []
    app.set_timer = lambda seconds, call: timers.append(seconds)
    app._next()
    assert (did, timers) == (["update", "draw"], [0.1])
    app._over = lambda: True
    app._next()
    assert did[2:] == ["exit"]
    app._over = lambda: 1 / 0
    app._next()
    assert isinstance(app.failure, ZeroDivisionError)
    first = app.failure
    app._fail(KeyError("later"))
    assert app.failure is first
    assert len(timers) == 1


# run ------------------------------------------------------------------------------------------------------


class Process:
    """A command that only takes signals."""

    def __init__(self) -> None:
        self.sent: list[int] = []

    def send_signal(self, number: int) -> None:
        self.sent.append(number)


@pytest.mark.parametrize("foreground", [True, False])
def test_signals_reach_the_command_once(foreground: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_in_foreground", lambda: foreground)
    numbers = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
    before = {n: signal.getsignal(n) for n in numbers}
    process: Any = Process()
    with run._Relay() as relay:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        assert process.sent == []
        relay.to(process)
        early = [signal.SIGTERM] if foreground else [signal.SIGTERM, signal.SIGINT]
        assert process.sent == early, "also those that came before it began"
        for number in numbers:
            signal.raise_signal(number)
    assert process.sent == [*early, *(numbers[2:] if foreground else numbers)]
    assert {n: signal.getsignal(n) for n in numbers} == before


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with run._Relay() as relay:
            assert signal.SIGHUP not in relay._before
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(("group", "foreground"), [(7, True), (8, False), (None, False)])
def test_the_command_has_the_terminal_or_not(
    group: int | None, foreground: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[int] = []

    def opened(path: str, flags: int) -> int:
        assert path == "/dev/tty"
        if group is None:
            raise OSError(errno.ENXIO, "no terminal")
        return 99

    known = {"tcgetpgrp": lambda _: group, "getpgrp": lambda: 7, "open": opened, "close": closed.append}
    monkeypatch.setattr(run, "os", SimpleNamespace(**known, O_RDONLY=0, O_NOCTTY=0))
    assert run._in_foreground() is foreground
    assert closed == ([] if group is None else [99])


def measured(repeat: int, phases: dict[str, int]) -> EnergyMeter:
    meter = EnergyMeter(SOURCE, linger=0)
    with meter:
        for _ in range(repeat):
            with meter.span("run"):
                for name, calls in phases.items():
                    for _ in range(calls):
                        with meter.span(name):
                            sum(range(200_000))
    return meter


def test_the_result_of_one_run_and_of_several() -> None:
    one, three = measured(1, {"a": 1, "b": 2}), measured(3, {})
    usage = one.spans["run"].usage
    assert run._result(one, 1, [], False) == f"{usage}"
    assert run._result(one, 1, ["a", "b"], False) == (
        f"{usage}\nphase a: {one.spans['a'].usage}\nphase b, 2 times: {one.spans['b'].usage}"
    )
    runs = three.spans["run"]
    assert run._result(three, 3, [], False) == (
        f"each run: {runs.joules}\n          {runs.seconds}\ntogether: {runs.usage}"
    )
    known = json.loads(run._result(one, 1, ["a", "b"], True))
    assert known["joules"] == usage.joules
    assert {name: phase["calls"] for name, phase in known["phases"].items()} == {"a": 1, "b": 2}
    assert "phases" not in json.loads(run._result(one, 1, [], True))
    several = json.loads(run._result(three, 3, [], True))
    assert [*several] == ["runs", "joules", "seconds", "all"]
    assert [each["joules"] for each in several["runs"]] == [each.joules for each in runs.usages]
    assert several["all"]["joules"] == runs.usage.joules


def test_a_phase_that_was_not_measured_is_none_or_a_sentence() -> None:
    class Unmeasured(list):  # type: ignore[type-arg]
        @property
        def usage(self) -> object:
            raise NotMeasured("too short")

    meter: Any = SimpleNamespace(spans={"a": Unmeasured([1]), "b": Unmeasured([1, 2])})
    assert run._phase(meter, "a") is None
    assert run._phase_text(meter, "a") == "phase a: not measured: too short"
    assert run._phase_text(meter, "b") == "phase b, 2 times: not measured: too short"


@pytest.mark.parametrize(
    ("name", "code"), [("no-such-command-here", 127), ("/etc/passwd/x", 126), ("/", 126), ("/none/x", 127)]
)
def test_a_command_that_cannot_start_has_the_code_of_a_shell(name: str, code: int) -> None:
    with pytest.raises(SystemExit) as ended:
        run._run([name], {**os.environ})
    assert ended.value.code == code


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 1", 1), ("kill -TERM $$", 143)])
def test_a_command_ends_with_the_code_of_a_shell(script: str, code: int) -> None:
    assert run._run(["sh", "-c", script], {**os.environ}) == code
    if code:
        with pytest.raises(SystemExit) as ended:
            run._stop_unless_zero(code)
        assert ended.value.code == code
    else:
        run._stop_unless_zero(code)


# serve ----------------------------------------------------------------------------------------------------

NOTHING: dict[str, Any] = {
    "socket": None, "group": None, "listen": None, "token_file": None, "certificate": None, "key": None,
    "always": False, "web": False, "metrics": False, "recordings": None, "record": None,
    "record_megabytes": None, "record_minutes": None, "mqtt": None, "mqtt_title": None, "mqtt_prefix": None,
    "otlp": None, "otlp_host": None, "budgets": (),
}  # fmt: skip


def test_options_of_serve_become_a_command_line_again() -> None:
    assert serve._arguments(("sim:pi4",), None, NOTHING) == ["sim:pi4"]
    given = {
        **NOTHING, "group": "g", "listen": "l:1", "token_file": "t", "certificate": "c", "key": "k",
        "always": True, "web": True, "metrics": True, "recordings": "r", "record": "d",
        "record_megabytes": "5", "record_minutes": "6", "mqtt": "mqtt://x", "mqtt_title": "T",
        "mqtt_prefix": "P", "otlp": "http://x", "otlp_host": "h", "budgets": ("a", "b"),
    }  # fmt: skip
    here = os.getcwd()
    exporters = [
        "--web", "--metrics", "--recordings", f"{here}/r", "--record", f"{here}/d", "--record-megabytes", "5",
        "--record-minutes", "6", "--mqtt", "mqtt://x", "--mqtt-title", "T", "--mqtt-prefix", "P", "--otlp",
        "http://x", "--otlp-host", "h", "--budget", "a", "--budget", "b",
    ]  # fmt: skip
    assert exporter_arguments(given) == exporters
    assert exporter_arguments(NOTHING) == []
    assert exporter_arguments({**NOTHING, "metrics": True}) == ["--metrics"]
    assert serve._arguments((), "f", given) == [
        "--config", f"{here}/f", "--token-file", f"{here}/t", "--certificate", f"{here}/c", "--key",
        f"{here}/k", "--group", "g", "--listen", "l:1", *exporters, "--always",
    ]  # fmt: skip


def test_what_serve_is_asked_for(tmp_path: Path) -> None:
    config = serve._config(("sim:pi4",), None, {**NOTHING, "socket": "/tmp/s", "always": True})
    assert (config.socket, config.group, config.always) == ("/tmp/s", None, True)
    assert [entry.name for entry in config.sources] == ["sim"]
    plain = serve._config(("sim:pi4",), None, NOTHING)
    assert (plain.socket, plain.always) == (None, False)
    assert refused(lambda: serve._config(("sim:pi4",), "f", NOTHING)) == (
        "name the sources in the file of --config, or on the command line; leave one out"
    )


def test_where_serve_listens(tmp_path: Path) -> None:
    assert serve._listen(NOTHING, None) is None
    usual = serve._listen(NOTHING, "127.0.0.1:9736")
    assert usual is not None
    assert (usual.host, usual.port, usual.token) == ("127.0.0.1", 9736, None)
    token = tmp_path / "token"
    token.write_text("0123456789abcdef0123456789abcdef\n")
    token.chmod(0o600)
    given = serve._listen({**NOTHING, "listen": "127.0.0.1:0", "token_file": str(token)}, "127.0.0.1:9736")
    assert given is not None
    assert (given.port, given.token) == (0, "0123456789abcdef0123456789abcdef")


@pytest.mark.parametrize(("user", "path"), [(0, "/system"), (1000, "/user")])
def test_the_socket_of_this_user_or_of_the_system(
    user: int, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "socket_paths", lambda: ["/user", "/system"])
    monkeypatch.setattr(os, "geteuid", lambda: user)
    found = serve._usual_path()
    monkeypatch.undo()
    assert found == path


# devices --------------------------------------------------------------------------------------------------

METER = Finding("um25c@/dev/ttyUSB0", "meter", 2.5, ("usb", "aux"), ("in",), Facts(place="rail"))
BLIND = Finding("ina219@1:0x40", "meter", error="no chip answers at 0x40; check the wiring")
MODEL = Choice("sim:pi4", "nothing better is here", True)


def test_a_source_that_was_found_as_a_row() -> None:
    assert devices._cells(METER) == [
        "um25c@/dev/ttyUSB0", "2.50 W", "measured at the rail", "external meter",
        "usb, aux (not in the total: in)",
    ]  # fmt: skip
    bare = METER._replace(watts=None, channels=("usb",), excluded=(), kind="gpu")
    assert devices._cells(bare)[1::2] == ["no power yet", "GPU"]
    assert devices._cells(bare)[4] == "usb"


def test_all_that_was_found_as_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    board = find_board("pi-4")
    ports = [Port("/dev/ttyUSB0", "1a86:7523", "serial")]
    lines = [*devices._lines(MODEL, [METER, BLIND], board, ports, ["energymeter-other"])]
    assert lines[0] == f"board: {board.title}"
    assert lines[1] == "chosen: sim:pi4, nothing better is here"
    assert lines[2].startswith("sampling priority: ")
    found = lines.index("found:")
    assert lines[found + 1] == f"  {'  '.join(devices._cells(METER))}"
    absent = lines.index("not available:")
    assert lines[absent + 1] == "  ina219@1:0x40: no chip answers at 0x40; check the wiring"
    port = lines.index("serial ports; if a meter is on one, name it as in um25c@/dev/rfcomm0:")
    assert lines[port + 1] == "  /dev/ttyUSB0  1a86:7523  serial"
    assert lines.index("not supported yet:") == port + 2
    assert any(line.startswith("warning: energymeter-other on this Python") for line in lines)
    bare = [*devices._lines(MODEL, [BLIND], None, [], [])]
    assert bare[0] == "board: not known"
    assert bare[1].startswith("chosen: ")
    assert "found:" not in bare
    assert not any(line.startswith(("serial ports", "warning")) for line in bare)


@pytest.mark.parametrize(
    ("kind", "usable", "wired"),
    [("meter", True, False), ("board", True, False), ("gpu", True, True), ("meter", False, True)],
)
def test_a_board_without_a_sensor_comes_with_how_to_have_one(kind: str, usable: bool, wired: bool) -> None:
    board = find_board("pi-4")
    finding = METER._replace(kind=kind) if usable else BLIND._replace(kind=kind)
    second = [*devices._lines(MODEL, [finding], board, [], [])][1]
    assert second.startswith("  ") is wired


def test_all_that_was_found_as_json() -> None:
    late = BLIND._replace(late=True)
    answer = devices._report(MODEL, [METER, late], None, [Port("/dev/a", "", "x")], ["other"])
    assert (answer["board"], answer["board_has_sensor"]) == (None, None)
    assert answer["choice"] == MODEL._asdict()
    assert answer["found"] == [
        {
            "spec": "um25c@/dev/ttyUSB0", "kind": "meter", "watts": 2.5, "provenance": "measured",
            "place": "rail", "semantics": "instant", "channels": ("usb", "aux"), "excluded": ("in",),
        }
    ]  # fmt: skip
    assert answer["missing"] == [
        {"spec": "ina219@1:0x40", "kind": "meter", "error": BLIND.error, "late": True}
    ]
    assert answer["serial_ports"] == [{"path": "/dev/a", "usb_id": "", "product": "x"}]
    assert answer["foreign_packages"] == ["other"]
    board = devices._report(MODEL, [], find_board("pi-4"), [], [])
    assert board["board_has_sensor"] is False
    assert devices._report(MODEL, [], find_board("pi-5"), [], [])["board_has_sensor"] is True


@pytest.mark.parametrize(("columns", "width"), [("60", 60), ("100", 100), ("160", 100)])
def test_a_long_line_is_wrapped_to_the_terminal(
    columns: str, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    lines = [*devices._wrapped("word " * 60 + "\nremedy one\nremedy two", "  ")]
    wrapped, remedies = lines[:-2], lines[-2:]
    assert remedies == ["  remedy one", "  remedy two"]
    assert max(map(len, wrapped)) <= width
    assert len(wrapped[0]) > width - 5
    assert all(line.startswith("  ") for line in wrapped[1:])
    assert [*devices._wrapped("x" * 200 + "-" * 20, "")] == ["x" * 200 + "-" * 20], "no spec is broken"


@pytest.mark.parametrize("text", ["sim:pi4+sim:pi4", "sim:pi4,sim:pi4"])
def test_an_acceptance_is_of_one_source_alone(text: str) -> None:
    assert refused(lambda: devices._accept(text, 1.0, "", None, False)) == (
        "several sources were named: check one at a time"
    )


# check, show ----------------------------------------------------------------------------------------------


def test_work_and_rest_in_turns_until_the_end(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    from energymeter.cli import check

    def monotonic() -> float:
        clock.now += 0.001
        return clock.now

    monkeypatch.setattr(check, "time", SimpleNamespace(monotonic=monotonic, sleep=clock.sleep))
    _work_and_rest(4.0)
    assert clock.slept[:1] == [0.8]
    assert clock.slept[1] == pytest.approx(0.6)
    assert 4.0 <= clock.now < 4.1
    assert len(clock.slept) == 3
    assert clock.slept[2] <= 0.9


@pytest.mark.parametrize(
    ("epoch_s", "text"),
    [(0.0, "1970-01-01 00:00:00 UTC"), (1.9, "1970-01-01 00:00:01 UTC"), (1e30, "a time that is no date")],
)
def test_the_date_of_a_log(epoch_s: float, text: str) -> None:
    assert show._date(epoch_s) == text


def recorded(tmp_path: Path, rows: list[tuple[float, float]]) -> str:
    path = tmp_path / "log.csv"
    path.write_text("time_s,power_W\n" + "".join(f"{at},{watts}\n" for at, watts in rows))
    return str(path)


@pytest.mark.parametrize("gaps", [0, 1, 10, 11, 12])
def test_ten_gaps_are_shown(tmp_path: Path, gaps: int) -> None:
    rows, at = [], 0.0
    for _ in range(gaps + 1):
        rows += [(round(at + tenth / 10, 1), 2.0) for tenth in range(31)]
        at = round(at + 20, 1)
    lines = said("show", recorded(tmp_path, rows)).split("\n")
    shown = [line for line in lines if line.startswith("gap of 17.0 s at ")]
    assert len(shown) == min(gaps, 10)
    more = [line for line in lines if line.startswith("… and ")]
    assert more == ([] if gaps <= 10 else [f"… and {gaps - 10} more gaps"])


def test_the_pace_of_a_log(tmp_path: Path) -> None:
    lines = said("show", recorded(tmp_path, [(tenth / 10, 2.0) for tenth in range(31)])).split("\n")
    assert "31 samples, 10.0 a second" in lines


def test_a_span_with_one_call_and_with_several() -> None:
    def text(n: int, windows: int) -> str:
        span = SimpleNamespace(joules=6.0, uncertainty=0.3, seconds=2.0, units=())
        trace: Any = SimpleNamespace(
            spans={"a": (n, ((0.0, 1.0),) * windows, {})}, span_usage=lambda name: span
        )
        return show._span(trace, "a")

    assert text(1, 1) == "span a: 6.00 J ± 0.30 in 2.0 s, 1 call"
    assert text(2, 2) == "span a: 6.00 J ± 0.30 in 2.0 s, 2 calls, 3.00 J a call"
    assert text(3, 2) == "span a: 6.00 J ± 0.30 in 2.0 s, 3 calls, 2 of them in the log, 3.00 J a call"
    assert text(2, 1) == "span a: 6.00 J ± 0.30 in 2.0 s, 2 calls, 1 of them in the log"


# carbon ---------------------------------------------------------------------------------------------------


def test_when_a_job_is_cleanest(tmp_path: Path) -> None:
    path = tmp_path / "forecast.csv"
    path.write_text(
        "from,to,g_per_kwh\n2026-01-01T00:00Z,2026-01-01T01:00Z,300\n2026-01-01T01:00Z,2026-01-01T02:00Z,100\n"
        "2026-01-01T02:00Z,2026-01-01T03:00Z,400\n"
    )
    job = ("carbon", "when", "--wh", "2000", "--hours", "1", "--forecast", str(path))
    assert said(*job) == (
        "cleanest: 2026-01-01 01:00Z to 2026-01-01 02:00Z, 200.0 g CO2e at 100.0 g/kWh\n"
        "now:      2026-01-01 00:00Z, 600.0 g; waiting saves 400 g\n"
        "worst:    2026-01-01 02:00Z, 800.0 g\n"
        f"forecast: zone not named, 2026-01-01 00:00Z to 2026-01-01 03:00Z ({path})\n"
    )
    within = said(*job, "--within", "1")
    assert within.startswith("cleanest: 2026-01-01 00:00Z to 2026-01-01 01:00Z, 600.0 g CO2e")
    assert "waiting saves 0 g" in within
    known = json.loads(said(*job, "--json"))
    assert (known["saved_grams"], known["marginal"], known["zone"]) == (400.0, False, None)
    text = said("carbon", "when", "--wh", "2", "--hours", "1", code=2)
    assert "give the forecast: --live SERVICE to ask one, or --forecast FILE" in text
    text = said(*job, "--live", "watttime", code=2)
    assert "give the forecast: --live SERVICE to ask one, or --forecast FILE" in text
    path.write_text("from,to\n1,2\n")
    assert "is not a forecast" in said(*job, code=CliRunner().invoke(cli, [*job]).exit_code)


def test_the_zones_that_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    from energymeter.carbon import grid_lookup
    from energymeter.carbon.grid_tables import Figure

    rows = [Figure("DEU", "Germany", 380.95, 2023, "x"), Figure("gcp/a", "A", 5.0, None, "y")]
    monkeypatch.setattr(grid_lookup, "figures", lambda search: rows)
    assert said("carbon", "grids", "a") == (
        f"{'DEU':<28}   380.9 g/kWh  2023  Germany  [x]\n{'gcp/a':<28}     5.0 g/kWh     ?  A  [y]\n"
    ).replace("380.9 ", f"{380.95:.1f} ")
    assert [one["zone"] for one in json.loads(said("carbon", "grids", "--json"))] == ["DEU", "gcp/a"]


def test_grams_of_a_log_as_they_are_shown(tmp_path: Path) -> None:
    log = recorded(tmp_path, [(0.0, 1000.0), (1800.0, 1000.0), (3600.0, 1000.0)])
    own = ("carbon", log, "--grams-per-kwh", "500", "--source", "x")
    lines = said(*own, "--place", "wall").split("\n")
    assert "  water: unknown (give --litres-per-kwh)" in lines
    assert "  minerals: unknown (give --board)" in lines
    assert sum(line.startswith("  as much as ") for line in lines) == 3
    known = json.loads(
        said(*own, "--json", "--place", "rail", "--efficiency", "0.5", "--litres-per-kwh", "2")
    )
    assert math.isfinite(known["grams"])
    assert known["litres"] == pytest.approx(2 * known["socket_kwh"])
    assert known["supply"]["efficiency"] == 0.5
    made = said(*own, "--board", "pi-4", "--years", "1", "--litres-per-kwh", "2").split("\n")
    assert any(line.startswith("  water: ") and line.endswith(" L") for line in made)
    assert any(
        line.startswith("  minerals: ") and line.endswith(" kg Sb-eq of making the board") for line in made
    )
    assert any("1 years, share 1" in line for line in made)
