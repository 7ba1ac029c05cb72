"""Who follows a number through the code does not get lost: `make walk` counts the files on the way."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_a_usage_and_a_debit_are_followed_through_at_most_fifteen_files():
    done = subprocess.run(
        [sys.executable, "benchmarks/walk.py"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    usage, debit = done.stdout.splitlines()
    assert "from a usage to its text: energymeter/meter/meter.py" in usage
    assert int(usage.split()[0]) <= 15, usage
    assert "from a debit to the ledger: " in debit
    assert debit.endswith("energymeter/budget/ledger.py")
    assert int(debit.split()[0]) <= 15, debit
