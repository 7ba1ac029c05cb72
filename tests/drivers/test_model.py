"""Modelled power: profile times load, and honest about it."""

from pathlib import Path

import pytest
from devices.procstat import ProcStat

from energymeter.clock import ManualClock
from energymeter.drivers.model import Model
from energymeter.errors import SourceMissing, SpecError
from energymeter.reading import Reading
from energymeter.source import Source
from energymeter.testing import check_source, check_unplugged


def test_watts_follow_the_load(tmp_path: Path) -> None:
    clock, stat = ManualClock(), ProcStat(tmp_path)
    source = Model("pi4", clock=clock, root=stat.root)
    source.open()
    for share, watts in ((0.0, 3.06), (1.0, 6.4), (0.5, 4.73)):
        stat.run(100, share)
        reading = source.read()
        assert reading.watts == pytest.approx(watts)
        assert reading.volts is None
        assert reading.amps is None, "no current was measured"
        assert source.read() == Reading(fresh=False)
        clock.sleep(0.05)
    source.close()
    source.close()


def test_nothing_new_within_50_ms_even_where_ticks_passed(tmp_path: Path) -> None:
    clock, stat = ManualClock(), ProcStat(tmp_path)
    source = Model("pi4", clock=clock, root=stat.root)
    source.open()
    stat.run(100, 0.0)
    assert source.read().fresh
    stat.run(100, 1.0)
    clock.sleep(0.049)
    assert not source.read().fresh
    clock.sleep(0.001)
    assert source.read().watts == pytest.approx(6.4)


def test_conforms(tmp_path: Path) -> None:
    stat = ProcStat(tmp_path)

    class Busy(ManualClock):
        def monotonic_ns(self) -> int:
            stat.run(10, 0.5)
            return super().monotonic_ns()

    clock = Busy()
    check_source(lambda: Model("pi4", clock=clock, root=stat.root))
    check_unplugged(lambda: Model("pi4", root=str(tmp_path / "nothing")))


def test_no_tick_is_nothing_new(tmp_path: Path) -> None:
    source = Model("pi4", clock=ManualClock(), root=ProcStat(tmp_path).root)
    source.open()
    assert source.read() == Reading(fresh=False)


def test_it_says_that_it_is_modelled_and_how_badly() -> None:
    source = Model("pi4")
    assert isinstance(source, Source)
    assert source.name == "model@pi4"
    assert source.facts.provenance == "modelled"
    assert source.facts.watts is not None
    assert source.facts.watts.gain >= 0.3


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("Raspberry Pi 4 Model B Rev 1.4", "model of a Raspberry Pi 4 Model B"),
        ("Google Coral MT8167", "model of no particular board"),
        (None, "model of no particular board"),
    ],
)
def test_board_is_detected(model: str | None, name: str, tmp_path: Path) -> None:
    stat = ProcStat(tmp_path)
    if model:
        (tmp_path / "proc/device-tree").mkdir()
        (tmp_path / "proc/device-tree/model").write_bytes(model.encode() + b"\0")
    source = Model(root=stat.root)
    assert source.name == "model"
    source.open()
    assert source.identity == name
    assert source.facts.watts is not None
    assert source.facts.watts.gain == (0.3 if "Pi 4" in name else 0.6)


def test_bad_places() -> None:
    with pytest.raises(SpecError, match="did you mean pi4"):
        Model("pi44")
    with pytest.raises(SpecError, match="measure it"):
        Model("coral-mini")


def test_without_proc(tmp_path: Path) -> None:
    source = Model("pi4", root=str(tmp_path))
    with pytest.raises(SourceMissing, match="needs Linux"):
        source.open()
    source.close()
