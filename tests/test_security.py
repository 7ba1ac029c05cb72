"""What files of others can do (be refused), and the permissions of what is created: see SECURITY.md."""

import contextlib
import json
import os
import re
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from devices.web import Said, Web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from energymeter import EnergyMeter
from energymeter.budget.ledger import Ledger
from energymeter.errors import EnergyMeterError, LedgerError, LogError, SpecError
from energymeter.reading import Facts
from energymeter.recordings.reader import read
from energymeter.recordings.trace import Trace
from energymeter.recordings.writer import COLUMNS, FORMAT
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
