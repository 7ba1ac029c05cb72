"""Section 2: what measuring costs: blocks, spans, CPU while nothing happens, the pace of a real loop."""

import statistics
from collections.abc import Callable
from typing import Any

from powercap import Zone, driven
from venvs import TOOLS, Asked

_IDLE_SECONDS = 20.0
_PACES = {"default": None, "10 Hz": 0.1, "100 Hz": 0.01}
_SLOW = {"perun"}  # ten seconds for three empty blocks
_TIMES = {"perun": 3, "eco2ai": 5}
_AGAIN = 50
"""How often a loop enters and leaves a block; `_TIMES` where once takes seconds."""
_WATTS = 10.0
_ITEMS, _ITEM_SECONDS = 100, 0.02
_TOGETHER = 8
SAMPLERS = {"energymeter", "codecarbon", "perun", "eco2ai", "carbontracker"}


def run(say: Callable[[str], None], repetitions: int) -> dict[str, Any]:
    """All of it, on a steady 10 W; medians of ``repetitions`` runs in turn."""
    with driven([Zone("0", "package-0", _WATTS)]):
        return {
            "blocks": _blocks(say, repetitions),
            "again": _again(say),
            "spans": _spans(say, repetitions),
            "clocks": Asked("energymeter", "clocks", count=100_000).answer()["seconds"],
            "items": _items(say),
            "together": _together(say),
            "idle": _idle(say),
            "loop": _loop(say),
        }


def _blocks(say: Callable[[str], None], repetitions: int) -> dict[str, Any]:
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in TOOLS}
    for repetition in range(repetitions):
        say(f"blocks {repetition + 1}/{repetitions}")
        for name in TOOLS:
            if name not in _SLOW or repetition < 2:
                found[name].append(Asked(name, "blocks", count=1).answer())
    return {
        name: {
            "cold": statistics.median(answer["cold"] for answer in answers),
            "low": min(answer["cold"] for answer in answers),
            "high": max(answer["cold"] for answer in answers),
        }
        for name, answers in found.items()
    }


def _again(say: Callable[[str], None]) -> dict[str, float]:
    """Seconds for one of many empty blocks, one after the other."""
    found = {}
    for name in TOOLS:
        say(f"blocks again and again: {name}")
        found[name] = Asked(name, "blocks", count=1 + _TIMES.get(name, _AGAIN)).answer()["warm"]
    return found


def _items(say: Callable[[str], None]) -> dict[str, dict[str, Any]]:
    """Energy per item in a loop."""
    found = {}
    for name in TOOLS:
        say(f"items of a loop: {name}")
        asked = Asked(name, "items", count=_ITEMS, seconds=_ITEM_SECONDS, watts=_WATTS)
        found[name] = {"of": _ITEMS, **asked.answer()}
    return found


def _together(say: Callable[[str], None]) -> dict[str, float | None]:
    """Share of a core that eight programs take together, each of which measures."""
    found: dict[str, float | None] = {}
    for name in TOOLS:
        say(f"{_TOGETHER} processes together: {name}")
        asked = [Asked(name, "idle", seconds=_IDLE_SECONDS, interval=None) for _ in range(_TOGETHER)]
        shares = [one.answer().get("inside") for one in asked]
        found[name] = None if None in shares else sum(shares)
    return found


def _spans(say: Callable[[str], None], repetitions: int) -> dict[str, float | None]:
    found: dict[str, list[float]] = {name: [] for name in TOOLS}
    for repetition in range(repetitions):
        say(f"spans {repetition + 1}/{repetitions}")
        for name in TOOLS:
            if name not in _SLOW or not repetition:
                answer = Asked(name, "spans", count=10_000 if name == "energymeter" else 200).answer()
                found[name] += [answer["seconds"]] if "seconds" in answer else []
    return {name: statistics.median(seconds) if seconds else None for name, seconds in found.items()}


def _idle(say: Callable[[str], None]) -> dict[str, dict[str, float | None]]:
    """Share of a core, all tools asleep side by side."""
    shares: dict[str, dict[str, float | None]] = {}
    for title, interval in _PACES.items():
        say(f"CPU at {title}")
        asked = {
            name: Asked(name, "idle", seconds=_IDLE_SECONDS, interval=interval)
            for name in TOOLS
            if interval is None or name in SAMPLERS
        }
        answers = {name: question.answer() for name, question in asked.items()}
        shares[title] = {name: answer.get("inside") for name, answer in answers.items()}
    say("CPU at 1 kHz")
    answer = Asked("energymeter", "idle", seconds=_IDLE_SECONDS, interval=0.001).answer()
    shares["1 kHz"] = {"energymeter": answer["inside"]}
    return shares


def _loop(say: Callable[[str], None]) -> dict[str, dict[str, Any]]:
    found = {}
    for name in TOOLS:
        say(f"loop next to {name}")
        found[name] = Asked(name, "loop", pairs=6, chunks=2000).answer()
    return found
