"""Where a package of an extra is missing, one sentence says what for and how to install it."""

import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from serve.made_figures import GivenFeed, figures

from energymeter import Trace
from energymeter.comparison.sweeping import _write_parquet
from energymeter.errors import ExtraMissing
from energymeter.lake.engines import Tables
from energymeter.lake.schema import arrow, check_marker
from energymeter.lake.store import Store
from energymeter.report.timeline import Timeline, to_perfetto
from energymeter.serve.agent import Agent
from energymeter.serve.config import Config, SourceEntry
from energymeter.serve.http import HttpServer, Listen
from energymeter.serve.mqtt import Broker, Publisher
from energymeter.serve.otel import Telemetry


def trace() -> Trace:
    return Trace.integrate(range(3), [1.0] * 3, name="rail")


def lake(folder: Path, engine: str) -> Tables:
    check_marker(Store(str(folder)), create=True)
    return Tables(folder, engine)


def serve() -> None:
    with closing(Agent(Config((SourceEntry.of("pi", "manual:5V,0.6A"),)))) as agent:
        HttpServer(agent, Listen("127.0.0.1", 0, "t" * 32))


def publish() -> None:
    Publisher(GivenFeed(figures()), Broker("host", 1883, False, None))


CALLS: dict[tuple[str, str], Callable[[Path], Any]] = {
    ("pyarrow", "lake"): lambda folder: arrow(),
    ("fsspec", "lake"): lambda folder: Store(str(folder)),
    ("ibis", "lake"): lambda folder: lake(folder, "duckdb"),
    ("duckdb", "lake"): lambda folder: lake(folder, "duckdb"),
    ("polars", "lake-polars"): lambda folder: lake(folder, "polars"),
    ("pyspark.sql", "lake-spark"): lambda folder: lake(folder, "spark"),
    ("pandas", "pandas"): lambda folder: trace().to_pandas(),
    ("pyarrow", "parquet"): lambda folder: trace().save(folder / "a.parquet"),
    ("pyarrow.parquet", "parquet"): lambda folder: _write_parquet(str(folder / "a.parquet"), [{"a": 1}]),
    ("perfetto", "timeline"): lambda folder: to_perfetto(Timeline.of(trace())),
    ("opentelemetry", "otel"): lambda folder: Telemetry(GivenFeed(figures()), "http://host:4318"),
    ("paho.mqtt.client", "mqtt"): lambda folder: publish(),
    ("uvicorn", "serve"): lambda folder: serve(),
    ("starlette", "serve"): lambda folder: serve(),
}


@pytest.mark.parametrize(("package", "extra"), CALLS)
def test_what_is_missing_is_named_with_its_extra(
    package: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ExtraMissing, match=rf'pip install "edge-energymeter\[{extra}\]"'):
        CALLS[package, extra](tmp_path)
