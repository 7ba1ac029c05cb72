"""The tables of a report: its results, and those that the course's labs ask for.

They are filled in from what is known. What is not is an empty cell with the reason, never a guess.

=====================  ==================================================================================
table                  who asks for it
=====================  ==================================================================================
benchmarking           Lab 2 of 2021: parameters, latency with its spread, energy as watts times seconds
carbon                 Lab 9 of 2021: idle and active draw, joules per inference, grid intensity
energy lab             labs of 2022 and 2023: model, hardware, method, batch, watt-hours, minutes, spread
one inference          lab of 2024: input size, parameters, kWh and kg, and the first ten latencies
=====================  ==================================================================================
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from energymeter.text import (
    Estimate,
    common_prefix,
    duration,
    partly_measured,
    percent,
    plus_minus,
    printable,
    significant,
)

if TYPE_CHECKING:
    from energymeter.report.report import Report, ReportedRun

_FIRST_CALLS = 10


class Cell(NamedTuple):
    """What stands in a table; an empty one has a reason."""

    text: str
    reason: str = ""


class Table(NamedTuple):
    """A table with its reasons; rows are runs."""

    title: str
    asked_by: str
    """Which lab asks for it; empty: the report itself."""
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""

    @property
    def reasons(self) -> dict[str, str]:
        """A letter for each reason why a cell is empty, in the order in which they appear."""
        found = dict.fromkeys(cell.reason for row in self.rows for cell in row if cell.reason)
        return {reason: _letter(number) for number, reason in enumerate(found)}

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain JSON types; an empty cell is null, with its reason."""
        return {
            "title": self.title,
            "asked_by": self.asked_by,
            "head": list(self.head),
            "rows": [[cell.text or None for cell in row] for row in self.rows],
            "reasons": [[cell.reason or None for cell in row] for row in self.rows],
            "note": self.note,
        }


def _letter(number: int) -> str:
    turn, place = divmod(number, 26)
    return f"{chr(97 + place)}{turn or ''}"


class _Value(NamedTuple):
    """A figure with its ±, or why there is none."""

    number: float | None
    uncertainty: float | None = None
    reason: str = ""


class _Column(NamedTuple):
    title: str
    cells: list[Cell]


def _texts(title: str, texts: Iterable[str | None], reason: str = "") -> _Column:
    return _Column(title, [Cell(printable(text)) if text else Cell("", reason) for text in texts])


def _figures(
    title: str, unit: str, values: Sequence[_Value], *, prefixed: bool = True, like: Sequence[_Value] = ()
) -> _Column:
    """A column of figures in one unit, which stands in its title.

    Args:
        prefixed: the unit may have an SI prefix.
        like: the prefix is that of these values.
    """
    known = [value.number for value in like or values if value.number is not None]
    scale, prefix = common_prefix(known) if prefixed else (1.0, "")
    cells = [
        Cell("", value.reason or "not known")
        if value.number is None
        else Cell(plus_minus(value.number / scale, value.uncertainty and value.uncertainty / scale))
        for value in values
    ]
    return _Column(f"{title} ({prefix}{unit})", cells)


_LARGE = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def _large(number: float, figures: int = 4) -> str:
    """A count to a few figures, as they are written of models.

    >>> _large(219_600_000, 2)
    '220 M'
    >>> _large(4_200_000), _large(569_000_000), _large(25.5e6), _large(960)
    ('4.2 M', '569 M', '25.5 M', '960')
    """
    rounded = float(f"{number:.{figures}g}")
    scale, prefix = next(((scale, prefix) for scale, prefix in _LARGE if rounded >= scale), (1.0, ""))
    return f"{rounded / scale:.10g} {prefix}".rstrip()


def _table(title: str, asked_by: str, columns: Sequence[_Column], note: str = "") -> Table:
    rows = tuple(zip(*(column.cells for column in columns), strict=True))
    return Table(title, asked_by, tuple(column.title for column in columns), rows, note)


_NO_UNITS = "how many units the run made is not stated (--units)"
_NO_IDLE = "no idle power is given (--idle)"
_NO_GRID = "no grid is given (--grid)"
_NO_VOLTS = "no charge was measured here"
_NO_MAKING = "no board is given whose making could be counted (--board)"
_NO_HARDWARE = "the log does not name it, and nobody states it (--hardware)"


def tables(report: "Report") -> list[Table]:
    """All of them, in the order of the page."""
    made = (
        _results,
        _per_unit,
        _benchmarking,
        _draw_and_carbon,
        _energy_lab,
        _one_inference,
        _first_calls,
        _footprint,
    )
    return [table for make in made if (table := make(report)) is not None]


