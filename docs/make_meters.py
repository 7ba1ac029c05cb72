"""Writes ``docs/meters.md`` from what the drivers say: ``.venv/bin/python docs/make_meters.py [RATES]``.

RATES: new rates, as the tests in the virtual machine left them (``make bench-hw-rates``); they are kept in
``docs/rates.json`` until newer ones come.
"""

import inspect
import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from energymeter.reading import Band, Facts  # noqa: E402
from energymeter.spec import driver_names, load_driver, options_of  # noqa: E402

PLACES = {
    "csv": ("run.csv", {"watts": "W"}),
    "exec": ("my-meter", {"unit": "W"}),
    "fnirsi_ble": ("AA:BB:CC:DD:EE:FF", {}),
    "http": ("http://192.168.1.7/", {"unit": "W"}),
    "kasa": ("192.168.1.40", {}),
    "manual": ("7.2W", {}),
    "replay": ("run.csv", {}),
    "shelly": ("192.168.1.20", {}),
    "tasmota": ("192.168.1.30", {}),
}
"""A place, and the options without which there is no source, for drivers that have no place of their own."""

HEAD = """\
# Meters

What each driver reads, how exactly, and what it was tested on. Every line comes from the driver itself:
`.venv/bin/python docs/make_meters.py` writes this page, and a test fails when it is stale.

No figure here was taken on a real meter of ours unless the last table says so: an *emulated wire* speaks the
protocol as its sources describe it, and *recorded* bytes came from somebody's real device.

"""
RATES = ROOT / "docs" / "rates.json"
RATES_HEAD = """\
As fast as one program reads, in the best of three tries, through Linux's own drivers and device nodes; what
is behind them is emulated. Device, kernel and program share one emulated processor, so these are lower bounds
of what driver and kernel can do: a real machine is faster, a real bus or meter often slower.
`make bench-hw-rates` takes them again.

Taken on: {machine}.

"""
FRESH_HEAD = """\
Nothing is read faster than it is renewed, except where the last column says why. A value that repeats within
its renewal is no second measurement, and its age is part of the ± of every window's edges. A *mean* is one of
the time since the reading before; *lags by* is averaging that the device does by itself.

"""
REPORTS_HEAD = """\
`energymeter devices --acceptance SOURCE` checks a meter in ten minutes: identity, noise, rate, zero, a known
resistor, unplugging, and its counters against the integral. The report contains no personal data. Please
attach it to an issue; it will be listed here.

"""
UNITS = {"volts": "V", "amps": "A", "watts": "W", "joules": "J", "coulombs": "C"}
PREFIXES = ((1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))


SOURCES = r"[Ss]ource|github\.com|Documentation/|Figures|Fields|Registers|Layout|\.java|from memory"


def main(rates: str | None = None) -> None:
    """Write the page, after keeping new rates."""
    silent = [
        f"drivers/{name}.py: {lacks}" for name in driver_names() for lacks in lacking(docstring_of(name))
    ]
    if silent:
        sys.exit("\n".join([*silent, "See docs/write-a-driver.md for a docstring that has it all."]))
    if rates is not None:
        keep(Path(rates))
    (ROOT / "docs" / "meters.md").write_text(page(), encoding="utf-8")


def page() -> str:
    """The whole page."""
    reads = [["driver", "reads", "options"]]
    facts = [["driver", "says", "readings a second: default, most", "limits of error", "steps"]]
    fresh = [
        [
            "driver",
            "mean or instant",
            "renewed every",
            "lags by up to",
            "read at most every",
            "what renews it",
        ]
    ]
    trust = [["driver", "counters of its own", "loss", "tested on"]]
    for name in driver_names():
        driver = load_driver(name)
        described = docstring_of(name)
        place, options = PLACES.get(name, ("", {}))
        known = driver(place, **options).facts if place else driver().facts
        code = f"`{name}`"
        first = described.partition("\n")[0].removeprefix(f"{name}: ").replace("``", "`")
        reads.append([code, first, _options(driver)])
        facts.append(
            [code, _says(known), f"{known.default_hz:g}, {known.max_hz:g}", *_exactness(known, described)]
        )
        fresh.append([code, *_freshness(known), label(described, "Renewal")])
        trust.append([code, *(label(described, one) for one in ("Counters", "Loss", "Tested on"))])
    sections = (
        ("What they read", _table(reads)),
        ("How exactly", _table(facts)),
        ("How fresh", FRESH_HEAD + _table(fresh)),
        ("How fast through the kernel", _rates()),
        ("How far to trust", _table(trust)),
        ("Reports from real hardware", _reports()),
    )
    return HEAD + "\n".join(f"## {title}\n\n{text}" for title, text in sections)


