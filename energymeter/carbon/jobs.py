"""The carbon of jobs that are done many times, such as a training or the labs of a semester."""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from energymeter.carbon.amount import Energy, Known
from energymeter.carbon.emissions import Carbon, GridNow, footprint
from energymeter.errors import SpecError
from energymeter.text import html_table, significant, with_uncertainty


class Job(NamedTuple):
    """Something that is done ``times`` times.

    >>> Job("epoch", Known.of(watts=5, seconds=600, uncertainty=60), times=30).total().joules
    90000
    """

    name: str
    usage: Energy
    """What doing it once uses."""
    times: float = 1.0

    def total(self) -> Known:
        """What doing it all uses. A scaled measurement keeps its relative ±: the error is the same each time.

        Raises:
            SpecError: an impossible number of times.
        """
        if not 0 <= self.times < math.inf:
            raise SpecError(f'"{self.name}" cannot be done {self.times} times: give a number of 0 or more')
        once, spread = self.usage, self.usage.uncertainty
        return Known(
            once.joules * self.times,
            None if once.seconds is None else once.seconds * self.times,
            None if spread is None else spread * self.times,
            # The repeats were not measured, so the sum is a model.
            "modelled" if self.times != 1 and once.provenance == "measured" else once.provenance,
            once.place,
            once.coverage,
        )


class JobsTotal(NamedTuple):
    """The carbon of each job and of all together."""

    jobs: tuple[tuple[str, Carbon], ...]
    grams: float
    uncertainty: float | None
    """± grams, k = 2. Added linearly, because one meter and one grid have the same error in every job."""
    socket_kwh: float

    def __str__(self) -> str:
        lines = [f"{name}: {_grams(each)}, {_kwh(each)}" for name, each in self.jobs]
        return "\n".join([*lines, f"in all: {_grams(self)}, {_kwh(self)}"])

    def __repr__(self) -> str:
        return f"JobsTotal({self})"

    def _repr_html_(self) -> str:
        rows = [(name, _grams(each), _kwh(each)) for name, each in self.jobs]
        return html_table([*rows, ("in all", _grams(self), _kwh(self))], head=("job", "emissions", "energy"))


def _grams(of: "Carbon | JobsTotal") -> str:
    if of.uncertainty is None:
        return f"{significant(of.grams, 4)} g CO2e ± unknown"
    return with_uncertainty(of.grams, of.uncertainty, "g CO2e")


def _kwh(of: "Carbon | JobsTotal") -> str:
    return f"{significant(of.socket_kwh, 4)} kWh"


def estimate(jobs: Iterable[Job], grid: GridNow | str | None, **options: Any) -> JobsTotal:
    """What all jobs emit together: the epochs of a training, or the labs, trainings and demos of a semester.

    Args:
        jobs: what was done and how often.
        grid: the supply.
        options: as for :func:`energymeter.carbon.footprint`.

    Raises:
        SpecError: no jobs.
    """
    done = tuple((job.name, footprint(job.total(), grid, **options)) for job in jobs)
    if not done:
        raise SpecError("an estimate needs at least one job")
    spreads = [each.uncertainty for _, each in done]
    known = [spread for spread in spreads if spread is not None]
    return JobsTotal(
        done,
        sum(each.grams for _, each in done),
        sum(known) if len(known) == len(spreads) else None,
        sum(each.socket_kwh for _, each in done),
    )
