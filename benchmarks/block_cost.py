"""Entering and leaving an empty block: a process is started, a source opened and read twice."""

from _figures import Figure, in_turn, python

from energymeter import EnergyMeter


def measure(short: bool) -> dict[str, Figure]:
    """Milliseconds, and as a ratio to starting the bare interpreter that any such process needs."""
    meters = {spec: EnergyMeter(spec) for spec in ("sim:pi4", "manual:5V,0.6A")}

    def block(meter: EnergyMeter) -> None:
        with meter:
            pass

    work = {spec: lambda meter=meter: block(meter) for spec, meter in meters.items()}
    took = in_turn({"bare": lambda: python("-I", "-S", "-c", "pass"), **work}, 7 if short else 21)
    return {
        "enter + exit, sim:pi4": Figure(1e3 * took["sim:pi4"], "ms", 60.0),
        "enter + exit, sim:pi4 / bare interpreter": Figure(took["sim:pi4"] / took["bare"], "×"),
        "enter + exit, manual / bare interpreter": Figure(took["manual:5V,0.6A"] / took["bare"], "×"),
    }
