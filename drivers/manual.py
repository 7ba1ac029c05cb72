"""A reading taken by eye from a meter's display: ``manual:7.2W`` or ``manual:5V,0.6A``.

It stays the same for the whole run. Its ± is one step of the last digit written, so write the zeros the
display shows; the meter's own error and the wandering of the load come on top and are not known here.

Semantics: an instant. Source: the person who reads the display.
Renewal: does not apply.
Counters: none.
Loss: does not apply.
Tested on: itself; real hardware: does not apply.
"""

from energymeter.errors import SpecError, not_open
from energymeter.reading import Band, Facts, Reading

__all__ = ["Manual"]

_PREFIX = {"": 1.0, "k": 1e3, "m": 1e-3}


class Manual:
    """Constant watts, or volts and amps, as read from a display.

    Args:
        address: ``7.2W``, or ``5V,0.6A``; prefixes k and m.

    Raises:
        SpecError: it is neither.
    """

    shared = True

    def __init__(self, address: str = "") -> None:
        self.name = f"manual:{address}"
        said: dict[str, tuple[float, Band]] = {}
        for part in address.split(","):
            written = part.strip()
            number, unit = written[:-1], written[-1:]
            prefix = number[-1:] if number.endswith(("k", "m")) else ""
            whole, _, decimals = number.removesuffix(prefix).rstrip().partition(".")
            if (
                unit not in ("W", "V", "A")
                or unit in said
                or not whole.removeprefix("-").isdecimal()
                or not (decimals.isdecimal() or not decimals)
            ):
                raise self._nonsense(address)
            scale = _PREFIX[prefix]
            value = float(f"{whole}.{decimals or 0}") * scale
            said[unit] = (value, Band(resolution=10.0 ** -len(decimals) * scale))
        if set(said) not in ({"W"}, {"V", "A"}):
            raise self._nonsense(address)
        value_of = {unit: value for unit, (value, _) in said.items()}
        band_of = {unit: band for unit, (_, band) in said.items()}
        self._opened = False
        self._reading = Reading(volts=value_of.get("V"), amps=value_of.get("A"), watts=value_of.get("W"))
        self.facts = Facts(
            provenance="manual",
            place="wall" if "W" in said else "rail",
            volts=band_of.get("V"),
            amps=band_of.get("A"),
            watts=band_of.get("W"),
        )

    @staticmethod
    def _nonsense(address: str) -> SpecError:
        return SpecError(f"manual:{address} is not a reading: write manual:7.2W or manual:5V,0.6A")

    def open(self) -> None:
        """Nothing to touch."""
        self._opened = True

    def read(self) -> Reading:
        """What was said.

        Raises:
            SourceMissing: not between ``open`` and ``close``.
        """
        if not self._opened:
            raise not_open(self.name)
        return self._reading

    def close(self) -> None:
        """Nothing to let go of."""
        self._opened = False
