"""docs/write-a-driver.md runs from top to bottom: a driver and its test in under 60 lines."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "write-a-driver.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    namespace: dict[str, object] = {"__name__": "write_a_driver"}
    for block in BLOCKS:
        exec(compile(block, str(PAGE), "exec"), namespace)  # noqa: S102
    assert capsys.readouterr().out.startswith(
        "bench@/dev/ttyUSB0: read before open returns Reading(volts=5.0"
    )


def test_driver_and_test_are_under_60_lines() -> None:
    driver, test, *_ = BLOCKS
    lines = [line for line in (driver + test).splitlines() if line.strip()]
    assert len(lines) < 60
