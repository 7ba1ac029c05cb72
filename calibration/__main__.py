"""``python -m energymeter.calibration``: the same as ``energymeter calibrate``."""

import sys

from energymeter.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["calibrate"]
    main()
