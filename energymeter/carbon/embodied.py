"""What making a board emitted, the share of a run in it, and when use overtakes making.

No manufacturer publishes a life-cycle assessment of a Raspberry Pi or a Jetson, so a board is a
range: the sum of typical blocks after Pirson & Bol (2021, doi:10.1016/j.jclepro.2021.128966), as
tabulated by Boavizta (boaviztapi/data/crowdsourcing/iot_factors_tide.csv), times 0.5 to 2, since the
paper itself says to revise up about twofold for what such sums leave out.
"""

import math
from typing import NamedTuple

from energymeter.errors import SpecError
from energymeter.text import significant

SECONDS_PER_YEAR = 365 * 86400.0
"""As the SCI specification counts: 4 years are 35 040 hours."""

_LEAST_YEARS = 1 / 365


class Range(NamedTuple):
    """A value that is only known as low, typical and high."""

    low: float
    typical: float
    high: float

    def scaled(self, factor: float) -> "Range":
        return Range(self.low * factor, self.typical * factor, self.high * factor)

    def text(self, figures: int = 3) -> str:
        """As in ``3.2 (1.6 to 6.4)``."""
        typical, low, high = (significant(each, figures) for each in (self.typical, self.low, self.high))
        return f"{typical} ({low} to {high})"


class Embodied(NamedTuple):
    """The making of one device, and how much of its life belongs to a run.

    >>> Embodied.board("pi-4").grams(seconds=3600).typical
    0.37...
    """

    kilograms: Range
    """CO₂e of making it; low = typical = high where a manufacturer gives one number."""
    source: str
    kg_sb_eq: Range | None = None
    """Abiotic depletion of minerals and metals (ADPe), kg antimony equivalents; None: not known."""
    lifetime_years: float = 4.0
    """Phones are counted with 3 to 5 years (Boavizta/environmental-footprint-data)."""
    share: float = 1.0
    """The share of the device that the program has to itself, 0…1 (SCI: RR/ToR)."""

    @classmethod
    def board(cls, name: str, *, lifetime_years: float = 4.0, share: float = 1.0) -> "Embodied":
        """A device from the table :data:`BOARDS`.

        Raises:
            SpecError: no such device, or an impossible lifetime or share.
        """
        key = name.casefold().replace("_", "-").replace(" ", "-")
        if key not in BOARDS:
            raise SpecError(
                f'the making of "{name}" is not known: choose {", ".join(BOARDS)}; '
                "or give Embodied(Range(low, typical, high), source)"
            )
        return BOARDS[key]._replace(lifetime_years=lifetime_years, share=share)

    def grams(self, seconds: float) -> Range:
        """The share of the making in ``seconds`` of use: SCI's ``M = TE × TiR/EL × RR/ToR``."""
        return self.kilograms.scaled(1000 * self._part(seconds))

    def minerals(self, seconds: float) -> Range | None:
        """The same share of the minerals, kg Sb-eq; None where they are not known."""
        return None if self.kg_sb_eq is None else self.kg_sb_eq.scaled(self._part(seconds))

    def _part(self, seconds: float) -> float:
        if not (
            _LEAST_YEARS <= self.lifetime_years < math.inf
            and 0 <= self.share <= 1
            and 0 <= seconds < math.inf
        ):
            raise SpecError("give a lifetime of a day or more, a share from 0 to 1, and seconds of 0 or more")
        return seconds / (self.lifetime_years * SECONDS_PER_YEAR) * self.share


def sci(operational_grams: float, embodied_grams: float, units: float) -> float:
    """Software Carbon Intensity, grams per functional unit: ``(E·I + M) / R`` (ISO/IEC 21031:2024).

    Args:
        operational_grams: E·I, location-based, no certificates.
        embodied_grams: M, of the same stretch of time.
        units: R: the number of inferences, epochs or hours in it.

    Raises:
        SpecError: nothing was done.
    """
    if not 0 < units < math.inf:
        raise SpecError(f"{units} units are impossible: SCI is grams per unit, so give a number above 0")
    return (operational_grams + embodied_grams) / units


def break_even(embodied: Embodied, grams_per_unit: float) -> Range:
    """After how many units their operation has emitted as much as making the device.

    >>> round(break_even(Embodied.board("pi-4"), 0.224 / 3.6e6 * 383.55).typical / 1e6)
    547

    Raises:
        SpecError: a unit that emits nothing never gets there.
    """
    if not 0 < grams_per_unit < math.inf:
        raise SpecError(f"{grams_per_unit} g per unit never adds up to the making: measure one unit first")
    return embodied.kilograms.scaled(1000 / grams_per_unit)


def _blocks(kilograms: float, kg_sb_eq: float, blocks: str) -> Embodied:
    """A sum of blocks, halved and doubled."""
    return Embodied(
        Range(0.5 * kilograms, kilograms, 2 * kilograms),
        f"sum of blocks ({blocks}) after Pirson & Bol 2021 via Boavizta, ×0.5 to ×2; "
        "no manufacturer's figure exists",
        Range(0.5 * kg_sb_eq, kg_sb_eq, 2 * kg_sb_eq),
    )


BOARDS: dict[str, Embodied] = {
    # kg CO2e: 3.53 + 0.28 + 0.33 + 0.90 + 1.21; kg Sb-eq: 9.8e-8 + 7.7e-9 + 1.76e-5 + 1.71e-5 + 9.02e-5
    "pi-zero-w": _blocks(
        6.25, 1.25e-4, "processing HSL-2, memory HSL-1, board HSL-1, connectivity HSL-2, others HSL-2"
    ),
    # 6.33 + 3.22 + 0.61 + 0.90 + 2.00; 1.8e-7 + 8.9e-8 + 3.61e-5 + 1.71e-5 + 1.55e-4
    "pi-4": _blocks(
        13.06, 2.08e-4, "processing HSL-3, memory HSL-2, board HSL-2, connectivity HSL-2, others HSL-3"
    ),
    # 6.33 + 6.77 + 2 × 1.46 + 0.90 + 2.00 + 1.21; 1.8e-7 + 1.9e-7 + 2 × 8.24e-5 + 1.71e-5 + 1.55e-4 + 9.02e-5
    "jetson-nano": _blocks(
        20.13,
        4.27e-4,
        "processing HSL-3, memory HSL-3, two boards HSL-3, connectivity HSL-2, others HSL-3 and HSL-2",
    ),
    "power-supply": _blocks(4.43, 2.92e-4, "mains power supply HSL-0"),
    "microcontroller": Embodied(
        Range(0.9, 2.5, 7.1),
        "TinyML systems 0.9 to 7.1 kg (harvard-edge/TinyML-Footprint); 2.5 is the geometric mean",
    ),
    "phone": Embodied(
        # 39.5 × 0.815, 49.9 × 0.737, 45 × 0.74, 45 × 0.73, 85 × 0.81, 61 × 0.79, 46 × 0.82
        Range(32.2, 36.8, 68.9),
        "making, as reported for Fairphone 3 and 4, Pixel 3a, 4a and 6, iPhone 14 and SE3: least, median and "
        "most (via Boavizta/environmental-footprint-data)",
    ),
}
