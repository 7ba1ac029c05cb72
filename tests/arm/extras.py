"""Which packages of the extras are available on ARM: as a wheel of the package index, else from Debian.

    python tests/arm/extras.py CACHE      the folder of `userland.sh`, for Debian's lists of packages

Prints a table. pip looks for each package for a foreign platform and installs nothing; what those need in
turn is not looked at.
"""

import configparser
import re
import subprocess
import sys
import tempfile
from pathlib import Path

PLATFORMS = {
    "arm64": [f"manylinux_2_{glibc}_aarch64" for glibc in (34, 28, 27, 24, 17)],
    "armhf": [f"manylinux_2_{glibc}_armv7l" for glibc in (34, 31, 17)],
    "armel": ["linux_armv6l"],
}
PYTHON = "3.11"  # Debian 12's
_DEBIAN = {"pyusb": "usb", "cffi": "cffi-backend", "nvidia-ml-py": "pynvml"}


def packages() -> dict[str, list[str]]:
    """Every package, with the extras that want it; numpy and cffi are wanted by nearly all."""
    config = configparser.ConfigParser()
    config.read(Path(__file__).parents[2] / "setup.cfg")
    found: dict[str, list[str]] = {"numpy": [], "cffi": []}
    for extra, text in config["options.extras_require"].items():
        for line in filter(None, map(str.strip, text.split("\n"))):
            if extra != "test" and not line.startswith("#"):
                found.setdefault(re.split(r"[^A-Za-z0-9_.-]", line)[0], []).append(extra)
    return found


def has_wheel(package: str, platforms: list[str]) -> bool:
    """Whether pip would take one."""
    with tempfile.TemporaryDirectory() as target:
        tried = subprocess.run(
            [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--ignore-installed",
             "--quiet", "--disable-pip-version-check", "--target", target, "--only-binary", ":all:",
             "--python-version", PYTHON, *(f"--platform={name}" for name in platforms), package],
            capture_output=True, check=False,
        )  # fmt: skip
    return not tried.returncode


def in_debian(package: str, lists: Path) -> bool:
    """Whether Debian has it for the architecture whose lists these are."""
    name = _DEBIAN.get(package, package.lower())
    wanted = re.compile(rf"^Package: python3-{re.escape(name)}$", re.MULTILINE)
    return any(wanted.search(path.read_text()) for path in lists.glob("*_Packages"))


def main(cache: Path) -> None:
    print(f"| package | extras | {' | '.join(PLATFORMS)} |")
    print("|---|---|" + "---|" * len(PLATFORMS))
    for package, extras in packages().items():
        cells = []
        for architecture, platforms in PLATFORMS.items():
            lists = cache / architecture / "var/lib/apt/lists"
            cells.append(
                "wheel"
                if has_wheel(package, platforms)
                else "apt"
                if in_debian(package, lists)
                else "neither"
            )
        print(f"| {package} | {', '.join(extras)} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
