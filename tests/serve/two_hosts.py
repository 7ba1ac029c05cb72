"""What runs in the namespaces of two hosts: readers of an agent, and trials of the clock exchange.

``read SOURCE``
    Sample it. First comes ``ready`` and the ±ms to which the other clock is known. For each line
    ``START END PATIENCE`` of standard input, in ns of the clock here: the joules and the covered seconds of
    that window, as soon as it is known, or was waited for so long.
``relay HOST PORT SEED``
    A port, which is printed, that leads there, late by 20 ± 15 ms each way; ``cut`` and ``join``.
``trials PORT PIN MANY``
    Measure the offset of the clock there through a port here: one line of least, middle and most for each.
"""

import json
import random
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from devices.relay import Relay  # noqa: E402

from energymeter.errors import SourceMissing  # noqa: E402
from energymeter.sampling.agent import Address  # noqa: E402
from energymeter.sampling.agent_remote import _EXCHANGES, RemoteFeed  # noqa: E402
from energymeter.sampling.config import SourceConfig  # noqa: E402
from energymeter.sampling.sampler import Sampler  # noqa: E402
from energymeter.spec import parse  # noqa: E402

TOKEN = "0123456789abcdef" * 2
_AT_A_TIME, _TRIES = 20, 5


def say(*words: object) -> None:
    print(*words, flush=True)


def read(source: str) -> None:
    ((spec,),) = parse(source)
    sampler = Sampler([SourceConfig(spec)])
    sampler.start()
    (channel,) = sampler.channels
    known = [re.search(r"known to ±([\d.]+) ms", note) for note in channel.info.notes]
    say("ready", *(found[1] for found in known if found))
    for line in sys.stdin:
        start, end, patience = map(int, line.split())
        give_up = end + patience
        while channel.curve.last_ns() < end and time.monotonic_ns() < give_up:
            time.sleep(0.01)
        window = channel.curve.window(start, end)
        say(json.dumps([window.joules, window.covered_seconds, channel.curve.last_ns()]))
    sampler.stop()


def relay(host: str, port: str, seed: str) -> None:
    uneven = random.Random(int(seed))
    link = Relay((host, int(port)), lambda: uneven.uniform(5e-3, 35e-3), lambda: uneven.uniform(5e-3, 35e-3))
    say(link.port)
    for line in sys.stdin:
        if line == "cut\n":
            link.hang_up()
        else:
            link.cut = False
        say(time.monotonic_ns())


def trials(port: str, pin: str, many: str) -> None:
    def trial(_: int) -> tuple[int, int, float]:
        for _ in range(_TRIES):  # on a machine that is busy a connection may take too long, and says nothing
            feed = RemoteFeed(Address("127.0.0.1", int(port), "board"), pin, TOKEN)
            try:
                feed._questions = feed._connected()
                feed._measure(_EXCHANGES)
                known = feed._clock.at(time.monotonic_ns())
            except SourceMissing:
                continue
            finally:
                feed.close()
            assert known is not None
            return known.ns, known.bound_ns, feed.lag_seconds
        raise SystemExit("no trial came through")

    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        for known in pool.map(trial, range(int(many))):
            say(json.dumps(known))


if __name__ == "__main__":
    {"read": read, "relay": relay, "trials": trials}[sys.argv[1]](*sys.argv[2:])
