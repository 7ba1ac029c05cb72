"""Sampling processes that stay ready for the next block with the same sources, for two seconds at most.

Starting one takes tens of milliseconds, so the process of a block that has ended goes on sampling for a
while, and counts for nobody. Nothing stays ready past `release_all`, the end of the interpreter, or a fork: a
program that waits for its workers must not find another child among them.

This is state of the process, because the samplers are its children.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import weakref

from energymeter.lazy import TYPE_CHECKING, Protocol
from energymeter.sampling.config import READY_PERIOD_NS, ChannelInfo, SourceConfig
from energymeter.sampling.memory import ChannelMemory, Count, Head, State
from energymeter.sampling.process import ProcessHost
from energymeter.sampling.uninterrupted import uninterrupted
from energymeter.sampling.watchdog import Watchdog
from energymeter.spec import Spec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from energymeter.energy.correction import Correction

MOST_SECONDS = 2.0
_END_SECONDS = 1.0
"""A source that has not given its last sample by then is given up: no block runs."""
_ANSWER_PERIODS = 3
_MOST_ANSWER_SECONDS = 0.1
_FULL = 7 / 8
"""A ring fuller than this is not used again: what a block that has ended asks for must stay in it."""


class Block(Protocol):
    """A block that uses a process."""

    def was_left(self, asked: int) -> None:
        """The last sample was asked for, under this number; the process is not the block's any more."""

    def complete(self, answers: Sequence[tuple[int, tuple[int, ...]]]) -> bool:
        """Take what is known of the counts at either end; True: nothing is open any more.

        Args:
            answers: of each channel, how many samples were taken as asked, and the counts at the last one.
        """

    def detach(self) -> None:
        """Keep what is `complete` in memory of its own: the next block goes on writing."""


_ready: dict[Any, ReusableHost] = {}
"""The processes that were made ready once and have not ended, by what they sample."""


def key(configs: Sequence[SourceConfig], corrections: dict[str, Correction]) -> object:
    """What must be the same for a process to be used again: its sources, and what opening them may see."""
    try:
        folder = os.getcwd()
    except OSError:  # it was removed
        folder = ""
    return (
        tuple(
            (spec.driver, spec.address, tuple(spec.options.items()), rate_hz)
            for spec, rate_hz in configs
            if isinstance(spec, Spec)
        ),
        repr(sorted(corrections.items())),
        (os.getuid(), os.geteuid(), os.getgid(), os.getegid()),
        folder,
        tuple(map(str, sys.path)),
        tuple(os.environ.items()),
    )


def find(wanted: object) -> ReusableHost | None:
    """The process that samples just this, in use or not."""
    return _ready.get(wanted) if _ready else None


def make_way(drivers: Iterable[str]) -> None:
    """End what is ready with one of these drivers: another process is about to open its device."""
    wanted = set(drivers)
    for reusable in [*_ready.values()]:
        if wanted & reusable.drivers:
            reusable.release()


def release_all() -> None:
    """End everything that is ready and in no block."""
    for reusable in [*_ready.values()]:
        reusable.release()


