"""Fuzz the readers of `targets.py` with atheris, each in a process of its own for a share of the time.

    python tests/fuzz/fuzz.py SECONDS [TARGET...]

What it learns stays in ``.cache/fuzz``, so the next run goes on from there. An input that shows a defect is
kept in ``tests/fuzz/findings/TARGET``, and is a test from then on.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LONGEST_BYTES = 4096
SLOW_SECONDS = 10
MEMORY_MB = 1024


def main(seconds: float, names: list[str]) -> int:
    """Fuzz each; how many showed a defect."""
    if importlib.util.find_spec("atheris") is None:
        print("fuzz SKIPPED: atheris has no wheel for this Python or machine (CI fuzzes with hypothesis)")
        return 0
    wrong = []
    for name in names:
        print(f"== {name}", flush=True)
        command = [sys.executable, __file__, "one", name, str(max(1, round(seconds / len(names))))]
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            wrong.append(name)
    print(f"defects in: {', '.join(wrong) or 'none'}")
    return len(wrong)


def one(name: str, seconds: str) -> None:
    """Fuzz one target in this process; libFuzzer ends it."""
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    import atheris

    with atheris.instrument_imports(include=["energymeter", "json", "csv", "configparser"]):
        from fuzz.targets import TARGETS

        for seed in TARGETS[name].seeds():
            TARGETS[name].run(seed)  # loads what is loaded when first needed, so that it is followed too
    corpus, findings = ROOT / ".cache" / "fuzz" / name, HERE / "findings" / name
    for folder in (corpus, findings):
        folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(TARGETS[name].seeds()):
        (corpus / f"seed{number}").write_bytes(seed)
    options = {
        "max_total_time": seconds,
        "max_len": LONGEST_BYTES,
        "timeout": SLOW_SECONDS,
        "rss_limit_mb": MEMORY_MB,
        "artifact_prefix": f"{findings}{os.sep}",
        "verbosity": 1,
        "print_final_stats": 1,
    }
    atheris.Setup([sys.argv[0], *(f"-{k}={v}" for k, v in options.items()), str(corpus)], TARGETS[name].run)
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        one(*sys.argv[2:4])
    else:
        sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
        from fuzz.targets import TARGETS as ALL

        sys.exit(main(float((sys.argv[1:] or ["600"])[0]), sys.argv[2:] or list(ALL)))
