"""Reasons not to compare: two results that differ in more than the program."""

import math
from collections.abc import Callable, Sequence

from energymeter.comparison.runs import Run
from energymeter.text import percent, significant

LEAST_COVERAGE = 0.95
STEPS_OF_RATES = ("voltage resolution", "current resolution", "power resolution")
_MOST_RANDOM = 0.10
"""Share of a run's energy that the sampling alone may leave uncertain (k = 2)."""
_FROM_SENSORS = {"measured", "manual"}


def reasons_against(arms: Sequence[Sequence[Run]]) -> list[str]:
    """Why these arms should not be compared, one sentence each, with the remedy; empty where nothing speaks
    against it.

    Args:
        arms: the runs of each arm; each has one at least.
    """
    found = [text for what, value, remedy in _SAME if (text := _different(arms, what, value, remedy))]
    provenances = {run.provenance for runs in arms for run in runs}
    if len(provenances) > 1 and not provenances <= _FROM_SENSORS:
        found.append(
            f"{' and '.join(sorted(provenances))} energy is not comparable: measure all arms with one source"
        )
    least = min(run.coverage for runs in arms for run in runs)
    if least < LEAST_COVERAGE:
        found.append(
            f"only {percent(least, 1)} of a run was measured, and {percent(LEAST_COVERAGE)} are needed: "
            "lower the rate, or repair the connection"
        )
    short = max((_random_share(run), run) for runs in arms for run in runs)
    if short[0] > _MOST_RANDOM:
        found.append(
            f"runs of {significant(short[1].seconds)} s are too short for this meter, whose samples leave "
            f"{percent(short[0])} of their energy uncertain: raise --min-seconds or the rate"
        )
    return found


_SAME: tuple[tuple[str, Callable[[Run], object], str], ...] = (
    ("sources", lambda run: " + ".join(run.sources), "measure all arms with one source"),
    ("places in the power path", lambda run: run.place, "measure all arms at one place"),
    ("calibrations", lambda run: "; ".join(run.calibration) or "none", "use one calibration card"),
    ("boards", lambda run: run.before.board, "measure all arms on one board"),
    ("machines", lambda run: run.before.host or None, "measure all arms on one machine"),
    ("power modes", lambda run: run.before.power_mode, "set one power mode for all arms"),
    ("governors", lambda run: run.before.governor, "set one governor for all arms"),
    ("supplies", lambda run: _supply(run), "measure all arms on mains, or all on battery"),
    ("workloads", lambda run: run.workload or None, "give all arms the same work"),
    ("units", lambda run: run.unit, "count the same thing in all arms"),
)


def _supply(run: Run) -> str | None:
    return None if run.before.mains is None else "mains" if run.before.mains else "battery"


def _different(
    arms: Sequence[Sequence[Run]], what: str, value: Callable[[Run], object], remedy: str
) -> str | None:
    """That a fact is not one in all runs; unknown ones are no difference."""
    values = sorted({str(value(run)) for runs in arms for run in runs if value(run) is not None})
    return None if len(values) < 2 else f"the arms have different {what} ({', '.join(values)}): {remedy}"


def _random_share(run: Run) -> float:
    """What shorter runs make larger; steps of a voltage or a current do not depend on the time."""
    shares = run.relative(systematic=False).items()
    return 2 * math.hypot(*(share for (_, cause), share in shares if cause not in STEPS_OF_RATES))
