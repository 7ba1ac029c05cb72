"""A training and a whole-semester estimate, as the course asks: jobs, how often each, and their sum."""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from energymeter.carbon.emissions import Carbon, GridNow, footprint
from energymeter.carbon.energy import Energy, Known
from energymeter.errors import SpecError


class Job(NamedTuple):
    """Something that was, or will be, done ``times`` times.

    >>> Job("epoch", Known.of(watts=5, seconds=600, uncertainty=60), times=30).total().joules
    90000
    """

    name: str
    usage: Energy
    """Of doing it once."""
    times: float = 1.0

    def total(self) -> Known:
        """Of doing it all. One measurement scaled up keeps its relative ±: the error repeats each time.

        Raises:
            SpecError: a number of times that cannot be.
        """
        if not 0 <= self.times < math.inf:
            raise SpecError(f'"{self.name}" cannot be done {self.times} times')
        once, spread = self.usage, self.usage.uncertainty
        return Known(
            once.joules * self.times,
            None if once.seconds is None else once.seconds * self.times,
            None if spread is None else spread * self.times,
            # A number of repeats that was not watched makes a model of a measurement.
            "modelled" if self.times != 1 and once.provenance == "measured" else once.provenance,
            once.place,
            once.coverage,
        )


class Estimate(NamedTuple):
    """The carbon of each job and of all."""

    jobs: tuple[tuple[str, Carbon], ...]
    grams: float
    uncertainty: float | None
    """± grams, k = 2. Added up without quadrature: one meter and one grid err the same way everywhere."""
    socket_kwh: float

    def __str__(self) -> str:
        spread = "± unknown" if self.uncertainty is None else f"± {self.uncertainty:.2g}"
        lines = [f"{name}: {each.grams:.4g} g CO2e, {each.socket_kwh:.4g} kWh" for name, each in self.jobs]
        return "\n".join([*lines, f"in all: {self.grams:.4g} g CO2e {spread}, {self.socket_kwh:.4g} kWh"])


def estimate(jobs: Iterable[Job], grid: GridNow | str | None, **options: Any) -> Estimate:
    """What all jobs emit together: the epochs of a training, or the labs, trainings and demos of a semester.

    Args:
        jobs: what was done, once each, and how often.
        grid: whose electricity.
        options: as for :func:`energymeter.carbon.footprint`.

    Raises:
        SpecError: no jobs.
    """
    done = tuple((job.name, footprint(job.total(), grid, **options)) for job in jobs)
    if not done:
        raise SpecError("an estimate needs at least one job")
    spreads = [each.uncertainty for _, each in done]
    known = [spread for spread in spreads if spread is not None]
    return Estimate(
        done,
        sum(each.grams for _, each in done),
        sum(known) if len(known) == len(spreads) else None,
        sum(each.socket_kwh for _, each in done),
    )
