"""Calibration cards: one JSON file for each physical meter. Data, never code, and sealed by a checksum.

The seal detects a file that was edited, cut short or damaged. It is not a signature: anybody can make a card.
"""

import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from energymeter.calibration.points import Point, Reference
from energymeter.energy.correction import EXTRAPOLATION, UNKNOWN_KELVIN, Applied, Line, Model, number_in
from energymeter.errors import CalibrationError
from energymeter.paths import cards_folder, read_file, replace_file
from energymeter.reading import Band
from energymeter.text import html_table, printable, significant
from energymeter.version import __version__

FORMAT = "energymeter calibration card 1"
_YEAR_SECONDS = 365.25 * 86400
MOST_BYTES = 1_000_000
_MOST_CHARACTERS = 500
MOST_CARDS = 1000
_END_OF_DATES = 253_402_300_800.0
"""The year 10 000, Unix time."""
_FIELDS = frozenset(
    ("format", "identity", "board", "reference", "made", "celsius", "points", "model", "versions", "seal")
)


class Card(NamedTuple):
    """The calibration of one physical meter."""

    identity: str
    """The meter's own serial number, or chip, bus and address (with an @)."""
    board: str
    """The board of that bus; empty if ``identity`` is a serial number."""
    reference: Reference
    made: float
    """Unix time."""
    celsius: float | None
    """The temperature of the air during the calibration."""
    points: tuple[Point, ...]
    model: Model
    versions: dict[str, str]

    @property
    def title(self) -> str:
        """As in results: ``calibrated 2026-11-21 against Fluke 17B+``."""
        date = time.strftime("%Y-%m-%d", time.gmtime(self.made))
        return f"calibrated {date} against {self.reference.name}"

    def __repr__(self) -> str:
        return f"Card({'; '.join(f'{name} {text}' for name, text in self._rows())})"

    def _repr_html_(self) -> str:
        return html_table(self._rows())

    def _rows(self) -> list[tuple[str, str]]:
        """The lines of the model with their units; the gain with its expanded uncertainty."""
        lines = [
            ("volts", "V", self.model.volts),
            *((f"amps {name}".strip(), "A", line) for name, line in self.model.amps.items()),
            ("watts", "W", self.model.watts),
        ]
        return [
            ("meter", self.identity),
            ("card", self.title),
            *(
                (name, f"{line.gain:.5f} × shown {line.offset:+.2g} {unit}, gain ± {_percent(line)} (k = 2)")
                for name, unit, line in lines
                if line is not None
            ),
        ]

    def kelvin(self, celsius: float | None) -> float | None:
        """How much warmer the air is than during the calibration; None: unknown."""
        return None if celsius is None or self.celsius is None else celsius - self.celsius

    def applied(self, celsius: float | None) -> Applied:
        """What a result or a recording keeps of the card.

        Args:
            celsius: the air's temperature, if known.
        """
        return Applied(self.title, self.model, self.kelvin(celsius))

    def doubts(self, now: float, celsius: float | None, amps: float | None) -> list[str]:
        """Why this card may not hold today.

        Args:
            now: Unix time.
            celsius: the air's temperature, if known.
            amps: the mean current it is used at, if known.
        """
        found = []
        if now - self.made > _YEAR_SECONDS:
            found.append(f"its calibration is {(now - self.made) / _YEAR_SECONDS:.1f} years old")
        kelvin = self.kelvin(celsius)
        if kelvin is not None and abs(kelvin) > UNKNOWN_KELVIN:
            found.append(
                f"it was calibrated in air {abs(kelvin):.0f} K {'cooler' if kelvin > 0 else 'warmer'}"
            )
        line = self.model.amps_line(amps) if amps is not None else None
        if amps is not None and line is not None and 0 < line.high * EXTRAPOLATION < abs(amps):
            found.append(f"{abs(amps):.2g} A is beyond the {line.high:.2g} A it was calibrated up to")
        return found

    def dumps(self) -> str:
        """The file's text, sealed."""
        fields = {
            "format": FORMAT,
            "identity": self.identity,
            "board": self.board,
            "reference": {"name": self.reference.name, **_bands(self.reference)},
            "made": self.made,
            "celsius": self.celsius,
            "points": [{k: v for k, v in p._asdict().items() if v not in (None, "")} for p in self.points],
            "model": self.model.to_json(),
            "versions": self.versions,
        }
        return json.dumps({**fields, "seal": _seal(fields)}, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def loads(cls, text: str, where: str) -> "Card":
        """The card again.

        Args:
            where: the file's name, for errors.

        Raises:
            CalibrationError: it is not a card, of another version, or was changed after it was written.
        """
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError) as failure:
            raise CalibrationError(
                f"{where} is not a calibration card ({type(failure).__name__}); calibrate again, or name "
                "another"
            ) from failure
        if not isinstance(fields, dict) or fields.get("format") != FORMAT:
            raise CalibrationError(
                f"{where} is not a calibration card of this version of energymeter; calibrate again, or name "
                "another"
            )
        seal = fields.pop("seal", None)
        if fields.keys() | {"seal"} != _FIELDS or seal != _seal(fields):
            raise CalibrationError(
                f"{where} was changed or damaged after it was written; calibrate again, or use "
                "--no-calibration"
            )
        try:
            return cls._of(fields)
        except (AttributeError, KeyError, TypeError, ValueError) as failure:
            raise CalibrationError(
                f"{where} has no valid calibration ({failure}); calibrate again, or use --no-calibration"
            ) from failure

    @classmethod
    def _of(cls, fields: dict[str, Any]) -> "Card":
        reference = fields["reference"]
        celsius = fields["celsius"]
        return cls(
            identity=_text(fields["identity"]),
            board=_text(fields["board"]),
            reference=Reference(
                _text(reference["name"]),
                **{name: _band(reference[name]) for name in ("volts", "amps", "watts")},
            ),
            made=number_in(fields["made"], 0.0, _END_OF_DATES - 1, "its date"),
            celsius=None if celsius is None else number_in(celsius, -100.0, 150.0, "celsius"),
            points=tuple(_point(point) for point in fields["points"]),
            model=Model.from_json(fields["model"]),
            versions={_text(name): _text(version) for name, version in fields["versions"].items()},
        )


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _MOST_CHARACTERS:
        raise ValueError("a text is missing or too long")
    return printable(value)


