"""``make mutate``: small random changes to the code, one at a time; the tests must notice each.

    python tests/mutate/mutate.py [MODULE...] [--seed N] [--count N | --most N] [--jobs N]

Mutants are cosmic-ray's. Of each module ``--count`` are drawn by the seed, evenly over its lines; ``--most``
draws so many of all modules together, as evenly. They are made in copies of the tree. The tests of a
module's package run once with coverage; of a mutant, those that execute its line run, the quickest first.
What survives runs against the whole package's tests, and then against every test file that names the module
or something that it defines. What survives all is printed, and kept in ``.cache/mutants``.

A test that fails because the machine is busy notices nothing: the test that failed runs again alone, where it
must fail with the mutant and pass without it. Else it is left out, and the others go on. A test that does not
end is held to the same.
"""

import argparse
import ast
import contextlib
import functools
import json
import math
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
DATA = os.environ.get("ENERGYMETER_TEST_DATA", str(ROOT.parent / "shared" / "data"))
CODE = ("energymeter", "drivers", "calibration")
TIMEOUT_SECONDS = 240.0
ALONE_SECONDS = 60.0
"""One test alone has so long; it is believed to hang where it passes without the mutant."""
QUICK_SECONDS, QUICK_TESTS = 10.0, 60
"""So much of the tests that execute a line is tried first."""
_NOISE = ("version.py", "__init__.py", "__main__.py")


class Outcome(NamedTuple):
    """What became of one mutant."""

    module: str
    line: int
    operator: str
    killed_by: str
    """``quick``, ``own``, ``related``, or an empty text: it survived."""
    diff: str
    test: str = ""
    """The test that noticed it."""


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

    by_line: dict[int, list[Any]] = {}
    for item in _all_work_items([ROOT / module], {}):
        (mutation,) = item.mutations
        by_line.setdefault(mutation.start_pos[0], []).append(mutation)
    rnd = random.Random(f"{seed} {module}")
    lines = [line for line in by_line if not _is_text(ROOT / module, line)]
    rnd.shuffle(lines)
    chosen: list[Any] = []
    while len(chosen) < count and any(by_line[line] for line in lines):
        for line in lines:
            if by_line[line] and len(chosen) < count:
                chosen.append(by_line[line].pop(rnd.randrange(len(by_line[line]))))
    return chosen


def _is_text(path: Path, line: int) -> bool:
    """The line belongs to a docstring or an annotation of a type: nothing there can be noticed."""
    source = path.read_text()
    texts = [
        range(node.lineno, (node.end_lineno or node.lineno) + 1)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    ]
    if any(line in lines for lines in texts):
        return True
    text = source.splitlines()[line - 1]
    return bool(re.match(r"\s*(def |async def |from |import |class |@)|.*\).*->", text))


def own_tests(module: Path) -> list[str]:
    """The tests of the module's package, and its doctests."""
    parts = module.parts
    package = parts[1] if parts[0] == "energymeter" and len(parts) > 2 else parts[0]
    tests = ROOT / "tests" / package
    doctests = str(module if parts[0] == "energymeter" else Path("energymeter") / module)
    if package == "drivers":
        stem = module.stem
        named = [path for path in tests.rglob("test_*.py") if stem in path.stem or stem in path.read_text()]
        return [doctests, *(str(path.relative_to(ROOT)) for path in sorted(named))]
    if not tests.is_dir():
        one = ROOT / "tests" / f"test_{module.stem}.py"
        return [doctests, *([str(one.relative_to(ROOT))] if one.exists() else [])]
    return [doctests, str(tests.relative_to(ROOT))]


def related_tests(module: Path) -> list[str]:
    """Further test files: of the packages that import the module, and those that name what it defines."""
    source = (ROOT / module).read_text()
    names = {
        node.name
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    }
    words = re.compile("|".join(rf"\b{re.escape(name)}\b" for name in sorted({*names, module.stem})))
    folders = {f"tests/{package}" for package in _importers(module)}
    own = own_tests(module)
    found = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        if path.parent.name != "oracle"
        and (words.search(path.read_text()) or str(path.parent.relative_to(ROOT)) in folders)
    ]
    return [path for path in found if not any(path.startswith(one) for one in own)]


def _importers(module: Path) -> set[str]:
    """The packages of this code whose files import a module."""
    parts = module.with_suffix("").parts
    dotted = ".".join(parts if parts[0] == "energymeter" else ("energymeter", *parts))
    found = set()
    for folder in CODE:
        for path in (ROOT / folder).rglob("*.py"):
            if path.resolve() == path and re.search(rf"\b{re.escape(dotted)}\b", path.read_text()):
                place = path.relative_to(ROOT).parts
                found.add(place[1] if place[0] == "energymeter" else place[0])
    return found


