"""The links one limit at a time: stamps, waiting, attribute files, rails, addresses, what failures say."""

import errno
import math
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from devices.processes import without_rights
from devices.sysfs import Sysfs

from energymeter.clock import ManualClock
from energymeter.drivers.links.channels import Parts, Shared, Snapshot, together
from energymeter.drivers.links.http import Digest, HttpMeter, challenges, login
from energymeter.drivers.links.stream import StreamingSource
from energymeter.drivers.links.sysfs import (
    Rail,
    Rails,
    ShuntMonitor,
    SysFile,
    asleep,
    full_scale_milliamps,
    is_display,
    only,
    translated,
)
from energymeter.drivers.links.tcp import connect, network_error, split_host
from energymeter.drivers.links.timebase import DeviceClock, Timebase
from energymeter.drivers.links.usb import plugged
from energymeter.drivers.links.wire import AskedMeter, DeviceWire, ask, drain
from energymeter.errors import SourceError, SourceForbidden, SourceMissing, SourceTimeout, SpecError
from energymeter.reading import Facts, Reading

SECOND, MS = 1_000_000_000, 1_000_000

# Counted ticks of 1 ms


def windows(*late_ms: float, packet_ticks: int = 0) -> tuple[DeviceClock, list[int]]:
    """A packet each second, the first in time and the others as late as this; what each found lost."""
    clock = DeviceClock(MS)
    lost = [clock.heard(0, 0, packet_ticks)]
    for number, late in enumerate(late_ms, 1):
        lost.append(clock.heard(1000 * number, number * SECOND + round(late * MS), packet_ticks))
    return clock, lost


def test_the_pace_follows_the_earliest_packet_of_three_seconds() -> None:
    clock, _ = windows(5.0, 0.3, 9.0)
    assert clock.at(3000) == 3 * SECOND
    assert clock.at(4000) == 4 * SECOND + 100_000, "0.3 ms in three seconds"
    assert clock.at(2000) == 2 * SECOND, "what was before keeps its stamp"


@pytest.mark.parametrize(("late_ms", "bent"), [(30.0, 1_000_000), (-30.0, -500_000), (-0.6, -200_000)])
def test_a_pace_is_bent_by_crystals_and_no_more(late_ms: float, bent: int) -> None:
    clock, lost = windows(late_ms, late_ms, late_ms, late_ms)  # early ones fill their window a packet later
    assert lost == [0] * 5
    assert clock.at(5000) == 5 * SECOND + bent


def test_a_window_closes_after_exactly_three_seconds() -> None:
    clock, _ = windows(-0.6, -0.6, 0.0)
    assert clock.at(4000) == 4 * SECOND - 200_000, "0.6 ms early in three seconds"
    clock, _ = windows(-0.6, -0.6, -0.000001)
    assert clock.at(4000) == 4 * SECOND, "not yet"


@pytest.mark.parametrize(
    ("late_ms", "lost"), [(19.999, 0), (20.0, 40), (59.0, 40), (61.0, 80), (100.0, 80), (101.0, 120)]
)
def test_packets_that_never_came_are_whole_ones(late_ms: float, lost: int) -> None:
    assert windows(late_ms, late_ms, late_ms, packet_ticks=40)[1] == [0, 0, 0, lost]
    assert windows(late_ms, late_ms, late_ms)[1] == [0] * 4, "its ticks are never lost unseen"


def test_a_window_that_was_in_time_once_lost_nothing() -> None:
    assert windows(50.0, 0.0, 50.0, packet_ticks=40)[1] == [0] * 4
    clock, lost = windows(50.0, 50.0, 50.0, packet_ticks=40)
    found = [clock.heard(1000 * n + lost[-1], n * SECOND + 50 * MS, 40) for n in (4, 5, 6)]
    assert found == [0, 0, 0], "and what is lost is lost once"


# Times that a device writes


