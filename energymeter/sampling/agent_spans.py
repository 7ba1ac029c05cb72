"""Sends the spans of a block to the agent that it reads, where the program asked for that.

A thread of its own looks twice a second at which spans have ended, and sends their names and edges. A span
costs the program what it costs without that. An agent that does not answer keeps nothing waiting but this
thread, and the end of the program for at most a second.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from itertools import islice

from energymeter.errors import EnergyMeterError, SamplerError, warn
from energymeter.lazy import TYPE_CHECKING
from energymeter.sampling.agent import PROTOCOL, Connection, SpanReceiver
from energymeter.sampling.span_message import MOST_CALLS, MOST_OPEN, Allowance, short
from energymeter.text import printable

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterator, Mapping
    from typing import Any

    from energymeter.sampling.agent_remote import RemoteFeed

_PERIOD_SECONDS = 0.5
_RETRY_SECONDS = (0.5, 1.0, 2.0, 5.0)
_OPEN_NS = 5_000_000_000
"""A span that is open for so long is announced: the agent's ring may forget its begin before its end."""
_MEASURE_SECONDS = 10.0
_EXIT_SECONDS = 1.0
_MOST_SENDERS = 16
"""Blocks whose spans are sent, or wait for an agent that does not answer."""
_KEPT_SECONDS = 5.0
"""A connection that was not used for so long may have been closed by the agent."""
_MOST_NAMES = 1000
_MOST_ANNOUNCED = 1000
_NAMES_A_MESSAGE, _CALLS_A_MESSAGE = 20, 300
"""So many fit into a message, however long the names are once they are written as JSON."""

_senders: weakref.WeakSet[SpanSender] = weakref.WeakSet()
"""State of the process, since its end is: what was not sent by then is lost."""


