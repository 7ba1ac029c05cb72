"""``energymeter mark``: begin or end a phase of the ``energymeter run`` that started this program."""

import time

import click


@click.command()
@click.argument("name")
@click.argument("what", type=click.Choice(["start", "stop"]))
def mark(name: str, what: str) -> None:
    """Begin or end the phase NAME of the `energymeter run` that started this program."""
    at_ns = time.monotonic_ns()
    from energymeter.report.phases import send

    send(name, what, at_ns)
