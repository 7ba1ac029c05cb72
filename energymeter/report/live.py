"""What `energymeter live` shows of a running meter: figures, and the lines of the screen."""

from __future__ import annotations

import math
import textwrap
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from energymeter.budget.balance import Balance, percent_text
from energymeter.budget.forecast import Forecast
from energymeter.clock import Clock, SystemClock
from energymeter.errors import GridError, NotMeasured
from energymeter.sampling.memory import Count, State
from energymeter.text import (
    aligned,
    duration,
    percent,
    printable,
    significant,
    with_uncertainty,
)

if TYPE_CHECKING:
    from energymeter.battery.battery import Battery
    from energymeter.carbon.grid import Grid
    from energymeter.energy.usage import Usage
    from energymeter.meter.meter import EnergyMeter
    from energymeter.sampling.curve import Curve
    from energymeter.sampling.sampler import SampledChannel

COLUMN_SECONDS = (0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0, 1800.0)
"""What one column of the graph may stand for; each is a multiple of the one before."""
KEPT = 512
"""Columns of each width that are kept: memory is constant however long it runs."""
_WIDTHS_NS = tuple(round(seconds * 1e9) for seconds in COLUMN_SECONDS)
_FIRST_ZOOM = 1
_FIGURES_NS = 500_000_000
"""Between two computations of the figures; the graph is drawn more often."""
_WHOLE = 0.995
_MOST_SPANS = 8
_ALERT_LINES = 3
_LEAST_GRAPH = 5
_PREFIXES = ((1e3, "kW"), (1.0, "W"), (1e-3, "mW"), (1e-6, "µW"))
_STEPS = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
_KEYS = "q quit  p pause  + - zoom  / rails  h help"
_HELP = (
    "q, Ctrl-C   quit; the energy of the whole run is printed",
    "p           hold the picture; sampling goes on",
    "+  -        a shorter, a longer window",
    "/           show the rails whose name contains a text; Enter keeps it, Escape shows all",
    "h  ?        this help",
)

Line = tuple[tuple[str, str], ...]
"""Texts, each with a style: an empty text, ``bold``, ``dim``, ``bar``, ``alert`` or ``banner``."""


class Column(NamedTuple):
    """What one channel drew in one stretch of time."""

    joules: float
    covered_seconds: float
    seconds: float
    peak_watts: float
    """NaN: unknown."""


class Bar(NamedTuple):
    """The power of one column of the graph."""

    watts: float | None
    """Mean over what was measured of it, W; None: nothing was."""
    peak_watts: float | None
    """The highest sample, W; of several channels the sum of theirs, which is an upper bound."""
    coverage: float


class Course:
    """The power of one channel in columns of every width, in constant memory.

    Args:
        curve: the channel's energy curve.
        start_ns: where column 0 begins.
    """

    def __init__(self, curve: Curve, start_ns: int) -> None:
        self._curve, self._start_ns = curve, start_ns
        self._kept: list[deque[Column]] = [deque(maxlen=KEPT) for _ in COLUMN_SECONDS]
        self._ends = [0] * len(COLUMN_SECONDS)
        """The number after that of the newest column of each width."""

    def update(self) -> None:
        """Take in the columns that are known to the end. After a long silence at most `KEPT` are of use."""
        if not len(self._curve):
            return
        last_ns = self._curve.last_ns()
        for zoom, width_ns in enumerate(_WIDTHS_NS):
            end = (last_ns - self._start_ns) // width_ns
            for number in range(max(self._ends[zoom], end - KEPT), end):
                self._kept[zoom].append(self._column(zoom, number))
            self._ends[zoom] = max(end, self._ends[zoom])

    def _column(self, zoom: int, number: int) -> Column:
        if zoom:
            times = _WIDTHS_NS[zoom] // _WIDTHS_NS[zoom - 1]
            first = number * times - (self._ends[zoom - 1] - len(self._kept[zoom - 1]))
            if first >= 0:
                parts = [self._kept[zoom - 1][place] for place in range(first, first + times)]
                measured = [part for part in parts if part.covered_seconds > 0]
                return Column(
                    math.fsum(part.joules for part in measured),
                    math.fsum(part.covered_seconds for part in measured),
                    COLUMN_SECONDS[zoom],
                    max((part.peak_watts for part in measured), default=math.nan),
                )
        start_ns = self._start_ns + number * _WIDTHS_NS[zoom]
        return self._measured(start_ns, start_ns + _WIDTHS_NS[zoom])

    def _measured(self, start_ns: int, end_ns: int) -> Column:
        window = self._curve.window(start_ns, end_ns)
        return Column(window.joules, window.covered_seconds, (end_ns - start_ns) * 1e-9, window.peak_watts)

    def column(self, zoom: int, number: int) -> Column | None:
        """One column; the newest one is as much of it as is known. None: it is not known, or no longer."""
        end, kept = self._ends[zoom], self._kept[zoom]
        if number < end:
            place = number - (end - len(kept))
            return kept[place] if place >= 0 else None
        start_ns = self._start_ns + number * _WIDTHS_NS[zoom]
        if number > end or not len(self._curve) or self._curve.last_ns() <= start_ns:
            return None
        return self._measured(start_ns, self._curve.last_ns())