def _names(report: "Report", title: str = "Run") -> _Column:
    return _texts(title, [run.label for run in report.runs])


def _of(report: "Report", value: "Callable[[ReportedRun], _Value]") -> list[_Value]:
    return [value(run) for run in report.runs]


# The report's own ------------------------------------------------------------------------------------------


def _results(report: "Report") -> Table:
    runs = report.runs
    volts = [
        f"{significant(run.usage.mah)} at {run.usage.mean_volts:.2f} V"
        if run.usage.mah is not None and run.usage.mean_volts is not None
        else significant(run.usage.mah)
        if run.usage.mah is not None
        else None
        for run in runs
    ]
    columns = [
        _names(report),
        _figures("Energy", "J", _of(report, lambda run: _Value(run.usage.joules, run.usage.uncertainty))),
        _figures("Net of idle", "J", _of(report, _net), prefixed=False),
        _figures("Mean power", "W", _of(report, _watts)),
        _figures(
            "Highest sample",
            "W",
            _of(report, lambda run: _Value(run.usage.peak_watts, None, "the file holds no power")),
        ),
        _texts("Time", [duration(run.usage.seconds) for run in runs]),
        _texts("Measured", [_share(run.usage.coverage) for run in runs]),
        _texts("Charge (mAh)", volts, _NO_VOLTS),
    ]
    note = "± is the meter's, with a coverage factor of 2 (about 95 %). Energy is that of the measured time."
    vague = [run.label for run in runs if run.accuracy_unknown]
    if vague:
        note += f" The accuracy of the meter is not known and not in the ±: {printable(', '.join(vague))}."
    return _table("Results", "", columns, note)


def _share(coverage: float) -> str:
    return percent(coverage, 1) if partly_measured(coverage) else "100 %"


def _watts(run: "ReportedRun") -> _Value:
    usage = run.usage
    watts = usage.mean_watts
    if watts is None or not usage.measured_seconds > 0:
        return _Value(None, None, "nothing was measured")
    return _Value(watts, usage.uncertainty / usage.measured_seconds)


def _net(run: "ReportedRun") -> _Value:
    idle = run.usage.idle
    if idle is None:
        return _Value(None, None, _NO_IDLE)
    return _Value(run.usage.net_joules, run.usage.net_uncertainty if idle.uncertainty > 0 else None)


def _joules_each(run: "ReportedRun") -> _Value:
    return _Value(run.joules_per_unit, run.uncertainty_per_unit, _NO_UNITS)


def _net_each(run: "ReportedRun") -> _Value:
    reason = _NO_IDLE if run.usage.idle is None else _NO_UNITS
    return _Value(run.net_joules_per_unit, run.net_uncertainty_per_unit, reason)


def _seconds_each(run: "ReportedRun") -> _Value:
    return _Value(run.seconds_per_unit, None, _NO_UNITS)


def _grams_each(run: "ReportedRun") -> _Value:
    return _Value(run.operational_grams_per_unit, run.operational_uncertainty_per_unit, _no_grams(run))


def _no_grams(run: "ReportedRun") -> str:
    if run.carbon is None:
        return _NO_GRID if run.usage.joules > 0 else "nothing was drawn"
    return _NO_UNITS


def _per_unit(report: "Report") -> Table | None:
    if not any(run.units for run in report.runs):
        return None
    unit = printable(report.unit)
    columns = [
        _names(report),
        _figures("Energy", "J", _of(report, _joules_each)),
        _figures("Net of idle", "J", _of(report, _net_each)),
        _figures("Time", "s", _of(report, _seconds_each)),
        _figures(
            "Energy of 1000",
            "Wh",
            _of(report, lambda run: _scaled(_joules_each(run), 1 / 3.6)),
        ),
        _figures("CO₂e", "g", _of(report, _grams_each)),
        _estimates("Per charge", [run.units_per_charge for run in report.runs], report),
        _estimates("Charge lasts", [run.hours for run in report.runs], report),
    ]
    battery = report.settings.battery
    label = (
        ""
        if battery is None
        else f" A charge is that of a battery of {battery.mah:g} mAh at {battery.volts:g} V."
    )
    return _table(f"For one {unit}", "", columns, f"In parentheses: 95 % interval.{label}" if label else "")


def _scaled(value: _Value, factor: float) -> _Value:
    number, uncertainty, reason = value
    return _Value(None if number is None else number * factor, uncertainty and uncertainty * factor, reason)


