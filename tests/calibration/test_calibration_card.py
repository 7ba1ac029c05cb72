"""Cards: written, found again by their meter's identity, applied, shown, and refused when not whole."""

import json
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energymeter import EnergyMeter, Reading
from energymeter.calibration import card as cards
from energymeter.calibration.card import Card, make_card
from energymeter.calibration.cards import Cards
from energymeter.calibration.points import Point, Reference
from energymeter.energy.correction import Correction, Line, Model
from energymeter.errors import CalibrationError, LogError
from energymeter.paths import cards_folder
from energymeter.reading import Band, Facts
from energymeter.recordings.trace import Trace

MADE = 1_795_219_200.0  # 2026-11-21
AMPS = Line(1.02, -0.001, ((1e-6, -1e-7), (-1e-7, 1e-8)), 0.0, 1.0)
VOLTS = Line(0.99, 0.01, ((1e-6, 0.0), (0.0, 1e-6)), 0.0, 5.0)
FLUKE = Reference("Fluke 17B+", Band(0.005, 0.003, 0.001), Band(0.015, 0.03, 0.01))


def card(identity: str = "KM003C 007", **model: object) -> Card:
    points = [Point("amps", 0.001, 0.0), Point("amps", 0.9813, 1.0, range="40mV", celsius=21.0)]
    return make_card(
        identity, FLUKE, points, Model(VOLTS, {"": AMPS})._replace(**model), made=MADE, celsius=22.0
    )


class Meter:
    """A source that shows 5 V and 1 A."""

    name = "bench"
    identity: str | None = "KM003C 007"
    facts = Facts(volts=Band(0.01, 0.01, 0.001), amps=Band(0.02, 0.01, 0.001))
    range = ""

    def open(self) -> None: ...
    def close(self) -> None: ...
    def read(self) -> Reading:
        return Reading(volts=5.0, amps=1.0)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert cards_folder().startswith(str(tmp_path))
    return tmp_path


def test_a_card_survives_its_file(tmp_path):
    whole = card(amps={"40mV": AMPS, "80mV": AMPS._replace(offset=0.002)}, clock_gain=1.001)
    assert cards.load(cards.save(whole, tmp_path / "c.json")) == whole
    tempco = AMPS._replace(
        gain_per_kelvin=1e-4, covariance=((1e-6, 0.0, 0.0), (0.0, 1e-8, 0.0), (0.0, 0.0, 1e-10))
    )
    assert Card.loads(card(amps={"": tempco}).dumps(), "x").model.amps[""] == tempco


def test_it_is_titled_as_results_show_it():
    assert card().title == "calibrated 2026-11-21 against Fluke 17B+"


def test_not_even_a_sign_of_zero_can_be_changed():
    text = card().dumps()
    changed = re.sub(r"\b0\.0\b", "-0.0", text)
    assert changed != text
    with pytest.raises(CalibrationError, match="was changed"):
        Card.loads(changed, "x")


@given(st.data())
def test_no_character_of_a_card_can_be_changed(data):
    text = card().dumps()
    at = data.draw(st.integers(0, len(text) - 2))
    changed = text[:at] + data.draw(st.characters(max_codepoint=127)) + text[at + 1 :]
    try:
        # such as other white space; compared as text, because 0.0 == -0.0
        same = json.dumps(json.loads(changed)) == json.dumps(json.loads(text))
    except ValueError:
        same = False
    if same:
        assert Card.loads(changed, "x") == card()
    else:
        with pytest.raises(CalibrationError):
            Card.loads(changed, "x")


