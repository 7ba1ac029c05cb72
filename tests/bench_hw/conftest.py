"""The virtual bench: real kernel drivers and device nodes, emulated devices behind them.

These tests run inside the virtual machine that `make bench-hw` boots, as root, and nowhere else.
"""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from energymeter.source import Source
from energymeter.spec import parse

from .usbip import Device, Plugged

HERE = Path(__file__).parent
OUT = os.environ.get("ENERGYMETER_BENCH_OUT")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return None if OUT else True


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Tell a failure at once: a machine that hangs later would take it along."""
    if report.failed:
        print(f"\n{report.nodeid}\n{report.longreprtext}", file=sys.__stderr__, flush=True)


def until(condition: Callable[[], Any], what: str, seconds: float = 20.0) -> Any:
    """What ``condition`` returns, once it is true; the kernel takes its time to bind a driver."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.02)
    pytest.fail(f"no {what} within {seconds:g} s")


def opened(text: str) -> Source:
    """The one source of a spec, opened in this process."""
    ((spec,),) = parse(text)
    source = spec.build()
    source.open()
    return source


def nodes(kind: str) -> list[str]:
    """Device nodes of plugged-in devices: ``i2c``, ``ttyACM``, ``ttyUSB`` or ``hidraw``."""
    if kind != "i2c":
        return [str(path) for path in sorted(Path("/dev").glob(f"{kind}*"))]
    found = []
    for name in Path("/sys/class/i2c-dev").glob("i2c-*/name"):
        with contextlib.suppress(OSError):  # unplugged while we looked
            if "tiny" in name.read_text():
                found.append(f"/dev/{name.parent.name}")
    return found


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
def rate(request: pytest.FixtureRequest) -> Callable[[str, float], None]:
    """Keep a measured rate, reads a second, for docs/meters.md."""
    assert OUT is not None
    path = Path(OUT) / "rates.json"

    def keep(driver: str, reads_per_second: float) -> None:
        rates = json.loads(path.read_text()) if path.exists() else {}
        rates[driver] = round(reads_per_second)
        path.write_text(json.dumps(rates, indent=1, sort_keys=True) + "\n")

    return keep
