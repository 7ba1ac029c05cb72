"""The page of a class: what is on it, and what never is."""

import re

import pytest

pytest.importorskip("ibis", reason="Ibis is not installed here: make test-lake")
pytest.importorskip("duckdb", reason="DuckDB is not installed here: make test-lake")
pytest.importorskip("fsspec", reason="fsspec is not installed here: make test-lake")
pytest.importorskip("jinja2", reason="jinja2 is not installed here")

from click.testing import CliRunner
from lakes import START, pushed, recorded

from energymeter.battery import Battery
from energymeter.budget.account import Account
from energymeter.cli import cli
from energymeter.lake import Choice, Tables, class_page, push_budget


def lake_of_a_class(root, tmp_path):
    report = tmp_path / "annas report.html"
    report.write_text("<p>figures</p>")
    for number, host in enumerate(("annas-pi", "bens-pi", "<b>carl</b>")):
        for repeat in range(3):
            trace = recorded(host, START + 3600 * repeat, 3.0 + number + 0.02 * repeat, 10.0)
            pushed(
                root,
                trace,
                board="Raspberry Pi 4",
                model="net",
                variant="int8",
                units=10.0,
                unit="inference",
                report=str(report) if number == 0 else "",
            )
    pushed(root, recorded("dora", provenance="simulated"), model="net", units=1.0)


@pytest.mark.slow
def test_a_page_has_pseudonyms_unless_names_are_asked_for(tmp_path):
    root = tmp_path / "lake"
    lake_of_a_class(root, tmp_path)
    class_page(Tables(root), tmp_path / "class.html")
    page = (tmp_path / "class.html").read_text()
    assert not re.search("anna|ben|carl|dora", page)
    names = set(re.findall(r"board [0-9a-f]{4}", page))
    assert len(names) == 3
    class_page(Tables(root), tmp_path / "again.html")
    assert set(re.findall(r"board [0-9a-f]{4}", (tmp_path / "again.html").read_text())) == names
    class_page(Tables(root), tmp_path / "named.html", names=True)
    named = (tmp_path / "named.html").read_text()
    assert "annas-pi" in named
    assert "&lt;b&gt;carl&lt;/b&gt;" in named
    assert "<b>carl" not in named


def test_a_page_has_figures_reports_and_what_was_left_out(tmp_path):
    root = tmp_path / "lake"
    lake_of_a_class(root, tmp_path)
    class_page(Tables(root), tmp_path / "class.html", title="Lab <2>")
    page = (tmp_path / "class.html").read_text()
    assert "Lab &lt;2&gt;" in page
    assert "Left out: 1 run, simulated." in page
    (link,) = re.findall(r'href="([^"]+)"', page)
    assert (tmp_path / link).read_text() == "<p>figures</p>"
    assert "anna" not in link
    assert "<script" not in page
    assert "SIMULATED" not in page
    class_page(Tables(root), tmp_path / "all.html", Choice(include=["simulated"]))
    assert "SIMULATED" in (tmp_path / "all.html").read_text()


def test_a_page_shows_the_newest_state_of_a_budget(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    root = tmp_path / "lake"
    lake_of_a_class(root, tmp_path)
    Account("lab", Battery.parse("4000mAh"))
    push_budget("lab", str(root), "annas-pi")
    class_page(Tables(root), tmp_path / "class.html")
    page = (tmp_path / "class.html").read_text()
    assert "100 %" in page
    assert "annas" not in page


def test_the_command_writes_a_page_and_keeps_one_that_is_there(tmp_path):
    root = tmp_path / "lake"
    lake_of_a_class(root, tmp_path)
    runner = CliRunner()
    arguments = ["lake", "class", str(root), "-o", str(tmp_path / "class.html")]
    assert runner.invoke(cli, arguments).exit_code == 0
    assert runner.invoke(cli, arguments).exit_code == 8
    assert runner.invoke(cli, [*arguments, "--force"]).exit_code == 0
