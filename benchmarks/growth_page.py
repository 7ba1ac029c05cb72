"""``GROWTH.md`` and its plots: each series with the power it grows by."""

import json
import math
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from growth_plot import plot

_HERE = Path(__file__).resolve().parent
PLOTS = _HERE / "growth"
_RESULTS = PLOTS / "results.json"
_LINEAR = 1.15
"""A power up to here counts as linear: seconds of a shared machine scatter."""


class Series(NamedTuple):
    """One quantity varied: ``points`` are (amount, cost); none: it could not be measured, and why."""

    title: str
    amount: str
    cost: str
    points: list[tuple[float, float]]
    why: str

    @property
    def power(self) -> float:
        """Slope of log cost over log amount, fitted to the whole column."""
        logs = [(math.log(x), math.log(y)) for x, y in self.points if y > 0]
        mean_x, mean_y = (sum(column) / len(logs) for column in zip(*logs, strict=True))
        spread = sum((x - mean_x) ** 2 for x, _ in logs)
        return sum((x - mean_x) * (y - mean_y) for x, y in logs) / spread

    @property
    def last_power(self) -> float:
        """The same between its last two rows, where no floor hides it any more."""
        (x, y), (last_x, last_y) = self.points[-2:]
        return math.log(last_y / y) / math.log(last_x / x)

    @property
    def one_more(self) -> float:
        """What each further one costs between its last two rows."""
        (x, y), (last_x, last_y) = self.points[-2:]
        return max(0.0, last_y - y) / (last_x - x)

    @property
    def linear(self) -> bool:
        """Linear or better, by both."""
        return max(self.power, self.last_power) <= _LINEAR

    @property
    def file(self) -> str:
        """The plot's name."""
        letters = "".join(letter if letter.isalnum() and letter.isascii() else " " for letter in self.title)
        return "-".join(letters.split()) + ".svg"


def keep(found: Sequence[Series], minutes: float) -> None:
    """The raw numbers, for `write`."""
    about = {
        "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "minutes": minutes,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "load": os.getloadavg()[1],
        "series": [series._asdict() for series in found],
    }
    PLOTS.mkdir(exist_ok=True)
    _RESULTS.write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n")


def write() -> None:
    """The page, and a plot for each of its tables, of the numbers kept last."""
    about = json.loads(_RESULTS.read_text())
    found = [Series(**series) for series in about["series"]]
    for old in PLOTS.glob("*.svg"):
        old.unlink()
    lines = [
        "# Growth",
        "",
        f"Written by `make bench-growth` in {about['minutes']:.1f} minutes, {about['when']}; "
        f"{about['machine']}, load average {about['load']:.1f} at the end. The power is the slope in "
        "logarithms, 1 linear and 0 constant: first over the whole column, then between its last two rows, "
        "where no floor hides it. Between those two each further one costs what the next column says.",
        "",
        "| | power | at the end | linear or better | one more | what that is |",
        "|---|---|---|---|---|---|",
    ]
    lines += [_summary(series) for series in found]
    for series in found:
        if series.points:
            (PLOTS / series.file).write_text(plot(series.points, series.amount, series.overhead))
            lines += _table(series)
    (_HERE / "GROWTH.md").write_text("\n".join(lines) + "\n")


def _summary(series: Series) -> str:
    if not series.points:
        return f"| {series.title} | – | – | – | – | {series.why} |"
    verdict = "yes" if series.linear else "**no**"
    powers = f"{series.power:.2f} | {series.last_power:.2f}".replace("-0.00", "0.00")
    return f"| {series.title} | {powers} | {verdict} | {series.one_more:.2g} {series.cost} | {series.why} |"


def _table(series: Series) -> list[str]:
    return [
        "",
        f"## {series.title}",
        "",
        f"![{series.cost} over {series.amount}](growth/{series.file})",
        "",
        f"| {series.amount} | {series.cost} |",
        "|---|---|",
        *(f"| {amount:,.0f} | {cost:.3g} |" for amount, cost in series.points),
    ]