def test_a_delay_creeps_by_200_millionths_and_falls_immediately() -> None:
    base = Timebase()
    base.arrived(0.0, 0)
    base.arrived(1.0, SECOND + 100 * MS)
    assert base.at_ns(1.0) == SECOND + 200_000
    base.arrived(2.0, 2 * SECOND - 5)
    assert base.at_ns(2.0) == 2 * SECOND - 5
    base.arrived(2.0, 3 * SECOND)
    assert base.at_ns(2.0) == 2 * SECOND - 4, "no time passed: nothing creeps, and stamps increase"
    base.arrived(1.999, 9 * SECOND)
    assert base.at_ns(1.999) == 9 * SECOND, "its clock was set back"


def test_rows_of_one_stamp_are_spread_from_there_until_now() -> None:
    base = Timebase()
    base.arrived(1.0, SECOND)
    assert base.spread_ns(1.0, 4, 2 * SECOND) == [SECOND + n * 250 * MS for n in (1, 2, 3, 4)]
    assert base.spread_ns(1.0, 2, 3 * SECOND) == [2 * SECOND + 500 * MS, 3 * SECOND], "after the ones before"
    assert base.spread_ns(1.0, 3, 2 * SECOND) == [3 * SECOND + 1, 3 * SECOND + 2, 3 * SECOND + 3]


# The life of a stream


class Beats(StreamingSource):
    """Half a second, then a sign of life or a reading; then it ends."""

    name = "beats@x"
    silence = "was silent for {:g} s"

    def __init__(self, *fresh: bool) -> None:
        self._clock = ManualClock()
        self.fresh, self.starts = fresh, 0
        self.stops: list[bool] = []

    def _start(self) -> None:
        self.starts += 1

    def _flow(self) -> Iterator[Reading]:
        for number, fresh in enumerate(self.fresh, 1):
            self._clock.sleep(0.5)
            yield Reading(watts=float(number), fresh=fresh)

    def _stop(self, started: bool) -> None:
        self.stops.append(started)


def test_a_read_waits_until_its_patience_is_over_and_not_longer() -> None:
    beats = Beats(False, False, False, True, False, False, False, False, False, True)
    beats.open()
    assert beats.read().watts == 4.0, "just within 2 s"
    before = beats._clock.monotonic_ns()
    with pytest.raises(
        SourceTimeout, match=r"^beats@x was silent for 2 s; check that it is on and still sends$"
    ):
        beats.read()
    assert beats._clock.monotonic_ns() - before == 2 * SECOND
    assert beats.read().watts == 10.0, "the stream went on"
    with pytest.raises(SourceTimeout, match=r"^beats@x has ended; open it again$"):
        beats.read()
    assert beats.starts == 1
    assert beats.read().watts == 4.0, "a new one"
    beats.close()
    assert beats.stops == [True]


def test_opened_again_it_begins_again() -> None:
    beats = Beats(True, True)
    beats.open()
    beats.read()
    beats.open()
    assert (beats.read().watts, beats.starts) == (1.0, 2)


# Wires


class Line(DeviceWire):
    """Answers a question with what it is handed, a piece at each read; or fails."""

    address = "line"

    def __init__(self, *pieces: bytes, waiting: tuple[bytes, ...] = ()) -> None:
        self.waiting, self.pieces = list(waiting), list(pieces)
        self.sent: list[bytes] = []
        self.failure: Exception | None = None
        self.closed = 0

    def open(self) -> None: ...

    def close(self) -> None:
        self.closed += 1

    def _send(self, data: bytes) -> None:
        if self.failure:
            raise self.failure
        assert not self.waiting, "stale bytes are thrown away before the question"
        self.sent.append(data)

    def _receive(self, seconds: float) -> bytes:
        if self.failure:
            raise self.failure
        if not self.sent:
            assert seconds == 0.0
            return self.waiting.pop(0) if self.waiting else b""
        assert 0.0 < seconds <= 0.1
        return self.pieces.pop(0) if self.pieces else b""


def whole(received: bytes) -> bytes | None:
    return received if len(received) == 4 else None


def test_an_answer_is_gathered_after_stale_bytes_are_gone() -> None:
    line = Line(b"ab", b"cd", waiting=(b"old", b"older"))
    assert ask(line, b"?", whole, 0.1) == b"abcd"
    assert line.moved_bytes == 8 + 1 + 4


