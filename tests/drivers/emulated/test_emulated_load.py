"""CPU load from ``/proc/stat``."""

from pathlib import Path

import pytest
from devices.procstat import ProcStat

from energymeter.drivers.emulated.load import CpuLoad
from energymeter.errors import SourceError, SourceMissing


@pytest.mark.parametrize("busy", [0.0, 0.25, 1.0])
def test_share_since_the_last_answer(busy: float, tmp_path: Path) -> None:
    stat = ProcStat(tmp_path)
    load = CpuLoad(stat.root)
    load.open()
    for _ in range(3):
        stat.run(400, 0.5)
        assert load.busy() == 0.5
        stat.run(400, busy)
        assert load.busy() == busy
    load.close()
    load.close()


def test_no_tick_no_answer(tmp_path: Path) -> None:
    stat = ProcStat(tmp_path)
    load = CpuLoad(stat.root)
    load.open()
    assert load.busy() is None
    stat.run(40, 0.75)
    assert load.busy() == 0.75


def test_this_machine() -> None:
    load = CpuLoad()
    load.open()
    busy = load.busy()
    load.close()
    assert busy is None or 0 <= busy <= 1


def test_without_proc(tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match=r"proc/stat cannot be read .*needs Linux with /proc mounted"):
        CpuLoad(str(tmp_path)).open()


@pytest.mark.parametrize("text", ["", "cpu", "cpu  a b c d e", "cpu 1 2 3"])
def test_foreign_file(text: str, tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/stat").write_text(text)
    with pytest.raises(SourceError, match="does not begin with the processor's times"):
        CpuLoad(str(tmp_path)).open()


def test_not_open() -> None:
    with pytest.raises(SourceMissing, match="open"):
        CpuLoad().busy()
