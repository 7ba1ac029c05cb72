"""How the questions to a lake grow with its rows: time, memory, and DuckDB's own scan of the same columns.

    python benchmarks/lake.py FOLDER [MOST_SAMPLES]

Lakes of simulated fleets of 10⁵ samples and more, tenfold each, are made below FOLDER and removed again;
2·10⁸ take some 3 GB. Each question is asked in a process of its own, the best of three times counts, and its
peak memory is that of the process. Writes docs/pictures/lake-growth.svg and prints what is for docs/fleet.md.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import time

_RUN = "run_id version provenance calibrated seconds covered_seconds start_unix_us"
_UNITS = (
    f"{_RUN} board model variant unit place units joules_per_unit uncertainty_joules_per_unit "
    "gain_uncertainty_joules_per_unit offset_uncertainty_joules_per_unit random_uncertainty_joules_per_unit "
    "seconds_per_unit host_name source"
)
_ONCE = f"{_RUN} run host_name place joules"
COLUMNS = {
    "per-unit": {"runs": _UNITS},
    "ranking": {"runs": _UNITS},
    "coverage": {
        "runs": "run_id version provenance calibrated host_name board place seconds covered_seconds"
    },
    "fleet": {
        "runs": f"{_ONCE} clock_uncertainty_seconds accuracy_known",
        "seconds": "run unix_s joules coulombs seconds covered_seconds gain_uncertainty_joules "
        "offset_uncertainty_joules random_uncertainty_joules mean_watts",
    },
    "power": {"runs": f"{_ONCE} board", "samples": "run channel counted joules covered_seconds watts"},
}
"""For each question the columns that it touches, by their table."""
SIZES = ((1, 1, 28), (1, 6, 47), (2, 24, 58), (25, 24, 47), (50, 24, 50))
"""Boards, hours and samples a second: 1.0·10⁵, 1.0·10⁶, 1.0·10⁷, 1.0·10⁸ and 2.2·10⁸ samples."""
TIMES = 3


def ask(root, question, engine):
    """One question in this process: seconds of the best of three, and MB at most."""
    from energymeter.lake import Choice, Tables
    from energymeter.lake.questions import QUESTIONS

    tables = Tables(root, engine)
    choice = Choice(include=("simulated",), least_coverage=0.9)
    return _best(lambda: QUESTIONS[question](tables, choice))


def scan(root, question, _):
    """DuckDB's own scan of the columns."""
    import duckdb

    connection = duckdb.connect(config={"memory_limit": "1500MB"})
    connection.execute("SET parquet_metadata_cache = true")  # as the questions have it
    queries = [
        f"SELECT {', '.join(f'max({name})' for name in columns.split())} "
        f"FROM read_parquet('{root}/{table}/*/*/*.parquet', hive_partitioning = true)"
        for table, columns in COLUMNS[question].items()
    ]
    return _best(lambda: [connection.execute(query).fetchall() for query in queries])


def _best(work):
    seconds = []
    for _ in range(TIMES):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return min(seconds), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def apart(kind, root, question, engine="duckdb"):
    done = subprocess.run(
        [sys.executable, __file__, "--one", kind, root, question, engine],
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout)


def main(folder, most):
    from energymeter.lake import generate

    found = []
    for boards, hours, rate_hz in SIZES:
        samples = boards * hours * 3600 * rate_hz
        if samples > most:
            break
        root = os.path.join(folder, f"lake-{samples}")
        begin = time.perf_counter()
        fleet = generate(root, boards=boards, hours=hours, rate_hz=rate_hz)
        made = time.perf_counter() - begin
        row = {"samples": fleet.samples, "bytes": fleet.bytes, "made_seconds": made}
        files = sum(len(names) for _, _, names in os.walk(root))
        print(
            f"{fleet.samples} samples, {fleet.bytes / 1e6:.1f} MB, {files} files, made in {made:.1f} s",
            flush=True,
        )
        for question in COLUMNS:
            seconds, megabytes = apart("ask", root, question)
            plain, _ = apart("scan", root, question)
            row[question] = {"seconds": seconds, "megabytes": megabytes, "scan_seconds": plain}
            answered = f"{seconds:8.3f} s {megabytes:6.0f} MB"
            print(f"  {question:9} {answered}, scan {plain:8.3f} s: {seconds / plain:.1f} times", flush=True)
        found.append(row)
        shutil.rmtree(root)
    print(json.dumps(found))
    draw(found)


def draw(found):
    """Time of each question against samples, both logarithmic, with a line that grows as the samples do."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.2), layout="constrained")
    samples = [row["samples"] for row in found]
    for question, mark in zip(COLUMNS, "osv^D", strict=True):
        axes.loglog(samples, [row[question]["seconds"] for row in found], marker=mark, label=question)
    scans = [row["power"]["scan_seconds"] for row in found]
    axes.loglog(samples, scans, color="0.5", linestyle="--", label="DuckDB's scan of the columns of power")
    last = found[-1]["power"]["seconds"]
    axes.loglog(samples, [last * one / samples[-1] for one in samples], color="0.8", label="linear")
    axes.set_xlabel("samples in the lake (simulated)")
    axes.set_ylabel("seconds for an answer")
    axes.legend(fontsize=8)
    folder = os.path.join(os.path.dirname(__file__), "..", "docs", "pictures")
    os.makedirs(folder, exist_ok=True)
    figure.savefig(os.path.join(folder, "lake-growth.svg"))


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        print(json.dumps({"ask": ask, "scan": scan}[sys.argv[2]](*sys.argv[3:6])))
    else:
        main(sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 3e8)
