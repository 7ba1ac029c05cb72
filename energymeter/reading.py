"""What a source says: one `Reading`, and the `Facts` that tell how far to trust it."""

from __future__ import annotations

from itertools import pairwise

from energymeter.lazy import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Literal

    Semantics = Literal["instant", "mean", "counter"]
    Provenance = Literal["measured", "modelled", "manual", "simulated"]
    Place = Literal["wall", "rail", "cell", "die"]
else:
    Semantics = Provenance = Place = str

SEMANTICS: tuple[Semantics, ...] = ("instant", "mean", "counter")
PROVENANCES: tuple[Provenance, ...] = ("measured", "modelled", "manual", "simulated")
PLACES: tuple[Place, ...] = ("wall", "rail", "cell", "die")
ASKED_SECONDS = 0.02
"""A sample that is asked for, as when a block is left, waits at most so long after the one before it, though
the source has news less often."""


class Reading(NamedTuple):
    """What one place draws now. SI floats; ``None`` means "cannot tell", never 0 and never a guess.

    A source fills in what its hardware says and nothing else: volts and amps are enough, the
    core multiplies. Counters (``joules``, ``coulombs``) are raw and cumulative; the core takes
    differences and undoes wraps.

    >>> Reading(volts=5.02, amps=0.61).watts is None
    True
    """

    volts: float | None = None
    amps: float | None = None
    watts: float | None = None
    joules: float | None = None
    coulombs: float | None = None
    seconds: float | None = None
    """The stretch a mean describes, ending at its time; None: since the previous reading."""
    at_ns: int | None = None
    """``time.monotonic_ns()`` of the value, from a device's own clock; None: the sampler stamps
    the middle of the read."""
    fresh: bool = True
    """False: the device has nothing newer than last time. Counted as a duplicate, not a sample."""

    @property
    def power(self) -> float | None:
        """Power in W: as the device reports it, else volts times amps; ``None``: cannot tell.

        >>> Reading(volts=5.0, amps=0.6).power, Reading(volts=5.0).power
        (3.0, None)
        """
        return power_of(self.volts, self.amps, self.watts)


if not TYPE_CHECKING:

    def _reading(
        cls,
        volts=None,
        amps=None,
        watts=None,
        joules=None,
        coulombs=None,
        seconds=None,
        at_ns=None,
        fresh=True,
    ):
        return tuple.__new__(cls, (volts, amps, watts, joules, coulombs, seconds, at_ns, fresh))

    Reading.__new__ = staticmethod(_reading)  # one is made at every sample: in a third of the time


def power_of(volts: float | None, amps: float | None, watts: float | None) -> float | None:
    """`Reading.power` of what a reading says."""
    return watts if watts is not None or volts is None or amps is None else volts * amps


class Band(NamedTuple):
    """How wrong one quantity may be: ± limits as a datasheet promises them (maxima, not sigmas)."""

    gain: float = 0.0
    """Relative: 0.005 is ±0.5 % of the reading."""
    offset: float = 0.0
    """In the quantity's own SI unit."""
    resolution: float = 0.0
    """One step of the display or converter, in the quantity's own SI unit."""


class Facts(NamedTuple):
    """What is known about a source before it has said a word."""

    semantics: Semantics = "instant"
    """``instant``: joined by trapezoids. ``mean``: a rectangle over the interval it describes.
    ``counter``: differences of a hardware accumulator."""
    provenance: Provenance = "measured"
    place: Place = "rail"
    volts: Band | None = None
    amps: Band | None = None
    watts: Band | None = None
    joules: Band | None = None
    coulombs: Band | None = None
    default_hz: float = 10.0
    max_hz: float = 1000.0
    joules_wrap: float | None = None
    """The counter restarts at 0 after this many joules."""
    coulombs_wrap: float | None = None
    max_watts: float | None = None
    """More than this cannot flow here: distinguishes a counter's wrap from its reset."""
    clock: float = 0.0
    """± relative error of the source's own time base, where it integrates by itself."""
    counted: bool = True
    """False: a part of something already counted by a sibling channel; shown, never added."""
    replayed: bool = False
    """The readings carry times of their own choice (a recording played fast): the window is the whole
    recording, not the time the program's block took."""
    duty: float = 0.0
    """The share of the time from reading to reading that a mean describes; 0: unknown."""
    latency: float = 0.0
    """How old a mean may be when it is read, as a share of the same time: anything from new to this."""
    renewal_seconds: float = 0.0
    """How long the device may keep a value before it renews it. An instant that repeats within this time is
    stale, and any value may be this old when it is read."""
    smoothing_seconds: float = 0.0
    """How far the device's own averaging may let a value lag behind: anything from nothing to this."""
    still_seconds: float | None = None
    """A counter that has not moved for so long has lost what feeds it: what it missed is unknown. None: it
    may rest, and then nothing flows."""

    @property
    def is_gauge(self) -> bool:
        """Whether this is the counter of a battery, whose steps are known from its figures alone."""
        return self.semantics == "counter" and self.place == "cell" and self.joules is not None

    def with_rise_seen(self, joules: float | None) -> Facts:
        """The facts of a gauge, with the smallest rise that it showed as its step, if that is less.

        Figures that happen to be round make a step look larger than it is: all of 50 of 60 Wh are tens of Wh.
        """
        band = self.joules
        if joules is None or band is None or joules >= band.resolution or not self.is_gauge:
            return self
        return self._replace(joules=band._replace(resolution=joules))

    def age_seconds(self, interval_seconds: float) -> float:
        """How old a value may be when it is read: anything from new to this.

        Args:
            interval_seconds: from one sample to the next, repeats left out.
        """
        renewal, smoothing = self.renewal_seconds, self.smoothing_seconds
        if (
            self.semantics == "mean"
        ):  # read early, as when a block is left, it may reach back further than that
            smoothing = max(smoothing, 1 / self.max_hz - interval_seconds)
        return (min(renewal, interval_seconds) if renewal else 0.0) + smoothing

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Facts:
        """The facts again, after ``_asdict()`` went through JSON.

        Raises:
            TypeError: a field is not known here.
        """
        known: dict[str, Any] = {
            name: Band(*field) if isinstance(field, list) else field for name, field in fields.items()
        }
        return cls(**known)


def smallest_rise(totals: Iterable[float]) -> float | None:
    """By how much a counter rose at least when it did: its step is no more; ``None``: it never did.

    >>> smallest_rise([0.0, 0.0, 144.0, 216.0])
    72.0
    """
    return min((after - before for before, after in pairwise(totals) if after > before), default=None)
