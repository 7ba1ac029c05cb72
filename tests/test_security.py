"""What files of others can do (be refused), and the permissions of what is created: see SECURITY.md."""

import ast
import contextlib
import csv
import json
import os
import re
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from devices.web import Said, Web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from energymeter import EnergyMeter, paths
from energymeter.budget.ledger import Ledger
from energymeter.calibration import card
from energymeter.calibration.points import Point, write_csv
from energymeter.carbon import web_json
from energymeter.cli import cli
from energymeter.cli.options import Finite
from energymeter.discovery import choice, last_choice
from energymeter.drivers.links import command, http
from energymeter.drivers.protocols import text_table
from energymeter.errors import EnergyMeterError, LedgerError, LogError, SpecError
from energymeter.lake import schema as lake_schema
from energymeter.reading import Facts
from energymeter.recordings import parquet, textfile
from energymeter.recordings.header import COLUMNS, FORMAT
from energymeter.recordings.reader import read
from energymeter.recordings.trace import Trace
from energymeter.spec import parse

ROOT = Path(__file__).parents[1]

HEADER = {"format": FORMAT, "channels": [{"name": "a", "facts": Facts()._asdict()}]}
ROW = dict.fromkeys(COLUMNS, 1.0)


def refused_or_read(path: Path) -> None:
    """Whatever is in the file: records, or an error that says so; never another exception."""
    with contextlib.suppress(EnergyMeterError):
        read(str(path))


fuzz = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@fuzz
@given(
    field=st.sampled_from(["channels", "started", "sources"]),
    value=JSON,
    fact=st.sampled_from(Facts._fields),
    row=st.dictionaries(st.sampled_from([*COLUMNS, "source"]), JSON),
)
def test_any_header_and_row_are_read_or_refused(
    tmp_path: Path, field: str, value: Any, fact: str, row: dict[str, Any]
) -> None:
    spoiled = {**Facts()._asdict(), fact: value}
    for header in (
        {**HEADER, field: value},
        {**HEADER, "channels": [{"name": value, "facts": Facts()._asdict()}]},
        {**HEADER, "channels": [{"name": "a", "facts": spoiled}]},
    ):
        lines = [json.dumps(header), json.dumps(ROW), json.dumps({**ROW, **row})]
        (tmp_path / "x.jsonl").write_text("\n".join(lines) + "\n")
        refused_or_read(tmp_path / "x.jsonl")


def test_a_header_nested_beyond_reason_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": ' + "[" * 200_000 + "\n")
    with pytest.raises(LogError):
        read(str(path))


def test_a_row_nested_beyond_reason_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps(HEADER) + "\n" + "[" * 200_000 + "\n")
    with pytest.raises(LogError):
        read(str(path))


def test_markup_in_a_name_stays_text(tmp_path: Path) -> None:
    name = "<script>alert(1)</script>"
    header = {**HEADER, "channels": [{"name": name, "facts": Facts()._asdict()}]}
    path = tmp_path / "x.jsonl"
    rows = [json.dumps({**ROW, "time_s": i, "joules": i, "covered_s": i}) for i in range(3)]
    path.write_text("\n".join([json.dumps(header), *rows]) + "\n")
    html = Trace.load(str(path)).usage()._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


@pytest.mark.slow
def test_a_log_carries_no_options(tmp_path: Path) -> None:
    """They may hold a password."""
    path = tmp_path / "run.csv"
    (tmp_path / "old.csv").write_text("time_s,hunter2\n0,5\n1,5\n2,5\n")
    with EnergyMeter(f"csv@{tmp_path}/old.csv?watts=hunter2&unit=W", out=path):
        pass
    assert "hunter2" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_log_and_a_meter_show_no_password_query_or_command_line(tmp_path: Path, ending: str) -> None:
    secrets = ("SECRET", "TOKEN", "OPTION", "ARGUMENT")
    with Web(lambda target, headers: Said(200, "5")) as web:
        sources = (
            f'http@"http://me:SECRET@{web.address}/q?token=TOKEN"?unit=W&password=OPTION',
            "exec@\"sh -c 'echo 5' --token=ARGUMENT\"?unit=W",
        )
        for number, source in enumerate(sources):
            path = tmp_path / f"{number}.{ending}"
            with EnergyMeter(source, rate_hz=10, out=str(path)) as meter:
                time.sleep(0.15)
            shown = path.read_text() + repr(meter) + str(meter.usage) + meter.usage.explain()
            assert not [secret for secret in secrets if secret in shown]
            assert meter.usage.sources[0] in path.read_text(), "it names its source all the same"


