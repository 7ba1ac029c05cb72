"""MQTT with Home Assistant discovery: the agent as one device, by paho-mqtt.

Everything is published by a thread of its own. A broker that is away delays nothing; when it is back, the
retained configuration is sent again, because it may have forgotten it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import threading
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from energymeter.errors import ExtraMissing, SpecError, warn
from energymeter.paths import peek
from energymeter.serve import names
from energymeter.serve.names import MqttSensor
from energymeter.text import printable
from energymeter.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

    from energymeter.serve.feed import Feed, Figures
    from energymeter.serve.snapshot import BatteryState, ChannelState
    from energymeter.serve.totals import ChannelTotal

PASSWORD = "ENERGYMETER_MQTT_PASSWORD"
"""The environment variable with the password; a command line can be read by every user."""
_UNKNOWN = "None"
"""What Home Assistant takes for "unknown"."""
_KEEPALIVE_SECONDS = 30
_MOST_WAIT_SECONDS = 60
_STOP_SECONDS = 2.0
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Broker(NamedTuple):
    """Where to publish."""

    host: str
    port: int
    tls: bool
    user: str | None

    @classmethod
    def parse(cls, url: str) -> Broker:
        """A broker's address: ``mqtt://user@host:1883`` or ``mqtts://…`` with TLS.

        >>> Broker.parse("mqtts://pi@broker.example")
        Broker(host='broker.example', port=8883, tls=True, user='pi')

        Raises:
            SpecError: it is none, or holds a password.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or parts.path not in ("", "/"):
            raise SpecError("that is no address of a broker; write mqtt://host:1883 or mqtts://host:8883")
        if parts.password is not None:
            raise SpecError(
                f"a password on the command line can be read by every user; set {PASSWORD} in its place"
            )
        tls = parts.scheme == "mqtts"
        return cls(parts.hostname, port or (8883 if tls else 1883), tls, parts.username)


class Value(NamedTuple):
    """One sensor and what it shows now."""

    object: str
    """Names the channel or battery in topics."""
    title: str
    """The same for people."""
    sensor: MqttSensor
    state: str


def values(figures: Figures) -> Iterator[Value]:
    """Every sensor there is, with its state."""
    for state in figures.snapshot.channels:
        total = figures.totals.get((state.source, state.channel))
        yield from _channel(state, total)
    for battery in figures.snapshot.batteries:
        yield from _battery(battery)


def _channel(state: ChannelState, total: ChannelTotal | None) -> Iterator[Value]:
    title = state.channel if state.channel == state.source else f"{state.source} {state.channel}"
    title = printable(title if state.counted else f"{title} (within a total)")
    object = object_name(f"{state.source}\n{state.channel}", state.channel)
    if total is not None:
        yield Value(object, title, names.MQTT_ENERGY, _watt_hours(total.joules.forward))
        if total.joules.back:
            yield Value(object, title, names.MQTT_RETURNED, _watt_hours(total.joules.back))
        yield Value(object, title, names.MQTT_COVERAGE, _number(100 * state.coverage))
        yield Value(object, title, names.MQTT_MISSED, str(total.missed))
    yield Value(object, title, names.MQTT_POWER, _number(state.watts))
    if state.volts is not None:
        yield Value(object, title, names.MQTT_VOLTAGE, _number(state.volts))


def _battery(state: BatteryState) -> Iterator[Value]:
    kind = "budget" if state.is_budget else "battery"
    title, object = printable(f"{kind} {state.name}"), object_name(f"{kind}\n{state.name}", state.name)
    yield Value(object, title, names.MQTT_CHARGE, _number(100 * state.share.value))
    if state.is_budget:  # a gauge knows no time
        hours = None if state.hours is None else state.hours.value
        yield Value(object, title, names.MQTT_TIME_LEFT, _number(hours))


def _watt_hours(joules: float) -> str:
    """Ten figures: rounding never makes a total that rises fall."""
    return f"{joules / 3600:.10g}"


def _number(value: float | None) -> str:
    return _UNKNOWN if value is None or not math.isfinite(value) else f"{value:.6g}"


def object_name(key: str, shown: str) -> str:
    """A name of letters, digits and ``_`` for a topic, another one for every ``key``.

    >>> object_name("a", "ina219@1:0x40"), object_name("b", "ina219 1/0x40")
    ('ina219_1_0x40_ca978112', 'ina219_1_0x40_3e23e816')
    """
    digest = hashlib.sha256(key.encode()).hexdigest()[:8]
    return f"{re.sub('[^a-z0-9]+', '_', shown.lower()).strip('_')[:40]}_{digest}"


def node_name(root: str = "/") -> str:
    """A name for this machine that stays the same and from which the machine's own identifier is unknown."""
    identifier = peek(os.path.join(root, "etc/machine-id")) or str(os.uname().nodename)
    return hashlib.sha256(f"energymeter {identifier}".encode()).hexdigest()[:12]


