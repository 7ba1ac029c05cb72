"""`class_page`: one static page of a class: boards, models, joules per unit with intervals, budgets, reports.

Hosts are called by pseudonyms unless names are asked for. A pseudonym is a keyed hash whose key stays in the
lake: it is the same on every page, so that its owner knows it, and nobody computes it from a list of names.
"""

import base64
import hashlib
import hmac
import os
import secrets
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from energymeter.errors import ExtraMissing, LogError
from energymeter.lake.questions import Choice, Group, chosen_runs, groups_of
from energymeter.lake.schema import MOST_REPORT_BYTES
from energymeter.paths import replace_file
from energymeter.text import percent, plus_minus, printable, significant
from energymeter.version import __version__

if TYPE_CHECKING:
    from energymeter.lake.engines import Tables
    from energymeter.lake.store import Store

KEY = "energymeter-lake-pseudonyms"
_KEY_BYTES = 32
_WORK = ("model", "variant", "unit", "place")
_LEAST_DIGITS = 4
_ENDS = ("share_left_low", "share_left_high")
_WIDTH, _PAD = 200.0, 6.0


class Row(NamedTuple):
    """One board in the table of a model."""

    who: str
    board: str
    trust: str
    runs: int
    figure: str
    """J per unit and ±."""
    seconds: str
    interval: tuple[float, float, float] | None
    """Where the value and the ends of its interval stand on the axis; ``None``: there is no interval."""
    value: float
    """Where the value stands."""
    is_open: bool
    """Whether the interval of a single run is that of the meter alone."""


class Model(NamedTuple):
    """One model, and the boards that ran it."""

    title: str
    unit: str
    place: str
    rows: list[Row]
    ends: tuple[str, str]
    """The numbers at the ends of the axis."""


