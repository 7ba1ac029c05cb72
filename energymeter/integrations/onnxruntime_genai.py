"""onnxruntime-genai: prefill and decode of a generator. Tested on its protocol, not with a real model.

::

    for token in onnxruntime_genai.generated(generator, prompt_ids, tokens):
        print(stream.decode(token), end="")
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from energymeter.meter import Tokens


class Generator(Protocol):
    """A ``Generator`` of onnxruntime-genai, version 0.6 or later."""

    def append_tokens(self, tokens: Any) -> None: ...
    def generate_next_token(self) -> None: ...
    def is_done(self) -> bool: ...
    def get_next_tokens(self) -> Any: ...


def generated(generator: Generator, prompt: Sequence[int], tokens: Tokens) -> Iterator[int]:
    """Evaluate a prompt and pass its output tokens through, as one request.

    Args:
        generator: with its search options, without a prompt.
        prompt: its ids, of one sequence.
        tokens: of the meter.
    """
    with tokens.request() as request:
        request.prefill(len(prompt))
        generator.append_tokens(prompt)
        while not generator.is_done():
            generator.generate_next_token()
            request.token()
            yield int(generator.get_next_tokens()[0])