def added(columns: Sequence[Column | None]) -> Bar:
    """The power of channels that add up; unknown where one of them measured nothing.

    >>> added([Column(2.0, 1.0, 1.0, 3.0), Column(1.0, 0.5, 1.0, 2.0)])
    Bar(watts=4.0, peak_watts=5.0, coverage=0.5)
    >>> added([Column(2.0, 1.0, 1.0, 3.0), None])
    Bar(watts=None, peak_watts=None, coverage=0.0)
    """
    known = [c for c in columns if c is not None and c.covered_seconds > 0 and not math.isnan(c.joules)]
    if not columns or len(known) < len(columns):
        return Bar(None, None, 0.0)
    peak = sum(column.peak_watts for column in known)
    return Bar(
        sum(column.joules / column.covered_seconds for column in known),
        None if math.isnan(peak) else peak,
        min(min(1.0, column.covered_seconds / column.seconds) for column in known),
    )


class Rail(NamedTuple):
    """One channel, as the table of rails shows it."""

    name: str
    counted: bool
    """It is in the total."""
    watts: float | None
    joules: float | None
    coverage: float | None


class Pace:
    """How often the picture is drawn: at most ten times a second, and less often on a slow processor.

    >>> pace = Pace()
    >>> pace.next_seconds(0.0, 0.0), pace.next_seconds(0.01, 1.0)
    (0.1, 0.1)
    >>> pace.next_seconds(0.11, 2.0) > 0.1
    True
    """

    LEAST_SECONDS, MOST_SECONDS = 0.1, 1.0
    SHARE = 0.035
    """The share of one core above which it is drawn less often."""

    def __init__(self) -> None:
        self._seconds = self.LEAST_SECONDS
        self._before: tuple[float, float] | None = None

    def next_seconds(self, cpu_seconds: float, now_seconds: float) -> float:
        """How long to wait for the next picture.

        Args:
            cpu_seconds: processor time of this process so far.
            now_seconds: a clock.
        """
        if self._before is None:
            self._before = cpu_seconds, now_seconds
        elif now_seconds - self._before[1] >= 1.0:
            share = (cpu_seconds - self._before[0]) / (now_seconds - self._before[1])
            factor = min(max(share / self.SHARE, 0.8), 2.0)
            self._seconds = min(max(self._seconds * factor, self.LEAST_SECONDS), self.MOST_SECONDS)
            self._before = cpu_seconds, now_seconds
        return self._seconds


