"""Every block of the page on integrations is run, each by itself, where what it imports is installed."""

import ast
import importlib.util
import re
from pathlib import Path

import pytest
from integrations.frameworks import offline_with_one_thread

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "integrations.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def packages(block: str) -> list[str]:
    """What a block imports, but our own."""
    found = []
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append(node.module or "")
    return [name for name in found if not name.startswith("energymeter")]


def title(block: str) -> str:
    return next(
        (name.partition(".")[0] for name in packages(block)[::-1]), block.strip().splitlines()[1][-30:]
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("block", BLOCKS, ids=title)
def test_a_recipe_does_what_it_shows(block, tmp_path, monkeypatch):
    for name in packages(block):
        if importlib.util.find_spec(name.partition(".")[0]) is None:
            pytest.skip(f"{name} is not installed; `make test-integrations` runs this recipe")
    offline_with_one_thread()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    exec(compile(block, PAGE.name, "exec"), {"__name__": "recipe"})  # noqa: S102 - our own page


def test_there_is_a_recipe_for_each():
    named = {name.partition(".")[0] for block in BLOCKS for name in packages(block)}
    assert named >= {
        "torch",
        "accelerate",
        "transformers",
        "pytorch_lightning",
        "keras",
        "sklearn",
        "onnxruntime",
    }
