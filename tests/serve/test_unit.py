"""The systemd units of an agent."""

import shutil
import subprocess
from pathlib import Path

import pytest

from energymeter.errors import SpecError
from energymeter.serve.unit import units


@pytest.mark.parametrize("user", [False, True])
def test_systemd_accepts_the_units(tmp_path: Path, user: bool) -> None:
    arguments = ["ina219@1:0x40?x=$HOME%h", "--group", "energymeter"]
    text = units(arguments, "energymeter", user, ['/srv/100 %"of it', "/srv/lake"])
    socket, _, service = text.partition("# energymeter.service\n")
    (tmp_path / "energymeter.socket").write_text(socket)
    (tmp_path / "energymeter.service").write_text(service)
    assert "$$HOME%%h" in service
    assert 'ReadWritePaths="/srv/100 %%\\"of it"\nReadWritePaths="/srv/lake"\n' in service
    assert ("SocketGroup=energymeter\n" in socket) is not user
    started_by = "default.target" if user else "multi-user.target"
    assert service.endswith(f"\n[Install]\nWantedBy={started_by}\nAlso=energymeter.socket\n")
    assert "WantedBy=sockets.target\n" in socket
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    files = [str(tmp_path / name) for name in ("energymeter.socket", "energymeter.service")]
    done = subprocess.run(["systemd-analyze", "verify", *files], capture_output=True, text=True, check=False)
    assert str(tmp_path) not in done.stderr, done.stderr


def test_an_argument_is_one_line() -> None:
    with pytest.raises(SpecError, match="one line"):
        units(["a\nExecStartPre=/bin/true"], None, False)
    with pytest.raises(SpecError, match="one line"):
        units([], None, False, ["/srv\nExecStartPre=/bin/true"])
