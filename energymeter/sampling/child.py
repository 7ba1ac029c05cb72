"""The child process: looks for sources, or samples them at their pace and writes the curve.

Started with a bare interpreter (no site-packages scan, no numpy), so it costs little and nothing the
measured program does can starve it. A file whose descriptor is its last argument holds its job.
Standard input wakes it, standard output says once, in one line, what was opened or why not.
"""

from __future__ import annotations

import gc
import marshal
import mmap
import os
import sys

TYPE_CHECKING = False  # typing.TYPE_CHECKING; nothing of ours can be imported yet
if TYPE_CHECKING:
    import signal
    from typing import Any

    from energymeter.energy.correction import Correction
    from energymeter.sampling.session import Session
else:
    import _signal as signal  # `signal` makes enums of its numbers, which takes half of a bare start

_SWITCH_SECONDS = 0.0005
"""How long the log's thread may keep Python's lock from a loop whose reading is due."""


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program, which then stops us
    config = marshal.loads(bytes.fromhex(_job(int(sys.argv[-1])).decode()))
    _close_all_but(0, 1, 2, config.get("memory_fd", 2))
    # our own standard library first: a script's folder may hold a random.py
    sys.path.extend(entry for entry in config["path"] if entry not in sys.path)
    from energymeter.errors import EnergyMeterError
    from energymeter.lazy import module

    if "job" in config:  # another module's work that wants a bare interpreter too
        module(config["job"]).main(config)
    gc.disable()  # what is imported and opened now stays
    try:
        session = _prepared(config)
    except EnergyMeterError as error:
        _say({"error": type(error).__name__, "message": str(error)})
        sys.exit(error.exit_code)
    _say({"bytes": session.size, "channels": [channel.to_json() for channel in session.channels]})
    _silence_stderr()
    gc.freeze()
    gc.enable()
    sys.setswitchinterval(_SWITCH_SECONDS)
    session.run()
    os._exit(0)  # nothing is left to do, and the program waits for our end


def _prepared(config: dict[str, Any]) -> Session:
    from energymeter.errors import SamplerError
    from energymeter.sampling import priority
    from energymeter.sampling.config import ChannelInfo, LogConfig, SourceConfig, follow
    from energymeter.sampling.memory import Head
    from energymeter.sampling.pace import SystemPace
    from energymeter.sampling.session import Session

    parent_pid = os.getppid()
    if parent_pid not in (config["parent_pid"], 0):  # 0: it is in another PID namespace
        sys.exit(0)  # it died meanwhile
    configs = [SourceConfig.from_json(row) for row in config["sources"]]
    corrections = _corrections(config["corrections"])
    session = Session(configs, corrections)
    before = [ChannelInfo.from_json(row) for row in config["resume"]]
    if not before:
        try:
            os.ftruncate(config["memory_fd"], session.size)
        except OSError as failure:
            session.close()
            from energymeter.sampling.descriptors import remedy

            raise SamplerError(
                f"there is no shared memory for the samples: {failure.strerror}; {remedy(failure)}"
            ) from failure
    else:
        try:
            follow(session.channels, before)
            if os.fstat(config["memory_fd"]).st_size != session.size:
                raise SamplerError("the source came back with another rate; start a new measurement")
        except SamplerError:
            session.close()
            raise
    memory = memoryview(mmap.mmap(config["memory_fd"], session.size))
    log = LogConfig(**config["log"]) if config["log"] else None
    priority.guard()
    pace = SystemPace(Head(memory), 0, parent_pid, config["memory_fd"])
    session.prepare(memory, pace, log, resume=bool(before), own_process=True)
    return session


def _corrections(numbers: dict[str, Any]) -> dict[str, Correction]:
    if not numbers:
        return {}  # the usual case needs no import
    from energymeter.energy.correction import Correction

    return {meter: Correction(*row) for meter, row in numbers.items()}


def _job(fd: int) -> bytes:
    os.lseek(fd, 0, os.SEEK_SET)
    with open(fd, "rb") as file:
        return file.read()


def _close_all_but(*kept: int) -> None:
    """Let go of what the program lets every child of it inherit, such as a lock or a listening socket."""
    for entry in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else ():
        if int(entry) not in kept:
            try:
                os.close(int(entry))
            except OSError:
                continue  # that of the list itself


def _say(message: dict[str, Any]) -> None:
    from energymeter.sampling.messages import packed

    os.write(1, packed(message) + b"\n")


def _silence_stderr() -> None:
    """Nobody reads it any more, and what a driver prints there every second would fill the memory."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
    except OSError:
        return
    os.dup2(nowhere, 2)
    os.close(nowhere)