class Executed:
    """Which tests execute a line, and how long each takes: measured once for the tests of each package.

    Args:
        tree: a copy of the tree without a mutant.
        folder: for what coverage writes.
    """

    def __init__(self, tree: Path, folder: Path) -> None:
        self._tree, self._folder = tree, folder
        self._lock = threading.Lock()
        self._locks: dict[tuple[str, ...], threading.Lock] = {}
        self._known: dict[tuple[str, ...], tuple[Any, dict[str, float]]] = {}

    def quick(self, module: Path, line: int) -> list[str]:
        """The quickest tests that execute a line; of one that runs at import only, those of the module."""
        data, seconds = self._measured(own_tests(module)[1:])
        contexts = data.contexts_by_lineno(str((self._tree / module).resolve()))
        at_line = {context.partition("|")[0] for context in contexts.get(line, [])} - {""}
        names = at_line or {context.partition("|")[0] for every in contexts.values() for context in every} - {
            ""
        }
        chosen: list[str] = []
        for name in sorted(names & seconds.keys(), key=seconds.__getitem__):
            if len(chosen) >= QUICK_TESTS or sum(map(seconds.__getitem__, chosen)) > QUICK_SECONDS:
                break
            chosen.append(name)
        return chosen

    def _measured(self, tests: list[str]) -> tuple[Any, dict[str, float]]:
        from coverage import CoverageData

        with self._lock:
            lock = self._locks.setdefault(tuple(tests), threading.Lock())
            number = len(self._locks)
        with lock:  # others measure other tests meanwhile
            if tuple(tests) not in self._known:
                file = self._folder / f"{number}.coverage"
                ran = [Ran("", "", 0.0)]
                if tests:
                    ran = _pytest(
                        self._tree,
                        ["--cov=energymeter", "--cov=drivers", "--cov=calibration", "--cov-context=test",
                         "--cov-report=", *tests],
                        timeout=3600.0,
                        environment={"COVERAGE_FILE": str(file)},
                    ).tests  # fmt: skip
                data = CoverageData(str(file))
                data.read()
                seconds = {test: seconds for test, what, seconds in ran if what == "passed"}
                self._known[tuple(tests)] = data, seconds
            return self._known[tuple(tests)]


class Ran(NamedTuple):
    """One line of `mutate.times`."""

    test: str
    what: str
    seconds: float


class Done(NamedTuple):
    """A run of pytest."""

    code: int
    tests: list[Ran]

    @property
    def passed(self) -> bool:
        """No test failed; there may be none."""
        return self.code in (0, 5)

    @property
    def culprit(self) -> str:
        """The test that failed, or did not end; an empty text where the tests could not be read at all."""
        failed = [one.test for one in self.tests if one.what == "failed"]
        ended = {one.test for one in self.tests if one.what != "begun"}
        return next((test for test in failed), "") or next(
            (one.test for one in reversed(self.tests) if self.code < 0 and one.test not in ended), ""
        )


