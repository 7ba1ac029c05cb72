"""The first line of our own logs: whose channels follow, and what is known of them."""

import json
from array import array
from typing import Any, get_args

from energymeter.errors import LogError
from energymeter.reading import Band, Facts, Place, Provenance, Semantics
from energymeter.recordings.record import Record
from energymeter.recordings.writer import COLUMNS, FORMAT
from energymeter.units import number


def parse_header(path: str, line: str) -> dict[str, Any]:
    """Raises `LogError` where it is none of this version's."""
    try:
        header = json.loads(line)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise LogError(f"{path} is no log of this version of energymeter; its first line says otherwise.")
    return header


def empty_records(path: str, header: dict[str, Any]) -> list[Record]:
    """A record for each channel, its columns still empty.

    Raises:
        LogError: the header is damaged.
    """
    channels = header.get("channels")
    if not isinstance(channels, list) or not channels:
        raise LogError(f"{path} is no log of energymeter: its header names no channel.")
    try:
        return [
            Record(
                _name(channel["name"]),
                _facts(channel, header.get("counted_sources")),
                {column: array("d") for column in COLUMNS},
                number(header.get("started")),
                header,
                calibration=channel.get("calibration"),
                read_as=f"{FORMAT}: {_counted(len(channels))}",
            )
            for channel in channels
        ]
    except (KeyError, TypeError, ValueError) as damage:
        raise LogError(f"{path} has a damaged header ({damage}); restore its first line.") from damage


def _counted(channels: int) -> str:
    return "1 channel" if channels == 1 else f"{channels} channels"


def _name(said: Any) -> str:
    if not str(said).isprintable():  # ours are: see `energymeter.text`
        raise ValueError("a channel's name has control characters")
    return str(said)


def _facts(channel: dict[str, Any], counted_sources: int | None) -> Facts:
    """What the header says of a channel; one that stood beside the first sources does not count.

    Raises:
        KeyError, TypeError, ValueError: it makes no sense.
    """
    facts = Facts.from_json(channel["facts"])
    for said, known in ((facts.semantics, Semantics), (facts.provenance, Provenance), (facts.place, Place)):
        if said not in get_args(known):
            raise ValueError(f"{said!r} is none of {', '.join(get_args(known))}")
    bands = [figure for field in facts if isinstance(field, Band) for figure in field]
    plain = [field for field in facts[3:] if field is not None and not isinstance(field, Band)]
    if not all(isinstance(figure, int | float) for figure in bands + plain):
        raise TypeError("its accuracy is no number")
    beside = counted_sources is not None and channel["source"] >= counted_sources
    return facts._replace(counted=facts.counted and not beside)
