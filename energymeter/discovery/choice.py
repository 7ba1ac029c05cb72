"""Which source `EnergyMeter()` takes when none is named, and why.

In this order: ``$ENERGYMETER_SOURCE``; ``source`` in the user's ``config.ini``; what was found last
time since this machine was started, if the same devices are there; the best of what answers now:
an external meter, a sensor of the whole board, the processor's counters (with the GPUs', which are
beside them), a battery's gauge. Where nothing answers: the board's model, which says so.
"""

import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from energymeter.errors import SpecError
from energymeter.paths import user_folder
from energymeter.reading import Facts
from energymeter.sampling.spawn import Child, spawn

CHOICE_SECONDS = 0.75
"""For sources to answer in; with the start of Python a choice takes less than a second."""
_START_SECONDS = 12.0
"""At most, for Python and its drivers to load; a Pi Zero takes one."""
_RANK = {
    "meter": "an external meter",
    "board": "the board's own sensor",
    "package": "the processor's own counters",
    "gauge": "the battery's gauge",
}
_SHOWN_ONLY = ("gpu", "part")
KINDS = (*_RANK, *_SHOWN_ONLY)
_MODEL = "no sensor was found: this is the board's model, not a measurement (`energymeter devices` tells why)"
_METERS = re.compile(r"i2c-\d|hidraw\d|tty(USB|ACM)\d|rfcomm\d|nvidia\d|vcio$")
_SEEN_AS = (
    "/sys/bus/usb/devices",
    "/sys/class/powercap",
    "/sys/class/hwmon",
    "/sys/class/power_supply",
    "/sys/bus/iio/devices",
)
_SERVICE = "/run/jtop.sock"


class Finding(NamedTuple):
    """A source that was looked for: what it draws, or what is in the way."""

    spec: str
    kind: str
    watts: float | None = None
    """W of the counted channels; None: they read, but cannot tell yet."""
    channels: tuple[str, ...] = ()
    """Those that count."""
    beside: tuple[str, ...] = ()
    """Those that are inside of others: shown, never added."""
    facts: Facts | None = None
    trouble: str | None = None
    late: bool = False
    """It is being read, but had not answered in time."""

    @property
    def usable(self) -> bool:
        """A reading was taken."""
        return self.trouble is None


class Choice(NamedTuple):
    """A spec, and in a few words why it."""

    spec: str
    reason: str


def look(seconds: float, kinds: Iterable[str] = KINDS) -> list[Finding]:
    """Every source of these kinds, by one real reading each, the best first.

    Args:
        seconds: who has not answered by then is `Finding.late`.
        kinds: see `energymeter.source`.
    """
    child = spawn({"job": "energymeter.discovery.probe", "kinds": list(kinds), "seconds": seconds})
    try:
        findings = list(_heard(child, time.monotonic() + _START_SECONDS + seconds))
    finally:
        child.kill()
        child.wait(_START_SECONDS)
        child.release()
    return sorted(findings, key=lambda f: (not f.usable, KINDS.index(f.kind), f.spec))


def _heard(child: Child, deadline: float) -> Iterator[Finding]:
    for line in child.lines(deadline):
        if not line:
            return
        said = json.loads(line)
        for name in ("channels", "beside"):
            said[name] = tuple(said.get(name, ()))
        facts = Facts.from_json(said.pop("facts")) if "facts" in said else None
        yield Finding(**said, facts=facts)
    trouble = "this machine was too slow or too busy to ask them: try `energymeter devices --seconds 20`"
    yield Finding("the other drivers", "part", trouble=trouble, late=True)


