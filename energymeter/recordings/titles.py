"""The one guesser of titles: a column's quantity and unit, what it is of, and what kind of figure it is."""

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from energymeter.units import UNITS, find_unit, is_ambiguous, quantity_of


def vocabulary(*words: str) -> frozenset[str]:
    """A set of words that are written one after the other."""
    return frozenset(" ".join(words).split())


QUANTITIES = ("watts", "volts", "amps", "joules", "coulombs")
SYMBOLS = {"watts": "W", "volts": "V", "amps": "A", "joules": "J", "coulombs": "C", "seconds": "s"}

_WORDS = {
    "watts": "power watt watts wattage leistung wirkleistung puissance potencia potenza vermogen pwr draw "
    "p mw uw kw",
    "volts": "voltage volt volts spannung tension voltaje tensione vbus busvoltage loadvoltage "
    "batteryvoltage u v",
    "amps": "current ampere amperes amp amps amperage strom strommessung courant corriente corrente curr "
    "ibus i",
    "joules": "energy joule joules energie energia work e kwh wh mwh",
    "coulombs": "charge coulomb coulombs ladung mah",
    "seconds": "time timestamp timestamps datetime date elapsed seconds sec secs zeit uhrzeit datum "
    "zeitstempel temps horodate horodatage heure fecha hora tiempo tijd data ora epoch unix ts t "
    "utc uptime zeitpunkt when clocktime",
}
_BY_WORD = {word: quantity for quantity, words in _WORDS.items() for word in words.split()}
_GLUED = vocabulary(
    "watt watts power leistung puissance volt volts voltage spannung amps current strom energy energie joules"
)
"""Words that also count at the end of a longer one."""
_NOT_ALONE = {"C", "c", "min", "m", "h", "H", "as", "As", "AS"}
"""Titles that are no unit where nothing else stands with them: a temperature, a minimum."""
_SINGLE = {"p", "u", "v", "i", "e", "t"}
"""Words that count only where they stand alone."""
_NO_VALUE = vocabulary(
    "limit max maximum min minimum std stdev stddev sigma sd error err uncertainty cap capped rated "
    "nominal setpoint target threshold apparent reactive factor cost price tariff temperature temp freq "
    "frequency mhz ghz usage utilization utilisation util mode source profile cycles cycle state status "
    "enabled rpm fan humidity pressure memory speed rate zone estimate estimated default requested "
    "enforced range fullscale peak offset phase_angle"
)
"""Words that change the meaning of a quantity: a power limit is not a power draw."""
_SHARES = vocabulary("pct percent percentage ratio share")
_FOREIGN = vocabulary(
    "dbm dbw dbmw va kva mva var kvar mvar vah kvah varh kvarh hp ps bhp btu btuh cal kcal erg ev dbv dbmv"
)
"""Units of which none is read here. In a title they are asked about."""
_FOREIGN_UNIT = re.compile(r"(?:[pfaGTPEcdh]|da)(?:W|Wh|V|A|Ah|J)$")
_SCALED = re.compile(r"[x×*]\d+|[x×*]?\s*\d+(?:[.,]\d+)?\s*[^\d\s]{1,4}")
"""``x10``, or ``0.1 W`` in brackets: the numbers are not in the unit itself."""
_NO_RATE = vocabulary("cumulative accumulated cum density integrated integral")
"""A power that adds up, or that is of an area, is no power."""
_MEAN = vocabulary("avg average mean averaged mittel moyenne rolling")
_INSTANT = vocabulary("instant instantaneous now momentary actual live present")
_PER_ROW = vocabulary("delta diff difference increment interval per")
_DURATION = vocabulary("delta dt duration interval period step dauer timestep")
_CREATED = {
    ("created", "at"),
    ("last", "changed"),
    ("last", "updated"),
    ("recorded", "at"),
    ("measured", "at"),
}
DEVICES = vocabulary(
    "gpu index uuid gpu_uuid gpu_index gpu_name gpu_id pci_bus_id gpu_bus_id name device device_id "
    "device_name deviceid channel source sensor sensor_id entity_id entity node host hostname rail "
    "domain meter meter_id probe socket port outlet plug serial serial_number card instance"
)
"""Titles of columns that say which device a row is of."""
ADDED_DEVICES = vocabulary(
    "gpu index uuid gpu_uuid gpu_index gpu_name gpu_id pci_bus_id gpu_bus_id name node host hostname "
    "device device_id device_name deviceid serial serial_number card"
)
"""Words for separate devices. Channels, rails and sensors, by contrast, may contain each other."""
TOTALS = vocabulary(
    "total tot system sys sum all overall input psys wall board whole main vin vdd_in pom_5v_in"
)
"""Words of a column or channel that contains the others."""
NESTED = vocabulary("core cores uncore gt pp0 pp1 package pkg psys dram ram cpu soc igpu rail vdd")
"""Words of rails that contain each other, also where their column is only titled ``name``."""
SEPARATE = vocabulary(
    "node host hostname index uuid gpu_uuid gpu_index gpu_id pci_bus_id gpu_bus_id serial serial_number"
)
"""Titles among `ADDED_DEVICES` whose rows are of separate devices, whatever these are called."""
_LEVEL = re.compile(
    r"%|percent|\bsoc\b|state.of.charge|(?<!full.)\blevel\b|(^|_)capacity$|battery.level", re.IGNORECASE
)
_REMAINING = re.compile(r"(charge|energy)(_|.)(now|counter)|remaining|\b[mµu]?[aw]h\b", re.IGNORECASE)
_LEFT = re.compile(r"(_|.)(now|counter)\b|remain|left|rest|soc\b|battery|level|full", re.IGNORECASE)
_STATE = re.compile(r"status|state$|plugged|charging|power.source|^ac$", re.IGNORECASE)
_KERNEL = re.compile(r"(?:power_supply_)?(power|voltage|current|energy|charge)_now$", re.IGNORECASE)
"""Titles taken over from the kernel's power supplies: µW, µV, µA, µWh, µAh
(Documentation/ABI/testing/sysfs-class-power in torvalds/linux)."""
_KERNEL_UNITS = {"power": "uW", "voltage": "uV", "current": "uA", "energy": "uWh", "charge": "uAh"}
_BRACKET = re.compile(r"\s*(?:\(([^()]*)\)|\[([^\[\]]*)\]|\{([^{}]*)\}|<([^<>]*)>)")
_CAMEL = re.compile(r"(?<=[a-zäöüß])(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z]{2,}\b)|(?<=[a-z]{3})(?=[A-Z]\b)")
_SEPARATOR = re.compile(r"[\s_.:/\\,;|-]+")
_QUALIFIERS = vocabulary(
    "avg average mean raw total sum instant rms dc ac cpu gpu soc in out input output local utc unix "
    "epoch hh mm ss hhmmss system package core cores dram net gross measured main battery rail bus load "
    "calibrated 1 2 3 4"
)


