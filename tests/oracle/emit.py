"""From a program of steps to a real Python program, which anybody can read and run."""

from collections.abc import Iterator
from textwrap import indent

from oracle import steps as s

_HEAD = '''"""Written by tests/oracle from seed {seed}."""

import sys

sys.path[:0] = {path!r}

from oracle.stage import Deliberate, Stage

stage = Stage({folder!r}, limit={limit:.0f})
meters = [stage.meter(number) for number in range({count})]
'''


def emitted(program: s.Program, folder: str, path: list[str], limit: float) -> str:
    """The text of the program.

    Args:
        folder: where it runs; `oracle.stage.Stage` finds ``program.json`` there.
        path: where it finds the package and the oracle.
        limit: seconds after which it hangs.
    """
    head = _HEAD.format(seed=program.seed, path=path, folder=folder, limit=limit, count=len(program.meters))
    return head + "\n" + _Emitter().body(program.steps) + "\nstage.finish(meters)\n"


def named(steps: s.Body) -> dict[str, s.Step]:
    """Every step by the name that it has in the emitted program."""
    return {f"{type(step).__name__.lower()}{number}": step for number, step in enumerate(s.walk(steps), 1)}


class _Emitter:
    def __init__(self) -> None:
        self._count = 0

    def body(self, steps: s.Body) -> str:
        return "".join(self._step(step) for step in steps) or "pass\n"

    def _step(self, step: s.Step) -> str:
        self._count += 1
        name = f"{type(step).__name__.lower()}{self._count}"
        return "".join(f"{line}\n" for line in self._lines(step, name))

    def _lines(self, step: s.Step, name: str) -> Iterator[str]:
        meter = f"meters[{getattr(step, 'meter', 0)}]"
        match step:
            case s.Sleep(seconds) | s.Hold(seconds) | s.Stop(seconds):
                yield f"stage.{type(step).__name__.lower()}({seconds!r})"
            case s.Block():
                yield from self._block(step, name, meter)
            case s.Span():
                entered = f"{meter}.span({step.label!r})"
                if step.way == "track":
                    yield f"with stage.around({name!r}):"
                    yield f"    for _ in {meter}.track([1], name={step.label!r}, progress=False):"
                    yield f"        with stage.inside({name!r}):"
                    yield self._within(step.body, 3)
                else:
                    yield from self._around(step.body, name, entered, step.way)
            case s.Many(label, _, count, seconds):
                yield f"stage.many({name!r}, {meter}, {label!r}, {count}, {seconds!r})"
            case s.Interrupted(label, _, times, count, seconds):
                yield f"stage.interrupted({name!r}, {meter}, {label!r}, {times}, {count}, {seconds!r})"
            case s.Signals():
                yield f"with stage.signals({name!r}, {meter}, {step.label!r}):"
                yield self._within(step.body)
            case s.Threads(parts):
                names = [f"{name}_{number}" for number in range(len(parts))]
                for part, body in zip(names, parts, strict=True):
                    yield f"def {part}():"
                    yield self._within(body)
                yield f"stage.threads({', '.join(names)})"
            case s.Tasks(label, _, count, seconds):
                yield f"stage.tasks({name!r}, {meter}, {label!r}, {count}, {seconds!r})"
            case s.Rush(_, threads, seconds):
                yield f"stage.rush({name!r}, {meter}, {threads}, {seconds!r})"
            case s.Fork():
                yield f"if stage.fork({name!r}):"
                yield f"    with stage.worker({step.lives!r}):"
                yield self._within(step.body, 2)
            case s.Kill(gone, crowded):
                yield f"stage.kill(gone={gone}, crowded={crowded})"
            case s.Idle(_, seconds):
                yield f"stage.idle({name!r}, {meter}, {seconds!r})"
            case s.Ask(what, number):
                yield f"stage.ask({name!r}, {meter}, {number}, {what!r})"
            case s.Keep(number):
                yield f"stage.keep({name!r}, {meter}, {number})"
            case s.Close():
                yield f"stage.close({name!r}, {meter})"
            case s.Reset() | s.Chdir() | s.Closerange() | s.Environ():
                yield f"stage.{type(step).__name__.lower()}()"
            case s.Drawing():
                yield f"with stage.around({name!r}), stage.budget().drawing({meter}), stage.inside({name!r}):"
                yield self._within(step.body)
            case s.Guarded(way, count, seconds):
                yield f"stage.guarded({name!r}, {way!r}, {count}, {seconds!r})"
            case s.Company():
                yield f"with stage.company({name!r}, {step.meter}, {step.seconds!r}):"
                yield self._within(step.body)
            case s.ForkWhileLeaving(number, times):
                yield f"stage.fork_while_leaving({name!r}, {number}, {times})"
            case s.Refused(way, times):
                yield f"stage.refused({name!r}, {way!r}, {times})"
            case s.Track(_, way, count, seconds, progress):
                yield f"stage.track({name!r}, {meter}, {way!r}, {count}, {seconds!r}, {progress})"
            case s.Replay(rows, hz, channels, kill):
                yield f"stage.replay({name!r}, {rows}, {hz!r}, {channels}, {kill!r})"
            case s.Leave(way):
                yield f"stage.leave({way!r})"
            case _:
                raise TypeError(f"nobody can write {step}")

    def _block(self, step: s.Block, name: str, meter: str) -> Iterator[str]:
        if step.way == "forgotten":
            yield f"stage.forget({step.meter})"
            yield self.body(step.body).rstrip()
        elif step.way == "open":  # entered, and never left
            yield f"with stage.around({name!r}):"
            yield f"    {meter}.__enter__()"
            yield f"with stage.inside({name!r}):"
            yield self._within(step.body)
            yield "stage.leave('open')"
        else:
            yield from self._around(step.body, name, meter, step.way)
            if step.way == "twice":
                yield f"stage.extra_exit({name + '.x'!r}, {meter})"

    def _around(self, body: s.Body, name: str, entered: str, way: str) -> Iterator[str]:
        """Steps within what is entered, in one of the ways to enter something."""
        around, inside = f"with stage.around({name!r})", f"with stage.inside({name!r}):"
        match way:
            case "with" | "twice" | "raises":
                yield f"{around}, {entered}, stage.inside({name!r}):"
                yield self._within(body)
                if way == "raises":
                    yield "    raise Deliberate"
            case "async":
                yield f"async def {name}():"
                yield f"    async with {entered}:"
                yield f"        {inside}"
                yield self._within(body, 3)
                yield f"{around}:"
                yield f"    stage.run({name}())"
            case "function" | "coroutine":
                yield f"@{entered}"
                yield f"{'async ' if way == 'coroutine' else ''}def {name}():"
                yield f"    {inside}"
                yield self._within(body, 2)
                yield f"{around}:"
                yield f"    stage.run({name}())" if way == "coroutine" else f"    {name}()"
            case "generator":
                yield f"@{entered}"
                yield f"def {name}():"
                yield f"    {inside}"
                yield "        yield 1"
                yield self._within(body, 2)
                yield "        yield 2"
                yield f"{around}:"
                yield f"    for _ in {name}():"
                yield "        pass"
            case "agenerator":
                yield f"@{entered}"
                yield f"async def {name}():"
                yield f"    {inside}"
                yield "        yield 1"
                yield self._within(body, 2)
                yield "        yield 2"
                yield f"async def {name}_all():"
                yield f"    async for _ in {name}():"
                yield "        pass"
                yield f"{around}:"
                yield f"    stage.run({name}_all())"
            case _:
                raise ValueError(f"nothing is entered by {way!r}")

    def _within(self, body: s.Body, depth: int = 1) -> str:
        return indent(self.body(body), "    " * depth).rstrip("\n")
