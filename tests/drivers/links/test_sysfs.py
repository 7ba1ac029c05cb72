"""The link helpers of the board's own sensors: attribute files, shared looks, programs."""

import doctest
import errno
import importlib
from pathlib import Path

import pytest
from devices.programs import program
from devices.sysfs import Sysfs

from energymeter.drivers.links.channels import Shared, Snapshot, together
from energymeter.drivers.links.command import Lines, output
from energymeter.drivers.links.sysfs import Rail, SysFile, translated
from energymeter.errors import (
    SourceBusy,
    SourceError,
    SourceForbidden,
    SourceMissing,
    SourceTimeout,
)
from energymeter.paths import entries, peek, peek_number
from energymeter.reading import Facts, Reading


@pytest.fixture
def sysfs(tmp_path: Path) -> Sysfs:
    return Sysfs(tmp_path)


@pytest.mark.parametrize("module", ["links.tcp", "protocols.gauge", "protocols.rapl"])
def test_examples(module: str) -> None:
    done = doctest.testmod(importlib.import_module(f"energymeter.drivers.{module}"))
    assert done.attempted
    assert not done.failed


def test_a_file_is_read_again_every_time(sysfs: Sysfs) -> None:
    sysfs.put("x", 1)
    file = SysFile(str(sysfs.path("x")))
    assert file.number() == 1.0
    sysfs.rewrite("x", 22)
    assert file.number() == 22.0
    sysfs.put("x", 3)  # replaced: another file of the same name
    assert file.number() == 3.0
    file.close()
    file.close()
    assert file.number() == 3.0
    file.close()


def test_a_file_that_was_deleted_does_not_stand_still(sysfs: Sysfs) -> None:
    sysfs.put("x", 1)
    file = SysFile(str(sysfs.path("x")))
    file.number()
    sysfs.remove("x")
    with pytest.raises(SourceMissing):
        file.number()


@pytest.mark.parametrize("text", ["", " \n", "\0"])
def test_nothing_is_not_a_number(sysfs: Sysfs, text: str) -> None:
    sysfs.put("x", 1)
    sysfs.path("x").write_text(text)
    with pytest.raises(SourceError, match="empty"):
        SysFile(str(sysfs.path("x"))).number()


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOENT, SourceMissing),
        (errno.ENODEV, SourceMissing),
        (errno.EACCES, SourceForbidden),
        (errno.EPERM, SourceForbidden),
        (errno.EBUSY, SourceBusy),
        (errno.ETIMEDOUT, SourceTimeout),
        (errno.EIO, SourceError),
        (errno.ENODATA, SourceError),
        (errno.EAGAIN, SourceError),
    ],
)
def test_every_errno_has_its_error(number: int, kind: type[SourceError]) -> None:
    error = translated(OSError(number, "why"), "/sys/x", "do this")
    assert type(error) is kind
    assert "/sys/x" in str(error)
    assert ("do this" in str(error)) == (kind is SourceForbidden)


def test_looking_around_never_fails(sysfs: Sysfs) -> None:
    assert entries(f"{sysfs.root}/none") == []
    for name in ("hwmon10", "hwmon2", "hwmon1"):
        sysfs.put(name, "x")
    assert entries(sysfs.root) == ["hwmon1", "hwmon2", "hwmon10"]
    assert peek(f"{sysfs.root}/none") is None
    assert peek_number(f"{sysfs.root}/hwmon1") is None
    sysfs.put("n", "42")
    assert peek_number(f"{sysfs.root}/n") == 42.0


def rail(sysfs: Sysfs, *quantities: str) -> Rail:
    for index, quantity in enumerate(quantities):
        sysfs.put(quantity, index + 2)
    files = {quantity: (SysFile(str(sysfs.path(quantity))), 1.0) for quantity in quantities}
    return Rail("rail", Facts(), files)


def test_a_rail_leaves_out_what_fails_while_power_can_be_known(sysfs: Sysfs) -> None:
    three = rail(sysfs, "volts", "amps", "watts")
    sysfs.break_reads("volts")
    assert three.read() == Reading(amps=3.0, watts=4.0)
    sysfs.break_reads("watts")
    with pytest.raises(SourceError, match="Input/output"):
        three.read()


def test_a_look_is_taken_once_for_all_channels() -> None:
    looks = iter([1.0, 2.0, 3.0])
    snapshot = Snapshot(lambda: next(looks))
    one, two = (Shared(name, Facts(), snapshot, lambda watts: Reading(watts=watts)) for name in "ab")
    assert [one.read().watts, two.read().watts] == [1.0, 1.0]
    assert [two.read().watts, one.read().watts] == [2.0, 2.0]
    assert one.read().at_ns == two.read().at_ns


def test_a_failed_look_fails_every_channel_once() -> None:
    tries = []

    def take() -> float:
        tries.append(1)
        if len(tries) == 1:
            raise SourceError("no")
        return 5.0

    snapshot = Snapshot(take)
    channels = [Shared(name, Facts(), snapshot, lambda watts: Reading(watts=watts)) for name in "ab"]
    for channel in channels:
        with pytest.raises(SourceError):
            channel.read()
    assert len(tries) == 1
    assert [channel.read().watts for channel in channels] == [5.0, 5.0]


class Part:
    def __init__(self, reading: Reading, counted: bool = True) -> None:
        self.name = "part"
        self.facts = Facts(counted=counted)
        self._reading = reading

    def open(self) -> None: ...

    def read(self) -> Reading:
        return self._reading

    def close(self) -> None: ...


def test_parts_add_up_without_inventing_anything() -> None:
    rails = [
        Part(Reading(volts=12.0, amps=1.0)),
        Part(Reading(watts=3.0)),
        Part(Reading(watts=9.0), counted=False),
    ]
    assert together(rails) == Reading(watts=15.0)
    assert together([*rails, Part(Reading(volts=5.0))]) == Reading()
    assert together([Part(Reading(volts=5.0, amps=2.0))]) == Reading(volts=5.0, amps=2.0)


def test_a_command_that_fails_is_quoted(tmp_path: Path) -> None:
    assert output([program(tmp_path, "good", "echo hello")], 5.0, "install it") == "hello\n"
    with pytest.raises(SourceError, match="code 3: sorry"):
        output([program(tmp_path, "bad", "echo sorry >&2; exit 3")], 5.0, "install it")
    with pytest.raises(SourceMissing, match="install it"):
        output([str(tmp_path / "none")], 5.0, "install it")
    with pytest.raises(SourceTimeout, match="did not answer"):
        output([program(tmp_path, "hung", "exec sleep 60")], 0.05, "install it")
    (tmp_path / "data").write_text("x")
    with pytest.raises(SourceForbidden):
        output([str(tmp_path / "data")], 5.0, "install it")
    with pytest.raises(SourceForbidden):
        Lines([str(tmp_path / "data")], "install it")
