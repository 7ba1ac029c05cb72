"""Power, cumulative energy and spans as files for timeline viewers, and joules by the slices of a trace.

Formats: Perfetto's protobuf, written with the classes of PyPI's ``perfetto``; the Trace Event Format of
Chrome; the processed profile of the Firefox Profiler (firefox-devtools/profiler, src/types/profile.ts,
version 70), where a power counter holds picowatt-hours since its sample before.
"""

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from energymeter.errors import ExtraMissing, LogError, SpecError
from energymeter.paths import read_file, replace_file
from energymeter.recordings.trace import Trace
from energymeter.report.decimation import Decimated, Envelope
from energymeter.text import printable

FORMATS = ("perfetto", "firefox", "chrome", "csv", "parquet")
MOST_SAMPLES = 100_000
"""Longer recordings are exported as stretches."""
STRETCHES = 50_000
"""Each has up to four events of power, and one of energy."""
MOST_TRACE_BYTES = 1 << 30
"""A trace that is merged into is read whole."""
OUTSIDE = "(no slice)"
"""The name for the energy of times in which no slice of the trace is open."""
_JOULES_PER_PWH = 3.6e-9
_UNIX_MICROSECONDS = 1e15
"""Times of a trace beyond this are Unix time: 1e15 µs are the year 2001, or 31 years after a boot."""
_FIREFOX_VERSION, _PROCESSED_VERSION = 36, 70


class Steps(NamedTuple):
    """Power as viewers draw it: each value holds until the next time; its integral is the energy."""

    time_s: Any
    watts: Any


def steps(trace: Trace) -> Steps:
    """The mean power of each interval between two samples; 0 in a gap, where nothing was measured.

    Of several channels it is the sum of what was measured of each.
    """
    if len(trace.parts) > 1:
        return _sum_of([steps(part) for part in trace.parts])
    time, joules, covered = trace.time_s, trace.joules, trace.covered_s
    seconds, measured, energy = np.diff(time), np.diff(covered), np.diff(joules)
    # what was measured of an interval is its end, as in `Trace.at`
    begins = time[1:] - np.clip(measured, 0.0, seconds)
    split = (measured > 0) & (begins - time[:-1] > 1e-9)
    begins = np.where(split, begins, time[:-1])
    watts = np.where(measured > 0, np.nan_to_num(energy) / (time[1:] - begins), 0.0)
    times = np.concatenate([time[:-1][split], begins, time[-1:]])
    values = np.concatenate([np.zeros(int(split.sum())), watts, [0.0]])
    order = np.argsort(times, kind="stable")
    return Steps(times[order], values[order])


def stretch_steps(envelope: Envelope) -> Steps:
    """Each stretch as its highest and then its lowest power, for so long that its energy is right.

    What of a stretch was not measured is at 0: after its power if the stretch before was measured to its
    end, else before it.
    """
    edges, mean = envelope.edges_s, envelope.watts
    seconds = np.diff(edges)
    known = np.isfinite(mean)
    measured = np.where(known, np.clip(np.diff(envelope.covered_s), 0.0, seconds), 0.0)
    whole = measured >= seconds * (1 - 1e-9)
    measured = np.where(whole, seconds, measured)
    mean = np.where(known, mean, 0.0)
    low = np.where(known, np.fmin(envelope.lowest_watts, mean), 0.0)
    high = np.where(known, np.fmax(envelope.highest_watts, mean), 0.0)
    share = np.where(high > low, (mean - low) / np.where(high > low, high - low, 1.0), 1.0)
    late = ~whole & ~np.concatenate([[True], whole[:-1]])
    begins = np.where(late, edges[1:] - measured, edges[:-1])
    turns, ends = begins + share * measured, begins + measured
    nothing = np.zeros_like(mean)
    pieces = [
        (edges[:-1], nothing, late),
        (begins, high, turns > begins),
        (turns, low, (measured > 0) & (turns < ends)),
        (ends, nothing, ends < edges[1:]),
    ]
    times, values, kept = (np.stack(column, axis=1).ravel() for column in zip(*pieces, strict=True))
    return Steps(np.append(times[kept], edges[-1]), np.append(values[kept], 0.0))


