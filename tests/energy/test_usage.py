"""What a usage says: its figures, its ±, what it leaves open; in text, HTML and JSON."""

import json
import math
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energymeter.energy.uncertainty import Component, Part, expanded, subtracted
from energymeter.energy.usage import Idle, Usage, combine, difference
from energymeter.energy.window import Window
from energymeter.errors import NotMeasured, SpecError
from energymeter.reading import Band, Facts, Semantics

KNOWN = Facts(volts=Band(0.005, 0.004), amps=Band(0.005, 0.001))
NAN = math.nan


def window(joules: float = 10.0, seconds: float = 4.0, **others: float) -> Window:
    figures = {"coulombs": joules / 5, "volt_seconds": 5 * seconds, "covered_seconds": seconds}
    return Window(
        **{
            "seconds": seconds,
            "joules": joules,
            "gap_fill_joules": 0.0,
            "variance_joules2": 0.0,
            "edge_joules": 0.0102,
            "peak_watts": 3.0,
            **figures,
            **others,
        }
    )


def part(figures: Window, facts: Facts = KNOWN, name: str = "rail") -> Part:
    return Part(name, facts, figures)


def test_one_channel() -> None:
    usage = combine([part(window())])
    assert (usage.joules, usage.wh, usage.mah) == (10.0, 10 / 3600, 2 / 3.6)
    assert (usage.mean_watts, usage.peak_watts, usage.mean_volts) == (2.5, 3.0, 5.0)
    assert str(usage) == "10.000 J ± 0.088 · 0.556 mAh at 5.00 V · 2.50 W mean · 4.0 s · rail measured"


def test_rails_of_one_voltage_share_their_charge() -> None:
    usage = combine(
        [part(window()), part(window(joules=20.0, peak_watts=6.0), Facts(provenance="manual"), "usb")]
    )
    assert (usage.joules, usage.coulombs, usage.peak_watts) == (30.0, 6.0, 9.0)
    assert usage.provenance == "manual"
    assert usage.notes == ("± without the unknown accuracy of usb",)


@pytest.mark.parametrize(
    ("semantics", "seconds", "interval", "noted"),
    [
        ("instant", 4.0, 40.1, True),
        ("instant", 4.0, 39.9, False),  # one within, in one of ten
        ("instant", 0.1, 60.0, True),
        ("instant", 0.099, 60.0, False),  # no time for much
        ("mean", 4.0, 60.0, False),  # it knows of all the time
        ("counter", 4.0, 60.0, False),
    ],
)
def test_a_window_that_is_hardly_read_says_so(
    semantics: Semantics, seconds: float, interval: float, noted: bool
) -> None:
    facts = KNOWN._replace(semantics=semantics)
    short = part(window(seconds=seconds, covered_seconds=seconds), facts)._replace(interval_seconds=interval)
    text = "rail is read too seldom to know what it drew in this window; measure longer, or more often"
    assert (combine([short]).notes == (text,)) is noted


@pytest.mark.parametrize(
    "other",
    [
        part(window(volt_seconds=48.0)),
        part(window(volt_seconds=NAN)),
        part(window(), KNOWN._replace(place="wall")),
    ],
)
def test_charge_of_different_voltages_does_not_add(other: Part) -> None:
    usage = combine([part(window()), other])
    assert usage.joules == 20.0
    assert usage.coulombs is None
    assert usage.mah is None
    assert usage.mean_volts is None


def test_nominal_voltage_is_reported() -> None:
    usage = combine([part(window(coulombs=NAN, volt_seconds=NAN))], nominal_volts=5.0)
    assert usage.mah == pytest.approx(2 / 3.6)
    assert "0.556 mAh at 5.0 V nominal" in str(usage)
    assert combine([part(window(coulombs=NAN))]).mah is None


def test_uncounted_channels_do_not_add() -> None:
    excluded = part(window(joules=99.0), KNOWN._replace(counted=False))
    assert combine([part(window()), excluded]).joules == 10.0
    with pytest.raises(SpecError, match="none of these channels counts"):
        combine([excluded])


@pytest.mark.parametrize("figures", [window(joules=NAN), window(covered_seconds=0.0)])
def test_nothing_measured_is_not_zero(figures: Window) -> None:
    with pytest.raises(NotMeasured, match="rail measured nothing"):
        combine([part(figures)])


def test_part_of_the_time() -> None:
    usage = combine([part(window(covered_seconds=3.0, gap_fill_joules=2.0))], missed=7)
    assert usage.coverage == 0.75
    assert usage.mean_watts == pytest.approx(10 / 3)
    assert usage.interpolated_joules == 12.0
    assert "75.0 % of the time measured · 7 readings missed" in str(usage)
    assert " · 1 reading missed" in str(combine([part(window())], missed=1))
    assert "missed" not in str(combine([part(window())], missed=0))


