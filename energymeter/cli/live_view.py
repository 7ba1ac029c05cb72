"""The screen of ``energymeter live``, by textual: it shows the lines of a `Live` and passes the keys on."""

import time
from collections.abc import Callable
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.events import Key, Resize
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from energymeter.report.live import Line, Live, Pace

_STYLES = {
    "": Style(),
    "bold": Style(bold=True),
    "dim": Style(dim=True),
    "bar": Style(color="cyan"),
    "alert": Style(bold=True, reverse=True),
    "banner": Style(bold=True, reverse=True),
}
_LONGEST_FILTER = 40


class Picture(Widget):
    """The lines of the model; only those that changed are drawn again.

    Args:
        model: what is shown.
        failed: is given what went wrong, so that the terminal is restored first.
    """

    DEFAULT_CSS = "Picture { width: 1fr; height: 1fr; background: ansi_default; color: ansi_default; }"

    def __init__(self, model: Live, failed: Callable[[BaseException], None]) -> None:
        super().__init__()
        self._model, self._failed = model, failed
        self._shown: list[Line] = []

    def draw(self) -> None:
        """Show what the model knows now."""
        width, height = self.size
        if not width or not height:
            return
        try:
            lines = self._model.lines(width, height)
        except BaseException as failure:  # noqa: BLE001 - raised again by `show`
            self._failed(failure)
            return
        before, self._shown = self._shown, lines
        if len(before) != len(lines):
            self.refresh()
            return
        changed = [y for y, (old, new) in enumerate(zip(before, lines, strict=True)) if old != new]
        if changed:
            self.refresh(*(Region(0, y, width, 1) for y in changed))

    def on_resize(self, _: Resize) -> None:
        """The lines are those of the new size."""
        self.draw()

    def render_line(self, y: int) -> Strip:
        """One line, as textual asks for it."""
        if y >= len(self._shown):
            return Strip.blank(self.size.width)
        segments = [Segment(text, _STYLES[style]) for text, style in self._shown[y]]
        return Strip(segments).adjust_cell_length(self.size.width)


class LiveApp(App[None]):
    """Draws the model until a key, a signal or the end of the time ends it.

    Args:
        model: what is shown.
        over: whether it has to end, asked at every picture.
    """

    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar = [
        Binding("ctrl+c", "quit", priority=True, show=False),
        Binding("ctrl+q", "quit", priority=True, show=False),
        Binding("ctrl+z", "suspend_process", priority=True, show=False),
    ]

    def __init__(self, model: Live, over: Callable[[], bool]) -> None:
        super().__init__(ansi_color=True)
        self._model, self._over = model, over
        self._pace = Pace()
        self.failure: BaseException | None = None

    def compose(self) -> ComposeResult:
        """One widget fills the screen."""
        yield Picture(self._model, self._fail)

    def on_mount(self) -> None:
        """Begin to draw."""
        self.app_resume_signal.subscribe(self, self._draw_all)
        self._next()

    def _draw_all(self, _: object = None) -> None:
        """Draw every line: another program has written to the terminal."""
        self.screen.refresh(layout=True)
        self.query_one(Picture).refresh()

    def _next(self) -> None:
        try:
            if self._over():
                self.exit()
                return
            self._model.update()
        except BaseException as failure:  # noqa: BLE001 - raised again by `show`
            self._fail(failure)
            return
        self.query_one(Picture).draw()
        self.set_timer(self._pace.next_seconds(time.process_time(), time.monotonic()), self._next)

    def _fail(self, failure: BaseException) -> None:
        self.failure = self.failure or failure
        self.exit()

    def on_key(self, event: Key) -> None:
        """Keys act on the model."""
        event.stop()
        if self._model.typing:
            self._filter(event)
        elif event.character == "q":
            self.exit()
        elif event.character == "p":
            self._model.pause()
        elif event.character in ("+", "="):
            self._model.zoom_by(-1)
        elif event.character in ("-", "_"):
            self._model.zoom_by(1)
        elif event.character == "/":
            self._model.typing = True
        elif event.character in ("h", "?"):
            self._model.help = not self._model.help
        elif event.key == "ctrl+l":
            self._draw_all()
        elif event.key == "escape":
            self._model.help, self._model.filter = False, ""
        else:
            return
        self.query_one(Picture).draw()

    def _filter(self, event: Key) -> None:
        model = self._model
        if event.key == "enter":
            model.typing = False
        elif event.key == "escape":
            model.typing, model.filter = False, ""
        elif event.key == "backspace":
            model.filter = model.filter[:-1]
        elif event.character is not None and event.character.isprintable():
            model.filter = (model.filter + event.character)[:_LONGEST_FILTER]


def show(model: Live, over: Callable[[], bool]) -> None:
    """Show a model until it is over; the terminal is as it was before, whatever happens.

    Args:
        model: of a meter that runs.
        over: whether it has to end.
    """
    app = LiveApp(model, over)
    app.run(mouse=False)
    if app.failure is not None:
        raise app.failure
    if app.return_code:
        raise SystemExit(app.return_code)
