"""Budgets: one charge that many runs share, its ledger and its forecasts."""

from energymeter.lazy import face

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing
if TYPE_CHECKING:
    from energymeter.budget.account import Account as Account
    from energymeter.budget.balance import Balance as Balance
    from energymeter.budget.forecast import Forecast as Forecast
    from energymeter.budget.forecast import HoursLeft as HoursLeft
    from energymeter.budget.gauge_log import hours_from_gauge as hours_from_gauge
    from energymeter.budget.gauge_log import hours_from_log as hours_from_log
    from energymeter.budget.gauge_log import left_by_gauge as left_by_gauge
    from energymeter.budget.ledger import Debit as Debit
    from energymeter.budget.ledger import Ledger as Ledger

__all__, __getattr__, __dir__ = face(
    __name__,
    {
        "account": "Account",
        "balance": "Balance",
        "forecast": "Forecast HoursLeft",
        "gauge_log": "hours_from_gauge hours_from_log left_by_gauge",
        "ledger": "Debit Ledger",
    },
)
