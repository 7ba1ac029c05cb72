"""Plain English: words that no page and no file uses, the glossary, and the style of every error message."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest

import energymeter
from energymeter import errors

ROOT = Path(energymeter.__file__).resolve().parents[1]
CODE = ("energymeter", "drivers", "calibration")
FOLDERS = (*CODE, "tests", "docs", "benchmarks", "examples", ".github")
SUFFIXES = (".py", ".md", ".inc", ".sh")
EXEMPT = {Path("docs/glossary.md"), Path(__file__).resolve().relative_to(ROOT)}
"""They name the words in order to ban them."""

BANNED = {
    # prose
    "told": "reported, given, asked",
    "tells": "reports, shows, says",
    "foretell|foretells|foretold": "forecast",
    "be had": "unavailable, can be read",
    "mind:": "warning:",
    "anew": "again",
    "for ever": "forever, indefinitely",
    "at once": "immediately, at the same time",
    "beside": "next to, with, excluded",
    "(?:a|one|each|every|next|last|two) looks?": "sample, poll, conversion",
    "lasting": "systematic",
    "aloud": "with a warning, with a reason",
    "of late": "recently",
    "half surrogates?": "lone surrogates",
    "witness(?:es)?": "source",
    '"""(?:Of|Its|Whose) [^\n]*': "a sentence of its own",
    # names
    "said_by": "source",
    "purses?": "account, budget",
    "(?:open_|close_|_)tab|Tab": "billing",
    r"_settle[ds]?|settle_\w+|settle(?=\()|unsettled|settled (?:draws?|spans?)": "resolve, record",
    "keeper": "watchdog, log writer",
    "refusal": "error",
    r"believed(?=\()": "usable_points",
    "bridged_joules|_bridged": "gap_fill_joules",
    "scatter_joules2": "variance_joules2",
    r'own_time(?!": ")': "replayed",  # a key in logs of 0.1.0
    r"facts\.seen|seen(?==)": "duty",
    r"facts\.lag|lag(?==)": "latency",
    "in_figures": "significant",
    "Wanted": "SourceConfig",
    "Described": "ChannelInfo",
    "Contribution": "Component",
    r"Draw(?! \w)": "Window",
    "Tape": "source buffer",
    "Holder": "steady load",
    "Wishes": "settings",
}
"""Pattern: what to write instead. An initial capital in a pattern means a class: case counts there."""


class Phrase(NamedTuple):
    """One banned phrase as a pattern."""

    name: str
    pattern: re.Pattern[str]
    case_counts: bool
    instead: str


def phrases() -> list[Phrase]:
    return [
        Phrase(
            words,
            re.compile(rf"(?:{words})(?![A-Za-z])"),
            re.search("^[A-Z]|\\|[A-Z]", words) is not None,
            instead,
        )
        for words, instead in BANNED.items()
    ]


@functools.cache
def texts() -> list[tuple[Path, str]]:
    """Every page and every file of code; a folder that is a link is visited under its own name only."""
    found = [*ROOT.glob("*.md"), *(ROOT / name for name in ("setup.cfg", "Makefile", ".ci/run"))]
    for folder in FOLDERS:
        found += [
            path
            for path in (ROOT / folder).rglob("*")
            if path.suffix in SUFFIXES and path.is_file() and path.resolve() == path
        ]
    return [
        (path.relative_to(ROOT), path.read_text(encoding="utf-8"))
        for path in sorted(found)
        if path.relative_to(ROOT) not in EXEMPT
    ]


@functools.cache
def lowered() -> list[tuple[Path, str]]:
    """The same in lower case: a pattern that ignores case takes four times as long."""
    return [(path, text.lower()) for path, text in texts()]


