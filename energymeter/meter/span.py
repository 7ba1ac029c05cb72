"""Named stretches of the program: two clock reads now, their energy later."""

from __future__ import annotations

from struct import Struct

from energymeter.errors import NotMeasured, SpecError

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from energymeter.energy.usage import Usage
    from energymeter.energy.window import Window
    from energymeter.meter.life import Life
    from energymeter.meter.run import Run
    from energymeter.meter.span_resolver import SpanResolver

    F = TypeVar("F", bound=Callable[..., Any])

_both_edges = Struct("@qq").pack  # native packs in a quarter of the time, as in an array


class Span:
    """One stretch: a ``with`` block, or a decorator that opens a stretch at every call.

    Outside of the meter's block it measures nothing.
    """

    __slots__ = ("_counts", "_edges", "_life", "_run", "_spans", "end_ns", "name", "serial", "start_ns")
    _counts: dict[str, float] | None
    """How many of each unit; ``None`` before `units` is called."""
    serial: int
    """A number of its own, as other spans may have the same edges; there is none before `units` is called."""

    def __init__(self, life: Life, name: str) -> None:
        self._life = life
        self.name = name
        self.start_ns = self.end_ns = 0
        self._counts = None  # to look for what is missing takes a fifth of a span

    def __enter__(self) -> Span:
        if self.start_ns:
            raise SpecError("this span was used already; open a new one with meter.span(name)")
        self._run = run = self._life.running
        if run is None:
            self.start_ns = self._life.now_ns()
            return self
        self._spans = spans = run.spans
        try:
            self._edges = spans.edges[self.name]
        except KeyError:
            self._edges = spans.begin(self.name)
        spans.open[self] = self.start_ns = spans.now_ns()
        return self

    def __exit__(self, kind: object = None, error: object = None, traceback: object = None) -> None:
        run = self._run
        if run is None:
            self.end_ns = self._life.now_ns()
            return
        spans = self._spans
        self.end_ns = end_ns = spans.now_ns()
        if self._counts is not None:
            self._keep(spans, self._counts)  # before its edges: whoever finds these finds its units
        self._edges.frombytes(_both_edges(self.start_ns, end_ns))  # both in one step, of any thread
        spans.open.pop(self, None)  # after that: a pass that comes between finds its start in any case
        if end_ns > spans.due_ns:
            spans.resolve()

    def units(self, **counts: float) -> None:
        """Count what it is about: ``span.units(images=32)``, in its block or after it; counts add up.

        Its usage then says what one of them cost, and how many a charge gives; so does
        ``meter.spans[name].usage`` of all calls.

        Raises:
            SpecError: it has not begun, or a count is no number of units.
        """
        from energymeter.energy.per_unit import checked_count

        if not self.start_ns:
            raise SpecError("this span has not begun; call units in its block or after it")
        added = {unit: checked_count(unit, count) for unit, count in counts.items()}
        counted = self._counts
        if counted is None:
            counted, self.serial = {}, 0 if self._run is None else self._run.spans.next_serial()
        self._counts = {**counted, **{unit: counted.get(unit, 0.0) + count for unit, count in added.items()}}
        if self._run is not None and self.end_ns:
            self._keep(self._run.spans, added)

    def _keep(self, spans: SpanResolver, counts: dict[str, float]) -> None:
        spans.count(self.name, (self.start_ns, self.end_ns, self.serial), counts)

    def begin_at(self, at_ns: int) -> None:
        """Somebody else saw it begin, at this monotonic time; it ends with `end_at`."""
        self.__enter__()
        self.start_ns = at_ns
        if self._run is not None:
            self._run.spans.open[self] = at_ns

    def end_at(self, at_ns: int) -> None:
        """It ended at this monotonic time, or where it began, if that is later."""
        self.end_ns = max(at_ns, self.start_ns)
        run = self._run
        if run is not None:
            if self._counts is not None:
                self._keep(run.spans, self._counts)
            self._edges.frombytes(_both_edges(self.start_ns, self.end_ns))
            run.spans.open.pop(self, None)

    def __call__(self, function: F) -> F:
        from energymeter.meter.wrapped import wrapped

        life, name = self._life, self.name
        return wrapped(function, lambda: Span(life, name))

    @property
    def usage(self) -> Usage:
        """What this stretch used; where its end was not measured yet, after at most one more sample.

        Raises:
            NotMeasured: it is still open, was outside of the meter's block, or nothing was read.
        """
        if not self.end_ns:
            raise NotMeasured(f"the span {self.name!r} is still open; ask for its usage after its block")
        if self._run is None:
            raise NotMeasured(
                f"the span {self.name!r} was outside of the meter's block; use `with meter:` around it"
            )
        self._run.wait_past(self.end_ns)
        return self._usage(self._run, until_ns=self.end_ns)

    def _usage(self, run: Run, until_ns: int = 0) -> Usage:
        usage = run.usage_of(self._windows(run), until_ns=until_ns)
        return run.with_units(usage, self._counts or {})

    def _windows(self, run: Run) -> list[Window]:
        run.spans.resolve()
        snapshot = run.spans.snapshot(self.name)
        number = snapshot.find(self.start_ns, self.end_ns)
        return (
            snapshot.windows(number) if number is not None else run.spans.windows(self.start_ns, self.end_ns)
        )

    def __repr__(self) -> str:
        if not self.end_ns:
            return f"Span({self.name}: {'open' if self.start_ns else 'not entered yet'})"
        try:
            if self._run is None:
                return f"Span({self.name}: outside of the meter's block)"
            return f"Span({self.name}: {self._usage(self._run)})"
        except NotMeasured as reason:
            return f"Span({self.name}: {reason})"


class SyncedSpan(Span):
    """A stretch whose edges wait for a device: kernels that are still queued belong to who queued them."""

    __slots__ = ("_sync",)

    def __init__(self, life: Life, name: str, sync: Callable[[], object]) -> None:
        super().__init__(life, name)
        self._sync = sync

    def __enter__(self) -> Span:
        self._sync()
        return super().__enter__()

    def __exit__(self, kind: object = None, error: object = None, traceback: object = None) -> None:
        try:
            self._sync()
        finally:
            super().__exit__()

    def __call__(self, function: F) -> F:
        from energymeter.meter.wrapped import wrapped

        life, name, sync = self._life, self.name, self._sync
        return wrapped(function, lambda: SyncedSpan(life, name, sync))
