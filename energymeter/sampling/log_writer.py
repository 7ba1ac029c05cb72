"""Writes the samples of a session to its log in a thread of its own: no disk can hold up the sampling.

The loops put samples into a queue of bounded length. What does not fit, because the disk or the reader of a
pipe is too slow, is lost and counted.
"""

import contextlib
import heapq
import json
import os
import stat
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from energymeter.energy.integrate import Sample
from energymeter.recordings.writer import Recorder, reason, remove_parts
from energymeter.sampling import priority
from energymeter.sampling.memory import ChannelMemory, Count, Head, Letter, LogState

QUEUE_ROWS = 16_384
"""Rows that wait at most: 16 s at 1 kHz, some 5 MB."""
_BATCH_ROWS = 256
_LOOK_SECONDS = 0.02
STALL_SECONDS = 0.1
"""A log that neither wrote nor computed for so long is not waited for when the block is left."""
GIVE_UP_SECONDS = 10.0
"""A log that is stalled at the end is given this long before it is abandoned."""


class LogWriter:
    """The log of a session; an error of it ends the log, never the sampling.

    Args:
        path: the file.
        recorder: what writes it, already open.
        head: where rows, losses and the error are reported.
        letter: what the program says of its spans when it ends the run.
        own_process: nothing but the sampling and this log runs in the process.
    """

    def __init__(
        self,
        path: str,
        recorder: Recorder,
        head: Head,
        letter: Letter | None = None,
        *,
        own_process: bool = False,
    ) -> None:
        self._path = path
        self._recorder = recorder
        self._head = head
        self._letter = letter
        self._own_process = own_process
        self._rows_before = head.counts[Count.RECORDED_ROWS]
        self._queue: deque[tuple[int, Sample]] = deque()
        self._wake = threading.Event()
        self._closing = self._discarding = self._failed = False
        self._steps = 0
        self._thread = threading.Thread(target=self._run, name="energymeter-log", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        try:
            self._thread.start()
        except RuntimeError as failure:  # no thread is left
            self._fail(failure)

    def catch_up(self, memories: Sequence[ChannelMemory]) -> None:
        """Write what a sampler that was killed had taken, and not yet written: its log is then as its curve.

        Args:
            memories: of the channels, in order.
        """
        try:
            lost = [
                [(sample.at_ns, number, sample) for sample in memory.newer(newest_ns)]
                for number, (memory, newest_ns) in enumerate(
                    zip(memories, self._recorder.newest_ns, strict=True)
                )
            ]
            for _, number, sample in heapq.merge(*lost, key=itemgetter(0, 1)):
                self._recorder.row(number, sample)
            self._recorder.flush()
            self._report()
        except Exception as failure:  # noqa: BLE001 - as below
            with contextlib.suppress(Exception):
                self._recorder.end_early()
            self._fail(failure)

    def recording(self, first_channel: int, *, patient: bool = False) -> Callable[[int, Sample], None]:
        """What one loop calls with its own channel numbers.

        Args:
            first_channel: the number of its channel 0 among all.
            patient: the source can wait for the log, as a recording that is played at full speed can.
        """
        queue, counts, wake = self._queue, self._head.counts, self._wake

        def record(channel: int, sample: Sample) -> None:
            waiting = len(queue)
            if waiting >= QUEUE_ROWS and patient:
                self._wait_for_room()
                waiting = len(queue)
            if self._failed:
                return
            if waiting >= QUEUE_ROWS:
                counts[Count.LOST_ROWS] += 1
                return
            queue.append((first_channel + channel, sample))
            if waiting == _BATCH_ROWS:
                wake.set()

        return record

    def _wait_for_room(self) -> None:
        self._wake.set()
        give_up = time.monotonic() + GIVE_UP_SECONDS
        while len(self._queue) > QUEUE_ROWS // 2 and not self._failed and time.monotonic() < give_up:
            if self._head.counts[Count.STOP]:
                return
            time.sleep(0.001)

    def flush(self) -> None:
        """Have what is queued written soon."""
        self._wake.set()

    def close(self, *, discard: bool = False) -> None:
        """Finish the file, or remove it; wait for that, and report when it makes no progress."""
        self._closing, self._discarding = True, discard
        counts = self._head.counts
        counts[Count.LOG_STATE] = LogState.FINISHING
        self._wake.set()
        if self._thread.ident is None:  # never started
            self._run()
            return
        steps, since = self._steps, time.monotonic()
        while self._thread.is_alive():
            self._thread.join(_LOOK_SECONDS)
            if self._steps != steps or (not self._recorder.waits and self._computes()):
                steps, since = self._steps, time.monotonic()
            stalled = time.monotonic() - since
            if stalled > STALL_SECONDS and counts[Count.LOG_STATE] != LogState.STALLED:
                self._head.error = (
                    f"the log was not finished when the block was left ({self._rows()} rows are written): "
                    "its disk is slow or its reader has stopped"
                )
                counts[Count.LOG_STATE] = LogState.STALLED
            if stalled > GIVE_UP_SECONDS:
                self._recorder.abandon()
                return

    def _run(self) -> None:
        finishing = False
        try:
            while not self._closing:
                self._wake.wait()
                self._wake.clear()
                self._write_queue()
                self._recorder.flush()
                self._report()
            self._write_queue()
            finishing = True
            letter = self._read_letter()
            self._recorder.close(self._window_ns(), letter.get("spans"), self._end(letter.get("throttled")))
            self._report()
        except Exception as failure:  # noqa: BLE001 - a full disk, a strange name, a fault of ours: all must be seen
            if not finishing:
                with contextlib.suppress(Exception):
                    self._recorder.end_early()
            self._fail(failure)
        if self._discarding:
            _remove(self._path)

    def _window_ns(self) -> tuple[int, int] | None:
        """What the run measured, if the program said so."""
        start_ns, end_ns = (self._head.counts[c] for c in (Count.WINDOW_START_NS, Count.WINDOW_END_NS))
        return (start_ns, end_ns) if 0 < start_ns < end_ns else None

    def _read_letter(self) -> dict[str, Any]:
        """The spans of the run and what the firmware said at its end, if the program left them."""
        text = self._letter.read() if self._letter is not None else ""
        letter: dict[str, Any] = json.loads(text) if text else {}
        return letter

    def _end(self, throttled: int | None) -> dict[str, Any] | None:
        """This moment on two clocks, and the firmware's bits, if the program said when the run ended."""
        if self._window_ns() is None:
            return None
        return {"unix_s": time.time(), "monotonic_ns": time.monotonic_ns(), "throttled": throttled}

    def _fail(self, failure: Exception) -> None:
        self._failed = True
        self._queue.clear()
        self._report()
        why = reason(failure) if isinstance(failure, OSError) else f"{type(failure).__name__}: {failure}"
        self._head.error = f"the log stopped after {self._rows()} rows: {why}"

    def _computes(self) -> bool:
        """Whether the writing computes, or would if the machine had time for it; else it waits for a disk."""
        mine = threading.get_native_id()
        threads = os.listdir("/proc/self/task") if self._own_process else [str(self._thread.native_id)]
        return any(_runs(thread) for thread in threads if thread != str(mine))

    def _write_queue(self) -> None:
        queue, recorder = self._queue, self._recorder
        # making rows takes Python's lock: whoever waits for it must not wait for all who are busy, too
        raised = self._own_process and priority.take()
        try:
            for _ in range(len(queue)):
                recorder.row(*queue.popleft())
        finally:
            if raised:
                priority.give_back()
        self._steps += 1

    def _rows(self) -> int:
        return self._rows_before + self._recorder.rows

    def _report(self) -> None:
        self._steps += 1
        self._head.counts[Count.RECORDED_ROWS] = self._rows()


def _runs(thread: str) -> bool:
    """Whether a thread of this process is on a processor, or waits for one."""
    try:
        with open(f"/proc/self/task/{thread}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "R"
    except OSError:  # it has just ended
        return True


def _remove(path: str) -> None:
    """Take away a log that nobody wants; a pipe or a device is not ours to remove."""
    with contextlib.suppress(OSError):
        if stat.S_ISREG(os.lstat(path).st_mode):
            os.unlink(path)
    with contextlib.suppress(OSError):
        remove_parts(path)
