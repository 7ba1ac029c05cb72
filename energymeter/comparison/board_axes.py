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
    """A built-in hook of the board.

    ``governor`` and ``max_khz`` are those of cpufreq on all processors, ``cores`` is how many processors are
    online, ``nvpmodel`` is the power mode of a Jetson.

    Raises:
        SpecError: there is no such hook, or this board has no such setting.
    """
    if name == "nvpmodel":
        return BoardAxis(name, _nvpmodel, lambda mode: _run(["nvpmodel", "-m", mode]))
    if name == "cores":
        return _cores(root)
    if name not in _CPUFREQ:
        raise SpecError(
            f"there is no setting {name!r} of a board; give one of {', '.join(_CPUFREQ)}, cores, nvpmodel"
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


def _cores(root: str) -> BoardAxis:
    """How many processors are online: the first ones, and which they were before.

    A processor without a file ``online`` cannot be switched off: the first one, on most boards.
    """
    folders = glob.glob(below(glob.escape(root), "sys/devices/system/cpu/cpu[0-9]*"))
    folders.sort(key=lambda folder: int(folder.rpartition("cpu")[2]))
    files = [os.path.join(folder, "online") for folder in folders]
    if not any(map(os.path.exists, files)):
        raise SpecError("this board cannot switch processors off; leave out --board cores")

    def read() -> str:
        return " ".join((peek(file) or "1").strip() for file in files)

    def write(value: str) -> None:
        states = value.split(" ") if " " in value else _first_online(value, len(files))
        for file, state in sorted(zip(files, states, strict=True), key=lambda pair: pair[1], reverse=True):
            if os.path.exists(file):
                with open(file, "w", encoding="ascii") as setting:
                    setting.write(state)
            elif state == "0":
                raise OSError(f"{os.path.dirname(file)} cannot be switched off")

    return BoardAxis("cores", read, write)


def _first_online(value: str, count: int) -> list[str]:
    """
    >>> _first_online("2", 4)
    ['1', '1', '0', '0']
    """
    if not value.isdecimal() or not 1 <= int(value) <= count:
        raise OSError(f"this board has 1 to {count}")
    return ["1" if number < int(value) else "0" for number in range(count)]


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
