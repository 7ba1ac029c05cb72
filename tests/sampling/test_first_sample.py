"""A block begins with a sample: where the source has none yet, the loop waits for it before it answers."""

from typing import Any

from energymeter.reading import Reading
from energymeter.sampling.config import SourceConfig
from energymeter.sampling.loop import Channel, SourceLoop
from energymeter.sampling.memory import Count
from tests.sampling.test_loop import MS, Asked, Scripted, memory


class Blocks(Asked):
    """With the first question a block ends, with the second one the next begins."""

    def wait_until(self, deadline_ns: int) -> bool:
        before = self.counts[Count.ASKED]
        ends = super().wait_until(deadline_ns)
        if self.counts[Count.ASKED] > before:
            self.counts[Count.READY_UNTIL_NS] = int(before == 0)
        return ends


def answered(*ask_ms: int, rate_hz: float = 100.0) -> list[float]:
    """When the loop answers, in ms; the source has nothing new from 300 to 340 ms."""
    counts: Any = {Count.ASKED: 0, Count.READY_UNTIL_NS: 0}
    shared, at = memory(), []
    pace = Blocks(10**9, counts, ask_ms)

    def script(n: int, pace: Blocks) -> Reading:
        return Reading(watts=2.0, fresh=not 300 * MS <= pace.time_ns < 340 * MS)

    source = Scripted(pace, script)
    channel = Channel(source, shared, rate_hz)
    answer = channel.answer

    def note(*words: Any) -> None:
        at.append(pace.time_ns / MS)
        answer(*words)

    channel.answer = note  # type: ignore[method-assign]
    SourceLoop(SourceConfig(source, rate_hz), [channel], pace, lambda *_: None, asks=counts).run()
    return at


def test_a_block_that_begins_without_a_sample_is_answered_with_the_first_one() -> None:
    ended, begun = answered(255, 305)
    assert ended == 255
    assert 340 <= begun <= 360


def test_a_block_that_begins_with_a_sample_is_answered_immediately() -> None:
    assert answered(255, 405) == [255, 405]


def test_a_block_that_ends_is_answered_immediately_whatever_the_source_says() -> None:
    assert answered(315) == [315]


def test_a_source_that_is_read_as_seldom_as_before_the_block_needs_no_first_sample() -> None:
    assert answered(255, 315, rate_hz=10.0) == [255, 315]
