"""An emulated NVIDIA driver with the face of the module ``pynvml``."""

from types import SimpleNamespace
from typing import Any

NVML_SUCCESS = 0
NVML_ERROR_INVALID_ARGUMENT = 2
NVML_ERROR_NOT_SUPPORTED = 3
NVML_ERROR_NO_PERMISSION = 4
NVML_ERROR_NOT_FOUND = 6
NVML_ERROR_INSUFFICIENT_POWER = 8
NVML_ERROR_DRIVER_NOT_LOADED = 9
NVML_ERROR_TIMEOUT = 10
NVML_ERROR_LIBRARY_NOT_FOUND = 12
NVML_ERROR_FUNCTION_NOT_FOUND = 13
NVML_ERROR_GPU_IS_LOST = 15


class NVMLError(Exception):
    """Carries NVML's code, as the real one does."""

    def __init__(self, value: int) -> None:
        super().__init__(value)
        self.value = value

    def __str__(self) -> str:
        return {3: "Not Supported", 6: "Not Found", 9: "Driver Not Loaded", 15: "GPU is lost"}.get(
            self.value, f"code {self.value}"
        )


class Gpu:
    """What one GPU knows; None: Not Supported."""

    def __init__(
        self,
        *,
        millijoules: int | None = None,
        usage: int | None = None,
        fields: dict[int, int] | None = None,
        architecture: int = 9,
        name: str = "NVIDIA H100",
        limit: int | None = 700_000,
        bus: str | bytes | None = None,
    ) -> None:
        self.millijoules = millijoules
        self.usage = usage
        self.fields = fields or {}
        self.architecture = architecture
        self.name = name
        self.limit = limit
        self.bus = bus
        self.reads = 0
        self.fails = 0


class Driver:
    """The module's functions, for as many GPUs as given."""

    def __init__(self, *gpus: Gpu, rejection: int = 0) -> None:
        self.gpus = gpus
        self.rejection = rejection
        self.users = 0
        for key, value in globals().items():
            if key.startswith("NVML"):
                setattr(self, key, value)

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"pynvml has no {name}, or the driver should not need it")

    def nvmlInit(self) -> None:  # noqa: N802 (NVIDIA's names)
        if self.rejection:
            raise NVMLError(self.rejection)
        self.users += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        assert self.users > 0, "shut down more often than started"
        self.users -= 1

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Gpu:  # noqa: N802
        if index >= len(self.gpus):
            raise NVMLError(NVML_ERROR_INVALID_ARGUMENT)
        return self.gpus[index]

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> Gpu:  # noqa: N802
        if not uuid.startswith("GPU-") or int(uuid[4:]) >= len(self.gpus):
            raise NVMLError(NVML_ERROR_NOT_FOUND)
        return self.gpus[int(uuid[4:])]

    def nvmlDeviceGetName(self, gpu: Gpu) -> str:  # noqa: N802
        return gpu.name

    def nvmlDeviceGetArchitecture(self, gpu: Gpu) -> int:  # noqa: N802
        return gpu.architecture

    def nvmlDeviceGetPowerManagementLimitConstraints(self, gpu: Gpu) -> list[int]:  # noqa: N802
        limit = self._known(gpu, gpu.limit)
        gpu.reads -= 1  # that was no reading of its sensor
        return [100_000, limit]

    def nvmlDeviceGetPciInfo(self, gpu: Gpu) -> SimpleNamespace:  # noqa: N802
        if gpu.bus is None:
            raise NVMLError(NVML_ERROR_NOT_SUPPORTED)
        return SimpleNamespace(busId=gpu.bus)

    def nvmlDeviceGetTotalEnergyConsumption(self, gpu: Gpu) -> int:  # noqa: N802
        return self._known(gpu, gpu.millijoules)

    def nvmlDeviceGetPowerUsage(self, gpu: Gpu) -> int:  # noqa: N802
        return self._known(gpu, gpu.usage)

    def nvmlDeviceGetFieldValues(self, gpu: Gpu, numbers: list[int]) -> list[SimpleNamespace]:  # noqa: N802
        known = [gpu.fields.get(number) for number in numbers]
        return [
            SimpleNamespace(
                nvmlReturn=NVML_SUCCESS if value is not None else NVML_ERROR_NOT_SUPPORTED,
                value=SimpleNamespace(uiVal=value),
            )
            for value in known
        ]

    def _known(self, gpu: Gpu, value: int | None) -> int:
        assert self.users > 0, "asked before nvmlInit"
        gpu.reads += 1
        if gpu.fails:
            raise NVMLError(gpu.fails)
        if value is None:
            raise NVMLError(NVML_ERROR_NOT_SUPPORTED)
        return value
