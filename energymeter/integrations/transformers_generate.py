"""transformers: prefill and decode of ``generate``, by a streamer.

::

    with tokens.request() as request:
        model.generate(**inputs, streamer=EnergyStreamer(request))

A streamer is given the prompt just before it is evaluated and then each token, so nothing is imported here.
Of a batch, every sequence counts in every step, also after its end, because it is computed all the same.
"""

from typing import Any, Protocol

from energymeter.meter.tokens import Request


class Streamer(Protocol):
    """A streamer of transformers."""

    def put(self, value: Any) -> None: ...
    def end(self) -> None: ...


class EnergyStreamer:
    """Marks prefill and decode of one request.

    Args:
        request: that runs.
        streamer: another one that is given everything, too, such as a ``TextStreamer``.
    """

    def __init__(self, request: Request, streamer: Streamer | None = None) -> None:
        self._request, self._streamer, self._prompted = request, streamer, False

    def put(self, value: Any) -> None:
        """The prompt's ids first, and then the ids of each step."""
        if self._prompted:
            self._request.token(int(value.numel()))
        else:
            self._prompted = True
            self._request.prefill(int(value.numel()))
        if self._streamer is not None:
            self._streamer.put(value)

    def end(self) -> None:
        """The answer is complete."""
        if self._streamer is not None:
            self._streamer.end()
