"""`%%energy` in a real IPython shell: results, errors, interruptions."""

import signal

import pytest
from integrations.frameworks import versions

from energymeter.energy import Usage

interactiveshell = pytest.importorskip(
    "IPython.core.interactiveshell", reason="IPython is not installed; `make test-integrations` has it"
)
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(params=[versions("ipython")], ids=str)
def shell(request, tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    interactiveshell.InteractiveShell.clear_instance()
    shell = interactiveshell.InteractiveShell.instance()
    shell.run_line_magic("load_ext", "energymeter.integrations")
    yield shell
    interactiveshell.InteractiveShell.clear_instance()


def test_a_cell_is_measured_and_shows_its_last_expression(shell, capsys):
    result = shell.run_cell("%%energy manual:5V,0.6A\nx = 21\n2 * x")
    assert result.success
    assert shell.user_ns["x"] == 21
    assert isinstance(shell.user_ns["_energy"], Usage)
    out = capsys.readouterr().out
    assert "42" in out
    assert "J ±" in out
    assert "manual" in out


def test_the_error_of_a_cell_passes_and_what_it_used_is_kept(shell, capsys):
    result = shell.run_cell("%%energy manual:5V,0.6A\ny = 1\n1 // 0\ny = 2")
    assert isinstance(result.error_in_exec, ZeroDivisionError)
    assert shell.user_ns["y"] == 1
    assert shell.user_ns["_energy"].joules > 0
    assert "J ±" in capsys.readouterr().out


@pytest.fixture
def interruptible():
    """Ctrl-C interrupts, also where the tests run in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_cell_loses_nothing(shell, capsys):
    cell = "%%energy manual:5V,0.6A\nz = 1\nimport signal\nsignal.raise_signal(signal.SIGINT)\nz = 2"
    shell.run_cell(cell)
    assert shell.user_ns["z"] == 1
    assert shell.user_ns["_energy"].joules > 0
    assert "J ±" in capsys.readouterr().out


def test_an_unknown_source_is_one_sentence(shell):
    result = shell.run_cell("%%energy nonsense@\nx = 1")
    assert result.error_in_exec is not None
    assert "nonsense" in str(result.error_in_exec)
    assert "x" not in shell.user_ns or shell.user_ns["x"] != 1
