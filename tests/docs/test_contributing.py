"""What contributors are promised is true: hooks, commands, records, glossary, changelog."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import energymeter

ROOT = Path(energymeter.__file__).resolve().parents[1]
RECORDS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
EXAMPLE = "write-a-driver"
"""A page whose files the reader makes."""
ENTRY = re.compile(r"^\*\*(?P<term>[^*]+)\*\*.*?\*Not:\* .+\.$", re.MULTILINE)


def makefiles() -> list[Path]:
    return [ROOT / "Makefile", *ROOT.glob("*/Makefile.inc"), *ROOT.glob("tests/*/Makefile.inc")]


def recipe(target: str) -> list[str]:
    """The commands of one target of the Makefile, with its variables put in."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    found = re.search(rf"^{target}:.*\n((?:\t.+\n)+)", text, re.MULTILINE)
    assert found is not None
    values = dict(re.findall(r"^(\w+) \??= (.+)$", text, re.MULTILINE))
    commands = found[1]
    while "$(" in commands:
        commands = re.sub(r"\$\((\w+)\)", lambda name: values[name[1]], commands)
    return [line.strip() for line in commands.splitlines()]


def test_the_hooks_before_a_commit_run_what_make_check_runs() -> None:
    config = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    hooks = re.split(r"^ +- id: .+$", config, flags=re.MULTILINE)[1:]
    entries = [re.findall(r"^ +entry: (.+)$", hook, re.MULTILINE) for hook in hooks]
    assert entries == [[command] for command in recipe("check")]
    for hook in hooks:  # the whole tree, as `make check` sees it
        assert "pass_filenames: false" in hook
        assert "always_run: true" in hook


def test_every_make_target_is_described_and_every_described_target_exists() -> None:
    targets = {
        target
        for path in makefiles()
        for line in re.findall(r"^\.PHONY: (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        for target in line.split()
    }
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert {"check", "chaos", "bench"} <= targets
    assert set(re.findall(r"\bmake ([a-z][a-z-]*)(?=`| +#|$)", page, re.MULTILINE)) == targets
    rows = re.findall(r"^\| `make ([a-z-]+)` \|", page, re.MULTILINE)
    assert sorted(rows) == sorted(targets), "each target has one row of the table"


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed here")
def test_make_clean_removes_whatever_git_ignores_and_nothing_else(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    kept = {"Makefile", "energymeter", "energymeter/usage.py", "build.sh", ".cached"}
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    made = {re.sub(r"^\*", "any", pattern).replace("*", "-3.12").rstrip("/") for pattern in ignored}
    assert {".venv-3.12", ".cache", "any.egg-info"} <= made
    for name in made | {"energymeter/__pycache__"}:
        (tmp_path / name / "deep").mkdir(parents=True)
    for name in kept - {"Makefile", "energymeter"}:
        (tmp_path / name).touch()
    subprocess.run(["make", "clean"], cwd=tmp_path, check=True, capture_output=True)
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")} == kept


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem[:4])
def test_a_decision_is_complete_and_on_the_index(record: Path) -> None:
    text = record.read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings == ["Status", "Context", "Decision", "Rejected", "Consequences"]
    title = re.match(r"# (\d{4})\. (.+)\n", text)
    assert title is not None
    assert record.name.startswith(f"{title[1]}-")
    assert f"[{title[1]}]({record.name})" in (record.parent / "README.md").read_text(encoding="utf-8")
    assert re.search(r"^## Rejected\n\n- \*\*.+?\*\*", text, re.MULTILINE), "no alternative is named"


def test_decisions_are_numbered_without_gaps() -> None:
    assert len(RECORDS) >= 8
    assert [int(record.name[:4]) for record in RECORDS] == list(range(1, len(RECORDS) + 1))


def test_the_glossary_has_each_term_once_in_order_with_the_words_to_avoid() -> None:
    paragraphs = [line for line in GLOSSARY.splitlines() if line.startswith("**")]
    terms = [match["term"] for match in ENTRY.finditer(GLOSSARY)]
    assert len(terms) == len(paragraphs) > 50, "an entry has no words to avoid, or no full stop"
    assert terms == sorted(set(terms), key=str.casefold)


@pytest.mark.parametrize(
    "page",
    [
        page
        for page in (ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
        if page.stem != EXAMPLE
    ],
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_a_path_that_a_page_names_exists(page: Path) -> None:
    folders = "energymeter|drivers|calibration|tests|docs|benchmarks|examples|\\.github|\\.ci"
    named = re.findall(rf"`((?:{folders})/[^\s`{{*<]*)`", page.read_text(encoding="utf-8"))
    assert [path for path in named if "NAME" not in path and not (ROOT / path).exists()] == []


def test_the_changelog_begins_with_what_is_next_and_then_this_version_in_its_sections() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    (coming, _), *released = re.findall(r"^## \[(.+?)\](?: - (.+))?$", text, re.MULTILINE)
    assert coming == "Unreleased"
    assert [version for version, _ in released[:1]] in ([], [energymeter.__version__])
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", date) for _, date in released)
    sections = re.findall(r"^### (.+)$", text, re.MULTILINE)
    assert sections
    assert set(sections) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
