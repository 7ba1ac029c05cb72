"""Writes docs/reference: cli.md, names.md and figures.md from the code itself, licences.md from what is
installed here.

    .venv/bin/python docs/make_reference.py [cli] [names] [figures] [licences]      without words: all four

names.md is the record of what has been promised, and figures.md of what is taken as given. Tests compare them
with the code, so that a name goes away and a figure changes only where somebody writes the page again.
"""

import ast
import importlib
import inspect
import itertools
import re
import runpy
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import click

from energymeter.cli import cli
from energymeter.lake.schema import TABLES
from energymeter.recordings.header import COLUMNS
from energymeter.serve import names as metrics
from energymeter.spec import driver_names, load_driver, options_of

ROOT = Path(__file__).parents[1]
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


_NAMES_HEAD = """\
# Public names

Every name that a program of yours may hold on to. What is not here may change in any release.

## How a name goes away

From 1.0 on, versions are [semantic](https://semver.org):

- A public name that goes away still works for two minor versions, and for half a year at least. It warns with
  `DeprecationWarning`, a command by one line on standard error. The warning says what to use instead, and the
  [changes](../../CHANGELOG.md) list it under Deprecated.
- A name is removed, or gets another meaning, in a new major version only.
- Files that an earlier version wrote can be read by every later one.

Before 1.0 a minor version may change names, and the changes say which.

`docs/make_reference.py` writes this page from the code, and a test holds the two equal: nobody removes a name
by accident. Exit codes and environment variables have [a page of their own](environment.md), and what the
metrics mean is [under metrics](../metrics.md).
"""


def listed(names: Iterator[str] | list[str]) -> str:
    """Names in code type, one after the other."""
    return ", ".join(f"`{name}`" for name in names) or "none"


def defined(path: Path) -> list[str]:
    """The names without an underscore that a module defines at its top."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.AnnAssign):
            found.add(ast.unparse(node.target))
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                found |= {name.id for name in ast.walk(target) if isinstance(name, ast.Name)}
    return sorted(
        name for name in found if name == "__version__" or not (name[0] == "_" or name == "TYPE_CHECKING")
    )


def members(kind: type) -> list[str]:
    """The names without an underscore that a class of ours adds to those of Python's."""
    known = {name for base in kind.__mro__ if base.__module__ == "builtins" for name in dir(base)}
    annotated = {name for base in kind.__mro__ for name in vars(base).get("__annotations__", ())}
    return sorted(name for name in ({*dir(kind)} | annotated) - known if not name.startswith("_"))


def python() -> Iterator[str]:
    """The faces of the packages, the flat modules, and what the first names contain."""
    top = importlib.import_module("energymeter")
    yield "## Python\n\n| import from | names |\n|---|---|"
    yield f"| `energymeter` | {listed(sorted(top.__all__))} |"
    folder = ROOT / "energymeter"
    for path in sorted(folder.glob("*/__init__.py")):
        exported = getattr(importlib.import_module(f"energymeter.{path.parent.name}"), "__all__", ())
        if exported:
            yield f"| `energymeter.{path.parent.name}` | {listed(sorted(exported))} |"
    for path in sorted(folder.glob("[!_]*.py")):
        yield f"| `energymeter.{path.stem}` | {listed(defined(path))} |"
    yield "\nWhat `energymeter` itself has:\n\n| name | parameters | members |\n|---|---|---|"
    for name in sorted(top.__all__):
        found = getattr(top, name)
        made = not isinstance(found, type) or not issubclass(found, Exception)  # of errors, ours make them
        taken = list(inspect.signature(found).parameters) if made else []
        has = members(found) if isinstance(found, type) else []
        yield f"| `{name}` | {listed(taken)} | {listed(has)} |"


def command_rows() -> Iterator[str]:
    """A row for each command that is shown, with its options."""
    for words, command in commands(cli, ("energymeter",)):
        if not command.hidden:
            options = sorted(
                option
                for parameter in command.params
                if isinstance(parameter, click.Option) and not parameter.hidden
                for option in (*parameter.opts, *parameter.secondary_opts)
            )
            yield f"| `{' '.join(words)}` | {listed(options)} |"