def _band(numbers: Any) -> Band:
    gain, offset, resolution = (number_in(number, 0.0, 1e6, "an accuracy") for number in numbers)
    return Band(gain, offset, resolution)


def _point(fields: dict[str, Any]) -> Point:
    checked: dict[str, Any] = {
        name: _text(value) if name in ("channel", "range") else number_in(value, -1e9, 1e9, name)
        for name, value in fields.items()
    }
    return Point(**checked)


def _percent(line: Line) -> str:
    return f"{significant(200 * line.slope_uncertainty(), 2)} %"


def make_card(
    identity: str,
    reference: Reference,
    points: Sequence[Point],
    model: Model,
    *,
    made: float,
    celsius: float | None = None,
) -> Card:
    """A card of a meter on this board, with the versions of the software."""
    import numpy

    versions = {"energymeter": __version__, "python": sys.version.split()[0], "numpy": numpy.__version__}
    board = board_serial() if is_bus_address(identity) else ""
    return Card(identity, board, reference, made, celsius, tuple(points), model, versions)


def is_bus_address(identity: str) -> bool:
    """Whether it names an address on a bus of this board, and not a serial number."""
    return "@" in identity


def board_serial(root: str = "/") -> str:
    """The identity of this board: its serial number from the firmware, or else its machine id, hashed."""
    for path in ("proc/device-tree/serial-number", "etc/machine-id"):
        try:
            with open(os.path.join(root, path), "rb") as file:
                text = file.read(256).strip(b"\0\n ")
        except OSError:
            continue
        if text:
            return hashlib.sha256(b"energymeter " + text).hexdigest()[:16]
    return "unknown"


def path_of(card: Card) -> Path:
    """The card's file in `energymeter.paths.cards_folder`."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", f"{card.identity} {card.board}").strip("-").lower()
    return Path(cards_folder()) / f"{name}.json"


def save(card: Card, path: Path | None = None) -> Path:
    """Write a card, to its usual path or another; an older one is replaced.

    Raises:
        CalibrationError: it cannot be written.
    """
    path = path or path_of(card)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(str(path), card.dumps())
    except OSError as failure:
        raise CalibrationError(
            f"{path} cannot be written: {failure.strerror}; name another with --card"
        ) from failure
    return path


def load(path: Path) -> Card:
    """Read one card.

    Raises:
        CalibrationError: it cannot be read, or is not a valid card.
    """
    try:
        return Card.loads(read_file(str(path), MOST_BYTES).decode("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as failure:
        why = failure.strerror if isinstance(failure, OSError) else "it is not UTF-8"
        raise CalibrationError(f"{path} cannot be read ({why}); name another card") from failure


def load_all() -> list[Card]:
    """The cards in `energymeter.paths.cards_folder`.

    Raises:
        CalibrationError: one of them is not a valid card.
    """
    where = Path(cards_folder())
    paths = sorted(where.glob("*.json")) if where.is_dir() else []
    if len(paths) > MOST_CARDS:
        raise CalibrationError(f"{where} has more than {MOST_CARDS} cards; move those you do not need")
    return [load(path) for path in paths]


def _bands(reference: Reference) -> dict[str, list[float]]:
    return {"volts": list(reference.volts), "amps": list(reference.amps), "watts": list(reference.watts)}


def _seal(fields: dict[str, Any]) -> str:
    whole = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()
