"""An agent that serves at a Unix socket, for the tests of what its readers see."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator

import pytest

from energymeter.sampling.agent import VARIABLE
from energymeter.serve.agent import Agent
from energymeter.serve.config import Config
from energymeter.serve.local import LocalServer, bound


class AtSocket:
    """An agent and its server; close it in the end."""

    def __init__(self, path: str, config: Config) -> None:
        self.path = path
        self.agent = Agent(config)
        self.server = LocalServer(self.agent, bound(path, None), path=path)

    def close(self) -> None:
        self.server.close()
        self.agent.close()


@contextlib.contextmanager
def socket_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A short path, as a Unix socket needs, with no agent in it or anywhere else."""
    made = tempfile.mkdtemp(prefix="em-")
    monkeypatch.setenv(VARIABLE, os.path.join(made, "agent.sock"))
    try:
        yield made
    finally:
        shutil.rmtree(made)