def test_silence_is_not_noise() -> None:
    with pytest.raises(SourceTimeout, match=r"^line did not answer within 0.01 s: check that the meter"):
        ask(Line(), b"?", whole, 0.01)
    with pytest.raises(
        SourceTimeout, match=r"^line answered 3 bytes without one valid frame: check the driver"
    ):
        ask(Line(b"abc"), b"?", whole, 0.01)


def test_a_flood_is_drained_up_to_a_limit() -> None:
    line = Line(waiting=(b"12345",) * 4)
    assert drain(line, 10) == 10
    assert drain(line, 11) == 10
    assert drain(line) == 0
    assert drain(Line(waiting=(b"12345",) * 4), 11) == 15, "whole pieces, until the limit is passed"


def test_a_failure_of_the_system_is_a_device_that_went_away_and_ours_passes() -> None:
    line = Line()
    line.failure = OSError(errno.EIO, "Input/output error")
    for ask_it in (lambda: line.read(0.0), lambda: line.write(b"?")):
        with pytest.raises(
            SourceMissing, match=r"^line went away \(Input/output error\): plug the meter in again$"
        ):
            ask_it()
    line.failure = OSError("no number")
    with pytest.raises(SourceMissing, match=r"went away \(no number\)"):
        line.read(0.0)
    assert line.closed == 3
    line.failure = SourceTimeout("takes no bytes")
    for ask_it in (lambda: line.read(0.0), lambda: line.write(b"?")):
        with pytest.raises(SourceTimeout, match="takes no bytes"):
            ask_it()
    assert (line.closed, line.moved_bytes) == (3, 0)


class Asked(AskedMeter):
    def read(self) -> Reading:
        self._ask(b"?", whole)
        return Reading(watts=1.0)


@pytest.mark.parametrize("seconds", [0.0, -1.0, 2.001, math.nan])
def test_a_question_takes_up_to_two_seconds(seconds: float) -> None:
    with pytest.raises(SpecError, match="out of range: give more than 0 and up to 2 s"):
        Asked("asked", Line(), timeout=seconds)
    assert Asked("asked", Line(), timeout=2.0)._timeout == 2.0


def test_a_meter_that_does_not_answer_is_let_go() -> None:
    line = Line()
    with pytest.raises(SourceTimeout):
        Asked("asked", line, timeout=0.01).open()
    assert line.closed == 1
    good = Line(b"abcd")
    meter = Asked("asked", good, timeout=0.1)
    meter.open()
    assert (good.closed, meter.moved_bytes) == (0, 5)
    meter.close()
    assert good.closed == 1


# Channels


class Part:
    def __init__(self, reading: Reading) -> None:
        self.name, self.facts, self.reading, self.closed = "part", Facts(), reading, 0
        self.reads = 0

    def open(self) -> None: ...

    def read(self) -> Reading:
        self.reads += 1
        return self.reading

    def close(self) -> None:
        self.closed += 1


def test_parts_are_let_go_once() -> None:
    parts: Parts[Part] = Parts()
    with pytest.raises(SourceError, match="this source is not open"):
        parts.read()
    parts._parts = inner = [Part(Reading(joules=1.0, watts=2.0)), Part(Reading(joules=3.0))]
    assert parts.read() == Reading(joules=4.0), "the power of one alone says nothing of both"
    parts.close()
    parts.close()
    assert [part.closed for part in inner] == [1, 1]
    assert list(parts.channels()) == []


def test_of_parts_only_those_that_count_are_read() -> None:
    whole, excluded, other = (
        Part(Reading(volts=5.0, amps=2.0)),
        Part(Reading(watts=7.0)),
        Part(Reading(12.0, 0.5)),
    )
    excluded.facts = Facts(counted=False)
    assert together([whole, excluded]) == Reading(volts=5.0, amps=2.0), "one alone, as it is"
    assert together([excluded, whole, other]) == Reading(watts=16.0), (
        "volts and amps of two are not of the whole"
    )
    assert (whole.reads, excluded.reads, other.reads) == (2, 0, 1)
    assert together([whole, Part(Reading(amps=1.0))]) == Reading(), "the power of one is unknown"
    assert together([excluded]) == Reading(), "nothing counts"
    with pytest.raises(SourceError, match="this source is not open"):
        together([])


