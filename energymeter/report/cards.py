"""A run as a card for other tools: BoAmps, Hugging Face, SPDX.

=============  =====================================================================================
card           fields after
=============  =====================================================================================
BoAmps         github.com/Boavizta/BoAmps, model/report_schema.json and the four that it refers to
Hugging Face   huggingface.co/docs/hub/model-cards-co2: ``co2_eq_emissions`` in the front matter
SPDX           SPDX 3.0.1, AI profile: ``ai_energyConsumption`` of an AIPackage
=============  =====================================================================================

A field that a card requires and that nobody states is an error that names the option, never a guess.
"""

import json
import math
from datetime import datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from energymeter.carbon.amount import JOULES_PER_KWH
from energymeter.errors import SpecError
from energymeter.report.method import method
from energymeter.report.tables import tables
from energymeter.text import printable
from energymeter.version import __version__

if TYPE_CHECKING:
    from energymeter.report.report import Report, ReportedRun

FORMATS = ("boamps", "huggingface", "spdx")
STAGES = ("training", "finetuning", "inference")
INFRASTRUCTURES = ("onPremise", "publicCloud", "privateCloud", "other")
DATA_TYPES = (
    "tabular", "audio", "boolean", "image", "video", "object", "text", "token", "word", "other",
)  # fmt: skip
_QUALITIES = ((0.10, "high"), (0.25, "medium"), (0.50, "low"))
"""Relative ± up to which BoAmps calls a report so."""
_TRAINING_TYPES = {"training": "pre-training", "finetuning": "fine-tuning"}


class Task(NamedTuple):
    """What the author states of the task, for the cards. ``None``: nothing."""

    stage: str | None = None
    family: str | None = None
    """As in ``image classification``."""
    data_type: str | None = None
    infrastructure: str | None = None


def everything(report: "Report") -> dict[str, Any]:
    """All that a report holds, as plain JSON types."""
    settings, idle = report.settings, report.idle_from
    comparison = settings.comparison
    fields: dict[str, Any] = {
        "energymeter": __version__,
        "title": settings.title,
        "workload": settings.workload,
        "provenance": report.provenance,
        "unit": report.unit,
        "idle_watts": None if report.idle is None else report.idle.watts,
        "idle_uncertainty": None if report.idle is None else report.idle.uncertainty or None,
        "idle_file": None if idle is None else idle.file._asdict(),
        "runs": [run.to_dict() for run in report.runs],
        "battery": None if settings.battery is None else repr(settings.battery),
        "method": method(report),
        "tables": [table.to_dict() for table in tables(report)],
        "comparison": None if comparison is None else comparison.to_dict(),
    }
    strict: dict[str, Any] = _strict(fields)
    return strict


def _strict(fields: Any) -> Any:
    """With null for what JSON has no number for, such as a ± that nothing bounds."""
    if isinstance(fields, dict):
        return {key: _strict(value) for key, value in fields.items()}
    if isinstance(fields, (list, tuple)):
        return [_strict(each) for each in fields]
    return None if isinstance(fields, float) and not math.isfinite(fields) else fields


