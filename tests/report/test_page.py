"""The page: nothing in a file can write markup into it, nothing is fetched, and what is simulated says so."""

import base64
import hashlib
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from comparison.simulated_runs import compared, simulated
from hypothesis import given
from hypothesis import strategies as st
from report.recorded import record, reported

from energymeter.carbon.grid import Grid
from energymeter.errors import ExtraMissing, SpecError
from energymeter.reading import Facts
from energymeter.recordings import thinning
from energymeter.recordings.trace import Trace
from energymeter.report import decimation
from energymeter.report import page as page_module
from energymeter.report.page import FORMATS, escape_markdown, escape_tex, render
from energymeter.report.plot import plot_power
from energymeter.report.report import Stated

pytest.importorskip("matplotlib")

HOSTILE = (
    "<script>alert(1)</script> <img src=x onerror=1> \"'&|"
    " [x](http://e.org) \\input{/etc/passwd} $x$ `c` #{}%_^~"
)
TEXTS = ("html", "md", "tex")
SVG = "{http://www.w3.org/2000/svg}"


class Parsed(HTMLParser):
    """The tags, attributes and text of a page."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def made(form: str, *paths: str, **options: object) -> str:
    text = render(reported(*paths, **options), form)  # type: ignore[arg-type]
    assert isinstance(text, str)
    return text


def hostile_page(tmp_path: Path, form: str) -> str:
    stated = Stated(HOSTILE, 10, input_size=HOSTILE, hardware=HOSTILE)
    runs = [one._replace(program=HOSTILE) for one in simulated(6, (50, 40), lambda number: 0.0)]
    return made(
        form,
        record(tmp_path / f"{form}-<b>x&.csv", name=HOSTILE),
        stated=stated,
        title=HOSTILE,
        workload=HOSTILE,
        unit=HOSTILE,
        grid=Grid(grams_per_kwh=400, source=HOSTILE),
        comparison=compared(runs),
    )


@pytest.mark.parametrize("form", TEXTS)
def test_signs_that_do_not_show_are_escapes(tmp_path: Path, form: str) -> None:
    hidden = "a\x1b[2J\u202eb\x00c\nd"
    source = made(
        form,
        record(tmp_path / "a.csv"),
        stated=Stated(hidden, hardware=hidden, input_size=hidden),
        title=hidden,
        workload=hidden,
        unit=hidden,
    )
    assert not set("\x1b\u202e\x00") & set(source)
    assert "x1b" in source


def test_html_holds_no_script_and_no_link_and_fetches_nothing(tmp_path: Path) -> None:
    source = hostile_page(tmp_path, "html")
    parsed = Parsed(source)
    assert not {"script", "a", "link", "iframe", "object", "b>x", "form", "base"} & set(parsed.tags)
    assert not [name for name, _ in parsed.attributes if name.startswith("on") or name in ("href", "style")]
    sources = [str(value) for name, value in parsed.attributes if name == "src"]
    assert [text[:26] for text in sources] == ["data:image/svg+xml;base64,"]
    (picture,) = pictures(source)
    assert not {each.tag for each in picture.iter()} & {f"{SVG}script", f"{SVG}a", f"{SVG}image"}
    assert HOSTILE in parsed.text
    policy = next(
        value for name, value in parsed.attributes if name == "content" and "default-src" in str(value)
    )
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert not re.findall(
        r"(?:https?:)?//(?!www\.w3\.org/2000/svg)[\w.]+", re.sub(r"http://e\.org", "", source)
    )


def test_the_hash_of_the_policy_is_that_of_the_style(tmp_path: Path) -> None:
    source = made("html", record(tmp_path / "a.csv"))
    style = re.search(r"<style>(.*?)</style>", source, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"&#39;sha256-{digest}&#39;" in source or f"'sha256-{digest}'" in source


@pytest.mark.parametrize("form", TEXTS)
def test_what_is_simulated_says_so_in_every_format(tmp_path: Path, form: str) -> None:
    assert "SIMULATED" not in made(form, record(tmp_path / "a.csv"))
    text = made(form, record(tmp_path / "b.csv", provenance="simulated"))
    assert text.count("SIMULATED") >= 3
    assert "at least one source of this page is simulated" in text
    assert "MANUAL" in made(form, record(tmp_path / "c.csv", provenance="manual"))


def test_markdown_shows_foreign_text_as_it_is(tmp_path: Path) -> None:
    source = hostile_page(tmp_path, "md")
    assert "<script" not in source
    assert "<img" not in source
    assert "](" not in source
    assert "://" not in source
    rows = [line for line in source.splitlines() if line.startswith("|")]
    heads = [line.count("|") - line.count("\\|") for line in rows]
    assert len(set(re.findall(r"(?<!\\)`", source))) == 0
    assert heads
    assert all(count > 3 for count in heads)


def test_every_row_of_a_markdown_table_has_as_many_cells_as_its_head(tmp_path: Path) -> None:
    source = hostile_page(tmp_path, "md")
    for block in re.findall(r"(?:^\|.*\n)+", source, re.MULTILINE):
        counts = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(counts) == 1, block


def test_tex_holds_no_command_from_a_file(tmp_path: Path) -> None:
    source = hostile_page(tmp_path, "tex")
    assert r"\input{" not in source
    assert r"\textbackslash{}input\{" in source


@given(st.text(max_size=60))
def test_an_escaped_text_has_no_active_sign_of_tex(text: str) -> None:
    escaped = escape_tex(text)
    plain = re.sub(r"\\[a-zA-Z]+(?:\{[^{}\\]*\})*|\\[{}$&#%_]", "", escaped)
    assert not set(plain) & set('\\$&#%_^~<>|"')


@given(st.text(alphabet="ab<>&*_`[]()|\\~#!-+.:/@w", max_size=60))
def test_an_escaped_text_has_no_active_sign_of_markdown(text: str) -> None:
    plain = re.sub(r"\\.|&[a-z#0-9]+;", " ", escape_markdown(text))
    assert not set(plain) & set("<>&*_`[]()|\\~#!@")
    assert "://" not in plain


def pictures(source: str) -> list[ElementTree.Element]:
    """The figures of a page, which are whole SVG files in it."""
    found = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', source)
    return [ElementTree.fromstring(base64.b64decode(content)) for content in found]


def groups(picture: ElementTree.Element, kind: str) -> list[ElementTree.Element]:
    """The parts of a picture of one kind, such as ``PolyCollection``."""
    return [each for each in picture.iter(f"{SVG}g") if each.get("id", "").startswith(kind)]


def test_the_figures_are_svg_with_a_title_a_description_and_an_alternative(tmp_path: Path) -> None:
    source = made("html", record(tmp_path / "a<b.csv", gap=(4, 6)), idle="2")
    (picture,) = pictures(source)
    assert picture.findtext(f"{SVG}title") == "a<b.csv"
    text = picture.findtext(f"{SVG}desc")
    assert text is not None
    assert text.startswith("Power over time of a<b.csv: ina219@1:0x40, measured at the rail")
    assert "Span infer: " in text
    assert [value for name, value in Parsed(source).attributes if name == "alt"] == [text]


def test_a_figure_is_the_picture_of_plot_and_keeps_its_peaks_and_gaps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No peak is lost, whether the log is in memory, or so long that its trace is of means."""
    pytest.importorskip("pyarrow")
    time = np.arange(0, 100, 0.001)
    time = time[(time < 40) | (time > 60)]
    watts = np.full(len(time), 1.0)
    watts[12_345] = 9.0
    Trace.integrate(time, watts, facts=Facts()).save(tmp_path / "a.parquet")
    for most_rows in (decimation.MOST_ROWS, 10_000):
        monkeypatch.setattr(decimation, "MOST_ROWS", most_rows)
        monkeypatch.setattr(thinning.ChannelRows.__init__, "__defaults__", (most_rows,))
        report = reported(str(tmp_path / "a.parquet"))
        (run,) = report.runs
        assert (run.drawn_from is run.trace) == (most_rows > 10_000)
        figure = plot_power(run.drawn_from, title="a", windows_s=run.windows_s, idle_watts=0.5).figure
        power = figure.axes[0]
        (shaded,) = [each for each in power.collections if each.get_label() == "lowest to highest sample"]
        assert shaded.get_datalim(power.transData).y1 == pytest.approx(9.0)
        (gap,) = [each for each in power.patches if each.get_label() == "not measured"]
        assert (gap.get_x(), gap.get_x() + gap.get_width()) == pytest.approx((40.0, 60.0), abs=0.01)
        inside = shaded.get_paths()[0].vertices[:, 0]
        assert not np.any((inside > 40.2) & (inside < 59.8)), "no area across the gap"
        assert [line for line in power.lines if line.get_label() == "idle"]