def test_channels_take_turns_however_long_they_are_read() -> None:
    counts = iter(range(1000))
    snapshot = Snapshot(lambda: next(counts))
    a, b = (Shared(name, Facts(), snapshot, lambda n: Reading(watts=float(n), at_ns=n)) for name in "ab")
    assert a.read() == Reading(watts=0.0, at_ns=0), "a time of 0 is a time"
    assert b.read() == Reading(watts=0.0, at_ns=0)
    for n in range(1, 300):
        assert (b.read().watts, a.read().watts) == (n, n)
    assert snapshot.turn == 300
    assert a.read().watts == 300
    assert a.read().watts == 301, "b was left out once"
    assert b.read().watts == 301


def test_a_shared_sample_without_a_time_is_stamped_in_its_middle() -> None:
    times: list[int] = []

    def take() -> float:
        times.append(time.monotonic_ns())
        return 5.0

    before = time.monotonic_ns()
    snapshot = Snapshot(take)
    channel = Shared("a", Facts(), snapshot, lambda watts: Reading(watts=watts))
    reading = channel.read()
    after = time.monotonic_ns()
    assert reading.at_ns is not None
    assert before <= reading.at_ns <= after
    assert reading.at_ns == snapshot.at_ns
    assert snapshot.turn == 1


def test_a_device_that_repeats_its_time_repeats_its_sample() -> None:
    at_ns = iter([7, 7, 8])
    channel = Shared("a", Facts(), Snapshot(lambda: next(at_ns)), lambda at: Reading(watts=1.0, at_ns=at))
    assert [channel.read() for _ in range(3)] == [
        Reading(watts=1.0, at_ns=7),
        Reading(fresh=False),
        Reading(watts=1.0, at_ns=8),
    ]


# Attribute files


@pytest.fixture
def sysfs(tmp_path: Path) -> Sysfs:
    return Sysfs(tmp_path)


def file(sysfs: Sysfs, text: object, **options: object) -> SysFile:
    sysfs.put("x", text)
    return SysFile(str(sysfs.path("x")), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("0", {}, 0.0),
        ("0", {"never_rests": True}, "says 0, which nothing that runs draws"),
        ("1", {"never_rests": True}, 1.0),
        ("-5", {}, -5.0),
        ("-5", {"codes": True}, "says -5, the code for no value"),
        ("0", {"codes": True}, 0.0),
        ("-4095", {"codes": True}, "the code for no value"),
        ("-4096", {"codes": True}, -4096.0),
        ("4294967295", {}, "the code for no value"),
        ("4294967295000", {}, "the code for no value"),
        ("2147483647", {}, "the code for no value"),
        ("-2147483648", {}, "the code for no value"),
        ("4294967294", {}, 4294967294.0),
        ("99", {"full_scale": 100.0}, 99.0),
        ("100", {"full_scale": 100.0}, "says 100, the full scale of its chip, which clips; use a smaller"),
        ("-100", {"full_scale": 100.0}, "the full scale of its chip"),
        ("n/a", {}, "says 'n/a' where a number belongs"),
        ("1 2", {}, "says '1 2' where a number belongs"),
    ],
)
def test_a_number_of_the_kernel_or_why_it_is_none(
    sysfs: Sysfs, text: str, options: dict[str, object], said: float | str
) -> None:
    attribute = file(sysfs, text, **options)
    if isinstance(said, float):
        assert attribute.number() == said
    else:
        with pytest.raises(SourceError, match=said):
            attribute.number()
    attribute.close()


def test_a_file_that_says_that_there_is_no_value(sysfs: Sysfs) -> None:
    sysfs.put("fault", 0)
    attribute = file(sysfs, 5, unless={str(sysfs.path("fault")): "1"})
    assert attribute.number() == 5.0
    sysfs.rewrite("fault", 1)
    with pytest.raises(SourceError, match="fault says 1: no value now"):
        attribute.number()
    attribute.close()
    assert attribute._unless[0][0]._fd == attribute._fd == -1, "both are let go"


