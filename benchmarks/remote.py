"""An agent at 1 kHz and its reader over the network: what each takes of a core.

Both run here, on loopback and without TLS. What the agent's own sampler takes is in `sampling`, not in here.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _figures import ROOT, Figure, children, processor_ns

from energymeter import EnergyMeter
from energymeter.sampling.agent import VARIABLE
from energymeter.sampling.agent_remote import TOKEN_VARIABLE

_TOKEN = "of-this-benchmark-alone-0123456789"
_RATE_HZ = 1000
_LIMIT = 2.0
_SETTLING_SECONDS = 2.0
"""The clock is measured first, and what the start takes is no part of a share."""


def measure(short: bool) -> dict[str, Figure]:
    """Per cent of a core on either side, once the stream runs."""
    with tempfile.TemporaryDirectory(prefix="em-") as name:
        folder = Path(name)
        token, settings = folder / "token", folder / "agent.ini"
        token.touch(0o600)
        token.write_text(_TOKEN)
        settings.write_text(f"[source board]\nspec = manual:5V,0.6A\nrate = {_RATE_HZ}\n")
        before = dict(os.environ)
        os.environ |= {VARIABLE: str(folder / "agent.sock"), TOKEN_VARIABLE: _TOKEN}
        command = [
            sys.executable, "-m", "energymeter", "serve", "--config", str(settings),
            "--listen", "127.0.0.1:0", "--token-file", str(token),
        ]  # fmt: skip
        agent = subprocess.Popen(
            command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True
        )
        try:
            address, others = f"agent@127.0.0.1:{_port(agent)}/board", children(os.getpid())
            with EnergyMeter(address, rate_hz=_RATE_HZ):
                (reader,) = set(children(os.getpid())) - {*others}
                shares = _shares((reader, agent.pid), 5.0 if short else 20.0)
        finally:
            agent.terminate()
            agent.wait()
            os.environ.clear()
            os.environ.update(before)
    return {
        f"{who} over the network at 1 kHz": Figure(100 * share, "%", _LIMIT)
        for who, share in zip(("reading", "serving"), shares, strict=True)
    }


def _port(agent: "subprocess.Popen[str]") -> int:
    """Where it says that it listens."""
    assert agent.stderr is not None
    for line in agent.stderr:
        if "127.0.0.1:" in line:
            return int(line.rpartition("127.0.0.1:")[2].split("/")[0].split()[0])
    raise RuntimeError("the agent has ended")


def _shares(pids: tuple[int, ...], seconds: float) -> list[float]:
    time.sleep(_SETTLING_SECONDS)
    before, begun = [processor_ns(pid) for pid in pids], time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - begun
    return [1e-9 * (processor_ns(pid) - ns) / took for pid, ns in zip(pids, before, strict=True)]
