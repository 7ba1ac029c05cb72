"""Random programs from a seed."""

import random
from collections.abc import Callable
from typing import Any

from oracle import steps as s

_LABELS = "abc"


def program(seed: int) -> s.Program:
    """The program of a seed, always the same."""
    return _Generator(random.Random(seed)).program(seed)


class _Generator:
    def __init__(self, rnd: random.Random) -> None:
        self._rnd = rnd
        self._left = 0.0
        self._meters: tuple[s.MeterSpec, ...] = ()

    def program(self, seed: int) -> s.Program:
        rnd = self._rnd
        special = rnd.random()
        if special < 0.06:
            return self._replays(seed)
        self._meters = (self.meter(), *([self.meter(plain=True)] if rnd.random() < 0.15 else []))
        self._left = rnd.choice([0.6, 1.0, 1.6, 2.5])
        if any(source.late > 0.5 or source.hz < 5 for meter in self._meters for source in meter.sources):
            self._left = max(self._left, 2.5)
        steps: list[s.Step] = []
        for _ in range(rnd.choice([1, 1, 2, 3])):
            steps += self._around_block()
        if rnd.random() < 0.08:
            steps.append(self._ending())
        where = self._where()
        return s.Program(seed, self._meters, tuple(steps), where)

    # -- sources -----------------------------------------------------------------------------------

    def meter(self, plain: bool = False) -> s.MeterSpec:
        rnd = self._rnd
        as_object = rnd.random() < 0.45
        if as_object:
            sources: tuple[s.SourceSpec, ...] = (self.source(),)
        else:
            sources = tuple(self.source() for _ in range(rnd.choice([1, 1, 1, 2, 2, 3])))
        log = "" if plain or rnd.random() < 0.6 else rnd.choice(["csv", "csv", "jsonl", "parquet"])
        if log and rnd.random() < 0.06:
            log = rnd.choice(["fifo", "bytes"])
        budget = not plain and rnd.random() < 0.35
        rate = 0.0
        healthy = all(source.healthy for source in sources)  # else its first sample may be minutes away
        if rnd.random() < 0.04 and not budget and healthy:
            rate = rnd.choice([0.005, 0.008, 0.05])
        linger = None if as_object or rnd.random() < 0.6 else rnd.choice([0.0, 0.1, 0.5, 2.0])
        return s.MeterSpec(sources, as_object, rate, log, budget, linger=linger)

    def source(self, divided: bool = True) -> s.SourceSpec:
        rnd = self._rnd
        if divided and rnd.random() < 0.08:
            return self._rails()
        semantics = rnd.choice(["instant", "instant", "instant", "mean", "counter"])
        hz = rnd.choice([20.0, 50.0, 100.0, 100.0, 200.0, 500.0])
        if rnd.random() < 0.04:
            hz = rnd.choice([1.0, 2.0])
        quantity = "joules" if semantics == "counter" else rnd.choice(["watts", "watts", "amps"])
        gain = rnd.choice([0.0, 0.002, 0.01])
        offset = rnd.choice([0.0, 0.0, 0.02]) if quantity != "joules" else 0.0
        resolution = rnd.choice([0.0, 0.001, 0.01]) if quantity != "joules" else rnd.choice([1e-6, 1e-3])
        wave = self.wave(hz)
        peak = max(max(a, b) for _, a, b in wave)
        wrapping = quantity == "joules" and rnd.random() < 0.4 and hz >= 20
        way = "stream" if semantics == "instant" and rnd.random() < 0.2 else "read"
        spec: dict[str, Any] = dict(  # noqa: C408 - as the fields are spelled
            wave=wave,
            semantics=semantics,
            quantity=quantity,
            hz=hz,
            way=way,
            band=(gain, offset, resolution),
            gain=rnd.uniform(-gain, gain),
            offset=rnd.uniform(-offset, offset),
            wrap=rnd.choice([2.0, 5.0]) if wrapping else 0.0,
            max_watts=3 * peak if wrapping or (quantity == "joules" and rnd.random() < 0.5) else 0.0,
            stamped=rnd.random() < 0.6 or way == "stream",
            describes=semantics == "mean" and rnd.random() < 0.5,
            slow=rnd.choice([0.0] * 6 + [0.3 / hz]),
            shared=rnd.random() < 0.7,
        )
        return s.SourceSpec(**self._troubled(spec))

    def _troubled(self, spec: dict[str, Any]) -> dict[str, Any]:
        """Something may be wrong with it."""
        rnd = self._rnd
        if rnd.random() < 0.55:
            return spec
        quantity = spec["quantity"]
        start = rnd.uniform(0.1, 1.2)
        length = rnd.choice([0.4, 0.8, 1.5])
        match rnd.choice(
            ["fail", "fail", "stall", "stale", "odd", "odd", "late", "nominal", "restart", "batch", "renews"]
        ):
            case "fail":
                spec["troubles"] = (("fail", start, start + length, ""),)
            case "stall":
                if spec["way"] == "stream" and rnd.random() < 0.7:
                    spec.update(nominal_hz=1.0)
                    length = rnd.choice([1.5, 2.5])
                spec["troubles"] = (("stall", start, start + length, ""),)
            case "stale":
                spec["troubles"] = (("stale", start, start + length, ""),)
            case "odd" if spec["way"] == "read":
                value = rnd.choice(["nan", "nan", "inf", "seconds"])
                spec["troubles"] = (("odd", start, start, value),)
            case "late":
                spec["late"] = rnd.choice([0.3, 0.8, 1.3])
                if quantity == "joules":  # when in so long a first read it was counted, nobody can know
                    spec["stamped"] = True
            case "nominal" if spec["way"] == "stream":
                spec["nominal_hz"] = rnd.choice([1.0, 10.0])
            case "restart" if quantity == "joules":
                spec.update(restarts=True, wrap=0.0, troubles=(("fail", start, start + length, ""),))
            case "batch" if spec["way"] == "stream":
                spec["batch"] = rnd.choice([0.5, 1.0, 2.0])
            case "renews" if spec["semantics"] == "instant" and spec["way"] == "read":
                renews = rnd.choice([0.2, 0.3])
                spec.update(renews=renews, hz=50.0, stamped=False, wave=self.wave(2.0 / renews))
        return spec

    def _rails(self) -> s.SourceSpec:
        rnd = self._rnd
        if rnd.random() < 0.5:  # means that are renewed more seldom than the whole is read
            rails = tuple(
                s.SourceSpec(wave=self.wave(2.0), semantics="mean", hz=2.0, window=0.5)
                for _ in range(rnd.choice([1, 2]))
            )
            return s.SourceSpec(rails=rails, hz=50.0)
        rails = tuple(
            s.SourceSpec(wave=self.wave(50.0), hz=50.0, gain=rnd.uniform(-0.01, 0.01)) for _ in range(2)
        )
        return s.SourceSpec(rails=rails, hz=50.0)

    def wave(self, hz: float) -> tuple[tuple[float, float, float], ...]:
        """Power with features that a meter can see: none is shorter than six readings."""
        rnd = self._rnd
        shortest = max(6 / hz, 0.05)
        kind = rnd.random()
        if kind < 0.3:
            level = round(rnd.uniform(0.5, 10.0), 2)
            return ((1.0, level, level),)
        pieces = []
        for _ in range(rnd.randint(2, 6)):
            length = round(shortest * rnd.choice([1.0, 1.5, 3.0, 8.0]) * rnd.uniform(1.0, 1.3), 3)
            a = round(rnd.choice([0.0, 1.0, 3.0, 8.0]) + rnd.uniform(0.1, 1.0), 2)
            b = a if kind < 0.8 else round(rnd.uniform(0.1, 9.0), 2)
            pieces.append((length, a, b))
        return tuple(pieces)

    # -- steps -------------------------------------------------------------------------------------

    def _where(self) -> tuple[str, ...]:
        rnd = self._rnd
        if rnd.random() < 0.85:
            return ()
        kinds = [
            "crowd", "no stderr", "broken stderr", "closed stdin", "closed stdout", "no memfd",
            "forbidden memfd", "no executable", "frozen", "strict",
        ]  # fmt: skip
        return (rnd.choice(kinds),)

    def _ending(self) -> s.Step:
        rnd = self._rnd
        body = (s.Sleep(0.4), s.Leave(rnd.choice(["exit", "kill"])))
        return s.Block(body, 0, rnd.choice(["open", "with"]))

    def _around_block(self) -> list[s.Step]:
        """Steps before, a block, and steps after it."""
        rnd = self._rnd
        meter = rnd.randrange(len(self._meters))
        steps: list[s.Step] = []
        if rnd.random() < 0.12:
            steps.append(s.Idle(meter, 0.3))
        if rnd.random() < 0.1:
            steps.append(self._span(meter, 0))  # outside of the block
        if rnd.random() < 0.06:
            steps.append(s.Refused(rnd.choice(["missing", "require", "log"])))
        if rnd.random() < 0.05:
            steps.append(s.Rush(meter))
        if rnd.random() < 0.04 and self._meters[0].budget:
            steps.append(s.ForkWhileLeaving(0))
        if rnd.random() < 0.03 and not self._meters[meter].budget:  # that would pay to the program's end
            steps.append(s.Block((), meter, "forgotten"))
        way = rnd.choice(["with"] * 8 + ["async", "function", "generator", "agenerator", "twice", "raises"])
        block: s.Step = s.Block(self._body(meter, 0), meter, way)
        if rnd.random() < 0.06:
            block = self._over_edge(block, meter)
        if not any(spec.budget for spec in self._meters) and rnd.random() < 0.06:
            again = [
                s.Block((self._sleep(), self._span(meter, 1)), meter, "with")
                for _ in range(rnd.choice([1, 2]))
            ]
            block = s.Drawing((block, *again), meter)
        steps.append(block)
        if rnd.random() < 0.4:
            steps += self._again(meter)
        if rnd.random() < 0.25:
            steps += [s.Keep(meter)] if rnd.random() < 0.5 else []
            steps += [self._span(meter, 0) for _ in range(rnd.choice([1, 3]))]
        if rnd.random() < 0.2:
            steps.append(self._ask(meter))
        return steps

    def _again(self, meter: int) -> list[s.Step]:
        """The same meter soon after, several times, for a moment each."""
        rnd = self._rnd
        steps: list[s.Step] = []
        for _ in range(rnd.choice([1, 3, 6])):
            if rnd.random() < 0.3:
                steps.append(s.Sleep(rnd.choice([0.001, 0.03, 0.3, 0.3, 2.1])))
            if rnd.random() < 0.25:
                steps.append(self._while_ready(meter))
            body = (s.Sleep(rnd.choice([0.0, 0.001, 0.02, 0.1])), *[self._span(meter, 1)][: rnd.randrange(2)])
            steps.append(s.Block(body, meter, rnd.choice(["with", "with", "function", "raises"])))
            if rnd.random() < 0.4:
                steps.append(self._ask(meter))
        return steps

    def _while_ready(self, meter: int) -> s.Step:
        """What may happen while the sampler waits for its next block."""
        rnd, spec = self._rnd, self._meters[meter]
        choices: list[s.Step] = [
            s.Close(meter), s.Environ(), self._span(meter, 1), s.Idle(meter, 0.05), s.Ask("latest", meter),
        ]  # fmt: skip
        if not spec.object:
            choices += [s.Kill(crowded=rnd.random() < 0.2), s.Kill(), s.Stop(0.3)]
            choices += [s.Fork(self._worker(meter), rnd.choice([0.1, 6.0]))]
        if not spec.budget:
            choices += [s.Closerange()]
        return rnd.choice(choices)

    def _over_edge(self, block: s.Step, meter: int) -> s.Step:
        """A span that begins before the block, and ends after it."""
        return s.Span((s.Sleep(0.1), block, s.Sleep(0.1)), "edge", meter, "with")

    def _body(self, meter: int, depth: int) -> s.Body:
        rnd = self._rnd
        steps = [self._inner(meter, depth) for _ in range(rnd.randint(2, 6))]
        return (self._sleep(), *steps)

    def _sleep(self) -> s.Sleep:
        seconds = round(self._rnd.choice([0.02, 0.1, 0.2, 0.3]) * self._rnd.uniform(0.7, 1.3), 3)
        seconds = min(seconds, max(self._left, 0.02))
        self._left -= seconds
        return s.Sleep(seconds)

    def _span(self, meter: int, depth: int) -> s.Span:
        ways = ["with"] * 6 + ["function", "coroutine", "generator", "agenerator", "track", "raises"]
        body: s.Body = (self._sleep(),)
        if depth < 2 and self._rnd.random() < 0.2:
            body = (self._sleep(), self._inner(meter, depth + 1))
        return s.Span(body, self._rnd.choice(_LABELS), meter, self._rnd.choice(ways))

    def _ask(self, meter: int) -> s.Step:
        return s.Ask(
            self._rnd.choice(["usage", "usages", "spans", "spans", "spans", "trace", "latest"]), meter
        )

    def _inner(self, meter: int, depth: int) -> s.Step:
        """One step within a block."""
        rnd = self._rnd
        spec = self._meters[meter]
        in_process = spec.object
        quick = min(source.hz for source in spec.sources) >= 500
        choices: list[tuple[float, Callable[[], s.Step]]] = [
            (8, self._sleep),
            (12, lambda: self._span(meter, depth)),
            (5, lambda: self._ask(meter)),
            (1.5, lambda: s.Many("m", meter, rnd.choice([20, 100, 400]), rnd.choice([2e-4, 1e-3]))),
            (1.2, lambda: s.Tasks("t", meter, rnd.choice([3, 8]), 0.1)),
            (1.0, lambda: s.Interrupted("i", meter, rnd.choice([3, 6]), rnd.choice([100, 300]))),
            # longer than from one sample to the next: their own ± hides nothing
            (0.6 if quick else 0.0, lambda: s.Interrupted("j", meter, 6, 40, 4e-3)),
            (0.6, lambda: s.Signals((self._sleep(),), meter, "g")),
            (1.0, lambda: s.Track(meter, rnd.choice(["endless", "plain"]), progress=rnd.random() < 0.5)),
            (0.8, lambda: s.Idle(meter, 0.3)),
            (0.8, lambda: s.Keep(meter)),
            (0.8, lambda: s.Block((self._sleep(),), meter, "with")),
            (0.0 if spec.budget else 0.6, s.Closerange),  # not while a thread writes the ledger
            (0.6, lambda: s.Guarded(rnd.choice(["guard", "track", "function", "generator", "endless"]))),
        ]
        if depth < 2:
            choices += [
                (2, lambda: s.Threads(tuple(self._threaded(meter, depth) for _ in range(rnd.randint(2, 4))))),
                (1.6, lambda: s.Fork(self._worker(meter), rnd.choice([0.1, 6.0]))),
            ]
        if in_process:
            choices += [(1.2, lambda: s.Hold(rnd.choice([0.2, 0.5])))]
        else:
            choices += [
                (2.0, lambda: s.Stop(rnd.choice([0.3, 0.6]))),
                (1.0, lambda: s.Kill(crowded=rnd.random() < 0.15)),
            ]
        if spec.log and not in_process:
            choices += [(1.5, s.Chdir)]
        if spec.budget:
            choices += [
                (3.0, s.Reset),
                (0.0 if in_process else 2.0, lambda: s.Company((self._sleep(),), meter, 0.4)),
            ]
        weights = [weight for weight, _ in choices]
        return rnd.choices([make for _, make in choices], weights)[0]()

    def _threaded(self, meter: int, depth: int) -> s.Body:
        kinds = [lambda: self._span(meter, 2), self._sleep, lambda: self._ask(meter)]
        return tuple(self._rnd.choice(kinds)() for _ in range(self._rnd.randint(1, 3)))  # type: ignore[operator]

    def _worker(self, meter: int) -> s.Body:
        return (self._span(meter, 2), self._span(meter, 2), s.Ask("spans", meter))

    def _replays(self, seed: int) -> s.Program:
        rnd = self._rnd
        kill = rnd.choice(["", "", "kill", "gone"])
        rows = 400_000 if kill else rnd.choice([100, 2000, 20_000])
        step = s.Replay(rows, rnd.choice([1.0, 100.0]), rnd.choice([1, 1, 2]), kill)
        return s.Program(seed, (), (step,))
