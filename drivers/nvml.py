"""nvml: NVIDIA GPUs, one channel each, through nvidia-ml-py (extra ``nvidia``).

Since Volta a GPU counts its own energy (millijoules since the driver was loaded): that is used where it
is, since nothing between two readings is lost. Elsewhere power is read, and what NVML calls power differs: on
Ampere and later, except GA100, ``nvmlDeviceGetPowerUsage`` is the mean of the last second, before that an
instant; newer drivers offer both by name (``NVML_FI_DEV_POWER_INSTANT`` and ``…_AVERAGE``).
Source: NVML API reference, nvmlDeviceGetPowerUsage and nvmlDeviceGetTotalEnergyConsumption.

Measured on one H200 (driver 580.159): energy, instants and means are all renewed every 100 ms, and the
mean is a trailing one of 1 s. Of 5 s with a burst of 2 s the counter gave 1786 J, the instants 1798 J, the
means 1795 J. A burst of 0.4 s alone was 278 J by the counter (standard deviation 16 J) and 221 J by the
means (81 J). Work that is still queued belongs to no span: give the meter ``sync=torch.cuda.synchronize``.

All of a GPU is measured, whoever uses it. One that the kernel has put to sleep (``power/runtime_status``) is
left asleep: NVML would wake it by the question alone. On a Jetson NVML starts but knows no power
(``Not Supported``): that is no sensor, never 0 W; use ``jetson`` there.

Accuracy: ±5 %, the figure of NVML's own reference.
Renewal: every 0.1 s on the one H200 that was measured, more often on some others; repeats are no samples. The
    counter loses nothing by being read between two renewals.
Counters: the GPU's own joules are the curve since Volta.
Loss: the counter misses nothing; of instants the loss is unknown.
Tested on: a stand-in for the library; real hardware: one H200, by hand.
"""

import importlib
import os
from collections.abc import Callable
from typing import Any

from energymeter.drivers.links.channels import Parts
from energymeter.drivers.links.sysfs import asleep, is_display, must_be_awake
from energymeter.errors import (
    ExtraMissing,
    SourceError,
    SourceForbidden,
    SourceMissing,
    SourceTimeout,
    SpecError,
)
from energymeter.paths import below, entries, peek
from energymeter.reading import Band, Facts, Reading

__all__ = ["Nvml"]

_GAIN = 0.05  # "accurate to within ±5 % of current power draw" (NVML reference, for Fermi and Kepler)
_INSTANT, _AVERAGE = 186, 185  # NVML_FI_DEV_POWER_INSTANT, NVML_FI_DEV_POWER_AVERAGE (nvml.h)
_AMPERE = 7  # NVML_DEVICE_ARCH_AMPERE
_GA100 = ("A100", "A30", "A800")
_AVERAGED_SECONDS = 1.0
_RENEWED_SECONDS = 0.1
"""Measured on one H200; others renew as often or more often."""
_SMALL_WATTS = 1.0
"""No GPU that is awake draws less."""
_STILL_SECONDS = 2.0
"""The counter moves some ten times a second, and no GPU draws nothing."""
INSTANTS = Facts(
    watts=Band(gain=_GAIN, resolution=1e-3), renewal_seconds=_RENEWED_SECONDS, default_hz=10.0, max_hz=50.0
)
MEANS = INSTANTS._replace(
    semantics="mean",
    duty=1.0,
    # means of a second that overlap would count their common part twice
    default_hz=1.0 / _AVERAGED_SECONDS,
    max_hz=1.0 / _AVERAGED_SECONDS,
)
_NVIDIA = "0x10de"
_NO_DRIVER = "no NVIDIA driver is loaded on this machine; install it, or use another source"
_WAYS = ("energy", "instant", "average", "usage")


