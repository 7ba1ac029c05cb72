"""pmic: the power chip of a Raspberry Pi 5 or Compute Module 5, which measures twelve of its rails.

The firmware answers ``pmic_read_adc`` with lines such as ``VDD_CORE_A current(7)=10.87674000A`` and
``VDD_CORE_V volt(15)=0.89745940V``; the indices differ, so a rail's two lines are paired by name.
``EXT5V_V`` and ``BATT_V`` have no current. Everything that hangs on the 5 V input itself (USB, HAT, NVMe,
fan) and the chip's own losses are not in the sum.

Older Raspberry Pis have no such sensor. Asked through the mailbox ``/dev/vcio`` the answer needs no
new process; otherwise ``vcgencmd`` is run. Message format: raspberrypi/userland ``vcgencmd``,
property tag 0x00030080 (github.com/raspberrypi/firmware/wiki/Mailbox-property-interface).

Semantics: instants.
Accuracy: ±5 % of what it measures, our own word; none is promised.
Renewal: once a second, our own word: no figure is published.
Counters: none.
Loss: none; the firmware gives the newest values.
Tested on: an emulated firmware, recorded answers of a Raspberry Pi 5; real hardware: none yet.
"""

import fcntl
import os
import re
import struct
from collections.abc import Callable
from typing import Protocol

from energymeter.drivers.links.command import output
from energymeter.drivers.links.sysfs import translated
from energymeter.errors import SourceError, SourceMissing, SpecError, not_open
from energymeter.paths import below
from energymeter.reading import Band, Facts, Reading

__all__ = ["Pmic"]

_LINE = re.compile(r"(\w+)_([AV])\s+(?:current|volt)\(\d+\)=(-?\d{1,9}(?:\.\d{1,9})?)[AV]")

_FIT_GAIN, _FIT_WATTS = 1.1451, 0.5879
"""One author's board against a USB-C meter (jfikar/RPi5-power, README); its spread was not published."""

_NO_ADC = (
    "only the Raspberry Pi 5 and Compute Module 5 measure their own rails; "
    "on this board wire an INA219 or use a USB meter"
)
_SECONDS = 1.8


class Firmware(Protocol):
    """Whatever carries a question to the firmware and its answer back."""

    def ask(self, question: str) -> str: ...
    def close(self) -> None: ...


class Pmic:
    """Watts of all measured rails together; ``pmic@VDD_CORE`` gives one rail in volts and amps.

    ``fit=true`` adds what the chip does not see by a public fit, 1.1451 × sum + 0.5879 W: its
    provenance is ``modelled`` and its ± 10 % + 0.3 W are our own word, as no spread was published.
    """

    kind = "board"

    def __init__(
        self, address: str = "", *, fit: bool = False, root: str = "/", firmware: Firmware | None = None
    ) -> None:
        if fit and address:
            raise SpecError("pmic?fit=true is for the whole board; leave the rail out")
        self.name = f"pmic@{address}" if address else "pmic+fit" if fit else "pmic"
        # no datasheet of the chip is public; ±5 % is our own word
        self.facts = Facts(
            provenance="modelled" if fit else "measured",
            watts=Band(gain=0.10, offset=0.3) if fit else Band(gain=0.05),
            volts=Band(gain=0.02),
            amps=Band(gain=0.05),
            max_watts=100.0,
            renewal_seconds=1.0,
            default_hz=1.0,
            max_hz=1.0,
        )
        self._rail = address
        self._fit = fit
        self._vcio = below(root, "dev/vcio")
        self._given = firmware
        self._firmware: Firmware | None = None
        self._rails: frozenset[str] = frozenset()

    def open(self) -> None:
        self._firmware, self._rails = self._given or _firmware(self._vcio), frozenset()
        try:
            self.read()
        except SourceError:
            self.close()
            raise

    def read(self) -> Reading:
        if self._firmware is None:
            raise not_open("pmic")
        rails = _rails(self._firmware.ask("pmic_read_adc"))
        if lost := self._rails - rails.keys():
            raise SourceError(f"the firmware's answer lacks {', '.join(sorted(lost))}; it is read again")
        self._rails = frozenset(rails)
        if self._rail:
            if self._rail not in rails:
                raise SpecError(f"this board has no rail {self._rail!r}; it has {', '.join(rails)}")
            volts, amps = rails[self._rail]
            return Reading(volts=volts, amps=amps)
        watts = sum(volts * amps for volts, amps in rails.values())
        return Reading(watts=_FIT_GAIN * watts + _FIT_WATTS if self._fit else watts)

    def close(self) -> None:
        if self._firmware is not None:
            self._firmware.close()
            self._firmware = None