class Title(NamedTuple):
    """What one title says."""

    text: str
    quantity: str | None
    """One of `QUANTITIES`, or ``seconds``; ``None``: of none of them, for certain."""
    unit: str
    """As `energymeter.units` spells it; empty: none is named."""
    unknown_unit: str
    """What stands where a unit would, and is none that is known."""
    subject: str
    """The other words, in lower case: ``cpu package``."""
    kind: str
    """``mean``, ``instant``, ``per row`` (what was added since the row before), or empty."""

    @property
    def factor(self) -> float | None:
        """To SI; ``None``: no unit is named."""
        return UNITS[self.quantity][self.unit] if self.quantity and self.unit else None

    @property
    def said(self) -> str:
        """The title and the unit it is read in, for people."""
        if not self.quantity:
            return self.text
        return (
            self.text
            if self.unit and f"[{self.unit}]" in self.text
            else f"{self.text} [{self.unit or SYMBOLS[self.quantity]}]"
        )


@lru_cache(maxsize=4096)
def meaning(text: str) -> Title:
    """What a title says of its column.

    >>> meaning("SYSTEM_POWER (Watts)").quantity, meaning("power_mw").unit, meaning("temperature_C").quantity
    ('watts', 'mW', None)
    >>> meaning("Energy [dBm]").unknown_unit, meaning("CPU Package Power [W]").subject
    ('dBm', 'cpu package')
    """
    kernel = _KERNEL.match(text.strip())
    if kernel:
        own = _KERNEL_UNITS[kernel[1].lower()]
        return Title(text, quantity_of(own), own, "", "", "instant")
    plain = unicodedata.normalize("NFKC", text).strip().strip("\"'#").strip()
    if plain not in _NOT_ALONE and (whole := find_unit(plain)) is not None:
        return Title(text, whole[0], whole[1], "", "", "")
    brackets = [found.groups() for found in _BRACKET.finditer(plain)]
    unit, unknown, inner = _bracketed(
        [next(part for part in parts if part is not None) for parts in brackets],
        [parts[1] for parts in brackets if parts[1]],
    )
    outer, tail = _words(_BRACKET.sub(" ", plain).strip())
    words = [*outer, *inner]
    scaled = next((word for word in outer if len(outer) > 1 and re.fullmatch(r"[x×*]\d+", word)), "")
    if scaled:
        unit, unknown, tail = None, scaled, None
    others = {word for word in words if word not in _SINGLE and word != (tail or "").lower()}
    alone = others <= _QUALIFIERS or all(word.isdigit() for word in others)
    said = [word for word in words if word in _BY_WORD and (word not in _SINGLE or alone)]
    by_word = _BY_WORD[said[-1]] if said else _glued(words)
    if unit is None and tail is not None:
        found_unit = find_unit(tail)
        if found_unit is not None and _fits(found_unit, tail, by_word, outer):
            unit = found_unit
            words = words[: len(outer) - 1] + words[len(outer) :]
            said = [word for word in said if word in words]
            by_word = _BY_WORD[said[-1]] if said else by_word
        elif (is_ambiguous(tail) or _is_foreign(tail)) and len(outer) > 1:
            unknown = tail
    if tuple(words[:2]) in _CREATED and unit is None:
        by_word = "seconds"
    quantity = _quantity(set(words), by_word, unit)
    return Title(
        text,
        quantity,
        unit[1] if unit is not None and quantity else "",
        unknown if quantity else "",
        " ".join(word for word in words if word not in said and word not in _MEAN | _INSTANT),
        _kind(set(words)),
    )


