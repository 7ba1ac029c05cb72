"""codecarbon around the same block, without a network."""

import json

import pytest

from energymeter import EnergyMeter, NotMeasured
from energymeter.errors import GridError
from energymeter.integrations import with_codecarbon

SOURCE = "manual:5V,0.6A"


def test_without_codecarbon_it_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "codecarbon", None)
    with (
        pytest.raises(ImportError, match=r'pip install "edge-energymeter\[carbon\]"$'),
        with_codecarbon(EnergyMeter(SOURCE), "DEU"),
    ):
        pass


@pytest.mark.slow
def test_both_report_one_block_and_their_difference(tmp_path, monkeypatch):
    pytest.importorskip("codecarbon", reason="codecarbon is not installed; the extra carbon has it")
    monkeypatch.chdir(tmp_path)
    meter = EnergyMeter(SOURCE, linger=0)
    with with_codecarbon(meter, "DEU") as both:
        with pytest.raises(NotMeasured, match="ask after it"):
            _ = both.result
        sum(range(5_000_000))
    result = both.result
    assert result.codecarbon_joules > 0
    assert result.difference_joules == pytest.approx(result.usage.joules - result.codecarbon_joules)
    assert result.grams > 0
    assert result.codecarbon_grams > 0
    known = json.loads(json.dumps(result.to_dict()))
    assert known["difference_joules"] == result.difference_joules
    for name in ("energymeter: ", "codecarbon:  ", "difference:  "):
        assert name in str(both)


@pytest.mark.slow
def test_the_error_of_the_block_passes(tmp_path, monkeypatch):
    pytest.importorskip("codecarbon", reason="codecarbon is not installed; the extra carbon has it")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ZeroDivisionError), with_codecarbon(EnergyMeter(SOURCE, linger=0), "DEU"):
        _ = 1 // 0
    with pytest.raises(GridError), with_codecarbon(EnergyMeter(SOURCE, linger=0), "Atlantis"):
        pass