class ReusableHost:
    """One sampling process from its start to its end: used by a block, ready for the next one, or ended.

    Args:
        wanted: what it samples, see `key`.
        drivers: of its sources.
        host: the process.
        infos: its channels.
        memories: where their curves are.
        watchdog: its thread.
    """

    def __init__(
        self,
        wanted: object,
        drivers: Iterable[str],
        host: ProcessHost,
        infos: Sequence[ChannelInfo],
        memories: Sequence[ChannelMemory],
        watchdog: Watchdog,
    ) -> None:
        self.drivers = frozenset(drivers)
        self.host = host
        self.infos, self.memories, self.watchdog = infos, memories, watchdog
        self._key = wanted
        self._counts = Head(host.memory).counts
        self._users: dict[str, object] = {}
        self._blocks: dict[int, weakref.ref[Block]] = {}
        """Those that await counts or a last sample, by their identity."""
        self._failed: list[int] = []
        self._until_ns = 0
        self._over = threading.Event()

    # -- who uses it -----------------------------------------------------------------------------------

    def take(self, user: object) -> bool:
        """Use it, unless somebody else does."""
        return self._users.setdefault("user", user) is user  # one step: no signal comes in between

    def used_by(self, user: object) -> bool:
        return self._users.get("user") is user

    def fit(self) -> bool:
        """Whether a block can begin: it runs, all its sources answer, it can be woken, and there is room."""
        return (
            time.monotonic_ns() < self._until_ns
            and self.host.answers()
            and all(memory.counts[Count.STATE] == State.RUNNING for memory in self.memories)
            and self.has_room()
        )

    def has_room(self) -> bool:
        """Whether the rings hold all samples since the start, and will for a while."""
        return all(memory.counts[Count.RING_COUNT] < _FULL * memory.capacity - 64 for memory in self.memories)

    def begin(self, block: Block) -> int:
        """A block begins: ask for a sample, and count again.

        Returns:
            the number of the question.
        """
        self.collect()
        for memory in self.memories:
            memory.head.error = ""
        self._failed = [memory.counts[Count.FAILED] for memory in self.memories]
        self._counts[Count.READY_UNTIL_NS] = 0
        return self._ask(block)

    def await_answer(self, asked: int) -> bool:
        """Wait for the sample that was asked for, where the source was read too seldom until then.

        Returns:
            False: it failed, or does not come.
        """
        period_ns = round(1e9 / max(info.rate_hz for info in self.infos))
        seldom = period_ns < READY_PERIOD_NS and time.monotonic_ns() > self._newest_ns() + period_ns
        give_up = time.monotonic() + min(_ANSWER_PERIODS * period_ns * 1e-9 + 0.02, _MOST_ANSWER_SECONDS)
        while seldom and any(memory.head.answered()[0] < asked for memory in self.memories):
            if time.monotonic() > give_up:
                return False
            time.sleep(0.00002)
        return self._failed == [memory.counts[Count.FAILED] for memory in self.memories]

    def _newest_ns(self) -> int:
        """When the last sample was taken, of the channel that is behind."""
        counted = ((memory, memory.counts[Count.RING_COUNT] - 1) for memory in self.memories)
        return min(memory.ring.times[number % memory.capacity] for memory, number in counted)

    def leave(self, block: Block, seconds: float) -> bool:
        """A block has ended: ask for its last sample without waiting, and stay ready.

        Args:
            block: whose it was.
            seconds: for so long.

        Returns:
            False: it cannot; it must be ended.
        """
        if not (
            self.host.answers()
            and self.has_room()
            and all(memory.counts[Count.STATE] == State.RUNNING for memory in self.memories)
            and _ready.setdefault(self._key, self) is self
        ):
            return False
        self.collect()
        self._until_ns = time.monotonic_ns() + round(seconds * 1e9)
        self._counts[Count.READY_UNTIL_NS] = self._until_ns
        block.was_left(self._ask(block))
        self.watchdog.look = self._look
        self._users.pop("user", None)
        return True

    def _ask(self, block: Block) -> int:
        """Ask for a sample as soon as there can be one."""
        self._blocks[id(block)] = weakref.ref(block)
        asked = self._counts[Count.ASKED] + 1
        self._counts[Count.ASKED] = asked
        self.host.wake()
        return asked

    def collect(self, *, detach: bool = False) -> None:
        """Hand each block its counts and its last sample, as far as they are known.

        Args:
            detach: also copy the samples of those that need nothing more.
        """
        blocks = [*self._blocks.items()]
        if not blocks:
            return
        answers = [memory.head.answered() for memory in self.memories]
        for number, known in blocks:
            block = known()
            if block is None or (block.complete(answers) and detach):
                if block is not None:
                    block.detach()
                self._blocks.pop(number, None)

    # -- its end ---------------------------------------------------------------------------------------

    def release(self) -> None:
        """End it and wait for that, unless a block uses it."""
        uninterrupted(self._end)

    def give_up(self) -> None:
        """End it for the block that wanted to use it."""
        self.watchdog.end()
        self.host.stop(patience=_END_SECONDS)
        self.ended()

    def ended(self) -> None:
        """It has ended; nobody can use it any more."""
        if _ready.get(self._key) is self:
            del _ready[self._key]
        self.collect()
        self.watchdog.end()
        self._over.set()

    def _end(self) -> None:
        mark = _Ending()
        user = self._users.setdefault("user", mark)
        if user is mark:
            self.give_up()
            self.watchdog.join()  # a fork next to threads is warned of
        elif isinstance(user, _Ending):  # somebody else is at it
            self._over.wait(2 * _END_SECONDS)

    def _look(self) -> float | None:
        self.collect(detach=True)
        left = (self._until_ns - time.monotonic_ns()) * 1e-9
        if left > 0 and self.host.alive():
            return left
        self._end()
        return None


class _Ending:
    """Stands for the user of a process that is being ended."""


def _forked() -> None:
    _ready.clear()


atexit.register(release_all)
os.register_at_fork(before=release_all, after_in_child=_forked)
