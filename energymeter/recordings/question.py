"""What is asked where a file is not recognised: what was found in it, and a command line that answers."""

import shlex
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from energymeter.errors import LogError
from energymeter.recordings.record import ARRIVAL, Hints
from energymeter.text import printable

_MOST_TITLES = 40


def question(
    path: str,
    hints: Hints,
    what: str,
    *,
    titles: Sequence[str] = (),
    found: str = "parted by commas",
    answer: Mapping[str, str] | None = None,
) -> LogError:
    """The error to raise.

    Args:
        what: is missing or unclear, as a clause.
        titles: those that were found.
        found: how they were, for people.
        answer: the nearest guess, as hints.
    """
    said = [f"{path}: {what}"]
    if titles:
        shown = [printable(title) or "(empty)" for title in titles[:_MOST_TITLES]]
        more = f" and {len(titles) - _MOST_TITLES} more" if len(titles) > _MOST_TITLES else ""
        said.append(f"it has, {found}: {', '.join(shown)}{more}")
    if answer:
        known = {name: value for name, value in hints._asdict().items() if value and name in _OPTIONS}
        known = {name: value for name, value in known.items() if value != ARRIVAL}
        said.append(f"say what is meant, as in {spelled(path, hints.caller, {**known, **answer})}")
    else:
        said.append(_OTHERWISE)
    return LogError("; ".join(said))


_OTHERWISE = "write it as a table with titles such as time_s and power_W"
_OPTIONS = tuple(name for name in Hints._fields if name != "caller")


def spelled(path: str, caller: str, options: Mapping[str, str]) -> str:
    """A command line with these options, to be pasted; of the library, a call.

    >>> spelled("my log.csv", "show", {"watts": "P", "time_unit": "ms"})
    "energymeter show 'my log.csv' --watts P --time-unit ms"
    >>> spelled("log.csv", "replay", {"watts": "P 1"})
    'replay@log.csv?watts=P%201'
    >>> spelled("a.csv", "align", {"unit": "mW"})
    "energymeter align 'a.csv?unit=mW'"
    """
    if caller == "load":
        arguments = "".join(f", {name}={value!r}" for name, value in options.items())
        return f"Trace.load({path!r}{arguments})"
    pairs = "&".join(f"{name}={quote(value, safe='')}" for name, value in options.items())
    if caller in ("replay", "csv"):
        place = f'"{path}"' if set(path) & set("?+, ") else path
        return f"{caller}@{place}?{pairs}"
    if caller == "show":
        flags = (f"--{name.replace('_', '-')} {shlex.quote(value)}" for name, value in options.items())
        return " ".join(["energymeter show", shlex.quote(path), *flags])
    return f"energymeter {caller} {shlex.quote(f'{path}?{pairs}')}"
