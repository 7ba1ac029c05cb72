"""What a collector of OpenTelemetry is sent, decoded from the requests."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from serve.made_figures import BOARD, CPU, GivenFeed, figures

from energymeter.errors import SpecError
from energymeter.serve import names
from energymeter.serve.totals import Totals

pytest.importorskip("opentelemetry.exporter.otlp.proto.http")

from energymeter.serve.otel import Telemetry, hw_type


@contextmanager
def collector() -> Iterator[tuple[str, list[Any]]]:
    """A collector that keeps the requests, decoded by the official messages."""
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

    requests: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/metrics"
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            requests.append(ExportMetricsServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing on the terminal."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requests
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def points(request: Any) -> dict[str, dict[str, tuple[float, dict[str, str], Any]]]:
    """Value, attributes and the metric, by name and ``hw.id``."""
    found: dict[str, dict[str, tuple[float, dict[str, str], Any]]] = {}
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                data = metric.sum if metric.HasField("sum") else metric.gauge
                for point in data.data_points:
                    attributes = {pair.key: pair.value.string_value for pair in point.attributes}
                    found.setdefault(metric.name, {})[attributes[names.OTEL_ID]] = (
                        point.as_double, attributes, metric,
                    )  # fmt: skip
    return found


def test_a_host_has_names_of_its_own_and_its_parts_name_it() -> None:
    totals = Totals()
    feed = GivenFeed(figures(totals=totals))
    inner = CPU._replace(source="board", channel="cpu")
    feed.given = figures(BOARD, inner, CPU, totals=totals)
    with collector() as (url, requests):
        sender = Telemetry(feed, url, host="board")  # type: ignore[arg-type]
        feed.given = figures(
            BOARD._replace(joules=7260.0),
            inner._replace(joules=3010.0),
            CPU._replace(joules=3005.0),
            totals=totals,
        )
        sender.flush()
        sender.stop()
    found = points(requests[0])
    assert {*found} == {name for name, _, _ in names.OTEL_NAMES}
    joules, attributes, metric = found["hw.host.energy"]["board"]
    assert joules == pytest.approx(60.0), "since the exporter began, as its start time says"
    assert (metric.unit, metric.sum.is_monotonic, metric.sum.aggregation_temporality) == ("J", True, 2)
    assert attributes == {"hw.id": "board", "energymeter.place": "rail", "energymeter.provenance": "measured"}
    assert found["hw.host.power"]["board"][0] == 3.6
    assert {*found["hw.energy"]} == {"board/cpu", "cpu/rapl:package-0"}, "the host is in no sum of its parts"
    joules, attributes, metric = found["hw.energy"]["board/cpu"]
    assert joules == pytest.approx(10.0)
    assert attributes["hw.parent"] == "board"
    assert attributes["hw.type"] == "cpu"
    assert {*attributes} <= {*names.OTEL_ATTRIBUTES}
    assert metric.unit == "J"


def test_without_a_host_nothing_is_one() -> None:
    """A meter on this machine may measure another one; only the user knows."""
    with collector() as (url, requests):
        sender = Telemetry(GivenFeed(figures()), url)  # type: ignore[arg-type]
        sender.flush()
        sender.stop()
    found = points(requests[0])
    assert not {"hw.host.energy", "hw.host.power"} & {*found}
    assert found["hw.power"]["board/ina219@1:0x40"][1]["hw.type"] == "power_supply"


def test_batteries_have_charge_time_and_capacity() -> None:
    with collector() as (url, requests):
        sender = Telemetry(GivenFeed(figures()), url)  # type: ignore[arg-type]
        sender.stop()
    found = points(requests[0])
    charge, attributes, metric = found["hw.battery.charge"]["field"]
    assert (charge, metric.unit) == (0.62, "1")
    assert attributes["hw.type"] == "battery"
    assert attributes["hw.battery.capacity"] == "4.000Ah"
    seconds, attributes, metric = found["hw.battery.time_left"]["field"]
    assert (seconds, metric.unit, attributes["hw.state"]) == (1.7 * 3600, "s", "discharging")
    assert "old" not in found["hw.battery.time_left"], "unknown is absent"


def test_the_resource_names_no_program_no_user_and_no_host() -> None:
    with collector() as (url, requests):
        Telemetry(GivenFeed(figures()), url).stop()  # type: ignore[arg-type]
    (resource,) = requests[0].resource_metrics
    keys = {pair.key for pair in resource.resource.attributes}
    assert not {key for key in keys if key.startswith(("process.", "host.", "os."))}
    assert "service.name" in keys


@pytest.mark.slow
def test_a_collector_that_is_away_ends_nothing() -> None:
    sender = Telemetry(GivenFeed(figures()), "http://127.0.0.1:9")  # type: ignore[arg-type]
    sender.stop()


@pytest.mark.parametrize("endpoint", ["", "127.0.0.1:4318", "ftp://x", "http://", "http://user:pass@host"])
def test_what_is_no_endpoint_is_refused(endpoint: str) -> None:
    with pytest.raises(SpecError, match="write http"):
        Telemetry(GivenFeed(figures()), endpoint)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("place", "channel", "kind"),
    [
        ("cell", "battery:BAT0", "battery"), ("rail", "VDD_GPU", "power_supply"),
        ("wall", "shelly", "power_supply"),
        ("die", "rapl:package-0", "cpu"), ("die", "rapl:dram", "memory"), ("die", "nvml:0", "gpu"),
    ],
)  # fmt: skip
def test_types_are_the_well_known_ones(place, channel: str, kind: str) -> None:
    assert hw_type(BOARD._replace(place=place, channel=channel, source="x")) == kind
