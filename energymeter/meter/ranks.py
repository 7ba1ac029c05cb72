"""`RankMeter`: many processes on one or many machines, each machine sampled and counted once.

Launchers start several processes ("ranks") on a machine: torchrun, MPI, SLURM. A meter in each of them would
measure the machine as often as there are ranks. Here the ranks of a machine agree on one of them that
samples, by a file in a folder that all of them share; it leaves its figures there every second, and rank 0
adds up what all machines left. What a killed rank left stays, so that it costs coverage and not the result.

No network is used: the folder is one that all machines of the job see, as clusters have it.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import stat
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from energymeter.energy.uncertainty import Component
from energymeter.energy.usage import Usage, least_trusted
from energymeter.errors import EnergyMeterError, LogError, NotMeasured, SpecError
from energymeter.meter.meter import EnergyMeter
from energymeter.paths import peek, read_file, replace_file
from energymeter.reading import PLACES, PROVENANCES
from energymeter.text import partly_measured, printable
from energymeter.units import number_in

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from energymeter.reading import Provenance

FOLDER = "ENERGYMETER_RANKS"
HOST = "ENERGYMETER_RANK_HOST"
_MOST_STATE_BYTES = 1 << 20
_MOST_RANKS = 1_000_000
_LOOK_SECONDS = 0.05
_MOST = 1e18
_LAUNCHERS = (
    ("torchrun", "RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"),
    (
        "Open MPI",
        "OMPI_COMM_WORLD_RANK",
        "OMPI_COMM_WORLD_LOCAL_RANK",
        "OMPI_COMM_WORLD_SIZE",
        "OMPI_COMM_WORLD_LOCAL_SIZE",
    ),
    ("SLURM", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NTASKS", "SLURM_STEP_TASKS_PER_NODE"),
)
_JOBS = ("TORCHELASTIC_RUN_ID", "PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid", "SLURM_JOB_ID")
_PARTS_OF_JOB = ("TORCHELASTIC_RESTART_COUNT", "SLURM_STEP_ID")
_NO_NAME = ("", "none")
"""What torchrun calls a job without --rdzv-id."""


class Rank(NamedTuple):
    """One of the processes that a launcher started."""

    number: int = 0
    local: int = 0
    world: int = 1
    """Processes of the job."""
    launcher: str = ""
    """Empty: none; this is an only process."""
    alike: int = 1
    """Processes of the job on this machine; 0: the launcher does not say."""

    @classmethod
    def here(cls, environment: Mapping[str, str] = os.environ) -> Rank:
        """This process, by the variables that its launcher has set.

        >>> Rank.here({"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"})
        Rank(number=3, local=1, world=4, launcher='torchrun', alike=2)

        Raises:
            SpecError: they contradict each other.
        """
        for launcher, rank, local, world, alike in _LAUNCHERS:
            if rank not in environment or world not in environment:
                continue
            try:
                found = cls(
                    int(environment[rank]),
                    int(environment.get(local, "0")),
                    int(environment[world]),
                    launcher,
                    _alike(environment.get(alike, "")),
                )
            except ValueError as wrong:
                raise SpecError(
                    f"{launcher} set a variable that is no number ({wrong}); unset {rank}"
                ) from wrong
            if not 0 <= found.number < found.world <= _MOST_RANKS or not 0 <= found.local < found.world:
                raise SpecError(
                    f"{launcher} says rank {found.number} of {found.world}; unset {rank} and {world}"
                )
            return found
        return cls()


class RankMeter:
    """Measures a job of many ranks; use it in each of them as an `EnergyMeter`.

    Args:
        source: of each machine, as for `EnergyMeter`.
        folder: one that all machines of the job share. None: ``$ENERGYMETER_RANKS``, or for a job on one
            machine a folder of its own in the temporary files.
        job: what distinguishes this measurement from others in the folder; None: what the launcher says.
        wait_seconds: how long rank 0 waits at its end for the machines that are not done.
        options: further arguments of `EnergyMeter`.

    >>> with RankMeter("manual:5V,0.6A") as meter:
    ...     answer = sum(range(1000))
    >>> meter.rank.number, meter.usage.provenance
    (0, 'manual')

    Raises:
        SpecError: the launcher's variables contradict each other.
        LogError: the folder cannot be used, or is another user's.
        SourceError: on entering, if the source cannot be read.
    """

    def __init__(
        self,
        source: str | None = None,
        *,
        folder: str | Path | None = None,
        job: str | None = None,
        wait_seconds: float = 10.0,
        **options: Any,
    ) -> None:
        self.rank = Rank.here()
        self.host = _host()
        """This machine: its name and the first digits of its boot's identity."""
        self._wait_seconds = wait_seconds
        self._folder = _folder(folder, job, self.rank)
        self._source, self._options = source, options
        self._meter: EnergyMeter | None = None
        self._writer: _Writer | None = None
        self._block = 0
        self._found: Usage | None = None

    @property
    def is_sampler(self) -> bool:
        """Whether this rank samples for its machine."""
        return self._meter is not None

    def __enter__(self) -> RankMeter:
        self._block += 1
        self._found = None
        folder = self._here()
        try:
            _make(folder)
            if not _claim(self._file(f"rank-{self.rank.number}.claim")):
                raise LogError(
                    f"{printable(folder)} holds an earlier job of this name; give job= another one"
                )
            self._say({})
            claimed = _claim(self._file(f"{_file_name(self.host)}.claim"))
        except OSError as failure:
            raise LogError(
                f"{printable(folder)} cannot be used ({failure.strerror}); name another folder, or set "
                f"{FOLDER}"
            ) from failure
        if claimed:
            meter = EnergyMeter(self._source, **self._options)
            meter.__enter__()
            self._meter = meter
            self._writer = _Writer(meter, self._file(f"{_file_name(self.host)}.json"), self.host)
            self._writer.start()
        return self

    def __exit__(self, kind: object = None, *others: object) -> None:
        left_ns = time.monotonic_ns()
        try:
            if self._meter is not None and self._writer is not None:
                self._writer.stop()
                self._meter.__exit__(kind, *others)
                self._writer.write(ended=True)
        finally:
            with contextlib.suppress(OSError):  # the folder may be gone by now; then nobody waits for us
                self._say({"ended": True, "left_ns": left_ns})
            self._meter = None
            self._writer = None
        if self.rank.number == 0 and kind is None:
            self._wait()
            self._found = self._sum()

    @property
    def usage(self) -> Usage:
        """On rank 0 the sum over all machines; on other ranks a labelled share of their machine.

        Missing machines and ranks are in the notes, and count as not measured.

        Raises:
            NotMeasured: no machine measured anything yet, or the block was not entered.
        """
        if not self._block:
            raise NotMeasured("this meter has measured nothing yet; use `with meter:` around some code")
        if self.rank.number == 0:
            return self._found if self._found is not None else self._sum()
        return self.share

    @property
    def share(self) -> Usage:
        """This rank's part of its machine: an equal share among its ranks, which nothing has measured.

        It waits for the first figures of the machine, for ``wait_seconds`` at most.

        Raises:
            NotMeasured: the machine has measured nothing yet.
        """
        state = self._own_state()
        end = time.monotonic() + self._wait_seconds
        while state is None and time.monotonic() < end:
            time.sleep(min(_LOOK_SECONDS, self._wait_seconds))
            state = self._own_state()
        if state is None:
            raise NotMeasured(f"{printable(self.host)} has measured nothing yet; measure for longer")
        # some may not have begun yet
        alike = max(sum(said.host == self.host for said in self._ranks().values()), self.rank.alike, 1)
        share, usage = 1 / alike, state.usage
        return usage._replace(
            joules=usage.joules * share,
            coulombs=None if usage.coulombs is None else usage.coulombs * share,
            peak_watts=None,
            components=tuple(one._replace(joules=one.joules * share) for one in usage.components),
            notes=(*usage.notes, f"1/{alike} of {self.host}, shared equally among its ranks, not measured"),
        )

    # What lies in the folder -----------------------------------------------------------------------------

    def _here(self) -> str:
        return os.path.join(self._folder, f"block-{self._block}")

    def _file(self, name: str) -> str:
        return os.path.join(self._here(), name)

    def _say(self, said: dict[str, object]) -> None:
        path = self._file(f"rank-{self.rank.number}.json")
        replace_file(path, json.dumps({"host": self.host, **said}))

    def _ranks(self) -> dict[int, _Said]:
        """What each rank that began has said."""
        found: dict[int, _Said] = {}
        for name in _names(self._here()):
            number = name.removeprefix("rank-").removesuffix(".json")
            if name.startswith("rank-") and number.isdigit():
                said = _read(self._file(name))
                if isinstance(said.get("host"), str):
                    found[int(number)] = _Said(
                        printable(said["host"]), said.get("ended") is True, _moment_ns(said.get("left_ns"))
                    )
        return found

    def _own_state(self) -> _State | None:
        return next((state for state in self._states() if state.host == self.host), None)

    def _states(self) -> list[_State]:
        found = []
        for name in _names(self._here()):
            if name.startswith("host-") and name.endswith(".json"):
                state = _State.of(_read(self._file(name)))
                if state is not None:
                    found.append(state)
        return sorted(found, key=lambda state: state.host)

    def _wait(self) -> None:
        """Until every rank has ended, and with it every machine; or for so long."""
        end = time.monotonic() + self._wait_seconds
        while time.monotonic() < end:
            ranks = self._ranks()
            if len(ranks) == self.rank.world and all(said.ended for said in ranks.values()):
                return
            time.sleep(min(_LOOK_SECONDS, self._wait_seconds))

    def _sum(self) -> Usage:
        ranks = self._ranks()
        measured = [
            state.until(max((said.left_ns for said in ranks.values() if said.host == state.host), default=0))
            for state in self._states()
            if state.usage.measured_seconds > 0
        ]
        if not measured:
            raise NotMeasured("no machine of this job has measured anything yet; measure for longer")
        silent = sorted({said.host for said in ranks.values()} - {state.host for state in measured})
        over = self._found is None and self._is_over()
        stopped = [
            state.host
            for state in measured
            if (over and not state.ended) or (state.ended and partly_measured(state.sampled_share))
        ]
        absent = sorted(set(range(self.rank.world)) - set(ranks))
        going_on = sorted(number for number, said in ranks.items() if over and not said.ended)
        notes = [f"{host} was not measured" for host in silent]
        notes += [f"{host} stopped sampling before the end" for host in stopped]
        for numbers, what in ((absent, "never began"), (going_on, "had not ended")):
            if numbers:
                shown = ", ".join(map(str, numbers[:20]))
                notes.append(f"{len(numbers)} of {self.rank.world} ranks {what}: {shown}")
        return _added(measured, silent, tuple(notes))

    def _is_over(self) -> bool:
        """Whether this rank's block has ended."""
        return self._meter is None