def discovery(value: Value, node: str, title: str) -> dict[str, Any]:
    """What Home Assistant must know of a sensor."""
    sensor = value.sensor
    config: dict[str, Any] = {
        "name": f"{value.title} {sensor.title}",
        "unique_id": f"energymeter_{node}_{value.object}_{sensor.kind}",
        "state_topic": names.MQTT_STATE.format(node=node, object=value.object, kind=sensor.kind),
        "availability_topic": names.MQTT_AVAILABILITY.format(node=node),
        "state_class": sensor.state_class,
        "device": {
            "identifiers": [f"energymeter_{node}"],
            "name": title,
            "manufacturer": "energymeter",
            "model": "energymeter agent",
            "sw_version": __version__,
        },
        "origin": {"name": "energymeter", "sw_version": __version__},
    }
    if sensor.device_class is not None:
        config["device_class"] = sensor.device_class
    if sensor.unit is not None:
        config["unit_of_measurement"] = sensor.unit
    if sensor.diagnostic:
        config["entity_category"] = "diagnostic"
    return config


class Publisher:
    """Publishes an agent's figures to a broker until it is stopped.

    Args:
        feed: of the agent.
        broker: where to.
        prefix: of Home Assistant's discovery topics.
        title: the device's name in Home Assistant.
        interval_seconds: between two states.
        node: names this agent in topics; None: made from the machine's identifier.

    Raises:
        ExtraMissing: paho-mqtt is not installed.
    """

    def __init__(
        self,
        feed: Feed,
        broker: Broker,
        *,
        prefix: str = "homeassistant",
        title: str = "energymeter",
        interval_seconds: float = 10.0,
        node: str | None = None,
    ) -> None:
        try:
            from paho.mqtt.client import Client
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError:
            raise ExtraMissing("paho-mqtt", "mqtt", "publishing by MQTT") from None
        self._feed, self._broker, self._prefix, self._title = feed, broker, prefix, title
        self._interval_seconds = interval_seconds
        self.node = node or node_name()
        self._availability = names.MQTT_AVAILABILITY.format(node=self.node)
        self._wake = threading.Event()
        self._over = False
        self._offered: set[str] = set()
        """The topics of discovery that this connection's broker knows."""
        self._warned = False
        self._client = client = Client(CallbackAPIVersion.VERSION2, client_id=f"energymeter-{self.node}")
        if broker.user is not None:
            client.username_pw_set(broker.user, os.environ.get(PASSWORD))
        if broker.tls:
            client.tls_set()
        client.will_set(self._availability, "offline", qos=1, retain=True)
        client.reconnect_delay_set(1, _MOST_WAIT_SECONDS)
        client.on_connect = self._connected
        self._thread = threading.Thread(target=self._run, name="energymeter mqtt", daemon=True)

    def start(self) -> None:
        """Connect in the background, and again whenever the connection is lost."""
        broker = self._broker
        if broker.user is not None and not broker.tls and broker.host not in _LOOPBACK:
            warn(f"the password for {broker.host} is sent without encryption; use mqtts:// if you can")
        self._client.connect_async(broker.host, broker.port, _KEEPALIVE_SECONDS)
        self._client.loop_start()
        self._thread.start()

    def stop(self) -> None:
        """Say that the agent is offline, and disconnect; at most two seconds."""
        self._over = True
        self._wake.set()
        self._thread.join(_STOP_SECONDS)
        if self._client.is_connected():
            said = self._client.publish(self._availability, "offline", qos=1, retain=True)
            said.wait_for_publish(_STOP_SECONDS)
        self._client.disconnect()
        self._client.loop_stop()

    def _connected(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any = None) -> None:
        if reason.is_failure:
            if not self._warned:
                self._warned = True
                warn(f"the broker {self._broker.host} refuses us ({reason}); check user and password")
            return
        self._warned = False
        self._offered = set()  # a broker that was started again may have forgotten what it retained
        client.publish(self._availability, "online", qos=1, retain=True)
        self._wake.set()

    def _run(self) -> None:
        while not self._over:
            self._wake.clear()
            if self._client.is_connected():
                self._publish()
            self._wake.wait(self._interval_seconds)

    def _publish(self) -> None:
        for value in values(self._feed.counters()):
            kind = value.sensor.kind
            topic = names.MQTT_DISCOVERY.format(
                prefix=self._prefix, node=self.node, object=value.object, kind=kind
            )
            if topic not in self._offered:
                config = json.dumps(discovery(value, self.node, self._title), ensure_ascii=False)
                self._client.publish(topic, config, qos=1, retain=True)
                self._offered.add(topic)
            state = names.MQTT_STATE.format(node=self.node, object=value.object, kind=kind)
            self._client.publish(state, value.state)
