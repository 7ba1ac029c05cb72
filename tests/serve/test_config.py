"""What an agent is asked to serve: the command line, or a file."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from energymeter.errors import SpecError
from energymeter.serve.config import MOST_BYTES, Config
from energymeter.serve.rejections import Rejections


def test_a_command_line_names_its_sources() -> None:
    config = Config.of(("manual:5V,0.6A", "sim:pi4+sim:pi5", "manual:5V,1A"))
    assert [(entry.name, len(entry.configs), entry.counted) for entry in config.sources] == [
        ("manual", 1, 1),
        ("sim", 2, 2),
        ("manual-2", 1, 1),
    ]


def test_a_file_names_them_too(tmp_path: Path) -> None:
    file = tmp_path / "agent.ini"
    file.write_text(
        "[agent]\ngroup = energymeter ; a class\nlinger = 3\nalways = yes\n"
        "[source um25c]\nspec = um25c@/dev/rfcomm0\nrate = 2\n"
    )
    config = Config.load(str(file)).checked()
    assert (config.group, config.linger_seconds, config.always, config.socket) == (
        "energymeter",
        3.0,
        True,
        None,
    )
    (entry,) = config.sources
    assert (entry.name, entry.configs[0].source.driver, entry.configs[0].rate_hz) == ("um25c", "um25c", 2.0)


@pytest.mark.parametrize(
    "text",
    [
        "", "spec = x\n", "[other]\n", "[agent]\nalways = perhaps\n", "[agent]\nlinger = -1\n", "[agent x]\n",
        "[agent]\nlinger = nan\n", "[source x]\nrate = 2\n", "[source x]\nspec = manual:7W\nrate = fast\n",
        "[source x]\nspec = manual:7W\nrate = 1e9\n", "[source x y]\nspec = manual:7W\n",
        "[source ../x]\nspec = manual:7W\n", "[source x]\nspec = nodriver\n", "[source x]\nspec = agent\n",
        "[source x]\nspec = manual:7W\npath = /\n",
        "[source x]\nspec = manual:7W\n[source x]\nspec = manual:7W\n",
        "\udcff".encode("utf-8", "surrogateescape"), "#" * (MOST_BYTES + 1),
        "".join(f"[source s{number}]\nspec = manual:7W\n" for number in range(65)),
    ],
)  # fmt: skip
def test_a_file_that_makes_no_sense_is_refused(tmp_path: Path, text: str | bytes) -> None:
    file = tmp_path / "agent.ini"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SpecError):
        Config.load(str(file)).checked()


@pytest.mark.parametrize(
    ("section", "keys", "why"),
    [
        ("source board", "spec = nodriver", "there is no driver 'nodriver'"),
        ("source board", "spec = ina219@1:0x40?shun=0.1", "ina219 has no option 'shun'"),
        ("source board", "spec = agent", "an agent does not serve the source of an agent"),
        ("source board", "spec = manual:7W\nrate = 1e9", "Hz"),
        ("source a/b", "spec = manual:7W", "a source cannot be named 'a/b'"),
        ("source board", "rate = 2", "a source needs spec"),
        ("agent", "always = perhaps", "always is yes or no"),
        ("mqtt", "uri = x", "the key uri is not known"),
        ("other", "", "there is no such section"),
        ("source x\x1b[2J", "spec = manual:7W", "a source cannot be named"),
    ],
)
def test_an_error_names_the_file_and_the_section(tmp_path: Path, section: str, keys: str, why: str) -> None:
    file = tmp_path / "agent.ini"
    file.write_text(f"[source first]\nspec = manual:5V,1A\n[{section}]\n{keys}\n")
    with pytest.raises(SpecError) as caught:
        Config.load(str(file))
    shown = section.replace("\x1b", "\\x1b")
    assert str(caught.value).startswith(f"{file}: [{shown}]: ")
    assert why in str(caught.value)
    assert str(caught.value).isprintable()


def test_the_command_says_which_section_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "agent.ini"
    file.write_text("[source board]\nspec = ina291@1:0x40\n")
    command = [sys.executable, "-m", "energymeter", "serve", "--config", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode
    (line,) = done.stderr.splitlines()
    assert f"{file}: [source board]: there is no driver 'ina291'; did you mean ina219" in line


def test_a_recording_at_its_own_times_is_not_served(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="speed=max"):
        Config.of((f"replay@{tmp_path}/x.csv?speed=max",))


def test_the_command_serves_until_it_is_asked_to_end() -> None:
    with tempfile.TemporaryDirectory(prefix="em-") as folder:
        path = os.path.join(folder, "agent.sock")
        command = [sys.executable, "-m", "energymeter", "serve", "manual:5V,0.6A", "--socket", path]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
            assert running.stderr.readline() == f"serving manual at {path}\n"
            running.send_signal(signal.SIGTERM)
            assert running.wait(30) == 0
            assert running.stderr.read() == ""
        assert not os.path.exists(path)


def test_what_a_configuration_leaves_out_is_as_the_page_says() -> None:
    config = Config(())
    assert (config.socket, config.group, config.linger_seconds, config.always) == (None, None, 5.0, False)
    assert config.sections == {}


def test_causes_of_rejections_are_counted_up_to_a_thousand(caplog: pytest.LogCaptureFixture) -> None:
    rejections = Rejections()
    for number in range(1001):
        rejections.note(f"cause {number}", f"refused {number}")
    rejections.note("cause 0", "again")
    rejections.note("cause 2000", "another")
    assert len(rejections.counts) == 1001, "and all others in one"
    assert rejections.counts["others"] == 2
    assert rejections.counts["cause 0"] == 2
    assert rejections.counts["cause 999"] == 1
    assert [record.message for record in caplog.records][-2:] == ["refused 999", "refused 1000"]
