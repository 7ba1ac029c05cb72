"""Source specs: the short strings that name a source, the same in code and in the shell.

::

    ina219                            a driver with its defaults
    ina219@1:0x41?shunt=0.05          driver @ address ? options
    sim:pi4   manual:5V,0.6A          ":" reads better before a name or a value; it means the same
    http@"http://plug/q?a=1"?watts=$.p   an address with ? + or , in it stands in quotes
    ina219@1:0x40+ina219@1:0x41       joined by +: rails that add up
    rapl,um25c@/dev/rfcomm0           joined by ,: side by side, the first one counts

A comma or plus only joins where another driver's name follows it, so ``manual:5V,0.6A`` is one source.
"""

from __future__ import annotations

import os

from energymeter.errors import SpecError
from energymeter.lazy import TYPE_CHECKING, NamedTuple, module

if TYPE_CHECKING:
    import inspect
    from typing import Any

    from energymeter.source import Source

_FIRST_SIGNS = "abcdefghijklmnopqrstuvwxyz"
_FURTHER_SIGNS = f"{_FIRST_SIGNS}0123456789_-"
_AFTER_A_NAME = ("", "@", ":", "?", "+", ",")
_ENTRY_POINTS = "energymeter.drivers"
_FALSE, _TRUE = {"0", "no", "false", "off"}, {"1", "yes", "true", "on", ""}


class Spec(NamedTuple):
    """One source, taken apart: ``Spec("ina219", "1:0x41", {"shunt": "0.05"})``."""

    driver: str
    address: str | None
    options: dict[str, str]

    def build(self) -> Source:
        """Make the source; nothing is touched yet.

        Raises:
            SpecError: no such driver, or it does not take this place or option.
        """
        driver = load_driver(self.driver)
        arguments = () if self.address is None else (self.address,)
        try:
            source: Source = driver(*arguments, **self._typed(driver))
        except TypeError as error:
            raise SpecError(f"{self.driver} does not take that address: {error}") from error
        return source

    def _typed(self, driver: Any) -> dict[str, object]:
        if not self.options:
            return {}
        known = options_of(driver)
        typed: dict[str, object] = {}
        for name, text in self.options.items():
            if name not in known:
                offered = ", ".join(sorted(known)) or "none"
                raise SpecError(f"{self.driver} has no option {name!r}; choose one of: {offered}")
            typed[name] = _convert(self.driver, name, text, known[name].annotation)
        return typed


def parse(text: str) -> list[list[Spec]]:
    """Take a spec text apart: groups side by side, each a list of sources that add up.

    >>> parse("ina219@1:0x41?shunt=0.05+rapl,manual:5V,0.6A")
    [[Spec(driver='ina219', address='1:0x41', options={'shunt': '0.05'}),
      Spec(driver='rapl', address=None, options={})],
     [Spec(driver='manual', address='5V,0.6A', options={})]]

    Raises:
        SpecError: it is empty or malformed.
    """
    groups: list[list[Spec]] = [[]]
    for piece, joint in _pieces(text):
        if joint == ",":
            groups.append([])
        groups[-1].append(_parse_one(piece))
    return groups


def _pieces(text: str) -> list[tuple[str, str]]:
    """The single specs of a text, each with the joint before it; quotes hide joints."""
    text = text.strip()
    pieces, start, joint, quoted = [], 0, "", False
    for place, sign in enumerate(text):
        if sign == '"':
            quoted = not quoted
        elif sign in "+," and not quoted:
            end = _name_end(text, place + 1)
            if end > place + 1 and text[end : end + 1] in _AFTER_A_NAME:
                pieces.append((text[start:place], joint))
                start, joint = place + 1, sign
    if quoted:
        raise SpecError(f"the source {_beginning(text)} has a quotation mark without its partner; close it")
    pieces.append((text[start:], joint))
    return pieces


def _name_end(text: str, start: int = 0) -> int:
    """Where the driver's name ends that begins at ``start``; ``start`` itself if none does."""
    if text[start : start + 1] not in {*_FIRST_SIGNS}:
        return start
    end = start + 1
    while end < len(text) and text[end] in _FURTHER_SIGNS:
        end += 1
    return end


