"""``make mutate``: small random changes to the code, one at a time; the tests must notice each.

    cd tests && python -m mutate.mutate [MODULE...] [--seed N] [--count N | --most N] [--jobs N] [--slow]

Mutants are cosmic-ray's. Of each module ``--count`` are drawn by the seed, evenly over its lines; ``--most``
draws so many of all modules together, as evenly. They are made in copies of the tree. All tests run once to
see which lines each executes (`lines.py`); of a mutant, those that execute its line run, the quickest first,
in forks of a process that has loaded what tests need (`server.py`). What survives runs against all tests of
the module's package, with ``--slow`` also against those that are marked as slow. What survives that is
printed; each outcome is a line of ``.cache/mutants/SEED-STATE.jsonl``, where the state is that of the tree.
A run that was interrupted goes on where it stopped when the same seed is given again in the same tree; with
``--slow``, what survived before runs against the slow tests alone.

A test that fails because the machine is busy notices nothing: the test that failed runs again alone, where it
must fail with the mutant and pass without it. Else it is left out, and the others go on. A test that does not
end is held to the same.

It needs Python 3.12, whose ``sys.monitoring`` costs a sampler at 1 kHz nothing.
"""

import argparse
import ast
import contextlib
import json
import math
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from queue import Queue
from typing import IO, Any, NamedTuple

from mutate.lines import ROOT, copy_tree, environment, executed, own_tests
from mutate.server import Done, Request

KEEP = ROOT / ".cache" / "mutants"
CODE = ("energymeter", "drivers", "calibration")
PATIENCE = 6.0
"""Tests may take so many times as long as they took without a mutant."""
WHOLE_SECONDS = 600.0
"""The tests of a package may take so long."""
QUICK_SECONDS, QUICK_TESTS = 10.0, 60
"""So much of the tests that execute a line runs at a time."""
LINE_SECONDS = 60.0
"""The tests of the package come after so much of them."""
_NOISE = ("version.py", "__init__.py", "__main__.py")


class Outcome(NamedTuple):
    """What became of one mutant."""

    module: str
    line: int
    operator: str
    killed_by: str
    """Tests of the ``line``, of the ``package``, its ``slow`` ones, or an empty text: it survived."""
    diff: str
    test: str = ""
    """The test that noticed it."""
    seconds: float = 0.0


Key = tuple[str, int, str, str]
"""A mutant: its module, line, operator and diff."""


def kept(path: Path) -> dict[Key, Outcome]:
    """The outcomes of an interrupted run."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    outcomes = [Outcome(**json.loads(line)) for line in lines if line.endswith("}")]
    return {(one.module, one.line, one.operator, one.diff): one for one in outcomes}


def modules(wanted: Sequence[str]) -> list[Path]:
    """The files to change, each under its own name: a folder that is a link is left out."""
    found = [Path(name) for name in wanted] or [
        path.relative_to(ROOT)
        for folder in CODE
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path.resolve() == path and path.name not in _NOISE
    ]
    return [path for path in found if (ROOT / path).is_file()]


def drawn(module: Path, count: int, seed: int) -> list[Any]:
    """Mutations of a module: by the seed, one a line before any line has two."""
    from cosmic_ray.commands.init import _all_work_items

    annotations = _annotations((ROOT / module).read_text())
    by_line: dict[int, list[Any]] = {}
    for item in _all_work_items([ROOT / module], {}):
        (mutation,) = item.mutations
        if any(start <= mutation.start_pos < end for start, end in annotations):
            continue
        by_line.setdefault(mutation.start_pos[0], []).append(mutation)
    rnd = random.Random(f"{seed} {module}")
    texts = _texts((ROOT / module).read_text())
    lines = [line for line in by_line if line not in texts]
    rnd.shuffle(lines)
    chosen: list[Any] = []
    while len(chosen) < count and any(by_line[line] for line in lines):
        for line in lines:
            if by_line[line] and len(chosen) < count:
                chosen.append(by_line[line].pop(rnd.randrange(len(by_line[line]))))
    return chosen


def chosen(files: Sequence[Path], each: int, seed: int) -> Iterator[tuple[Path, Any]]:
    """So many mutations of each module, one module after the other in an order drawn by the seed."""
    order = [*files]
    random.Random(seed).shuffle(order)
    for module in order:
        for mutation in drawn(module, each, seed):
            yield module, mutation


def _annotations(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Where types of variables, arguments and results begin and end, as (line, column); nobody uses them."""
    kinds: list[ast.expr | None] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.AnnAssign | ast.arg):
            kinds.append(node.annotation)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            kinds.append(node.returns)
    return [
        ((kind.lineno, kind.col_offset), (kind.end_lineno or 0, kind.end_col_offset or 0))
        for kind in kinds
        if kind is not None
    ]


