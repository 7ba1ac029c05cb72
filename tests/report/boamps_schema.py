"""The fields of a BoAmps report as a JSON schema, written from the names and types of its data model.

github.com/Boavizta/BoAmps, folder ``model``. Unlike theirs, unknown names are refused, so that a misspelt
field is noticed.
"""

from typing import Any

TEXT, NUMBER, COUNT = {"type": "string"}, {"type": "number"}, {"type": "integer"}
SHARE = {"type": "number", "minimum": 0, "maximum": 1}


def thing(required: str, **fields: Any) -> dict[str, Any]:
    """An object with these fields and no others."""
    return {
        "type": "object",
        "properties": fields,
        "required": required.split(),
        "additionalProperties": False,
    }


def several(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "items": item}


def one_of(words: str) -> dict[str, Any]:
    return {"enum": words.split()}


ALGORITHM = thing(
    "",
    trainingType=TEXT,
    algorithmType=TEXT,
    algorithmName=TEXT,
    algorithmUri=TEXT,
    foundationModelName=TEXT,
    foundationModelUri=TEXT,
    parametersNumber=NUMBER,
    framework=TEXT,
    frameworkVersion=TEXT,
    classPath=TEXT,
    layersNumber=NUMBER,
    epochsNumber=NUMBER,
    optimizer=TEXT,
    quantization=TEXT,
)
DATASET = thing(
    "dataUsage dataType",
    dataUsage=one_of("input output"),
    dataType=one_of("tabular audio boolean image video object text token word other"),
    dataFormat=TEXT,
    dataSize=NUMBER,
    dataQuantity=NUMBER,
    shape=TEXT,
    source=one_of("public private other"),
    sourceUri=TEXT,
    owner=TEXT,
)
MEASURE = thing(
    "measurementMethod powerConsumption",
    measurementMethod=TEXT,
    manufacturer=TEXT,
    version=TEXT,
    cpuTrackingMode=TEXT,
    gpuTrackingMode=TEXT,
    averageUtilizationCpu=SHARE,
    averageUtilizationGpu=SHARE,
    powerCalibrationMeasurement=NUMBER,
    durationCalibrationMeasurement=NUMBER,
    powerConsumption=NUMBER,
    measurementDuration=NUMBER,
    measurementDateTime={"type": "string", "pattern": r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$"},
)
COMPONENT = thing(
    "componentType nbComponent",
    componentName=TEXT,
    componentType=TEXT,
    nbComponent=COUNT,
    memorySize=NUMBER,
    manufacturer=TEXT,
    family=TEXT,
    series=TEXT,
    share=SHARE,
)
REPORT = thing(
    "task measures infrastructure",
    header=thing(
        "reportDatetime",
        licensing=TEXT,
        formatVersion=TEXT,
        formatVersionSpecificationUri=TEXT,
        reportId=TEXT,
        reportDatetime={"type": "string", "pattern": r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$"},
        reportStatus=one_of("draft final corrective other"),
        publisher=thing(
            "confidentialityLevel",
            name=TEXT,
            division=TEXT,
            projectName=TEXT,
            confidentialityLevel=one_of("public internal confidential secret"),
            publicKey=TEXT,
        ),
    ),
    task=thing(
        "taskStage taskFamily algorithms dataset",
        taskStage=TEXT,
        taskFamily=TEXT,
        nbRequest=NUMBER,
        algorithms=several(ALGORITHM),
        dataset=several(DATASET),
        measuredAccuracy=SHARE,
        estimatedAccuracy=one_of("veryPoor poor average good veryGood"),
        taskDescription=TEXT,
    ),
    measures=several(MEASURE),
    system=thing("os", os=TEXT, distribution=TEXT, distributionVersion=TEXT),
    software=thing("language", language=TEXT, version=TEXT),
    infrastructure=thing(
        "infraType components",
        infraType=one_of("publicCloud privateCloud onPremise other"),
        cloudProvider=TEXT,
        cloudInstance=TEXT,
        cloudService=TEXT,
        components=several(COMPONENT),
    ),
    environment=thing(
        "country",
        country=TEXT,
        latitude=NUMBER,
        longitude=NUMBER,
        location=TEXT,
        powerSupplierType=one_of("public private internal other"),
        powerSource=one_of("solar wind nuclear hydroelectric gas coal other"),
        powerSourceCarbonIntensity=NUMBER,
    ),
    quality=one_of("high medium low"),
)