def test_of_a_long_text_forty_signs_are_shown(sysfs: Sysfs) -> None:
    for text, options, said in (
        ("4294967295." + "0" * 40, {}, f"says 4294967295.{'0' * 29}, the code for no value"),
        ("100." + "0" * 40, {"full_scale": 100.0}, f"says 100.{'0' * 36}, the full scale of its chip"),
        ("x" * 50, {}, f"says {'x' * 40!r} where a number belongs"),
    ):
        attribute = file(sysfs, text, **options)
        with pytest.raises(SourceError) as caught:
            attribute.number()
        assert str(caught.value).startswith(f"{attribute.path} {said}")
        attribute.close()


def test_a_file_is_opened_once_and_again_when_it_was_replaced(sysfs: Sysfs) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = descriptors()
    attribute = file(sysfs, 5)
    assert [attribute.number() for _ in range(3)] == [5.0] * 3
    assert descriptors() == before + 1
    sysfs.path("x").unlink()
    sysfs.put("x", 6)
    assert attribute.number() == 6.0
    assert descriptors() == before + 1
    sysfs.path("x").unlink()
    with pytest.raises(SourceMissing):
        attribute.number()
    attribute.close()
    assert descriptors() == before


def test_errors_of_the_system_without_a_remedy_of_their_own() -> None:
    assert str(translated(OSError(errno.EPERM, "x"), "/sys/x")) == (
        "/sys/x: permission denied; run as a user who may read it"
    )
    assert "/sys/x: odd; the kernel driver" in str(translated(OSError("odd"), "/sys/x"))
    for number in (errno.ENXIO, errno.ENOTDIR):
        assert isinstance(translated(OSError(number, "x"), "/sys/x"), SourceMissing)


@pytest.mark.parametrize(
    ("chip", "micro_ohms", "milliamps"),
    [
        ("ina260", None, 40959.5),
        ("ina260", 5000.0, 40959.5),  # its shunt is inside, whatever the kernel says
        ("ina3221", 5000.0, 32759.5),
        ("ina226", 100_000.0, 818.7),
        ("ina231", 100_000.0, 818.7),
        ("ina219", 100_000.0, 3199.5),
        ("ina219", None, math.inf),
        ("ina219", 0.0, math.inf),
        ("ltc4151", 100_000.0, math.inf),
    ],
)
def test_where_a_chip_clips(chip: str, micro_ohms: float | None, milliamps: float) -> None:
    assert full_scale_milliamps(chip, micro_ohms) == pytest.approx(milliamps)


@pytest.mark.parametrize(
    ("code", "display"), [("0x030000", True), ("0x120000", True), ("0x010802", False), (None, False)]
)
def test_a_graphics_card_is_known_by_its_class(sysfs: Sysfs, code: str | None, display: bool) -> None:
    if code:
        sysfs.put("class", code)
    assert is_display(sysfs.root) is display


@pytest.mark.parametrize(
    ("status", "sleeps"), [("suspended", True), ("suspending", True), ("active", False), (None, False)]
)
def test_who_sleeps(sysfs: Sysfs, status: str | None, sleeps: bool) -> None:
    if status:
        sysfs.put("power/runtime_status", status)
    assert asleep(sysfs.root) is sleeps
    assert not asleep("")


def rail(sysfs: Sysfs, power_only: bool = False, **figures: object) -> Rail:
    for quantity, figure in figures.items():
        sysfs.put(quantity, figure)
    files = {quantity: (SysFile(str(sysfs.path(quantity))), 0.5) for quantity in figures}
    return Rail("rail", Facts(), files, power_only=power_only)


def test_a_rail_needs_two_or_one_that_is_energy(sysfs: Sysfs) -> None:
    pair = rail(sysfs, volts=10, amps=4)
    assert pair.read() == Reading(volts=5.0, amps=2.0)
    assert pair.watts() is None
    sysfs.break_reads("amps")
    with pytest.raises(SourceError, match="amps: Input/output"):
        pair.read()
    sysfs.break_reads("volts")
    with pytest.raises(SourceError):
        pair.read()


