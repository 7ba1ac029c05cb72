"""Real time by a clock of the test's own: how long it waits, when it looks around, when it ends itself."""

import os
import select
from types import SimpleNamespace

import pytest

from energymeter.sampling import pace
from energymeter.sampling.memory import HEAD_BYTES, Count, Head, Stop
from energymeter.sampling.pace import SystemPace

SECOND, MS = 1_000_000_000, 1_000_000


class Clock:
    """Time that passes while somebody waits, and what was waited for."""

    CLOCK_BOOTTIME = 7

    def __init__(self):
        self.now_ns = 1000 * SECOND
        self.asleep_ns = 0
        self.waits, self.sleeps = [], []
        self.thread_time_ns, self.process_time_ns = (lambda: 1), (lambda: 2)

    def monotonic_ns(self):
        return self.now_ns

    def monotonic(self):
        return self.now_ns / SECOND

    def clock_gettime_ns(self, clock):
        assert clock == 7
        return self.now_ns + self.asleep_ns

    def sleep(self, seconds):
        self.sleeps.append(seconds)
        self.now_ns += round(seconds * SECOND)

    def wait(self, seconds):
        self.waits.append(seconds)
        self.now_ns += round(seconds * SECOND)
        return False


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(pace, "time", made)
    return made


@pytest.fixture
def head():
    return Head(memoryview(bytearray(HEAD_BYTES)))


def made(head, clock, **options):
    one = SystemPace(head, 0, **options)
    one._woken = clock.wait
    return one


@pytest.mark.parametrize(
    ("seconds", "waits"),
    [
        (0.25, [0.25]), (1.0, [1.0]), (2.5, [1.0, 1.0, 0.5]), (0.0, [0.0]), (-3.0, [0.0]),
    ],
)  # fmt: skip
def test_at_most_a_second_is_waited_in_one_go(head, clock, seconds, waits):
    one = made(head, clock)
    assert one.wait_until(clock.now_ns + round(seconds * SECOND)) is False
    assert clock.waits == pytest.approx(waits)
    assert clock.sleeps == []


@pytest.mark.parametrize(
    ("seconds", "sleeps"), [(0.02, [0.02]), (0.05, [0.05]), (0.12, [0.05, 0.05, 0.02]), (-1.0, [0.0])]
)
def test_without_its_pipe_it_looks_twenty_times_a_second(head, clock, seconds, sleeps):
    one = made(head, clock)
    one._woken = None
    assert one.wait_until(clock.now_ns + round(seconds * SECOND)) is False
    assert clock.sleeps == pytest.approx(sleeps)


@pytest.mark.parametrize("failure", [OSError("closed"), ValueError("-1")])
def test_a_pipe_that_cannot_be_waited_for_is_waited_for_no_more(head, clock, failure):
    def broken(seconds):
        raise failure

    one = made(head, clock)
    one._woken = broken
    assert one.wait_until(clock.now_ns + 20 * MS) is False
    assert one._woken is None
    assert clock.sleeps == pytest.approx([0.02])


def test_the_word_alone_stops_it(head, clock):
    one = made(head, clock)
    head.counts[Count.STOP] = Stop.KEEP_LOG
    assert one.wait_until(clock.now_ns + 5 * SECOND) is True
    assert clock.waits == [1.0]


