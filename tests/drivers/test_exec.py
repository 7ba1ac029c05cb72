"""Commands as meters: real child processes, each over in milliseconds unless it must hang."""

import re
import stat
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from devices.opened import open_for_test
from devices.processes import until

from energymeter.drivers.exec import Exec
from energymeter.errors import (
    SourceEnded,
    SourceError,
    SourceForbidden,
    SourceMissing,
    SourceTimeout,
    SpecError,
)
from energymeter.reading import Reading
from energymeter.testing import check_source, check_unplugged


def fresh(source: Exec, count: int) -> list[Reading]:
    taken: list[Reading] = []
    for reading in source.stream():
        if reading.fresh:
            taken.append(reading)
        if len(taken) == count:
            break
    return taken


def test_a_bare_number_conforms() -> None:
    readings = check_source(lambda: Exec("echo 4530", unit="mW", accuracy=0.02))
    assert {r.watts for r in readings} == {4.53}


def test_json_with_paths_and_units() -> None:
    source = Exec(
        """echo '{"psu": [{"p": 4.5, "u": 5020, "i": "0.9"}]}'""",
        watts="$.psu[0].p",
        volts="$.psu[0].u",
        volts_unit="mV",
        amps="$.psu[0].i",
    )
    check_source(lambda: source, accuracy_known=False)
    open_for_test(source)
    assert source.read()[:3] == pytest.approx((5.02, 0.9, 4.5))
    source.close()


def test_a_counter() -> None:
    source = Exec("""echo '{"kwh": 1.5}'""", joules="$.kwh", joules_unit="kWh")
    assert source.facts.semantics == "counter"
    open_for_test(source)
    assert source.read().joules == 5.4e6


