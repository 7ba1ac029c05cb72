"""The agent: it owns meters and samples them while somebody listens.

Each source has a sampling process of its own, the one of every `EnergyMeter`. The agent opens it for the
first listener, keeps it for a while after the last one, and opens it again when it has died.
"""

import contextlib
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, NamedTuple

from energymeter.calibration.cards import Cards
from energymeter.errors import EnergyMeterError, SourceMissing, SpecError
from energymeter.paths import user_folder
from energymeter.sampling.descriptors import Descriptor
from energymeter.sampling.sampler import SampledChannel, Sampler
from energymeter.serve.config import Config, SourceEntry
from energymeter.serve.spans import ClientSpans, EndedSpan

_LOOK_SECONDS = 0.25
_RETRY_SECONDS = (0.5, 1.0, 2.0, 5.0)

log = logging.getLogger("energymeter.serve")


class Listener:
    """Somebody who wants samples; until it is closed, its source is read."""

    def __init__(self, sources: "list[ServedSource]") -> None:
        self._sources = sources
        for source in sources:
            source.count(1)

    def close(self) -> None:
        """Twice is fine."""
        sources, self._sources = self._sources, []
        for source in sources:
            source.count(-1)

    def __enter__(self) -> "Listener":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()


class Ring(NamedTuple):
    """The samples of a source, for other processes."""

    channels: list[SampledChannel]
    descriptor: Descriptor
    """It opens their memory, read-only; whoever gets it closes it."""
    began_ns: int


class ServedSource:
    """One source of an agent.

    Args:
        entry: what it is.
        linger_seconds: how long it is read after its last listener has gone.
        always: it is read also while nobody listens.
    """

    def __init__(self, entry: SourceEntry, linger_seconds: float, always: bool) -> None:
        self.name = entry.name
        self.entry = entry
        self.title = "+".join(config.build().name for config in entry.configs[: entry.counted])
        self.state = "closed"
        """``closed``, ``opening``, ``running`` or ``failed``."""
        self.error = ""
        """Why it failed."""
        self.started_ns = 0
        """When its curve began, in monotonic time; 0: never. It begins again at 0 J when this changes."""
        self.channels: list[SampledChannel] = []
        """Another list once it was opened again."""
        self.on_span: list[Callable[[str, EndedSpan], None]] = []
        """Called with its name and every call of a span that a client has sent."""
        self._cards = Cards()
        """The calibrations that its sampler applies."""
        self.spans = ClientSpans(self.counted, self._spread, cards=lambda: self._cards)
        self._linger_seconds = linger_seconds
        self._always = always
        self._listeners = 0
        self._unheard_since = -math.inf
        self._sampler: Sampler | None = None
        self._descriptor: Descriptor | None = None
        self._attempts = 0
        self._next_try = 0.0
        self._lock = threading.Lock()
        """Held while it is opened or closed."""
        self._counting = threading.Lock()
        self._over = False

    def counted(self) -> list[SampledChannel]:
        """The channels that add up."""
        return [
            channel
            for channel in self.channels
            if channel.info.source_index < self.entry.counted and channel.info.facts.counted
        ]

    def _spread(self, span: EndedSpan) -> None:
        for call in self.on_span:
            call(self.name, span)

    def count(self, by: int) -> None:
        """One listener more, or one less."""
        with self._counting:
            self._listeners += by
            self._unheard_since = time.monotonic()

    @property
    def wanted(self) -> bool:
        """Whether it is to be read now."""
        with self._counting:
            heard = self._listeners > 0 or time.monotonic() < self._unheard_since + self._linger_seconds
        return (self._always or heard) and not self._over

    def ring(self) -> "Ring | None":
        """What others need to read it, if it is being read; never waits."""
        if not self._lock.acquire(blocking=False):
            return None
        try:
            return self._ring()
        finally:
            self._lock.release()

    def opened(self) -> "Ring":
        """What others need to read it; it is opened if it is not, which may take 15 s.

        Raises:
            EnergyMeterError: why it cannot be opened.
        """
        with self._lock:
            ring = self._ring()
            if ring is None:
                self._close()
                self._open()
                ring = self._ring()
            if ring is None:
                raise SourceMissing(f"{self.name} ended immediately; look for the reason in the agent's log")
            return ring

    def _ring(self) -> "Ring | None":
        if self._sampler is None or self._descriptor is None or not self._sampler.alive:
            return None
        return Ring(self.channels, Descriptor(os.dup(self._descriptor.fd)), self.started_ns)

    def ask(self) -> int:
        """Have a sample taken soon; the number of the question, 0 if nobody samples."""
        sampler = self._sampler
        return sampler.ask() if sampler is not None else 0

    def tend(self, lost: Callable[["ServedSource"], None]) -> None:
        """Open it if it is wanted, close it if it is not; called four times a second.

        Args:
            lost: called when its sampling process has died, so that whoever reads the ring connects again.
        """
        if not self._lock.acquire(blocking=False):
            return  # it is being opened
        try:
            sampler, wanted = self._sampler, self.wanted
            if sampler is not None and not sampler.alive:
                log.warning("the sampling process of %s has died; it is started again", self.name)
                self._close()
                lost(self)
                sampler = None
            if sampler is not None and not wanted:
                self._close()
            elif sampler is None and wanted and time.monotonic() >= self._next_try:
                with contextlib.suppress(EnergyMeterError):  # it is in `error`, and the next try may succeed
                    self._open()
        finally:
            self._lock.release()

    def close(self) -> None:
        """Let go of the meter for good."""
        self._over = True
        with self._lock:
            self._close()

    def _open(self) -> None:
        self.state = "opening"
        self._cards = Cards.here(None)
        sampler = Sampler(list(self.entry.configs), corrections=self._cards.corrections(), shared=True)
        try:
            if self._over:
                raise SourceMissing("the agent is ending; start it again")
            sampler.start()
            self._descriptor = sampler.descriptor()
        except BaseException as failure:
            sampler.stop()
            self.state, self.error = "failed", str(failure)
            wait = _RETRY_SECONDS[min(self._attempts, len(_RETRY_SECONDS) - 1)]
            self._attempts, self._next_try = self._attempts + 1, time.monotonic() + wait
            if self._attempts == 1:
                log.warning("%s cannot be opened: %s", self.name, failure)
            if isinstance(failure, OSError) and not isinstance(failure, EnergyMeterError):
                raise SourceMissing(
                    f"{self.name} cannot be shared ({failure.strerror}); use Linux 3.17 or newer"
                ) from failure
            raise
        self._sampler, self._attempts, self.error = sampler, 0, ""
        self.channels = sampler.channels
        self.started_ns = max(time.monotonic_ns(), self.started_ns + 1)
        self.state = "running"

    def _close(self) -> None:
        sampler, self._sampler = self._sampler, None
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            descriptor.close()
        if sampler is not None:
            sampler.stop()
            self.state = "closed"


