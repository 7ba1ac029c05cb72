"""The measured program's side of sampling: starts the sampling process, sees its curves, keeps it alive."""

import contextlib
import json
import mmap
import os
import select
import signal
import subprocess
import threading
from collections.abc import Sequence
from typing import IO, Any, NamedTuple

from energymeter import curve, errors
from energymeter.clock import Clock, SystemClock
from energymeter.curve import Curve, Head, channel_bytes
from energymeter.errors import SamplerError, SourceTimeout
from energymeter.integrate import Correction
from energymeter.loop import PipePace
from energymeter.reading import Facts
from energymeter.session import Described, Log, Session, Wanted
from energymeter.source import Source
from energymeter.spawn import spawn
from energymeter.spec import Spec

OPEN_SECONDS = 15.0
"""A source that has not opened by then never will."""
STOP_SECONDS = 10.0
"""A source that has not given its last sample by then is given up."""
_FINISH_LOG_SECONDS = 300.0
"""Joining the parts of a long Parquet log, once all sources are done."""
_FIRST_SAMPLE_SECONDS = 2.0
_RESTARTS = 20


class Request(NamedTuple):
    """A source to be read: a spec can be opened anywhere, an object only in this process."""

    source: Spec | Source
    rate_hz: float | None = None


class SampledChannel(NamedTuple):
    """One channel as the reader sees it."""

    request: int
    """The position of the request that it belongs to."""
    name: str
    facts: Facts
    rate_hz: float
    curve: Curve
    identity: str | None
    calibrated: bool

    def observed(self, counter: int) -> int:
        """One of the counts kept by the sampler, such as ``curve.MISSED``."""
        return self.curve.head[counter]

    def interval_seconds(self) -> float:
        """The time between two samples: the period, or more where the device has news less often."""
        samples = len(self.curve)
        seen_ns = (
            self.curve.last_ns() - self.curve.first_ns() - self.observed(curve.GAP_NS) if samples > 1 else 0
        )
        return max(1 / self.rate_hz, seen_ns * 1e-9 / max(1, samples - 1))


