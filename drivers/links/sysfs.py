"""The text files in which the kernel shows its sensors (/sys, /proc), read again and again."""

import errno
import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from energymeter.drivers.links.channels import Parts
from energymeter.errors import (
    SourceBusy,
    SourceError,
    SourceForbidden,
    SourceMissing,
    SourceTimeout,
    SpecError,
)
from energymeter.paths import PAGE, peek, peek_number
from energymeter.reading import Facts, Reading
from energymeter.units import number

_MISSING = (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ENOTDIR)
_NO_VALUE = frozenset([2.0**32 - 1, 1e3 * (2.0**32 - 1), 2.0**31 - 1, -(2.0**31), 2.0**63, 2.0**64])
"""What firmware answers for "unknown": all bits set, or the least and the largest number."""
_FORBIDDEN = (errno.EACCES, errno.EPERM)
_MOST_ERRNO = 4095
"""MAX_ERRNO of the kernel (include/linux/err.h)."""
_INA260_MICRO_OHMS = 2000.0
"""An INA260 has its shunt inside (data sheet, 2 mΩ)."""
_FULL_SCALE_VOLTS = (
    ("ina260", 0.08192),
    ("ina3221", 0.1638),
    ("ina226", 0.08192),
    ("ina23", 0.08192),
    ("ina219", 0.32),
)
"""Across the shunt, by how the chips' names begin, as their kernel drivers set them (ina3221.c, ina2xx.c)."""
MOST_WATTS = 20e3
"""More than one monitoring chip can tell: the largest power shelves. Codes for "no value" are far above."""
TINY_WATTS = 1e-3
"""No chip here shows less with any meaning."""


_NOTHING: Mapping[str, str] = {}


def translated(error: OSError, where: str, forbidden: str = "") -> SourceError:
    """Our error for an ``OSError`` met at ``where``; ``forbidden`` is the remedy for EACCES."""
    if error.errno in _FORBIDDEN:
        return SourceForbidden(f"{where}: permission denied; {forbidden or 'run as a user who may read it'}")
    if error.errno in _MISSING:
        return SourceMissing(f"{where} is not there; was the device unplugged or its driver unloaded?")
    if error.errno == errno.EBUSY:
        return SourceBusy(f"{where} is busy; end the program that holds it")
    if error.errno == errno.ETIMEDOUT:
        return SourceTimeout(f"{where} does not answer; check the wiring")
    why = error.strerror or str(error)
    return SourceError(f"{where}: {why}; the kernel driver could not read the chip, so look into `dmesg`")


def full_scale_milliamps(chip: str, micro_ohms: float | None) -> float:
    """The current at which a chip clips, as the kernel shows it; infinite: unknown."""
    volts = next((volts for name, volts in _FULL_SCALE_VOLTS if chip.startswith(name)), math.inf)
    micro_ohms = _INA260_MICRO_OHMS if chip.startswith("ina260") else micro_ohms
    return volts * 1e9 / micro_ohms - 0.5 if micro_ohms else math.inf  # the kernel rounds to whole mA


def is_display(folder: str) -> bool:
    """Whether a device's folder is that of a graphics card or another accelerator (PCI class 03 or 12)."""
    return (peek(os.path.join(folder, "class")) or "").startswith(("0x03", "0x12"))


def asleep(folder: str) -> bool:
    """Whether the kernel has put a device to sleep (runtime power management); an empty folder: never."""
    status = peek(os.path.join(folder, "power/runtime_status")) if folder else None
    return status in ("suspended", "suspending")


def must_be_awake(folder: str, name: str) -> None:
    """Leave a device asleep while something else measures.

    Raises:
        SourceError: it sleeps.
    """
    if asleep(folder):
        raise SourceError(f"{name} sleeps; it is read again when something else wakes it")


