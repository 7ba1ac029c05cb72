"""Reads Joulescope's JLS files (version 2) with their maker's library.

Each device is a channel. A sample is the mean of its period, so the energy is their sum, whatever the rate.
Where there are more samples than rows are kept, several are joined into one row by their mean: the energy is
the same, the resolution is not. Source: jetperch/jls (the format), pyjls ``Reader``.
"""

import os
import shlex
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from energymeter.errors import ExtraMissing, LogError, NotMeasured
from energymeter.reading import Facts
from energymeter.recordings.record import Record
from energymeter.recordings.thinning import MOST_ROWS
from energymeter.text import printable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

JLS = b"jlsfmt\r\n"
"""What a file of version 2 begins with."""
_UNITS = {"W": "watts", "V": "volts", "A": "amps"}
_BLOCK_SAMPLES = 1 << 20


class _Signal(NamedTuple):
    """One quantity of a device."""

    number: int
    hz: float
    length: int
    first_s: float | None
    """Unix time of the first sample, where the file says."""


def read_jls(path: str) -> list[Record]:
    """A record for each device.

    Raises:
        ExtraMissing: without pyjls.
        NotMeasured: it has no samples of a current or a power.
        LogError: it is damaged, or its signals do not fit each other.
    """
    try:
        import pyjls
    except ImportError:
        raise ExtraMissing("pyjls", "jls", "a JLS file") from None
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(24)[16:], "little")
    if length != os.path.getsize(path):  # the library would repair it in place
        raise LogError(
            f"{path} was not closed by its writer, or cut short; run python -m pyjls copy "
            f"{shlex.quote(path)} whole.jls and give the copy"
        )
    try:
        with pyjls.Reader(path) as reader:
            devices = _devices(reader, pyjls)
            if not devices:
                raise NotMeasured(f"{path} has no samples of a current or a power; record again")
            begins = [signal.first_s for signals in devices.values() for signal in signals.values()]
            known = [begin for begin in begins if begin is not None]
            epoch = min(known) if len(known) == len(begins) else None
            rows = max(1, MOST_ROWS // len(devices))
            return [_record(path, reader, name, each, epoch, rows) for name, each in devices.items()]
    except (RuntimeError, ValueError, KeyError, OSError) as damage:
        raise LogError(f"{path} is no whole JLS file ({damage}); restore it") from damage


def _devices(reader: Any, pyjls: Any) -> dict[str, dict[str, _Signal]]:
    """The signals of each device, by quantity."""
    sources = {number: source.name for number, source in reader.sources.items()}
    devices: dict[str, dict[str, _Signal]] = {}
    for number, signal in sorted(reader.signals.items()):
        quantity = _UNITS.get(signal.units)
        if signal.signal_type != pyjls.SignalType.FSR or quantity is None or not signal.length:
            continue
        name = printable(sources.get(signal.source_id) or f"source {signal.source_id}")
        try:
            first = pyjls.jls_to_utc(reader.sample_id_to_timestamp(number, 0))
        except RuntimeError:  # it has no time of the day
            first = None
        found = _Signal(number, float(signal.sample_rate), int(signal.length), first)
        devices.setdefault(name, {}).setdefault(quantity, found)
    return {name: signals for name, signals in devices.items() if signals.keys() - {"volts"}}


def _record(
    path: str, reader: Any, name: str, signals: dict[str, _Signal], epoch: float | None, most_rows: int
) -> Record:
    main = signals.get("watts") or signals["amps"]
    same = {
        quantity: signal
        for quantity, signal in signals.items()
        if (signal.hz, signal.length, signal.first_s) == (main.hz, main.length, main.first_s)
    }
    if "watts" not in signals and "volts" in signals and "volts" not in same:
        raise LogError(
            f"{path}: {name} holds no power, and its voltage and current are not of the same samples; "
            "export it as CSV with the Joulescope UI"
        )
    stride = -(-main.length // most_rows)
    means = {quantity: _means(reader, signal, stride) for quantity, signal in same.items()}
    if "watts" not in same and "volts" in same:
        means["watts"] = _means(reader, main, stride, same["volts"])
    start = 0.0 if epoch is None or main.first_s is None else main.first_s - epoch
    ends = array(
        "d", (start + min(row * stride, main.length) / main.hz for row in range(len(_any(means)) + 1))
    )
    columns = {"time_s": ends}
    for quantity, column in means.items():
        columns[quantity] = array("d", [float("nan")]) + column  # before the first mean nothing is known
    rate = f"{main.hz:g} samples a second"
    joined = (f"it is long: {stride} samples each were joined into one mean",) if stride > 1 else ()
    said = ", ".join(f"{quantity} [{unit}]" for unit, quantity in _UNITS.items() if quantity in means)
    return Record(
        name if name else printable(Path(path).name),
        Facts(semantics="mean"),
        columns,
        epoch,
        {},
        read_as=f"Joulescope JLS: {rate}, {said}",
        notes=joined,
    )


def _any(means: dict[str, "array[float]"]) -> "array[float]":
    """Any of the columns: they are equally long."""
    return next(iter(means.values()))


def _means(reader: Any, signal: _Signal, stride: int, times: _Signal | None = None) -> "array[float]":
    """The mean of every so many samples, or of their products with others; NaN where one is missing."""
    import numpy as np

    made = array("d")
    block = max(1, _BLOCK_SAMPLES // stride) * stride
    for begin in range(0, signal.length, block):
        count = min(block, signal.length - begin)
        samples = np.asarray(reader.fsr(signal.number, begin, count), np.float64)
        if times is not None:
            samples = samples * np.asarray(reader.fsr(times.number, begin, count), np.float64)
        whole = count // stride * stride
        made.frombytes(samples[:whole].reshape(-1, stride).mean(axis=1).tobytes())
        if whole < count:
            made.append(float(samples[whole:].mean()))
    return made