def _quantity(words: set[str], by_word: str | None, unit: tuple[str, str] | None) -> str | None:
    """What is measured, by a word, the unit, and the words that make another thing of it."""
    quantity = by_word if unit is None else unit[0]
    if quantity == "seconds":
        if words & {"power", "voltage", "energy"} or (
            unit is None and (words & {"zone", "cpu", "inference", "per"})
        ):
            return None
        return quantity
    if words & _NO_RATE and quantity in ("watts", "volts", "amps"):
        return None
    contrary = unit is not None and by_word not in (None, unit[0]) and not _related(by_word or "", unit[0])
    if words & (_NO_VALUE | _SHARES) or (contrary and unit is not None and _SINGLE_UNIT.match(unit[1])):
        return None
    return quantity


def _kind(words: set[str]) -> str:
    if words & _MEAN:
        return "mean"
    return "instant" if words & _INSTANT else "per row" if words & _PER_ROW else ""


_SINGLE_UNIT = re.compile(r"[WVAJCsh]$")


def _related(by_word: str, by_unit: str) -> bool:
    """A title may name a quantity loosely: energy in mAh, charge in Wh, a power in joules it is not."""
    return {by_word, by_unit} <= {"joules", "coulombs"} or by_word == "seconds"


def _bracketed(brackets: list[str], square: list[str]) -> tuple[tuple[str, str] | None, str, list[str]]:
    """The unit in brackets, what stands there instead, and other words in them."""
    unit: tuple[str, str] | None = None
    unknown = ""
    words: list[str] = []
    for text in brackets:
        found = find_unit(text)
        if found is not None:
            unit = found
            continue
        if _SCALED.fullmatch(text.strip()) or "%" in text:
            unknown = text.strip()
            continue
        inner = [word.lower() for word in _SEPARATOR.split(text) if word]
        last = find_unit(inner[-1]) if len(inner) > 1 else None
        if last is not None:
            unit, inner = last, inner[:-1]
        elif (
            is_ambiguous(text)
            or _is_compound(text)
            or (
                (text in square or re.fullmatch(r"[A-Za-zµ°%/²·]{1,6}", text))
                and not set(inner) <= _QUALIFIERS | set(_BY_WORD)
            )
        ):
            unknown = text.strip()
        words += inner
    return unit, "" if unit else unknown, words


