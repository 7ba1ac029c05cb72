"""What else reads an agent in its process: its record, the page, ``/metrics``, MQTT, OTLP."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from energymeter.calibration.cards import Cards
from energymeter.clock import SystemClock
from energymeter.errors import SpecError
from energymeter.serve.batteries import Batteries
from energymeter.serve.feed import Feed
from energymeter.serve.record import RecordSettings, RollingRecord
from energymeter.serve.shared_folder import SharedFolder
from energymeter.serve.site import Site
from energymeter.serve.totals import Totals

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Sequence

    from energymeter.serve.push import LakePusher
    from energymeter.serve.record import Recorded
    from energymeter.serve.snapshot import Served
    from energymeter.serve.spans import EndedSpan

    class Source(Served, Recorded, Protocol):
        """What is read of a source of an agent."""


MONITORING = {"rules": "prometheus-rules.yml", "dashboard": "grafana-dashboard.json"}
"""What can be printed for other programs."""
_TOTALS = "totals.json"


class Listening(Protocol):
    """Samples are wanted until it is closed."""

    def close(self) -> None: ...


class Agent(Protocol):
    """What is read of an agent."""

    @property
    def state_folder(self) -> str: ...
    def sources(self) -> Sequence[Source]: ...
    def listen(self) -> Listening: ...
    def on_span(self, call: Callable[[str, EndedSpan], None]) -> None: ...


class ExporterSettings(NamedTuple):
    """What is asked for."""

    web: bool = False
    metrics: bool = False
    recordings: str | None = None
    """The folder whose recordings the page shows; None: that of the record."""
    mqtt: str | None = None
    mqtt_title: str = "energymeter"
    mqtt_prefix: str = "homeassistant"
    otlp: str | None = None
    otlp_host: str | None = None
    """The source that measures all of this machine."""
    budgets: tuple[str, ...] = ()
    record: RecordSettings | None = None
    """Where every sample is kept."""
    push: str | None = None
    """The lake that the record is pushed to."""
    push_endpoint: str | None = None

    @classmethod
    def of(cls, sections: Mapping[str, Mapping[str, str]], options: Mapping[str, Any]) -> ExporterSettings:
        """What a file asks for, and on top of it the command line.

        Raises:
            SpecError: an option lacks the one that it belongs to.
        """
        web, mqtt, otlp = (sections.get(title, {}) for title in ("web", "mqtt", "otlp"))
        kept, pushed = sections.get("record", {}), sections.get("push", {})
        record = options["record"] or kept.get("folder")
        size, period = (options[f"record_{name}"] or kept.get(name) for name in ("megabytes", "minutes"))
        if record is None and ("record" in sections or size or period):
            raise SpecError("a record needs a folder; give --record FOLDER, or folder = … in [record]")
        named = sections.get("budgets", {}).get("names", "").split()
        settings = cls(
            web="web" in sections or bool(options["web"]),
            metrics="metrics" in sections or bool(options["metrics"]),
            recordings=options["recordings"] or web.get("recordings"),
            mqtt=options["mqtt"] or mqtt.get("url"),
            mqtt_title=options["mqtt_title"] or mqtt.get("title", "energymeter"),
            mqtt_prefix=options["mqtt_prefix"] or mqtt.get("prefix", "homeassistant"),
            otlp=options["otlp"] or otlp.get("url"),
            otlp_host=options["otlp_host"] or otlp.get("host"),
            budgets=(*named, *options["budgets"]),
            record=None if record is None else RecordSettings.of(record, size, period),
            push=options["push"] or pushed.get("to"),
            push_endpoint=options["push_endpoint"] or pushed.get("endpoint"),
        )
        if settings.recordings is not None and not settings.web:
            raise SpecError("--recordings is for the page; give --web, too")
        if settings.otlp_host is not None and settings.otlp is None:
            raise SpecError("--otlp-host is for OpenTelemetry; give --otlp, too")
        if settings.push is None and ("push" in sections or settings.push_endpoint is not None):
            raise SpecError("a push needs a lake; give --push PATH|URL, or to = … in [push]")
        if settings.push is not None and record is None:
            raise SpecError("what is pushed is the record; give --record FOLDER, too")
        return settings

    @property
    def written(self) -> list[str]:
        """The folders that are written."""
        folders = [] if self.record is None else [self.record.folder]
        if self.push is not None and "://" not in self.push:
            folders.append(os.path.abspath(os.path.expanduser(self.push)))
        return folders

    @property
    def site(self) -> bool:
        """Whether somebody must answer HTTP."""
        return self.web or self.metrics

    @property
    def any(self) -> bool:
        """Whether anything reads the figures of the agent."""
        return self.site or self.mqtt is not None or self.otlp is not None


def check_section(title: str, keys: Mapping[str, str], sources: Sequence[str]) -> None:
    """Look at the values of one section of a file, whatever the command line says in their place.

    Raises:
        SpecError: one of them makes no sense.
    """
    if title == "record":
        RecordSettings.of(keys.get("folder", ""), keys.get("megabytes"), keys.get("minutes"))
    elif title == "mqtt" and "url" in keys:
        from energymeter.serve.mqtt import Broker

        Broker.parse(keys["url"])
    elif title == "otlp":
        from energymeter.serve.otel import checked_endpoint

        if "url" in keys:
            checked_endpoint(keys["url"])
        _check_host("host", keys.get("host"), sources)


def _check_host(what: str, host: str | None, sources: Sequence[str]) -> None:
    """Refuse a host that is no source: ``what`` is the key or the option that names it."""
    if host is not None and host not in sources:
        raise SpecError(f"{what} names no source of this agent; give one of: {', '.join(sources)}")


def monitoring(name: str) -> str:
    """The text of a file for other programs, one of `MONITORING`."""
    path = os.path.join(os.path.dirname(__file__), "monitoring", MONITORING[name])
    with open(path, encoding="utf-8") as file:
        return file.read()


def begin(
    agent: Agent,
    settings: ExporterSettings,
    stack: contextlib.ExitStack,
    *,
    token: str | None = None,
    hosts: Iterable[str] = (),
) -> Site | None:
    """Begin what is asked for; what answers HTTP, if something has to.

    Args:
        agent: whose sources are read from now on.
        settings: what is asked for.
        stack: ends it again, before the agent.
        token: that readers of the page and of ``/metrics`` must give.
        hosts: names of this agent, beyond those of the loopback.

    Raises:
        SpecError: an address makes no sense, or there is no such source.
        ExtraMissing: a client library is not installed.
    """
    pusher: LakePusher | None = None
    if settings.record is not None:
        record = RollingRecord(agent.sources(), settings.record.checked(len(agent.sources())))
        if settings.push is not None:
            from energymeter.serve.push import LakePusher

            pusher = LakePusher(record.folder, settings.push, settings.push_endpoint)
        stack.callback(agent.listen().close)
        stack.callback(record.close)
        agent.on_span(record.add_span)
        record.start()
        if pusher is not None:
            stack.callback(pusher.stop)
            pusher.start()
    if not settings.any:
        return None
    _check_host("--otlp-host", settings.otlp_host, [source.name for source in agent.sources()])
    clock = SystemClock()
    totals = Totals(os.path.join(agent.state_folder, _TOTALS))
    push = pusher.state if pusher is not None else lambda: None
    feed = Feed(agent.sources, totals, Batteries(settings.budgets, clock), Cards.here(None), clock, push)
    agent.on_span(feed.add_span)
    stack.callback(agent.listen().close)
    stack.callback(feed.take)
    exporter = None
    if settings.metrics:
        from energymeter.serve.prometheus import Exporter

        exporter = Exporter(feed)
    if settings.mqtt is not None:
        from energymeter.serve.mqtt import Broker, Publisher

        broker = Broker.parse(settings.mqtt)
        publisher = Publisher(feed, broker, prefix=settings.mqtt_prefix, title=settings.mqtt_title)
        publisher.start()
        stack.callback(publisher.stop)
    if settings.otlp is not None:
        from energymeter.serve.otel import Telemetry

        stack.callback(Telemetry(feed, settings.otlp, host=settings.otlp_host).stop)
    if not settings.site:
        return None
    shown = settings.recordings or (None if settings.record is None else settings.record.folder)
    folder = None if shown is None else SharedFolder(os.path.expanduser(shown))
    return Site(feed, page=settings.web, metrics=exporter, folder=folder, hosts=hosts, token=token)
