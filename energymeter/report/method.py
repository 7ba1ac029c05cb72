"""The method paragraphs of a report: what was really done, by what the logs say and by nothing else."""

from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from energymeter.meter.conditions import Conditions
from energymeter.report.report import typical_hz
from energymeter.text import duration, partly_measured, percent, plus_minus, printable, significant

if TYPE_CHECKING:
    from energymeter.reading import Band, Facts
    from energymeter.recordings.trace import Trace
    from energymeter.report.report import Report, ReportedRun

_MOST_TEXT = 200
_MOST_NOTES = 20
_PLACES = {
    "wall": "at the wall, before the power supply",
    "rail": "at the supply rail of the board",
    "cell": "at the battery, before the converter",
    "die": "on the die; the rest of the board is not included",
}
_SEMANTICS = {
    "instant": "instants, joined by straight lines",
    "mean": "means over the time since the sample before",
    "counter": "differences of a counter in the hardware",
}
_QUANTITIES = {"volts": "V", "amps": "A", "watts": "W", "joules": "J", "coulombs": "C"}


def method(report: "Report") -> list[str]:
    """The paragraphs, as plain text."""
    made = (_systems, _windows, _dropped, _uncertainty, _idle, _carbon, _battery, _comparison)
    paragraphs = [*([each] for each in _grouped(report, _meter)), *(make(report) for make in made)]
    return [printable(" ".join(sentences)) for each in paragraphs if (sentences := [*filter(None, each)])]


def _grouped(report: "Report", say: "Callable[[ReportedRun], str]") -> list[str]:
    """A sentence for all runs where they have the same, else one for each group that has."""
    groups: dict[str, list[str]] = {}
    for run in report.runs:
        groups.setdefault(say(run), []).append(run.label)
    if len(groups) == 1:
        return [*groups]
    return [f"{_listed(names)}: {_uncapitalised(text)}" for text, names in groups.items() if text]


def _uncapitalised(text: str) -> str:
    return text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text


