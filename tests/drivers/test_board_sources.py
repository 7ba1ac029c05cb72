"""Every source of the board's own keeps the driver contract, with its device and without it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from devices.jetson_stats import Service, rail
from devices.nvml import Driver, Gpu
from devices.programs import program
from devices.sysfs import JetsonBoard, Powercap, PowerSupply, Sysfs
from devices.videocore import Firmware, adc

from energymeter.drivers.adb import Adb
from energymeter.drivers.battery import Battery
from energymeter.drivers.hwmon import Hwmon
from energymeter.drivers.iio import Iio
from energymeter.drivers.jetson import Jetson
from energymeter.drivers.jtop import Jtop
from energymeter.drivers.nvml import Nvml
from energymeter.drivers.pmic import Pmic
from energymeter.drivers.rapl import Rapl
from energymeter.drivers.tegrastats import Tegrastats
from energymeter.drivers.termux import Termux
from energymeter.source import Source
from energymeter.testing import check_source, check_unplugged


@pytest.fixture
def sysfs(tmp_path: Path) -> Sysfs:
    """A machine with one of everything."""
    sysfs = Sysfs(tmp_path)
    powercap = Powercap(sysfs)
    powercap.zone("intel-rapl:0", "package-0")
    powercap.zone("intel-rapl:0:0", "dram")
    JetsonBoard(sysfs, "agx_orin")
    PowerSupply(sysfs, "BAT0").laptop()
    PowerSupply(sysfs, "BAT1").phone()
    sysfs.fill("sys/class/hwmon/hwmon0", {"name": "ina226", "in1_input": 5020, "curr1_input": 610})
    sysfs.fill(
        "sys/bus/iio/devices/iio:device0",
        {"name": "ina226", "in_voltage0_input": 5020, "in_current0_input": 610},
    )
    return sysfs


ON_SYSFS: dict[str, Callable[[str], Source]] = {
    "rapl": lambda root: Rapl(parts=True, root=root),
    "jetson": lambda root: Jetson(root=root),
    "jetson rail": lambda root: Jetson("VDD_CPU_CV", root=root),
    "battery": lambda root: Battery(root=root),
    "battery by power": lambda root: Battery(by="power", root=root),
    "hwmon": lambda root: Hwmon(root=root),
    "iio": lambda root: Iio(root=root),
}


@pytest.mark.parametrize("name", ON_SYSFS)
def test_sources_in_sysfs(sysfs: Sysfs, tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    empty = str(tmp_path_factory.mktemp("empty"))
    check_source(lambda: ON_SYSFS[name](sysfs.root))
    check_unplugged(lambda: ON_SYSFS[name](empty))


@pytest.mark.parametrize("total", ["VDD_IN", None])
def test_jtop(tmp_path: Path, total: str | None) -> None:
    service = Service({"VDD_IN": rail(4984, 864), "VDD_SOC": rail(4984, 272)}, total)
    absent = Service({})
    check_source(lambda: Jtop(root=str(tmp_path), client=service.client))
    check_unplugged(lambda: Jtop(root=str(tmp_path), client=absent.client))


@pytest.mark.parametrize("by", ["energy", "instant", "average", "usage"])
def test_nvml(by: str) -> None:
    driver = Driver(Gpu(millijoules=1000, usage=300_000, fields={185: 300_000, 186: 310_000}))
    check_source(lambda: Nvml(by=by, library=driver))
    check_unplugged(lambda: Nvml(by=by, library=Driver(rejection=9)))


@pytest.mark.parametrize("place", ["", "VDD_CORE"])
def test_pmic(tmp_path: Path, place: str) -> None:
    firmware = Firmware(*[adc()] * 20)
    check_source(lambda: Pmic(place, firmware=firmware))
    refusing = Firmware(*['error=1 error_msg="Command not registered"'] * 2)
    check_unplugged(lambda: Pmic(place, firmware=refusing))


def test_tegrastats(tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    lines.write_text("".join(f"VDD_IN {2000 + n}/2000 VDD_SOC 400/400\n" for n in range(20)))
    check_source(lambda: Tegrastats(str(lines)))
    check_unplugged(lambda: Tegrastats(command=str(tmp_path / "none")))


def test_phones(tmp_path: Path) -> None:
    said = {"status": "DISCHARGING", "voltage": 3868, "percentage": 60, "charge_counter": 2_400_000}
    termux = program(tmp_path, "termux-battery-status", f"echo '{json.dumps(said)}'")
    dump = "Battery:\\n  Charge counter: 2483000\\n  status: 3\\n  level: 67\\n  voltage: 3964\\n"
    adb = program(tmp_path, "adb", f"printf '{dump}'")
    check_source(lambda: Termux(command=termux))
    check_source(lambda: Adb(command=adb))
    check_unplugged(lambda: Termux(command=str(tmp_path / "none")))
    check_unplugged(lambda: Adb(command=str(tmp_path / "none")))
