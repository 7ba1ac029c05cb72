"""Language models: requests as spans, with the prefill and the decode that their runner reports.

A request is measured from its call to its answer. The runner says how long its phases took, and the last one
ends with the answer, so they are placed from there backwards; what is left before them is ``other``.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import ParamSpec, TypeVar

from energymeter.errors import NotMeasured, SpecError
from energymeter.meter.conditions import Conditions
from energymeter.meter.life import Life
from energymeter.meter.span import Span
from energymeter.meter.token_costs import Placed, Served, Timings, TokenCosts, checked_tokens, whole
from energymeter.text import shown

P = ParamSpec("P")
T = TypeVar("T")

_LATE = 0.02, 10_000_000
"""By so much, as a share and in ns, a runner's phases may be longer than the request: clocks differ."""


class Request:
    """One request, from its call to its answer: ``with tokens.request() as request:``."""

    def __init__(self, tokens: "Tokens", span: Span) -> None:
        self._tokens, self._span = tokens, span
        self._timings: Timings | None = None
        self._streamed = 0
        self._prompt: int | None = None
        self._prefill_ns = self._first_ns = self._last_ns = 0

    def __enter__(self) -> "Request":
        self._span.__enter__()
        return self

    def __exit__(self, kind: object = None, error: object = None, traceback: object = None) -> None:
        # a generator that nobody reads on has ended, and not failed
        self._tokens._end(self, failed=kind not in (None, GeneratorExit))

    def answered(self, timings: Timings) -> None:
        """What the runner reports of this request; the last report counts.

        Raises:
            SpecError: a count or a time that no request has.
        """
        self._timings = _checked(timings)

    def prefill(self, prompt_tokens: int | None = None) -> None:
        """The evaluation of a prompt of so many tokens begins now: of runners that report no times.

        Raises:
            SpecError: no request has so many.
        """
        if prompt_tokens is not None:
            prompt_tokens = checked_tokens(prompt_tokens, "prompt_tokens")
        self._prefill_ns, self._prompt = self._tokens._now_ns(), prompt_tokens

    def token(self, count: int = 1) -> None:
        """So many output tokens are there now; the first ones end the prefill.

        Raises:
            SpecError: no request has so many.
        """
        count = checked_tokens(count, "output_tokens")
        self._last_ns = self._tokens._now_ns()
        self._first_ns = self._first_ns or self._last_ns
        self._streamed += count

    def stream(self, chunks: Iterable[T]) -> Iterator[T]:
        """Pass the chunks of a streamed answer through; each counts as a token unless the runner reports."""
        for chunk in chunks:
            self.token()
            yield chunk

    # What is known at its end -------------------------------------------------------------------------

    def _reported(self) -> Timings | None:
        """The runner's counts; what it does not say, the stream does. ``None``: neither says anything."""
        known, streamed = self._timings, self._streamed or None
        if known is None:
            return None if streamed is None else Timings(self._prompt, streamed)
        return known._replace(
            prompt_tokens=self._prompt if known.prompt_tokens is None else known.prompt_tokens,
            output_tokens=streamed if known.output_tokens is None else known.output_tokens,
        )

    def _placed(self, timings: Timings, start_ns: int, end_ns: int) -> Placed | None:
        """Where the phases lie; ``None``: they take longer than the request."""
        prefill, decode = timings.prefill_seconds, timings.decode_seconds
        if prefill is None and decode is None:
            if not self._first_ns:
                return Placed()
            # a prefill that begins after the first token is none of theirs
            began_ns = min(self._prefill_ns or start_ns, self._first_ns)
            return _adjoining(start_ns, began_ns, self._first_ns, self._last_ns, end_ns)
        after_ns = self._last_ns or end_ns
        decode_ns = after_ns - round((decode or 0.0) * 1e9)
        prefill_ns = decode_ns - round((prefill or 0.0) * 1e9)
        share, fixed_ns = _LATE
        if start_ns - prefill_ns > share * (end_ns - start_ns) + fixed_ns:
            return None
        slack_ns = abs(self._first_ns - decode_ns) if self._first_ns else max(prefill_ns - start_ns, 0)
        phases = (("prefill", prefill, timings.prompt_tokens), ("decode", decode, timings.output_tokens))
        unknown = tuple(phase for phase, seconds, tokens in phases if seconds is None and tokens != 0)
        placed = _adjoining(start_ns, prefill_ns, decode_ns, after_ns, end_ns)
        return placed._replace(slack_ns=slack_ns, unknown=unknown)


def _moment(at_ns: object, which: str) -> int:
    """A moment of the monotonic clock."""
    number = whole(at_ns)
    if number is None or not 0 < number < 2**63:
        raise SpecError(
            f"a request has its {which} in whole ns, not {shown(at_ns)}; give what time.monotonic_ns() says"
        )
    return number


def _checked(timings: Timings) -> Timings:
    if not isinstance(timings, Timings):
        raise SpecError(f"a runner reports Timings, not {shown(timings)}; give Timings(prompt_tokens=…, …)")
    return timings.check()