def _sum_of(each: Sequence[Steps]) -> Steps:
    times = np.unique(np.concatenate([one.time_s for one in each]))
    total = np.zeros(len(times))
    for one in each:
        places = np.searchsorted(one.time_s, times, side="right") - 1
        total += np.where(places >= 0, one.watts[np.maximum(places, 0)], 0.0)
    return Steps(times, total)


class Slice(NamedTuple):
    """A stretch of time with a name, on a lane on which no two overlap."""

    name: str
    lane: int
    start_s: float
    end_s: float


def slices(
    spans: Mapping[str, Sequence[tuple[float, float]]], gaps: Sequence[tuple[float, float]]
) -> list[Slice]:
    """The spans of a log, and the gaps of its curve; calls that overlap are on lanes of their own."""
    found = []
    lanes = 0
    for name, windows in {**spans, "not measured": gaps}.items():
        ends: list[float] = []
        for start, end in sorted(windows):
            lane = next((number for number, last in enumerate(ends) if last <= start), len(ends))
            ends[lane : lane + 1] = [end]
            found.append(Slice(name, lanes + lane, start, end))
        lanes += len(ends)
    return found


class Track(NamedTuple):
    """A counter of a timeline."""

    name: str
    unit: str
    """W, whose values hold until the next one; or J since the first."""
    time_s: Any
    values: Any


class Timeline(NamedTuple):
    """A recording as viewers show it: power and energy of the sum and of each channel, and slices."""

    title: str
    """The channels and how far to trust them."""
    tracks: tuple[Track, ...]
    slices: tuple[Slice, ...]
    epoch_s: float | None

    @classmethod
    def of(cls, source: Trace | Decimated) -> "Timeline":
        """Every sample of a trace, or the stretches of what is too long for that."""
        return cls._of_samples(source) if isinstance(source, Trace) else cls._of_stretches(source)

    @classmethod
    def _of_samples(cls, trace: Trace) -> "Timeline":
        curves = [(" + ".join(part.names), steps(part), _energy(part)) for part in trace.parts]
        if len(curves) > 1:
            curves.insert(0, ("total", steps(trace), _energy(trace)))
        spans = {name: spans.windows_s for name, spans in trace.spans.items()}
        return cls._made(
            trace.names, trace.facts.provenance, curves, slices(spans, trace.gaps()), trace.epoch_s
        )

    @classmethod
    def _of_stretches(cls, drawn: Decimated) -> "Timeline":
        curves = [
            (
                channel.name,
                stretch_steps(channel.envelope),
                Steps(channel.envelope.edges_s, np.nan_to_num(channel.envelope.joules)),
            )
            for channel in drawn.counted
        ]
        if len(curves) > 1:
            curves.insert(0, ("total", _sum_of([power for _, power, _ in curves]), _energy(drawn.total)))
        spans = {span.name: span.windows_s for span in drawn.spans}
        gaps = sorted({gap for channel in drawn.counted for gap in channel.envelope.gaps_s})
        names = [channel.name for channel in drawn.counted]
        return cls._made(names, drawn.usage.provenance, curves, slices(spans, gaps), drawn.epoch_s)

    @classmethod
    def _made(
        cls,
        names: Sequence[str],
        provenance: str,
        curves: Sequence[tuple[str, Steps, Steps]],
        found: Sequence[Slice],
        epoch_s: float | None,
    ) -> "Timeline":
        simulated = "SIMULATED: " if provenance == "simulated" else ""
        tracks = []
        for name, power, energy in curves:
            whose = f"{printable(name)} " if len(curves) > 1 else ""
            tracks += [Track(f"{whose}power", "W", *power), Track(f"{whose}energy", "J", *energy)]
        title = f"{simulated}{printable(' + '.join(names))} ({provenance})"
        return cls(title, tuple(tracks), tuple(found), epoch_s)