class _Said(NamedTuple):
    """What one rank left in the folder."""

    host: str
    ended: bool
    left_ns: int
    """Monotonic time of its machine; 0: it has not left yet."""


class _State(NamedTuple):
    """What one machine left in the folder."""

    host: str
    ended: bool
    usage: Usage
    sampled_ns: int = 0
    """Monotonic time of the machine at which its sampling rank left; 0: it has not left yet."""
    sampled_share: float = 1.0
    """The part of the time of its ranks in which one of them sampled."""

    def until(self, left_ns: int) -> _State:
        """The same over the time until its last rank has left; the rank that samples may leave earlier."""
        longer_s = (left_ns - self.sampled_ns) * 1e-9
        if not self.sampled_ns or longer_s <= 0:
            return self
        seconds = self.usage.seconds + longer_s
        return self._replace(
            usage=self.usage._replace(seconds=seconds), sampled_share=self.usage.seconds / seconds
        )

    @classmethod
    def of(cls, said: dict[str, Any]) -> _State | None:
        """From a file, which another machine wrote; ``None``: it makes no sense."""
        try:
            number = {
                name: number_in(said[name], -_MOST, _MOST, name)
                for name in ("seconds", "joules", "measured_seconds")
            }
            coulombs, peak = (
                None if said[name] is None else number_in(said[name], -_MOST, _MOST, name)
                for name in ("coulombs", "peak_watts")
            )
            texts = [said["host"], *said["sources"], *said["notes"], *said["calibration"]]
            components = tuple(
                Component(
                    str(cause)[:200],
                    number_in(joules, -_MOST, _MOST, "joules"),
                    str(source)[:200],
                    bool(lasts),
                )
                for cause, joules, source, lasts in said["components"]
            )
            covered = tuple(number_in(one, 0.0, _MOST, "covered_seconds") for one in said["covered_seconds"])
            wrong = (
                not all(isinstance(text, str) for text in texts)
                or said["provenance"] not in PROVENANCES
                or said["place"] not in PLACES
                or len(covered) != len(said["sources"])
            )
            if wrong:
                return None
            usage = Usage(
                seconds=number["seconds"],
                joules=number["joules"],
                coulombs=coulombs,
                mean_volts=None,
                peak_watts=peak,
                measured_seconds=number["measured_seconds"],
                provenance=said["provenance"],
                place=said["place"],
                sources=tuple(map(printable, said["sources"])),
                covered_seconds=covered,
                missed=int(number_in(said["missed"], 0, _MOST, "missed")),
                components=components,
                calibration=tuple(map(printable, said["calibration"])),
                notes=tuple(map(printable, said["notes"])),
            )
        except (KeyError, TypeError, ValueError):
            return None
        sampled_ns = _moment_ns(said.get("sampled_ns"))
        return cls(printable(said["host"]), said.get("ended") is True, usage, sampled_ns)


