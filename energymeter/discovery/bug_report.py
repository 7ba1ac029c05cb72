"""What was found of a machine's sensors, as text for a bug report, without private data.

Left out or replaced: host and user names, the home folder, serial numbers, and everything but the driver
of a source that somebody named, because addresses and options may contain passwords.
"""

import importlib.metadata
import json
import os
import platform
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from energymeter.discovery.ports import device_nodes
from energymeter.errors import EnergyMeterError, LogError, SpecError
from energymeter.paths import below, entries, peek
from energymeter.spec import parse
from energymeter.version import __version__

_PACKAGES = (
    "edge-energymeter", "numpy", "smbus2", "pyserial", "hidapi", "pyusb", "jetson-stats", "nvidia-ml-py",
    "pyjoulescope-driver", "bleak", "pi-ina219",
)  # fmt: skip
_FOLDERS = {
    "sys/class/hwmon": ("name", "*_label", "*_input", "*_average", "shunt*_resistor"),
    "sys/bus/iio/devices": ("name", "in_*", "rail_name_*"),
    "sys/class/powercap": ("name", "max_energy_range_uj"),
    "sys/class/power_supply": ("type", "scope", "status", "*_now", "*_full", "*_full_design"),
    "sys/bus/i2c/devices": ("name",),
    "sys/bus/usb/devices": ("idVendor", "idProduct", "product"),
}
_MOST_LINES = 400
_NOT_PRIVATE = {"", "root", "localhost"}
_MOST_SIGNS = 100


def drivers_of(spec: str) -> str:
    """The drivers of a spec, without addresses and options.

    >>> drivers_of('http@"http://me:secret@plug/"?watts=$.p+ina219@1:0x40')
    'http+ina219'
    """
    try:
        return ",".join("+".join(one.driver for one in group) for group in parse(spec))
    except SpecError:
        return "something that is not a source"


def names_of(spec: str) -> str:
    """The names of the sources of a spec: without options, passwords, queries and command lines.

    >>> names_of('http@"http://me:secret@plug/p"?watts=$.p,sim:pi4')
    'http@http://plug/p,sim:pi4'
    """
    try:
        return ",".join("+".join(one.build().name for one in group) for group in parse(spec))
    except (EnergyMeterError, ImportError):
        return drivers_of(spec)


def bundle(report: Mapping[str, Any], root: str = "/", environment: Mapping[str, str] = os.environ) -> str:
    """The text of the report.

    Args:
        report: the output of ``energymeter devices --json``.
        root: where ``/sys``, ``/dev`` and ``/proc`` are.
        environment: names the user, whose name is replaced.
    """
    choice = {**report["choice"], "spec": drivers_of(report["choice"]["spec"])}
    system = platform.uname()
    lines = [
        f"energymeter {__version__}, Python {platform.python_version()} ({sys.implementation.name})",
        f"{system.system} {system.release} {system.machine}",
        "",
        json.dumps({**report, "choice": choice}, indent=1, ensure_ascii=False),
        "",
        *(f"{name} {version}" for name, version in _versions()),
        "",
        *device_nodes(root),
        *_shown(root),
    ]
    return without_names("\n".join(lines) + "\n", _names(system.node, environment))


def write(path: str, text: str) -> None:
    """Write a new file.

    Raises:
        LogError: it exists, or cannot be written.
    """
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise LogError(f"{path} exists and is not overwritten; give another name") from None
    except OSError as error:
        raise LogError(f"{path} cannot be written ({error.strerror}); name another file") from error


def refuse_existing(path: str) -> None:
    """Refuse a file that exists, before the work whose result it would hold.

    Raises:
        LogError: it exists.
    """
    if os.path.lexists(path):
        raise LogError(f"{path} exists and is not overwritten; give another name")


def without_names(text: str, names: Mapping[str, str]) -> str:
    """The text with every name, as a whole word, replaced.

    >>> without_names("/home/ada/x on ada-pi", {"/home/ada": "~", "ada-pi": "HOST"})
    '~/x on HOST'
    """
    for name in sorted(names, key=len, reverse=True):
        text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", names[name], text)
    return text


def _names(node: str, environment: Mapping[str, str]) -> dict[str, str]:
    found = {node: "HOST", node.partition(".")[0]: "HOST", environment.get("HOME", ""): "~"}
    for variable in ("USER", "LOGNAME", "SUDO_USER"):
        found[environment.get(variable, "")] = "USER"
    return {name: stand_in for name, stand_in in found.items() if name not in _NOT_PRIVATE | {"/", "/root"}}


def _versions() -> Iterable[tuple[str, str]]:
    for name in _PACKAGES:
        try:
            yield name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue


def _shown(root: str) -> list[str]:
    """The sensors' files that name neither a person nor one single device."""
    lines = []
    for folder, wanted in _FOLDERS.items():
        fits = re.compile("|".join(re.escape(pattern).replace(r"\*", ".*") for pattern in wanted))
        attributes = (
            f"{folder}/{device}/{name}"
            for device in entries(below(root, folder))
            for name in entries(below(root, folder, device))
            if fits.fullmatch(name) and os.path.isfile(below(root, folder, device, name))
        )
        lines += [f"/{attribute} {_text(below(root, attribute))}" for attribute in attributes]
    cut = [f"… and {len(lines) - _MOST_LINES} more"] if len(lines) > _MOST_LINES else []
    return lines[:_MOST_LINES] + cut


def _text(path: str) -> str:
    content = peek(path)
    return "(unreadable)" if content is None else " ".join(content.replace("\0", " ").split())[:_MOST_SIGNS]
