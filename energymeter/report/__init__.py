"""What a measurement is shown and proved with: pictures, pages, the live view, verification, timelines."""

from energymeter.lazy import TYPE_CHECKING, face

if TYPE_CHECKING:
    from energymeter.report.agreement_plot import plot_agreement as plot_agreement
    from energymeter.report.cards import Task as Task
    from energymeter.report.cards import card as card
    from energymeter.report.decision_plot import plot_comparison as plot_comparison
    from energymeter.report.decision_plot import plot_sweep as plot_sweep
    from energymeter.report.interactive import interactive_page as interactive_page
    from energymeter.report.live import Live as Live
    from energymeter.report.page import render as render
    from energymeter.report.picture import Picture as Picture
    from energymeter.report.plot import plot_traces as plot_traces
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
        "agreement_plot": "plot_agreement",
        "cards": "Task card",
        "decision_plot": "plot_comparison plot_sweep",
        "interactive": "interactive_page",
        "live": "Live",
        "page": "render",
        "picture": "Picture",
        "plot": "plot_traces",
        "report": "Report Settings Stated",
        "timeline": "Shares export",
        "verification": "Limits Rule Verification verify",
    },
)
