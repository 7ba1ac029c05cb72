"""Every name that an exporter uses: Prometheus, OpenTelemetry, MQTT. ``docs/metrics.md`` says the same."""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["counter", "gauge", "histogram"]

CHANNEL_LABELS = ("source", "channel", "place", "provenance")
SPAN_LABELS = ("source", "span")


class Metric(NamedTuple):
    """One metric of Prometheus."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()


class ChannelNames(NamedTuple):
    """The metrics of one channel: those that add up, or those of rails within a total."""

    energy: Metric
    returned: Metric
    uncertainty: Metric
    charge: Metric
    power: Metric
    power_uncertainty: Metric


def _channel_names(rail: str, what: str) -> ChannelNames:
    def metric(name: str, kind: Kind, help: str) -> Metric:
        return Metric(f"energymeter_{rail}{name}", kind, help, CHANNEL_LABELS)

    return ChannelNames(
        metric("energy_joules_total", "counter", f"Energy {what}, while it was measured."),
        metric("returned_energy_joules_total", "counter", f"Energy that flowed back {what}."),
        metric(
            "energy_uncertainty_joules_total",
            "counter",
            f"Expanded uncertainty (k=2) of the energy {what}, added up without cancelling.",
        ),
        metric("charge_coulombs_total", "counter", f"Charge {what}, while it was measured."),
        metric("power_watts", "gauge", f"Mean power {what} over the last seconds; absent while unmeasured."),
        metric("power_uncertainty_watts", "gauge", f"Expanded uncertainty (k=2) of the mean power {what}."),
    )


TOTAL = _channel_names("", "of a channel that counts")
RAIL = _channel_names("rail_", "of a rail that a total contains already")
"""Under other names, so that no sum over a name counts energy twice."""

VOLTAGE = Metric("energymeter_voltage_volts", "gauge", "Voltage of the newest sample.", CHANNEL_LABELS)
MEASURED = Metric(
    "energymeter_measured_seconds_total",
    "counter",
    "Time that was really measured; its rate is the coverage.",
    CHANNEL_LABELS,
)
COVERAGE = Metric(
    "energymeter_coverage_ratio",
    "gauge",
    "Share of the time since the source was opened that was really measured.",
    CHANNEL_LABELS,
)
MISSED = Metric(
    "energymeter_missed_samples_total",
    "counter",
    "Readings that were due and were not obtained.",
    CHANNEL_LABELS,
)
UP = Metric("energymeter_source_up", "gauge", "1 while the source answers, else 0.", ("source",))
PUSH_WAITING = Metric(
    "energymeter_push_waiting_recordings", "gauge", "Finished recordings that are not in the lake yet."
)
PUSH_LOST = Metric(
    "energymeter_push_lost_recordings_total",
    "counter",
    "Recordings that were removed before they were pushed, because the record was full.",
)

BATTERY_CHARGE = Metric(
    "energymeter_battery_charge_ratio",
    "gauge",
    "Charge left by the gauge of the battery, 0 to 1.",
    ("battery",),
)
BUDGET_CHARGE = Metric(
    "energymeter_budget_charge_ratio", "gauge", "Charge left of the budget, 0 to 1.", ("budget",)
)
BUDGET_ENERGY = Metric(
    "energymeter_budget_energy_left_joules", "gauge", "Energy that the rail can still get.", ("budget",)
)
BUDGET_TIME = Metric(
    "energymeter_budget_time_left_seconds", "gauge", "Time left at the present load.", ("budget",)
)
BUDGET_TIME_LOW = Metric(
    "energymeter_budget_time_left_low_seconds",
    "gauge",
    "Lower bound of the 95 % interval of the time left.",
    ("budget",),
)
BUDGET_TIME_HIGH = Metric(
    "energymeter_budget_time_left_high_seconds",
    "gauge",
    "Upper bound of the 95 % interval of the time left.",
    ("budget",),
)

SPAN_ENERGY = Metric("energymeter_span_joules", "histogram", "Energy of one call of a span.", SPAN_LABELS)
SPAN_TIME = Metric("energymeter_span_seconds", "histogram", "Duration of one call of a span.", SPAN_LABELS)
SPAN_UNCERTAINTY = Metric(
    "energymeter_span_uncertainty_joules_total",
    "counter",
    "Expanded uncertainty (k=2) of the energy of all calls in the histogram together; absent while unknown.",
    SPAN_LABELS,
)
SPAN_LEFT_OUT = Metric(
    "energymeter_span_left_out_calls_total",
    "counter",
    "Calls of a span that are in no histogram, because not all of them was measured.",
    SPAN_LABELS,
)
BUILD = Metric("energymeter_build_info", "gauge", "Always 1; the label is the version.", ("version",))

METRICS: tuple[Metric, ...] = (
    *TOTAL,
    *RAIL,
    VOLTAGE,
    MEASURED,
    COVERAGE,
    MISSED,
    UP,
    PUSH_WAITING,
    PUSH_LOST,
    BATTERY_CHARGE,
    BUDGET_CHARGE,
    BUDGET_ENERGY,
    BUDGET_TIME,
    BUDGET_TIME_LOW,
    BUDGET_TIME_HIGH,
    SPAN_ENERGY,
    SPAN_TIME,
    SPAN_UNCERTAINTY,
    SPAN_LEFT_OUT,
    BUILD,
)

JOULE_BUCKETS = (0.001, 0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 1e5, 1e6)
SECOND_BUCKETS = (0.001, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3600.0, 86400.0)
MOST_SPANS = 100
"""Names of spans that are exported, of all sources; further ones count as ``other`` of their source."""
MOST_SOURCES = 64
"""An agent serves no more."""
OTHER_SPANS = "other"

# OpenTelemetry (semantic conventions, hardware; status "Development") ---------------------------------------

OTEL_ENERGY, OTEL_POWER = "hw.energy", "hw.power"
OTEL_HOST_ENERGY, OTEL_HOST_POWER = "hw.host.energy", "hw.host.power"
OTEL_BATTERY_CHARGE, OTEL_BATTERY_TIME = "hw.battery.charge", "hw.battery.time_left"
OTEL_ID, OTEL_TYPE, OTEL_NAME, OTEL_PARENT = "hw.id", "hw.type", "hw.name", "hw.parent"
OTEL_CAPACITY, OTEL_STATE = "hw.battery.capacity", "hw.state"
OTEL_PROVENANCE, OTEL_PLACE = "energymeter.provenance", "energymeter.place"
OTEL_NAMES: tuple[tuple[str, str, str], ...] = (
    (OTEL_ENERGY, "Counter", "J"),
    (OTEL_POWER, "Gauge", "W"),
    (OTEL_HOST_ENERGY, "Counter", "J"),
    (OTEL_HOST_POWER, "Gauge", "W"),
    (OTEL_BATTERY_CHARGE, "Gauge", "1"),
    (OTEL_BATTERY_TIME, "Gauge", "s"),
)
"""Name, instrument and unit."""
OTEL_ATTRIBUTES: tuple[str, ...] = (
    OTEL_ID,
    OTEL_TYPE,
    OTEL_NAME,
    OTEL_PARENT,
    OTEL_CAPACITY,
    OTEL_STATE,
    OTEL_PROVENANCE,
    OTEL_PLACE,
)

# MQTT with Home Assistant discovery -------------------------------------------------------------------------


class MqttSensor(NamedTuple):
    """A kind of sensor that Home Assistant is offered."""

    kind: str
    """The end of its topic and of its identifier."""
    title: str
    device_class: str | None
    state_class: str
    unit: str | None
    diagnostic: bool = False


MQTT_ENERGY = MqttSensor("energy", "energy", "energy", "total_increasing", "Wh")
MQTT_RETURNED = MqttSensor("returned_energy", "returned energy", "energy", "total_increasing", "Wh")
MQTT_POWER = MqttSensor("power", "power", "power", "measurement", "W")
MQTT_VOLTAGE = MqttSensor("voltage", "voltage", "voltage", "measurement", "V")
MQTT_COVERAGE = MqttSensor("coverage", "measured share", None, "measurement", "%", True)
MQTT_MISSED = MqttSensor("missed", "missed samples", None, "total_increasing", None, True)
MQTT_CHARGE = MqttSensor("charge", "charge", "battery", "measurement", "%")
MQTT_TIME_LEFT = MqttSensor("time_left", "time left", "duration", "measurement", "h")
MQTT_SENSORS: tuple[MqttSensor, ...] = (
    MQTT_ENERGY,
    MQTT_RETURNED,
    MQTT_POWER,
    MQTT_VOLTAGE,
    MQTT_COVERAGE,
    MQTT_MISSED,
    MQTT_CHARGE,
    MQTT_TIME_LEFT,
)
MQTT_STATE = "energymeter/{node}/{object}/{kind}"
MQTT_AVAILABILITY = "energymeter/{node}/availability"
MQTT_DISCOVERY = "{prefix}/sensor/{node}/{object}_{kind}/config"