def test_spans_are_rows_with_names_and_energy(tmp_path: Path) -> None:
    (run,) = reported(record(tmp_path / "a.csv")).runs
    (lanes,) = [axes for axes in plot_power(run.trace, title="a").figure.axes if axes.texts]
    assert [text.get_text().partition(":")[0] for text in lanes.texts] == ["infer", "load"]
    assert "20.00 J ± 0.23, 4 calls" in lanes.texts[0].get_text()


def test_a_picture_of_a_simulated_run_says_so_in_itself(tmp_path: Path) -> None:
    for provenance, count in (("simulated", 1), ("measured", 0)):
        (run,) = reported(record(tmp_path / f"{provenance}.csv", provenance=provenance)).runs  # type: ignore[arg-type]
        picture = plot_power(run.trace, title="a")
        marks = [
            text for axes in picture.figure.axes for text in axes.texts if text.get_text() == "SIMULATED"
        ]
        assert len(marks) == count
        assert picture.alt.startswith("SIMULATED data.") == bool(count)


def test_a_verdict_is_shown(tmp_path: Path) -> None:
    comparison = compared(simulated(6, (50, 40), lambda number: 0.001 * number))
    source = made("html", record(tmp_path / "a.csv"), comparison=comparison)
    assert "B uses 20.1 % less energy per inference than A" in Parsed(source).text or (
        "less energy per inference than A" in Parsed(source).text
    )


