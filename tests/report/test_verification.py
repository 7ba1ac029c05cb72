"""`energymeter verify`: a good log passes every rule, and each doctored log fails the rule that it breaks."""

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from report.proved_logs import CARD, FACTS, HEALTHY, SECOND, STARTED, Channel, Claim, write

from energymeter import EnergyMeter, Trace
from energymeter.cli import cli
from energymeter.errors import EnergyMeterError, LogError
from energymeter.meter.conditions import Conditions
from energymeter.reading import Band
from energymeter.recordings.reader import Hints, read
from energymeter.report.verification import RULES, Limits, Verification, verify

NOW = STARTED + 3600.0


def verified(path: Path, claim: Claim | None = None, limits: Limits = Limits()) -> Verification:  # noqa: B008
    if claim is not None:
        write(path, claim)
    return verify(str(path), limits, now_s=NOW)


def channel(**changes: Any) -> Claim:
    return Claim(channels=(Channel()._replace(**changes),))


def facts(**changes: Any) -> Claim:
    return channel(facts=FACTS._replace(**changes))


def end(**changes: Any) -> Claim:
    whole = Claim().end
    assert whole is not None
    return Claim(end={**whole, **changes})


def conditions(**changes: Any) -> Claim:
    return Claim(conditions=HEALTHY._replace(**changes))


def two(**changes: Any) -> Claim:
    return Claim(channels=(Channel(), Channel(name="other")._replace(**changes)))


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_good_log_passes_every_rule(suffix: str, tmp_path: Path) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    found = verified(tmp_path / f"a.{suffix}", Claim())
    assert [rule.name for rule in found.rules] == list(RULES)
    assert (found.failed, found.unknown) == ([], []), str(found)
    assert found.claim.startswith("116.00 J ± 0."), found.claim
    assert verified(tmp_path / f"b.{suffix}", two()).failed == []


