"""Writes docs/reference/cli.md from the commands themselves, and licences.md from what is installed here."""

import re
import runpy
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import click

from energymeter.cli import cli

HERE = Path(__file__).parent / "reference"
_PACKAGE = "edge-energymeter"
_NOT_HERE = {
    "pi-ina219": "MIT",
    "bleak": "MIT",
    "hidapi": "BSD-3-Clause or GPL-3.0, as you choose",
    "python-kasa": "**GPL-3.0-or-later**: never a default, never in the tests",
    "jetson-stats": "**AGPL-3.0**: never a default, tested in an environment of its own",
    "pyjoulescope-driver": "Apache-2.0",
    "pvlib": "BSD-3-Clause",
    "nvidia-ml-py": "BSD-3-Clause",
    "transformers": "Apache-2.0",
    "accelerate": "Apache-2.0",
    "pytorch-lightning": "Apache-2.0",
    "keras": "Apache-2.0",
    "scikit-learn": "BSD-3-Clause",
    "polars": "MIT",
    "pyspark": "Apache-2.0",
    "s3fs": "BSD-3-Clause",
    "mkdocs-material": "MIT",
    "mkdocstrings-python": "ISC",
}
"""Licences of packages that the test extra leaves out, as their projects state them."""
_NOT_FOR_USERS = ("test", "docs")


def commands(group: click.Group, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command, with the words that call it."""
    context = click.Context(group, info_name=path[-1])
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def cli_page() -> str:
    """The reference of the commands, as they describe themselves."""
    examples = runpy.run_path(str(Path(__file__).with_name("cli_examples.py")))
    run, not_run = examples["EXAMPLES"], examples["NOT_RUN"]
    parts = [
        "# Commands\n\nWhat `--help` says of each command. Exit codes and variables have "
        "[their own page](environment.md). The tests run the examples of a command in an empty folder, "
        "line by line, unless the page says otherwise. This page is written by `docs/make_reference.py`.\n"
    ]
    for words, command in commands(cli, ("energymeter",)):
        context = click.Context(command, info_name=" ".join(words), terminal_width=100, max_content_width=100)
        name = " ".join(words)
        parts.append(f"## {name}\n\n```text\n{command.get_help(context).rstrip()}\n```\n")
        for title, lines in (
            ("Examples", run.get(name)),
            ("Examples, not run by the tests", not_run.get(name)),
        ):
            if lines:
                parts.append(f"{title}:\n\n```text\n" + "\n".join(lines) + "\n```\n")
    return "\n".join(parts)


def licence_of(name: str) -> str:
    """The licence of a distribution, as it states it."""
    if name in _NOT_HERE:
        return _NOT_HERE[name]
    about = metadata.metadata(name)
    kinds = [
        line.split(" :: ")[-1] for line in about.get_all("Classifier") or [] if line.startswith("License")
    ]
    stated = about.get("License-Expression") or (about.get("License") or "").partition("\n")[0]
    return stated if stated and len(stated) < 60 and "Copyright" not in stated else ", ".join(kinds)


def licence_page() -> str:
    """The licence of each package that ours asks for, with the extra that asks for it."""
    asked: dict[str, list[str]] = {}
    for line in metadata.requires(_PACKAGE) or []:
        found = re.match(r"[\w.-]+", line)
        extra = re.search(r"extra == ['\"]([\w-]+)", line)
        assert found is not None
        name = re.sub(r"[-_.]+", "-", found[0]).lower()
        if name != _PACKAGE and (extra is None or extra[1] not in _NOT_FOR_USERS):
            asked.setdefault(name, []).append(f"`{extra[1]}`" if extra else "always")
    rows = [
        f"| {name} | {', '.join(dict.fromkeys(asked[name]))} | {licence_of(name)} |"
        for name in sorted(asked, key=lambda name: ("always" not in asked[name], name))
    ]
    return (
        "# Licences\n\nenergymeter has the MIT licence. What `pip install edge-energymeter` brings along, "
        "and what each extra does. No default dependency, and none of theirs, has the GPL or AGPL.\n\n"
        "| package | asked for by | licence |\n|---|---|---|\n" + "\n".join(rows) + "\n"
    )


if __name__ == "__main__":
    (HERE / "cli.md").write_text(cli_page(), encoding="utf-8")
    (HERE / "licences.md").write_text(licence_page(), encoding="utf-8")
