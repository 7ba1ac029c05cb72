"""ExecuTorch on the processor: a method of a program."""

import pytest
from integrations.frameworks import SOURCE, agree, offline_with_one_thread, versions

from energymeter import EnergyMeter
from energymeter.integrations import instrument

offline_with_one_thread()
runtime = pytest.importorskip(
    "executorch.runtime", reason="executorch is not installed; `make test-integrations` has it"
)
import torch  # noqa: E402
from executorch.exir import to_edge  # noqa: E402

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(autouse=True, params=[versions("executorch")], ids=str)
def _version(request):
    """It stands next to the name of each test."""


class Doubled(torch.nn.Module):
    def forward(self, x):
        return x + x


def test_a_method_is_loaded_and_executed():
    x = torch.arange(64.0)
    program = to_edge(torch.export.export(Doubled(), (x,))).to_executorch()
    meter, outer = EnergyMeter(SOURCE, linger=0), EnergyMeter(SOURCE, linger=0)
    loaded = runtime.Runtime.get().load_program(program.buffer)
    with instrument(loaded, meter, images=1), outer, meter:
        method = loaded.load_method("forward")
        for _ in range(20):
            (result,) = method.execute([x])
    assert torch.equal(result, 2 * x)
    assert len(meter.spans["load"]) == 1
    assert meter.spans["infer"].usage.per("images").number == 20
    assert agree(meter, outer)
