"""The judge: every figure of a record against the truth.

A figure is right within its own ±, or it carries a warning: coverage, a note, an error. The energy of a
window that is partly covered must be that of its covered part. What is neither becomes a `Finding`.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from oracle import steps as s
from oracle.events import Answer, Record
from oracle.truth import Channel, Extent, Measured, Moments, Run, Stretch

FAR = 2.5
"""So many times its ± (k = 2) no figure may be off: five standard deviations."""
COVERED = 0.995
"""From this coverage on a window counts as measured."""
_EXACT = 1e-6
_DISORDER = 8
"""Spans of several threads that end at about the same time may be listed so far out of order."""
_LEAVE_SECONDS = 0.2
"""What leaving may take, besides what its source takes for a reading. As all that is promised in seconds, it
grows by the load that was measured meanwhile."""
_ENTER_SECONDS = 0.3
"""The start of a sampling process."""
_FIRST_SAMPLE_SECONDS = 2.0
"""And for so long a source that fails is waited for."""
_RESTART_SECONDS = 0.5
"""And where its sampler was ended or halted."""
_ASK_SECONDS = 0.3
"""The arithmetic of an answer, of thousands of spans."""
_PERIOD_SECONDS = 3.0
"""A question waits for one sample at most, and for a slow one not at all."""
_LONG_AGO_SECONDS = 0.05
_EDGE_SECONDS = 2e-4
_STAMP_SECONDS = 0.02
"""A sample has the time of its reading but for so much."""
_SWITCH_SECONDS = 0.03
"""And where its sampler is a thread of a program that computes, so much later."""
_ON_ITS_WAY_SECONDS = 0.03
"""A reading may be so old before it is a sample."""
_HARMLESS = ("sampled by a thread", "± without the unknown accuracy")


class Finding(NamedTuple):
    """One lie, crash, hang or leak."""

    code: str
    """The kind of finding; the same defect always has the same code."""
    figure: str
    message: str


class Score(NamedTuple):
    """One figure that was right: how far off it was, and its own ±."""

    kind: str
    error: float
    uncertainty: float


class Verdict:
    """What was found in one program."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.scores: list[Score] = []
        self.figures = 0
        self.healthy = 0
        """Figures of windows in which every source was read without a gap."""
        self.refused = 0
        """Healthy windows for which an error came instead of a figure."""

    def found(self, code: str, figure: str, message: str) -> None:
        self.findings.append(Finding(code, figure, message))


