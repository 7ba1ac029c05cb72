"""What is fuzzed: every reader of bytes that somebody else wrote, with files to begin from.

A target takes any bytes and raises only where there is a defect: what it cannot read it refuses with one
of `energymeter.errors` (or, deep in a decoder, with a ValueError that its driver expects).
"""

import binascii
import contextlib
import functools
import gzip
import importlib.util
import json
import math
import os
import shutil
import sqlite3
import struct
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from energymeter.battery.battery import Battery
from energymeter.budget.ledger import Ledger
from energymeter.calibration.card import Card, _seal, make_card
from energymeter.calibration.points import Point, Reference
from energymeter.discovery import choice
from energymeter.drivers import atorch, fnirsi, pmic, pzem, tc66c, um25c
from energymeter.drivers.protocols import km003c, ppk2, um
from energymeter.energy.correction import Line, Model
from energymeter.errors import EnergyMeterError
from energymeter.meter.budget import Budget
from energymeter.meter.usage_delta import UsageDelta
from energymeter.reading import Band, Facts
from energymeter.recordings.header import COLUMNS, FORMAT
from energymeter.recordings.reader import read
from energymeter.recordings.tegrastats import printed_rails
from energymeter.recordings.trace import Trace
from energymeter.recordings.window_energy import window_joules
from energymeter.sampling.agent import PROTOCOL, Address, channels_of
from energymeter.sampling.agent_feed import Joint, facts_of
from energymeter.sampling.agent_remote import RemoteFeed
from energymeter.sampling.config import ChannelInfo
from energymeter.spec import parse


class Target(NamedTuple):
    """One reader."""

    run: Callable[[bytes], object]
    seeds: Callable[[], list[bytes]]


@functools.cache
def _folder() -> Path:
    folder = tempfile.mkdtemp(prefix="energymeter-fuzz-")
    import atexit

    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


# -- logs and traces -------------------------------------------------------------------------------


def log(name: str, content: bytes) -> None:
    """Read it, sum it up, print it."""
    path = _folder() / name
    path.write_bytes(content)
    with contextlib.suppress(EnergyMeterError):
        for record in read(str(path)):
            assert record.name.isprintable()
            assert len({len(column) for column in record.columns.values()}) == 1
            assert all(map(math.isfinite, record.columns["time_s"]))
    with contextlib.suppress(EnergyMeterError), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # numbers beyond 1e308 are no defect of ours
        trace = Trace.load(str(path))
        trace.gaps()
        assert str(trace.usage()).isprintable()
        window_joules(str(path), [0.0, 1.0], [1.0, 2.0])


def _header(*names: str) -> dict[str, Any]:
    return {"format": FORMAT, "channels": [{"name": name, "facts": Facts()._asdict()} for name in names]}


def _rows(names: tuple[str, ...], count: int = 3) -> list[dict[str, Any]]:
    return [
        {**dict.fromkeys(COLUMNS, 1.5 * row), "time_s": float(row), **({"source": name} if names[1:] else {})}
        for row in range(count)
        for name in names
    ]


def csv_logs() -> list[bytes]:
    """Ours with one channel and with two, gzipped, and two of others."""
    ours = []
    for names in (("a",), ("a", "b")):
        rows = _rows(names)
        lines = [f"# {json.dumps(_header(*names))}", ",".join(rows[0])]
        ours.append("\n".join([*lines, *(",".join(map(str, row.values())) for row in rows), ""]).encode())
    others = [
        b"time_s,Power (mW),U (V)\n0,1500,5\n1,1600,5.1\n2,,5\n",
        b"timestamp,power_W\n2024-01-01T00:00:00Z,3\n2024-01-01T00:00:01Z,4\n",
        b"Time,02-03-2021 10:00:00.5,Watts,21.5,Volts,230.1,Amps,0.1\n"
        b"Time,02-03-2021 10:00:01.5,Watts,22.5,Volts,230.1,Amps,0.1\n",
    ]
    return [*ours, *others, gzip.compress(ours[0], mtime=0)]


def json_logs() -> list[bytes]:
    return [
        "\n".join([json.dumps(_header(*names)), *map(json.dumps, _rows(names)), ""]).encode()
        for names in (("a",), ("a", "b"))
    ]


def parquet_logs() -> list[bytes]:
    """None without pyarrow."""
    if importlib.util.find_spec("pyarrow") is None:
        return []
    import pyarrow
    import pyarrow.parquet

    made = []
    for names in (("a",), ("a", "b")):
        table = pyarrow.Table.from_pylist(_rows(names))
        sink = pyarrow.BufferOutputStream()
        metadata = {"energymeter": json.dumps(_header(*names))}
        pyarrow.parquet.write_table(table.replace_schema_metadata(metadata), sink, compression="none")
        made.append(sink.getvalue().to_pybytes())
    return made


# -- cards, configuration, ledger, specs ---------------------------------------------------------------


