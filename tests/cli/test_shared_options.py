"""What several commands share: numbers at both sides of their limits, durations, windows, passed options."""

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import click
import pytest
from devices.terminal import in_process

from energymeter.battery.battery import Battery
from energymeter.cli import budget_options, comparison_options, serve_options
from energymeter.cli.options import Finite, Positive, loaded, meter_of, span_or_window, usage_text
from energymeter.comparison.interleaved import Protocol
from energymeter.errors import SpecError
from energymeter.reading import Facts
from energymeter.recordings.trace import Trace


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Finite(), "1e15", 1e15), (Finite(), "-1e15", -1e15), (Finite(), "0", 0.0),
        (Finite(), "1e-12", 1e-12), (Finite(), "-1e-12", -1e-12),
        (Finite(0, 5), "0", 0.0), (Finite(0, 5), "5", 5.0),
        (Positive(), "1e-9", 1e-9), (Positive(), "1e15", 1e15), (Positive(max=1), "1", 1.0),
    ],
)  # fmt: skip
def test_a_number_at_its_limit_is_taken(kind: Finite, text: str, value: float) -> None:
    assert kind.convert(text, None, None) == value


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        (Finite(), "1.1e15", "range"), (Finite(), "-1.1e15", "range"),
        (Finite(), "9e-13", "too close to 0; give 0, or at least 1e-12"), (Finite(), "-9e-13", "too close"),
        (Finite(), "nan", "nan is not a finite number"), (Finite(), "inf", "not a finite"),
        (Finite(0, 5), "-0.1", "range"), (Finite(0, 5), "5.1", "range"),
        (Positive(), "0", "range"), (Positive(), "9e-10", "range"), (Positive(), "-1", "range"),
        (Positive(max=1), "1.1", "range"),
    ],
)  # fmt: skip
def test_a_number_beyond_its_limit_is_refused(kind: Finite, text: str, said: str) -> None:
    with pytest.raises(click.BadParameter, match=said):
        kind.convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("30:90", (30.0, 90.0)), ("-1:0.5", (-1.0, 0.5)), ("load", "load"), ("load:1", "load:1"),
        ("1:load", "1:load"), (":5", ":5"), ("5:", "5:"), ("1:2:3", "1:2:3"), ("7", "7"),
    ],
)  # fmt: skip
def test_a_window_or_the_name_of_a_span(text: str, found: object) -> None:
    assert span_or_window(text) == found


@pytest.mark.parametrize("text", ["2:2", "3:2"])
def test_a_window_ends_after_it_begins(text: str) -> None:
    with pytest.raises(SpecError, match=f"^'{text}' ends before it begins; write start and end in seconds"):
        span_or_window(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90.0), ("30s", 30.0), ("5min", 300.0), ("2h", 7200.0), ("1d", 86400.0), ("500ms", 0.5),
     ("1000000d", 8.64e10)],
)  # fmt: skip
def test_a_duration(text: str, seconds: float) -> None:
    assert budget_options.seconds(text) == seconds


