"""Drivers: one file, one meter; the file name is the driver name."""
