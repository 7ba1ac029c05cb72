"""What Prometheus and Home Assistant are given of known figures, to the last line: `written_figures.json`.

`PYTHONPATH=.:tests python tests/serve/test_written_figures.py` writes it again; read what has changed first.
The figures follow from `made_figures`: 7200 J are 2 Wh, 1900 of 2000 s are 95 %.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from devices.on_record import entries
from serve.made_figures import BOARD, BUDGET, CPU, figures

pytest.importorskip("prometheus_client")

from energymeter.serve.feed import Figures
from energymeter.serve.mqtt import discovery, values
from energymeter.serve.prometheus import series
from energymeter.version import __version__

RECORD = Path(__file__).with_name("written_figures.json")
NODE = "0123456789ab"
CASES: dict[str, Callable[[], Figures]] = {
    "all": figures,
    "a rail alone": lambda: figures(BOARD, batteries=()),
    "a processor alone": lambda: figures(CPU, batteries=()),
    "two boards": lambda: figures(BOARD, BOARD._replace(source="other", joules=1.0, missed=0)),
    "unplugged": lambda: figures(
        BOARD._replace(watts=None, watts_uncertainty=None, volts=None, coulombs=None)
    ),
    "nothing measured": lambda: figures(BOARD._replace(joules=None, measured_seconds=0.0, seconds=0.0)),
    "no time left known": lambda: figures(BOARD, batteries=(BUDGET._replace(hours=None, mah=None),)),
    "at the wall": lambda: figures(BOARD._replace(place="wall"), CPU, batteries=()),
}


def written(name: str) -> dict[str, list[Any]]:
    """The series, and the values with what is said of each."""
    seen = CASES[name]()
    metrics = [[one.metric.name, one.metric.kind, [*one.labels], repr(one.value)] for one in series(seen)]
    said = [[value.object, value.title, value.state, discovery(value, NODE, "Pi")] for value in values(seen)]
    text = json.dumps({"prometheus": metrics, "mqtt": said}).replace(__version__, "VERSION")
    found: dict[str, list[Any]] = json.loads(text)
    return found


@pytest.mark.parametrize("name", CASES)
def test_the_figures_are_written_as_before(name: str) -> None:
    known = json.loads(RECORD.read_text(encoding="utf-8"))
    assert written(name) == known[name]


if __name__ == "__main__":
    RECORD.write_text(entries({name: written(name) for name in CASES}) + "\n", encoding="utf-8")
