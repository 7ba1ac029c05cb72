"""The child process: looks for sources, or samples them at their pace and tells the curve.

Started by file name with a bare interpreter (no site-packages scan, no numpy), so it costs little and
nothing the measured program does can starve it. Standard input brings one line of JSON and is then
the stop pipe: a further byte, or its end, ends the sampling. Standard output says once, as one line of
JSON, what was opened or why not.
"""

import gc
import importlib
import json
import mmap
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from energymeter.sampling.session import Session


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program, which then stops us
    config = json.loads(_first_line())
    # our own standard library first: a script's folder may hold a random.py
    sys.path.extend(entry for entry in config["path"] if entry not in sys.path)
    from energymeter.errors import EnergyMeterError

    if "job" in config:  # another module's work that wants a bare interpreter too
        importlib.import_module(config["job"]).main(config)
    try:
        session = _prepared(config)
    except EnergyMeterError as error:
        _say({"error": type(error).__name__, "message": str(error)})
        sys.exit(error.exit_code)
    _say({"bytes": session.size, "channels": [channel.to_json() for channel in session.channels]})
    gc.freeze()
    session.run()


def _prepared(config: dict[str, Any]) -> "Session":
    from energymeter.energy.correction import Correction
    from energymeter.errors import SamplerError
    from energymeter.sampling.config import LogConfig, SourceConfig
    from energymeter.sampling.loop import PipePace
    from energymeter.sampling.session import Session

    configs = [SourceConfig.from_json(row) for row in config["sources"]]
    corrections = {meter: Correction(*numbers) for meter, numbers in config["corrections"].items()}
    session = Session(configs, corrections)
    if not config["resume"]:
        os.ftruncate(config["memory_fd"], session.size)
    elif os.fstat(config["memory_fd"]).st_size != session.size:
        session.close()
        raise SamplerError("the source came back with other channels than it had; start a new measurement.")
    memory = memoryview(mmap.mmap(config["memory_fd"], session.size))
    log = LogConfig(**config["log"]) if config["log"] else None
    session.prepare(memory, PipePace(0, config["parent_pid"]), log, resume=config["resume"])
    return session


def _first_line() -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(0, 65_536)
        if not piece:
            sys.exit(0)
        line += piece
    return line


def _say(message: dict[str, Any]) -> None:
    os.write(1, json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    main()
