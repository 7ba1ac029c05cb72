"""Runs of a comparison with known energy, and the folder they would be kept in."""

from energymeter.comparison.interleaved import Arm, Protocol
from energymeter.comparison.runs import Folder, Run
from energymeter.meter.conditions import Conditions

HERE = Conditions(board="pi4", governor="ondemand", mains=True, host="desk")


def runs_of(joules, pairs=8):
    """So many runs of 10 s and 100 inferences of each arm, which differ by 1 %."""
    return [
        Run(
            arm=arm,
            program=f"./{arm}",
            workload="",
            pair=pair,
            units=100.0,
            unit="inference",
            seconds=10.0,
            joules=energy * (1 + 0.01 * ((pair * 7 + number * 3) % 5 - 2)),
            coulombs=energy / 5,
            measured_seconds=10.0,
            coverage=1.0,
            provenance="measured",
            place="rail",
            sources=("ina219@1:0x40",),
            before=HERE,
            after=HERE,
        )
        for pair in range(pairs)
        for number, (arm, energy) in enumerate(joules.items())
    ]


def folder_of(path, runs, arms):
    """The folder in which these runs would be kept."""
    plan = Protocol(unit="inference").plan([Arm(name, f"./{name}", lambda: None) for name in arms])
    folder = Folder(path, plan)
    for number, run in enumerate(runs):
        folder.keep(number, run)
    return path
