"""OpenTelemetry: the agent's figures as ``hw.*`` metrics over OTLP, by the official SDK.

A sum in OpenTelemetry counts from a start time, and the SDK's is that of this process. Energy is therefore
what was measured since the exporter was made, and not the total of the file, which would count twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from energymeter.errors import ExtraMissing, SpecError
from energymeter.serve import names
from energymeter.text import significant
from energymeter.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from energymeter.serve.feed import Feed, Figures
    from energymeter.serve.snapshot import BatteryState, ChannelState

_TIMEOUT_SECONDS = 5.0
_DIE_TYPES = (("dram", "memory"), ("gpu", "gpu"), ("nvml", "gpu"), ("cpu", "cpu"), ("rapl", "cpu"))
"""What a name on the die contains: its type."""

Point = tuple[float, dict[str, str]]
"""A value and its attributes."""


def hw_type(state: ChannelState) -> str:
    """The well-known type of a channel; what is no part of a computer is its supply."""
    if state.place == "cell":
        return "battery"
    if state.place == "die":
        name = f"{state.channel} {state.source}".lower()
        return next((kind for part, kind in _DIE_TYPES if part in name), "cpu")
    return "power_supply"


def attributes(state: ChannelState, channels: Iterable[ChannelState], host: str | None) -> dict[str, str]:
    """What OpenTelemetry is to know of a channel."""
    found = {
        names.OTEL_ID: _identifier(state),
        names.OTEL_TYPE: hw_type(state),
        names.OTEL_NAME: state.channel,
        names.OTEL_PLACE: state.place,
        names.OTEL_PROVENANCE: state.provenance,
    }
    if not state.counted:
        totals = [one for one in channels if one.source == state.source and one.counted]
        if state.source == host and totals:
            found[names.OTEL_PARENT] = state.source
        elif len(totals) == 1:
            found[names.OTEL_PARENT] = _identifier(totals[0])
    return found


def _identifier(state: ChannelState) -> str:
    return state.channel if state.channel == state.source else f"{state.source}/{state.channel}"


class Telemetry:
    """Sends an agent's figures to a collector until it is stopped.

    Args:
        feed: of the agent.
        endpoint: ``http://host:4318``; ``/v1/metrics`` is added where there is no path.
        host: the source that measures all of this host; None: none does.
        interval_seconds: between two exports.

    Raises:
        SpecError: that is no endpoint.
        ExtraMissing: the SDK or its exporter is not installed.
    """

    def __init__(
        self, feed: Feed, endpoint: str, *, host: str | None = None, interval_seconds: float = 60.0
    ) -> None:
        endpoint = checked_endpoint(endpoint)
        try:
            from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
            from opentelemetry.sdk.metrics import MeterProvider
            from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
            from opentelemetry.sdk.resources import Resource
        except ImportError:
            raise ExtraMissing("opentelemetry-exporter-otlp-proto-http", "otel", "sending OTLP") from None
        self._feed, self._host = feed, host
        totals = feed.read().totals
        self._before = {key: total.joules.forward for key, total in totals.items()}
        reader = PeriodicExportingMetricReader(
            OTLPMetricExporter(endpoint=endpoint, timeout=_TIMEOUT_SECONDS),
            export_interval_millis=interval_seconds * 1e3,
            export_timeout_millis=_TIMEOUT_SECONDS * 1e3,
        )
        resource = Resource.create({"service.name": "energymeter", "service.version": __version__})
        self._provider = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        self._register(self._provider.get_meter("energymeter", __version__))

    def _register(self, meter: Any) -> None:
        counter, gauge = meter.create_observable_counter, meter.create_observable_gauge
        counter(names.OTEL_ENERGY, [self._watching(self._energy)], "J", "Energy consumed by the component.")
        gauge(names.OTEL_POWER, [self._watching(self._power)], "W", "Power consumed by the component.")
        counter(names.OTEL_HOST_ENERGY, [self._watching(self._host_energy)], "J", "Energy of the host.")
        gauge(names.OTEL_HOST_POWER, [self._watching(self._host_power)], "W", "Power of the host.")
        gauge(names.OTEL_BATTERY_CHARGE, [self._watching(_charges)], "1", "Charge left in the battery.")
        gauge(names.OTEL_BATTERY_TIME, [self._watching(_times)], "s", "Time left until it is discharged.")

    def _watching(self, points: Any) -> Any:
        from opentelemetry.metrics import Observation

        def observed(_: Any) -> Iterator[Any]:
            for value, its in points(self._feed.read()):
                yield Observation(value, its)

        return observed

    def flush(self) -> None:
        """Export now."""
        self._provider.force_flush(_TIMEOUT_SECONDS * 1e3)

    def stop(self) -> None:
        """Export once more and end; at most ten seconds where nobody answers."""
        self._provider.shutdown(2 * _TIMEOUT_SECONDS * 1e3)

    def _is_host(self, state: ChannelState) -> bool:
        return state.counted and state.source == self._host

    def _since_start(self, figures: Figures, state: ChannelState) -> float | None:
        key = state.source, state.channel
        total = figures.totals.get(key)
        return None if total is None else total.joules.forward - self._before.get(key, 0.0)

    def _energy(self, figures: Figures) -> Iterator[Point]:
        for state in self._components(figures):
            joules = self._since_start(figures, state)
            if joules is not None:
                yield joules, attributes(state, figures.snapshot.channels, self._host)

    def _power(self, figures: Figures) -> Iterator[Point]:
        for state in self._components(figures):
            if state.watts is not None:
                yield state.watts, attributes(state, figures.snapshot.channels, self._host)

    def _components(self, figures: Figures) -> list[ChannelState]:
        """All but the one channel that is the whole host, which has names of its own."""
        channels = figures.snapshot.channels
        whole = [state for state in channels if self._is_host(state)]
        return [state for state in channels if len(whole) != 1 or state != whole[0]]

    def _host_energy(self, figures: Figures) -> Iterator[Point]:
        parts = [state for state in figures.snapshot.channels if self._is_host(state)]
        joules = [self._since_start(figures, state) for state in parts]
        known = [one for one in joules if one is not None]
        if parts and len(known) == len(parts):
            yield sum(known), self._host_attributes(parts)

    def _host_power(self, figures: Figures) -> Iterator[Point]:
        parts = [state for state in figures.snapshot.channels if self._is_host(state)]
        known = [state.watts for state in parts if state.watts is not None]
        if parts and len(known) == len(parts):
            yield sum(known), self._host_attributes(parts)

    def _host_attributes(self, parts: list[ChannelState]) -> dict[str, str]:
        from energymeter.energy.usage import least_trusted

        return {
            names.OTEL_ID: self._host or "",
            names.OTEL_PLACE: parts[0].place,
            names.OTEL_PROVENANCE: least_trusted(state.provenance for state in parts),
        }


def checked_endpoint(endpoint: str) -> str:
    """Where metrics are sent.

    Raises:
        SpecError: it is no address, or holds a name or a password.
    """
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise SpecError(
            "that is no endpoint of OTLP; write http://host:4318, and a header with a secret in "
            "OTEL_EXPORTER_OTLP_HEADERS"
        )
    return endpoint if parts.path.strip("/") else f"{endpoint.rstrip('/')}/v1/metrics"


def _battery_attributes(state: BatteryState) -> dict[str, str]:
    found = {names.OTEL_ID: state.name, names.OTEL_TYPE: "battery", names.OTEL_NAME: state.name}
    if state.mah is not None:
        found[names.OTEL_CAPACITY] = f"{significant(state.mah / 1e3, 4)}Ah"
    return found


def _charges(figures: Figures) -> Iterator[Point]:
    for state in figures.snapshot.batteries:
        yield state.share.value, _battery_attributes(state)


def _times(figures: Figures) -> Iterator[Point]:
    for state in figures.snapshot.batteries:
        if state.hours is not None:
            yield state.hours.value * 3600, {**_battery_attributes(state), names.OTEL_STATE: "discharging"}
