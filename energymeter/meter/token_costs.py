"""What requests to a language model cost: per prompt token, output token, total token and request.

Prefill, decode and other add up to the request, because they are windows of one curve that adjoin. Loading a
model within a request comes first, and is no part of it.
"""

import math
import operator
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from energymeter.energy.uncertainty import Component, expanded
from energymeter.energy.usage import Usage
from energymeter.energy.window import COVERED, LONG, Window, together
from energymeter.errors import NotMeasured, SpecError
from energymeter.meter.run import Run
from energymeter.text import (
    Estimate,
    aligned,
    duration,
    html_table,
    percent,
    plus_minus,
    shown,
    significant,
    with_uncertainty,
)
from energymeter.units import RECTANGLE

PHASES = ("prefill", "decode", "other")
"""What a request consists of; ``other`` is tokenizing, queueing and transport."""
_TOKENS = {"prefill": "prompt", "decode": "output"}
"""The tokens that a phase has."""
_BEFORE = (("other",), ("prefill", "other"), ("decode", "prefill"))
"""What comes before each of them."""
MOST_RANDOM = 0.10
"""Share of a figure that the sampling may leave uncertain (k = 2); above it the phases are too short."""
_RESOLUTIONS = ("voltage resolution", "current resolution", "power resolution")
"""They do not depend on how long a phase is."""
_MOST_TOKENS, _MOST_SECONDS = 1_000_000_000, 1e7


class Timings(NamedTuple):
    """What a runner reports of one request. ``None``: it does not say."""

    prompt_tokens: int | None = None
    """That were evaluated: without those that were read from a cache."""
    output_tokens: int | None = None
    cached_tokens: int | None = None
    """Prompt tokens read from a cache; they cost next to nothing and are in no figure."""
    prefill_seconds: float | None = None
    decode_seconds: float | None = None
    load_seconds: float | None = None
    """Loading the model before the prompt was evaluated."""

    def counts(self) -> dict[str, dict[str, float]]:
        """The units of a request by the phase that has their energy; those of the whole request under ""."""
        whole = _sum([self.prompt_tokens, self.output_tokens])
        units = {
            "prefill": ("prompt_tokens", self.prompt_tokens),
            "decode": ("output_tokens", self.output_tokens),
        }
        known = {phase: {unit: float(count)} for phase, (unit, count) in units.items() if count is not None}
        return known if whole is None else {**known, "": {"tokens": float(whole)}}

    def check(self) -> "Timings":
        """The same.

        Raises:
            SpecError: a count or a time that no request has.
        """
        for name, value in self._asdict().items():
            if value is None:
                continue
            if not name.endswith("seconds"):
                checked_tokens(value, name)
            elif (
                isinstance(value, bool)
                or not isinstance(value, (int, float))
                or not 0 <= value <= _MOST_SECONDS
            ):
                raise SpecError(f"a request has {name} from 0 to {_MOST_SECONDS:g}, not {shown(value)}")
        return self


def whole(value: object) -> int | None:
    """A whole number, which some libraries give as an integer of their own; ``None``: it is none."""
    try:
        return None if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None


def checked_tokens(count: object, name: str) -> int:
    """A number of tokens.

    Raises:
        SpecError: no request has so many.
    """
    number = whole(count)
    if number is None or not 0 <= number <= _MOST_TOKENS:
        raise SpecError(
            f"a request has {name} from 0 to {_MOST_TOKENS:g}, not {shown(count)}; give a whole number"
        )
    return number


class Placed(NamedTuple):
    """Where the phases of a request lie."""

    phases: tuple[tuple[str, int, int], ...] = ()
    """Name, start and end of each, in order; empty: they are unknown."""
    slack_ns: int = 0
    """By how much they may lie earlier."""
    unknown: tuple[str, ...] = ("prefill", "decode")
    """The phases whose time nobody reports; ``other`` contains them."""

    def shows(self, phase: str) -> bool:
        """Whether it is known where this phase lies; of ``other``, that it contains none of the others."""
        return bool(self.phases) and (not self.unknown if phase == "other" else phase not in self.unknown)


class Served(NamedTuple):
    """One request that ended."""

    run: Run
    start_ns: int
    end_ns: int
    timings: Timings = Timings()
    placed: Placed = Placed()
    why_left_out: str = ""
    """What the request did that leaves it out of every figure; empty: nothing."""


