"""Programs that print too much, too late or nothing: where each limit lies, and what is then said."""

import errno
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from devices.programs import program

from energymeter.drivers.links.command import Command, _is_script, not_started, output
from energymeter.errors import SourceEnded, SourceError, SourceForbidden, SourceMissing, SourceTimeout

MEGABYTE = 1 << 20


def said(*argv: str, seconds: float = 20.0) -> bytes:
    return Command(argv).output(seconds, "it")


def test_an_answer_is_a_megabyte_at_most() -> None:
    assert said("head", "-c", str(MEGABYTE), "/dev/zero") == bytes(MEGABYTE)
    with pytest.raises(
        SourceError, match=r"^it printed more than a megabyte; use stream=1 if it runs on$"
    ) as caught:
        said("head", "-c", str(MEGABYTE + 1), "/dev/zero")
    assert type(caught.value) is SourceError


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo out; echo one >&2; echo two >&2; exit 3", "it ended with exit code 3: two"),
        ("echo out; exit 1", "it ended with exit code 1: out"),
        ("exit 7", "it ended with exit code 7: it gave no reason"),
        ("echo ' ' >&2; exit 7", "it ended with exit code 7: it gave no reason"),
        ("kill -9 $$", "it was ended by signal 9: it gave no reason"),
        ("printf '%0300d' 0 >&2; exit 1", f"it ended with exit code 1: {'0' * 200}"),
        ("printf 'a\\033b' >&2; exit 1", "it ended with exit code 1: a\\x1bb"),
        ("exec >&-; echo late >&2; exit 1", "it ended with exit code 1: late"),
    ],
)
def test_how_a_program_ended_and_its_last_words(script: str, why: str) -> None:
    with pytest.raises(SourceError) as caught:
        said("sh", "-c", script)
    assert str(caught.value) == f"{why}; try it in a terminal"


def test_of_many_errors_the_end_is_kept() -> None:
    command = Command(["sh", "-c", "printf '%05000d' 0 >&2; exit 1"])
    with pytest.raises(SourceError):
        command.output(20.0, "it")
    assert command._errors == b"0" * 4096


def test_a_program_that_does_not_end_is_killed_with_its_children(tmp_path: Path) -> None:
    script = program(tmp_path, "it", f"sleep 600 &\necho $! > {tmp_path}/child\nwait\n")
    with pytest.raises(
        SourceTimeout, match=r"^it did not answer within 0.3 s and was killed; try it in a terminal$"
    ):
        said(script, seconds=0.3)
    child = int((tmp_path / "child").read_text())
    try:
        state = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        state = "gone"
    assert state in ("gone", "Z")


def test_what_a_program_leaves_running_is_not_waited_for() -> None:
    assert said("sh", "-c", "echo 5; sleep 600 & exit 0") == b"5\n"


class Prints(Command):
    """Output in these pieces, and then an end with this code."""

    def __init__(self, *pieces: bytes, code: int | None = 0) -> None:
        super().__init__(["it"])
        self.pieces, self.code = pieces, code
        self.waited: list[float] = []

    def _chunks(self, deadline: float | None = None) -> Iterator[bytes]:
        yield from self.pieces

    def _exit_code(self, seconds: float) -> int | None:
        self.waited.append(seconds)
        return self.code


def followed(command: Command) -> list[list[bytes]]:
    seen = []
    with pytest.raises(SourceEnded, match=r"^it has ended; there are no more samples$"):
        for lines in command.lines("it"):
            seen.append(lines)
    return seen


def test_lines_come_whole_and_the_last_one_without_its_end() -> None:
    assert followed(Prints(b"a\nb", b"c\n\n", b"", b"d")) == [[b"a"], [b"bc", b""], [], [], [b"d"]]
    assert followed(Prints(b"a\n", code=None)) == [[b"a"]], "it closed its output and runs on"
    assert followed(Prints()) == []


def test_a_line_of_64_kibibytes_is_a_line_and_a_longer_one_none() -> None:
    fits = Prints(b"x" * 65536, b"\n5\n")
    assert followed(fits) == [[], [b"x" * 65536, b"5"]]
    assert fits.dropped == 0
    long = Prints(b"x" * 65537, b"\n5\n", b"y" * 65537)
    assert followed(long) == [[], [b"", b"5"], []]
    assert long.dropped == 2


def test_lines_of_a_program_that_failed() -> None:
    command = Prints(b"a\n", code=2)
    lines = command.lines("it")
    assert next(lines) == [b"a"]
    with pytest.raises(SourceError, match=r"^it ended with exit code 2: it gave no reason; try it in a"):
        next(lines)
    assert command.waited == [0.5], "its end may come a little later than its last line"


def test_lines_are_followed_while_they_come() -> None:
    command = Command(["sh", "-c", "echo 1; echo 2; exec sleep 600"])
    command.start("it")
    lines = command.lines("it")
    seen: list[bytes] = []
    while len(seen) < 2:
        seen += next(lines)
    assert seen == [b"1", b"2"]
    command.end()
    command.end()
    assert command._process is None


def test_a_program_that_was_not_started_prints_nothing() -> None:
    idle = Command(["sleep", "600"])
    assert list(idle._chunks()) == []
    assert idle._exit_code(1.0) is None
    idle.kill()
    with pytest.raises(SourceEnded):
        list(idle.lines("it"))


def test_a_program_is_called_by_its_name_alone() -> None:
    assert Command(["/usr/bin/meter\x1b", "--password=x"]).program == "meter\\x1b"
    assert Command([]).program == ""


def test_a_program_is_started_again_only_after_its_end() -> None:
    command = Command(["sleep", "600"])
    command.start("it")
    first = command._process
    assert first is not None
    command.start("it")
    assert first.poll() is not None
    assert command._process is not first
    command.end()


@pytest.mark.parametrize(
    ("error", "name", "kind", "why"),
    [
        (
            OSError(errno.EMFILE, "Too many open files"),
            sys.executable,
            SourceError,
            "{} did not start (Too many open files); try it in a terminal",
        ),
        (
            ValueError("embedded null byte"),
            "sh",
            SourceError,
            "{} did not start (embedded null byte); try it",
        ),
        (OSError("odd"), "sh", SourceError, "{} did not start (odd); try it in a terminal"),
        (OSError(errno.EACCES, "x"), "no-such-meter", SourceMissing, "{} is not installed here; install it"),
        (PermissionError(errno.EACCES, "x"), "no-such-meter", SourceMissing, "{} is not installed here; "),
        (PermissionError(errno.EACCES, "x"), "/no/such", SourceForbidden, "{} may not be run by this user; "),
        (FileNotFoundError(errno.ENOENT, "x"), "/no/such", SourceMissing, "{} is not installed here; "),
    ],
)
def test_why_a_program_did_not_start(
    error: OSError | ValueError, name: str, kind: type[SourceError], why: str
) -> None:
    found = not_started(error, name, "install it")
    assert type(found) is kind
    assert str(found).startswith(why.format(name))


def test_the_text_of_an_answer() -> None:
    assert output(["printf", "5\\n\\377"], 20.0, "install it") == "5\n\ufffd"
    with pytest.raises(
        SourceMissing, match=r"^`no-such-meter -x 1`: no-such-meter is not installed here; buy it$"
    ):
        output(["no-such-meter", "-x", "1"], 20.0, "buy it")


def test_what_is_a_script_and_what_cannot_be_read() -> None:
    assert not _is_script("/proc/self"), "a folder"
    assert not _is_script("/no/such")
    assert not _is_script(sys.executable)