class Nvml(Parts["_Gpu"]):
    """Every GPU, or the one named by index or UUID (``nvml@0``, ``nvml@GPU-…``); they add up.

    ``by`` is ``energy``, ``instant``, ``average`` or ``usage`` (whatever the driver calls power); by default
    the first of energy, instant and usage that the GPU has. One without a sensor is left out with a note,
    where others have one. ``wake=true`` wakes GPUs that sleep.
    """

    kind = "gpu"
    shared = True

    facts = Facts(
        semantics="counter",
        joules=Band(gain=_GAIN, resolution=1e-3),
        default_hz=10.0,
        max_hz=100.0,
        still_seconds=_STILL_SECONDS,
    )

    @staticmethod
    def addresses(root: str = "/") -> list[str]:
        """All GPUs, where there is a driver (in WSL: ``/dev/dxg``) and none sleeps."""
        if not any(
            os.path.exists(below(root, sign)) for sign in ("proc/driver/nvidia", "dev/nvidiactl", "dev/dxg")
        ):
            raise SourceMissing(_NO_DRIVER)
        _leave_asleep(root)
        return [""]

    def __init__(
        self, address: str = "", *, by: str = "", wake: bool = False, root: str = "/", library: Any = None
    ) -> None:
        """``library`` stands for the module ``pynvml``, so that a test can fake the driver below it."""
        if by and by not in _WAYS:
            raise SpecError(f"nvml?by={by} is none of {', '.join(_WAYS)}")
        self.name = f"nvml@{address}" if address else "nvml"
        self._wanted = address
        self._ways = (by,) if by else ("energy", "instant", "usage")
        self._wakes, self._root = wake, root
        self._given = library
        self.notes: list[str] = []
        self._library: Any = None

    def open(self) -> None:
        """Start NVML and find what each GPU can tell.

        Raises:
            SourceMissing: there is no driver, no GPU or no sensor; or a GPU sleeps.
            SourceError: a GPU does not answer.
        """
        if not self._wakes:
            _leave_asleep(self._root)
        library = self._given or _imported()
        try:
            library.nvmlInit()
        except library.NVMLError as error:
            raise _explained(library, error, "the NVIDIA driver") from error
        self._library = library
        try:
            self._parts, self.notes = self._able(self._handles())
        except SourceError:
            self.close()
            raise

    def _handles(self) -> list[tuple[str, Any]]:
        library, wanted = self._library, self._wanted
        try:
            if wanted and not wanted.isdigit():
                return [(wanted, library.nvmlDeviceGetHandleByUUID(wanted))]
            numbers = [int(wanted)] if wanted else range(library.nvmlDeviceGetCount())
            handles = [(str(number), library.nvmlDeviceGetHandleByIndex(number)) for number in numbers]
        except library.NVMLError as error:
            raise _explained(library, error, f"GPU {wanted}" if wanted else "the list of GPUs") from error
        if not handles:
            raise SourceMissing("the NVIDIA driver is loaded but sees no GPU; look into `nvidia-smi`")
        return handles

    def _able(self, handles: list[tuple[str, Any]]) -> tuple[list["_Gpu"], list[str]]:
        """The GPUs that have a sensor, and a note for each that has none."""
        able: list[_Gpu] = []
        missing: dict[str, SourceMissing] = {}
        for label, handle in handles:
            try:
                able.append(self._gpu(label, handle))
            except SourceMissing as error:
                missing[label] = error
            except SourceError as error:
                others = [f"nvml@{other}" for other, _ in handles if other != label]
                alone = f"; or name one of the others: {', '.join(others)}" if others else ""
                raise type(error)(f"{error}{alone}") from error
        if missing and not able:
            raise next(iter(missing.values()))
        return able, [
            *(f"GPU {label} has no power sensor for NVML and is not in the total" for label in missing),
            *(gpu.small for gpu in able if gpu.small),
        ]

    def _gpu(self, label: str, handle: Any) -> "_Gpu":
        """The GPU read in the first way that it has.

        Raises:
            SourceMissing: it has none.
            SourceError: it does not answer.
        """
        idle = None
        for way in self._ways:
            gpu = _Gpu(self._library, label, handle, way, "" if self._wakes else self._root)
            try:
                reading = gpu.read()
            except SourceMissing:
                continue
            if reading.joules != 0:
                return gpu
            idle = gpu  # since its driver was loaded it has counted nothing: perhaps it never does
        if idle is not None:
            return idle
        raise SourceMissing(
            f"GPU {label} has no power sensor for NVML ({', '.join(self._ways)}: Not Supported); on a Jetson "
            "use the source `jetson`, elsewhere an external meter"
        )

    def close(self) -> None:
        super().close()
        if self._library is not None:
            library, self._library = self._library, None
            try:
                library.nvmlShutdown()
            except library.NVMLError:
                return  # the driver went away first; there is nothing left to let go of


