"""A report as a page: HTML, Markdown, TeX, or PDF by an engine that is installed here.

The page is one file. It holds no script, no link and nothing from the network, and every text in it that
comes from a file is escaped by the rules of its format.
"""

import base64
import hashlib
import importlib
import os
import re
import shutil
import subprocess
import tempfile
import unicodedata
from typing import TYPE_CHECKING, Any

from energymeter.errors import ExtraMissing, SpecError
from energymeter.report.method import method
from energymeter.report.plot import MOST_SPANS, plot_power
from energymeter.report.tables import Cell, Table, tables
from energymeter.text import (
    Estimate,
    duration,
    partly_measured,
    percent,
    plus_minus,
    printable,
    significant,
    time_text,
    with_uncertainty,
)
from energymeter.version import __version__

if TYPE_CHECKING:
    from energymeter.report.report import Report, ReportedRun

FORMATS = ("html", "md", "tex", "pdf")
TEMPLATES = os.path.join(os.path.dirname(__file__), "templates")
"""With ``page.html``, which every page of HTML extends."""
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_PDF_SECONDS = 120.0
_FIGURE = re.compile(r"[−-]?[\d.]+(e[-+]\d+)?( ± [\d.∞]+)?( at [\d.]+ V)?")
_OPTION = re.compile(r"\((--[a-z-]+)\)")
_WIDE, _NARROW = (7.08, 1.2), (3.45, 0.9)
"""Width, and height of the power, inches: of the figures of few runs, and of many in two columns."""
_MOST_WIDE = 3


class _Raw(str):
    """What a template made, and is escaped already."""


def render(report: "Report", form: str) -> str | bytes:
    """The page as text, or a PDF as bytes.

    Raises:
        SpecError: there is no such format, or nothing here makes a PDF.
        ExtraMissing: jinja2 is not installed; for HTML and PDF, matplotlib.
    """
    if form not in FORMATS:
        raise SpecError(f"a page is {', '.join(FORMATS)}, not {form!r}; choose one of them")
    if form == "pdf":
        return _pdf(render(report, "html"))
    try:
        import jinja2
    except ImportError:
        raise ExtraMissing("jinja2", "report", "a page") from None

    escaped: dict[str, Any] = {"html": None, "md": escape_markdown, "tex": escape_tex}
    delimiters: dict[str, Any] = (
        {"block_start_string": "<%", "block_end_string": "%>", "variable_start_string": "<<",
         "variable_end_string": ">>", "comment_start_string": "<#", "comment_end_string": "#>"}
        if form == "tex"
        else {}
    )  # fmt: skip
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=form == "html",
        finalize=escaped[form],
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **delimiters,
    )
    content: dict[str, Any] = {**_content(report, figures=form == "html"), "raw": _Raw}
    if form == "html":
        from markupsafe import Markup, escape

        def unbroken(text: str) -> Markup:
            """No line ends within the name of an option."""
            return Markup(_OPTION.sub(r'<span class="option">(\1)</span>', str(escape(text))))

        style = environment.get_template("report.css").render(content)
        content["unbroken"] = unbroken
        content["style"] = Markup(style)
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        content["policy"] = (
            f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; "
            "form-action 'none'"
        )
    return environment.get_template(f"report.{form}").render(content)


def _content(report: "Report", *, figures: bool) -> dict[str, Any]:
    """What the templates show."""
    several = len(report.runs) > 1
    made = tables(report)
    comparison = report.settings.comparison
    provenance = report.provenance
    size = _WIDE if len(report.runs) <= _MOST_WIDE else _NARROW
    return {
        "title": printable(report.settings.title),
        "workload": printable(report.settings.workload),
        "version": __version__,
        "provenance": provenance,
        "simulated": provenance == "simulated",
        "warning": _WARNINGS.get(provenance, ""),
        "headline": [] if several else _headline(report),
        "verdicts": []
        if comparison is None
        else [printable(str(verdict)) for verdict in comparison.verdicts],
        "arms": None if comparison is None else _arms(report),
        "figures": [_figure(run, *size) for run in report.runs] if figures else [],
        "narrow": size == _NARROW,
        "figure_captions": [_caption(run) for run in report.runs],
        "numbered": [(run.label, run.name) for run in report.runs] if report.numbered and several else [],
        "own_tables": [table for table in made if not table.asked_by],
        "course_tables": [table for table in made if table.asked_by],
        "is_figure": _is_figure,
        "method": method(report),
        "files": _files(report),
    }


