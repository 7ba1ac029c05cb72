"""The folder whose recordings and comparisons the page may show; nothing outside of it is ever opened."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from energymeter.errors import EnergyMeterError, LogError, SpecError
from energymeter.paths import read_file
from energymeter.text import percent, plus_minus, printable, significant, time_text

ENDINGS = (".csv", ".jsonl", ".parquet")
MOST_BYTES = 64 << 20
"""A larger recording is not drawn, and not sent."""
_MOST_FILES = 1000
_PATIENCE_SECONDS = 5.0
_MOST_SPANS = 100


class Busy(EnergyMeterError):
    """Another recording is being read."""


class SharedFile(NamedTuple):
    """A recording, or the folder of a comparison."""

    name: str
    bytes: int
    changed_unix: float


class SharedFolder:
    """Recordings and comparisons directly in one folder. Links are left out.

    Args:
        path: of the folder. It may be absent yet.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()

    def recordings(self) -> list[SharedFile]:
        """The recordings, the newest first."""
        return self._found(
            lambda entry: entry.name.endswith(ENDINGS) and entry.is_file(follow_symlinks=False)
        )

    def comparisons(self) -> list[SharedFile]:
        """The folders of ``energymeter compare --out``, the newest first."""
        return self._found(
            lambda entry: (
                entry.is_dir(follow_symlinks=False) and os.path.isfile(os.path.join(entry.path, "plan.json"))
            )
        )

    def _found(self, wanted: Any) -> list[SharedFile]:
        found = []
        try:
            with os.scandir(self._path) as entries:
                for entry in entries:
                    # a ? begins options of a reader, and a name that does not show cannot be asked for
                    if entry.name.isprintable() and "?" not in entry.name and wanted(entry):
                        status = entry.stat(follow_symlinks=False)
                        found.append(SharedFile(entry.name, status.st_size, status.st_mtime))
        except OSError:  # absent, or not for this user
            return []
        return sorted(found, key=lambda file: -file.changed_unix)[:_MOST_FILES]

    def _recording(self, name: str) -> str:
        """The path of a recording that is on the list; any other name is refused.

        Raises:
            LogError: it is not on the list, or too large to draw.
        """
        for file in self.recordings():
            if file.name == name:
                if file.bytes > MOST_BYTES:
                    raise LogError(
                        f"{name} is larger than {MOST_BYTES >> 20} MB; plot it with `energymeter plot`"
                    )
                return os.path.join(self._path, file.name)
        raise LogError(f"there is no recording {printable(name)!r} here; choose one of the list")

    def content(self, name: str) -> bytes:
        """The bytes of a recording.

        Raises:
            LogError: it is not on the list, or cannot be read.
        """
        if name not in {file.name for file in self.recordings()}:
            raise LogError(f"there is no recording {printable(name)!r} here; choose one of the list")
        try:
            return read_file(os.path.join(self._path, name), MOST_BYTES)
        except OSError as failure:
            raise LogError(f"{name} cannot be read ({failure.strerror}); choose another one") from failure

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One recording is read at a time, so that many requests cannot fill the memory."""
        if not self._lock.acquire(timeout=_PATIENCE_SECONDS):
            raise Busy("another recording is being read; ask again")
        try:
            yield
        finally:
            self._lock.release()

    def plot(self, name: str) -> dict[str, Any]:
        """A recording, small enough to draw: for each stretch its mean, lowest and highest power.

        Raises:
            EnergyMeterError: it cannot be read.
        """
        import numpy as np

        from energymeter.report.decimation import decimated

        path = self._recording(name)
        with self._alone():
            made = decimated(path)
        edges = made.total.time_s
        with np.errstate(invalid="ignore", divide="ignore"):
            covered = np.diff(made.total.covered_s)
            mean = np.where(covered > 0, np.diff(made.total.joules) / covered, np.nan)
        low, high = made.lowest_watts(), made.highest_watts()
        return {
            "name": name,
            "usage": str(made.usage),
            "provenance": made.usage.provenance,
            "start_unix": made.epoch_s,
            "edges": _numbers(edges),
            "watts": _numbers(mean),
            "low": _numbers(low),
            "high": _numbers(high),
            "spans": [
                {
                    "name": printable(row.name),
                    "calls": row.calls,
                    "windows": [list(window) for window in row.windows_s[:_MOST_SPANS]],
                    "usage": "" if row.usage is None else str(row.usage),
                }
                for row in made.spans[:_MOST_SPANS]
            ],
        }

    def report(self, names: list[str]) -> str:
        """A report of recordings, as ``energymeter report`` writes it.

        Raises:
            EnergyMeterError: one of them cannot be read, or jinja2 is not installed.
        """
        from energymeter.battery.battery import Battery
        from energymeter.recordings.trace import Trace
        from energymeter.report.page import render
        from energymeter.report.report import Report, Settings, Stated

        if not 0 < len(names) <= 10:
            raise SpecError("a report is of one to ten recordings; choose fewer")
        paths = [self._recording(name) for name in names]
        with self._alone():
            settings = Settings(battery=Battery.phone())
            made = Report(paths, [Stated() for _ in paths], settings, Trace.load)
            page = render(made, "html")
        return page if isinstance(page, str) else page.decode()

    def comparison(self, name: str) -> dict[str, Any]:
        """The verdicts of a comparison, and its arms.

        Raises:
            EnergyMeterError: there is none of this name, or it is damaged.
        """
        from energymeter.comparison.comparison import Comparison
        from energymeter.comparison.runs import load_folder

        if name not in {file.name for file in self.comparisons()}:
            raise LogError(f"there is no comparison {printable(name)!r} here; choose one of the list")
        with self._alone():
            kept = load_folder(os.path.join(self._path, name))
            made = Comparison(kept.runs, kept.arms, idle=kept.idle)
            verdicts = [printable(str(verdict)) for verdict in made.verdicts]
            rows = made.rows
        return {
            "name": name,
            "verdicts": verdicts,
            "notes": [printable(note) for note in made.notes],
            "head": ["Arm", "Runs", f"J per {printable(made.runs[0].unit)}", "sd of a run", "W", "Time"],
            "rows": [
                [
                    printable(row.arm),
                    str(row.runs),
                    plus_minus(row.joules_per_unit, None),
                    percent(row.spread, 1) if row.spread == row.spread else "",
                    significant(row.watts),
                    time_text(row.seconds_per_unit),
                ]
                for row in rows
            ],
        }


def size_text(bytes: int) -> str:
    """A size for people.

    >>> size_text(900), size_text(1234567)
    ('900 B', '1.23 MB')
    """
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if bytes >= unit:
            return f"{significant(bytes / unit)} {name}"
    return f"{bytes} B"


def _numbers(row: Any) -> list[float | None]:
    """For JSON: what is unknown is null."""
    return [float(f"{one:.6g}") if one == one else None for one in row.tolist()]
