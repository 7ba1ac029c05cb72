"""What a measurement is shown and proved with: pages, the live view, verification, files for other programs."""

from energymeter.lazy import TYPE_CHECKING, face

if TYPE_CHECKING:
    from energymeter.report.cards import Task as Task
    from energymeter.report.cards import card as card
    from energymeter.report.live import Live as Live
    from energymeter.report.page import render as render
    from energymeter.report.report import Report as Report
    from energymeter.report.report import Settings as Settings
    from energymeter.report.report import Stated as Stated
    from energymeter.report.timeline import Shares as Shares
    from energymeter.report.timeline import export as export
    from energymeter.report.verification import Limits as Limits
    from energymeter.report.verification import Rule as Rule
    from energymeter.report.verification import Verification as Verification
    from energymeter.report.verification import verify as verify

__all__, __getattr__, __dir__ = face(
    __name__,
    {
        "cards": "Task card",
        "live": "Live",
        "page": "render",
        "report": "Report Settings Stated",
        "timeline": "Shares export",
        "verification": "Limits Rule Verification verify",
    },
)
