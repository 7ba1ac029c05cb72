"""Progress bars: the library's own, and none of them ever ends or stops a loop."""

import contextlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import TextIO

import pytest

from energymeter import EnergyMeter
from energymeter.clock import ManualClock
from energymeter.meter.progress import Progress, total_of, watched


class Terminal(io.StringIO):
    """Standard error as a program on a terminal sees it."""

    def isatty(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    def states(self) -> list[str]:
        """What was shown, state by state, without control codes."""
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.getvalue())
        return [state.strip() for state in re.split(r"[\r\n]", text) if state.strip()]


@contextlib.contextmanager
def standard_error(stream: TextIO | None) -> Iterator[None]:
    """Not a fixture: pytest puts its own back before each test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stderr", stream)
        patch.setenv("COLUMNS", "100")
        patch.setenv("LINES", "20")
        yield


def test_a_bar_shows_progress_and_what_it_is_given() -> None:
    terminal = Terminal()
    with standard_error(terminal):
        bar = Progress("batch", 3)
        bar.show(2, "2.50 W")
        bar.close(3, "2.50 W, 7.5 J")
    first, second, last = terminal.states()
    assert first.startswith("batch:   0%|")
    assert " 2/3 [" in second
    assert last.startswith("batch: 100%|███")
    assert last.endswith("2.50 W, 7.5 J]")
    assert terminal.getvalue().endswith("\n"), "the last state stays"


def test_nested_bars_stand_below_each_other_and_the_outer_one_stays() -> None:
    terminal = Terminal()
    with standard_error(terminal):
        outer = Progress("epoch", 2)
        inner = Progress("batch", 10)
        inner.show(5, "")
        inner.close(10, "")
        outer.show(1, "")
        outer.close(2, "")
    assert "\n" in terminal.getvalue().partition("batch")[0], "on a line of its own"
    assert terminal.states()[-1].startswith("epoch: 100%")


def test_a_bar_is_shown_again_after_a_while_only() -> None:
    clock = ManualClock()
    with standard_error(Terminal()):
        bar = Progress("step", None, clock.monotonic_ns)
        assert bar.due()
        bar.show(1, "")
        assert not bar.due()
        clock.sleep(0.2)
        assert bar.due()
        bar.close(1, "")


def test_a_pipe_gets_few_lines() -> None:
    clock, pipe = ManualClock(), io.StringIO()
    with standard_error(pipe):
        bar, inner = (Progress(name, None, clock.monotonic_ns) for name in ("step", "inner"))
        for second in range(1000):
            for each in (bar, inner):
                if each.due():
                    each.show(second, "")
            clock.sleep(1.0)
        inner.close(999, "")
        bar.close(999, "")
    assert "\r" not in pipe.getvalue()
    assert "\x1b" not in pipe.getvalue()
    assert [line.partition("it ")[0] for line in pipe.getvalue().splitlines()] == [
        f"step: {n}" for n in (30, 90, 210, 450, 930, 999)
    ]


def missing() -> None:
    return None


def closed() -> TextIO:
    stream = io.TextIOWrapper(io.BytesIO())
    stream.close()
    return stream


class Broken(io.StringIO):
    """A pipe whose reader has gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        raise BrokenPipeError


@pytest.mark.parametrize("stream", [missing, closed, Broken])
@pytest.mark.parametrize("progress", [None, True])
def test_a_loop_goes_on_without_a_standard_error(
    stream: Callable[[], TextIO | None], progress: bool | None
) -> None:
    with EnergyMeter("manual:5V,0.6A", rate_hz=100) as meter, standard_error(stream()):
        assert list(meter.track(range(3), progress=progress)) == [0, 1, 2]


def test_a_broken_pipe_does_not_end_a_loop() -> None:
    code = """
import os, sys
reading, writing = os.pipe()
os.close(reading)
os.dup2(writing, 2)
from energymeter.meter.progress import Progress
bar = Progress("x", 3)
bar.show(1, "")
bar.close(3, "")
print("over")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "over\n"


class Loader:
    """torch's DataLoader over an IterableDataset: its ``__len__`` raises."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __iter__(self) -> Iterator[int]:
        return iter(range(3))

    def __len__(self) -> int:
        raise self._error


@pytest.mark.parametrize("error", [TypeError("no len()"), NotImplementedError(), OverflowError()])
def test_a_length_that_raises_is_no_total(error: Exception) -> None:
    assert total_of(Loader(error)) is None
    terminal = Terminal()
    with EnergyMeter("manual:5V,0.6A", rate_hz=100) as meter, standard_error(terminal):
        assert list(meter.track(Loader(error), progress=True)) == [0, 1, 2]
    assert terminal.states()[-1].startswith("item: 3it [")


def test_an_error_of_the_user_passes_and_the_bar_ends() -> None:
    terminal = Terminal()
    with EnergyMeter("manual:5V,0.6A", rate_hz=100) as meter, standard_error(terminal):
        steps = meter.track(range(3))
        next(steps)
        steps.close()  # type: ignore[attr-defined]  # as when the loop's body has raised
    assert terminal.getvalue().endswith("\n")


def test_who_watches() -> None:
    with standard_error(io.StringIO()):
        assert not watched()
    with standard_error(Terminal()):
        assert watched()


def fresh(code: str) -> list[str]:
    """What a new interpreter prints."""
    environment = {**os.environ, "PYTHONPATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    return done.stdout.split()


def test_bars_start_no_thread_and_make_no_semaphore() -> None:
    code = """
import io, sys, threading
sys.stderr = io.StringIO()
sys.stderr.isatty = lambda: True
from energymeter.meter.progress import Progress
bar = Progress("x", 3)
bar.show(1, "")
bar.close(3, "")
print(threading.active_count(), "multiprocessing.synchronize" in sys.modules)
"""
    assert fresh(code) == ["1", "False"]


def test_the_library_is_loaded_by_the_first_bar_only() -> None:
    code = """
import sys, energymeter
with energymeter.EnergyMeter("manual:5V,0.6A", rate_hz=100) as meter:
    list(meter.track(range(3), progress=False))
print("tqdm" in sys.modules)
"""
    assert fresh(code) == ["False"]


@pytest.mark.peers
def test_in_a_notebook_the_bar_is_the_notebooks() -> None:
    pytest.importorskip("ipywidgets")
    pytest.importorskip("ipykernel")
    code = """
import sys
import ipykernel.zmqshell, IPython
class Shell: pass
IPython.get_ipython = Shell
from energymeter.meter.progress import Progress
bar = Progress("x", 3)
bar.close(3, "done")
print(*(kind.__name__ for kind in type(bar._bar).__mro__))
"""
    assert "tqdm_notebook" in fresh(code)
