"""Section 1: what a tool brings along, and what importing it costs."""

import resource
import statistics
import subprocess
from collections.abc import Callable
from typing import Any

from venvs import TOOLS, python

# getrusage would tell the largest of this process and of the one that started it
_RSS = "; print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])"


def run(
    say: Callable[[str], None], weights: dict[str, dict[str, Any]], repetitions: int
) -> dict[str, dict[str, Any]]:
    """By tool: distributions, megabytes, CPU seconds of an interpreter that imports it, MiB it then holds.

    Args:
        weights: what making each venv reported.
    """
    rows = {name: dict(weight) for name, weight in weights.items()}
    imports = {name: (name, tool.imports) for name, tool in TOOLS.items()}
    imports["energymeter, the package alone"] = ("energymeter", "import energymeter")
    imports["bare interpreter"] = ("energymeter", "pass")
    took: dict[str, list[float]] = {title: [] for title in imports}
    say("imports")
    for repetition in range(repetitions + 1):
        for title, (name, code) in imports.items():
            seconds = _timed(python(name), code)
            if repetition:  # the first warms the disk cache
                took[title].append(seconds)
    for title, (name, code) in imports.items():
        row = rows.setdefault(title, {})
        row["import"] = statistics.median(took[title])
        row["import_low"], row["import_high"] = min(took[title]), max(took[title])
        said = subprocess.run(
            [python(name), "-c", code + _RSS], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True
        )
        row["rss"] = float(said.stdout.split()[-1]) / 1024
    return rows


def _timed(interpreter: str, code: str) -> float:
    """CPU seconds of the whole process, of which a busy machine changes less than of its time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [interpreter, "-c", code], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