def _texts(source: str) -> set[int]:
    """The lines of docstrings, definitions and imports, also for types: nothing there can be noticed."""
    texts = {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    heads = re.compile(r"\s*(def |async def |from |import |class |@|if TYPE_CHECKING:)|.*\).*->")
    return texts | {number for number, text in enumerate(source.splitlines(), 1) if heads.match(text)}


class Worker:
    """A copy of the tree in which mutants are made, and the process that runs its tests."""

    def __init__(self, tree: Path) -> None:
        self._tree = tree
        self._server = subprocess.Popen(
            [sys.executable, "-m", "mutate.server"],
            cwd=tree,
            env={**environment(tree), "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def close(self) -> None:
        self._server.communicate()

    def run(
        self,
        where: Sequence[str],
        seconds: float,
        only: Sequence[str] = (),
        without: Sequence[str] = (),
        slow: bool = False,
    ) -> Done:
        """Run tests until one fails, or the time is over."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        print(
            json.dumps(Request([*where], [*only], [*without], seconds, slow)),
            file=self._server.stdin,
            flush=True,
        )
        return Done(*json.loads(self._server.stdout.readline()))

    @contextlib.contextmanager
    def changed(self, module: Path, source: str) -> Iterator[None]:
        """Meanwhile a file of the copy reads otherwise."""
        path = self._tree / module
        before, times = path.read_text(), path.stat()
        path.write_text(source)
        try:
            yield
        finally:
            path.write_text(before)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # its compiled code stands


class Bench:
    """Judges mutants, several at a time.

    Args:
        jobs: so many.
        slow: what survives also runs against the tests that are marked as slow.
    """

    def __init__(self, jobs: int, slow: bool) -> None:
        self._slow = slow
        self._folder = Path(tempfile.mkdtemp(prefix="mutants-"))
        self._workers: Queue[Worker] = Queue()
        self._plain = plain = copy_tree(self._folder / "0")
        self._executed = executed(plain, KEEP, jobs)
        self.state = self._executed.state
        # compiles all code and all tests, once for all copies
        subprocess.run(
            [sys.executable, "-m", "pytest", "--collect-only", "-q"],
            cwd=plain,
            env={**environment(plain), "PYTHONDONTWRITEBYTECODE": ""},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        for number in range(1, jobs + 1):
            copy = self._folder / str(number)
            shutil.copytree(plain, copy, symlinks=True)
            self._workers.put(Worker(copy))
        self._steady: dict[str, bool] = {}
        self.unsteady: set[str] = set()
        """Tests that failed with a mutant and did not fail alone."""

    def close(self) -> None:
        while not self._workers.empty():
            self._workers.get().close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def judge(self, module: Path, mutation: Any, known: Mapping[Key, Outcome]) -> Outcome:
        """Make one mutant, run the tests, take it back; or find it among those that are known."""
        from cosmic_ray.mutating import mutate_code
        from cosmic_ray.plugins import get_operator

        line, name = mutation.start_pos[0], mutation.operator_name
        before = (self._plain / module).read_text()
        operator = get_operator(name)(**dict(mutation.operator_args or {}))
        after = mutate_code(before, operator, mutation.occurrence)
        if after is None or after == before:
            return Outcome(str(module), line, name, "same", "")
        diff = _diff(before, after)
        judged = known.get((str(module), line, name, diff))
        if judged is not None and (judged.killed_by or not self._slow):
            return judged
        began = time.monotonic()
        worker = self._workers.get()
        try:
            for by, where, only in self._passes(module, line, only_slow=judged is not None):
                test = self._noticed(worker, (module, after), where, only, slow=by == "slow")
                if test is not None:
                    seconds = time.monotonic() - began
                    return Outcome(str(module), line, name, by, diff, test, seconds)
        finally:
            self._workers.put(worker)
        return Outcome(str(module), line, name, "", diff, "", time.monotonic() - began)

    def _passes(
        self, module: Path, line: int, *, only_slow: bool
    ) -> Iterator[tuple[str, list[str], list[str]]]:
        if only_slow:
            yield "slow", own_tests(module), []
            return
        left, total = self._executed.tests(module, line), 0.0
        while left and total < LINE_SECONDS:
            chosen: list[str] = []
            seconds = 0.0
            while left and len(chosen) < QUICK_TESTS and seconds < QUICK_SECONDS:
                chosen.append(left.pop(0))
                seconds += self._executed.seconds[chosen[-1]]
            total += seconds
            yield "line", sorted({test.partition("::")[0] for test in chosen}), chosen
        yield "package", own_tests(module), []
        if self._slow:
            yield "slow", own_tests(module), []

    def _noticed(
        self, worker: Worker, mutant: tuple[Path, str], where: list[str], only: list[str], *, slow: bool
    ) -> str | None:
        """The test that notices a mutant, empty where none can even be read; None: no test."""
        known = self._executed.seconds
        limit = PATIENCE * (sum(known[test] for test in only) + 10) if only else WHOLE_SECONDS
        left_out: list[str] = []
        while True:
            with worker.changed(*mutant):
                done = worker.run(where, limit, only, left_out, slow)
                if done.passed:
                    return None
                again = [done.culprit] if done.culprit else where
                alone = PATIENCE * (known.get(done.culprit, 10.0) + 5)
                fails = not worker.run(again, alone if done.culprit else limit, slow=slow).passed
            if not done.culprit:
                # it cannot be imported, or ends the interpreter: no matter of time, and again to be seen
                return "" if fails else None
            if fails and self._passes_alone(worker, done.culprit, alone, slow=slow):
                return done.culprit
            self.unsteady.add(done.culprit)
            left_out.append(done.culprit)

    def _passes_alone(self, worker: Worker, test: str, seconds: float, *, slow: bool) -> bool:
        """A test passes alone where there is no mutant."""
        if test not in self._steady:
            self._steady[test] = worker.run([test], seconds, slow=slow).passed
        return self._steady[test]


def _diff(before: str, after: str) -> str:
    import difflib

    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
    return "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@")))


def wilson(hits: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    if not trials:
        return 0.0, 1.0
    share, square = hits / trials, z * z / trials
    middle = share + square / 2
    half = z * ((share * (1 - share) + square / 4) / trials) ** 0.5
    return (middle - half) / (1 + square), (middle + half) / (1 + square)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", help="files; none: all")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--count", type=int, default=14, help="of each module")
    parser.add_argument("--most", type=int, default=0, help="of all together, instead of --count of each")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--slow", action="store_true", help="also run tests that are marked as slow")
    options = parser.parse_args()
    files = modules(options.modules)
    each = math.ceil(1.2 * options.most / len(files)) if options.most else options.count  # some are short
    mutants = islice(chosen(files, each, options.seed), options.most or None)
    bench = Bench(options.jobs, options.slow)
    path = KEEP / f"{options.seed}-{bench.state}.jsonl"
    known = kept(path)
    outcomes: list[Outcome] = []
    lock, interrupted = threading.Lock(), threading.Event()

    def work(file: IO[str]) -> None:
        while True:
            with lock:
                one = None if interrupted.is_set() else next(mutants, None)
            if one is None:
                return
            outcome = bench.judge(*one, known)
            if outcome.killed_by == "same":
                continue
            with lock:
                outcomes.append(outcome)
                if outcome not in known.values():
                    print(json.dumps(outcome._asdict()), file=file, flush=True)
                if len(outcomes) % 20 == 0:
                    print(f"{len(outcomes)} judged", flush=True)
                if not outcome.killed_by:
                    where = f"{outcome.module}:{outcome.line} {outcome.operator}"
                    print(f"SURVIVED {where}\n{outcome.diff}", flush=True)

    try:
        with (
            open(path, "a", encoding="utf-8") as file,
            ThreadPoolExecutor(options.jobs) as pool,
        ):
            try:
                for done in [pool.submit(work, file) for _ in range(options.jobs)]:
                    done.result()
            except KeyboardInterrupt:  # those that are being judged are still counted
                interrupted.set()
    finally:
        bench.close()
    for test in sorted(bench.unsteady):
        print(f"UNSTEADY {test}")
    noticed = sum(bool(outcome.killed_by) for outcome in outcomes)
    low, high = wilson(noticed, len(outcomes))
    print(
        f"seed {options.seed}: {noticed} of {len(outcomes)} mutants noticed ({low:.1%} to {high:.1%}), "
        f"{len(outcomes) - noticed} survived"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
