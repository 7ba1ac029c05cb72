"""An emulated /sys: files laid out as real boards show them, and the faults real files have."""

import os
from pathlib import Path

import pytest

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