def _rails(answer: str) -> dict[str, tuple[float, float]]:
    """Volts and amps of every rail that has both.

    Raises:
        SourceMissing: this board has no such sensor.
        SourceError: the answer holds no rail, or half of one.
    """
    if "not registered" in answer or "error=" in answer:
        raise SourceMissing(f"the firmware says {answer.strip()[:80]!r}; {_NO_ADC}")
    found: dict[str, dict[str, float]] = {"V": {}, "A": {}}
    for name, unit, value in _LINE.findall(answer):
        found[unit][name] = float(value)
    lonely = [name for name in found["A"] if name not in found["V"]]
    if lonely or not found["A"]:
        missing = f"no voltage for {', '.join(lonely)}" if lonely else "no rail"
        raise SourceError(f"the firmware's answer holds {missing}; it was cut off, so read again")
    return {name: (found["V"][name], amps) for name, amps in found["A"].items()}


def _firmware(vcio: str) -> Firmware:
    """The mailbox where there is one, else the command (which needs the same rights)."""
    try:
        return Mailbox(vcio)
    except SourceMissing:
        return Vcgencmd()


class Vcgencmd:
    """The firmware through the command: a new process for every question."""

    def __init__(self, command: str = "vcgencmd") -> None:
        self._command = command

    def ask(self, question: str) -> str:
        return output([self._command, question], _SECONDS, _NO_ADC)

    def close(self) -> None:
        """Nothing is held."""


class Mailbox:
    """The firmware through ``/dev/vcio``: one ioctl a question, 32-bit words in both directions."""

    _TAG = 0x00030080  # "get gencmd result"
    _ROOM = 1024
    _TEXT_AT = 24  # after size, code, tag, room, length, status
    _DONE = 0x80000000

    def __init__(self, path: str, ioctl: Callable[[int, int, bytearray, bool], int] = fcntl.ioctl) -> None:
        """Open the mailbox.

        Raises:
            SourceError: it is not there, or not for this user.
        """
        self._ioctl = ioctl
        self._request = 0xC0000000 | struct.calcsize("P") << 16 | 100 << 8  # _IOWR(100, 0, char *)
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            cure = "add yourself to its group: `sudo usermod -aG video $USER`"
            raise translated(error, path, cure) from error

    def ask(self, question: str) -> str:
        message = bytearray(self._TEXT_AT + self._ROOM + 4)
        struct.pack_into("<6I", message, 0, len(message), 0, self._TAG, self._ROOM, 0, 0)
        text = question.encode() + b"\0"
        message[self._TEXT_AT : self._TEXT_AT + len(text)] = text
        try:
            self._ioctl(self._fd, self._request, message, True)
        except OSError as error:
            raise translated(error, "the firmware's mailbox") from error
        _, code, _, _, _, status = struct.unpack_from("<6I", message)
        answer = bytes(message[self._TEXT_AT : self._TEXT_AT + self._ROOM]).split(b"\0", 1)[0]
        said = answer.decode("utf-8", "replace")
        if code != self._DONE or status != 0:
            raise SourceMissing(f"the firmware refused {question!r} ({said[:60] or hex(code)}); {_NO_ADC}")
        return said

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
