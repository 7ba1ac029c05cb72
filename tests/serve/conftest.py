"""Agents for tests, each at a socket of its own."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator

import pytest

from energymeter.sampling import agent as client
from energymeter.serve.agent import Agent
from energymeter.serve.config import Config, SourceEntry
from energymeter.serve.local import LocalServer, bound


class Running:
    """An agent that serves at a Unix socket."""

    def __init__(self, path: str, specs: dict[str, tuple[str, float | None]], **options: object) -> None:
        entries = tuple(SourceEntry.of(name, text, rate) for name, (text, rate) in specs.items())
        self.path = path
        self.agent = Agent(Config(entries)._replace(**options))
        self.server = LocalServer(self.agent, bound(path, None), path=path)

    def close(self) -> None:
        self.server.close()
        self.agent.close()


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A short path, as a Unix socket needs, with no agent in it or anywhere else."""
    made = tempfile.mkdtemp(prefix="em-")
    monkeypatch.setenv(client.VARIABLE, os.path.join(made, "agent.sock"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
def serve(folder: str) -> Iterator[Callable[..., Running]]:
    """Start an agent; it ends with the test."""
    running: list[Running] = []

    def start(specs: dict[str, tuple[str, float | None]] | None = None, **options: object) -> Running:
        made = Running(
            os.path.join(folder, "agent.sock"), specs or {"pi": ("manual:5V,0.6A", 50.0)}, **options
        )
        running.append(made)
        return made

    yield start
    for made in running:
        made.close()