def names_page() -> str:
    """Every public name, and how one goes away."""
    parts = [_NAMES_HEAD, *python(), "\n## Commands\n\n| command | options |\n|---|---|", *command_rows()]
    parts.append("\n## Source specs\n\n| driver | options |\n|---|---|")
    for name in driver_names():
        parts.append(f"| `{name}` | {listed(sorted(options_of(load_driver(name))))} |")
    parts.append("\n## Columns\n\n| of | columns |\n|---|---|")
    parts.append(f"| a log | {listed([*COLUMNS, 'source'])} |")
    for table, columns in TABLES.items():
        parts.append(f"| `{table}` of a lake | {listed([column.name for column in columns])} |")
    parts.append("\n## Metrics\n\n| system | names |\n|---|---|")
    for metric in metrics.METRICS:
        parts.append(f"| Prometheus | `{metric.name}{{{', '.join(metric.labels)}}}` |")
    otel = [*(name for name, _, _ in metrics.OTEL_NAMES), *metrics.OTEL_ATTRIBUTES]
    parts.append(f"| OpenTelemetry | {listed(otel)} |")
    topics = [metrics.MQTT_STATE, metrics.MQTT_AVAILABILITY, metrics.MQTT_DISCOVERY]
    parts.append(f"| MQTT, topics | {listed(topics)} |")
    parts.append(f"| MQTT, kinds | {listed([sensor.kind for sensor in metrics.MQTT_SENSORS])} |")
    return "\n".join(parts) + "\n"


_FIGURES_HEAD = """\
# Built-in figures

Every number that the package takes as given: limits, waiting times, factors, data sheets, and what an
argument is where none is given. Names that begin with an underscore are no promise; the page shows them
because a result may depend on them. Where a figure comes from stands next to it in the code.

`docs/make_reference.py` writes this page from the code, and a test holds the two equal: a figure changes only
where somebody has seen it.
"""


class Figure(NamedTuple):
    """A name with a number in its value."""

    name: str
    value: str
    meaning: str


def _has_number(node: ast.expr | None) -> bool:
    return node is not None and any(
        isinstance(part, ast.Constant) and type(part.value) in (int, float) for part in ast.walk(node)
    )


def _written(source: list[bytes], node: ast.expr) -> str:
    """A value as it is written in the lines of the code, without its comments."""
    assert node.end_lineno is not None
    lines = source[node.lineno - 1 : node.end_lineno]
    lines[-1] = lines[-1][: node.end_col_offset]
    lines[0] = lines[0][node.col_offset :]
    return re.sub(r"\s+# .*", "", b"\n".join(lines).decode())


def _assigned(source: list[bytes], body: list[ast.stmt], prefix: str = "") -> Iterator[Figure]:
    """The figures among the statements of a module or a class, with the text below each."""
    for node, after in itertools.zip_longest(body, body[1:]):
        if (
            isinstance(node, ast.Assign | ast.AnnAssign)
            and node.value is not None
            and _has_number(node.value)
        ):
            names = node.targets if isinstance(node, ast.Assign) else [node.target]
            below = after.value if isinstance(after, ast.Expr) else None
            text = str(below.value) if isinstance(below, ast.Constant) else ""
            name = ", ".join(_written(source, name) for name in names)
            yield Figure(prefix + name, _written(source, node.value), text)
        elif isinstance(node, ast.ClassDef):
            yield from _assigned(source, node.body, f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            taken = node.args
            plain = [*taken.posonlyargs, *taken.args]
            given = [None] * (len(plain) - len(taken.defaults)) + [*taken.defaults, *taken.kw_defaults]
            for argument, default in zip([*plain, *taken.kwonlyargs], given, strict=True):
                if default is not None and _has_number(default):
                    yield Figure(f"{prefix}{node.name}({argument.arg})", _written(source, default), "")


def figures_page() -> str:
    """Every number that the package takes as given, module by module."""
    parts = [_FIGURES_HEAD]
    for folder in ("energymeter", "drivers", "calibration"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            code = path.read_bytes()
            found = list(_assigned(code.splitlines(), ast.parse(code).body))
            if found and path.resolve() == path:  # what is a link stands under its own name
                parts.append(f"## {path.relative_to(ROOT)}\n\n| name | value | meaning |\n|---|---|---|")
                parts += [
                    f"| {' | '.join(map(_cell, (f'`{f.name}`', f'`{f.value}`', f.meaning)))} |" for f in found
                ]
                parts.append("")
    return "\n".join(parts)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


PAGES = {"cli": cli_page, "names": names_page, "figures": figures_page, "licences": licence_page}

if __name__ == "__main__":
    for word in sys.argv[1:] or PAGES:
        (HERE / f"{word}.md").write_text(PAGES[word](), encoding="utf-8")
