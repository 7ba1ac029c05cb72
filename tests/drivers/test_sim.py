"""The simulated board: the real driver on the emulated chip, following the CPU load."""

import itertools
from pathlib import Path

import pytest
from devices.procstat import ProcStat

from energymeter.clock import ManualClock
from energymeter.drivers.sim import Sim
from energymeter.errors import SourceMissing, SpecError
from energymeter.source import Source
from energymeter.testing import check_source, check_unplugged


def watts(source: Sim) -> float:
    reading = source.read()
    assert reading.volts is not None
    assert reading.amps is not None
    return reading.volts * reading.amps


@pytest.mark.parametrize(
    ("board", "idle", "busy"),
    [
        ("pi4", 3.06, 6.4),
        ("pi-zero-w", 0.51, 1.79),
        ("coral", 2.8, 5.4),
        ("jetson-nano", 1.4, 8.0),
        ("agx-xavier", 9.5, 28.0),
    ],
)
@pytest.mark.parametrize("rate", [10, 1000])
def test_draw_follows_the_load(board: str, idle: float, busy: float, rate: int, tmp_path: Path) -> None:
    clock, stat = ManualClock(), ProcStat(tmp_path)
    source = Sim(board, clock=clock, root=stat.root)
    source.tune(rate)
    source.open()
    for share in (0.0, 1.0, 0.5):
        stat.run(100, share)
        source.read()
        clock.sleep(0.2)
        stat.run(100, share)
        source.read()
        clock.sleep(0.2)
        expected = idle + (busy - idle) * share
        assert watts(source) == pytest.approx(expected, rel=0.01)
    source.close()
    source.close()


@pytest.mark.parametrize(("board", "step_watts"), [("pi4", 5.1e-4), ("agx-xavier", 1.6e-2)])
def test_a_small_board_has_the_finer_shunt(board: str, step_watts: float, tmp_path: Path) -> None:
    """10 µV over 0.1 Ω or 0.01 Ω, at the rail of the board."""
    clock, stat = ManualClock(), ProcStat(tmp_path)
    source = Sim(board, clock=clock, root=stat.root)
    source.open()
    seen = set()
    for share in range(40):
        stat.run(100, share / 40)
        clock.sleep(0.2)
        seen.add(round(watts(source), 6))
    steps = sorted(b - a for a, b in itertools.pairwise(sorted(seen)))
    assert steps[0] == pytest.approx(round(steps[0] / step_watts) * step_watts, rel=0.05)
    assert steps[0] >= 0.9 * step_watts


def test_conforms(tmp_path: Path) -> None:
    clock, stat = ManualClock(), ProcStat(tmp_path)
    check_source(lambda: Sim("pi4", clock=clock, root=stat.root))
    check_unplugged(lambda: Sim("pi4", clock=clock, root=str(tmp_path / "nothing")))


def test_a_step_within_a_conversion_is_averaged_in(tmp_path: Path) -> None:
    """128 averages from 68.6 ms to 136.7 ms; the load is seen to step at 100 ms."""
    clock, stat = ManualClock(), ProcStat(tmp_path)
    source = Sim("pi4", clock=clock, root=stat.root)
    source.tune(10)
    source.open()
    clock.sleep(0.1)
    stat.run(100, 1.0)
    source.read()
    clock.sleep(0.1)
    idle, busy = 3.06 / 5.1, 6.4 / 5.1
    share = (136.724 - 100) / 68.096
    assert source.read().amps == pytest.approx(idle + (busy - idle) * share, abs=0.002)


def test_it_says_that_it_is_simulated() -> None:
    source = Sim("Pi 4")
    assert isinstance(source, Source)
    assert source.name == "sim:pi4"
    assert source.facts.provenance == "simulated"
    assert source.facts.amps is not None


def test_load_is_looked_at_ten_times_a_second(tmp_path: Path) -> None:
    """A load that shows only between looks at 0.0, 0.1, 0.2 s ... changes nothing in between."""
    clock, stat = ManualClock(), ProcStat(tmp_path)
    source = Sim("pi4", clock=clock, root=stat.root)
    source.tune(1000)
    source.open()
    seen: set[float | None] = set()
    for _ in range(1000):
        clock.sleep(0.001)
        stat.run(4, 1.0)
        reading = source.read()
        assert reading.fresh
        stat.run(4 * (len(seen) + 1), 0.0)
        seen.add(reading.amps)
    assert 2 <= len(seen) <= 22, "at most eleven steps, with a mixed conversion at each edge"


def test_volts_and_noise_are_as_asked_and_repeatable(tmp_path: Path) -> None:
    stat = ProcStat(tmp_path)
    runs = []
    for seed in (1, 1, 2):
        clock = ManualClock()
        source = Sim("pi4", volts=4.8, noise=0.01, seed=seed, clock=clock, root=stat.root)
        source.tune(1000)
        source.open()
        readings = []
        for _ in range(300):
            clock.sleep(0.001)
            readings.append(source.read())
        runs.append([r.amps or 0.0 for r in readings])
        assert readings[0].volts == pytest.approx(4.8, abs=0.016)
    assert runs[0] == runs[1] != runs[2]
    mean = sum(runs[0]) / 300
    assert mean == pytest.approx(3.06 / 4.8, abs=0.003)
    assert (sum((a - mean) ** 2 for a in runs[0]) / 299) ** 0.5 == pytest.approx(0.01, rel=0.2)


@pytest.mark.parametrize("options", [{"volts": -5.0}, {"volts": 27.0}, {"noise": -0.1}])
def test_bad_options(options: dict[str, float]) -> None:
    with pytest.raises(SpecError, match="cannot be"):
        Sim("pi4", **options)  # type: ignore[arg-type]


def test_unknown_board() -> None:
    with pytest.raises(SpecError, match="did you mean pi4"):
        Sim("pi44")
    with pytest.raises(SpecError, match="measure it"):
        Sim("coral-mini")


def test_without_proc(tmp_path: Path) -> None:
    source = Sim("pi4", root=str(tmp_path))
    with pytest.raises(SourceMissing, match="needs Linux"):
        source.open()
    source.close()
