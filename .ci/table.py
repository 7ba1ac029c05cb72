"""The end of `.ci/run`: how many tests each run executed, and why the others were skipped.

    python .ci/table.py REPORTS
    python .ci/table.py --skipping REPORT     only the files of which one run skipped tests

REPORTS is a folder of JUnit files, as ``pytest --junitxml`` writes them. A test that one run skips and
another one executes is not skipped. More than `MOST_SKIPPED` fail.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

MOST_SKIPPED = 15


class Outcome(NamedTuple):
    """What became of one test in one run."""

    test: str
    reason: str
    """Why it was skipped; an empty text: it was executed."""


def outcomes(report: Path) -> Iterator[Outcome]:
    """Of every test of a run."""
    for case in ElementTree.parse(report).iter("testcase"):
        skipped = case.find("skipped")
        expected = skipped is not None and skipped.get("type") == "pytest.xfail"
        reason = "" if skipped is None or expected else skipped.get("message", "")
        if reason == "collection skipped":  # a whole file
            reason = re.sub(r".*'(?=Skipped: )|'\)$", "", skipped.text or reason)
        yield Outcome(f"{case.get('classname')}::{case.get('name')}", re.sub(r"^Skipped: ", "", reason))


def table(reports: list[Path]) -> tuple[list[str], int]:
    """The lines of the table, and how many tests no run has executed."""
    runs = {report.stem: list(outcomes(report)) for report in reports}
    executed = {o.test for run in runs.values() for o in run if not o.reason}
    files = {f"::{test.partition('::')[0]}" for test in executed}
    executed |= {o.test for run in runs.values() for o in run if o.reason and o.test in files}
    skipped = {o.test: o.reason for run in runs.values() for o in run if o.reason and o.test not in executed}
    lines = [f"{'run':24} executed   skipped"]
    for name, run in runs.items():
        done = sum(not o.reason for o in run)
        lines.append(f"{name:24} {done:8} {len(run) - done:9}")
    lines.append(f"{'any':24} {len(executed):8} {len(skipped):9}")
    lines += [f"{count:4} skipped: {reason}" for reason, count in Counter(skipped.values()).most_common()]
    return lines, len(skipped)


def skipping(report: Path, root: Path) -> list[str]:
    """The files of the tests that a run skipped."""
    found = set()
    for outcome in outcomes(report):
        if outcome.reason:
            name, _, test = outcome.test.partition("::")
            parts = (name or test).split(".")  # of a whole file, the name of the test is that of the file
            paths = ("/".join(parts[:n]) + ".py" for n in range(len(parts), 0, -1))
            found.update([path for path in paths if (root / path).is_file()][:1])
    return sorted(found)


def main(folder: str) -> int:
    reports = sorted(Path(folder).glob("*.xml"))
    if not reports:
        print(f"{folder} holds no report; run the tests with --junitxml", file=sys.stderr)
        return 1
    lines, skipped = table(reports)
    print("\n".join(lines))
    if skipped > MOST_SKIPPED:
        print(f"{skipped} tests were executed by no run; at most {MOST_SKIPPED} may be", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    if sys.argv[1] == "--skipping":
        print(*skipping(Path(sys.argv[2]), Path()))
    else:
        sys.exit(main(sys.argv[1]))
