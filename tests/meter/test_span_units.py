"""Units that spans count: what one costs, by a curve written by hand, and how many a charge gives."""

import json
import math

import pytest
from click.testing import CliRunner
from devices.by_hand import Bench
from hypothesis import given
from hypothesis import strategies as st

from energymeter import Battery, Budget, EnergyMeter, NotMeasured, SpecError, Trace
from energymeter.carbon import Grid
from energymeter.cli import cli
from energymeter.energy import Component
from energymeter.errors import GridError
from energymeter.recordings.closing import spans_of, spans_to_json
from energymeter.recordings.record import RecordedSpans


@pytest.fixture
def bench():
    made = Bench()
    made.pass_ms(10)
    made.enter()
    yield made
    made.life.end()


@pytest.fixture
def usage(bench):
    """A whole window of 2 W for 50 ms at the rail of 5 V, known to 4 %."""
    bench.pass_ms(50)
    bench.leave()
    used = bench.life.latest.usage()
    return used._replace(
        coulombs=used.joules / 5,
        mean_volts=5.0,
        components=(Component("gain", 0.002, "bench", systematic=True),),
    )


def test_a_span_divides_its_energy_and_time_by_what_it_counted(bench):
    with bench.span() as span:
        span.units(images=3)
        bench.pass_ms(10, watts=4.0)
    span.units(images=1, audio_seconds=0.5)
    bench.pass_ms(1)
    each = span.usage.per("images")
    assert each.number == 4
    assert each.joules == pytest.approx(span.usage.joules / 4)
    assert each.seconds == pytest.approx(0.0025)
    assert each.uncertainty == pytest.approx(span.usage.uncertainty / 4)
    assert span.usage.per("audio_seconds").joules == pytest.approx(span.usage.joules * 2)


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(0, 100)), min_size=1, max_size=20))
def test_all_calls_together_are_the_sum_of_their_energy_over_the_sum_of_their_units(calls):
    bench = Bench()
    bench.pass_ms(10)
    bench.enter()
    for milliseconds, count in calls:
        with bench.span() as span:
            bench.pass_ms(milliseconds, watts=1.0 + count % 3)
        span.units(tokens=count)
    bench.pass_ms(1)
    spans, total = bench.spans(), sum(count for _, count in calls)
    if not total:
        assert spans.usage.units == ()
        return
    each = spans.usage.per("tokens")
    assert each.number == total
    assert each.joules * total == pytest.approx(spans.joules.total)
    singles = [usage.per("tokens") for usage in spans.usages if usage.units]
    assert math.fsum(one.joules * one.number for one in singles) == pytest.approx(
        math.fsum(usage.joules for usage in spans.usages if usage.units)
    )


def test_what_was_given_does_not_change_when_more_is_counted(bench):
    with bench.span() as span:
        bench.pass_ms(5)
    span.units(images=2)
    bench.pass_ms(1)
    spans = bench.spans()
    span.units(images=2)
    with bench.span() as later:
        later.units(images=100)
        bench.pass_ms(5)
    assert spans.usage.per("images").number == 2
    assert spans.usages[0].per("images").number == 2
    assert bench.spans().usage.per("images").number == 104


def test_a_call_that_still_runs_is_not_in_the_units_of_those_that_ended(bench):
    with bench.span() as first:
        first.units(images=1)
        bench.pass_ms(5)
    with bench.span() as running:
        running.units(images=7)
        bench.pass_ms(5)
        assert bench.spans().usage.per("images").number == 1


def test_units_of_one_name_are_not_those_of_another(bench):
    for name, count in (("load", 1), ("infer", 2)):
        with bench.span(name) as span:
            span.units(images=count)
            bench.pass_ms(5)
    bench.pass_ms(1)
    assert bench.spans("load").usage.per("images").number == 1
    assert bench.spans("infer").usage.per("images").number == 2


def test_time_that_was_not_measured_counts_as_the_mean_and_leaves_the_plus_minus_unknown(usage):
    half = usage._replace(measured_seconds=usage.seconds / 2, covered_seconds=(usage.seconds / 2,))
    each = half.with_units(images=10).per("images")
    assert each.joules == pytest.approx(2 * half.joules / 10)
    assert each.mah == pytest.approx(2 * half.mah / 10)
    assert each.uncertainty is None
    assert "± unknown" in str(each)


