"""The jtop driver against an emulated service; tests/test_jtop_service.py holds it against the real one."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from devices.jetson_stats import JtopException, Service, rail
from devices.sysfs import Sysfs

from energymeter.drivers.jtop import Jtop
from energymeter.errors import (
    ExtraMissing,
    SourceError,
    SourceForbidden,
    SourceMissing,
    SourceTimeout,
    SpecError,
)


def orin_nano() -> Service:
    return Service(
        {"VDD_IN": rail(4984, 864), "VDD_CPU_GPU_CV": rail(4984, 128), "VDD_SOC": rail(4984, 272)}, "VDD_IN"
    )


def agx_orin() -> Service:
    return Service(
        {
            "VDD_GPU_SOC": rail(12008, 280),
            "VDD_CPU_CV": rail(12008, 40),
            "VIN_SYS_5V0": rail(4968, 980),
            "VDDQ_VDD2_1V8AO": rail(4968, 80),
        }
    )


@pytest.fixture
def service() -> Iterator[Service]:
    service = orin_nano()
    yield service
    service.hangs.set()


def opened(service: Service, tmp_path: Path, interval: float = 0.0) -> Jtop:
    source = Jtop(interval=interval, root=str(tmp_path), client=service.client)
    source.open()
    return source


def test_the_total_rail_is_counted_and_the_rest_shown(service: Service, tmp_path: Path) -> None:
    source = opened(service, tmp_path)
    assert {channel.name: channel.facts.counted for channel in source.channels()} == {
        "jtop:VDD_CPU_GPU_CV": False,
        "jtop:VDD_SOC": False,
        "jtop:VDD_IN": True,
    }
    service.tick()
    reading = source.read()
    assert reading.volts == pytest.approx(4.984)
    assert reading.amps == pytest.approx(0.864)


def test_a_board_without_a_total_gives_power_only(tmp_path: Path) -> None:
    service = agx_orin()
    source = opened(service, tmp_path)
    service.tick()
    readings = {channel.name: channel.read() for channel in source.channels()}
    counted = [channel.name for channel in source.channels() if channel.facts.counted]
    assert counted == ["jtop:VDD_GPU_SOC", "jtop:VDD_CPU_CV", "jtop:VIN_SYS_5V0"]
    assert all(readings[name].amps is None for name in counted)
    assert sum(readings[name].watts or 0 for name in counted) == pytest.approx(
        12.008 * 0.32 + 4.968 * 0.98, rel=1e-9
    )


def test_batteries_and_usb_supplies_do_not_enter_the_sum(tmp_path: Path) -> None:
    service = agx_orin()
    service.rails["battery"] = rail(11100, 1000, status="Discharging")
    service.rails["ucsi-source-psy-3-00081"] = rail(15000, 3000)
    Sysfs(tmp_path).put("sys/class/power_supply/ucsi-source-psy-3-00081/type", "USB")
    source = opened(service, tmp_path)
    assert len(source.channels()) == 4


def test_a_lost_total_is_a_gap_and_never_the_sum_of_the_rest(service: Service, tmp_path: Path) -> None:
    source = opened(service, tmp_path)
    service.tick()
    source.read()
    lost = service.rails.pop("VDD_IN")
    service.tick()
    with pytest.raises(SourceError, match="VDD_IN"):
        source.read()
    service.rails["VDD_IN"] = lost
    service.tick()
    assert source.read().amps == pytest.approx(0.864)


def test_opened_again_it_counts_the_same_rails(service: Service, tmp_path: Path) -> None:
    source = opened(service, tmp_path)
    lost = service.rails.pop("VDD_IN")
    with pytest.raises(SourceError, match="VDD_IN is gone"):
        source.open()
    service.rails["VDD_IN"] = lost
    source.open()
    assert source.read().amps == pytest.approx(0.864)


def test_a_repeated_sample_is_not_fresh(service: Service, tmp_path: Path) -> None:
    source = opened(service, tmp_path)
    service.tick()
    first = source.read()
    service.repeat()
    assert first.fresh
    assert not source.read().fresh
    service.tick()
    again = source.read()
    assert again.fresh
    assert again.at_ns is not None
    assert first.at_ns is not None
    assert again.at_ns > first.at_ns


def test_a_rail_asked_later_still_has_the_sample(service: Service, tmp_path: Path) -> None:
    one, two, _ = opened(service, tmp_path).channels()
    assert [one.read().fresh, one.read().fresh, two.read().fresh, two.read().fresh] == [
        True,
        False,
        True,
        False,
    ]


def test_every_rail_of_one_sample_has_its_time(service: Service, tmp_path: Path) -> None:
    source = opened(service, tmp_path)
    service.tick()
    assert len({channel.read().at_ns for channel in source.channels()}) == 1


def test_the_interval_follows_the_rate_down_to_its_floor(service: Service, tmp_path: Path) -> None:
    source = Jtop(root=str(tmp_path), client=service.client)
    source.tune(100.0)
    source.open()
    assert [client.asked for client in service.clients] == [0.2]


def test_a_slow_service_sets_the_pace(service: Service, tmp_path: Path) -> None:
    service.interval = 2.0
    opened(service, tmp_path)
    assert [client.asked for client in service.clients] == [0.5, 2.0]
    assert service.clients[0].closed.wait(5.0)


def test_it_connects_again_after_the_service_was_restarted(service: Service, tmp_path: Path) -> None:
    source = opened(service, tmp_path)
    service.tick()
    source.read()
    service.die(JtopException("Lost connection with jtop server"))
    service.rejection = JtopException(
        "The jtop.service is not active. Please run:\nsudo jtop --install-service"
    )
    with pytest.raises(SourceError, match="went away"):
        source.read()
    with pytest.raises(SourceMissing, match="systemctl enable --now jtop"):
        source.read()
    service.rejection = None
    assert source.read().amps == pytest.approx(0.864)


def test_a_hung_start_is_a_timeout_and_does_not_pile_up(service: Service, tmp_path: Path) -> None:
    service.hangs.clear()
    source = Jtop(root=str(tmp_path), timeout=0.01, client=service.client)
    for _ in range(3):
        with pytest.raises(SourceTimeout, match="did not answer"):
            source.open()
    assert len(service.clients) == 1
    service.hangs.set()
    assert service.clients[0].closed.wait(5.0)


@pytest.mark.parametrize(
    ("rejection", "error", "words"),
    [
        (JtopException("The jtop.service is not active. Please run:\n…"), SourceMissing, "--install-service"),
        (
            JtopException("I can't access jtop.service.\nPlease logout or reboot this board."),
            SourceForbidden,
            "usermod -aG jtop",
        ),
        (
            JtopException("Mismatch version jtop service: [7.2.2] and client: [4.3.2]. Please run:\n…"),
            SourceError,
            "pip install jetson-stats==7.2.2",
        ),
        (JtopException("Authentication with jetson-stats server failed"), SourceError, "reinstall both"),
        (JtopException("Mismatch of Python versions between library and service"), SourceError, "reinstall"),
        (JtopException("Error connection"), SourceTimeout, "interval=1"),
        (EOFError(), SourceError, "journalctl -u jtop"),
        (KeyError("init"), SourceError, "KeyError"),
        (PermissionError(13, "denied"), SourceForbidden, "usermod -aG jtop"),
    ],
)
def test_every_rejection_becomes_a_sentence_with_a_remedy(
    service: Service, tmp_path: Path, rejection: BaseException, error: type[SourceError], words: str
) -> None:
    service.rejection = rejection
    with pytest.raises(error, match=words):
        opened(service, tmp_path)


def test_a_board_without_a_sensor_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match="no power sensor"):
        opened(Service({}), tmp_path)


def test_bad_options(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"below 0\.2 s"):
        Jtop(interval=0.1)
    with pytest.raises(SpecError, match="too fast"):
        Jtop(interval=float("nan"))
    with pytest.raises(SpecError, match="no address"):
        Jtop("orin")


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jtop", None)
    with pytest.raises(ExtraMissing, match=r"edge-energymeter\[jetson\]"):
        Jtop().open()


def test_closing_is_forgiving(service: Service, tmp_path: Path) -> None:
    source = Jtop(client=service.client)
    source.close()
    source = opened(service, tmp_path)
    source.close()
    source.close()
    assert service.clients[-1].closed.wait(5.0)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("proc/device-tree/model", "NVIDIA Orin Nano Developer Kit"),
        ("proc/device-tree/model", "Jetson-AGX"),
        ("run/jtop.sock", ""),
    ],
)
def test_it_is_looked_for_on_a_jetson_or_where_the_service_runs(tmp_path: Path, name: str, text: str) -> None:
    sysfs = Sysfs(tmp_path)
    sysfs.put("proc/device-tree/model", "Raspberry Pi 5 Model B Rev 1.0")
    with pytest.raises(SourceMissing, match="no Jetson"):
        Jtop.addresses(sysfs.root)
    sysfs.put(name, text)
    assert Jtop.addresses(sysfs.root) == [""]
