"""No sensor at all: a board's idle and busy draw, weighed by the CPU load. A guess with a name.

It knows nothing of memory, accelerators, radios, displays or clock speeds: ±30 % of the watts at
least. Figures: ``energymeter.boards``. On an unrecognised board it takes figures of no particular
board, says so in ``identity`` and doubles its ±.

Semantics: a mean over the time since the previous reading. Source: see ``boards``.
Renewal: with the CPU times of the kernel, a hundred a second.
Counters: none.
Loss: does not apply.
Tested on: emulated kernel files; real hardware: not compared with any yet.
"""

from energymeter.boards import GENERIC, Board, detect_board, find_board
from energymeter.clock import Clock, SystemClock
from energymeter.drivers.emulated.load import CpuLoad
from energymeter.reading import Band, Facts, Reading

__all__ = ["Model"]

_STEP_NS = 50_000_000


class Model:
    """Power modelled from CPU load.

    Args:
        address: the board; empty: ``open`` finds out which one this runs on.
        clock, root: time, and where ``proc/stat`` and the device tree are looked up.

    Raises:
        SpecError: no such board, or one whose draw is unknown.
    """

    shared = True

    def __init__(self, address: str = "", *, clock: Clock | None = None, root: str = "/") -> None:
        board = find_board(address) if address else None
        self.name = f"model@{board.name}" if board else "model"
        self._clock = clock or SystemClock()
        self._load = CpuLoad(root)
        self._root, self._detects = root, board is None
        self._next_ns = 0
        self._take(board or GENERIC)

    def _take(self, board: Board) -> None:
        idle, busy = board.span_watts
        self._idle, self._more = idle, busy - idle
        self.identity = (
            f"model of a {board.title}" if board is not GENERIC else "model of no particular board"
        )
        self.facts = Facts(
            semantics="mean",
            provenance="modelled",
            place=board.place,
            watts=Band(gain=0.6 if board is GENERIC else 0.3),
            max_hz=100.0,
        )

    def open(self) -> None:
        """Begin to follow the CPU load.

        Raises:
            SourceMissing: there is no ``/proc/stat``.
        """
        if self._detects:
            board = detect_board(self._root)
            known = board is not None and None not in (board.idle_watts, board.busy_watts)
            self._take(board if board is not None and known else GENERIC)
        self._load.open()

    def read(self) -> Reading:
        """Mean watts since the last fresh reading; nothing new within 50 ms (ticks are 10 ms)."""
        now = self._clock.monotonic_ns()
        if now < self._next_ns:
            return Reading(fresh=False)
        busy = self._load.busy()
        if busy is None:
            return Reading(fresh=False)
        self._next_ns = now + _STEP_NS
        return Reading(watts=self._idle + self._more * busy)

    def close(self) -> None:
        """Stop; twice is fine."""
        self._load.close()
        self._next_ns = 0