class _Gpu:
    """One GPU, read in one way; while it sleeps only if ``root``, where ``/sys`` is, is empty."""

    def __init__(self, library: Any, label: str, handle: Any, way: str, root: str) -> None:
        self.name = f"nvml:{label}"
        self._library = library
        self._handle = handle
        self.small = ""
        """A note, if it shows less power than any GPU draws."""
        self._look: Callable[[], Reading] = getattr(self, f"_{way}")
        self._pci = _pci_folder(library, handle, root) if root else ""
        self._averaged = way == "average" or (way == "usage" and self._usage_is_averaged())
        self.facts = self._facts(way)

    def _facts(self, way: str) -> Facts:
        if way == "energy":
            return Nvml.facts._replace(max_watts=self._max_watts())
        facts = MEANS if self._averaged else INSTANTS
        return facts._replace(max_watts=self._max_watts())

    def _max_watts(self) -> float | None:
        """Twice the highest limit one may set: bursts go over it, counters never."""
        try:
            return 2e-3 * float(self._library.nvmlDeviceGetPowerManagementLimitConstraints(self._handle)[1])
        except self._library.NVMLError:
            return None

    def _usage_is_averaged(self) -> bool:
        library = self._library
        try:
            name = library.nvmlDeviceGetName(self._handle)
            return library.nvmlDeviceGetArchitecture(self._handle) >= _AMPERE and not any(
                chip in str(name) for chip in _GA100
            )
        except library.NVMLError:
            return False

    def open(self) -> None:
        """Nothing to do: the library is open."""

    def read(self) -> Reading:
        must_be_awake(self._pci, self.name)
        try:
            return self._look()
        except self._library.NVMLError as error:
            raise _explained(self._library, error, self.name) from error

    def _energy(self) -> Reading:
        millijoules = self._library.nvmlDeviceGetTotalEnergyConsumption(self._handle)
        return Reading(joules=millijoules * 1e-3)

    def _usage(self) -> Reading:
        return self._power(self._library.nvmlDeviceGetPowerUsage(self._handle))

    def _instant(self) -> Reading:
        return self._field(_INSTANT)

    def _average(self) -> Reading:
        return self._field(_AVERAGE)

    def _field(self, number: int) -> Reading:
        (field,) = self._library.nvmlDeviceGetFieldValues(self._handle, [number])
        if field.nvmlReturn != self._library.NVML_SUCCESS:
            raise self._library.NVMLError(field.nvmlReturn)
        return self._power(field.value.uiVal)

    def _power(self, milliwatts: int) -> Reading:
        if not milliwatts:
            raise SourceError(f"{self.name} says 0 W, which no GPU draws; look into `nvidia-smi`")
        if milliwatts * 1e-3 < _SMALL_WATTS:
            self.small = (
                f"{self.name} shows {milliwatts} mW, which no GPU draws: its driver may count in watts; "
                "compare it with `nvidia-smi`, or measure with another source"
            )
        return Reading(watts=milliwatts * 1e-3, seconds=_AVERAGED_SECONDS if self._averaged else None)

    def close(self) -> None:
        """Nothing to do: the source it belongs to closes."""


def _imported() -> Any:
    try:
        return importlib.import_module("pynvml")
    except ImportError as error:
        raise ExtraMissing("nvidia-ml-py", "nvidia", "reading NVIDIA GPUs") from error


def _leave_asleep(root: str) -> None:
    """Refuse to start NVML, which wakes every GPU.

    Raises:
        SourceMissing: an NVIDIA GPU sleeps.
    """
    for bus, folder in _pci_folders(root).items():
        if asleep(folder):
            raise SourceMissing(
                f"GPU {bus} sleeps, and NVML would wake it; if that is wanted: nvml?wake=true"
            )


def _pci_folders(root: str) -> dict[str, str]:
    """Where the kernel shows NVIDIA's GPUs, by their address on the bus."""
    devices = below(root, "sys/bus/pci/devices")
    folders = {bus: os.path.join(devices, bus) for bus in entries(devices)}
    return {
        bus: folder
        for bus, folder in folders.items()
        if peek(os.path.join(folder, "vendor")) == _NVIDIA and is_display(folder)
    }


def _pci_folder(library: Any, handle: Any, root: str) -> str:
    """Where the kernel shows a GPU; empty where it does not, or where NVML does not say which it is."""
    folders = _pci_folders(root)
    if not folders:
        return ""
    try:
        said = library.nvmlDeviceGetPciInfo(handle).busId
    except library.NVMLError:
        return ""
    text = said.decode("ascii", "replace") if isinstance(said, bytes) else str(said)
    domain, _, address = text.lower().partition(":")
    return folders.get(f"{domain[-4:]}:{address}", "")


def _explained(library: Any, error: Any, what: str) -> SourceError:
    """What a code of NVML means here, and what to do about it."""
    if error.value in (library.NVML_ERROR_LIBRARY_NOT_FOUND, library.NVML_ERROR_DRIVER_NOT_LOADED):
        return SourceMissing(_NO_DRIVER)
    if error.value in (library.NVML_ERROR_NOT_SUPPORTED, library.NVML_ERROR_FUNCTION_NOT_FOUND):
        return SourceMissing(f"{what} has no such sensor (NVML: {error}); use another source for it")
    if error.value in (library.NVML_ERROR_NOT_FOUND, library.NVML_ERROR_INVALID_ARGUMENT):
        return SourceMissing(f"{what} is not here (NVML: {error}); `nvidia-smi -L` lists the GPUs")
    if error.value == library.NVML_ERROR_NO_PERMISSION:
        return SourceForbidden(
            f"{what} may not be read by this user (NVML: {error}); add it to the container or run as root"
        )
    if error.value == library.NVML_ERROR_TIMEOUT:
        return SourceTimeout(f"{what} did not answer (NVML: {error}); look into `nvidia-smi`")
    return SourceError(f"{what} failed (NVML: {error}); look into `nvidia-smi` and `dmesg`")
