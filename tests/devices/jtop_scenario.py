"""Inside the namespace: the real jetson-stats service under our driver; one story about it, found as JSON."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from devices.sysfs import JetsonBoard, Sysfs
from energymeter.drivers.jtop import Jtop
from energymeter.errors import SourceError
from energymeter.reading import Reading

SOCKET = "/run/jtop.sock"
PATIENCE_SECONDS = 12.0


class Service:
    """The real service in a process group of its own, so that all three of its processes can be signalled."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [os.path.join(os.path.dirname(sys.executable), "jtop"), "--force"],
            env={**os.environ, "JTOP_SERVICE": "True"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        until(lambda: os.path.exists(SOCKET), "a socket of the service")

    def signal(self, number: int) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()
        Path(SOCKET).unlink(missing_ok=True)


def until(true: Callable[[], Any], what: str) -> Any:
    """What ``true`` returns, once it is true."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if value := true():
            return value
        time.sleep(0.02)
    raise SystemExit(f"waited {PATIENCE_SECONDS:g} s for {what}")


def opened() -> Jtop:
    """A source on the service, as soon as that is ready for clients."""
    source = Jtop(interval=0.2)

    def attempt() -> bool:
        try:
            source.open()
        except SourceError:
            return False
        return True

    until(attempt, "the first sample")
    return source


def outcome(source: Jtop) -> Reading | str:
    try:
        return source.read()
    except SourceError as error:
        return f"{type(error).__name__}: {error}"


def reading(source: Jtop, milliamps: float) -> bool:
    """Whether the newest sample says so many mA (on a board with a total rail)."""
    seen = outcome(source)
    return isinstance(seen, Reading) and seen.amps is not None and abs(seen.amps * 1e3 - milliamps) < 0.5


def failure(source: Jtop) -> str:
    """The next failure of a read."""
    seen = until(lambda: isinstance(said := outcome(source), str) and said, "a failure")
    return str(seen)


def follow(board: JetsonBoard, service: Service) -> dict[str, Any]:
    """Every channel follows its sensor."""
    source = opened()
    names = {channel.name.split(":")[1]: channel.facts.counted for channel in source.channels()}
    followed: dict[str, list[float]] = {}
    for name in names:
        channel = next(channel for channel in source.channels() if channel.name == f"jtop:{name}")
        for milliamps in (400, 1000, 152):
            board.set(name, 5000, milliamps)

            def follows(want: float = milliamps * 5e-3, channel: Any = channel) -> bool:
                seen: Reading = channel.read()
                watts = seen.watts
                if seen.volts is not None and seen.amps is not None:
                    watts = seen.volts * seen.amps
                return watts is not None and abs(watts - want) < 1e-9

            until(follows, f"{name} at {milliamps} mA")
            followed.setdefault(name, []).append(milliamps)
    source.close()
    return {"counted": names, "followed": followed}


def restarted(board: JetsonBoard, service: Service) -> dict[str, Any]:
    """The service is killed and started again while it is being read."""
    source = opened()
    until(lambda: reading(source, 864), "a first reading")
    service.kill()
    lost = failure(source)
    absent = failure(source)
    board.set("VDD_IN", 5000, 1000)
    service.start()
    until(lambda: reading(source, 1000), "a reading after the restart")
    return {"lost": lost, "absent": absent}


def rail_lost(board: JetsonBoard, service: Service) -> dict[str, Any]:
    """The input rail's sensor fails, and comes back."""
    source = opened()
    until(lambda: reading(source, 864), "a first reading")
    milliamps = board.files("VDD_IN")[1]
    board.sysfs.break_reads(milliamps)
    lost = failure(source)
    seen = [outcome(source) for _ in range(20)]
    board.sysfs.remove(milliamps)
    board.set("VDD_IN", 5000, 1200)
    until(lambda: reading(source, 1200), "a reading after the rail came back")
    invented = [one.watts for one in seen if isinstance(one, Reading) and one.watts is not None]
    return {"lost": lost, "invented": invented}


def hung(board: JetsonBoard, service: Service) -> dict[str, Any]:
    """The service is stopped, and goes on after a while."""
    source = opened()
    until(lambda: reading(source, 864), "a first reading")
    service.signal(signal.SIGSTOP)
    silent = failure(source)
    began = time.monotonic()
    closed = failure(source)
    seconds = time.monotonic() - began
    service.signal(signal.SIGCONT)
    board.set("VDD_IN", 5000, 1400)
    until(lambda: reading(source, 1400), "a reading after it went on")
    return {"silent": silent, "closed": closed, "seconds": seconds}


def slow(board: JetsonBoard, service: Service) -> dict[str, Any]:
    """A sensor that takes its time, 13 ms a file, as the real chip does."""
    source = opened()
    until(lambda: reading(source, 864), "a first reading")
    for name in board.files("VDD_IN"):
        path = board.sysfs.path(name)
        text = path.read_text()
        path.unlink()
        os.mkfifo(path)
        threading.Thread(target=feed, args=(path, text), daemon=True).start()
    seen: set[int] = set()

    def enough() -> bool:
        said = source.read()
        if said.at_ns is not None and said.fresh:
            seen.add(said.at_ns)
        return len(seen) >= 8

    until(enough, "eight samples of a slow sensor")
    return {"samples": len(seen)}


def feed(path: Path, text: str) -> None:
    """Serve every reader from a pipe of its own: a second one would find the first one's empty."""
    fresh = path.with_name(f".{path.name}.fresh")
    while True:
        with open(path, "w") as fifo:
            os.mkfifo(fresh)
            fresh.replace(path)
            time.sleep(0.013)
            fifo.write(text)


def main(board_name: str, story: str) -> None:
    board = JetsonBoard(Sysfs(Path("/")), board_name)
    service = Service()
    service.start()
    try:
        found = globals()[story](board, service)
    finally:
        service.kill()
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
