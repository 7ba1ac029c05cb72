"""Entering and leaving an empty block: a process is started, a source opened and read twice."""

from _figures import Figure, in_turn, processor_in_turn, python

from energymeter import EnergyMeter


def measure(short: bool) -> dict[str, Figure]:
    """Milliseconds, and CPU time as a ratio to that of the bare interpreter which any such process needs."""
    meters = {spec: EnergyMeter(spec) for spec in ("sim:pi4", "manual:5V,0.6A")}

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
    }
