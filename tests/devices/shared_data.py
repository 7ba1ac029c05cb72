"""Where recordings that are not part of the project lie, or a skip that says so."""

import os
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("ENERGYMETER_TEST_DATA", Path(__file__).parents[2].parent / "shared" / "data"))


def recording(name: str) -> Path:
    """The path of one recording, e.g. ``wire/tc66c_plain.hex``."""
    path = ROOT / name
    if not path.exists():
        pytest.skip(f"recording {name} is not here (set ENERGYMETER_TEST_DATA)")
    return path
