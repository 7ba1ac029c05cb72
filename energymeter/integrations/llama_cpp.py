"""llama.cpp: what its answers report, from xllamacpp, a running llama-server or llama-cpp-python.

::

    tokens = meter.tokens(quantization="Q4_1", threads=1)
    complete = tokens.wrap(server.handle_completions, llama_cpp.timings)

Its ``timings`` say how long the prompt and the output took. ``usage`` alone, as of llama-cpp-python, says how
many tokens there were, and not how many of the prompt came from its cache: those are unknown then.
"""

from collections.abc import Mapping
from typing import Any

from energymeter.errors import SpecError
from energymeter.meter import Timings


def timings(answer: Mapping[str, Any]) -> Timings:
    """What one answer reports: of a completion, a chat, or the last chunk of a stream.

    >>> known = timings({"timings": {"cache_n": 8, "prompt_n": 23, "prompt_ms": 500.0, "predicted_n": 64,
    ...                              "predicted_ms": 750.0}})
    >>> known.prompt_tokens, known.cached_tokens, known.prefill_seconds, known.decode_seconds
    (23, 8, 0.5, 0.75)

    Raises:
        SpecError: it reports neither ``timings`` nor ``usage``.
    """
    known, usage = (_part(answer, key) for key in ("timings", "usage"))
    if not known and not usage:
        raise SpecError(
            "this is no answer of llama.cpp, as it has neither timings nor usage; of a stream, give the last "
            "chunk (ask llama-server for stream_options.include_usage)"
        )
    prompt, cached = known.get("prompt_n"), known.get("cache_n")
    if cached is None:
        # other servers of this format count what came from the cache in prompt_n, and say in usage how many
        cached = _part(usage, "prompt_tokens_details").get("cached_tokens")
        all_of_it = usage.get("prompt_tokens")
        if cached is not None and all_of_it is not None and prompt in (None, all_of_it):
            prompt = all_of_it - cached
    return Timings(
        prompt,
        known.get("predicted_n", usage.get("completion_tokens")),
        cached,
        _seconds(known.get("prompt_ms")),
        _seconds(known.get("predicted_ms")),
    ).check()


def _part(answer: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = answer.get(key) if isinstance(answer, Mapping) else None
    return part if isinstance(part, Mapping) else {}


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds * 1e-3
