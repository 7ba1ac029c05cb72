"""What a measurement is shown and proved with: figures, pages, verification, files for other programs."""

from energymeter.lazy import TYPE_CHECKING, face

if TYPE_CHECKING:
    from energymeter.report.live import Live as Live

__all__, __getattr__, __dir__ = face(__name__, {"live": "Live"})