class _Writer:
    """Leaves the newest figures of this machine in the folder, every second."""

    EVERY_SECONDS = 1.0

    def __init__(self, meter: EnergyMeter, path: str, host: str) -> None:
        self._meter, self._path, self._host = meter, path, host
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="energymeter ranks", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ending.wait(self.EVERY_SECONDS):
            with contextlib.suppress(EnergyMeterError, OSError):  # the next second may do better
                self.write()

    def write(self, *, ended: bool = False) -> None:
        """Leave what is known now."""
        usage = self._meter.usage
        said = {
            "host": self._host,
            "ended": ended,
            "sampled_ns": time.monotonic_ns() if ended else 0,
            **{
                name: getattr(usage, name)
                for name in ("seconds", "joules", "coulombs", "peak_watts", "measured_seconds")
            },
            **{
                name: getattr(usage, name)
                for name in ("provenance", "place", "sources", "covered_seconds", "missed")
            },
            "components": [list(one) for one in usage.components],
            "calibration": list(usage.calibration),
            "notes": list(usage.notes),
        }
        replace_file(self._path, json.dumps(said))


def _added(states: list[_State], silent: list[str], notes: tuple[str, ...]) -> Usage:
    """One usage of several machines; those of ``silent`` were not measured."""
    usages = [state.usage for state in states]
    seconds = max(usage.seconds for usage in usages)
    joules = math.fsum(usage.joules for usage in usages)
    watts = math.fsum(usage.joules / usage.measured_seconds for usage in usages)
    covered = [usage.measured_seconds for usage in usages]
    several = len(states) + len(silent) > 1
    peaks = [usage.peak_watts for usage in usages]

    def named(state: _State, name: str) -> str:
        return f"{state.host}: {name}" if several else name

    return usages[0]._replace(
        seconds=seconds,
        joules=joules,
        coulombs=usages[0].coulombs if not several else None,  # of machines of unknown voltages
        peak_watts=math.fsum(peak for peak in peaks if peak is not None) if None not in peaks else None,
        measured_seconds=max(min(covered), min(max(covered), joules / watts)) if watts else min(covered),
        provenance=least_trusted(cast("list[Provenance]", [usage.provenance for usage in usages])),
        sources=(
            *(named(state, name) for state in states for name in state.usage.sources),
            *(f"{host}: not measured" for host in silent),
        ),
        covered_seconds=(*(one for usage in usages for one in usage.covered_seconds), *(0.0 for _ in silent)),
        missed=sum(usage.missed for usage in usages),
        components=tuple(
            one._replace(source=named(state, one.source))
            for state in states
            for one in state.usage.components
        ),
        calibration=tuple(named(state, text) for state in states for text in state.usage.calibration),
        notes=(*(named(state, text) for state in states for text in state.usage.notes), *notes),
    )


