"""Planning without hardware: hours and inferences for a board, a duty cycle or an early exit."""

from typing import NamedTuple

from energymeter.battery.battery import Battery
from energymeter.boards import Board
from energymeter.errors import SpecError
from energymeter.text import percent

COURSE = (("jetson-nano", 2.0), ("raspberry-pi", 0.6), ("pi-zero-w", 0.15))
"""The course's boards and the round currents (A, at 5 V) of its battery table."""


class CourseRow(NamedTuple):
    """4 Ah at one of the course's currents, in hours, by both conventions."""

    board: str
    amps: float
    rail_hours: float
    cell_hours: float


def course_table() -> list[CourseRow]:
    """The course's table, compared with a 3.7 V cell behind a 90 % converter.

    >>> for row in course_table():
    ...     print(f"{row.board:13}{row.amps:5} A {row.rail_hours:6.2f} h {row.cell_hours:6.2f} h")
    jetson-nano    2.0 A   2.00 h   1.33 h
    raspberry-pi   0.6 A   6.67 h   4.44 h
    pi-zero-w     0.15 A  26.67 h  17.76 h
    """
    rail = Battery(4000, basis="rail")
    cell = Battery(4000, volts=3.7, efficiency=0.90, usable=1.0)
    return [
        CourseRow(name, amps, rail.hours(amps=amps) or 0, cell.hours(amps=amps) or 0) for name, amps in COURSE
    ]


def board_watts(board: Board) -> float:
    """The power to plan with for a board: the course's round current if there is one, else its busy power.

    Raises:
        SpecError: neither is known.
    """
    if board.course_amps is not None:
        return board.course_amps * 5.0
    if board.busy_watts is None:
        raise SpecError(f"the power of the {board.title} is not published: measure it and give its watts")
    return board.busy_watts


def duty_watts(busy_watts: float, idle_watts: float, duty: float) -> float:
    """Mean watts of a load that is busy a share ``duty`` of the time.

    Raises:
        SpecError: the duty is not between 0 and 1.
    """
    if not 0 <= duty <= 1:
        raise SpecError(f"a duty is a share in [0, 1], not {duty!r}: write 10% or 0.1")
    return duty * busy_watts + (1 - duty) * idle_watts


def periodic_watts(joules: float, every_seconds: float, idle_watts: float) -> float:
    """Mean watts of a job of ``joules`` (over idle) every so many seconds.

    Raises:
        SpecError: the period is not above 0, or the joules are negative.
    """
    if not every_seconds > 0 or joules < 0:
        raise SpecError(
            f"a job takes 0 J or more every so many seconds, not {joules!r} J every {every_seconds!r} s"
        )
    return idle_watts + joules / every_seconds


class Load(NamedTuple):
    """A planned load."""

    watts: float
    """Mean, at the rail."""
    description: str


def planned(
    board: Board | None = None,
    *,
    watts: float | None = None,
    idle_watts: float | None = None,
    duty: float | None = None,
    every_seconds: float | None = None,
    joules: float | None = None,
) -> Load | None:
    """The load that a board, or watts, a duty cycle or a periodic job describe; ``None``: nothing is given.

    Given values take precedence over those of the board.

    Raises:
        SpecError: a value is missing or impossible.
    """
    idle = idle_watts if idle_watts is not None else board.idle_watts if board else None
    if every_seconds is not None:
        if joules is None or idle is None:
            raise SpecError(
                "a periodic job needs its joules and the idle watts (as in --joules 2.1 --idle 0.5), "
                "or a board whose idle power is known"
            )
        mean = periodic_watts(joules, every_seconds, idle)
        return Load(mean, f"{joules:g} J every {every_seconds:g} s over {idle:g} W idle")
    busy = watts
    if busy is None and board is not None:
        # The course's round current is a mean; a duty cycle is between the measured busy and idle powers.
        busy = (board.busy_watts if duty is not None else None) or board_watts(board)
    if duty is not None:
        if busy is None or idle is None:
            raise SpecError("a duty cycle needs busy and idle watts, or a board with known ones")
        return Load(
            duty_watts(busy, idle, duty), f"{busy:g} W for {percent(duty)} of the time, else {idle:g} W"
        )
    if busy is None:
        return None
    return Load(busy, f"{board.title}, {busy:g} W" if board and watts is None else f"{busy:g} W")


def inferences_a_charge(battery: Battery, joules: float, watts: float | None = None) -> float:
    """The number of inferences of ``joules`` (at the rail) per charge; ``watts``: the power meanwhile.

    Raises:
        SpecError: the joules are not above 0.
    """
    if not joules > 0:
        raise SpecError(f"an inference costs more than 0 J, not {joules!r}")
    return battery.rail_joules(watts) / joules
