"""Copies of the tree, and which tests execute which of its lines: renewed where files have changed."""

import ast
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = os.environ.get("ENERGYMETER_TEST_DATA", str(ROOT.parent / "shared" / "data"))
_HOOK = """
import os as _os
if "MUTATE_NOTES" in _os.environ:
    _file = _os.path.join(_os.environ["MUTATE_TREE"], "tests", "mutate", "tracer.py")
    with open(_file) as _source:  # a warning of an open file would be in what commands print
        exec(compile(_source.read(), _file, "exec"), {"__name__": "tracer"})
"""


def tracked() -> list[str]:
    """The files of the tree, as they lie there now."""
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    return [name for name in files.decode().split("\0") if name and os.path.lexists(ROOT / name)]


def copy_tree(folder: Path) -> Path:
    """Copy the tracked files, links as links."""
    for name in tracked():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target, follow_symlinks=False)
    return folder


def environment(tree: Path) -> dict[str, str]:
    """For tests of a copy."""
    return {
        **os.environ,
        "PYTHONPATH": f"{tree}{os.pathsep}{tree / 'tests'}",
        "ENERGYMETER_TEST_DATA": DATA,  # the copies lie elsewhere
    }


def own_tests(module: Path) -> list[str]:
    """The tests of the module's package, and its doctests."""
    parts = module.parts
    package = parts[1] if parts[0] == "energymeter" and len(parts) > 2 else parts[0]
    tests = ROOT / "tests" / package
    doctests = str(module if parts[0] == "energymeter" else Path("energymeter") / module)
    pages = ["tests/docs/test_reference.py"]  # figures, defaults and help are on a page
    if package == "drivers":
        stem = module.stem
        named = [path for path in tests.rglob("test_*.py") if stem in path.stem or stem in path.read_text()]
        return [doctests, *pages, *(str(path.relative_to(ROOT)) for path in sorted(named))]
    if not tests.is_dir():
        one = ROOT / "tests" / f"test_{module.stem}.py"
        return [doctests, *pages, *([str(one.relative_to(ROOT))] if one.exists() else [])]
    return [doctests, *pages, str(tests.relative_to(ROOT))]


def statements(source: str) -> list[range]:
    """The lines of the statements of functions; of a compound one those of its head."""
    found = []
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in (inner for one in function.body for inner in ast.walk(one)):
                if isinstance(node, ast.stmt | ast.excepthandler):
                    body = getattr(node, "body", None)
                    end = body[0].lineno - 1 if body else node.end_lineno or 0
                    found.append(range(node.lineno, max(node.lineno, end) + 1))
    return found


class Executed:
    """Which tests execute a line, and how long each takes."""

    def __init__(
        self, seconds: dict[str, float], lines: dict[str, dict[str, list[int]]], state: str = ""
    ) -> None:
        self.seconds = seconds
        self.state = state
        """The state of the tree that it belongs to."""
        self._names = list(seconds)
        self._lines = lines
        self._statements: dict[Path, list[range]] = {}

    def tests(self, module: Path, line: int) -> list[str]:
        """Those that execute a line; of one that is executed at import, those of any function of the file.

        The quickest come first, those of the module's own package before all others.
        """
        if module not in self._statements:
            self._statements[module] = statements((ROOT / module).read_text())
        every, at = self._statements[module], self._lines.get(str(module), {})
        around = min((lines for lines in every if line in lines), key=len, default=None)
        wanted: Iterable[int] = around or {one for lines in every for one in lines}
        found = {number for one in wanted for number in at.get(str(one), ())}
        own = tuple(own_tests(module))
        return sorted(
            (self._names[number] for number in found),
            key=lambda test: (not test.startswith(own), self.seconds[test]),
        )

    def by_name(self) -> dict[str, dict[str, set[str]]]:
        """Which tests execute each line of each file."""
        return {
            file: {line: {self._names[number] for number in tests} for line, tests in at.items()}
            for file, at in self._lines.items()
        }

    def files_of(self, changed: set[str]) -> set[str]:
        """The files of the tests that execute anything of these files."""
        numbers = {n for file in changed for tests in self._lines.get(file, {}).values() for n in tests}
        return {self._names[number].partition("::")[0] for number in numbers}

    def with_newer(self, newer: "Executed", again: set[str], changed: set[str]) -> "Executed":
        """This, but by a newer run what these files of tests execute, and what executes the changed files."""
        old = {test: spent for test, spent in self.seconds.items() if test.partition("::")[0] not in again}
        lines: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for known in (self, newer):
            for file, at in known.by_name().items():
                if known is newer or file not in changed:
                    for line, tests in at.items():
                        lines[file][line] |= tests if known is newer else tests & old.keys()
        return Executed.numbered(old | newer.seconds, lines)

    @classmethod
    def numbered(
        cls, seconds: dict[str, float], lines: Mapping[str, Mapping[str, set[str]]], state: str = ""
    ) -> "Executed":
        """From the names of tests; those of unknown length take no part."""
        number = {test: n for n, test in enumerate(seconds)}
        return cls(
            seconds,
            {
                file: {
                    line: sorted(number[test] for test in tests & seconds.keys())
                    for line, tests in at.items()
                }
                for file, at in lines.items()
            },
            state,
        )

    def to_json(self, files: dict[str, str]) -> str:
        return json.dumps([self.seconds, self._lines, files])