def card(report: "Report", form: str, task: Task) -> str:
    """The card as text.

    Raises:
        SpecError: there are several runs, or a field that the card requires is not stated.
    """
    if len(report.runs) != 1:
        raise SpecError(f"a card describes one run, not {len(report.runs)}; give one recording")
    run = report.runs[0]
    if not run.usage.joules > 0:
        raise SpecError(f"{run.name} drew no energy that a card could state; give another recording")
    made = {"boamps": _boamps, "huggingface": _hugging_face, "spdx": _spdx}[form](report, run, task)
    return (
        made
        if isinstance(made, str)
        else json.dumps(made, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    )


def _required(card_name: str, **stated: object) -> None:
    missing = [f"--{name.replace('_', '-')}" for name, value in stated.items() if value is None]
    if missing:
        raise SpecError(f"a card of {card_name} needs what no log holds; give {', '.join(missing)}")


def _source(run: "ReportedRun") -> str:
    """Where the energy comes from, its provenance first: what is simulated must not pass as measured."""
    usage = run.usage
    provenance = usage.provenance.upper() if usage.provenance != "measured" else "measured"
    return printable(f"{provenance} with {' + '.join(usage.sources)} at the {usage.place}")


def _boamps(report: "Report", run: "ReportedRun", task: Task) -> dict[str, Any]:
    _required(
        "BoAmps",
        stage=task.stage,
        task=task.family,
        data_type=task.data_type,
        infrastructure=task.infrastructure,
    )
    usage, stated, grid = run.usage, run.stated, report.settings.grid
    header = run.trace.header
    requests = run.units if task.stage == "inference" else None
    algorithm = {
        "algorithmName": stated.name or None,
        "parametersNumber": None if stated.parameters is None else stated.parameters / 1e9,
    }
    idle = report.idle_from
    measure = {
        "measurementMethod": _source(run),
        "version": f"energymeter {__version__}",
        "powerConsumption": usage.joules / JOULES_PER_KWH,
        "measurementDuration": usage.seconds,
        "measurementDateTime": _date(run.trace.epoch_s),
        "powerCalibrationMeasurement": None if idle is None else idle.usage.joules / JOULES_PER_KWH,
        "durationCalibrationMeasurement": None if idle is None else idle.usage.seconds,
    }
    system = header.get("system")
    zone = None if grid is None else grid.now().zone
    fields: dict[str, Any] = _known(
        {
            "header": {
                "reportDatetime": _date(datetime.now(timezone.utc).timestamp()),
                "reportStatus": "draft",
            },
            "task": {
                "taskStage": task.stage,
                "taskFamily": task.family,
                "nbRequest": requests,
                "algorithms": [algorithm],
                "dataset": [{"dataUsage": "input", "dataType": task.data_type, "shape": stated.input_size}],
                "measuredAccuracy": stated.accuracy,
                "taskDescription": report.settings.workload or None,
            },
            "measures": [measure],
            "system": {"os": system.split(" ")[0]} if isinstance(system, str) and system.strip() else None,
            "infrastructure": {
                "infraType": task.infrastructure,
                "components": [
                    {"componentName": stated.hardware, "componentType": "board", "nbComponent": 1}
                ],
            },
            "environment": None
            if grid is None or zone is None
            else {"country": zone, "powerSourceCarbonIntensity": grid.now().grams_per_kwh},
            "quality": _quality(run),
        }
    )
    return fields


def _known(fields: Any) -> Any:
    """Without what is not known; an object that only names things may stay empty."""
    if isinstance(fields, dict):
        return {key: _known(value) for key, value in fields.items() if value is not None}
    if isinstance(fields, list):
        return [_known(each) for each in fields]
    return printable(fields) if isinstance(fields, str) else fields


def _date(epoch_s: float | None) -> str | None:
    """As BoAmps writes it, in UTC."""
    if epoch_s is None:
        return None
    try:
        return datetime.fromtimestamp(epoch_s, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return None


def _quality(run: "ReportedRun") -> str | None:
    """By the ± of the energy; ``None``: what is not measured, or has no ±, has no quality."""
    usage = run.usage
    share = usage.uncertainty / usage.joules
    if usage.provenance != "measured" or not share > 0:
        return None
    return next((word for most, word in _QUALITIES if share <= most), None)


def _hugging_face(report: "Report", run: "ReportedRun", task: Task) -> str:
    """The front matter of a model card; its texts are in JSON's quotes, which YAML reads."""
    _required("Hugging Face", stage=task.stage, grid=report.settings.grid, hardware=run.stated.hardware)
    carbon = run.carbon
    assert carbon is not None
    fields: dict[str, Any] = {
        "emissions": carbon.grams,
        "source": f"energymeter {__version__}: {_source(run)}; {carbon.grams_per_kwh:g} g/kWh, "
        f"{carbon.source}",
        "training_type": _TRAINING_TYPES.get(task.stage or ""),
        "geographical_location": carbon.zone,
        "hardware_used": run.stated.hardware,
    }
    lines = [
        f"  {key}: {_decimal(value) if isinstance(value, float) else _quoted(value)}"
        for key, value in fields.items()
        if value is not None
    ]
    return "\n".join(["---", "co2_eq_emissions:", *lines, "---", ""])


def _quoted(text: str) -> str:
    return json.dumps(printable(text), ensure_ascii=False)


def _decimal(number: float) -> str:
    """A number without an exponent, which YAML 1.1 and xsd:decimal read as one.

    >>> _decimal(1.5e-7), _decimal(3.0)
    ('0.00000015', '3.0')
    """
    return f"{Decimal(repr(number)):f}"


def _spdx(report: "Report", run: "ReportedRun", task: Task) -> dict[str, Any]:
    """The energy of an AIPackage in SPDX 3.0.1, to be pasted into it; its source is the comment."""
    _required("SPDX", stage=task.stage)
    unit = "" if run.units is None else f" for {run.units:g} × {printable(report.unit)}"
    return {
        "comment": f"{_source(run)}{unit}, ± {_decimal(run.usage.uncertainty / JOULES_PER_KWH)} kWh (k = 2), "
        f"by energymeter {__version__}",
        "ai_energyConsumption": {
            "type": "ai_EnergyConsumption",
            f"ai_{task.stage}EnergyConsumption": [
                {
                    "type": "ai_EnergyConsumptionDescription",
                    "ai_energyQuantity": _decimal(run.usage.joules / JOULES_PER_KWH),
                    "ai_energyUnit": "kilowattHour",
                }
            ],
        },
    }