_WARNINGS = {
    "simulated": "SIMULATED: at least one source of this page is simulated. Its figures are no measurements.",
    "modelled": "MODELLED: at least one source of this page is a model. Its figures are no measurements.",
    "manual": "MANUAL: at least one power of this page was typed in. Its figures are no measurements.",
}


def _figure(run: "ReportedRun", width_inches: float, height_inches: float) -> dict[str, str]:
    """The power of a run as a picture in the page itself, and the text in its place."""
    idle = run.usage.idle
    picture = plot_power(
        run.drawn_from,
        title=run.label,
        windows_s=run.windows_s,
        idle_watts=None if idle is None else idle.watts,
        width_inches=width_inches,
        height_inches=height_inches,
    )
    content = base64.b64encode(picture.to_bytes(".svg")).decode()
    return {"source": f"data:image/svg+xml;base64,{content}", "alt": picture.alt}


def _caption(run: "ReportedRun") -> str:
    """What a figure shows, with its ±."""
    usage = run.usage
    said = [
        run.label,
        f"{with_uncertainty(usage.joules, usage.uncertainty, 'J')} in {duration(usage.seconds)} (shaded)",
        f"{' + '.join(map(printable, usage.sources))}, {usage.provenance} at the {usage.place}",
    ]
    if partly_measured(usage.coverage):
        said.append(f"{percent(usage.coverage, 1)} of the time measured, gaps hatched")
    if len(run.trace.spans) > MOST_SPANS:
        said.append(f"spans of {len(run.trace.spans) - MOST_SPANS} more names are not drawn")
    return ". ".join(said) + "."


def _is_figure(cell: Cell) -> bool:
    return not cell.text or bool(_FIGURE.fullmatch(cell.text))


def _headline(report: "Report") -> list[tuple[str, str]]:
    """The few figures of a single run that are looked for first."""
    run = report.runs[0]
    unit = printable(report.unit)
    each, uncertainty = run.joules_per_unit, run.uncertainty_per_unit
    found = [(with_uncertainty(run.usage.joules, run.usage.uncertainty, "J"), "energy in all")]
    if each is not None and run.units != 1:
        found.insert(0, (with_uncertainty(each, uncertainty or 0.0, "J"), f"energy of one {unit}"))
    if run.usage.mean_watts is not None:
        found.append((f"{significant(run.usage.mean_watts)} W", "mean power"))
    if run.seconds_per_unit is not None and run.units != 1:
        found.append((time_text(run.seconds_per_unit), f"time of one {unit}"))
    hours: Estimate | None = run.hours
    if hours is not None:
        found.append((str(hours).partition(" (")[0], "on one battery charge"))
    return found


def _arms(report: "Report") -> Table:
    """The arms of the comparison side by side, of what `energymeter compare` prints."""
    comparison = report.settings.comparison
    assert comparison is not None
    unit = printable(comparison.runs[0].unit)
    head = ("Arm", "Program", "Runs", f"J per {unit}", "sd of a run", "W", f"Time per {unit}")
    rows = tuple(
        tuple(
            Cell(printable(text)) if text else Cell("", "one run has no spread")
            for text in (
                row.arm,
                row.program,
                str(row.runs),
                plus_minus(row.joules_per_unit, None),
                f"{100 * row.spread:.1f} %" if row.spread == row.spread else "",
                significant(row.watts),
                time_text(row.seconds_per_unit),
            )
        )
        for row in comparison.rows
    )
    return Table("Comparison", "", head, rows)


def _files(report: "Report") -> list[tuple[str, str]]:
    """Each raw file with its hash."""
    found = [run.file for run in report.runs]
    if report.idle_from is not None:
        found.append(report.idle_from.file)
    return [
        (
            file.name,
            "no hash: it is no regular file"
            if file.sha256 is None
            else f"{file.bytes} bytes, sha256 {file.sha256}",
        )
        for file in dict.fromkeys(found)
    ]


# Escaping -------------------------------------------------------------------------------------------------

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|~>$-])")