class Judge:
    """Judges one record.

    Args:
        far: so many times its ± no figure may be off.
    """

    def __init__(self, record: Record, far: float = FAR) -> None:
        self.record, self.verdict, self._far = record, Verdict(), far

    def judge(self) -> Verdict:
        """Every answer, and what happened besides."""
        for answer in self.record.answers:
            self._answer(answer)
        self._events()
        self._times()
        return self.verdict

    # -- answers -----------------------------------------------------------------------------------

    def _answer(self, answer: Answer) -> None:
        runs = self.record.runs_for(answer.process, answer.meter, answer.asked.latest)
        figure = f"{answer.step} {answer.what}"
        took = answer.asked.latest - answer.asked.earliest - answer.waited
        slowest = max((1 / c.hz + c.spec.slow for c in self.record.channels[answer.meter]), default=0.0)
        limit = min(slowest, _PERIOD_SECONDS) + _ASK_SECONDS + self.stalls(answer.meter)
        if took > self.record.allowed(limit, *answer.asked):
            self.verdict.found("slow answer", figure, f"took {took:.2f} s")
        if answer.error is not None and not answer.error["ours"]:
            self._crashed(figure, answer.error)
            return
        if not runs:
            tried = any("error" in event for event in self.record.of("idle"))  # it was a run
            if answer.error is None and answer.what in ("usage", "usages", "trace") and not tried:
                self.verdict.found("figure of nothing", figure, f"{answer.value} without a run")
            return
        run = runs[-1]
        window = self._window(run, answer.asked)
        if answer.error is not None:
            self._error_instead(figure, run, window, answer.error)
            return
        match answer.what:
            case "usage":
                self._usage(figure, "usage", answer.value, window, self._counted(run))
            case "usages":
                self._usages(figure, answer.value, run, window)
            case "spans":
                for label, value in answer.value.items():
                    self._spans(f"{figure} {label}", label, value, run, answer)
            case "trace" if not run.loose:
                self._trace(figure, answer.value, run, window)

    def usage(
        self, figure: str, kind: str, value: dict[str, Any], window: Extent, channels: Sequence[Channel]
    ) -> None:
        """One more usage, of a file that the program has left."""
        self._usage(figure, kind, value, window, channels)

    def sampled(self, channels: Sequence[Channel], extent: Extent, begun: float) -> tuple[Moments, Moments]:
        """When the first and the last sample of a run were taken: a curve reaches from one to the other."""
        grace = max(self._grace(channel) for channel in channels) + 0.1
        firsts, lasts, earliest, latest = [], [], math.inf, -math.inf
        for channel in channels:
            since = max(begun, extent.start.earliest - 3.0)
            inside = [t for t in channel.times if since <= t <= extent.end.latest + grace]
            longest = max(channel.spec.late, stalled_seconds(channel))
            if longest and not channel.spec.stamped and inside:
                late = min(longest, inside[0] - since)
                earliest = min(earliest, inside[0] - late)  # half of what its first answer took
            if self.record.was_ready(channel, since):
                earliest = min(earliest, channel.last_before(since))
                latest = max(latest, channel.last_before(extent.start.latest))
            firsts += inside[:1]
            lasts += inside[-1:]
        if not firsts:
            return extent.start, extent.end
        first = Moments(
            min(earliest, min(firsts) - _STAMP_SECONDS), max(latest, min(firsts)) + _STAMP_SECONDS
        )
        # one that stays ready takes the sample after the end at its own pace
        after = [channel.first_after(extent.end.latest) for channel in channels if channel.ready_seconds]
        last = Moments(
            min(extent.end.earliest, *lasts) - grace,
            max(min(extent.end.latest, max(lasts)) + grace, *after, -math.inf),
        )
        return first, last

    def grace(self, channel: Channel) -> float:
        """Seconds at the edges of a stretch that a meter may count or not."""
        return self._grace(channel)

    def healthy_run(self, run: Run) -> bool:
        """Every source was read from its start to its end without a gap."""
        return self._healthy(self._counted(run), run.extent.start.latest, run.extent.end.earliest)

    def tolerance(self, channel: Channel, start: float, end: float) -> float:
        """Joules that no meter can know."""
        return self._tolerance(channel, start, end)

    def _counted(self, run: Run) -> list[Channel]:
        return self.record.channels_of(run)

    def stalls(self, meter: int) -> float:
        """Seconds for which a source was arranged to block."""
        return sum(map(stalled_seconds, self.record.channels[meter]))

    def _window(self, run: Run, asked: Moments) -> Extent:
        """The window of a run as known when asked. A run that is still open ends with its newest sample."""
        if not run.open and run.extent.end.latest <= asked.earliest:
            return run.extent
        # a run that is being left while it is asked, or goes on; what a held thread has is no sample yet
        known = asked.earliest - self._held(run)
        newest = [self._newest(channel, known) for channel in self._counted(run)]
        earliest = min((moment for moment in newest if moment is not None), default=run.extent.start.earliest)
        return Extent(run.extent.start, Moments(min(earliest, asked.earliest), asked.latest))

    def _on_its_way(self, at: float) -> float:
        """How old a reading may be at a moment before it is a sample, s."""
        return self.record.allowed(_ON_ITS_WAY_SECONDS, at - 0.2, at)

    def _newest(self, channel: Channel, at: float) -> float | None:
        """The newest sample that a meter must know of by now, if its source goes on."""
        known = [time for time in channel.times if time <= at - self._on_its_way(at)]
        slack = 2 * (1 / channel.hz + channel.spec.renews) + 0.06 + channel.spec.slow + channel.spec.batch
        return known[-1] - slack if known else None

    def _came(self, channel: Channel, at: float) -> float:
        """The time of the newest sample that had come by a moment; infinity after the last one of all."""
        known = [time for time in channel.times if time <= at - self._on_its_way(at)]
        if not channel.times or len(known) == len(channel.times):
            return math.inf
        return known[-1] if known else -math.inf

    def _error_instead(self, figure: str, run: Run, window: Extent, error: dict[str, Any]) -> None:
        """An error instead of a figure: fine where something was wrong, at most 2 % elsewhere."""
        self.verdict.figures += 1
        _, shortest = window.seconds[1], window.seconds[0]
        slowest = max(1 / channel.hz for channel in self._counted(run))
        if run.loose or shortest < 3 * slowest + 0.02 or self._blind(run):
            return
        if self._healthy(self._counted(run), window.start.latest, window.end.earliest):
            self.verdict.healthy += 1
            self.verdict.refused += 1

    def _blind(self, run: Run) -> bool:
        """A worker cannot see what a thread of its parent samples."""
        return self.record.program.meters[run.meter].object and run.process != "0"

    @staticmethod
    def _healthy(channels: Sequence[Channel], start: float, end: float) -> bool:
        if end <= start or any(channel.spec.renews or _wraps_unseen(channel) for channel in channels):
            return False
        return all(
            channel.measured(start, end).seconds >= 0.999 * (end - start) and channel.times
            for channel in channels
        )

    # -- one usage ---------------------------------------------------------------------------------

    def _usage(
        self,
        figure: str,
        kind: str,
        value: dict[str, Any],
        window: Extent,
        channels: Sequence[Channel],
    ) -> None:
        """One usage against the truth."""
        verdict = self.verdict
        verdict.figures += 1
        seconds, coverage = value["seconds"], value["coverage"]
        low, high = window.seconds
        if not (low - _EDGE_SECONDS <= seconds <= high + _EDGE_SECONDS):
            verdict.found(f"{kind} seconds", figure, f"says {seconds:.4f} s, true {low:.4f} to {high:.4f} s")
            return
        if not 0 <= coverage <= 1:
            verdict.found(f"{kind} coverage", figure, f"coverage is {coverage}")
            return
        self._consistent(figure, kind, value, channels)
        places = window.placed(seconds, [channel.wave for channel in channels])
        slack = max(window.start.latest - window.start.earliest, 0.0)
        if all(not channel.times for channel in channels):
            verdict.found(f"{kind} of nothing", figure, f"says {value['joules']} J though nothing was read")
            return
        self._joules(figure, kind, value, places, channels, slack)

    def _joules(
        self,
        figure: str,
        kind: str,
        value: dict[str, Any],
        places: Sequence[tuple[float, float]],
        channels: Sequence[Channel],
        bracket: float,
    ) -> None:
        seconds, coverage, joules = value["seconds"], value["coverage"], value["joules"]
        start, end = places[0][0], places[-1][1]
        parts = [channel.measured(start, end) for channel in channels]
        grace = [self._grace(c) for c in channels]
        sure = min((p.seconds for p in parts), default=0.0) - (end - start - seconds)
        most = _together(parts)
        edge = max(grace)
        if coverage * seconds > most + edge and coverage * seconds > most * 1.002 + edge:
            self.verdict.found(
                f"{kind} coverage",
                figure,
                f"says {coverage * seconds:.3f} of {seconds:.3f} s were measured, true at most {most:.3f} s",
            )
            return
        tight = end - start - seconds < 0.02 and seconds > 0
        if tight:
            self.verdict.healthy += int(sure >= 0.999 * seconds)
            if sure >= 0.999 * seconds and coverage < 0.98 and seconds > 5 * edge:
                self.verdict.refused += 1
        lows, highs = zip(*(self._truth(a, b, channels, coverage) for a, b in places), strict=True)
        low, high = min(lows), max(highs)
        tolerance = self._far * value["uncertainty"] + sum(self._tolerance(c, start, end) for c in channels)
        tolerance += _EXACT * abs(high) + 1e-9
        if coverage >= COVERED:  # what is missing may have been its peak
            tolerance += (1 - coverage) * seconds * sum(c.wave.extremes(start, end)[1] for c in channels)
        unseen = any("is read too seldom" in note for note in value["notes"])
        if not low - tolerance <= joules <= high + tolerance and not unseen:
            self.verdict.found(
                f"{kind} joules",
                figure,
                f"says {joules:.6g} ± {value['uncertainty']:.3g} J in {seconds:.4f} s, "
                f"{100 * coverage:.1f} % covered; true {low:.6g} to {high:.6g} J",
            )
            return
        if tight and high - low < 0.1 * value["uncertainty"] and coverage >= 0.9995:
            kinds = "+".join(sorted({f"{c.spec.semantics} {c.spec.quantity}" for c in channels}))
            self.verdict.scores.append(
                Score(f"{kind} of {kinds}", joules - (low + high) / 2, value["uncertainty"])
            )
        self._interpolated(figure, kind, value, places, channels)
        self._peak(figure, kind, value, places, channels, bracket)

    @staticmethod
    def _truth(start: float, end: float, channels: Sequence[Channel], coverage: float) -> tuple[float, float]:
        """Between what the energy of the covered part of a window may lie, J."""
        whole = sum(channel.wave.joules(start, end) for channel in channels)
        if coverage >= COVERED:
            return whole, whole
        low = high = 0.0
        for channel in channels:
            part: Measured = channel.measured(start, end)
            most = channel.wave.extremes(start, end)[1] if end > start else 0.0
            lost = most * (_lost_edges(channel) + part.gaps / channel.hz)
            low += max(0.0, part.joules - lost)
            high += part.joules + part.more_joules + part.slack_joules + lost
        return min(low, whole), high

    @staticmethod
    def _grace(channel: Channel) -> float:
        """Seconds at the edges of a stretch that a meter may count or not."""
        waits = 1 / channel.hz + channel.spec.renews + channel.spec.news
        return 2.2 * waits + 0.03 + channel.spec.slow + channel.spec.batch

    @staticmethod
    def _tolerance(channel: Channel, start: float, end: float) -> float:
        """Joules that no meter can know, because a reading was delayed or carries no device time."""
        part = channel.measured(start, end)
        low, high = channel.wave.extremes(start - 0.1, end + 0.1)
        late = max(0.0, min(part.longest, 1.0) - 1 / channel.hz) + 0.002
        late = 0.0 if channel.spec.stamped else 3 * late  # and not only once
        moved = high if channel.spec.semantics == "counter" else high - low
        renews = channel.spec.renews  # a first step since a value was renewed is seen by nobody
        edges = [channel.wave.extremes(edge - renews, edge) for edge in (start, end)] if renews else []
        return part.slack_joules + moved * late + sum(most - least for least, most in edges) * renews

    def _consistent(self, figure: str, kind: str, value: dict[str, Any], channels: Sequence[Channel]) -> None:
        """A usage agrees with itself."""
        joules, covered = value["joules"], value["measured_seconds"]
        checks = {"wh": joules / 3600}
        if covered > 0 and value["mean_watts"] is not None:
            checks["mean_watts"] = joules / covered
        if value["coulombs"] is not None:
            checks["mah"] = value["coulombs"] / 3.6
            checks["coulombs"] = joules / 5.0
        if value["net_joules"] is not None:
            # each source's own baseline counts for its own covered time, and which draws what is not in here
            shortest, longest = min(value["covered_seconds"]), max(value["covered_seconds"])
            least, most = (joules - value["idle_watts"] * seconds for seconds in (longest, shortest))
            checks["net_joules"] = min(max(value["net_joules"], least), most)
        for name, wanted in checks.items():
            if not math.isclose(value[name], wanted, rel_tol=1e-6, abs_tol=1e-9):
                self.verdict.found(
                    f"{kind} {name}", figure, f"says {value[name]}, but joules make it {wanted}"
                )
        if not math.isfinite(value["uncertainty"]) or value["uncertainty"] < 0:
            self.verdict.found(f"{kind} uncertainty", figure, f"is ± {value['uncertainty']}")

    def _interpolated(
        self,
        figure: str,
        kind: str,
        value: dict[str, Any],
        places: Sequence[tuple[float, float]],
        channels: Sequence[Channel],
    ) -> None:
        """With straight lines across the gaps, the whole is within its own ±, if its peak was seen."""
        joules, doubt = value["interpolated_joules"], value["interpolated_uncertainty"]
        if joules is None or doubt is None or value["peak_watts"] is None:
            return
        wholes = [sum(channel.wave.joules(a, b) for channel in channels) for a, b in places]
        start, end = places[0][0], places[-1][1]
        if sum(channel.wave.extremes(start, end)[1] for channel in channels) > value["peak_watts"]:
            return
        tolerance = FAR * doubt + sum(self._tolerance(channel, start, end) for channel in channels) + 1e-9
        if not min(wholes) - tolerance <= joules <= max(wholes) + tolerance:
            self.verdict.found(
                f"{kind} interpolated",
                figure,
                f"says {joules:.6g} ± {doubt:.3g} J, true {min(wholes):.6g} to {max(wholes):.6g} J",
            )

    def _peak(
        self,
        figure: str,
        kind: str,
        value: dict[str, Any],
        places: Sequence[tuple[float, float]],
        channels: Sequence[Channel],
        bracket: float,
    ) -> None:
        """The peak is that of the readings in the window."""
        peak = value["peak_watts"]
        if peak is None or len(channels) > 1 or channels[0].spec.quantity == "joules":
            return
        inner_start, inner_end = places[-1][0] + bracket, places[0][1]
        news = channels[0].spec.renews  # repeats are no neighbours, and what repeats is of the window before
        inner, _ = channels[0].peaks(inner_start + news, inner_end)
        _, outer = channels[0].peaks(places[0][0] - news, places[-1][1] + news)
        if not inner - 1e-6 <= peak * (1 + 1e-9) or (outer and peak > outer + 1e-6):
            self.verdict.found(
                f"{kind} peak", figure, f"says {peak:.6g} W, its readings {inner:.6g} to {outer:.6g} W"
            )

    # -- several ----------------------------------------------------------------------------------

    def _usages(self, figure: str, value: dict[str, Any], run: Run, window: Extent) -> None:
        channels = {channel.name: channel for channel in self._counted(run)}
        if set(value) != set(channels):
            self.verdict.found("channels", figure, f"says {sorted(value)}, true {sorted(channels)}")
            return
        for name, usage in value.items():
            wide = Extent(
                window.start, Moments(window.end.earliest, max(window.end.latest, window.end.earliest))
            )
            self._usage(f"{figure} {name}", "usages", usage, wide, [channels[name]])

    def _trace(self, figure: str, value: dict[str, Any], run: Run, window: Extent) -> None:
        """From the first sample, which may precede the run's start, to the last one."""
        channels = self._counted(run)
        first, last = self.sampled(channels, window, run.begun)
        if run.open or run.loose:  # it may have seen less than what was read meanwhile
            last = Moments(window.end.earliest - self._grace(channels[0]), window.end.latest)
        grace = self._grace(channels[0])
        killed = [at for at in self.record.breaks if run.begun - grace <= at <= window.end.latest]
        if killed:  # what was read since may be too little to be seen
            last = Moments(min(last.earliest, max(first.earliest, killed[-1] - grace)), last.latest)
        extent = Extent(first, last)
        self._usage(figure, "trace", value["usage"], extent, channels)
        for part in value["windows"]:
            self._trace_window(figure, part, first, channels)

    def _trace_window(
        self, figure: str, part: dict[str, Any], first: Moments, channels: Sequence[Channel]
    ) -> None:
        """A window of a trace, whose second 0 is its first sample."""
        joules, usage = part["joules"], part.get("usage")
        if usage is None or joules is None:
            if usage is not joules:
                self.verdict.found("trace energy", figure, f"energy() {joules} J, usage() {usage}")
            return
        if not math.isclose(joules, usage["joules"], rel_tol=1e-6, abs_tol=1e-6):
            self.verdict.found("trace energy", figure, f"energy() {joules} J, usage() {usage['joules']} J")
        extent = Extent(
            Moments(first.earliest + part["start"], first.latest + part["start"]),
            Moments(first.earliest + part["end"], first.latest + part["end"]),
        )
        self._usage(f"{figure} {part['start']:.3f} s", "trace window", usage, extent, channels)

    def _spans(self, figure: str, label: str, value: dict[str, Any], run: Run, answer: Answer) -> None:
        """The spans of one label: how many, each one, and their statistics."""
        channels = self._counted(run)
        known = self.record.spans_for(answer.process, run.meter, label, run, answer.asked.latest)
        must = [span for span in known if self._within(span, run, answer)]
        for name in ("joules", "seconds", "usage", "usages", "text"):
            error = value.get(name, {})
            if "error" in error and not error["ours"]:
                self._crashed(f"{figure} {name}", error)
                return
        if not len(must) <= value["n"] <= len(known):
            self.verdict.found(
                "span count", figure, f"says {value['n']}, true {len(must)} to {len(known)} finished"
            )
            return
        usages = value.get("usages", {}).get("value")
        doubt = None
        if usages is not None:
            self._each(figure, usages, known, run, channels, answer.asked.latest)
            self._lost(figure, usages, must, run, channels, answer)
            doubt = [usage["uncertainty"] for usage in usages]
        self._statistics(figure, value, known, must, run, channels, doubt)

    def _lost(
        self,
        figure: str,
        usages: list[dict[str, Any]],
        must: list[Stretch],
        run: Run,
        channels: Sequence[Channel],
        answer: Answer,
    ) -> None:
        """A span whose readings were given long before the run's end is measured when the run has ended."""
        ended = not run.open and run.extent.end.latest <= answer.asked.earliest
        calm = not self.record.breaks and all(channel.spec.healthy for channel in channels)
        # of repeats that a held thread did not take, the whole time since the last new value is a gap
        blind = self._blind(run) or (self._held(run) and any(channel.spec.renews for channel in channels))
        if not ended or not calm or blind:
            return
        end = run.extent.end.earliest
        long_ago = end - _LONG_AGO_SECONDS - self.record.late(end - 1.0, end) - self._held(run)
        # a thread of the program stamps its reading when the others let it
        stamped = _SWITCH_SECONDS if self.record.program.meters[run.meter].object else 0.0
        known = [
            span
            for span in must
            if all(
                self._covered(channel, _ends(span)[0] - stamped, _ends(span)[1])
                and channel.first_after(span.extent.end.latest) < long_ago
                for channel in channels
            )
        ]
        measured = sum(usage["coverage"] > 0.5 for usage in usages)
        if measured < len(known):
            self.verdict.found(
                "span lost", figure, f"{measured} of {len(known)} were measured, though all of them were read"
            )

    def _held(self, run: Run) -> float:
        """How long the program may have kept a thread from handing a reading on, s."""
        if not self.record.program.meters[run.meter].object:
            return 0.0
        holds = [step.seconds for step in s.walk(self.record.program.steps) if isinstance(step, s.Hold)]
        return max(holds, default=0.0)

    @staticmethod
    def _within(span: Stretch, run: Run, answer: Answer) -> bool:
        """A span that no fair meter may leave out."""
        inside = run.extent.start.latest <= span.extent.start.earliest + 1e-6
        closed = span.extent.end.latest <= min(run.extent.end.earliest + 1e-6, answer.asked.earliest)
        return inside and closed and not run.loose

    def _each(
        self,
        figure: str,
        usages: list[dict[str, Any]],
        known: list[Stretch],
        run: Run,
        channels: Sequence[Channel],
        asked: float,
    ) -> None:
        """Every usage belongs to a span; those of about one moment may come in any order."""
        matched: dict[int, int] = {}
        for number, usage in enumerate(usages):
            if not self._match(number, usages, known, channels, matched, set()):
                self.verdict.found(
                    "span seconds", f"{figure} {number}", f"no span took {usage['seconds']:.6f} s"
                )
                return
        for place, number in matched.items():
            extent = known[place].extent
            seen = [min(self._came(channel, asked), run.sampled_until) for channel in channels]
            if min(seen) >= extent.end.earliest:
                self._usage(f"{figure} {number}", "span", usages[number], extent, channels)

    def _match(
        self,
        number: int,
        usages: Sequence[dict[str, Any]],
        known: Sequence[Stretch],
        channels: Sequence[Channel],
        matched: dict[int, int],
        tried: set[int],
    ) -> bool:
        """Find the span of a usage; one that another usage took, if that can be of a third span (Kuhn 1955).

        Args:
            matched: the number of the usage by the place of its span; the match is added.
            tried: places that are not asked again.
        """
        usage = usages[number]
        fits = [at for at, span in enumerate(known) if at not in tried and _fits(span, usage["seconds"])]
        free = [at for at in fits if at not in matched]
        if free:
            # those of which nothing was measured may be left out, and many take equally long
            near = [at for at in free if at >= max(matched, default=0) - _DISORDER] or free
            if len(near) > 1:
                near.sort(key=lambda at: (*self._mismatch(known[at], usage, channels), at))
            matched[near[0]] = number
            return True
        for at in fits:
            tried.add(at)
            if self._match(matched[at], usages, known, channels, matched, tried):
                matched[at] = number
                return True
        return False

    def _mismatch(
        self, span: Stretch, usage: dict[str, Any], channels: Sequence[Channel]
    ) -> tuple[float, float]:
        """How badly a usage suits a span: by what was measured, then by its length."""
        start = span.extent.start.latest
        end = start + usage["seconds"]
        parts = [channel.measured(start, end) for channel in channels]
        covered = usage["coverage"] * usage["seconds"]
        grace = max(self._grace(channel) for channel in channels)
        extra = max(0.0, covered - min(part.seconds + part.possibly for part in parts) - grace)
        lacking = max(0.0, min(part.seconds for part in parts) - covered - grace)
        return round(extra + lacking, 6), round(_excess_seconds(span, usage["seconds"]), 9)

    def _statistics(
        self,
        figure: str,
        value: dict[str, Any],
        known: list[Stretch],
        must: list[Stretch],
        run: Run,
        channels: Sequence[Channel],
        doubt: list[float] | None,
    ) -> None:
        """Totals and means are those of covered spans, and say how many were left out."""
        total = value["joules"]
        self.verdict.figures += 1
        ends = [(span, _ends(span)) for span in known]
        whole = [
            (span, a, b) for span, (a, b) in ends if all(self._covered(channel, a, b) for channel in channels)
        ]
        maybe = [
            (span, a, b)
            for span, (a, b) in ends
            if (span, a, b) not in whole
            and all(
                c.measured(a, b).seconds + c.measured(a, b).possibly > 0.98 * (b - a) - self._grace(c)
                for c in channels
            )
        ]
        if "error" in total:
            if must and len(whole) == len(known) and not self._blind(run):
                slowest = max(1 / channel.hz for channel in channels)
                if all(b - a > 2 * slowest for _, a, b in whole):
                    self.verdict.healthy += 1
                    self.verdict.refused += 1
            return
        said = total["value"]
        n = said["n"]
        sure = [item for item in whole if item[0] in must]
        if n > len(whole) + len(maybe):
            self.verdict.found(
                "statistics count",
                figure,
                f"are of {n} spans, of which at most {len(whole) + len(maybe)} were measured",
            )
            return
        if not self._blind(run) and n < len(sure):
            self.verdict.refused += 1
        energy = sorted(sum(c.wave.joules(a, b) for c in channels) for _, a, b in (*whole, *maybe))
        if not energy or n > len(energy):
            return
        each = self._spread(known, channels, doubt)
        partly = (1 - COVERED) * energy[-1]  # one that lost so little counts as whole
        low, high = math.fsum(energy[:n]) - n * each - partly, math.fsum(energy[len(energy) - n :]) + n * each
        if not low <= said["total"] <= high:
            self.verdict.found(
                "statistics total",
                figure,
                f"says {said['total']:.6g} J for {n} spans, true {low:.6g} to {high:.6g} J",
            )
            return
        if not math.isclose(said["mean"] * n, said["total"], rel_tol=1e-9, abs_tol=1e-12):
            self.verdict.found(
                "statistics mean", figure, f"mean {said['mean']} of {n} is not {said['total']}"
            )
        if n == len(energy):
            middle = (energy[(n - 1) // 2] + energy[n // 2]) / 2
            if not abs(said["median"] - middle) <= each + 1e-9:
                self.verdict.found(
                    "statistics median", figure, f"says {said['median']:.6g}, true {middle:.6g} J"
                )
        if n < value["n"] and not _mentions(said, value["n"] - n):
            self.verdict.found(
                "left out silently", figure, f"{said} is of {n} spans of {value['n']} and does not say so"
            )

    def _covered(self, channel: Channel, start: float, end: float) -> bool:
        """Measured from its start to its end, beyond doubt."""
        return channel.measured(start, end).seconds >= 0.9999 * (end - start) and bool(channel.times)

    def _spread(
        self, known: Sequence[Stretch], channels: Sequence[Channel], doubt: list[float] | None
    ) -> float:
        """What one span may be off by, J."""
        widest = max(doubt) if doubt else 0.0
        bracket = max((span.extent.seconds[1] - span.extent.seconds[0] for span in known), default=0.0)
        watts = sum(channel.wave.peak for channel in channels)
        late = max(sum(self._tolerance(channel, *_ends(span)) for channel in channels) for span in known)
        if not doubt:
            widest = sum(
                channel.spec.band[0] * channel.wave.peak * max(b - a for a, b in map(_ends, known))
                + (channel.wave.peak - channel.wave.floor) * 2 / channel.hz
                + channel.spec.band[1] * max(b - a for a, b in map(_ends, known))
                + channel.spec.band[2]
                for channel in channels
            )
        return FAR * widest + bracket * watts + late + 1e-9

    # -- what happened besides ---------------------------------------------------------------------

    def _crashed(self, figure: str, error: dict[str, Any]) -> None:
        self.verdict.found(
            f"crash {error['error']}", figure, f"{error['message']}\n{error.get('traceback', '')}"
        )

    def _events(self) -> None:
        record, verdict = self.record, self.verdict
        for event in record.of("crash"):
            self._crashed(event["of"], event)
        for event in record.of("error"):
            if event["error"] == "RuntimeWarning" and "strict" in record.program.where:
                continue  # the program asked that warnings be raised; `_warnings` looks for needless ones
            if not event["ours"]:
                self._crashed(event["step"], event)
            elif self._uncalled_for(event):
                verdict.found(f"refused {event['error']}", event["step"], event["message"])
        for event in record.of("leak"):
            what = [name for name in ("threads", "files", "processes") if event[name]]
            for name in what:
                verdict.found(f"leaked {name}", "end", f"{event[name]}")
        for event in record.of("changed"):
            verdict.found("changed later", event["step"], f"{event['before']} became {event['after']}"[:2000])
        for event in record.of("counted"):
            if event["count"] != event["wanted"] and not record.failed(event["step"]):
                verdict.found(
                    "lost items", event["step"], f"{event['count']} of {event['wanted']} came through"
                )
        for event in record.of("idle"):
            self._idle(event)
        for event in record.of("replay"):
            self._replay(event)
        self._warnings()
        generations = record.folder / "generations"
        if generations.exists() and len(generations.read_text().splitlines()) > 3:
            verdict.found("endless chain", "frozen", "the program starts itself again and again")

    def _uncalled_for(self, event: dict[str, Any]) -> bool:
        """An error of ours where nothing was wrong."""
        step = self.record.steps.get(event["step"].partition(".")[0])
        hindered = {"frozen", "no executable"} & set(self.record.program.where)
        if event["step"].endswith(".x") or isinstance(step, s.Refused | s.Drawing | None) or hindered:
            return False
        meter = getattr(step, "meter", 0)
        if isinstance(step, s.Replay):
            return not step.kill and step.channels == 1
        spec = self.record.program.meters[meter]
        return (
            all(source.healthy for source in spec.sources) and not self.record.breaks and spec.log != "fifo"
        )

    def _idle(self, event: dict[str, Any]) -> None:
        """A baseline is the mean power of its own time."""
        if "error" in event:
            if not event["ours"]:
                self._crashed(event["step"], event)
            return
        self.verdict.figures += 1
        step = self.record.steps[event["step"]]
        assert isinstance(step, s.Idle)
        channels = self.record.channels[step.meter]
        moments = self.record.moments(event)
        extent = Extent(
            Moments(moments.earliest, moments.latest - event["seconds"]),
            Moments(moments.earliest + event["seconds"], moments.latest),
        )
        low = high = tolerance = 0.0
        for channel in channels:
            means = []
            for a, b in extent.placed(event["seconds"]):
                part = channel.measured(a, b)
                least, most = channel.wave.share(a, b, max(part.seconds, 1e-3))
                whole = part.seconds > 0.99 * (b - a)
                means += [
                    channel.wave.joules(a, b) / (b - a) if whole else least / max(part.seconds, 1e-3),
                    channel.wave.joules(a, b) / (b - a) if whole else most / max(part.seconds, 1e-3),
                ]
            low, high = low + min(means), high + max(means)
            tolerance += self._tolerance(channel, moments.earliest, moments.latest) / event["seconds"]
            tolerance += 0.01 * (channel.wave.peak - channel.wave.floor)
        tolerance += FAR * event["uncertainty"] + 1e-9
        if not low - tolerance <= event["watts"] <= high + tolerance:
            self.verdict.found(
                "idle watts", event["step"], f"says {event['watts']:.6g} W, true {low:.6g} to {high:.6g} W"
            )

    def _replay(self, event: dict[str, Any]) -> None:
        """A recording has the energy that it has, or an error."""
        self.verdict.figures += 1
        if "error" in event:
            if not event["ours"]:
                self._crashed(event["step"], event)
            return
        usage = event["value"]
        whole = usage["coverage"] >= COVERED and math.isclose(
            usage["seconds"], event["seconds"], rel_tol=1e-3
        )
        tolerance = FAR * usage["uncertainty"] + 1e-6 * event["joules"]
        if abs(usage["joules"] - event["joules"]) <= tolerance and whole:
            return
        reported = event["killed"] and (usage["coverage"] < COVERED or usage["notes"])
        if not reported or usage["joules"] > event["joules"] + tolerance:
            self.verdict.found(
                "replay joules",
                event["step"],
                f"says {usage['joules']:.6g} J in {usage['seconds']:.3f} s, true {event['joules']:.6g} J "
                f"in {event['seconds']:.3f} s; notes {usage['notes']}",
            )

    def _warnings(self) -> None:
        """No warning without a reason."""
        calm = all(spec.healthy for meter in self.record.program.meters for spec in meter.sources)
        if not calm or self.record.breaks or self.record.program.where:
            return
        steps = [type(step) for step in s.walk(self.record.program.steps)]
        if {s.Hold, s.Company, s.Drawing, s.Closerange, s.ForkWhileLeaving, s.Fork, s.Leave, s.Reset} & set(
            steps
        ):
            return
        channels = [channel for meter in self.record.channels for channel in meter]
        missed = any(map(_is_seldom, channels)) or not all(  # a loop may well end between two samples
            self._covered(channel, run.extent.start.latest, run.extent.end.earliest)
            for run in self.record.runs
            for channel in self._counted(run)
        )
        for event in self.record.of("warning"):
            if event["message"].startswith("nothing was debited") and missed:
                continue
            self.verdict.found("needless warning", "program", f"{event['category']}: {event['message']}")

    def _times(self) -> None:
        """Nothing takes longer than it must."""
        record = self.record
        stalls = sum(self.stalls(number) for number in range(len(record.channels)))
        slow = max((1 / c.hz + c.spec.slow for meter in record.channels for c in meter), default=0.0)
        for run in record.runs:
            if run.open or run.loose:
                continue
            leaving = run.extent.end.latest - run.extent.end.earliest - record.waited(run.extent.end)
            limit = _LEAVE_SECONDS + slow + stalls + (_RESTART_SECONDS if record.breaks else 0.0)
            if not (run.logged or run.other):  # a baseline enters too, and waits for the first sample
                late = max((channel.spec.late for channel in record.channels[run.meter]), default=0.0)
                fails = any(channel.spec.troubles for channel in record.channels[run.meter])
                limit += _ENTER_SECONDS + max(late, _FIRST_SAMPLE_SECONDS * fails)
            if leaving > record.allowed(limit, *run.extent.end):
                self.verdict.found("slow leave", "run", f"leaving took {leaving:.2f} s")
        hung = record.folder / "hung.txt"
        if hung.exists() and hung.stat().st_size:
            self.verdict.found("hang", "program", hung.read_text()[-3000:])
        elif not record.of("finished") and not record.of("leave"):
            said = (record.folder / "stderr.txt").read_text()[-3000:]
            self.verdict.found("crash of the program", "program", said)


def stalled_seconds(channel: Channel) -> float:
    """Seconds for which a source was arranged to block."""
    troubles = [trouble for trouble in channel.spec.troubles if trouble[0] == "stall"]
    return sum(min(end - start, 10.0) for _, start, end, _ in troubles)


def _lost_edges(channel: Channel) -> float:
    return 3.5 * (1 / channel.hz + channel.spec.renews) + 0.06 + channel.spec.slow + channel.spec.batch


def _wraps_unseen(channel: Channel) -> bool:
    """Whether its counter may wrap twice from one reading to the next."""
    spec = channel.spec
    return bool(spec.wrap and spec.max_watts and spec.wrap / spec.max_watts < 2 / channel.hz)


def _is_seldom(channel: Channel) -> bool:
    """Whether a loop of the program may end between two samples."""
    return 1 / channel.hz + channel.spec.renews + channel.spec.news + channel.spec.batch > 0.1


def _excess_seconds(span: Stretch, seconds: float) -> float:
    """How far a length is from what the span can have lasted, s."""
    low, high = span.extent.seconds
    return max(low - seconds, seconds - high, 0.0)


def _fits(span: Stretch, seconds: float) -> bool:
    low, high = span.extent.seconds
    return _excess_seconds(span, seconds) <= (_EDGE_SECONDS if high > low else 2e-6)


def _ends(span: Stretch) -> tuple[float, float]:
    """The window that a span lasted at least."""
    start, end = span.extent.start.latest, span.extent.end.earliest
    return (start, end) if end > start else (span.extent.start.earliest, span.extent.end.latest)


def _together(parts: Sequence[Measured]) -> float:
    """The most that was measured, s; of several channels each counts by its energy."""
    seen = [part.seconds + part.possibly for part in parts]
    if len(seen) == 1 or min(seen) <= 0:
        return min(seen)
    joules = [part.joules + part.more_joules for part in parts]
    watts = sum(one / seconds for one, seconds in zip(joules, seen, strict=True))
    return max(min(seen), min(max(seen), sum(joules) / watts)) if watts else min(seen)


def _mentions(statistics: dict[str, Any], left_out: int) -> bool:
    """Some figure or sentence says how many were left out."""
    figures = [
        value for name, value in statistics.items() if name not in ("n", "total", "mean", "sd", "median")
    ]
    return any(value == left_out or str(left_out) in str(value) for value in figures)


def findings(verdict: Verdict) -> Iterator[str]:
    """For people."""
    for finding in verdict.findings:
        yield f"{finding.code}: {finding.figure}: {finding.message}"
