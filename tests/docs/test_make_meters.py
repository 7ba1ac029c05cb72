"""The table of meters: not stale, and every driver says what it counts, loses and was tested on."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

from energymeter.drivers import battery, nvml
from energymeter.reading import Facts
from energymeter.spec import driver_names, load_driver

DOCS = Path(__file__).parents[2] / "docs"
spec = importlib.util.spec_from_file_location("make_meters", DOCS / "make_meters.py")
assert spec is not None
assert spec.loader is not None
make_meters = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_meters)


def test_the_page_is_not_stale() -> None:
    page = (DOCS / "meters.md").read_text(encoding="utf-8")
    assert page == make_meters.page(), "run: .venv/bin/python docs/make_meters.py"


@pytest.mark.parametrize("name", driver_names())
def test_a_driver_says_how_far_to_trust_it(name: str) -> None:
    lacking = make_meters.lacking(make_meters.docstring_of(name))
    assert not lacking, f"drivers/{name}.py: " + "; ".join(lacking)


COMPLETE = """A meter.

Semantics: instants. Limits from memory.

Counters: none.
Renewal: each reading.
Loss: none: it is asked.
Tested on: scripted bytes; real hardware: none yet.
"""


@pytest.mark.parametrize(
    ("was", "becomes", "complaint"),
    [
        ("Counters: none.", "", "lacks a line `Counters: …`"),
        ("Loss: none: it is asked.", "", "lacks a line `Loss: …`"),
        ("Renewal: each reading.", "", "lacks a line `Renewal: …`"),
        ("; real hardware: none yet.", ".", "lacks a line `Tested on: …; real hardware: … .`"),
        ("Semantics: instants.", "", "lacks how its readings join"),
        ("from memory", "0.1 %", "lacks where its figures come from"),
    ],
)
def test_a_docstring_says_what_it_lacks(was: str, becomes: str, complaint: str) -> None:
    assert make_meters.lacking(COMPLETE) == []
    (lacks,) = make_meters.lacking(COMPLETE.replace(was, becomes))
    assert complaint in lacks


def test_a_driver_without_a_docstring_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module(load_driver("sim").__module__)
    monkeypatch.setattr(module, "__doc__", None)
    with pytest.raises(SystemExit, match=r"^drivers/sim\.py: the file has no module docstring; begin"):
        make_meters.main()


def test_a_driver_that_counts_says_in_what_steps() -> None:
    counting = [name for name in driver_names() if hasattr(load_driver(name), "counters")]
    assert len(counting) > 8
    for name in counting:
        text = importlib.import_module(load_driver(name).__module__).__doc__ or ""
        assert re.search(r"\d|groups", make_meters.label(text, "Counters")), name


def test_rates_are_of_drivers_there_are_and_say_where_they_were_taken() -> None:
    taken = json.loads((DOCS / "rates.json").read_text(encoding="utf-8"))
    assert "QEMU" in taken["machine"]
    drivers = {driver for driver, _, _ in taken["rates"]}
    assert len(drivers) > 10
    assert drivers <= set(driver_names())
    assert all(hz > 0 for _, _, hz in taken["rates"])


def test_a_label_goes_on_in_indented_lines() -> None:
    assert make_meters.label("A.\n\nLoss: one\n    two ``x``.\nTested on: z", "Loss") == "one two `x`."
    assert make_meters.label("A.", "Loss") == ""


def test_amounts_are_written_with_their_prefix() -> None:
    assert [make_meters._amount(v, "A") for v in (0.001, 10e-6, 3600.0, 0.25)] == [
        "1 mA",
        "10 µA",
        "3600 A",
        "250 mA",
    ]


def test_reports_are_listed_by_their_title(tmp_path: Path) -> None:
    assert "None exists yet" in make_meters._reports(tmp_path)
    (tmp_path / "um25c-1.md").write_text("# um25c, measured\n\n- board: Raspberry Pi 4\n")
    assert "- [um25c, measured](acceptance/um25c-1.md)\n" in make_meters._reports(tmp_path)


PARTS = {"battery": battery._ByPower.facts, "nvml": nvml.INSTANTS}
"""Facts that only a part of an opened source has."""
FASTER = {"battery": "is unknown", "nvml": "more often on some others"}
"""Drivers that read faster than their longest renewal, and what their page says of it."""


@pytest.mark.parametrize("name", driver_names())
def test_nothing_is_read_faster_than_it_renews(name: str) -> None:
    driver = load_driver(name)
    renewal = make_meters.label(importlib.import_module(driver.__module__).__doc__ or "", "Renewal")
    assert renewal.endswith("."), "say what renews its values, and how often"
    place, options = make_meters.PLACES.get(name, ("", {}))
    whole: Facts = driver(place, **options).facts if place else driver().facts
    for facts in (whole, PARTS.get(name, whole)):
        assert facts.default_hz <= facts.max_hz
        if name in FASTER:
            assert FASTER[name] in renewal
        else:
            assert facts.renewal_seconds * facts.max_hz <= 1.0


def test_means_of_a_second_are_read_once_a_second() -> None:
    assert nvml.MEANS.max_hz == 1.0
