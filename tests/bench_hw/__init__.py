"""Drivers on a real Linux kernel in a virtual machine: see `run.py` and `Makefile.inc`."""
