"""Prometheus: the agent's figures as text, by the official client."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from energymeter.errors import ExtraMissing
from energymeter.serve import names
from energymeter.serve.names import RAIL, TOTAL, Metric
from energymeter.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client.core import Metric as Family

    from energymeter.serve.feed import Feed, Figures
    from energymeter.serve.snapshot import BatteryState, ChannelState
    from energymeter.serve.totals import ChannelTotal, Histogram


class Series(NamedTuple):
    """One value of a metric."""

    metric: Metric
    labels: tuple[str, ...]
    value: float | Histogram


def series(figures: Figures) -> Iterator[Series]:
    """Every value that is known now; what is unknown is absent and never 0."""
    yield Series(names.BUILD, (__version__,), 1.0)
    for source in figures.snapshot.sources:
        yield Series(names.UP, (source.name,), float(source.up))
    push = figures.snapshot.push
    if push is not None:
        yield Series(names.PUSH_WAITING, (), float(push.waiting))
        yield Series(names.PUSH_LOST, (), float(push.lost))
    for state in figures.snapshot.channels:
        total = figures.totals.get((state.source, state.channel))
        yield from _channel(state, total)
    for battery in figures.snapshot.batteries:
        yield from _battery(battery)
    for labels, span in figures.spans.items():
        yield Series(names.SPAN_ENERGY, labels, span.joules)
        yield Series(names.SPAN_TIME, labels, span.seconds)
        if span.calls and span.uncertainty is not None:
            yield Series(names.SPAN_UNCERTAINTY, labels, span.uncertainty)
        yield Series(names.SPAN_LEFT_OUT, labels, float(span.left_out))


def _channel(state: ChannelState, total: ChannelTotal | None) -> Iterator[Series]:
    labels = (state.source, state.channel, state.place, state.provenance)
    its = TOTAL if state.counted else RAIL
    if total is not None:
        yield Series(its.energy, labels, total.joules.forward)
        yield Series(its.returned, labels, total.joules.back)
        yield Series(its.uncertainty, labels, total.uncertainty_joules)
        if total.has_charge:
            yield Series(its.charge, labels, total.coulombs.forward)
        yield Series(names.MEASURED, labels, total.measured_seconds)
        yield Series(names.MISSED, labels, float(total.missed))
        yield Series(names.COVERAGE, labels, state.coverage)
    if state.watts is not None:
        yield Series(its.power, labels, state.watts)
    if state.watts_uncertainty is not None:
        yield Series(its.power_uncertainty, labels, state.watts_uncertainty)
    if state.volts is not None:
        yield Series(names.VOLTAGE, labels, state.volts)


def _battery(state: BatteryState) -> Iterator[Series]:
    labels = (state.name,)
    if not state.is_budget:
        yield Series(names.BATTERY_CHARGE, labels, state.share.value)
        return
    yield Series(names.BUDGET_CHARGE, labels, state.share.value)
    yield Series(names.BUDGET_ENERGY, labels, state.rail_joules.value)
    if state.hours is None:
        return
    for metric, hours in (
        (names.BUDGET_TIME, state.hours.value),
        (names.BUDGET_TIME_LOW, state.hours.low),
        (names.BUDGET_TIME_HIGH, state.hours.high),
    ):
        yield Series(metric, labels, hours * 3600)


class Exporter:
    """Makes the text of ``/metrics``.

    Args:
        feed: of the agent.

    Raises:
        ExtraMissing: prometheus_client is not installed.
    """

    def __init__(self, feed: Feed) -> None:
        try:
            from prometheus_client import CollectorRegistry, exposition
        except ImportError:
            raise ExtraMissing("prometheus-client", "prometheus", "/metrics") from None
        self.content_type: str = exposition.CONTENT_TYPE_LATEST
        self._latest = exposition.generate_latest
        self._feed = feed
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self) -> bytes:
        """The figures now."""
        return bytes(self._latest(self._registry))

    def describe(self) -> list[Family]:
        """Nothing, so that registering collects nothing."""
        return []

    def collect(self) -> Iterable[Family]:
        """One family for each metric that has a value now."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        kinds: dict[str, Any] = {
            "counter": CounterMetricFamily,
            "gauge": GaugeMetricFamily,
            "histogram": HistogramMetricFamily,
        }
        families: dict[str, Any] = {}
        for metric, labels, value in series(self._feed.counters()):
            if isinstance(value, float) and not math.isfinite(value):
                continue
            if metric.name not in families:
                families[metric.name] = kinds[metric.kind](metric.name, metric.help, labels=metric.labels)
            if isinstance(value, float):
                families[metric.name].add_metric(labels, value)
            else:
                families[metric.name].add_metric(labels, _cumulative(value), value.sum)
        return families.values()


def _cumulative(histogram: Histogram) -> list[tuple[str, float]]:
    """Counts up to each bound, as Prometheus wants them."""
    bounds = [*map(str, histogram.bounds), "+Inf"]
    rising, so_far = [], 0.0
    for bound, count in zip(bounds, histogram.counts, strict=True):
        so_far += count
        rising.append((bound, so_far))
    return rising
