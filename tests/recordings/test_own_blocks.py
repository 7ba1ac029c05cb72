"""Our own CSV and JSON lines by whole columns: the same figures, notes and damage as row by row."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from energymeter.errors import EnergyMeterError
from energymeter.recordings import own, reader, thinning
from energymeter.recordings.header import COLUMNS
from tests.recordings.test_channels import own as write_own

pytest.importorskip("pyarrow")


def outcome(path: str) -> Any:
    """All of what is read, or what is refused.

    After damage the two ways may find the closing record or not, and so warn in other words.
    """
    try:
        return [
            (
                r.name,
                r.damage,
                r.notes if r.damage is None else bool(r.notes),
                r.window_s,
                {c: np.array(r.columns[c]).tobytes() for c in COLUMNS},
            )
            for r in reader.read(path)
        ]
    except EnergyMeterError as refused:
        return str(refused)


def both(path: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """Read by blocks and row by row."""
    with monkeypatch.context() as patched:
        patched.setattr(own, "_LONG_BYTES", 0)
        by_block = outcome(path)
        patched.setattr(own, "_is_long", lambda file: False)
        return by_block, outcome(path)


def closed(text: str) -> str:
    """A log with its closing record."""
    import hashlib
    import json

    seal = hashlib.sha256(text.encode())
    sha = own.closing_checksum(seal, [0.0, 100.0])
    return text + "# " + json.dumps({"closed": {"window_s": [0.0, 100.0], "sha256": sha}}) + "\n"


_CHANGES = st.sampled_from(
    [
        "",
        "\n",
        "\r\n",
        '"',
        ",",
        "x",
        "nan",
        "inf",
        "-1",
        "1_0",
        " ",
        "1e400",
        "é",
        '# {"closed": ',
        ",,,",
        "\n#",
    ]
)


@given(
    added=st.booleans(),
    ended=st.booleans(),
    changes=st.lists(st.tuples(st.floats(0, 1), _CHANGES), max_size=3),
    cut=st.floats(0.5, 1.2),
    block=st.sampled_from([64, 500, 1 << 22]),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_by_blocks_as_by_rows(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    added: bool,
    ended: bool,
    changes: Any,
    cut: float,
    block: int,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_own(added)
    text = Path("log.csv").read_text()
    text = closed(text) if ended else text
    head = text.index("\n") + 1
    for share, change in changes:
        place = head + int(share * (len(text) - head))
        text = text[:place] + change + text[place:]
    Path("log.csv").write_bytes(text[: int(cut * len(text))].encode())
    monkeypatch.setattr(own, "_BLOCK_BYTES", block)
    by_block, by_row = both("log.csv", monkeypatch)
    assert by_block == by_row


def as_json_lines(text: str) -> str:
    """A log in JSON lines with the rows of one in CSV."""
    import json

    head, titles, *rows = text.splitlines()
    names = titles.split(",")

    def line(row: str) -> str:
        cells = dict(zip(names, row.split(","), strict=True))
        return json.dumps(
            {name: cells[name] if name == "source" else float(cells[name] or "nan") for name in cells}
        ).replace("NaN", "null")

    return "\n".join([head.removeprefix("# "), *map(line, rows), ""])


_JSON_CHANGES = st.sampled_from([
    "", "\n", "\r\n", '"', ",", "x", "NaN", "null", "-1", "1e400", "é", " ", "{", "}", "{}\n", '"volts": 1, ',
    '"volts": "1", ', '"source": null, ', "[1]", "true", '{"closed": ', "\n{", "\\u00e9", "\t", "\0",
    "0", "e5", '"x": {"volts": 2}, ', "\n\n", " \n", "Infinity",
])  # fmt: skip


@pytest.mark.slow
@given(
    added=st.booleans(),
    one=st.booleans(),
    changes=st.lists(st.tuples(st.floats(0, 1), _JSON_CHANGES, st.booleans()), max_size=3),
    cut=st.floats(0.5, 1.2),
    block=st.sampled_from([64, 500, 1 << 22]),
)
@settings(
    max_examples=3 * settings().max_examples // 2,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_json_lines_by_blocks_as_by_rows(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    added: bool,
    one: bool,
    changes: Any,
    cut: float,
    block: int,
) -> None:
    import json

    monkeypatch.chdir(tmp_path)
    write_own(added)
    text = Path("log.csv").read_text()
    if one:
        head, titles, *rows = text.splitlines(keepends=True)
        header = json.loads(head[2:])
        header["channels"] = header["channels"][:1]
        text = f"# {json.dumps(header)}\n" + titles + "".join(rows[::2])
    text = as_json_lines(text)
    head_end = text.index("\n") + 1
    for share, change, at_key in changes:
        place = head_end + int(share * (len(text) - head_end))
        if at_key:  # where an object may have another member
            place = max(text.rfind(', "', 0, place) + 2, head_end)
        text = text[:place] + change + text[place:]
    Path("log.jsonl").write_bytes(text[: int(cut * len(text))].encode())
    monkeypatch.setattr(own, "_BLOCK_BYTES", block)
    by_block, by_row = both("log.jsonl", monkeypatch)
    assert by_block == by_row


def test_very_many_rows_are_joined_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_own(True)
    head, titles, *_ = Path("log.csv").read_text().splitlines(keepends=True)
    rows = "".join(
        f"{i},{name},,,{i % 7}.5,{4 * i},,{i}\n" for i in range(3000) for name in ("VDD_IN", "SOC")
    )
    order = titles.strip().split(",")
    assert order == ["time_s", "source", "volts", "amps", "watts", "joules", "coulombs", "covered_s"]
    Path("log.csv").write_text(head + titles + rows)
    monkeypatch.setattr(own, "BLOCK_ROWS", 256)
    monkeypatch.setattr(thinning, "BLOCK_ROWS", 256)
    monkeypatch.setattr(thinning.ChannelRows.__init__, "__defaults__", (1000,))
    monkeypatch.setattr(own, "_BLOCK_BYTES", 5000)
    by_block, by_row = both("log.csv", monkeypatch)
    assert by_block == by_row
    assert "joined into one mean" in reader.read("log.csv")[0].notes[-1]


def test_the_plain_ones_are_read_by_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for added in (False, True):
        write_own(added)
        Path("log.csv").write_text(closed(Path("log.csv").read_text()))
        monkeypatch.setattr(own, "_LONG_BYTES", 0)
        monkeypatch.setattr(own.csv, "DictReader", None)  # row by row would fail
        (record, _) = reader.read("log.csv")
        assert len(record.columns["time_s"]) == 121
        assert record.window_s == (0.0, 100.0)
        monkeypatch.undo()
        monkeypatch.chdir(tmp_path)
        write_own(added)
        Path("log.jsonl").write_text(as_json_lines(Path("log.csv").read_text()))
        monkeypatch.setattr(own, "_LONG_BYTES", 0)
        monkeypatch.setattr(own, "_json_rows", None)
        (record, _) = reader.read("log.jsonl")
        assert len(record.columns["time_s"]) == 121
        monkeypatch.undo()
        monkeypatch.chdir(tmp_path)
