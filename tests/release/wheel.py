"""The wheel in a fresh environment of every Python: its command, the README's blocks, the demo's example.

    python tests/release/wheel.py DIST

Everything runs in an empty folder outside of the tree, with no variable that leads back to it. The types of
the examples are checked against the wheel.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VERSIONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXTRAS = "[voice]"
_KEPT = re.compile(r"PIP_.*|SSL_.*|.*_CERT|.*_CA_BUNDLE|(https?|no)_proxy", re.IGNORECASE)


def interpreters() -> dict[str, str]:
    """Each supported Python that runs here, by its version."""
    found = {}
    for version in VERSIONS:
        path = shutil.which(f"python{version}")
        if (
            path is not None
            and subprocess.run([path, "-c", "import venv, ensurepip"], capture_output=True).returncode == 0
        ):
            found[version] = path
    return found


def environment(home: Path) -> dict[str, str]:
    """Nothing of ours but what pip needs."""
    kept = {name: value for name, value in os.environ.items() if _KEPT.fullmatch(name)}
    return {
        **kept,
        "HOME": str(home),
        "PATH": f"{home}/env/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "ENERGYMETER_SOURCE": "sim:pi4",
    }


def run(*command: str | Path, home: Path) -> str:
    """What a command prints; the end of this program if it fails."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=home / "work",
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=300,
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def tried(python: str, wheel: Path, home: Path) -> str:
    """Install the wheel and use it; what it says of itself."""
    (home / "work").mkdir()
    run(python, "-m", "venv", home / "env", home=home)
    installed = home / "env" / "bin" / "python"
    run(
        installed,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        f"{wheel}{EXTRAS}",
        home=home,
    )
    where = run(
        installed,
        "-c",
        "import energymeter.drivers.ina219 as d, energymeter as e; print(e.__file__, d.__file__)",
        home=home,
    )
    if str(ROOT) in where or "drivers" not in where:
        sys.exit(f"not the wheel: {where}")
    if not (Path(where.split()[0]).parent / "py.typed").is_file():
        sys.exit("py.typed is not in the wheel")
    run("energymeter", "devices", home=home)
    names = home / "work" / "blocks.py"
    blocks = BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    names.write_text("\n".join(body for language, body in blocks if language == "python"), encoding="utf-8")
    run(installed, names, home=home)
    for line in re.findall(
        r"^\$ (.*)$", "\n".join(body for language, body in blocks if language == "console"), re.MULTILINE
    ):
        run("/bin/sh", "-c", line, home=home)
    shutil.copy(ROOT / "examples" / "voice.py", home / "work")
    return run(installed, "voice.py", home=home).splitlines()[0]


def typed(wheel: Path, home: Path) -> None:
    """`mypy --strict` over the examples, against the wheel."""
    installed = home / "env" / "bin" / "python"
    run(installed, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "mypy", home=home)
    examples = sorted((ROOT / "examples").glob("*.py"))
    for path in examples:
        shutil.copy(path, home / "work")
    names = [path.name for path in examples]
    run(
        installed,
        "-m",
        "mypy",
        "--strict",
        "--ignore-missing-imports",
        "--allow-untyped-calls",
        *names,
        home=home,
    )
    print(f"mypy --strict: {len(names)} examples against {wheel.name}")


def main(dist: str) -> None:
    """Try all."""
    (wheel,) = Path(dist).resolve().glob("*.whl")
    found = interpreters()
    for version in VERSIONS:
        if version not in found:
            print(f"Python {version}: SKIPPED, not installed here, or without venv")
            continue
        with tempfile.TemporaryDirectory() as home:
            started = time.monotonic()
            said = tried(found[version], wheel, Path(home))
            print(f"Python {version}: {said} ({time.monotonic() - started:.0f} s)", flush=True)
            if version == max(found, key=VERSIONS.index):
                typed(wheel, Path(home))


if __name__ == "__main__":
    main(sys.argv[1])
