"""What every test stands on: recordings from elsewhere, and a home that is nobody's."""

import gc
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from devices.plugin import Plugins
from devices.real_recordings import ROOT
from hypothesis import settings

settings.register_profile("any machine", deadline=None)  # a busy one is slow, not wrong
settings.register_profile("quick", deadline=None, max_examples=30)
settings.register_profile("emulated", deadline=None, max_examples=10)  # of a foreign processor: see tests/arm
PROFILE = os.environ.get("ENERGYMETER_TEST_PROFILE", "any machine")
settings.load_profile(PROFILE)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "not_emulated(reason): what user-mode emulation cannot do")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        marker = item.get_closest_marker("not_emulated")
        if marker is not None and PROFILE == "emulated":
            item.add_marker(pytest.mark.skip(reason=f"not under emulation: {marker.args[0]}"))


def pytest_collection_finish() -> None:
    """What was loaded stays to the end: the collector need not search it each time that it runs."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def own_zone() -> Iterator[None]:
    """The test may set TZ; afterwards the zone is what it was."""
    before = os.environ.get("TZ")
    yield
    if before is None:
        os.environ.pop("TZ", None)
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of recordings that nobody here made; a skip that says so where it is absent."""
    if not ROOT.is_dir():
        pytest.skip(f"no recordings at {ROOT}; set ENERGYMETER_TEST_DATA to their folder")
    return ROOT


@pytest.fixture(scope="session", autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the tests, and what they start, out of the user's home and settings."""
    home = tmp_path_factory.mktemp("home")
    kinds = {f"XDG_{kind}_HOME": str(home / kind.lower()) for kind in ("CONFIG", "DATA", "STATE", "CACHE")}
    # what programs print is compared: its width, its colours and its bytes are not the user's either
    wanted = {"HOME": str(home), **kinds, "COLUMNS": "120", "PYTHONIOENCODING": "utf-8"}
    unwanted = ("ENERGYMETER_SOURCE", "FORCE_COLOR", "NO_COLOR", "PYTHONWARNINGS")
    before = {name: os.environ.get(name) for name in (*wanted, *unwanted)}
    os.environ.update(wanted)
    for name in unwanted:
        os.environ.pop(name, None)
    yield
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@pytest.fixture(autouse=True)
def _nothing_stays_ready() -> Iterator[None]:
    """End the samplers that a test leaves ready for a next block: another test may count processes."""
    yield
    ready = sys.modules.get("energymeter.sampling.ready")
    if ready is not None:
        ready.release_all()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with no settings and no memory."""
    for kind in ("CONFIG", "CACHE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / kind.lower()))
    return tmp_path


@pytest.fixture
def plugins(home: Path, monkeypatch: pytest.MonkeyPatch) -> Plugins:
    """Meters that can be plugged in and out."""
    folder = home / "site-packages"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder)])
    return Plugins(folder)
