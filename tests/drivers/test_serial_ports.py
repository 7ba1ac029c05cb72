"""What lies between a driver and its port, where other tests hand in a wire: baud, stop bits, ids, places."""

from typing import Any

import pytest

from energymeter.drivers.atorch import Atorch
from energymeter.drivers.fnirsi import MODELS, Fnirsi
from energymeter.drivers.ppk2 import Ppk2
from energymeter.drivers.pzem import Pzem
from energymeter.drivers.tc66c import Tc66c
from energymeter.drivers.um24c import Um24c
from energymeter.drivers.um25c import Um25c
from energymeter.drivers.um34c import Um34c
from energymeter.errors import SourceError


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


@pytest.mark.parametrize(
    ("make", "baudrate", "stop_bits"),
    [
        (lambda: Tc66c("/dev/ttyACM0"), 115_200, 1),
        (lambda: Ppk2("/dev/ttyACM0"), 115_200, 1),
        (lambda: Um24c("/dev/rfcomm0"), 9_600, 1),
        (lambda: Um25c("/dev/rfcomm0"), 9_600, 1),
        (lambda: Um34c("/dev/rfcomm0"), 9_600, 1),
        (lambda: Pzem("/dev/ttyUSB0", model="004t"), 9_600, 1),
        (lambda: Pzem("/dev/ttyUSB0", model="014"), 9_600, 1),
        (lambda: Pzem("/dev/ttyUSB0", model="016"), 9_600, 1),
        (lambda: Pzem("/dev/ttyUSB0", model="003"), 9_600, 2),
        (lambda: Pzem("/dev/ttyUSB0", model="017"), 9_600, 2),
        (lambda: Atorch("/dev/rfcomm0"), 9_600, 1),
    ],
)
def test_a_port_is_opened_as_its_meter_speaks(
    make: Any, baudrate: int, stop_bits: int, opened: list[dict[str, Any]]
) -> None:
    source = make()
    with pytest.raises(SourceError):
        source.open()
    assert [(one["baudrate"], one["stopbits"], one["exclusive"]) for one in opened] == [
        (baudrate, stop_bits, True)
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
