"""``energymeter verify``: does a log prove its claim?"""

import json
from collections.abc import Sequence

import click

from energymeter.cli.options import Finite, Positive, json_option
from energymeter.errors import VerificationFailed
from energymeter.report.verification import Limits, Verification
from energymeter.report.verification import verify as verification

_DEFAULT = Limits()


@click.command()
@click.argument("logs", nargs=-1, required=True, metavar="LOG...")
@click.option("--strict", is_flag=True, help="A rule that the log cannot answer counts as failed.")
@click.option(
    "--uncertainty",
    type=Positive(),
    default=100 * _DEFAULT.uncertainty,
    show_default=True,
    help="The largest ± of the energy, in percent.",
)
@click.option(
    "--coverage",
    type=Finite(min=0, max=100),
    default=100 * _DEFAULT.coverage,
    show_default=True,
    help="The least measured share of the time, in percent.",
)
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    default=_DEFAULT.samples,
    show_default=True,
    help="The fewest samples in the calls of a span.",
)
@click.option(
    "--seconds",
    type=Positive(),
    default=_DEFAULT.seconds,
    show_default=True,
    help="The shortest run, unless a span has --calls calls.",
)
@click.option(
    "--calls",
    type=click.IntRange(min=1),
    default=_DEFAULT.calls,
    show_default=True,
    help="The fewest calls of a span in a shorter run.",
)
@json_option
def verify(
    logs: tuple[str, ...],
    strict: bool,
    uncertainty: float,
    coverage: float,
    samples: int,
    seconds: float,
    calls: int,
    as_json: bool,
) -> None:
    """Apply the rules of MLPerf's power measurements to each LOG.

    Each rule is passed, failed, or cannot be answered by the log. Exit code 15: a rule failed.
    """
    limits = Limits(coverage / 100, samples, uncertainty / 100, seconds, calls)
    found = [verification(path, limits) for path in logs]
    if as_json:
        click.echo(json.dumps([one.to_dict() for one in found]))
    else:
        click.echo("\n".join(map(str, found)))
    if any(one.failed or (strict and one.unknown) for one in found):
        raise VerificationFailed(_summary(found, strict))


def _summary(found: Sequence[Verification], strict: bool) -> str:
    """Which rules failed on which log."""
    named = [
        f"{one.path}: {', '.join([*one.failed, *(one.unknown if strict else [])])}"
        for one in found
        if one.failed or (strict and one.unknown)
    ]
    return f"not proved, by {'; '.join(named)}; each rule above names its remedy"
