"""Which source `EnergyMeter()` takes when none is named, and why.

In this order: ``$ENERGYMETER_SOURCE``; ``source`` in the user's ``config.ini``; the last choice, if the
machine and its devices are still the same; the best of what answers now. The best is an external meter, a
sensor of the whole board, the processor's counters (with those of the GPUs, which they do not include), or a
battery's gauge. Where nothing answers, it is the board's model, and the usage says so.
"""

import json
import os
import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from energymeter.discovery import last_choice
from energymeter.errors import SpecError
from energymeter.paths import read_file, user_folder
from energymeter.reading import Facts
from energymeter.sampling.spawn import Child, spawn

CHOICE_SECONDS = 0.75
"""The time for sources to answer; with the start of Python, a choice takes less than a second."""
_START_SECONDS = 12.0
"""The most that Python and its drivers may take to load; a Pi Zero takes one second."""
_RANK = {
    "meter": "an external meter",
    "board": "the board's own sensor",
    "package": "the processor's own counters",
    "gauge": "the battery's gauge",
}
_SHOWN_ONLY = ("gpu", "part")
KINDS = (*_RANK, *_SHOWN_ONLY)
_MODEL = "no sensor was found: this is the board's model, not a measurement (see `energymeter devices`)"
MOST_SETTINGS = 65_536
"""The largest ``config.ini`` in bytes."""


class Finding(NamedTuple):
    """A source that was probed: what it draws, or why it cannot be read."""

    spec: str
    kind: str
    watts: float | None = None
    """W of the counted channels; None: they can be read, but show no power yet."""
    channels: tuple[str, ...] = ()
    """The counted channels."""
    excluded: tuple[str, ...] = ()
    """Channels that others contain already: shown, never added."""
    facts: Facts | None = None
    error: str | None = None
    late: bool = False
    """It did not answer in time and may answer later."""
    signs: tuple[str, ...] = ()
    """Files by which one sees that the source has come or gone, see `energymeter.source`."""

    @property
    def usable(self) -> bool:
        """A reading was taken."""
        return self.error is None


class Choice(NamedTuple):
    """The spec of a source, and why it was chosen."""

    spec: str
    reason: str
    modelled: bool = False
    """No sensor was found, so the energy will be modelled."""


def find(seconds: float, kinds: Iterable[str] = KINDS) -> list[Finding]:
    """Every source of these kinds, each probed by one reading; the best first.

    Args:
        seconds: sources that have not answered by then are `Finding.late`.
        kinds: see `energymeter.source`.
    """
    child = spawn({"job": "energymeter.discovery.probe", "kinds": list(kinds), "seconds": seconds})
    try:
        findings = list(_received(child, time.monotonic() + _START_SECONDS + seconds))
    finally:
        child.kill()
        child.wait(_START_SECONDS)
        child.release()
    return sorted(findings, key=lambda f: (not f.usable, KINDS.index(f.kind), f.spec))


def _received(child: Child, deadline: float) -> Iterator[Finding]:
    for line in child.lines(deadline):
        if not line:
            return
        yield _finding(json.loads(line))
    error = "this machine was too slow or too busy to probe them: try `energymeter devices --seconds 20`"
    yield Finding("the other drivers", "part", error=error, late=True)


def _finding(fields: dict[str, Any]) -> Finding:
    lists = {name: tuple(fields.get(name, ())) for name in ("channels", "excluded", "signs")}
    facts = Facts.from_json(fields["facts"]) if "facts" in fields else None
    return Finding(**{**fields, **lists, "facts": facts})


def choose(failed: Choice | None = None) -> Choice:
    """The source to take when none is named.

    Args:
        failed: the choice before, which could not be opened; the sources are probed again.

    Raises:
        SpecError: the user's ``config.ini`` cannot be understood.
    """
    known = named() or (None if failed else recalled())
    if known is not None:
        return known
    findings = [f for f in find(CHOICE_SECONDS) if f.usable or failed is None or f.spec != failed.spec]
    choice = best(findings)
    remember(choice, findings)
    return choice


def named() -> Choice | None:
    """The source that the environment or the user's ``config.ini`` names.

    Raises:
        SpecError: the file cannot be understood.
    """
    source = os.environ.get("ENERGYMETER_SOURCE")
    if source:
        return Choice(source, "named by $ENERGYMETER_SOURCE")
    configured = _configured()
    return Choice(configured, "named by config.ini") if configured else None


def best(findings: Iterable[Finding]) -> Choice:
    """The best of the sources that answered.

    Sources of one kind only, because another kind measures the same joules a second time; a processor's
    counters do not include its GPUs, which are added. If none has answered, one that is late is better than
    the model.
    """
    found = list(findings)
    return (
        _best([f for f in found if f.usable])
        or _best([f for f in found if f.late])
        or Choice("model", _MODEL, modelled=True)
    )


def _best(findings: list[Finding]) -> Choice | None:
    for kind, reason in _RANK.items():
        of_kind = sorted(finding.spec for finding in findings if finding.kind == kind)
        gpus = sorted(finding.spec for finding in findings if finding.kind == "gpu")
        if kind == "package" and of_kind and gpus:
            return Choice(f"{of_kind[0]}+{gpus[0]}", f"{reason} and the GPUs'")
        if kind == "meter" and len(of_kind) > 1:
            others = ", ".join(of_kind[1:])
            return Choice(of_kind[0], f"{reason}, the first of {len(of_kind)}; name another: {others}")
        if of_kind:
            return Choice(of_kind[0], reason)
    return None


def remember(choice: Choice, findings: Iterable[Finding]) -> None:
    """Keep a choice for the next time; one that was made while a source was late is not kept."""
    found = list(findings)
    if any(finding.late for finding in found):
        last_choice.forget()
    else:
        last_choice.remember(list(choice), {sign for finding in found for sign in finding.signs})


def recalled() -> Choice | None:
    """The last choice, if the machine and its devices are still the same."""
    match last_choice.recall():
        case [str(spec), str(reason), bool(modelled)]:
            return Choice(spec, reason, modelled)
    return None


def _configured() -> str | None:
    path = os.path.join(user_folder("config"), "config.ini")
    if not os.path.exists(path):
        return None
    import configparser  # 5 ms, for those who have such a file

    config = configparser.ConfigParser(interpolation=None)
    try:
        config.read_string(read_file(path, MOST_SETTINGS).decode("utf-8"), path)
        return config.get("meter", "source", fallback=None)
    except OSError as error:
        raise SpecError(f"{path} cannot be read ({error.strerror}); make it yours, or remove it") from error
    except (configparser.Error, UnicodeDecodeError) as error:
        why = type(error).__name__
        raise SpecError(f"{path} cannot be understood ({why}); write [meter] and source = … in it") from error
