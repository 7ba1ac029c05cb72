"""Which source `EnergyMeter()` takes when none is named, and why.

In this order: ``$ENERGYMETER_SOURCE``; ``source`` in the user's ``config.ini``; what was found last
time since this machine was started, if the same devices are there; the best of what answers now:
an external meter, a sensor of the whole board, the processor's counters (with the GPUs', which are
beside them), a battery's gauge. Where nothing answers: the board's model, which says so.
"""

import configparser
import json
import os
import select
import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from energymeter.reading import Facts
from energymeter.spawn import spawn

CHOICE_SECONDS = 0.9
_RANK = {
    "meter": "an external meter",
    "board": "the board's own sensor",
    "package": "the processor's own counters",
    "gauge": "the battery's gauge",
}
_SHOWN_ONLY = ("gpu", "part")
_MODEL = "no sensor was found: this is the board's model, not a measurement (`energymeter devices` tells why)"


class Finding(NamedTuple):
    """A source that was looked for: what it draws, or what is in the way."""

    spec: str
    kind: str
    watts: float | None = None
    channels: tuple[str, ...] = ()
    facts: Facts | None = None
    trouble: str | None = None
    advice: str | None = None

    @property
    def usable(self) -> bool:
        """A reading was taken."""
        return self.trouble is None


class Choice(NamedTuple):
    """A spec, and in a few words why it."""

    spec: str
    reason: str


def look(seconds: float, kinds: Iterable[str] = (*_RANK, *_SHOWN_ONLY)) -> list[Finding]:
    """Every source of these kinds, by one real reading each, the best first.

    Args:
        seconds: after that, what has not answered is left out.
        kinds: see `energymeter.source`.
    """
    process = spawn({"kinds": list(kinds), "seconds": seconds})
    try:
        findings = list(_heard(process.stdout, time.monotonic() + seconds + 1.0))
    finally:
        process.kill()
        process.communicate()
    order = [*_RANK, *_SHOWN_ONLY]
    return sorted(findings, key=lambda f: (not f.usable, order.index(f.kind), f.spec))


def _heard(pipe: Any, deadline: float) -> Iterator[Finding]:
    heard = b""
    while select.select([pipe], (), (), max(0.0, deadline - time.monotonic()))[0]:
        piece = os.read(pipe.fileno(), 65_536)
        heard += piece
        *lines, heard = heard.split(b"\n")
        for line in lines:
            if not line:
                return
            said = json.loads(line)
            facts = Facts.from_json(said.pop("facts")) if "facts" in said else None
            yield Finding(**{**said, "facts": facts, "channels": tuple(said.get("channels", ()))})
        if not piece:
            return


def choose() -> Choice:
    """The source to take when none is named."""
    named = os.environ.get("ENERGYMETER_SOURCE")
    if named:
        return Choice(named, "named by $ENERGYMETER_SOURCE")
    configured = _configured()
    if configured:
        return Choice(configured, "named by config.ini")
    here = _devices_here()
    remembered = _remembered(here)
    if remembered is not None:
        return remembered
    choice = best(look(CHOICE_SECONDS))
    _remember(choice, here)
    return choice


def best(findings: Iterable[Finding]) -> Choice:
    """The best of what answered: one kind only, because kinds measure the same joules again. Only the
    GPUs of a machine whose processor counts are beside it, and are added."""
    usable = [finding for finding in findings if finding.usable]
    for kind, reason in _RANK.items():
        of_kind = [finding.spec for finding in usable if finding.kind == kind]
        if kind == "package" and of_kind:
            gpus = [finding.spec for finding in usable if finding.kind == "gpu"]
            return Choice("+".join([of_kind[0], *gpus[:1]]), f"{reason}{' and the GPUs' if gpus else ''}")
        if of_kind:
            return Choice(of_kind[0], reason)
    return Choice("model", _MODEL)


def forget() -> None:
    """Look again next time."""
    path = _memory()
    if os.path.exists(path):
        os.unlink(path)


def _configured() -> str | None:
    import platformdirs

    config = configparser.ConfigParser(interpolation=None)
    config.read(os.path.join(platformdirs.user_config_dir("energymeter"), "config.ini"))
    return config.get("meter", "source", fallback=None)


def _memory() -> str:
    import platformdirs

    return os.path.join(platformdirs.user_cache_dir("energymeter"), "choice.json")


def _devices_here() -> list[str]:
    """What would change if a meter were plugged in or out, this boot and this user's rights included."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            boot = file.read().strip()
    except OSError:
        boot = ""
    here = [boot, *(str(group) for group in sorted(os.getgroups()))]
    for folder in ("/dev", "/sys/class/powercap", "/sys/class/hwmon", "/sys/class/power_supply", "/run"):
        try:
            here += sorted(f"{folder}/{name}" for name in os.listdir(folder) if not name.endswith(".pid"))
        except OSError:
            here.append(f"{folder} is not there")
    return here


def _remembered(here: list[str]) -> Choice | None:
    try:
        with open(_memory(), encoding="utf-8") as file:
            remembered = json.load(file)
        return Choice(*remembered["choice"]) if remembered["here"] == here else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remember(choice: Choice, here: list[str]) -> None:
    path = _memory()
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        unfinished = f"{path}.{os.getpid()}"
        with open(unfinished, "w", encoding="utf-8") as file:
            json.dump({"choice": choice, "here": here}, file)
        os.replace(unfinished, path)
    except OSError:
        return  # a read-only home: it is looked for again next time
