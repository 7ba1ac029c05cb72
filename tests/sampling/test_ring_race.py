"""A reader against a writer in another process that appends as fast as it can: no look-up is ever wrong."""

import mmap
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from energymeter.sampling.curve import Curve
from energymeter.sampling.descriptors import anonymous_file
from energymeter.sampling.memory import ChannelMemory, Count, channel_bytes

CAPACITY = 1024
WATTS = 5.0
LOOK_UPS, READS = 10_000, 20
SECONDS = 20.0
"""As many look-ups as fit into this where a processor is emulated; elsewhere all take a tenth of it."""
WRITER = """
import mmap, sys
from math import nan
from energymeter.sampling.memory import ChannelMemory, CurveWriter
fd, capacity, size = map(int, sys.argv[1:])
writer = CurveWriter(ChannelMemory(memoryview(mmap.mmap(fd, size)), capacity))
at_ns = 0
while True:
    at_ns += 1000
    writer.append((at_ns, at_ns * 5e-9, nan, nan, at_ns, 0.0, 5.0, nan, nan, 0.0, 5.0))
    if at_ns == 2_000_000:
        print("ready", flush=True)
"""


@pytest.fixture
def curve():
    """A curve of 5 W, a sample a microsecond by its own clock, that grows as long as the test runs."""
    size = channel_bytes(CAPACITY)
    file = anonymous_file("race")
    os.ftruncate(file.fd, size)
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(file.fd), str(CAPACITY), str(size)],
        stdout=subprocess.PIPE,
        pass_fds=(file.fd,),
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    try:
        writer.stdout.readline()
        yield Curve(ChannelMemory(memoryview(mmap.mmap(file.fd, size)), CAPACITY), trapezoids=True)
    finally:
        writer.kill()
        writer.communicate()
        file.close()


class Overlap:
    """Look-ups until there were enough or time is up, and in how many of them the writer went on."""

    def __init__(self, curve):
        self._counts = curve.counts
        self.turns = self.overlapping = self.samples = 0

    def of(self, turns):
        end = time.monotonic() + SECONDS
        while self.turns < turns and time.monotonic() < end:
            before = self._counts[Count.RING_COUNT]
            yield self.turns
            written = self._counts[Count.RING_COUNT] - before
            self.turns += 1
            self.overlapping += written > 0
            self.samples += written

    def check(self):
        """The writer was at work while the reader was, and went round the ring meanwhile."""
        print(f"the writer appended {self.samples} samples in {self.overlapping} of {self.turns} look-ups")
        assert self.overlapping >= min(10, self.turns)
        assert self.samples > 2 * CAPACITY


def test_no_window_is_ever_wrong(curve):
    chance = random.Random(1)
    overlap = Overlap(curve)
    for _ in overlap.of(LOOK_UPS):
        newest_ns = curve.last_ns()
        ages_ns = [0, 500, 10_000, 100_000, 800_000, 950_000, 1_100_000, 10_000_000, newest_ns // 2]
        start_ns = max(1000, newest_ns - chance.choice(ages_ns))
        end_ns = min(start_ns + chance.randrange(1, 1_000_000), newest_ns)
        window = curve.window(start_ns, end_ns)
        assert window.joules == pytest.approx((end_ns - start_ns) * WATTS * 1e-9, abs=1e-9)
        assert window.peak_watts == WATTS
    overlap.check()


def test_every_sample_of_the_run_is_whole(curve):
    overlap = Overlap(curve)
    for _ in overlap.of(READS):
        samples = curve.samples()
        assert all(sample.joules == sample.at_ns * 5e-9 and sample.watts == WATTS for sample in samples)
        times = [sample.at_ns for sample in samples]
        assert times == sorted(set(times))
    overlap.check()