@given(
    st.recursive(st.none() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))
)
def test_anything_else_is_no_card(thing):
    with pytest.raises(CalibrationError, match="not a calibration card"):
        Card.loads(json.dumps(thing), "x")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda fields: fields["model"]["amps"][""].update(gain=math.inf),
        lambda fields: fields["model"]["amps"][""].update(covariance=[[1.0]]),
        lambda fields: fields["model"].pop("volts"),
        lambda fields: fields.update(points=[{"ohms": 1}]),
        lambda fields: fields.update(reference=3),
        lambda fields: fields["model"]["amps"][""].update(gain=0.0),
        lambda fields: fields["model"]["amps"][""].update(gain=-1.0),
        lambda fields: fields["model"]["amps"][""].update(gain=1e308),
        lambda fields: fields["model"]["amps"][""].update(gain="1.0"),
        lambda fields: fields["model"]["amps"][""].update(gain=True),
        lambda fields: fields["model"]["amps"][""].update(offset=1e308),
        lambda fields: fields["model"]["amps"][""].update(covariance=[[-1.0, 0.0], [0.0, -1.0]]),
        lambda fields: fields["model"]["amps"][""].update(covariance=[[1e-6, 1.0], [1.0, 1e-6]]),
        lambda fields: fields["model"]["amps"][""].update(covariance=[[1e-6, 1e-8], [0.0, 1e-6]]),
        lambda fields: fields["model"]["amps"][""].update(gain_per_kelvin=1.0),
        lambda fields: fields["model"]["amps"][""].update(low=1.0, high=-1.0),
        lambda fields: fields["model"].update(clock_gain=0.0),
        lambda fields: fields["model"].update(clock_uncertainty=-1.0),
        lambda fields: fields["reference"].update(amps=[-1.0, 0.0, 0.0]),
        lambda fields: fields.update(celsius=1e6),
        lambda fields: fields.update(made=-1.0),
        lambda fields: fields.update(identity="x" * 10_000),
    ],
)
def test_a_sealed_card_that_holds_nonsense_is_refused(spoil):
    fields = json.loads(card().dumps())
    del fields["seal"]
    spoil(fields)
    fields["seal"] = cards._seal(fields)
    with pytest.raises(CalibrationError, match="has no valid calibration"):
        Card.loads(json.dumps(fields), "x")


def test_a_card_is_written_for_its_user_alone_through_no_name_that_can_be_foreseen(tmp_path):
    path, mine = tmp_path / "c.json", tmp_path / "mine.txt"
    mine.write_text("mine")
    for name in ("c.json", "c.part", "c.json.part"):
        (tmp_path / name).symlink_to(mine)
    cards.save(card(), path)
    assert cards.load(path) == card()
    assert mine.read_text() == "mine"
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(file.name for file in tmp_path.iterdir()) == ["c.json", "c.json.part", "c.part", "mine.txt"]


def test_it_is_applied_shown_and_turned_off(folder):
    path = cards.save(card())
    assert str(path.parent) == cards_folder()
    with EnergyMeter(Meter()) as meter:
        pass
    usage = meter.usage
    assert usage.mean_watts == pytest.approx((0.99 * 5 + 0.01) * (1.02 - 0.001))
    assert "calibrated 2026-11-21 against Fluke 17B+" in str(usage)
    assert usage.to_dict()["calibration"] == [card().title]
    causes = usage.to_dict()["uncertainty_by_cause"]
    with EnergyMeter(Meter(), calibration=False) as plain:
        pass
    assert plain.usage.mean_watts == pytest.approx(5.0)
    assert "calibrated" not in str(plain.usage)
    before = plain.usage.to_dict()["uncertainty_by_cause"]["current gain"] / plain.usage.joules
    assert causes["calibrated current gain"] / usage.joules < before / 4
    with EnergyMeter(Meter(), calibration=path) as named:
        pass
    assert named.usage.mean_watts == pytest.approx(usage.mean_watts)


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_log_shows_the_same_uncertainty_as_its_run(folder, tmp_path, suffix):
    cards.save(card())
    path = tmp_path / f"run.{suffix}"
    with EnergyMeter(Meter(), rate_hz=200, out=path, celsius=24.0) as meter:
        pass
    for trace in (meter.trace, Trace.load(path)):
        usage = trace.usage()
        assert usage.calibration == (card().title,)
        assert _systematic(usage) == pytest.approx(_systematic(meter.usage), rel=1e-6)
        assert usage.explain().endswith(card().title)
    Trace.load(path).save(tmp_path / f"again.{suffix}")
    again = Trace.load(tmp_path / f"again.{suffix}")
    assert again.resample(20.0).usage().calibration == (card().title,)
    with EnergyMeter(Meter(), calibration=False, out=path, force=True) as meter:
        pass
    assert Trace.load(path).usage().calibration == ()