@pytest.mark.parametrize("quantity", ["watts", "joules"])
def test_energy_is_known_without_volts(sysfs: Sysfs, quantity: str) -> None:
    one = rail(sysfs, volts=10, **{quantity: 4})
    sysfs.break_reads("volts")
    assert one.read() == Reading(**{quantity: 2.0})
    assert one.watts() == (2.0 if quantity == "watts" else None)


def test_a_rail_among_others_gives_power_alone(sysfs: Sysfs) -> None:
    assert rail(sysfs, power_only=True, volts=10, amps=4).read() == Reading(watts=10.0)


def test_a_counter_may_stand_still_while_nothing_flows(sysfs: Sysfs) -> None:
    one = rail(sysfs, joules=4, flow=0)
    assert [one.read().fresh for _ in range(2)] == [True, True]
    sysfs.put("flow", 0.002)  # 1 mW
    assert one.read().fresh, "so little means nothing"
    sysfs.put("flow", 0.0021)
    assert not one.read().fresh
    sysfs.put("joules", 5)
    assert one.read() == Reading(joules=2.5)
    sysfs.break_reads("flow")
    assert one.read().fresh
    assert one.answers()
    assert one.read().fresh, "the first of a run"


class OneRail(Rails):
    name = "rails"


def test_of_rails_that_cannot_be_read_the_rest_is_the_total(sysfs: Sysfs) -> None:
    def files(name: str) -> dict[str, tuple[SysFile, float]]:
        return {"watts": (SysFile(str(sysfs.path(name))), 1.0)}

    sysfs.put("a", 1)
    sysfs.break_reads("b")
    sysfs.break_reads("c")
    source = OneRail()
    source._take("x", {n: (files(n), Facts()) for n in "abc"}, frozenset("ab"))
    assert [part.name for part in source.channels()] == ["x:a", "x:c"], "c is not counted and need not answer"
    assert source.notes == ["x:b cannot be read and is not in the total"]
    alone = OneRail()
    alone._take("x", {n: (files(n), Facts()) for n in "bc"}, frozenset("b"))
    assert [part.name for part in alone.channels()] == ["x:b", "x:c"]
    assert list(alone.notes) == []


def test_what_a_user_may_not_read_is_said_before_the_run(sysfs: Sysfs) -> None:
    sysfs.forbid("a")
    source = OneRail()
    with pytest.raises(SourceForbidden):
        source._take("x", {"a": ({"watts": (SysFile(str(sysfs.path("a"))), 1.0)}, Facts())}, frozenset("a"))


class Monitor(ShuntMonitor):
    driver = "monitor"


def test_a_true_shunt_scales_by_what_the_kernel_assumes(sysfs: Sysfs) -> None:
    assert Monitor("a").name == "monitor@a"
    assert Monitor().name == "monitor"
    path = str(sysfs.path("shunt"))
    assert Monitor()._scale(path, 1e-6) == 1.0
    with pytest.raises(SpecError, match="shunt= cannot be used with it; leave it out"):
        Monitor(shunt=0.1)._scale(path, 1e-6)
    for assumed, factor in ((10_000, 0.1), (0, None), (-1, None)):
        sysfs.put("shunt", assumed)
        if factor is None:
            with pytest.raises(SpecError):
                Monitor(shunt=0.1)._scale(path, 1e-6)
        else:
            assert Monitor(shunt=0.1)._scale(path, 1e-6) == pytest.approx(factor)
    for ohms in (-0.1, math.nan):
        with pytest.raises(SpecError, match=r"is no resistance; give ohms, such as 0.1"):
            Monitor(shunt=ohms)


DEVICES = [("1-0040", "ina219"), ("1-0041", "ina219")]


