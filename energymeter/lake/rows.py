"""The rows of one recording: what a lake keeps of a run, its channels, spans, seconds and samples."""

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from energymeter.energy.uncertainty import Component, K, Part, components_of, expanded
from energymeter.energy.usage import Usage
from energymeter.energy.window import Window
from energymeter.errors import LogError, NotMeasured, SpecError
from energymeter.lake.schema import VERSION, arrow, schema
from energymeter.recordings.trace import Trace
from energymeter.text import partly_measured, printable

if TYPE_CHECKING:
    from energymeter.lake.statement import Statement
    from energymeter.reading import Facts

Floats = np.typing.NDArray[np.float64]

_BLOCK_SECONDS = 60
"""So many seconds are read from one slice of a trace, so that a window costs the same in a long one."""
_MARGIN_SECONDS = 10.0
_MOST_TEXT = 500
_MOST_SECONDS = 4_000_000
"""Rows of seconds in one run: 46 days."""
_LATEST_UNIX_S = 7.3e9  # in the year 2201
_STEP = 1e-3


class RunRefused(LogError):
    """A run that the lake cannot take, whatever the state of its store."""


class RunRows(NamedTuple):
    """Everything of one run."""

    run_id: str
    content: str
    """Hash of the samples, of what is known of them and of what is stated."""
    folder: str
    """The partition of its rows in each table."""
    home: str
    """The same by the recording alone, whatever is stated; empty: it does not say its host and date."""
    end_unix_us: int
    tables: dict[str, dict[str, Any]]
    """The columns of each table but ``runs``; without the key."""
    run: dict[str, Any]
    """The row of ``runs``, without its key and version."""


def rows_of(channels: "Sequence[Trace]", file: str, stated: "Statement") -> RunRows:
    """What a lake keeps of a recording.

    Args:
        channels: of the recording, as `Trace.load_channels` reads them.
        file: its name.
        stated: what its author states.

    Raises:
        SpecError: no channel counts, or its host or date is unknown.
        NotMeasured: nothing was measured.
        LogError: its times make no sense.
    """
    counted = [trace for trace in channels if trace.facts.counted]
    if not counted:
        names = ", ".join(printable(" + ".join(trace.names)) for trace in channels)
        raise SpecError(f"{printable(file)} has no channel that counts, of {names}; record it again")
    total: Trace = sum(counted[1:], start=counted[0])
    header = total.header
    host = stated.host or _text(header.get("host"))
    if not host:
        raise SpecError(f"{printable(file)} does not say which machine recorded it; give --host NAME")
    epoch = stated.started if stated.started is not None else total.epoch_s
    if epoch is None:
        raise SpecError(f"{printable(file)} has no date; give --started, as 2026-11-28T14:00")
    epoch -= stated.clock_offset_s
    first, last = total.window_s or (float(total.time_s[0]), float(total.time_s[-1]))
    if not 0 <= epoch + first <= epoch + last < _LATEST_UNIX_S:
        raise RunRefused(
            f"{printable(file)} has times that make no sense; give --started, as 2026-11-28T14:00"
        )
    trust = _trust(counted)
    usage = total.usage()
    run_id = _run_id(total, channels)
    content = _content(channels, stated, epoch)
    run = {
        "run_id": run_id,
        "schema": VERSION,
        "host_name": host,
        "start_unix_us": round((epoch + first) * 1e6),
        "clock_offset_seconds": stated.clock_offset_s,
        "clock_uncertainty_seconds": stated.clock_uncertainty_s,
        "file": file,
        "board": stated.board or _board(header) or "unknown",
        "model": stated.model,
        "variant": stated.variant,
        "commit": stated.commit,
        "report": "",
        "notes": "; ".join((*usage.notes, *usage.calibration))[: 4 * _MOST_TEXT],
        "source": " + ".join(usage.sources),
        "place": usage.place,
        **_per_unit(total, stated, accuracy_known=trust["accuracy_known"]),
        **trust,
        **_used(usage),
    }
    tables = {
        "usages": _columns("usages", _channel_rows(channels)),
        "spans": _columns("spans", _span_rows(total, epoch, trust)),
        "seconds": _columns("seconds", _second_rows(total, epoch, first, last, trust)),
        "samples": _joined([_sample_columns(trace, epoch) for trace in channels]),
    }
    own_host = _text(header.get("host"))
    home = partition(own_host, _date(total.epoch_s + first)) if own_host and total.epoch_s is not None else ""
    folder = partition(host, _date(epoch + first))
    return RunRows(run_id, content, folder, home, round((epoch + last) * 1e6), tables, run)


