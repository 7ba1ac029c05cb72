"""Waiting for another process, which nobody can tell how long takes on a busy machine."""

import time
from collections.abc import Callable

PATIENCE_SECONDS = 30.0


def until(condition: Callable[[], object]) -> None:
    """Wait for another process to get somewhere."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < give_up, "the other process did not get there"
        time.sleep(0.01)