def escape_markdown(text: object) -> str:
    """A text that Markdown shows as it is: no markup, no HTML, and no link that a viewer finds by itself.

    >>> escape_markdown("<b>a_b</b> [x](https://example.org) | me@example.org")
    '&lt;b&gt;a\\\\_b&lt;/b&gt; \\\\[x\\\\]\\\\(https&#58;//example.org\\\\) \\\\| me&#64;example.org'
    """
    if isinstance(text, _Raw):
        return text
    shown = str(text).replace("&", "&amp;").replace("<", "&lt;")
    shown = _MARKDOWN.sub(lambda sign: "&gt;" if sign[0] == ">" else f"\\{sign[0]}", shown)
    shown = shown.replace("://", "&#58;//").replace("@", "&#64;")
    return re.sub(r"(?i)www\.", lambda found: f"{found[0][:3]}&#46;", shown)


_TEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%",
    "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}", "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}", "-": "-{}", "±": r"\ensuremath{\pm}", "−": r"\ensuremath{-}",
    "×": r"\ensuremath{\times}", "µ": r"\textmu{}", "μ": r"\textmu{}", "°": r"\textdegree{}",
    "₂": r"\textsubscript{2}", "∞": r"\ensuremath{\infty}", "…": r"\dots{}", "–": r"\textendash{}",
    "δ": r"\ensuremath{\delta}", "Ω": r"\ensuremath{\Omega}",
}  # fmt: skip
_BREAK_AFTER = "/._@:-+"
_LONG_WORD = 16


def escape_tex(text: object) -> str:
    """A text that TeX shows as it is; long words may break; pdfTeX names signs that it has no font for.

    >>> escape_tex(r"50 % of a_b \\input{x}")
    '50 \\\\% of a\\\\_b \\\\textbackslash{}input\\\\{x\\\\}'
    """
    if isinstance(text, _Raw):
        return text
    return " ".join(map(_tex_word, str(text).split(" ")))


def _tex_word(word: str) -> str:
    """A word, which may break where it is long."""
    shown: list[str] = []
    for number, sign in enumerate(word, 1):
        known = sign.isascii() or (ord(sign) < 256 and unicodedata.category(sign)[0] == "L")
        shown.append(_TEX.get(sign) or (sign if known else f"\\sign{{{ord(sign):04X}}}{{{sign}}}"))
        if len(word) > _LONG_WORD and (sign in _BREAK_AFTER or number % _LONG_WORD == 0):
            shown.append(r"\hspace{0pt}")
    return "".join(shown)


# PDF ------------------------------------------------------------------------------------------------------


def _pdf(html: str | bytes) -> bytes:
    """The page as PDF, by a browser or by WeasyPrint.

    Raises:
        SpecError: neither is installed, or the engine failed.
    """
    text = html if isinstance(html, str) else html.decode()
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is not None:
        return _printed(browser, text)
    try:
        weasyprint = importlib.import_module("weasyprint")
    except (ImportError, OSError):  # OSError: its libraries of C are missing
        raise SpecError(
            "a PDF needs chromium or WeasyPrint, and neither is installed: apt install chromium, or "
            "pip install weasyprint, or write HTML and print it"
        ) from None
    return bytes(weasyprint.HTML(string=text, url_fetcher=_no_fetching).write_pdf())


def _no_fetching(url: str, *_: object, **__: object) -> Any:
    raise ValueError(f"a report fetches nothing, not {url[:100]}")


def _printed(browser: str, html: str) -> bytes:
    """What a browser prints, without network and with a profile of its own."""
    with tempfile.TemporaryDirectory(prefix="energymeter-report.") as folder:
        source, target = os.path.join(folder, "report.html"), os.path.join(folder, "report.pdf")
        with open(source, "w", encoding="utf-8") as file:
            file.write(html)
        command = [
            browser,
            "--headless",
            "--disable-gpu",
            "--disable-extensions",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            "--no-default-browser-check",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={os.path.join(folder, 'profile')}",
            "--no-pdf-header-footer",
            f"--print-to-pdf={target}",
            *(["--no-sandbox"] if os.geteuid() == 0 else []),  # its sandbox refuses root
            f"file://{source}",
        ]
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PDF_SECONDS, check=False
            )
            with open(target, "rb") as file:
                content = file.read()
        except (OSError, subprocess.TimeoutExpired) as failure:
            why = "it took too long" if isinstance(failure, subprocess.TimeoutExpired) else "it wrote no page"
            raise SpecError(f"{browser} made no PDF ({why}); write HTML and print it") from failure
        if done.returncode or not content.startswith(b"%PDF"):
            raise SpecError(f"{browser} made no PDF (exit code {done.returncode}); write HTML and print it")
        return content