@pytest.mark.parametrize(
    "spec",
    ["os@system", "__init__", "_i2c@1", "..errors", "../../tmp/x", "drivers.exec", "exec.Exec", "EXEC"],
)
def test_a_spec_names_a_driver_and_no_other_module(spec: str) -> None:
    with pytest.raises(SpecError):
        for group in parse(spec):
            for one in group:
                one.build()


def test_exec_runs_no_shell(tmp_path: Path) -> None:
    ((spec,),) = parse(f'exec@"echo 5 ; touch {tmp_path}/made"?unit=W')
    source = spec.build()
    try:
        source.open()
        source.read()
    except EnergyMeterError:
        pass
    finally:
        source.close()
    assert not (tmp_path / "made").exists()


def test_a_foreign_ledger_is_refused_or_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    path.write_bytes(b"SQLite format 3\0" + os.urandom(4096))
    with pytest.warns(RuntimeWarning, match="corrupt"):
        Ledger(path).create("b", "{}", "{}")
    (kept,) = [
        f for f in tmp_path.iterdir() if ".corrupt-" in f.name and not f.name.endswith(("-wal", "-shm"))
    ]
    assert kept.read_bytes()[:15] == b"SQLite format 3"


def test_a_ledger_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    with sqlite3.connect(path) as db:
        db.execute("CREATE VIEW budgets AS SELECT 1 AS id, 'x' AS name, '{}' AS battery, '{}' AS shares")
        db.execute("PRAGMA user_version = 2")
    db.close()
    with pytest.raises(LedgerError):
        Ledger(path).create("b", "{}", "{}")


