"""The names and units that trackers get; the trackers themselves where they are installed."""

import math
from types import ModuleType
from typing import Any

import pytest

from energymeter import EnergyMeter, SpecError
from energymeter.energy.uncertainty import Component
from energymeter.energy.usage import Idle, Usage
from energymeter.integrations import figures, log_usage
from energymeter.integrations.trackers import origin


@pytest.fixture
def usage():
    with EnergyMeter("manual:5V,0.6A", linger=0) as meter:
        sum(range(100_000))
    return meter.usage.with_units(grid="DEU", images=8)


def test_the_names_are_fixed_and_carry_their_units(usage):
    numbers = figures(usage, "DEU")
    assert sorted(numbers) == [
        "energy/coverage_ratio",
        "energy/grams_co2e",
        "energy/grams_per/images",
        "energy/joules",
        "energy/joules_per/images",
        "energy/mah",
        "energy/mah_per/images",
        "energy/mean_watts",
        "energy/peak_watts",
        "energy/per_charge/images",
        "energy/seconds",
        "energy/uncertainty_joules",
    ]
    assert all(isinstance(value, float) and math.isfinite(value) for value in numbers.values())
    assert numbers["energy/joules"] == usage.joules
    assert numbers["energy/joules_per/images"] == pytest.approx(usage.joules / 8)


def test_what_is_unknown_is_left_out(usage):
    numbers = figures(usage._replace(coulombs=None, peak_watts=None, units=()))
    assert "energy/mah" not in numbers
    assert "energy/grams_co2e" not in numbers
    assert not [name for name in numbers if "per/" in name]


def test_what_is_no_tracker_is_refused(usage):
    for tracker in (object(), ModuleType("logging"), {}):
        with pytest.raises(SpecError, match="nothing is known of a tracker"):
            log_usage(tracker, usage)


KNOWN = Usage(
    10.0, 36.0, 7.2, 5.0, 6.5, 9.0, "measured", "rail", ("ina219@1:0x40", "um25c"), (9.0, 10.0),
    components=(Component("gain", 0.2),), calibration=("in May", "in June"), notes=("hot", "slow"),
)  # fmt: skip
"""36 J in 10 s, of which 9 s were measured: 4 W; 7.2 C are 2 mAh."""


def test_the_figures_of_a_known_usage():
    assert figures(KNOWN) == {
        "energy/joules": 36.0,
        "energy/uncertainty_joules": pytest.approx(0.4),
        "energy/mah": pytest.approx(2.0),
        "energy/mean_watts": pytest.approx(4.0),
        "energy/peak_watts": 6.5,
        "energy/seconds": 10.0,
        "energy/coverage_ratio": pytest.approx(0.9),
    }


def test_the_net_energy_is_there_where_the_idle_power_is_known():
    known = figures(KNOWN._replace(idle=Idle(1.5, 0.1, 60.0, ())))
    assert known["energy/net_joules"] == pytest.approx(36.0 - 9.0 * 1.5)


def test_the_figures_of_each_unit():
    whole = KNOWN._replace(measured_seconds=10.0, covered_seconds=(10.0, 10.0))
    usage = whole.with_units(grid="DEU", images=8, tokens=400)
    known, (images, tokens) = figures(usage, "DEU"), usage.units
    for unit in (images, tokens):
        assert known[f"energy/joules_per/{unit.unit}"] == 36.0 / unit.number
        assert known[f"energy/mah_per/{unit.unit}"] == pytest.approx(2.0 / unit.number)
        assert known[f"energy/grams_per/{unit.unit}"] == pytest.approx(
            known["energy/grams_co2e"] / unit.number
        )
        assert known[f"energy/per_charge/{unit.unit}"] == unit.per_charge.value
    bare = usage._replace(units=(images._replace(battery=None, mah=None, grams=None),))
    assert [name for name in figures(bare) if "images" in name] == ["energy/joules_per/images"]


def test_where_the_figures_come_from():
    assert origin(KNOWN) == {
        "energy/provenance": "measured",
        "energy/place": "rail",
        "energy/sources": "ina219@1:0x40 + um25c",
        "energy/calibration": "in May; in June",
        "energy/notes": "hot; slow",
    }
    bare = origin(KNOWN._replace(calibration=(), notes=()))
    assert (bare["energy/calibration"], bare["energy/notes"]) == ("none", "none")


class Calls:
    """Notes every call, by its name."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        if name == "config":
            return self
        return lambda *given, **named: self.calls.append((name, given, named))


class Other(Calls):
    """A tracker that knows one more way of each kind would be asked for it."""

    def __getattr__(self, name: str) -> Any:
        if name == "add_scalar":
            raise AttributeError(name)
        return super().__getattr__(name)


def tracker_of(package: str, kind: type[Calls] = Other) -> Calls:
    return type("Tracker", (kind,), {"__module__": f"{package}.inner"})()


NUMBERS, TEXTS = figures(KNOWN), origin(KNOWN)


@pytest.mark.parametrize(
    ("package", "calls"),
    [
        ("mlflow", [("log_metrics", (NUMBERS,), {"step": 3}), ("set_tags", (TEXTS,), {})]),
        ("wandb", [("log", (NUMBERS,), {"step": 3}), ("update", (TEXTS,), {"allow_val_change": True})]),
        ("trackio", [("log", ({**NUMBERS, **TEXTS},), {"step": 3})]),
        ("comet_ml", [("log_metrics", (NUMBERS,), {"step": 3}), ("log_others", (TEXTS,), {})]),
    ],
)
def test_each_tracker_is_called_as_it_wants(package, calls):
    tracker = tracker_of(package)
    log_usage(tracker, KNOWN, step=3)
    assert tracker.calls == calls


def test_the_module_of_a_tracker_is_one_too():
    module, calls = ModuleType("trackio"), Calls()
    module.log = calls.log
    log_usage(module, KNOWN, grid="DEU")
    assert calls.calls == [("log", ({**figures(KNOWN, "DEU"), **TEXTS},), {"step": None})]


@pytest.mark.parametrize("package", ["torch", "tensorboardX", "a", "zzz"])
def test_a_summary_writer_of_any_package_gets_one_figure_at_a_time(package):
    tracker = tracker_of(package, Calls)
    log_usage(tracker, KNOWN, step=3)
    assert tracker.calls == [
        *(("add_scalar", (name, value, 3), {}) for name, value in NUMBERS.items()),
        *(("add_text", (name, text, 3), {}) for name, text in TEXTS.items()),
    ]


@pytest.mark.parametrize("package", ["a", "d", "n", "v", "x"])
def test_what_is_no_tracker_is_named(package):
    with pytest.raises(SpecError) as failure:
        log_usage(tracker_of(package), KNOWN)
    assert str(failure.value) == (
        "nothing is known of a tracker Tracker; give mlflow, wandb, trackio, a SummaryWriter or an "
        "Experiment of Comet, or log the dictionary of figures(usage)"
    )
