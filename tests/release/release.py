"""``make release VERSION=0.2.0``: the version in its one home, the changelog, one commit and its tag.

Nothing leaves this machine: pushing the commit and the tag is the last step, by hand.
"""

import datetime
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
_HEADING = "## [Unreleased]\n"


def git(root: Path, *words: str) -> str:
    """What a git command prints."""
    return subprocess.run(
        ["git", *words], cwd=root, check=True, capture_output=True, text=True
    ).stdout.strip()


def release(root: Path, version: str, today: datetime.date) -> None:
    """Commit and tag a version.

    Raises:
        ValueError: why it is not ready; the tree is as before.
    """
    if _VERSION.fullmatch(version) is None:
        raise ValueError(f"{version!r} is no version; give one as in VERSION=0.2.0")
    module, changelog = root / "energymeter" / "version.py", root / "CHANGELOG.md"
    code, changes = (path.read_text(encoding="utf-8") for path in (module, changelog))
    found = re.search(r'^__version__ = "(.*)"$', code, re.MULTILINE)
    if found is None:
        raise ValueError(f"{module} has no line like __version__ = '0.1.0'; put one there")
    before = found[1]
    if git(root, "tag", "--list", f"v{version}"):
        raise ValueError(f"v{version} is a tag already; give the next version")
    tagged = git(root, "tag", "--list", f"v{before}") != ""
    if _numbers(version) < _numbers(before) or (tagged and version == before):
        raise ValueError(f"{version} does not follow {before}; give a later version")
    if git(root, "status", "--porcelain"):
        raise ValueError("the tree has changes that are not committed; commit or drop them")
    if f"\n## [{version}]" in changes:
        raise ValueError(f"CHANGELOG.md has a section {version} already; move what it says to [Unreleased]")
    news = changes.partition(_HEADING)[2].partition("\n## [")[0].strip()
    if not re.sub(r"^#.*$", "", news, flags=re.MULTILINE).strip():
        raise ValueError("CHANGELOG.md says nothing of what is new; write it below [Unreleased]")
    head = git(root, "rev-parse", "HEAD")
    module.write_text(code.replace(found[0], f'__version__ = "{version}"'), encoding="utf-8")
    dated = f"{_HEADING}\n## [{version}] - {today.isoformat()}\n"
    changelog.write_text(changes.replace(_HEADING, dated, 1), encoding="utf-8")
    try:
        git(root, "commit", "--quiet", "--all", "--message", f"Release {version}")
        # whole lines that begin with # are headings here, which git would take for comments
        git(
            root, "tag", "--annotate", "--cleanup=verbatim", f"v{version}",
            "--message", f"energymeter {version}\n\n{news}",
        )  # fmt: skip
    except subprocess.CalledProcessError as failure:
        git(root, "reset", "--quiet", "--hard", head)  # the tree was clean
        raise ValueError(f"git refused: {' '.join(failure.stderr.split())}") from failure


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


if __name__ == "__main__":
    version = sys.argv[1] if len(sys.argv) > 1 else ""
    try:
        release(ROOT, version, datetime.datetime.now(datetime.timezone.utc).date())
    except ValueError as failure:
        sys.exit(f"no release: {failure}")
    print(
        f"committed and tagged as v{version}; `make dist test-dist`, then `git push origin HEAD v{version}`"
    )
