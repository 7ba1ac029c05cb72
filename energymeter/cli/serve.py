"""``energymeter serve``: own the meters of this machine, for many readers."""

import contextlib
import logging
import os
import signal
import threading
from typing import Any

import click

from energymeter.cli.options import with_options
from energymeter.errors import SpecError
from energymeter.sampling.agent import socket_paths
from energymeter.serve.agent import Agent, log
from energymeter.serve.config import Config
from energymeter.serve.local import LocalServer, bound, group_number, inherited

_options = [
    click.option("--config", "file", type=click.Path(dir_okay=False), help="The sources and their readers."),
    click.option("--socket", help="The path of the Unix socket."),
    click.option("--group", help="A group whose members may connect."),
    click.option("--always", is_flag=True, help="Sample also while nobody listens."),
]


@click.command()
@click.argument("sources", nargs=-1)
@lambda command: with_options(command, *_options)
def serve(sources: tuple[str, ...], file: str | None, **options: Any) -> None:
    """Own SOURCES and sample them while somebody listens: EnergyMeter("agent") reads them.

    Ctrl-C ends it.
    """
    config = _config(sources, file, options)
    log.addHandler(logging.StreamHandler())
    log.setLevel(logging.INFO)
    path = config.socket or _usual_path()
    group = group_number(config.group)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with contextlib.ExitStack() as stack:
        given = inherited()
        listening = given[0] if given else bound(path, group)
        agent = Agent(config)
        stack.callback(agent.close)
        server = LocalServer(agent, listening, group, "" if given else path)
        stack.callback(server.close)
        _exporters(agent, config, stack, options)
        names = ", ".join(source.name for source in agent.sources())
        click.echo(f"serving {names} at {path if not given else 'the socket of systemd'}", err=True)
        ended.wait()


def _config(sources: tuple[str, ...], file: str | None, options: dict[str, Any]) -> Config:
    """What the command line asks for.

    Raises:
        SpecError: it makes no sense.
    """
    if file is not None and sources:
        raise SpecError("name the sources in the file of --config, or on the command line; leave one out")
    config = Config.load(file) if file is not None else Config.of(sources)
    for name in ("socket", "group"):
        if options[name] is not None:
            config = config._replace(**{name: options[name]})
    return config._replace(always=config.always or options["always"]).checked()


def _exporters(agent: Agent, config: Config, stack: contextlib.ExitStack, options: dict[str, Any]) -> None:
    """What else reads the agent in this process; whatever must end with it goes onto the stack."""


def _usual_path() -> str:
    """The socket of this user, or of the system where there is no folder of this user."""
    paths = socket_paths()
    return paths[-1] if os.geteuid() == 0 else paths[0]
