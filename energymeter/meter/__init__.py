"""The meter that a program holds: blocks, spans, loops, decorators, and the budget that pays."""

from energymeter.lazy import face

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing
if TYPE_CHECKING:
    from energymeter.meter.budget import Budget as Budget
    from energymeter.meter.decorator import measure as measure
    from energymeter.meter.meter import EnergyMeter as EnergyMeter
    from energymeter.meter.ranks import RankMeter as RankMeter
    from energymeter.meter.span import Span as Span
    from energymeter.meter.spans import Spans as Spans
    from energymeter.meter.spans import Statistics as Statistics
    from energymeter.meter.token_costs import Timings as Timings
    from energymeter.meter.token_costs import TokenCosts as TokenCosts
    from energymeter.meter.tokens import Tokens as Tokens

__all__, __getattr__, __dir__ = face(
    __name__,
    {
        "budget": "Budget",
        "decorator": "measure",
        "meter": "EnergyMeter",
        "ranks": "RankMeter",
        "span": "Span",
        "spans": "Spans Statistics",
        "token_costs": "Timings TokenCosts",
        "tokens": "Tokens",
    },
)
