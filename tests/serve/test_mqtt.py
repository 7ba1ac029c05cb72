"""What Home Assistant is offered, and what a real broker retains, also one that is started again."""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from devices.processes import until
from serve.made_figures import BOARD, BUDGET, GivenFeed, figures

from energymeter.errors import SpecError
from energymeter.serve import names
from energymeter.serve.mqtt import PASSWORD, Broker, Publisher, discovery, node_name, values

NODE = "0123456789ab"


def test_energy_is_what_the_energy_dashboard_takes() -> None:
    (energy,) = [v for v in values(figures()) if v.sensor is names.MQTT_ENERGY and "within" not in v.title]
    config = discovery(energy, NODE, "Field Pi")
    assert config["device_class"] == "energy"
    assert config["state_class"] == "total_increasing"
    assert config["unit_of_measurement"] == "Wh"
    assert config["availability_topic"] == f"energymeter/{NODE}/availability"
    assert energy.state == "2"
    assert float(energy.state) * 3600 == 7200.0


def test_every_sensor_belongs_to_one_device_and_has_a_name_of_its_own() -> None:
    found = [*values(figures())]
    configs = [discovery(value, NODE, "Field Pi") for value in found]
    assert {json.dumps(config["device"]) for config in configs} == {json.dumps(configs[0]["device"])}
    assert len({config["unique_id"] for config in configs}) == len(configs)
    assert {value.sensor for value in found} <= {*names.MQTT_SENSORS}
    assert {value.object for value in found if "within a total" in value.title} == {
        value.object for value in found if "rapl" in value.object
    }


def test_names_that_look_alike_are_different_topics() -> None:
    one, other = BOARD._replace(channel="a b"), BOARD._replace(channel="a/b")
    assert len({value.object for value in values(figures(one, other, batteries=()))}) == 2
    wild = [*values(figures(BOARD._replace(channel="#/+\n$SYS"), batteries=()))]
    assert not {sign for value in wild for sign in value.object} & {*"#+/$\n"}


def test_what_is_unknown_says_so_and_is_not_nothing() -> None:
    silent = figures(BOARD._replace(watts=None, volts=None))
    states = {value.sensor.kind: value.state for value in values(silent) if value.title != "battery old"}
    assert states["power"] == "None"
    assert "voltage" not in states
    assert [v.state for v in values(silent) if v.title == "battery old"] == ["10"], "a gauge knows no time"
    waiting = figures(batteries=(BUDGET._replace(hours=None),))
    assert [v.state for v in values(waiting) if v.title == "budget field"] == ["62", "None"]


def test_a_total_that_rises_by_little_never_falls_by_rounding() -> None:
    states = [
        float(
            next(
                v.state
                for v in values(figures(BOARD._replace(joules=1e9 + step / 7)))
                if v.sensor is names.MQTT_ENERGY
            )
        )
        for step in range(200)
    ]
    assert states == sorted(states)


@pytest.mark.parametrize(
    ("url", "broker"),
    [
        ("mqtt://host", Broker("host", 1883, False, None)),
        ("mqtts://pi@host:99/", Broker("host", 99, True, "pi")),
        ("mqtt://[::1]", Broker("::1", 1883, False, None)),
    ],
)  # fmt: skip
def test_an_address_is_read(url: str, broker: Broker) -> None:
    assert Broker.parse(url) == broker


@pytest.mark.parametrize(
    "url",
    ["", "host", "http://host", "mqtt://", "mqtt://host:99999", "mqtt://host/topic", "mqtt://u:secret@host"],
)
def test_what_is_no_address_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(SpecError) as refused:
        Broker.parse(url)
    assert "secret" not in str(refused.value)


