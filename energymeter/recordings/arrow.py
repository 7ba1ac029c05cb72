"""Columns of pyarrow as numbers, without pandas: ``to_numpy()``, ``index()`` and ``pyarrow.array`` would
import it, which takes longer than reading or writing a log.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def plain(piece: Any, kind: npt.DTypeLike = np.float64) -> npt.NDArray[Any]:
    """The values of an array; an empty cell is NaN.

    Args:
        piece: an array of pyarrow with fixed width, or a piece of one.
        kind: the type of its values.
    """
    size = np.dtype(kind).itemsize
    values: npt.NDArray[Any] = np.frombuffer(piece.buffers()[1], kind, len(piece), size * piece.offset)
    if piece.null_count:
        known = np.unpackbits(np.frombuffer(piece.buffers()[0], np.uint8), bitorder="little")
        values = np.where(known[piece.offset : piece.offset + len(piece)], values, np.nan)
    return values


def are(piece: Any, name: str) -> npt.NDArray[np.bool_]:
    """Which cells of an array of texts are this text."""
    encoded = piece.dictionary_encode()  # ours is one already
    known = encoded.dictionary.to_pylist()
    place = known.index(name) if name in known else -1
    theirs: npt.NDArray[np.bool_] = plain(encoded.indices, np.dtype(str(encoded.indices.type))) == place
    return theirs


def texts(names: Sequence[str]) -> Any:
    """An array of texts."""
    from array import array
    from itertools import accumulate

    import pyarrow

    parts = [name.encode() for name in names]
    ends = array("i", accumulate(map(len, parts), initial=0))
    return pyarrow.StringArray.from_buffers(
        len(parts), pyarrow.py_buffer(ends), pyarrow.py_buffer(b"".join(parts))
    )
