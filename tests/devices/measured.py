"""A run of a source in simulated time: the sampler's loop, the curves and the sum, without waiting."""

from collections.abc import Callable

from energymeter.energy.uncertainty import Part
from energymeter.energy.usage import Usage, combine
from energymeter.reading import Facts
from energymeter.sampling.config import ChannelInfo, SourceConfig
from energymeter.sampling.curve import Curve
from energymeter.sampling.loop import Channel, SourceLoop
from energymeter.sampling.memory import ChannelMemory, Count, channel_bytes
from energymeter.sampling.sampler import SampledChannel
from energymeter.source import Source

_CAPACITY = 4096
START_NS = 10**9
_NO_INFO = ChannelInfo(0, "", Facts(), 1.0, _CAPACITY, 0, "", False)


class SimulatedPace:
    """Time that moves only when waited for."""

    def __init__(self, seconds: float, rate_hz: float, step: Callable[[int], None]) -> None:
        self.time_ns, self._rate_hz, self._step = START_NS, rate_hz, step
        self._end_ns = START_NS + round(seconds * 1e9)
        step(0)

    def now_ns(self) -> int:
        return self.time_ns

    def wait_until(self, deadline_ns: int) -> bool:
        self.time_ns = max(self.time_ns, min(deadline_ns, self._end_ns))
        self._step(round((self.time_ns - START_NS) * 1e-9 * self._rate_hz))
        return self.time_ns >= self._end_ns

    def suspended_ns(self) -> int:
        return 0

    def cpu_ns(self) -> int:
        return 0


def measured(
    source: Source,
    step: Callable[[int], None] = lambda n: None,
    *,
    seconds: float = 2.0,
    rate_hz: float | None = None,
) -> Usage:
    """What a run of a polled source measures.

    Args:
        source: opened here.
        step: called before each reading with its number, from 0; moves what the emulated device shows.
        seconds: how long the run is.
        rate_hz: how often it is read; its own default if not given.
    """
    config = SourceConfig(source, rate_hz)
    source.open()
    divided = getattr(source, "channels", None)
    parts = list(divided()) if divided is not None else [source]
    pace = SimulatedPace(seconds, config.pace(), step)
    channels, curves = [], []
    for part in parts:
        memory = ChannelMemory(memoryview(bytearray(channel_bytes(_CAPACITY))), _CAPACITY)
        channels.append(Channel(part, memory, min(config.pace(), part.facts.max_hz)))
        curves.append(Curve.of(part.facts, memory))
    SourceLoop(config, channels, pace).run()
    end_ns = START_NS + round(seconds * 1e9)
    return combine(
        [
            Part(
                part.name,
                SampledChannel(_NO_INFO._replace(facts=part.facts), curve).facts,
                curve.window(START_NS, end_ns),
                curve.interval_seconds(1 / config.pace()),
                own_counter=SampledChannel(_NO_INFO, curve).own_counter(),
            )
            for part, curve in zip(parts, curves, strict=True)
        ],
        missed=sum(curve.counts[Count.FAILED] for curve in curves),
        notes=tuple(getattr(source, "notes", ())),
    )
