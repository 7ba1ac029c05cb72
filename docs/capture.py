"""Draws docs/demo.svg: the demo and two commands as they run on this machine."""

import subprocess
import sys
from pathlib import Path

from rich.console import Console
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

console = Console(record=True, width=118)
for shown, command in COMMANDS.items():
    done = subprocess.run(command, cwd=ROOT, text=True, check=True, stdout=-1, stderr=subprocess.STDOUT)
    console.print(Text(f"$ {shown}", style="bold"))
    console.print(Text(done.stdout))
console.save_svg(str(ROOT / "docs" / "demo.svg"), title="energymeter")
