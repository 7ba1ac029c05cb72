"""The page in a real browser: it draws, lives through a restart, and says nothing on the console.

They are skipped where there is no Chromium or no Playwright.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from devices.processes import until
from report.simulated import make_trace
from report.simulated_comparison import folder_of, runs_of

pytestmark = pytest.mark.peers
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SHOTS = os.environ.get("ENERGYMETER_TEST_SHOTS")
"""A folder for screenshots, to be looked at."""


class Agent:
    """The real command in a process of its own, on a port that stays the same."""

    def __init__(self, folder: Path, *options: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [
            sys.executable, "-m", "energymeter", "serve", "sim:pi4",
            "--socket", str(folder / "agent" / "socket"),
            "--listen", f"127.0.0.1:{self.port}", "--web", "--recordings", str(folder / "shared"), *options,
        ]  # fmt: skip
        self._environment = {**os.environ, "STATE_DIRECTORY": str(folder / "state")}
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._running = subprocess.Popen(self._command, env=self._environment)
        until(self._answers)

    def _answers(self) -> bool:
        assert self._running is not None
        assert self._running.poll() is None, "the agent has ended"
        try:
            urllib.request.urlopen(f"{self.url}/", timeout=1).close()
        except OSError:
            return False
        return True

    def kill(self) -> None:
        if self._running is not None:
            self._running.send_signal(signal.SIGKILL)
            self._running.wait()
            self._running = None


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    shared = tmp_path / "shared"
    shared.mkdir()
    make_trace().save(shared / "run.csv")
    folder_of(str(shared / "ab"), runs_of({"float": 5.0, "int8": 3.0}), ["float", "int8"])
    made = Agent(tmp_path)
    try:
        made.start()
        yield made
    finally:
        made.kill()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed: apt install chromium")
    with playwright.sync_playwright() as running:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        chromium = running.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page whose console must stay silent but for requests that nobody answered."""
    context = browser.new_context()
    opened = context.new_page()
    said: list[str] = []
    opened.on(
        "console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None
    )
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.said = said
    yield opened
    context.close()


def shot(page: Any, name: str) -> None:
    if SHOTS:
        page.screenshot(path=os.path.join(SHOTS, f"{name}.png"), full_page=True)


def is_drawn(page: Any, canvas: str = "graph") -> bool:
    """Whether the graph has colours of more than the axes."""
    return bool(
        page.evaluate(
            """(id) => {
                const canvas = document.getElementById(id);
                if (!canvas.width) return false;
                const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
                const found = new Set();
                for (let i = 0; i < pixels.length; i += 4)
                    if (pixels[i + 3] === 255) found.add(pixels.slice(i, i + 3).join());
                return found.size >= 3;
            }""",
            canvas,
        )
    )


def test_it_draws_within_a_second_and_says_nothing_on_the_console(page: Any, agent: Agent) -> None:
    until(lambda: b'"watts":null' not in urllib.request.urlopen(f"{agent.url}/api/live", timeout=5).read())
    before = time.monotonic()
    page.goto(agent.url)
    until(lambda: " W" in page.text_content("#power"))
    until(lambda: is_drawn(page))
    assert time.monotonic() - before < 1.0
    assert "SIMULATED" in page.text_content("#banner")
    assert page.locator("#rails tr").count() >= 1
    assert "± " in page.text_content("#power")
    page.wait_for_timeout(1500)
    shot(page, "live")
    assert page.said == []


def test_it_lives_through_a_restart_of_the_agent(page: Any, agent: Agent) -> None:
    page.goto(agent.url)
    until(lambda: " W" in page.text_content("#power"))
    agent.kill()
    page.wait_for_selector("#status:has-text('No figures since')", timeout=15000)
    assert page.text_content("#power") == "unknown"
    shot(page, "lost")
    agent.start()
    until(lambda: " W" in page.text_content("#power"))
    page.wait_for_selector("#status:has-text('Connected again')")
    until(lambda: is_drawn(page))
    assert [text for text in page.said if "Failed to load resource" not in text] == []


