"""Looking for sources, in a child process: every driver that may be looked for, by one real reading.

Runs where a hung library can be killed, and says what it finds line by line. Nothing is written to a
device that was not identified: USB devices are known by vendor and product, I²C chips by their identity
registers or by reads alone (`Locatable`), and everything else by the files the kernel shows.
"""

import json
import os
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from energymeter.errors import EnergyMeterError
from energymeter.integrate import Integrator
from energymeter.reading import Facts, Reading
from energymeter.source import Divided, Locatable, Source, Streaming, Tunable
from energymeter.spec import driver_names, load_driver

_READINGS = 40
_PAUSE_SECONDS = 0.02


class Candidate(NamedTuple):
    """A source that may be here."""

    driver: str
    kind: str
    place: str | None

    @property
    def spec(self) -> str:
        return f"{self.driver}@{self.place}" if self.place else self.driver


def main(config: dict[str, Any]) -> None:
    """Say every finding as a line of JSON on standard output, the last line being empty; then end."""
    lock = threading.Lock()

    def say(finding: dict[str, Any]) -> None:
        with lock:
            os.write(1, json.dumps(finding).encode() + b"\n")

    threads = []
    for candidate in candidates(config["kinds"], say):
        thread = threading.Thread(target=lambda c=candidate: say(look(c)), daemon=True)
        thread.start()
        threads.append(thread)
    end = time.monotonic() + config["seconds"]
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    os.write(1, b"\n")
    os._exit(0)  # a hung library must not keep us


def candidates(kinds: list[str], say: Any) -> Iterator[Candidate]:
    """Where each driver that has a ``kind`` may find its source, without touching it."""
    for name in driver_names():
        driver = load_driver(name)
        kind = getattr(driver, "kind", None)
        if kind not in kinds:
            continue
        if not isinstance(driver, Locatable):
            yield Candidate(name, kind, None)
            continue
        try:
            for place in driver.places():
                yield Candidate(name, kind, place)
        except EnergyMeterError as trouble:
            say({"spec": name, "kind": kind, "trouble": str(trouble)})


def look(candidate: Candidate) -> dict[str, Any]:
    """One real reading of a candidate, or why there is none."""
    finding: dict[str, Any] = {"spec": candidate.spec, "kind": candidate.kind}
    driver = load_driver(candidate.driver)
    source: Any = None
    try:
        source = driver(*((candidate.place,) if candidate.place else ()))
        finding.update(_read(source))
    except EnergyMeterError as trouble:
        finding["trouble"] = str(trouble)
    except Exception as bug:  # noqa: BLE001 - one driver's bug must not hide the other sources
        finding["trouble"] = f"its driver failed: {type(bug).__name__}: {bug}"
    finally:
        if source is not None:
            source.close()
    return finding


def _read(source: Any) -> dict[str, Any]:
    """What the counted channels draw: watts where they tell, from two readings where they count."""
    default_hz = source.facts.default_hz
    if isinstance(source, Tunable):
        source.tune(default_hz)
    source.open()
    parts: list[Source] = list(source.channels()) if isinstance(source, Divided) else [source]
    counted = [part for part in parts if part.facts.counted] or parts
    watts = [_watts(part) for part in counted]
    known = [value for value in watts if value is not None]
    return {
        "watts": sum(known) if len(known) == len(watts) else None,
        "channels": [part.name for part in counted],
        "facts": counted[0].facts._asdict(),
        "advice": getattr(source, "advice", None),
    }


def _watts(part: Source) -> float | None:
    """W of one channel; None: it reads, but its counter has not ticked."""
    integrator = Integrator(Facts(semantics=part.facts.semantics), 10**12)
    for reading in _readings(part):
        sample = integrator.add(reading.at_ns or time.monotonic_ns(), reading)
        if sample is not None and sample.watts is not None:
            return sample.watts
        if part.facts.semantics != "counter" and reading.fresh:
            return None
    return None


def _readings(part: Source) -> Iterator[Reading]:
    if isinstance(part, Streaming):
        yield from (reading for reading, _ in zip(part.stream(), range(_READINGS), strict=False))
        return
    for _ in range(_READINGS):
        yield part.read()
        time.sleep(_PAUSE_SECONDS)
