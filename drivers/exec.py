"""Any command as a meter: one that prints a number or JSON once a sample, or a line a sample for ever.

    exec@"sensors-power --once"?unit=mW
    exec@"ipmitool-json"?watts=$.psu[0].watts&measures=wall
    exec@"my-logger --csv-less"?stream=1&unit=W

Units are never guessed: a bare number needs ``unit=``, paths are SI unless ``unit=`` (for watts),
``volts_unit=``, ``amps_unit=`` or ``joules_unit=`` says otherwise. ``joules=`` reads a running counter.
Resolution, accuracy and rate are the command's own; ``accuracy=0.02`` states ±2 %, unsaid stays unknown.
In a stream every line is stamped when it arrives, so the command must flush each; lines that are no
sample are counted in ``lost``. No shell runs the command unless ``shell=1``.

Semantics: instants, or counters with ``joules=``. Source: the command.
Counters: ``joules=``, if the command prints one.
Loss: lines of a stream that are no sample are counted.
Tested on: real programs; real hardware: does not apply.
"""

import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from math import nan
from selectors import EVENT_READ, DefaultSelector

from energymeter.drivers.links.command import not_started
from energymeter.drivers.protocols.text_fields import Fields, find, steps
from energymeter.errors import (
    SourceEnded,
    SourceError,
    SourceTimeout,
    SpecError,
)
from energymeter.reading import Reading

__all__ = ["Exec"]

_BEAT_SECONDS = 0.5
"""A stream says at least this often that it is alive."""

_LONGEST_LINE = 1 << 16


