"""An emulated /sys: files laid out as real boards show them, and the faults real files have."""

import os
from pathlib import Path

import pytest

from energymeter.errors import SourceError, SourceMissing
from energymeter.source import Source

_WRITE_ONLY = "/sys/bus/cpu/uevent"  # sysfs refuses to open it for reading even to root


class Sysfs:
    """A tree under ``tmp_path`` that stands for ``/``; every write is atomic, as the kernel's are."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)

    def path(self, name: str) -> Path:
        return Path(self.root) / name

    def put(self, name: str, value: object) -> None:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.new")
        new.write_text(f"{value}\n" if value != "" else "")
        new.replace(path)

    def rewrite(self, name: str, value: object) -> None:
        """Change the text of the same file, as a kernel attribute does: open descriptors see it."""
        with open(self.path(name), "r+") as file:
            file.write(f"{value}\n")
            file.truncate()

    def fill(self, folder: str, files: dict[str, object]) -> None:
        for name, value in files.items():
            self.put(f"{folder}/{name}", value)

    def remove(self, name: str) -> None:
        path = self.path(name)
        if path.is_dir():
            for child in path.iterdir():
                self.remove(f"{name}/{child.name}")
            path.rmdir()
        else:
            path.unlink()

    def break_reads(self, name: str) -> None:
        """Opening still works, reading gives EIO, as a disabled channel of a real chip does."""
        self._link(name, "/proc/self/mem")

    def forbid(self, name: str) -> None:
        """Opening gives EACCES, to root as well."""
        if not os.path.exists(_WRITE_ONLY):
            pytest.skip(f"{_WRITE_ONLY} is not here to stand for a file nobody may read")
        self._link(name, _WRITE_ONLY)

    def _link(self, name: str, target: str) -> None:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(target)


def check_faults(sysfs: Sysfs, source: Source, name: str, folder: str) -> None:
    """Hold an open source to saying what went wrong with its file ``name``, and with all of ``folder``."""
    sysfs.break_reads(name)
    with pytest.raises(SourceError, match="Input/output"):
        source.read()
    sysfs.put(name, "")
    with pytest.raises(SourceError, match="empty"):
        source.read()
    sysfs.remove(folder)
    with pytest.raises(SourceMissing):
        source.read()
    source.close()
    source.close()


class Powercap:
    """RAPL zones as ``/sys/class/powercap`` shows them (shape: prometheus/procfs testdata, Apache-2.0)."""

    RANGE_UJ = 262_143_328_850

    def __init__(self, sysfs: Sysfs) -> None:
        self.sysfs = sysfs

    def zone(self, key: str, name: str, energy_uj: int = 1_000_000, max_power_uw: object = 95_000_000) -> str:
        folder = f"sys/class/powercap/{key}"
        self.sysfs.fill(
            folder,
            {
                "name": name,
                "energy_uj": energy_uj,
                "max_energy_range_uj": self.RANGE_UJ,
                "constraint_0_name": "long_term",
                "constraint_0_max_power_uw": max_power_uw,
                "constraint_0_power_limit_uw": 4_090_000_000,
                "constraint_1_max_power_uw": 0,
                "enabled": 1,
            },
        )
        return f"{folder}/energy_uj"


_JETSONS: dict[str, dict[str, tuple[str, str, list[tuple[str, int, int]]]]] = {
    "nano": {
        "6-0040": (
            "ina3221x",
            "iio:device0",
            [("POM_5V_IN", 5080, 400), ("POM_5V_GPU", 5080, 8), ("POM_5V_CPU", 5080, 80)],
        )
    },
    "xavier_nx": {
        "7-0040": (
            "ina3221x",
            "iio:device0",
            [("VDD_IN", 5000, 720), ("VDD_CPU_GPU_CV", 5000, 120), ("VDD_SOC", 5000, 232)],
        )
    },
    "orin_nano": {
        "1-0040": (
            "ina3221",
            "hwmon/hwmon1",
            [("VDD_IN", 4984, 864), ("VDD_CPU_GPU_CV", 4984, 128), ("VDD_SOC", 4984, 272)],
        )
    },
    "agx_orin": {
        "1-0040": (
            "ina3221",
            "hwmon/hwmon3",
            [("VDD_GPU_SOC", 12008, 280), ("VDD_CPU_CV", 12008, 40), ("VIN_SYS_5V0", 4968, 980)],
        ),
        "1-0041": (
            "ina3221",
            "hwmon/hwmon4",
            [("NC", 0, 0), ("VDDQ_VDD2_1V8AO", 4968, 80), ("NC", 0, 0)],
        ),
    },
}


class JetsonBoard:
    """The power monitors of a Jetson, on either layout (shapes: public dumps; figures: the boards at idle).

    Chips are ``address: (driver, folder, [(label, millivolts, milliamps), …])``.
    """

    def __init__(self, sysfs: Sysfs, board: str, listing: str = "devices") -> None:
        self.sysfs = sysfs
        self._at: dict[str, tuple[str, str]] = {}
        for address, (driver, folder, rails) in _JETSONS[board].items():
            device = f"sys/bus/i2c/{listing}/{address}"
            sysfs.put(f"{device}/name", driver)
            if folder.startswith("hwmon"):
                sysfs.fill(
                    f"{device}/{folder}",
                    {"name": driver, "in7_label": "sum of shunt voltages", "in7_input": 0},
                )
            for index, (label, millivolts, milliamps) in enumerate(rails):
                self._label(f"{device}/{folder}", index, label)
                self.set(label, millivolts, milliamps)

    def _label(self, folder: str, index: int, label: str) -> None:
        if "/iio:" in folder:
            self.sysfs.put(f"{folder}/rail_name_{index}", label)
            self._at[label] = (f"{folder}/in_voltage{index}_input", f"{folder}/in_current{index}_input")
        else:
            self.sysfs.put(f"{folder}/in{index + 1}_label", label)
            self._at[label] = (f"{folder}/in{index + 1}_input", f"{folder}/curr{index + 1}_input")

    def files(self, label: str) -> tuple[str, str]:
        """The names of a rail's voltage and current files."""
        return self._at[label]

    def set(self, label: str, millivolts: int, milliamps: int) -> None:
        for name, value in zip(self.files(label), (millivolts, milliamps), strict=True):
            self.sysfs.put(name, value)


class PowerSupply:
    """A battery in ``/sys/class/power_supply``: an ACPI laptop's (µWh) or a fuel gauge's (µAh)."""

    def __init__(self, sysfs: Sysfs, name: str = "BAT0") -> None:
        self.sysfs = sysfs
        self.folder = f"sys/class/power_supply/{name}"

    def laptop(self, energy_now: int = 49_450_000, status: str = "Discharging") -> "PowerSupply":
        return self._fill(
            status,
            energy_now=energy_now,
            energy_full=50_060_000,
            energy_full_design=47_520_000,
            power_now=4_830_000,
        )

    def phone(self, charge_now: int = 2_345_000, status: str = "Discharging") -> "PowerSupply":
        return self._fill(
            status,
            charge_now=charge_now,
            charge_full=4_000_000,
            charge_full_design=4_100_000,
            current_now=-166_000,
        )

    def _fill(self, status: str, **files: object) -> "PowerSupply":
        self.sysfs.fill(
            self.folder, {"type": "Battery", "status": status, "voltage_now": 12_229_000, **files}
        )
        return self

    def set(self, key: str, value: object) -> None:
        self.sysfs.put(f"{self.folder}/{key}", value)
