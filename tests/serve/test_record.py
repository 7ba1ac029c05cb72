"""The rolling record of an agent.

What could go wrong, and where it is held:

============================================  ==========================================================
energy between two files is in neither        test_the_files_add_up_to_the_curve
energy is in two files                        test_the_files_add_up_to_the_curve
a gap is filled, or is no gap in the record   test_an_unplugged_source_is_a_gap, test_a_long_silence_…
totals that began again are joined            test_a_sampler_that_was_started_again_has_a_file_of_its_own
stamps are wrong after the clock was set      test_a_clock_that_is_set_begins_a_file
the record outgrows its bound                 test_the_record_stays_within_its_bound
files of others are removed                   test_no_other_file_is_touched
a full disk ends the record or the agent      test_a_full_disk_is_said_once_and_nothing_is_lost
a full disk leaves an empty file each try     test_a_full_disk_is_said_once_and_nothing_is_lost
missing rights end the agent                  test_a_folder_without_rights_is_said_once
rows are twice in the record after an error   test_a_file_that_was_removed_is_followed_by_another
a slow disk loses samples silently            test_what_the_ring_forgot_is_counted
a killed agent leaves what cannot be read     test_a_killed_agent_leaves_readable_files
a clock that jumps back loses the order       test_the_order_is_that_of_the_numbers
two agents write into one folder              test_a_folder_belongs_to_one_agent
the page cannot draw it                       test_the_page_lists_and_draws_the_record
============================================  ==========================================================
"""

import logging
import math
import os
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from devices.processes import until, without_rights
from devices.web import Said, Web
from drawn_source import SECOND, DrawnSource

from energymeter.clock import ManualClock
from energymeter.errors import SpecError
from energymeter.reading import Facts
from energymeter.recordings.trace import Trace
from energymeter.sampling.memory import Count
from energymeter.serve.agent import Agent
from energymeter.serve.config import Config, SourceEntry
from energymeter.serve.record import RecordSettings, RollingRecord
from energymeter.serve.shared_folder import SharedFolder


