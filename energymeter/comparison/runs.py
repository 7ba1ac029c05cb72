"""Measured runs of the arms of a comparison, and the folder in which they are kept, a file a run."""

import json
import math
import os
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from energymeter.energy.uncertainty import Component
from energymeter.energy.usage import Usage
from energymeter.errors import LogError, NotMeasured
from energymeter.meter.conditions import Conditions
from energymeter.paths import entries, read_file, replace_file
from energymeter.reading import PLACES, PROVENANCES, Place, Provenance
from energymeter.text import printable
from energymeter.units import number_in

FORMAT = "energymeter comparison 1"
_PLAN = "plan.json"
_MOST_BYTES = 1 << 20
_MOST_BASELINE_BYTES = 64 << 20
_MOST_RUNS = 100_000
_MOST = 1e15


class Run(NamedTuple):
    """One measured run of one arm."""

    arm: str
    program: str
    """What ran: a command line, the name of a function, or a recording."""
    workload: str
    """What it had to do, in the words of the user; empty: nothing was said."""
    pair: int
    """Runs of one pair are neighbours in time."""
    units: float
    unit: str
    """What ``units`` counts: inference, token, epoch, run."""
    seconds: float
    joules: float
    """Energy of the measured time alone: see ``coverage``."""
    coulombs: float | None
    measured_seconds: float
    """The time in which ``joules`` flowed."""
    coverage: float
    provenance: Provenance
    place: Place
    sources: tuple[str, ...]
    components: tuple[Component, ...] = ()
    calibration: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    started: float | None = None
    """Unix time."""
    before: Conditions = Conditions()
    after: Conditions = Conditions()
    metric: float | None = None
    """Accuracy or another figure that the program printed."""

    @classmethod
    def of(cls, usage: Usage, **known: Any) -> "Run":
        """What a usage says, and what else is known.

        Raises:
            NotMeasured: none of its energy was measured, or it has no units.
        """
        units = known["units"]
        if not 0 < units < math.inf:
            raise NotMeasured(
                f"a run of {units:g} units has no energy per unit; check --per or --units-regex"
            )
        if not usage.coverage > 0 or not usage.joules > 0:
            raise NotMeasured(
                f"a run of {known['arm']} used {usage.joules:g} J, which has no ratio; measure longer runs"
            )
        return cls(
            seconds=usage.seconds,
            joules=usage.joules,
            coulombs=usage.coulombs if usage.mah is not None else None,
            measured_seconds=usage.measured_seconds,
            coverage=usage.coverage,
            provenance=usage.provenance,  # type: ignore[arg-type]
            place=usage.place,
            sources=usage.sources,
            components=usage.components,
            calibration=usage.calibration,
            notes=usage.notes,
            **known,
        )

    @property
    def watts(self) -> float:
        """Mean power over the measured time, W."""
        return self.joules / self.measured_seconds

    @property
    def joules_per_unit(self) -> float:
        """Mean power times the whole duration, per unit; what was not measured counts as the mean."""
        return self.watts * self.seconds / self.units

    @property
    def seconds_per_unit(self) -> float:
        return self.seconds / self.units

    def relative(self, *, systematic: bool) -> dict[tuple[str, str], float]:
        """Components of the ± as shares of the energy, by source and cause."""
        return {
            (part.source, part.cause): part.joules / self.joules
            for part in self.components
            if part.systematic == systematic
        }

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain JSON types."""
        return {
            **self._asdict(),
            "components": [list(part) for part in self.components],
            "before": self.before._asdict(),
            "after": self.after._asdict(),
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Run":
        """The inverse of `to_dict`.

        Raises:
            KeyError, TypeError, ValueError: it is none.
        """
        unknown = set(fields) - set(cls._fields)
        if unknown:
            raise ValueError(f"{printable(min(unknown))!r} is not known of a run")
        known: dict[str, Any] = {
            key: None if fields.get(key) is None else number_in(fields[key], -_MOST, _MOST, key)
            for key in ("coulombs", "started", "metric")
        }
        for key, least, most in (
            ("units", 1e-12, _MOST),
            ("seconds", 1e-12, _MOST),
            ("joules", 1e-15, _MOST),
            ("measured_seconds", 1e-12, _MOST),
            ("coverage", 1e-9, 1.0),
        ):
            known[key] = number_in(fields[key], least, most, key)
        for key in ("arm", "program", "workload", "unit"):
            known[key] = _text(fields[key])
        for key in ("sources", "calibration", "notes"):
            known[key] = tuple(map(_text, fields.get(key, ())))
        for key, allowed in (("provenance", PROVENANCES), ("place", PLACES)):
            if fields[key] not in allowed:
                raise ValueError(f"its {key} is unknown")
            known[key] = fields[key]
        if not isinstance(fields["pair"], int) or not 0 <= fields["pair"] < _MOST_RUNS:
            raise ValueError("its pair is no number")
        return cls(
            **known,
            pair=fields["pair"],
            components=tuple(_component(part) for part in fields.get("components", ())),
            before=Conditions.from_dict(fields.get("before", {})),
            after=Conditions.from_dict(fields.get("after", {})),
        )


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 100_000:
        raise TypeError("a text of it is none")
    return printable(value)


def _component(fields: Any) -> Component:
    cause, joules, source, systematic = fields
    if not isinstance(systematic, bool):
        raise TypeError("a component is neither systematic nor random")
    return Component(_text(cause), number_in(joules, -_MOST, _MOST, "a component"), _text(source), systematic)


class Folder:
    """The folder of one comparison: its plan, a file a run, and the idle power in between.

    A comparison that was interrupted continues in its folder, if it has the same plan.

    Args:
        path: made if it is not there.
        plan: what would have to be the same.

    Raises:
        LogError: it holds another comparison, or something else, or cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], plan: dict[str, Any]) -> None:
        self.path = os.fspath(path)
        self._plan = {"format": FORMAT, **plan}
        try:
            os.makedirs(self.path, mode=0o700, exist_ok=True)
            there = entries(self.path)
            if _PLAN in there:
                self._check_plan()
            elif there:
                raise LogError(f"{self.path} holds other files; name an empty or a new folder")
            else:
                self._write(_PLAN, self._plan)
        except OSError as failure:
            raise LogError(
                f"{self.path} cannot be used ({failure.strerror}); name a folder that this user may write"
            ) from failure

    def _check_plan(self) -> None:
        kept = read_json(os.path.join(self.path, _PLAN), _MOST_BYTES)
        wanted = json.loads(json.dumps(self._plan))
        if kept == wanted:
            return
        kept = kept if isinstance(kept, dict) else {}
        other = [key for key in wanted if kept.get(key) != wanted[key]]
        raise LogError(
            f"{self.path} holds a comparison with other {', '.join(other) or 'settings'}; name a new folder"
        )

    def keep(self, number: int, run: Run) -> None:
        """Write one run; a file is whole or not there.

        Raises:
            LogError: it cannot be written.
        """
        self._keep(f"run-{number:06}.json", run.to_dict())

    def keep_idle(self, number: int, watts: float) -> None:
        """Write the idle power that was measured before run ``number``; raises as `keep`."""
        self._keep(f"idle-{number:06}.json", {"watts": watts})

    def _keep(self, name: str, content: dict[str, Any]) -> None:
        try:
            self._write(name, content)
        except OSError as failure:
            raise LogError(
                f"{self.path} cannot be written ({failure.strerror}); free some space"
            ) from failure

    def runs(self) -> dict[int, Run]:
        """What was kept, by number.

        Raises:
            LogError: a file is damaged.
        """
        return {
            number: run_of(read_json(path, _MOST_BYTES), path) for number, path in self._kept("run-").items()
        }

    def idle(self) -> dict[int, float]:
        """The idle powers that were kept, by the number of the run that followed.

        Raises:
            LogError: a file is damaged.
        """
        found = {}
        for number, path in self._kept("idle-").items():
            try:
                watts = number_in(read_json(path, _MOST_BYTES)["watts"], -_MOST, _MOST, "the idle power")
            except (KeyError, TypeError, ValueError) as damage:
                raise LogError(f"{path} is damaged ({damage}); remove it") from damage
            found[number] = watts
        return found

    def _kept(self, prefix: str) -> dict[int, str]:
        """The paths of the files of one kind, by their number."""
        return {
            int(name.removeprefix(prefix).removesuffix(".json")): os.path.join(self.path, name)
            for name in entries(self.path)
            if name.startswith(prefix) and name.endswith(".json")
        }

    def _write(self, name: str, content: dict[str, Any]) -> None:
        write_json(os.path.join(self.path, name), content)


