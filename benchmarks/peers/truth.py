"""Section 3: a powercap tree of known power, and what every tool says of a block there."""

from typing import Any, NamedTuple

from powercap import Zone, driven
from venvs import TOOLS, Asked

TOLERANCE = 0.02
_PACKAGE = Zone("0", "package-0", 10.0)
# root reads everything; without these two capabilities it is refused like anybody
_LIKE_A_USER = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


class Case(NamedTuple):
    """A block of ``seconds``, drawing ``watts`` in all."""

    title: str
    kind: str
    zones: list[Zone]
    seconds: float = 8.0
    vanish_after: float | None = None
    readable: bool = True

    @property
    def watts(self) -> float:
        """Packages and DRAM; nothing here is nested in a package's own counter."""
        return sum(zone.watts for zone in self.zones)


_WRAP = _PACKAGE._replace(start_uj=_PACKAGE.range_uj - 40_000_000)
_FAST = _PACKAGE._replace(range_uj=25_000_000)
_SERVER = [
    _PACKAGE,
    Zone("1", "package-1", 12.0, start_uj=7_000_000),
    Zone("0:0", "dram", 3.0, 65_712_999_613, 5),
]

CASES = (
    Case("steady 10 W", "sleep", [_PACKAGE], 16.0),
    Case("one wrap of the counter", "sleep", [_WRAP]),
    Case("a wrap every 2.5 s", "sleep", [_FAST], 16.0),
    Case("two packages and DRAM, 25 W", "sleep", _SERVER),
    Case("counters only root may read", "sleep", [_PACKAGE], readable=False),
    Case("the counter vanishes half-way", "sleep", [_PACKAGE], vanish_after=9.0, seconds=12.0),
    Case("the program holds the GIL", "gil", [_PACKAGE]),
    Case("the program forks", "fork", [_PACKAGE]),
    Case("the program raises", "exception", [_PACKAGE]),
)


def run(say: Any) -> list[dict[str, Any]]:
    """Every case, all tools immediately: nothing here is timed, and all watch the same counters."""
    rows = []
    for case in CASES:
        say(f"truth: {case.title}")
        wrapper = () if case.readable else _LIKE_A_USER
        with driven(case.zones, vanish_after=case.vanish_after, readable=case.readable):
            asked = {
                name: Asked(name, "truth", wrapper=wrapper, kind=case.kind, seconds=case.seconds)
                for name in TOOLS
            }
            answers = {name: question.answer() for name, question in asked.items()}
        rows.append(
            {
                "title": case.title,
                "cells": {name: _judged(case, answer) for name, answer in answers.items()},
            }
        )
    return rows


def _judged(case: Case, answer: dict[str, Any]) -> dict[str, Any]:
    """``verdict``: right, knows (it says that it cannot tell), silent (no result and no word) or wrong."""
    if "died" in answer or answer["raised"]:
        said = answer.get("raised") or f"the process ended, exit code {answer.get('died')}"
        refuses = case.vanish_after is not None or not case.readable
        return {"verdict": "knows" if refuses and "died" not in answer else "lost", "text": said}
    joules, true = answer["joules"], case.watts * answer["seconds"]
    if answer["remark"].startswith("swallowed"):
        return {"verdict": "wrong", "text": answer["remark"]}
    if joules is None:
        return {"verdict": "silent", "text": answer["remark"] or "no figure, no word"}
    error = joules / true - 1
    text = f"{joules:.1f} of {true:.1f} J ({100 * error:+.1f} %)"
    if answer["remark"]:
        text += f"; {answer['remark']}"
    if answer["remark"].startswith("says it saw"):
        return {"verdict": "knows", "text": text}
    return {"verdict": "right" if abs(error) <= TOLERANCE else "wrong", "text": text}