def _energy(trace: Trace) -> Steps:
    """The joules since the start at each sample."""
    return Steps(trace.time_s, np.nan_to_num(trace.joules - trace.joules[0]))


def export(
    source: Trace | Decimated,
    path: str,
    form: str,
    *,
    force: bool = False,
    into: str | None = None,
    offset_s: float | None = None,
    align: str | None = None,
) -> "Shares | None":
    """Write a recording as a file of another program.

    Args:
        source: the recording; what is decimated is not for ``csv`` and ``parquet``.
        path: the file; whole or as it was before.
        form: one of `FORMATS`.
        force: replace a file that exists.
        into: a trace in Chrome's JSON, whose events the file then also holds.
        offset_s: where second 0 of the recording is on that trace's own clock, s; None: by Unix time.

    Returns:
        With ``into``, the slices of that trace on the clock of the recording.

    Raises:
        SpecError: there is no such format, or the clocks of trace and recording have nothing in common.
        LogError: a file cannot be read or written.
        ExtraMissing: ``perfetto`` or ``pyarrow`` is not installed.
    """
    if form not in FORMATS:
        raise SpecError(f"there is no format {form!r}; give one of {', '.join(FORMATS)}")
    if into is not None and form != "chrome":
        raise SpecError(f"a trace is merged into as chrome, not as {form}; give --to chrome")
    if form in ("csv", "parquet"):
        if not isinstance(source, Trace):
            raise SpecError(f"{form} holds every sample; give the trace itself")
        source.save(path, force=force)
        return None
    if os.path.lexists(path) and not force:
        raise LogError(f"{path} exists and is not overwritten; give --force, or another name")
    timeline = Timeline.of(source)
    merged = None if into is None else _Merged(into, timeline, offset_s, align)
    content: str | bytes
    if form == "perfetto":
        content = to_perfetto(timeline)
    elif form == "firefox":
        content = json.dumps(to_firefox(timeline))
    else:
        content = json.dumps(to_chrome(timeline) if merged is None else merged.document())
    try:
        replace_file(path, content)
    except OSError as failure:
        raise LogError(
            f"{path} cannot be written ({failure.strerror}); give a place that is yours"
        ) from failure
    return None if merged is None else Shares(merged.events(), merged.notes)


# -- Perfetto -------------------------------------------------------------------------------------------


def to_perfetto(timeline: Timeline) -> bytes:
    """A Perfetto trace; its times are ns from second 0 of the recording, with a snapshot of Unix time.

    Raises:
        ExtraMissing: without ``perfetto``.
    """
    try:
        from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as protos
        from perfetto.trace_builder.proto_builder import TraceProtoBuilder
    except ImportError:
        raise ExtraMissing("perfetto", "timeline", "a Perfetto trace") from None
    builder = TraceProtoBuilder()
    begins = [
        *(float(track.time_s[0]) for track in timeline.tracks),
        *(one.start_s for one in timeline.slices),
    ]
    zero_s = min(0.0, *begins)

    def packet(time_s: float) -> Any:
        made = builder.add_packet()
        made.timestamp = round((time_s - zero_s) * 1e9)
        made.trusted_packet_sequence_id = 1
        return made

    if timeline.epoch_s is not None:
        snapshot = packet(zero_s).clock_snapshot
        for clock, at_ns in (
            (protos.BUILTIN_CLOCK_BOOTTIME, 0),
            (protos.BUILTIN_CLOCK_REALTIME, round((timeline.epoch_s + zero_s) * 1e9)),
        ):
            entry = snapshot.clocks.add()
            entry.clock_id, entry.timestamp = clock, at_ns
    top = packet(zero_s).track_descriptor
    top.uuid, top.name = 1, timeline.title
    uuid = 1
    for name, unit, times, values in timeline.tracks:
        uuid += 1
        track = packet(zero_s).track_descriptor
        track.uuid, track.parent_uuid, track.name = uuid, 1, name
        track.counter.unit_name = unit
        for time_s, value in zip(times.tolist(), values.tolist(), strict=True):
            event = packet(time_s).track_event
            event.type, event.track_uuid = protos.TrackEvent.TYPE_COUNTER, uuid
            event.double_counter_value = value
    lanes: dict[int, int] = {}
    for one in timeline.slices:
        if one.lane not in lanes:
            uuid += 1
            lanes[one.lane] = uuid
            track = packet(zero_s).track_descriptor
            track.uuid, track.parent_uuid, track.name = uuid, 1, printable(one.name)
        for time_s, kind in (
            (one.start_s, protos.TrackEvent.TYPE_SLICE_BEGIN),
            (one.end_s, protos.TrackEvent.TYPE_SLICE_END),
        ):
            event = packet(time_s).track_event
            event.type, event.track_uuid = kind, lanes[one.lane]
            if kind == protos.TrackEvent.TYPE_SLICE_BEGIN:
                event.name = printable(one.name)
    content: bytes = builder.serialize()
    return content


