"""Descriptors in a program that closes, forks and has its standard streams closed."""

import errno
import os
import subprocess
import sys
import tempfile

import pytest

from energymeter.sampling.descriptors import Descriptor, anonymous_file, close, pipe


def test_a_number_that_the_program_has_reused_is_not_closed(tmp_path):
    descriptor = anonymous_file("test")
    os.close(descriptor.fd)
    theirs = os.open(tmp_path / "theirs", os.O_CREAT | os.O_WRONLY)
    assert theirs == descriptor.fd, "the lowest free number"
    assert not descriptor.ours()
    descriptor.close()
    os.write(theirs, b"x")
    os.close(theirs)


def test_closing_twice_is_fine():
    reading, writing = pipe()
    close((reading, writing, reading))
    assert not writing.ours()


def test_a_forked_worker_has_none_of_them():
    descriptor = anonymous_file("test")
    pid = os.fork()
    if pid == 0:
        os._exit(0 if not descriptor.ours() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert descriptor.ours()
    descriptor.close()


CLOSED = """
import os
from energymeter.sampling.descriptors import anonymous_file, pipe
for fd in (0, 1, 2):
    os.close(fd)
made = [anonymous_file("test"), *pipe()]
os._exit(0 if all(descriptor.fd > 2 for descriptor in made) else 1)
"""


def test_the_places_of_closed_standard_streams_stay_free():
    done = subprocess.run([sys.executable, "-c", CLOSED], timeout=20, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize("why", ["no such call", "refused"])
def test_without_memory_files_a_temporary_one_is_taken(monkeypatch, why):
    def refused(name):
        raise OSError(38, "Function not implemented")

    if why == "refused":
        monkeypatch.setattr(os, "memfd_create", refused)
    else:
        monkeypatch.delattr(os, "memfd_create")
    made = anonymous_file("test")
    os.write(made.fd, b"x")
    assert os.fstat(made.fd).st_nlink == 0, "nobody finds it"
    made.close()


def test_with_neither_there_is_an_error(monkeypatch, tmp_path):
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(OSError, match="No such file"):
        anonymous_file("test")


def test_many_failures_leave_no_descriptor(monkeypatch):
    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(Descriptor, "__init__", lambda self, fd: (_ for _ in ()).throw(OSError(24, "full")))
    for _ in range(20):
        with pytest.raises(OSError, match="full"):
            pipe()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_system_without_memory_that_can_be_sealed_says_so(monkeypatch):
    monkeypatch.delattr(os, "memfd_create")
    with pytest.raises(OSError, match="this system has no memory that can be sealed") as refused:
        anonymous_file("test", sealable=True)
    assert refused.value.errno == errno.ENOSYS


def test_memory_that_is_to_be_sealed_is_never_a_file_on_a_disk(monkeypatch):
    def refused(name, flags=0):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "memfd_create", refused)
    with pytest.raises(OSError, match="Operation not permitted"):
        anonymous_file("test", sealable=True)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_descriptor_is_moved_out_of_the_way_of_the_standard_streams(monkeypatch, number):
    """Whatever stands there meanwhile is closed; the copy is closed on exec."""
    kept = os.dup(number)
    source = os.open(os.devnull, os.O_RDONLY)
    try:
        os.dup2(source, number)
        moved = Descriptor(number)
        assert moved.fd > 2
        assert moved.is_also(source)
        assert not os.get_inheritable(moved.fd)
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(number)
        moved.close()
    finally:
        os.dup2(kept, number)
        os.close(kept)
        os.close(source)