def partition(host: str, date: str) -> str:
    """The folder of a host's day within each table."""
    return f"host={folder_name(host)}/date={date}"


def key_of(run_id: str, version: str) -> int:
    """The key that joins rows to the row of their run: 64 bits, as a signed number."""
    digest = hashlib.sha256(f"{run_id} {version}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def version_of(revision: int, end_unix_us: int, generation: int, content: str) -> str:
    """What decides between rows of one run: texts of equal length, so that every engine orders them alike.

    The author's revision goes first, then the longer recording, then the newer compaction.
    """
    return f"{revision:019d}.{end_unix_us:019d}.{generation:06d}.{content}"


def folder_name(host: str) -> str:
    """A host as the name of a folder that every store and engine leaves as it is.

    >>> folder_name("pi-4"), folder_name("../Pi 4")
    ('pi-4', '.._Pi_4_b11cb0f3')
    """
    kept = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "-_.") else "_" for sign in host)[
        :60
    ]
    if kept == host and host.strip("."):
        return host
    return f"{kept}_{hashlib.sha256(host.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"


def table_of(name: str, columns: dict[str, Any], key: int) -> Any:
    """A pyarrow table of a table's columns, of which each row has the key."""
    pa = arrow()
    count = len(next(iter(columns.values()), ()))
    known = {**columns, "run": np.full(count, key, dtype=np.int64)}
    wanted = schema(name)
    arrays = [_array(pa, known[field.name], field.type) for field in wanted]
    return pa.Table.from_arrays(arrays, schema=wanted)


def _array(pa: Any, values: Any, kind: Any) -> Any:
    if isinstance(values, np.ndarray) and values.dtype == np.float64:
        return pa.array(values, kind, from_pandas=True)  # NaN is null
    return pa.array(
        [_plain(value) for value in values] if not isinstance(values, np.ndarray) else values, kind
    )


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


# Of a run --------------------------------------------------------------------------------------------------


def _run_id(total: Trace, channels: Sequence[Trace]) -> str:
    """The run, whatever file it is in and however much of it: by its machine and start where a log of ours
    says them, else by its samples."""
    header, names = total.header, [" + ".join(trace.names) for trace in channels]
    if header.get("host") and header.get("started") is not None:
        known = [header.get("host"), header["started"], sorted(names)]
        return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:32]
    digest = hashlib.sha256()
    for trace in channels:
        digest.update(json.dumps([*trace.names, trace.epoch_s]).encode())
        for column in (trace.time_s, trace.watts, trace.joules):
            digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()[:32]


def _content(channels: Sequence[Trace], stated: "Statement", epoch: float) -> str:
    digest = hashlib.sha256(json.dumps([VERSION, stated.for_hash(), epoch]).encode())
    for trace in channels:
        calibration = None if trace.calibration is None else trace.calibration.to_json()
        spans = {name: list(one) for name, one in trace.spans.items()}
        known = [trace.names, trace.facts._asdict(), calibration, trace.window_s, spans]
        digest.update(json.dumps(known, sort_keys=True).encode())
        for name in ("time_s", "volts", "amps", "watts", "joules", "coulombs", "covered_s"):
            digest.update(np.ascontiguousarray(getattr(trace, name)).tobytes())
    return digest.hexdigest()[:32]


def _board(header: dict[str, Any]) -> str:
    conditions = header.get("conditions")
    return _text(conditions.get("board")) if isinstance(conditions, dict) else ""


def _text(value: Any) -> str:
    return printable(value)[:_MOST_TEXT] if isinstance(value, str) else ""


def _date(unix_s: float) -> str:
    import datetime

    return datetime.datetime.fromtimestamp(unix_s, datetime.timezone.utc).date().isoformat()


def is_calibrated(trace: Trace) -> bool:
    """Whether a calibration card was applied to each channel of a trace."""
    return all(part.calibration is not None for part in trace.parts)


def is_accuracy_known(facts: "Facts") -> bool:
    """Whether a source says how accurate it is."""
    return any((facts.volts, facts.amps, facts.watts, facts.joules, facts.coulombs))


def _trust(traces: Sequence[Trace]) -> dict[str, Any]:
    from energymeter.energy.usage import least_trusted

    return {
        "provenance": least_trusted([trace.facts.provenance for trace in traces]),
        "calibrated": all(map(is_calibrated, traces)),
        "accuracy_known": all(is_calibrated(trace) or is_accuracy_known(trace.facts) for trace in traces),
    }


