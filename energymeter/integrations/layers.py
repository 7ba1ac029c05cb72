"""The layers of a PyTorch module: the energy of a forward pass, shared out by time."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from energymeter.errors import SpecError
from energymeter.integrations.devices import sync_of_devices
from energymeter.text import aligned, html_table, percent, printable, significant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from energymeter.meter.meter import EnergyMeter
    from energymeter.meter.span import Span


class LayerShare(NamedTuple):
    """One layer's share of the time in all layers."""

    name: str
    kind: str
    """The class of the layer."""
    calls: int
    seconds: float
    share: float
    joules: float
    """The same share of the energy of the block: a division by time, not a measurement of the layer."""


class LayerShares:
    """What `layer_shares` gives: the layers of a module, when its block has ended."""

    def __init__(self) -> None:
        self._times: dict[str, list[float]] = {}
        self._kinds: dict[str, str] = {}
        self.span: Span | None = None

    @property
    def layers(self) -> list[LayerShare]:
        """The layers that were called, those that took longest first.

        Raises:
            NotMeasured: the block was not measured, or has not ended.
            SpecError: no layer was called.
        """
        total = sum(map(sum, self._times.values()))
        if self.span is None or not total > 0:
            raise SpecError("no layer was called; call the module within the block")
        joules = self.span.usage.joules
        found = [
            LayerShare(
                name,
                self._kinds[name],
                len(times),
                sum(times),
                sum(times) / total,
                joules * sum(times) / total,
            )
            for name, times in self._times.items()
        ]
        return sorted(found, key=lambda layer: -layer.seconds)

    def _rows(self) -> list[list[str]]:
        return [
            [
                printable(layer.name),
                printable(layer.kind),
                str(layer.calls),
                significant(1e3 * layer.seconds),
                percent(layer.share, 1),
                significant(layer.joules),
            ]
            for layer in self.layers
        ]

    def __str__(self) -> str:
        rows = [list(_TITLES), *self._rows()]
        return "\n".join(
            ["energy of the block, shared out by the time in each layer", *aligned(rows, left=2)]
        )

    def _repr_html_(self) -> str:
        return html_table(self._rows(), _TITLES)


_TITLES = ("layer", "kind", "calls", "ms", "share of time", "J by time")


@contextlib.contextmanager
def layer_shares(model: Any, meter: EnergyMeter, name: str = "layers") -> Iterator[LayerShares]:
    """Time every layer of a ``torch.nn.Module`` in this block, and share out the block's energy by these
    times.

    A layer is a module without modules in it. Each is timed by hooks, which take a few microseconds a call.
    While CUDA is in use, every edge waits for it, so that the whole is slower than without.

    Args:
        model: the module; call it within the block.
        meter: measures the block as a span of this ``name``.
    """
    shares, begun, handles = LayerShares(), dict[str, int](), []
    for path, layer in model.named_modules():
        if next(layer.children(), None) is None:
            shares._kinds[path] = type(layer).__name__

            def before(*_: Any, path: str = path) -> None:
                sync_of_devices()
                begun[path] = time.perf_counter_ns()

            def after(*_: Any, path: str = path) -> None:
                sync_of_devices()
                if path in begun:
                    taken = (time.perf_counter_ns() - begun.pop(path)) * 1e-9
                    shares._times.setdefault(path, []).append(taken)

            handles.append(layer.register_forward_pre_hook(before))
            handles.append(layer.register_forward_hook(after))
    try:
        with meter.span(name) as shares.span:
            yield shares
    finally:
        for handle in handles:
            handle.remove()