def _host() -> str:
    """This machine. Containers and network namespaces of one machine are one, by the identity of its boot."""
    given = os.environ.get(HOST)
    if given:
        return printable(given)[:100]
    boot = (peek("/proc/sys/kernel/random/boot_id") or "")[:8]
    return "-".join(part for part in (printable(os.uname().nodename), boot) if part)


def _file_name(host: str) -> str:
    import hashlib

    return f"host-{hashlib.sha256(host.encode()).hexdigest()[:32]}"


def _folder(folder: str | Path | None, job: str | None, rank: Rank) -> str:
    """The folder of this job, the same for all of its ranks and for no other job."""
    import hashlib
    import tempfile

    base = os.fspath(folder) if folder is not None else os.environ.get(FOLDER, "")
    names = [os.environ.get(name, "") for name in _JOBS]
    known = [job] if job is not None else [*names, *(os.environ.get(name, "") for name in _PARTS_OF_JOB)]
    if not rank.launcher:
        known += [_process(os.getpid()) if job is not None else os.urandom(8).hex()]
    elif job is None and not base:
        known += [_process(os.getppid())]  # the ranks of one machine have one parent, their launcher
    elif job is None and set(names) <= set(_NO_NAME):
        raise SpecError(
            f"{rank.launcher} gives this job no name that its machines share; give --rdzv-id, or job="
        )
    if not base:
        base = os.path.join(tempfile.gettempdir(), f"energymeter-ranks-{os.geteuid()}")
    return os.path.join(base, f"job-{hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16]}")