def _systematic(usage):
    """What does not hang on the length of the window, relative to the energy."""
    return [share.joules / usage.joules for share in usage.components if share.systematic]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda channel: channel["calibration"].pop("model"),
        lambda channel: channel["calibration"].update(title="\x1b[2J"),
        lambda channel: channel["calibration"]["model"]["amps"][""].update(gain=math.nan),
        lambda channel: channel.update(calibration=3),
    ],
)
def test_a_log_s_calibration_that_is_damaged_is_reported(folder, tmp_path, spoil):
    cards.save(card())
    path = tmp_path / "run.csv"
    with EnergyMeter(Meter(), rate_hz=200, out=path):
        pass
    first, rest = path.read_text().split("\n", 1)
    header = json.loads(first.removeprefix("# "))
    spoil(header["channels"][0])
    path.write_text(f"# {json.dumps(header)}\n{rest}")
    with pytest.raises(LogError, match="damaged calibration"):
        Trace.load(path)


def test_spans_are_calibrated_like_their_run(folder):
    cards.save(card())
    with EnergyMeter(Meter(), rate_hz=200) as meter, meter.span("all"):
        pass
    assert meter.spans["all"].usage.calibration == (card().title,)


def test_another_meters_card_is_not_applied_and_when_asked_for_refused(folder, tmp_path):
    path = cards.save(card("KM003C 008"))
    with EnergyMeter(Meter()) as meter:
        pass
    assert meter.usage.mean_watts == pytest.approx(5.0)
    with pytest.raises(CalibrationError, match="is the card of KM003C 008, but this is KM003C 007"):
        EnergyMeter(Meter(), calibration=path).__enter__()


def test_a_card_of_a_bus_on_another_board_is_foreign(folder):
    theirs = card("ina219@1:0x40 with 0.1 ohm")._replace(board="elsewhere")
    cards.save(theirs)
    meter = Meter()
    meter.identity = theirs.identity
    with pytest.raises(CalibrationError, match="made on another board"):
        EnergyMeter(meter).__enter__()
    with EnergyMeter(meter, calibration=False):
        pass
    cards.save(card(theirs.identity))  # this board's own
    with EnergyMeter(meter) as measured:
        pass
    assert measured.usage.calibration


def test_a_tampered_card_stops_the_measurement(folder):
    path = cards.save(card())
    path.write_text(path.read_text().replace("1.02", "1.03"))
    with pytest.raises(CalibrationError, match="changed or damaged"):
        EnergyMeter(Meter()).__enter__()
    with EnergyMeter(Meter(), calibration=False):
        pass


def test_a_meter_without_identity_goes_by_its_name(folder):
    cards.save(card("bench"))
    meter = Meter()
    meter.identity = None
    with EnergyMeter(meter) as measured:
        pass
    assert measured.usage.calibration


def test_boards_are_reported_apart_by_serial_number_then_machine_id(tmp_path):
    assert cards.board_serial(str(tmp_path)) == "unknown"
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/machine-id").write_text("abc\n")
    by_id = cards.board_serial(str(tmp_path))
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/serial-number").write_bytes(b"10000000abcdef\0")
    assert len({by_id, cards.board_serial(str(tmp_path)), "unknown"}) == 3
    assert "abc" not in by_id


def test_what_speaks_against_a_card_is_said(folder):
    it = card()
    assert it.warnings(MADE, 22.0, 1.0) == []
    assert it.warnings(MADE + 400 * 86400, None, None) == ["its calibration is 1.1 years old"]
    assert it.warnings(MADE, 35.0, None) == ["it was calibrated in air 13 K cooler"]
    assert it.warnings(MADE, None, 1.3) == ["1.3 A is beyond the 1 A it was calibrated up to"]
    cards.save(it._replace(made=MADE - 10 * 365.25 * 86400))
    with EnergyMeter(Meter(), celsius=5.0) as meter:
        pass
    assert any("years old" in note for note in meter.usage.notes)
    assert any("17 K warmer" in note for note in meter.usage.notes)


