"""The limits of an agent and its texts by exact values: at each limit, just below it and just above."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from made_figures import BOARD, BUDGET, CPU, figures

from energymeter.battery.battery import Battery
from energymeter.budget.account import Account
from energymeter.clock import ManualClock
from energymeter.errors import SpecError
from energymeter.serve import names
from energymeter.serve.batteries import Batteries, by_gauge
from energymeter.serve.config import Config, SourceEntry
from energymeter.serve.http import LEAST_TOKEN, MOST_TOKEN, Listen, accepted, read_token
from energymeter.serve.mqtt import Broker, discovery, object_name, values
from energymeter.serve.otel import _battery_attributes, _times, attributes, checked_endpoint
from energymeter.serve.snapshot import ChannelState, without_nested
from energymeter.serve.totals import Rising, Totals
from energymeter.serve.unit import units

# Names ------------------------------------------------------------------------------------------------------


def test_the_ranges_of_histograms_are_those_that_dashboards_were_made_with() -> None:
    """A range that moves begins new series, and old ones end."""
    assert names.JOULE_BUCKETS == (
        0.001, 0.01, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 100_000, 1_000_000,
    )  # fmt: skip
    assert names.SECOND_BUCKETS == (
        0.001, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3600, 86_400,
    )  # fmt: skip
    assert (names.MOST_SPANS, names.MOST_SOURCES) == (100, 64)


def test_only_the_measured_share_and_the_missed_samples_are_about_the_meter() -> None:
    diagnostic = {sensor.kind for sensor in names.MQTT_SENSORS if sensor.diagnostic}
    assert diagnostic == {"coverage", "missed"}


# Units of systemd -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("group", "user", "path", "mode", "shown"),
    [
        (None, False, "/run/energymeter/agent.sock", "0600", ""),
        ("lab", False, "/run/energymeter/agent.sock", "0660", "SocketGroup=lab\n"),
        (None, True, "%t/energymeter/agent.sock", "0600", ""),
        ("lab", True, "%t/energymeter/agent.sock", "0600", ""),
    ],
)
def test_the_socket_of_a_unit_is_open_to_those_who_are_named(
    group: str | None, user: bool, path: str, mode: str, shown: str
) -> None:
    text = units(["sim:pi4"], group, user)
    assert f"ListenStream={path}\nSocketMode={mode}\n{shown}RemoveOnStop=yes\n" in text
    hidden = "" if user else "ProtectHome=read-only\n"
    assert f"ProtectSystem=strict\n{hidden}PrivateTmp=yes\n" in text


@pytest.mark.parametrize("sign", ["\n", "\r", "\0"])
@pytest.mark.parametrize("place", ["argument", "group", "folder"])
def test_no_word_of_a_unit_ends_its_line(sign: str, place: str) -> None:
    word = f"a{sign}b"
    given: dict[str, tuple[Any, ...]] = {
        "argument": (["x", word], None, False),
        "group": ([], word, False),
        "folder": ([], None, False, ["/srv", word]),
    }
    with pytest.raises(SpecError, match="a unit holds each argument on one line; leave out the line breaks"):
        units(*given[place])


# Batteries --------------------------------------------------------------------------------------------------


@pytest.fixture
def gauge(tmp_path: Path) -> Any:
    """A machine; a call adds a gauge."""

    def add(name: str, **files: str) -> str:
        folder = tmp_path / "sys/class/power_supply" / name
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in {"type": "Battery", **files}.items():
            (folder / file).write_text(f"{content}\n")
        return str(tmp_path)

    return add


@pytest.mark.parametrize(
    ("percent", "share"),
    [
        ("0", (0.0, 0.0, 0.005)),
        ("61", (0.61, 0.605, 0.615)),
        ("99.7", (0.997, 0.992, 1.0)),
        ("100", (1.0, 0.995, 1.0)),
        ("-1", None),
        ("100.5", None),
        ("unknown", None),
    ],
)
def test_a_gauge_is_good_to_half_a_percent(
    percent: str, share: tuple[float, float, float] | None, gauge: Any
) -> None:
    found = by_gauge(gauge("BAT0", capacity=percent))
    assert len(found) == (share is not None)
    for state in found:
        assert state.share[:3] == pytest.approx(share, abs=1e-12)
        assert tuple(state.rail_joules) == (0.0, 0.0, 0.0, "J")
        assert (state.hours, state.mah, state.is_budget) == (None, None, False)
        assert state.reason == "make a budget to see hours left"


def test_batteries_of_other_things_hide_none_of_this_machine(gauge: Any) -> None:
    gauge("A", type="Mains", capacity="50")
    gauge("B", capacity="255")
    gauge("C", capacity="80", scope="Device")
    gauge("D", capacity="40", scope="System")
    assert [state.name for state in by_gauge(gauge("E", capacity="30"))] == ["D", "E"]


@pytest.mark.parametrize(("seconds", "seen"), [(9.999_999_999, 0.5), (10.0, 0.4)])
def test_gauges_are_read_every_ten_seconds(seconds: float, seen: float, gauge: Any) -> None:
    clock = ManualClock(5_000_000_000)
    left = Batteries([], clock, gauge("BAT0", capacity="50"))
    assert left()[0].share.value == 0.5
    gauge("BAT0", capacity="40")
    clock.sleep(seconds)
    assert left()[0].share.value == seen


def test_a_budget_says_what_a_full_battery_holds_and_what_is_left(tmp_path: Path) -> None:
    account = Account("hill", Battery.parse("4000mAh"))
    (state,) = Batteries(["hill"], ManualClock(), str(tmp_path))()
    assert (state.name, state.is_budget, state.mah) == ("hill", True, 4000.0)
    assert state.rail_joules == account.remaining_joules
    assert state.reason == account.forecast().reason


# Configuration ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "linger", "always"),
    [
        ({}, 5.0, False),
        ({"linger": "0"}, 0.0, False),
        ({"linger": "86400", "always": "on"}, 86_400.0, True),
        ({"linger": "86400.1"}, None, False),
        ({"linger": "-0.1"}, None, False),
        ({"always": "TRUE"}, 5.0, True),
        ({"always": "Off"}, 5.0, False),
    ],
)
def test_how_long_a_source_is_read_on(keys: dict[str, str], linger: float | None, always: bool) -> None:
    if linger is None:
        with pytest.raises(
            SpecError, match="always is yes or no, and linger at most 86400 seconds; correct it"
        ):
            Config(())._with_agent(keys)
    else:
        made = Config(())._with_agent(keys)
        assert (made.linger_seconds, made.always) == (linger, always)


def test_sources_of_one_driver_are_numbered() -> None:
    config = Config.of(("manual:7W", "manual:7W", "sim:pi4", "manual:7W"))
    assert [entry.name for entry in config.sources] == ["manual", "manual-2", "sim", "manual-3"]


def test_an_agent_has_sixty_four_sources_of_different_names() -> None:
    entries = [SourceEntry.of(f"s{number}", "manual:7W") for number in range(65)]
    assert len(Config(tuple(entries[:64])).checked().sources) == 64
    refused = "an agent serves at most 64 sources, each of another name; rename some"
    for wrong in (entries, [entries[0], entries[0]]):
        with pytest.raises(SpecError, match=refused):
            Config(tuple(wrong)).checked()
    assert SourceEntry.of("s" * 64, "manual:7W").name == "s" * 64
    with pytest.raises(SpecError, match="cannot be named"):
        SourceEntry.of("s" * 65, "manual:7W")


def test_a_configuration_has_64_kib(tmp_path: Path) -> None:
    text = "[source a]\nspec = manual:7W\nrate = 2.5\n"
    path = tmp_path / "agent.ini"
    path.write_text(text + "#" * (65_536 - len(text)))
    (entry,) = Config.load(str(path)).sources
    assert entry.configs[0].rate_hz == 2.5
    path.write_text(text + "#" * (65_537 - len(text)))
    with pytest.raises(SpecError, match="cannot be read"):
        Config.load(str(path))


# HTTP -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "fine"),
    [
        ("t" * LEAST_TOKEN, True),
        (" " + "t" * LEAST_TOKEN + " \n", True),
        ("t" * (LEAST_TOKEN - 1), False),
        ("t" * 10 + " " + "t" * 10, False),
        ("t" * 10 + "\x1b" + "t" * 10, False),
        ("t" * MOST_TOKEN, True),
        ("t" * (MOST_TOKEN + 1), False),
    ],
)
def test_a_token_has_16_to_1024_characters(text: str, fine: bool, tmp_path: Path) -> None:
    assert (LEAST_TOKEN, MOST_TOKEN) == (16, 1024)
    path = tmp_path / "token"
    path.write_text(text)
    path.chmod(0o600)
    if fine:
        assert read_token(str(path)) == text.strip()
    else:
        with pytest.raises(SpecError, match=r"write one with `openssl rand -hex 32`"):
            read_token(str(path))


@pytest.mark.parametrize("mode", [0o601, 0o602, 0o604, 0o610, 0o620, 0o640])
def test_a_token_that_anybody_else_may_touch_is_none(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("t" * 20)
    path.chmod(mode)
    with pytest.raises(SpecError, match="others can read the token"):
        read_token(str(path))
    path.chmod(0o700)
    assert read_token(str(path)) == "t" * 20


@pytest.mark.parametrize(
    ("given", "fine"),
    [
        ("Bearer secret", True),
        ("bearer  secret ", True),
        ("Basic secret", False),
        ("Bearer secre", False),
        ("Bearer secrets", False),
        ("secret", False),
        ("Bearer sécret", False),
        ("", False),
    ],
)
def test_a_bearer_has_the_whole_token(given: str, fine: bool) -> None:
    assert accepted({"authorization": given}, "secret") is fine
    assert accepted({"authorization": given}, None), "none is needed"


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:0", "127.0.0.1", 0),
        ("127.0.0.1:65535", "127.0.0.1", 65_535),
        ("[::1]:80", "::1", 80),
        ("127.0.0.1:65536", None, 0),
        ("127.0.0.1:٣", None, 0),
        ("127.0.0.1:-1", None, 0),
        (":80", None, 0),
    ],
)
def test_an_address_to_listen_at(text: str, host: str | None, port: int) -> None:
    if host is None:
        with pytest.raises(SpecError, match=r"is no address to listen at; write it as in --listen 127\.0"):
            Listen.of(text)
    else:
        assert tuple(Listen.of(text)) == (host, port, None, None, None)
        assert Listen.of(text).hosts == ("localhost", "127.0.0.1", "[::1]", host)


# Totals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        (Rising(5.0, 0.0, 0.0), 0.0, Rising(5.0, 0.0, 0.0)),
        (Rising(5.0, 0.0, 0.5), 0.5, Rising(5.0, 0.0, 0.0)),
        (Rising(5.0, 0.0, 0.5), 0.75, Rising(5.25, 0.0, 0.0)),
        (Rising(5.0, 0.0, 0.5), -0.25, Rising(5.0, 0.0, 0.75)),
        (Rising(5.0, 0.0, 0.0), -1.0, Rising(5.0, 0.0, 1.0)),
        (Rising(5.0, 2.0, 0.0), -1.25, Rising(5.0, 3.25, 0.0)),
        (Rising(5.0, 2.0, 0.75), -0.5, Rising(5.0, 3.25, 0.0)),
    ],
)
def test_a_total_is_split_by_direction(before: Rising, change: float, after: Rising) -> None:
    assert before.after(change) == after


def test_what_a_total_counts_of_two_states_of_a_run_and_of_the_next_run() -> None:
    totals, state = Totals(), ChannelState("a", "b", "rail", "measured", True, "1")
    totals.take([state._replace(joules=10.0, uncertainty_joules=2.0, measured_seconds=5.0, missed=3)])
    key = ("a", "b")
    assert tuple(totals.channels[key]) == (Rising(10.0), Rising(), 2.0, 5.0, 3, False)
    # an uncertainty that shrinks, as with a new calibration, takes nothing back; nor does a count
    smaller = state._replace(joules=11.0, uncertainty_joules=1.0, measured_seconds=4.0, missed=2)
    totals.take([smaller])
    assert tuple(totals.channels[key]) == (Rising(11.0), Rising(), 2.0, 5.0, 3, False)
    totals.take([smaller._replace(uncertainty_joules=2.5, measured_seconds=6.0, missed=4, coulombs=2.0)])
    assert tuple(totals.channels[key]) == (Rising(11.0), Rising(2.0), 2.5, 6.0, 4, True)
    totals.take([state._replace(run="2", joules=1.0, uncertainty_joules=0.5, measured_seconds=1.0, missed=1)])
    assert tuple(totals.channels[key]) == (Rising(12.0), Rising(2.0), 3.0, 7.0, 5, True)


@pytest.mark.parametrize(
    ("row", "fine"),
    [
        ([[1, 2, 3], [4, 5, 6], 7, 8, 9, True], True),
        ([[1e15, 0, 0], [0, 0, 0], 1e15, 1e15, 1e15, False], True),
        ([[1.01e15, 0, 0], [0, 0, 0], 0, 0, 0, False], False),
        ([[0, 0, 0], [0, 0, -1], 0, 0, 0, False], False),
        ([[0, 0, 0], [0, 0, 0], -1, 0, 0, False], False),
        ([[0, 0, 0], [0, 0, 0], 0, -1, 0, False], False),
        ([[0, 0, 0], [0, 0, 0], 0, 0, -1, False], False),
        ([[0, 0], [0, 0, 0], 0, 0, 0, False], False),
        ([[0, 0, 0], [0, 0, 0, 0], 0, 0, 0, False], False),
    ],
)
def test_totals_of_a_file_lie_within_their_limits(row: list[Any], fine: bool, tmp_path: Path) -> None:
    path = tmp_path / "totals.json"
    path.write_text(json.dumps({"format": 1, "channels": [["a", "b", *row]], "spans": []}))
    if fine:
        found = Totals(str(path)).channels["a", "b"]
        joules, coulombs, *rest = row
        assert tuple(found) == (Rising(*joules), Rising(*coulombs), *rest)
    else:
        with pytest.warns(RuntimeWarning, match="counters begin at 0"):
            assert Totals(str(path)).channels == {}


def test_the_file_of_totals_says_its_format_and_holds_spans_exactly(tmp_path: Path) -> None:
    path = tmp_path / "totals.json"
    totals = Totals(str(path))
    totals.add_span("board", "infer", -2.0, 0.25)
    totals.add_span("board", "infer", 1e9, 1e6)
    totals.leave_out("board", "infer", 3)
    totals.add_span("board", "infer", 1.0, math.inf)
    totals.save()
    said = json.loads(path.read_text())
    ((source, name, joules, seconds, left_out, systematic, random),) = said["spans"]
    assert (systematic, random) == (None, 0.0), "of none is known how uncertain it is"
    assert (said["format"], said["channels"], source, name, left_out) == (1, [], "board", "infer", 3)
    assert joules == [[*names.JOULE_BUCKETS], [1, *[0] * 14, 1], 1e9 - 2.0]
    assert seconds == [[*names.SECOND_BUCKETS], [0] * 4 + [1] + [0] * 9 + [1], 1e6 + 0.25]
    assert Totals(str(path)).spans == totals.spans
    assert totals.spans["board", "infer"].calls == 2


# Snapshots --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("measured", "seconds", "coverage"),
    [(0.0, 0.0, 1.0), (5.0, 10.0, 0.5), (10.0, 10.0, 1.0), (10.1, 10.0, 1.0), (0.0, 1e-9, 0.0)],
)
def test_the_share_that_was_measured(measured: float, seconds: float, coverage: float) -> None:
    assert BOARD._replace(measured_seconds=measured, seconds=seconds).coverage == coverage


def test_a_channel_of_which_nothing_is_known_has_no_figures() -> None:
    state = ChannelState("a", "b", "rail", "measured", True, "1")
    assert tuple(state)[6:] == (None, None, None, 0.0, 0.0, 0, None, None, None)
    assert state.coverage == 1.0


@pytest.mark.parametrize(
    ("places", "counted"),
    [
        (["die", "rail"], [False, True]),
        (["rail", "cell"], [False, True]),
        (["cell", "wall"], [False, True]),
        (["die", "die"], [True, True]),
        (["wall", "cell", "rail", "die"], [True, False, False, False]),
    ],
)
def test_the_outermost_place_counts(places: list[Any], counted: list[bool]) -> None:
    states = [BOARD._replace(place=place) for place in places]
    assert [state.counted for state in without_nested(states)] == counted
    rail = BOARD._replace(place="wall", counted=False)  # one that does not count hides none
    assert [state.counted for state in without_nested([rail, *states])] == [False, *counted]


# OpenTelemetry ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("totals", "host", "parent"),
    [
        (["a"], None, "board/a"),
        (["board"], None, "board"),
        (["a", "b"], None, None),
        (["a", "b"], "board", "board"),
        (["a"], "board", "board"),
        (["a"], "another", "board/a"),
        ([], "board", None),
        ([], None, None),
    ],
)
def test_a_rail_names_what_contains_it(totals: list[str], host: str | None, parent: str | None) -> None:
    rail = BOARD._replace(channel="gpu", counted=False)
    others = [CPU, *(BOARD._replace(channel=name) for name in totals)]
    assert attributes(rail, [rail, *others], host).get(names.OTEL_PARENT) == parent
    assert names.OTEL_PARENT not in attributes(BOARD, [rail, *others], host)


@pytest.mark.parametrize(
    ("given", "endpoint"),
    [
        ("http://host:4318", "http://host:4318/v1/metrics"),
        ("https://host/", "https://host/v1/metrics"),
        ("http://host/otlp", "http://host/otlp"),
        ("grpc://host", None),
        ("http://me@host", None),
        ("http://", None),
    ],
)
def test_where_figures_are_sent(given: str, endpoint: str | None) -> None:
    if endpoint is None:
        with pytest.raises(SpecError, match="that is no endpoint of OTLP"):
            checked_endpoint(given)
    else:
        assert checked_endpoint(given) == endpoint


def test_what_a_battery_holds_and_how_long_it_lasts() -> None:
    assert _battery_attributes(BUDGET)["hw.battery.capacity"] == "4.000Ah"
    assert "hw.battery.capacity" not in _battery_attributes(BUDGET._replace(mah=None))
    ((seconds, its),) = _times(figures())
    assert seconds == 1.7 * 3600
    assert its["hw.state"] == "discharging"


# MQTT -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "broker"),
    [
        ("mqtt://host", ("host", 1883, False, None)),
        ("mqtts://host", ("host", 8883, True, None)),
        ("mqtts://me@host:1", ("host", 1, True, "me")),
        ("mqtt://host:65535/", ("host", 65_535, False, None)),
    ],
)
def test_the_address_of_a_broker(url: str, broker: tuple[Any, ...]) -> None:
    assert tuple(Broker.parse(url)) == broker


def test_what_each_sensor_shows() -> None:
    back = BOARD._replace(
        source="solar", channel="solar", joules=-36.0, watts=-1.25, coulombs=None, volts=None
    )
    found = [(one.title, one.sensor.kind, one.state) for one in values(figures(BOARD, back, batteries=()))]
    board = "board ina219@1:0x40"
    assert found == [
        (board, "energy", "2"),
        (board, "coverage", "95"),
        (board, "missed", "7"),
        (board, "power", "3.6"),
        (board, "voltage", "5.02"),
        ("solar", "energy", "0"),
        ("solar", "returned_energy", "0.01"),
        ("solar", "coverage", "95"),
        ("solar", "missed", "7"),
        ("solar", "power", "-1.25"),
    ]


def test_a_name_in_topics_is_short_and_the_only_one() -> None:
    assert object_name("k", "A" * 50) == "a" * 40 + "_8254c329"
    assert object_name("k", "//") == "_8254c329"
    value = next(iter(values(figures())))
    config = discovery(value, "node", "Field Pi")
    assert config["name"] == "board ina219@1:0x40 energy"
    assert config["device"]["name"] == "Field Pi"
