"""What tegrastats prints of a Jetson's power rails, and which of them make the whole board."""

import re
from collections.abc import Iterable

_TOTALS = ("VIN", "POM_5V_IN", "VDD_IN")
"""Rails that carry the whole module, the outermost first (Thor; Nano; TX, Xavier NX, Orin Nano and NX)."""

_NESTED = frozenset({"VDDQ_VDD2_1V8AO"})
"""Parts on boards without a total: on AGX Orin it is fed from VIN_SYS_5V0."""

_NUMBER = r"-?\d{1,9}(?:\.\d{1,9})?"
_PRINTED = re.compile(rf"(?<!\S)([A-Za-z]\w*) +({_NUMBER})(mW|W)?((?:/{_NUMBER}(?:mW|W)?)*)(?=[\s,]|$)")
_MEMORY = frozenset({"RAM", "SWAP", "IRAM", "CMA"})


def printed_rails(line: str) -> dict[str, float]:
    """Watts by rail name, as one line of tegrastats says; empty when it says none.

    >>> printed_rails("SWAP 5/1982MB GR3D_FREQ 0%@76 PMIC@100C POM_5V_IN 1022/1020 POM_5V_GPU 0/0")
    {'POM_5V_IN': 1.022, 'POM_5V_GPU': 0.0}
    """
    found = {}
    for name, now, unit, more in _PRINTED.findall(line):
        if (unit or more) and name not in _MEMORY and connected(name):
            found[name] = float(now) * (1.0 if unit == "W" else 1e-3)
    return found


def connected(label: str) -> bool:
    """False for inputs the board leaves open (``NC``) and the chip's own sum of its shunts."""
    return bool(label) and "NC" not in label.split("_") and "sum of" not in label


def counted_rails(names: Iterable[str]) -> frozenset[str]:
    """The rails whose powers add up to the board.

    A rail that carries everything stands alone: on a Nano POM_5V_GPU and POM_5V_CPU are inside
    POM_5V_IN, and adding the three counts them twice (jetson_stats issue 51). AGX Xavier and AGX Orin
    have no such rail: there the parts are added, and VIN_SYS_5V0 is one of them in spite of its name
    (jetson_stats issue 344). A board not known here is treated alike: a rail called ``…_IN``, else the sum.

    >>> sorted(counted_rails(["VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"]))
    ['VDD_IN']
    """
    rails = list(names)
    for total in (*_TOTALS, *(name for name in rails if name.endswith("_IN"))):
        if total in rails:
            return frozenset([total])
    return frozenset(rails) - _NESTED