def test_no_engine_for_pdf_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module.shutil, "which", lambda name: None)

    imported = page_module.importlib.import_module

    def missing(name: str, package: str | None = None) -> object:
        if name == "weasyprint":
            raise ImportError(name)
        return imported(name, package)

    monkeypatch.setattr(page_module.importlib, "import_module", missing)
    with pytest.raises(SpecError, match="apt install chromium, or pip install weasyprint, or write HTML"):
        render(reported(record(tmp_path / "a.csv")), "pdf")


def test_a_browser_that_fails_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(SpecError, match="chromium made no PDF"):
        render(reported(record(tmp_path / "a.csv")), "pdf")


def test_a_browser_gets_a_new_profile_and_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program in the browser's place notes how it was started, and makes the file that it was asked for."""
    browser = tmp_path / "chromium"
    browser.write_text(
        f"""#!/bin/sh
for word in "$@"; do
    echo "$word" >> {tmp_path}/words
    case "$word" in --print-to-pdf=*) printf '%%PDF-1.7' > "${{word#--print-to-pdf=}}" ;; esac
done
"""
    )
    browser.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert render(reported(record(tmp_path / "a.csv")), "pdf") == b"%PDF-1.7"
    words = (tmp_path / "words").read_text().splitlines()
    assert "--host-resolver-rules=MAP * ~NOTFOUND" in words
    (profile,) = (word.partition("=")[2] for word in words if word.startswith("--user-data-dir="))
    assert not Path(profile).parent.exists(), "it is removed with the page"


def test_without_jinja2_the_error_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ExtraMissing, match=r"edge-energymeter\[report\]"):
        render(reported(record(tmp_path / "a.csv")), "html")


def test_there_is_no_other_format(tmp_path: Path) -> None:
    assert FORMATS == ("html", "md", "tex", "pdf")
    with pytest.raises(SpecError, match="not 'docx'; choose one"):
        render(reported(record(tmp_path / "a.csv")), "docx")


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 12])
def test_a_pdf_is_made_by_a_real_engine_and_nothing_overflows(tmp_path: Path, count: int) -> None:
    if not any(map(shutil.which, page_module._BROWSERS)) or shutil.which("pdftotext") is None:
        pytest.skip("no chromium or no pdftotext is installed here")
    paths = [record(tmp_path / f"{'long_name_' * 8}{number}.csv") for number in range(count)]
    content = render(reported(*paths, stated=Stated(units=49), grid=Grid("DEU")), "pdf")
    assert isinstance(content, bytes)
    (tmp_path / "x.pdf").write_bytes(content)
    boxes = subprocess.run(
        ["pdftotext", "-bbox", str(tmp_path / "x.pdf"), "-"], capture_output=True, text=True, check=True
    ).stdout
    width = float(re.findall(r'<page width="([\d.]+)"', boxes)[0])
    edges = [float(edge) for edge in re.findall(r'xMax="([\d.]+)"', boxes)]
    margin = 15 / 25.4 * 72
    assert width == pytest.approx(595, abs=1)
    assert max(edges) < width - margin + 1.5


@pytest.mark.slow
def test_tex_is_set_by_pdflatex_whatever_stands_in_it(tmp_path: Path) -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip("no pdflatex is installed here")
    (tmp_path / "x.tex").write_text(
        hostile_page(tmp_path, "tex").replace("HOSTILE", "中文 é δ"), encoding="utf-8"
    )
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "x.tex"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
