"""What Prometheus is given: read back by the client's own parser, by promtool, and by a real Prometheus."""

import json
import math
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from serve.made_figures import BOARD, CPU, GivenFeed, figures

from energymeter.serve import names
from energymeter.serve.prometheus import Exporter, series
from energymeter.serve.totals import Totals

MONITORING = Path(names.__file__).parent / "monitoring"
ORDER = (*names.CHANNEL_LABELS, "battery", "budget", "span", "le", "version")
BAD = 'a"b\\c\nenergymeter_energy_joules_total{x="'


def exported(*states, **options) -> str:
    pytest.importorskip("prometheus_client")
    return Exporter(GivenFeed(figures(*states, **options))).text().decode()  # type: ignore[arg-type]


def parsed(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    """Values by name and labels."""
    from prometheus_client.parser import text_string_to_metric_families

    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            assert math.isfinite(sample.value)
            labels = tuple(sample.labels[name] for name in ORDER if name in sample.labels)
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


def test_every_name_is_in_the_one_table_and_every_name_there_is_used() -> None:
    back = Totals()
    used = {one.metric for one in series(figures(totals=back))}
    assert used <= {*names.METRICS}
    never = {metric.name for metric in {*names.METRICS} - used}
    assert never == {names.RAIL.charge.name}, "a processor's counter knows no charge"
    assert len({metric.name for metric in names.METRICS}) == len(names.METRICS)


def test_the_values_are_those_of_the_figures() -> None:
    found = parsed(exported())
    board = ("board", "ina219@1:0x40", "rail", "measured")
    assert found["energymeter_energy_joules_total"] == {board: 7200.0}
    assert found["energymeter_power_watts"] == {board: 3.6}
    assert found["energymeter_power_uncertainty_watts"] == {board: 0.02}
    assert found["energymeter_charge_coulombs_total"] == {board: 1440.0}
    assert found["energymeter_measured_seconds_total"][board] == 1900.0
    assert found["energymeter_coverage_ratio"][board] == 0.95
    assert found["energymeter_missed_samples_total"][board] == 7.0
    assert found["energymeter_source_up"] == {("board",): 1.0, ("cpu",): 1.0}
    assert found["energymeter_budget_charge_ratio"] == {("field",): 0.62}
    assert found["energymeter_budget_time_left_low_seconds"] == {("field",): 1.4 * 3600}
    assert found["energymeter_battery_charge_ratio"] == {("old",): 0.1}
    assert found["energymeter_push_waiting_recordings"] == {(): 3.0}
    assert found["energymeter_push_lost_recordings_total"] == {(): 2.0}


def test_no_sum_over_a_name_counts_energy_twice() -> None:
    """The processor draws from the board's rail; under any name of a total there is the board alone."""
    found = parsed(exported())
    cpu = ("cpu", "rapl:package-0", "die", "measured")
    for name in (
        "energy_joules_total",
        "power_watts",
        "energy_uncertainty_joules_total",
        "power_uncertainty_watts",
    ):
        assert cpu in found[f"energymeter_rail_{name}"]
        assert {labels[0] for labels in found[f"energymeter_{name}"]} == {"board"}


def test_rails_of_one_source_that_do_not_count_are_no_totals() -> None:
    rail = BOARD._replace(channel="gpu", counted=False, joules=100.0)
    found = parsed(exported(BOARD, rail))
    assert sum(found["energymeter_energy_joules_total"].values()) == 7200.0
    assert sum(found["energymeter_rail_energy_joules_total"].values()) == 100.0


def test_what_does_not_answer_has_no_power_and_keeps_its_total() -> None:
    found = parsed(exported(BOARD._replace(watts=None, watts_uncertainty=None, volts=None)))
    assert "energymeter_power_watts" not in found
    assert "energymeter_voltage_volts" not in found
    assert [*found["energymeter_energy_joules_total"].values()] == [7200.0]
    assert found["energymeter_source_up"] == {("board",): 0.0}


def test_spans_are_histograms() -> None:
    found = parsed(exported())
    assert found["energymeter_span_joules_count"] == {("board", "infer"): 2.0}
    assert found["energymeter_span_joules_sum"] == {("board", "infer"): 2.0}
    assert found["energymeter_span_uncertainty_joules_total"] == {("board", "infer"): pytest.approx(0.1)}
    buckets = found["energymeter_span_joules_bucket"]
    assert buckets[("board", "infer", "0.3")] == 0.0
    assert buckets[("board", "infer", "1.0")] == 1.0
    assert buckets[("board", "infer", "+Inf")] == 2.0


def test_a_name_from_outside_makes_no_series_of_its_own() -> None:
    found = parsed(exported(BOARD._replace(source=BAD, channel=BAD)))
    assert [*found["energymeter_energy_joules_total"]] == [(BAD, BAD, "rail", "measured")]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_absent(value: float) -> None:
    found = parsed(exported(BOARD._replace(watts=value)))
    assert "energymeter_power_watts" not in found


def test_no_label_holds_a_program_or_a_user() -> None:
    labels = {label for metric in names.METRICS for label in metric.labels}
    assert labels == {*names.CHANNEL_LABELS, "battery", "budget", "span", "version"}


def test_names_follow_the_conventions_of_prometheus() -> None:
    for metric in names.METRICS:
        assert re.fullmatch("energymeter_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert metric.help.endswith(".")
        units = "joules|watts|coulombs|volts|seconds|ratio|samples|calls|recordings"
        assert re.search(rf"{units}|_up$|_info$", metric.name)


# -- promtool ------------------------------------------------------------------------------------------


def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed: apt install prometheus")
    return found


def test_promtool_finds_nothing_to_say_about_the_metrics() -> None:
    done = subprocess.run(
        [promtool(), "check", "metrics"], input=exported(), capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_promtool_finds_the_rules_sound() -> None:
    rules = MONITORING / "prometheus-rules.yml"
    done = subprocess.run(
        [promtool(), "check", "rules", str(rules)], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    assert "5 rules found" in done.stdout


def test_rules_and_panels_use_names_that_there_are() -> None:
    known = {metric.name for metric in names.METRICS}
    known |= {
        f"{m.name}_{end}"
        for m in names.METRICS
        if m.kind == "histogram"
        for end in ("bucket", "sum", "count")
    }
    board = json.loads((MONITORING / "grafana-dashboard.json").read_text(encoding="utf-8"))
    texts = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    texts.append((MONITORING / "prometheus-rules.yml").read_text(encoding="utf-8").partition("\n")[2])
    for text in texts:
        used = set(re.findall(r"energymeter_\w+", text))
        assert used <= known, used - known


def test_the_exporter_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from energymeter.errors import ExtraMissing

    monkeypatch.setitem(__import__("sys").modules, "prometheus_client", None)
    with pytest.raises(ExtraMissing, match=r"edge-energymeter\[prometheus\]"):
        Exporter(GivenFeed(figures(CPU)))  # type: ignore[arg-type]
