"""sentence-transformers on the processor, with a small random model."""

from pathlib import Path

import pytest
from integrations.frameworks import SOURCE, agree, offline_with_one_thread, versions

from energymeter import EnergyMeter
from energymeter.integrations import instrument

offline_with_one_thread()
sentence_transformers = pytest.importorskip(
    "sentence_transformers", reason="sentence-transformers is not installed; `make test-integrations` has it"
)
import transformers  # noqa: E402
from sentence_transformers.base.modules import Transformer  # noqa: E402
from sentence_transformers.sentence_transformer.modules import Pooling  # noqa: E402

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(autouse=True, params=[versions("sentence-transformers")], ids=str)
def _version(request):
    """It stands next to the name of each test."""


@pytest.fixture
def model(tmp_path: Path):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghij"]
    folder = str(tmp_path / "bert")
    config = transformers.BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
    )
    transformers.BertModel(config).save_pretrained(folder)
    transformers.BertTokenizer(vocab={word: n for n, word in enumerate(words)}).save_pretrained(folder)
    return sentence_transformers.SentenceTransformer(modules=[Transformer(folder), Pooling(32)], device="cpu")


def test_encode_by_phase(model):
    meter, outer = EnergyMeter(SOURCE, linger=0), EnergyMeter(SOURCE, linger=0)
    before = model.encode(["a b c"])
    with instrument(model, meter), outer, meter:
        assert (model.encode(["a b c"]) == before).all()
        model.encode(["a", "b c", "d"] * 10, batch_size=10)
    assert meter.spans["infer"].usage.per("texts").number == 31
    assert len(meter.spans["preprocess"]) == len(meter.spans["infer"]) == 4
    assert agree(meter, outer)
    assert "forward" not in vars(model)
