"""Any command as a meter: one that prints a number or JSON once a sample, or a line a sample without end.

    exec@"sensors-power --once"?unit=mW
    exec@"ipmitool-json"?watts=$.psu[0].watts&measures=wall
    exec@"my-logger --csv-less"?stream=1&unit=W

Units are never guessed: a bare number needs ``unit=``, paths are SI unless ``unit=`` (for watts),
``volts_unit=``, ``amps_unit=`` or ``joules_unit=`` says otherwise. ``joules=`` reads a running counter.
Resolution, accuracy and rate are the command's own; ``accuracy=0.02`` states ±2 %, not given it is unknown.
In a stream every line is stamped when it arrives, so the command must flush each; lines that are no
sample are counted in ``lost``. No shell runs the command unless ``shell=1``.

Semantics: instants, or counters with ``joules=``. Source: the command.
Renewal: as the command answers.
Counters: ``joules=``, if the command prints one.
Loss: lines of a stream that are no sample are counted.
Tested on: real programs; real hardware: does not apply.
"""

import shlex
from collections.abc import Iterator
from typing import Any

from energymeter.drivers.links.command import Command
from energymeter.drivers.links.stream import StreamingSource
from energymeter.drivers.protocols.text_fields import JsonSource
from energymeter.errors import SourceError, SpecError, not_open
from energymeter.reading import Reading

__all__ = ["Exec"]


class Exec(JsonSource):
    """A command's output, read as power, voltage and current, or as a counter of joules.

    Further options as of ``TextSource``.

    Args:
        address: the command line; a name shows the program alone, because arguments may hold passwords.
        stream: the command runs on and prints a line a sample.
        shell: let ``/bin/sh`` run it, for pipes and variables.
        timeout: seconds one sample may take; a hung command is then killed.

    Raises:
        SpecError: an empty command, a path or unit that makes no sense.
    """

    def __init__(
        self,
        address: str = "",
        *,
        stream: bool = False,
        shell: bool = False,
        timeout: float = 1.8,
        **fields: Any,
    ) -> None:
        try:
            argv = ["/bin/sh", "-c", address] if shell else shlex.split(address)
        except ValueError as error:
            raise SpecError("exec: the command line has a quote without its partner; close it") from error
        if not address.strip() or timeout <= 0:
            raise SpecError('exec: give a command, as in exec@"my-meter --once", and a timeout above 0')
        command = Command(argv)
        super().__init__(f"exec@{command.program}", address if argv[1:] else "", **fields)
        self._command, self._timeout = command, timeout
        self._opened = False
        self._lines = _Lines(self, command, timeout) if stream else None
        if self._lines is not None:  # only then does the sampler find the hook
            self.stream = self._lines.stream

    @property
    def lost(self) -> int:
        """Lines of a stream that were no sample."""
        return self._lines.lost + self._command.dropped if self._lines is not None else 0

    def open(self) -> None:
        """Run the command for the first time; a stream is left running.

        Raises:
            SourceMissing, SourceForbidden: no such command, or not executable.
            SourceError, SourceTimeout: it fails, hangs, or prints no such number.
        """
        self.close()
        if self._lines is not None:
            self._lines.open()
        else:
            self._sample()
        self._opened = True

    def read(self) -> Reading:
        """Run the command once; of a stream, wait for its next line.

        Raises:
            SourceError, SourceTimeout, SourceEnded: as the message says.
        """
        if not self._opened:
            raise not_open(self.name)
        return self._lines.read() if self._lines is not None else self._sample()

    def close(self) -> None:
        """End the command and everything it started."""
        self._opened = False
        if self._lines is not None:
            self._lines.close()

    def decoded(self, output: bytes) -> Reading:
        """The reading in what the command printed.

        Raises:
            SourceError: there is none.
        """
        return self._reading(output)

    def _sample(self) -> Reading:
        return self._reading(self._command.output(self._timeout, self.name))


class _Lines(StreamingSource):
    """The lines of a command that runs on."""

    silence = "printed no sample within {:g} s, or does not flush its lines"

    def __init__(self, owner: Exec, command: Command, timeout: float) -> None:
        self.name, self.patience_seconds = owner.name, timeout
        self.lost = 0
        self._owner, self._command = owner, command

    def _start(self) -> None:
        self._command.start(self.name)

    def _flow(self) -> Iterator[Reading]:
        stamp = 0
        for lines in self._command.lines(self.name):
            if not lines:
                yield Reading(fresh=False)
            for line in filter(None, lines):
                try:
                    reading = self._owner.decoded(line)
                except SourceError:
                    self.lost += 1
                    continue
                stamp = max(stamp + 1, self._clock.monotonic_ns())
                yield reading._replace(at_ns=stamp)

    def _stop(self, started: bool) -> None:
        self._command.end()
