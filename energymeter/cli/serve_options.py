"""Options of ``energymeter serve`` for what reads its agent: the record, the page, ``/metrics``, …"""

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from energymeter.cli.options import with_options

F = TypeVar("F", bound=Callable[..., Any])


def exporter_options(command: F) -> F:
    """Options that `energymeter.serve.exporters.ExporterSettings` reads."""
    return with_options(
        command,
        click.option("--web", is_flag=True, help="A page for a browser."),
        click.option(
            "--recordings",
            type=click.Path(file_okay=False),
            help="The page shows the recordings in this folder.",
        ),
        click.option("--metrics", is_flag=True, help="/metrics for Prometheus."),
        click.option(
            "--mqtt", help="Publish for Home Assistant: mqtt://host:1883, or mqtts://user@host:8883."
        ),
        click.option("--mqtt-title", help="Name of the device there; energymeter."),
        click.option("--mqtt-prefix", help="Of discovery; homeassistant."),
        click.option("--otlp", help="Send to a collector of OpenTelemetry: http://host:4318."),
        click.option("--otlp-host", help="The source that measures all of this machine."),
        click.option("--record", type=click.Path(file_okay=False), help="Keep every sample in this folder."),
        click.option("--record-megabytes", help="Its size; 1000. The oldest files go first."),
        click.option("--record-minutes", help="Of one file; 60."),
        click.option("--push", help="Push the record to this lake: a folder, or s3://bucket/folder."),
        click.option("--push-endpoint", help="URL of a store that speaks S3."),
        click.option("--budget", "budgets", multiple=True, help="Show this budget; may be given again."),
        click.option(
            "--print",
            "printed",
            type=click.Choice(["rules", "dashboard"]),
            help="Print alerts for Prometheus, or a dashboard for Grafana, and end.",
        ),
    )


def exporter_arguments(options: Mapping[str, Any]) -> list[str]:
    """The same options as a command line, with a path that holds from any folder."""
    words = [f"--{name}" for name in ("web", "metrics") if options[name]]
    for name in ("recordings", "record"):
        if options[name] is not None:
            words += [f"--{name}", os.path.abspath(options[name])]
    for name in (
        "record_megabytes",
        "record_minutes",
        "mqtt",
        "mqtt_title",
        "mqtt_prefix",
        "otlp",
        "otlp_host",
    ):
        if options[name] is not None:
            words += [f"--{name.replace('_', '-')}", options[name]]
    return [*words, *(word for name in options["budgets"] for word in ("--budget", name))]
