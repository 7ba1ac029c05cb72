"""The readers of files and frames under atheris: see `fuzz.py`."""
