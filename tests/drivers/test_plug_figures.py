"""What a plug's watts and its own counter tell together, in simulated time, from the wire to the ±."""

import pytest
from devices.measured import measured
from devices.plugs import ShellyRpc
from devices.pzem import PzemDevice
from devices.web import Web

from energymeter.drivers.pzem import Pzem
from energymeter.drivers.shelly import Shelly
from energymeter.energy.usage import Usage

DAY = 86400.0


class Slave:
    """The wire of an emulated PZEM."""

    place = "/dev/ttyUSB0"
    moved_bytes = 0

    def __init__(self, device: PzemDevice) -> None:
        self._device, self._waiting = device, b""

    def open(self) -> None: ...

    def close(self) -> None: ...

    def write(self, data: bytes) -> None:
        self._waiting += self._device.receive(data)

    def read(self, seconds: float) -> bytes:
        waiting, self._waiting = self._waiting, b""
        return waiting


def on_a_shelly(watts: float, seconds: float, interval: float = 1.0, counts: float = 1.0) -> Usage:
    """A steady draw; ``counts``: what the plug's own counter adds up of it."""
    plug = {"id": 0, "apower": watts, "voltage": 230.0, "current": watts / 200, "aenergy": {"total": 0.0}}

    def step(number: int) -> None:
        plug["aenergy"] = {"total": round(1000.0 + counts * watts * number * interval / 3600, 3)}

    with Web(ShellyRpc({"Switch:0": plug})) as web:
        return measured(Shelly(web.address), step, seconds=seconds, rate_hz=1 / interval)


def on_a_pzem(watts: float, seconds: float, counts: float = 1.0) -> Usage:
    device = PzemDevice()
    device.watts = watts

    def step(number: int) -> None:
        device.wh = 5 + int(counts * watts * number / 3600)

    return measured(Pzem(wire=Slave(device)), step, seconds=seconds, rate_hz=1.0)


def share(usage: Usage) -> float:
    assert usage.uncertainty is not None
    return usage.uncertainty / usage.joules


def test_five_watts_for_a_day_are_known_to_the_offset_of_the_watts() -> None:
    usage = on_a_shelly(5.0, DAY, interval=60.0)
    assert usage.joules == pytest.approx(5.0 * DAY)
    assert share(usage) == pytest.approx(0.07, abs=0.005)
    assert not usage.notes


def test_three_kilowatts_for_ten_seconds_are_not_widened_by_a_step_of_the_counter() -> None:
    usage = on_a_pzem(3000.0, 10.0)
    assert usage.joules == pytest.approx(30_000.0)
    assert share(usage) == pytest.approx(0.006, abs=0.0005)


@pytest.mark.parametrize("measure", [on_a_shelly, on_a_pzem])
@pytest.mark.parametrize(("counts", "doubted"), [(1.0, False), (1.01, False), (1.1, True), (0.8, True)])
def test_a_counter_that_disagrees_is_reported_and_within_the_interval(measure, counts, doubted) -> None:
    usage = measure(2000.0, 600.0, counts=counts)
    assert any("itself shows" in note for note in usage.notes) is doubted
    if doubted:
        assert abs(counts * usage.joules - usage.joules) <= 1.05 * usage.uncertainty
    else:
        assert share(usage) < 0.02


def test_the_counter_bounds_what_power_that_comes_and_goes_may_hide() -> None:
    device = PzemDevice()
    bound = PzemDevice()
    shares = []
    for one, counts in ((device, False), (bound, True)):

        def step(number: int, one: PzemDevice = one, counts: bool = counts) -> None:
            one.watts = 3000.0 if number % 2 else 100.0  # a heater that a reading a second barely follows
            one.wh = 5 + int(1550.0 * number / 3600 if counts else 0)

        shares.append(share(measured(Pzem(wire=Slave(one)), step, seconds=3600.0, rate_hz=1.0)))
    assert shares[1] < shares[0]
    assert shares[1] == pytest.approx(0.006, abs=0.002)
