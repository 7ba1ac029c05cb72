"""Our folders are those that platformdirs names; a user may have none, or be kept out of them."""

import os
import pwd
import warnings
from pathlib import Path

import platformdirs
import pytest
from devices.processes import without_rights

from energymeter import EnergyMeter
from energymeter.budget.ledger import Ledger
from energymeter.calibration.cards import Cards
from energymeter.discovery import choice
from energymeter.errors import LedgerError
from energymeter.paths import PAGE, cards_folder, entries, peek, read_file, replace_file, user_folder


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


@pytest.mark.parametrize("home", [None, "", ".", "../elsewhere"])
@pytest.mark.parametrize("kind", ["config", "data", "cache"])
def test_a_home_that_is_unset_or_relative_is_looked_up(kind, home, monkeypatch):
    """What lies in the working folder, or in the root folder, does not configure us."""
    monkeypatch.delenv(f"XDG_{kind.upper()}_HOME")
    monkeypatch.delenv("HOME") if home is None else monkeypatch.setenv("HOME", home)
    assert user_folder(kind).startswith(pwd.getpwuid(os.getuid()).pw_dir + "/.")


def nobody_known(uid):
    raise KeyError(uid)


@pytest.mark.parametrize("home", [None, "", "."])
def test_a_user_without_a_home_measures_and_keeps_nothing(home, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for kind in ("CONFIG", "DATA", "CACHE"):
        monkeypatch.delenv(f"XDG_{kind}_HOME")
    monkeypatch.delenv("HOME") if home is None else monkeypatch.setenv("HOME", home)
    monkeypatch.setattr(pwd, "getpwuid", nobody_known)  # a container that runs as any number
    with EnergyMeter("manual:5V,1A") as meter:
        pass
    assert meter.usage.joules == pytest.approx(5.0 * meter.usage.seconds)
    assert choice.named() is None
    choice.remember(choice.Choice("sim:pi4", "a test"), [])
    with pytest.raises(LedgerError, match=r"cannot be written .*: .*set XDG_DATA_HOME"):
        Ledger().names()
    assert list(tmp_path.iterdir()) == []


def test_cards_that_are_closed_to_the_user_are_not_taken_for_none(home):
    def warned():
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            Cards.here()
        return " ".join(str(one.message) for one in heard)

    assert warned() == "", "there are none"
    os.makedirs(cards_folder())
    assert warned() == ""
    os.chmod(home / "config", 0)
    try:
        assert f"this user may not read {cards_folder()}" in without_rights(warned)
    finally:
        os.chmod(home / "config", 0o700)


def test_only_regular_files_of_limited_size_are_read(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    assert read_file(str(path), 5) == b"12345"
    with pytest.raises(OSError, match="larger than"):
        read_file(str(path), 4)
    os.mkfifo(tmp_path / "fifo")
    for other in (str(tmp_path / "fifo"), str(tmp_path), "/dev/zero"):
        with pytest.raises(OSError, match=r"no regular file|directory"):
            read_file(other, 4)


@pytest.mark.parametrize(
    ("kind", "linked"),  # of the device only a link: a fault would end the machine's /dev/null
    [("pipe", False), ("pipe", True), ("folder", False), ("folder", True), ("device", True)],
)
def test_only_a_file_is_replaced_and_no_device_pipe_or_folder(kind, linked, tmp_path):
    there = tmp_path / "there"
    if kind == "pipe":
        os.mkfifo(there)
    elif kind == "folder":
        there.mkdir()
    else:
        there = Path("/dev/null")
    if linked:
        (tmp_path / "link").symlink_to(there)
        there = tmp_path / "link"
    before = os.lstat(there)
    with pytest.raises(OSError, match="no regular file"):
        replace_file(str(there), "x")
    assert os.lstat(there).st_ino == before.st_ino
    assert not list(tmp_path.glob(".unfinished*"))
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    replace_file(str(tmp_path / "dangling"), "x")
    assert (tmp_path / "dangling").read_text() == "x"
    assert not (tmp_path / "nothing").exists()


def test_an_attribute_is_one_page_at_most(tmp_path):
    (tmp_path / "x").write_text("9" * 10_000)
    assert peek(str(tmp_path / "x")) == "9" * PAGE


def test_names_with_other_digits_are_sorted_all_the_same(tmp_path):
    for name in ("hwmon10", "hwmon2", "hwmon²"):
        (tmp_path / name).touch()
    assert entries(str(tmp_path)) == ["hwmon2", "hwmon10", "hwmon²"]
