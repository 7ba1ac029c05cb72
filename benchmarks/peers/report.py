"""PEERS.md from the raw numbers; nothing in it is written by hand but the words."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from targets import OURS, Target, targets

_SIGNS = {"right": "✓", "knows": "✓ says so", "silent": "✗ silent", "lost": "✗ lost", "wrong": "✗ wrong"}


def page(results: dict[str, Any]) -> str:
    """The whole page, of every section's latest results."""
    found = {section: result["found"] for section, result in results.items()}
    parts = [
        "# Side by side with the field",
        "",
        "Written by `make bench-peers`; a section measured again by itself (`benchmarks/peers/run.py cost`) has a "
        "date of its own. Every tool in a venv of its own, in turn within one run; figures are medians, "
        "brackets hold the lowest and highest. Compare ratios, not milliseconds: the machine is shared. "
        "Counters are a powercap tree in a private mount namespace, driven with known power by another process "
        "(`benchmarks/peers/powercap.py`); how each tool is used: `benchmarks/peers/tools.py`.",
        "",
        "## Targets",
        "",
        *_targets(targets(found)),
    ]
    sections = {
        "weight": ("1. Weight", _weight),
        "cost": ("2. Overhead of measuring", _cost),
        "truth": ("3. Truth", _truth),
        "waves": ("4. Truth on waveforms", _waves),
    }
    for section, (title, reported) in sections.items():
        parts += ["", f"## {title}", "", _origin(results[section]), "", *reported(found[section])]
    return "\n".join([*parts, ""])


def _origin(result: dict[str, Any]) -> str:
    before, after = result["load"]
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    return (
        f"*{result['when']}, {result['minutes']:.1f} minutes; {result['machine']}, Python {result['python']}; "
        f"load average {before:.1f} before, {after:.1f} after{'; ' + versions if versions else ''}.*"
    )


