"""Plays a recording through the same path as a live meter: ``replay@run.csv``.

At true speed each sample comes when it was taken; with ``speed=max`` as fast as it can be read, and the
window is then the recording's own time, however long the program's block took. A file of several
channels plays the one named by ``channel``.

Semantics: instants unless ``semantics=`` says otherwise. Accuracy: the recording's own, unknown here.
    Source: the file.
Counters: as recorded.
Loss: as recorded.
Tested on: real recordings of others' meters; real hardware: does not apply.
"""

import os
from collections.abc import Iterator
from typing import Any

from energymeter.clock import Clock, SystemClock
from energymeter.errors import SourceEnded, SpecError
from energymeter.reading import Facts, Reading
from energymeter.recordings.reader import Hints, Record, read, typical_interval

__all__ = ["Replay"]

_SLICE_SECONDS = 0.25
_MAX_HZ = 1e6


class Replay:
    """A recording as a source.

    Args:
        place: the file.
        speed: ``true``, or ``max``: as fast as it can be read.
        channel: which channel of several.
        time, watts, volts, amps, unit, semantics, board: of a foreign CSV, see
            `energymeter.recordings.reader`.
    """

    rewinds = True

    def __init__(
        self,
        place: str = "",
        *,
        speed: str = "true",
        channel: str | None = None,
        time: str | None = None,
        watts: str | None = None,
        volts: str | None = None,
        amps: str | None = None,
        unit: str | None = None,
        semantics: str | None = None,
        board: str | None = None,
        joules: str | None = None,
        time_unit: str | None = None,
        volts_unit: str | None = None,
        amps_unit: str | None = None,
        joules_unit: str | None = None,
        delimiter: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        if not place:
            raise SpecError("replay needs a file, as in replay@run.csv")
        if semantics not in (None, "instant", "mean"):
            raise SpecError(f"semantics is instant or mean, not {semantics!r}")
        self.name = f"replay@{os.path.basename(place)}"
        self._path = place
        if speed not in ("true", "max"):
            raise SpecError(f"speed is true or max, not {speed!r}")
        self._fast = speed == "max"
        self._channel = channel
        self._hints = Hints(
            time, watts, volts, amps, unit, semantics, board,  # type: ignore[arg-type]
            joules, time_unit, volts_unit, amps_unit, joules_unit, delimiter, channel, "replay",
        )  # fmt: skip
        self._clock = clock or SystemClock()
        self._record: Record | None = None
        self.facts = Facts(replayed=self._fast, max_hz=_MAX_HZ)

    def open(self) -> None:
        records = {record.name: record for record in read(self._path, self._hints)}
        name = self._channel if self._channel is not None else next(iter(records))
        if name not in records:
            raise SpecError(f"{self._path} has no channel {name!r}; choose one of {', '.join(records)}")
        self._record = records[name]
        facts = self._record.facts
        self.facts = facts._replace(
            # between two rows a counter's power is their mean
            semantics="instant" if facts.semantics == "instant" else "mean",
            default_hz=1 / typical_interval(self._record.columns["time_s"]),
            max_hz=_MAX_HZ,
            replayed=self._fast,
            counted=True,
        )

    def read(self) -> Reading:
        """Not how a recording is read: it streams."""
        raise SourceEnded(f"{self.name} plays as a stream")

    def stream(self) -> Iterator[Reading]:
        """Every sample, at its time; ends with the file."""
        if self._record is None:
            raise SourceEnded(f"{self.name} is not open")
        columns = self._record.columns
        times, start_ns = columns["time_s"], self._clock.monotonic_ns()
        covered = columns.get("covered_s")
        quantities = {name: columns[name] for name in ("volts", "amps", "watts") if name in columns}
        for i, moment in enumerate(times):
            due_ns = start_ns + round((moment - times[0]) * 1e9)
            while not self._fast and (wait := (due_ns - self._clock.monotonic_ns()) * 1e-9) > 0:
                if wait > _SLICE_SECONDS:
                    yield Reading(fresh=False)
                self._clock.sleep(min(wait, _SLICE_SECONDS))
            known: dict[str, Any] = {
                q: column[i] for q, column in quantities.items() if column[i] == column[i]
            }
            described = (
                covered[i] - covered[i - 1] if covered and i and self.facts.semantics == "mean" else None
            )
            yield Reading(at_ns=due_ns, seconds=described, **known)

    def close(self) -> None:
        self._record = None
