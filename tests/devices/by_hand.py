"""A sampler whose curve a test writes by hand, on a clock that it moves by hand."""

from collections.abc import Callable

from devices.rows import row_of
from energymeter.calibration.cards import Cards
from energymeter.clock import ManualClock
from energymeter.energy.integrate import Integrator
from energymeter.meter.life import Life
from energymeter.meter.run import Run
from energymeter.meter.span import Span
from energymeter.meter.spans import Spans
from energymeter.reading import Facts, Reading
from energymeter.sampling.config import ChannelInfo
from energymeter.sampling.curve import Curve
from energymeter.sampling.memory import ChannelMemory, Count, CurveWriter, State, channel_bytes
from energymeter.sampling.sampler import SampledChannel

MS = 1_000_000
CAPACITY = 1024
RATE_HZ = 1000.0


class Pen:
    """One channel's curve and its writer, over the same memory."""

    def __init__(self, name: str = "bench", capacity: int = CAPACITY) -> None:
        memory = ChannelMemory(memoryview(bytearray(channel_bytes(capacity))), capacity)
        self.writer = CurveWriter(memory)
        memory.counts[Count.STATE] = State.RUNNING
        self.integrator = Integrator(Facts(), 10**9)
        self.curve = Curve(memory, trapezoids=True)
        info = ChannelInfo(0, name, Facts(), RATE_HZ, capacity, 0, name, False, False)
        self.channel = SampledChannel(info, self.curve)

    def sample_at(self, rate_hz: float) -> None:
        """Say this rate, whatever is written."""
        self.channel = self.channel._replace(info=self.channel.info._replace(rate_hz=rate_hz))

    def write(self, at_ns: int, watts: float) -> None:
        sample = self.integrator.add(at_ns, Reading(watts=watts))
        assert sample is not None
        self.writer.append(row_of(sample))


class Bench:
    """A run over curves of one sample a millisecond: a sampler whose samples are written by the test."""

    in_process = False
    restarts = 0
    log = None
    left_ready = False
    configs = ()

    def __init__(self, *pens: Pen) -> None:
        self.pens = pens or (Pen(),)
        self.clock = ManualClock(1)
        self.stopped = 0
        self.on_wait = lambda: None
        self.life = Life(self.clock.monotonic_ns)

    @property
    def curve(self) -> Curve:
        return self.pens[0].curve

    @property
    def channels(self) -> list[SampledChannel]:
        return [pen.channel for pen in self.pens]

    @property
    def now_ns(self) -> int:
        return self.clock.monotonic_ns()

    def enter(self) -> Run:
        """Begin a run."""

        def started() -> Run:
            run = Run(self, 1, Cards(), self.clock)
            self.life.opening(run)
            run.start(lambda _: None)
            return run

        self.life.enter(started, [])
        return self.life.latest

    def leave(self) -> None:
        self.life.leave(lambda run: run.finish(), [])

    def span(self, name: str = "span") -> Span:
        return Span(self.life, name)

    def spans(self, name: str = "span") -> Spans:
        run = self.life.latest
        run.resolve_spans()
        return Spans(run, name, run.progress())

    def sleep(self, nanoseconds: int) -> None:
        """Let time pass without a sample."""
        self.clock.sleep(nanoseconds * 1e-9)

    def pass_ms(self, count: int, watts: float = 2.0) -> None:
        """Let time pass, with a sample after each millisecond."""
        for _ in range(count):
            self.sleep(MS)
            for pen in self.pens:
                pen.write(self.now_ns, watts)

    # what a run needs of a sampler

    def start(self) -> None:
        """The first samples are there already."""

    def stop(
        self,
        *,
        discard_log: bool = False,
        window_ns: tuple[int, int] | None = None,
        span_edges_ns: object = None,
        span_counts: object = None,
        throttled_after: int | None = None,
    ) -> None:
        self.stopped += 1

    def stay_ready(self, end_ns: int) -> bool:
        """It serves one block."""
        return False

    def watch(self, look: Callable[[], object]) -> None:
        """A test looks by itself."""
        self.look = look

    def ended(self) -> bool:
        return False

    def replays_ended(self) -> bool:
        return True

    def notes(self) -> list[str]:
        return []

    def log_error(self) -> str:
        return ""

    def recorded_rows(self) -> int:
        return 0

    def wait_past(self, at_ns: int, seconds: float) -> None:
        self.waited = seconds
        self.on_wait()
