"""A release is whole or is refused; it is tried in a repository of its own."""

import configparser
import datetime
import re
import subprocess
from pathlib import Path

import pytest

from energymeter import __version__
from release.release import ROOT, git, release

TODAY = datetime.date(2026, 11, 29)
CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- A meter.\n\n## [0.1.0] - 2026-01-01\n\n- All.\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "energymeter").mkdir()
    (tmp_path / "energymeter" / "version.py").write_text('"""The version."""\n\n__version__ = "0.1.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "config", "user.name", "Somebody")
    git(tmp_path, "config", "user.email", "somebody@example.org")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "Begin")
    git(tmp_path, "tag", "v0.1.0")
    return tmp_path


def test_a_release_is_a_commit_and_a_tag(tree: Path) -> None:
    release(tree, "0.2.0", TODAY)
    assert '__version__ = "0.2.0"' in (tree / "energymeter" / "version.py").read_text()
    assert "## [Unreleased]\n\n## [0.2.0] - 2026-11-29\n\n### Added\n\n- A meter.\n" in (
        (tree / "CHANGELOG.md").read_text()
    )
    assert git(tree, "status", "--porcelain") == ""
    assert git(tree, "log", "-1", "--format=%s") == "Release 0.2.0"
    assert git(tree, "rev-list", "-1", "v0.2.0") == git(tree, "rev-parse", "HEAD")
    assert "### Added\n\n- A meter." in git(tree, "tag", "--list", "v0.2.0", "--format=%(contents)")


@pytest.mark.parametrize(
    ("version", "why"),
    [("0.2", "is no version"), ("v0.2.0", "is no version"), ("0.1.0", "is a tag already"),
     ("0.0.9", "does not follow 0.1.0"), ("0.2.0\n", "is no version"), ("", "is no version")],
)  # fmt: skip
def test_a_version_that_makes_no_sense_is_refused(tree: Path, version: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        release(tree, version, TODAY)
    assert git(tree, "status", "--porcelain") == ""


def test_an_open_change_is_refused(tree: Path) -> None:
    (tree / "more.txt").write_text("x")
    with pytest.raises(ValueError, match="not committed"):
        release(tree, "0.2.0", TODAY)


def test_a_release_without_news_is_refused(tree: Path) -> None:
    (tree / "CHANGELOG.md").write_text(CHANGELOG.replace("### Added\n\n- A meter.\n\n", ""))
    git(tree, "commit", "--quiet", "--all", "--message", "Say nothing")
    with pytest.raises(ValueError, match="says nothing"):
        release(tree, "0.2.0", TODAY)


def test_headings_alone_are_no_news(tree: Path) -> None:
    (tree / "CHANGELOG.md").write_text(CHANGELOG.replace("- A meter.\n\n", ""))
    git(tree, "commit", "--quiet", "--all", "--message", "Say nothing")
    with pytest.raises(ValueError, match="says nothing"):
        release(tree, "0.2.0", TODAY)


def test_a_version_that_the_changelog_has_already_is_refused(tree: Path) -> None:
    (tree / "CHANGELOG.md").write_text(CHANGELOG.replace("[0.1.0]", "[0.2.0]"))
    git(tree, "commit", "--quiet", "--all", "--message", "Run ahead")
    with pytest.raises(ValueError, match=r"a section 0\.2\.0 already"):
        release(tree, "0.2.0", TODAY)


@pytest.mark.parametrize("hook", ["pre-commit", "reference-transaction"])
def test_what_git_refuses_leaves_the_tree_as_it_was(tree: Path, hook: str) -> None:
    """The one refuses the commit, the other the tag after it."""
    before = git(tree, "rev-parse", "HEAD")
    script = tree / ".git" / "hooks" / hook
    script.parent.mkdir(exist_ok=True)
    refused = "" if hook == "pre-commit" else "grep -q refs/tags/ || exit 0\n"
    script.write_text(f"#!/bin/sh\n{refused}echo not today >&2\nexit 1\n")
    script.chmod(0o755)
    with pytest.raises(ValueError, match=r"git refused: .*not today"):
        release(tree, "0.2.0", TODAY)
    assert git(tree, "rev-parse", "HEAD") == before
    assert git(tree, "status", "--porcelain") == ""
    assert git(tree, "tag", "--list") == "v0.1.0"


def test_the_version_has_one_home() -> None:
    """What the package is built with is what it says of itself."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    assert setup["metadata"]["version"] == "attr: energymeter.version.__version__"
    module = (ROOT / "energymeter" / "version.py").read_text(encoding="utf-8")
    assert f'\n__version__ = "{__version__}"\n' in module


def test_the_command_says_why(tmp_path: Path) -> None:
    script = Path(__file__).with_name("release.py")
    done = subprocess.run(["python3", str(script), "nonsense"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "no release: 'nonsense' is no version; give one as in VERSION=0.2.0\n"


def test_the_command_as_one_file_holds_what_is_required_but_numpy() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    recipe = (ROOT / "tests" / "release" / "Makefile.inc").read_text(encoding="utf-8")
    (line,) = re.findall(r"^ONE_FILE = (.+)$", recipe, re.MULTILINE)
    held = [word.strip("'") for word in line.split()]
    assert sorted([*held, "numpy"]) == sorted(setup["options"]["install_requires"].split())
