"""`Report`: recorded runs, what their author states of them, and the figures that follow."""

import hashlib
import math
import os
import stat
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from energymeter.carbon.embodied import Embodied, Range, break_even, sci
from energymeter.carbon.emissions import Carbon, footprint
from energymeter.energy.usage import Idle, Usage, least_trusted
from energymeter.errors import LogError, SpecError
from energymeter.recordings.record import Hints, options_in
from energymeter.recordings.trace import Trace
from energymeter.report.decimation import is_long
from energymeter.text import Estimate, partly_measured, printable

if TYPE_CHECKING:
    from energymeter.battery.battery import Battery
    from energymeter.carbon.grid import Grid
    from energymeter.comparison.comparison import Comparison

MOST_RUNS = 100
_HASHED_BYTES = 1 << 20
_LEAST_SAMPLES = 3
"""A call has an energy of its own from this many sampling intervals on."""
_FULLY = 0.9995
_ROUNDING = 1e-9
_LONG_NAME = 32


class Stated(NamedTuple):
    """What the author states of a run: nothing of it was measured. ``None``: nothing is stated."""

    name: str = ""
    units: float | None = None
    """In the run; where a span is named, in one of its calls."""
    parameters: float | None = None
    flops: float | None = None
    """That one unit takes."""
    accuracy: float | None = None
    """A share, 0 to 1."""
    batch: float | None = None
    input_size: str | None = None
    hardware: str | None = None


class RawFile(NamedTuple):
    """The file that a run was read from."""

    name: str
    bytes: int | None
    sha256: str | None
    """``None``: it is no regular file, such as the parts that a killed run left."""


class Calls(NamedTuple):
    """The calls of the span that a report is about; the first ones may be left out."""

    span: str
    made: int
    """In the run, of which the log may hold fewer."""
    skipped: int
    seconds: "np.typing.NDArray[np.float64]"
    """Duration of each that the log holds, those left out included, s."""
    joules: "np.typing.NDArray[np.float64]"
    """Energy of each that counts and was measured fully; empty where calls are too short for the samples."""
    unresolved: bool
    """Whether that is so."""

    @property
    def counted_seconds(self) -> "np.typing.NDArray[np.float64]":
        """Duration of each that counts, s."""
        return self.seconds[self.skipped :]


class Settings(NamedTuple):
    """What a report is made with."""

    title: str = "Energy report"
    workload: str = ""
    unit: str = ""
    """What a unit is called; empty: a call of the span, or a run."""
    span: str | None = None
    """Only the calls of this span count."""
    window: tuple[float, float] | None = None
    """Only this time counts, s from the start of each recording; ``None``: what its run measured."""
    skip: int = 0
    """First calls of the span that are left out, as a warm-up."""
    idle: str | None = None
    """A recording, or watts."""
    grid: "Grid | None" = None
    supply: float | None = None
    embodied: Embodied | None = None
    litres_per_kwh: float | None = None
    battery: "Battery | None" = None
    comparison: "Comparison | None" = None


