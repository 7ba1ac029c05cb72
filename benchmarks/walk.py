"""`make walk`: how far a reader walks who follows a number through the code, from file to file.

Two walks are taken with `sys.setprofile`, in the order of the calls: from ``print(meter.usage)`` to the
text, and from entering a block with a budget to the line of its debit in the ledger. Each function is read
once, where it is called first. The second walk knows the first one, how a block without a budget is entered
and left, and how a balance is read. A figure counts the files that are opened on the way, a file again
where the walk comes back.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType

from _figures import ROOT, Figure

from energymeter import Battery, Budget, EnergyMeter

LIMIT = 15
_CODE = tuple(str(ROOT / folder) + os.sep for folder in ("energymeter", "drivers", "calibration"))
_TUPLES = os.path.join("energymeter", "lazy.py")
"""Where named tuples are made, which is part of the language elsewhere, and no room on the way."""


def walk(work: Callable[[], object], known: set[CodeType]) -> list[str]:
    """The files that ``work`` leads through; ``known`` functions are not read again, new ones are added."""
    files: list[str] = []

    def visit(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code not in known and not code.co_name.startswith("<"):
            path = os.path.realpath(code.co_filename)
            if path.startswith(_CODE) and not path.endswith(_TUPLES):
                known.add(code)
                name = str(Path(path).relative_to(ROOT))
                if files[-1:] != [name]:
                    files.append(name)

    sys.setprofile(visit)
    try:
        work()
    finally:
        sys.setprofile(None)
    return files


def block(meter: EnergyMeter) -> None:
    with meter:
        pass


def walks() -> dict[str, list[str]]:
    """Both walks, as the files on the way."""
    # a source that lingers gives its last sample later, and waiting for it is no part of the walk
    plain, known = EnergyMeter("manual:5V,0.6A", linger=0), set[CodeType]()
    usages = []
    for _ in range(4):
        known.clear()
        block(plain)
        usages.append(walk(lambda: str(plain.usage), known))
    # what is imported on the way is no part of it, nor is the wait for a last sample on a busy machine
    usage = min(usages[1:], key=len)
    walk(lambda: (block(plain), plain.spans), known)
    walk(lambda: Budget("walk", Battery.phone()).balance(), known)
    paying = EnergyMeter("manual:5V,0.6A", budget="walk", linger=0)
    block(paying)
    debit = walk(lambda: block(paying), known)
    while debit and "ledger" not in debit[-1]:  # what follows is not on the way
        del debit[-1]
    return {"from a usage to its text": usage, "from a debit to the ledger": debit}


def measure(short: bool = False) -> dict[str, Figure]:
    """The number of files on each walk; the same in the short form."""
    with tempfile.TemporaryDirectory() as folder:
        before, os.environ["XDG_DATA_HOME"] = os.environ.get("XDG_DATA_HOME"), folder
        try:
            found = walks()
        finally:
            del os.environ["XDG_DATA_HOME"]
            if before is not None:
                os.environ["XDG_DATA_HOME"] = before
    return {
        f"files {name}": Figure(len(files), "files", LIMIT, remark=" ".join(files))
        for name, files in found.items()
    }


if __name__ == "__main__":
    for name, figure in measure().items():
        print(f"{figure.value:3.0f} {name}: {figure.remark}")