class SpanSender:
    """Sends the spans of one block to one agent.

    Args:
        receiver: the agent.
        edges: begin, end, begin, end, … of the spans of each name, which grow.
        open: when the spans began that have not ended.
    """

    def __init__(
        self, receiver: SpanReceiver, edges: Mapping[str, array[int]], open: Mapping[object, int]
    ) -> None:
        self._agent: _Local | _Remote = _Remote(receiver) if receiver.address.host else _Local(receiver)
        self._where = receiver.address.host or "this machine"
        self._edges, self._open = edges, open
        self._sent: dict[str, int] = {}
        """How many calls of each name were sent, or left out."""
        self._left_out: dict[str, int] = {}
        self._announced: dict[int, int] = {}
        """Begins of open spans: on the clock here, and as they were sent."""
        self._allowance = Allowance(MOST_CALLS)
        self._error = ""
        self._over = threading.Event()
        self._pid = os.getpid()
        self._thread = threading.Thread(target=self._run, name="energymeter-spans", daemon=True)

    def start(self) -> None:
        """Begin to send, unless too many blocks before it still wait for an agent.

        Raises:
            SamplerError: there can be no more threads.
        """
        if sum(sender._thread.is_alive() for sender in [*_senders]) >= _MOST_SENDERS:
            self._error = "it does not answer, and those of earlier blocks still wait; check the agent"
            return
        try:
            self._thread.start()
        except RuntimeError as failure:
            raise SamplerError(
                f"no thread could be started to send the spans ({failure}); end some others"
            ) from failure
        _senders.add(self)

    def end(self) -> None:
        """The block has ended: send the rest, without waiting for that. Twice is fine."""
        if os.getpid() == self._pid:
            self._over.set()

    def notes(self) -> list[str]:
        """What a reader of the results should know."""
        notes = []
        if self._error:
            notes.append(f"the agent of {self._where} did not take the spans: {self._error}")
        if len(self._edges) > _MOST_NAMES:
            notes.append(f"the agent gets the spans of {_MOST_NAMES} names, and not of all")
        return notes

    def await_end(self, seconds: float) -> str:
        """Wait until all was sent, if the agent has answered so far.

        Returns:
            why some of it was not; else an empty text.
        """
        if os.getpid() != self._pid:
            return ""
        if not self._error and self._thread.ident is not None:
            self._thread.join(seconds)
        late = "it has not answered in time" if self._thread.is_alive() else ""
        why = self._error or late
        return why and f"the agent of {self._where} did not take all spans: {why}"

    def _run(self) -> None:
        failures, pause = 0, _PERIOD_SECONDS
        while True:
            over = self._over.wait(pause)
            try:
                self._send()
            except (EnergyMeterError, OSError) as failure:
                self._agent.close()
                self._error = printable(str(failure))
                pause = _RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)]
                failures += 1
            else:
                self._error, failures, pause = "", 0, _PERIOD_SECONDS
            if over:
                self._agent.close()
                return

    def _send(self) -> None:
        """Send what is new.

        Raises:
            EnergyMeterError, OSError: the agent is away, or takes nothing.
        """
        closed = {
            name: count
            for name, edges in [*islice(self._edges.items(), _MOST_NAMES)]
            if (count := len(edges) // 2) > self._sent.get(name, 0)
        }
        opened = self._newly_open()
        if not (closed or opened):
            return
        self._agent.connect()  # what is chosen from here on is sent once, or counted as left out
        for message in self._messages(closed, opened):
            try:
                self._agent.send({**message, "bound_ns": self._agent.bound_ns})
            except BaseException:
                self._announced.clear()
                for name, edges in message["spans"].items():
                    self._leave_out(name, len(edges) // 2)
                for name, calls in message["left_out"].items():
                    self._leave_out(name, calls)
                raise
        self._agent.rest()

    def _leave_out(self, name: str, calls: int) -> None:
        self._left_out[name] = self._left_out.get(name, 0) + calls

    def _newly_open(self) -> list[int]:
        """When spans began that are open for so long that they are announced."""
        oldest_ns = time.monotonic_ns() - _OPEN_NS
        begun = sorted({start_ns for start_ns in [*self._open.values()] if start_ns < oldest_ns})
        return [start_ns for start_ns in begun if start_ns not in self._announced][:MOST_OPEN]

    def _messages(self, closed: Mapping[str, int], opened: list[int]) -> Iterator[dict[str, Any]]:
        """What is new, in messages of a bounded size; of too much of it, rare names keep all they have."""
        begun = self._agent.moments(opened)
        self._announced.update(zip(opened, begun, strict=True))
        while len(self._announced) > _MOST_ANNOUNCED:
            del self._announced[next(iter(self._announced))]
        message: dict[str, Any] = {"spans": {}, "open": begun, "left_out": {}}
        room = _CALLS_A_MESSAGE
        new = {name: count - self._sent.get(name, 0) for name, count in closed.items()}
        granted: dict[str, int] = {}
        left = self._allowance.take(sum(new.values()))
        for place, name in enumerate(sorted(new, key=lambda name: new[name])):
            granted[name] = min(new[name], left // (len(new) - place))
            left -= granted[name]
        for name in closed:
            last = self._sent.get(name, 0) + granted[name]
            while (first := self._sent.get(name, 0)) < last:
                if not room or len(message["spans"]) == _NAMES_A_MESSAGE:
                    yield message
                    message, room = {"spans": {}, "open": [], "left_out": {}}, _CALLS_A_MESSAGE
                calls = min(last - first, room)
                edges = self._edges[name][2 * first : 2 * (first + calls)].tolist()
                message["spans"].setdefault(short(str(name)), []).extend(self._moments(edges))
                self._sent[name], room = first + calls, room - calls
            if closed[name] > last:
                self._leave_out(short(str(name)), closed[name] - last)
                self._sent[name] = closed[name]
        while self._left_out:
            yield message
            names = [*self._left_out][:_NAMES_A_MESSAGE]
            message = {
                "spans": {},
                "open": [],
                "left_out": {name: self._left_out.pop(name) for name in names},
            }
        yield message

    def _moments(self, edges: list[int]) -> list[int]:
        """Edges on the clock of the agent; a begin that was announced, as it was."""
        moments = self._agent.moments(edges)
        for place in range(0, len(edges), 2):
            moments[place] = self._announced.get(edges[place], moments[place])
        return moments


class _Local:
    """The agent of this machine: a connection for each turn, so that none stays open in between."""

    bound_ns = 0

    def __init__(self, receiver: SpanReceiver) -> None:
        self._source = receiver.address.source
        self._connection: Connection | None = None

    def connect(self) -> None:
        self.close()
        self._connection = Connection()

    def send(self, message: dict[str, Any]) -> None:
        assert self._connection is not None
        self._connection.request({"add_spans": message, "source": self._source, "protocol": PROTOCOL})

    def rest(self) -> None:
        """Nothing more is sent in this turn."""
        self.close()

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def moments(self, here_ns: list[int]) -> list[int]:
        return [*here_ns]


class _Remote:
    """The agent of another computer: a connection that stays, and the offset of its clock."""

    def __init__(self, receiver: SpanReceiver) -> None:
        self._receiver = receiver
        self._feed: RemoteFeed | None = None
        self._used_at = self._measured_at = 0.0
        self._offset_ns = self.bound_ns = 0

    def connect(self) -> None:
        from energymeter.sampling.agent_remote import TOKEN_VARIABLE, RemoteFeed

        now = time.monotonic()
        if self._feed is not None and now > self._used_at + _KEPT_SECONDS:
            self.close()
        if self._feed is None:
            address, pin = self._receiver
            feed = RemoteFeed(address, pin, os.environ.get(TOKEN_VARIABLE, ""))
            feed.connect()
            self._feed, self._measured_at = feed, now
        elif now > self._measured_at + _MEASURE_SECONDS:
            self._feed.measure_again()
            self._measured_at = now
        offset = self._feed.offset()
        self._offset_ns, self.bound_ns = offset.ns, offset.bound_ns
        self._used_at = time.monotonic()

    def send(self, message: dict[str, Any]) -> None:
        assert self._feed is not None
        self._feed.send_spans(message)

    def rest(self) -> None:
        """Nothing more is sent in this turn; the connection stays."""

    def close(self) -> None:
        feed, self._feed = self._feed, None
        if feed is not None:
            feed.close()

    def moments(self, here_ns: list[int]) -> list[int]:
        return [moment + self._offset_ns for moment in here_ns]


def _await_senders() -> None:
    """The program ends: have the rest sent, without waiting longer than `_EXIT_SECONDS` for all of it."""
    give_up = time.monotonic() + _EXIT_SECONDS
    senders = [*_senders]
    for sender in senders:
        sender.end()
    failures = {sender.await_end(max(0.0, give_up - time.monotonic())) for sender in senders}
    for failure in sorted(failures - {""}):
        warn(failure)


atexit.register(_await_senders)