@pytest.mark.parametrize("count", [-1, math.nan, math.inf, 1e16, "many", None])
def test_what_is_no_number_of_units_is_refused_and_nothing_is_counted(bench, count):
    with bench.span() as span:
        with pytest.raises(SpecError, match="no number of units; give 0 or more"):
            span.units(images=3, tokens=count)
        bench.pass_ms(5)
    bench.pass_ms(1)
    assert span.usage.units == ()


def test_no_units_are_no_division(usage):
    assert usage.with_units(faces=0).units == ()
    with pytest.raises(NotMeasured, match="no faces were counted here, known: none; count them with"):
        usage.per("faces")
    with pytest.raises(NotMeasured, match="known: images"):
        usage.with_units(images=1).per("faces")


def test_a_span_that_counted_none_has_no_units(bench):
    with bench.span() as span:
        span.units(faces=0)
        bench.pass_ms(5)
    bench.pass_ms(1)
    assert span.usage.units == ()


def test_units_need_a_span_that_has_begun():
    with pytest.raises(SpecError, match="has not begun"):
        Bench().span().units(images=1)


def test_a_span_outside_of_the_block_counts_units_as_it_measures():
    span = Bench().span()
    with span:
        span.units(images=1)
    with pytest.raises(NotMeasured):
        _ = span.usage


def test_charge_grams_text_and_json(usage):
    counted = usage.with_units(grid="DEU", images=8)
    each = counted.per("images")
    assert each.mah == pytest.approx(usage.mah / 8)
    assert each.grams == pytest.approx(usage.carbon("DEU").grams / 8)
    known = json.loads(json.dumps(counted.to_dict()))["units"]["images"]
    assert known["joules"] == each.joules
    assert known["per_charge"] == list(each.per_charge[:3])
    assert known["battery"] == {"mah": 4000.0, "volts": 3.85}
    text = str(counted)
    assert " · 8 images: " in text
    for part in (" J ±", " each, ", " mAh, ", " g CO2e, ", ") a charge of 4000 mAh"):
        assert part.replace(" J", "J") in text.replace(" mJ", "J")
    assert "images" not in str(usage)
    assert usage.to_dict()["units"] == {}


def test_a_charge_gives_its_energy_over_that_of_a_unit(usage):
    battery = Battery(4000, basis="rail", capacity_sigma=0.0)
    each = usage.with_units(battery=battery, images=8).per("images")
    charge = each.per_charge
    assert charge.value == pytest.approx(4.0 * 3600 * 5 / each.joules)
    gain = each.uncertainty / 2 / each.joules
    assert charge.high / charge.value == pytest.approx(math.exp(1.959964 * gain), rel=1e-3)
    assert charge.low < charge.value < charge.high


@pytest.mark.parametrize(
    ("place", "gives"), [("wall", False), ("die", False), ("rail", True), ("cell", True)]
)
def test_a_charge_gives_units_only_where_the_battery_feeds_what_is_measured(usage, place, gives):
    each = usage._replace(place=place).with_units(images=8).per("images")
    assert (each.per_charge is not None) == gives
    assert ("a charge" in str(each)) == gives


def test_at_the_cell_no_converter_is_before_the_meter(usage):
    rail, cell = (
        usage._replace(place=place).with_units(images=8).per("images") for place in ("rail", "cell")
    )
    assert cell.per_charge.value > rail.per_charge.value


def test_nothing_drawn_gives_no_number_per_charge(usage):
    assert usage._replace(joules=0.0, components=()).with_units(images=8).per("images").per_charge is None


def test_a_meter_knows_the_zone_and_the_battery_of_its_spans():
    battery = Battery.li_18650()
    with EnergyMeter("manual:5V,0.6A", rate_hz=200, linger=0, grid="FRA", battery=battery) as meter:
        with meter.span("infer") as span:
            sum(range(500_000))
        span.units(images=4)
    each = span.usage.per("images")
    assert each.battery == battery
    assert each.grams == pytest.approx(span.usage.carbon(Grid("FRA")).grams / 4)
    assert meter.spans["infer"].usage.per("images").grams == pytest.approx(each.grams, rel=1e-6)
    assert "4 images" in str(meter.spans["infer"])
    assert "4 images" in meter.spans._repr_html_()
    assert "4 images" in repr(span)


