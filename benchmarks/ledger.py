"""Eight processes debit one ledger for a minute, some are killed: is the sum right to the microjoule?

`python benchmarks/ledger.py [SECONDS]`. Every writer says ``will RUN AMOUNT`` before a debit and ``done RUN``
after it; each debit is reported twice, as after a crash. What was said to be done must be there, once; what
a killed writer was about to do may be there, once; nothing else may.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from energymeter.budget.ledger import Debit, Ledger


def write(path: str, budget: int, seed: int, debits: int) -> None:
    """One writer: so many debits of random amounts."""
    ledger, rng = Ledger(path), random.Random(seed)
    for i in range(debits):
        run, amount = f"{seed}-{os.getpid()}-{i}", rng.randrange(1, 10**9)
        say(f"will {run} {amount}")
        for _ in range(2):
            ledger.record(budget, run, "", Debit(amount, None, 1000, None, "measured", "bench"))
        say(f"done {run}")


def say(text: str) -> None:
    """One whole line immediately, so that a kill cannot tear it."""
    os.write(1, (text + "\n").encode())


def stress(seconds: float) -> tuple[int, int, int, bool]:
    """(debits, writers killed, microjoules, right)."""
    rng = random.Random(1)
    said: list[str] = []
    killed = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite3"
        budget = Ledger(path).create("bench", "{}", "{}")
        ends = time.monotonic() + seconds
        writers = [start(path, budget, seed, said) for seed in range(8)]
        while time.monotonic() < ends:
            time.sleep(0.5)
            place = rng.randrange(8)
            writer, reader = writers[place]
            writer.send_signal(signal.SIGKILL)
            writer.wait()
            reader.join()
            killed += 1
            writers[place] = start(path, budget, 100 + killed, said)
        for writer, reader in writers:
            writer.send_signal(signal.SIGKILL)
            writer.wait()
            reader.join()
        ledger = Ledger(path)
        there = {line.run: round(line.joules * 1e6) for line in ledger.lines(budget)}
        _, total, _, lines = ledger.totals(budget)
    will = {words[1]: int(words[2]) for words in map(str.split, said) if words[0] == "will"}
    done = {words[1] for words in map(str.split, said) if words[0] == "done"}
    right = (
        done <= set(there) <= set(will)
        and all(will[run] == amount for run, amount in there.items())
        and lines == len(there)
        and total == sum(there.values())
    )
    return len(there), killed + 8, total, right


def start(
    path: Path, budget: int, seed: int, said: list[str]
) -> tuple["subprocess.Popen[str]", threading.Thread]:
    """A writer, and the thread that listens to it."""
    command = [sys.executable, __file__, "--write", str(path), str(budget), str(seed), "1000000"]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    reader = threading.Thread(target=said.extend, args=(writer.stdout,))
    reader.start()
    return writer, reader


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        write(sys.argv[2], *(int(word) for word in sys.argv[3:]))
    else:
        import click

        debits, kills, amount, right = stress(float(sys.argv[1]) if sys.argv[1:] else 60.0)
        click.echo(
            f"{debits} debits by 8 processes, {kills} kills: {amount} µJ, {'right' if right else 'WRONG'}"
        )
        sys.exit(not right)
