"""A reader against a writer in another process that appends as fast as it can: no look-up is ever wrong."""

import mmap
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from energymeter.sampling.curve import Curve
from energymeter.sampling.descriptors import anonymous_file
from energymeter.sampling.memory import ChannelMemory, channel_bytes

CAPACITY = 1024
WATTS = 5.0
LOOK_UPS = 10_000
WRITER = """
import mmap, sys
from energymeter.energy.integrate import Sample
from energymeter.sampling.memory import ChannelMemory, CurveWriter
fd, capacity, size = map(int, sys.argv[1:])
writer = CurveWriter(ChannelMemory(memoryview(mmap.mmap(fd, size)), capacity))
at_ns = 0
while True:
    at_ns += 1000
    writer.append(Sample(at_ns, at_ns * 5e-9, None, None, at_ns, 0.0, 5.0, None, None))
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


def test_no_window_is_ever_wrong(curve):
    chance = random.Random(1)
    before = len(curve)
    for _ in range(LOOK_UPS):
        newest_ns = curve.last_ns()
        ages_ns = [0, 500, 10_000, 100_000, 800_000, 950_000, 1_100_000, 10_000_000, newest_ns // 2]
        start_ns = max(1000, newest_ns - chance.choice(ages_ns))
        end_ns = min(start_ns + chance.randrange(1, 1_000_000), newest_ns)
        window = curve.window(start_ns, end_ns)
        assert window.joules == pytest.approx((end_ns - start_ns) * WATTS * 1e-9, abs=1e-9)
        assert window.peak_watts == WATTS
    assert len(curve) > before + 2 * CAPACITY, "the writer went round the ring meanwhile"


def test_every_sample_of_the_run_is_whole(curve):
    for _ in range(20):
        samples = curve.samples()
        assert all(sample.joules == sample.at_ns * 5e-9 and sample.watts == WATTS for sample in samples)
        times = [sample.at_ns for sample in samples]
        assert times == sorted(set(times))
