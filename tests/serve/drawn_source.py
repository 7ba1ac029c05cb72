"""A source of an agent whose curves a test draws."""

from devices.rows import row_of

from energymeter.clock import ManualClock
from energymeter.energy.integrate import Integrator
from energymeter.reading import Band, Facts, Reading
from energymeter.sampling.config import ChannelInfo
from energymeter.sampling.curve import Curve
from energymeter.sampling.memory import ChannelMemory, CurveWriter, channel_bytes
from energymeter.sampling.sampler import SampledChannel
from energymeter.serve.config import SourceEntry

SECOND = 1_000_000_000


class DrawnSource:
    """A source of an agent whose curves a test draws, 10 samples a second."""

    def __init__(self, name: str, clock: ManualClock, *facts: Facts) -> None:
        self.name, self.error = name, ""
        self.entry = SourceEntry.of(name, "manual:5V,1A")
        self._clock = clock
        self._facts = facts or (Facts(volts=Band(0.005), amps=Band(0.01)),)
        self.open()

    def open(self, capacity: int = 4096) -> None:
        """Begin curves at 0, as a sampler that is started."""
        self.channels: list[SampledChannel] = []
        self._writers: list[tuple[CurveWriter, Integrator]] = []
        for number, its in enumerate(self._facts):
            memory = ChannelMemory(memoryview(bytearray(channel_bytes(capacity))), capacity)
            info = ChannelInfo(0, f"{self.name}:{number}", its, 10.0, capacity, 0, "", False)
            self.channels.append(SampledChannel(info, Curve.of(its, memory)))
            self._writers.append((CurveWriter(memory), Integrator(its, SECOND)))

    def counted(self) -> list[SampledChannel]:
        return [channel for channel in self.channels if channel.info.facts.counted]

    def run(self, seconds: float, *watts: float | None) -> None:
        """Let time pass in which each channel draws so much; None: it says nothing."""
        for _ in range(round(seconds * 10)):
            self._clock.sleep(0.1)
            for (writer, integrator), power in zip(self._writers, watts, strict=True):
                if power is not None:
                    reading = Reading(volts=5.0, amps=power / 5.0)
                    writer.append(row_of(integrator.add(self._clock.monotonic_ns(), reading)))
