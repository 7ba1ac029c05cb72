"""Meters that are pulled out and come back while a program is measured, and two programs on one meter."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from devices.plugs import ShellyRpc
from devices.processes import until
from devices.programs import program
from devices.pty_meter import PtyMeter
from devices.um import UmDevice
from devices.web import Web

from energymeter import EnergyMeter, NotMeasured
from energymeter.errors import SourceBusy

WATTS = 2.5


def pulled_and_back(
    spec: str, rate_hz: float, reads: Callable[[], int], unplug: Callable[[], None], plug: Callable[[], None]
) -> EnergyMeter:
    """Measure a loop while its meter is there, gone and there again; the loop itself notices nothing."""
    few = 8 if rate_hz >= 10 else 4
    with EnergyMeter(spec, rate_hz=rate_hz) as meter:
        with meter.span("there"):
            until(lambda: reads() >= few)
        unplug()
        missed, seen = meter.usage.missed, reads()
        until(lambda: meter.usage.missed >= missed + few)
        plug()
        until(lambda: reads() > seen)
        with meter.span("back"):
            until(lambda: reads() >= seen + few)
    return meter


def gap_is_reported(meter: EnergyMeter, name: str) -> None:
    usage = meter.usage
    assert 0 < usage.coverage < 1
    assert usage.missed >= 2
    assert usage.joules == pytest.approx(WATTS * usage.seconds * usage.coverage, rel=0.02)
    assert usage.interpolated_joules is not None, "there is a gap"
    assert usage.interpolated_joules > usage.joules
    assert usage.sources == (name,)
    assert meter.spans["there"].usage.joules > 0
    assert meter.spans["back"].usage.joules > 0


@pytest.mark.slow
def test_a_serial_meter(tmp_path: Path) -> None:
    device = UmDevice(volts=5.0, amps=0.5)
    with PtyMeter(device, tmp_path / "rfcomm0") as line:
        name = f"um25c@{line.address}"
        meter = pulled_and_back(f"{name}?timeout=0.2", 2, lambda: device.asked, line.unplug, line.plug)
    gap_is_reported(meter, name)


def test_a_command_that_streams(tmp_path: Path) -> None:
    plugged, count = tmp_path / "plugged", tmp_path / "count"
    plugged.touch()
    count.touch()
    body = f"while [ -e {plugged} ]; do echo {WATTS}; echo >> {count}; sleep 0.02; done; exit 1"
    command = program(tmp_path, "stream-watts", body)
    meter = pulled_and_back(
        f'exec@"{command}"?stream=1&unit=W',
        50,
        lambda: count.stat().st_size,
        plugged.unlink,
        plugged.touch,
    )
    gap_is_reported(meter, "exec@stream-watts")


@pytest.mark.slow
def test_a_plug_on_the_network() -> None:
    with Web(ShellyRpc({"Switch:0": {"id": 0, "apower": WATTS}})) as web:
        url = f"http://{web.address}/rpc/Switch.GetStatus?id=0"
        meter = pulled_and_back(
            f'http@"{url}"?watts=$.apower&timeout=0.2&measures=wall',
            20,
            lambda: len(web.requests),
            web.vanish,
            web.start,
        )
    gap_is_reported(meter, f"http@{url.partition('?')[0]}#7c7b")


@pytest.mark.slow
def test_a_stretch_without_the_meter_is_not_known_rather_than_nothing(tmp_path: Path) -> None:
    device = UmDevice()
    with PtyMeter(device, tmp_path / "rfcomm0") as line:
        with EnergyMeter(f"um25c@{line.address}?timeout=0.2", rate_hz=2) as meter:
            until(lambda: device.asked > 4)
            line.unplug()
            until(lambda: meter.usage.missed >= 2)
            with meter.span("blind"):
                missed = meter.usage.missed
                until(lambda: meter.usage.missed > missed)
        with pytest.raises(NotMeasured, match=r"um25c@.*rfcomm0"):
            _ = meter.spans["blind"].usage


def test_two_programs_on_one_meter_and_the_second_is_reported_of_the_first(tmp_path: Path) -> None:
    hold = (
        "import sys\n"
        "from energymeter import EnergyMeter\n"
        "with EnergyMeter(sys.argv[1]) as meter:\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
        "print(meter.usage.coverage)"
    )
    with PtyMeter(UmDevice(), tmp_path / "rfcomm0") as line:
        spec = f"um25c@{line.address}"
        with subprocess.Popen(
            [sys.executable, "-c", hold, spec],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        ) as first:
            assert first.stdout is not None
            assert first.stdout.readline() == "held\n"
            with pytest.raises(SourceBusy, match=r"held by process \d+ \(.*python"), EnergyMeter(spec):
                pass
            coverage, _ = first.communicate()
        assert json.loads(coverage) > 0.9, "the first one is not disturbed"
