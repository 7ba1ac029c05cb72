"""Deciding with measured energy: `compare` and `sweep`."""

from energymeter.lazy import face

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing
if TYPE_CHECKING:
    from energymeter.comparison.arms import compare as compare
    from energymeter.comparison.board_axes import BoardAxis as BoardAxis
    from energymeter.comparison.comparison import Comparison as Comparison
    from energymeter.comparison.comparison import Verdict as Verdict
    from energymeter.comparison.interleaved import Interrupted as Interrupted
    from energymeter.comparison.interleaved import Protocol as Protocol
    from energymeter.comparison.roofline import Roofline as Roofline
    from energymeter.comparison.runs import Run as Run
    from energymeter.comparison.sweeping import Sweep as Sweep
    from energymeter.comparison.sweeping import sweep as sweep

__all__, __getattr__, __dir__ = face(
    __name__,
    {
        "arms": "compare",
        "board_axes": "BoardAxis",
        "comparison": "Comparison Verdict",
        "interleaved": "Interrupted Protocol",
        "roofline": "Roofline",
        "runs": "Run",
        "sweeping": "Sweep sweep",
    },
)