def _estimates(title: str, found: Sequence[Estimate | None], report: "Report") -> _Column:
    cells = [
        Cell(str(each)) if each is not None else Cell("", run.no_battery or _NO_UNITS)
        for each, run in zip(found, report.runs, strict=True)
    ]
    return _Column(title, cells)


# The course's ----------------------------------------------------------------------------------------------


def _benchmarking(report: "Report") -> Table:
    runs = report.runs
    unit = printable(report.unit)
    columns = [
        _names(report, "Model"),
        _parameters(report),
        _texts(
            "FLOPs",
            [None if run.stated.flops is None else _large(run.stated.flops) for run in runs],
            "not stated (--flops)",
        ),
        _texts("Accuracy", [_accuracy(run) for run in runs], "not stated (--accuracy)"),
        _batch(report),
        _figures("Latency", "s", _of(report, _seconds_each)),
        _figures("sd of latency", "s", _of(report, _seconds_spread), like=_of(report, _seconds_each)),
        _texts(
            "n",
            [None if run.calls is None else str(len(run.calls.counted_seconds)) for run in runs],
            _NO_SPAN,
        ),
        _figures("Mean power", "W", _of(report, _watts)),
        _figures("Energy", "J", _of(report, _joules_each)),
    ]
    note = f"Latency and energy are those of one {unit}; energy is mean power times latency."
    return _table("Parameters, latency, energy", "Lab 2 of 2021", columns, note)


_NO_SPAN = "the calls are not known one by one (--span)"


def _parameters(report: "Report") -> _Column:
    counts = [run.stated.parameters for run in report.runs]
    texts = [None if count is None else _large(count) for count in counts]
    return _texts("Parameters", texts, "not stated (--parameters)")


def _accuracy(run: "ReportedRun") -> str | None:
    return None if run.stated.accuracy is None else percent(run.stated.accuracy, 2)


def _batch(report: "Report") -> _Column:
    texts = [None if run.stated.batch is None else f"{run.stated.batch:g}" for run in report.runs]
    return _texts("Batch", texts, "not stated (--batch)")


def _seconds_spread(run: "ReportedRun") -> _Value:
    reason = _NO_SPAN if run.calls is None else "one call has no spread"
    return _Value(run.seconds_spread_per_unit, None, reason)


def _draw_and_carbon(report: "Report") -> Table:
    runs = report.runs
    grid = report.settings.grid
    idle = report.idle
    known = _Value(None, None, _NO_IDLE) if idle is None else _Value(idle.watts, idle.uncertainty or None)
    intensity = None if grid is None else significant(grid.now().grams_per_kwh, 4)
    columns = [
        _names(report, "Model"),
        _texts("Measured at the", [run.usage.place for run in runs]),
        _figures("Idle", "W", [known] * len(runs)),
        _figures("Active", "W", _of(report, _watts)),
        _figures("Time", "s", _of(report, _seconds_each)),
        _figures("Energy", "J", _of(report, _joules_each)),
        _figures("Net of idle", "J", _of(report, _net_each)),
        _texts("Grid (g/kWh)", [intensity] * len(runs), _NO_GRID),
        _figures("CO₂e", "g", _of(report, _grams_each)),
    ]
    note = f"Time, energy and CO₂e are those of one {printable(report.unit)}; its making is not in the CO₂e."
    return _table("Idle and active draw, carbon", "Lab 9 of 2021", columns, note)


def _energy_lab(report: "Report") -> Table:
    runs = report.runs
    columns = [
        _names(report, "Model"),
        _texts("Hardware", [run.stated.hardware for run in runs], _NO_HARDWARE),
        _texts("Measurement method", [_method(run) for run in runs]),
        _batch(report),
        _figures("Energy", "Wh", _of(report, lambda run: _Value(run.usage.wh, run.usage.uncertainty / 3600))),
        _texts("Minutes", [significant(run.usage.seconds / 60) for run in runs]),
        _figures("Energy of one", "Wh", _of(report, _wh_each)),
        _figures("Std dev of one", "Wh", _of(report, _spread), like=_of(report, _wh_each)),
        _figures("Carbon of the run", "g", _of(report, _operational)),
    ]
    note = (
        f"One is one {printable(report.unit)}; the standard deviation is that of calls, not of repeated runs."
    )
    return _table("Models and platforms", "Energy labs of 2022 and 2023", columns, note)


def _wh_each(run: "ReportedRun") -> _Value:
    return _scaled(_joules_each(run), 1 / 3600)


