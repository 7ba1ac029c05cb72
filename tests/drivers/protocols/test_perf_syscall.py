"""The one system call that has no face in Python: what the kernel refuses arrives with its reason."""

import os
from types import SimpleNamespace

import pytest

from energymeter.drivers.protocols import rapl
from energymeter.errors import SourceMissing


def test_a_machine_without_these_counters_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(machine="riscv64"))
    with pytest.raises(SourceMissing, match="a riscv64 has no RAPL counters"):
        rapl.open_counter(0, 0, 0)


@pytest.mark.skipif(os.uname().machine not in rapl._SYSCALL, reason="no RAPL counters on this machine")
def test_what_the_kernel_refuses_has_its_errno() -> None:
    with pytest.raises(OSError, match=r"\w") as refused:
        rapl.open_counter(0x7FFF_FFFF, 0, 0)
    assert refused.value.errno > 0