@pytest.mark.parametrize(
    ("wanted", "devices", "chosen"),
    [
        ("", DEVICES[:1], DEVICES[0]),
        ("1-0041", DEVICES, DEVICES[1]),
        ("", [], "nothing in /sys measures power here; use an external meter"),
        ("1-0041", [], "nothing in /sys measures power here"),
        ("lm75", DEVICES, r"no 'lm75' in /sys measures power; use one of w@1-0040 \(ina219\), w@1-0041"),
        ("ina219", DEVICES, "several chips measure power, .* name one: w@1-0040 .*, w@1-0041"),
        ("", DEVICES, "several chips measure power"),
    ],
)
def test_the_one_device_that_is_meant(
    wanted: str, devices: list[tuple[str, str]], chosen: tuple[str, str] | str
) -> None:
    if isinstance(chosen, tuple):
        assert only(wanted, devices, lambda device: device, "/sys", "w@") == chosen
    else:
        with pytest.raises((SourceMissing, SpecError), match=chosen) as caught:
            only(wanted, devices, lambda device: device, "/sys", "w@")
        assert isinstance(caught.value, SpecError) is chosen.startswith("several")


def test_what_is_plugged_in_is_known_by_both_of_its_numbers(sysfs: Sysfs) -> None:
    for name, vendor, product in (
        ("1-1", "0483", "003a"), ("1-2", "0483", "003b"), ("1-3", "2e3c", "003a"), ("usb1", "1d6b", "0002"),
    ):  # fmt: skip
        sysfs.fill(f"sys/bus/usb/devices/{name}", {"idVendor": vendor, "idProduct": product})
    assert plugged([(0x0483, 0x003A)], sysfs.root) == ["1-1"]
    assert plugged([(0x0483, 0x003B), (0x2E3C, 0x003A)], sysfs.root) == ["1-2", "1-3"]
    assert plugged([(0x0483, 0x0002)], sysfs.root) == []


# The network


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("plug:1", ("plug", 1)),
        ("plug:65535", ("plug", 65535)),
        ("[::1]:1", ("::1", 1)),
        ("::1", ("::1", 80)),
        ("plug:0", "'0' is no port: give a number from 1 to 65535, as in plug:80"),
        ("plug:65536", "'65536' is no port"),
        ("plug:²", "'²' is no port"),
        ("plug:", "'' is no port"),
        ("a/b", "'a/b' is no network address: give a host name or IP"),
        ("a?b", "is no network address"),
        ("a#b", "is no network address"),
    ],
)
def test_host_and_port(address: str, found: tuple[str, int] | str) -> None:
    if isinstance(found, tuple):
        assert split_host(address, 80) == found
    else:
        with pytest.raises(SpecError, match=found):
            split_host(address, 80)


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (socket.gaierror(-2, "?"), "no host of that name is known here; check the spelling"),
        (TimeoutError("?"), "does not answer; check that it has power"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "?"), "refuses the connection; check the address and"),
        (OSError(errno.ENETUNREACH, "?"), "cannot be reached from here"),
        (OSError(errno.EHOSTDOWN, "?"), "cannot be reached from here"),
        (OSError(errno.EADDRNOTAVAIL, "?"), "cannot be reached from here"),
        (PermissionError(errno.EACCES, "?"), "does not let us connect there; check its firewall"),
        (
            BrokenPipeError(errno.EPIPE, "Broken pipe"),
            r"the connection was lost \(.*Broken pipe\); it is tried",
        ),
    ],
)
def test_what_each_failure_of_the_network_advises(error: OSError, remedy: str) -> None:
    assert network_error(error, "plug").args[0].startswith("plug")
    with pytest.raises(SourceError, match=remedy):
        raise network_error(error, "plug")


def test_a_deadline_that_is_over_connects_to_nobody() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(TimeoutError, match="no time is left"):
            connect("127.0.0.1", port, time.monotonic())
        with connect("127.0.0.1", port, time.monotonic() + 5) as found:
            assert 0 < (found.gettimeout() or 0) <= 5


def test_the_parameters_of_a_login_are_taken_apart() -> None:
    assert challenges(['Digest realm="a \\"b\\" c", NONCE=7 , qop="auth"', "Basic realm=x"]) == [
        ("digest", {"realm": 'a "b" c', "nonce": "7", "qop": "auth"}),
        ("basic", {"realm": "x"}),
    ]
    assert challenges(["realm=x"]) == [], "nothing before the first scheme"