class Sampler:
    """Reads sources in a process of its own; in a thread of this one where an object must be read.

    Args:
        requests: the sources, each with its rate.
        log: the file for every sample.
        corrections: calibrations by meter identity.
        clock: the time to wait by.
    """

    def __init__(
        self,
        requests: Sequence[Request],
        log: Log | None = None,
        corrections: dict[str, Correction] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.channels: list[SampledChannel] = []
        self.restarts = 0
        self.in_process = any(not isinstance(request.source, Spec) for request in requests)
        self._requests = list(requests)
        self._log = log
        self._corrections = corrections or {}
        self._clock = clock or SystemClock()
        self._host: _Process | _Thread | None = None
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._head: Head | None = None

    def start(self) -> None:
        """Open the sources and wait for their first samples.

        Raises:
            SourceError, SpecError, LogError, ExtraMissing: as the sampling side said.
            SamplerError: it said nothing.
        """
        host = _Thread() if self.in_process else _Process()
        self._host = host
        described = host.start(self._requests, self._log, self._corrections)
        memory = host.memory
        self._head = Head(memory)
        self.channels = [_seen(about, memory) for about in described]
        self._await_first_samples()

    def stop(self) -> None:
        """Take one last sample and end; twice is fine, and in a forked worker it does nothing."""
        if self._host is None or os.getpid() != self._pid:
            return
        with self._lock:
            host, self._host = self._host, None
        host.stop()

    def tend(self) -> None:
        """Start the sampling process again if it was killed; its curves go on after a gap."""
        if os.getpid() != self._pid:
            return
        with self._lock:
            host = self._host
            if host is None or host.alive() or self.restarts >= _RESTARTS:
                return
            self.restarts += 1
            try:
                host.start(self._requests, self._log, self._corrections, resume=True)
            except errors.EnergyMeterError as failure:
                for channel in self.channels:
                    channel.curve.error = f"sampling could not go on: {failure}"

    def wait_past(self, at_ns: int, seconds: float) -> None:
        """Wait until every channel has a sample at or after ``at_ns``, at most ``seconds``."""
        give_up_ns = self._clock.monotonic_ns() + round(seconds * 1e9)
        while self._clock.monotonic_ns() < give_up_ns:
            if all(
                len(channel.curve) and channel.curve.last_ns() >= at_ns
                for channel in self.channels
                if channel.observed(curve.STATE) == curve.RUNNING
            ):
                return
            self._clock.sleep(0.0005)

    def ended(self) -> bool:
        """Every source is a recording that is over."""
        return all(channel.observed(curve.STATE) == curve.ENDED for channel in self.channels)

    def log_error(self) -> str:
        """Why the log stopped early, or an empty text."""
        return self._head.error if self._head is not None else ""

    def recorded_rows(self) -> int:
        """Rows in the log so far."""
        return self._head.head[curve.RECORDED_ROWS] if self._head is not None else 0

    def _await_first_samples(self) -> None:
        slowest = max(1 / channel.rate_hz for channel in self.channels)
        give_up_ns = self._clock.monotonic_ns() + round((_FIRST_SAMPLE_SECONDS + 2 * slowest) * 1e9)
        while self._clock.monotonic_ns() < give_up_ns:
            if all(len(channel.curve) for channel in self.channels):
                return
            self._clock.sleep(0.0005)


class _Process:
    """The sampling process, seen from its parent."""

    def __init__(self) -> None:
        self._memory_fd = _anonymous_file("energymeter")
        self._process: subprocess.Popen[bytes] | None = None
        self.memory = memoryview(b"")

    def start(
        self,
        requests: Sequence[Request],
        log: Log | None,
        corrections: dict[str, Correction],
        *,
        resume: bool = False,
    ) -> list[Described]:
        complaints = open(_anonymous_file("energymeter-stderr"), "w+b")  # noqa: SIM115 - outlives this call
        config = {
            "sources": [(request.source, request.rate_hz) for request in requests],
            "log": log._asdict() if log is not None else None,
            "corrections": corrections,
            "memory_fd": self._memory_fd,
            "parent_pid": os.getpid(),
            "resume": resume,
        }
        try:
            self._process = spawn(config, (self._memory_fd,), complaints)
        except OSError as refusal:  # too many processes, too many open files
            raise SamplerError(f"the sampling process could not be started: {refusal.strerror}.") from refusal
        try:
            answer = self._ask(self._process, complaints)
        except BaseException:
            self._end(0)
            raise
        if not resume:
            self.memory = memoryview(mmap.mmap(self._memory_fd, answer["bytes"]))
        return [Described(**channel) for channel in answer["channels"]]

    def _ask(self, process: "subprocess.Popen[bytes]", complaints: IO[bytes]) -> dict[str, Any]:
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], (), (), OPEN_SECONDS)
        if not ready:
            raise SourceTimeout(
                f"the source did not open within {OPEN_SECONDS:g} s; check that its device answers."
            )
        line = process.stdout.readline()
        if not line:
            complaints.seek(0)
            said = complaints.read().decode("utf-8", "replace").strip().splitlines()
            raise SamplerError(
                f"the sampling process ended at once, saying: {said[-1] if said else 'nothing'}."
            )
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise _told(answer["error"], answer["message"])
        return answer

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        self._end(STOP_SECONDS)
        os.close(self._memory_fd)  # the mapping stays

    def _end(self, seconds: float) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        process.send_signal(signal.SIGCONT)  # one that somebody stopped could not end
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        with contextlib.suppress(subprocess.TimeoutExpired):
            if self.memory and Head(self.memory).head[curve.STATE] == curve.ENDED:
                process.wait(_FINISH_LOG_SECONDS)
        if process.poll() is None:
            process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)  # a read stuck in the kernel outlasts even this


class _Thread:
    """Sampling inside this process: what an object that exists only here needs."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._stop_fd: int | None = None
        self.memory = memoryview(b"")

    def start(
        self,
        requests: Sequence[Request],
        log: Log | None,
        corrections: dict[str, Correction],
        *,
        resume: bool = False,
    ) -> list[Described]:
        wanted = [
            Wanted(
                request.source.build() if isinstance(request.source, Spec) else request.source,
                request.rate_hz,
            )
            for request in requests
        ]
        session = Session(wanted, corrections)
        self.memory = memoryview(bytearray(session.size))
        waker, self._stop_fd = os.pipe()
        session.prepare(self.memory, PipePace(waker), log, resume=resume)

        def run() -> None:
            try:
                session.run()
            finally:
                os.close(waker)

        self._thread = threading.Thread(target=run, name="energymeter-sampler", daemon=True)
        self._thread.start()
        return session.described

    def alive(self) -> bool:
        return True

    def stop(self) -> None:
        if self._stop_fd is not None:
            os.close(self._stop_fd)
            self._stop_fd = None
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)
            if Head(self.memory).head[curve.STATE] == curve.ENDED:
                self._thread.join(_FINISH_LOG_SECONDS)
            self._thread = None


def _seen(about: Described, memory: memoryview) -> SampledChannel:
    facts = Facts.from_json(about.facts)
    own = memory[about.offset : about.offset + channel_bytes(about.capacity)]
    seen = Curve(own, about.capacity, trapezoids=facts.semantics == "instant")
    return SampledChannel(
        about.wanted, about.name, facts, about.rate_hz, seen, about.identity, about.calibrated
    )


def _told(name: str, message: str) -> errors.EnergyMeterError:
    """The error that the sampling process named, as if it had been raised here."""
    kind = getattr(errors, name)
    error: errors.EnergyMeterError = kind.__new__(kind)
    error.args = (message,)
    return error


def _anonymous_file(name: str) -> int:
    """A file without a name: memory where the system has it, else a temporary file."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name)
    import tempfile

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