def test_channels_that_saw_different_shares_of_the_time() -> None:
    """4 s at 2.5 W and, seen for half of it only, 2 s at 1 W: together 3.5 W, whatever was missed."""
    usage = combine(
        [part(window(joules=10.0)), part(window(joules=2.0, covered_seconds=2.0), KNOWN)],
    )
    assert usage.joules == 12.0
    assert usage.mean_watts == pytest.approx(3.5)
    assert usage.coverage == 0.5
    assert usage.covered_seconds == (4.0, 2.0)
    assert usage.gap_seconds == 2.0
    assert usage.bounds == pytest.approx((12.0, 12.0 + 2.0 * 3.0))


def test_a_small_source_that_missed_much_is_not_hidden_by_a_large_one() -> None:
    small = window(joules=0.25, covered_seconds=2.5, peak_watts=0.1, gap_fill_joules=0.15)
    usage = combine([part(window(joules=400.0, peak_watts=120.0)), part(small, KNOWN)])
    assert usage.coverage == 0.625
    assert "62.5 % of the time measured" in str(usage)
    assert usage.bounds == pytest.approx((400.25, 400.40)), "the peak of the source that missed, not of both"
    assert usage.mean_watts == pytest.approx(100.1)


def test_unknown_bridge_is_not_a_number_in_json() -> None:
    usage = combine([part(window(covered_seconds=3.0, gap_fill_joules=NAN))])
    assert usage.interpolated_joules is None


def test_window_without_length() -> None:
    usage = combine([part(window(joules=0.0, seconds=0.0, edge_joules=0.0))])
    assert usage.mean_watts is None
    assert usage.mean_volts is None
    assert usage.coverage == 1.0
    assert str(usage).startswith("0.000 J · 0 mAh · 0 s")


def test_net_of_idle_and_gross() -> None:
    quiet = combine([part(window(8.0, edge_joules=0.02))])
    a_second = tuple(share._replace(joules=share.joules / 4) for share in quiet.components)
    usage = combine([part(window())], idle=Idle(2.0, 0.01, a_second))
    assert usage.joules == 10.0
    assert usage.net_joules == 2.0
    # two gains of 0.5 % scale the difference of 2 J, the current's offset cancels, the voltage's works on
    # the difference of the charges; edges are new in each window
    gain, volts_offset = 2 * 2 * 0.005 / math.sqrt(3), 2 * 0.4 * 0.004 / math.sqrt(3)
    net = math.hypot(gain, gain, volts_offset, 2 * 0.0102, 2 * 0.02)
    assert usage.net_uncertainty == pytest.approx(net, rel=1e-9)
    assert "10.000 J ± 0.088 · 2.000 J ± " in str(usage)
    assert "net of idle" in str(usage)
    assert combine([part(window())]).net_joules is None
    alien = combine([part(window())], idle=Idle(2.0, 0.01))  # nobody knows what it has in common
    assert alien.net_uncertainty == pytest.approx(math.hypot(alien.uncertainty, 0.04), rel=1e-9)


def test_a_source_that_missed_much_is_net_of_its_own_idle_alone() -> None:
    parts = [part(window(20.0), name="a"), part(window(20.0, covered_seconds=2.0), name="b")]  # 5 W, 10 W
    systematic = Component("power gain", 0.1, "b", systematic=True)  # J in a second
    idle = Idle(3.0, 0.01, (systematic,), (("a", 2.0), ("b", 1.0)))
    usage = combine(parts, idle=idle)
    assert usage.net_joules == pytest.approx((5 - 2) * 4 + (10 - 1) * 2)
    two_seconds = [systematic._replace(joules=0.2)]
    assert usage.net_uncertainty == pytest.approx(expanded(subtracted(usage.components, two_seconds)))
    of_others = combine(parts, idle=idle._replace(watts_by_source=(("c", 3.0),)))
    assert of_others.net_joules == pytest.approx(40.0 - 3.0 * of_others.measured_seconds)


def test_idle_above_the_run_is_reported_as_it_is() -> None:
    usage = combine([part(window())], idle=Idle(3.0, 0.01))
    assert usage.net_joules == -2.0
    assert "-2.000 J" in str(usage)


def test_charging_is_negative() -> None:
    usage = combine([part(window(joules=-10.0))])
    assert str(usage).startswith("-10.000 J ± 0.088 · -0.556 mAh at 5.00 V · -2.50 W mean")