def _parse_one(text: str) -> Spec:
    text = text.strip()
    end = _name_end(text)
    name, address, rest = text[:end].replace("-", "_"), None, text[end:]
    if rest.startswith(("@", ":")):
        closing = rest.find('"', 2) + 1 if rest.startswith('"', 1) else 0
        if closing and rest[closing : closing + 1] in ("", "?"):
            address, rest = rest[2 : closing - 1], rest[closing:]
        else:
            before, mark, after = rest[1:].partition("?")
            address, rest = before.strip('"') if before else None, mark + after
    if not name or (rest and not rest.startswith("?")):
        raise SpecError(
            f"{_beginning(text)} is no source; write driver@address?option=value, such as ina219@1:0x40"
        )
    return Spec(name, address, _options(rest[1:]))


def _beginning(text: str) -> str:
    """A text up to what may be an address, a password or a command line, for errors."""
    end = min((text.index(sign) for sign in '"@?' if sign in text), default=len(text))
    shown = text[: min(end, 40)]
    return repr(shown if shown == text else f"{shown}…")


def _options(text: str) -> dict[str, str]:
    if not text:
        return {}
    from urllib.parse import unquote

    options = {}
    for pair in filter(None, text.split("&")):
        name, _, value = pair.partition("=")
        options[unquote(name)] = unquote(value)
    return options


def driver_names() -> list[str]:
    """Every driver there is: the files under ``drivers/`` and what other packages registered."""
    files = os.listdir(os.path.join(os.path.dirname(__file__), "drivers"))
    own = {file[:-3] for file in files if file.endswith(".py") and not file.startswith("_")}
    return sorted(own | set(_registered()))


def load_driver(name: str) -> Any:
    """The class behind a driver name.

    Raises:
        SpecError: there is no such driver; names that look alike are listed.
    """
    path = f"energymeter.drivers.{name}"
    if _name_end(name) == len(name) > 0 and "-" not in name:
        try:
            loaded: Any = module(path)
        except ModuleNotFoundError as missing:
            if missing.name != path:
                raise
        else:
            (public,) = loaded.__all__
            return getattr(loaded, public)
    foreign = _registered().get(name)
    if foreign is not None:
        return foreign.load()
    from difflib import get_close_matches

    alike = get_close_matches(name, driver_names(), n=3)
    hint = f"did you mean {' or '.join(alike)}?" if alike else f"there are: {', '.join(driver_names())}."
    raise SpecError(f"there is no driver {name!r}; {hint}")


def options_of(driver: Any) -> dict[str, inspect.Parameter]:
    """The options that a spec may give to a driver: keyword-only parameters of a simple type.

    A constructor that takes ``**options`` as well passes them on to that of its family's base class, whose
    options are therefore its own; they come first.
    """
    import inspect  # costs the sampler 8 ms, which a plain spec need not pay

    constructors = (
        [vars(c)["__init__"] for c in driver.__mro__[:-1] if "__init__" in vars(c)]
        if (inspect.isclass(driver))
        else [driver]
    )
    found: dict[str, inspect.Parameter] = {}
    for constructor in constructors:
        parameters = inspect.signature(constructor).parameters
        own = {
            name: parameter
            for name, parameter in parameters.items()
            if parameter.kind is parameter.KEYWORD_ONLY and _kind(parameter.annotation)
        }
        found = {**{name: own[name] for name in own if name not in found}, **found}
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
            break
    return found


def _registered() -> dict[str, Any]:
    from importlib.metadata import entry_points  # costs 20 ms: only when our own folder has no such name

    return {point.name: point for point in entry_points(group=_ENTRY_POINTS)}


def _kind(annotation: object) -> type | None:
    """The simple type a spec can give for an annotation such as ``float | None``, evaluated or as written."""
    written = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    alternatives = [alternative.strip() for alternative in written.split("|")]
    return next((kind for kind in (bool, int, float, str) if kind.__name__ in alternatives), None)


def flag(driver: str, name: str, text: str) -> bool:
    """An option that is yes or no.

    Raises:
        SpecError: it is neither.
    """
    if text.lower() not in _TRUE | _FALSE:
        raise SpecError(f"{driver}'s option {name} is {text!r}, but it must be yes or no")
    return text.lower() in _TRUE


def _convert(driver: str, name: str, text: str, annotation: object) -> object:
    kind = _kind(annotation)
    if kind is bool:
        return flag(driver, name, text)
    try:
        if kind is int:
            return int(text, 0)
        return float(text) if kind is float else text
    except ValueError:
        wanted = "a whole number" if kind is int else "a number"
        raise SpecError(f"{driver}'s option {name} is {text!r}, but it must be {wanted}") from None
