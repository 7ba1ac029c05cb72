"""An Android phone at the end of adb: ``dumpsys battery``."""

from pathlib import Path

import pytest
from devices.programs import program

from energymeter.drivers.adb import Adb
from energymeter.errors import ImplausibleReading, SourceError, SourceMissing


class Phone:
    """Prints what ``dumpsys battery`` does, to whoever asks exactly that."""

    def __init__(self, folder: Path) -> None:
        self._answer = folder / "answer"
        self.command = program(
            folder,
            "adb",
            f'if [ "$*" = "-s 10.0.0.7:5555 shell dumpsys battery" ]; then cat {self._answer}; '
            'else echo "error: no devices" >&2; exit 1; fi',
        )

    def says(
        self, counter: object = 2483000, status: int = 3, voltage: object = 3964, powered: str = "false"
    ) -> None:
        self._answer.write_text(
            f"Current Battery Service state:\n  AC powered: false\n  USB powered: {powered}\n"
            f"  Max charging current: 0\n  Charge counter: {counter}\n  status: {status}\n  health: 2\n"
            f"  present: true\n  level: 67\n  scale: 100\n  voltage: {voltage}\n  temperature: 337\n"
            "  technology: Li-poly\n[log]\n08-11 18:34 level:72, voltage:4120\n  voltage: 4120\n"
        )

    def open(self, **said: object) -> Adb:
        self.says(**said)  # type: ignore[arg-type]
        source = Adb("10.0.0.7:5555", command=self.command)
        source.open()
        return source


@pytest.fixture
def phone(tmp_path: Path) -> Phone:
    return Phone(tmp_path)


def test_what_was_taken_out(phone: Phone) -> None:
    source = phone.open()
    assert source.name == "adb@10.0.0.7:5555"
    assert source.read().coulombs == 0.0
    phone.says(2473000, voltage=3954)
    reading = source.read()
    assert reading.coulombs == pytest.approx(36.0)
    assert reading.joules == pytest.approx(36.0 * 3.959)
    assert not source.read().fresh
    source.close()
    source.close()


def test_the_dump_of_a_samsung(tmp_path: Path) -> None:
    """Quoted in zebrunner/mcloud-device issue 150 (here discharging): one key comes twice."""
    dump = tmp_path / "dump"
    dump.write_text(
        "Current Battery Service state:\n  AC powered: false\n  USB powered: false\n"
        "  Charge counter: 2967000\n  status: 3\n  health: 2\n  present: true\n  level: 100\n  scale: 100\n"
        "  voltage: 4312\n  temperature: 309\n  technology: Li-ion\n  batterySWSelfDischarging: false\n"
        "  batteryMiscEvent: 65536\n  LED Charging: true\n  current now: 0\n  charge counter: 2967000\n"
        "USE_FAKE_BATTERY: false\nLLB DIFF: 256\nBatteryInfoBackUp\n  mSavedBatteryAsoc: 96\n"
    )
    source = Adb(command=program(tmp_path, "adb", f"cat {dump}"))
    source.open()
    reading = source.read()
    assert (reading.volts, reading.coulombs) == (4.312, 0.0)


@pytest.mark.parametrize("status", [1, 2, 3, 4, 5])
def test_a_phone_that_is_plugged_in_is_refused(phone: Phone, status: int) -> None:
    with pytest.raises(SourceError, match="unplug"):
        phone.open(status=status, powered="true")


@pytest.mark.parametrize("status", [1, 3, 4, 5])
def test_a_phone_that_is_not_is_measured_whatever_its_status(phone: Phone, status: int) -> None:
    assert phone.open(status=status).read().coulombs == 0.0


def test_a_phone_whose_status_lags_behind_is_waited_for(phone: Phone) -> None:
    with pytest.raises(SourceError, match="no charger connected; wait"):
        phone.open(status=2)


def test_gauges_that_are_none(phone: Phone) -> None:
    with pytest.raises(ImplausibleReading):
        phone.open(counter=220)
    with pytest.raises(ImplausibleReading, match="4 mV"):
        phone.open(voltage=4)  # volts
    with pytest.raises(SourceMissing, match="percentage"):
        phone.open(counter="")


def test_a_phone_that_goes_away(phone: Phone, tmp_path: Path) -> None:
    source = phone.open()
    phone.says("")
    with pytest.raises(SourceError, match="left out"):
        source.read()
    (tmp_path / "answer").write_text("cmd: Can't find service: battery\n")
    with pytest.raises(SourceError, match="unlock the phone"):
        source.read()
    with pytest.raises(SourceError, match="no devices"):
        Adb(command=phone.command).open()
    with pytest.raises(SourceMissing, match="apt install adb"):
        Adb(command=str(tmp_path / "none")).open()
    with pytest.raises(SourceError, match="open"):
        Adb().read()
