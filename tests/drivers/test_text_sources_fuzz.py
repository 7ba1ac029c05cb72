"""Whatever commands print and kernel files hold: a finite reading or a SourceError; no other exception."""

import json
import math
import socket
import tempfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest
from devices.joulescope import FakeDriver
from devices.programs import program
from devices.sysfs import Powercap, Sysfs
from devices.tcp import Tcp
from hypothesis import given, settings
from hypothesis import strategies as st

from energymeter.drivers.adb import Adb
from energymeter.drivers.exec import Exec
from energymeter.drivers.hwmon import Hwmon
from energymeter.drivers.iio import Iio
from energymeter.drivers.joulescope import Joulescope
from energymeter.drivers.otii import Otii
from energymeter.drivers.rapl import Rapl
from energymeter.drivers.termux import Termux
from energymeter.errors import EnergyMeterError
from energymeter.reading import Reading
from energymeter.source import Source

ANYTHING = st.binary(max_size=200)
NUMBERISH = st.sampled_from([b"", b"-1", b"1e999", b"nan", b"inf", b"0x10", b"12 34", b"9" * 400, b"\xff\0"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["status", "voltage", "charge_counter", "percentage"]), inner)
    ),
    max_leaves=8,
)
few = settings(max_examples=25, deadline=None)


def try_out(source: Source) -> None:
    """Open and read; what it says is finite, what it refuses it refuses with a word of ours."""
    try:
        source.open()
        found: object = source.read()
    except EnergyMeterError as error:
        found = error
    finally:
        source.close()
    values = found[:6] if isinstance(found, Reading) else ()
    assert str(found)
    assert all(math.isfinite(value) for value in values if value is not None)


@pytest.fixture(scope="module")
def printed() -> Iterator[tuple[Path, str]]:
    """A file, and a program that prints it whatever it is asked."""
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "said"
        yield said, program(Path(folder), "says", f"cat {said}")


@few
@given(
    text=ANYTHING | NUMBERISH.map(lambda n: b"  status: 3\n  Charge counter: " + n + b"\n  voltage: 4000\n")
)
def test_adb(printed: tuple[Path, str], text: bytes) -> None:
    printed[0].write_bytes(text)
    try_out(Adb(command=printed[1]))


@few
@given(text=ANYTHING | JSON.map(lambda value: json.dumps(value).encode()))
def test_termux(printed: tuple[Path, str], text: bytes) -> None:
    printed[0].write_bytes(text)
    try_out(Termux(command=printed[1]))


@few
@given(text=ANYTHING | NUMBERISH | JSON.map(lambda value: json.dumps(value).encode()))
def test_exec(printed: tuple[Path, str], text: bytes) -> None:
    printed[0].write_bytes(text)
    try_out(Exec(printed[1], unit="W"))
    try_out(Exec(printed[1], watts="$.voltage"))


@settings(max_examples=25, deadline=None)
@given(texts=st.lists(ANYTHING | NUMBERISH, min_size=3, max_size=3))
@pytest.mark.parametrize("make", [Hwmon, Iio, Rapl])
def test_kernel_files(make: Callable[..., Source], texts: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        sysfs = Sysfs(Path(folder))
        Powercap(sysfs).zone("intel-rapl:0", "package-0")
        sysfs.fill("sys/class/hwmon/hwmon0", {"name": "ina226", "in1_input": 1, "curr1_input": 1})
        sysfs.fill(
            "sys/bus/iio/devices/iio:device0", {"name": "adc", "in_voltage0_input": 1, "in_current0_input": 1}
        )
        wanted = ("in1_input", "in_voltage0_input", "energy_uj"), ("curr1_input", "in_current0_input")
        for names, text in zip((*wanted, ("max_energy_range_uj",)), texts, strict=True):
            for path in Path(folder).rglob("*"):
                if path.name in names:
                    path.write_bytes(text)
        try_out(make(root=folder))


@settings(max_examples=100, deadline=None)
@given(values=st.lists(JSON, max_size=4), times=st.lists(st.floats(), min_size=2, max_size=2))
def test_joulescope(values: list[object], times: list[float]) -> None:
    driver = FakeDriver(["u/js220/001234"])
    source = Joulescope(driver=lambda: driver, clock=driver.clock)
    source.open()
    (listener,) = driver.listeners.values()
    for value in values:
        listener("", value)
    listener("", {"time": {"samples": {"value": [0, 1]}, "range": {"value": times}}, "accumulators": {}})
    driver.deliver(2.5)
    readings = list(islice(source.stream(), len(values) + 2))
    assert source.lost == len(values) + 1
    assert readings[-1].watts == 2.5
    source.close()


class Mumbling(Tcp):
    """Greets as the application does, then says whatever it is found to."""

    answers: list[bytes]

    def talk(self, connection: socket.socket) -> None:
        connection.sendall(b'{"type": "information", "info": "connected"}\r\n')
        connection.sendall(b"".join(answer + b"\r\n" for answer in self.answers))


@few
@given(answers=st.lists(ANYTHING | JSON.map(lambda value: json.dumps(value).encode()), max_size=4))
def test_otii(answers: list[bytes]) -> None:
    app = Mumbling()
    app.answers = answers
    with app:
        try_out(Otii(app.address, timeout=0.2))