def _method(run: "ReportedRun") -> str:
    usage = run.usage
    rate = "" if run.rate_hz is None else f", {significant(run.rate_hz)} Hz"
    return f"{' + '.join(usage.sources)}, {usage.provenance} at the {usage.place}{rate}"


def _spread(run: "ReportedRun") -> _Value:
    spread = run.spread_per_unit
    if spread is not None:
        return _Value(spread / 3600)
    if run.calls is None:
        return _Value(None, None, _NO_SPAN)
    if run.calls.unresolved:
        return _Value(None, None, "a call is shorter than three samples, which do not show its own energy")
    return _Value(None, None, "fewer than two calls were measured fully")


def _operational(run: "ReportedRun") -> _Value:
    carbon = run.operation
    return _Value(None, None, _no_grams(run)) if carbon is None else _Value(carbon.grams, carbon.uncertainty)


def _one_inference(report: "Report") -> Table:
    runs = report.runs
    powers = [_power_of_ten(run.joules_per_unit, 3.6e6) for run in runs]
    grams = [_power_of_ten(run.operational_grams_per_unit, 1e3) for run in runs]
    columns = [
        _names(report, "Model"),
        _texts("Input size", [run.stated.input_size for run in runs], "not stated (--input-size)"),
        _parameters(report),
        _texts("Energy (kWh)", powers, _NO_UNITS),
        _Column(
            "Carbon (kg)",
            [Cell(text) if text else Cell("", _no_grams(run)) for text, run in zip(grams, runs, strict=True)],
        ),
    ]
    note = f"Of one {printable(report.unit)}, as the mean of all that count."
    return _table("One inference", "Lab of 2024", columns, note)


def _power_of_ten(number: float | None, divisor: float) -> str | None:
    return None if number is None else f"{number / divisor:.2e}"


def _first_calls(report: "Report") -> Table | None:
    """The latencies of the first ten calls, those that are left out included."""
    if report.settings.span is None:
        return None
    columns = [_names(report, "Model")]
    calls = [run.calls for run in report.runs]
    seconds = [[] if each is None else each.seconds[:_FIRST_CALLS].tolist() for each in calls]
    scale, prefix = common_prefix([one for each in seconds for one in each])
    for number in range(min(_FIRST_CALLS, max(map(len, seconds)))):
        texts = [significant(each[number] / scale) if number < len(each) else None for each in seconds]
        columns.append(_texts(str(number + 1), texts, "there are no more calls"))
    skipped = report.settings.skip
    left_out = (
        f" The first {skipped} are left out of every other figure."
        if skipped > 1
        else (" The first is left out of every other figure." if skipped else "")
    )
    return _table(f"The first calls ({prefix}s)", "Lab of 2024", columns, f"Warm-up shows here.{left_out}")


def _footprint(report: "Report") -> Table | None:
    """What goes beyond the operation: making, water, minerals; where a grid is given."""
    runs = report.runs
    if report.settings.grid is None:
        return None
    carbons = [run.carbon for run in runs]

    columns = [
        _names(report),
        _figures("Operation", "g", _of(report, _operational)),
        _texts(
            "Share of making (g)",
            [None if c is None or c.embodied_grams is None else c.embodied_grams.text(2) for c in carbons],
            _NO_MAKING,
        ),
        _figures("SCI per unit", "g", _of(report, lambda run: _Value(run.sci, None, _no_sci(run)))),
        _texts(
            "Units until operation equals making",
            [_break_even(run) for run in runs],
            _NO_MAKING,
        ),
        _texts(
            "Water (L)",
            [None if c is None or c.litres is None else significant(c.litres) for c in carbons],
            "no water per kWh is given, and no default is right (--litres-per-kwh)",
        ),
        _texts(
            "Minerals (kg Sb-eq)",
            [None if c is None or c.kg_sb_eq is None else c.kg_sb_eq.text(2) for c in carbons],
            "known of the making of a board alone (--board)",
        ),
    ]
    unit = printable(report.unit)
    note = f"Grams are of CO₂e. SCI after ISO/IEC 21031, of one {unit}. Ranges: typical (low to high)."
    return _table("Carbon, water, minerals", "", columns, note)


def _break_even(run: "ReportedRun") -> str | None:
    units = run.break_even_units
    if units is None:
        return None
    low, typical, high = (_large(each, 2) for each in units)
    return f"{typical} ({low} to {high})"


def _no_sci(run: "ReportedRun") -> str:
    return _no_grams(run) if run.operational_grams_per_unit is None else _NO_MAKING