# -- Chrome ---------------------------------------------------------------------------------------------


def to_chrome(timeline: Timeline) -> dict[str, Any]:
    """A document of Chrome's Trace Event Format; its times are µs from second 0 of the recording."""
    document: dict[str, Any] = {"traceEvents": [*_chrome_events(timeline, 1, 0.0)], "displayTimeUnit": "ms"}
    if timeline.epoch_s is not None:
        document["baseTimeNanoseconds"] = round(timeline.epoch_s * 1e9)
    return document


def _chrome_events(timeline: Timeline, pid: int, shift_us: float) -> Iterator[dict[str, Any]]:
    yield {"ph": "M", "pid": pid, "tid": 0, "name": "process_name", "args": {"name": timeline.title}}
    for name, unit, times, values in timeline.tracks:
        for time_s, value in zip(times.tolist(), values.tolist(), strict=True):
            at_us = time_s * 1e6 + shift_us
            yield {
                "ph": "C",
                "pid": pid,
                "tid": 0,
                "name": f"{name} ({unit})",
                "ts": at_us,
                "args": {unit: value},
            }
    known = set()
    for one in timeline.slices:
        name = printable(one.name)
        if one.lane not in known:
            known.add(one.lane)
            yield {"ph": "M", "pid": pid, "tid": one.lane + 1, "name": "thread_name", "args": {"name": name}}
        start_us, duration_us = one.start_s * 1e6 + shift_us, (one.end_s - one.start_s) * 1e6
        yield {
            "ph": "X", "pid": pid, "tid": one.lane + 1, "name": name, "cat": "energymeter", "ts": start_us,
            "dur": duration_us,
        }  # fmt: skip


