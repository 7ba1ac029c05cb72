"""The closing record of our logs: the window that was measured, and the checksum of all before it."""

import json
from typing import TYPE_CHECKING, Any

from energymeter.recordings.header import COLUMNS
from energymeter.units import number_in

if TYPE_CHECKING:
    import hashlib

CLOSED = '{"closed": '
"""How a closing record begins; in a CSV it stands behind ``# ``."""
_MOST_SECONDS = 1e12


def window_of(closed: Any) -> tuple[float, float] | None:
    """The window in a closing record.

    Raises:
        KeyError, TypeError, ValueError: it makes no sense.
    """
    window = closed["window_s"]
    if window is None:
        return None
    start, end = (number_in(edge, -_MOST_SECONDS, _MOST_SECONDS, "the window") for edge in window)
    if not start <= end:
        raise ValueError("the window ends before it begins")
    return start, end


def closing_checksum(before: "hashlib._Hash", window_s: Any) -> str:
    """The checksum of a closing record: of all bytes before it, and of the window that it states."""
    seal = before.copy()
    seal.update(json.dumps(window_s).encode())
    return seal.hexdigest()


def sealed(header: str, closed: str) -> dict[str, str]:
    """The metadata of a Parquet log's schema: its header, its closing record, and their checksum."""
    import hashlib

    seal = hashlib.sha256(f"{header}\n{closed}".encode()).hexdigest()
    return {"energymeter": header, "energymeter_closed": closed, "energymeter_sha256": seal}


def checksums(table: Any, sums: dict[str, dict[str, int]]) -> None:
    """Continue the CRC-32 of each channel's columns with the rows of a table; "" is an only channel."""
    from zlib import crc32

    import numpy as np

    owners = table["source"].to_numpy(zero_copy_only=False) if "source" in table.schema.names else None
    for name in [""] if owners is None else sorted(set(owners)):
        own = slice(None) if owners is None else owners == name
        column_sums = sums.setdefault(name, dict.fromkeys(COLUMNS, 0))
        for column in COLUMNS:
            values = np.ascontiguousarray(table[column].to_numpy()[own])
            column_sums[column] = crc32(values.tobytes(), column_sums[column])
