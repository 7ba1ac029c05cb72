"""The record of a program that has ended: its events as runs, spans and answers."""

import json
import math
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from oracle import steps as s
from oracle.emit import named
from oracle.known import rows
from oracle.load import Load
from oracle.truth import Channel, Extent, Moments, Run, Stretch

_LONG_AFTER = 1e9
_READY_SECONDS = 2.0
_ENDS_SECONDS = 0.5
"""What stays ready for the next block ends so soon after its time."""


class Answer(NamedTuple):
    """One question and what was answered."""

    step: str
    what: str
    meter: int
    process: str
    asked: Moments
    value: Any
    error: dict[str, Any] | None
    waited: float = 0.0
    """Seconds for which the thread that asked wanted to run and did not."""


class Record:
    """Everything that is known of a program which has run in a folder."""

    def __init__(self, program: s.Program, folder: Path) -> None:
        self.program, self.folder = program, folder
        self.steps = named(program.steps)
        path = folder / "events.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        self.events: list[dict[str, Any]] = [json.loads(line) for line in lines]
        start = next(iter(self.of("start")), None)
        self.epoch_ns: int = start["epoch_ns"] if start else 0
        self.unix_offset: float = start["time"] if start else 0.0
        """Unix time of monotonic second 0."""
        self._load = Load.read(folder / "load.txt")
        self._forked = {event["process"]: self._seconds(event["forked"]) for event in self.of("born")}
        self.breaks = [self._seconds(event["at"]) for event in self.of("kill")]
        self.channels = [self._channels(number, spec, folder) for number, spec in enumerate(program.meters)]
        self._visits: dict[tuple[str, int], list[Channel]] = {}
        self._outer = {(e["process"], e["step"]): self._moments(e) for e in self.of("outer")}
        self._inner = {(e["process"], e["step"]): self._moments(e) for e in self.of("inner")}
        self._entering = {(e["process"], e["step"]): self._seconds(e["at"]) for e in self.of("entering")}
        self._waits = self._waiting()
        for event in self.of("begun"):  # its program, or its worker, ended within
            key = event["process"], event["step"]
            self._inner.setdefault(key, Moments(self._seconds(event["at"]), _LONG_AFTER))
        self.runs = sorted(map(self._closer, self._runs()), key=lambda run: run.extent.start.latest)
        self.spans = sorted(self._spans(), key=lambda span: span.extent.end.earliest)
        for number, channels in enumerate(self.channels):
            for channel in channels:
                channel.begun([run.extent.start.earliest for run in self.runs if run.meter == number])
        self.answers = [self._answer(event) for event in self.of("asked")]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The events of a kind."""
        return [event for event in self.events if event["kind"] == kind]

    def allowed(self, seconds: float, start: float, end: float) -> float:
        """How long something may take that is promised in ``seconds``: see `oracle.load`."""
        epoch = self.epoch_ns * 1e-9
        return self._load.allowed(seconds, epoch + start, epoch + end)

    def late(self, start: float, end: float) -> float:
        """Seconds between two moments in which a process that wanted to run did not."""
        epoch = self.epoch_ns * 1e-9
        return self._load.late(epoch + start, epoch + end)

    def waited(self, leaving: Moments) -> float:
        """Seconds within the end of a block for which the thread that left wanted to run and did not."""
        return self._waits.get(round(leaving.earliest, 9), 0.0)

    def was_ready(self, channel: Channel, at: float) -> bool:
        """Whether a sampler may still have read a channel since an earlier block: nobody waits then."""
        before = channel.last_before(at)
        ready = channel.ready_seconds + _ENDS_SECONDS + self.late(before, at)
        return channel.ready_seconds > 0 and at - before < ready

    def failed(self, step: str) -> bool:
        """A step ended with an error."""
        return any(event["step"] == step for event in self.of("error"))

    def moments(self, event: dict[str, Any]) -> Moments:
        """Start and end of an event."""
        return self._moments(event)

    def runs_for(self, process: str, meter: int, before: float) -> list[Run]:
        """The runs of a meter that a process knows, of those that began before a moment, oldest first."""
        found = []
        for run in self.runs:
            if run.meter != meter or run.other or run.extent.start.earliest > before:
                continue
            until = self._known_until(run.process, process)
            if until is None or run.extent.start.latest > until:
                continue
            if until < run.extent.end.latest:  # the worker never leaves it
                run = run._replace(
                    extent=Extent(run.extent.start, Moments(_LONG_AFTER, _LONG_AFTER)),
                    open=True,
                    sampled_until=run.extent.end.earliest,
                )
            found.append(run)
        return found

    def spans_for(self, process: str, meter: int, label: str, run: Run, before: float) -> list[Stretch]:
        """The spans of a label that a process knows of a run, in the order of their ends."""
        found = []
        for span in self.spans:
            until = self._known_until(span.process, process)
            if span.meter == meter and span.label == label and until is not None:
                inside = span.extent.end.latest > run.extent.start.earliest
                if inside and span.extent.end.earliest < min(until, before, run.extent.end.latest):
                    found.append(span)
        return found

    def channels_of(self, run: Run) -> list[Channel]:
        """What a run has measured; another program on the same board has readings of its own."""
        visitor = run.process.rpartition(".")[2]
        if not visitor.startswith("company"):
            return self.channels[run.meter]
        key = visitor, run.meter
        if key not in self._visits:
            folder = self.folder / f"visit-{visitor}"
            self._visits[key] = self._channels(run.meter, self.program.meters[run.meter], folder)
            for channel in self._visits[key]:
                channel.begun([run.extent.start.earliest])
        return self._visits[key]

    def within(self, kind: type[s.Step]) -> list[Run]:
        """The parts of runs that lie within steps of a kind which did not fail."""
        found = []
        for process, name in self._inner:
            step = self.steps.get(name)
            extent = self._extent(process, name)
            if isinstance(step, kind) and extent is not None and not self.failed(name):
                for run in self.runs:
                    part = _common(extent, run.extent)
                    if run.process == process and part is not None:
                        found.append(run._replace(extent=part))
        return found

    # -- from events -------------------------------------------------------------------------------

    def _known_until(self, owner: str, process: str) -> float | None:
        """Until when a process knows what another one did: an ancestor's past is its own."""
        if owner == process:
            return math.inf
        if not process.startswith(owner + "."):
            return None
        child = process[: len(owner) + 1 + len(process[len(owner) + 1 :].split(".")[0])]
        return self._forked.get(child)

    def _seconds(self, at_ns: int) -> float:
        return (at_ns - self.epoch_ns) * 1e-9

    def _moments(self, event: dict[str, Any]) -> Moments:
        return Moments(self._seconds(event["start"]), self._seconds(event["end"]))

    def _channels(self, number: int, spec: s.MeterSpec, folder: Path) -> list[Channel]:
        found = []
        # of several sources none stays ready, nor a thread; before one with a log a baseline may have stayed
        stays = not (spec.object or len(spec.sources) > 1)
        for place, source in enumerate(spec.sources):
            of_whole = spec.rate_hz or source.nominal_hz or source.hz
            for rail, one in enumerate(source.rails or (source,)):
                name = f"{number}.{place}" + (f".{rail}" if source.rails else "")
                hz = one.hz if one.way == "stream" else min(of_whole, one.hz) if source.rails else of_whole
                found.append(
                    Channel(
                        f"known{name}",
                        one,
                        rows(str(folder / f"{name}.rows")),
                        self.epoch_ns,
                        hz,
                        self.breaks,
                        (_READY_SECONDS if spec.linger is None and source.shared else spec.linger or 0.0)
                        * stays,
                    )
                )
        return found

    def _waiting(self) -> dict[float, float]:
        """How long leaving waited for a processor, by the moment at which it began."""
        outer = {(e["process"], e["step"]): e for e in self.of("outer")}
        found = {}
        for inner in self.of("inner"):
            left = outer.get((inner["process"], inner["step"]))
            if left is not None and left["kept_waiting"][0] == inner["kept_waiting"][0]:
                waited = max(0, left["kept_waiting"][1] - inner["kept_waiting"][1]) * 1e-9
                found[round(self._seconds(inner["end"]), 9)] = waited
        return found

    def _extent(self, process: str, step: str) -> Extent | None:
        """The window from enter to exit; the end of the program counts as an exit."""
        inner = self._inner.get((process, step))
        if inner is None:
            return None
        entering = min(self._entering.get((process, step), inner.earliest), inner.earliest)
        outer = self._outer.get((process, step), Moments(entering, inner.latest))
        if outer.earliest > inner.earliest or outer.latest < inner.latest:
            outer = Moments(min(outer.earliest, inner.earliest), max(outer.latest, inner.latest))
        return Extent(Moments(outer.earliest, inner.earliest), Moments(inner.latest, outer.latest))

    def _runs(self) -> Iterable[Run]:
        of_meter: dict[tuple[int, str], list[Extent]] = defaultdict(list)
        of_others: dict[tuple[int, str], list[Extent]] = defaultdict(list)  # other meters of the same source
        for process, step in self._inner:
            meter = self._block_meter(step)
            extent = self._extent(process, step)
            step_way = getattr(self.steps.get(step), "way", "")
            refused = step_way == "open" and self.failed(step)  # it goes on although it was not entered
            if meter is not None and extent is not None and not refused:
                alike = isinstance(self.steps.get(step.partition(".")[0]), s.ForkWhileLeaving)
                (of_others if alike else of_meter)[meter, process].append(extent)
        for event in self.of("idle"):
            step = self.steps[event["step"]]
            assert isinstance(step, s.Idle)
            whole = self._moments(event)
            failed = "error" in event
            start, end = whole, whole
            if not failed:
                start = Moments(whole.earliest, whole.latest - event["seconds"])
                end = Moments(whole.earliest + event["seconds"], whole.latest)
            idle = Extent(start, end)
            if any(_encloses(run, idle) for run in of_meter[step.meter, event["process"]]):
                continue  # it is a window of that run
            read = [channel.last_before(whole.latest) for channel in self.channels[step.meter]]
            if not failed:
                yield Run(step.meter, event["process"], idle, logged=False, begun=whole.earliest)
            elif max(read) > whole.earliest:  # it began, and its source failed
                yield Run(step.meter, event["process"], idle, loose=True, logged=False)
        for (meter, process), extents in of_meter.items():
            for together in _connected(extents):
                yield _run(meter, process, together)
        for (meter, process), extents in of_others.items():
            for together in _connected(extents):
                yield _run(meter, process, together)._replace(logged=False, other=True)

    def _closer(self, run: Run) -> Run:
        """A run begins when every source has answered, and a last sample is taken when it has ended."""
        (begun, entered), (ending, left) = run.extent
        if run.loose:
            return run._replace(begun=begun)
        if not run.logged:
            return run
        channels = self.channels_of(run)
        slow = [channel for channel in channels if not self.was_ready(channel, begun)]
        first = max((channel.first_after(begun) for channel in slow), default=begun)
        if any(channel.spec.late or channel.spec.batch for channel in slow):
            first = min(first, entered - _ENDS_SECONDS)  # what comes together is noted one after the other
        last = max((channel.last_before(left) for channel in channels), default=left)
        start = Moments(min(max(begun, first), entered), entered)
        end = Moments(ending, min(left, last + 1e-4) if last >= ending else left)
        return run._replace(extent=Extent(start, end), begun=begun)

    def _block_meter(self, step: str) -> int | None:
        """The meter that a step enters."""
        name, _, rest = step.partition(".")
        known = self.steps.get(name)
        if isinstance(known, s.Block) or (
            isinstance(known, s.Rush | s.Company | s.ForkWhileLeaving) and rest
        ):
            return known.meter
        return None

    def _spans(self) -> Iterable[Stretch]:
        for process, name in self._inner:
            step = self.steps.get(name.partition(".")[0])
            extent = self._extent(process, name)
            if extent is not None and isinstance(step, s.Span | s.Tasks):
                yield Stretch(step.label, step.meter, process, extent, getattr(step, "way", "task"))
            if extent is not None and isinstance(step, s.Track) and "." in name:
                yield Stretch("track", step.meter, process, _widened(extent), "track")
        for event in self.of("spans"):
            step = self.steps[event["step"].partition(".")[0]]
            for start, end in event["edges"]:
                a, b = self._seconds(start), self._seconds(end)
                assert isinstance(step, s.Many | s.Interrupted | s.Signals)
                yield Stretch(step.label, step.meter, event["process"], Extent(Moments(a, a), Moments(b, b)))

    def _answer(self, event: dict[str, Any]) -> Answer:
        error = event if "error" in event else None
        return Answer(
            event["step"],
            event["what"],
            event["meter"],
            event["process"],
            self._moments(event),
            event.get("value"),
            error,
            max(0.0, event["waited"]),
        )