def _used(usage: Usage) -> dict[str, Any]:
    return {
        "seconds": usage.seconds,
        "covered_seconds": min(usage.covered_seconds),
        "joules": usage.joules,
        "coulombs": usage.coulombs,
        "mean_watts": usage.mean_watts,
        "peak_watts": usage.peak_watts,
        **dict(zip(_UNCERTAINTIES, uncertainties(usage.components), strict=True)),
    }


_UNCERTAINTIES = (
    "uncertainty_joules",
    "gain_uncertainty_joules",
    "offset_uncertainty_joules",
    "random_uncertainty_joules",
)


def uncertainties(components: Iterable[Component]) -> tuple[float, float, float, float]:
    """± of an energy, k = 2, and its parts: by what scales with energy, with time, and what is new each time.

    >>> offset = Component("current offset", 3.0, "ina219", systematic=True)
    >>> uncertainties([offset, Component("noise and sampling", 4.0)])
    (10.0, 0.0, 6.0, 8.0)
    """
    known = list(components)
    systematic = [share for share in known if share.systematic]
    offset = [share for share in systematic if share.cause.endswith(("offset", "level"))]
    gain = [share for share in systematic if not share.cause.endswith(("offset", "level"))]
    random = [share for share in known if not share.systematic]
    return expanded(known), expanded(gain), expanded(offset), expanded(random)


def _nothing(seconds: float) -> dict[str, Any]:
    """A window in which nothing was measured: its energy is unknown."""
    return {
        **dict.fromkeys(("joules", "coulombs", "mean_watts", "peak_watts", *_UNCERTAINTIES), math.nan),
        "seconds": seconds,
        "covered_seconds": 0.0,
    }


def _per_unit(total: Trace, stated: "Statement", *, accuracy_known: bool) -> dict[str, Any]:
    """Energy of one unit, at the mean power of what was measured."""
    names = ("", "gain_", "offset_", "random_")
    empty: dict[str, Any] = dict.fromkeys((f"{name}uncertainty_joules_per_unit" for name in names), None)
    empty |= {"unit": stated.unit, "units": None, "joules_per_unit": None, "seconds_per_unit": None}
    if stated.span is not None:
        usage = total.span_usage(stated.span)
        units = len(total.spans[stated.span].windows_s) * (stated.units or 1.0)
        unit = stated.unit or f"call of {stated.span}"
    elif stated.units is not None:
        usage, units, unit = total.usage(), stated.units, stated.unit or "unit"
    else:
        return empty
    watts = usage.mean_watts
    if watts is None:
        return empty
    known = accuracy_known and not partly_measured(usage.coverage)
    each = [one / units if known else None for one in uncertainties(usage.components)]
    return {
        "unit": unit,
        "units": units,
        "joules_per_unit": watts * usage.seconds / units,
        "seconds_per_unit": usage.seconds / units,
        **dict(zip((f"{name}uncertainty_joules_per_unit" for name in names), each, strict=True)),
    }


# Of its parts ----------------------------------------------------------------------------------------------


