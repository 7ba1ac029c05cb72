"""The real `generate` of transformers on a tiny Llama of random weights: `make test-llama`."""

from importlib.metadata import version

import pytest

from energymeter import EnergyMeter
from energymeter.integrations import EnergyStreamer

pytestmark = pytest.mark.peers
torch = pytest.importorskip("torch", reason="torch is not installed here: make test-llama")
transformers = pytest.importorskip(
    "transformers", reason="transformers is not installed here: make test-llama"
)


def test_a_streamer_splits_generate_into_prefill_and_decode() -> None:
    print(f"\ntransformers {version('transformers')}, torch {version('torch')}")
    torch.set_num_threads(1)
    shape = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 4, "num_attention_heads": 4}
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=512, **shape)).eval()
    prompt = torch.randint(3, 512, (1, 400))
    with EnergyMeter("manual:5V,0.6A", rate_hz=200) as meter:
        tokens = meter.tokens(threads=1)
        for _ in range(2):
            with tokens.request() as request:
                model.generate(
                    prompt,
                    attention_mask=torch.ones_like(prompt),
                    min_new_tokens=48,
                    max_new_tokens=48,
                    do_sample=False,
                    streamer=EnergyStreamer(request),
                )
    costs = tokens.results
    print(costs)
    assert (costs.prompt_tokens, costs.output_tokens) == (800, 96)
    parts = sum(usage.joules for usage in costs.phases.values() if usage is not None)
    assert parts == pytest.approx(costs.usage.joules, rel=1e-9)
    assert costs.output_token.joules is not None
