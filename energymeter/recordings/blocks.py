"""Logs of other tools that are no tables, read as tables: a block or a line of words becomes a row.

=================  ==========================================================================================
tool               what a row is made of
=================  ==========================================================================================
``tegrastats``     the stamp (JetPack 5 and later) and the present power of the rail of the whole board
``powermetrics``   a block's stamp and length, and the power of all processors, the mean of the block
=================  ==========================================================================================
"""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from energymeter.errors import LogError
from energymeter.recordings.tegrastats import counted_rails, printed_rails

_STAMP = re.compile(r"\s*(\d\d)-(\d\d)-(\d{4}) (\d\d:\d\d:\d\d)\s")
_BLOCK = re.compile(r"\*+ Sampled system activity \(([^)]*)\) \(([\d.]+)ms elapsed\)")
_PACKAGE = re.compile(
    r"(?:Combined Power \(CPU \+ GPU(?: \+ ANE)?\)|Intel energy model derived package power \([^)]*\)): "
    r"*([\d.]+) ?(m?W)"
)
_SLACK_S = 2.0
"""Stamps are whole seconds: where they differ by less from the sum of the lengths, nothing was left out."""


class Log(NamedTuple):
    """One kind of log, and how it becomes a table."""

    name: str
    recognised: Callable[[str], bool]
    rows: Callable[[str, Iterator[str]], Iterator[str]]


def tegrastats(path: str, lines: Iterator[str]) -> Iterator[str]:
    """The power of the whole board now, by line.

    Raises:
        LogError: no line has a stamp, or no rail is the whole board's.
    """
    yield "tegrastats time,power [W]\n"
    for line in lines:
        rails = printed_rails(line)
        if not rails:
            yield line
            continue
        stamp = _STAMP.match(line)
        if stamp is None:
            raise LogError(
                f"{path} is a log of tegrastats without times: JetPack 5 and later write them; "
                "record again with energymeter log tegrastats"
            )
        counted = counted_rails(rails)
        if len(counted) > 1:
            raise LogError(
                f"{path} is a log of tegrastats, and none of its rails is the whole board's: "
                f"{', '.join(rails)}; record again with energymeter log tegrastats, which knows your board"
            )
        month, day, year, clock = stamp.groups()
        yield f"{year}-{month}-{day} {clock},{rails[min(counted)]:.6g}\n"


def powermetrics(path: str, lines: Iterator[str]) -> Iterator[str]:
    """The mean power of all processors, W, by block."""
    yield "powermetrics time,package power [mW]\n"
    at: float | None = None
    for line in lines:
        if block := _BLOCK.match(line):
            seconds = float(block[2]) / 1000
            stamp = _epoch(block[1])
            if stamp is None:
                yield line
                continue
            if at is None:
                yield f"{stamp - seconds:.6f},\n"
            at = stamp if at is None or abs(stamp - at - seconds) > _SLACK_S else at + seconds
        elif at is not None and (power := _PACKAGE.match(line)):
            yield f"{at:.6f},{float(power[1]) * (1000 if power[2] == 'W' else 1):g}\n"


def _epoch(text: str) -> float | None:
    try:
        return datetime.strptime(text, "%a %b %d %H:%M:%S %Y %z").timestamp()
    except ValueError:
        return None


LOGS: Sequence[Log] = (
    Log(
        "tegrastats log",
        lambda text: "RAM " in text and bool(printed_rails(text)) and ("EMC" in text or "GR3D" in text),
        tegrastats,
    ),
    Log("powermetrics text", lambda text: bool(_BLOCK.search(text)), powermetrics),
)


def as_table(path: str, head: Sequence[str], rest: Iterator[str]) -> Iterator[str] | None:
    """The lines of a table with what such a log says; ``None`` where it is none that is known."""
    first = "".join(head[:50])
    log = next((log for log in LOGS if log.recognised(first)), None)
    if log is None:
        return None

    def lines() -> Iterator[str]:
        yield from head
        yield from rest

    return log.rows(path, lines())
