"""What we set out to be next to our peers: each target with its figure, and where it is missed, why."""

from collections.abc import Iterator
from typing import Any, NamedTuple

OURS = "energymeter"
_READS_NOTHING = "perun"
"""A span of it, like ours, reads no hardware: nothing to compare it with."""


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
        *_blocks(results["cost"]["blocks"]),
        *_spans(results["cost"]["spans"]),
        *_processor(results["cost"]["idle"]),
        _size(results["weight"]),
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


def _blocks(blocks: dict[str, Any]) -> Iterator[Target]:
    for name in ("codecarbon", "perun", "eco2ai", "carbontracker"):
        for kind in ("cold", "warm"):
            ratio = blocks[name][kind] / blocks[OURS][kind]
            yield Target(
                f"an empty block, {kind}, ≥ 10 × faster than {name}",
                f"{ratio:.1f} ×",
                ratio >= 10,
                "every block of ours starts a sampling process and ends it, which is what the program cannot "
                "starve; theirs starts a thread, which it can",
            )


def _spans(spans: dict[str, float | None]) -> Iterator[Target]:
    ours = spans[OURS]
    assert ours is not None
    for name, seconds in spans.items():
        if name not in (OURS, _READS_NOTHING) and seconds is not None:
            ratio = seconds / ours
            yield Target(
                f"a span ≥ 1000 × cheaper than {name}'s",
                f"{ratio:.0f} ×",
                ratio >= 1000,
                f"a thousandth of theirs is {seconds * 1e6:.0f} ns; ours, {ours * 1e9:.0f} ns, is two samples at the "
                "clock and two numbers kept, in Python",
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
        "CPU at 1 kHz ≤ 5 % of a core",
        f"{100 * share:.1f} %",
        share <= 0.05,
        "the machine was busy: `make bench` reports more of it",
    )


def _size(weight: dict[str, Any]) -> Target:
    ratio = weight[OURS]["megabytes"] / weight["codecarbon"]["megabytes"]
    numpy = weight[OURS]["megabytes_numpy"]
    return Target(
        "installed ≤ 1/4 of codecarbon's MB, numpy included",
        f"{ratio:.2f}",
        ratio <= 0.25,
        f"numpy alone is {numpy:.0f} of our {weight[OURS]['megabytes']:.0f} MB; a quarter of codecarbon's is "
        f"{weight['codecarbon']['megabytes'] / 4:.0f} MB",
    )


def _truth(truth: list[dict[str, Any]]) -> Target:
    wrong = [row["title"] for row in truth if row["cells"][OURS]["verdict"] not in ("right", "knows")]
    return Target(
        "no wrong number in the table of truth",
        f"{len(wrong)} of {len(truth)}",
        not wrong,
        f"wrong in: {', '.join(wrong)}",
    )