@pytest.mark.parametrize(
    ("parent", "orphaned"), [("own", False), ("later", True), ("earlier", True), ("none", False)]
)
def test_it_looks_after_its_parent_five_times_a_second(head, clock, monkeypatch, parent, orphaned):
    pid = {"own": os.getppid(), "later": os.getppid() + 1, "earlier": os.getppid() - 1, "none": None}[parent]
    one = made(head, clock, parent_pid=pid)
    looks = []
    one._orphaned = lambda pid: looks.append(clock.now_ns) or SystemPace._orphaned(one, pid)
    begun = clock.now_ns
    for number in range(1, 51):
        if one.wait_until(begun + 10 * MS * number):
            break
    if parent == "none":
        assert looks == []
    elif orphaned:
        assert len(looks) == 1
    else:
        # the first time, and then whenever 200 ms have passed when a wait begins
        assert [(at - begun) // MS for at in looks] == [10, 210, 410]


def test_before_a_long_wait_goes_on_it_looks_each_time(head, clock):
    one = made(head, clock, parent_pid=os.getppid())
    looks = []
    one._orphaned = lambda pid: bool(looks.append(1))
    one.wait_until(clock.now_ns + 3 * SECOND)
    assert len(looks) == 3
    one._woken = None
    looks.clear()
    one.wait_until(clock.now_ns + 200 * MS)
    assert len(looks) == len(clock.sleeps) == 4, "and where it cannot be woken"


@pytest.mark.parametrize(("after_ns", "ends"), [(SECOND, False), (SECOND + 1, True)])
def test_a_process_that_is_ready_ends_a_second_after_its_time(head, clock, after_ns, ends):
    one = made(head, clock)
    head.counts[Count.READY_UNTIL_NS] = clock.now_ns - after_ns
    assert one.wait_until(clock.now_ns) is ends
    head.counts[Count.READY_UNTIL_NS] = clock.now_ns + SECOND
    one._woken = None
    assert one.wait_until(clock.now_ns) is True, "nobody can wake it"


def test_out_of_sight_only_the_pipe_reports_the_end_of_the_program(head, clock):
    one = made(head, clock, parent_pid=0)
    assert one.wait_until(clock.now_ns) is False
    one._woken = None
    assert one.wait_until(clock.now_ns) is True


def test_a_program_that_became_another_one_has_the_memory_no_more(head, clock, tmp_path):
    import mmap

    path = tmp_path / "memory"
    path.write_bytes(bytes(4096))
    with open(path, "r+b") as file:
        one = made(head, clock, parent_pid=os.getpid(), memory_fd=file.fileno())
        mapping = mmap.mmap(file.fileno(), 4096)
        assert one._replaced(os.getpid()) is False
        mapping.close()
        assert one._replaced(os.getpid()) is False, "it looked a moment ago"
        clock.now_ns += SECOND - 1
        assert one._replaced(os.getpid()) is False
        clock.now_ns += 1
        assert one._replaced(os.getpid()) is True
        clock.now_ns += SECOND
        assert one._replaced(2**22 + 1) is False, "there is no such process to look into"
    nothing = made(head, clock, parent_pid=os.getpid())
    assert nothing._replaced(os.getpid()) is False


def test_whose_processor_time_counts(head, clock):
    assert SystemPace(head, 0).cpu_ns() == 1
    assert SystemPace(head, 0, os.getppid()).cpu_ns() == 2


@pytest.mark.parametrize(
    ("apart_ms", "noticed"), [(10, False), (-10, False), (10.001, True), (-10.001, True)]
)
def test_ten_milliseconds_between_two_clocks_are_no_sleep(head, clock, apart_ms, noticed):
    one = made(head, clock)
    clock.asleep_ns = 3600 * SECOND
    assert one.suspended_ns() == 3600 * SECOND
    clock.asleep_ns += round(apart_ms * MS)
    assert one.suspended_ns() == 3600 * SECOND + (round(apart_ms * MS) if noticed else 0)
    one._boot_clock = None
    assert one.suspended_ns() == 0


def test_two_clocks_are_read_again_ten_times_at_most(head, clock, monkeypatch):
    one = made(head, clock)
    reads = []

    def slow(number):
        reads.append(number)
        clock.now_ns += 10 * MS
        return clock.now_ns + 5 * SECOND

    monkeypatch.setattr(clock, "clock_gettime_ns", slow)
    one.suspended_ns()
    assert len(reads) == 1 + 10
    reads.clear()
    monkeypatch.setattr(
        clock, "clock_gettime_ns", lambda number: reads.append(number) or clock.now_ns + 7 * SECOND
    )
    one.suspended_ns()
    assert len(reads) == 2, "once they were read together"


@pytest.mark.parametrize(("fd", "polls"), [(1023, False), (1024, True)])
def test_select_waits_for_the_descriptors_that_it_can(monkeypatch, fd, polls):
    waited = []

    class Poll:
        def register(self, number, events):
            assert (number, events) == (fd, select.POLLIN)

        def poll(self, milliseconds):
            waited.append(("poll", milliseconds))
            return []

    fake = SimpleNamespace(
        POLLIN=select.POLLIN,
        poll=Poll,
        select=lambda r, w, x, seconds: waited.append(("select", seconds)) or ([], [], []),
    )
    monkeypatch.setattr(pace, "select", fake)
    clock = Clock()
    monkeypatch.setattr(pace, "time", clock)
    assert pace._waiter(fd)(0.0125) is False
    assert waited == [("poll", 12) if polls else ("select", 0.0125)]
    assert clock.sleeps == ([pytest.approx(0.0125)] if polls else []), "the rest of a millisecond too"


def test_a_byte_is_taken_only_by_a_process_of_its_own(head):
    reading, writing = os.pipe()
    try:
        os.write(writing, b"!" * 5000)
        assert SystemPace(head, reading)._asked() is False
        one = SystemPace(head, reading, os.getppid())
        assert one._asked() is True
        assert len(os.read(reading, 9999)) == 5000 - 4096
        os.close(writing)
        assert one._asked() is False
    finally:
        os.close(reading)
    assert one._asked() is False
