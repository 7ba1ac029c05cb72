"""What is to be sampled, into which log, and the channels that come of it.

One shape each, in the program and in the sampling process; between the two they travel as `messages`.
"""

from __future__ import annotations

import os

from energymeter.errors import SamplerError, SpecError
from energymeter.lazy import TYPE_CHECKING, NamedTuple
from energymeter.reading import Facts
from energymeter.sampling.memory import ChannelMemory, channel_bytes
from energymeter.source import Source, Streaming
from energymeter.spec import Spec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


_SLOW_MACHINES = ("armv6l",)
"""One core of an ARM1176: Raspberry Pi Zero, Zero W and 1 (raspberrypi.com, processors)."""
_SLOW_HZ = 10.0
_SLOWEST_HZ = 1e-6
"""Once in eleven days."""
READY_PERIOD_NS = 100_000_000
"""While no block counts what is read, a source is read at most this often."""


class SourceConfig(NamedTuple):
    """A source and the rate at which it is sampled.

    A spec can be opened in any process; an object only in the one that made it.
    """

    source: Spec | Source
    rate_hz: float | None = None
    """``None``: the source's own default."""

    @classmethod
    def from_json(cls, row: list[Any]) -> SourceConfig:
        """The config again, after ``json.dumps``; its source must be a spec."""
        spec, rate_hz = row
        return cls(Spec(*spec), rate_hz)

    def build(self) -> Source:
        """The source: made from the spec, or the object itself. Nothing is touched yet.

        Raises:
            SpecError: the spec makes no sense.
        """
        return self.source.build() if isinstance(self.source, Spec) else self.source

    def pace(self) -> float:
        """Readings a second.

        Raises:
            SpecError: less than a reading in eleven days, or more than the source can do.
        """
        source = self.build()
        rate_hz = _default_hz(source) if self.rate_hz is None else self.rate_hz
        if not _SLOWEST_HZ <= rate_hz <= source.facts.max_hz:
            raise SpecError(
                f"{source.name} cannot be read at {rate_hz:g} Hz; ask for at least {_SLOWEST_HZ:g} "
                f"and at most {source.facts.max_hz:g} Hz"
            )
        return rate_hz


def _default_hz(source: Source) -> float:
    """The source's own default, but on a slow processor at most what it can do without being noticed.

    A source that averages or counts by itself loses next to nothing. A stream's rate is the device's own.
    """
    default_hz = source.facts.default_hz
    slow = os.uname().machine in _SLOW_MACHINES and not isinstance(source, Streaming)
    return min(default_hz, _SLOW_HZ) if slow else default_hz


class LogConfig(NamedTuple):
    """The file that every sample goes to."""

    path: str
    force: bool = False
    """Replace a file that exists."""
    header: dict[str, Any] = {}  # noqa: RUF012 - never written to
    """What it says of its origin; must be JSON."""
    start_ns: int = 0
    """The monotonic time that is second 0 of the file."""
    cards: dict[str, Any] = {}  # noqa: RUF012 - never written to
    """What its header may say of the calibrations, by the identity of the meter."""


class ChannelInfo(NamedTuple):
    """What the reader of the shared memory must know of a channel."""

    source_index: int
    """The position of the source config that it belongs to."""
    name: str
    facts: Facts
    rate_hz: float
    capacity: int
    """Samples in its ring."""
    offset: int
    """Bytes from the start of the shared memory."""
    identity: str
    """The text that names the physical meter, to which a calibration card belongs."""
    calibrated: bool
    rewinds: bool = False
    """The source begins at its start when it is opened again, as a recording does."""
    notes: tuple[str, ...] = ()
    """What the source says that the reader of a result should know."""
    shared: bool = False
    """Others may use the device while we do."""
    correction: str = ""
    """A checksum of the calibration that its readings were corrected by, here or by an agent; empty: none."""

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> ChannelInfo:
        """The info again, after ``to_json`` went through JSON."""
        notes = tuple(fields.get("notes", ()))
        return cls(**{**fields, "facts": Facts.from_json(fields["facts"]), "notes": notes})

    def to_json(self) -> dict[str, Any]:
        """All fields, by name."""
        return {**self._asdict(), "facts": self.facts._asdict()}

    def follows(self, before: ChannelInfo) -> bool:
        """Whether samples of this channel may follow those of the other: one meter, what is known of it,
        and its calibration.

        How fast it is read, and how it is read, may have changed.
        """
        known, earlier = (_of_the_meter(info.facts) for info in (self, before))
        return (self.name, self.identity, self.correction, known) == (
            before.name,
            before.identity,
            before.correction,
            earlier,
        )

    def memory_in(self, shared: memoryview) -> ChannelMemory:
        """The channel's own part of the shared memory."""
        own = shared[self.offset : self.offset + channel_bytes(self.capacity)]
        return ChannelMemory(own, self.capacity)

    def in_log(self, cards: Mapping[str, Any]) -> dict[str, Any]:
        """What a log's header says of the channel.

        Args:
            cards: what it may say of the calibrations, by the identity of the meter.
        """
        known = {name: self.to_json()[name] for name in ("name", "facts", "rate_hz", "identity")}
        card = cards.get(self.identity) if self.calibrated else None
        return {"source": self.source_index, **known, "calibration": card}


def follow(after: Sequence[ChannelInfo], before: Sequence[ChannelInfo]) -> None:
    """Check that samples of these channels may follow those of the others.

    Raises:
        SamplerError: they are others; what the curve says of its samples would be wrong from there on.
    """
    if len(after) == len(before) and all(new.follows(old) for new, old in zip(after, before, strict=True)):
        return
    now, then = (" + ".join(info.name for info in infos) for infos in (after, before))
    other = f"{now}, and was {then}" if now != then else f"another {now} than it was"
    raise SamplerError(f"the source came back as {other}; connect that one again, or start a new measurement")


def _of_the_meter(facts: Facts) -> Facts:
    return facts._replace(
        default_hz=0.0,
        max_hz=0.0,
        joules_wrap=None,
        coulombs_wrap=None,
        renewal_seconds=0.0,
        smoothing_seconds=0.0,
        still_seconds=None,
    )
