"""The udev rules and groups with which a user may read the meters of this machine, ready to paste.

Nothing is changed here; the text is for a shell of the user, who reads it first.
"""

import grp
import os
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from energymeter.discovery.ports import rights
from energymeter.drivers.links.usb import plugged
from energymeter.drivers.protocols.rapl import UDEV_RULE
from energymeter.errors import EnergyMeterError
from energymeter.paths import below, entries
from energymeter.spec import driver_names, load_driver

RULES_FILE = "/etc/udev/rules.d/70-energymeter.rules"
"""Before 73-seat-late.rules, which acts on the tag uaccess."""
_OWNERS = {"i2c": ("i2c",), "serial": ("dialout", "uucp"), "usb": ("plugdev",), "rapl": ("rapl",)}
"""The groups by distribution; the first one is made where none exists."""


class _Kind(NamedTuple):
    """A kind of device node."""

    title: str
    owners: str
    nodes: str
    """A regular expression of names under /dev; empty for RAPL, whose counters are in sysfs."""


_KINDS = (
    _Kind("I²C buses", "i2c", r"i2c-\d+"),
    _Kind("serial ports", "serial", r"tty(USB|ACM)\d+|rfcomm\d+"),
    _Kind("HID meters", "usb", r"hidraw\d+"),
    _Kind("USB meters", "usb", ""),
    _Kind("RAPL counters", "rapl", ""),
)


class Machine:
    """What is on a machine, as far as permissions need it.

    Args:
        root: where ``/dev`` and ``/sys`` are.
        groups: the names of all groups here.
        member_of: the groups of the user.
    """

    def __init__(
        self, root: str = "/", groups: Iterable[str] | None = None, member_of: Iterable[str] | None = None
    ) -> None:
        self._root = root
        self.groups = {group.gr_name for group in grp.getgrall()} if groups is None else set(groups)
        self.member_of = set(_own_groups() if member_of is None else member_of)

    def owner(self, kind: str) -> str:
        """The group of a kind of node, by what this distribution calls it."""
        return next((name for name in _OWNERS[kind] if name in self.groups), _OWNERS[kind][0])

    def nodes(self, pattern: str) -> Iterator[str]:
        """Nodes with their state, as ``/dev/i2c-1 readable``."""
        for name in entries(below(self._root, "dev")):
            if pattern and re.fullmatch(pattern, name):
                yield f"/dev/{name} {self._state('dev', name)}"

    def counters(self) -> Iterator[str]:
        """RAPL's counters with their state."""
        for zone in entries(below(self._root, "sys/class/powercap")):
            if ":" in zone:
                yield f"{zone} {self._state('sys/class/powercap', zone, 'energy_uj')}"

    def plugged(self, usb_ids: Iterable[tuple[int, int]]) -> bool:
        """Whether a device with one of these numbers is plugged in."""
        return bool(plugged(usb_ids, self._root))

    def _state(self, *parts: str) -> str:
        return rights(below(self._root, *parts))


def permissions(
    machine: Machine | None = None,
    names: Callable[[], Iterable[str]] = driver_names,
    load: Callable[[str], Any] = load_driver,
) -> str:
    """The commands and rules, with the state of this machine as comments.

    Args:
        machine: what is here.
        names, load: the names of the drivers, and the class of each, whose USB numbers get a rule.
    """
    machine = Machine() if machine is None else machine
    meters = list(_usb_meters(names, load))
    lines = [
        "# Read this, then paste it into a shell. Then log out and in again, and plug USB meters in again.",
        "",
    ]
    for kind in _KINDS:
        lines.append(f"# {kind.title}: {_state_of(machine, kind, meters)}")
    lines.append("")
    for owners in _OWNERS:
        group = machine.owner(owners)
        if group in machine.member_of:
            lines.append(f"# you are in group {group}")
            continue
        if group not in machine.groups:
            lines.append(f"sudo groupadd -f {group}")
        lines.append(f'sudo usermod -aG {group} "$USER"')
    serial = machine.owner("serial")
    lines += [
        f"sudo tee {RULES_FILE} <<'EOF'",
        f'SUBSYSTEM=="i2c-dev", GROUP="{machine.owner("i2c")}", MODE="0660"',
        f'SUBSYSTEM=="tty", KERNEL=="ttyUSB*|ttyACM*|rfcomm*", GROUP="{serial}", MODE="0660"',
        *dict.fromkeys(rule for meter in meters for rule in _rules(meter, machine.owner("usb"))),
        "# finely timed readings leak secrets of other programs: leave this one out on a machine that you "
        "share",
        UDEV_RULE.replace("rapl ", f"{machine.owner('rapl')} "),
        "EOF",
        "sudo udevadm control --reload",
        "sudo udevadm trigger --action=add --subsystem-match=i2c-dev --subsystem-match=tty "
        "--subsystem-match=hidraw --subsystem-match=usb --subsystem-match=powercap",
    ]
    return "\n".join(lines) + "\n"


class _UsbMeter(NamedTuple):
    driver: str
    node: str
    usb_ids: tuple[tuple[int, int], ...]


def _usb_meters(names: Callable[[], Iterable[str]], load: Callable[[str], Any]) -> Iterator[_UsbMeter]:
    """The drivers that open a HID or USB node; those on a serial port need its group only."""
    for name in names():
        try:
            driver = load(name)
        except (EnergyMeterError, ImportError):  # another package's driver, which `devices` reports
            continue
        node = getattr(driver, "usb_node", "")
        if node:
            yield _UsbMeter(name, node, tuple(driver.usb_ids))


def _rules(meter: _UsbMeter, group: str) -> Iterator[str]:
    """One rule per device: for the group, and for whoever sits at the machine."""
    attributes = "ATTRS" if meter.node == "hidraw" else "ATTR"
    for vendor, product in meter.usb_ids:
        yield (
            f'SUBSYSTEM=="{meter.node}", {attributes}{{idVendor}}=="{vendor:04x}", '
            f'{attributes}{{idProduct}}=="{product:04x}", GROUP="{group}", MODE="0660", TAG+="uaccess"'
        )


def _state_of(machine: Machine, kind: _Kind, meters: list[_UsbMeter]) -> str:
    if kind.owners == "rapl":
        found = list(machine.counters())
    elif kind.nodes:
        found = list(machine.nodes(kind.nodes))
    else:
        found = [m.driver for m in meters if m.node == "usb" and machine.plugged(m.usb_ids)]
    return ", ".join(found) or "none here now"


def _own_groups() -> Iterator[str]:
    for number in {os.getegid(), *os.getgroups()}:
        try:
            yield grp.getgrgid(number).gr_name
        except KeyError:  # a number without a name
            continue