class SysFile:
    """One attribute file. Its descriptor stays open between reads, at a fifth of the cost.

    The kernel composes the text again for every read at offset 0. A file that was deleted or
    replaced is noticed by its link count and looked up again, so a vanished zone is an error and
    never a counter that stands still.
    """

    def __init__(
        self,
        path: str,
        forbidden: str = "",
        *,
        full_scale: float = math.inf,
        codes: bool = False,
        never_rests: bool = False,
        unless: Mapping[str, str] = _NOTHING,
    ) -> None:
        """``forbidden``: the remedy for EACCES. ``full_scale``: the number at which the chip clips.

        ``codes``: a small negative number is the error of a driver, shown in the place of a value.
        ``never_rests``: 0 is no value, because what is measured always draws something.
        ``unless``: files, and the text of each that says that there is no value now.
        """
        self.path = path
        self._codes = codes
        self._never_rests = never_rests
        self._unless = [(SysFile(path), text) for path, text in unless.items()]
        self._forbidden = forbidden
        self._full_scale = full_scale
        self._fd = -1

    def text(self) -> str:
        """The content of the file now, stripped.

        Raises:
            SourceError: it cannot be read, or says nothing.
        """
        try:
            if self._fd >= 0 and os.fstat(self._fd).st_nlink == 0:
                self.close()
            if self._fd < 0:
                self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            said = os.pread(self._fd, PAGE, 0)
        except OSError as error:
            self.close()
            raise translated(error, self.path, self._forbidden) from error
        text = said.decode("utf-8", "replace").strip(" \t\r\n\0")
        if not text:
            raise SourceError(
                f"{self.path} is empty; the kernel driver has no value now, so wait for the next reading"
            )
        return text

    def number(self) -> float:
        """The number in the file.

        Raises:
            SourceError: it cannot be read, holds no number, or one that is no measurement.
        """
        for file, no_value in self._unless:
            if file.text() == no_value:
                raise SourceError(f"{file.path} says {no_value}: no value now; look into `dmesg`")
        text = self.text()
        value = number(text)
        if value in _NO_VALUE or (self._codes and value is not None and -_MOST_ERRNO <= value < 0):
            raise SourceError(f"{self.path} says {text[:40]}, the code for no value; look into `dmesg`")
        if value is not None and abs(value) >= self._full_scale:
            raise SourceError(
                f"{self.path} says {text[:40]}, the full scale of its chip, which clips; use a smaller shunt"
            )
        if value == 0 and self._never_rests:
            raise SourceError(f"{self.path} says 0, which nothing that runs draws; look into `dmesg`")
        if value is None:
            raise SourceError(f"{self.path} says {text[:40]!r} where a number belongs; look into `dmesg`")
        return value

    def close(self) -> None:
        """Let go of the descriptor; the next read opens the file again."""
        for file, _ in self._unless:
            file.close()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Numeric(Protocol):
    """Whatever gives a number when asked; a `SysFile`, or one behind an offset."""

    def number(self) -> float: ...
    def close(self) -> None: ...


class Rail:
    """One place of a board whose quantities are attribute files; a source in itself, and a channel."""

    def __init__(
        self,
        name: str,
        facts: Facts,
        files: Mapping[str, tuple[Numeric, float]],
        *,
        power_only: bool = False,
        sleeper: str = "",
    ) -> None:
        """``files``: see `Files`.

        ``power_only``: multiply volts and amps here, because the current is not the whole board's
        and must not be added to that of a rail with another voltage. ``sleeper``: the folder of the device
        that is not read while it sleeps.
        """
        self.name = name
        self.facts = facts
        self._files = {key: file for key, file in files.items() if key != "flow"}
        self._flow = files.get("flow")
        self._last_joules: float | None = None
        self._power_only = power_only
        self._sleeper = sleeper

    def open(self) -> None:
        """Nothing to do: the files are opened by the first read."""

    def answers(self) -> bool:
        """Read once, or twice: whether it can be, so that a user who may not learns it before the run.

        Raises:
            SourceForbidden: the files are there, but not for this user.
        """
        for _ in range(2):
            try:
                self.read()
            except SourceForbidden:
                raise
            except SourceError:
                continue
            self._last_joules = None  # the run begins with its own first reading
            return True
        return False

    def read(self) -> Reading:
        """The files' values; one that fails is left out, unless no energy can be known without it."""
        must_be_awake(self._sleeper, self.name)
        values: dict[str, float] = {}
        failure: SourceError | None = None
        for quantity, (file, unit) in self._files.items():
            try:
                values[quantity] = file.number() * unit
            except SourceError as error:
                failure = error
        if failure is not None and not values.keys() & {"watts", "joules"} and len(values) < 2:
            raise failure
        last, self._last_joules = self._last_joules, values.get("joules")
        stands = last is not None and self._last_joules == last
        reading = Reading(
            values.get("volts"),
            values.get("amps"),
            values.get("watts"),
            joules=values.get("joules"),
            # a counter that stands still while power flows has nothing newer, and does not show a rest
            fresh=not (stands and (_watts(self._flow) or 0.0) > TINY_WATTS),
        )
        return Reading(watts=reading.power) if self._power_only else reading

    def watts(self) -> float | None:
        """What its power attribute shows now; None: it has none, or it cannot be read."""
        return _watts(self._files.get("watts"))

    def close(self) -> None:
        for file, _ in (*self._files.values(), *([self._flow] if self._flow else [])):
            file.close()


