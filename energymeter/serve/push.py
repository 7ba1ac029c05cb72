"""An agent pushes its record to a lake: the record is the buffer while the network is away.

Finished recordings are pushed in the order in which they were begun. Which of them are in the lake stands in
a file next to them; without that file all are pushed again, which doubles nothing. What the record had to
remove before it was pushed is lost, counted and said.
"""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING

from energymeter.errors import EnergyMeterError, NotMeasured, SpecError
from energymeter.lake.pushing import push
from energymeter.lake.rows import RunRefused
from energymeter.lake.schema import arrow, check_marker
from energymeter.lake.store import Store
from energymeter.paths import read_file, replace_file
from energymeter.recordings.trace import Trace
from energymeter.serve.agent import log
from energymeter.serve.snapshot import PushState
from energymeter.text import printable

if TYPE_CHECKING:
    from typing import Any

    from energymeter.serve.record_folder import RecordFolder

STATE = ".pushed.json"
_MOST_STATE_BYTES = 16_000_000
_WAIT_SECONDS = (5.0, 15.0, 60.0, 300.0, 600.0)
"""Between tries while the lake does not answer."""
_LOOK_SECONDS = 60.0
_STOP_SECONDS = 5.0


class LakePusher:
    """Pushes the finished recordings of a record, in a thread, until it is stopped.

    Args:
        folder: of the record; it says here what it removes.
        to: the lake, a folder or a URL.
        endpoint: the URL of a store that speaks S3.

    Raises:
        SpecError: the URL makes no sense.
        ExtraMissing: fsspec or pyarrow is not installed.
    """

    def __init__(self, folder: RecordFolder, to: str, endpoint: str | None = None) -> None:
        arrow()
        url = to if "://" in to else os.path.abspath(os.path.expanduser(to))
        self._store = Store(url, **({} if endpoint is None else {"endpoint_url": endpoint}))
        self._shown = printable(self._store.url)
        self._folder = folder
        self._state_file = os.path.join(folder.path, STATE)
        self._lock = threading.Lock()
        """Held while the next four are read or changed; never while a file is read or the lake is asked."""
        self._begun, self._done, self._lost = self._read_state()
        self._at_hand = ""
        self._said = self._said_lost = self._said_state = False
        self._failures = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="energymeter-push", daemon=True)
        folder.on_removed = self._removed

    def start(self) -> None:
        """Begin to push, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """End, without waiting long for a store that hangs: a push that was cut short is repeated."""
        self._ended.set()
        self._folder.changed.set()
        if self._thread.ident is not None:
            self._thread.join(_STOP_SECONDS)

    def state(self) -> PushState:
        """How far it is."""
        files = self._folder.finished()
        with self._lock:
            return PushState(sum(file.name not in self._done for file in files), self._lost)

    def _run(self) -> None:
        while not self._ended.is_set():
            self._folder.changed.clear()
            if self.step():
                self._folder.changed.wait(_LOOK_SECONDS)
            else:
                self._ended.wait(_WAIT_SECONDS[min(self._failures, len(_WAIT_SECONDS)) - 1])

    def step(self) -> bool:
        """Push what is finished.

        Returns:
            False: the lake does not answer.
        """
        try:
            for file in self._folder.finished():
                with self._lock:
                    known = file.name in self._done
                    self._at_hand = "" if known else file.name
                if not known and not self._ended.is_set():
                    self._push(file.name)
        except Exception as failure:  # noqa: BLE001 - a store may raise anything, and each must be seen
            self._failed(failure)
            return False
        finally:
            self._let_go()
        if self._said:
            self._said = self._said_lost = False
            log.info("the record is pushed to %s again; %d recordings were lost", self._shown, self._lost)
        self._failures = 0
        return True

    def _push(self, name: str) -> None:
        """Push one recording; what cannot be read or stands there otherwise is said and left out.

        Raises:
            EnergyMeterError: the lake does not take it.
        """
        path = os.path.join(self._folder.path, name)
        if not os.path.exists(path):  # removed meanwhile
            return
        try:
            traces = Trace.load_channels(path)
        except EnergyMeterError as failure:
            self._leave_out(name, failure)
            return
        if self._begun:  # what is gone, as a disk that is not mounted, is not begun again in its place
            check_marker(self._store)
        try:
            push([path], self._store, load=lambda _: traces)
        except (RunRefused, NotMeasured, SpecError) as failure:
            self._leave_out(name, failure)
            return
        with self._lock:
            self._begun = True
        self._note(name)

    def _leave_out(self, name: str, failure: EnergyMeterError) -> None:
        log.warning("%s is not pushed: %s", name, printable(str(failure)))
        self._note(name)

    def _note(self, name: str) -> None:
        """It is done with."""
        with self._lock:
            self._done.add(name)
            self._at_hand = ""
        self._write_state()

    def _let_go(self) -> None:
        """What was at hand and could not be pushed is lost where it is not there any more."""
        with self._lock:
            name, self._at_hand = self._at_hand, ""
        if name and not os.path.exists(os.path.join(self._folder.path, name)):
            self._removed(name)

    def _removed(self, name: str) -> None:
        """The record had no room for it any more."""
        with self._lock:
            if name in self._done:
                self._done.remove(name)
                return
            if name == self._at_hand:  # it is read already, and may yet get there
                return
            self._lost += 1
            said, self._said_lost = self._said_lost, True
        if not said:
            log.warning(
                "%s was removed before it was pushed to %s, because the record is full; allow it more room",
                name,
                self._shown,
            )
        self._write_state()

    def _failed(self, failure: Exception) -> None:
        self._failures += 1
        if not self._said:
            self._said = True
            known = isinstance(failure, EnergyMeterError)
            why = str(failure) if known else f"{type(failure).__name__}: {failure}"
            log.warning("the record is not pushed, and tried again: %s", printable(why[:500]))

    # -- what is known across restarts -----------------------------------------------------------------

    def _read_state(self) -> tuple[bool, set[str], int]:
        """Whether this lake was begun, what is in it, and how many recordings were lost."""
        try:
            said: dict[str, Any] = json.loads(read_file(self._state_file, _MOST_STATE_BYTES))
            lost = said["lost"]
            if type(lost) is not int or lost < 0:
                raise ValueError("lost is no count")
            if said["lake"] != self._store.url:
                return False, set(), lost
            return True, {str(name) for name in said["files"]}, lost
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return False, set(), 0  # there is none, or it is damaged: all are pushed again

    def _write_state(self) -> None:
        there = {file.name for file in self._folder.files()}
        with self._lock:
            self._done &= there
            said = {"lake": self._store.url, "files": sorted(self._done), "lost": self._lost}
            begun = self._begun
        if not begun:
            said["lake"] = ""
        try:
            replace_file(self._state_file, json.dumps(said))
        except OSError as failure:
            if not self._said_state:
                self._said_state = True
                log.warning("%s cannot be written (%s); free some space", self._state_file, failure.strerror)
