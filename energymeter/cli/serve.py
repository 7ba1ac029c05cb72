"""``energymeter serve``: own the meters of this machine, for many readers."""

import contextlib
import logging
import os
import signal
import threading
from typing import Any

import click

from energymeter.cli.options import with_options
from energymeter.cli.serve_options import exporter_arguments, exporter_options
from energymeter.errors import SpecError
from energymeter.sampling.agent import socket_paths
from energymeter.serve.agent import Agent, log
from energymeter.serve.config import Config
from energymeter.serve.exporters import ExporterSettings, begin, check_section, monitoring
from energymeter.serve.http import DEFAULT_LISTEN, HttpServer, Listen, read_token
from energymeter.serve.local import LocalServer, bound, group_number, inherited
from energymeter.serve.unit import units

_options = [
    click.option("--config", "file", type=click.Path(dir_okay=False), help="The sources and their readers."),
    click.option("--socket", help="The path of the Unix socket."),
    click.option("--group", help="A group whose members may connect."),
    click.option("--listen", help="HOST:PORT for other computers, as in 127.0.0.1:9736."),
    click.option("--token-file", help="The file of the token that a request must have."),
    click.option("--certificate", help="The TLS certificate, a PEM file."),
    click.option("--key", help="The key of the certificate, a PEM file."),
    click.option(
        "--unit", type=click.Choice(["user", "system"]), help="Print the systemd units that do this, and end."
    ),
    click.option("--always", is_flag=True, help="Sample also while nobody listens."),
]


@click.command()
@click.argument("sources", nargs=-1)
@lambda command: with_options(command, *_options)
@exporter_options
def serve(sources: tuple[str, ...], file: str | None, **options: Any) -> None:
    """Own SOURCES and sample them while somebody listens: EnergyMeter("agent") reads them.

    Ctrl-C ends it.
    """
    if options["printed"] is not None:
        click.echo(monitoring(options["printed"]), nl=False)
        return
    config = _config(sources, file, options)
    settings = ExporterSettings.of(config.sections, options)
    if options["unit"] is not None:
        arguments = _arguments(sources, file, options)
        click.echo(units(arguments, config.group, options["unit"] == "user", settings.written), nl=False)
        return
    listen = _listen(options, DEFAULT_LISTEN if settings.site else None)
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
        token, hosts = (None, ()) if listen is None else (listen.token, (listen.host,))
        site = begin(agent, settings, stack, token=token, hosts=hosts)
        if listen is not None:
            http = HttpServer(agent, listen, site)
            stack.callback(http.close)
            click.echo(f"listening at {listen.host}:{http.port}", err=True)
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
    config = Config.load(file, check_section) if file is not None else Config.of(sources)
    for name in ("socket", "group"):
        if options[name] is not None:
            config = config._replace(**{name: options[name]})
    return config._replace(always=config.always or options["always"]).checked()


def _arguments(sources: tuple[str, ...], file: str | None, options: dict[str, Any]) -> list[str]:
    """The command line again, with paths that hold from any folder."""
    words = list(sources)
    if file is not None:
        words += ["--config", os.path.abspath(file)]
    for name in ("token_file", "certificate", "key"):
        if options[name] is not None:
            words += [f"--{name.replace('_', '-')}", os.path.abspath(options[name])]
    for name in ("group", "listen"):
        if options[name] is not None:
            words += [f"--{name}", options[name]]
    words += exporter_arguments(options)
    return [*words, *(["--always"] if options["always"] else [])]


def _listen(options: dict[str, Any], usual: str | None) -> Listen | None:
    """Where the command line has the agent listen, else at the usual address; ``None``: nowhere.

    Raises:
        SpecError: it makes no sense, or would be open to everybody.
    """
    address = options["listen"] or usual
    if address is None:
        return None
    token = read_token(options["token_file"]) if options["token_file"] is not None else None
    return Listen.of(address, token, options["certificate"], options["key"])


def _usual_path() -> str:
    """The socket of this user, or of the system where there is no folder of this user."""
    paths = socket_paths()
    return paths[-1] if os.geteuid() == 0 else paths[0]
