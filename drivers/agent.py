"""The agent of this machine or of another one: what ``energymeter serve`` samples, read without its meter.

``agent`` is the first source of the agent on this machine, ``agent@um25c`` the one of that name. A block
reads the agent's ring. To record it, or next to other sources, samples are read one by one, as here.
Semantics: instants, means or counters, as the source that the agent reads. Accuracy: the source's own, with
the calibration that the agent applies. Source: the agent.

Renewal: as the agent samples.
Counters: as the source has them.
Loss: exact, by the sequence numbers of the samples.
Tested on: agents on the same machine with simulated sources; real hardware: does not apply.
"""

import os
from collections.abc import Iterator
from typing import Any

from energymeter.drivers.protocols.parts import InParts, Part
from energymeter.errors import SpecError, not_open
from energymeter.lazy import module
from energymeter.reading import Facts, Reading

__all__ = ["Agent"]

_MAX_HZ = 1e6


class Agent(InParts):
    """``agent``, ``agent@um25c``: on this machine. ``agent@laptop:9736/um25c?pin=…``: on another one.

    ``agent?spans=yes`` also has the block's spans shown by the agent.

    Args:
        address: the name of the source, or where the agent is; without a name, it is the agent's first.
        pin: the SHA-256 of the certificate of an agent on another machine, in hex.
        spans: send the agent the names, begins and ends of the block's spans, to be shown there.
    """

    kind = "meter"
    shared = True
    signs = ("/run/energymeter/agent.sock",)

    @staticmethod
    def addresses() -> list[str]:
        """The first source of the agent, where one runs."""
        return [""] if module("energymeter.sampling.agent").found() else []

    def __init__(self, address: str = "", *, pin: str = "", spans: bool = False) -> None:
        agent = module("energymeter.sampling.agent")
        place = agent.Address.of(address)
        self.span_receiver: Any = agent.SpanReceiver(place, pin) if spans else None
        self.name = f"agent@{address}" if address else "agent"
        self.facts = Facts(max_hz=_MAX_HZ)
        self._feed: Any
        if place.host:
            remote = module("energymeter.sampling.agent_remote")
            self._feed = remote.RemoteFeed(place, pin, os.environ.get(remote.TOKEN_VARIABLE, ""))
        elif pin:
            raise SpecError("pin is for an agent on another machine; leave it out")
        else:
            self._feed = module("energymeter.sampling.agent_feed").LocalFeed(address)
        self._infos: Any = ()
        self._parts: list[_Part] = []

    @property
    def lost(self) -> int:
        """Samples that were forgotten before they were read."""
        lost: int = self._feed.lost
        return lost

    @property
    def in_hand(self) -> bool:
        """Whether readings follow that are here already."""
        in_hand: bool = self._feed.in_hand
        return in_hand

    @property
    def notes(self) -> list[str]:
        """What the agent says of its source."""
        own = list(getattr(self._feed, "notes", ()))
        return own + [note for info in self._feed.infos for note in info.notes]

    def open(self) -> None:
        """Connect to the agent.

        Raises:
            SourceError: it does not run, has no such source, or cannot open it.
            SamplerError: it serves another meter now than when it was opened before.
        """
        self._feed.open()
        if self._infos:
            module("energymeter.sampling.config").follow(self._feed.infos, self._infos)
        self._infos = self._feed.infos
        feed = module("energymeter.sampling.agent_feed")
        lag_seconds = getattr(self._feed, "lag_seconds", 0.0)
        self._parts = [
            _Part(info.name, feed.facts_of(info, lag_seconds), info.identity, info.correction)
            for info in self._feed.infos
        ]
        fastest = max(part.facts.default_hz for part in self._parts)
        self.facts = self._parts[0].facts._replace(default_hz=fastest)

    def stream_parts(self) -> Iterator[tuple[int, Reading]]:
        """Every sample with the number of its channel.

        Raises:
            SourceMissing: the agent has gone.
        """
        if not self._parts:
            raise not_open(self.name)
        readings: Iterator[tuple[int, Reading]] = self._feed.readings()
        return readings

    def close(self) -> None:
        self._parts = []
        self._feed.close()


class _Part(Part):
    """One channel."""

    corrected = True
    """A card was applied where the meter is read."""

    def __init__(self, name: str, facts: Facts, identity: str, correction: str) -> None:
        super().__init__(name, facts)
        self.identity, self.correction = identity, correction