def test_each_range_has_its_own_line():
    model = Model(amps={"40mV": AMPS, "80mV": AMPS._replace(offset=0.5)})
    correction = model.correction()
    assert correction.of(Reading(amps=1.0), "40mV").amps == pytest.approx(1.019)
    assert correction.of(Reading(amps=1.0), "80mV").amps == pytest.approx(1.52)
    assert correction.of(Reading(amps=1.0), "320mV").amps == pytest.approx(1.019)  # not calibrated


def test_the_airs_temperature_turns_the_gain():
    line = AMPS._replace(gain_per_kelvin=1e-3)
    assert Model(amps={"": line}).correction(10.0).amps_gain == pytest.approx(1.02 * 1.01)


def test_a_corrected_counter_wraps_where_the_raw_one_does():
    facts = Facts(semantics="counter", joules_wrap=100.0, coulombs_wrap=10.0)
    wraps = Correction(volts_gain=1.1, amps_gain=1.01, clock_gain=0.99).wraps(facts)
    assert wraps.joules_wrap == pytest.approx(100 * 1.1 * 1.01 * 0.99)
    assert wraps.coulombs_wrap == pytest.approx(10 * 1.01 * 0.99)


def test_a_shown_power_has_a_line_of_its_own():
    correction = Model(watts=Line(1.05, 0.2, ((0.0, 0.0), (0.0, 0.0)), 0.0, 9.0)).correction()
    assert correction.of(Reading(watts=4.0)).watts == pytest.approx(4.4)
    assert Cards([card()]).corrections()["KM003C 007"].of(Reading(watts=1.0)).watts == pytest.approx(
        0.99 * 1.02
    )


def test_repr_and_a_notebook_show_the_lines_with_units() -> None:
    assert repr(card()) == (
        "Card(meter KM003C 007; card calibrated 2026-11-21 against Fluke 17B+; "
        "volts 0.99000 × shown +0.01 V, gain ± 0.20 % (k = 2); "
        "amps 1.02000 × shown -0.001 A, gain ± 0.20 % (k = 2))"
    )
    assert "<td>amps</td><td>1.02000 × shown -0.001 A" in card()._repr_html_()


def leaves(value, path=()):
    """The paths of all values of a JSON document."""
    yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from leaves(value[key], (*path, key))


HOSTILE = [None, True, "x", "\x1b[2J", [], {}, -1, 0, 10**400, 1e308, -1e308, 5e-324, math.nan, math.inf]


def test_any_sealed_card_is_refused_or_can_be_used():
    """Anybody can seal a card: each value of one, replaced by each of the hostile ones."""
    whole = json.loads(card().dumps())
    del whole["seal"]
    used = 0
    for path in list(leaves(whole))[1:]:
        for hostile in HOSTILE:
            fields = json.loads(json.dumps(whole))
            place = fields
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = hostile
            text = json.dumps({**fields, "seal": cards._seal(fields)})
            try:
                loaded = Card.loads(text, "x")
            except CalibrationError:
                continue
            used += 1
            assert repr(loaded).isprintable()
            corrected = loaded.model.correction(loaded.kelvin(20.0) or 0.0).of(Reading(volts=5.0, amps=1.0))
            assert math.isfinite(corrected.volts * corrected.amps)
            assert all(math.isfinite(line.uncertainty(1.0)) for line in loaded.model.amps.values())
            assert isinstance(loaded.warnings(MADE, 20.0, 1.0), list)
    assert used > 20, "an offset of 0 or a name of x is allowed"


def test_a_file_that_is_too_large_for_a_card_is_refused(tmp_path):
    path = tmp_path / "x.json"
    path.write_text(" " * 1_000_001)
    with pytest.raises(CalibrationError, match="larger than 1 MB"):
        cards.load(path)


def test_more_cards_than_anybody_has_are_refused(folder, monkeypatch):
    monkeypatch.setattr(cards, "MOST_CARDS", 2)
    for number in range(3):
        cards.save(card(f"meter {number}"))
    with pytest.raises(CalibrationError, match="more than 2 cards"):
        cards.load_all()


def test_a_card_that_cannot_be_written_names_another_place(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CalibrationError, match=r"c\.json cannot be written: .*; name another with --card"):
        cards.save(card(), tmp_path / "file" / "c.json")
