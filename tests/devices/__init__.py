"""Emulated devices: they speak the wire, and share no code with the drivers under test."""
