"""Sampling in a process of its own: the child that reads at a steady pace, and the curve both sides share."""
