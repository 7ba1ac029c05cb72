"""What an emitted program stands on: it notes when everything happened, and what the meter answered.

A program (see `oracle.emit`) uses the public API like anybody's; everything it learns goes as JSON lines into
``events.jsonl`` in its folder, for `oracle.check` to judge when it has ended.
"""

import asyncio
import contextlib
import ctypes
import dataclasses
import errno
import faulthandler
import fcntl
import gc
import itertools
import json
import math
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

from energymeter import Battery, Budget, EnergyMeter, EnergyMeterError
from oracle.known import Known, KnownRails
from oracle.steps import ForkWhileLeaving, MeterSpec, Program, SourceSpec, walk

BUDGET = "b"
_RAIL_VOLTS = 5.0
_PLUGIN = "known = oracle.known:Known\nrails = oracle.known:KnownRails\n"
_TURN_SECONDS = 0.02
"""Patience is counted in turns: a busy machine makes each longer."""
_LEAK_SECONDS = 2.5
"""A sampler may wait for the next block for two seconds."""
_CLOSE_SECONDS = 0.5
_STALLED_LOG_SECONDS = 12.0
"""A log that nobody reads is given ten seconds after the end, and the meter says so."""
_MOST_USAGES = 1500
_WORKER_SECONDS = 15.0
"""A worker that lives longer hangs."""
_SET_PIPE_SIZE = 1031
"""F_SETPIPE_SZ of fcntl.h; the module names it from Python 3.10 on some systems only."""
_now = time.monotonic_ns


class Deliberate(Exception):
    """The program's own exception; the library must pass it on untouched."""


class Alarm(BaseException):
    """Raised by a signal handler, wherever the program is."""


