"""``energymeter align``: clock offset and drift between two recordings."""

import json

import click

from energymeter.calibration.alignment import align as alignment
from energymeter.cli.options import json_option, loaded


@click.command()
@click.argument("a")
@click.argument("b")
@json_option
def align(a: str, b: str, as_json: bool) -> None:
    """How far the clock of recording B is from that of A, by the steps of the load that both saw."""
    one, other = loaded(a, "align", quiet=as_json), loaded(b, "align", quiet=as_json)
    found = alignment(one.time_s, one.watts, other.time_s, other.watts)
    answer = {**found._asdict(), "read_as": [one.read_as, other.read_as], "notes": [*one.notes, *other.notes]}
    click.echo(json.dumps(answer) if as_json else str(found))
