"""The driver contract, all of it.

A driver is one file under ``drivers/`` whose ``__all__`` names one class; the file name is the
driver name. There is no base class to inherit and no list to edit::

    ina219@1:0x41?shunt=0.05   ->   energymeter.drivers.ina219.Ina219("1:0x41", shunt=0.05)

The constructor takes the *address* (the text after ``@``) and keyword-only options annotated
``float``, ``int``, ``bool`` or ``str``, which a spec may give; whatever moves the bytes (bus, port,
sysfs root) is a keyword too, so that a test can fake the wire and never the driver.
Constructors only remember, ``open`` touches, ``close`` forgives.

Beyond the protocol a source *may* offer, and the sampler then uses:

``shared``
    True, of the class: others may use the device while we do. Such a source may stay ready for the next block
    for two seconds; any other is released at the end of the block.
``resume``
    A method described by the protocol `Resumable` below, for what lingers because its user asked for that.
``tune``, ``channels``, ``stream``
    Methods described by the protocols `Tunable`, `Divided`, `Streaming` and `StreamingParts` below.
``counters``
    The device's own totals, for a cross-check of our integral (`Counting`); never the curve itself.
``lost``, ``moved_bytes``
    Running counts: samples the device took and we never saw; bytes that crossed the wire.
``notes``
    After ``open``: sentences that belong next to every result, such as a part that has no sensor.
``in_hand``
    True: the next readings of its stream are here already (`Batched`). Between them the sampler looks once a
    millisecond whether it is to stop, and whether the machine has slept.
``identity``
    After ``open``: the text that names this physical meter, to which a calibration card belongs.
``range``
    After each reading: the name of the range that it was taken in, empty where there is one. A calibration
    keeps a line for each.
``rewinds``
    True: opening it again begins at its start, as a recording does. After its sampler was killed it is not
    opened again.
``recorded``
    True: its readings are rows of a recording, so a counter that stands still in them did.
``kind``
    ``"meter"``, ``"board"``, ``"package"``, ``"gpu"`` or ``"gauge"``: `EnergyMeter()` and
    ``energymeter devices`` then look for it, `Locatable.addresses` saying where; without such
    addresses, at its default one. ``"part"`` is shown and never chosen.
``usb_ids``, ``usb_node``
    The vendor and product numbers of its devices, and the kind of node that is opened: ``"hidraw"``,
    ``"usb"``, or none for a serial port. ``energymeter devices --permissions`` prints a rule for each.
``signs``
    Files, other than the usual device nodes, by which one sees that such a source has come or gone, such as
    the socket of a service. `EnergyMeter()` probes again when one of them changes.
"""

from __future__ import annotations

from energymeter.lazy import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable
from energymeter.reading import Facts, Reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


@runtime_checkable
class Source(Protocol):
    """One place where energy flows, read by a driver."""

    name: str
    """``ina219@1:0x40``; a simulated source's name begins ``sim:``."""
    facts: Facts
    """May be refined by ``open``."""

    def open(self) -> None:
        """Touch the hardware for the first time.

        Raises:
            SourceError: it cannot be read; the message says what to do about it.
        """

    def read(self) -> Reading:
        """Take one fresh reading.

        Raises:
            SourceError: it could not; the sampler counts the failure, retries and goes on.
        """

    def close(self) -> None:
        """Let go. Twice is fine, also after a failed ``open``."""


@runtime_checkable
class Tunable(Protocol):
    """A source whose hardware can average over just the time between two readings."""

    def tune(self, rate_hz: float) -> None:
        """Called before ``open``: how often it will be read."""


@runtime_checkable
class Resumable(Protocol):
    """A source whose device somebody may have set up again between two blocks."""

    def resume(self) -> None:
        """Called when a block begins on a source that stayed ready: the next reading makes sure."""


@runtime_checkable
class Divided(Protocol):
    """A source made of parts: the zones of a processor, the rails of a board, several GPUs."""

    def channels(self) -> Sequence[Source]:
        """After ``open``: the parts that are read instead of the whole.

        Their ``open`` and ``close`` are never called. They add up, except those whose
        ``facts.counted`` is False, which are shown and excluded from the total.
        """


@runtime_checkable
class Streaming(Protocol):
    """A source that sends by itself and is not asked."""

    def stream(self) -> Iterator[Reading]:
        """After ``open``, instead of ``read``: readings with ``at_ns`` from the device's own clock.

        Yields a ``Reading(fresh=False)`` at least every half second, so that the sampler can stop.
        """


@runtime_checkable
class StreamingParts(Protocol):
    """A source that sends by itself and is made of several parts."""

    def stream_parts(self) -> Iterator[tuple[int, Reading]]:
        """After ``open``, as `Streaming.stream`: each reading with the number of its channel."""


@runtime_checkable
class Batched(Protocol):
    """A stream whose readings come many together: nothing can happen between those that are here already."""

    @property
    def in_hand(self) -> bool:
        """Whether the reading that was given out last is followed by one without any wait."""


class Counters(NamedTuple):
    """What a device has counted since its user last cleared it; ``None``: it does not count that."""

    joules: float | None
    coulombs: float | None
    joules_step: float = 0.0
    """One step of the energy counter in joules; the difference of two readings is good to ± one step."""
    coulombs_step: float = 0.0

    @classmethod
    def milli(cls, mah: int, mwh: int) -> Counters:
        """From whole milliamp-hours and milliwatt-hours, as small meters count."""
        return cls(mwh * 3.6, mah * 3.6, joules_step=3.6, coulombs_step=3.6)

    def since(self, start: Counters) -> Counters:
        """What was counted after ``start``; ``None`` where the counter went backwards (it was cleared).

        >>> later = Counters(joules=39.6, coulombs=None, joules_step=3.6)
        >>> later.since(Counters(36.0, None))
        Counters(joules=3.6000000000000014, coulombs=None, joules_step=3.6, coulombs_step=0.0)
        """
        return self._replace(
            joules=_rise(start.joules, self.joules), coulombs=_rise(start.coulombs, self.coulombs)
        )

    def agree(self, joules: float | None, coulombs: float | None, gain: float = 0.02) -> bool | None:
        """Whether an integral over the same stretch matches to ``gain`` plus one step; None: cannot tell."""
        verdicts = [
            abs(ours - theirs) <= step + gain * abs(theirs)
            for ours, theirs, step in (
                (joules, self.joules, self.joules_step),
                (coulombs, self.coulombs, self.coulombs_step),
            )
            if ours is not None and theirs is not None
        ]
        return all(verdicts) if verdicts else None


@runtime_checkable
class Counting(Protocol):
    """A source whose device adds up energy or charge by itself, too coarsely or too seldom for a curve."""

    def counters(self) -> Counters | None:
        """The device's totals now or at the last reading; None: it has reported none yet.

        Raises:
            SourceError: it had to be asked, and did not answer.
        """


@runtime_checkable
class Locatable(Protocol):
    """A driver (the class, not its objects) that knows where its devices may be."""

    def addresses(self) -> Iterable[str]:
        """A static method: addresses worth one reading, found without writing to an unknown device.

        Raises:
            SourceError: (also after some addresses) something is there that a person must decide about; the
                message says what.
        """


def _rise(start: float | None, end: float | None) -> float | None:
    return end - start if start is not None and end is not None and end >= start else None
