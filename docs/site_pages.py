"""Pages of the site that lie outside of docs/, such as the README: found by links, and named project/…

A picture that has a dark variant (docs/make_dark.py) is shown in the one that suits the reader's theme.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"(\]\()((?!\w+:|#|/)[^)#\s]+)")
IMAGE = re.compile(r"(!\[[^\]]*\]\()([^)#\s]+)\.(svg|png)\)")
BLOCK = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)


def site_path(path: str) -> str:
    """Where a file of the project is on the site.

    >>> site_path("docs/battery.md"), site_path("SECURITY.md")
    ('battery.md', 'project/SECURITY.md')
    """
    return path.removeprefix("docs/") if path.startswith("docs/") else f"project/{path}"


def project_path(path: str) -> str:
    """Where a page of the site is in the project; the reverse of `site_path`."""
    return path.removeprefix("project/") if path.startswith("project/") else f"docs/{path}"


def targets(path: str, text: str) -> list[str]:
    """The files of the project that a page links to."""
    plain = BLOCK.sub("", text)
    found = [target for _, target in LINK.findall(plain)]
    found += [f"{name}-dark.{kind}" for _, name, kind in IMAGE.findall(plain)]
    return [posixpath.normpath(posixpath.join(posixpath.dirname(path), target)) for target in found]


def on_files(files: Files, config: Any) -> Files:
    """Add what is linked and lies outside of docs/, and what those pages link to."""
    waiting = [project_path(file.src_uri) for file in files.documentation_pages()]
    waiting.append("README.md")
    seen = set(waiting)
    while waiting:
        path = waiting.pop()
        if not path.startswith("docs/"):
            files.append(File.generated(config, site_path(path), abs_src_path=str(ROOT / path)))
        if path.endswith(".md"):
            for target in targets(path, (ROOT / path).read_text(encoding="utf-8")):
                if target not in seen and (ROOT / target).is_file():
                    seen.add(target)
                    waiting.append(target)
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn the links of the project into those of the site, and show each picture in two variants."""
    here = project_path(page.file.src_uri)
    folder = (ROOT / here).parent

    def twice(match: re.Match[str]) -> str:
        before, name, kind = match.groups()
        if not (folder / f"{name}-dark.{kind}").is_file():
            return match[0]
        return f"{before}{name}.{kind}#only-light){before}{name}-dark.{kind}#only-dark)"

    def moved(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(here), match[2]))
        there = posixpath.relpath(site_path(target), posixpath.dirname(page.file.src_uri) or ".")
        return match[1] + there

    parts = BLOCK.split(markdown)
    return "".join(
        part if number % 2 else LINK.sub(moved, IMAGE.sub(twice, part)) for number, part in enumerate(parts)
    )
