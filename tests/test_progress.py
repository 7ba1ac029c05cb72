"""The progress bar of ``meter.track``: on a terminal, and only there."""

import contextlib
import io
import re
from collections.abc import Callable, Iterable

import pytest

from energymeter.progress import progress_bar


class Terminal(io.StringIO):
    """Standard error as a program on a terminal sees it."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _wide_xterm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")


def drawn(name: str, items: Iterable[object], tell: Callable[[], str], steps: int) -> list[str]:
    """What stands on the terminal, drawing by drawing, without colours."""
    with contextlib.redirect_stderr(Terminal()) as stderr, progress_bar(name, items, tell) as advance:
        for _ in range(steps):
            advance()
    assert "\x1b[?25h" in stderr.getvalue()  # the cursor is back
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stderr.getvalue()).split("\r")


def test_bar_ends_full_and_tells() -> None:
    last = drawn("batch", [1, 2, 3], lambda: "2.50 W · 7.5 J", 3)[-1]
    assert last.startswith("batch")
    assert last.rstrip().endswith("3/3 2.50 W · 7.5 J")


def test_length_unknown() -> None:
    assert "1/?" in drawn("item", iter([1, 2]), lambda: "", 1)[-1]


def test_brackets_are_no_markup() -> None:
    last = drawn("step [/red]", [1], lambda: "[bold]1 W", 1)[-1]
    assert "step [/red]" in last
    assert "[bold]1 W" in last


def test_asked_no_more_than_needed() -> None:
    """A loop of many short items redraws five times a second, not at every item."""
    asked: list[int] = []

    def tell() -> str:
        asked.append(1)
        return ""

    drawn("item", range(1000), tell, 1000)
    assert 2 <= len(asked) < 100


def fail_in_the_loop() -> None:
    with progress_bar("item", [1, 2], lambda: "so far") as advance:
        advance()
        raise ZeroDivisionError


def test_user_error_passes_and_the_bar_ends() -> None:
    with contextlib.redirect_stderr(Terminal()) as stderr, pytest.raises(ZeroDivisionError):
        fail_in_the_loop()
    assert "so far" in stderr.getvalue()
    assert "\x1b[?25h" in stderr.getvalue()


@pytest.mark.parametrize("wanted", [None, False])
def test_silent_in_a_pipe(wanted: bool | None) -> None:
    def tell() -> str:
        raise AssertionError("nobody looks")

    with contextlib.redirect_stderr(io.StringIO()) as stderr, progress_bar("x", [1], tell, wanted) as advance:
        advance()
    assert stderr.getvalue() == ""