def card(content: bytes) -> None:
    """Read as it is, then with a new seal: the seal is not a signature."""
    text = content.decode("utf-8", "replace")
    with contextlib.suppress(EnergyMeterError):
        _use(Card.loads(text, "x"))
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return
    if isinstance(fields, dict):
        fields.pop("seal", None)
        with contextlib.suppress(EnergyMeterError):
            _use(Card.loads(json.dumps({**fields, "seal": _seal(fields)}), "x"))


def _use(found: Card) -> None:
    assert found.title.isprintable()
    found.warnings(1.7e9, 20.0, 1.0)
    found.model.correction(found.kelvin(20.0) or 0.0)
    found.dumps()


def cards() -> list[bytes]:
    line = Line(gain=1.01, offset=0.002, covariance=((1e-6, 0.0), (0.0, 1e-6)), low=0.1, high=2.0)
    points = [Point("amps", 0.1, 0.101, 1e-4, 1e-4, celsius=21.0), Point("volts", 5.0, 5.01)]
    model = Model(volts=line, amps={"40mV": line, "80mV": line})
    made = make_card("um25c@1234", Reference("Fluke 17B+"), points, model, made=1.7e9, celsius=21.0)
    return [made.dumps().encode()]


def config(content: bytes) -> None:
    """The user's ``config.ini``."""
    folder = _folder() / "config"
    (folder / "energymeter").mkdir(parents=True, exist_ok=True)
    (folder / "energymeter" / "config.ini").write_bytes(content)
    before = {name: os.environ.get(name) for name in ("XDG_CONFIG_HOME", "ENERGYMETER_SOURCE")}
    os.environ["XDG_CONFIG_HOME"] = str(folder)
    os.environ.pop("ENERGYMETER_SOURCE", None)
    try:
        with contextlib.suppress(EnergyMeterError):
            chosen = choice.named()
            if chosen is not None:
                parse(chosen.spec)
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def configs() -> list[bytes]:
    return [b"[meter]\nsource = ina219@1:0x40?shunt=0.1\n", b"[DEFAULT]\nsource: rapl\n[meter]\n"]


def spec(content: bytes) -> None:
    """Parsed and built; building touches nothing."""
    with contextlib.suppress(EnergyMeterError):
        for group in parse(content.decode("utf-8", "replace")):
            for one in group:
                one.build()


def specs() -> list[bytes]:
    return [
        b"ina219@1:0x41?shunt=0.05&amps=3+rapl,manual:5V,0.6A",
        b'exec@"echo 1"?unit=W&watts=$.a[0].b',
        b"um25c@/dev/rfcomm0?timeout=0.5,http@http://localhost/x?watts=$['a']",
        b"csv@x.csv?watts=P&unit=mW,replay@y.csv?speed=max,model,pzem@/dev/ttyUSB0?address=3",
    ]


def ledger(content: bytes) -> None:
    """Read and written as the budget command does."""
    folder = _folder() / "ledger"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "ledger.sqlite3").write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # set aside as corrupt
        with contextlib.suppress(EnergyMeterError):
            use_ledger(Ledger(folder / "ledger.sqlite3", busy_seconds=0.1))


def use_ledger(found: Ledger) -> None:
    for name in found.names()[:3]:
        with contextlib.suppress(EnergyMeterError):
            budget = Budget(name, ledger=found)
            for line in budget.lines():
                json.dumps(line._asdict())
                f"{time.localtime(line.at)} {line.joules:.6f} {line.seconds:.1f} {line.note}"
            assert isinstance(budget.spent_joules, float)
            _ = (budget.remaining_mah, budget.remaining_hours, budget.runs_left(), repr(budget))
            _ = (budget.spans(), budget.runs_left("infer"), budget.will_finish(5, "infer"))
            budget.claim(["wall"])
            budget.release(["wall"])
            _ = budget.outlook()
            budget.reset()


@functools.cache
def ledgers() -> list[bytes]:
    folder = Path(tempfile.mkdtemp(dir=_folder()))
    made = Ledger(folder / "ledger.sqlite3")
    budget = Budget("lab", Battery(4000, volts=3.7), shares={"day": 0.5}, ledger=made)
    budget.spend(
        UsageDelta(
            5.0,
            seconds=2.0,
            measured_seconds=2.0,
            covered_seconds=(2.0,),
            provenance="manual",
            sources=("by hand",),
        ),
        stage="day",
        note="x",
        spans={"infer": (3, 4.0, 1)},
    )
    budget.claim(["wall"])
    budget.spend(
        UsageDelta(
            7.0,
            seconds=2.0,
            measured_seconds=2.0,
            covered_seconds=(2.0,),
            provenance="manual",
            sources=("by hand",),
        ),
        stage="day",
    )
    with contextlib.closing(sqlite3.connect(folder / "ledger.sqlite3")) as db:
        db.execute("PRAGMA journal_mode = DELETE")
    return [(folder / "ledger.sqlite3").read_bytes()]


