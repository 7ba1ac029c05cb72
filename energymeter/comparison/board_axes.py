"""Settings of the board as axes of a sweep: each is read first and restored, also after a crash or Ctrl-C."""

import glob
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from energymeter.comparison.runs import read_json, write_json
from energymeter.errors import SourceForbidden, SpecError
from energymeter.paths import below, peek, user_folder

_MOST_BYTES = 1 << 16
_MOST_SECONDS = 60.0


class BoardAxis(NamedTuple):
    """The hook of one setting of the board."""

    name: str
    read: Callable[[], str]
    """The setting as it is now."""
    write: Callable[[str], object]
    """Make it so; raises `OSError` where this user may not."""


def board_axis(name: str, root: str = "/") -> BoardAxis:
    """A built-in hook: ``governor`` or ``max_khz`` of cpufreq on all processors, or ``nvpmodel`` of a Jetson.

    Raises:
        SpecError: there is no such hook, or this board has no such setting.
    """
    if name == "nvpmodel":
        return BoardAxis(name, _nvpmodel, lambda mode: _run(["nvpmodel", "-m", mode]))
    if name not in _CPUFREQ:
        raise SpecError(
            f"there is no setting {name!r} of a board; give one of {', '.join(_CPUFREQ)}, nvpmodel"
        )
    policies = below(glob.escape(root), "sys/devices/system/cpu/cpufreq/policy*")
    files = sorted(glob.glob(os.path.join(policies, _CPUFREQ[name])))
    if not files:
        raise SpecError(f"this board has no setting {name!r} (no cpufreq); leave out --board {name}")

    def write(value: str) -> None:
        # a line for all, or one value for each policy, as `read` gives it
        values = value.split(" ")
        for number, file in enumerate(files):
            with open(file, "w", encoding="ascii") as setting:
                setting.write(values[number % len(values)])

    return BoardAxis(name, lambda: " ".join(peek(file) or "" for file in files), write)


_CPUFREQ = {"governor": "scaling_governor", "max_khz": "scaling_max_freq"}


def _nvpmodel() -> str:
    """The number of the power mode, the last line of what it prints."""
    found = re.search(r"^(\d+)\s*$", _run(["nvpmodel", "-q"]), re.MULTILINE)
    if found is None:
        raise SpecError("nvpmodel -q printed no mode; check the board")
    return found[1]


def _run(words: Sequence[str]) -> str:
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_MOST_SECONDS,
            check=False,
            text=True,
        )
    except subprocess.TimeoutExpired:
        raise OSError(f"{words[0]} did not end in {_MOST_SECONDS:g} s") from None
    if done.returncode:
        raise PermissionError(f"{words[0]} ended with {done.returncode}")
    return done.stdout


@contextmanager
def restored(axes: Sequence[BoardAxis], path: str | None = None) -> Iterator[None]:
    """Keep the settings as they are in a file, and restore them at the end, however it comes.

    A process that was killed leaves the file, and the next sweep of these axes restores from it first.

    Args:
        axes: none: nothing is done.
        path: the file; ``None``: this user's own.

    Raises:
        SourceForbidden: this user may not change a setting; nothing was changed.
    """
    if not axes:
        yield
        return
    file = path or os.path.join(user_folder("data"), "board.json")
    os.makedirs(os.path.dirname(file), mode=0o700, exist_ok=True)
    kept = _kept(file)
    before = {axis.name: kept.get(axis.name) or axis.read() for axis in axes}
    write_json(file, kept | before)
    try:
        for axis in axes:
            _restore(axis, before[axis.name])  # what it is already: shows whether this user may
        yield
    finally:
        for axis in axes:
            _restore(axis, before[axis.name])
        left = {name: value for name, value in kept.items() if name not in before}
        if left:
            write_json(file, left)
        else:
            with suppress(FileNotFoundError):
                os.unlink(file)


def _kept(file: str) -> dict[str, str]:
    """What a sweep that was killed left to be restored."""
    if not os.path.exists(file):
        return {}
    kept = read_json(file, _MOST_BYTES)
    if not isinstance(kept, dict) or not all(isinstance(value, str) for value in kept.values()):
        raise SpecError(f"{file} holds no settings of a board ({json.dumps(kept)[:60]}); remove it")
    return kept


def set_axis(axis: BoardAxis, value: str) -> None:
    """Give the board another value, of an axis that this user may set.

    Raises:
        SpecError: the board does not take it.
    """
    try:
        axis.write(value)
    except OSError as failure:
        raise SpecError(
            f"{axis.name} cannot be {value!r} ({failure}); give a value that the board has"
        ) from failure


def _restore(axis: BoardAxis, value: str) -> None:
    try:
        set_axis(axis, value)
    except SpecError as refused:
        if not isinstance(refused.__cause__, PermissionError):
            raise
        raise SourceForbidden(f"this user may not set {axis.name!r} of the board; run it with sudo") from None