class Agent:
    """Owns the sources of a config.

    Args:
        config: what is served.
    """

    def __init__(self, config: Config) -> None:
        self.config = config.checked()
        self.started_unix, self.started_ns = time.time(), time.monotonic_ns()
        self._sources = [
            ServedSource(entry, config.linger_seconds, config.always) for entry in config.sources
        ]
        self._by_name = {source.name: source for source in self._sources}
        self._lost: list[Callable[[ServedSource], None]] = []
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(
                target=self._tend, args=(source,), name=f"energymeter-{source.name}", daemon=True
            )
            for source in self._sources
        ]
        for thread in self._threads:
            thread.start()

    @property
    def state_folder(self) -> str:
        """Where the agent keeps what outlives it; of this user alone.

        Raises:
            OSError: it cannot be made.
        """
        folder = os.environ.get("STATE_DIRECTORY", "").split(":")[0] or os.path.join(
            user_folder("data"), "serve"
        )
        os.makedirs(folder, mode=0o700, exist_ok=True)
        return folder

    def sources(self) -> list[ServedSource]:
        """All that the configuration names, in its order."""
        return list(self._sources)

    def source(self, name: str) -> ServedSource:
        """A source by its name; the first for an empty one.

        Raises:
            SourceMissing: there is none of that name.
        """
        source = self._by_name.get(name) if name else self._sources[0]
        if source is None:
            raise SourceMissing(
                f"the agent serves no source of that name; it has: {', '.join(self._by_name)}"
            )
        return source

    def listen(self, name: str | None = None) -> Listener:
        """Want samples of a source, or of all; they are opened in the background.

        Raises:
            SourceMissing: there is none of that name.
        """
        return Listener(self.sources() if name is None else [self.source(name)])

    def on_lost(self, call: Callable[[ServedSource], None]) -> None:
        """Call this when a sampling process has died: the ring that others map is not written any more."""
        self._lost.append(call)

    def on_span(self, call: Callable[[str, EndedSpan], None]) -> None:
        """Call this with the name of a source and every call of a span that a client of it has sent."""
        for source in self._sources:
            source.on_span.append(call)

    def add_spans(self, name: str, message: Mapping[str, Any]) -> int:
        """Take in the spans that a client sends; how many of its calls may count.

        Args:
            name: of the source; empty: the first.
            message: see `energymeter.sampling.span_message`.

        Raises:
            SourceMissing: there is no source of that name.
            SpecError: it makes no sense, or nothing would show them.
        """
        source = self.source(name)
        if not source.on_span:
            raise SpecError("the agent shows no spans; start it with --web, --metrics or --record")
        return source.spans.take(message)

    def close(self) -> None:
        """Let go of all sources. Twice is fine."""
        self._ended.set()
        for source in self._sources:
            source.close()
        for thread in self._threads:
            thread.join()

    def _tend(self, source: ServedSource) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            source.tend(self._tell)
            source.spans.resolve()

    def _tell(self, source: ServedSource) -> None:
        for call in self._lost:
            call(source)