def _common(a: Extent, b: Extent) -> Extent | None:
    start = max(a.start, b.start, key=lambda moments: moments.latest)
    end = min(a.end, b.end, key=lambda moments: moments.earliest)
    return Extent(start, end) if end.earliest > start.latest else None


def _encloses(run: Extent, idle: Extent) -> bool:
    return run.start.earliest <= idle.start.earliest and idle.end.latest <= run.end.latest


def _widened(extent: Extent, seconds: float = 0.02) -> Extent:
    """Only its inside is known."""
    return Extent(
        Moments(extent.start.earliest - seconds, extent.start.latest),
        Moments(extent.end.earliest, extent.end.latest + seconds),
    )


def _connected(extents: list[Extent]) -> Iterable[list[Extent]]:
    """Blocks of one meter that overlap are one run."""
    together: list[Extent] = []
    end = -math.inf
    for extent in sorted(extents, key=lambda e: e.start.earliest):
        if together and extent.start.earliest > end:
            yield together
            together, end = [], -math.inf
        together.append(extent)
        end = max(end, extent.end.latest)
    if together:
        yield together


def _run(meter: int, process: str, extents: list[Extent]) -> Run:
    first, last = extents[0], max(extents, key=lambda e: e.end.latest)
    left = last.end.latest < _LONG_AFTER
    if first is last:  # the others lie within
        return Run(meter, process, first, open=not left)
    start = Moments(first.start.earliest, max(e.start.latest for e in extents))
    end = Moments(min(e.end.earliest for e in extents), last.end.latest)
    return Run(meter, process, Extent(start, end), loose=True, open=not left)
