"""Whatever JSON a plug answers: a finite reading or a SourceError; no other exception, no guess."""

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from devices.plugs import KasaPlug, ShellyRpc, TasmotaConsole
from devices.web import Said, Web
from hypothesis import given, settings
from hypothesis import strategies as st

from energymeter.drivers.http import Http
from energymeter.drivers.kasa import Kasa
from energymeter.drivers.shelly import Shelly
from energymeter.drivers.tasmota import Tasmota
from energymeter.errors import SourceError
from energymeter.source import Source

KEYS = [
    "apower",
    "act_power",
    "voltage",
    "current",
    "aenergy",
    "errors",
    "id",
    "code",
    "message",
    "Power",
    "Voltage",
    "Current",
    "Total",
    "power_mw",
    "voltage_mv",
    "current_ma",
    "power",
    "total",
    "err_code",
    "err_msg",
    "get_realtime",
    "StatusSNS",
    "ENERGY",
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=8)


def try_out(source: Source) -> None:
    try:
        source.open()
        reading = source.read()
    except SourceError:
        return
    finally:
        source.close()
    assert reading.watts is not None
    assert all(math.isfinite(v) for v in reading[:3] if v is not None)


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with Web(ShellyRpc({})) as server:
        yield server


@settings(max_examples=60, deadline=None)
@given(status=OBJECTS)
def test_shelly(web: Web, status: dict[str, Any]) -> None:
    web.route = ShellyRpc({"Switch:0": status})
    try_out(Shelly(web.address))


@settings(max_examples=60, deadline=None)
@given(energy=OBJECTS)
def test_tasmota(web: Web, energy: dict[str, Any]) -> None:
    web.route = TasmotaConsole(energy)
    try_out(Tasmota(web.address))


@settings(max_examples=60, deadline=None)
@given(document=VALUES)
def test_http(web: Web, document: Any) -> None:
    web.route = lambda target, headers: Said(200, json.dumps(document))
    try_out(Http(f"http://{web.address}/", watts="$.power"))


@pytest.fixture(scope="module")
def plug() -> Iterator[KasaPlug]:
    with KasaPlug({}) as server:
        yield server


@settings(max_examples=60, deadline=None)
@given(realtime=OBJECTS | OBJECTS.map(lambda now: {"get_realtime": now}))
def test_kasa(plug: KasaPlug, realtime: dict[str, Any]) -> None:
    plug.realtime = realtime
    try_out(Kasa(plug.address))
