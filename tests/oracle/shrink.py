"""Makes a failing program smaller: what can be left out while the same finding stays is left out."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

from oracle import steps as s
from oracle.simulate import LongRun


def shrunk(failing: Any, fails: Callable[[Any], bool], seconds: float) -> Any:
    """The smallest program that was found in this time; drops steps greedily, the largest first."""
    give_up = time.monotonic() + seconds
    smaller = True
    while smaller:
        smaller = False
        for candidate in _smaller(failing):
            if time.monotonic() > give_up:
                return failing
            if fails(candidate):
                failing, smaller = candidate, True
                break
    return failing


def _smaller(failing: Any) -> Iterator[Any]:
    yield from _of_run(failing) if isinstance(failing, LongRun) else _of_program(failing)


def _of_program(program: s.Program) -> Iterator[s.Program]:
    for body in _bodies(program.steps):
        yield dataclasses.replace(program, steps=body)
    if program.where:
        yield dataclasses.replace(program, where=())
    used = {getattr(step, "meter", 0) for step in s.walk(program.steps)}
    if len(program.meters) > 1 and used <= {0}:
        yield dataclasses.replace(program, meters=program.meters[:1])
    for number, meter in enumerate(program.meters):
        for simpler in _meters(meter):
            meters = (*program.meters[:number], simpler, *program.meters[number + 1 :])
            yield dataclasses.replace(program, meters=meters)


def _bodies(steps: s.Body) -> Iterator[s.Body]:
    """The same steps with one less, or with one that was replaced by what it holds, or holds less."""
    for number, step in enumerate(steps):
        before, after = steps[:number], steps[number + 1 :]
        yield (*before, *after)
        for body in step.bodies():
            if body and not isinstance(step, s.Block):
                yield (*before, *body, *after)
        bodies = step.bodies()
        for place, body in enumerate(bodies):
            for less in _bodies(body):
                yield (*before, step.with_bodies((*bodies[:place], less, *bodies[place + 1 :])), *after)
        if getattr(step, "way", "with") != "with" and isinstance(step, s.Block | s.Span):
            yield (*before, dataclasses.replace(step, way="with"), *after)


def _meters(meter: s.MeterSpec) -> Iterator[s.MeterSpec]:
    for number in range(len(meter.sources) if len(meter.sources) > 1 else 0):
        yield dataclasses.replace(meter, sources=meter.sources[:number] + meter.sources[number + 1 :])
    for plain in ({"log": ""}, {"budget": False}, {"rate_hz": 0.0}):
        if any(getattr(meter, name) != value for name, value in plain.items()):
            yield dataclasses.replace(meter, **plain)
    for number, source in enumerate(meter.sources):
        for simpler in _sources(source):
            sources = (*meter.sources[:number], simpler, *meter.sources[number + 1 :])
            yield dataclasses.replace(meter, sources=sources)


def _sources(source: s.SourceSpec) -> Iterator[s.SourceSpec]:
    plain = s.SourceSpec(wave=source.wave, semantics=source.semantics, quantity=source.quantity)
    for name in (
        "troubles",
        "late",
        "restarts",
        "shared",
        "renews",
        "batch",
        "news",
        "slow",
        "nominal_hz",
        "describes",
    ):
        if getattr(source, name) != getattr(plain, name):
            yield dataclasses.replace(source, **{name: getattr(plain, name)})
    if source.gain or source.offset or any(source.band[1:]):
        yield dataclasses.replace(source, gain=0.0, offset=0.0, band=(0.01, 0.0, source.band[2]))
    if len(source.wave) > 1:
        level = source.wave[0][1]
        yield dataclasses.replace(source, wave=((1.0, level, level),))


def _of_run(run: LongRun) -> Iterator[LongRun]:
    if run.kills:
        yield dataclasses.replace(run, kills=())
    for number in range(len(run.rails) if len(run.rails) > 1 else 0):
        yield dataclasses.replace(run, rails=run.rails[:number] + run.rails[number + 1 :])
    for number, rail in enumerate(run.rails):
        for simpler in _sources(rail):
            yield dataclasses.replace(run, rails=(*run.rails[:number], simpler, *run.rails[number + 1 :]))
