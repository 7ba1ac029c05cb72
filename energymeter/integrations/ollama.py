"""Ollama: what its answers report. Tested on recorded answers, not with a running Ollama.

::

    tokens = meter.tokens()
    chat = tokens.wrap(ollama.chat, energymeter.integrations.ollama.timings)

Loading the model within a request is reported, and kept apart. Versions before 0.33 do not say how many
tokens of a prompt came from the cache; how many were evaluated is unknown then.
"""

from collections.abc import Mapping
from typing import Any

from energymeter.errors import SpecError
from energymeter.meter import Timings


def timings(answer: Mapping[str, Any] | Any) -> Timings:
    """What one answer of ``/api/generate`` or ``/api/chat`` reports, or the last chunk of a stream.

    >>> timings({"done": True, "load_duration": 101397084, "prompt_eval_count": 11,
    ...          "prompt_eval_cached_count": 8, "prompt_eval_duration": 13074791, "eval_count": 18,
    ...          "eval_duration": 52479709}).prompt_tokens
    3

    Args:
        answer: the JSON object, or a response of the package ``ollama``.

    Raises:
        SpecError: it is none, or not the last chunk.
    """
    if hasattr(answer, "model_dump"):
        answer = answer.model_dump()
    if not isinstance(answer, Mapping) or answer.get("done") is not True or "eval_count" not in answer:
        raise SpecError(
            "this is no finished answer of Ollama; give the whole answer, or a stream's last chunk"
        )
    count, cached = answer.get("prompt_eval_count"), answer.get("prompt_eval_cached_count")
    evaluated = None if count is None or cached is None else count - cached
    return Timings(
        evaluated,
        answer.get("eval_count"),
        cached,
        _seconds(answer.get("prompt_eval_duration")),
        _seconds(answer.get("eval_duration")),
        _seconds(answer.get("load_duration")),
    ).check()


def _seconds(nanoseconds: float | None) -> float | None:
    return None if nanoseconds is None else nanoseconds * 1e-9