DOCTORED: dict[str, tuple[Claim, str]] = {
    "simulated": (facts(provenance="simulated"), "provenance"),
    "modelled": (facts(provenance="modelled"), "provenance"),
    "read off by hand": (facts(provenance="manual"), "provenance"),
    "a recording that was played": (facts(replayed=True), "provenance"),
    "a second place": (two(facts=FACTS._replace(place="wall")), "one supply"),
    "the gauge of a battery": (facts(place="cell"), "no battery"),
    "a laptop on mains": (conditions(battery=True), "no battery"),
    "a laptop on battery": (conditions(battery=True, mains=False), "no battery"),
    "no card": (channel(calibration=None), "calibrated"),
    "a second channel without a card": (two(calibration=None), "calibrated"),
    "a coarse meter": (channel(calibration=None, facts=FACTS._replace(amps=Band(0.05))), "meter uncertainty"),
    "too short": (Claim(window=(0.5, 4.5), spans=(("infer", 1.0, 0.5, 3),)), "duration"),
    "a gap of a fifth": (channel(gap=(1000, 1600)), "coverage"),
    "a gap in the calls alone": (channel(gap=(410, 425)), "coverage"),
    "a call after the end": (Claim(window=(0.5, 15.0)), "samples inside the run"),
    "a meter that began late": (channel(rows=(60, 3001)), "samples inside the run"),
    "a meter that ended early": (channel(rows=(0, 2940)), "samples inside the run"),
    "calls shorter than a sample": (Claim(spans=(("infer", 1.001, 0.003, 20),)), "samples per span"),
    "a gap where a call begins": (channel(gap=(1198, 1203)), "no gap at an edge"),
    "a gap where the window ends": (channel(gap=(2948, 2953)), "no gap at an edge"),
    "a clock that was set": (end(unix_s=STARTED + 31.5), "clock agreement"),
    "a machine that slept": (end(unix_s=STARTED + 3630.1), "clock agreement"),
    "a clock that was never set": (
        Claim(started=30.0, end={"unix_s": 60.1, "monotonic_ns": 30 * SECOND + SECOND // 10, "throttled": 0}),
        "clock agreement",
    ),
    "a log from tomorrow": (Claim(started=NOW + 2 * 86_400), "clock agreement"),
    "a second channel that lags": (two(rows=(200, 3001)), "clock agreement"),
    "throttled at the end": (end(throttled=0x4), "unthrottled"),
    "throttled in between": (end(throttled=0x40000), "unthrottled"),
    "a supply that sagged": (conditions(throttled=0x1), "unthrottled"),
}  # fmt: skip


@pytest.mark.parametrize("name", DOCTORED)
def test_a_doctored_log_fails_the_rule_that_it_breaks(name: str, tmp_path: Path) -> None:
    claim, rule = DOCTORED[name]
    found = verified(tmp_path / "a.csv", claim)
    assert rule in found.failed, str(found)
    said = next(one for one in found.rules if one.name == rule)
    assert said.text
    assert f"failed      {rule}" in str(found)


def test_doctored_logs_break_at_least_15_things_and_every_rule_is_broken_by_one() -> None:
    assert len(DOCTORED) >= 15
    assert {rule for _, rule in DOCTORED.values()} == set(RULES) - {"closing record"}


SILENT: dict[str, tuple[Claim, str]] = {
    "no conditions": (Claim(conditions=None), "no battery"),
    "no firmware that says it": (conditions(throttled=None), "unthrottled"),
    "no bits at the end": (end(throttled=None), "unthrottled"),
    "throttled some time since boot": (
        end(throttled=0x40000)._replace(conditions=HEALTHY._replace(throttled=0x40000)),
        "unthrottled",
    ),
    "no end": (Claim(end=None), "clock agreement"),
    "no start": (Claim(started=None), "clock agreement"),
    "no window": (Claim(window=None), "duration"),
    "no band": (channel(calibration=None, facts=FACTS._replace(amps=None)), "meter uncertainty"),
}  # fmt: skip


@pytest.mark.parametrize("name", SILENT)
def test_what_a_log_does_not_hold_is_unknown(name: str, tmp_path: Path) -> None:
    claim, rule = SILENT[name]
    found = verified(tmp_path / "a.csv", claim)
    assert rule in found.unknown, str(found)


def _edits(raw: bytes, every: int) -> list[int]:
    """Where bytes are edited: the header, rows, and all of the closing record, or one of so many of these."""
    closing = raw.rindex(b"closed") - 10
    few = random.Random(5)
    places = [*few.sample(range(closing), 300), *range(closing, len(raw))]
    return few.sample(places, len(places) // every)


@pytest.mark.parametrize("every", [8, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_one_edited_byte_is_noticed(suffix: str, every: int, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    claim = channel(rows=(0, 201))._replace(window=(0.1, 1.9), spans=(("infer", 0.5, 0.5, 1),))
    write(path, claim)
    raw = path.read_bytes()
    assert "closing record" not in verified(path).failed
    for at in _edits(raw, every):
        for byte in {raw[at] ^ 1, ord("7"), ord("\t"), ord("A")} - {raw[at]}:
            path.write_bytes(raw[:at] + bytes([byte]) + raw[at + 1 :])
            try:
                found = verified(path)
            except LogError:  # it is no log any more
                continue
            assert "closing record" in found.failed, (at, bytes([byte]), raw[at - 20 : at + 20])


@pytest.mark.slow
def test_an_edited_byte_of_parquet_is_noticed_or_changes_no_figure(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "a.parquet"
    write(path, channel(rows=(0, 201))._replace(window=(0.1, 1.9), spans=()))
    raw, before = path.read_bytes(), read(str(path), Hints())
    noticed = 0
    for at in random.Random(6).sample(range(len(raw)), 400):
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 0x11]) + raw[at + 1 :])
        try:
            found = verified(path)
        except EnergyMeterError:
            noticed += 1
            continue
        if "closing record" in found.failed:
            noticed += 1
        else:
            assert read(str(path), Hints()) == before, at
    assert noticed > 200


@pytest.mark.parametrize(
    "doctored",
    [
        lambda raw: raw[: len(raw) // 2],
        lambda raw: raw[: raw.rindex(b"# ")],
        lambda raw: raw + b"30.01,5.0,0.8,4.0,120.0,24.0,30.0\n",
        lambda raw: raw.replace(b"4.0,", b"3.0,", 1),
        lambda raw: raw.replace(b"ina226@1", b"ina226@2", 1),
    ],
    ids=["cut", "killed", "a row more", "a lower power", "another meter"],
)
def test_an_edited_log_fails_its_closing_record(doctored: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write(path, Claim())
    path.write_bytes(doctored(path.read_bytes()))
    assert "closing record" in verified(path).failed


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["verify", *map(str, arguments)])


def test_the_exit_code_says_whether_a_rule_failed(tmp_path: Path) -> None:
    good, silent, bad = (tmp_path / f"{name}.csv" for name in ("good", "silent", "bad"))
    write(good, Claim())
    write(silent, Claim(conditions=None))
    write(bad, DOCTORED["no card"][0])
    assert run(good).exit_code == 0
    assert run(good, "--strict").exit_code == 0
    assert run(silent).exit_code == 0
    refused = run(silent, "--strict")
    assert refused.exit_code == 15
    assert f"{silent}: no battery, unthrottled" in refused.stderr
    both = run(good, bad)
    assert both.exit_code == 15
    assert f"{bad}: calibrated" in both.stderr
    assert f"{good}: " not in both.stderr
    said = json.loads(run(bad, "--json").stdout)
    assert said[0]["failed"] == ["calibrated"]
    assert run(tmp_path / "none.csv").exit_code == 8


def test_limits_can_be_set(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write(path, Claim(window=(0.5, 4.5), spans=(("infer", 1.0, 0.5, 3),)))
    assert run(path).exit_code == 15
    assert run(path, "--seconds", 3).exit_code == 0
    assert run(path, "--calls", 3).exit_code == 0
    assert run(path, "--calls", 3, "--uncertainty", 0.0001).exit_code == 15
    assert run(path, "--calls", 3, "--samples", 1000).exit_code == 15


def test_a_real_run_says_what_is_known_of_it(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with EnergyMeter("sim:pi4", rate_hz=200, out=path) as meter:
        for _ in range(10):
            with meter.span("step"):
                sum(range(1000))
    found = verify(str(path))
    results = {rule.name: rule.result for rule in found.rules}
    assert results["closing record"] == results["clock agreement"] == results["duration"] == "passed", str(
        found
    )
    assert results["provenance"] == results["calibrated"] == "failed"
    record = read(str(path), Hints())[0]
    assert record.end is not None
    assert Conditions.from_dict(record.header["conditions"]).host == os.uname().nodename


def test_a_recording_of_others_is_mostly_unknown(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("time_s,power_w\n" + "".join(f"{n / 10},3.0\n" for n in range(200)))
    found = verify(str(path))
    assert found.failed == []
    assert {"closing record", "provenance", "calibrated", "duration", "unthrottled"} <= set(found.unknown)


def test_a_saved_trace_has_no_end_of_a_run(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", Claim())
    Trace.load(tmp_path / "a.csv").save(tmp_path / "b.csv")
    assert "clock agreement" in verified(tmp_path / "b.csv").unknown
    assert json.loads(run(tmp_path / "b.csv", "--json").stdout)[0]["rules"][0]["passed"] is True
    assert CARD["title"] in str(verified(tmp_path / "b.csv"))
