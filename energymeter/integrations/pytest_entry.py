"""What every pytest loads of us: it loads the plugin, or stands in for it where pluggy is too old."""

from __future__ import annotations

import pytest

PLUGIN = "energymeter.integrations.pytest_plugin"


class TooOld:
    """No test is measured, and one that asks for it ends the run: a limit must not pass unseen."""

    @staticmethod
    def pytest_configure(config: pytest.Config) -> None:
        """Our marker is known all the same."""
        config.addinivalue_line("markers", "energy(max_joules, rounds, min_seconds): needs pluggy 1.2")

    @staticmethod
    def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
        """Look for tests that are to be measured."""
        for item in items:
            if item.get_closest_marker("energy") or "energy" in getattr(item, "fixturenames", ()):
                raise pytest.UsageError(
                    f"{item.nodeid} is to be measured, which needs pluggy 1.2; pip install --upgrade pluggy"
                )


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """Load the plugin before options are read."""
    try:
        pytest.hookimpl(wrapper=True)
    except TypeError:  # pluggy before 1.2, as in Debian 12
        pluginmanager.register(TooOld())
    else:
        pluginmanager.import_plugin(PLUGIN)
