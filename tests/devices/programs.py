"""Emulated programs: small shell scripts that print what real ones print."""

from pathlib import Path


def program(folder: Path, name: str, script: str) -> str:
    """Write an executable script and return its path."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)
