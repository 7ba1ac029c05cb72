"""What the pages show: a block of one of them."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def block(page: str, language: str, contains: str) -> str:
    """The one block of a language that contains a text."""
    text = (DOCS / page).read_text(encoding="utf-8")
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (found,) = [one for one in blocks if contains in one]
    return str(found)
