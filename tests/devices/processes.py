"""Other processes: how they are started, and waited for as long as it takes on a busy machine."""

import os
import signal
import time
import traceback
from collections.abc import Callable

PATIENCE_SECONDS = 30.0
NOBODY = 65534


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


def without_rights(work: Callable[[], str]) -> str:
    """What ``work`` returns without root's rights: it runs in a child process that drops them."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(receive)
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            os.write(send, work().encode())
            code = 0
        except BaseException:  # noqa: BLE001  reported to the test
            os.write(send, traceback.format_exc().encode())
        finally:
            os._exit(code)
    os.close(send)
    with os.fdopen(receive, "rb") as pipe:
        result = pipe.read().decode()
    assert os.waitpid(child, 0)[1] == 0, result
    return result
