"""What the program and its child processes say to each other: plain values, as one line each.

They travel through a private file and a private pipe between two processes of one user and one interpreter,
in that interpreter's own format. JSON would do as well, but loading `json` takes as long as two thirds of a
bare start, in both processes.
"""

from __future__ import annotations

import marshal

from energymeter.lazy import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


def packed(message: dict[str, Any]) -> bytes:
    """A message as a line, without its end.

    Args:
        message: what JSON can hold. Tuples arrive as lists, as they would there.

    Raises:
        TypeError: something else is in it.
    """
    return marshal.dumps(_plain(message)).hex().encode()


def unpacked(line: bytes) -> dict[str, Any]:
    """The message of a line.

    Raises:
        ValueError, EOFError, TypeError: it is none.
    """
    message = marshal.loads(bytes.fromhex(line.decode()))
    if not isinstance(message, dict):
        raise TypeError("the line holds no message")
    return message


def _plain(value: Any) -> Any:
    """The value in the types of Python itself: a number of numpy's is also a float, but no plain one."""
    if value is None:
        return None
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    raise TypeError(f"{value!r} cannot be sent to another process")
