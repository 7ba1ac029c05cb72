"""Files of samples: writing our own, reading them again, and reading those of others."""

from energymeter.lazy import face

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing
if TYPE_CHECKING:
    from energymeter.recordings.reader import Hints as Hints
    from energymeter.recordings.reader import read as read
    from energymeter.recordings.record import RecordedSpans as RecordedSpans
    from energymeter.recordings.trace import Trace as Trace
    from energymeter.recordings.window_energy import window_joules as window_joules

__all__, __getattr__, __dir__ = face(
    __name__,
    {
        "reader": "Hints read",
        "record": "RecordedSpans",
        "trace": "Trace",
        "window_energy": "window_joules",
    },
)