def _targets(lines: Sequence[Target]) -> list[str]:
    rows = [
        (line.text, line.figure, "met" if line.met else "**missed**", "" if line.met else line.why)
        for line in lines
    ]
    return _table(("target", "here", "", "why it is missed"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    for scale, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-9:.0f} ns"


# -- sections --------------------------------------------------------------------------------------


def _weight(weight: dict[str, Any]) -> list[str]:
    bare = weight["bare interpreter"]["import"]
    rows = [
        (
            name,
            str(row.get("dists", "")),
            f"{row['megabytes_py']:.0f} / {row['megabytes']:.0f}" if "megabytes" in row else "",
            f"{row['megabytes'] - row['megabytes_numpy']:.0f}" if "megabytes" in row else "",
            f"{_time(row['import'])} [{_time(row['import_low'])} … {_time(row['import_high'])}]",
            f"{row['import'] / bare:.1f}",
            f"{row['rss']:.0f}",
        )
        for name, row in weight.items()
    ]
    head = (
        "",
        "distributions",
        "MB (without / with .pyc)",
        "MB without numpy",
        "CPU of an interpreter's start + import",
        "× bare",
        "MiB after import",
    )
    return _table(head, rows)


def _cost(cost: dict[str, Any]) -> list[str]:
    blocks, spans, idle, loop = cost["blocks"], cost["spans"], cost["idle"], cost["loop"]

    def against(pick: Callable[[str], float | None], name: str) -> str:
        mine, theirs = pick(OURS), pick(name)
        if theirs is None or mine is None:
            return "–"
        return _time(theirs) + ("" if name == OURS else f" ({theirs / mine:.3g} ×)")

    rows = [
        (
            name,
            f"{against(lambda n: blocks[n]['cold'], name)} [{_time(row['low'])} … {_time(row['high'])}]",
            against(lambda n: cost["again"][n], name),
            against(lambda n: spans[n], name),
            *_item_cells(cost["items"][name]),
        )
        for name, row in blocks.items()
    ]
    lines = [
        "Construct, enter and leave an empty block in a fresh process (cold: its imports included) and again "
        "and again in a loop; one span (task, window, region, epoch) within a running measurement. In "
        "brackets the ratio to ours. The first block of ours starts a sampling process, which the program "
        "cannot starve and which dies with it; it stays ready for the next one. Leaving one of our spans "
        "keeps two numbers (as perun's keeps a mark); its energy is worked out later, at the cost that `make "
        f"bench` shows. pyJoules and Zeus read a file instead. Two clock reads take {_time(cost['clocks'])}.",
        "",
        "Items: a hundred passes of a loop, 20 ms each at 10 W, each with an energy of its own, in the way "
        "that each tool has for it: how many have a figure, the median of how far these are off, and how much "
        "longer a pass takes.",
        "",
        *_table(
            (
                "",
                "empty block, cold",
                "again in a loop",
                "a span",
                "items with a figure",
                "off by",
                "a pass takes more",
            ),
            rows,
        ),
        "",
        "Share of a core while the program sleeps 20 s, by the pace asked for; all child processes included. "
        "pyJoules and Zeus do not sample (Zeus starts a process that watches for wraps). Asking is not "
        "getting: carbontracker reads RAPL no faster than once a second, perun takes 1 s for less than 0.1 s.",
        "",
    ]
    paces = list(idle)
    rows = [
        (
            name,
            *(
                f"{100 * idle[pace][name]:.2f} %" if idle[pace].get(name) is not None else "–"
                for pace in paces
            ),
            "–" if cost["together"][name] is None else f"{100 * cost['together'][name]:.2f} %",
            _loop_cell(loop[name]),
        )
        for name in blocks
    ]
    head = ("", *(f"CPU, {pace}" for pace in paces), "CPU, 8 programs together", "a real loop takes")
    return lines + _table(head, rows) + [
        "",
        "The loop is Silero VAD's inference at the tool's default pace, with over without, in alternating "
        "pairs: median [lowest … highest]. Where the brackets hold 1, no effect was found.",
    ]  # fmt: skip


def _item_cells(answer: dict[str, Any]) -> tuple[str, str, str]:
    if "extra" not in answer:
        return "–", "–", "–"
    error = "–" if answer["error"] is None else f"{100 * answer['error']:.1f} %"
    return f"{answer['known']} of {answer['of']}", error, _time(max(0.0, answer["extra"]))


def _loop_cell(answer: dict[str, Any]) -> str:
    if "ratio" not in answer:
        return "–"
    return f"{answer['ratio']:.3f} × [{answer['low']:.3f} … {answer['high']:.3f}]"


def _truth(rows: list[dict[str, Any]]) -> list[str]:
    names = list(rows[0]["cells"])
    score = [
        f"**{sum(row['cells'][name]['verdict'] in ('right', 'knows') for row in rows)} of {len(rows)}**"
        for name in names
    ]
    table = [
        (
            row["title"],
            *(
                f"{_SIGNS[cell['verdict']]}: {cell['text']}".replace("\n", " ")
                for cell in row["cells"].values()
            ),
        )
        for row in rows
    ]
    return [
        "✓: within 2 % of what the counters were driven with, or says that it cannot know. Packages and DRAM "
        "count together. Only the measured part of each tool is judged; what it adds from models is named. "
        "The zone states 125 W as its limit, so that ours does not believe a counter that such power could "
        "carry around more than once between two readings (the wrap every 2.5 s, which no real zone has).",
        "",
        'CodeCarbon says of itself that there is "no external wattmeter validation of any backend" and that '
        '"no uncertainty interval is attached to reported emissions figures" (its page on accuracy, '
        "`docs/explanation/accuracy.md` of mlco2/codecarbon, as of August 2026).",
        "",
        *_table(("", *names), [*table, ("right, or says so", *score)]),
    ]


def _waves(waves: dict[str, Any]) -> list[str]:
    if not waves:
        return ["The recordings are not here: skipped."]
    names = list(next(iter(waves.values()))["errors"])
    rows = [
        (
            name,
            *(
                f"{100 * wave['errors'][name]['median']:.2f} %" + _in_brackets(wave, name)
                for wave in waves.values()
            ),
        )
        for name in names
    ]
    titles = [f"{title}: {wave['joules']:.4g} J in {wave['seconds']:.0f} s" for title, wave in waves.items()]
    return [
        "Recordings nobody here made, as the input of each sampling rule (as read in the tool's source, "
        "`benchmarks/peers/waves.py`) and of our real driver on an emulated INA219: error of the energy, "
        "median and worst over ten phases. pyJoules reads counters only and eco2AI no power at all: no rule to "
        "try. Next to ours stands what it took the rail of 5 V for: the chip's step of the bus voltage is part "
        "of its error, and a coarser one the price of being blind to the current for a shorter time.",
        "",
        *_table(("", *titles), rows),
    ]


def _in_brackets(wave: dict[str, Any], name: str) -> str:
    if name in wave["volts"]:
        return f" ({wave['volts'][name]:.3f} V)"
    return f" (worst {100 * wave['errors'][name]['worst']:.2f} %)"