def test_no_shell_unless_asked(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    source = Exec(f"echo 1 ; touch {flag}", unit="W")
    with pytest.raises(SourceError, match="no number"):
        open_for_test(source)
    assert not flag.exists()
    shelled = Exec(f"touch {flag} ; echo 1", unit="W", shell=True)
    open_for_test(shelled)
    assert flag.exists()


def test_failure_shows_the_last_line_of_stderr() -> None:
    source = Exec("echo first >&2; echo 'no such sensor' >&2; exit 3", unit="W", shell=True)
    with pytest.raises(SourceError, match=r"exit code 3: no such sensor; try it"):
        open_for_test(source)


def test_death_by_a_signal() -> None:
    with pytest.raises(SourceError, match="ended by signal 9: it gave no reason"):
        Exec("kill -9 $$", unit="W", shell=True).open()


@pytest.mark.slow
def test_a_hung_command_is_killed_with_its_children(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    source = Exec(f"sleep 60 & echo $! > {pid}; wait", unit="W", shell=True, timeout=1.0)
    with pytest.raises(SourceTimeout, match="was killed"):
        open_for_test(source)
    until(lambda: not _alive(int(pid.read_text())))


def _alive(pid: int) -> bool:
    """Whether it runs; a zombie, whose entry waits for whoever inherited it, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_commands_that_cannot_be_run(tmp_path: Path) -> None:
    check_unplugged(lambda: Exec("no-such-meter --once", unit="W"))
    with pytest.raises(SourceMissing, match="no-such-meter"):
        Exec("no-such-meter", unit="W").open()
    plain = tmp_path / "plain"
    plain.write_text("echo 1")
    plain.chmod(stat.S_IRUSR)
    with pytest.raises(SourceForbidden, match="chmod"):
        Exec(str(plain), unit="W").open()


@pytest.mark.parametrize(
    ("output", "match"), [("", "no number"), ("5.2 W", "is no number"), ("nan", "is no number")]
)
def test_bare_output_that_is_no_number(output: str, match: str) -> None:
    with pytest.raises(SourceError, match=match):
        Exec(f"echo '{output}'", unit="W").open()


@pytest.mark.parametrize(
    ("output", "match"), [("{", "no JSON"), ("{}", "leads nowhere"), ('{"p": null}', "no number")]
)
def test_json_output_that_is_none(output: str, match: str) -> None:
    with pytest.raises(SourceError, match=match):
        Exec(f"echo '{output}'", watts="$.p").open()


def test_a_stream_conforms_and_counts_what_is_no_sample() -> None:
    command = "for i in 1 2 3 x 4 5 6 7; do echo $i; done; sleep 30"
    readings = check_source(lambda: Exec(command, unit="W", stream=True, shell=True, accuracy=0.1), reads=7)
    assert [r.watts for r in readings[:7]] == [1, 2, 3, 4, 5, 6, 7]
    source = Exec(command, unit="W", stream=True, shell=True)
    open_for_test(source)
    assert [r.watts for r in fresh(source, 7)] == [1, 2, 3, 4, 5, 6, 7]
    assert source.lost == 1
    source.close()


def test_lines_that_come_at_once_have_whole_and_rising_stamps() -> None:
    source = Exec("printf '1\\n2\\n3\\n4\\n'; sleep 60", unit="W", shell=True, stream=True)
    open_for_test(source)
    stamps = [reading.at_ns for reading in fresh(source, 4)]
    source.close()
    assert all(isinstance(stamp, int) for stamp in stamps)
    assert stamps == sorted(set(stamps))


def test_a_stream_that_ends_says_so_after_its_last_line() -> None:
    source = Exec("printf '1\\n2'", unit="W", stream=True)
    open_for_test(source)
    assert [source.read().watts, source.read().watts] == [1, 2]
    with pytest.raises(SourceEnded):
        source.read()


def test_a_stream_that_fails_says_why() -> None:
    source = Exec("echo 1; echo lost the bus >&2; exit 1", unit="W", stream=True, shell=True)
    open_for_test(source)
    assert source.read().watts == 1
    with pytest.raises(SourceError, match="exit code 1: lost the bus"):
        source.read()


def test_a_silent_stream_beats_and_a_read_of_it_gives_up() -> None:
    source = Exec("sleep 30", unit="W", stream=True, timeout=0.1)
    open_for_test(source)
    with pytest.raises(SourceTimeout, match="flush"):
        source.read()
    source.close()


def test_a_stream_drowning_in_stderr_goes_on() -> None:
    script = "import sys; sys.stderr.write('e' * 300000 + '\\n'); print(1, flush=True)"
    source = Exec(f'{sys.executable} -S -c "{script}"', unit="W", stream=True)
    open_for_test(source)
    assert source.read().watts == 1


def test_endless_lines_are_dropped_and_counted() -> None:
    script = "print('9' * 200000); print(7, flush=True)"
    source = Exec(f'{sys.executable} -S -c "{script}"', unit="W", stream=True)
    open_for_test(source)
    assert source.read().watts == 7
    assert source.lost >= 1


def test_only_a_stream_offers_the_hook() -> None:
    assert not hasattr(Exec("echo 1", unit="W"), "stream")
    assert hasattr(Exec("echo 1", unit="W", stream=True), "stream")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"unit": "horses"},
        {"watts": "p"},
        {"unit": "W", "timeout": 0.0},
        {"watts": "$.p", "unit": "mV"},
        {"unit": "V"},
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(SpecError):
        Exec("echo 1", **options)


@pytest.mark.parametrize("command", ["", "  ", "echo 'open"])
def test_commands_that_make_no_sense(command: str) -> None:
    with pytest.raises(SpecError):
        Exec(command, unit="W")


def test_a_name_shows_the_program_and_nothing_of_its_arguments() -> None:
    assert Exec("/opt/meters/read-plug", unit="W").name == "exec@read-plug"
    secret = "curl --user me:hunter2 http://plug/"
    names = {Exec(f"{secret}{n}", unit="W").name for n in range(5)}
    assert len(names) == 5, "each has a name of its own, for columns and cards"
    assert all(re.fullmatch(r"exec@curl#[0-9a-f]{4}", name) for name in names)
    shelled = Exec(f"PASSWORD=hunter2 {secret}", unit="W", shell=True)
    assert re.fullmatch(r"exec@sh#[0-9a-f]{4}", shelled.name)
    with pytest.raises(SourceError) as caught:
        Exec("false hunter2", unit="W").open()
    assert "hunter2" not in str(caught.value)
    for broken in ("curl 'hunter2", ""):
        with pytest.raises(SpecError) as refused:
            Exec(broken, unit="W")
        assert "hunter2" not in str(refused.value)


def test_an_endless_answer_is_refused_before_it_fills_the_memory() -> None:
    source = Exec("yes 1", unit="W", timeout=5.0)
    with pytest.raises(SourceError, match="more than a megabyte"):
        open_for_test(source)


def test_what_a_command_says_cannot_move_the_cursor() -> None:
    source = Exec("printf '\\033[2Jgone\\n' >&2; exit 1", unit="W", shell=True)
    with pytest.raises(SourceError, match=r"exit code 1: \\x1b\[2Jgone"):
        open_for_test(source)


def test_what_a_command_leaves_running_does_not_hold_up_its_answer() -> None:
    source = Exec("sleep 60 & echo 5", unit="W", shell=True, timeout=5.0)
    began = time.monotonic()
    open_for_test(source)
    assert source.read().watts == 5.0
    assert time.monotonic() - began < 2.0