class Kept(NamedTuple):
    """What the folder of a comparison or a sweep holds."""

    arms: tuple[str, ...]
    runs: tuple[Run, ...]
    """In the order of their times."""
    idle: tuple[float, ...]
    """W."""


def load_folder(path: str | os.PathLike[str]) -> Kept:
    """The runs in a folder that ``--out`` named.

    Raises:
        LogError: it is none of a comparison, or damaged.
    """
    path = os.fspath(path)
    plan = read_json(os.path.join(path, _PLAN), _MOST_BYTES)
    try:
        if plan["format"] != FORMAT:
            raise ValueError("it is of another version")
        arms = tuple(_text(name) for name, _program, _per in plan["arms"])
        folder = Folder(path, {key: value for key, value in plan.items() if key != "format"})
    except (KeyError, TypeError, ValueError) as damage:
        if isinstance(damage, LogError):
            raise
        raise LogError(f"{path} holds no comparison ({damage}); name the folder of --out") from damage
    runs, idle = folder.runs(), folder.idle()
    if not runs:
        raise LogError(f"{path} holds no run; measure with --out {path}")
    return Kept(arms, tuple(runs[n] for n in sorted(runs)), tuple(idle[n] for n in sorted(idle)))


def write_json(path: str, content: Any) -> None:
    """Write a file that is whole or not there; a link in its place is replaced and not followed.

    Raises:
        OSError: it cannot be written.
    """
    replace_file(path, json.dumps(content, indent=1, allow_nan=False))