def test_the_sampling_process_takes_no_module_from_the_scripts_folder(tmp_path: Path) -> None:
    modules = ("json", "signal", "mmap", "typing", "random", "struct")
    for module in modules:
        (tmp_path / f"{module}.py").write_text(f"open({str(tmp_path / 'made')!r}, 'w')\n")
    program = (
        f"import sys, time, tempfile, {', '.join(modules)}\n"
        f"from energymeter import EnergyMeter\nsys.path.insert(0, {str(tmp_path)!r})\n"
        "with EnergyMeter('manual:5V,0.6A', rate_hz=100) as meter:\n    time.sleep(0.05)\n"
    )
    subprocess.run(
        [sys.executable, "-c", program], check=True, cwd="/", env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_log_obeys_the_umask_and_is_not_overwritten(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"run.{ending}"
    before = os.umask(0o077)
    try:
        with EnergyMeter("manual:5V,0.6A", out=path, rate_hz=100):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    content = path.read_bytes()
    with pytest.raises(LogError, match="not overwritten"):
        EnergyMeter("manual:5V,0.6A", out=path).__enter__()
    assert path.read_bytes() == content


def test_measuring_leaves_nothing_behind(tmp_path: Path) -> None:
    program = (
        "import time\nfrom energymeter import EnergyMeter\n"
        "with EnergyMeter('manual:5V,0.6A', rate_hz=100) as meter:\n    time.sleep(0.05)\n"
        "print(meter.usage)\n"
    )
    home = {name: str(tmp_path) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_DATA_HOME")}
    subprocess.run(
        [sys.executable, "-c", program], check=True, cwd=tmp_path, stdout=subprocess.DEVNULL,
        env={**os.environ, **home, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_the_curve_is_in_no_folder() -> None:
    with EnergyMeter("manual:5V,0.6A", rate_hz=100) as meter:
        time.sleep(0.05)
        measurement = meter._life.latest
        assert measurement is not None
        fd = measurement.sampler._host._file.fd  # type: ignore[union-attr]
        assert re.match(r"/memfd:.* \(deleted\)|/tmp/#\d+ \(deleted\)", os.readlink(f"/proc/self/fd/{fd}"))


def test_errors_contain_no_password_query_or_command_line() -> None:
    secrets = ("SECRET", "TOKEN", "OPTION", "ARGUMENT")
    url = "http://me:SECRET@127.0.0.1:1/q?token=TOKEN"
    for source in (
        f'http@"{url}"?unit=W&password=OPTION',
        f'http@"{url}"?unit=W&wrong=OPTION',
        f'http@"{url}?unit=W',
        f"HTTP@{url}",
        'http@"http://me:SECRET@127.0.0.1:99999/q?token=TOKEN"?unit=W',
        'http@"http://me:SECRET@[::1/q?token=TOKEN"?unit=W',
        'exec@"sh -c false --token=ARGUMENT"?unit=W',
        'exec@"/no/such/program --token=ARGUMENT"?unit=W',
        'exec@"sh -c false --token=ARGUMENT?unit=W',
    ):
        with pytest.raises(EnergyMeterError) as caught, EnergyMeter(source, rate_hz=10):
            time.sleep(0.05)
        shown = str(caught.value)
        assert not [secret for secret in secrets if secret in shown], shown


def test_no_formula_leaves_as_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From what a person noted, and from a range that a meter names."""
    formula = '=HYPERLINK("http://x")'
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    for arguments in (["new", "z"], ["spend", "z", "--joules", "5", "--note", formula]):
        assert CliRunner().invoke(cli, ["budget", *arguments]).exit_code == 0
    exported = CliRunner().invoke(cli, ["budget", "export", "z"]).output
    write_csv(str(tmp_path / "points.csv"), [Point("amps", 1.0, 1.0, range=formula)])
    for text in (exported, (tmp_path / "points.csv").read_text(encoding="utf-8")):
        cells = [cell for row in csv.reader(text.splitlines()) for cell in row]
        assert f"'{formula}" in cells
        assert formula not in cells


def test_points_are_not_written_through_a_link(tmp_path: Path) -> None:
    thesis = tmp_path / "thesis.tex"
    thesis.write_text("precious")
    for name in ("points.csv", "points.csv.part"):
        (tmp_path / name).symlink_to(thesis)
    write_csv(str(tmp_path / "points.csv"), [Point("amps", 1.0, 1.0)])
    assert thesis.read_text() == "precious"
    assert not (tmp_path / "points.csv").is_symlink()
    assert stat.S_IMODE((tmp_path / "points.csv").stat().st_mode) == 0o600


def test_the_code_changes_no_permissions_and_loads_no_modules() -> None:
    for folder in ("energymeter", "drivers", "calibration"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
                if (name, path.name) == ("fchmod", "descriptors.py"):
                    continue  # of memory of its own, before anybody else has it
                assert name not in {
                    "chmod",
                    "fchmod",
                    "lchmod",
                    "chown",
                    "fchown",
                    "lchown",
                    "setuid",
                    "eval",
                }
                if isinstance(node, ast.Call):
                    started = [a.value for a in ast.walk(node) if isinstance(a, ast.Constant)]
                    starts = isinstance(node.func, ast.Attribute) and node.func.attr in {
                        "run",
                        "Popen",
                        "system",
                    }
                    assert not (starts and {"sudo", "modprobe", "insmod", "chmod"} & {*map(str, started)}), (
                        path
                    )


def test_the_sampling_process_is_isolated_and_of_this_user() -> None:
    with EnergyMeter("manual:5V,0.6A", rate_hz=100):
        child = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
        commands = {pid: Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") for pid in child}
        (pid,) = [
            pid for pid, command in commands.items() if b"energymeter.sampling.child" in b" ".join(command)
        ]
        assert commands[pid][:3] == [sys.executable.encode(), b"-I", b"-S"]
        assert os.stat(f"/proc/{pid}").st_uid == os.geteuid()


@pytest.mark.slow
def test_nothing_connects_unless_it_is_named(tmp_path: Path) -> None:
    """By the interpreter's own audit events, in the program and in what it starts."""
    (tmp_path / "run.csv").write_text("time_s,power_W\n0,5\n1,5\n2,5\n")
    watch = (
        "import os, sys, socket\n"
        "def watch(event, arguments):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo', 'socket.sendto'):\n"
        "        family = getattr(arguments[0], 'family', None)\n"
        "        if family not in (socket.AF_UNIX, getattr(socket, 'AF_NETLINK', None)):\n"
        "            os.write(2, f'CONNECTED {event} {arguments}\\n'.encode())\n"
        "sys.addaudithook(watch)\n"
    )
    (tmp_path / "sitecustomize.py").write_text(watch)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    for arguments in (
        ["log", "manual:5V,0.6A", "--duration", "0.1"],
        ["run", "--source", "sim:pi4", "--", "true"],
        ["show", "run.csv"],
        ["carbon", "run.csv", "--grid", "DEU"],
        ["carbon", "grids", "deu"],
        ["budget", "forecast"],
        ["devices", "--seconds", "0.5"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "energymeter", *arguments],
            capture_output=True, text=True, check=False, cwd=tmp_path, env=environment,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "CONNECTED" not in done.stderr, done.stderr
    probe = [sys.executable, "-c", "import socket; socket.create_connection(('127.0.0.1', 1))"]
    done = subprocess.run(probe, capture_output=True, text=True, check=False, env=environment)
    assert "CONNECTED" in done.stderr, "the watch works"


# -- the page ----------------------------------------------------------------------------------------

NO_CLAIM = (
    "`tests/test_security.py` maps",
    "`make fuzz` runs",
    "Open a private security advisory",
    "Treat a spec",
    "Power readings reveal",
    "Share recordings at high rates",
    "**A spec is as powerful",  # a warning, not a promise
    "What exceeds them",  # said of the rows of the table, each of which has its test
)
"""How to report a problem, and advice."""

HOSTILE, HERE = "recordings/test_hostile_files.py", "test_security.py"
CARDS, DEVICES = "calibration/test_calibration_card.py", "cli/test_cli_devices.py"
EXEC, LINK, LAST = "drivers/test_exec.py", "drivers/links/test_http_link.py", "discovery/test_last_choice.py"
RUNS = "comparison/test_runs.py"
CLAIMS: dict[str, list[str]] = {
    # what files of others can do
    "a recording (CSV, JSON lines, Parquet)": [
        f"{HOSTILE}::test_a_log_or_card_runs_nothing_fetches_nothing_and_writes_nothing",
        f"{HERE}::test_any_header_and_row_are_read_or_refused",
        "test_fuzz.py::test_a_spoiled_file_is_read_or_refused",
    ],
    "a calibration card |it is refused": [
        f"{CARDS}::test_any_sealed_card_is_refused_or_can_be_used",
        f"{CARDS}::test_a_sealed_card_that_holds_nonsense_is_refused",
        f"{CARDS}::test_no_character_of_a_card_can_be_changed",
    ],
    "a recording in a report |": [
        "report/test_page.py::test_html_holds_no_script_and_no_link_and_fetches_nothing",
        "report/test_page.py::test_the_hash_of_the_policy_is_that_of_the_style",
        "report/test_page.py::test_markdown_shows_foreign_text_as_it_is",
        "report/test_page.py::test_tex_holds_no_command_from_a_file",
    ],
    "a spec in `config.ini`": ["discovery/test_choice.py::test_named_sources_win"],
    "the ledger of a budget": [
        f"{HERE}::test_a_foreign_ledger_is_refused_or_set_aside",
        f"{HERE}::test_a_ledger_of_another_program_is_refused",
        f"{HOSTILE}::test_a_trigger_in_a_ledger_calls_no_function",
    ],
    "the last choice of a source, if another": [
        f"{HOSTILE}::test_a_choice_that_another_user_left_is_not_taken",
        f"{LAST}::test_no_link_is_followed",
    ],
    "a name or an error text": [
        f"{HERE}::test_markup_in_a_name_stays_text",
        f"{HOSTILE}::test_the_command_prints_no_escapes_of_a_ledger_or_an_error",
        f"{DEVICES}::test_a_product_name_cannot_move_the_cursor",
        f"{EXEC}::test_what_a_command_says_cannot_move_the_cursor",
        "cli/test_cli_log.py::test_an_error_text_of_a_command_cannot_move_the_cursor",
        "test_text.py::test_a_formula_is_text_to_a_spreadsheet",
        f"{HERE}::test_no_formula_leaves_as_csv",
    ],
    "`exec@": [f"{HERE}::test_exec_runs_no_shell"],
    "A recording contains no spec": [f"{HERE}::test_a_log_carries_no_options"],
    "It contains the names of its sources": [
        f"{HERE}::test_a_log_and_a_meter_show_no_password_query_or_command_line"
    ],
    "Where those alone differ": [f"{EXEC}::test_a_name_shows_the_program_and_nothing_of_its_arguments"],
    "Errors contain no password": [f"{HERE}::test_errors_contain_no_password_query_or_command_line"],
    "The bundle of": [f"{DEVICES}::test_the_bundle_holds_what_was_seen_and_nothing_private"],
    # limits
    "Every reader of outside data has limits": [f"{HERE}::test_the_limits_on_the_page_are_those_of_the_code"],
    "a calibration card |1 MB": [
        f"{CARDS}::test_a_file_that_is_too_large_for_a_card_is_refused",
        f"{CARDS}::test_more_cards_than_anybody_has_are_refused",
        "test_paths.py::test_only_regular_files_of_limited_size_are_read",
    ],
    "points of a calibration, a table": [
        "cli/test_cli_carbon.py::test_a_forecast_is_of_limited_size",
        "calibration/test_calibration_procedure.py::test_a_table_is_of_limited_size",
    ],
    "a service for live intensities": [
        "carbon/test_live_grid.py::test_an_endless_answer_is_cut",
        "carbon/test_live_grid.py::test_a_dripping_header_ends_with_the_timeout",
    ],
    "`config.ini` |64 KB": ["discovery/test_choice.py::test_settings_are_of_limited_size"],
    "the last choice of a source |1 MB": [f"{LAST}::test_what_makes_no_sense_is_nothing"],
    "an attribute of the kernel": ["test_paths.py::test_an_attribute_is_one_page_at_most"],
    "an answer over HTTP": [
        f"{LINK}::test_one_deadline_holds_for_everything_that_drips",
        f"{LINK}::test_a_flood_without_a_length_is_refused_and_its_connection_closed",
    ],
    "the output of a command": [
        f"{EXEC}::test_an_endless_answer_is_refused_before_it_fills_the_memory",
        f"{EXEC}::test_endless_lines_are_dropped_and_counted",
        f"{EXEC}::test_a_hung_command_is_killed_with_its_children",
    ],
    "a line of a growing CSV file": ["drivers/test_csv.py::test_a_line_without_an_end_is_dropped"],
    "a line of a recording": [f"{HOSTILE}::test_a_disk_of_zeros_in_a_small_file_takes_no_memory"],
    "the samples of a JLS file": [
        "recordings/test_jls.py::test_many_samples_are_joined_and_keep_their_energy"
    ],
    "a row group of a Parquet file": [f"{HERE}::test_the_limits_on_the_page_are_those_of_the_code"],
    "the marker of a lake": [f"{HERE}::test_the_limits_on_the_page_are_those_of_the_code"],
    "a number on the command line": ["cli/test_cli.py::test_numbers_are_finite"],
    # what runs
    "`report -o x.pdf` runs": ["report/test_page.py::test_a_browser_gets_a_new_profile_and_no_network"],
    "a report or a card": [
        "cli/test_cli_report.py::test_nothing_is_replaced_unasked_and_no_link_is_followed",
        "cli/test_cli_report.py::test_a_recording_is_never_replaced",
    ],
    "Nothing needs root": ["drivers/test_rapl.py::test_an_unreadable_counter_says_how_to_open_it"],
    "If only root can read": ["drivers/test_rapl.py::test_an_unreadable_counter_says_how_to_open_it"],
    "The package never changes permissions": [
        f"{HERE}::test_the_code_changes_no_permissions_and_loads_no_modules"
    ],
    "Sources are read in a process of their own": [
        f"{HERE}::test_the_sampling_process_is_isolated_and_of_this_user"
    ],
    "That process ends": [
        "sampling/test_sampler.py::test_the_child_ends_within_two_seconds_of_its_parents_sigkill_and_the_log_is_whole"
    ],
    "After a block it may stay ready": ["meter/test_entering_again.py::test_it_ends_after_its_time"],
    "A program that changes its user": [
        "meter/test_entering_again.py::test_what_has_changed_starts_another_process",
        "meter/test_entering_again.py::test_a_program_that_dropped_its_rights_does_not_use_what_it_had_opened_before",
    ],
    "Drivers come from": [f"{HERE}::test_a_spec_names_a_driver_and_no_other_module"],
    "A file in the current folder": [
        f"{HERE}::test_the_sampling_process_takes_no_module_from_the_scripts_folder"
    ],
    "A reader of an agent gets": [
        "serve/test_local.py::test_a_reader_can_only_read_the_ring",
        "serve/test_local.py::test_a_mapping_of_the_ring_is_read_only",
    ],
    "Before Linux 5.1": ["serve/test_local.py::test_without_the_seal_only_other_users_are_given_the_ring"],
    "An agent serves its own user": ["serve/test_local.py::test_users_outside_the_group_are_rejected"],
    "It opens what its configuration names": [
        "serve/test_local.py::test_only_what_the_configuration_names_is_opened"
    ],
    "A reader trusts an agent": ["serve/test_local.py::test_an_agent_of_another_user_is_refused"],
    "A link in place of the socket": ["serve/test_local.py::test_a_link_is_no_socket"],
    "An agent listens on a network only": [
        "serve/test_agent_http.py::test_beyond_this_computer_it_needs_a_token_and_tls"
    ],
    "The token is in a file": [
        "serve/test_agent_http.py::test_a_token_is_secret_and_long",
        "serve/test_agent_http.py::test_without_the_token_nothing_is_answered",
    ],
    "A reader sends the token over TLS": ["serve/test_remote.py::test_the_certificate_is_pinned"],
    "Without a token, an agent": ["serve/test_agent_http.py::test_a_page_of_another_site_is_refused"],
    "What an agent sends names": [
        "serve/test_agent_http.py::test_no_program_user_or_argument_is_in_an_answer"
    ],
    "There is no telemetry": [f"{HERE}::test_nothing_connects_unless_it_is_named"],
    "The network is used only": [f"{HERE}::test_nothing_connects_unless_it_is_named"],
    "A page that `plot` writes": ["report/test_interactive.py::test_the_page_asks_no_network"],
    "Meters on a serial port get only": [
        "drivers/test_um.py::test_noise_before_the_frame_is_stepped_over",
        "drivers/test_tc66c.py::test_the_recorded_answer",
        "drivers/test_pzem.py::test_the_recorded_question_and_answer",
        "drivers/test_atorch.py::test_read_waits_for_the_next_report_and_unplugging_is_reported",
        "drivers/test_ppk2.py::test_what_is_sent_in_each_mode",
    ],
    # what is created
    "the rows of a recording": [
        "recordings/test_bulk.py::test_very_long_tables_are_joined_and_lose_no_energy",
    ],
    "Its header names the host": ["report/test_verification.py::test_a_real_run_says_what_is_known_of_it"],
    "a recording |the file": [
        f"{HERE}::test_a_log_obeys_the_umask_and_is_not_overwritten",
        f"{HOSTILE}::test_a_log_is_not_written_through_a_link_that_appears_meanwhile",
    ],
    "the last choice of a source |the user's": [
        f"{LAST}::test_it_is_kept_for_this_user_alone",
        f"{LAST}::test_no_link_is_followed",
    ],
    "a run or plan in the folder": [
        f"{RUNS}::test_what_is_too_large_or_no_regular_file_is_refused",
        f"{RUNS}::test_a_damaged_run_is_named",
    ],
    "the output of a compared command": [f"{RUNS}::test_of_the_output_of_a_command_the_end_is_searched"],
    "`compare` and `sweep` run the commands": ["comparison/test_compare.py::test_two_commands"],
    "`sweep --board` writes": [
        "comparison/test_sweep.py::test_a_board_axis_is_set_for_each_run_and_restored",
        "comparison/test_sweep.py::test_what_a_killed_sweep_left_is_restored_by_the_next_one",
    ],
    "the runs of a comparison or sweep": [
        f"{RUNS}::test_a_folder_of_other_things_is_refused",
        f"{RUNS}::test_files_are_the_users_own_and_no_link_is_followed",
    ],
    "an exported timeline |": [
        "report/test_timeline.py::test_nothing_is_overwritten_and_no_link_is_written_through",
    ],
    "a trace in Chrome's JSON": ["report/test_timeline.py::test_a_trace_that_is_too_large_is_refused"],
    "a line of a command that": [
        "report/test_phases.py::test_a_line_without_end_is_searched_in_its_first_64_kb",
        "report/test_phases.py::test_a_pattern_that_takes_too_long_is_given_up_and_the_output_passes_on",
    ],
    "a request to an agent": [
        "serve/test_local.py::test_requests_that_make_no_sense_are_rejected",
        "serve/test_local.py::test_idle_clients",
    ],
    "a request over HTTP to an agent": [
        "serve/test_agent_http.py::test_requests_that_make_no_sense",
        "serve/test_agent_http.py::test_idle_connections",
    ],
    "a line of the stream of another": ["serve/test_remote.py::test_what_is_no_stream"],
    "the file of `energymeter serve --config`": [
        "serve/test_config.py::test_a_file_that_makes_no_sense_is_refused"
    ],
    "a mark of a phase": [
        "report/test_phases.py::test_what_is_no_mark_is_left_out",
        "report/test_phases.py::test_a_time_that_cannot_be_is_that_of_the_arrival",
        "report/test_phases.py::test_names_are_as_many_as_a_log_holds",
    ],
    "a line of llama-bench": [
        "integrations/test_llama_bench.py::test_other_output_is_refused",
        "integrations/test_llama_bench.py::test_a_line_of_more_than_a_megabyte_is_refused",
        "meter/test_tokens.py::test_counts_and_times_that_no_request_has",
    ],
    "the socket for marks": ["report/test_phases.py::test_the_socket_is_for_this_user_alone_and_is_removed"],
    "a baseline |": [
        f"{RUNS}::test_a_baseline_is_read_as_it_was_written_and_never_replaced",
        f"{RUNS}::test_files_are_the_users_own_and_no_link_is_followed",
    ],
    "The closing record of a recording": [
        "recordings/test_span_records.py::test_the_log_of_a_meter_holds_its_spans"
    ],
    "a picture or a page of `plot`, a picture of `check` |": [
        "report/test_plot.py::test_a_picture_is_a_file_that_replaces_nothing",
        "cli/test_cli_plot.py::test_nothing_is_replaced_without_force",
    ],
    "A device, a pipe or a folder in the place of": [
        "test_paths.py::test_only_a_file_is_replaced_and_no_device_pipe_or_folder"
    ],
    "a ledger |": [f"{HOSTILE}::test_folders_that_are_made_are_their_owners_alone"],
    "a calibration card |the user's": [
        f"{HOSTILE}::test_a_card_is_not_written_through_a_planted_link",
        f"{HOSTILE}::test_folders_that_are_made_are_their_owners_alone",
    ],
    "points of a calibration |the file": [f"{HERE}::test_points_are_not_written_through_a_link"],
    "the socket of an agent": [
        "serve/test_local.py::test_the_socket_is_for_its_user_alone",
        "serve/test_local.py::test_the_socket_is_for_the_group",
        "serve/test_local.py::test_what_an_agent_has_left_is_replaced",
    ],
    "the curve in memory": [f"{HERE}::test_the_curve_is_in_no_folder"],
    "a page of another site, in a browser on this machine |": [
        "serve/test_site.py::test_a_name_that_was_made_to_resolve_here_opens_nothing",
        "serve/test_site.py::test_a_page_of_another_origin_reads_nothing",
    ],
    "a program that can connect, without the token |": [
        "serve/test_site.py::test_with_a_token_only_the_empty_page_is_open",
        "serve/test_site.py::test_nothing_can_be_changed",
    ],
    "a name in a request for a recording |": [
        "serve/test_site.py::test_no_name_leads_out_of_the_folder",
    ],
    "a name of a source, a span or a file on the page |": [
        "serve/test_site.py::test_figures_are_texts_and_nothing_that_json_does_not_know",
        "serve/test_site.py::test_the_script_sets_texts_and_no_markup",
        "serve/test_site.py::test_the_page_is_one_small_file_whose_policy_allows_itself_alone",
    ],
    "a report that the page opens |": [
        "serve/test_site.py::test_a_report_runs_no_script_and_keeps_its_own_style",
    ],
    "The cookie of the page": [
        "serve/test_site.py::test_the_cookie_proves_the_token_and_does_not_contain_it",
    ],
    "a request to the page of the agent |": [
        "serve/test_site.py::test_an_endless_target_is_refused",
        "serve/test_site.py::test_nothing_can_be_changed",
    ],
    "a recording that the page of the agent draws or sends |": [
        "serve/test_site.py::test_a_recording_that_is_too_large_is_refused",
    ],
    "No label of an exporter": [
        "serve/test_prometheus.py::test_no_label_holds_a_program_or_a_user",
    ],
    "Over OTLP": [
        "serve/test_otel.py::test_the_resource_names_no_program_no_user_and_no_host",
    ],
    "The password of an MQTT broker": [
        "serve/test_mqtt.py::test_what_is_no_address_is_refused_without_its_password",
    ],
    "The machine's identifier": [
        "serve/test_mqtt.py::test_the_machine_stays_the_same_and_its_identifier_stays_here",
    ],
    "the totals of counters (`totals.json`) |": [
        "serve/test_totals.py::test_a_damaged_file_is_set_aside_with_a_warning",
        "serve/test_totals.py::test_channels_are_limited",
        "serve/test_totals.py::test_spans_are_counted_in_ranges_and_their_names_are_limited",
    ],
    "the totals of counters |`totals.json`": [
        "serve/test_totals.py::test_the_file_is_for_this_user_alone_and_on_the_disk_before_it_is_shown",
    ],
    "a program with the token, or one": [
        "serve/test_client_spans.py::test_the_energy_is_that_of_the_agents_ring",
        "serve/test_spans_on_the_wire.py::test_a_connection_that_sends_spans_opens_nothing",
        "serve/test_spans_on_the_wire.py::test_over_the_network_only_with_a_token",
    ],
    "a message of spans to an agent |": [
        "serve/test_client_spans.py::test_a_message_that_makes_no_sense",
        "serve/test_client_spans.py::test_a_flood_is_cut_and_counted",
        "serve/test_client_spans.py::test_names_are_cut_and_have_no_control_characters",
        "serve/test_client_spans.py::test_times_that_cannot_be_are_left_out",
        "serve/test_spans_on_the_wire.py::test_a_body_that_never_ends_is_given_up",
    ],
    "The names of spans leave a program": [
        "serve/test_spans_on_the_wire.py::test_without_the_option_nothing_is_sent",
    ],
    "Over a network an agent takes them": [
        "serve/test_spans_on_the_wire.py::test_over_the_network_only_with_a_token",
        "serve/test_spans_on_the_wire.py::test_without_the_token_nothing_is_taken",
    ],
    "the record of an agent |": ["serve/test_record.py::test_no_other_file_is_touched"],
    "a claim on an I²C chip": ["drivers/links/test_i2c.py::test_second_reader_learns_who_is_first"],
}
"""The beginning of a sentence or a table's row (cells joined by " |"): the tests that hold it."""


def sentences(page: str) -> Iterator[str]:
    """The sentences and the rows of tables of a page of Markdown, without its titles."""
    for block in re.split(r"\n\s*\n", page):
        lines = block.strip().split("\n")
        if lines[0].startswith("#"):
            continue
        if lines[0].startswith("|"):
            for row in lines[2:]:
                yield " |".join(cell.strip() for cell in row.strip("|").split("|"))
            continue
        for item in re.split(r"\n- |^- ", block.strip()) if lines[0].startswith("- ") else [block]:
            text = " ".join(item.split())
            yield from filter(None, re.split(r"(?<=[.:])(?:\*\*)? (?=[A-Z`])", text))


def test_each_sentence_of_the_page_is_held_by_tests() -> None:
    used = set()
    for sentence in sentences((ROOT / "SECURITY.md").read_text(encoding="utf-8")):
        keys = [key for key in (*CLAIMS, *NO_CLAIM) if sentence.startswith(key)]
        assert len(keys) == 1, (sentence, keys)
        used.add(keys[0])
    assert used == {*CLAIMS, *NO_CLAIM}, "the page says no more than that"


@pytest.mark.parametrize("test", sorted({test for tests in CLAIMS.values() for test in tests}))
def test_a_test_that_holds_a_sentence_is_there(test: str) -> None:
    file, name = test.split("::")
    assert re.search(rf"^def {name}\(", (ROOT / "tests" / file).read_text(encoding="utf-8"), re.MULTILINE)


TABLES = "points of a calibration, a table of a counter, a forecast of intensities, a log of a gauge"


LAKE = "the marker of a lake, a report that is pushed into one"


def test_the_limits_on_the_page_are_those_of_the_code() -> None:
    page = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    rows = [row for row in sentences(page.partition("## Limits")[2].partition("##")[0]) if " |" in row]

    def limit(of: str) -> str:
        (row,) = [row for row in rows if row.startswith(f"{of} |")]
        return row.partition(" |")[2]

    megabyte = 1_000_000
    for of, bound in (
        ("a calibration card", f"{card.MOST_BYTES / megabyte:g} MB"),
        ("a calibration card", f"{card.MOST_CARDS} cards"),
        (TABLES, f"{textfile.MOST_CHARACTERS // megabyte} MB of text"),
        ("a service for live intensities", f"{web_json.MOST_BYTES >> 20} MB"),
        ("`config.ini`", f"{choice.MOST_SETTINGS >> 10} KB"),
        ("the last choice of a source", f"{last_choice.MOST_BYTES / megabyte:g} MB"),
        ("an attribute of the kernel (sysfs)", f"{paths.PAGE >> 10} KB"),
        ("an answer over HTTP (`http@`, plugs)", f"{http.MOST_BYTES >> 20} MB"),
        ("the output of a command", f"{command.MOST_OUTPUT >> 20} MB"),
        ("the output of a command", f"{command.LONGEST_LINE >> 10} KB"),
        ("a line of a growing CSV file", f"{text_table.LONGEST_LINE >> 10} KB"),
        ("a row group of a Parquet file", f"{parquet.MOST_GROUP_ROWS >> 20} million rows"),
        (LAKE, f"{lake_schema.MOST_MARKER_BYTES >> 10} KB; {lake_schema.MOST_REPORT_BYTES >> 20} MB"),
        ("a number on the command line", f"±{Finite().max:g}".replace("+", "")),
    ):
        assert bound in limit(of), (of, bound)
