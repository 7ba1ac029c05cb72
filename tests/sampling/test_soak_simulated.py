"""A day and a night in simulated time, log on: the energy to the counter's last step, the memory flat.

Its long brother in real time is `make soak`.
"""

import itertools
import math
import sys
from pathlib import Path

import pytest

from energymeter.reading import Band, Facts, Reading
from energymeter.recordings.header import COLUMNS
from energymeter.recordings.reader import read
from energymeter.sampling import log_writer
from energymeter.sampling.config import LogConfig, SourceConfig
from energymeter.sampling.curve import Curve
from energymeter.sampling.memory import Count, Head
from energymeter.sampling.session import Session

DAY_SECONDS = 86_400
QUEUE_ROWS = 256
WRAP_JOULES = 262_143.328850  # of `intel-rapl`, in whole microjoules
STEP_JOULES = 1e-6


class Simulated:
    """Time that jumps from one deadline to the next, up to an end."""

    def __init__(self, seconds: float) -> None:
        self.at_ns = 0
        self.end_ns = round(seconds * 1e9)

    def now_ns(self) -> int:
        return self.at_ns

    def wait_until(self, deadline_ns: int) -> bool:
        self.at_ns = max(self.at_ns, min(deadline_ns, self.end_ns))
        return self.at_ns >= self.end_ns

    def suspended_ns(self) -> int:
        return 0

    def cpu_ns(self) -> int:
        return 0


class Counter:
    """65 W by night and more by day, counted; the counter wraps some thirty times."""

    name = "counter"
    facts = Facts(
        semantics="counter",
        joules=Band(resolution=STEP_JOULES),
        joules_wrap=WRAP_JOULES,
        max_watts=500.0,
        replayed=True,  # simulated time outruns the log, and can wait for it
        default_hz=1.0,
    )

    def __init__(self, pace: Simulated) -> None:
        self._pace = pace
        self.blocks: list[int] = []
        """How much Python held at the end of each hour."""

    def drawn(self, seconds: float) -> float:
        """The integral of 100 W less 35 W times the cosine of a day."""
        turn = 2 * math.pi / DAY_SECONDS
        return 100 * seconds - 35 * math.sin(turn * seconds) / turn

    def open(self) -> None:
        pass

    def read(self) -> Reading:
        seconds = self._pace.at_ns * 1e-9
        if seconds >= 3600 * (len(self.blocks) + 1):
            self.blocks.append(sys.getallocatedblocks())
        return Reading(joules=round(self.drawn(seconds) % WRAP_JOULES, 6))

    def close(self) -> None:
        pass


def test_a_session_that_never_ran_leaves_no_log(tmp_path: Path) -> None:
    pace = Simulated(1.0)
    session = Session([SourceConfig(Counter(pace))], {})
    log = tmp_path / "run.csv"
    session.prepare(memoryview(bytearray(session.size)), pace, LogConfig(str(log)))
    assert log.exists()
    session.close()
    session.close()
    assert not log.exists()


@pytest.mark.slow
def test_a_day_and_a_night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_writer, "QUEUE_ROWS", QUEUE_ROWS)
    pace = Simulated(DAY_SECONDS)
    source, log = Counter(pace), tmp_path / "run.csv"
    session = Session([SourceConfig(source)], {})
    memory = memoryview(bytearray(session.size))
    session.prepare(memory, pace, LogConfig(str(log)))
    session.run()

    (info,) = session.channels
    seen = Curve(info.memory_in(memory), trapezoids=False)
    whole = seen.window(0, pace.end_ns)
    assert whole.joules == pytest.approx(source.drawn(DAY_SECONDS), abs=2 * STEP_JOULES)
    assert whole.covered_seconds == pytest.approx(DAY_SECONDS)
    assert [seen.counts[count] for count in (Count.MISSED, Count.FAILED, Count.GAPS)] == [0, 0, 0]
    # its blocks come and go with the queue of the log and the buffer of its file
    assert max(source.blocks[1:]) - source.blocks[1] < 30 * QUEUE_ROWS, "memory grew"

    assert Head(memory).counts[Count.RECORDED_ROWS] == DAY_SECONDS + 1
    (record,) = read(str(log))
    columns = {name: record.columns[name] for name in COLUMNS}
    assert record.damage == ""
    assert len(columns["time_s"]) == DAY_SECONDS + 1
    assert all(later > earlier for earlier, later in itertools.pairwise(columns["time_s"]))
    assert columns["joules"][-1] == pytest.approx(source.drawn(DAY_SECONDS), abs=2 * STEP_JOULES)
    for hour in range(1, 24):
        assert columns["joules"][hour * 3600] == pytest.approx(source.drawn(hour * 3600), abs=2 * STEP_JOULES)