@given(
    st.floats(-1e15, 1e15),
    st.floats(0, 1e9),
    st.just(0.0) | st.floats(1e-18, 1),  # time is counted in whole nanoseconds
    st.floats(0, 0.5),
    st.none() | st.floats(0, 1e3),
)
def test_any_figures_print_and_are_json(
    joules: float, seconds: float, share: float, gain: float, idle: float | None
) -> None:
    covered = round(seconds * share, 9)  # time is counted in nanoseconds
    facts = Facts(watts=Band(gain))
    known = {"idle": None if idle is None else Idle(idle, 0.0)}
    try:
        usage = combine(
            [part(window(joules, seconds, covered_seconds=covered, volt_seconds=5 * covered), facts)], **known
        )
    except NotMeasured:
        assert covered == 0 < seconds
        return
    text = str(usage)
    assert "nan" not in text
    assert "inf" not in text.replace("infer", "")
    json.dumps(usage.to_dict(), allow_nan=False)
    assert usage.explain()


def test_two_windows_of_one_meter_share_its_errors() -> None:
    busy, calm = combine([part(window(12.0))]), combine([part(window(8.0))])
    less = difference(busy, calm)
    assert less.joules == 4.0
    assert less.uncertainty < math.hypot(busy.uncertainty, calm.uncertainty)
    other = difference(busy, combine([part(window(8.0), name="other")]))
    assert other.uncertainty == pytest.approx(math.hypot(busy.uncertainty, calm.uncertainty))


def test_a_gap_that_is_drawn_in_may_hold_anything_up_to_the_peak() -> None:
    usage = combine([part(window(covered_seconds=3.0, gap_fill_joules=2.0, peak_watts=4.0))])
    gap = 2 * 4.0 * 1.0 / math.sqrt(12)
    assert usage.interpolated_uncertainty == pytest.approx(math.hypot(usage.uncertainty, gap))
    assert "1 s of gaps drawn in: 12.0 J ± 2.3" in usage.explain()
    assert combine([part(window())]).interpolated_uncertainty is None


def test_the_calibration_is_reported() -> None:
    usage = combine([part(window())], calibration=("calibrated 2026-11-21 against Fluke 17B+",))
    assert "calibrated 2026-11-21 against Fluke 17B+" in str(usage)
    assert usage.to_dict()["calibration"] == ["calibrated 2026-11-21 against Fluke 17B+"]


def test_to_dict_holds_everything() -> None:
    reported = combine([part(window())], idle=Idle(1.0, 0.1)).to_dict()
    public = {name for name in dir(Usage) if not name.startswith("_") and not callable(getattr(Usage, name))}
    assert public - reported.keys() == {"idle", "components", "gap_seconds"}
    assert reported["idle_watts"] == 1.0


class _Cells(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.cells.append(data)


def test_html_says_the_same_and_escapes() -> None:
    usage = combine([part(window(), name="<script>&")])
    parser = _Cells()
    parser.feed(usage._repr_html_())
    assert " · ".join(parser.cells) == str(usage)
    assert set(parser.tags) == {"table", "tr", "td"}


def test_explained_by_cause_the_largest_first() -> None:
    lines = combine([part(window())]).explain().splitlines()
    sizes = [float(line.split()[0]) for line in lines[1:-1]]
    assert sizes == sorted(sizes, reverse=True)
    assert "together" in lines[-1]
    assert all(line.split("  ")[-1] for line in lines[1:-1]), "each cause says what would reduce it"
    assert float(lines[-1].split()[0]) == pytest.approx(math.hypot(*sizes), rel=0.02)


@pytest.mark.parametrize(("joules", "reported"), [(0.0, False), (72.0, False), (108.0, True), (-120.0, True)])
def test_a_gauge_that_has_hardly_moved_measures_nothing(joules: float, reported: bool) -> None:
    """36 J a step, as on many laptops: at 5 W half an hour are 250 of them."""
    gauge = Facts(semantics="counter", place="cell", joules=Band(0.05, resolution=36.0))
    parts = [part(window(joules=joules, seconds=60.0), gauge, "battery:BAT0")]
    if reported:
        assert combine(parts).joules == joules
        return
    with pytest.raises(NotMeasured, match=r"battery:BAT0 moves in steps of 36\.0 J .* half an hour"):
        combine(parts)


@pytest.mark.parametrize("other", [{"place": "die"}, {"semantics": "instant"}])
def test_only_gauges_of_cells_are_that_coarse(other: dict[str, str]) -> None:
    facts = Facts(semantics="counter", place="cell", joules=Band(resolution=36.0))._replace(**other)
    assert combine([part(window(joules=1.0), facts)]).joules == 1.0


def test_the_mean_is_never_above_the_peak() -> None:
    """A window around one low sample: the power rose on either side of it, beyond the window's samples."""
    usage = combine([part(window(joules=20.0, peak_watts=1.0))])
    assert usage.mean_watts is not None
    assert usage.peak_watts == usage.mean_watts > 1.0
    assert combine([part(window(peak_watts=NAN))]).peak_watts is None
