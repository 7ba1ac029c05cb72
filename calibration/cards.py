"""The calibration cards for the meters here: found by identity, refused if they are foreign."""

from __future__ import annotations

import os

from energymeter.errors import CalibrationError, warn
from energymeter.lazy import TYPE_CHECKING
from energymeter.paths import cards_folder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from energymeter.calibration.card import Card
    from energymeter.energy.correction import Applied, Correction


class Cards:
    """The cards that may be used on this board, by the identity of their meter.

    Args:
        cards: any cards.
        board: the identity of this board; cards of meters on another board's bus are foreign.
        celsius: the temperature of the air now, if known.
        file: the path of the only card, if one was named.
    """

    def __init__(
        self,
        cards: Iterable[Card] = (),
        board: str = "",
        celsius: float | None = None,
        file: str | None = None,
    ) -> None:
        self.celsius = celsius
        self._file = file
        self._own: dict[str, Card] = {}
        self._foreign: dict[str, Card] = {}
        for card in cards:
            from energymeter.calibration.card import is_bus_address

            mine = not is_bus_address(card.identity) or card.board == board
            (self._own if mine else self._foreign)[card.identity] = card

    @classmethod
    def here(cls, celsius: float | None = None, file: str | None = None) -> Cards:
        """The cards in the user's folder, or one file.

        Raises:
            CalibrationError: one of them is not a valid card.
        """
        if file is None and not _any_here():
            return cls(celsius=celsius)  # the usual case needs no import
        from pathlib import Path

        from energymeter.calibration import card

        cards = card.load_all() if file is None else [card.load(Path(file))]
        return cls(cards, card.board_serial() if cards else "", celsius, file)

    def of(self, identity: str) -> Card | None:
        """The card of a meter, if it has one."""
        return self._own.get(identity)

    def applied(self, identity: str) -> Applied | None:
        """What results keep of a meter's card, if it has one."""
        card = self.of(identity)
        return None if card is None else card.applied(self.celsius)

    def in_log(self) -> dict[str, dict[str, Any]]:
        """What a recording keeps of the cards, by the identity of the meter."""
        return {identity: card.applied(self.celsius).to_json() for identity, card in self._own.items()}

    def corrections(self) -> dict[str, Correction]:
        """What the sampler needs, by the identity of the meter."""
        return {
            identity: card.model.correction(card.kelvin(self.celsius) or 0.0)
            for identity, card in self._own.items()
        }

    def check(self, identities: Iterable[str]) -> None:
        """Refuse a card of another meter.

        Args:
            identities: of the meters that are read. A named file must belong to one of them.

        Raises:
            CalibrationError: a card is foreign.
        """
        known = set(identities)
        for identity in known - self._own.keys():
            if identity in self._foreign:
                raise CalibrationError(
                    f"the card of {identity} was made on another board, where another chip has that address; "
                    "calibrate this one, or use --no-calibration"
                )
        if self._file is not None and not known & self._own.keys():
            from energymeter.text import printable

            whose = printable(" and ".join((*self._own, *self._foreign)))
            raise CalibrationError(
                f"{self._file} is the card of {whose}, but this is {' and '.join(sorted(known))}; name "
                "the card of this meter"
            )


def _any_here() -> bool:
    """Whether the user has cards. Those that are closed to the user are not the same as none."""
    folder = cards_folder()
    try:
        return bool(os.listdir(folder))
    except PermissionError:
        warn(
            f"no calibration card is used, because this user may not read {folder}: "
            "make that folder yours, or set XDG_CONFIG_HOME",
            stacklevel=2,
        )
    except OSError:
        pass  # the usual case: there is none
    return False