def _alike(text: str) -> int:
    """The number of ranks on a machine; 0: unknown, as where SLURM's machines differ (``2(x3),1``)."""
    number, _, machines = text.partition("(x")
    alike = number.isdecimal() and (not machines or machines.removesuffix(")").isdecimal())
    return int(number) if alike else 0


def _moment_ns(said: object) -> int:
    """A monotonic time that another process wrote; 0: it is none."""
    return said if isinstance(said, int) and 0 < said < _MOST else 0


def _process(pid: int) -> str:
    """A process as no other one on this machine is called: its number and when it began."""
    said = peek(f"/proc/{pid}/stat") or ""
    return f"{pid} {' '.join(said.rpartition(')')[2].split()[19:20])}"


def _make(folder: str) -> None:
    """Make a folder for this user alone.

    Raises:
        OSError: it cannot be made, or one of the folders is a link or another user's.
    """
    os.makedirs(folder, mode=0o700, exist_ok=True)
    for path in (folder, os.path.dirname(folder)):
        found = os.lstat(path)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise PermissionError(1, f"{os.path.basename(path)} is no folder of this user alone")


def _claim(path: str) -> bool:
    """Whether this process is the first of its machine."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return False
    return True


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))[: 2 * _MOST_RANKS]
    except OSError:
        return []


def _read(path: str) -> dict[str, Any]:
    """A file of another rank; empty: it is none yet, or makes no sense."""
    try:
        said = json.loads(read_file(path, _MOST_STATE_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