@pytest.mark.parametrize(
    ("challenge", "has", "lacks"),
    [
        ({"realm": "r", "nonce": "n"}, [], ["qop", "nc=", "cnonce", "algorithm", "opaque", "userhash"]),
        ({"nonce": "n", "qop": "auth"}, ["qop=auth", "nc=00000001", "cnonce=", 'realm=""'], ["algorithm"]),
        (
            {"nonce": "n", "opaque": "o", "algorithm": "MD5"},
            ['opaque="o"', "algorithm=MD5"],
            ["qop", "cnonce"],
        ),
        ({"nonce": "n", "algorithm": "MD5-sess"}, ["cnonce=", "algorithm=MD5-sess"], ["nc="]),
        ({"realm": 'a"\\b', "nonce": "n"}, ['realm="a\\"\\\\b"'], []),
    ],
)
def test_an_answer_says_what_was_asked_and_no_more(
    challenge: dict[str, str], has: list[str], lacks: list[str]
) -> None:
    header = Digest(challenge, "me", "secret").header("/x")
    assert header.startswith('Digest username="me", ')
    assert [part for part in has if part not in header] == []
    assert [part for part in lacks if part in header] == []
    assert len(re.findall(r'cnonce="[0-9a-f]{16}"', header)) == ("cnonce=" in has)


@pytest.mark.parametrize(
    ("stale", "meant"), [("true", True), ("TRUE", True), ("false", False), (None, False)]
)
def test_a_nonce_is_stale_if_the_server_says_so(stale: str | None, meant: bool) -> None:
    challenge = {"nonce": "n", **({"stale": stale} if stale else {})}
    assert Digest(challenge, "me", "secret").stale is meant


def test_a_sha_is_stronger_than_md5_whatever_the_order() -> None:
    offers = ['Digest nonce="1", algorithm=SHA-256', 'Digest nonce="2", algorithm=MD5']
    for order in (offers, offers[::-1]):
        chosen = login(order, "u", "p")
        assert chosen is not None
        assert 'nonce="1"' in chosen.header("/")


class Plug(HttpMeter):
    """Does not say who it is where that fails."""

    def __init__(self, timeout: float = 1.5, failure: Exception | None = None) -> None:
        super().__init__("127.0.0.1", "plug@x", "me", timeout=timeout)
        self.failure = failure

    def read(self) -> Reading:
        return Reading()

    def _identify(self) -> str:
        if self.failure:
            raise self.failure
        return "plug\x1b1"


def test_an_identity_that_cannot_be_had_is_none_and_a_wrong_password_is_an_error() -> None:
    plug = Plug()
    plug.open()
    assert plug.identity == "plug\\x1b1"
    silent = Plug(failure=SourceTimeout("no answer"))
    silent.open()
    assert silent.identity == ""
    refused = Plug(failure=SourceForbidden("wrong password"))
    with pytest.raises(SourceForbidden):
        refused.open()
    assert not refused._client._opened


def test_a_plug_that_is_not_open_is_not_asked() -> None:
    with pytest.raises(SourceMissing, match="plug@x is not open"):
        Plug()._client.get("/")


def test_a_plug_is_asked_at_the_port_of_the_web() -> None:
    assert (Plug()._client._host, Plug()._client._port) == ("127.0.0.1", 80)


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.nan])
def test_a_plug_needs_some_time(seconds: float) -> None:
    with pytest.raises(SpecError, match=f"^plug@x: timeout={seconds:g} is out of range: give more than 0 s$"):
        Plug(seconds)


def unreadable(path: Path) -> Callable[[], str]:
    def attempt() -> str:
        try:
            return SysFile(str(path), "ask root").text()
        except SourceForbidden as error:
            return str(error)

    return attempt


def test_a_file_of_root_names_its_remedy(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("1")
    path.chmod(0)
    assert without_rights(unreadable(path)) == f"{path}: permission denied; ask root"