class WallClock(ManualClock):
    """A clock of the day that can be set, next to that of the samples."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


@pytest.fixture
def clock() -> WallClock:
    return WallClock(1000 * SECOND, epoch=1_795_860_000.0)  # a full hour of UTC


def record(folder: Path, clock: ManualClock, *sources: DrawnSource, **settings: float) -> RollingRecord:
    """A record in minutes; without a thread: `step` writes."""
    chosen = RecordSettings(str(folder), 10_000_000, 60.0)._replace(**settings)
    return RollingRecord(sources, chosen, clock=clock)


def names(folder: Path) -> list[str]:
    """The files of the record, in their order."""
    return sorted(path.name for path in folder.glob("*.csv"))


def number_of(name: str) -> int:
    return int(name.split("_")[1])


def total_joules(folder: Path) -> float:
    return math.fsum(Trace.load(str(folder / name)).usage().joules for name in names(folder))


def test_the_files_add_up_to_the_curve(tmp_path: Path, clock: WallClock) -> None:
    source = DrawnSource("board", clock, Facts(), Facts(counted=False))
    kept = record(tmp_path, clock, source)
    for number in range(20):
        source.run(9.7, 3.0 + number, 1.0)
        kept.step()
    kept.close()
    files = names(tmp_path)
    assert files[:2] == ["board_00000001_20261128T100000Z.csv", "board_00000002_20261128T100100Z.csv"]
    assert len(files) == 4
    counted, nested = (channel.curve for channel in source.channels)
    assert total_joules(tmp_path) == pytest.approx(counted.last().joules, rel=1e-12)
    traces = [Trace.load(str(tmp_path / name)) for name in files]
    assert all(trace.notes == () for trace in traces), "each is whole"
    assert [before.time_s[-1] + before.epoch_s for before in traces[:-1]] == pytest.approx(
        [after.epoch_s for after in traces[1:]]
    )
    channels = [Trace.load_channels(str(tmp_path / name)) for name in files]
    assert [[trace.facts.counted for trace in pair] for pair in channels] == [[True, False]] * 4
    joules = math.fsum(pair[1].joules[-1] - pair[1].joules[0] for pair in channels)
    assert joules == pytest.approx(nested.last().joules)
    assert {trace.usage().provenance for trace in traces} == {"measured"}


def test_an_unplugged_source_is_a_gap(tmp_path: Path, clock: WallClock) -> None:
    source = DrawnSource("board", clock)
    kept = record(tmp_path, clock, source)
    source.run(20, 3.0)
    kept.step()
    source.run(15, None)
    kept.step()
    source.run(20, 3.0)
    kept.close()
    (name,) = names(tmp_path)
    usage = Trace.load(str(tmp_path / name)).usage()
    assert usage.seconds == pytest.approx(54.9)
    assert usage.measured_seconds == pytest.approx(39.8)
    assert usage.joules == pytest.approx(3.0 * 39.8)


def test_a_long_silence_is_between_two_files_or_a_gap_of_the_later(tmp_path: Path, clock: WallClock) -> None:
    source = DrawnSource("board", clock)
    kept = record(tmp_path, clock, source)
    source.run(50, 3.0)
    kept.step()
    source.run(40, None)
    kept.step()  # its period is over
    source.run(20, 3.0)
    kept.step()
    source.run(600, None)
    kept.step()
    source.run(9, 3.0)
    kept.close()
    usages = [Trace.load(str(tmp_path / name)).usage() for name in names(tmp_path)]
    assert [usage.seconds for usage in usages] == pytest.approx([49.9, 60.0, 8.9])
    assert [usage.measured_seconds for usage in usages] == pytest.approx([49.9, 19.9, 8.9])


def test_a_sampler_that_was_started_again_has_a_file_of_its_own(tmp_path: Path, clock: WallClock) -> None:
    source = DrawnSource("board", clock)
    kept = record(tmp_path, clock, source)
    source.run(10, 3.0)
    kept.step()
    source.run(5, 4.0)
    source.open()
    source.run(10, 5.0)
    kept.close()
    usages = [Trace.load(str(tmp_path / name)).usage() for name in names(tmp_path)]
    assert [usage.joules for usage in usages] == pytest.approx([3.0 * 9.95 + 4.0 * 4.95, 5.0 * 9.9], rel=0.01)


def test_a_clock_that_is_set_begins_a_file(tmp_path: Path, clock: WallClock) -> None:
    source = DrawnSource("board", clock)
    kept = record(tmp_path, clock, source)
    source.run(10, 3.0)
    kept.step()
    clock.ahead = 86_400.0
    kept.step()
    source.run(10, 3.0)
    kept.close()
    first, second = (Trace.load(str(tmp_path / name)) for name in names(tmp_path))
    assert second.epoch_s - first.epoch_s == pytest.approx(86_409.9)
    assert total_joules(tmp_path) == pytest.approx(3.0 * 19.9)


@pytest.mark.slow
def test_the_record_stays_within_its_bound(tmp_path: Path, clock: WallClock) -> None:
    sources = [DrawnSource("a", clock), DrawnSource("b", clock)]
    most = 2_000_000
    kept = record(tmp_path, clock, *sources, most_bytes=most, period_seconds=3600.0)
    removed: list[str] = []
    kept.folder.on_removed = removed.append
    sizes = []
    for _ in range(25):
        for source in sources:
            source.run(300, 3.21)
        kept.step()
        sizes.append(sum(path.stat().st_size for path in tmp_path.iterdir()))
    kept.close()
    assert max(sizes) <= most
    assert sizes[-1] > most / 2
    assert removed
    left = names(tmp_path)
    assert max(map(number_of, removed)) < min(map(number_of, left)), "the oldest go first"


def _number(name: str) -> int:
    return int(name.split("_")[1])


def test_no_other_file_is_touched(tmp_path: Path, clock: WallClock) -> None:
    others = ["mine.csv", "board_1_20261128T100000Z.csv", "board_00000001_20261128T100000Z.csv.bak"]
    for name in others:
        (tmp_path / name).write_bytes(b"x" * 3_000_000)
    (tmp_path / "board_00000007_20261128T100000Z.csv").symlink_to(tmp_path / "mine.csv")
    source = DrawnSource("board", clock)
    kept = record(tmp_path, clock, source, most_bytes=1_000_000)
    source.run(90, 3.0)
    kept.close()
    assert all((tmp_path / name).stat().st_size == 3_000_000 for name in others)
    assert (tmp_path / "board_00000007_20261128T100000Z.csv").is_symlink()
    assert names(tmp_path)[1:3] == [
        "board_00000008_20261128T100000Z.csv",
        "board_00000009_20261128T100100Z.csv",
    ]


def test_a_full_disk_is_said_once_and_nothing_is_lost(
    tmp_path: Path, clock: WallClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "energymeter.serve")
    sources = [DrawnSource("a", clock), DrawnSource("b", clock)]
    kept = record(tmp_path, clock, *sources)
    for source in sources:
        source.run(5, 3.0)
    kept.step()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, hard))  # every write beyond fails, as on a full disk
    try:
        for _ in range(15):
            for source in sources:
                source.run(1, 3.0)
            kept.step()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    interrupted = [one.getMessage() for one in caplog.records if "interrupted" in one.getMessage()]
    assert len(interrupted) == 1, interrupted
    assert len(names(tmp_path)) == 2, "no try leaves a file with nothing in it"
    for source in sources:
        source.run(10, 3.0)
    kept.step()
    kept.close()
    assert any("goes on; 0 samples were lost" in one.getMessage() for one in caplog.records)
    whole = sum(source.channels[0].curve.last().joules for source in sources)
    assert total_joules(tmp_path) == pytest.approx(whole, rel=1e-9)


def test_a_folder_without_rights_is_said_once(tmp_path: Path) -> None:
    def attempt() -> str:
        os.environ["XDG_CONFIG_HOME"] = "/proc/none"
        clock = WallClock(1000 * SECOND)
        source = DrawnSource("board", clock)
        said: list[str] = []
        handler = logging.Handler()
        handler.emit = lambda one: said.append(one.getMessage())  # type: ignore[method-assign]
        logging.getLogger("energymeter.serve").addHandler(handler)
        kept = record(tmp_path / "record", clock, source)
        for _ in range(5):
            source.run(10, 3.0)
            kept.step()
        kept.close()
        return "\n".join(said)

    tmp_path.chmod(0o555)
    said = without_rights(attempt).splitlines()
    assert len(said) == 1
    assert "Permission denied" in said[0]


def test_a_file_that_was_removed_is_followed_by_another(tmp_path: Path, clock: WallClock) -> None:
    source = DrawnSource("board", clock)
    kept = record(tmp_path, clock, source)
    source.run(5, 3.0)
    kept.step()
    (tmp_path / names(tmp_path)[0]).unlink()
    source.run(5, 3.0)
    kept.step()
    source.run(5, 3.0)
    kept.step()
    kept.close()
    (name,) = names(tmp_path)
    usage = Trace.load(str(tmp_path / name)).usage()
    assert usage.joules == pytest.approx(3.0 * 10)
    assert usage.coverage == 1.0


def test_what_the_ring_forgot_is_counted(tmp_path: Path, clock: WallClock) -> None:
    source = DrawnSource("board", clock)
    source.open(capacity=64)
    kept = record(tmp_path, clock, source)
    source.run(5, 3.0)
    kept.step()
    source.run(20, 3.0)
    kept.close()
    assert kept.lost == 200 - 56
    assert total_joules(tmp_path) == pytest.approx(3.0 * 24.9), "the totals know of it"


def test_the_order_is_that_of_the_numbers(tmp_path: Path, clock: WallClock) -> None:
    source = DrawnSource("board", clock)
    for ahead in (0.0, -3e7):
        clock.ahead = ahead
        kept = record(tmp_path, clock, source)
        source.run(5, 3.0)
        kept.close()
        source.open()
    files = kept.folder.finished()
    assert [file.number for file in files] == [1, 2]
    assert files[0].name > files[1].name.replace("_00000002_", "_00000001_")


def test_a_folder_belongs_to_one_agent(
    tmp_path: Path, clock: WallClock, caplog: pytest.LogCaptureFixture
) -> None:
    sources = [DrawnSource("a", clock), DrawnSource("b", clock)]
    first, second = record(tmp_path, clock, sources[0]), record(tmp_path, clock, sources[1])
    for source in sources:
        source.run(5, 3.0)
    first.step()
    second.step()
    assert "another agent records" in caplog.text
    assert len(names(tmp_path)) == 1
    first.close()
    clock.sleep(30)
    second.step()
    second.close()
    assert len(names(tmp_path)) == 2


def test_the_page_lists_and_draws_the_record(tmp_path: Path, clock: WallClock) -> None:
    source = DrawnSource("board", clock)
    kept = record(tmp_path, clock, source)
    source.run(70, 3.0)
    kept.step()
    folder = SharedFolder(str(tmp_path))
    listed = [file.name for file in folder.recordings()]
    assert sorted(listed) == names(tmp_path)
    assert len(listed) == 2
    for name in listed:
        assert folder.plot(name)["provenance"] == "measured"
    kept.close()


@pytest.mark.parametrize("given", [("0", None), ("nan", None), ("x", None), (None, "0"), (None, "1e9")])
def test_a_size_or_period_that_makes_no_sense_is_refused(given: tuple[str | None, str | None]) -> None:
    with pytest.raises(SpecError):
        RecordSettings.of("x", *given)


def test_a_record_has_room_for_its_sources() -> None:
    assert RecordSettings.of("x", "2").checked(2).most_bytes == 2_000_000
    with pytest.raises(SpecError, match="at least 3 MB"):
        RecordSettings.of("x", "2").checked(3)


def test_a_meter_that_is_unplugged_and_comes_back_is_one_record_with_a_gap(tmp_path: Path) -> None:
    with Web(lambda target, headers: Said(200, '{"watts": 5.0}')) as plug:
        spec = f"http@http://{plug.address}/status?watts=$.watts"
        agent = Agent(Config((SourceEntry.of("plug", spec, 20.0),)))
        listener = agent.listen()
        kept = RollingRecord(agent.sources(), RecordSettings(str(tmp_path)))
        try:
            (served,) = agent.sources()

            def samples() -> int:
                kept.step()
                return sum(len(channel.curve) for channel in served.channels)

            until(lambda: samples() > 5)
            plug.vanish()
            until(lambda: samples() and served.channels[0].observed(Count.FAILED) > 3)
            before = samples()
            plug.start()
            until(lambda: samples() > before + 5)
        finally:
            kept.close()
            listener.close()
            agent.close()
    (name,) = names(tmp_path)
    usage = Trace.load(str(tmp_path / name)).usage()
    assert 0 < usage.measured_seconds < usage.seconds
    assert usage.joules == pytest.approx(5.0 * usage.measured_seconds, rel=1e-6)


@pytest.mark.slow
def test_a_killed_agent_leaves_readable_files() -> None:
    with tempfile.TemporaryDirectory(prefix="em-") as made:
        folder = Path(made) / "record"
        command = [
            sys.executable, "-m", "energymeter", "serve", "manual:5V,0.6A",
            "--socket", f"{made}/agent.sock", "--record", str(folder),
        ]  # fmt: skip

        def rows(number: int) -> int:
            found = names(folder)
            return len((folder / found[number]).read_text().splitlines()) if len(found) > number else 0

        for number, ending in enumerate((signal.SIGKILL, signal.SIGTERM)):
            with subprocess.Popen(command, stderr=subprocess.DEVNULL) as running:
                until(lambda number=number: rows(number) > 5)
                running.send_signal(ending)
                running.wait(30)
        killed, ended = (Trace.load(str(folder / name)) for name in names(folder))
    assert [bool(trace.notes) for trace in (killed, ended)] == [True, False]
    for trace in (killed, ended):
        usage = trace.usage()
        assert usage.provenance == "manual"
        assert usage.joules == pytest.approx(3.0 * usage.seconds)