class _Merged:
    """A trace of another profiler in Chrome's JSON, and a recording on its clock."""

    def __init__(self, path: str, timeline: Timeline, offset_s: float | None, align: str | None) -> None:
        self._timeline = timeline
        self.notes: tuple[str, ...] = ()
        self._threads: set[Any] | None = None
        try:
            said = json.loads(read_file(path, MOST_TRACE_BYTES))
        except OSError as failure:
            raise LogError(f"{path} cannot be read ({failure.strerror}); give another trace") from failure
        except (ValueError, RecursionError) as damage:
            raise LogError(f"{path} is no trace in Chrome's JSON ({damage}); export it again") from damage
        self._said = {"traceEvents": said} if isinstance(said, list) else said
        if isinstance(self._said, dict) and "speedscope" in str(self._said.get("$schema")):
            raise LogError(
                f"{path} is a speedscope profile, which has no times and leaves out when a program slept; "
                "record it by py-spy record --format chrometrace --idle"
            )
        events = self._said.get("traceEvents") if isinstance(self._said, dict) else None
        if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
            raise LogError(f"{path} has no list of traceEvents; export it as Chrome's JSON")
        self._events: list[dict[str, Any]] = events
        self._shift_us = 0.0
        self._shift_us = self._aligned(path, align) if align is not None else self._shift(path, offset_s)

    def _aligned(self, path: str, align: str) -> float:
        """As `_shift`, where the first call of a span begins with the first slice of a name."""
        span, _, other = align.partition("=")
        wanted = other or span
        calls = [one for one in self._timeline.slices if one.name == span]
        found = [(start, end) for name, _, start, end in self.events() if name == wanted]
        if not calls or not found:
            which = f"the recording has no span {span}" if not calls else f"{path} has no slice {wanted}"
            raise SpecError(f"{printable(which)}; name one that both have, or SPAN=SLICE")
        begin_s, slice_s = min(one.start_s for one in calls), min(start for start, _ in found)
        apart_s = (max(end for _, end in found) - slice_s) - (max(one.end_s for one in calls) - begin_s)
        self._threads = {thread for name, thread, _, _ in self.events() if name == wanted}
        self.notes = (
            f"its clock is at {slice_s - begin_s:.3f} s when the recording begins, by {span}; the last calls "
            f"end {abs(apart_s):.3f} s apart; threads without {wanted} get no share",
        )
        return (slice_s - begin_s) * 1e6

    def _shift(self, path: str, offset_s: float | None) -> float:
        """What is added to µs of the recording for those of the trace."""
        if offset_s is not None:
            return offset_s * 1e6
        metadata = self._said.get("viztracer_metadata")
        base = self._said.get("baseTimeNanoseconds")
        if base is None and isinstance(metadata, dict):
            base = metadata.get("baseTimeNanoseconds")
        if base is None:
            first = min((t for t in map(_time, self._events) if t is not None), default=0.0)
            base = 0 if first > _UNIX_MICROSECONDS else None
        if base is None or self._timeline.epoch_s is None:
            which = path if base is None else "the recording"
            raise SpecError(
                f"{which} does not say its Unix time, so the clocks have nothing in common; give --align, "
                "a span that is also a function of the trace, or --offset, the time of the trace in seconds "
                "at which the recording begins"
            )
        if not isinstance(base, int | float) or not math.isfinite(base):
            raise LogError(f"{path} has a base time that is no number; export it again")
        # whole ns first: as a double, Unix time in µs is good to 0.25 µs only
        return (round(self._timeline.epoch_s * 1e9) - int(base)) / 1e3

    def document(self) -> dict[str, Any]:
        """The trace with the recording in it."""
        taken = {event.get("pid") for event in self._events}
        pid = next(number for number in range(1, len(taken) + 2) if number not in taken)
        events = [*self._events, *_chrome_events(self._timeline, pid, self._shift_us)]
        return {**self._said, "traceEvents": events}

    def events(self) -> Iterator[tuple[str, Any, float, float]]:
        """Name, thread, start and end of each of its slices, in s of the recording."""
        open_ones: dict[Any, list[tuple[str, float]]] = {}
        ordered = sorted(self._events, key=lambda event: _time(event) or 0.0)
        for event in ordered:
            at_us, phase = _time(event), event.get("ph")
            thread = (str(event.get("pid")), str(event.get("tid")))
            if at_us is None or (self._threads is not None and thread not in self._threads):
                continue
            at_s = (at_us - self._shift_us) * 1e-6
            if phase == "X":
                lasts_us = event.get("dur", 0)
                if isinstance(lasts_us, int | float) and 0 < lasts_us < math.inf:
                    yield str(event.get("name", "")), thread, at_s, at_s + lasts_us * 1e-6
            elif phase == "B":
                open_ones.setdefault(thread, []).append((str(event.get("name", "")), at_s))
            elif phase == "E" and open_ones.get(thread):
                name, start_s = open_ones[thread].pop()
                if at_s > start_s:
                    yield name, thread, start_s, at_s


def _time(event: dict[str, Any]) -> float | None:
    """The time of an event, µs of its trace."""
    at_us = event.get("ts")
    known = isinstance(at_us, int | float) and not isinstance(at_us, bool) and math.isfinite(at_us)
    return float(at_us) if known and event.get("ph") != "M" else None  # type: ignore[arg-type]


