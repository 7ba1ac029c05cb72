"""The progress bar of ``meter.track``: on a terminal, and only there."""

import io
import re
import time
from collections.abc import Callable, Iterable

import pytest

from energymeter.meter.progress import progress_bar, wanted
from energymeter.meter.statusline import StatusLine


class Terminal(io.StringIO):
    """Standard error as a program on a terminal sees it."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")


def drawn(name: str, items: Iterable[object], tell: Callable[[int], str], steps: int) -> list[str]:
    """What stands on the terminal, drawing by drawing, without control codes."""
    stream = Terminal()
    with progress_bar(name, items, tell, StatusLine(time.monotonic_ns, stream)) as advance:
        for _ in range(steps):
            advance()
    assert stream.getvalue().endswith("\n")
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue()).rstrip("\n").split("\r")


def test_bar_ends_full_and_tells() -> None:
    last = drawn("batch", [1, 2, 3], lambda done: "2.50 W · 7.5 J", 3)[-1]
    assert last.startswith("batch ━━━━━━━━━━━━━━━━━━━━ 3/3")
    assert last.endswith("2.50 W · 7.5 J")


def test_length_unknown() -> None:
    assert drawn("item", iter([1, 2]), lambda done: "", 1)[-1].startswith("item 1 ·")


def test_asked_no_more_than_needed() -> None:
    """A loop of many short items redraws five times a second, not at every item."""
    asked: list[int] = []

    def tell(done: int) -> str:
        asked.append(1)
        return ""

    drawn("item", range(1000), tell, 1000)
    assert 2 <= len(asked) < 100


def test_user_error_passes_and_the_bar_ends() -> None:
    stream = Terminal()
    line = StatusLine(time.monotonic_ns, stream)
    with pytest.raises(ZeroDivisionError), progress_bar("item", [1], lambda done: "", line):
        raise ZeroDivisionError
    assert stream.getvalue().endswith("\n")


def test_nothing_is_shown_or_asked_where_nobody_looks() -> None:
    def tell(done: int) -> str:
        raise AssertionError("nobody looks")

    with progress_bar("x", [1], tell, None) as advance:
        advance()


def test_a_pipe_gets_no_bar_unless_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert not wanted(None)
    assert wanted(True)
    monkeypatch.setattr("sys.stderr", Terminal())
    assert wanted(None)
    assert not wanted(False)
