"""Draws docs/demo.svg and demo-dark.svg: the demo and two commands as they run on this machine."""

import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME, SVG_EXPORT_THEME
from rich.text import Text

ROOT = Path(__file__).parent.parent
ENERGYMETER = [sys.executable, "-c", "from energymeter.cli import main; main()"]
COMMANDS = {
    "python examples/voice.py": [sys.executable, "examples/voice.py"],
    "energymeter log sim:pi4 --duration 3": [*ENERGYMETER, "log", "sim:pi4", "--duration", "3"],
    'energymeter run --source sim:pi4 -- python3 -m timeit "sum(range(1000000))"': [
        *ENERGYMETER, "run", "--source", "sim:pi4", "--",
        sys.executable, "-m", "timeit", "sum(range(1000000))",
    ],
}  # fmt: skip

if __name__ == "__main__":
    console = Console(record=True, width=118)
    for shown, command in COMMANDS.items():
        done = subprocess.run(command, cwd=ROOT, text=True, check=True, stdout=-1, stderr=subprocess.STDOUT)
        console.print(Text(f"$ {shown}", style="bold"))
        console.print(Text(done.stdout))
    for name, theme in ("demo.svg", DEFAULT_TERMINAL_THEME), ("demo-dark.svg", SVG_EXPORT_THEME):
        drawn = console.export_svg(title="energymeter", theme=theme, clear=False, unique_id="demo")
        drawn = re.sub(r"@font-face \{.*?\}\n", "", drawn, flags=re.DOTALL)  # of another host
        lines = [line.rstrip() for line in drawn.splitlines() if line.strip()]
        (ROOT / "docs" / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
