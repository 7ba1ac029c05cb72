"""A gate for tests: which use more energy than in a saved baseline, by the statistics of `compare`."""

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from energymeter.comparison import statistics
from energymeter.comparison.comparison import Comparison, Verdict
from energymeter.comparison.runs import Run, load_baseline, run_of, save_baseline
from energymeter.energy.uncertainty import K
from energymeter.energy.usage import least_trusted
from energymeter.errors import SpecError
from energymeter.text import percent, with_uncertainty

_BEFORE, _NOW = "baseline", "now"


class Mean(NamedTuple):
    """What the runs of one test used, per unit."""

    joules: float
    uncertainty: float
    """Coverage factor 2."""
    unit: str
    runs: int
    provenance: str
    sources: tuple[str, ...]

    def __str__(self) -> str:
        runs = "1 run" if self.runs == 1 else f"{self.runs} runs"
        source = f"{' + '.join(self.sources)} {self.provenance}"
        return f"{with_uncertainty(self.joules, self.uncertainty, 'J')} per {self.unit} ({runs}, {source})"


def mean(runs: Sequence[Run]) -> Mean:
    """The mean of some runs of one source; systematic errors are the same in each, the others average out."""
    count = len(runs)
    systematic: dict[tuple[str, str], float] = {}
    random = 0.0
    for run in runs:
        per_unit = run.joules_per_unit / count
        for key, share in run.relative(systematic=True).items():
            systematic[key] = systematic.get(key, 0.0) + share * per_unit
        random += math.fsum((share * per_unit) ** 2 for share in run.relative(systematic=False).values())
    return Mean(
        math.fsum(run.joules_per_unit for run in runs) / count,
        K * math.sqrt(random + math.fsum(part**2 for part in systematic.values())),
        runs[0].unit,
        count,
        least_trusted(run.provenance for run in runs),
        runs[0].sources,
    )


class Judged(NamedTuple):
    """One test against its baseline."""

    name: str
    verdict: Verdict
    tolerance: float

    @property
    def failed(self) -> bool:
        """It uses more than is tolerated, or there is no verdict."""
        verdict, change = self.verdict, self.verdict.change
        return bool(verdict.refused) or not verdict.enough or (change is not None and change > self.tolerance)

    def __str__(self) -> str:
        verdict = str(self.verdict)
        if self.verdict.refused or not self.verdict.enough:
            return f"{self.name}: no verdict: {verdict}"
        within = self.verdict.change is not None and self.verdict.change > 0 and not self.failed
        return f"{self.name}: {verdict}" + (
            f", which is tolerated ({percent(self.tolerance)})" if within else ""
        )


def judge(
    before: Mapping[str, Sequence[Run]], now: Mapping[str, Sequence[Run]], tolerance: float
) -> list[Judged]:
    """The tests that are in both, each against itself; of many, each has to show more (Holm)."""
    names = [name for name in now if name in before]
    verdicts = []
    for name in names:
        runs = [run._replace(arm=_BEFORE) for run in before[name]]
        runs += [run._replace(arm=_NOW) for run in now[name]]
        verdicts.append(Comparison(runs, [_BEFORE, _NOW], paired=False).verdict)
    known = [verdict.chance for verdict in verdicts if verdict.chance is not None]
    adjusted = iter(statistics.holm(known))
    least = statistics.least_runs(max(len(known), 1), paired=False)
    return [
        Judged(
            name,
            verdict._replace(
                chance=None if verdict.chance is None else next(adjusted), least_runs=least, paired=False
            ),
            tolerance,
        )
        for name, verdict in zip(names, verdicts, strict=True)
    ]


def by_name(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """The runs of each arm."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(run.arm, []).append(run)
    return found


class Gate:
    """What the tests of one run of pytest used, saved, or held against a baseline.

    Args:
        save: the file that is to hold it.
        compare: the file of the baseline.
        tolerance: how much more is no failure, as a share.

    Raises:
        SpecError: a tolerance that makes no sense, or a folder that is not there.
        LogError: there is no such baseline, or it is damaged.
    """

    def __init__(self, save: str | None, compare: str | None, tolerance: float) -> None:
        if not 0 <= tolerance < math.inf:
            raise SpecError(f"a tolerance of {tolerance:g} makes no sense; give a share from 0, as 0.05")
        folder = None if save is None else os.path.dirname(os.path.abspath(save))
        if folder is not None and not os.path.isdir(folder):
            raise SpecError(f"there is no folder {folder}; make it, or save elsewhere")
        self._before = None if compare is None else by_name(load_baseline(compare))
        self._save, self._compare, self._tolerance = save, compare, tolerance
        self._now: dict[str, list[Run]] = {}
        self.lines: list[str] = []
        """What is shown at the end."""
        self.failed = False

    def add(self, name: str, runs: Sequence[dict[str, Any]]) -> None:
        """What a test that passed has used; a later report of the same test replaces it.

        Raises:
            LogError: it is no run.
        """
        self._now[name] = [run_of(fields, name) for fields in runs]

    def finish(self) -> None:
        """Decide, and save.

        Raises:
            LogError: the baseline cannot be written.
        """
        if self._before is not None:
            self._decide(self._before)
        if self._save is None:
            return
        runs = [run for several in self._now.values() for run in several]
        if not runs:
            self.lines.append(f"no test called energy(function): {self._save} was not written")
            return
        save_baseline(self._save, runs, force=True)
        tests = "1 test" if len(self._now) == 1 else f"{len(self._now)} tests"
        self.lines.append(f"saved in {self._save}: {len(runs)} runs of {tests}")

    def _decide(self, before: dict[str, list[Run]]) -> None:
        judged = judge(before, self._now, self._tolerance)
        self.lines += [f"{'FAILED' if one.failed else 'passed'} {one}" for one in judged]
        self.lines += [f"new    {name}: not in {self._compare}" for name in self._now if name not in before]
        absent = sum(name not in self._now for name in before)
        if absent:
            self.lines.append(f"not measured: {absent} of the {len(before)} tests in {self._compare}")
        if not judged:
            self.lines.append("FAILED no test of the baseline was measured: nothing was compared")
        self.failed = not judged or any(one.failed for one in judged)
