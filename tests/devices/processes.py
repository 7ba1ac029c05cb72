"""Other processes: how they are started, and waited for as long as it takes on a busy machine."""

import signal
import time
from collections.abc import Callable

PATIENCE_SECONDS = 30.0


def until(condition: Callable[[], object]) -> None:
    """Wait for another process to get somewhere."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < give_up, "the other process did not get there"
        time.sleep(0.01)


def every_signal_counts() -> None:
    """Before a program is started: under ``nohup``, or in a shell's background, some would be ignored."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