@pytest.mark.parametrize("phrase", phrases(), ids=lambda phrase: phrase.name)
def test_nobody_writes(phrase: Phrase) -> None:
    hits = [
        f"{path}:{text.count(chr(10), 0, hit.start()) + 1}: {hit[0]}"
        for path, text in (texts() if phrase.case_counts else lowered())
        for hit in phrase.pattern.finditer(text)
        if not re.match("[A-Za-z]", text[hit.start() - 1 : hit.start()])
    ]
    assert not hits, f"{len(hits)} times; write {phrase.instead}\n" + "\n".join(hits)


def test_the_files_that_are_searched_are_those_that_there_are() -> None:
    names = {path.as_posix() for path, _ in texts()}
    assert {"README.md", "setup.cfg", "drivers/ina219.py", "energymeter/errors.py"} <= names
    assert not any(name.startswith(("energymeter/drivers/", "energymeter/calibration/")) for name in names)


def test_the_glossary_names_classes_that_there_are() -> None:
    glossary = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\*\*[^*]+\*\* \(`(\w+)`\)", glossary, re.MULTILINE))
    defined = {
        name
        for path, text in texts()
        if path.suffix == ".py" and path.parts[0] in CODE
        for name in re.findall(r"^(?:class|def) (\w+)", text, re.MULTILINE)
    }
    assert len(named) > 20
    assert named - defined == set()


# Errors -----------------------------------------------------------------------------------------------

KINDS = {name for name, kind in vars(errors).items() if isinstance(kind, type)} | {
    name
    for name, kind in vars(click.exceptions).items()
    if isinstance(kind, type) and issubclass(kind, click.ClickException)
}
NO_REMEDY_NEEDED = {"SourceEnded"}
"""Nothing is wrong."""
PROPER_NOUNS = {
    "Android", "Bluetooth", "Debian", "Electricity", "Google", "Jetson", "Joulescope", "Kasa", "Linux",
    "Modbus", "Nordic", "Otii", "Parquet", "Peukert", "Python", "Raspberry", "Shelly", "Tapo", "Tasmota",
    "Termux", "Windows",
}  # fmt: skip
VERBS = (
    "add|ask|bring|calibrate|call|check|chmod|choose|close|connect|copy|correct|create|delete|disconnect|enable|end|"
    "export|find|free|give|increase|install|join|keep|leave|let|look|lower|make|measure|mount|move|name|open|pass|"
    "pick|plug|put|raise|read|record|reduce|remove|rename|repeat|replace|reset|restart|restore|run|save|say|see|"
    "select|set|shorten|split|start|stop|switch|take|try|turn|unlock|unplug|unset|update|upgrade|use|wait|wire|write"
)
REMEDY = re.compile(
    rf"(?:^|[;:,(?] ?|\b(?:or|then|so|please) )(?:{VERBS})\b"  # an order: "…; give a positive number"
    r"|; \{\}"  # an order that is put in
    r"|`[^`]+`|\bpip install\b|\bsudo\b|\binstead\b"  # a command to type
    r"|\b(?:power|charge) (?:it|the)\b"  # verbs that are nouns, too
    r"|[;:,(] [^;]*\?"  # a question that leads there: "…; is it a Shelly?"
    r"|\bagain\b"  # what happens by itself
    r"|\b(?:must|can only|needs?|takes?|wants?|did you mean|means|or more|as in|needed)\b"
    r"|\b(?:there (?:is|are)|it has|none of|known|there|only for|unknown):? "  # what there is
    r"(?:\{\}|\w+(?:, \w+)* or )"
    r"|\bneither \S+ nor\b"
    r"|\b(?:above|below|between|at most|at least|from|to) (?:\{\}|[-0-9])"  # what is allowed
    r"|, not \{\}"  # the same: "a share in [0, 1), not 3"
)


class Message(NamedTuple):
    """One message as the code spells it; ``{}`` stands for what is put in."""

    where: str
    kind: str
    text: str