class Live:
    """The state of the view: what a running meter has measured, the zoom, the filter, the pause.

    It asks the meter and never the device.

    Args:
        meter: its block runs.
        battery: hours are those of this battery, if it was full at the start.
        grid: grams are those of this grid.
        clock: the clock of the meter.
    """

    def __init__(
        self,
        meter: EnergyMeter,
        *,
        battery: Battery | None = None,
        grid: Grid | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._meter, self._battery, self._grid = meter, battery, grid
        self._clock = clock or SystemClock()
        self._channels = meter.channels
        self._replayed = any(channel.info.facts.replayed for channel in self._channels)
        self._courses: list[Course] = []
        self._start_ns = 0
        self._load = Forecast()
        self._in_load = (0.0, 0.0)
        self._due_ns = 0
        self._held_ns: int | None = None
        self._held_watts: float | None = None
        self._reason = "no sample yet"
        self.usage: Usage | None = None
        self.rails: list[Rail] = []
        self.spans: list[str] = []
        self.figures: list[tuple[str, str]] = []
        self.notices: list[str] = []
        """Warnings that came while the screen was in use."""
        self.zoom = _FIRST_ZOOM
        self.filter = ""
        self.typing = False
        """The keys are for the filter."""
        self.help = False

    # -- taking in -----------------------------------------------------------------------------------

    def update(self) -> None:
        """Take in what was measured since."""
        if not self._courses and any(len(channel.curve) for channel in self._channels):
            self._start_ns = min(c.curve.first_ns() for c in self._channels if len(c.curve))
            self._courses = [Course(channel.curve, self._start_ns) for channel in self._channels]
        for course in self._courses:
            course.update()
        if self._clock.monotonic_ns() >= self._due_ns and not self.paused:
            self._due_ns = self._clock.monotonic_ns() + _FIGURES_NS
            self._compute()

    def _compute(self) -> None:
        try:
            self.usage = usage = self._meter.usage
        except NotMeasured as reason:
            self._reason = str(reason)
            return
        self._load.add(usage.measured_seconds - self._in_load[0], usage.joules - self._in_load[1])
        self._in_load = usage.measured_seconds, usage.joules
        self.rails = [self._rail(channel) for channel in self._channels]
        self.spans = [str(spans) for spans in [*self._meter.spans.values()][-_MOST_SPANS:]]
        self.figures = [*self._figures(usage)]

    def _rail(self, channel: SampledChannel) -> Rail:
        curve, counted = (
            channel.curve,
            channel.info.facts.counted and channel.info.name in self._meter.sources,
        )
        newest = curve.last()
        if newest is None:
            return Rail(channel.info.name, counted, None, None, None)
        window = curve.window(self._start_ns, curve.last_ns())
        known = not math.isnan(window.joules)
        share = min(1.0, window.covered_seconds / window.seconds) if window.seconds > 0 else 1.0
        watts = None if self._is_silent(channel) else newest.watts
        return Rail(channel.info.name, counted, watts, window.joules if known else None, share)

    def _figures(self, usage: Usage) -> list[tuple[str, str]]:
        figures = [
            (
                "energy",
                f"{with_uncertainty(usage.joules, usage.uncertainty, 'J')}  ({significant(usage.wh)} Wh)",
            )
        ]
        if usage.mah is not None:
            assumed = f" at {usage.nominal_volts:.1f} V nominal" if usage.coulombs is None else ""
            figures.append(("charge", f"{significant(usage.mah)} mAh{assumed}"))
        figures += [("battery", text) for text in self._hours(usage)]
        if self._grid is not None:
            try:
                carbon = usage.carbon(self._grid)
            except GridError as error:
                figures.append(("emissions", str(error)))
            else:
                spread = carbon.uncertainty
                grams = (
                    f"{significant(carbon.grams)} g CO2e ± unknown"
                    if spread is None
                    else with_uncertainty(carbon.grams, spread, "g CO2e")
                )
                figures.append(("emissions", f"{grams}  ({carbon.zone}, {carbon.grams_per_kwh:.0f} g/kWh)"))
        overhead = usage.overhead
        reads = "" if overhead is None or not usage.seconds else f", {overhead.reads} readings"
        missed = f", {usage.missed} missed"
        silent_ns = max((self._silent_ns(channel) for channel in self._counted()), default=0)
        since = f", nothing for {duration(silent_ns * 1e-9)} since" if silent_ns else ""
        share = f"{percent(usage.coverage, 1)} of {duration(usage.seconds)}"
        figures.append(("measured", f"{share}{reads}{missed}{since}"))
        figures.append(
            (
                "source",
                " · ".join(
                    [
                        f"{' + '.join(usage.sources)}: {usage.provenance} at the {usage.place}",
                        *usage.calibration,
                    ]
                ),
            )
        )
        return figures

    def _hours(self, usage: Usage) -> list[str]:
        """How long the battery lasts at this load: the budget's, or one that was full at the start."""
        balance, whose = self._meter.balance, ""
        if balance is not None:
            whose = f"{percent_text(balance.share)} of the budget left"
        elif self._battery is not None:
            full = Balance(self._battery, self._battery.joules, 0.0, None)
            balance = full.after(usage.joules, usage.measured_seconds)
            whose = f"if {significant(self._battery.mah)} mAh were full at the start"
        if balance is None:
            return []
        left = balance.forecast(self._load.level())
        if self._meter.budget is not None:
            return [f"{left}, {whose}"]
        return [f"{left}, {whose}" if left.hours is not None else f"{left}"]

    # -- what there is to see ------------------------------------------------------------------------

    @property
    def paused(self) -> bool:
        """The picture is held; sampling goes on."""
        return self._held_ns is not None

    def pause(self) -> None:
        """Hold the picture, or let it go on."""
        self._held_watts = self.watts
        self._held_ns = None if self.paused else self._edge_ns(self._shown())
        self._due_ns = 0

    def zoom_by(self, steps: int) -> None:
        """A shorter (-1) or a longer (1) window."""
        self.zoom = min(max(self.zoom + steps, 0), len(COLUMN_SECONDS) - 1)

    @property
    def ended(self) -> bool:
        """Every source is a recording that is over."""
        return self._meter.recording.ended

    @property
    def watts(self) -> float | None:
        """The power now, W; None: a source that counts does not answer."""
        if any(self._is_silent(channel) for channel in self._counted()):
            return None
        try:
            return self._meter.latest.watts
        except NotMeasured:
            return None

    def _counted(self) -> list[SampledChannel]:
        return [c for c in self._channels if c.info.name in self._meter.sources]

    def _shown(self) -> list[int]:
        """The channels that the graph adds: those that match the filter and count, else the first match."""
        names = self._meter.sources
        matching = [n for n, c in enumerate(self._channels) if self.filter.lower() in c.info.name.lower()]
        counted = [number for number in matching if self._channels[number].info.name in names]
        return counted or matching[:1]

    def _now_ns(self) -> int:
        if self._replayed:  # its times are those of the recording
            return max((c.curve.last_ns() for c in self._channels if len(c.curve)), default=0)
        return self._clock.monotonic_ns()

    def _is_silent(self, channel: SampledChannel) -> bool:
        return not len(channel.curve) or self._silent_ns(channel) > 0

    def _silent_ns(self, channel: SampledChannel) -> int:
        """For how long a source has said nothing, where that is longer than its pace explains; else 0."""
        return 0 if self.ended else channel.silent_ns(self._now_ns())

    def _edge_ns(self, shown: Sequence[int]) -> int:
        """Where the graph ends: the newest sample, or now where a source has fallen silent."""
        if self._held_ns is not None:
            return self._held_ns
        channels = [self._channels[number] for number in shown]
        if not channels or any(self._is_silent(channel) for channel in channels):
            return self._now_ns()
        return min(channel.curve.last_ns() for channel in channels)

    def bars(self, count: int) -> list[Bar | None]:
        """The newest columns of the graph, the last one at the right; None: before the start."""
        shown = self._shown()
        if not self._courses or not shown:
            return [None] * count
        newest = (self._edge_ns(shown) - 1 - self._start_ns) // _WIDTHS_NS[self.zoom]
        return [
            added([self._courses[place].column(self.zoom, number) for place in shown])
            if number >= 0
            else None
            for number in range(newest - count + 1, newest + 1)
        ]

    def alerts(self) -> list[str]:
        """What is wrong now."""
        alerts = []
        for channel in self._channels:
            name, error = channel.info.name, channel.curve.error
            if channel.observed(Count.STATE) == State.RETRYING or self._is_silent(channel):
                since = self._now_ns() - channel.curve.last_ns() if len(channel.curve) else 0
                why = f": {error}" if error else ""
                alerts.append(f"{name} does not answer for {duration(since * 1e-9)}, trying again{why}")
        if self._meter.recording.error:
            alerts.append(self._meter.recording.error)
        if self.ended:
            alerts.append("the recording is over; q ends")
        return [*alerts, *self.notices[-2:]]

    # -- as text -------------------------------------------------------------------------------------

    def line(self) -> str:
        """All in one line, for what is no terminal."""
        usage = self.usage
        if usage is None:
            return printable(f"nothing measured: {self._reason}")
        watts = "     unknown" if self.watts is None else f"{self.watts:10.3f} W"
        texts = [watts, f"mean {significant(usage.mean_watts or 0.0)} W"]
        if usage.peak_watts is not None:
            texts.append(f"peak {significant(usage.peak_watts)} W")
        texts += [text for _, text in self.figures]
        if len(self.rails) > 1:
            texts += [" ".join(filter(None, _rail_cells(rail))) for rail in self.rails]
        texts += [*self.spans, *usage.notes, *self.alerts()]
        return printable(" · ".join(texts))

    def lines(self, width: int, height: int) -> list[Line]:
        """The screen: as many lines as it is high, none wider than it is."""
        top: list[Line] = [self._title(width)]
        for alert in self.alerts():
            wrapped = textwrap.wrap(
                printable(alert), max(1, width - 2), max_lines=_ALERT_LINES, placeholder="…"
            )
            top += [((_fitted(f" {text}", width), "alert"),) for text in wrapped]
        if self.usage is not None and self.usage.provenance != "measured":
            top.append(((" ".join(self.usage.provenance.upper()).center(width), "banner"),))
        if self.help:
            top += [((_fitted(f" {text}", width), ""),) for text in ("", *_HELP)]
        top.append(self._power(width))
        below = self._below(width)
        room = height - len(top) - 1
        graph_height = max(room - len(below), min(_LEAST_GRAPH, room))
        below, cut = below[: max(0, room - graph_height)], len(below) - max(0, room - graph_height)
        if cut > 0 and below:
            below[-1] = ((_fitted(f" … {cut + 1} more lines: enlarge the terminal", width), "dim"),)
        lines = [*top, *self._graph(width, graph_height), *below]
        blank: Line = ((" " * width, ""),)
        lines = [*lines[: height - 1], *[blank] * (height - 1 - len(lines)), self._footer(width)]
        return lines[-height:]

    def _title(self, width: int) -> Line:
        name = " + ".join(self._meter.sources)
        seconds = "" if self.usage is None else duration(self.usage.seconds)
        right = f"{'HELD  ' if self.paused else ''}{seconds} "
        left = _fitted(f" energymeter live  {printable(name)}", max(0, width - len(right)))
        return ((f"{left}{right}"[:width], "bold"),)

    def _power(self, width: int) -> Line:
        usage, watts = self.usage, self._held_watts if self.paused else self.watts
        now = "unknown" if watts is None else f"{significant(watts, 4)} W"
        rest = f"   {printable(self._reason)}"
        if usage is not None:
            mean = "unknown" if usage.mean_watts is None else f"{significant(usage.mean_watts)} W"
            peak = "unknown" if usage.peak_watts is None else f"{significant(usage.peak_watts)} W"
            rest = f"   mean {mean}   peak {peak}"
            if self.filter:
                graph = " + ".join(self._channels[number].info.name for number in self._shown())
                rest += f"   graph: {printable(graph) or 'no rail'}"
        return ((f" {now}"[:width], "bold"), (_fitted(rest, max(0, width - len(now) - 1)), ""))

    def _footer(self, width: int) -> Line:
        if self.typing:
            return (
                (
                    _fitted(f" rails: {printable(self.filter)}▏  Enter keeps it, Escape shows all", width),
                    "bold",
                ),
            )
        only = f"   only rails with {printable(self.filter)!r}" if self.filter else ""
        return ((_fitted(f" {_KEYS}{only}", width), "dim"),)

    def _below(self, width: int) -> list[Line]:
        lines: list[Line] = []
        for label, text in self.figures:
            lines.append(
                ((f" {label:10}"[:width], "dim"), (_fitted(printable(text), max(0, width - 11)), ""))
            )
        rails = [rail for rail in self.rails if self.filter.lower() in rail.name.lower()]
        if len(self.rails) > 1:
            rows = [["rails", "W", "J", "measured", ""], *map(_rail_cells, rails)]
            head, *others = aligned(rows, left=1)
            lines.append(((_fitted(f" {head}", width), "dim"),))
            lines += [((_fitted(f" {row}", width), ""),) for row in others]
        for number, text in enumerate(self.spans):
            label = "spans" if number == 0 else ""
            lines.append(
                ((f" {label:10}"[:width], "dim"), (_fitted(printable(text), max(0, width - 11)), ""))
            )
        for note in self.usage.notes if self.usage is not None else ():
            lines.append(
                ((f" {'note':10}"[:width], "dim"), (_fitted(printable(note), max(0, width - 11)), ""))
            )
        return lines

    def _graph(self, width: int, height: int) -> list[Line]:
        """Bars from 0 with the peaks above them; the last of the lines is the axis of time."""
        if height < 2 or width < 20:
            return [((" " * width, ""),)] * height
        label_width = 9
        bars, rows = self.bars(width - label_width), height - 1
        highest = max((max(b.watts or 0.0, b.peak_watts or 0.0) for b in bars if b is not None), default=0.0)
        top, unit_watts, unit = scale(highest)
        ticks = 4 if rows >= 8 else 2  # each at the row that is nearest
        labels = {rows - round(rows * tick / ticks): top * tick / ticks for tick in range(1, ticks + 1)}
        columns = [_cells(bar, top, rows) for bar in bars]
        lines: list[Line] = []
        for row in range(rows):
            label = f"{significant(labels[row] / unit_watts)} {unit}" if row in labels else ""
            text = "".join(column[row] for column in columns)
            lines.append(((f"{label:>{label_width - 1}}│", "dim"), (text, "bar")))
        return [*lines, self._time_axis(bars, label_width, unit)]

    def _time_axis(self, bars: Sequence[Bar | None], label_width: int, unit: str) -> Line:
        count = len(bars)
        text = "".join(" " if bar is None else "─" if bar.coverage >= _WHOLE else "╌" for bar in bars)
        ago = duration(count * COLUMN_SECONDS[self.zoom])
        legend = f" {ago} ago, {duration(COLUMN_SECONDS[self.zoom])} a column; █ mean ▔ peak ░ not measured "
        if len(legend) + 6 <= count:
            text = legend + text[len(legend) : -5] + " now "
        return ((f"{f'0 {unit}':>{label_width - 1}}└", "dim"), (text, "dim"))


def scale(highest_watts: float) -> tuple[float, float, str]:
    """The top of an axis that begins at 0: W, and the unit of its labels.

    >>> scale(3.4), scale(0.0123), scale(0.0)
    ((4.0, 1.0, 'W'), (0.015, 0.001, 'mW'), (1.0, 1.0, 'W'))
    """
    if not 0 < highest_watts < math.inf:
        return 1.0, 1.0, "W"
    decade = 10.0 ** math.floor(math.log10(highest_watts))
    top = next((step * decade for step in _STEPS if step * decade >= highest_watts), 10 * decade)
    watts, unit = next(((w, u) for w, u in _PREFIXES if top >= w), _PREFIXES[-1])
    return top, watts, unit


_EIGHTHS = " ▁▂▃▄▅▆▇█"


def _cells(bar: Bar | None, top: float, rows: int) -> str:
    """One column of the graph, from its top down: the mean as a bar, the peak as a mark above it."""
    if bar is None:
        return " " * rows
    if bar.watts is None:
        return "░" * rows
    filled = min(max(round(8 * rows * bar.watts / top), 0), 8 * rows)
    cells = [_EIGHTHS[min(max(filled - 8 * (rows - 1 - row), 0), 8)] for row in range(rows)]
    if bar.peak_watts is not None and bar.peak_watts > 0:
        row = rows - min(max(math.ceil(rows * bar.peak_watts / top), 1), rows)
        if cells[row] == " ":
            cells[row] = "▔"
    return "".join(cells)


def _rail_cells(rail: Rail) -> list[str]:
    return [
        printable(rail.name),
        "unknown" if rail.watts is None else significant(rail.watts),
        "unknown" if rail.joules is None else significant(rail.joules, 4),
        "" if rail.coverage is None else percent(rail.coverage, 1),
        "" if rail.counted else "not in the total",
    ]


def _fitted(text: str, width: int) -> str:
    """Exactly so wide; what is cut ends in an ellipsis."""
    return text.ljust(width) if len(text) <= width else f"{text[: max(0, width - 1)]}…"[:width]