def test_the_battery_of_a_budget_is_that_of_the_units(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    Budget("lab", Battery.li_18650(3000))
    with EnergyMeter("manual:5V,0.6A", linger=0, budget="lab") as meter, meter.span("infer") as span:
        span.units(images=4)
        sum(range(500_000))
    assert span.usage.per("images").battery == Battery.li_18650(3000)


def test_an_unknown_zone_is_an_error_before_the_work():
    with pytest.raises(GridError):
        EnergyMeter("manual:1W", grid="Atlantis")


def test_spans_without_units_look_as_before(bench):
    with bench.span():
        bench.pass_ms(5)
    bench.pass_ms(1)
    assert str(bench.spans()).endswith("n = 1")
    assert "of one unit" not in bench.spans()._repr_html_()


# In a log ---------------------------------------------------------------------------------------


@pytest.fixture
def log(tmp_path):
    """Three calls of one span, of 32, 32 and 16 images, and one of another that counted nothing."""
    path = str(tmp_path / "run.csv")
    with EnergyMeter("manual:5V,0.6A", rate_hz=20, linger=0, out=path) as meter:
        for count in (32, 32, 16):
            with meter.span("infer") as span:
                span.units(images=count)
                sum(range(500_000))
        with meter.span("load"):
            sum(range(500_000))
    return path


def test_a_log_keeps_what_each_call_counted(log):
    trace = Trace.load(log)
    assert trace.spans["infer"].units == {"images": (32.0, 32.0, 16.0)}
    assert trace.spans["load"].units == {}
    usage = trace.span_usage("infer")
    assert usage.per("images").number == 80
    assert usage.per("images").joules == pytest.approx(usage.joules / 80)
    assert trace.span_usage("infer", skip=1).per("images").number == 48


def test_a_log_that_is_saved_again_keeps_them(log, tmp_path):
    again = str(tmp_path / "again.parquet")
    Trace.load(log).save(again)
    assert Trace.load(again).spans == Trace.load(log).spans


def test_show_prints_what_a_unit_cost(log):
    shown = CliRunner().invoke(cli, ["show", log])
    assert "  80 images: " in shown.output
    spans = json.loads(CliRunner().invoke(cli, ["show", log, "--json"]).output)["spans"]
    assert spans["infer"]["units"]["images"]["number"] == 80
    assert "units" not in spans["load"]


def test_compare_divides_by_the_unit_that_is_named(log):
    for more, units in ((["--unit", "images"], 80), ([], 3)):
        done = CliRunner().invoke(cli, ["compare", log, log, "--span", "infer", "--json", "--anyway", *more])
        found = json.loads(done.output.splitlines()[0])
        assert [run["units"] for run in found["runs"]] == [units, units]


@pytest.mark.parametrize("units", [{"images": [1.0]}, {"images": -1}, {"images": "x"}, {"i\n": 1}, 3, [1]])
def test_units_in_a_log_that_make_no_sense_are_refused(units):
    named = {"infer": {"n": 2, "windows_s": [[0, 1], [1, 2]], "units": units}}
    with pytest.raises((ValueError, TypeError)):
        spans_of({"spans": {"named": named, "left_out": 0}})


def test_equal_counts_take_one_number_in_a_log():
    windows = ((0.0, 1.0), (1.0, 2.0))
    spans = {"infer": RecordedSpans(2, windows, {"images": (8.0, 8.0), "faces": (0.0, 2.0)})}
    said = json.loads(json.dumps(spans_to_json(spans)))
    assert said["named"]["infer"]["units"] == {"images": 8.0, "faces": [0.0, 2.0]}
    assert spans_of({"spans": said})[0] == spans


@pytest.mark.parametrize("count", [10**400, 1e-320, -1, math.nan, math.inf, "many", None, 1e16])
def test_what_is_no_number_of_units_is_refused_in_one_sentence(usage, bench, count):
    with pytest.raises(
        SpecError, match=r"^img=.{1,45} is no number of units; give 0 or more, in the range 1e-15 to 1e\+15$"
    ):
        usage.with_units(img=count)
    assert usage.with_units(img=0).units == ()
    json.dumps(usage.with_units(img=1e-15).to_dict(), allow_nan=False)


def test_a_log_keeps_the_counts_of_calls_that_began_together(tmp_path):
    meter = EnergyMeter("manual:5V,0.6A", rate_hz=100, out=str(tmp_path / "run.csv"))
    with meter:
        spans = [meter.span("batch") for _ in range(3)]
        start_ns = meter.span("clock").__enter__().start_ns
        for number, span in enumerate(spans):
            span.begin_at(start_ns)
            span.units(images=10**number)
            span.end_at(start_ns + 1000)
    assert Trace.load(tmp_path / "run.csv").spans["batch"].units == {"images": (1.0, 10.0, 100.0)}
