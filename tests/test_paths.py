"""Our folders are those that platformdirs names."""

import platformdirs
import pytest

from energymeter.paths import user_folder


@pytest.mark.parametrize("kind", ["config", "data", "cache"])
@pytest.mark.parametrize("value", [None, "", "/somewhere/else"])
def test_the_same_as_platformdirs(kind, value, monkeypatch):
    variable = f"XDG_{kind.upper()}_HOME"
    monkeypatch.delenv(variable) if value is None else monkeypatch.setenv(variable, value)
    assert user_folder(kind) == getattr(platformdirs, f"user_{kind}_dir")("energymeter")


def test_a_relative_folder_is_ignored_as_the_specification_says(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_folder("config") == str(tmp_path / ".config" / "energymeter")