def _is_foreign(text: str) -> bool:
    """Whether it is a unit, and none that is read here."""
    return text.lower() in _FOREIGN or _FOREIGN_UNIT.match(text) is not None


def _is_compound(text: str) -> bool:
    """Whether it is a unit by another, as in ``W/m2``."""
    parts = re.split(r"[/·*^]| per ", text)
    return len(parts) > 1 and any(find_unit(part) is not None for part in parts)


def _words(text: str) -> tuple[list[str], str | None]:
    """The words outside of brackets in lower case, and the last as it is spelled, if it may be a unit."""
    pieces = [piece for piece in _SEPARATOR.split(text) if piece]
    words: list[str] = []
    for piece in pieces:
        if (find_unit(piece) is not None or _is_foreign(piece)) and len(pieces) > 1:
            words.append(piece)
        else:
            for part in _CAMEL.sub(" ", piece).split():
                numbered = re.fullmatch(r"([A-Za-z]+)(\d+)", part)
                words += numbered.groups() if numbered and numbered[1].lower() in _BY_WORD else [part]
    glued = re.fullmatch(r"([A-Za-z]{4,}?)([mµu]?(?:Wh|Ah|[WVA]))", words[0]) if len(words) == 1 else None
    if glued is not None and glued[1].lower() in _BY_WORD:
        words = [glued[1], glued[2]]
    tail = words[-1] if len(words) > 1 else None
    return [word.lower() for word in words], tail


def _glued(words: list[str]) -> str | None:
    """A quantity's word within a longer one: ``batteryvoltage``, ``gpupower``, ``Stromverbrauch``."""
    for word in reversed(words):
        for known in _GLUED:
            if word.endswith(known) or (len(known) > 4 and word.startswith(known)):
                return _BY_WORD[known]
    return None


def _fits(found: tuple[str, str], tail: str, by_word: str | None, words: list[str]) -> bool:
    """Whether the last word of a title is its unit, and not the name of something."""
    quantity, unit = found
    if by_word is not None:
        loose = _related(by_word, quantity) and by_word != "seconds"
        return (
            quantity == by_word
            or loose
            or (len(unit) > 1 and by_word in ("watts", "joules") and unit != "min")
        )
    if quantity == "seconds":
        return len(words) > 1 and bool(set(words) & _DURATION)
    if len(unit) > 1:
        return True
    parts = {"phase", "line", "channel", "side", "port", "gpu", "cpu", "group", "class"}
    return len(words) == 1 or tail in ("W", "V", "J") or (tail == "A" and not parts & set(words))


def is_duration(title: Title) -> bool:
    """Whether it is the time since the row before, not a moment."""
    words = set(_SEPARATOR.split(title.text.lower()))
    return bool(words & _DURATION) and not words & {"timestamp", "date", "datetime", "elapsed"}


def is_level(text: str) -> bool:
    """Whether a column shows how full a battery is, in percent."""
    found = meaning(text)
    other = set(found.subject.split()) & _NO_VALUE
    return (
        found.quantity in (None, "coulombs")
        and not found.unit
        and not other
        and _LEVEL.search(text) is not None
    )


def is_remaining(text: str) -> bool:
    """Whether a column shows what a battery still holds, as charge or energy."""
    return _REMAINING.search(text) is not None


def is_counted(text: str) -> bool:
    """Whether a column may be energy or charge that was used, by its unit alone: ``mwh``, ``BASE (Wh)``."""
    return is_remaining(text) and _LEFT.search(text) is None


def is_state(text: str) -> bool:
    """Whether a column says if a battery is charged or discharged."""
    return _STATE.search(text) is not None


def device_key(text: str) -> str:
    """A title as `DEVICES` spells it."""
    return "_".join(word for word in _SEPARATOR.split(text.strip().lower().strip("#\"'")) if word)
