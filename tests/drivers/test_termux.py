"""Termux:API: the phone's own battery, as its command prints it."""

import json
from pathlib import Path

import pytest
from devices.measured import measured
from devices.programs import program

from energymeter.drivers.termux import Termux
from energymeter.errors import ImplausibleReading, SourceError, SourceMissing

SAID = {
    "status": "DISCHARGING",
    "voltage": 3868,
    "current": -470000,
    "percentage": 60,
    "charge_counter": 2400000,
}


class Phone:
    def __init__(self, folder: Path) -> None:
        self._answer = folder / "answer"
        self.command = program(folder, "termux-battery-status", f"cat {self._answer}")

    def says(self, **changed: object) -> None:
        self._answer.write_text(json.dumps({**SAID, **changed}))

    def mumbles(self, text: str) -> None:
        self._answer.write_text(text)


@pytest.fixture
def phone(tmp_path: Path) -> Phone:
    return Phone(tmp_path)


def opened(phone: Phone, **changed: object) -> Termux:
    phone.says(**changed)
    source = Termux(command=phone.command)
    source.open()
    return source


def test_what_was_taken_out(phone: Phone) -> None:
    source = opened(phone)
    assert source.read().coulombs == 0.0
    phone.says(charge_counter=2390000, voltage=3848)
    reading = source.read()
    assert reading.coulombs == pytest.approx(36.0)
    assert reading.joules == pytest.approx(36.0 * 3.858)
    assert not source.read().fresh
    source.close()
    source.close()


def test_a_phone_off_its_charger_is_measured_whatever_its_status(phone: Phone) -> None:
    source = opened(phone, status="NOT_CHARGING", plugged="UNPLUGGED")
    source.read()
    phone.says(status="FULL", plugged="UNPLUGGED", charge_counter=2390000)
    assert source.read().coulombs == pytest.approx(36.0)


@pytest.mark.parametrize("plugged", ["PLUGGED_AC", "PLUGGED_USB", "PLUGGED_WIRELESS"])
def test_a_phone_on_its_charger_is_refused_whatever_its_status(phone: Phone, plugged: str) -> None:
    with pytest.raises(SourceError, match=r"is on the mains.*unplug"):
        opened(phone, plugged=plugged)


def test_what_was_used_on_the_charger_is_unknown(phone: Phone) -> None:
    """Charged for a while in the run: neither what came in nor what was used meanwhile is in the count."""
    phone.says(plugged="UNPLUGGED")

    def charges(n: int) -> None:
        plugged = "PLUGGED_AC" if 10 <= n < 12 else "UNPLUGGED"
        phone.says(plugged=plugged, charge_counter=2400000 - 10000 * n + (500000 if n >= 11 else 0))

    usage = measured(Termux(command=phone.command), charges, seconds=30)
    assert usage.joules == pytest.approx((9 + 17) * 36.0 * 3.868, rel=0.01)
    assert usage.coverage * usage.seconds == pytest.approx(26, abs=0.1)


@pytest.mark.parametrize("status", ["CHARGING", "FULL", "NOT_CHARGING"])
def test_a_charging_phone_is_refused(phone: Phone, status: str) -> None:
    with pytest.raises(SourceError, match="unplug"):
        opened(phone, status=status)


def test_a_gauge_in_another_unit_is_refused(phone: Phone) -> None:
    with pytest.raises(ImplausibleReading, match="unit"):
        opened(phone, charge_counter=2400)
    with pytest.raises(ImplausibleReading, match="unit"):
        opened(phone, voltage=4)


def test_a_phone_without_a_gauge(phone: Phone) -> None:
    with pytest.raises(SourceMissing, match="percentage"):
        opened(phone, charge_counter=None)


def test_answers_that_are_none(phone: Phone, tmp_path: Path) -> None:
    source = opened(phone)
    for text in ("", "Termux:API is not yet available", '{"error": "permission"}', "[]"):
        phone.mumbles(text)
        with pytest.raises(SourceError, match="Termux:API"):
            source.read()
    phone.says(voltage=None)
    with pytest.raises(SourceError, match="left out"):
        source.read()
    with pytest.raises(SourceMissing, match="pkg install termux-api"):
        Termux(command=str(tmp_path / "none")).open()
    with pytest.raises(SourceError, match="open"):
        Termux().read()