def executed(tree: Path, cache: Path, jobs: int) -> Executed:
    """Run the tests once in a copy of the tree, or read what an earlier run has noted.

    Where an earlier state of the tree is known, only these run: the files of tests that have changed since,
    and those that execute a file that has.

    Args:
        tree: the copy.
        cache: a folder; one file in it belongs to one state of the tree.
        jobs: processes that run tests.
    """
    files = {
        name: hashlib.sha256((ROOT / name).read_bytes()).hexdigest()[:16]
        for name in tracked()
        if (ROOT / name).is_file()
    }
    state = hashlib.sha256(f"{sys.version} {sorted(files.items())}".encode()).hexdigest()[:16]
    known = cache / f"lines-{state}.json"
    if not known.exists():
        cache.mkdir(parents=True, exist_ok=True)
        known.write_text(_renewed(tree, cache, jobs, files).to_json(files))
    seconds, lines, _ = json.loads(known.read_text())
    return Executed(seconds, lines, state)


def _renewed(tree: Path, cache: Path, jobs: int, files: dict[str, str]) -> Executed:
    earlier = max(cache.glob("lines-*.json"), key=lambda path: path.stat().st_mtime, default=None)
    if earlier is None:
        return _measured(tree, jobs, [])
    seconds, lines, before = json.loads(earlier.read_text())
    old = Executed(seconds, lines)
    changed = {name for name in {**files, **before} if files.get(name) != before.get(name)}
    again = {name for name in changed if Path(name).name.startswith("test_")} | old.files_of(changed)
    again |= {
        f"energymeter/{name}".replace("energymeter/energymeter/", "energymeter/")
        for name in changed
        if name.startswith(_CODE) and name.endswith(".py")
    }  # its doctests
    present = sorted(name for name in again if (tree / name).is_file())
    print(f"{len(changed)} files have changed: {len(present)} files of tests run once", flush=True)
    newer = _measured(tree, jobs, present) if present else Executed({}, {})
    return old.with_newer(newer, again, changed)


def _measured(tree: Path, jobs: int, where: Sequence[str]) -> Executed:
    """Run these files of tests, or all."""
    notes = tree.parent / "notes"
    notes.mkdir()
    first = tree / "energymeter" / "__init__.py"
    before = first.read_text()
    first.write_text(before + _HOOK)
    options = ["-q", "-n", str(jobs), "-m", "not slow", "-p", "mutate.tracer"]
    try:
        subprocess.run(
            [sys.executable, "-m", "pytest", *options, *where],
            cwd=tree,
            env={**environment(tree), "MUTATE_NOTES": str(notes), "MUTATE_TREE": str(tree)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=False,  # a test that the tracer disturbs takes no part
        )
    finally:
        first.write_text(before)
    seconds: dict[str, float] = defaultdict(float)
    failed: set[str] = set()
    lines: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for test, what, how in _noted(notes):
        if what in ("passed", "failed", "rerun"):
            seconds[test] += float(how)
            failed |= {test} if what == "failed" else set()
        else:
            for line in how.split():
                lines[what.removeprefix("energymeter/") if what.startswith(_LINKED) else what][line].add(test)
    shutil.rmtree(notes)
    return Executed.numbered({test: spent for test, spent in seconds.items() if test not in failed}, lines)


_CODE = ("energymeter/", "drivers/", "calibration/")
_LINKED = ("energymeter/drivers/", "energymeter/calibration/")


def _noted(folder: Path) -> Iterator[tuple[str, str, str]]:
    for file in folder.glob("*.txt"):
        for text in file.read_text(errors="replace").splitlines():
            test, *rest = text.split("\t")
            if test and len(rest) == 2:  # a process that was killed may have written half a line
                yield test, rest[0], rest[1]