def _watts(file: tuple[Numeric, float] | None) -> float | None:
    """What a file shows; None: there is none, or it cannot be read."""
    if file is None:
        return None
    try:
        return file[0].number() * file[1]
    except SourceError:
        return None


Files = Mapping[str, tuple[Numeric, float]]
"""``volts``, ``amps``, ``watts`` or ``joules`` to its file and what a 1 in it means. ``flow``: the power
of what ``joules`` counts, which says whether a counter may stand still."""


class Rails(Parts[Rail]):
    """A source whose parts are rails in the kernel's files."""

    notes: Sequence[str] = ()

    def _take(
        self,
        prefix: str,
        rails: Mapping[str, tuple[Files, Facts]],
        counted: frozenset[str],
        sleeper: str = "",
    ) -> None:
        """Make these the parts, and learn whether this user may read those that count.

        Where several count, they give power only: their currents flow at different voltages. One that
        cannot be read is left out with a note, if another one can.

        Raises:
            SourceForbidden: the files are there, but not for this user.
        """
        several = len(counted) > 1
        self._parts = [
            Rail(
                f"{prefix}:{label}",
                facts._replace(counted=label in counted),
                files,
                power_only=several and label in counted and "volts" in files,
                sleeper=sleeper,
            )
            for label, (files, facts) in rails.items()
        ]
        silent = [rail for rail in self._parts if rail.facts.counted and not rail.answers()]
        able = [rail for rail in self._parts if rail not in silent]
        if any(rail.facts.counted for rail in able):
            self._parts = able
            self.notes = [f"{rail.name} cannot be read and is not in the total" for rail in silent]


class ShuntMonitor(Rails):
    """A monitoring chip bound to a kernel driver, which may assume another shunt than there is.

    Args:
        address: which chip; empty: the only one.
        shunt: ohms of the true shunt; 0: the kernel knows.
        root: where ``/sys`` is.

    Raises:
        SpecError: a shunt that is no resistance.
    """

    driver: str

    def __init__(self, address: str = "", *, shunt: float = 0.0, root: str = "/") -> None:
        if not shunt >= 0:
            raise SpecError(f"{self.driver}?shunt={shunt:g} is no resistance; give ohms, such as 0.1")
        self.name = f"{self.driver}@{address}" if address else self.driver
        self._wanted, self._shunt_ohms, self._root = address, shunt, root

    def _scale(self, path: str, unit: float) -> float:
        """What to multiply currents with: the resistor that the kernel assumes over the true one.

        Raises:
            SpecError: the kernel does not show the resistor that it assumes.
        """
        if not self._shunt_ohms:
            return 1.0
        assumed = peek_number(path)
        if assumed is None or assumed <= 0:
            raise SpecError(f"there is no {path}, so ?shunt= cannot be used with it; leave it out")
        return assumed * unit / self._shunt_ohms


D = TypeVar("D")


def only(
    wanted: str, devices: Sequence[D], handles: Callable[[D], Sequence[str]], where: str, what: str
) -> D:
    """The one device that is meant.

    Args:
        wanted: one of its handles; empty: there must be only one device.
        handles: the names of a device, the one to type first.
        where: the folder that was searched.
        what: the source spec up to the name: ``hwmon@``.

    Raises:
        SourceMissing: there is none.
        SpecError: there are several.
    """
    chosen = [device for device in devices if wanted in ("", *handles(device))]
    if len(chosen) == 1:
        return chosen[0]
    if not devices:
        raise SourceMissing(f"nothing in {where} measures power here; use an external meter")
    names = ", ".join(f"{what}{handles(d)[0]} ({handles(d)[1]})" for d in chosen or devices)
    if not chosen:
        raise SourceMissing(f"no {wanted!r} in {where} measures power; use one of {names}")
    raise SpecError(f"several chips measure power, and whether they add up is unknown; name one: {names}")