class Endless:
    """An iterable whose length raises, as torch's DataLoader of an IterableDataset does."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __iter__(self) -> Iterator[int]:
        return iter(range(self._count))

    def __len__(self) -> int:
        raise TypeError("object of type 'Endless' has no len()")


class Stage:
    """The folder that a program runs in, and its record.

    Args:
        folder: holds ``program.json``; everything that the program writes goes there.
        limit: seconds after which the program hangs.
    """

    def __init__(self, folder: str, limit: float = 60.0) -> None:
        self.folder = Path(folder)
        self.program = Program.from_json((self.folder / "program.json").read_text())
        self._hung = open(self.folder / "hung.txt", "w")  # noqa: SIM115 - as long as the program
        self._limit = limit
        self._watch(limit)
        self._events = str(self.folder / "events.jsonl")
        self._unwritten: list[str] = []
        self._process = "0"
        self._forks: list[int] = []
        self._kept: list[tuple[str, int, Any, str]] = []
        self._crowd: list[int] = []
        self._objects: list[Any] = []
        for kind in ("CONFIG", "DATA", "STATE", "CACHE"):
            os.environ[f"XDG_{kind}_HOME"] = str(self.folder / kind.lower())
        os.environ.update(HOME=str(self.folder), ORACLE_RUN=str(self.folder))
        os.chdir(self.folder)
        self._install_plugin()
        self._python = sys.executable
        self._where()
        if self.program.pays:
            self._new_budget()
        with contextlib.suppress(ImportError):
            import energymeter.recordings.trace  # noqa: F401 - slow, and no part of any answer's time

        self._threads = set(threading.enumerate())
        self._files = self._open_files()
        self.epoch_ns = _now()
        self._note("start", epoch_ns=self.epoch_ns, time=_unix_offset())
        for number, meter in enumerate(self.program.meters):
            for place, source in enumerate(meter.sources):
                self._write_source(f"{number}.{place}", source)
        warnings.showwarning = self._warned
        sys.unraisablehook = self._unraisable
        threading.excepthook = self._thread_died

    def _watch(self, seconds: float) -> None:
        faulthandler.dump_traceback_later(seconds, exit=True, file=self._hung)

    # -- the world ---------------------------------------------------------------------------------

    def _install_plugin(self) -> None:
        about = self.folder / "site-packages" / "known-1.0.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: known\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(f"[energymeter.drivers]\n{_PLUGIN}")
        sys.path += [str(about.parent)]

    def _write_source(self, name: str, source: SourceSpec) -> None:
        rails = [f"{name}.{number}" for number in range(len(source.rails))]
        for rail, spec in zip(rails, source.rails, strict=True):
            self._write_source(rail, spec)
        about = {
            **dataclasses.asdict(source),
            "name": f"known{name}",
            "epoch_ns": self.epoch_ns,
            "rails": [f"{rail}.json" for rail in rails],
        }
        (self.folder / f"{name}.json").write_text(json.dumps(about))

    def _where(self) -> None:
        """Bring about the circumstances."""
        where = self.program.where
        if "crowd" in where:
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
            self._crowd = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
        if "strict" in where:
            warnings.simplefilter("error")
        if "no stderr" in where:
            sys.stderr = None  # type: ignore[assignment]
        if "broken stderr" in where:
            read, write = os.pipe()
            os.close(read)
            sys.stderr = os.fdopen(write, "w")
        if "closed stdin" in where:
            os.close(0)
        if "closed stdout" in where:
            os.close(1)
        if "no memfd" in where:
            del os.memfd_create
        if "forbidden memfd" in where:
            os.memfd_create = _forbidden
        if "no executable" in where:
            sys.executable = None  # type: ignore[assignment]
        if "frozen" in where:
            self._freeze()

    def _freeze(self) -> None:
        """The interpreter is the program itself, as in a program that was frozen to one file."""
        application = self.folder / "application.sh"
        again = (
            "import sys; sys.frozen = True; from energymeter import EnergyMeter; "
            f"sys.executable = '{application}'; EnergyMeter('manual:5W').__enter__()"
        )
        application.write_text(
            f"#!/bin/sh\necho one >> '{self.folder}/generations'\n"
            f"[ $(wc -l < '{self.folder}/generations') -gt 4 ] && exit 1\n"
            f"export PYTHONPATH='{os.pathsep.join(sys.path)}'\n"
            f'exec {sys.executable} -c "{again}"\n'
        )
        application.chmod(0o755)
        sys.frozen = True  # type: ignore[attr-defined]
        sys.executable = str(application)

    def _new_budget(self) -> None:
        mah = self.program.capacity_joules / _RAIL_VOLTS / 3.6
        Budget(BUDGET, Battery(mah, volts=_RAIL_VOLTS, basis="rail"))

    def meter(self, number: int, log: bool = True) -> EnergyMeter:
        """The program's meter of this number, not entered yet."""
        spec = self.program.meters[number]
        if not log:
            spec = dataclasses.replace(spec, log="")
        return EnergyMeter(self._source(number, spec), **self._options(number, spec))

    def _source(self, number: int, spec: MeterSpec) -> Any:
        paths = [str(self.folder / f"{number}.{place}.json") for place in range(len(spec.sources))]
        if spec.object:
            made = (KnownRails if spec.sources[0].rails else Known)(paths[0])
            self._objects.append(made)
            return made
        drivers = ["rails" if source.rails else "known" for source in spec.sources]
        return "+".join(f'{driver}@"{path}"' for driver, path in zip(drivers, paths, strict=True))

    def _options(self, number: int, spec: MeterSpec) -> dict[str, Any]:
        options: dict[str, Any] = {"rate_hz": spec.rate_hz or None}
        if spec.log:
            options.update(out=self._log(number, spec.log), force=True)
        if spec.budget:
            options["budget"] = BUDGET
        if spec.require:
            options["require"] = spec.require
        if spec.linger is not None:
            options["linger"] = spec.linger
        return options

    def _log(self, number: int, kind: str) -> str:
        if kind == "bytes":
            return os.fsdecode(f"log{number}".encode() + b"\xe9.parquet")
        if kind == "fifo":
            path = f"log{number}.jsonl"
            if not os.path.exists(path):
                os.mkfifo(path)
                reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # who never reads
                fcntl.fcntl(reader, _SET_PIPE_SIZE, 4096)
                self._crowd.append(reader)
                self._files.append(f"{reader} {os.path.realpath(path)}")
            return path
        return f"log{number}.{kind}"  # relative: the program may go elsewhere

    @staticmethod
    def budget() -> Budget:
        """The program's budget, as any process opens it."""
        return Budget(BUDGET)

    # -- what happens ------------------------------------------------------------------------------

    def _note(self, kind: str, **fields: Any) -> None:
        line = json.dumps({"kind": kind, "process": self._process, "at": _now(), **fields}) + "\n"
        self._unwritten.append(line)
        try:
            fd = os.open(self._events, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError:  # no more files can be opened just now
            return
        lines, self._unwritten = self._unwritten, []
        try:
            os.write(fd, "".join(lines).encode())
        finally:
            os.close(fd)

    def _warned(self, message: Warning | str, category: type[Warning], *_: object) -> None:
        self._note("warning", category=category.__name__, message=str(message))

    def _unraisable(self, about: Any) -> None:
        if not isinstance(about.exc_value, Alarm):  # it rang within a callback of the interpreter's own
            self._note("crash", of="unraisable", **_fields_of(about.exc_value))

    def _thread_died(self, about: Any) -> None:
        self._note("crash", of=f"thread {about.thread and about.thread.name}", **_fields_of(about.exc_value))

    @contextlib.contextmanager
    def around(self, step: str) -> Iterator[None]:
        """From before a step to after it; its errors are noted and end here."""
        self._note("entering", step=step)  # it may never end
        start_ns = _now()
        try:
            yield
        except (SystemExit, KeyboardInterrupt):
            raise
        except Deliberate:
            self._note("raised", step=step)
        except Exception as error:  # noqa: BLE001 - judged by the checker
            self._note("error", step=step, **_fields_of(error))
        finally:
            self._note("outer", step=step, start=start_ns, end=_now(), kept_waiting=_kept_waiting())

    @contextlib.contextmanager
    def inside(self, step: str) -> Iterator[None]:
        """From the first moment within a step to the last."""
        start_ns = _now()
        self._note("begun", step=step)
        try:
            yield
        finally:
            self._note("inner", step=step, start=start_ns, end=_now(), kept_waiting=_kept_waiting())

    @staticmethod
    def sleep(seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)

    @staticmethod
    def hold(seconds: float) -> None:
        """Let time pass in C code that keeps the interpreter to itself."""
        ctypes.PyDLL(None).usleep(round(seconds * 1e6))

    def run(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine, also where a loop runs already."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            asyncio.run(work)
            return
        self.threads(lambda: asyncio.run(work))

    def threads(self, *parts: Callable[[], object]) -> None:
        """Run the parts at the same time."""
        gate = threading.Barrier(len(parts))

        def go(part: Callable[[], object]) -> None:
            gate.wait()
            part()

        threads = [threading.Thread(target=go, args=(part,)) for part in parts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def tasks(self, step: str, meter: EnergyMeter, label: str, count: int, seconds: float) -> None:
        """Spans of tasks that take turns."""

        async def one(number: int) -> None:
            await asyncio.sleep(seconds * number / (2 * count))
            with self.around(f"{step}.{number}"), meter.span(label), self.inside(f"{step}.{number}"):
                await asyncio.sleep(seconds)

        async def every() -> None:
            await asyncio.gather(*map(one, range(count)))

        self.run(every())

    def rush(self, step: str, meter: EnergyMeter, threads: int, seconds: float) -> None:
        """A decorated function, called by several threads at the same time."""
        numbers = itertools.count()

        @meter
        def handler(name: str) -> None:
            with self.inside(name):
                time.sleep(seconds)

        def calls() -> None:
            for _ in range(3):
                name = f"{step}.{next(numbers)}"
                with self.around(name):
                    handler(name)

        self.threads(*[calls] * threads)

    def many(
        self, step: str, meter: EnergyMeter, label: str, count: int, seconds: float, within: float = 60.0
    ) -> None:
        """Short spans, whose own edges are taken for true; no more are begun after so many seconds."""
        spans: list[tuple[int, int]] = []
        give_up = time.monotonic() + within
        for number in range(count):
            if time.monotonic() > give_up:
                break
            span = meter.span(label)
            with span:
                end = time.perf_counter() + seconds * (0.2 + number * 7 % 10 / 6)  # no two alike
                while time.perf_counter() < end:
                    pass
            spans.append((span.start_ns, span.end_ns))
        self._note("spans", step=step, edges=spans)

    def interrupted(
        self, step: str, meter: EnergyMeter, label: str, times: int, count: int, seconds: float
    ) -> None:
        """Short spans, and an alarm that raises while they are resolved; only the main thread gets alarms."""
        if threading.current_thread() is not threading.main_thread():
            for number in range(times):
                self.many(f"{step}.{number}", meter, label, count, seconds)
            return
        armed = False

        def ring(*_: object) -> None:
            if armed:
                raise Alarm

        before = signal.signal(signal.SIGALRM, ring)
        try:
            for number in range(times):
                self.many(f"{step}.{number}", meter, label, count, seconds)
                time.sleep(0.03)
                with contextlib.suppress(Alarm):
                    try:
                        armed = True
                        signal.setitimer(signal.ITIMER_REAL, 1e-4 * (1 + 3 * number % 10), 0.01)
                        with contextlib.suppress(EnergyMeterError):
                            _ = [len(spans) for spans in meter.spans.values()]
                    finally:
                        armed = False
                        signal.setitimer(signal.ITIMER_REAL, 0)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    @contextlib.contextmanager
    def signals(self, step: str, meter: EnergyMeter, label: str) -> Iterator[None]:
        """A handler that asks, as a progress report would, while the program asks; in the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def report(*_: object) -> None:
            with contextlib.suppress(EnergyMeterError, KeyError):
                _ = meter.spans[label].joules
            signal.setitimer(signal.ITIMER_REAL, 0.003)

        before = signal.signal(signal.SIGALRM, report)
        signal.setitimer(signal.ITIMER_REAL, 0.003)
        try:
            self.many(f"{step}.0", meter, label, 2000, 5e-5, within=1.5)
            end = time.monotonic() + 1.0
            while time.monotonic() < end:
                with contextlib.suppress(EnergyMeterError, KeyError):
                    _ = meter.spans[label].joules
            yield
        finally:
            signal.signal(signal.SIGALRM, signal.SIG_IGN)
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def fork(self, step: str) -> bool:
        """True in the worker."""
        at_ns = _now()
        faulthandler.cancel_dump_traceback_later()  # in the worker nobody could: its thread is not there
        pid = os.fork()
        self._watch(self._limit if pid else _WORKER_SECONDS)
        if pid:
            self._forks.append(pid)
            self._note("fork", step=step)
            return False
        self._process = f"{self._process}.{step}"
        self._forks, self._kept = [], []
        self._note("born", step=step, parent=self._process.rpartition(".")[0], forked=at_ns)
        return True

    @contextlib.contextmanager
    def worker(self, lives: float) -> Iterator[None]:
        """The life of a worker, to its end."""
        try:
            yield
            time.sleep(lives)
        except BaseException as error:  # noqa: BLE001 - judged by the checker
            self._note("error", step="worker", **_fields_of(error))
        finally:
            os._exit(0)

    @contextlib.contextmanager
    def company(self, step: str, number: int, seconds: float) -> Iterator[None]:
        """Another program measures, too."""
        code = (
            f"import sys; sys.path[:0] = {sys.path!r}; from oracle.stage import Stage; "
            f"Stage.visit({str(self.folder)!r}, {step!r}, {number}, {seconds!r}, {self.epoch_ns})"
        )
        process = subprocess.Popen([self._python, "-c", code])
        self._forks.append(process.pid)
        try:
            yield
        finally:
            process.wait()
            self._forks.remove(process.pid)

    @classmethod
    def visit(cls, folder: str, step: str, number: int, seconds: float, epoch_ns: int) -> None:
        """What the other program does."""
        stage = cls.__new__(cls)
        stage.folder, stage.epoch_ns = Path(folder) / f"visit-{step}", epoch_ns
        stage.folder.mkdir()
        stage.program = Program.from_json((Path(folder) / "program.json").read_text())
        stage._events, stage._unwritten, stage._process = f"{folder}/events.jsonl", [], f"0.{step}"
        for place, source in enumerate(stage.program.meters[number].sources):
            stage._write_source(f"{number}.{place}", source)
        stage._objects = []
        warnings.showwarning = stage._warned
        meter = stage.meter(number, log=False)
        with stage.around(f"{step}.c"), meter, stage.inside(f"{step}.c"):
            time.sleep(seconds)
        stage.ask(f"{step}.usage", meter, number, "usage")

    def fork_while_leaving(self, step: str, number: int, times: int) -> None:
        """Fork while a thread enters and leaves its own meter."""
        done = threading.Event()
        with self.around(f"{step}.first"), self.meter(number, log=False), self.inside(f"{step}.first"):
            pass  # import late modules now: a fork during an import hangs by itself

        def others() -> None:
            turn = 0
            while not done.is_set():
                meter = self.meter(number, log=False)
                with self.around(f"{step}.t{turn}"), meter, self.inside(f"{step}.t{turn}"):
                    time.sleep(0.02)
                turn += 1

        thread = threading.Thread(target=others)
        thread.start()
        for turn in range(times):
            time.sleep(0.11)
            faulthandler.cancel_dump_traceback_later()
            pid = os.fork()
            self._watch(self._limit if pid else 8.0)
            if not pid:
                self._process = f"{self._process}.{step}"
                code = 0
                try:
                    meter = EnergyMeter("manual:1W")
                    with self.around(f"{step}.w{turn}"), meter, self.budget().drawing(meter):
                        pass
                except BaseException:  # noqa: BLE001 - the exit code says it
                    code = 2
                os._exit(code)
            _, status = os.waitpid(pid, 0)
            if status:
                self._note("crash", of=step, error="hang", message=f"a worker ended with status {status}")
        done.set()
        thread.join()

    def kill(self, gone: bool = False, crowded: bool = False) -> None:
        """End the sampling process."""
        pids = self._samplers()
        if crowded:
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        if gone:
            for path in self.folder.glob("recording*.csv"):
                path.rename(path.with_suffix(".gone"))
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._note("kill")
        if crowded:
            time.sleep(0.6)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    def stop(self, seconds: float) -> None:
        """Halt the sampling process."""
        pids = self._samplers()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._note("kill")

    def _samplers(self) -> list[int]:
        """The processes of the program that it has not forked itself."""
        return [pid for pid in _children(os.getpid()) if pid not in self._forks]

    def reset(self) -> None:
        """The battery was changed."""
        start_ns = _now()
        self.budget().reset()
        self._note("reset", start=start_ns, end=_now())

    def idle(self, step: str, meter: EnergyMeter, seconds: float) -> None:
        """Take a baseline."""
        start_ns = _now()
        self._note("idle begun", step=step)
        fields: dict[str, Any] = {}
        try:
            baseline = meter.idle(seconds)
            fields = {"watts": baseline.watts, "uncertainty": baseline.uncertainty}
        except Exception as error:  # noqa: BLE001 - judged by the checker
            fields = _fields_of(error)
        self._note("idle", step=step, start=start_ns, end=_now(), seconds=seconds, **fields)

    def close(self, step: str, meter: EnergyMeter) -> None:
        """Release what stays ready; of one meter in no block no sampler is left then."""
        with self.around(step):
            meter.close()
        if self._alone(meter):
            for _ in range(round(_CLOSE_SECONDS / _TURN_SECONDS)):
                if not self._samplers():
                    return
                time.sleep(_TURN_SECONDS)
            self._note("leak", threads=[], files=[], processes=[_command(pid) for pid in self._samplers()])

    def _alone(self, meter: EnergyMeter) -> bool:
        """Nobody else of the program can have a sampler, nor a log that is still written."""
        others = any(
            isinstance(step, ForkWhileLeaving) or getattr(step, "way", "") == "forgotten"
            for step in walk(self.program.steps)
        )
        one = len(self.program.meters) == 1 and not self.program.meters[0].log
        return one and not others and "running" not in repr(meter)

    @staticmethod
    def environ() -> None:
        """Change what opening a source may see."""
        os.environ["ORACLE_TURN"] = str(int(os.environ.get("ORACLE_TURN", "0")) + 1)

    def chdir(self) -> None:
        """Go elsewhere."""
        (self.folder / "elsewhere").mkdir(exist_ok=True)
        os.chdir(self.folder / "elsewhere")
        self._note("chdir")

    def closerange(self) -> None:
        """Close what may be open, then open files of the program's own; they must stay open."""
        keep = {self._hung.fileno(), *self._crowd}
        for fd in range(3, 64):
            if fd not in keep and not _needed(fd):
                with contextlib.suppress(OSError):
                    os.close(fd)
        self._own_files = [os.open(os.devnull, os.O_RDONLY) for _ in range(12)]

    def extra_exit(self, step: str, meter: EnergyMeter) -> None:
        """Leave a meter that was left already."""
        with self.around(step):
            meter.__exit__(None, None, None)

    def forget(self, number: int) -> None:
        """Enter a meter and lose it, as a cell of a notebook does that is run again."""
        before, self.folder = self.folder, self.folder / "forgotten"  # its readings are nobody else's
        self.folder.mkdir(exist_ok=True)
        for place, source in enumerate(self.program.meters[number].sources):
            self._write_source(f"{number}.{place}", source)
        meter = self.meter(number, log=False)
        self.folder = before
        with self.around("forgotten"):
            meter.__enter__()
        del meter
        gc.collect()

    def refused(self, step: str, way: str, times: int) -> None:
        """Meters that cannot be entered; a later one must not suffer from it."""
        for number in range(times):
            out = str(self.folder / f"refused-{step}.csv")
            if way == "log":
                Path(out).write_text("mine\n")
            source = "manual:5W" if way != "missing" else self._missing(step)
            required: Any = {"require": "measured"} if way == "require" else {}
            with self.around(f"{step}.{number}"), EnergyMeter(source, out=out, **required):
                self._note("crash", of=step, error="entered", message=f"a meter that is {way} was entered")
            if way != "log" and os.path.exists(out):
                self._note("crash", of=step, error="stub", message="a refused meter left its log")
                os.unlink(out)

    def _missing(self, step: str) -> str:
        self._write_source(f"missing-{step}", SourceSpec(way="missing"))
        return f'known@"{self.folder}/missing-{step}.json"'

    def track(
        self, step: str, meter: EnergyMeter, way: str, count: int, seconds: float, progress: bool
    ) -> None:
        """A tracked loop over something strange."""
        items: Any = Endless(count) if way == "endless" else range(count)
        number = 0
        with self.around(step):
            for _ in meter.track(items, name="track", progress=progress or None):
                with self.inside(f"{step}.{number}"):
                    time.sleep(seconds)
                number += 1
        self._note("counted", step=step, count=number, wanted=count)

    def guarded(self, step: str, way: str, count: int, seconds: float) -> None:
        """Loops and functions of the budget."""
        budget, number = self.budget(), 0

        def once() -> None:
            time.sleep(seconds)

        def several() -> Iterator[int]:
            for turn in range(count):
                time.sleep(seconds)
                yield turn

        with self.around(step), self.inside(step):
            if way == "function":
                unit = budget(once)
                for _ in range(count):
                    unit()
                    number += 1
            elif way == "generator":
                wrapped: Any = budget(several)
                number = sum(1 for _ in wrapped())
            else:
                items: Any = Endless(count) if way == "endless" else range(count)
                loop: Any = budget.track(items) if way == "track" else budget.guard(items)
                for _ in loop:
                    time.sleep(seconds)
                    number += 1
        self._note("counted", step=step, count=number, wanted=count)

    def replay(self, step: str, rows: int, hz: float, channels: int, kill: str) -> None:
        """Play a recording whose energy is known."""
        path = self.folder / f"recording{step}.csv"
        true_joules = _write_recording(path, rows, hz, channels)
        spec = f'replay@"{path}"?speed=max'
        meter = EnergyMeter(spec)
        with self.around(step), meter:
            if kill:
                time.sleep(0.15)
                self.kill(gone=kill == "gone")
                time.sleep(0.3)
        value = self._answer(lambda: _of_usage(meter.usage))
        self._note("replay", step=step, joules=true_joules, seconds=(rows - 1) / hz, killed=kill, **value)

    def leave(self, way: str) -> None:
        """The program ends here."""
        self._note("leave", way=way)
        if way == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        sys.exit(0)

    # -- what is asked -----------------------------------------------------------------------------

    def ask(self, step: str, meter: EnergyMeter, number: int, what: str) -> None:
        """Ask a meter, and note the answer."""
        questions: dict[str, Callable[[], Any]] = {
            "usage": lambda: _of_usage(meter.usage),
            "usages": lambda: {name: _of_usage(usage) for name, usage in meter.usages.items()},
            "spans": lambda: {label: self._of_spans(spans) for label, spans in meter.spans.items()},
            "trace": lambda: _of_trace(meter.trace),
            "latest": lambda: meter.latest._asdict(),
        }
        before, start_ns = _kept_waiting(), _now()
        value = self._answer(questions[what])
        end_ns, after = _now(), _kept_waiting()
        waited = (after[1] - before[1]) * 1e-9
        self._note(
            "asked", step=step, what=what, meter=number, start=start_ns, end=end_ns, waited=waited, **value
        )

    def _of_spans(self, spans: Any) -> dict[str, Any]:
        found: dict[str, Any] = {"n": len(spans)}
        for name in ("joules", "seconds"):
            found[name] = self._answer(lambda name=name: _of_statistics(getattr(spans, name)))
        found["usage"] = self._answer(lambda: _of_usage(spans.usage))
        if len(spans) <= _MOST_USAGES:
            found["usages"] = self._answer(lambda: [usage.to_dict() for usage in spans.usages])
        found["text"] = self._answer(lambda: str(spans))
        return found

    @staticmethod
    def _answer(question: Callable[[], Any]) -> dict[str, Any]:
        try:
            value = question()
            json.dumps(value, allow_nan=False)
        except Exception as error:  # noqa: BLE001 - judged by the checker
            return _fields_of(error)
        return {"value": value}

    def keep(self, step: str, meter: EnergyMeter, number: int) -> None:
        """Keep what ``meter.spans`` answers now."""
        try:
            spans = dict(meter.spans)
        except EnergyMeterError:
            return
        said = json.dumps({label: self._of_spans(one) for label, one in spans.items()})
        self._kept.append((step, number, spans, said))

    def finish(self, meters: list[EnergyMeter]) -> None:
        """The last questions, and whether everything was given back."""
        self._check_kept()
        for number in range(len(meters)):
            self._last_questions(meters[number], number)
        own = getattr(self, "_own_files", [])
        lost = [fd for fd in own if not _is_open(fd)]
        if lost:
            self._note("crash", of="closerange", error="closed", message=f"{len(lost)} own files were closed")
        for fd in own:
            with contextlib.suppress(OSError):
                os.close(fd)
        meters.clear()
        self._kept.clear()
        self._check_leaks()
        self._note("finished")
        for pid in self._forks:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        faulthandler.cancel_dump_traceback_later()

    def _check_kept(self) -> None:
        """What was kept says what it said then."""
        for step, number, spans, said in self._kept:
            now = json.dumps({label: self._of_spans(one) for label, one in spans.items()})
            before, after = json.loads(said), json.loads(now)
            if _figures(before) != _figures(after):
                self._note("changed", step=step, meter=number, before=before, after=after)

    def _last_questions(self, meter: EnergyMeter, number: int) -> None:
        for what in ("usage", "usages", "spans", "trace"):
            self.ask(f"end.{number}.{what}", meter, number, what)
        said = self._answer(lambda: meter.recording.error)
        self._note("log", meter=number, error=said.get("value", ""))

    def _check_leaks(self) -> None:
        """Nothing stays behind."""
        self._objects.clear()
        stalled = any(meter.log == "fifo" for meter in self.program.meters)
        patience = _STALLED_LOG_SECONDS if stalled else _LEAK_SECONDS
        for _ in range(round(patience / _TURN_SECONDS)):
            gc.collect()
            threads = [t.name for t in threading.enumerate() if t not in self._threads]
            files = [path for path in self._open_files() if path not in self._files]
            mapped = [path for path in files if path.endswith("(deleted)")]
            if len(mapped) <= len(self.program.meters):  # decorated functions may keep their meters
                files = [path for path in files if path not in mapped]
            processes = [_command(pid) for pid in self._samplers()]
            if not (threads or files or processes):
                return
            time.sleep(_TURN_SECONDS)
        self._note("leak", threads=threads, files=files, processes=processes)

    @staticmethod
    def _open_files() -> list[str]:
        found = []
        for fd in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                path = os.readlink(f"/proc/self/fd/{fd}")
                if not path.startswith(("/dev/null", "/proc/", "anon_inode:[eventpoll]")):
                    found.append(f"{fd} {path}")
        return found


def _of_usage(usage: Any) -> dict[str, Any]:
    """A usage as plain JSON; its texts must be made without an error as well."""
    _ = str(usage), usage.explain(), usage._repr_html_()
    fields: dict[str, Any] = usage.to_dict()
    return fields


def _of_statistics(statistics: Any) -> dict[str, Any]:
    fields = {name: None if _is_nan(value) else value for name, value in statistics._asdict().items()}
    return {**fields, "text": str(statistics)}


def _of_trace(trace: Any) -> dict[str, Any]:
    start, length = float(trace.time_s[0]), trace.seconds
    windows = [(start + length * a, start + length * b) for a, b in ((0, 1), (0.1, 0.4), (0.5, 0.9))]
    parts = []
    for a, b in windows:
        joules = float(trace.energy(a, b))
        part = {"start": a - start, "end": b - start, "joules": None if _is_nan(joules) else joules}
        with contextlib.suppress(EnergyMeterError):
            part["usage"] = _of_usage(trace.usage(a, b))
        parts.append(part)
    return {
        "seconds": length,
        "samples": len(trace),
        "usage": _of_usage(trace.usage()),
        "windows": parts,
        "gaps": trace.gaps(),
    }


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _fields_of(error: BaseException) -> dict[str, Any]:
    """An error, for the record."""
    if error is None:
        return {"error": "none", "ours": False, "message": ""}
    return {
        "error": type(error).__name__,
        "ours": isinstance(error, EnergyMeterError),
        "message": str(error),
        "traceback": "".join(traceback.format_exception(error)[-6:]),
    }


def _write_recording(path: Path, rows: int, hz: float, channels: int) -> float:
    """A log of our own format, of constant power in each channel; its energy in J."""
    facts = {"semantics": "instant", "provenance": "measured", "place": "rail"}
    names = [f"rail{number}" for number in range(channels)]
    header = {
        "format": "energymeter log 1",
        "channels": [{"source": 0, "name": name, "facts": facts, "calibration": None} for name in names],
        "started": 1_700_000_000.0,
    }
    columns = "time_s,volts,amps,watts,joules,coulombs,covered_s" + (",source" if channels > 1 else "")
    total = 0.0
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"# {json.dumps(header)}\n{columns}\n")
        for row in range(rows):
            for number, name in enumerate(names):
                watts, at = 3.0 + number, row / hz
                source = f",{name}" if channels > 1 else ""
                file.write(f"{at!r},,,{watts!r},{watts * at!r},,{at!r}{source}\n")
    for number in range(channels):
        total += (3.0 + number) * (rows - 1) / hz
    return total


def _figures(answer: Any) -> Any:
    """An answer without the reasons of its errors: of what was not measured, more may be known later."""
    if not isinstance(answer, dict):
        return answer
    reasons = ("message", "traceback") if "error" in answer else ()
    return {name: _figures(value) for name, value in answer.items() if name not in reasons}


def _kept_waiting() -> tuple[int, int]:
    """This thread, and for how long it wanted to run and did not, ns; 0 where the kernel does not say so."""
    try:
        delay = int(Path("/proc/thread-self/schedstat").read_text().split()[1])
    except (OSError, IndexError):  # no more files can be opened just now
        delay = 0
    return threading.get_native_id(), delay


def _unix_offset() -> float:
    """Unix time of monotonic second 0, by the two of a few pairs of readings that are closest."""
    pairs = []
    for _ in range(5):
        before, unix, after = _now(), time.time(), _now()
        pairs.append((after - before, unix - after * 1e-9))
    return min(pairs)[1]


def _forbidden(*_: object) -> int:
    raise OSError(errno.ENOSYS, "Function not implemented")


def _children(parent: int) -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == parent and fields[0] != "Z":
                    found.append(int(name))
    return found


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()[:120]
    return "gone"


def _needed(fd: int) -> bool:
    """A descriptor that asyncio, or a source of this program, would miss."""
    try:
        path = os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return False
    return path.startswith(("anon_inode:", "socket:")) or path.endswith(".rows")


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
