"""What a measurement is shown and proved with: figures, pages, verification, files for other programs."""

from energymeter.lazy import face

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing
if TYPE_CHECKING:
    from energymeter.report.timeline import Shares as Shares
    from energymeter.report.timeline import export as export
    from energymeter.report.verification import Limits as Limits
    from energymeter.report.verification import Rule as Rule
    from energymeter.report.verification import Verification as Verification
    from energymeter.report.verification import verify as verify

__all__, __getattr__, __dir__ = face(
    __name__,
    {
        "timeline": "Shares export",
        "verification": "Limits Rule Verification verify",
    },
)
