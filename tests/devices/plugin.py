"""Drivers of another package, as `pip install` would leave them: modules and an entry-point table."""

import textwrap
from pathlib import Path

_HEAD = """
import os, time
from energymeter.errors import SourceMissing
from energymeter.reading import Facts, Reading
"""

_METER = """
class {name}:
    kind = {kind!r}
    facts = Facts()

    def __init__(self, address: str = "") -> None:
        self.name = {driver!r}

    def open(self) -> None:
        if not os.path.exists({switch!r}):
            raise SourceMissing("it is unplugged; plug it in")
        {opening}

    def read(self) -> Reading:
        return Reading(watts={watts})

    def close(self) -> None:
        pass
"""


class Plugins:
    """A folder for ``sys.path``; every meter is there while its switch file exists."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._points: dict[str, str] = {}

    def meter(self, driver: str, kind: str, watts: float = 5.0, opening: str = "pass") -> Path:
        """A driver with a constant draw, plugged in; ``opening`` is what its ``open`` does."""
        switch = self.folder / f"{driver}.switch"
        switch.touch()
        name = driver.capitalize()
        text = _HEAD + _METER.format(
            name=name, kind=kind, driver=driver, switch=str(switch), watts=watts, opening=opening
        )
        self.module(driver, text, name)
        return switch

    def module(self, driver: str, text: str, name: str) -> None:
        """A driver as it is written."""
        (self.folder / f"{driver}_plugin.py").write_text(textwrap.dedent(text))
        self._points[driver] = f"{driver}_plugin:{name}"
        about = self.folder / "plugins-1.0.dist-info"
        about.mkdir(exist_ok=True)
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: plugins\nVersion: 1.0\n")
        points = "".join(f"{driver} = {target}\n" for driver, target in self._points.items())
        (about / "entry_points.txt").write_text(f"[energymeter.drivers]\n{points}")