def test_the_machine_stays_the_same_and_its_identifier_stays_here(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    name = node_name(str(tmp_path))
    assert name == node_name(str(tmp_path))
    assert name not in "0123456789abcdef0123456789abcdef"


def test_two_machines_have_two_names(tmp_path: Path) -> None:
    names_of = []
    for identifier in ("a" * 32, "b" * 32, ""):
        (tmp_path / "etc").mkdir(exist_ok=True)
        (tmp_path / "etc" / "machine-id").write_text(f"{identifier}\n")
        names_of.append(node_name(str(tmp_path)))
    assert len(set(names_of)) == 3
    (tmp_path / "etc" / "machine-id").unlink()
    assert node_name(str(tmp_path)) == names_of[2], "the name of the host"


def test_only_what_is_about_the_measuring_is_diagnostic() -> None:
    for value in values(figures()):
        config = discovery(value, NODE, "Field Pi")
        assert (config.get("entity_category") == "diagnostic") == value.sensor.diagnostic
        assert ("device_class" in config) == (value.sensor.device_class is not None)
        assert ("unit_of_measurement" in config) == (value.sensor.unit is not None)
    assert {value.sensor.diagnostic for value in values(figures())} == {False, True}


# -- a real broker -------------------------------------------------------------------------------------


class Mosquitto:
    """A broker that can be started again on its port, and keeps nothing between two lives."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")
        if program is None:
            pytest.skip("mosquitto is not installed: apt install mosquitto")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._config = folder / "mosquitto.conf"
        self._config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
        self._program = program
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._running = subprocess.Popen(
            [self._program, "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(self._answers)

    def _answers(self) -> bool:
        with socket.socket() as asked:
            return asked.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        if self._running is not None:
            self._running.kill()
            self._running.wait()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    pytest.importorskip("paho.mqtt.client")
    made = Mosquitto(tmp_path)
    try:
        made.start()
        yield made
    finally:
        made.stop()


@contextmanager
def heard(broker: Mosquitto) -> Iterator[dict[str, tuple[str, bool]]]:
    """What a client that comes now is given: by topic the newest payload, and whether it was retained."""
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    messages: dict[str, tuple[str, bool]] = {}
    client = Client(CallbackAPIVersion.VERSION2)
    client.on_connect = lambda client, *_: client.subscribe("#")
    client.on_message = lambda client, data, message: messages.__setitem__(
        message.topic, (message.payload.decode(), bool(message.retain))
    )
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    try:
        yield messages
    finally:
        client.disconnect()
        client.loop_stop()


def published(broker: Mosquitto, feed: Any) -> Publisher:
    return Publisher(feed, Broker("127.0.0.1", broker.port, False, None), interval_seconds=0.1, node=NODE)


@pytest.mark.peers
def test_a_broker_retains_what_home_assistant_needs_and_one_that_is_started_again_gets_it_again(
    broker,
) -> None:
    feed = GivenFeed(figures())
    publisher = published(broker, feed)
    expected = {
        names.MQTT_DISCOVERY.format(prefix="homeassistant", node=NODE, object=v.object, kind=v.sensor.kind)
        for v in values(feed.given)
    }
    availability = f"energymeter/{NODE}/availability"
    publisher.start()
    try:
        with heard(broker) as messages:
            until(lambda: {*expected, availability} <= {*messages})
        with heard(broker) as messages:  # a Home Assistant that comes later
            until(lambda: {*expected, availability} <= {*messages})
            assert all(messages[topic][1] for topic in {*expected, availability}), "retained"
            assert messages[availability][0] == "online"
            energy = next(t for t in expected if t.endswith("_energy/config") and "ina219" in t)
            config = json.loads(messages[energy][0])
            until(lambda: config["state_topic"] in messages)
            assert float(messages[config["state_topic"]][0]) == 2.0
            assert not messages[config["state_topic"]][1], "a state of a dead agent is not shown"
        broker.stop()
        broker.start()
        with heard(broker) as messages:
            until(lambda: {*expected, availability} <= {*messages})
            assert messages[availability][0] == "online"
    finally:
        publisher.stop()
    with heard(broker) as messages:
        until(lambda: messages.get(availability) == ("offline", True))


@pytest.mark.peers
def test_an_agent_that_is_killed_is_offline_by_its_last_will(broker) -> None:
    publisher = published(broker, GivenFeed(figures()))
    publisher.start()
    availability = f"energymeter/{NODE}/availability"
    with heard(broker) as messages:
        until(lambda: messages.get(availability, ("", False))[0] == "online")
        publisher._over = True
        connection = publisher._client.socket()
        assert connection is not None
        publisher._client.reconnect_delay_set(60, 60)
        connection.shutdown(socket.SHUT_RDWR)  # as when the process dies
        until(lambda: messages[availability][0] == "offline")
    publisher.stop()


@pytest.mark.slow
def test_a_broker_that_is_away_delays_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("paho.mqtt.client")
    monkeypatch.setenv(PASSWORD, "hunter2")
    publisher = Publisher(GivenFeed(figures()), Broker("127.0.0.1", 9, False, None))  # type: ignore[arg-type]
    before = time.monotonic()
    publisher.start()
    publisher.stop()
    assert time.monotonic() - before < 4
