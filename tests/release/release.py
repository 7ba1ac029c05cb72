"""``make release VERSION=0.2.0``: the version in its two places, the changelog, one commit and its tag.

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
        ValueError: why it is not ready; nothing was changed.
    """
    if _VERSION.fullmatch(version) is None:
        raise ValueError(f"{version!r} is no version; give one as in VERSION=0.2.0")
    module, setup, changelog = (
        root / name for name in ("energymeter/version.py", "setup.cfg", "CHANGELOG.md")
    )
    texts = {path: path.read_text(encoding="utf-8") for path in (module, setup, changelog)}
    found = re.search(r'^__version__ = "(.*)"$', texts[module], re.MULTILINE)
    before = "" if found is None else found[1]
    if f"\nversion = {before}\n" not in texts[setup]:
        raise ValueError("setup.cfg and energymeter/version.py name different versions; correct one of them")
    if git(root, "tag", "--list", f"v{version}"):
        raise ValueError(f"v{version} is a tag already; give the next version")
    tagged = git(root, "tag", "--list", f"v{before}") != ""
    if _numbers(version) < _numbers(before) or (tagged and version == before):
        raise ValueError(f"{version} does not follow {before}; give a later version")
    if git(root, "status", "--porcelain"):
        raise ValueError("the tree has changes that are not committed; commit or drop them")
    news = texts[changelog].partition(_HEADING)[2].partition("\n## [")[0].strip()
    if not news:
        raise ValueError("CHANGELOG.md says nothing of what is new; write it below [Unreleased]")
    section = f"{_HEADING}\n## [{version}] - {today.isoformat()}\n"
    module.write_text(texts[module].replace(f'"{before}"', f'"{version}"'), encoding="utf-8")
    setup.write_text(
        texts[setup].replace(f"\nversion = {before}\n", f"\nversion = {version}\n", 1), encoding="utf-8"
    )
    changelog.write_text(texts[changelog].replace(_HEADING, section, 1), encoding="utf-8")
    git(root, "commit", "--quiet", "--all", "--message", f"Release {version}")
    git(root, "tag", "--annotate", f"v{version}", "--message", f"energymeter {version}\n\n{news}")


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
