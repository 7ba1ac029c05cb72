"""Starts ``child.py`` in a bare interpreter: no site-packages scan, no environment, a session of its own."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import IO, Any

_HERE = os.path.dirname(os.path.abspath(__file__))


def spawn(
    config: dict[str, Any], pass_fds: Sequence[int] = (), stderr: IO[bytes] | int = subprocess.DEVNULL
) -> "subprocess.Popen[bytes]":
    """Start the child with its line of JSON; its standard output and the stop pipe are open.

    Args:
        config: what it shall do; the program's import path is added.
        pass_fds: descriptors that it inherits.
        stderr: where its last words go.
    """
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", os.path.join(_HERE, "child.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        pass_fds=pass_fds,
        start_new_session=True,  # the terminal's Ctrl-C and Ctrl-Z are for the program
        bufsize=0,
    )
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # dead already: who waits for its answer will see
        process.stdin.write(json.dumps({**config, "path": _import_path()}).encode() + b"\n")
    return process


def _import_path() -> list[str]:
    """Where this program finds modules, packages first and the script's own folder last."""
    entries = [os.path.abspath(entry) for entry in sys.path]
    root = os.path.dirname(os.path.dirname(_HERE))
    return [root, *entries[1:], *entries[:1]]
