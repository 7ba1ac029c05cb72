"""A recording of several channels gives the same joules to all who read it, or an error with a reason."""

import json
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from energymeter import Trace
from energymeter.cli import cli
from energymeter.errors import EnergyMeterError

FIXTURE = Path(__file__).parent / "fixtures" / "log-0.1.0.csv"
_EPOCH = 1_777_888_800


def lines(line: str, devices: list[str], watts: list[int]) -> str:
    """Two minutes, a row a second for each device."""
    return "".join(
        line.format(
            i=i,
            e=_EPOCH + i,
            m=i // 60,
            s=i % 60,
            d=device,
            w=power + (i // 20) % 2,
            a=(power + (i // 20) % 2) / 5,
        )
        + "\n"
        for i in range(121)
        for device, power in zip(devices, watts, strict=True)
    )


FILES = {
    "two GPUs of nvidia-smi": (
        "timestamp, index, power.draw [W]\n"
        + lines("2026/05/04 10:{m:02}:{s:02}.000, {d}, {w}.00 W", ["0", "1"], [5, 10]),
        "index 1",
        True,
    ),
    "two Joulescopes": (
        "time,device,current,voltage,power\n"
        + lines("{i}.0,{d},{a},5.0,{w}.0", ["JS220-1", "JS220-2"], [5, 10]),
        "JS220-2",
        True,
    ),
    "nested rails": (
        "time_s,rail,power_W\n" + lines("{i},{d},{w}", ["VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"], [10, 4, 3]),
        "VDD_SOC",
        False,
    ),
    "rails that nobody knows": (
        "time_s,rail,power_W\n" + lines("{i},{d},{w}", ["VDD_A", "VDD_B"], [5, 10]),
        "VDD_B",
        None,
    ),
}  # fmt: skip
"""Each with one of its channels, and whether the channels are added; ``None``: it must be asked."""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def own(channels: bool) -> None:
    """A log of ours: an ITEM with its rails, or two sources that add up."""
    facts = json.loads(Path(FIXTURE).read_text().splitlines()[0][2:])["channels"][0]["facts"]
    header = {
        "format": "energymeter log 1", "sources": ["item"], "counted_sources": 1, "rate_hz": [1.0],
        "started": _EPOCH,
        "channels": [
            {
                "source": 0, "name": name, "rate_hz": 1.0, "identity": None, "calibration": None,
                "facts": {**facts, "counted": counted},
            }
            for name, counted in (("VDD_IN", True), ("SOC", channels))
        ],
    }  # fmt: skip
    rows = "".join(
        f"{i},{name},,,{watts},{watts * i},,{i}\n"
        for i in range(121)
        for name, watts in (("VDD_IN", 10), ("SOC", 3))
    )
    Path("log.csv").write_text(
        f"# {json.dumps(header)}\ntime_s,source,volts,amps,watts,joules,coulombs,covered_s\n{rows}"
    )


def asked(arguments: list[str]) -> tuple[float | None, str]:
    """The joules of a command's JSON, and what it said."""
    answered = CliRunner().invoke(cli, arguments)
    if answered.exit_code:
        return None, answered.output
    return json.loads(answered.stdout.splitlines()[-1])["joules"], answered.output


def everyone(path: str, channel: str | None) -> dict[str, tuple[float | None, str]]:
    """What each reader makes of a file, or of one channel of it."""
    hint = "" if channel is None else f"?channel={channel.replace(' ', '%20')}"
    chosen = [] if channel is None else ["--channel", channel]
    found = {"show": asked(["show", "--json", path, *chosen])}
    grid = ["--grams-per-kwh", "360", "--source", "a test, 2026", "--place", "wall", "--json"]
    grams = CliRunner().invoke(cli, ["carbon", path + hint, *grid])
    found["carbon"] = (
        (None, grams.output) if grams.exit_code else (json.loads(grams.stdout)["grams"] * 1e4, "")
    )
    option = f"?channel={channel}" if channel else "?speed=max"
    spec = f"replay@{path}{option}" + ("&speed=max" if channel else "")
    found["replay@"] = asked(["log", spec, "--duration", "120", "--json"])
    try:
        found["Trace.load"] = Trace.load(path, channel=channel).usage().joules, ""
    except EnergyMeterError as refused:
        found["Trace.load"] = None, str(refused)
    return found


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("chosen", [False, True], ids=["all that count", "one channel"])
def test_all_readers_agree(name: str, chosen: bool) -> None:
    text, channel, added = FILES[name]
    Path("log.csv").write_text(text)
    each = {key: Trace.load("log.csv", channel=key).usage().joules for key in channels_of(text)}
    found = everyone("log.csv", channel if chosen else None)
    if added is None and not chosen:
        assert all(joules is None for joules, _ in found.values()), found
        assert all("which of them contain others is not known" in said for _, said in found.values()), found
        return
    right = each[channel] if chosen else sum(each.values()) if added else each["VDD_IN"]
    assert {reader: pytest.approx(right, rel=1e-9) for reader in found} == {
        reader: joules for reader, (joules, _) in found.items()
    }, found


def channels_of(text: str) -> list[str]:
    titles, *rows = text.splitlines()
    place = 1
    names = sorted({row.split(",")[place].strip() for row in rows})
    return [f"{titles.split(',')[place].strip()} {name}" if name.isdigit() else name for name in names]


@pytest.mark.parametrize("added", [False, True], ids=["an input with a rail", "two that add up"])
@pytest.mark.parametrize("channel", [None, "SOC"])
def test_all_readers_agree_on_our_own_log(added: bool, channel: str | None) -> None:
    own(added)
    right = 360.0 if channel else 1560.0 if added else 1200.0
    found = everyone("log.csv", channel)
    assert {reader: pytest.approx(right) for reader in found} == {
        r: joules for r, (joules, _) in found.items()
    }, found


def test_a_rail_named_soc_is_no_state_of_charge() -> None:
    own(False)
    answered = CliRunner().invoke(
        cli, ["budget", "forecast", "--log", "log.csv", "--battery", "4000mAh", "--json"]
    )
    assert answered.exit_code == 0, answered.output
    assert json.loads(answered.stdout)["method"] == "energy"


@pytest.mark.parametrize("name", FILES)
def test_a_forecast_and_an_alignment_ask_or_use_the_same_power(name: str) -> None:
    text, channel, added = FILES[name]
    Path("log.csv").write_text(text)
    forecast = ["budget", "forecast", "--battery", "4000mAh", "--json", "--log"]
    answered = CliRunner().invoke(cli, [*forecast, "log.csv"])
    if added is None:
        assert answered.exit_code
        command = shlex.split(answered.output.rpartition("as in energymeter ")[2])
        answered = CliRunner().invoke(cli, command)
        channel = channels_of(text)[0]
    assert answered.exit_code == 0, answered.output
    hours = json.loads(answered.stdout)["hours"]["value"]
    trace = Trace.load("log.csv", channel=channel if added is None else None)
    Path("sum.csv").write_text(
        "time_s,power_W\n"
        + "".join(f"{at},{watts}\n" for at, watts in zip(trace.time_s, trace.watts, strict=True))
    )
    alone = CliRunner().invoke(cli, [*forecast, "sum.csv"])
    assert hours == pytest.approx(json.loads(alone.stdout)["hours"]["value"], rel=0.02)
    aligned = CliRunner().invoke(cli, ["align", "log.csv", "sum.csv"])
    assert ("as in energymeter align 'log.csv?channel=" in aligned.output) == (added is None), aligned.output