def choose(failed: Choice | None = None) -> Choice:
    """The source to take when none is named.

    Args:
        failed: what was chosen before and did not open: it is looked for again.

    Raises:
        SpecError: the user's ``config.ini`` cannot be understood.
    """
    known = named() or (None if failed else _remembered())
    if known is not None:
        return known
    findings = [f for f in look(CHOICE_SECONDS) if f.usable or failed is None or f.spec != failed.spec]
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
    """The best of what answered: one kind only, because kinds measure the same joules again. Only the
    GPUs of a machine whose processor counts are beside it, and are added. Where nothing has answered,
    one that is late is still better than the model."""
    found = list(findings)
    return (
        _best([f for f in found if f.usable])
        or _best([f for f in found if f.late])
        or Choice("model", _MODEL)
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


def _configured() -> str | None:
    path = os.path.join(user_folder("config"), "config.ini")
    if not os.path.exists(path):
        return None
    import configparser  # 5 ms, for those who have such a file

    config = configparser.ConfigParser(interpolation=None)
    try:
        with open(path, encoding="utf-8") as file:
            config.read_file(file)
        return config.get("meter", "source", fallback=None)
    except OSError as error:
        raise SpecError(f"{path} cannot be read ({error.strerror}); make it yours, or remove it.") from error
    except (configparser.Error, UnicodeDecodeError) as error:
        why = str(error).splitlines()[0]
        raise SpecError(f"{path} cannot be understood ({why}); it holds [meter] and source = …") from error


# -- what was found last time ----------------------------------------------------------------------


def remember(choice: Choice, findings: Iterable[Finding]) -> None:
    """Keep a choice until this machine is started again or a device comes or goes; one that was made
    while something had not answered yet is not kept."""
    path = _memory()
    if any(finding.late for finding in findings):
        forget()
        return
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        unfinished = f"{path}.{os.getpid()}"
        with open(unfinished, "w", encoding="utf-8") as file:
            json.dump({"choice": choice, "here": fingerprint()}, file)
        os.replace(unfinished, path)
    except OSError:
        return  # a read-only home: it is looked for again next time


def forget() -> None:
    """Look again next time."""
    with contextlib.suppress(OSError):
        os.unlink(_memory())


def _remembered() -> Choice | None:
    try:
        with open(_memory(), encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_uid != os.geteuid():  # in a shared folder anybody could choose
                return None
            remembered = json.load(file)
        spec, why = map(str, remembered["choice"])
        return Choice(spec, why) if remembered["here"] == fingerprint() else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _memory() -> str:
    return os.path.join(user_folder("cache"), "choice.json")


def fingerprint(root: str = "/", path: Iterable[str] = sys.path) -> list[str]:
    """What would change if a meter were plugged in or out, a right given or a package installed.

    A chip that is wired to a bus which was there before does not show: `energymeter devices` looks anew.
    """
    rights = (os.getuid(), *sorted(os.getgroups()))
    here = [_text(root, "/proc/sys/kernel/random/boot_id"), *map(str, rights)]
    for folder in _SEEN_AS:
        here += [f"{folder}/{name}" for name in _names(root, folder)]
    nodes = [f"/dev/{name}" for name in _names(root, "/dev") if _METERS.match(name)]
    zones = [f"{zone}/energy_uj" for zone in here if zone.startswith("/sys/class/powercap/")]
    here += [f"{node} {_rights(root, node)}" for node in (*nodes, *zones, _SERVICE)]
    supplies = [name for name in here if name.startswith("/sys/class/power_supply/")]
    here += [f"{supply} {_text(root, f'{supply}/status')}" for supply in supplies]
    for entry in path:
        if entry.endswith("-packages"):
            with contextlib.suppress(OSError):
                here.append(f"{entry} {os.stat(entry).st_mtime_ns}")
    return here


def _text(root: str, path: str) -> str:
    try:
        with open(os.path.join(root, path[1:]), encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def _names(root: str, folder: str) -> list[str]:
    try:
        return sorted(os.listdir(os.path.join(root, folder[1:])))
    except OSError:
        return []


def _rights(root: str, path: str) -> str:
    here = os.path.join(root, path[1:])
    return "r" if os.access(here, os.R_OK) else "closed" if os.path.lexists(here) else "absent"
