"""The measured program's side of sampling: starts the sampling process, sees its curves, keeps it alive."""

import os
import threading
from collections.abc import Sequence
from typing import NamedTuple

from energymeter import errors
from energymeter.clock import Clock, SystemClock
from energymeter.energy.correction import Correction
from energymeter.reading import Facts
from energymeter.sampling.config import ChannelInfo, LogConfig, SourceConfig
from energymeter.sampling.curve import Curve
from energymeter.sampling.memory import Count, Head, State
from energymeter.sampling.process import ProcessHost, ThreadHost
from energymeter.spec import Spec

_FIRST_SAMPLE_SECONDS = 2.0
_RESTARTS = 20


class SampledChannel(NamedTuple):
    """One channel as the reader sees it: what is known of it, and its curve."""

    info: ChannelInfo
    curve: Curve

    def observed(self, counter: int) -> int:
        """One of the counts kept by the sampler, such as ``Count.MISSED``."""
        return self.curve.counts[counter]


class Sampler:
    """Reads sources in a process of its own; in a thread of this one where an object must be read.

    Args:
        configs: the sources, each with its rate.
        log: the file for every sample.
        corrections: calibrations by meter identity.
        clock: the time to wait by.
    """

    def __init__(
        self,
        configs: Sequence[SourceConfig],
        log: LogConfig | None = None,
        corrections: dict[str, Correction] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.channels: list[SampledChannel] = []
        self.restarts = 0
        self.in_process = any(not isinstance(config.source, Spec) for config in configs)
        self._configs = list(configs)
        self.log = log
        self._corrections = corrections or {}
        self._clock = clock or SystemClock()
        self._host: ProcessHost | ThreadHost | None = None
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._head: Head | None = None

    def start(self) -> None:
        """Open the sources and wait for their first samples.

        Raises:
            SourceError, SpecError, LogError, ExtraMissing: what the sampling side reported.
            SamplerError: it reported nothing.
        """
        host = ThreadHost() if self.in_process else ProcessHost()
        self._host = host
        infos = host.start(self._configs, self.log, self._corrections)
        self._head = Head(host.memory)
        self.channels = [_channel(info, host.memory) for info in infos]
        self._await_first_samples()

    def stop(self) -> None:
        """Take one last sample and end; twice is fine, and in a forked worker it does nothing."""
        if self._host is None or os.getpid() != self._pid:
            return
        with self._lock:
            host, self._host = self._host, None
        host.stop()

    def restart_if_dead(self) -> None:
        """Start the sampling process again if it was killed; its curves go on after a gap."""
        if os.getpid() != self._pid:
            return
        with self._lock:
            host = self._host
            if host is None or host.alive() or self.restarts >= _RESTARTS:
                return
            self.restarts += 1
            try:
                host.start(self._configs, self.log, self._corrections, resume=True)
            except errors.EnergyMeterError as failure:
                for channel in self.channels:
                    channel.info.memory_in(host.memory).head.error = f"sampling could not go on: {failure}"

    def wait_past(self, at_ns: int, seconds: float) -> None:
        """Wait until every channel has a sample at or after ``at_ns``, at most ``seconds``."""
        give_up_ns = self._clock.monotonic_ns() + round(seconds * 1e9)
        while self._clock.monotonic_ns() < give_up_ns:
            if all(
                len(channel.curve) and channel.curve.last_ns() >= at_ns
                for channel in self.channels
                if channel.observed(Count.STATE) == State.RUNNING
            ):
                return
            self._clock.sleep(0.0005)

    def ended(self) -> bool:
        """Every source is a recording that is over."""
        return all(channel.observed(Count.STATE) == State.ENDED for channel in self.channels)

    def log_error(self) -> str:
        """Why the log stopped early, or an empty text."""
        return self._head.error if self._head is not None else ""

    def recorded_rows(self) -> int:
        """Rows in the log so far."""
        return self._head.counts[Count.RECORDED_ROWS] if self._head is not None else 0

    def _await_first_samples(self) -> None:
        slowest = max(1 / channel.info.rate_hz for channel in self.channels)
        give_up_ns = self._clock.monotonic_ns() + round((_FIRST_SAMPLE_SECONDS + 2 * slowest) * 1e9)
        while self._clock.monotonic_ns() < give_up_ns:
            if all(len(channel.curve) for channel in self.channels):
                return
            self._clock.sleep(0.0005)


def _channel(info: ChannelInfo, shared: memoryview) -> SampledChannel:
    return SampledChannel(info, Curve(info.memory_in(shared), trapezoids=info.facts.semantics == "instant"))