def read_json(path: str, most_bytes: int) -> Any:
    """Raises `LogError` where it is no JSON of limited size."""
    try:
        return json.loads(read_file(path, most_bytes))
    except (OSError, ValueError, RecursionError) as failure:
        raise LogError(
            f"{path} is no file of a comparison ({failure}); remove it or name another"
        ) from failure


def run_of(fields: Any, path: str) -> Run:
    """Raises `LogError` where it is no run."""
    try:
        return Run.from_dict(fields)
    except (AttributeError, KeyError, TypeError, ValueError) as damage:
        raise LogError(f"{path} holds a damaged run ({damage}); remove it") from damage


def save_baseline(path: str | os.PathLike[str], runs: Iterable[Run], *, force: bool = False) -> None:
    """Keep the runs of one arm, to compare later ones with.

    Raises:
        LogError: the file exists, or cannot be written.
    """
    path = os.fspath(path)
    if os.path.lexists(path) and not force:
        raise LogError(f"{path} exists; name another file, or use --force")
    try:
        write_json(path, {"format": FORMAT, "runs": [run.to_dict() for run in runs]})
    except OSError as failure:
        raise LogError(f"{path} cannot be written ({failure.strerror}); name another file") from failure


def load_baseline(path: str | os.PathLike[str]) -> Sequence[Run]:
    """The runs of a stored baseline.

    Raises:
        LogError: it is none, or damaged.
    """
    path = os.fspath(path)
    kept = read_json(path, _MOST_BASELINE_BYTES)
    if not isinstance(kept, dict) or kept.get("format") != FORMAT or not isinstance(kept.get("runs"), list):
        raise LogError(f"{path} is no baseline of this version; save one with --save-baseline")
    if not 0 < len(kept["runs"]) <= _MOST_RUNS:
        raise LogError(f"{path} holds {len(kept['runs'])} runs; save one with --save-baseline")
    return [run_of(fields, path) for fields in kept["runs"]]
