"""Recorded replies of real devices, where they are at hand; tests skip, saying so, where they are not."""

import json
import os
from pathlib import Path
from typing import Any

import pytest


def folder() -> Path:
    """``$ENERGYMETER_TEST_DATA``, or ``../shared/data`` beside the project."""
    default = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    return Path(os.environ.get("ENERGYMETER_TEST_DATA", default))


def wire(name: str) -> Any:
    """A JSON file of recorded frames or replies."""
    path = folder() / "wire" / name
    if not path.exists():
        pytest.skip(f"recorded replies are not here: {path}")
    return json.loads(path.read_text())