def _adjoining(start: int, prefill: int, decode: int, after: int, end: int) -> Placed:
    """The phases between their edges, without empty ones; they add up to the request, whatever was said."""
    prefill, decode, after = (min(max(edge, start), end) for edge in (prefill, decode, after))
    decode = min(decode, after)
    prefill = min(prefill, decode)
    parts = (("other", start, prefill), ("prefill", prefill, decode), ("decode", decode, after))
    known = tuple(part for part in (*parts, ("other", after, end)) if part[2] > part[1])
    return Placed(known, unknown=())


class Tokens:
    """What the requests to one model cost, each from its call to its answer.

    Args:
        life: of the meter.
        new_span: makes a span of the meter.
        name: of the spans: ``name``, ``name/prefill``, ``name/decode``, ``name/other`` and ``name/load``.
        settings: what the figures depend on, by name; printed with them.
    """

    def __init__(
        self,
        life: Life,
        new_span: Callable[[str], Span],
        name: str = "request",
        settings: Mapping[str, object] | None = None,
    ) -> None:
        self.name = name
        self.settings = dict(settings or {})
        self._life, self._new_span = life, new_span
        self._served: list[Served] = []
        self._lock = threading.Lock()
        self._power_mode: str | None = None

    # -- measuring -------------------------------------------------------------------------------------

    def request(self) -> Request:
        """A request to the model; ``request.answered(…)`` takes what the runner reports."""
        return Request(self, self._new_span(self.name))

    def wrap(self, call: Callable[P, T], timings: Callable[[T], Timings]) -> Callable[P, T]:
        """The call with a request around it.

        Args:
            call: asks the model and returns its answer.
            timings: what an answer reports, such as `energymeter.integrations.llama_cpp.timings`.
        """

        def measured(*args: P.args, **kwargs: P.kwargs) -> T:
            with self.request() as request:
                answer = call(*args, **kwargs)
                request.answered(timings(answer))
            return answer

        return measured

    def loading(self) -> Span:
        """A span for loading the model, which is in no other figure."""
        return self._new_span(f"{self.name}/load")

    def record(self, start_ns: int, end_ns: int, timings: Timings) -> None:
        """A request that another program served between two moments of the monotonic clock.

        Args:
            start_ns, end_ns: when it began and ended.
            timings: what that program reports; its phases end with the request.

        Raises:
            SpecError: a count or a time that no request has, or a request that ends before it begins.
        """
        start_ns, end_ns = _moment(start_ns, "start"), _moment(end_ns, "end")
        if end_ns <= start_ns:
            raise SpecError(f"a request of {end_ns - start_ns} ns has no energy; give its start and its end")
        span = Span(self._life, self.name)
        request = Request(self, span)
        request.answered(timings)
        span.begin_at(start_ns)  # nothing that is refused leaves a span open
        self._end(request, end_ns=end_ns)

    def _now_ns(self) -> int:
        return self._life.now_ns()

    def _end(self, request: Request, *, failed: bool = False, end_ns: int = 0) -> None:
        span, start_ns = request._span, request._span.start_ns
        timings = None if failed else request._reported()
        if timings is not None and timings.load_seconds:
            latest_ns = (end_ns or self._now_ns()) - 1
            span.start_ns = min(start_ns + round(timings.load_seconds * 1e9), latest_ns)
        with self._lock:  # of one request after the other
            if end_ns:
                span.end_at(end_ns)
            else:
                span.__exit__()
            run = span._run
            if run is None:
                return  # outside of the meter's block
            if span.start_ns > start_ns:
                self._keep("load", start_ns, span.start_ns)
            if self._served and self._served[-1].run is not run:
                self._served = []  # of a block before
            served = Served(run, span.start_ns, span.end_ns)
            placed = None if timings is None else request._placed(timings, span.start_ns, span.end_ns)
            counts = {} if timings is None else timings.counts()
            span.units(requests=1, **counts.get("", {}))
            if timings is None:
                served = served._replace(why_left_out="failed" if failed else "reported no tokens")
            elif placed is None:
                served = served._replace(why_left_out="reported more time than they took")
            else:
                served = served._replace(timings=timings, placed=placed)
                for name, began_ns, ended_ns in placed.phases:
                    self._keep(name, began_ns, ended_ns).units(**counts.get(name, {}))
            self._served.append(served)

    def _keep(self, phase: str, start_ns: int, end_ns: int) -> Span:
        span = Span(self._life, f"{self.name}/{phase}")
        span.begin_at(start_ns)
        span.end_at(end_ns)
        return span

    # -- results ---------------------------------------------------------------------------------------

    @property
    def results(self) -> "TokenCosts":
        """What the requests of the last (or running) block cost, as far as they are measured now.

        Raises:
            NotMeasured: there is none, or none of them was measured from start to end.
        """
        run = self._life.latest
        with self._lock:
            served = [one for one in self._served if one.run is run]
        if run is None or not served:
            raise NotMeasured("no request has ended yet; use `with tokens.request():` in the meter's block")
        run.resolve_spans()
        if self._power_mode is None:
            self._power_mode = Conditions.now().power_mode or "unknown"
        settings = {**self.settings, "power mode": self._power_mode}
        return TokenCosts(self.name, run, served, settings)

    def __str__(self) -> str:
        return str(self.results)

    def __repr__(self) -> str:
        try:
            return f"Tokens({self.results.title})"
        except NotMeasured as reason:
            return f"Tokens({self.name}: {reason})"

    def _repr_html_(self) -> str:
        return self.results._repr_html_()
