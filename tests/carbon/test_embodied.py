"""Making a device: SCI's own example, ranges with sources, break-even."""

import pytest

from energymeter.carbon.embodied import BOARDS, Embodied, Range, break_even, sci
from energymeter.errors import SpecError


def test_the_specification_s_own_example() -> None:
    # Green-Software-Foundation/sci SPEC.md: 1000 kg over 4 years, reserved for 1 hour, is 28.5 g.
    server = Embodied(Range(1000, 1000, 1000), "SCI specification", lifetime_years=4.0)
    assert server.grams(3600).typical == pytest.approx(28.5, abs=0.05)


def test_sci_is_per_unit_of_work() -> None:
    assert sci(operational_grams=100.0, embodied_grams=20.0, units=60) == 2.0
    assert sci(operational_grams=100.0, embodied_grams=20.0, units=1) == 120.0
    assert sci(operational_grams=1.0, embodied_grams=0.5, units=0.5) == 3.0, "half an hour"
    for units in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(SpecError, match="SCI is grams per unit"):
            sci(1.0, 1.0, units)


def test_a_phone_overtakes_its_making_after_two_billion_inferences() -> None:
    phone = Embodied(Range(50, 50, 50), "the course's round phone")
    grams = 0.224 / 3.6e6 * 383.55
    assert break_even(phone, grams).typical == pytest.approx(2.1e9, rel=0.01)
    with pytest.raises(SpecError, match="never adds up"):
        break_even(phone, 0.0)


def test_a_phone_s_making_weighs_two_grams_an_hour() -> None:
    phone = Embodied(Range(50, 50, 50), "the course's round phone", lifetime_years=3.0)
    assert phone.grams(3600).typical == pytest.approx(1.9, abs=0.01)


def test_half_a_device_is_half_the_making() -> None:
    whole, half = Embodied.board("pi-4"), Embodied.board("Pi 4", share=0.5)
    assert half.grams(3600).high == pytest.approx(whole.grams(3600).high / 2)


def test_every_board_is_a_range_with_a_source() -> None:
    for name, board in BOARDS.items():
        low, typical, high = board.kilograms
        assert 0 < low < typical < high, name
        assert high >= 2 * low, name
        assert len(board.source) > 20, name
    # The sums of blocks the handbook gives: about 6, 13 and 20 kg.
    assert [round(BOARDS[name].kilograms.typical) for name in ("pi-zero-w", "pi-4", "jetson-nano")] == [
        6,
        13,
        20,
    ]


def test_minerals_only_where_a_figure_can_be_defended() -> None:
    minerals = Embodied.board("pi-4").minerals(3600)
    assert minerals is not None
    assert minerals.typical == pytest.approx(2.08e-4 / 35040)
    assert Embodied.board("phone").minerals(3600) is None


def test_an_unknown_board_lists_the_known() -> None:
    with pytest.raises(SpecError, match='the making of "coral" is not known: choose pi-zero-w, pi-4'):
        Embodied.board("coral")


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        ({"lifetime_years": 0.0}, 1.0),
        ({"share": 1.5}, 1.0),
        ({"share": -0.1}, 1.0),
        ({}, -1.0),
        ({}, float("nan")),
    ],
)
def test_lifetimes_and_shares_that_cannot_be(options: dict[str, float], seconds: float) -> None:
    with pytest.raises(SpecError):
        Embodied.board("pi-4", **options).grams(seconds)


def test_the_power_supply_has_the_sums_of_its_blocks() -> None:
    supply = Embodied.board("power-supply")
    assert supply.kilograms == Range(0.5 * 4.43, 4.43, 2 * 4.43)
    assert supply.kg_sb_eq == Range(0.5 * 2.92e-4, 2.92e-4, 2 * 2.92e-4)
