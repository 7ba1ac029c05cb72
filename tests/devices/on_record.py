"""Records of what is said or read of known inputs: one entry a line, so that a diff shows the change."""

import json
from collections.abc import Mapping
from typing import Any

import pytest


def close(value: Any, *, rel: float, abs: float, nan_ok: bool = False) -> Any:
    """The same, but for the last digits of numbers."""
    if isinstance(value, dict):
        return {key: close(each, rel=rel, abs=abs, nan_ok=nan_ok) for key, each in value.items()}
    if isinstance(value, list):
        return [close(each, rel=rel, abs=abs, nan_ok=nan_ok) for each in value]
    return pytest.approx(value, rel=rel, abs=abs, nan_ok=nan_ok) if isinstance(value, float) else value


def entries(said: Mapping[str, Any]) -> str:
    """A JSON object, one entry a line."""
    lines = (f"{json.dumps(name)}: {json.dumps(each, ensure_ascii=False)}" for name, each in said.items())
    return "{\n" + ",\n".join(lines) + "\n}"