# -- wires -----------------------------------------------------------------------------------------


def wires(content: bytes) -> None:
    """Every decoder of meters' bytes; what it lets pass is finite."""
    found: list[object] = []
    model = um25c.Um25c.model
    frames, _, _ = atorch.split(content)
    found += [atorch.decode(frame) for frame in frames]
    frame = um.pick(content, model)
    found.append(frame and um.decode(frame, model))
    found += fnirsi.decode(content[:64])
    found += [*km003c.snapshots(content), *km003c.samples(content)]
    for kind, count in (("004t", 10), ("017", 8)):
        with contextlib.suppress(EnergyMeterError, ValueError):
            answer = pzem.pick(content, 1, count)
            found.append(answer and pzem.decode(answer, kind))
    plain = tc66c.pick(content, lambda block: block)
    found.append(plain and tc66c.decode(plain))
    text = content.decode("utf-8", "replace")
    found += [tuple(printed_rails(text).values())]
    with contextlib.suppress(EnergyMeterError):
        found += pmic._rails(text).values()
    with contextlib.suppress(EnergyMeterError, ValueError):
        ppk2.parse_calibration(text)
    numbers = [n for one in found if isinstance(one, tuple) for n in one if isinstance(n, float)]
    assert all(map(math.isfinite, numbers)), found


def frames() -> list[bytes]:
    return [
        b"VDD_IN 4940mW/4940mW VDD_CPU 480mW/480mW",
        b"EXT5V_V volt(24)=5.12V\nVDD_CORE_A current(7)=1.2A\nVDD_CORE_V volt(7)=0.8V",
        b"Calibrated: 0\nR0: 1003.3506\nGS0: 1.0\nEND",
        bytes([0xFF, 0x55, 1, 3]) + bytes(32),
        b"\x41\x07\x00\x00\x01\x00\x00\x0b" + bytes(44),
        b"\xaa\x04" + bytes(62),
        bytes([1, 4, 20]) + bytes(22),
        b"pac1" + bytes(188),
    ]


# -- the agent -------------------------------------------------------------------------------------

_CHANNEL = ChannelInfo(0, "um25c", Facts(), 10.0, 1024, 4096, "um25c", False)


def agent_channels(content: bytes) -> None:
    """What an agent says of its channels; what is believed can be printed, and calculated with."""
    with contextlib.suppress(EnergyMeterError, ValueError, RecursionError):
        answer = json.loads(content)
        if not isinstance(answer, dict):
            return
        for info in channels_of(answer):
            assert all(text.isprintable() for text in (info.name, info.identity, *info.notes))
            assert math.isfinite(1 / info.rate_hz)
            assert facts_of(info).max_hz > 0


def agent_answers() -> list[bytes]:
    facts = Facts(semantics="counter", volts=Band(0.01, 0.1), max_watts=100.0)
    channels = [_CHANNEL.to_json(), _CHANNEL._replace(facts=facts, notes=("a",)).to_json()]
    return [json.dumps({"protocol": PROTOCOL, "began": 1, "channels": channels}).encode()]


def agent_lines(content: bytes) -> None:
    """The samples that an agent sends; what passes goes forwards."""
    feed = RemoteFeed(Address("laptop", 9736, "um25c"))
    feed.infos, feed._joints, feed._last_ns, feed._order = [_CHANNEL], [Joint(-1, None)], [0], "little"
    last_ns = 0
    for line in content.splitlines():
        with contextlib.suppress(EnergyMeterError):
            for _, reading in feed._taken(line):
                assert reading.at_ns is not None
                assert reading.watts is None or reading.watts == reading.watts
                assert reading.at_ns > last_ns
                last_ns = reading.at_ns
    assert 0 <= feed.lost < 1 << 63


def agent_rows() -> list[bytes]:
    lines = []
    for number in (1, 2, 9):
        at_ns = number * 10**8
        row = struct.pack("<qdddqdddddd", at_ns, 3.0, 0.6, 5.0, at_ns, 0, 3.0, 5.0, 0.6, 0, 3.0)
        samples = [[0, number, binascii.b2a_base64(row, newline=False).decode()]]
        lines.append(json.dumps({"samples": samples, "now": 1}).encode() + b"\n")
    return [b"".join(lines)]


TARGETS = {
    "agent_channels": Target(agent_channels, agent_answers),
    "agent_lines": Target(agent_lines, agent_rows),
    "csv": Target(functools.partial(log, "x.csv"), csv_logs),
    "jsonl": Target(functools.partial(log, "x.jsonl"), json_logs),
    "parquet": Target(functools.partial(log, "x.parquet"), parquet_logs),
    "energyrunner": Target(functools.partial(log, "x.bin"), lambda: [b"\xf1\0\0\x80D" + bytes(range(64))]),
    "card": Target(card, cards),
    "config": Target(config, configs),
    "spec": Target(spec, specs),
    "ledger": Target(ledger, ledgers),
    "wires": Target(wires, frames),
}
