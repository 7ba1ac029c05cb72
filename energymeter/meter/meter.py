"""`EnergyMeter`: what a program holds in its hand."""

from __future__ import annotations

import os

from energymeter.clock import SystemClock
from energymeter.errors import (
    EnergyMeterError,
    ExtraMissing,
    NotMeasured,
    ProvenanceRefused,
    SourceError,
    SpecError,
    warn,
)
from energymeter.meter.span import Span, SyncedSpan

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, TypeVar

    from energymeter.battery.battery import Battery
    from energymeter.budget.account import Account
    from energymeter.budget.balance import Balance
    from energymeter.calibration.cards import Cards
    from energymeter.carbon.emissions import GridNow
    from energymeter.discovery.choice import Choice
    from energymeter.energy.usage import Idle, Usage
    from energymeter.meter.billing import Billing
    from energymeter.meter.run import Recording, Run
    from energymeter.meter.spans import SpansByName
    from energymeter.meter.tokens import Tokens
    from energymeter.reading import Provenance, Reading
    from energymeter.recordings.trace import Trace
    from energymeter.sampling.sampler import SampledChannel
    from energymeter.source import Source
    from energymeter.spec import Spec

    T = TypeVar("T")
    F = TypeVar("F", bound=Callable[..., Any])

MOST_SECONDS = 2.0
"""How long a source may stay ready after a block."""


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
        sync: waits until a device has finished its work, as ``torch.cuda.synchronize`` does; called at
            every edge, so that what was launched in a span is charged to it.
        calibration: True: the card of each meter that has one; False: none; a path: this card.
        celsius: the temperature of the air, for cards that know a drift and to warn of 10 K.
        grid: a zone, such as ``"DEU"``, or a `Grid`: for grams of the units that spans count.
        battery: for how many of them a charge gives; None: that of the budget, else that of a phone.
        linger: seconds, at most 2, that the source stays ready for the next block. None: 2 where others may
            use the device meanwhile, else 0, which releases it at the end of the block.

    Entering it again starts a new measurement. It is also a decorator, and an asynchronous context manager.

    >>> with EnergyMeter("manual:5V,0.6A") as meter:
    ...     answer = sum(range(1000))
    >>> meter.usage.provenance, round(meter.usage.mean_watts, 3)
    ('manual', 3.0)

    Raises:
        SpecError: on construction, if the spec or the rate makes no sense; on leaving, if it was not entered.
        SourceError: on entering, if the source cannot be read.
        GridError: on construction, if there is no such zone.
        LedgerError: on entering, if there is no such budget.
        CalibrationError: on entering, if a card was tampered with or is of another meter.
    """

    def __init__(
        self,
        source: str | Source | None = None,
        *,
        rate_hz: float | None = None,
        out: str | os.PathLike[str] | None = None,
        force: bool = False,
        require: Provenance | None = None,
        nominal_volts: float | None = None,
        budget: str | Account | None = None,
        stage: str | None = None,
        sync: Callable[[], object] | None = None,
        calibration: bool | str | os.PathLike[str] = True,
        celsius: float | None = None,
        grid: GridNow | str | None = None,
        battery: Battery | None = None,
        linger: float | None = None,
    ) -> None:
        if linger is not None and not 0 <= linger <= MOST_SECONDS:
            raise SpecError(f"a source cannot linger {linger:g} s; give 0 to {MOST_SECONDS:g} seconds")
        if rate_hz is not None and not rate_hz > 0:
            raise SpecError(f"a rate of {rate_hz:g} Hz reads nothing; give a positive number")
        # Answers need these: also one to a signal handler that interrupts the first question, and
        # those of a program that gives up its rights, or its view of the disk, before it measures.
        import energymeter.energy.usage
        import energymeter.meter.spans
        import energymeter.sampling.priority  # noqa: F401
        from energymeter.meter.life import Life

        self._groups: list[list[Spec | Source]] | None = None
        self.choice: Choice | None = None
        """The source that was found, and why it; None where one was named."""
        if isinstance(source, str):
            self._groups = _groups(source)
        elif source is not None:
            self._groups = [[source]]
        self._rate_hz = rate_hz
        self._log_file = None if out is None else (os.fspath(out), force)
        self._require = require
        self._nominal_volts = nominal_volts
        self.budget = budget
        self.run_id = ""
        """The run's name in the ledger of the budget that paid for the block; a new one for each block."""
        self._stage = stage
        self._account: Account | None = None
        self._billing: Billing | None = None
        self._pays: str | None = None
        self.sync = sync
        """Waits for a device at every edge; may be set before a block."""
        self._calibration = calibration
        self._celsius = celsius
        if isinstance(grid, str):
            from energymeter.carbon.grid import Grid

            grid = Grid(grid)  # an unknown zone is an error here, and not after the work
        self._grid, self._battery = grid, battery
        self._linger = linger
        self._idle: Idle | None = None
        self._clock = SystemClock()
        self._life = Life(self._clock.monotonic_ns)
        self._forgotten: object = None

    # -- measuring ---------------------------------------------------------------------------------

    def __enter__(self) -> EnergyMeter:
        entered: list[bool] = []
        try:
            self._life.enter(self._started, entered)
            if entered[0]:  # not within itself
                self._release_when_forgotten()
                from energymeter.meter import active

                active.begin(self)
                self._begin_billing()
                self._latest_run().begin()
            return self
        except BaseException:  # an interruption, too
            if entered:
                self._life.leave(self._abandon, [])
            raise

    def __exit__(
        self, kind: object = None, *_: object, left: list[bool] | None = None
    ) -> None:  # ``left`` is there so that an interruption finds it from the first line on
        try:  # nothing comes before this: what interrupts the block's end there leaves the meter entered
            left = []
            self._life.leave(self._finish if kind is None else self._finish_failed, left)
        except SpecError:
            raise
        except BaseException:  # an interruption may come before or after anything is done
            if not left:
                self._life.leave(self._finish_failed, [])
            self._life.complete()
            if self._life.running is None:
                self._after_block(failed=True)
            raise

    def close(self) -> None:
        """Release the source of the last block, if it stays ready for the next one. Twice is fine.

        A block that runs is not ended; its source is then released with it.
        """
        if self._life.latest is not None:
            self._life.latest.sampler.release()

    async def __aenter__(self) -> EnergyMeter:
        return self.__enter__()

    async def __aexit__(self, kind: object = None, *_: object) -> None:
        self.__exit__(kind)

    def __call__(self, function: F) -> F:
        """Measure every call of a function; ``meter.usage`` is that of the last one."""
        from energymeter.meter.wrapped import wrapped

        return wrapped(function, lambda: self)

    def _release_when_forgotten(self) -> None:
        if self._forgotten is None:
            import weakref

            self._forgotten = weakref.finalize(self, self._life.end)

    def _finish(self, run: Run, *, failed: bool = False) -> None:
        try:
            run.finish()
        finally:  # also if the caller's sync failed, or if it is interrupted
            try:
                run.release()
            finally:
                self._after_block(failed=failed)

    def _finish_failed(self, run: Run) -> None:
        self._finish(run, failed=True)

    def _abandon(self, run: Run) -> None:
        """Undo an entry that went wrong later on."""
        try:
            run.release(discard_log=True)
        finally:
            self._after_block(failed=True)

    def _after_block(self, *, failed: bool) -> None:
        try:
            self._end_billing(failed=failed)
        finally:
            from energymeter.meter import active

            active.end(self)

    # The budget ---------------------------------------------------------------------------------

    def _open_account(self) -> None:
        self._billing = None
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
            for name, spans in self.spans.items():
                try:
                    joules = spans.joules
                except NotMeasured:  # no call is covered
                    billing.count(name, 0, 0.0, len(spans))
                else:
                    billing.count(name, joules.n, joules.total, joules.left_out)
        finally:
            try:
                billing.leave(self._pays, strictly=True)
            except EnergyMeterError as failure:
                if not failed:
                    raise

                # the caller's own error goes first
                warn(f"the budget was not debited: {failure}", stacklevel=2)

    # The source ---------------------------------------------------------------------------------

    def _started(self) -> Run:
        self._open_account()
        if self._groups is not None:
            return self._run(self._groups)
        from energymeter.discovery.choice import choose  # a third of all imports: not for a named source

        self.choice = choose()
        try:
            return self._run(self._chosen())
        except (SourceError, ExtraMissing):
            # what was here when it was chosen may have been unplugged since, or was only slow to answer
            before, self.choice = self.choice, choose(failed=self.choice)
            if self.choice.spec == before.spec:
                raise
            return self._run(self._chosen())

    def _chosen(self) -> list[list[Spec | Source]]:
        return _groups(self.choice.spec) if self.choice is not None else []

    def _run(self, groups: list[list[Spec | Source]]) -> Run:
        from energymeter.meter.run import Run  # another third: for those who measure
        from energymeter.sampling.config import LogConfig, SourceConfig
        from energymeter.sampling.sampler import Sampler

        cards, log = self._cards(), None
        configs = [SourceConfig(source, self._rate_hz) for group in groups for source in group]
        if self._log_file is not None:
            from energymeter.meter.conditions import Conditions
            from energymeter.meter.log_header import log_header

            path, force = self._log_file
            conditions = Conditions.now()
            started, start_ns = self._clock.time(), self._clock.monotonic_ns()  # one moment on two clocks
            header = log_header(configs, len(groups[0]), started, conditions)
            log = LogConfig(path, force, header, start_ns, cards.in_log())
        modelled = self.choice is not None and self.choice.modelled
        run = Run(
            Sampler(configs, log, cards.corrections(), linger=self._linger),
            len(groups[0]),
            cards,
            self._clock,
            nominal_volts=self._nominal_volts,
            idle=self._idle,
            notes=(self.choice.reason,) if self.choice is not None and modelled else (),
            sync=self.sync,
            grid=self._grid,
            battery=self._battery or (None if self._account is None else self._account.battery),
        )
        self._life.opening(run)
        run.start(self._refuse_lesser)
        return run

    def _cards(self) -> Cards:
        from energymeter.calibration.cards import Cards

        if isinstance(self._calibration, bool):
            return Cards.here(self._celsius) if self._calibration else Cards()
        return Cards.here(self._celsius, os.fspath(self._calibration))

    def _refuse_lesser(self, run: Run) -> None:
        for channel in run.counted:
            if self._require is not None and channel.info.facts.provenance != self._require:
                raise ProvenanceRefused(
                    f"{channel.info.name} is {channel.info.facts.provenance}, but a {self._require} "
                    "source is required; `energymeter devices` lists what is here"
                )

    def idle(self, seconds: float = 30.0) -> Idle:
        """Measure the baseline: what is drawn while nothing runs. Later usages are then gross and net of it.

        Within a running block it is that of these seconds alone.

        Args:
            seconds: how long to measure; half a minute or more outlasts a board's background jobs.

        Raises:
            SpecError: ``seconds`` is not positive.
            NotMeasured: no sample was taken.
        """
        if not 0 < seconds < float("inf"):
            raise SpecError(f"an idle time of {seconds:g} s measures nothing; give a positive number")
        self._idle = None
        log_file, self._log_file = self._log_file, None  # which is for what comes after
        try:
            with self:
                start_ns = self._clock.monotonic_ns()
                self._clock.sleep(seconds)
                end_ns = self._clock.monotonic_ns()
        finally:
            self._log_file = log_file
        self._idle = self._latest_run().baseline(start_ns, end_ns)
        return self._idle

    # -- spans -------------------------------------------------------------------------------------

    def span(self, name: str) -> Span:
        """A named stretch: ``with meter.span("load"):`` or ``@meter.span("infer")``.

        Outside of the meter's block it measures nothing and costs as little.
        """
        return Span(self._life, name) if self.sync is None else SyncedSpan(self._life, name, self.sync)

    def track(self, items: Iterable[T], name: str = "item", *, progress: bool | None = None) -> Iterator[T]:
        """Pass the items through, with one span around what the loop does with each.

        Args:
            items: any iterable; its length, if it has one, is shown.
            name: the spans' name.
            progress: a progress bar on standard error; None: only on a terminal.
        """
        from energymeter.meter.progress import Progress, total_of, watched

        life, sync, done = self._life, self.sync, 0
        bar = Progress(name, total_of(items)) if (watched() if progress is None else progress) else None
        try:
            for item in items:
                with Span(life, name) if sync is None else SyncedSpan(life, name, sync):
                    yield item
                done += 1
                if bar is not None and bar.due():
                    bar.show(done, self._progress(done))
        finally:
            if bar is not None:
                bar.close(done, self._progress(done))

    def tokens(
        self,
        name: str = "request",
        *,
        model: str | None = None,
        quantization: str | None = None,
        batch: int | None = 1,
        threads: int | None = None,
        context: int | None = None,
    ) -> Tokens:
        """What the requests to a language model cost: per prompt token, output token and request.

        Args:
            name: of the requests' spans; a second model needs another.
            model, quantization, batch, threads, context: printed with the figures, which depend on them.
        """
        from energymeter.meter.tokens import Tokens

        settings = {
            "model": model,
            "quantization": quantization,
            "batch": batch,
            "threads": threads,
            "context": context,
        }
        return Tokens(self._life, self.span, name, settings)

    @property
    def spans(self) -> SpansByName:
        """The spans of the last (or running) block by name, as they are now.

        For spans that ended after the newest sample, the next one is waited for. What is given never changes.

        Raises:
            NotMeasured: the meter was never entered.
        """
        from energymeter.meter.spans import Spans, SpansByName

        run = self._latest_run()
        run.resolve_spans()
        progress = run.progress()
        return SpansByName({name: Spans(run, name, progress) for name in [*run.spans.edges]})

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
    def usage(self) -> Usage:
        """What was used since entering; while the block runs, up to the newest sample.

        Raises:
            NotMeasured: no sample was taken, with the reason.
        """
        return self._latest_run().usage()

    @property
    def usages(self) -> dict[str, Usage]:
        """The same for every channel by itself, also for those that are not in the total.

        Raises:
            NotMeasured: a channel has no sample.
        """
        return self._latest_run().usages()

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of the counted sources.

        Raises:
            NotMeasured: the meter was never entered.
        """
        return tuple(channel.info.name for channel in self._latest_run().counted)

    @property
    def channels(self) -> tuple[SampledChannel, ...]:
        """What the last (or running) block samples, excluded channels too: each with its energy curve.

        Raises:
            NotMeasured: the meter was never entered.
        """
        return tuple(self._latest_run().sampler.channels)

    @property
    def balance(self) -> Balance | None:
        """What is left of the budget that pays for the running block, with what is not debited yet.

        None: no budget pays, or no block runs.
        """
        billing = self._billing
        if billing is None:
            return None
        billing.poll(start=False)
        return billing.balance()

    @property
    def latest(self) -> Reading:
        """What the counted sources drew at their newest samples; their watts added.

        Raises:
            NotMeasured: there is no sample yet.
        """
        return self._latest_run().latest()

    @property
    def recording(self) -> Recording:
        """How the recording to ``out`` goes: rows, error, and whether every source is a replay that is over.

        Raises:
            NotMeasured: the meter was never entered.
        """
        return self._latest_run().recording()

    @property
    def trace(self) -> Trace:
        """The samples of the counted sources as numpy columns, their power added.

        A run longer than the ring (a minute at 1 kHz) is thinned where it is old; ``out=`` keeps all.

        Raises:
            NotMeasured: there is no sample yet.
        """
        from energymeter.recordings.trace import Trace

        run = self._latest_run()
        kept = run.samples()
        begun = [kept[c.info.name][0].at_ns for c in run.counted if kept[c.info.name]]
        start_ns = min(begun, default=None)  # one for all, so that they are added at the same moments
        traces = [
            Trace.from_samples(
                kept[channel.info.name],
                channel.info.name,
                channel.info.facts,
                run.applied(channel),
                start_ns,
                1 / channel.info.rate_hz,
            )
            for channel in run.counted
        ]
        return sum(traces[1:], start=traces[0])

    def _latest_run(self) -> Run:
        run = self._life.latest
        if run is None:
            raise NotMeasured("this meter has measured nothing yet; use `with meter:` around some code")
        return run

    def __repr__(self) -> str:
        if self._groups is None:
            source = self.choice.spec if self.choice is not None else "the best sensor here"
        else:
            from energymeter.meter.log_header import shown_name

            source = ",".join("+".join(shown_name(one) for one in group) for group in self._groups)
        if self._life.latest is None:
            return f"EnergyMeter({source}: not entered yet)"
        state = "running" if self._life.running is not None else "closed"
        try:
            return f"EnergyMeter({source}: {state}, {self.usage})"
        except NotMeasured as reason:
            return f"EnergyMeter({source}: {state}, {reason})"


def _groups(text: str) -> list[list[Spec | Source]]:
    """The sources of a spec: groups side by side, each a list of sources that add up."""
    from energymeter.spec import parse

    return [[*group] for group in parse(text)]
