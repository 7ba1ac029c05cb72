"""The virtual bench: real kernel drivers and device nodes, emulated devices behind them.

These tests run inside the virtual machine that `make bench-hw` boots, as root, and nowhere else.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from devices.waves import steady

from energymeter.drivers.emulated.ina219 import Ina219Chip
from energymeter.source import Source, Tunable
from energymeter.spec import parse

from .i2c_bus import Bus, nodes, now, until
from .usbip import Device, Plugged

OUT = os.environ.get("ENERGYMETER_BENCH_OUT")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return None if OUT else True


def pytest_runtest_logstart(nodeid: str) -> None:
    assert OUT is not None
    (Path(OUT) / "running").write_text(nodeid)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Tell a failure immediately: a machine that hangs later would take it along."""
    if report.failed:
        assert OUT is not None
        (Path(OUT) / "failed").touch()
        print(f"\n{report.nodeid}\n{report.longreprtext}", file=sys.__stderr__, flush=True)


@pytest.fixture
def plug() -> Iterator[Callable[[Device], Plugged]]:
    """Plug USB devices in; they are unplugged at the end."""
    plugged: list[Plugged] = []

    def plug_in(device: Device) -> Plugged:
        plugged.append(Plugged(device))
        return plugged[-1]

    yield plug_in
    for one in plugged:
        one.unplug()
    kinds = ("i2c", "ttyACM", "ttyUSB", "hidraw")
    until(lambda: not any(nodes(kind) for kind in kinds), "end of the nodes of what was unplugged")
    for one in plugged:
        assert not getattr(one.device, "failures", []), one.device.failures  # type: ignore[attr-defined]


@pytest.fixture
def ina219(plug: Callable[[Device], Plugged]) -> tuple[Bus, Ina219Chip]:
    """An INA219 at 5 V and 0.5 A on a bus."""
    chip = Ina219Chip(steady(0.5, volts=5.0), now)
    return Bus(plug, {0x40: chip}), chip


def opened(text: str, *, fastest: bool = False) -> Source:
    """The one source of a spec, opened in this process; ``fastest``: set for the most it can be asked."""
    ((spec,),) = parse(text)
    source = spec.build()
    if fastest and isinstance(source, Tunable):
        source.tune(source.facts.max_hz)
    source.open()
    return source


def as_nobody(spec: str) -> str:
    """What a user without rights is reported; in this process's child, since modules are root's to read."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        try:
            opened(spec)
            text = "opened"
        except BaseException as error:  # noqa: BLE001 - reported to the parent
            text = f"{type(error).__name__}: {error}"
        os.write(write, text.encode())
        os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    with os.fdopen(read) as pipe:
        return pipe.read()


def wish(*orders: tuple[float, str]) -> None:
    """Ask whoever runs this virtual machine to wait some seconds and then do this to it, order by order."""
    assert OUT is not None
    file = Path(OUT) / "wish"
    file.write_text(json.dumps(orders))
    until(lambda: not file.exists(), "answer of the host", 30)