def _reports(folder: Path = ROOT / "docs" / "acceptance") -> str:
    """Links to the reports that users sent."""
    reports = sorted(folder.glob("*.md")) if folder.is_dir() else []
    if not reports:
        return REPORTS_HEAD + "None exists yet.\n"
    titles = [report.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ") for report in reports]
    return REPORTS_HEAD + "".join(
        f"- [{title}](acceptance/{report.name})\n" for title, report in zip(titles, reports, strict=True)
    )


def keep(new: Path) -> None:
    """Make these the rates of the page, and note this machine's processor."""
    if not new.exists():
        sys.exit(f"there is no {new}: the virtual machine was not run")
    taken = json.loads(new.read_text(encoding="utf-8"))
    processor = re.search(r"^model name\s*: (.*)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    taken["machine"] += f" on {processor[1].strip() if processor else 'an unknown processor'}"
    RATES.write_text(json.dumps(taken, indent=1) + "\n", encoding="utf-8")


def _rates() -> str:
    taken = json.loads(RATES.read_text(encoding="utf-8"))
    rows = [[f"`{driver}`", through, f"{hz:.0f}"] for driver, through, hz in sorted(taken["rates"])]
    return RATES_HEAD.format(**taken) + _table([["driver", "through", "readings a second"], *rows])


def docstring_of(name: str) -> str:
    """What the file of a driver says of itself."""
    return inspect.getmodule(load_driver(name)).__doc__ or ""  # type: ignore[union-attr]


def lacking(docstring: str) -> list[str]:
    """What the docstring of a driver's file does not say, one sentence each; empty: it says all."""
    if not docstring.strip():
        return ["the file has no module docstring; begin it with one that says what the meter is"]
    tested = label(docstring, "Tested on")
    said = {
        "a line `Counters: …`, what the meter itself adds up, or `none.`": label(docstring, "Counters"),
        "a line `Renewal: …`, how often its values are renewed": label(docstring, "Renewal"),
        "a line `Loss: …`, how a sample that never came is noticed, or `none: ` and why": label(
            docstring, "Loss"
        ),
        "a line `Tested on: …; real hardware: … .`": re.search(r"; real hardware: .+\.$", tested),
        "how its readings join, such as `Semantics: instants.`": re.search(
            r"\b(instant|mean|counter|curve)s?\b", docstring
        ),
        "where its figures come from, such as `Sources: …`, or the words `from memory`": re.search(
            SOURCES, docstring
        ),
    }
    return [f"the module docstring lacks {what}" for what, found in said.items() if not found]


def label(docstring: str, name: str) -> str:
    """What a docstring's line ``name: …`` says; empty if it has none."""
    found = re.search(rf"^{name}: (.*(?:\n    .*)*)", docstring, re.MULTILINE)
    return re.sub(r"\s+", " ", found[1]).replace("``", "`") if found else ""


def _options(driver: Any) -> str:
    """The options that a spec may give, and their defaults."""
    address = next(iter(inspect.signature(driver).parameters.values())).default
    at = [f"`@{address}`"] if address else []
    # a default that differs from member to member of a family stands in the class
    defaults = {k: getattr(driver, f"module_{k}", p.default) for k, p in options_of(driver).items()}
    return ", ".join(at + [f"`{k}={_default(default)}`" for k, default in defaults.items()])


def _default(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else f"{value}"


def _says(facts: Facts) -> str:
    return f"{facts.semantics}, {facts.place}, {facts.provenance}"


def _freshness(facts: Facts) -> tuple[str, str, str, str]:
    return (
        facts.semantics,
        _amount(facts.renewal_seconds, "s") if facts.renewal_seconds else "-",
        _amount(facts.smoothing_seconds, "s") if facts.smoothing_seconds else "-",
        _amount(1 / facts.max_hz, "s"),
    )


def _exactness(facts: Facts, described: str) -> tuple[str, str]:
    bands: dict[str, Band] = {unit: band for q, unit in UNITS.items() if (band := getattr(facts, q))}
    limits = [limit for unit, band in bands.items() if (limit := _limit(band, unit))]
    steps = [_amount(band.resolution, unit) for unit, band in bands.items() if band.resolution]
    return "; ".join(limits) or label(described, "Accuracy") or "not known", ", ".join(steps)


def _limit(band: Band, unit: str) -> str:
    parts = [f"{band.gain * 100:.3g} %"] if band.gain else []
    parts += [_amount(band.offset, unit)] if band.offset else []
    return f"{unit}: ±({' + '.join(parts)})" if parts else ""


def _amount(value: float, unit: str) -> str:
    size, prefix = next((p for p in PREFIXES if value >= p[0] * 0.9995), PREFIXES[-1])
    return f"{value / size:.4g} {prefix}{unit}"


def _table(rows: list[list[str]]) -> str:
    head, *body = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ["---"] * len(head), *body))


if __name__ == "__main__":
    main(*sys.argv[1:])