def _pytest(
    tree: Path, arguments: Sequence[str], timeout: float, environment: dict[str, str] | None = None
) -> Done:
    """Run tests in a copy of the tree; the code is negative where they did not end in time."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "mutate.times"]
    with tempfile.NamedTemporaryFile(prefix="mutate-times-", mode="r", encoding="utf-8") as times:
        process = subprocess.Popen(
            [*command, "-m", "not slow", *arguments],
            cwd=tree,
            env={
                **os.environ,
                "PYTHONPATH": f"{tree}{os.pathsep}{tree / 'tests'}",
                "PYTHONDONTWRITEBYTECODE": "1",
                "ENERGYMETER_TEST_DATA": DATA,  # the copies lie elsewhere
                "MUTATE_TIMES": times.name,
                **(environment or {}),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            code = -signal.SIGKILL
        with contextlib.suppress(ProcessLookupError):  # what its tests have started, too
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return Done(code, [Ran(*json.loads(line)) for line in times])


class Bench:
    """Copies of the tree in which mutants are made, one a worker."""

    def __init__(self, jobs: int) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="mutants-"))
        self._trees: Queue[Path] = Queue()
        files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
        for number in range(jobs + 1):
            tree = self._folder / str(number)
            for name in filter(None, files.decode().split("\0")):
                target = tree / name
                target.parent.mkdir(parents=True, exist_ok=True)
                if (ROOT / name).is_symlink() or (ROOT / name).is_file():
                    shutil.copy2(ROOT / name, target, follow_symlinks=False)
            if number:
                self._trees.put(tree)
        self._plain = self._folder / "0"
        self._executed = Executed(self._plain, self._folder)
        self.unsteady: set[str] = set()
        """Tests that failed with a mutant and did not fail alone."""

    def close(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def judge(self, module: Path, mutation: Any) -> Outcome:
        """Make one mutant, run the tests, take it back."""
        tree = self._trees.get()
        try:
            return self._judged(tree, module, mutation)
        finally:
            self._trees.put(tree)

    def _judged(self, tree: Path, module: Path, mutation: Any) -> Outcome:
        from cosmic_ray.mutating import mutate_code
        from cosmic_ray.plugins import get_operator

        path = tree / module
        before = path.read_text()
        operator = get_operator(mutation.operator_name)(**dict(mutation.operator_args or {}))
        after = mutate_code(before, operator, mutation.occurrence)
        if after is None or after == before:
            return Outcome(str(module), mutation.start_pos[0], mutation.operator_name, "same", "")
        diff = _diff(before, after)
        path.write_text(after)
        killed_by = test = ""
        try:
            for by, tests in self._passes(module, mutation.start_pos[0]):
                noticed = self._noticed(tree, tests)
                if noticed is not None:
                    killed_by, test = by, noticed
                    break
        finally:
            path.write_text(before)
        return Outcome(str(module), mutation.start_pos[0], mutation.operator_name, killed_by, diff, test)

    def _passes(self, module: Path, line: int) -> Iterator[tuple[str, list[str]]]:
        quick = self._executed.quick(module, line)
        if quick:
            yield "quick", quick
        yield "own", own_tests(module)
        related = related_tests(module)
        if related:
            yield "related", related

    def _noticed(self, tree: Path, tests: list[str]) -> str | None:
        """The test that notices the mutant in a tree, empty where none can even be read; None: no test."""
        left_out: list[str] = []
        while True:
            deselected = [word for test in left_out for word in ("--deselect", test)]
            done = _pytest(tree, ["-x", *tests, *deselected], TIMEOUT_SECONDS)
            if done.passed:
                return None
            culprit = done.culprit
            if not culprit:
                # it cannot be imported, or ends the interpreter: no matter of time, and again to be seen
                return None if _pytest(tree, ["-x", *tests, *deselected], TIMEOUT_SECONDS).passed else ""
            if self._steady(culprit) and not _pytest(tree, [culprit], ALONE_SECONDS).passed:
                return culprit
            self.unsteady.add(culprit)
            left_out.append(culprit)

    @functools.cache  # noqa: B019 - as long as the bench, which is as long as the program
    def _steady(self, test: str) -> bool:
        """A test passes alone where there is no mutant."""
        return _pytest(self._plain, [test], ALONE_SECONDS).passed


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
    options = parser.parse_args()
    files = modules(options.modules)
    count = math.ceil(1.2 * options.most / len(files)) if options.most else options.count  # some are short
    chosen = [(module, mutation) for module in files for mutation in drawn(module, count, options.seed)]
    random.Random(options.seed).shuffle(chosen)
    chosen = chosen[: options.most] if options.most else chosen
    bench = Bench(options.jobs)
    outcomes: list[Outcome] = []
    try:
        with ThreadPoolExecutor(options.jobs) as pool:
            for outcome in pool.map(lambda one: bench.judge(*one), chosen):
                outcomes.append(outcome)
                if len(outcomes) % 20 == 0:
                    print(f"{len(outcomes)} of {len(chosen)}", flush=True)
                if not outcome.killed_by:
                    print(
                        f"SURVIVED {outcome.module}:{outcome.line} {outcome.operator}\n{outcome.diff}",
                        flush=True,
                    )
    finally:
        bench.close()
    made = [outcome for outcome in outcomes if outcome.killed_by != "same"]
    survived = [outcome for outcome in made if not outcome.killed_by]
    keep = ROOT / ".cache" / "mutants"
    keep.mkdir(parents=True, exist_ok=True)
    (keep / f"{options.seed}.json").write_text(json.dumps([outcome._asdict() for outcome in made], indent=1))
    for test in sorted(bench.unsteady):
        print(f"UNSTEADY {test}")
    noticed = len(made) - len(survived)
    low, high = wilson(noticed, len(made))
    print(
        f"seed {options.seed}: {noticed} of {len(made)} mutants noticed ({low:.1%} to {high:.1%}), "
        f"{len(survived)} survived"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
