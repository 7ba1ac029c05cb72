"""What a question prints as a command line is one: it is pasted, and works."""

import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from energymeter.cli import cli

ROWS = "moment;Wert;Farbe\n" + "".join(f"{i};{2 + 8 * (i > 20)};rot\n" for i in range(40))


def said(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, arguments)
    return result.exit_code, result.output + str(result.exception or "")


@pytest.mark.parametrize(
    "command",
    [
        ["show"],
        ["carbon", "--grid", "world"],
        ["align"],
        ["budget", "forecast", "--battery", "18650", "--log"],
    ],
)
def test_a_printed_line_is_pasted_until_it_works(tmp_path: Path, command: list[str]) -> None:
    file = tmp_path / "a log of mine.csv"
    file.write_text(ROWS)
    other = tmp_path / "other.csv"
    other.write_text("time_s,power_W\n" + "".join(f"{i},{2 + 8 * (i > 20)}\n" for i in range(40)))
    more = [str(other)] if command == ["align"] else []
    arguments = [*command, str(file), *more]
    for _ in range(4):
        code, output = said(*arguments)
        if code == 0 or "read as table with semicolon: moment [s], Wert [W]" in output:
            return  # it was read; whether two recordings can be aligned is another question
        assert "it has, parted by semicolon: moment, Wert, Farbe" in output
        _, _, line = output.partition("as in energymeter ")
        arguments = shlex.split(line.strip().splitlines()[0])
    pytest.fail(output)
