"""Probing drivers in one process: what they report, how they fail, and which are never touched."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from devices.sysfs import Powercap, Sysfs

from energymeter.discovery.probe import Candidate, probe, probe_all
from energymeter.drivers.rapl import Rapl
from energymeter.errors import SourceMissing
from energymeter.reading import Facts, Reading
from energymeter.spec import driver_names, load_driver


class Steady:
    """Five watts at any place."""

    kind = "meter"
    facts = Facts()
    opened = 0

    def __init__(self, place: str = "") -> None:
        self.name = f"steady@{place}"

    def open(self) -> None:
        type(self).opened += 1

    def read(self) -> Reading:
        return Reading(volts=5.0, amps=1.0)

    def close(self) -> None:
        type(self).opened -= 1


class TwoPlaces(Steady):
    opened = 0

    @staticmethod
    def addresses() -> Iterator[str]:
        yield "a"
        yield "b"
        raise SourceMissing("something answers at c; name it")


class BadPlaces(Steady):
    @staticmethod
    def addresses() -> list[str]:
        raise ZeroDivisionError


class Unnamed(Steady):
    kind = None

    def open(self) -> None:
        raise AssertionError("nobody may touch a driver that did not ask for it")


class BadClose(Steady):
    def close(self) -> None:
        raise OSError("cannot let go")


class Counter(Steady):
    """Changes at every third reading."""

    facts = Facts(semantics="counter")
    readings = 0

    def read(self) -> Reading:
        type(self).readings += 1
        return Reading(joules=float(self.readings // 3))


class Stands(Counter):
    def read(self) -> Reading:
        return Reading(joules=7.0)


class Streams(Steady):
    def stream(self) -> Iterator[Reading]:
        yield Reading(fresh=False)
        while True:
            yield Reading(watts=2.5)


class Hangs(Steady):
    release = threading.Event()

    def open(self) -> None:
        self.release.wait(60)


def probed(seconds: float = 5.0, **drivers: Any) -> list[dict[str, Any]]:
    said: list[dict[str, Any]] = []
    probe_all(["meter"], seconds, said.append, lambda: drivers, drivers.__getitem__)
    return sorted(said, key=lambda finding: finding["spec"])


def test_every_place_is_read_once_and_let_go() -> None:
    a, b, c = sorted(probed(two=TwoPlaces), key=lambda finding: (len(finding["spec"]) == 3, finding["spec"]))
    assert (a["spec"], b["spec"], c["spec"]) == ("two@a", "two@b", "two")
    assert a["watts"] == b["watts"] == 5.0
    assert a["channels"] == ["steady@a"]
    assert c["error"] == "something answers at c; name it"
    assert TwoPlaces.opened == 0


def test_a_bug_hides_nothing() -> None:
    places, close, good = probed(a_places=BadPlaces, b_close=BadClose, good=Steady)
    assert "ZeroDivisionError" in places["error"]
    assert "cannot let go" in close["error"]
    assert good["watts"] == 5.0


def test_only_drivers_of_the_kinds_are_touched() -> None:
    assert probed(unnamed=Unnamed) == []


def test_a_counter_is_read_until_it_ticks() -> None:
    (finding,) = probed(counter=Counter)
    assert finding["watts"] > 0
    assert Counter.readings <= 15


def test_a_counter_that_does_not_tick_is_there_all_the_same() -> None:
    (finding,) = probed(stands=Stands)
    assert finding["watts"] is None
    assert "error" not in finding


def test_a_stream_is_listened_to() -> None:
    (finding,) = probed(streams=Streams)
    assert finding["watts"] == 2.5


def test_one_that_hangs_is_called_late() -> None:
    try:
        good, late = probed(0.2, good=Steady, hangs=Hangs)
    finally:
        Hangs.release.set()
    assert good["watts"] == 5.0
    assert late["late"]
    assert "0.2 s" in late["error"]


def test_the_clock_starts_when_all_drivers_are_loaded() -> None:
    """A Pi Zero takes a second to load them; none of them may be overlooked for that."""
    said: list[dict[str, Any]] = []
    started = threading.Event()

    def load(name: str) -> Any:
        if not started.is_set():
            threading.Timer(0.6, started.set).start()
            started.wait(60)
        return Steady

    probe_all(["meter"], 0.5, said.append, lambda: ["slow"], load)
    assert [(finding["spec"], finding.get("watts")) for finding in said] == [("slow", 5.0)]


def test_a_driver_that_is_not_loaded_in_time_is_late_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("energymeter.discovery.probe._LOAD_SECONDS", 0.0)
    never = threading.Event()
    said: list[dict[str, Any]] = []
    probe_all(["meter"], 0.0, said.append, lambda: ["stuck"], lambda _: never.wait(60))
    never.set()
    assert [(finding["spec"], finding["late"]) for finding in said] == [("stuck", True)]


class Counting:
    """A processor whose package counts on between two readings, and whose core stands still."""

    def __init__(self, root: Any, *, dram: bool = False) -> None:
        self.sysfs, self.microjoules = Sysfs(root), 0
        powercap = Powercap(self.sysfs)
        self.package = powercap.zone("intel-rapl:0", "package-0")
        powercap.zone("intel-rapl:0:0", "core")
        if dram:
            powercap.zone("intel-rapl:0:2", "dram", 5_000_000)

    def sleep(self, seconds: float) -> None:
        self.microjoules += 100_000
        self.sysfs.rewrite(self.package, self.microjoules)

    def found(self, **options: Any) -> dict[str, Any]:
        return probe(Candidate("rapl", "package"), lambda _: lambda: Rapl(root=self.sysfs.root, **options))


def test_channels_that_do_not_count_are_excluded(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting(tmp_path)
    monkeypatch.setattr("energymeter.discovery.probe.time.sleep", counting.sleep)
    finding = counting.found(parts=True)
    assert finding["channels"] == ["rapl:package-0"]
    assert finding["excluded"] == ["rapl:package-0/core"]
    assert finding["watts"] > 0


def test_a_counter_that_never_moves_is_no_source(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting(tmp_path, dram=True)
    assert "rapl:package-0 stands still, as counters do in virtual machines" in counting.found()["error"]
    monkeypatch.setattr("energymeter.discovery.probe.time.sleep", counting.sleep)
    assert "rapl:package-0/dram stands still" in counting.found()["error"]


@pytest.mark.parametrize("name", driver_names())
def test_every_driver_of_ours_names_a_kind_that_is_known(name: str) -> None:
    kind = getattr(load_driver(name), "kind", None)
    assert kind in {None, "meter", "board", "package", "gauge", "gpu", "part"}
