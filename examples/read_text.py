"""Seed task: reading text in images for people who cannot see it: J per page, and what detection costs of it.

    pip install rapidocr-onnxruntime==1.4.4

The board is simulated unless you name a meter:

    python examples/read_text.py ina219@1:0x40
"""

import sys

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rapidocr_onnxruntime import RapidOCR

from energymeter import EnergyMeter

SOURCE = sys.argv[1] if len(sys.argv) > 1 else "sim:pi4"
LINES = ("Take one tablet", "twice a day", "with water")


def label() -> np.ndarray:
    """A photograph of a label, as good as it gets."""
    page = Image.new("RGB", (640, 240), "white")
    for number, line in enumerate(LINES):
        ImageDraw.ImageDraw(page).text((30, 30 + 60 * number), line, "black", ImageFont.load_default(40))
    return np.asarray(page)


page, meter = label(), EnergyMeter(SOURCE)
with meter:
    with meter.span("load"):
        reader = RapidOCR(intra_op_num_threads=1)
    reader(page)  # the first one allocates
    for _ in range(5):
        with meter.span("read") as span:
            found, _ = reader(page)
            span.units(pages=1, lines=len(found))
        with meter.span("detect alone") as span:
            reader(page, use_det=True, use_cls=False, use_rec=False)
            span.units(pages=1)
print("read:", " / ".join(text for _, text, _ in found))
print(f"load: {meter.spans['load'].usage}")
for name in ("read", "detect alone"):
    print(f"{name}: " + "; ".join(map(str, meter.spans[name].usage.units)))