def class_page(
    tables: "Tables",
    output: str | os.PathLike[str],
    choice: Choice = Choice(),  # noqa: B008 - an immutable tuple
    *,
    title: str = "Energy of a class",
    names: bool = False,
) -> None:
    """Write the page, and copies of the reports that it links in a folder next to it.

    Args:
        tables: of the lake.
        output: the page's file, which is replaced.
        choice: which runs count.
        title: of the page.
        names: show the names of hosts.

    Raises:
        ExtraMissing: jinja2 is not installed.
        LogError: the page or the lake's key cannot be written.
    """
    try:
        import jinja2
        from markupsafe import Markup
    except ImportError:
        raise ExtraMissing("jinja2", "report", "a page") from None
    from energymeter.report.page import TEMPLATES

    path = os.fspath(output)
    content = _content(tables, choice, path, names=names)
    content |= {"title": printable(title), "version": __version__, "width": _WIDTH}
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([os.path.join(os.path.dirname(__file__), "templates"), TEMPLATES]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = environment.get_template("class.css").render()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    content["style"] = Markup(style)
    content["policy"] = (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    try:
        replace_file(path, environment.get_template("class.html").render(content))
    except OSError as failure:
        raise LogError(f"{path} cannot be written ({failure.strerror}); name another file") from failure


def _content(tables: "Tables", choice: Choice, path: str, *, names: bool) -> dict[str, Any]:
    runs, left_out = chosen_runs(tables, choice, with_units=True)
    found = groups_of(tables, runs, ["host_name", "board", *_WORK, "trust"])
    budgets = tables.rows(tables.budgets)
    hosts = sorted(
        {*(str(group.key["host_name"]) for group in found), *(row["host_name"] for row in budgets)}
    )
    shown = {host: printable(host) for host in hosts} if names else pseudonyms(tables.store, hosts)
    works = sorted({_work(group) for group in found})
    models = [_model([group for group in found if _work(group) == work], shown) for work in works]
    trusts = sorted({str(group.key["trust"]) for group in found})
    return {
        "models": models,
        "matrix": _matrix(found, works, shown),
        "works": [_title(work) for work in works],
        "budgets": _budgets(budgets, shown),
        "reports": _reports(tables, runs, shown, path),
        "left_out": left_out,
        "warnings": [trust for trust in trusts if trust != "measured"],
        "names": names,
        "runs": sum(group.runs for group in found),
        "hosts": len({group.key["host_name"] for group in found}),
    }


def _work(group: Group) -> tuple[str, ...]:
    return tuple(str(group.key[name]) for name in _WORK)


def _title(work: tuple[str, ...]) -> str:
    return printable(" ".join(part for part in work[:2] if part) or "no model stated")


def pseudonyms(store: "Store", hosts: list[str]) -> dict[str, str]:
    """A name for each host, the same on every page of a lake.

    Raises:
        LogError: the key can be neither read nor written.
    """
    key = store.read(KEY, _KEY_BYTES)
    if key is None:
        store.put(KEY, secrets.token_bytes(_KEY_BYTES))
        key = store.read(KEY, _KEY_BYTES)  # another page may have been faster
    if key is None or len(key) < _KEY_BYTES:
        raise LogError(f"{printable(store.url_of(KEY))} is damaged; remove it for new pseudonyms")
    digests = {
        host: hmac.new(key, host.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()
        for host in hosts
    }
    digits = _LEAST_DIGITS
    while len({digest[:digits] for digest in digests.values()}) < len(digests):
        digits += 1
    return {host: f"board {digest[:digits]}" for host, digest in digests.items()}


def _model(groups: list[Group], shown: dict[str, str]) -> Model:
    work = _work(groups[0])
    ordered = sorted(groups, key=lambda group: group.joules_per_unit)
    lows = [group.joules_per_unit - (group.uncertainty or 0.0) for group in ordered]
    highs = [group.joules_per_unit + (group.uncertainty or 0.0) for group in ordered]
    low, high = min(0.0, *lows), max(highs)
    scale = (_WIDTH - 2 * _PAD) / (high - low or 1.0)

    def at(joules: float) -> float:
        return round(_PAD + (joules - low) * scale, 1)

    rows = []
    for group in ordered:
        spread, value = group.uncertainty, group.joules_per_unit
        rows.append(
            Row(
                who=shown[str(group.key["host_name"])],
                board=printable(str(group.key["board"])),
                trust=str(group.key["trust"]),
                runs=group.runs,
                figure=plus_minus(value, spread)
                if spread is not None
                else f"{significant(value, 4)} ± unknown",
                seconds=significant(group.seconds_per_unit),
                interval=None if spread is None else (at(value - spread), at(value), at(value + spread)),
                value=at(value),
                is_open=group.runs == 1,
            )
        )
    return Model(_title(work), printable(work[2]), work[3], rows, (significant(low), significant(high)))


def _matrix(
    groups: list[Group], works: list[tuple[str, ...]], shown: dict[str, str]
) -> list[tuple[str, str, list[str]]]:
    """For each board its name, what it is, and its joules per unit of each model."""
    cells: dict[tuple[str, str, str], dict[tuple[str, ...], str]] = {}
    for group in groups:
        trust = str(group.key["trust"])
        who = (shown[str(group.key["host_name"])], printable(str(group.key["board"])), trust)
        mark = "" if trust == "measured" else f" ({trust})"
        cells.setdefault(who, {})[_work(group)] = plus_minus(group.joules_per_unit, group.uncertainty) + mark
    return [
        (who, board, [found.get(work, "") for work in works])
        for (who, board, _), found in sorted(cells.items())
    ]


def _budgets(rows: list[dict[str, Any]], shown: dict[str, str]) -> list[tuple[str, str, str, str, str]]:
    """The newest state of each budget."""
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        key = (row["host_name"], row["budget"])
        if key not in newest or row["unix_us"] > newest[key]["unix_us"]:
            newest[key] = row
    return sorted(
        (
            shown[host],
            printable(budget),
            f"{percent(row['share_left'])} ({' to '.join(percent(row[end]) for end in _ENDS)})",
            f"{significant(row['mah_left'])} mAh, {row['provenance']}",
            time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(row["unix_us"] / 1e6)),
        )
        for (host, budget), row in newest.items()
    )


def _reports(tables: "Tables", runs: Any, shown: dict[str, str], path: str) -> list[tuple[str, list[str]]]:
    """The reports of each host, as links from the page; they are copied next to it."""
    found: dict[str, set[str]] = {}
    for row in tables.rows(runs.filter(runs.report != "").select("host_name", "report")):
        found.setdefault(shown[row["host_name"]], set()).add(row["report"])
    folder = f"{os.path.splitext(path)[0]}-reports"
    links: dict[str, list[str]] = {}
    for who, reports in sorted(found.items()):
        for report in sorted(reports):
            if os.path.basename(report) != report or report.startswith("."):
                continue  # no name that a push gives
            content = tables.store.read(f"reports/{report}", MOST_REPORT_BYTES)
            if content is not None:
                try:
                    os.makedirs(folder, exist_ok=True)
                    replace_file(os.path.join(folder, report), content)
                except OSError as failure:
                    raise LogError(
                        f"{folder} cannot be written ({failure.strerror}); name another page"
                    ) from failure
                links.setdefault(who, []).append(f"{os.path.basename(folder)}/{report}")
    return [*links.items()]
