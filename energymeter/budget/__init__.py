"""Budgets: one charge that many runs share, its ledger, its forecasts, and the loops that draw on it."""

from energymeter.budget.budget import Budget

__all__ = ["Budget"]
