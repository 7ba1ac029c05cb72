"""llama-bench: joules for the figures that it prints. Tested on its output, not with a real llama-bench.

::

    with EnergyMeter() as meter:
        for test in llama_bench.run(meter, ["llama-bench", "-m", "model.gguf", "-p", "512", "-n", "128"]):
            print(test)

It prints a line of JSON as soon as a test ends, with the time of each repetition. They follow each other, and
the last one ends with the line, so they are placed from there backwards, without the warm-up and without
loading. Its times do not include tokenizing and sampling.
"""

import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from energymeter.errors import CommandFailed, SpecError
from energymeter.meter import EnergyMeter, Timings, Tokens
from energymeter.text import printable

_LONGEST_LINE = 1 << 20
_MOST_REPETITIONS = 100_000


class BenchTest(NamedTuple):
    """One test of llama-bench: some tokens of a prompt, some of output, or both, repeated."""

    prompt_tokens: int
    output_tokens: int
    nanoseconds: tuple[int, ...]
    """One for each repetition."""
    settings: dict[str, object]

    @classmethod
    def of(cls, record: Any) -> "BenchTest":
        """From one object of its JSON.

        Raises:
            SpecError: it is none, or its repetitions cannot be placed.
        """
        try:
            prompt, output, depth = (int(record[key]) for key in ("n_prompt", "n_gen", "n_depth"))
            samples = tuple(int(sample) for sample in record["samples_ns"])
            settings = {name: record[key] for name, key in _SETTINGS.items() if key in record}
        except (KeyError, TypeError, ValueError):
            raise SpecError("this line is no result of llama-bench; run it with -o jsonl") from None
        if depth:
            raise SpecError("at a depth, llama-bench works between its repetitions; leave out -d")
        if min(prompt, output) < 0 or not prompt + output or not 0 < len(samples) < _MOST_REPETITIONS:
            raise SpecError(f"a test of {prompt} and {output} tokens has no figure; give -p or -n, and -r")
        if min(samples) <= 0:
            raise SpecError("a repetition took no time; give more tokens with -p or -n")
        return cls(prompt, output, samples, settings)

    @property
    def name(self) -> str:
        """As llama-bench names it: ``pp512``, ``tg128``, ``pp512+tg128``."""
        parts = (
            (f"pp{self.prompt_tokens}", self.prompt_tokens),
            (f"tg{self.output_tokens}", self.output_tokens),
        )
        return "+".join(name for name, count in parts if count)

    def timings(self, nanoseconds: int) -> Timings:
        """What it says of one repetition; not how long either took of a prompt and output together."""
        seconds, both = nanoseconds * 1e-9, self.prompt_tokens and self.output_tokens
        return Timings(
            self.prompt_tokens,
            self.output_tokens,
            0,
            seconds if self.prompt_tokens and not both else None,
            seconds if self.output_tokens and not both else None,
        )


_SETTINGS = {
    "model": "model_type",
    "batch": "n_batch",
    "micro-batch": "n_ubatch",
    "threads": "n_threads",
    "layers on a GPU": "n_gpu_layers",
    "cache": "type_k",
}


def run(meter: EnergyMeter, command: Sequence[str]) -> list[Tokens]:
    """Run llama-bench and measure its tests, one `Tokens` each.

    Args:
        meter: whose block runs.
        command: with the options of the tests; ``-o jsonl`` is added.

    Raises:
        SpecError: there is no such command, or it prints something else.
        CommandFailed: it failed; ``exit_code`` is its own.
    """
    found: list[Tokens] = []
    for ended_ns, line in _lines([*command, "-o", "jsonl"]):
        if line.strip():
            found.append(_recorded(meter, _test(line), ended_ns, [tokens.name for tokens in found]))
    return found


def _test(line: str) -> BenchTest:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        raise SpecError(f"{printable(line[:60])!r} is no JSON of llama-bench; leave out -o") from None
    return BenchTest.of(record)


def _recorded(meter: EnergyMeter, test: BenchTest, ended_ns: int, taken: Sequence[str]) -> Tokens:
    """The repetitions of a test, from its end backwards."""
    again = sum(name.partition(" #")[0] == test.name for name in taken)
    tokens = meter.tokens(f"{test.name} #{again + 1}" if again else test.name)
    tokens.settings = {**test.settings, "context": test.prompt_tokens + test.output_tokens}
    began_ns = ended_ns - sum(test.nanoseconds)
    for nanoseconds in test.nanoseconds:
        tokens.record(began_ns, began_ns + nanoseconds, test.timings(nanoseconds))
        began_ns += nanoseconds
    return tokens


def _lines(command: Sequence[str]) -> Iterator[tuple[int, str]]:
    """When each line of a command's output arrived, and the line. Its standard error is ours."""
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    except OSError as error:
        raise SpecError(
            f"{printable(command[0])!r} cannot be run ({error.strerror}); check its name"
        ) from None
    assert process.stdout is not None
    try:
        while line := process.stdout.readline(_LONGEST_LINE):
            yield time.monotonic_ns(), line.decode("utf-8", "replace")
        code = process.wait()
    finally:  # also when the caller gives up
        process.kill()
        process.stdout.close()
        process.wait()
    if code:
        failure = CommandFailed(f"llama-bench failed with exit code {code}; run it by itself first")
        failure.exit_code = 128 - code if code < 0 else code
        raise failure
