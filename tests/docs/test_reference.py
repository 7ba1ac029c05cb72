"""The reference pages name what the code has: exit codes, variables; SKILL.md stays short."""

import re
from pathlib import Path

from energymeter import errors

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reference" / "environment.md").read_text(encoding="utf-8")


def test_every_error_is_in_the_row_of_its_exit_code() -> None:
    rows = dict(re.findall(r"^\| (\d+) \| [^|]+\|([^|]*)\|$", PAGE, re.MULTILINE))
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, errors.EnergyMeterError) and "exit_code" in vars(kind):
            assert f"`{name}`" in rows[str(kind.exit_code)], name


def test_every_variable_is_named() -> None:
    sources = [*(ROOT / "energymeter").rglob("*.py"), *(ROOT / "drivers").rglob("*.py")]
    code = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    ours = set(re.findall(r'"(ENERGYMETER_\w+)"', code)) | set(re.findall(r'environ[^"\n]*"(\w+_\w+)"', code))
    named = set(re.findall(r"`(\w+)`", PAGE))
    assert ours - named == set()
    assert {name for name in named if name.startswith("ENERGYMETER_")} <= ours


def test_the_skill_is_short() -> None:
    assert len((ROOT / "SKILL.md").read_text(encoding="utf-8").splitlines()) <= 80
