"""``energymeter live``: the screen and its keys, plain lines, and every way to end it."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import termios
from collections.abc import Callable

import pytest
from devices.processes import PATIENCE_SECONDS
from devices.terminal import Terminal, environment, in_pipe, started

from energymeter import EnergyMeter
from energymeter.report.live import COLUMN_SECONDS, Live

pytest.importorskip("textual", reason='textual is not installed: pip install "edge-energymeter[live]"')
from energymeter.cli import live_view

SOURCE = "manual:5V,0.6A"
RESTORED = "\x1b[?1049l"


def flags(terminal: Terminal) -> list[object]:
    """How the terminal treats input and output: echo, lines, signals."""
    return list(termios.tcgetattr(terminal._master))[:4]


def drawn(terminal: Terminal) -> None:
    terminal.wait_for(r"q quit")
    terminal.wait_for(r"energy ")


# -- keys ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_keys() -> None:
    async def press() -> None:
        with EnergyMeter(SOURCE + "+manual:5V,0.2A", rate_hz=100) as meter:
            model = Live(meter)
            app = live_view.LiveApp(model, lambda: False)
            async with app.run_test(size=(80, 24)) as pilot:
                zoom = model.zoom
                await pilot.press("plus")
                assert model.zoom == zoom - 1
                await pilot.press("minus", "minus", "minus")
                assert model.zoom == zoom + 2
                await pilot.press(*["minus"] * 20)
                assert model.zoom == len(COLUMN_SECONDS) - 1
                await pilot.press("p")
                assert model.paused
                await pilot.press("p")
                assert not model.paused
                await pilot.press("h")
                assert model.help
                await pilot.press("question_mark")
                assert not model.help
                await pilot.press("slash", "0", ".", "2", "q", "backspace", "enter")
                assert (model.filter, model.typing) == ("0.2", False), "q is a letter while a text is typed"
                await pilot.press("escape")
                assert model.filter == ""
                await pilot.press("x", "q")
            assert app.failure is None
            assert app.return_code == 0

    asyncio.run(press())


def test_the_picture_has_the_size_of_the_terminal_also_after_a_resize() -> None:
    async def resize() -> None:
        with EnergyMeter(SOURCE) as meter:
            app = live_view.LiveApp(Live(meter), lambda: False)
            async with app.run_test(size=(80, 24)) as pilot:
                for width, height in ((120, 40), (40, 10), (80, 24)):
                    await pilot.resize_terminal(width, height)
                    await pilot.pause()
                    picture = app.query_one(live_view.Picture)
                    assert len(picture._shown) == height
                    assert {sum(len(part) for part, _ in line) for line in picture._shown} == {width}

    asyncio.run(resize())


def test_a_failure_ends_the_view_and_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail() -> BaseException | None:
        with EnergyMeter(SOURCE) as meter:
            model = Live(meter)
            monkeypatch.setattr(model, "bars", lambda count: 1 / 0)
            app = live_view.LiveApp(model, lambda: False)
            async with app.run_test(size=(80, 24)):
                pass
            return app.failure

    assert isinstance(asyncio.run(fail()), ZeroDivisionError)


# -- every way out ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "leave",
    [
        lambda terminal: terminal.type(b"q"),
        lambda terminal: terminal.type(b"\x03"),
        lambda terminal: terminal.process.send_signal(signal.SIGINT),
        lambda terminal: terminal.process.send_signal(signal.SIGTERM),
        lambda terminal: terminal.process.send_signal(signal.SIGHUP),
    ],
    ids=["q", "Ctrl-C", "SIGINT", "SIGTERM", "SIGHUP"],
)
def test_the_terminal_is_restored(leave: Callable[[Terminal], None]) -> None:
    terminal = Terminal("live", SOURCE)
    before = flags(terminal)
    drawn(terminal)
    assert flags(terminal) != before, "keys come one by one while the screen is in use"
    leave(terminal)
    terminal.wait_for(r"3\.00 W mean .* manual")
    assert flags(terminal) == before
    assert terminal.end() == 0
    assert terminal.written.rindex(RESTORED) < terminal.written.rindex("3.00 W mean")
    assert terminal.written.rindex("\x1b[?25h") > terminal.written.rindex("\x1b[?25l"), "the cursor is back"
    assert "Traceback" not in terminal.written


def test_it_ends_when_the_connection_is_lost() -> None:
    terminal = Terminal("live", SOURCE)
    drawn(terminal)
    os.close(terminal._master)
    terminal.process.wait(PATIENCE_SECONDS)


def test_a_failure_restores_the_terminal_and_shows_the_traceback() -> None:
    code = (
        "import energymeter.report.live as live; live.scale = lambda watts: 1 / 0\n"
        "from energymeter.cli import main; main()"
    )
    terminal = Terminal("live", SOURCE, program=[sys.executable, "-c", code])
    before = flags(terminal)
    terminal.wait_for("ZeroDivisionError")
    assert terminal.written.rindex(RESTORED) < terminal.written.index("Traceback")
    assert flags(terminal) == before
    assert terminal.end() == 1


@pytest.mark.slow
def test_it_ends_after_its_duration() -> None:
    terminal = Terminal("live", SOURCE, "--duration", "0.5")
    terminal.wait_for(r"3\.00 W mean")
    assert terminal.end() == 0


# -- plain lines -----------------------------------------------------------------------------------


def test_plain_lines_in_a_pipe() -> None:
    run = in_pipe("live", SOURCE, "--duration", "0.3", "--battery", "phone", "--grid", "DEU")
    assert run.returncode == 0, run.stderr
    assert "\x1b" not in run.stdout
    *lines, result = run.stdout.splitlines()
    assert re.match(r" +3\.000 W · mean 3\.00 W · peak 3\.00 W · .*J ± .* mAh · .*g CO2e", lines[0])
    assert "manual:5V,0.6A: manual at the rail" in lines[0]
    assert "3.00 W mean" in result
    assert run.stderr == ""


def test_a_recording_ends_by_itself_in_a_pipe(tmp_path) -> None:
    (tmp_path / "x.csv").write_text("time_s,power_W\n" + "".join(f"{second},2\n" for second in range(101)))
    run = in_pipe("live", f"replay@{tmp_path}/x.csv?speed=max", "--out", str(tmp_path / "y.csv"))
    assert run.stdout.startswith("200") or "200.0" in run.stdout.splitlines()[-1]
    assert run.stderr.startswith("101 rows")


def test_plain_lines_on_a_terminal_that_cannot_draw() -> None:
    terminal = Terminal("live", SOURCE, TERM="dumb")
    terminal.wait_for(r"3\.000 W · mean")
    assert "\x1b" not in terminal.written
    terminal.type(b"\x03")
    terminal.wait_for("3.00 W mean")
    assert terminal.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_end_plain_lines(number: signal.Signals) -> None:
    process = started("live", SOURCE)
    assert process.stdout is not None
    assert "3.000 W" in process.stdout.readline()
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, stderr) == (0, "")
    assert "3.00 W mean" in stdout


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["ina219@77:0x40"], 4, "/dev/i2c-77"),
        ([SOURCE, "--battery", "phone", "--budget", "lab"], 2, "leave one out"),
        ([SOURCE, "--battery", "bucket"], 2, "bucket"),
        ([SOURCE, "--grid", "Atlantis"], 13, "Atlantis"),
        ([SOURCE, "--require", "measured"], 3, "is required"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_a_sentence(arguments: list[str], code: int, text: str) -> None:
    run = in_pipe("live", *arguments)
    assert run.returncode == code
    assert run.stderr.count("\n") == 1
    assert text in run.stderr
    assert run.stdout == ""


def test_without_textual_the_pip_line_is_named_and_plain_lines_still_come() -> None:
    code = "import sys; sys.modules['textual'] = None\nfrom energymeter.cli import main; main()"
    terminal = Terminal("live", SOURCE, program=[sys.executable, "-c", code])
    terminal.wait_for(r'pip install "edge-energymeter\[live\]"')
    assert terminal.end() == 2
    run = subprocess.run(
        [sys.executable, "-c", code, "live", SOURCE, "--duration", "0.2"],
        capture_output=True, text=True, check=False, env=environment(), timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert run.returncode == 0
    assert "3.000 W" in run.stdout


def test_textual_is_not_imported_for_plain_lines() -> None:
    code = "import sys; import energymeter.cli.live, energymeter.report.live; print('textual' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment()
    )
    assert run.stdout == "False\n"
