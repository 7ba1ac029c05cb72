"""The progress line: redrawn on a terminal, sparse in a pipe, shared by nested loops."""

import io
import sys
import types

import pytest

from energymeter.clock import ManualClock
from energymeter.meter.statusline import StatusLine


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_line_is_redrawn_in_place() -> None:
    out = Terminal()
    line = StatusLine(ManualClock().monotonic_ns, out)
    line.show("outer", "outer 1/3")
    line.show("inner", "inner 5/9")
    line.end("inner")
    line.show("outer", "outer 2/3")
    line.end("outer")
    assert [text.removeprefix("\x1b[K") for text in out.getvalue().split("\r")[1:]] == [
        "outer 1/3",
        "outer 1/3 ▸ inner 5/9",
        "outer 2/3\n",
    ]


def test_a_pipe_gets_few_lines() -> None:
    clock, out = ManualClock(), io.StringIO()
    line = StatusLine(clock.monotonic_ns, out)
    for second in range(1000):
        line.show("step", f"step {second}")
        clock.sleep(1.0)
    line.end("step")
    assert out.getvalue().splitlines() == [f"step {n}" for n in (30, 90, 210, 450, 930, 999)]


def test_a_notebook_shows_the_whole_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no terminal, and its kernel knows no width but a made-up 80 columns."""
    monkeypatch.setitem(sys.modules, "ipykernel", types.ModuleType("ipykernel"))
    out = io.StringIO()
    StatusLine(ManualClock().monotonic_ns, out).show("step", "x" * 120)
    assert out.getvalue().endswith("x" * 120)
