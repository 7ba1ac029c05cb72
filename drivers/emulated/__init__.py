"""Emulated chips behind the simulated sources."""
