"""``make oracle``: random programs until the time is over; what fails is shrunk, shown and kept.

    python -m oracle.run SECONDS [--first SEED] [--jobs N] [--only real|long] [--keep FOLDER]
    python -m oracle.run --programs N --first SEED

Exit code 1 where something was found. With ``--programs`` these run and no others, and a finding counts where
the same program has it three times: what fails then is a change of the package, not of the machine. Two kinds
of programs share the time: real ones (`oracle.generate`), run as processes, and long ones in simulated time
(`oracle.simulate`).
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, NamedTuple

from oracle.check import Finding, Score, Verdict
from oracle.generate import program
from oracle.play import PATH, play
from oracle.shrink import shrunk
from oracle.simulate import LongRun, long_run, simulate
from oracle.steps import Program

SEEDS = Path(__file__).resolve().parent / "seeds"
REFUSED_SHARE = 0.02
"""The share of figures of healthy programs that may be refused."""
WIDE = 2.0
"""The ± is at most so many times the error that 95 of 100 stay below."""
RIGHT_SHARE = 0.93
_ENOUGH = 40
"""Programs with scores of a kind, for their ± to be judged."""
_JOBS = 6
_SHRINK_SECONDS = 90.0
_HANGS_SECONDS = 900.0
"""A long run is five seconds of arithmetic, which a very busy machine may stretch."""
_SHRUNK = 3
_LONG_EVERY, _AGAIN = 4, 2


class Tried(NamedTuple):
    """One seed."""

    kind: str
    seed: int
    verdict: Verdict
    seconds: float


class Tally:
    """Everything that was seen so far."""

    def __init__(self) -> None:
        self.programs: Counter[str] = Counter()
        self.figures = self.healthy = self.refused = 0
        self.found: dict[str, list[tuple[Tried, Finding, float]]] = defaultdict(list)
        self._start = time.monotonic()
        self._scores: dict[str, list[Score]] = defaultdict(list)

    def add(self, tried: Tried) -> None:
        self.programs[tried.kind] += 1
        verdict = tried.verdict
        self.figures += verdict.figures
        self.healthy += verdict.healthy
        self.refused += verdict.refused
        for finding in verdict.findings:
            if finding.code not in self.found:  # an hour is long to wait for it
                line = f"{tried.kind} seed {tried.seed}: {finding.code}: {finding.message[:200]}"
                print(line, file=sys.__stderr__, flush=True)  # a click runner may have the other streams
            self.found[finding.code].append((tried, finding, time.monotonic() - self._start))
        for score in _one_of_each(verdict.scores):
            self._scores[score.kind].append(score)

    def widths(self) -> list[Finding]:
        """Whether the ± is as wide as the errors are, for each kind of figure."""
        found = []
        for kind, scores in sorted(self._scores.items()):
            count = len(scores)
            if count < _ENOUGH:
                continue
            right, spread = _right(scores), _spread(scores)
            if right < RIGHT_SHARE - 2.5 * math.sqrt(0.05 / count):
                found.append(Finding("± too narrow", kind, f"holds {right:.1%} of {count} errors"))
            if spread < 1 / WIDE:
                found.append(
                    Finding("± too wide", kind, f"95 % of {count} errors are below {spread:.2f} of it")
                )
        if self.healthy > 200 and self.refused > REFUSED_SHARE * self.healthy:
            found.append(Finding("refuses", "all", f"{self.refused} of {self.healthy} healthy figures"))
        return found

    def spreads(self) -> Iterator[str]:
        """How the ± compares with the errors, for each kind of figure."""
        yield f"{'figure':44} programs  within ±  median ±, J  95 % of errors below, J  of their ±"
        for kind, scores in sorted(self._scores.items(), key=lambda item: -len(item[1])):
            if len(scores) >= _ENOUGH:
                median = sorted(score.uncertainty for score in scores)[len(scores) // 2]
                error = _quantile([abs(score.error) for score in scores])
                yield (
                    f"{kind:44} {len(scores):8} {_right(scores):9.1%} {median:12.4g} {error:24.4g} "
                    f"{_spread(scores):11.2f}"
                )

    def table(self) -> Iterator[str]:
        """What was found, by code."""
        for code, found in sorted(self.found.items(), key=lambda item: -len(item[1])):
            tried, finding, seconds = found[0]
            yield f"{len(found):5} x {code}: first after {seconds:.0f} s by {tried.kind} seed {tried.seed}"
            yield f"        {finding.figure}: {finding.message[:600]}"

    def summary(self) -> str:
        programs = " and ".join(f"{count} {kind}" for kind, count in sorted(self.programs.items()))
        return (
            f"{programs or 'no'} programs, {self.figures} figures, {self.healthy} of them healthy, "
            f"{self.refused} refused"
        )


def main() -> int:
    parser = argparse.ArgumentParser(prog="oracle", description=__doc__)
    parser.add_argument("seconds", type=float, nargs="?", default=0.0)
    parser.add_argument("--programs", type=int, default=0, help="so many instead of seconds")
    parser.add_argument("--first", type=int, default=int(time.time()) % 1_000_000 * 1000)
    parser.add_argument("--jobs", type=int, default=_JOBS)
    parser.add_argument("--only", choices=["real", "long"])
    parser.add_argument("--keep", type=Path, default=SEEDS, help="where failing programs are kept")
    parser.add_argument("--no-shrink", action="store_true")
    options = parser.parse_args()
    if options.programs:
        seeds = range(options.first, options.first + options.programs)
        tally = steady(seeds, options.jobs, options.only)
    else:
        tally = search(options.seconds, options.first, options.jobs, options.only)
    for line in tally.table():
        print(line)
    widths = [] if options.programs else tally.widths()  # these need hundreds of programs
    for finding in widths:
        print(f"{finding.code}: {finding.figure}: {finding.message}")
    for line in tally.spreads():
        print(line)
    print(tally.summary())
    if not options.no_shrink:
        for code, found in list(tally.found.items())[:_SHRUNK]:
            _keep(code, found[0][0], options.keep)
    return 1 if tally.found or widths else 0


def search(
    seconds: float,
    first: int,
    jobs: int = _JOBS,
    only: str | None = None,
    enough: Callable[[Tally], bool] = lambda _: False,
) -> Tally:
    """Try seeds from ``first`` on until the time is over."""
    tally, give_up, seed = Tally(), time.monotonic() + seconds, first
    with ThreadPoolExecutor(jobs) as pool:
        running: set[Future[Tried]] = set()
        long_running: set[Future[Tried]] = set()
        while time.monotonic() < give_up and not enough(tally):
            while len(running) < jobs:
                # long ones are all arithmetic: one of them at a time, the others mostly wait
                long = only == "long" or (only is None and not long_running & running)
                future = pool.submit(_long if long else _real, seed)
                running.add(future)
                if long:
                    long_running.add(future)
                seed += 1
            done, running = wait(running, timeout=1.0, return_when=FIRST_COMPLETED)
            for future in done:
                tally.add(future.result())
        for future in running:
            tally.add(future.result())
    return tally


def steady(seeds: range, jobs: int = _JOBS, only: str | None = None) -> Tally:
    """Try these seeds, every fourth as a long run, and keep what is found in one of them each time."""
    tally = Tally()

    def tried(seed: int) -> Tried:
        long = only == "long" or (only is None and seed % _LONG_EVERY == 0)
        first = _long(seed) if long else _real(seed)
        codes = {finding.code for finding in first.verdict.findings}
        for _ in range(_AGAIN):
            if codes:
                again = _long(seed) if long else _real(seed)
                codes &= {finding.code for finding in again.verdict.findings}
        first.verdict.findings = [one for one in first.verdict.findings if one.code in codes]
        return first

    with ThreadPoolExecutor(jobs) as pool:
        for one in pool.map(tried, seeds):
            tally.add(one)
    return tally


def _real(seed: int) -> Tried:
    start = time.monotonic()
    return Tried("real", seed, play(program(seed)).verdict, time.monotonic() - start)


def _long(seed: int) -> Tried:
    """In a process of its own: its arithmetic must not hold up the others."""
    start = time.monotonic()
    code = f"import sys; sys.path[:0] = {PATH!r}; from oracle.run import print_verdict; print_verdict({seed})"
    verdict = Verdict()
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=_HANGS_SECONDS,
            check=False,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )
    except subprocess.TimeoutExpired:
        verdict.found("hang of the simulation", str(seed), f"took more than {_HANGS_SECONDS:.0f} s")
        return Tried("long", seed, verdict, time.monotonic() - start)
    if done.returncode:
        verdict.found("crash of the simulation", str(seed), done.stderr[-3000:])
    else:
        fields = json.loads(done.stdout)
        verdict.findings = [Finding(*finding) for finding in fields["findings"]]
        verdict.scores = [Score(*score) for score in fields["scores"]]
        verdict.figures, verdict.healthy, verdict.refused = fields["counts"]
    return Tried("long", seed, verdict, time.monotonic() - start)


def print_verdict(seed: int) -> None:
    """The verdict on a long run, as JSON on standard output."""
    verdict = simulate(long_run(seed))
    fields = {
        "findings": verdict.findings,
        "scores": verdict.scores,
        "counts": [verdict.figures, verdict.healthy, verdict.refused],
    }
    print(json.dumps(fields))


def verdict_on(thing: Program | LongRun) -> Verdict:
    """Run one program, whichever kind it is."""
    return simulate(thing) if isinstance(thing, LongRun) else play(thing).verdict


def kept(path: Path) -> Program | LongRun:
    """A program that failed once."""
    text = path.read_text()
    return LongRun.from_json(text) if "long run" in json.loads(text) else Program.from_json(text)


def _keep(code: str, tried: Tried, folder: Path) -> None:
    thing: Any = long_run(tried.seed) if tried.kind == "long" else program(tried.seed)

    def fails(candidate: Any) -> bool:
        return any(finding.code == code for finding in verdict_on(candidate).findings)

    if not fails(thing):
        print(f"{tried.kind} seed {tried.seed} did not fail again: {code}")
        return
    smallest = shrunk(thing, fails, _SHRINK_SECONDS)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{code.replace(' ', '-').replace('±', 'uncertainty')}-{tried.seed}.json"
    path.write_text(smallest.to_json() + "\n")
    print(f"{code}: kept as {path}")
    print(path.read_text())


def _one_of_each(scores: list[Score]) -> Iterator[Score]:
    """One score a kind: the figures of one program share their errors."""
    seen: set[str] = set()
    for score in scores:
        if score.kind not in seen and score.uncertainty > 0:
            seen.add(score.kind)
            yield score


def _right(scores: list[Score]) -> float:
    """The share of errors within their ±."""
    return sum(abs(score.error) <= score.uncertainty for score in scores) / len(scores)


def _spread(scores: list[Score]) -> float:
    """The error that 95 of 100 stay below, as a share of its ±."""
    return _quantile([abs(score.error) / score.uncertainty for score in scores])


def _quantile(numbers: list[float], share: float = 0.95) -> float:
    return sorted(numbers)[math.ceil(share * len(numbers)) - 1]


if __name__ == "__main__":
    sys.exit(main())