class Shares:
    """Slices of a trace, and how the energy of a recording is shared among them by time.

    At each moment the energy goes to the innermost open slice of each thread, in equal shares where several
    threads are in one. It is a share by time, not a measurement of a function: what ran next to it, such as
    a processor that another program used, is in it.
    """

    def __init__(self, events: Iterable[tuple[str, Any, float, float]], notes: Sequence[str] = ()) -> None:
        self._pieces = [*_innermost(events)]
        self.notes = tuple(notes)
        """How the clocks were brought together."""

    def joules(
        self, trace: Trace, windows_s: Sequence[tuple[float, float]]
    ) -> dict[str, tuple[float, float]]:
        """Joules and seconds by name, largest energy first; their sum is that of the windows.

        Args:
            windows_s: start and end of each, s; they do not overlap.
        """
        inside = [
            (name, max(start, first), min(end, last))
            for first, last in windows_s
            for name, start, end in self._pieces
            if start < last and end > first
        ]
        edges = {edge for window in windows_s for edge in window}
        edges |= {edge for _, *piece in inside for edge in piece}
        times = np.array(sorted(edges))
        if len(times) < 2:
            return {}
        lies_in = np.zeros(len(times) - 1, dtype=bool)
        for first, last in windows_s:
            lies_in[np.searchsorted(times, first) : np.searchsorted(times, last)] = True
        energy = np.where(lies_in, np.diff(trace.at(times)), 0.0)
        seconds = np.where(lies_in, np.diff(times), 0.0)
        busy = np.zeros(len(energy))
        places = [(name, *np.searchsorted(times, (start, end))) for name, start, end in inside]
        for _, begin, end in places:
            busy[begin:end] += 1
        shared = np.where(busy > 0, energy / np.maximum(busy, 1), 0.0)
        running = np.concatenate([[0.0], np.cumsum(shared)])
        clock = np.concatenate([[0.0], np.cumsum(np.where(busy > 0, seconds / np.maximum(busy, 1), 0.0))])
        found: dict[str, tuple[float, float]] = {}
        for name, begin, end in places:
            joules, spent = found.get(name, (0.0, 0.0))
            found[name] = (
                joules + float(running[end] - running[begin]),
                spent + float(clock[end] - clock[begin]),
            )
        rest = float(energy[busy == 0].sum()), float(seconds[busy == 0].sum())
        if rest[1] > 0:
            found[OUTSIDE] = rest
        return dict(sorted(found.items(), key=lambda item: -item[1][0]))


def _innermost(events: Iterable[tuple[str, Any, float, float]]) -> Iterator[tuple[str, float, float]]:
    """The stretches in which a slice is the innermost of its thread."""
    threads: dict[Any, list[tuple[float, float, str]]] = {}
    for name, thread, start, end in events:
        threads.setdefault(thread, []).append((start, -end, name))
    for of_one in threads.values():
        stack: list[tuple[str, float]] = []
        at = -math.inf
        for start, minus_end, name in sorted(of_one):
            while stack and stack[-1][1] <= start:
                inner, end = stack.pop()
                if end > at:
                    yield inner, at, end
                    at = end
            if stack and start > at:
                yield stack[-1][0], at, start
            at = max(at, start)
            stack.append((name, -minus_end))
        while stack:
            inner, end = stack.pop()
            if end > at:
                yield inner, at, end
                at = end


# -- Firefox --------------------------------------------------------------------------------------------


