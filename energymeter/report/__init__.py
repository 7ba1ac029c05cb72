"""Showing what was measured: one page for people, and cards for other tools."""

from energymeter.lazy import face

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing
if TYPE_CHECKING:
    from energymeter.report.cards import Task as Task
    from energymeter.report.cards import card as card
    from energymeter.report.page import render as render
    from energymeter.report.report import Report as Report
    from energymeter.report.report import Settings as Settings
    from energymeter.report.report import Stated as Stated

__all__, __getattr__, __dir__ = face(
    __name__, {"cards": "Task card", "page": "render", "report": "Report Settings Stated"}
)