class Cost(NamedTuple):
    """What one unit costs."""

    unit: str
    phase: str
    """What is divided: ``prefill``, ``decode`` or ``request``."""
    units: int
    usage: Usage | None
    """All of these phases together; ``None`` where there is no figure."""
    at_least: int | None = None
    """Units that a request should have to be long enough for this meter; ``None``: it is, or is unknown."""
    reason: str = ""
    """Why there is no figure."""

    @property
    def joules(self) -> float | None:
        """J per unit, gross."""
        return None if self.usage is None else self.usage.joules / self.units

    @property
    def uncertainty(self) -> float | None:
        """± of `joules`, coverage factor 2."""
        return None if self.usage is None else self.usage.uncertainty / self.units

    @property
    def net_joules(self) -> float | None:
        """J per unit above idle; ``None`` without a baseline (`EnergyMeter.idle`)."""
        net = None if self.usage is None else self.usage.net_joules
        return None if net is None else net / self.units

    @property
    def net_uncertainty(self) -> float | None:
        """± of `net_joules`, coverage factor 2."""
        spread = None if self.usage is None else self.usage.net_uncertainty
        return None if spread is None else spread / self.units

    @property
    def per_joule(self) -> float | None:
        """Units per joule, gross."""
        return None if self.joules is None else 1 / self.joules

    @property
    def relative(self) -> float:
        """± of all of these figures as a share, coverage factor 2."""
        return 0.0 if self.usage is None else self.usage.uncertainty / self.usage.joules

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain JSON types."""
        return {
            "unit": self.unit,
            "phase": self.phase,
            "units": self.units,
            "joules": self.joules,
            "uncertainty": self.uncertainty,
            "net_joules": self.net_joules,
            "net_uncertainty": self.net_uncertainty,
            "per_joule": self.per_joule,
            "measure_at_least": self.at_least,
            "reason": self.reason or None,
        }

    def _texts(self) -> list[str]:
        """Gross and net, or why there is neither."""
        joules, spread, net, net_spread = (
            self.joules,
            self.uncertainty,
            self.net_joules,
            self.net_uncertainty,
        )
        if joules is None or spread is None:
            return [self.reason]
        gross = with_uncertainty(joules, spread, "J")
        if net is None or net_spread is None:
            return [gross]
        return [gross, f"{with_uncertainty(net, net_spread, 'J')} net of idle"]


class TokenCosts:
    """Energy per prompt token, output token, total token and request, from those that were measured in full.

    Requests that failed, that overlapped another one or of which less than 99.5 % was measured are left out
    and counted. Phases that are too short for the meter have no figure, but how long they should be.
    """

    def __init__(
        self,
        name: str,
        run: Run,
        served: Sequence[Served],
        settings: dict[str, object],
    ) -> None:
        self.name, self.settings = name, settings
        self._run = run
        self._progress = run.progress()
        self.left_out: dict[str, int] = {}
        """How many requests are in no figure, by the reason."""
        self._kept = self._covered(self._apart(served))
        if not self._kept:
            reasons = ", ".join(f"{count} {why}" for why, count in self.left_out.items())
            raise NotMeasured(
                f"none of {len(served)} requests has a figure ({reasons}); measure one at a time"
            )
        timings = [one.timings for one in self._kept]
        self.requests = len(self._kept)
        self.prompt_tokens = _sum(one.prompt_tokens for one in timings)
        """Evaluated, all together; ``None``: the runner does not report them."""
        self.output_tokens = _sum(one.output_tokens for one in timings)
        self.cached_tokens = _sum(one.cached_tokens for one in timings)
        self.usage = run.with_units(self._usage(name, _edges(self._kept)), {"requests": self.requests})
        """All requests together, without loading."""
        self.phases = self._with_slack({phase: self._phase(phase) for phase in PHASES})
        """Energy of each phase; ``None``: there was none, or it was not measured."""
        self.load = self._all_of("load")
        """Loading the model, in and between requests; ``None``: it was not measured."""
        whole = _sum([self.prompt_tokens, self.output_tokens])
        self.prompt_token = self._cost("prompt token", "prefill", self._tokens("prefill"))
        self.output_token = self._cost("output token", "decode", self._tokens("decode"))
        self.total_token = self._cost("total token", "request", whole)
        self.request = self._cost("request", "request", self.requests)

    def name_of(self, phase: str) -> str:
        """The name of a phase's spans."""
        return f"{self.name}/{phase}" if phase else self.name

    # Which requests -----------------------------------------------------------------------------------

    def _leave_out(self, why: str) -> None:
        self.left_out[why] = self.left_out.get(why, 0) + 1

    def _apart(self, served: Sequence[Served]) -> list[Served]:
        """Those that ended well and overlapped no other: two at a time share one board."""
        ordered = sorted(served, key=lambda one: one.start_ns)
        shared: set[int] = set()
        latest = 0
        for number in range(1, len(ordered)):
            if ordered[number].start_ns < ordered[latest].end_ns:
                shared |= {latest, number}
            if ordered[number].end_ns >= ordered[latest].end_ns:
                latest = number
        kept = []
        for number, one in enumerate(ordered):
            why = "overlapped another" if number in shared else one.why_left_out
            if why:
                self._leave_out(why)
            else:
                kept.append(one)
        return kept

    def _covered(self, served: Sequence[Served]) -> list[Served]:
        """Those of which every channel measured all."""
        kept = []
        for one in served:
            windows = self._window(self.name, one.start_ns, one.end_ns)
            if all(
                window.covered_seconds >= COVERED * window.seconds and window.joules == window.joules
                for window in windows
            ):
                kept.append(one)
            else:
                self._leave_out("measured in part")
        return kept

    # Their energy -------------------------------------------------------------------------------------

    def _window(self, name: str, start_ns: int, end_ns: int) -> list[Window]:
        """What each channel measured in one span."""
        snapshot = self._run.spans.snapshot(name)
        number = snapshot.find(start_ns, end_ns)
        return self._run.spans.windows(start_ns, end_ns) if number is None else snapshot.windows(number)

    def _usage(self, name: str, edges_ns: Sequence[tuple[int, int]]) -> Usage:
        """All spans of a name with these edges together."""
        channels = [*zip(*(self._window(name, *edges) for edges in edges_ns), strict=True)]
        edges = [((start - edges_ns[0][0]) * 1e-9, (end - edges_ns[0][0]) * 1e-9) for start, end in edges_ns]
        added = [
            together(windows, edges, long_seconds, len(channels))
            for windows, long_seconds in zip(channels, self._progress.long_seconds, strict=True)
        ]
        return self._run.usage_of(added, self._progress)

    def _showing(self, phase: str) -> list[Served]:
        """The requests of which it is known where this phase lies; of ``request``, all."""
        return [one for one in self._kept if phase == "request" or one.placed.shows(phase)]

    def _tokens(self, phase: str) -> int | None:
        """The tokens of a phase in the requests that have its energy."""
        showing = self._showing(phase) or self._kept
        return _sum(getattr(one.timings, f"{_TOKENS[phase]}_tokens") for one in showing)

    def _phase(self, phase: str) -> Usage | None:
        showing = self._showing(phase)
        edges_ns = [part[1:] for one in showing for part in one.placed.phases if part[0] == phase]
        try:
            return self._usage(self.name_of(phase), edges_ns) if edges_ns else None
        except NotMeasured:
            return None

    def _with_slack(self, phases: dict[str, Usage | None]) -> dict[str, Usage | None]:
        """With what the place of the phases leaves uncertain: each may reach into the time before it,
        and then has so much more, or less, as flows there."""
        watts = {phase: usage.mean_watts for phase, usage in phases.items() if usage is not None}
        found = dict(phases)
        for phase, before in zip(PHASES, _BEFORE, strict=True):
            usage, here = phases[phase], watts.get(phase)
            slack = sum(one.placed.slack_ns for one in self._showing(phase)) * 1e-9
            if not slack or usage is None or here is None:
                continue
            there = next((known for name in before if (known := watts.get(name)) is not None), here)
            step = Component("place of the runner's phases", (there - here) * slack * RECTANGLE)
            found[phase] = usage._replace(components=(*usage.components, step))
        return found

    def _all_of(self, phase: str) -> Usage | None:
        """All spans of a phase, whether their requests are kept or not."""
        edges = self._run.spans.edges.get(self.name_of(phase))
        if not edges:
            return None
        known = edges[:]
        try:
            return self._usage(self.name_of(phase), [*zip(known[::2], known[1::2], strict=True)])
        except NotMeasured:
            return None

    # What a unit costs --------------------------------------------------------------------------------

    def _cost(self, unit: str, phase: str, units: int | None) -> Cost:
        usage = self.usage if phase == "request" else self.phases[phase]
        if units is None:
            return Cost(unit, phase, 0, None, reason="unknown: the runner does not report how many")
        if not units:
            return Cost(unit, phase, 0, None, reason="none")
        if usage is None:
            some = any(one.placed.phases for one in self._kept)
            split = (
                f"the runner reports no {phase if some else 'phases'}"
                if not self._showing(phase)
                else "no sample"
            )
            return Cost(unit, phase, units, None, reason=f"not measured: {split}")
        at_least = self._at_least(usage, units, len(self._showing(phase)))
        if at_least is None:
            return Cost(unit, phase, units, usage)
        what = f"{at_least} {unit}s a request" if unit != "request" else "longer requests"
        reason = f"too short for this meter: measure at least {what}"
        return Cost(unit, phase, units, None, at_least, reason)

    def _at_least(self, usage: Usage, units: int, requests: int) -> int | None:
        """Units that each of so many requests should have; ``None``: as they are, they are long enough.

        What the edges misplace does not depend on the length, so its share falls with the length.
        """
        interval = max(self._progress.interval_seconds)
        factor = LONG * interval * requests / usage.seconds
        random = [part for part in usage.components if not part.systematic and part.cause not in _RESOLUTIONS]
        share = expanded(random) / usage.joules if usage.joules > 0 else 1.0
        factor = max(factor, share / MOST_RANDOM)
        return None if factor <= 1 else _rounded_up(units / requests * factor)

    @property
    def costs(self) -> tuple[Cost, ...]:
        """Each with its own name: a request contains its prompt, and an output token does not."""
        return self.prompt_token, self.output_token, self.total_token, self.request

    def rate(self, phase: str) -> float | None:
        """Tokens per second in ``prefill`` or ``decode``, as the runner counts them."""
        usage = self.phases[phase]
        count = self._tokens(phase)
        return None if usage is None or not count or not usage.seconds > 0 else count / usage.seconds

    # Per charge ---------------------------------------------------------------------------------------

    @property
    def per_charge(self) -> Estimate | None:
        """Requests like these, one after the other, that one charge pays for, with their 95 % interval.

        By the battery of the meter, a phone's unless another was given. ``None`` where a request has no
        figure, or no battery feeds what is measured.
        """
        known = None if self.request.usage is None else self.usage.per("requests").per_charge
        return None if known is None else known._replace(unit="requests")

    @property
    def output_tokens_per_charge(self) -> Estimate | None:
        """The same in output tokens, their prompts paid for."""
        requests = self.per_charge
        if requests is None or not self.output_tokens:
            return None
        return requests.scaled(self.output_tokens / self.requests, "output tokens")

    @property
    def hours(self) -> Estimate | None:
        """How long one charge lasts with such requests one after the other."""
        requests = self.per_charge
        return None if requests is None else requests.scaled(self.usage.seconds / self.requests / 3600, "h")

    # How it is shown ----------------------------------------------------------------------------------

    @property
    def title(self) -> str:
        """How many requests, and how long they were."""

        def each(count: int | None, what: str) -> str:
            return f"? {what}" if count is None else f"{count / self.requests:.4g} {what}"

        cached = "" if not self.cached_tokens else f" (and {each(self.cached_tokens, 'from the cache')})"
        many = "1 request" if self.requests == 1 else f"{self.requests} requests"
        tokens = (
            f"{each(self.prompt_tokens, 'prompt')}{cached} and {each(self.output_tokens, 'output tokens')}"
        )
        return f"{self.name}: {many} of {tokens}"

    @property
    def shown_settings(self) -> str:
        """``model SmolLM2, quantization Q4_1, batch 1, threads 1, context 512, power mode MAXN``."""
        return ", ".join(
            f"{key} {'unknown' if value is None else value}" for key, value in self.settings.items()
        )

    def _rows(self) -> list[list[str]]:
        rows = [[f"J per {cost.unit}", *cost._texts(), ""][:3] for cost in self.costs]
        rates = [f"{p} {significant(rate)}" for p in PHASES[:2] if (rate := self.rate(p)) is not None]
        per_joule = [
            f"{plus_minus(cost.per_joule, cost.per_joule * cost.relative)} {text}"
            for cost, text in (
                (self.output_token, "of decode"),
                (_whole_requests(self), "of whole requests"),
            )
            if cost.per_joule is not None
        ]
        shares = [
            f"{phase} {percent(usage.joules / self.usage.joules, 1)}"
            for phase, usage in self.phases.items()
            if usage is not None and self.usage.joules > 0 and len(self._showing(phase)) == self.requests
        ]
        lines = [("output tokens per J", per_joule), ("tokens per second", rates), ("of a request", shares)]
        rows += [[name, ", ".join(parts), ""] for name, parts in lines if parts]
        if self.load is not None:
            load = with_uncertainty(self.load.joules, self.load.uncertainty, "J")
            rows.append(["loading, apart", f"{load} in {duration(self.load.seconds)}", ""])
        charge = [str(one) for one in (self.per_charge, self.output_tokens_per_charge) if one is not None]
        battery = self.usage.per("requests").battery
        if charge and battery is not None:
            size = f"per charge of {battery.mah / 1000:g} Ah"
            rows += [[size if number == 0 else "", text, ""] for number, text in enumerate(charge)]
            rows.append(["it lasts", str(self.hours), ""])
        return rows

    def __str__(self) -> str:
        usage = self.usage
        left_out = [f"{count} left out: they {why}" for why, count in self.left_out.items()]
        showing = {phase: len(self._showing(phase)) for phase in _TOKENS}
        some = [
            f"{phase} of the {count} of {self.requests} requests whose runner reports it"
            for phase, count in showing.items()
            if 0 < count < self.requests
        ]
        notes = [
            f"{' + '.join(usage.sources)} {usage.provenance}",
            *usage.calibration,
            *left_out,
            *some,
            *usage.notes,
        ]
        return "\n".join([self.title, self.shown_settings, " · ".join(notes), *aligned(self._rows())])

    def __repr__(self) -> str:
        return f"TokenCosts({self.title})"

    def _repr_html_(self) -> str:
        return html_table([[self.title], [self.shown_settings], *self._rows()])

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain JSON types."""

        def estimate(known: Estimate | None) -> dict[str, Any] | None:
            return None if known is None else {"value": known.value, "interval": [known.low, known.high]}

        return {
            "requests": self.requests,
            "left_out": dict(self.left_out),
            "prompt_tokens": self.prompt_tokens,
            "output_tokens": self.output_tokens,
            "cached_tokens": self.cached_tokens,
            "settings": dict(self.settings),
            "costs": [cost.to_dict() for cost in self.costs],
            "phases": {p: None if usage is None else usage.to_dict() for p, usage in self.phases.items()},
            "request": self.usage.to_dict(),
            "load": None if self.load is None else self.load.to_dict(),
            "tokens_per_second": {phase: self.rate(phase) for phase in PHASES[:2]},
            "requests_per_charge": estimate(self.per_charge),
            "output_tokens_per_charge": estimate(self.output_tokens_per_charge),
            "hours": estimate(self.hours),
        }


def _whole_requests(costs: TokenCosts) -> Cost:
    """Output tokens over the energy of whole requests: the other convention."""
    tokens = costs.output_tokens
    return costs.request._replace(units=tokens) if tokens else costs.request._replace(usage=None)


def _sum(counts: Iterable[int | None]) -> int | None:
    """All together; ``None``: one of them is unknown."""
    known = [*counts]
    return None if None in known else sum(count for count in known if count is not None)


def _edges(served: Iterable[Served]) -> list[tuple[int, int]]:
    return [(one.start_ns, one.end_ns) for one in served]


def _rounded_up(number: float) -> int:
    """To two digits, and never to less.

    >>> _rounded_up(241.2), _rounded_up(3.1), _rounded_up(100.0)
    (250, 4, 100)
    """
    step = 10 ** max(math.floor(math.log10(number)) - 1, 0) if number > 0 else 1
    return math.ceil(number / step) * step
