"""What we set out to be next to our peers: each target with its figure, and where it is missed, why."""

from collections.abc import Iterator
from typing import Any, NamedTuple

OURS = "energymeter"


class Target(NamedTuple):
    """One line of the page's first table."""

    text: str
    figure: str
    met: bool
    why: str = ""
    """Why it is missed, if it is."""


def targets(results: dict[str, Any]) -> list[Target]:
    """All of them, from the sections' findings."""
    return [
        *_imports(results["weight"]),
        *_blocks(results["cost"]),
        _span(results["cost"]),
        *_processor(results["cost"]["idle"]),
        *_size(results["weight"]),
        _truth(results["truth"]),
    ]


def _imports(weight: dict[str, Any]) -> Iterator[Target]:
    ours, alone, bare, carbon, joules = (
        weight[name]["import"]
        for name in (OURS, "energymeter, the package alone", "bare interpreter", "codecarbon", "pyJoules")
    )
    yield Target(
        "`import energymeter` ≥ 5 × faster than codecarbon", f"{carbon / alone:.1f} ×", carbon >= 5 * alone
    )
    yield Target(
        "the same with what is needed to measure, `from energymeter import EnergyMeter`",
        f"{carbon / ours:.1f} ×",
        carbon >= 5 * ours,
        f"a fifth of codecarbon's is {carbon / bare / 5:.1f} × a bare interpreter's start",
    )
    yield Target(
        "that import at most 1.8 × a bare interpreter's start", f"{ours / bare:.2f} ×", ours <= 1.8 * bare
    )
    yield Target("that import faster than pyJoules'", f"{joules / ours:.2f} ×", joules > ours)


def _blocks(cost: dict[str, Any]) -> Iterator[Target]:
    seconds = {
        "cold": {name: found["cold"] for name, found in cost["blocks"].items()},
        "again": cost["again"],
    }
    for name in ("codecarbon", "perun", "eco2ai", "carbontracker"):
        for kind, took in seconds.items():
            ratio = took[name] / took[OURS]
            yield Target(
                f"an empty block, {kind}, ≥ 10 × faster than {name}",
                f"{ratio:.1f} ×",
                ratio >= 10,
                "the first block of ours starts a sampling process, which is what the program cannot starve; "
                "theirs starts a thread, which it can"
                if kind == "cold"
                else "a sampling process that stays ready takes up the next block, and must be asked",
            )


def _span(cost: dict[str, Any]) -> Target:
    """A thousandth of a file read, which a span of pyJoules or Zeus is, is less than reading the clock."""
    ours, clocks = cost["spans"][OURS], cost["clocks"]
    return Target(
        "a span at most 8 × two clock reads",
        f"{ours / clocks:.1f} ×",
        ours <= 8 * clocks,
        "it also keeps two numbers, and where it belongs, in Python",
    )


def _processor(idle: dict[str, Any]) -> Iterator[Target]:
    shares = {
        name: idle["10 Hz"].get(name) for name in ("codecarbon", "perun", "eco2ai")
    }  # as often as asked
    best, best_name = min((share, name) for name, share in shares.items() if share is not None)
    ratio = idle["10 Hz"][OURS] / best
    yield Target(
        f"CPU at 10 Hz ≤ half of the best sampling peer ({best_name})",
        f"{ratio:.2f} ×",
        ratio <= 0.5,
        "a process that wakes ten times a second and one that looks after it four times",
    )
    share = idle["1 kHz"][OURS]
    yield Target(
        "CPU at 1 kHz ≤ 2.5 % of a core",
        f"{100 * share:.1f} %",
        share <= 0.025,
        "waking a thousand times a second takes most of it: `make bench` prints a loop that only waits",
    )


def _size(weight: dict[str, Any]) -> Iterator[Target]:
    ours, theirs = (
        {"with": row["megabytes"], "without": row["megabytes"] - row["megabytes_numpy"]}
        for row in (weight[OURS], weight["codecarbon"])
    )
    for kind in ("with", "without"):
        yield Target(
            f"installed ≤ 1/4 of codecarbon's MB, {kind} numpy",
            f"{ours[kind] / theirs[kind]:.2f}",
            ours[kind] <= theirs[kind] / 4,
            f"numpy is {weight[OURS]['megabytes_numpy']:.0f} of our {ours['with']:.0f} MB",
        )


def _truth(truth: list[dict[str, Any]]) -> Target:
    wrong = [row["title"] for row in truth if row["cells"][OURS]["verdict"] not in ("right", "knows")]
    return Target(
        "no wrong number in the table of truth",
        f"{len(wrong)} of {len(truth)}",
        not wrong,
        f"wrong in: {', '.join(wrong)}",
    )
