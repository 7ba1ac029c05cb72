"""The one table of names and ``docs/metrics.md`` say the same."""

import re
from pathlib import Path

from energymeter.serve import names

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")


def rows(title: str) -> list[list[str]]:
    """The table under a heading, without its head."""
    part = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    (section,) = [text for text in part if text.startswith(title)]
    lines = re.findall(r"^\| (`.*) \|$", section, re.MULTILINE)
    return [line.split(" | ") for line in lines]


def test_the_metrics_of_prometheus_are_those_of_the_page() -> None:
    made = [
        [f"`{m.name}`", m.kind, ", ".join(f"`{label}`" for label in m.labels) or "none", m.help]
        for m in names.METRICS
    ]
    assert rows("Prometheus") == made


def test_the_metrics_of_opentelemetry_are_those_of_the_page() -> None:
    assert rows("OpenTelemetry") == [[f"`{n}`", kind, f"`{unit}`"] for n, kind, unit in names.OTEL_NAMES]
    (attributes,) = re.findall(r"^- Attributes: (.*)\.$", PAGE, re.MULTILINE)
    assert attributes.split(", ") == [f"`{name}`" for name in names.OTEL_ATTRIBUTES]


def test_the_sensors_of_home_assistant_are_those_of_the_page() -> None:
    assert rows("MQTT") == [
        [f"`{s.kind}`", s.device_class or "none", s.state_class, s.unit or "none"] for s in names.MQTT_SENSORS
    ]
    for template in (names.MQTT_STATE, names.MQTT_AVAILABILITY, names.MQTT_DISCOVERY):
        shown = template.format(prefix="homeassistant", node="NODE_NAME", object="OBJECT_NAME", kind="KIND")
        assert f"`{shown}`" in PAGE


def test_no_name_is_given_anywhere_else() -> None:
    """Names that are put together elsewhere are names that nobody finds."""
    folder = Path(names.__file__).parent
    for path in folder.glob("*.py"):
        if path.name != "names.py":
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"[\"']energymeter_(?!\{)\w+|[\"']hw\.", text), path.name
