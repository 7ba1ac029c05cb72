"""Seed task: training, distillation, pruning and quantization under one budget: which of them saves energy?

Needs torch==2.13.0 and scikit-learn==1.9.1. The board is simulated unless you name a meter after the command.
"""

import copy
import sys
import tempfile
from functools import partial

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as f
from torch.nn.utils import prune

from energymeter import Battery, Budget, EnergyMeter, compare
from energymeter.budget import Ledger

SOURCE = sys.argv[1] if len(sys.argv) > 1 else "sim:pi4"
torch.manual_seed(1)
torch.set_num_threads(1)
pixels, digits = (torch.tensor(part).float() for part in load_digits(return_X_y=True))
pixels, digits = pixels / 16, digits.long()
budget = Budget("digits", Battery.phone(), ledger=Ledger(tempfile.mkdtemp() + "/ledger"))


def fit(width: int, teacher: nn.Module | None = None) -> nn.Module:
    """Train a network on the digits, and on what a teacher says of them."""
    parts = nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10)
    model = nn.Sequential(*parts)
    steps = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in meter.track(range(100), name="epochs"):
        loss = f.cross_entropy(answer := model(pixels[:1400]), digits[:1400])
        if teacher is not None:
            wanted = f.softmax(teacher(pixels[:1400]).detach() / 4, 1)
            loss = 0.1 * loss + 16 * f.kl_div(f.log_softmax(answer / 4, 1), wanted, reduction="batchmean")
        steps.zero_grad()
        loss.backward()
        steps.step()
    return model


def infer(model: nn.Module) -> float:
    """Classify the test digits: the share that is right."""
    with torch.no_grad():
        return float((model(pixels[1400:]).argmax(1) == digits[1400:]).float().mean())


with EnergyMeter(SOURCE, budget=budget) as meter:
    models = {"teacher": fit(512), "small": fit(48)}
    models |= {"distilled": fit(48, models["teacher"]), "pruned": copy.deepcopy(models["teacher"])}
    for layer in models["pruned"][::2]:
        prune.l1_unstructured(layer, "weight", 0.8)
    models["int8"] = torch.ao.quantization.quantize_dynamic(models["teacher"], {nn.Linear})
print(meter.spans["epochs"].usage.with_units(epochs=300).per("epochs"))
print("accuracy:", {name: f"{infer(model):.1%}" for name, model in models.items()})
calls = [partial(infer, model) for model in models.values()]
names = list(models)
found = compare(*calls, names=names, source=SOURCE, per=397, unit="inference", runs=10, min_seconds=0.5)
unproven = [one.b for one in found.verdicts if one.change is None or one.change >= 0]
print(found, f"no saving is shown for: {unproven}", f"left of the charge: {budget.remaining_mah}", sep="\n")
