"""What an agent sampled, as readings for a sampler of one's own: the samples that are new in its ring.

It is used where the ring alone is not enough: to record a block, to measure other sources next to it, and to
go on after the agent was away.
"""

from __future__ import annotations

import time

from energymeter.errors import SourceMissing
from energymeter.lazy import TYPE_CHECKING, NamedTuple
from energymeter.reading import Facts, Reading
from energymeter.sampling.agent import Connection, channels_of, mapped
from energymeter.sampling.config import ChannelInfo
from energymeter.sampling.memory import Count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from energymeter.energy.integrate import Sample

_LONGEST_PAUSE = 0.02
_SILENT_SECONDS = 0.25
_WHOLE = 0.5
"""Two samples between which less than this share was covered have a gap between them."""
_RING_SAMPLES_SECONDS = 60


class Joint(NamedTuple):
    """How far one channel was read."""

    number: int
    """The number of the next sample."""
    before: Sample | None
    """The last one that was read."""


def facts_of(info: ChannelInfo, lag_seconds: float = 0.0) -> Facts:
    """The facts of a channel whose samples are read one by one.

    What repeats was left out already. The rate is such that a session lays out the same ring for it.

    Args:
        info: the channel.
        lag_seconds: how late its values may be, because of another clock.
    """
    facts = info.facts
    return facts._replace(
        default_hz=info.rate_hz,
        max_hz=max(info.rate_hz, info.capacity / _RING_SAMPLES_SECONDS),
        joules_wrap=None,
        coulombs_wrap=None,
        renewal_seconds=0.0,
        smoothing_seconds=facts.renewal_seconds + facts.smoothing_seconds + lag_seconds,
        still_seconds=None,
    )


def readings_of(
    semantics: str, before: Sample | None, sample: Sample, here: Callable[[int], int] = int
) -> Iterator[Reading]:
    """One sample as readings: an empty one comes first where the time before it was not measured.

    Args:
        semantics: of its channel.
        before: the sample before it; ``None``: it is the first one, or some were lost in between.
        sample: what was measured.
        here: a moment of theirs on the clock here.
    """
    at_ns = sample.at_ns
    seconds = None
    if before is not None:
        covered_ns, passed_ns = sample.covered_ns - before.covered_ns, at_ns - before.at_ns
        if semantics == "mean":
            seconds = max(0, min(covered_ns, passed_ns)) * 1e-9
        elif covered_ns < _WHOLE * passed_ns:
            yield Reading(at_ns=here(before.at_ns + passed_ns // 2))
    if semantics == "counter":
        yield Reading(sample.volts, None, None, sample.joules, sample.coulombs, None, here(at_ns))
    else:
        yield Reading(sample.volts, sample.amps, sample.watts, None, None, seconds, here(at_ns))


class LocalFeed:
    """The ring of an agent on this machine, read sample by sample.

    Args:
        source: its name in the agent; empty: the first.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._connection: Connection | None = None
        self.infos: list[ChannelInfo] = []
        self.lost = 0
        """Samples that the ring had forgotten before they were read."""
        self._began: object = None
        self._joints: list[Joint] = []
        self.in_hand = False
        """Readings follow that are here already."""

    def open(self) -> None:
        """Connect.

        Raises:
            SourceError, SamplerError: why not.
        """
        self.close()
        connection = Connection()
        try:
            answer, descriptor = connection.open(self._source)
            try:
                self.infos = channels_of(answer)
                memory = mapped(descriptor, self.infos)
            finally:
                descriptor.close()
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        self._memories = [info.memory_in(memory) for info in self.infos]
        began = answer.get("began")
        if began != self._began or len(self._joints) != len(self.infos):
            first = self._began is None
            self._began = began
            # the newest sample is where a block begins; of another ring, all is new
            self._joints = [
                Joint(max(0, own.counts[Count.RING_COUNT] - 1) if first else 0, None)
                for own in self._memories
            ]

    def close(self) -> None:
        """Twice is fine."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def readings(self) -> Iterator[tuple[int, Reading]]:
        """Every new sample with the number of its channel, and one that is not fresh while there is none.

        Raises:
            SourceMissing: the agent has gone.
        """
        self.in_hand = False
        pause = min(_LONGEST_PAUSE, 0.25 / max(info.rate_hz for info in self.infos))
        heard = time.monotonic()
        while True:
            fresh = [*self._new()]
            if fresh:
                heard = time.monotonic()
                self.in_hand = True
                yield from fresh
                self.in_hand = False
                continue
            connection = self._connection
            if connection is None or not connection.alive():
                raise SourceMissing("the agent has gone; start it again with `energymeter serve`")
            if time.monotonic() > heard + _SILENT_SECONDS:
                heard = time.monotonic()
                yield 0, Reading(fresh=False)
            time.sleep(pause)

    def _new(self) -> Iterator[tuple[int, Reading]]:
        for channel, (info, memory) in enumerate(zip(self.infos, self._memories, strict=True)):
            number, before = self._joints[channel]
            count = memory.counts[Count.RING_COUNT]
            oldest = count - memory.capacity + memory.capacity // 8
            if number < oldest:
                self.lost += oldest - number
                number, before = oldest, None
            while number < count:
                sample = memory.sample(number)
                if sample is None:
                    break  # not yet visible
                for reading in readings_of(info.facts.semantics, before, sample):
                    yield channel, reading
                number, before = number + 1, sample
                self._joints[channel] = Joint(number, before)
            self._joints[channel] = Joint(number, before)
