"""Starting a bare interpreter, one that imports the package, and one that imports the meter."""

from _figures import Figure, processor_in_turn, python


def measure(short: bool) -> dict[str, Figure]:
    """Ratios of CPU time to the bare interpreter's."""
    codes = {"bare": "pass", "package": "import energymeter", "meter": "from energymeter import EnergyMeter"}
    took = processor_in_turn(
        {name: lambda code=code: python("-c", code) for name, code in codes.items()}, 7 if short else 21
    )
    return {
        "import energymeter / bare interpreter": Figure(took["package"] / took["bare"], "×", 1.5),
        "from energymeter import EnergyMeter / bare interpreter": Figure(took["meter"] / took["bare"], "×"),
    }