@pytest.mark.parametrize("text", ["0", "0s", "-1s", "1000001d", "5 parsecs", "soon", "", "nan"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is no duration up to a million days"):
        budget_options.seconds(text)


@pytest.mark.parametrize(("text", "share"), [("0", 0), ("0%", 0), ("100%", 1), ("1", 1), ("7%", 0.07)])
def test_a_share_at_its_limits(text: str, share: float) -> None:
    assert budget_options.share(text) == pytest.approx(share, abs=1e-15)


@pytest.mark.parametrize("text", ["-0.01", "-1%", "100.1%", "1.01"])
def test_a_share_beyond_its_limits(text: str) -> None:
    with pytest.raises(click.BadParameter, match=r"is no share: write 10% or 0\.1"):
        budget_options.share(text)


def test_the_level_of_an_empty_gauge() -> None:
    assert (budget_options.level("0"), budget_options.level("0%")) == (0.0, 0.0)


@pytest.mark.parametrize("measured", [None, 3000.0])
@pytest.mark.parametrize("celsius", [None, 0.0])
def test_what_is_known_of_a_battery_is_added(measured: float | None, celsius: float | None) -> None:
    phone = Battery.parse("phone")
    found = budget_options.known(phone, measured, celsius)
    assert found.celsius == (phone.celsius if celsius is None else celsius)
    assert found.known == (measured is not None)
    assert (found == phone) == (measured is None and celsius is None)


def test_named_tuples_of_any_depth_become_objects() -> None:
    facts = {"a": Facts(), "b": {"c": Facts()}, "d": [1]}
    said = budget_options.plain(facts)
    assert said["b"]["c"] == said["a"]
    assert said["a"]["provenance"] == "measured"
    assert said["d"] == [1]
    json.dumps(said)


@pytest.mark.parametrize(
    ("card", "without", "calibration"),
    [(None, False, True), (None, True, False), ("c.json", False, "c.json")],
)
def test_a_card_is_used_unless_it_is_not_wanted(card: str | None, without: bool, calibration: object) -> None:
    meter = meter_of("manual:5W", {"card": card, "no_calibration": without})
    assert meter._calibration == calibration


def test_a_card_and_no_card_exclude_each_other() -> None:
    with pytest.raises(SpecError, match=r"^--calibration and --no-calibration exclude each other; leave one"):
        meter_of("manual:5W", {"card": "c.json", "no_calibration": True})


FOREIGN = "time_s,watts\n0,1\n1,1\n1,1\n2,nan\n3,1\n"
RECOGNISED = "read as CSV: time_s [s], watts [W]"
NOTES = (
    "note: 1 of 5 rows without a value, such as 'nan'",
    "note: up to 2 rows share the same time: they were spread evenly over 1.0 s",
)


@pytest.mark.parametrize(
    ("caller", "quiet", "said"),
    [("plot", False, (RECOGNISED, *NOTES)), ("show", False, (RECOGNISED,)), ("plot", True, ())],
)
def test_what_a_foreign_file_was_read_as_is_said(
    caller: str, quiet: bool, said: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.csv").write_text(FOREIGN)
    trace = loaded(str(tmp_path / "x.csv"), caller, quiet=quiet)
    assert [f"note: {note}" for note in trace.notes] == [*NOTES]
    found = capsys.readouterr()
    assert (found.out, found.err.splitlines()) == ("", [*said])


def test_of_our_own_file_only_its_notes_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Trace.integrate([0, 1, 2], [3.0] * 3, facts=Facts()).save(tmp_path / "x.csv")
    loaded(str(tmp_path / "x.csv"), "plot")
    assert capsys.readouterr() == ("", "")


def test_a_foreign_file_is_recognised_once_by_each_command(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(FOREIGN)
    done = in_process("export", str(tmp_path / "x.csv"), "--to", "chrome", "-o", str(tmp_path / "x.json"))
    assert (done.returncode, done.stdout, done.stderr.splitlines()) == (0, "", [RECOGNISED, *NOTES])


def test_a_usage_is_one_line_or_one_object() -> None:
    usage = Trace.integrate([0, 1, 2], [3.0] * 3, facts=Facts()).usage()
    assert usage_text(usage, as_json=False) == str(usage)
    assert json.loads(usage_text(usage, as_json=True))["joules"] == 6.0


NOTHING: dict[str, Any] = {
    "web": False, "metrics": False, "recordings": None, "record": None, "record_megabytes": None,
    "record_minutes": None, "mqtt": None, "mqtt_title": None, "mqtt_prefix": None, "otlp": None,
    "otlp_host": None, "push": None, "push_endpoint": None, "budgets": (),
}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, []),
        ({"web": True}, ["--web"]),
        ({"metrics": True}, ["--metrics"]),
        ({"recordings": "r"}, ["--recordings", os.path.abspath("r")]),
        ({"record": "/srv/r"}, ["--record", "/srv/r"]),
        ({"record_megabytes": "5"}, ["--record-megabytes", "5"]),
        ({"record_minutes": "9"}, ["--record-minutes", "9"]),
        ({"mqtt": "mqtt://h"}, ["--mqtt", "mqtt://h"]),
        ({"mqtt_title": "t"}, ["--mqtt-title", "t"]),
        ({"mqtt_prefix": "p"}, ["--mqtt-prefix", "p"]),
        ({"otlp": "http://h"}, ["--otlp", "http://h"]),
        ({"otlp_host": "s"}, ["--otlp-host", "s"]),
        ({"budgets": ("a", "b")}, ["--budget", "a", "--budget", "b"]),
    ],
)
def test_the_options_of_an_agent_are_passed_on(given: dict[str, Any], words: list[str]) -> None:
    assert serve_options.exporter_arguments({**NOTHING, **given}) == words


def test_sigterm_ends_runs_as_ctrl_c_does_and_afterwards_as_before() -> None:
    came = []
    before = signal.signal(signal.SIGTERM, lambda *_: came.append("before"))
    try:
        with pytest.raises(KeyboardInterrupt), comparison_options.ended_by_signals():
            signal.raise_signal(signal.SIGTERM)
        assert came == []
        signal.raise_signal(signal.SIGTERM)
        assert came == ["before"]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_runs_without_a_folder_get_one_by_their_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    folder = comparison_options.new_folder()
    assert re.fullmatch(
        rf"{re.escape(str(tmp_path))}/energymeter/comparisons/20\d\d-\d\d-\d\d-\d{{6}}-{os.getpid()}", folder
    )


def test_without_a_terminal_no_progress_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with comparison_options.progress() as show:
        show(0, 3, "A")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("prepare", [None, "true"])
def test_the_protocol_is_what_the_options_say(prepare: str | None) -> None:
    given = {
        "runs": 3, "min_seconds": 0.5, "warmup": 2, "cooldown": 1.0, "celsius": 50.0, "idle": 0.1, "seed": 4,
        "workload": "w", "unit": None, "prepare": prepare, "zone": "DEU",
    }  # fmt: skip
    left = dict(given)
    protocol = comparison_options.protocol_of(left)
    assert left == {"zone": "DEU"}
    assert (protocol.prepare is None) == (prepare is None)
    assert protocol._replace(prepare=None) == Protocol(
        runs=3,
        min_seconds=0.5,
        warmup=2,
        cooldown=1.0,
        celsius=50.0,
        idle=0.1,
        seed=4,
        workload="w",
        unit="run",
    )
