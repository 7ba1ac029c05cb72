"""Showing and proving what was measured: pictures of recordings and of comparisons."""

from energymeter.lazy import face

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing
if TYPE_CHECKING:
    from energymeter.report.decision_plot import plot_comparison as plot_comparison
    from energymeter.report.decision_plot import plot_sweep as plot_sweep
    from energymeter.report.interactive import interactive_page as interactive_page
    from energymeter.report.picture import Picture as Picture
    from energymeter.report.plot import plot_traces as plot_traces

__all__, __getattr__, __dir__ = face(
    __name__,
    {
        "decision_plot": "plot_comparison plot_sweep",
        "interactive": "interactive_page",
        "picture": "Picture",
        "plot": "plot_traces",
    },
)