def to_firefox(timeline: Timeline) -> dict[str, Any]:
    """A processed profile of the Firefox Profiler; its times are ms from second 0 of the recording."""
    strings: dict[str, int] = {}

    def string(text: str) -> int:
        return strings.setdefault(printable(text), len(strings))

    counters = [_counter(track, timeline.title) for track in timeline.tracks]
    spans = timeline.slices
    times_s = timeline.tracks[0].time_s
    interval_ms = 1e3 * float(np.median(np.diff(times_s))) if len(times_s) > 1 else 1.0
    markers = {
        "data": [{"type": "span", "name": printable(one.name)} for one in spans],
        "name": [string(one.name) for one in spans],
        "startTime": [one.start_s * 1e3 for one in spans],
        "endTime": [one.end_s * 1e3 for one in spans],
        "phase": [1] * len(spans),
        "category": [0] * len(spans),
        "length": len(spans),
    }
    thread = {
        "processType": "default", "processStartupTime": 0, "processShutdownTime": None, "registerTime": 0,
        "unregisterTime": None, "pausedRanges": [], "showMarkersInTimeline": True, "name": "spans",
        "isMainThread": True, "processName": timeline.title, "pid": "0", "tid": 0,
        "samples": {"stack": [], "time": [], "weight": None, "weightType": "samples", "length": 0},
        "markers": markers,
    }  # fmt: skip
    return {
        "meta": {
            "interval": interval_ms,
            "startTime": 0 if timeline.epoch_s is None else timeline.epoch_s * 1e3,
            "processType": 0,
            "product": "energymeter",
            "stackwalk": 0,
            "version": _FIREFOX_VERSION,
            "preprocessedProfileVersion": _PROCESSED_VERSION,
            "categories": [{"name": "Other", "color": "grey", "subcategories": ["Other"]}],
            "symbolicated": True,
            "markerSchema": [
                {
                    "name": "span",
                    "tooltipLabel": "{marker.data.name}",
                    "tableLabel": "{marker.data.name}",
                    "chartLabel": "{marker.data.name}",
                    "display": ["marker-chart", "marker-table", "timeline-overview"],
                    "fields": [{"key": "name", "label": "Name", "format": "string"}],
                }
            ],
            "importedFrom": "energymeter",
        },
        "libs": [],
        "pages": [],
        "counters": counters,
        "shared": {
            **{name: _empty(columns) for name, columns in _TABLES.items()},
            "stringArray": [*strings],
        },
        "threads": [thread],
    }


_TABLES = {
    "stackTable": "frame prefixOffset",
    "frameTable": "address inlineDepth category subcategory func lib nativeSymbol innerWindowID line column "
    "originalLocation",
    "funcTable": "isJS relevantForJS name resource source lineNumber columnNumber originalLocation",
    "resourceTable": "name host type",
    "nativeSymbols": "libIndex address name functionSize",
    "sources": "id filename startLine startColumn sourceMapURL content",
    "sourceLocationTable": "source line column",
}
"""The columns of the tables of stacks, which a profile of power leaves empty."""


def _empty(columns: str) -> dict[str, Any]:
    return {**{column: [] for column in columns.split()}, "length": 0}


def _counter(track: Track, description: str) -> dict[str, Any]:
    power = track.unit == "W"
    name = f"{track.name} ({track.unit})"
    since = np.diff(track.values, prepend=0.0)
    if power:  # what was used since the sample before
        since = np.concatenate([[0.0], track.values[:-1] * np.diff(track.time_s)]) / _JOULES_PER_PWH
    sources = {
        "count": "Power", "selection-total": "Energy used in the current selection",
        "selection-rate": "Average power in the current selection",
        "committed-range-total": "Energy used in the visible range",
    } if power else {"accumulated": "Energy since the start, J"}  # fmt: skip
    rows = []
    for source, label in sources.items():
        form: dict[str, Any] = {"unit": "number"}
        if power:
            energy = source.endswith("total")
            form |= {"co2": "per-watthour", "scale": "energy" if energy else "power"}
        row: dict[str, Any] = {"type": "value", "source": source, "format": form, "label": label}
        if source.startswith("selection"):
            row["requiresPreviewSelection"] = True
        rows.append(row)
    return {
        "name": name,
        "category": "power" if power else "energy",
        "description": description,
        "pid": "0",
        "mainThreadIndex": 0,
        "samples": {
            "time": (track.time_s * 1e3).tolist(),
            "count": since.tolist(),
            "length": len(track.time_s),
        },
        "display": {
            "graphType": "line-rate" if power else "line-accumulated",
            "unit": "pWh" if power else "J",
            "color": "orange" if power else "blue",
            "markerSchemaLocation": None,
            "sortWeight": 30 if power else 31,
            "label": name,
            "tooltipRows": rows,
        },
    }
