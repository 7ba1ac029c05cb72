"""Recordings of many machines in one lake of Parquet files, and the questions that engines answer from it."""

from energymeter.lazy import TYPE_CHECKING, face

if TYPE_CHECKING:
    from energymeter.lake.engines import Tables as Tables
    from energymeter.lake.generator import generate as generate
    from energymeter.lake.page import class_page as class_page
    from energymeter.lake.pushing import push as push
    from energymeter.lake.pushing import push_budget as push_budget
    from energymeter.lake.questions import Answer as Answer
    from energymeter.lake.questions import Choice as Choice
    from energymeter.lake.questions import battery as battery
    from energymeter.lake.questions import coverage as coverage
    from energymeter.lake.questions import fleet as fleet
    from energymeter.lake.questions import per_unit as per_unit
    from energymeter.lake.questions import power as power
    from energymeter.lake.questions import ranking as ranking
    from energymeter.lake.questions import regressions as regressions
    from energymeter.lake.statement import Statement as Statement
    from energymeter.lake.store import Store as Store
    from energymeter.lake.upkeep import compact as compact
    from energymeter.lake.upkeep import retain as retain

__all__, __getattr__, __dir__ = face(
    __name__,
    {
        "page": "class_page",
        "engines": "Tables",
        "generator": "generate",
        "pushing": "push push_budget",
        "questions": "Answer Choice battery coverage fleet per_unit power ranking regressions",
        "statement": "Statement",
        "store": "Store",
        "upkeep": "compact retain",
    },
)
