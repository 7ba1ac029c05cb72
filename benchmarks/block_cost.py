"""Entering and leaving an empty block: a process is started, a source opened and read twice; and again."""

import time
from pathlib import Path

from _figures import Figure, children_cpu_seconds, in_turn, processor_in_turn, python

from energymeter import EnergyMeter

_READY_SECONDS = 1.5


def measure(short: bool) -> dict[str, Figure]:
    """Milliseconds, and CPU time as a ratio to that of the bare interpreter which any such process needs."""
    meters = {spec: EnergyMeter(spec, linger=0) for spec in ("sim:pi4", "manual:5V,0.6A")}

    def block(meter: EnergyMeter) -> None:
        with meter:
            pass

    work = {spec: lambda meter=meter: block(meter) for spec, meter in meters.items()}
    bare = {"bare": lambda: python("-I", "-S", "-c", "pass")}
    repetitions = 7 if short else 21
    took = in_turn(work, repetitions)
    used = processor_in_turn(bare | work, repetitions)
    return {
        "enter + exit, sim:pi4": Figure(1e3 * took["sim:pi4"], "ms", 60.0),
        "enter + exit, sim:pi4 / bare interpreter, CPU": Figure(used["sim:pi4"] / used["bare"], "×"),
        "enter + exit, manual / bare interpreter, CPU": Figure(used["manual:5V,0.6A"] / used["bare"], "×"),
        **_again(100 if short else 400),
    }


def _again(repetitions: int) -> dict[str, Figure]:
    """The same while the sampler is ready, apart by a moment as in a loop that does something."""
    meter, cold = EnergyMeter("manual:5V,0.6A"), EnergyMeter("manual:5V,0.6A", linger=0)

    def enter(meter: EnergyMeter) -> None:
        with meter:
            pass

    def read() -> None:
        Path("/proc/self/stat").read_bytes()

    enter(meter)
    took = in_turn({"again": lambda: enter(meter), "file": read}, repetitions)
    first = in_turn({"first": lambda: enter(cold)}, 7)["first"]
    return {
        "enter + exit again, manual": Figure(1e3 * took["again"], "ms", 0.5),
        "enter + exit again / the first time": Figure(took["again"] / first, "×"),
        "enter + exit again / reading a file": Figure(took["again"] / took["file"], "×"),
        **_ready(),
    }


def _ready() -> dict[str, Figure]:
    """What a sampler takes of a core while it is ready, at a rate that would cost more."""
    with EnergyMeter("manual:5V,0.6A", rate_hz=1000) as meter:
        time.sleep(0.2)
    time.sleep(0.1)
    before, begun = children_cpu_seconds(), time.monotonic()
    time.sleep(_READY_SECONDS)
    used = children_cpu_seconds() - before
    share = 100 * used / (time.monotonic() - begun)
    meter.close()
    return {"a sampler that is ready": Figure(share, "% of a core", 0.3)}
