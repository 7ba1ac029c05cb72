"""Seed task: accelerators: what does a Coral Edge TPU draw, and what does its host draw meanwhile?

Two meters, one on the board's 5 V and one in the accelerator's USB line, and a model for the Edge TPU:

    python examples/coral.py model_edgetpu.tflite ina219@1:0x40+um25c@/dev/rfcomm0

Without the accelerator, its library or a model, it says what is missing and measures nothing.
"""

import ctypes.util
import sys

from energymeter import EnergyMeter

CALLS = 2000


def missing() -> str | None:
    """Why nothing can be measured here."""
    if ctypes.util.find_library("edgetpu") is None:
        return "the Edge TPU's library is not installed (apt-get install libedgetpu1-std)"
    try:
        import ai_edge_litert  # noqa: F401
    except ImportError:
        return "LiteRT is not installed (pip install ai-edge-litert)"
    return None if len(sys.argv) > 2 else "name a compiled model and the two meters"


def main() -> None:
    """Measure some thousand calls, rail by rail."""
    from ai_edge_litert.interpreter import Interpreter, load_delegate

    network = Interpreter(sys.argv[1], experimental_delegates=[load_delegate("libedgetpu.so.1")])
    network.allocate_tensors()
    network.invoke()  # which loads the weights into the accelerator
    with EnergyMeter(sys.argv[2]) as meter:
        for _ in range(CALLS):
            network.invoke()
    for rail, usage in meter.usages.items():
        print(f"{rail}: {usage.with_units(inferences=CALLS).per('inferences')}")
    print(f"together: {meter.usage.with_units(inferences=CALLS).per('inferences')}")


reason = missing()
if reason is None:
    main()
else:
    print(f"skipped: {reason}")