class Exec:
    """A command's output, read as power, voltage and current, or as a counter of joules.

    Args:
        place: the command line.
        watts, volts, amps, joules: JSON paths such as ``$.psu[0].watts``; none: the output is one number.
        unit: of watts, or of the one number; ``volts_unit``, ``amps_unit``, ``joules_unit``: of the others.
        stream: the command runs on and prints a line a sample.
        shell: let ``/bin/sh`` run it, for pipes and variables.
        timeout: seconds one sample may take; a hung command is then killed.
        accuracy: ± relative, as its maker promises; unsaid: unknown.
        measures: ``wall``, ``rail``, ``cell`` or ``die``.

    Raises:
        SpecError: an empty command, a path or unit that makes no sense.
    """

    def __init__(
        self,
        place: str = "",
        *,
        watts: str = "",
        volts: str = "",
        amps: str = "",
        joules: str = "",
        unit: str = "",
        volts_unit: str = "V",
        amps_unit: str = "A",
        joules_unit: str = "J",
        stream: bool = False,
        shell: bool = False,
        timeout: float = 1.8,
        accuracy: float = nan,
        measures: str = "rail",
    ) -> None:
        self.name = f"exec@{place}"
        try:
            self._argv = ["/bin/sh", "-c", place] if shell else shlex.split(place)
        except ValueError as error:
            raise SpecError(f"{self.name}: {error}; close every quote") from error
        if not place.strip() or timeout <= 0:
            raise SpecError(
                f'{self.name}: give a command, as in exec@"my-meter --once", and a timeout above 0'
            )
        selectors = {"watts": watts, "volts": volts, "amps": amps, "joules": joules}
        for path in filter(None, selectors.values()):
            steps(path)
        units = {"watts": unit or "W", "volts": volts_unit, "amps": amps_unit, "joules": joules_unit}
        self._fields = Fields(selectors, units, unit)
        self._json = any(selectors.values())
        self._timeout = timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._opened = False
        self.lost = 0
        self.facts = self._fields.facts(accuracy=accuracy, place=measures, hz=1.0, max_hz=100.0)
        self._streams = stream
        self._lines: Iterator[Reading] = iter(())
        if stream:  # only then does the sampler find the hook
            self.stream = self._stream

    def open(self) -> None:
        """Run the command for the first time; a stream is left running.

        Raises:
            SourceMissing, SourceForbidden: no such command, or not executable.
            SourceError, SourceTimeout: it fails, hangs, or prints no such number.
        """
        self.close()
        if self._streams:
            self._process = self._start()
            self._lines = self._stream()
        else:
            self._sample()
        self._opened = True

    def read(self) -> Reading:
        """Run the command once; of a stream, wait for its next line.

        Raises:
            SourceError, SourceTimeout, SourceEnded: as the message says.
        """
        if not self._opened:
            raise SourceError(f"{self.name} is not open; call open() first")
        if not self._streams:
            return self._sample()
        deadline = time.monotonic() + self._timeout
        for reading in self._lines:
            if reading.fresh:
                return reading
            if time.monotonic() > deadline:
                break
        raise SourceTimeout(
            f"{self.name} printed no sample within {self._timeout:g} s; does it flush every line?"
        )

    def close(self) -> None:
        """End the command and everything it started."""
        self._opened = False
        process, self._process = self._process, None
        if process is not None:
            _end(process)

    def _start(self) -> "subprocess.Popen[bytes]":
        try:
            return subprocess.Popen(
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            reason = not_started(error, self._argv[0], "install it or give its path")
            raise type(reason)(f"{self.name}: {reason}") from error

    def _sample(self) -> Reading:
        process = self._process = self._start()
        try:
            out, err = process.communicate(timeout=self._timeout)
        except subprocess.TimeoutExpired:
            _end(process)
            raise SourceTimeout(
                f"{self.name} hung for {self._timeout:g} s and was killed; use stream=1 if it runs on"
            ) from None
        finally:
            self._process = None
        if process.returncode != 0:
            raise self._failed(process.returncode, err)
        return self._decode(out)

    def _decode(self, text: bytes) -> Reading:
        if not self._json:
            bare = text.decode(errors="replace").strip()
            return self._fields.reading(lambda _: bare, self.name)
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise SourceError(
                f"{self.name} printed no JSON but {text.decode(errors='replace')!r:.60}"
            ) from error
        return self._fields.reading(lambda path: find(document, path), self.name)

    def _failed(self, code: int, err: bytes) -> SourceError:
        lines = err.decode(errors="replace").strip().splitlines() or ["it said nothing on stderr"]
        how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return SourceError(f"{self.name} {how}: {lines[-1]:.200}")

    def _stream(self) -> Iterator[Reading]:
        process = self._process
        if process is None or process.stdout is None or process.stderr is None:
            raise SourceError(f"{self.name} is not open; call open() first")
        stamp, rest, err = 0, b"", b""
        with DefaultSelector() as ready:
            ready.register(process.stdout, EVENT_READ)
            ready.register(process.stderr, EVENT_READ)
            running = True
            while running:
                lines: list[bytes] = []
                for key, _ in ready.select(_BEAT_SECONDS):
                    chunk = os.read(key.fd, 65536)
                    if not chunk:
                        ready.unregister(key.fileobj)
                    if key.fileobj is process.stderr:
                        err = (err + chunk)[-4096:]
                    elif chunk:
                        *lines, rest = (rest + chunk).split(b"\n")
                    else:
                        running, lines, rest = False, [rest], b""
                if len(rest) > _LONGEST_LINE:
                    self.lost, rest = self.lost + 1, b""
                for reading in self._samples(lines):
                    stamp = max(stamp + 1, time.monotonic_ns())
                    yield reading._replace(at_ns=stamp)
                if not lines:
                    yield Reading(fresh=False)
        raise self._over(process, err)

    def _samples(self, lines: list[bytes]) -> Iterator[Reading]:
        for line in filter(bytes.strip, lines):
            try:
                yield self._decode(line)
            except SourceError:
                self.lost += 1

    def _over(self, process: "subprocess.Popen[bytes]", err: bytes) -> SourceError:
        try:
            code = process.wait(_BEAT_SECONDS)
        except subprocess.TimeoutExpired:
            code = 0  # it closed its output and lives on: as good as over
        if code:
            return self._failed(code, err)
        return SourceEnded(f"{self.name} has ended; there are no more samples")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ask the command and its children to go, then make them."""
    for signum in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):  # the whole group is gone already
            os.killpg(process.pid, signum)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_BEAT_SECONDS)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
