"""`%%energy`: the energy of a notebook cell, with a live line; an interrupted cell is measured up to
there.
"""

from __future__ import annotations

import ast
import contextlib
import threading
from typing import TYPE_CHECKING, Any

from energymeter.errors import NotMeasured
from energymeter.meter.meter import EnergyMeter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_REDRAW_SECONDS = 0.5
RESULT = "_energy"
"""The name under which a cell's usage is kept."""


def load_ipython_extension(shell: Any) -> None:
    """What ``%load_ext energymeter.integrations`` calls."""

    def energy(line: str, cell: str) -> None:
        """Measure this cell: ``%%energy``, or ``%%energy SOURCE``; the usage is kept as ``_energy``."""
        meter = EnergyMeter(line.strip() or None)
        with contextlib.ExitStack() as stack, meter, _live(meter):
            stack.callback(_show, shell, meter)  # also where the cell fails or is interrupted
            _run(shell, cell)

    shell.register_magic_function(energy, magic_kind="cell")


def _run(shell: Any, cell: str) -> None:
    """Run a cell as it would be: its last expression is shown, and its errors pass."""
    tree = ast.parse(shell.transform_cell(cell))
    last = [tree.body.pop()] if tree.body and isinstance(tree.body[-1], ast.Expr) else []
    for part, mode in ((tree, "exec"), (ast.Interactive(last), "single")):
        exec(compile(part, "<cell>", mode), shell.user_ns)  # noqa: S102 - it is the user's own cell


def _show(shell: Any, meter: EnergyMeter) -> None:
    from IPython.display import display

    with contextlib.suppress(NotMeasured):
        shell.user_ns[RESULT] = meter.usage
    try:
        display(meter.usage)
    except NotMeasured as reason:
        display(f"not measured: {reason}")
    if meter.spans:
        display(meter.spans)


@contextlib.contextmanager
def _live(meter: EnergyMeter) -> Iterator[None]:
    """A line that shows the usage so far, while the cell runs."""
    from IPython.display import display

    handle = display({"text/plain": ""}, raw=True, display_id=True)
    over = threading.Event()
    thread = threading.Thread(target=_redraw, args=(meter, over, handle.update), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _redraw(meter: EnergyMeter, over: threading.Event, update: Callable[..., object]) -> None:
    while not over.wait(_REDRAW_SECONDS):
        with contextlib.suppress(NotMeasured):
            update({"text/plain": str(meter.usage)}, raw=True)
    update({"text/plain": ""}, raw=True)
