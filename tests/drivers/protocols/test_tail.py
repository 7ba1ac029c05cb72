"""The new lines of a file that grows: long lines, half lines, other encodings, a file begun again."""

import codecs
import os
from pathlib import Path

import pytest

from energymeter.drivers.protocols.text_table import LONGEST_LINE, Tail
from energymeter.errors import SourceError, SourceForbidden, SourceMissing

KIB64 = 65536


def tail_of(path: Path, content: bytes = b"") -> Tail:
    path.write_bytes(content)
    tail = Tail(str(path), "csv@it")
    tail.open()
    return tail


def add(path: Path, content: bytes) -> None:
    with path.open("ab") as file:
        file.write(content)


def test_whole_lines_come_and_a_half_one_waits(tmp_path: Path) -> None:
    path = tmp_path / "f"
    tail = tail_of(path, b"a\r\nb\n\nc")
    assert tail.lines() == ["a", "b", ""]
    assert tail.lines() == []
    add(path, b"d\n")
    assert tail.lines() == ["cd"]
    tail.close()
    tail.close()
    assert tail.lines() == []


def test_a_line_longer_than_64_kibibytes_is_thrown_away(tmp_path: Path) -> None:
    assert LONGEST_LINE == KIB64
    path = tmp_path / "f"
    tail = tail_of(path, b"x" * KIB64)
    assert tail.lines() == []
    assert tail.dropped == 0
    add(path, b"\n")
    assert tail.lines() == ["x" * KIB64]
    add(path, b"y" * (KIB64 + 1))
    assert tail.lines() == []
    assert tail.dropped == 1
    add(path, b"\nz\n")
    assert tail.lines() == ["", "z"]
    add(path, b"y" * (KIB64 + 1))
    assert tail.lines() == []
    assert tail.dropped == 2


def test_a_megabyte_is_read_at_a_time(tmp_path: Path) -> None:
    tail = tail_of(tmp_path / "f", b"1234567\n" * (131_072 + 1))
    assert len(tail.lines()) == 131_072
    assert len(tail.lines()) == 1


@pytest.mark.parametrize(
    ("start", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ],
)
def test_lines_in_any_encoding_also_where_a_character_is_cut(
    tmp_path: Path, start: bytes, encoding: str
) -> None:
    path = tmp_path / "f"
    text = "µ;€\n2;3\n".encode(encoding)
    tail = tail_of(path, start + text[:1])
    assert tail.lines() == []
    add(path, text[1:])
    assert tail.lines() == ["µ;€", "2;3"]
    add(path, "\u0a0a;1\n".encode(encoding))
    assert tail.lines() == ["\u0a0a;1"], "its bytes are no line ends"


@pytest.mark.parametrize(
    ("start", "encoding"),
    [(b"", "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")],
)
@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a\nb\n", "n"),
        ("a\nb", "bn"),
        ("ab", "abn"),
        ("", "n"),
        ("\u010a\u0a01", "\u010a\u0a01n"),  # halves of two characters are no line end
        ("x" * 70_000 + "\nb", "bn"),
        ("a\n" + "\u0a0a" * 5, "\u0a0a" * 5 + "n"),
    ],
)
def test_what_stands_there_already_is_left_out_but_for_a_half_line(
    tmp_path: Path, start: bytes, encoding: str, text: str, left: str
) -> None:
    path = tmp_path / "f"
    tail = tail_of(path, start + text.encode(encoding))
    tail.lines()  # by its first bytes the encoding is known
    if not text:
        add(path, b"")
    tail.skip()
    add(path, "n\n".encode(encoding))
    (line,) = tail.lines()
    assert line == left


def test_of_a_line_that_is_too_long_already_only_what_follows_counts(tmp_path: Path) -> None:
    path = tmp_path / "f"
    tail = tail_of(path, b"x" * (KIB64 + 1))
    tail.skip()
    add(path, b"y\n5\n")
    assert tail.lines() == ["y", "5"]
    tail = tail_of(path, b"x" * KIB64)
    tail.skip()
    add(path, b"y\n5\n")
    assert tail.lines() == ["x" * KIB64 + "y", "5"]
    tail = tail_of(path, b"\n" + b"x" * (KIB64 - 1))
    tail.skip()
    add(path, b"y\n")
    assert tail.lines() == ["x" * (KIB64 - 1) + "y"]


def test_a_file_is_begun_again_if_it_shrank_or_another_has_its_name(tmp_path: Path) -> None:
    path = tmp_path / "f"
    tail = tail_of(path, b"a\nb\n")
    assert len(tail.lines()) == 2
    assert not tail.restarted(), "nothing is new"
    add(path, b"c\n")
    assert not tail.restarted(), "it has grown"
    assert tail.lines() == ["c"]
    path.write_bytes(b"d\n")
    assert tail.restarted(), "it shrank"
    assert tail.lines() == ["d"]
    path.write_bytes(b"e\n")
    assert not tail.restarted(), "as long as before: nobody can tell"
    other = tmp_path / "g"
    other.write_bytes(b"a\nb\nc\nd\n")
    other.rename(path)
    assert tail.restarted(), "another file, though a longer one"
    assert tail.lines() == ["a", "b", "c", "d"]
    path.unlink()
    assert not tail.restarted(), "a rotation is two steps"
    tail.close()
    path.write_bytes(b"f\n")
    assert tail.restarted(), "it was closed"
    assert tail.lines() == ["f"]


def test_what_cannot_be_opened_or_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = Tail(str(tmp_path / "none"), "csv@it")
    with pytest.raises(
        SourceMissing, match=r"^csv@it: there is no such file; start its writer first, or correct the path$"
    ):
        missing.open()
    with pytest.raises(SourceError, match=r"^csv@it cannot be read \(Is a directory\); give a plain file$"):
        Tail(str(tmp_path), "csv@it").open()
    tail = tail_of(tmp_path / "f", b"a\n")

    class Broken:
        def read(self, size: int) -> bytes:
            raise OSError(5, "Input/output error")

        def close(self) -> None: ...

    monkeypatch.setattr(tail, "_file", Broken())
    with pytest.raises(SourceError, match=r"^csv@it cannot be read any more \(Input/output error\); give a"):
        tail.lines()

    def closed(*_: object, **__: object) -> object:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr("builtins.open", closed)
    with pytest.raises(SourceForbidden, match=r"^csv@it: this user may not read the file; chmod a\+r it$"):
        missing.open()