def _columns(table: str, rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Rows as columns."""
    found = list(rows)
    names = [field.name for field in schema(table) if field.name != "run"]
    return {name: [row[name] for row in found] for name in names}


def _channel_rows(channels: Sequence[Trace]) -> Iterable[dict[str, Any]]:
    for trace in channels:
        try:
            used = _used(trace.usage())
        except NotMeasured:  # a counter that stood still, or a gauge that moved too little
            used = _nothing(trace.seconds)
        yield {
            "channel": " + ".join(trace.names),
            "counted": trace.facts.counted,
            "place": trace.facts.place,
            **_trust([trace]),
            **used,
        }


def _span_rows(total: Trace, epoch: float, trust: dict[str, Any]) -> Iterable[dict[str, Any]]:
    for name, spans in total.spans.items():
        for call, (start, end) in enumerate(spans.windows_s, 1):
            yield {
                "span": name,
                "call": call,
                "calls": spans.n,
                "start_unix_us": round((epoch + start) * 1e6),
                **trust,
                **_window(total, start, end),
            }


def _window(trace: Trace, start: float, end: float) -> dict[str, Any]:
    try:
        return _used(trace.usage(start, end))
    except NotMeasured:
        return _nothing(end - start)


def _second_rows(
    total: Trace, epoch: float, first: float, last: float, trust: dict[str, Any]
) -> Iterable[dict[str, Any]]:
    """The mean of each second of the clock; the first and the last may be shorter."""
    begin, end = math.floor(epoch + first), math.ceil(epoch + last)
    if end - begin > _MOST_SECONDS:
        raise RunRefused(f"a run of {end - begin} s is longer than {_MOST_SECONDS} s; split the recording")
    interval = max(
        (float(np.median(np.diff(part.time_s))) for part in total.parts if len(part) > 1), default=0.0
    )
    margin = max(_MARGIN_SECONDS, 10 * interval)
    for block in range(begin, end, _BLOCK_SECONDS):
        near = total.slice(block - epoch - margin, block - epoch + _BLOCK_SECONDS + margin)
        for second in range(block, min(block + _BLOCK_SECONDS, end)):
            start, stop = max(second - epoch, first), min(second + 1 - epoch, last)
            if stop > start:
                used = _window(near, start, stop) if len(near) else _nothing(stop - start)
                yield {"unix_s": second, "place": total.facts.place, **trust, **used}


def _sample_columns(trace: Trace, epoch: float) -> dict[str, Any]:
    count = len(trace)
    covered = np.diff(trace.covered_s, prepend=np.nan)
    joules, coulombs = np.diff(trace.joules, prepend=np.nan), np.diff(trace.coulombs, prepend=np.nan)
    unmeasured = ~(covered > 0)
    joules, coulombs = np.where(unmeasured, np.nan, joules), np.where(unmeasured, np.nan, coulombs)
    trust = _trust([trace])
    return {
        "channel": [" + ".join(trace.names)] * count,
        "counted": np.full(count, trace.facts.counted),
        "unix_us": np.round((epoch + trace.time_s) * 1e6).astype(np.int64),
        "volts": trace.volts,
        "amps": trace.amps,
        "watts": trace.watts,
        "joules": joules,
        "coulombs": coulombs,
        "covered_seconds": np.where(np.isnan(covered), 0.0, covered),
        "uncertainty_watts": sample_uncertainty(trace, joules, coulombs, covered)
        if trust["accuracy_known"]
        else np.full(count, np.nan),
        **{
            name: [value] * count if isinstance(value, str) else np.full(count, value)
            for name, value in trust.items()
        },
    }


def sample_uncertainty(trace: Trace, joules: Floats, coulombs: Floats, covered: Floats) -> Floats:
    """± of the mean power of each interval between two samples by the accuracy of the source, W, k = 2.

    Args:
        joules, coulombs, covered: of each interval, shape (n,); NaN where unknown.

    Every cause that `energymeter.energy.uncertainty` knows is linear in energy, charge, volt-seconds and
    time, so its coefficients follow from windows that differ in one of them.
    """
    volt_seconds = trace.volts * covered
    columns = [
        np.where(np.isnan(column), 0.0, column) for column in (joules, coulombs, volt_seconds, covered)
    ]
    measured = covered > 0
    typical = [float(np.mean(column[measured])) if measured.any() else 0.0 for column in columns]

    def causes(amounts: Sequence[float]) -> dict[str, float]:
        window = Window(
            seconds=amounts[3],
            joules=amounts[0],
            coulombs=amounts[1],
            volt_seconds=amounts[2],
            covered_seconds=amounts[3],
            gap_fill_joules=0.0,
            variance_joules2=0.0,
            edge_joules=0.0,
            peak_watts=math.nan,
        )
        part = Part("", trace.facts, window)
        if trace.calibration is not None:
            part = part._replace(model=trace.calibration.model, kelvin=trace.calibration.kelvin)
        found: dict[str, float] = {}
        for share in components_of(part):
            found[share.cause] = found.get(share.cause, 0.0) + share.joules
        return found

    base = causes(typical)
    steps = [max(abs(amount), 1e-6) * _STEP for amount in typical]
    moved = [
        causes(
            [
                amount + step * (place == other)
                for other, (amount, step) in enumerate(zip(typical, steps, strict=True))
            ]
        )
        for place in range(4)
    ]
    squares = np.zeros(len(covered))
    for cause in sorted({*base, *(name for one in moved for name in one)}):
        level = base.get(cause, 0.0)
        slopes = [(one.get(cause, 0.0) - level) / step for one, step in zip(moved, steps, strict=True)]
        constant = level - math.fsum(slope * amount for slope, amount in zip(slopes, typical, strict=True))
        squares += (
            sum(slope * column for slope, column in zip(slopes, columns, strict=True)) + constant
        ) ** 2
    watts = K * np.sqrt(squares) / np.where(measured, covered, np.nan)
    return np.asarray(np.where(np.isnan(joules), np.nan, watts))


def _joined(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The columns of several channels, one after the other."""
    return {
        name: np.concatenate([part[name] for part in parts])
        if isinstance(parts[0][name], np.ndarray)
        else [value for part in parts for value in part[name]]
        for name in parts[0]
    }
