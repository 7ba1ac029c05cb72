"""What lies between a driver and its port, where other tests hand in a wire: baud, stop bits, ids, places."""

import sys
from typing import Any, NamedTuple

import pytest

from energymeter.drivers.fnirsi import MODELS, Fnirsi
from energymeter.drivers.pzem import Pzem
from energymeter.drivers.tc66c import Tc66c
from energymeter.drivers.um24c import Um24c
from energymeter.drivers.um25c import Um25c
from energymeter.drivers.um34c import Um34c
from energymeter.errors import SourceError
from energymeter.spec import driver_names, load_driver, parse


class Port(NamedTuple):
    """How a meter's manual says that its port is set."""

    baudrate: int
    stop_bits: int = 1


PORTS = {
    "atorch@/dev/rfcomm0": Port(9_600),
    "ppk2@/dev/ttyACM0": Port(115_200),
    "pzem@/dev/ttyUSB0?model=003": Port(9_600, stop_bits=2),
    "pzem@/dev/ttyUSB0?model=004t": Port(9_600),
    "pzem@/dev/ttyUSB0?model=014": Port(9_600),
    "pzem@/dev/ttyUSB0?model=016": Port(9_600),
    "pzem@/dev/ttyUSB0?model=017": Port(9_600, stop_bits=2),
    "tc66c@/dev/ttyACM0": Port(115_200),
    "um24c@/dev/rfcomm0": Port(9_600),
    "um25c@/dev/rfcomm0": Port(9_600),
    "um34c@/dev/rfcomm0": Port(9_600),
}
"""Every driver of a serial port: a new one has its line here, by its manual and not by its code."""


def has_a_serial_port(name: str) -> bool:
    """Whether the file of a driver, or of a base class of its, imports the serial link."""
    return any(hasattr(sys.modules[base.__module__], "SerialLine") for base in load_driver(name).__mro__)


def test_every_driver_of_a_serial_port_is_listed() -> None:
    serial = {name for name in driver_names() if has_a_serial_port(name)}
    listed = {spec.partition("@")[0] for spec in PORTS}
    assert serial == listed, (
        f"add to PORTS: {serial - listed or 'nothing'}; remove: {listed - serial or 'nothing'}"
    )


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """How serial ports are opened, by pyserial's own names; each opening then fails."""
    import serial

    seen: list[dict[str, Any]] = []

    def refuse(place: str, baudrate: int, **options: Any) -> None:
        seen.append({"place": place, "baudrate": baudrate, **options})
        raise OSError(2, "No such file or directory")

    monkeypatch.setattr(serial, "Serial", refuse)
    return seen


@pytest.mark.parametrize("spec", PORTS)
def test_a_port_is_opened_as_its_meter_speaks(spec: str, opened: list[dict[str, Any]]) -> None:
    ((one,),) = parse(spec)
    source = one.build()
    with pytest.raises(SourceError):
        source.open()
    assert [(port["place"], port["baudrate"], port["stopbits"], port["exclusive"]) for port in opened] == [
        (one.address, *PORTS[spec], True)
    ]
    assert opened[0]["place"] in source.name


def test_meters_are_known_by_their_usb_ids() -> None:
    assert Tc66c.usb_ids == ((0x0483, 0x5740),)
    assert Pzem.usb_ids == ((0x1A86, 0x7523),)
    assert (
        Fnirsi.usb_ids == tuple(MODELS) == ((0x0483, 0x3A), (0x0483, 0x3B), (0x2E3C, 0x49), (0x2E3C, 0x5558))
    )


def test_meters_are_called_by_their_place() -> None:
    assert Um34c("/dev/rfcomm3").name == "um34c@/dev/rfcomm3"
    assert Um24c("/dev/rfcomm3").name == "um24c@/dev/rfcomm3"
    assert Tc66c("/dev/ttyACM3").name == "tc66c@/dev/ttyACM3"
    assert Pzem("/dev/ttyUSB3").name == "pzem@/dev/ttyUSB3"


def test_names_of_um_models_belong_to_their_ids() -> None:
    from energymeter.drivers.protocols.um import NAMES

    models = [Um24c.model, Um25c.model, Um34c.model]
    assert {model.id: model.name for model in models} == NAMES
