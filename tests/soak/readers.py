"""Many readers of one agent, on demand: none loses a sample, and the agent's memory stays as it is.

python tests/soak/readers.py [SECONDS [LOCAL [REMOTE]]]      600 s, 50 local ones, 20 over the network
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from multiprocessing.queues import Queue
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from soak import resident_kb  # noqa: E402

from energymeter.drivers.agent import Agent  # noqa: E402
from energymeter.errors import SourceError  # noqa: E402
from energymeter.sampling.agent import VARIABLE  # noqa: E402
from energymeter.sampling.agent_remote import TOKEN_VARIABLE  # noqa: E402

RATE_HZ, WATTS, TOKEN = 100.0, 3.0, "of-this-run-alone-0123456789abcdef"
MORE_KB = 4096
"""How much the agent may grow once everybody is connected."""
_CONNECTED_SECONDS = 30.0


class Read(NamedTuple):
    """What one reader saw."""

    address: str
    samples: int
    lost: int
    longest_gap_seconds: float
    wrong: int
    """Samples of another power."""
    failure: str


def read(address: str, seconds: float, answers: "Queue[Read]") -> None:
    """Read every sample for so long."""
    source = Agent(address)
    samples = wrong = 0
    first_ns = last_ns = longest_ns = 0
    failure = ""
    try:
        source.open()
        end = time.monotonic() + seconds
        for _, reading in source.stream_parts():
            if reading.at_ns is not None and reading.watts is not None:
                samples += 1
                longest_ns = max(longest_ns, reading.at_ns - (last_ns or reading.at_ns))
                first_ns, last_ns = first_ns or reading.at_ns, reading.at_ns
                wrong += abs(reading.watts - WATTS) > 1e-9
            if time.monotonic() > end:
                break
    except SourceError as error:
        failure = str(error)
    answers.put(Read(address, samples, source.lost, longest_ns * 1e-9, wrong, failure))
    source.close()


def run(seconds: float, local: int, remote: int, folder: Path) -> list[str]:
    """Run it; what was wrong."""
    socket, token, settings = folder / "agent.sock", folder / "token", folder / "agent.ini"
    token.touch(0o600)
    token.write_text(TOKEN)
    settings.write_text(f"[source board]\nspec = manual:5V,0.6A\nrate = {RATE_HZ:g}\n")
    os.environ |= {VARIABLE: str(socket), TOKEN_VARIABLE: TOKEN}
    serving = subprocess.Popen(
        [
            sys.executable, "-m", "energymeter", "serve", "--config", str(settings), "--socket", str(socket),
            "--listen", "127.0.0.1:0", "--token-file", str(token),
        ],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    answers: Queue[Read] = multiprocessing.Queue()
    try:
        port = _port(serving)
        addresses = ["board"] * local + [f"127.0.0.1:{port}/board"] * remote
        readers = [
            multiprocessing.Process(target=read, args=(address, seconds, answers)) for address in addresses
        ]
        for reader in readers:
            reader.start()
        time.sleep(min(_CONNECTED_SECONDS, seconds / 2))
        before = resident_kb(serving.pid)
        seen = [answers.get(timeout=seconds + 120) for _ in readers]
        after = resident_kb(serving.pid)
        for reader in readers:
            reader.join()
    finally:
        serving.terminate()
        serving.wait()
    print(
        f"{len(seen)} readers, {sum(each.samples for each in seen)} samples; the agent {before} to {after} kB"
    )
    wrong = [f"{each.address}: {each.failure}" for each in seen if each.failure]
    wrong += [f"{each.address} lost {each.lost} samples" for each in seen if each.lost]
    wrong += [f"{each.address}: {each.wrong} samples of another power" for each in seen if each.wrong]
    wrong += [
        f"{each.address}: only {each.samples} samples"
        for each in seen
        if each.samples < 0.9 * RATE_HZ * seconds
    ]
    longest = max(each.longest_gap_seconds for each in seen)
    print(f"longest time between two samples: {longest:.3f} s")
    if after > before + MORE_KB:
        wrong.append(f"the agent grew by {after - before} kB")
    return wrong


def _port(serving: "subprocess.Popen[str]") -> int:
    """Where it says that it listens."""
    assert serving.stderr is not None
    for line in serving.stderr:
        print(line, end="")
        if "127.0.0.1:" in line:
            return int(line.rpartition("127.0.0.1:")[2].split("/")[0].split()[0])
    raise RuntimeError("the agent has ended")


if __name__ == "__main__":
    numbers = [float(text) for text in sys.argv[1:]]
    seconds, local, remote = [*numbers, *(600, 50, 20)[len(numbers) :]]
    with tempfile.TemporaryDirectory(prefix="em-") as folder:
        wrong = run(seconds, int(local), int(remote), Path(folder))
    print("\n".join(wrong) or "nothing was lost")
    sys.exit(bool(wrong))
