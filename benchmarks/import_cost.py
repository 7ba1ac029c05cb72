"""Starting a bare interpreter, one that imports the package or the meter, and one that measures a block.

Each is a whole process, in an environment that holds nothing but this package.
"""

import subprocess

from _figures import Figure, in_turn, installed, processor_in_turn

_BLOCK = "from energymeter import EnergyMeter\nwith EnergyMeter({!r}): pass"
_CODES = {
    "bare": "pass",
    "import energymeter": "import energymeter",
    "from energymeter import EnergyMeter": "from energymeter import EnergyMeter",
    "a first block, manual": _BLOCK.format("manual:5V,0.6A"),
    "a first block, sim:pi4": _BLOCK.format("sim:pi4"),
}
_LIMITS = {"import energymeter": 1.2, "from energymeter import EnergyMeter": 1.8}
_BLOCK_LIMIT = 4.0


def measure(short: bool) -> dict[str, Figure]:
    """Ratios to the bare interpreter: of CPU time, and for the blocks of time as well."""
    repetitions = 11 if short else 41
    with installed() as python:
        work = {
            name: lambda code=code: subprocess.run([python, "-c", code], check=True)
            for name, code in _CODES.items()
        }
        used = processor_in_turn(work, repetitions)
        blocks = {name: run for name, run in work.items() if name not in _LIMITS}
        took = in_turn(blocks, repetitions, pick=min)
    cpu = {
        f"{name} / bare interpreter": Figure(
            used[name] / used["bare"],
            "×",
            _LIMITS.get(name, _BLOCK_LIMIT),
            remark=f"{1e3 * used['bare']:.1f} ms",
        )
        for name in _CODES
        if name != "bare"
    }
    time = {
        f"{name} / bare interpreter, time": Figure(took[name] / took["bare"], "×", _BLOCK_LIMIT)
        for name in blocks
        if name != "bare"
    }
    return cpu | time
