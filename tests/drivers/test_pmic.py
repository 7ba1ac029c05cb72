"""The Raspberry Pi 5's power chip: pairing, both ways to the firmware, and boards without it."""

import csv
from pathlib import Path

import pytest
from devices.programs import program
from devices.real_recordings import recording
from devices.sysfs import Sysfs
from devices.videocore import RAILS, Firmware, Vcio, adc
from hypothesis import given
from hypothesis import strategies as st

from energymeter.drivers.pmic import Mailbox, Pmic, Vcgencmd
from energymeter.errors import SourceError, SourceForbidden, SourceMissing, SpecError

SUM = sum(volts * amps for volts, amps in RAILS.values())


def opened(*answers: str, place: str = "", fit: bool = False) -> Pmic:
    pmic = Pmic(place, fit=fit, firmware=Firmware(answers[0], *answers))
    pmic.open()
    return pmic


def test_rails_are_paired_by_name() -> None:
    reading = opened(adc()).read()
    assert reading.watts == pytest.approx(SUM, rel=1e-6)
    assert reading.amps is None


@given(st.permutations(adc().splitlines()))
def test_the_order_of_lines_does_not_matter(lines: list[str]) -> None:
    assert opened("\n".join(lines)).read().watts == pytest.approx(SUM, rel=1e-6)


def test_one_rail_has_volts_and_amps() -> None:
    reading = opened(adc(), place="VDD_CORE").read()
    assert (reading.volts, reading.amps) == (0.8974594, 2.0)
    with pytest.raises(SpecError, match="VDD_CORE"):
        opened(adc(), place="EXT5V")


def test_the_fit_is_asked_for_and_labelled() -> None:
    fitted = opened(adc(), fit=True)
    assert fitted.name == "pmic+fit"
    assert fitted.facts.provenance == "modelled"
    assert fitted.read().watts == pytest.approx(1.1451 * SUM + 0.5879, rel=1e-6)
    assert Pmic().facts.provenance == "measured"
    with pytest.raises(SpecError):
        Pmic("VDD_CORE", fit=True)


def test_an_older_board_has_no_sensor() -> None:
    with pytest.raises(SourceMissing, match="INA219"):
        opened('error=1 error_msg="Command not registered"')


@pytest.mark.parametrize("answer", ["", "garbage", "\n".join(adc().splitlines()[:5])])
def test_a_cut_answer_is_an_error_and_not_less_power(answer: str) -> None:
    pmic = opened(adc(), answer)
    pmic.read()
    with pytest.raises(SourceError, match="cut off"):
        pmic.read()


def test_the_mailbox(tmp_path: Path) -> None:
    device = tmp_path / "vcio"
    device.touch()
    kernel = Vcio(adc())
    mailbox = Mailbox(str(device), kernel.ioctl)
    assert mailbox.ask("pmic_read_adc") == adc()
    assert kernel.question == b"pmic_read_adc"
    mailbox.close()
    mailbox.close()
    refusing = Mailbox(str(device), Vcio('error=1 error_msg="Command not registered"', status=1).ioctl)
    with pytest.raises(SourceMissing, match="not registered"):
        refusing.ask("pmic_read_adc")
    with pytest.raises(SourceMissing):
        Mailbox(str(tmp_path / "none"))


def test_a_device_that_is_no_mailbox_is_an_error(tmp_path: Path) -> None:
    device = tmp_path / "vcio"
    device.touch()
    mailbox = Mailbox(str(device))
    with pytest.raises(SourceError, match="mailbox"):
        mailbox.ask("pmic_read_adc")
    mailbox.close()


def test_the_command(tmp_path: Path) -> None:
    answer = tmp_path / "answer"
    answer.write_text(adc())
    command = program(tmp_path, "vcgencmd", f'[ "$1" = pmic_read_adc ] && cat {answer}')
    pmic = Pmic(firmware=Vcgencmd(command))
    pmic.open()
    assert pmic.read().watts == pytest.approx(SUM, rel=1e-6)
    with pytest.raises(SourceMissing, match="INA219"):
        Pmic(firmware=Vcgencmd(str(tmp_path / "none"))).open()
    with pytest.raises(SourceError, match="VCHI"):
        Pmic(
            firmware=Vcgencmd(program(tmp_path, "failing", "echo VCHI initialization failed >&2; exit 255"))
        ).open()


def test_a_user_outside_the_group_learns_which(tmp_path: Path) -> None:
    Sysfs(tmp_path).forbid("dev/vcio")
    with pytest.raises(SourceForbidden, match="usermod -aG video"):
        Pmic(root=str(tmp_path)).open()


def test_reading_before_open_and_after_close() -> None:
    pmic = opened(adc())
    pmic.close()
    pmic.close()
    for closed in (pmic, Pmic()):
        with pytest.raises(SourceError, match="open"):
            closed.read()


def test_a_recorded_answer() -> None:
    recorded = recording("wire/rpi5_pmic_read_adc.txt")
    answer = recorded.read_text()
    assert opened(answer).read().watts == pytest.approx(10.7999, abs=1e-4)
    assert opened(answer, fit=True).read().watts == pytest.approx(12.9549, abs=1e-4)
    assert opened(answer, place="VDD_CORE").read().amps == pytest.approx(10.87674)


def test_a_recorded_run_plays_through() -> None:
    recorded = recording("traces/e2fl/power_RPi5_2025-03-28_015640.230948.csv")
    with open(recorded, newline="") as file:
        watts = [float(row["Power (mW)"]) for row in csv.DictReader(file)]  # the header is wrong: it is W
    pmic = opened(*(adc({"VDD_CORE": (1.0, one)}) for one in watts))
    assert [pmic.read().watts for _ in watts] == pytest.approx(watts)


def test_a_recorded_sensor_that_failed_silently_gives_no_reading() -> None:
    recorded = recording("traces/e2fl/power_RPi5_2025-05-16_011058.291038.csv")
    with open(recorded, newline="") as file:
        answer = "\n".join(f"VDD_CORE_A current(7)={row['Power (mW)']}A" for row in csv.DictReader(file))
    with pytest.raises(SourceError, match="no rail"):
        opened(answer)


def test_an_answer_without_a_rail_is_an_error_and_not_less_power() -> None:
    fewer = {name: value for name, value in RAILS.items() if name != "VDD_CORE"}
    pmic = opened(adc(), adc(fewer), adc())
    pmic.read()
    with pytest.raises(SourceError, match="lacks VDD_CORE"):
        pmic.read()
    assert pmic.read().watts == pytest.approx(SUM, rel=1e-6)
