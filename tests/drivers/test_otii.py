"""Otii, against an emulated application."""

import socket
import time
from typing import Any

import pytest
from devices.otii import ARC, OtiiApp

from energymeter.drivers.otii import Otii
from energymeter.errors import SourceError, SourceForbidden, SourceMissing, SourceTimeout, SpecError
from energymeter.testing import check_source, check_unplugged

ACE = {"device_id": "Ace77", "name": "My Ace", "type": "Ace"}


def opened(app: OtiiApp, **options: Any) -> Otii:
    source = Otii(app.address, **options)
    source.open()
    return source


@pytest.mark.parametrize("chatty", [False, True])
def test_conforms(chatty: bool) -> None:
    with OtiiApp(chatty=chatty) as app:
        check_source(lambda: Otii(app.address))
        assert not app.running


def test_energy_and_charge_are_the_applications() -> None:
    with OtiiApp(watts=0.37, volts=3.7) as app:
        source = opened(app)
        first, second = source.read(), source.read()
        assert (second.joules or 0) - (first.joules or 0) == pytest.approx(0.37 * 0.5)
        assert (second.coulombs or 0) - (first.coulombs or 0) == pytest.approx(0.1 * 0.5)
        app.step = 0.0
        assert not source.read().fresh
        assert source.identity == "Arc5002"
        source.close()


def test_a_recording_that_runs_already_is_joined_and_left_running() -> None:
    with OtiiApp(recording=True) as app:
        source = opened(app)
        assert source.read().joules is not None
        source.close()
        assert app.running
        assert "project_start_recording" not in app.commands


def test_a_project_is_made_if_none_is_open() -> None:
    with OtiiApp(project=False) as app:
        opened(app).close()
        assert app.commands.count("otii_create_project") == 1
        assert "arc_set_main" not in app.commands


def test_log_in_and_licence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTII", "s3cret")
    with OtiiApp(logged_in=False) as app:
        with pytest.raises(SourceForbidden, match="Not logged in; log in"):
            opened(app)
        with pytest.raises(SourceForbidden, match="Could not login") as caught:
            opened(app, user="me", password="gue55")
        assert "gue55" not in repr(caught.value)
        opened(app, user="me", password_env="OTII").close()
        assert app.licensed
    with OtiiApp() as app, pytest.raises(SourceForbidden, match="no Automation licence is free"):
        opened(app, user="me", password="s3cret")


def test_which_device() -> None:
    with OtiiApp((ARC, ACE)) as app:
        assert opened(app, device="Ace77").identity == "Ace77"
        assert opened(app, device="My Arc").identity == "Arc5002"
        with pytest.raises(SourceMissing, match=r"My Arc \(Arc5002\), My Ace"):
            opened(app)
    with OtiiApp(()) as app, pytest.raises(SourceMissing, match="connected: none"):
        opened(app)


def test_the_device_is_unplugged_mid_run() -> None:
    with OtiiApp() as app:
        source = opened(app)
        app.devices = ()
        with pytest.raises(SourceMissing, match="plug it in again"):
            source.read()
        app.devices = (ARC,)
        assert source.read().joules is not None


def test_the_application_ends_and_starts_again() -> None:
    app = OtiiApp()
    with app:
        source = opened(app)
    with pytest.raises(SourceError):
        source.read()
    source.close()
    with app:
        source.open()
        assert source.read().joules is not None


def test_nothing_and_something_else_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        begun = time.monotonic()
        with pytest.raises(SourceTimeout):
            Otii(f"127.0.0.1:{port}", timeout=0.05).open()
        assert 0.05 <= time.monotonic() - begun < 10.0, "it waits for its time and no longer"
    check_unplugged(lambda: Otii(f"127.0.0.1:{port}"))
    with pytest.raises(SourceMissing, match="start it"):
        Otii(f"127.0.0.1:{port}").open()


def test_options_that_make_no_sense() -> None:
    with pytest.raises(SpecError):
        Otii(timeout=0.0)
