"""codecarbon around the same block, without a network."""

import json
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from energymeter import EnergyMeter, NotMeasured
from energymeter.carbon.grid import Grid
from energymeter.energy.uncertainty import Component
from energymeter.energy.usage import Usage
from energymeter.errors import GridError
from energymeter.integrations import with_codecarbon
from energymeter.integrations.codecarbon import Both, WithCodecarbon

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


class Tracker:
    """codecarbon's offline tracker, as far as it is asked: 2 Wh and 0.75 g, whatever happens."""

    def __init__(self, **options: Any) -> None:
        self.options, self.calls = options, ["made"]
        self._hardware = ["CPU(i7)", "RAM(3 W)"]

    def start(self) -> None:
        self.calls.append("start")

    def stop(self) -> None:
        self.calls.append("stop")

    final_emissions_data = SimpleNamespace(energy_consumed=0.002, emissions=0.00075)


@pytest.fixture
def trackers(monkeypatch):
    """Those that were made."""
    module, made = ModuleType("codecarbon"), []
    module.__spec__ = ModuleSpec("codecarbon", None)

    def offline(**options: Any) -> Tracker:
        made.append(Tracker(**options))
        return made[-1]

    module.OfflineEmissionsTracker = offline
    monkeypatch.setitem(sys.modules, "codecarbon", module)
    return made


def test_the_figures_of_codecarbon_in_our_units(trackers):
    """1 kWh is 3.6 MJ, and its emissions are in kg."""
    meter = EnergyMeter(SOURCE, linger=0)
    with with_codecarbon(meter, "DEU", log_level="warning", measure_power_secs=1) as both:
        assert both.__class__ is WithCodecarbon
        assert trackers[0].calls == ["made", "start"]
        sum(range(1_000_000))
    result = both.result
    assert trackers[0].calls == ["made", "start", "stop"]
    assert trackers[0].options == {
        "country_iso_code": "DEU",
        "save_to_file": False,
        "log_level": "warning",
        "allow_multiple_runs": True,
        "measure_power_secs": 1,
    }
    assert result.codecarbon_joules == 7200.0
    assert result.codecarbon_grams == 0.75
    assert result.codecarbon_method == "CPU(i7), RAM(3 W)"
    assert result.usage == meter.spans["with codecarbon"].usage
    assert result.grams == pytest.approx(result.usage.carbon(Grid("DEU")).grams)
    assert result.difference_joules == pytest.approx(result.usage.joules - 7200.0)


@pytest.mark.parametrize("named", [True, False])
def test_a_codecarbon_that_does_not_say_how_it_measured(trackers, named):
    with with_codecarbon(EnergyMeter(SOURCE, linger=0), "DEU") as both:
        sum(range(1_000_000))
        if named:
            trackers[0]._hardware = []
        else:
            del trackers[0]._hardware
    assert both.result.codecarbon_method == "unknown"


def test_codecarbon_is_stopped_also_where_the_block_fails(trackers):
    failing = with_codecarbon(EnergyMeter(SOURCE, linger=0), "DEU")
    both = failing.__enter__()
    assert not failing.__exit__(ZeroDivisionError, ZeroDivisionError("of the user"), None)
    assert trackers[0].calls == ["made", "start", "stop"]
    with pytest.raises(NotMeasured) as failure:
        _ = both.result
    assert str(failure.value) == "the block has not ended; ask after it"


def test_both_figures_as_they_are_printed():
    usage = Usage(
        10.0, 30.0, 6.0, 5.0, 3.0, 10.0, "measured", "rail", ("ina219@1:0x40",), (10.0,),
        components=(Component("gain", 0.15),),
    )  # fmt: skip
    both = Both(usage, 0.00317, 48.4333, 0.00512345, "a constant of 85 W")
    assert str(both) == (
        "energymeter: 30.00 J ± 0.30, 0.00317 g CO2e; measured at the rail\n"
        "codecarbon:  48.43 J, 0.00512 g CO2e; a constant of 85 W\n"
        "difference:  -18.4 J"
    )
    assert both.to_dict() == {
        "usage": usage.to_dict(),
        "grams": 0.00317,
        "codecarbon_joules": 48.4333,
        "codecarbon_grams": 0.00512345,
        "codecarbon_method": "a constant of 85 W",
        "difference_joules": pytest.approx(-18.4333),
    }
