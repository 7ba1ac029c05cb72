"""ChargerLAB POWER-Z KM003C / KM002C, polled: over USB, or through the kernel's ``powerz`` driver.

Plug: between supply and load, USB-C; its PC port to the host. 0..50 V, 0..6 A; steps 1 µV, 1 µA over USB, 1
mV, 1 mA through the kernel. Accuracy ±0.1 % volts, ±0.2 % amps: **from memory of the maker's page, taken
wide**. The current is signed: negative when it flows from the plug side to the socket side of the
recordings; ``reverse=true`` turns it round. A snapshot identical in every byte is no new measurement and is
marked so. For gap-free samples use ``km003c_stream``. Semantics:
instants.

The kernel (Linux 6.7 and later, ``drivers/hwmon/powerz.c``) is asked where it has the meter, because it needs
no library and no permission; ``km003c@usb`` goes over USB nevertheless (extra ``km003c``: pyusb), taking
the interface from the kernel while open. No authentication is needed for either. Sources: see ``_km003c.py``.

Renewal: faster than it is read [from memory].
Counters: none over this route.
Loss: none: a snapshot carries no sequence number.
Tested on: an emulated wire, recorded USB sessions, emulated kernel files; real hardware: none yet.
"""

import errno
import os

from energymeter.drivers.links.usb import plugged
from energymeter.drivers.links.wire import Wire
from energymeter.drivers.protocols.km003c import ADC, FACTS, GET_DATA, Km003cMeter, Session, snapshots
from energymeter.errors import SourceMissing, SourceTimeout, not_open
from energymeter.paths import below, entries, peek
from energymeter.reading import Band, Facts, Reading

__all__ = ["Km003c"]

_KERNEL_FACTS = FACTS._replace(
    volts=Band(gain=0.001, offset=0.001, resolution=0.001),
    amps=Band(gain=0.002, offset=0.001, resolution=0.001),
)


def hwmon_path(sysfs: str = "/sys") -> str | None:
    """The directory of the kernel's ``powerz`` sensor, if it has one."""
    folders = (below(sysfs, "class/hwmon", name) for name in entries(below(sysfs, "class/hwmon")))
    return next((folder for folder in folders if peek(os.path.join(folder, "name")) == "powerz"), None)


class Km003c(Km003cMeter):
    """``km003c`` (the kernel if it has it, else USB), ``km003c@hwmon``, ``km003c@usb`` or ``km003c@SERIAL``.

    Options as of ``Km003cMeter``.
    """

    kind = "meter"

    @classmethod
    def addresses(cls) -> list[str]:
        """The default address, if one is plugged in."""
        return [""] if plugged(cls.usb_ids) else []

    def __init__(
        self, address: str = "", *, wire: Wire | None = None, sysfs: str = "/sys", **options: bool
    ) -> None:
        serial = "" if address in ("", "usb", "hwmon") else address
        super().__init__(f"km003c@{address}" if address else "km003c", serial, wire, **options)
        self.facts: Facts = FACTS
        self._address = address
        self._sysfs = sysfs
        self._given = wire is not None
        self._kernel: str | None = None
        self._session: Session | None = None
        self._last = b""

    def open(self) -> None:
        """Find the meter and read it once.

        Raises:
            ExtraMissing: it is reached over USB and pyusb is not installed.
            SourceError: not plugged in, no permission, held by another program, or silent.
        """
        self.close()
        if self._address in ("", "hwmon") and not self._given:
            self._kernel = hwmon_path(self._sysfs)
        if self._kernel:
            self.facts = _KERNEL_FACTS
            self._from_kernel(self._kernel)
            return
        if self._address == "hwmon":
            raise SourceMissing(
                "the kernel has no powerz sensor: plug the meter in, Linux 6.7 or later; or use km003c@usb"
            )
        self._wire.open()
        self._session = Session(self._wire)
        self._from_usb(self._session)
        self._last = b""  # that was only to hear it: the first reading is fresh
        self._identify()

    def read(self) -> Reading:
        """One snapshot; ``fresh=False`` where the meter has nothing newer.

        Raises:
            SourceTimeout: no answer.
            SourceMissing: the meter was unplugged.
        """
        if self._kernel:
            return self._from_kernel(self._kernel)
        if self._session is None:
            raise not_open(self.name)
        return self._from_usb(self._session)

    def close(self) -> None:
        """Let the meter go."""
        self._kernel = self._session = None
        self._last = b""
        self._wire.close()

    def _from_usb(self, session: Session) -> Reading:
        try:
            answer = session.ask(GET_DATA, ADC)
        except SourceMissing:
            self._wire.open()  # plugged in again? otherwise this says that it is not
            answer = session.ask(GET_DATA, ADC)
        found = snapshots(answer)
        if not found:
            raise SourceTimeout(f"{self.name} answered without a measurement: plug it in again")
        fresh, self._last = answer[4:] != self._last, answer[4:]
        return self._reading(found[0].volts, found[0].amps, fresh=fresh)

    def _from_kernel(self, path: str) -> Reading:
        try:
            with open(f"{path}/in0_input") as volts, open(f"{path}/curr1_input") as amps:
                return self._reading(int(volts.read()) / 1e3, int(amps.read()) / 1e3)
        except (FileNotFoundError, ValueError) as error:
            self._kernel = hwmon_path(self._sysfs) or path  # it comes back under another number
            raise SourceMissing(f"{self.name} went away from {path}: plug the meter in again") from error
        except OSError as error:
            if error.errno == errno.ENODEV:
                raise SourceMissing(f"{self.name} went away: plug the meter in again") from error
            raise SourceTimeout(
                f"{self.name}: the kernel got no answer ({error.strerror}); plug it in again"
            ) from error