def _listed(names: Iterable[str]) -> str:
    """As in ``a, b and c``."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


# The meter ------------------------------------------------------------------------------------------------


def _meter(run: "ReportedRun") -> str:
    return " ".join(sentence for part in run.trace.parts for sentence in _channel(part, run) if sentence)


def _channel(part: "Trace", run: "ReportedRun") -> list[str]:
    facts, name = part.facts, " + ".join(part.names)
    how = {
        "measured": f"Power was measured with {name}",
        "manual": f"Power was not measured but typed in as {name}, for a meter",
        "modelled": f"Power was not measured but modelled by {name}, as of a meter",
        "simulated": f"Power was not measured but SIMULATED by {name}, as of a meter",
    }[facts.provenance]
    sentences = [f"{how} {_PLACES[facts.place]}."]
    if not run.trace.header:
        known = f"; it was read as {run.trace.read_as}" if run.trace.read_as else ""
        sentences.append(f"The file is no log of energymeter{known}.")
    asked = _asked_rate(part)
    typical = typical_hz(part)
    rate = "" if typical is None else f" {significant(typical)} a second"
    wanted = "" if asked is None else f" ({significant(asked)} were asked for)"
    sentences.append(f"Its {len(part)} samples,{rate}{wanted}, are {_SEMANTICS[facts.semantics]}.")
    sentences.append(_accuracy(facts))
    card = part.calibration
    sentences.append(
        f"It was {card.title}."
        if card is not None
        else "No calibration card was applied."
        if facts.provenance == "measured"
        else ""
    )
    return sentences


def _asked_rate(part: "Trace") -> float | None:
    """Readings a second that were asked for, as a log of ours says."""
    channels = part.header.get("channels")
    for channel in channels if isinstance(channels, list) else ():
        rate = channel.get("rate_hz")
        if channel.get("name") in part.names and isinstance(rate, (int, float)) and 0 < rate < 1e9:
            return float(rate)
    return None


def _accuracy(facts: "Facts") -> str:
    bands = [_band(getattr(facts, name), unit, name) for name, unit in _QUANTITIES.items()]
    known = [text for text in bands if text]
    if not known:
        return "Its accuracy is not known." if facts.provenance == "measured" else ""
    return f"Limits of its data sheet: {'; '.join(known)}."


def _band(band: "Band | None", unit: str, name: str) -> str:
    """As in ``volts ±0.5 % ±10 mV, resolution 4 mV``."""
    if band is None or not any(band):
        return ""
    gain = f" ±{significant(100 * band.gain)} %" if band.gain else ""
    offset = f" ±{significant(band.offset)} {unit}" if band.offset else ""
    step = (
        f"{',' if gain or offset else ''} resolution {significant(band.resolution)} {unit}"
        if band.resolution
        else ""
    )
    return f"{name}{gain}{offset}{step}"


# The system -----------------------------------------------------------------------------------------------


def _systems(report: "Report") -> list[str]:
    return [
        *_grouped(report, _device),
        *_grouped(report, _software),
        *_grouped(report, _machine),
        *_compared(report),
        *_grouped(report, _started),
    ]


def _device(run: "ReportedRun") -> str:
    if run.stated.hardware:
        return f"Device, as stated by the author: {run.stated.hardware}."
    known = Conditions.in_header(run.trace.header)
    if known is not None and known.board:
        return f"Device, as it names itself: {_text(known.board)}."
    return "The log does not name the device."


def _software(run: "ReportedRun") -> str:
    header = run.trace.header
    system = _text(header.get("system"))
    if not system:
        return "The file does not name the operating system."
    version, python = _text(header.get("energymeter")), _text(header.get("python"))
    by = f"; recorded by energymeter {version} under Python {python}" if version and python else ""
    return f"Operating system: {system}{by}."


def _text(value: Any) -> str:
    """A text from the header of a log, which anybody may have written."""
    return printable(value) if isinstance(value, str) and len(value) <= _MOST_TEXT else ""


def _machine(run: "ReportedRun") -> str:
    """What a log says of the machine when it began."""
    known = Conditions.in_header(run.trace.header)
    if known is None:
        return "Governor, power mode and temperature are not in the log."
    silent = [
        name
        for name, value in (
            ("governor", known.governor),
            ("power mode", known.power_mode),
            ("temperature", known.celsius),
        )
        if value is None
    ]
    unknown = f"; the machine does not say its {_listed(silent)}" if silent else ""
    return f"At its start: {printable(str(known))}{unknown}."


def _compared(report: "Report") -> list[str]:
    """What a comparison recorded around its runs."""
    comparison = report.settings.comparison
    if comparison is None:
        return []
    seen = dict.fromkeys(
        f"{run.before.board or 'a board that is not named'}, governor {run.before.governor or 'not known'}, "
        f"power mode {run.before.power_mode or 'not known'}"
        for run in comparison.runs
    )
    warmest = [run.after.celsius for run in comparison.runs if run.after.celsius is not None]
    heat = f"; {min(warmest):.0f} to {max(warmest):.0f} °C after the runs" if warmest else ""
    return [f"The runs of the comparison were made on {' and '.join(seen)}{heat}."]


def _started(run: "ReportedRun") -> str:
    epoch = run.trace.epoch_s
    if epoch is None:
        return "The file does not say when it was recorded."
    try:
        date = datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return "The file does not say when it was recorded."
    return f"Recorded on {date}."


# The windows ----------------------------------------------------------------------------------------------


def _windows(report: "Report") -> list[str]:
    count = len(report.runs)
    return [f"{_plural(count, 'run')} in all." if count > 1 else "", *_grouped(report, _window)]


def _window(run: "ReportedRun") -> str:
    calls = run.calls
    if calls is not None:
        kept = len(calls.counted_seconds)
        text = f"Energy and time are those of {_plural(kept, 'call')} of the span {calls.span!r}"
        held = len(calls.seconds)
        if held < calls.made:
            text += f", of {calls.made} in the run, of which the log holds the first {held}"
        return f"{text}; each began and ended where the program said so. {_unit_sentence(run)}".strip()
    window = run.stated_window
    if window is not None:
        where = f"the time from {window[0]:g} to {window[1]:g} s of the recording, as stated by the author"
    elif run.trace.window_s is not None:
        where = "the block that the program measured, whose start and end are in the log"
    else:
        where = "all samples, from the first to the last; the file does not say when the program ran"
    return f"Energy and time are those of {where}. {_unit_sentence(run)}".strip()


def _unit_sentence(run: "ReportedRun") -> str:
    units = run.units
    if units is None:
        return "How many units the run made is not stated, so that no figure is per unit."
    if run.calls is not None and run.stated.units is None:
        made = run.units_counted
        return "" if made is None else f"The program counted {made:g} units in them."
    where = "a call" if run.calls is not None else "the run"
    return f"Units in {where}, as stated by the author: {run.stated.units:g}."


def _plural(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _dropped(report: "Report") -> list[str]:
    return [*_warmup(report), *_grouped(report, _coverage), *_notes(report)]


def _warmup(report: "Report") -> list[str]:
    skip = report.settings.skip
    if report.settings.span is None:
        return ["Nothing was left out as a warm-up; whether there was one before is not in the log."]
    if not skip:
        return ["No call was left out as a warm-up."]
    first = "first call of each run was" if skip == 1 else f"first {skip} calls of each run were"
    return [f"The {first} left out as a warm-up."]


def _coverage(run: "ReportedRun") -> str:
    usage = run.usage
    missed = "" if not usage.missed else f" {_plural(usage.missed, 'reading')} were missed."
    if not partly_measured(usage.coverage):
        return f"All of the time was measured.{missed}"
    each = " A figure per unit takes the power there to be the mean, and so has no ±." if run.units else ""
    return (
        f"{percent(usage.coverage, 1)} of the time was measured; what flowed in the other "
        f"{duration(usage.gap_seconds)} is not in the energy.{each}{missed}"
    )


def _notes(report: "Report") -> list[str]:
    """What the reading of a file, and its meter, remarked: rows that were left out, damage, throttling."""
    said = [(run.label, note) for run in report.runs for note in run.usage.notes]
    groups: dict[str, list[str]] = {}
    for name, note in said:
        groups.setdefault(note, []).append(name)
    shown = [f"{_listed(names)}: {note}." for note, names in [*groups.items()][:_MOST_NOTES]]
    more = len(groups) - _MOST_NOTES
    return [*shown, f"And {more} more notes."] if more > 0 else shown


# The figures ----------------------------------------------------------------------------------------------


def _uncertainty(report: "Report") -> list[str]:
    return [
        "± has a coverage factor of 2 (about 95 %) and covers the meter's accuracy, noise, resolution "
        "and the edges of the windows; it does not cover how runs differ.",
        *_grouped(report, _largest_cause),
    ]


def _largest_cause(run: "ReportedRun") -> str:
    shares = sorted(run.usage.components, key=lambda share: -abs(share.joules))
    whole = sum(share.joules**2 for share in shares)
    if not whole > 0:
        return "No cause of a ± is known, so none is stated."
    part = shares[0].joules ** 2 / whole
    return f"Its largest cause is {shares[0].cause} ({percent(part)} of its square)."


def _idle(report: "Report") -> list[str]:
    idle, recorded = report.idle, report.idle_from
    if idle is None:
        return ["No idle power is given, so all energy is gross."]
    watts = plus_minus(idle.watts, idle.uncertainty or None)
    net = "Net figures are gross ones less this power times the time; a common offset of the meter cancels."
    if recorded is None:
        return [
            f"The idle power, as stated by the author without a ±, is {watts} W.",
            net.partition(";")[0] + ".",
        ]
    usage = recorded.usage
    source = f"{' + '.join(usage.sources)}, {usage.provenance}"
    other = [run.label for run in report.runs if run.usage.sources != usage.sources]
    warning = f"Warning: {_listed(other)} was measured with another meter." if other else ""
    return [
        f"The idle power is {watts} W, the mean of {duration(usage.seconds)} with {source} "
        f"({recorded.file.name}).",
        net,
        warning,
    ]


def _carbon(report: "Report") -> list[str]:
    if report.settings.grid is None:
        return ["No grid is given, so there are no grams of CO₂e."]
    carbons = [(run.label, run.carbon) for run in report.runs]
    sentences: dict[str, list[str]] = {}
    for name, carbon in carbons:
        if carbon is None:
            continue
        where = ", ".join(str(part) for part in (carbon.zone, carbon.year) if part) or "zone not named"
        kind = "marginal " if carbon.marginal else ""
        text = (
            f"CO₂e is energy at the socket times {significant(carbon.grams_per_kwh, 4)} {kind}g/kWh "
            f"({where}; {carbon.source})."
        )
        notes = [note for note in carbon.notes if not note.startswith(("the energy is", "only "))]
        sentences.setdefault(
            " ".join([text, *(f"{note[:1].upper()}{note[1:]}." for note in notes)]), []
        ).append(name)
    if len(sentences) == 1:
        return [*sentences]
    return [f"{_listed(names)}: {text}" for text, names in sentences.items()]


def _battery(report: "Report") -> list[str]:
    battery = report.settings.battery
    if battery is None:
        return []
    if not any(run.hours for run in report.runs):
        return []
    unknown = (
        "The cell is known only by its label: the value is the median of such cells, with a wide interval."
    )
    return [
        f"Battery: {repr(battery).removeprefix('Battery(').removesuffix(')')}.",
        "A charge lasts its energy at the rail divided by the mean power.",
        "" if battery.known else unknown,
    ]


def _comparison(report: "Report") -> list[str]:
    comparison = report.settings.comparison
    if comparison is None:
        return []
    runs = comparison.verdict.runs
    turns = f"in turns, {_plural(runs, 'pair')}" if comparison.paired else f"{runs} of each arm"
    dropped = f" The first {comparison.dropped} of each arm were left out." if comparison.dropped else ""
    return [
        f"The comparison is of {_plural(len(comparison.runs), 'run')}, {turns}.{dropped}",
        *(f"{note[:1].upper()}{note[1:]}." for note in comparison.notes),
    ]
