"""Seed task: fingerspelling with a camera: J per frame of a hand, its 21 points and their sign.

    pip install ai-edge-litert==2.3.0 pillow h5py
    pip install --no-deps mediapipe==0.10.18 ASL-Alpnum-Recognizer==0.6
    npm pack fingerpose@0.1.0 && tar xf fingerpose-0.1.0.tgz package/assets/fingers-lq.gif

A film shows a V, which is also a 2, and a 10. The board is simulated unless you name a meter:

    python examples/fingerspelling.py ina219@1:0x40
"""

import importlib.metadata
import itertools
import os
import sys

import h5py
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image, ImageSequence

from energymeter import EnergyMeter

METER = EnergyMeter(sys.argv[1] if len(sys.argv) > 1 else "sim:pi4")
FILM = os.environ.get("FILM", "package/assets/fingers-lq.gif")
SIGNS = (*map(str, (1, 10, *range(2, 10))), "A", "B", "nothing", *map(chr, range(67, 91)), "delete", "space")
GRIDS = [(np.indices((n, n)).T.reshape(-1, 2).repeat(k, 0) + 0.5) / n for n, k in ((24, 2), (12, 6))]
SPOTS = np.concatenate(GRIDS)  # which part of the frame each of the palm model's answers is about


def inside(package: str, name: str) -> str:  # the package is not imported
    return next(str(file.locate()) for file in importlib.metadata.files(package) or () if file.name == name)


def ask(model: Interpreter, frame: Image.Image, corner: np.ndarray, side: float) -> list[np.ndarray]:
    """What a model says of a square of the frame."""
    model.allocate_tensors()  # once
    image, box = model.get_input_details()[0], (*corner, *(corner + side))
    cut = frame.transform(tuple(image["shape"][1:3]), Image.Transform.EXTENT, box)
    model.set_tensor(image["index"], np.asarray(cut, np.float32)[None] / 255)
    model.invoke()
    return [model.get_tensor(each["index"])[0] for each in model.get_output_details()]


palm, hand = (
    Interpreter(inside("mediapipe", f"{name}_full.tflite")) for name in ("palm_detection", "hand_landmark")
)
with h5py.File(inside("ASL-Alpnum-Recognizer", "signLanguageDetectoralpnum.h5")) as file:
    groups = [file[f"model_weights/dense_{n}/sequential_2/dense_{n}"] for n in range(8, 12)]
    layers = [(group["kernel"][:], group["bias"][:]) for group in groups]
signs = []
if not os.path.exists(FILM):
    sys.exit(f"no film at {FILM}: fetch it with npm pack, as said above, or set FILM")
frames = ImageSequence.all_frames(Image.open(FILM), lambda picture: picture.convert("RGB"))
with METER, METER.span("frames") as span:
    span.units(frames=len(frames))
    for frame in frames:
        boxes, scores = ask(palm, frame, np.zeros(2), frame.width)
        spot = scores.argmax()
        side = 2.6 * boxes[spot, 3] / 192 * frame.width
        corner = (boxes[spot, :2] / 192 + SPOTS[spot]) * frame.width - (0.5 * side, 0.7 * side)
        points = ask(hand, frame, corner, side)[0].reshape(21, 3) * side / 224 + (*corner, 0)
        values = 2 * points.ravel()  # it has learned from twice the pixels
        for kernel, bias in layers:
            values = values @ kernel + bias
            values = np.maximum(values, 0) if len(bias) != len(SIGNS) else values
        signs.append(SIGNS[values.argmax()])
print("signs:", *(f"{sign} ({len(list(same))})" for sign, same in itertools.groupby(signs)))
print(span.usage.per("frames"))
print(METER.usage)