def spelled(node: ast.expr) -> str | None:
    """A string expression with ``{}`` for its unknown parts; ``None`` where nothing is literal."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=pieces):
            return "".join(spelled(piece) or "{}" for piece in pieces)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            parts = spelled(left), spelled(right)
            return None if parts == (None, None) else "".join(part or "{}" for part in parts)
        case ast.IfExp(body=body):
            return spelled(body)
    return None


def messages(code: str, where: str) -> Iterator[Message]:
    """What the errors that are made in a piece of code say."""
    tree = ast.parse(code)
    kinds = KINDS | {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        if {base.id for base in node.bases if isinstance(base, ast.Name)} & KINDS
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            argument = node.args[2] if name == "ExtraMissing" and len(node.args) > 2 else node.args[0]
            text = spelled(argument) if name in kinds else None
            if text is not None:
                yield Message(f"{where}:{node.lineno}", name, text)


def begins_lower(text: str) -> bool:
    """Lower case, a figure, what is put in, or a word with capitals of its own: INA219, I²C, EnergyMeter.

    >>> begins_lower("there is no such port"), begins_lower("RAPL is for root"), begins_lower("There is")
    (True, True, False)
    """
    word = re.match(r"[\w²'-]*", text)
    first = word[0] if word is not None else ""
    return (
        not first[:1].isupper() or first in PROPER_NOUNS or any(c.isupper() or c.isdigit() for c in first[1:])
    )


def ends_open(text: str) -> bool:
    """No full stop; an ellipsis is none."""
    return not text.endswith((".", "!")) or text.endswith("...")


def has_remedy(text: str) -> bool:
    """The sentence says what to do, or what would be allowed.

    >>> has_remedy("{}: no chip answers at {}; check the wiring")
    True
    >>> has_remedy("{}: no chip answers at {}: {}")
    False
    """
    return REMEDY.search(re.sub(r"^(?:\{\}|[\w@.-]+): ", "", text)) is not None


@functools.cache
def all_messages() -> list[Message]:
    return [
        message
        for path, text in texts()
        if path.suffix == ".py" and path.parts[0] in CODE
        for message in messages(text, path.as_posix())
    ]


def wrong(found: list[Message]) -> str:
    return f"{len(found)} messages\n" + "\n".join(f"{m.where} {m.kind}: {m.text}" for m in found)


def test_there_are_messages_to_judge() -> None:
    found = list(messages('raise SpecError(f"a rate of {rate} Hz " "reads nothing")', "x"))
    assert found == [Message("x:1", "SpecError", "a rate of {} Hz reads nothing")]
    assert len(all_messages()) > 300


def test_errors_begin_in_lower_case() -> None:
    found = [message for message in all_messages() if not begins_lower(message.text)]
    assert not found, wrong(found)


def test_errors_end_without_a_full_stop() -> None:
    found = [message for message in all_messages() if not ends_open(message.text)]
    assert not found, wrong(found)


def test_errors_contain_the_remedy() -> None:
    found = [
        message
        for message in all_messages()
        if message.kind not in NO_REMEDY_NEEDED | {"ExtraMissing"} and not has_remedy(message.text)
    ]
    assert not found, wrong(found)


@pytest.mark.parametrize(
    "text",
    [
        "a rate of {} Hz reads nothing; give a positive number",
        "no budget {} (there: {}): make it with `energymeter budget new {}`",
        "{} cannot be read: join group i2c",
        "a share in (0, 1], not {}",
    ],
)
def test_a_good_message_passes(text: str) -> None:
    assert begins_lower(text)
    assert ends_open(text)
    assert has_remedy(text)


@pytest.mark.parametrize(
    "text",
    [
        "ina219@1:0x40: it is broken",
        "{}: {}",
        "the file is damaged ({})",
        "nothing was measured yet",
        "no thread could be started to look after the sampling: {}",
        "{} cannot be read: {}",
    ],
)
def test_a_message_without_a_remedy_does_not(text: str) -> None:
    assert not has_remedy(text)
