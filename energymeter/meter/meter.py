"""`EnergyMeter`: what a program holds in its hand."""

import contextlib
import math
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from energymeter.errors import (
    EnergyMeterError,
    ExtraMissing,
    NotMeasured,
    ProvenanceRefused,
    SourceError,
    SpecError,
)
from energymeter.meter import active
from energymeter.meter.span_store import SpanLog
from energymeter.meter.spans import Span, Spans, open_span, wrapped
from energymeter.sampling.config import LogConfig
from energymeter.spec import Spec, parse

if TYPE_CHECKING:
    from energymeter.budget.account import Account
    from energymeter.calibration.cards import Cards
    from energymeter.discovery.choice import Choice
    from energymeter.energy.usage import Idle, Usage
    from energymeter.meter.billing import Billing
    from energymeter.meter.run import Measurement
    from energymeter.reading import Provenance, Reading
    from energymeter.recordings.trace import Trace
    from energymeter.source import Source

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class EnergyMeter:
    """Measures what the code inside its ``with`` block draws from a source.

    Args:
        source: a spec such as ``"ina219@1:0x40"`` (several joined by ``+`` or ``,``), a source object,
            or None: ``$ENERGYMETER_SOURCE``, else the best sensor found here.
        rate_hz: readings a second; None: what suits the source.
        out: a file for every sample, ``.csv``, ``.jsonl`` or ``.parquet``.
        force: replace ``out`` if it exists.
        require: refuse sources of any other provenance, as in ``require="measured"``.
        nominal_volts: count mAh at this voltage where no current is measured.
        budget: the `Budget` that pays for every block, or its name.
        stage: the budget's stage that pays.
        sync: waits until a device has done what it was told, as ``torch.cuda.synchronize`` does; called at
            every edge, so that what was launched in a span is charged to it.
        calibration: True: the card of each meter that has one; False: none; a path: this card.
        celsius: the temperature of the air, for cards that know a drift and to warn of 10 K.

    Entering it again starts anew. It is also a decorator, and an asynchronous context manager.

    >>> with EnergyMeter("manual:5V,0.6A") as meter:
    ...     answer = sum(range(1000))
    >>> meter.usage.provenance, round(meter.usage.mean_watts, 3)
    ('manual', 3.0)

    Raises:
        SpecError: on construction, if the spec or the rate makes no sense.
        SourceError: on entering, if the source cannot be read.
        LedgerError: on entering, if there is no such budget.
        CalibrationError: on entering, if a card was tampered with or is of another meter.
    """

    def __init__(
        self,
        source: "str | Source | None" = None,
        *,
        rate_hz: float | None = None,
        out: str | os.PathLike[str] | None = None,
        force: bool = False,
        require: "Provenance | None" = None,
        nominal_volts: float | None = None,
        budget: "str | Account | None" = None,
        stage: str | None = None,
        sync: Callable[[], object] | None = None,
        calibration: bool | str | os.PathLike[str] = True,
        celsius: float | None = None,
    ) -> None:
        if rate_hz is not None and not rate_hz > 0:
            raise SpecError(f"a rate of {rate_hz:g} Hz reads nothing; give a positive number.")
        self._groups: list[list[Spec | Source]] | None = None
        self.choice: Choice | None = None
        """The source that was found, and why it; None where one was named."""
        if isinstance(source, str):
            self._groups = [[*group] for group in parse(source)]
        elif source is not None:
            self._groups = [[source]]
        self._rate_hz = rate_hz
        self._log_file = None if out is None else LogConfig(os.fspath(out), force)
        self._require = require
        self._nominal_volts = nominal_volts
        self.budget = budget
        self.run_id = ""
        """Names the run in the budget's ledger that paid for the block; another each time it is entered."""
        self._stage = stage
        self._account: Account | None = None
        self._billing: Billing | None = None
        self._pays: str | None = None
        self._sync = sync
        self._calibration = calibration
        self._celsius = celsius
        self._idle: Idle | None = None
        self._logs: dict[str, SpanLog] = {}
        self._naming = threading.Lock()
        self._depth = 0
        self._measurement: Measurement | None = None

    # -- measuring ---------------------------------------------------------------------------------

    def __enter__(self) -> "EnergyMeter":
        if self._depth == 0:
            self._open_account()
            self._measurement = self._started()
            active.begin(self)
            try:
                self._begin_billing()
            except EnergyMeterError:  # the ledger was lost since
                active.end(self)
                self._current().finish()
                raise
        self._depth += 1
        return self

    def __exit__(self, kind: object = None, *_: object) -> None:
        self._depth -= 1
        if self._depth:
            return
        try:
            self._current().finish()
        finally:  # also if the caller's sync failed
            try:
                self._end_billing(failed=kind is not None)
            finally:
                active.end(self)

    def _open_account(self) -> None:
        if isinstance(self.budget, str):
            from energymeter.budget.account import Account

            self._account = Account.open(self.budget)
        else:
            self._account = self.budget

    def _begin_billing(self) -> None:
        if self._account is None:
            return
        from energymeter.meter import billing

        self._pays = self._stage or self._account.stage_name
        self._billing = billing.join(self._account, self._pays, self, whole=True)
        self.run_id = self._billing.run

    def _end_billing(self, *, failed: bool) -> None:
        if self._billing is None:
            return
        billing, self._billing = self._billing, None
        try:
            self._count_spans(billing)
        finally:
            try:
                billing.leave(self._pays, strictly=True)
            except EnergyMeterError as failure:
                if not failed:
                    raise
                warnings.warn(f"the budget was not debited: {failure}", stacklevel=2)  # theirs goes first

    def _count_spans(self, billing: "Billing") -> None:
        for name, spans in self.spans.items():
            with contextlib.suppress(NotMeasured):  # a name without a covered call has no cost
                billing.count(name, len(spans), spans.joules.total)

    async def __aenter__(self) -> "EnergyMeter":
        return self.__enter__()

    async def __aexit__(self, kind: object = None, *_: object) -> None:
        self.__exit__(kind)

    def __call__(self, function: F) -> F:
        """Measure every call of a function; ``meter.usage`` is that of the last one."""
        return wrapped(function, lambda: self)

    def _started(self) -> "Measurement":
        if self._groups is not None:
            return self._measuring(self._groups)
        from energymeter.discovery.choice import (
            choose,  # a third of all imports: not for a source that was named
        )

        self.choice = choose()
        try:
            return self._measuring(self._chosen())
        except (SourceError, ExtraMissing):
            # what was here when it was chosen may have been unplugged since, or was only slow to answer
            before, self.choice = self.choice, choose(failed=self.choice)
            if self.choice.spec == before.spec:
                raise
            return self._measuring(self._chosen())

    def _chosen(self) -> "list[list[Spec | Source]]":
        return [[*group] for group in parse(self.choice.spec)] if self.choice is not None else []

    def _measuring(self, groups: "list[list[Spec | Source]]") -> "Measurement":
        modelled = self.choice is not None and self.choice.modelled
        notes = (self.choice.reason,) if self.choice is not None and modelled else ()
        known = {"nominal_volts": self._nominal_volts, "idle": self._idle, "notes": notes}
        from energymeter.meter.run import Measurement  # another third: pays who measures

        measurement = Measurement(
            groups, self._rate_hz, self._log_file, self._cards(), self._logs.values(), known, self._sync
        )
        measurement.start()
        self._refuse_lesser(measurement)
        return measurement

    def _cards(self) -> "Cards":
        from energymeter.calibration.cards import Cards

        if isinstance(self._calibration, bool):
            return Cards.here(self._celsius) if self._calibration else Cards()
        return Cards.here(self._celsius, os.fspath(self._calibration))

    def _refuse_lesser(self, measurement: "Measurement") -> None:
        for channel in measurement.counted:
            if self._require is not None and channel.facts.provenance != self._require:
                measurement.finish()
                raise ProvenanceRefused(
                    f"{channel.name} is {channel.facts.provenance}, but a {self._require} source is "
                    "required; `energymeter devices` tells what is here."
                )

    def idle(self, seconds: float = 30.0) -> "Idle":
        """Measure what is drawn while nothing runs; later usages then tell gross and net of it.

        Args:
            seconds: how long to look; half a minute or more outlasts a board's background jobs.

        Raises:
            SpecError: ``seconds`` is not positive.
            NotMeasured: no sample was taken.
        """
        if not 0 < seconds < math.inf:
            raise SpecError(f"an idle time of {seconds:g} s measures nothing; give a positive number.")
        self._idle = None
        log_file, self._log_file = self._log_file, None  # which is for what comes after
        try:
            with self:
                time.sleep(seconds)
        finally:
            self._log_file = log_file
        from energymeter.energy.usage import Idle

        usage = self.usage
        assert usage.mean_watts is not None
        measured_seconds = usage.seconds * usage.coverage
        self._idle = Idle(
            usage.mean_watts,
            usage.uncertainty / measured_seconds,
            tuple(share._replace(joules=share.joules / measured_seconds) for share in usage.components),
        )
        return self._idle

    # -- spans -------------------------------------------------------------------------------------

    def span(self, name: str) -> Span:
        """A named stretch: ``with meter.span("load"):`` or ``@meter.span("infer")``.

        Outside of the meter's block it measures nothing and costs as little.
        """
        return open_span(self._log(name), self._sync)

    def track(self, items: Iterable[T], name: str = "item", *, progress: bool | None = None) -> Iterator[T]:
        """Pass the items through, with one span around what the loop does with each.

        Args:
            items: any iterable; its length, if it has one, is shown.
            name: the spans' name.
            progress: a progress bar on standard error; None: only on a terminal.
        """
        from energymeter.meter.progress import Progress, total_of, watched

        log, done = self._log(name), 0
        bar = Progress(name, total_of(items)) if (watched() if progress is None else progress) else None
        try:
            for item in items:
                with open_span(log, self._sync):
                    yield item
                done += 1
                if bar is not None and bar.due():
                    bar.show(done, self._progress(done))
        finally:
            if bar is not None:
                bar.close(done, self._progress(done))

    @property
    def spans(self) -> Mapping[str, Spans]:
        """The spans of the last (or running) block, by name."""
        self._current()
        return {name: Spans(log) for name, log in tuple(self._logs.items())}

    def _log(self, name: str) -> SpanLog:
        log = self._logs.get(name)
        if log is None:
            with self._naming:  # two threads may open the first span of a name at once
                log = self._logs.get(name)
                if log is None:
                    log = SpanLog(name)
                    if self._measurement is not None and self._measurement.running:
                        log.begin(self._measurement.recording)
                    self._logs[name] = log
        return log

    def _progress(self, items: int) -> str:
        try:
            usage = self.usage
        except NotMeasured:
            return "nothing measured yet"
        charge = "" if usage.mah is None else f" · {usage.mah:.2f} mAh"
        each = f" · {1e3 * usage.joules / items:.3g} mJ an item" if items else ""
        return f"{usage.mean_watts or 0.0:.2f} W · {usage.joules:.1f} J{charge}{each}"

    # -- results -----------------------------------------------------------------------------------

    @property
    def usage(self) -> "Usage":
        """What was used since entering; while the block runs, up to the newest sample.

        Raises:
            NotMeasured: no sample was taken, with the reason.
        """
        return self._current().usage()

    @property
    def usages(self) -> "dict[str, Usage]":
        """The same for every channel by itself, also those that do not count towards the total.

        Raises:
            NotMeasured: a channel has no sample.
        """
        return self._current().usages()

    @property
    def latest(self) -> "Reading":
        """What the counted sources drew at their newest samples; their watts added.

        Raises:
            NotMeasured: there is no sample yet.
        """
        return self._current().latest()

    @property
    def ended(self) -> bool:
        """Every source is a recording that is over."""
        return self._current().sampler.ended()

    @property
    def recorded_rows(self) -> int:
        """Rows written to ``out`` so far."""
        return self._current().sampler.recorded_rows()

    @property
    def log_error(self) -> str:
        """Why ``out`` ended early, or an empty text."""
        return self._current().sampler.log_error()

    @property
    def trace(self) -> "Trace":
        """The samples of the counted sources as numpy columns, their power added.

        A run longer than the ring (a minute at 1 kHz) is thinned where it is old; ``out=`` keeps all.
        """
        from energymeter.recordings.trace import Trace

        measurement = self._current()
        kept = measurement.samples()
        traces = [
            Trace.from_samples(kept[channel.name], channel.name, channel.facts, measurement.applied(channel))
            for channel in measurement.counted
        ]
        return sum(traces[1:], start=traces[0])

    def _current(self) -> "Measurement":
        if self._measurement is None:
            raise NotMeasured("this meter has measured nothing yet; use `with meter:` around some code.")
        return self._measurement
