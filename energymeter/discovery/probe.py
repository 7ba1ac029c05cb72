"""Probing for sources in a child process: every driver that allows it, by one reading.

It runs where a hung library can be killed, and reports what it finds line by line. Nothing is written to a
device that was not identified: USB devices are known by vendor and product, I²C chips by their identity
registers or by reads alone (`Locatable`), and everything else by files of the kernel.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from energymeter.energy.integrate import Integrator
from energymeter.errors import EnergyMeterError, SourceError
from energymeter.reading import Facts, Reading
from energymeter.source import Divided, Locatable, Source, Streaming, Tunable
from energymeter.spec import driver_names, load_driver

_READINGS = 15
_PAUSE_SECONDS = 0.02
_PAUSES_SECONDS = _READINGS * _PAUSE_SECONDS
"""Most counters have changed by then; those of batteries change once in minutes."""
_LOAD_SECONDS = 8.0
"""The most that our own files may take; a Pi Zero takes one second, an emulated Pi a few."""

Report = Callable[[dict[str, Any]], None]


class Candidate(NamedTuple):
    """A source that may be present."""

    driver: str
    kind: str
    address: str | None = None

    @property
    def spec(self) -> str:
        return f"{self.driver}@{self.address}" if self.address else self.driver


def main(config: dict[str, Any]) -> None:
    """Write every finding as a line of JSON to standard output, an empty line at the end, and exit."""
    lock = threading.Lock()

    def report(finding: dict[str, Any]) -> None:
        with lock:
            os.write(1, json.dumps(finding).encode() + b"\n")

    probe_all(config["kinds"], config["seconds"], report)
    with lock:  # what a late thread would still report has no reader
        os.write(1, b"\n")
        os._exit(0)  # a hung library must not keep this process alive


def probe_all(
    kinds: Iterable[str],
    seconds: float,
    report: Report,
    names: Callable[[], Iterable[str]] = driver_names,
    load: Callable[[str], Any] = load_driver,
) -> None:
    """Probe for the sources of these kinds, every driver in a thread of its own.

    Args:
        kinds: see `energymeter.source`.
        seconds: sources that have not answered by then are late; the time starts when all drivers are loaded.
        report: called with every finding, from any thread.
        names, load: the names of the drivers, and the class of each.
    """
    wanted = frozenset(kinds)
    # before a driver is loaded its kind is not known
    at_work = {name: Candidate(name, "part") for name in names()}
    threads = []
    loaded = threading.Semaphore(0)

    def load_and_count(name: str) -> Any:
        try:
            return load(name)
        finally:
            loaded.release()

    def run(name: str) -> None:
        for candidate in candidates(name, load_and_count, wanted, report):
            at_work[name] = candidate
            finding = probe(candidate, load)
            del at_work[name]
            report(finding)
        at_work.pop(name, None)

    for name in tuple(at_work):
        threads.append(threading.Thread(target=run, args=(name,), daemon=True))
        threads[-1].start()
    end = time.monotonic() + _LOAD_SECONDS
    for _ in threads:
        loaded.acquire(timeout=max(0.0, end - time.monotonic()))
    end = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    for late in tuple(at_work.values()):
        error = f"did not answer within {seconds:g} s; if it never does, check its device and service"
        report({"spec": late.spec, "kind": late.kind, "late": True, "error": error})


def candidates(
    name: str, load: Callable[[str], Any], kinds: frozenset[str], report: Report
) -> Iterator[Candidate]:
    """Where one driver may find its sources, without touching them; none for a driver of another kind."""
    kind, signs = None, []
    try:
        driver = load(name)
        kind, signs = getattr(driver, "kind", None), list(getattr(driver, "signs", ()))
        if kind not in kinds:
            return
        if not isinstance(driver, Locatable):
            yield Candidate(name, kind)
            return
        for address in driver.addresses():
            yield Candidate(name, kind, address)
    except EnergyMeterError as error:
        report({"spec": name, "kind": kind or "part", "error": str(error), "signs": signs})
    except Exception as bug:  # noqa: BLE001 - one driver's bug must not hide the other sources
        report({"spec": name, "kind": kind or "part", "error": _bug(bug), "signs": signs})


def probe(candidate: Candidate, load: Callable[[str], Any] = load_driver) -> dict[str, Any]:
    """One reading of a candidate, or why there is none."""
    finding: dict[str, Any] = {"spec": candidate.spec, "kind": candidate.kind}
    source: Any = None
    try:
        driver = load(candidate.driver)
        finding["signs"] = list(getattr(driver, "signs", ()))
        source = driver(*((candidate.address,) if candidate.address else ()))
        finding.update(_read(source))
    except EnergyMeterError as error:
        finding["error"] = str(error)
    except Exception as bug:  # noqa: BLE001 - as above
        finding["error"] = _bug(bug)
    try:
        if source is not None:
            source.close()
    except Exception as bug:  # noqa: BLE001 - as above
        finding.setdefault("error", _bug(bug))
    return finding


def _bug(bug: Exception) -> str:
    why = f"{type(bug).__name__}: {bug}"
    return f"its driver failed ({why}); please report it, with what `energymeter devices --bundle` writes"


def _read(source: Any) -> dict[str, Any]:
    """The power of the counted channels; that of counters comes from two readings."""
    default_hz = source.facts.default_hz
    if isinstance(source, Tunable):
        source.tune(default_hz)
    source.open()
    parts: list[Source] = list(source.channels()) if isinstance(source, Divided) else [source]
    counted = [part for part in parts if part.facts.counted] or parts
    watts = _streamed(source) if isinstance(source, Streaming) else _polled(counted)
    return {
        "watts": watts,
        "channels": [part.name for part in counted],
        "excluded": [part.name for part in parts if part not in counted],
        "facts": counted[0].facts._asdict(),
    }


def _polled(parts: list[Source]) -> float | None:
    """W of all parts together; None: they can be read, but a counter has not changed or shows no power."""
    watts: dict[int, float | None] = {}
    integrators = [_integrator(part) for part in parts]
    for attempt in range(_READINGS):
        if attempt:
            time.sleep(_PAUSE_SECONDS)
        for number, (part, integrator) in enumerate(zip(parts, integrators, strict=True)):
            if number not in watts:
                reading = part.read()
                known = _watts(integrator, reading)
                if known is not None or (reading.fresh and part.facts.semantics != "counter"):
                    watts[number] = known
        if len(watts) == len(parts):
            break
    for number, part in enumerate(parts):
        moves_within = part.facts.still_seconds
        if moves_within is not None and moves_within < _PAUSES_SECONDS and watts.get(number) is None:
            raise SourceError(
                f"{part.name} stands still, as counters do in virtual machines; use an external meter"
            )
    known_watts = [value for value in watts.values() if value is not None]
    return sum(known_watts) if len(known_watts) == len(parts) else None


def _streamed(source: Any) -> float | None:
    """W of a stream."""
    integrator = _integrator(source)
    for reading, _ in zip(source.stream(), range(_READINGS), strict=False):
        watts = _watts(integrator, reading)
        if watts is not None:
            return watts
    return None


def _integrator(part: Source) -> Integrator:
    return Integrator(Facts(semantics=part.facts.semantics), gap_limit_ns=10**12)


def _watts(integrator: Integrator, reading: Reading) -> float | None:
    sample = integrator.add(reading.at_ns or time.monotonic_ns(), reading)
    return None if sample is None else sample.watts