def test_recordings_and_comparisons_are_shown(page: Any, agent: Agent) -> None:
    page.goto(f"{agent.url}/#recordings")
    page.get_by_role("button", name="Plot run.csv").click()
    page.wait_for_selector("#plot-usage:has-text('J')")
    until(lambda: is_drawn(page, "plot-graph"))
    assert "SIMULATED" in page.text_content("#plot-title")
    assert page.locator("#plot-spans li").count() == 2
    shot(page, "recording")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert Path(download.value.path()).read_bytes().startswith(b"#")
    with page.context.expect_page() as report:
        page.get_by_role("link", name="Report").click()
    report.value.wait_for_load_state()
    assert "Energy report" in report.value.text_content("h1")
    assert report.value.evaluate("getComputedStyle(document.body).maxWidth") != "none", (
        "its own style is applied"
    )
    page.get_by_role("link", name="Comparisons").click()
    page.get_by_role("button", name="ab").click()
    page.wait_for_selector(".verdict:has-text('int8 uses')")
    shot(page, "comparison")
    assert page.said == []


def test_everything_is_reached_by_the_keyboard_and_has_a_name(page: Any, agent: Agent) -> None:
    page.goto(agent.url)
    until(lambda: " W" in page.text_content("#power"))
    reached = []
    for _ in range(14):
        page.keyboard.press("tab".title())
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
    for name in (
        "Skip to the figures",
        "to-live",
        "to-recordings",
        "theme",
        "shown",
        "longer",
        "pause",
        "announce",
    ):
        assert name in reached, reached
    page.focus("#longer")
    page.keyboard.press("Enter")
    until(lambda: "1 s a column" in page.text_content("#span-text"))
    nameless = page.evaluate(
        """[...document.querySelectorAll("button, a, select, input, canvas, meter")].filter((element) =>
            !(element.textContent.trim() || element.getAttribute("aria-label") || element.labels?.length))
            .map((element) => element.outerHTML)"""
    )
    assert nameless == []
    label = page.get_attribute("#graph", "aria-label")
    assert "Power of the last" in label
    page.get_by_role("button", name="Announce power").click()
    until(lambda: "Power" in page.text_content("#spoken"))
    page.click("#values summary")
    until(lambda: page.locator("#values-rows tr").count() > 1)


@pytest.mark.parametrize(("scheme", "width"), [("light", 390), ("dark", 1280), ("dark", 390)])
def test_it_fits_a_phone_and_the_dark(browser: Any, agent: Agent, scheme: str, width: int) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 844}, color_scheme=scheme, device_scale_factor=2
    )
    page = context.new_page()
    page.goto(agent.url)
    until(lambda: " W" in page.text_content("#power"))
    page.wait_for_timeout(1500)
    shot(page, f"{scheme}-{width}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "nothing is cut off at the side"
    background = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")
    low = page.evaluate(
        """() => {
            const light = (text) => {
              const [r, g, b] = text.match(/\\d+/g).map((n) => n / 255).map(
                (s) => s <= 0.03928 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4);
              return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const back = light(getComputedStyle(document.documentElement).backgroundColor);
            return [...document.querySelectorAll("td, th, dt, dd, .legend, a, h3")].filter((element) => {
              const text = light(getComputedStyle(element).color);
              return (Math.max(text, back) + 0.05) / (Math.min(text, back) + 0.05) < 4.5;
            }).length;
        }"""
    )
    assert low == 0, "WCAG AA"
    context.close()


def test_a_hostile_name_is_text(page: Any, agent: Agent, tmp_path: Path) -> None:
    hostile = '<img src=x onerror="window.caught=1">.csv'
    (tmp_path / "shared" / hostile).write_text("time_s,power_W\n0,1\n1,1\n")
    page.goto(f"{agent.url}/#recordings")
    page.wait_for_selector("#recording-rows tr >> nth=1")
    assert hostile in page.text_content("#recording-rows")
    assert page.evaluate("window.caught") is None


def test_with_a_token_the_page_asks_for_it(browser: Any, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "token").write_text("correct-horse-battery\n")
    (tmp_path / "token").chmod(0o600)
    agent = Agent(tmp_path, "--token-file", str(tmp_path / "token"))
    try:
        agent.start()
        page = browser.new_page()
        page.goto(agent.url)
        page.fill("#token", "wrong")
        page.click("#login button")
        page.wait_for_selector("#login-error:has-text('token')")
        page.fill("#token", "correct-horse-battery")
        page.keyboard.press("Enter")
        until(lambda: " W" in page.text_content("#power"))
        page.reload()
        until(lambda: " W" in page.text_content("#power"))
        page.close()
    finally:
        agent.kill()