class ReportedRun:
    """One recording in a report, and what follows from it."""

    def __init__(
        self,
        trace: Trace,
        file: RawFile,
        stated: Stated,
        settings: Settings,
        idle: Idle | None,
        drawn_from: str | Trace,
    ) -> None:
        self.label = ""
        """What it is called in tables and sentences: its name, or where names are long its number."""
        self.trace = trace
        self.drawn_from = drawn_from
        """The trace, or the path of a log that is too long for all its peaks to be in the trace."""
        self.file = file
        self.stated = stated
        self._settings = settings
        span = settings.span
        edges = settings.window or (None, None)
        usage = trace.usage(*edges) if span is None else trace.span_usage(span, settings.skip)
        self.usage: Usage = usage._replace(idle=idle)
        self.calls = None if span is None else _calls(trace, span, settings.skip)

    @property
    def name(self) -> str:
        return printable(self.stated.name) or self.file.name

    @property
    def windows_s(self) -> tuple[tuple[float, float], ...]:
        """The windows that the energy is of, s."""
        if self._settings.span is not None:
            return self.trace.spans[self._settings.span].windows_s[self._settings.skip :]
        return (
            self._settings.window
            or self.trace.window_s
            or (float(self.trace.time_s[0]), float(self.trace.time_s[-1])),
        )

    @property
    def stated_window(self) -> tuple[float, float] | None:
        """The time that the author states, s."""
        return self._settings.window

    @property
    def rate_hz(self) -> float | None:
        """Samples a second, by their median distance; of several channels that of the slowest."""
        return min(filter(None, map(typical_hz, self.trace.parts)), default=None)

    @property
    def units(self) -> float | None:
        """What the energy was used for; ``None``: the author states nothing."""
        if self.calls is not None:
            return self.units_counted or len(self.calls.counted_seconds) * (self.stated.units or 1.0)
        return self.stated.units

    @property
    def units_counted(self) -> float | None:
        """How many of the unit the calls of the span counted themselves, if the author states none."""
        if self.calls is None or self.stated.units is not None:
            return None
        counted = self.trace.spans[self.calls.span].counted(self.calls.skipped)
        return counted.get(self._settings.unit) or None

    @property
    def accuracy_unknown(self) -> bool:
        """Whether the accuracy of a channel is not known, so that its ± is that of the sampling alone."""
        return any(
            not any((facts.volts, facts.amps, facts.watts, facts.joules, facts.coulombs))
            for facts in (part.facts for part in self.trace.parts)
        )

    # What one unit takes. What was not measured counts as the mean, as in `energymeter compare`.

    @property
    def _joules_of_all(self) -> float:
        """Energy of the whole window at the mean power, J."""
        watts = self.usage.mean_watts
        return math.nan if watts is None else watts * self.usage.seconds

    @property
    def joules_per_unit(self) -> float | None:
        return (
            None if self.units is None or self.usage.mean_watts is None else self._joules_of_all / self.units
        )

    @property
    def uncertainty_per_unit(self) -> float | None:
        """± of `joules_per_unit`, k = 2. ``None``: unknown, also where a part was not measured."""
        return self._per_unit(None if partly_measured(self.usage.coverage) else self.usage.uncertainty)

    @property
    def net_joules_per_unit(self) -> float | None:
        if self.usage.idle is None or self.units is None or self.usage.mean_watts is None:
            return None
        return self._joules_of_all / self.units - self.usage.idle.watts * self.usage.seconds / self.units

    @property
    def net_uncertainty_per_unit(self) -> float | None:
        """± of `net_joules_per_unit`; ``None`` where that of the idle power is not known either."""
        idle = self.usage.idle
        if idle is None or not idle.uncertainty > 0 or partly_measured(self.usage.coverage):
            return None
        return self._per_unit(self.usage.net_uncertainty)

    @property
    def seconds_per_unit(self) -> float | None:
        return self._per_unit(self.usage.seconds)

    @property
    def mah_per_unit(self) -> float | None:
        mah, usage = self.usage.mah, self.usage
        if mah is None or not usage.measured_seconds > 0:
            return None
        return self._per_unit(mah * usage.seconds / usage.measured_seconds)

    def _per_unit(self, total: float | None) -> float | None:
        return None if total is None or self.units is None else total / self.units

    @property
    def _units_per_call(self) -> float:
        """How many a call of the span is about, on average."""
        calls = 0 if self.calls is None else len(self.calls.counted_seconds)
        return (self.units or 1.0) / calls if calls else 1.0

    @property
    def spread_per_unit(self) -> float | None:
        """Standard deviation of the calls' joules per unit; ``None``: fewer than two calls, or unresolved."""
        if self.calls is None or len(self.calls.joules) < 2:
            return None
        return _deviation(self.calls.joules) / self._units_per_call

    @property
    def seconds_spread_per_unit(self) -> float | None:
        """Standard deviation of the calls' seconds per unit."""
        if self.calls is None or len(self.calls.counted_seconds) < 2:
            return None
        return _deviation(self.calls.counted_seconds) / self._units_per_call

    # Carbon and battery ------------------------------------------------------------------------------

    @cached_property
    def carbon(self) -> Carbon | None:
        """What the energy and time of this run emitted; ``None``: no grid is given, or nothing was drawn."""
        settings = self._settings
        if settings.grid is None or not self.usage.joules > 0:
            return None
        return footprint(
            self.usage,
            settings.grid,
            supply=settings.supply if self.usage.place != "wall" else None,
            embodied=settings.embodied,
            litres_per_kwh=settings.litres_per_kwh,
        )

    @cached_property
    def operation(self) -> Carbon | None:
        """The same without the making of the device, with a ± of its own."""
        settings = self._settings
        if settings.grid is None or not self.usage.joules > 0:
            return None
        return footprint(
            self.usage, settings.grid, supply=settings.supply if self.usage.place != "wall" else None
        )

    @property
    def operational_grams_per_unit(self) -> float | None:
        return self._grams_per_unit(None if self.operation is None else self.operation.grams)

    @property
    def operational_uncertainty_per_unit(self) -> float | None:
        """± of `operational_grams_per_unit`, k = 2. ``None``: unknown, also where a part was not measured."""
        if self.operation is None or partly_measured(self.usage.coverage):
            return None
        return self._grams_per_unit(self.operation.uncertainty)

    def _grams_per_unit(self, grams: float | None) -> float | None:
        if grams is None or self.joules_per_unit is None:
            return None
        return grams / self.usage.joules * self.joules_per_unit

    @property
    def sci(self) -> float | None:
        """Software Carbon Intensity, g per unit; ``None`` without grid, units, or the device's making."""
        grams, units = self.operational_grams_per_unit, self.units
        if grams is None or units is None or self.carbon is None or self.carbon.embodied_grams is None:
            return None
        return sci(grams * units, self.carbon.embodied_grams.typical, units)

    @property
    def break_even_units(self) -> Range | None:
        """After how many units their operation has emitted as much as making the device."""
        grams = self.operational_grams_per_unit
        if self._settings.embodied is None or grams is None or not grams > 0:
            return None
        return break_even(self._settings.embodied, grams)

    @property
    def no_battery(self) -> str:
        """Why there are no hours on a battery; empty where there are."""
        watts = self.usage.mean_watts
        if self._settings.battery is None:
            return "no battery is stated"
        if self.usage.place == "wall":
            return (
                "measured at the wall, where the losses of the power supply are included: no battery feeds it"
            )
        if self.usage.place == "die":
            return "measured on the die: the rest of the board, which the battery feeds, too, is not included"
        return "" if watts is not None and watts > 0 else "nothing was drawn"

    def _battery_watts(self) -> "tuple[Battery, float] | None":
        """The battery as seen from the meter, and the power there."""
        battery, watts = self._settings.battery, self.usage.mean_watts
        if self.no_battery or battery is None or watts is None:
            return None
        seen = battery.seen_from(self.usage.place)
        return None if seen is None else (seen, watts)

    @property
    def hours(self) -> Estimate | None:
        """How long a charge lasts at this power, with its 95 % interval; see `no_battery`."""
        known = self._battery_watts()
        hours = None if known is None else known[0].hours(known[1])
        return None if known is None or hours is None else known[0].estimate(hours, known[1], "h")

    @property
    def units_per_charge(self) -> Estimate | None:
        known, joules = self._battery_watts(), self.joules_per_unit
        if known is None or joules is None:
            return None
        battery, watts = known
        return battery.estimate(battery.rail_joules(watts) / joules, watts)

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain JSON types."""
        calls, per_unit = self.calls, self.joules_per_unit
        estimates = {"battery_hours": self.hours, "units_per_charge": self.units_per_charge}
        return {
            "name": self.name,
            "label": self.label,
            "file": self.file._asdict(),
            "read_as": self.trace.read_as,
            "started": self.trace.epoch_s,
            "stated": self.stated._asdict(),
            "usage": self.usage.to_dict(),
            "samples_per_second": self.rate_hz,
            "units": self.units,
            "unit": unit_of(self._settings),
            "calls": None
            if calls is None
            else {
                "span": calls.span,
                "made": calls.made,
                "skipped": calls.skipped,
                "seconds": calls.seconds.tolist(),
                "joules": calls.joules.tolist(),
            },
            "joules_per_unit": per_unit,
            "uncertainty_per_unit": self.uncertainty_per_unit,
            "spread_per_unit": self.spread_per_unit,
            "net_joules_per_unit": self.net_joules_per_unit,
            "net_uncertainty_per_unit": self.net_uncertainty_per_unit,
            "seconds_per_unit": self.seconds_per_unit,
            "seconds_spread_per_unit": self.seconds_spread_per_unit,
            "mah_per_unit": self.mah_per_unit,
            "wh_per_1000_units": None if per_unit is None else per_unit / 3.6,
            "carbon": None if self.carbon is None else self.carbon.to_dict(),
            "operational_grams_per_unit": self.operational_grams_per_unit,
            "operational_uncertainty_per_unit": self.operational_uncertainty_per_unit,
            "sci_grams_per_unit": self.sci,
            "break_even_units": None if self.break_even_units is None else self.break_even_units._asdict(),
            **{name: None if each is None else each._asdict() for name, each in estimates.items()},
        }


class Report:
    """Recorded runs side by side, with what their author states of them.

    Args:
        paths: of the recordings, one run each; options may follow a path, as in ``log.csv?watts=P``.
        stated: what the author states of each.
        settings: what all of them share.
        load: reads a path.

    Raises:
        SpecError: none, or more than 100 recordings; a setting makes no sense.
        LogError: a file cannot be read, or changed meanwhile.
        NotMeasured: a recording has no energy.
    """

    def __init__(
        self,
        paths: Sequence[str],
        stated: Sequence[Stated] = (),
        settings: Settings = Settings(),  # noqa: B008 - an immutable tuple
        load: Callable[[str], Trace] = Trace.load,
    ) -> None:
        if not 0 < len(paths) <= MOST_RUNS:
            raise SpecError(f"a report is of 1 to {MOST_RUNS} recordings, not {len(paths)}; name others")
        if settings.skip and settings.span is None:
            raise SpecError("only calls of a span can be left out; name the span, too")
        if settings.span is not None and settings.window is not None:
            raise SpecError("a report is of a span or of a time; give one of them")
        self.settings = settings
        known = stated or [Stated()] * len(paths)
        traces = [_loaded(path, load) for path in paths]
        self.idle, self.idle_from = _idle(settings.idle, [trace for trace, _ in traces], load)
        self.runs = [
            ReportedRun(trace, file, each, settings, self.idle, path if is_long(path) else trace)
            for (trace, file), each, path in zip(traces, known, paths, strict=True)
        ]
        self.numbered = any(len(run.name) > _LONG_NAME for run in self.runs)
        """Whether runs are called by their numbers, because a name is too long for a table."""
        for number, run in enumerate(self.runs, 1):
            run.label = f"Run {number}" if self.numbered and len(self.runs) > 1 else run.name

    @property
    def unit(self) -> str:
        """What one unit is called."""
        return unit_of(self.settings)

    @property
    def provenance(self) -> str:
        """The least trustworthy of all that is in it."""
        found = [run.usage.provenance for run in self.runs]
        if self.idle_from is not None:
            found.append(self.idle_from.usage.provenance)
        if self.settings.comparison is not None:
            found += [run.provenance for run in self.settings.comparison.runs]
        return least_trusted(found)  # type: ignore[arg-type]


def typical_hz(trace: Trace) -> float | None:
    """Samples a second, by their median distance; ``None``: there are fewer than two."""
    return 1 / float(np.median(np.diff(trace.time_s))) if len(trace) > 1 else None


class IdleRun(NamedTuple):
    """The recording of the idle board."""

    usage: Usage
    file: RawFile


def unit_of(settings: Settings) -> str:
    return settings.unit or ("run" if settings.span is None else f"call of {settings.span}")


def _deviation(values: "np.typing.NDArray[np.float64]") -> float:
    """Standard deviation; what the rounding of equal numbers leaves is 0."""
    found = float(np.std(values, ddof=1))
    return found if found > _ROUNDING * float(np.max(np.abs(values))) else 0.0


def _loaded(path: str, load: Callable[[str], Trace]) -> tuple[Trace, RawFile]:
    """A recording and the hash of the bytes that it was read from."""
    name, _ = options_in(path, Hints())
    before = _fingerprint(name)
    file = RawFile(printable(os.path.basename(name)), None, None)
    if before is not None:
        file = file._replace(bytes=before[0], sha256=_sha256(name))
    trace = load(path)
    if _fingerprint(name) != before:
        raise LogError(f"{name} changed while it was read; try again after its run has ended")
    return trace, file


def _fingerprint(path: str) -> tuple[int, int, int] | None:
    """Size, time and number of a regular file; ``None``: it is none."""
    try:
        seen = os.stat(path)
    except OSError:
        return None
    return (seen.st_size, seen.st_mtime_ns, seen.st_ino) if stat.S_ISREG(seen.st_mode) else None


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(_HASHED_BYTES):
                digest.update(block)
    except OSError as error:
        raise LogError(f"{path} cannot be read: {error.strerror or error}; correct the path") from error
    return digest.hexdigest()


def _idle(
    text: str | None, traces: Sequence[Trace], load: Callable[[str], Trace]
) -> tuple[Idle | None, IdleRun | None]:
    """The idle power, as watts or from a recording at the same place."""
    if text is None:
        return None, None
    watts = _watts(text)
    if watts is not None:
        return Idle(watts, 0.0), None
    trace, file = _loaded(text, load)
    usage = trace.usage()
    for other in traces:
        if other.facts.place != usage.place:
            raise SpecError(
                f"the idle power of {text} was measured at the {usage.place}, a run at the "
                f"{other.facts.place}; measure both at the same place"
            )
    if usage.mean_watts is None:
        raise SpecError(f"{text} has no idle power; give a recording of the idle board, or watts")
    seconds = usage.measured_seconds
    shares = tuple(part._replace(joules=part.joules / seconds) for part in usage.components)
    return Idle(usage.mean_watts, usage.uncertainty / seconds, shares), IdleRun(usage, file)


def _watts(text: str) -> float | None:
    """Watts in a text such as ``2.4`` or ``2.4W``; ``None``: it is a file."""
    if os.path.lexists(text):
        return None
    try:
        watts = float(text.strip().removesuffix("W").strip())
    except ValueError:
        return None
    if not 0 <= watts < 1e9:
        raise SpecError(f"{text!r} is no idle power; give 0 W or more, or a recording of the idle board")
    return watts


def _calls(trace: Trace, span: str, skip: int) -> Calls:
    """The calls of a span one by one."""
    made, windows, _ = trace.spans[span]
    starts, ends = (np.array(edges) for edges in zip(*windows, strict=True))
    seconds = ends - starts
    interval = max(
        (float(np.median(np.diff(part.time_s))) for part in trace.parts if len(part) > 1), default=0.0
    )
    unresolved = bool(np.median(seconds[skip:]) < _LEAST_SAMPLES * interval)
    joules = trace.energy(starts, ends)
    covered = trace.at(ends, "covered_s") - trace.at(starts, "covered_s")
    whole = np.isfinite(joules) & (covered >= _FULLY * seconds)
    counted = joules[skip:][whole[skip:]]
    return Calls(span, made, skip, seconds, counted[:0] if unresolved else counted, unresolved)
