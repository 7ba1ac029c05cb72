"""The reference pages name what the code has: exit codes, variables; SKILL.md stays short."""

import re
import runpy
from importlib import metadata
from pathlib import Path

import click

from energymeter import errors
from energymeter.cli import cli
from energymeter.serve import config

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reference" / "environment.md").read_text(encoding="utf-8")


def test_every_error_is_in_the_row_of_its_exit_code() -> None:
    rows = dict(re.findall(r"^\| (\d+) \| [^|]+\|([^|]*)\|$", PAGE, re.MULTILINE))
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, errors.EnergyMeterError) and "exit_code" in vars(kind):
            assert f"`{name}`" in rows[str(kind.exit_code)], name


def test_every_variable_is_named() -> None:
    sources = [*(ROOT / "energymeter").rglob("*.py"), *(ROOT / "drivers").rglob("*.py")]
    code = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    ours = set(re.findall(r'"(ENERGYMETER_\w+)"', code)) | set(re.findall(r'environ[^"\n]*"(\w+_\w+)"', code))
    named = set(re.findall(r"`(\w+)`", PAGE))
    assert ours - named == set()
    assert {name for name in named if name.startswith("ENERGYMETER_")} <= ours


def test_every_key_of_a_configuration_is_named() -> None:
    rows = dict(re.findall(r"^\|[^|]*\| `\[(\w+)[^`]*\]` \| (.+) \|$", PAGE, re.MULTILINE))
    assert rows.pop("meter").startswith("`source`")
    known = {section: set(keys) for section, keys in {**config._KEYS, **config.EXPORTER_SECTIONS}.items()}
    assert {section: set(re.findall(r"`(\w+)`", row)) for section, row in rows.items()} == known


def test_the_skill_is_short() -> None:
    assert len((ROOT / "SKILL.md").read_text(encoding="utf-8").splitlines()) <= 80


def test_every_command_and_option_is_on_the_page_of_commands() -> None:
    page = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    parts = dict(
        re.findall(r"^## (energymeter [^\n]+)\n\n```text\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    )
    known = dict(runpy.run_path(str(ROOT / "docs" / "make_reference.py"))["commands"](cli, ("energymeter",)))
    assert {*parts} == {" ".join(words) for words in known}, "run docs/make_reference.py"
    for words, command in known.items():
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                assert option.opts[-1] in parts[" ".join(words)], "run docs/make_reference.py"


def test_no_public_name_goes_away_or_appears_by_accident() -> None:
    """The page is the record: of each row the names, whatever order they stand in."""
    promised = (ROOT / "docs" / "reference" / "names.md").read_text(encoding="utf-8")
    there = runpy.run_path(str(ROOT / "docs" / "make_reference.py"))["names_page"]()

    def names(page: str) -> set[tuple[str, str]]:
        rows = re.findall(r"^\| (.+?) \| (.+) \|$", page, re.MULTILINE)
        return {(row, name) for row, rest in rows for name in re.findall(r"`([^`]+)`", rest)}

    assert len(names(promised)) > 1000
    remedy = "see Public names in CONTRIBUTING.md, then run docs/make_reference.py names"
    assert names(promised) - names(there) == set(), f"these public names are gone: {remedy}"
    assert names(there) - names(promised) == set(), f"these names are new: {remedy}"
    assert promised == there, "run docs/make_reference.py names"


def test_no_built_in_figure_changes_unseen() -> None:
    """The page is the record: whoever changes a limit or a factor writes it again, and reads what changed."""
    stated = (ROOT / "docs" / "reference" / "figures.md").read_text(encoding="utf-8")
    built_in = runpy.run_path(str(ROOT / "docs" / "make_reference.py"))["figures_page"]()
    assert len(stated.splitlines()) > 2000
    changed = set(stated.splitlines()) ^ set(built_in.splitlines())
    assert changed == set(), "see that these are meant, then run docs/make_reference.py figures"
    assert stated == built_in, "run docs/make_reference.py figures"


def test_every_package_that_is_asked_for_has_its_licence_and_no_default_has_the_gpl() -> None:
    page = (ROOT / "docs" / "reference" / "licences.md").read_text(encoding="utf-8")
    rows = {
        name: (by, licence)
        for name, by, licence in re.findall(r"^\| ([\w-]+) \| (.+) \| (.+) \|$", page, re.M)
    }
    for line in metadata.requires("edge-energymeter") or []:
        if not re.search(r"extra == .(test|docs)\b", line) and not line.startswith("edge-energymeter"):
            name = re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", line)[0]).lower()  # type: ignore[index]
            assert name in rows, "run docs/make_reference.py"
    for by, licence in rows.values():
        assert by != "always" or "GPL" not in licence
