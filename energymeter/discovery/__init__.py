"""What is connected to this machine, and which source to take."""

from energymeter.lazy import face

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing
if TYPE_CHECKING:
    from energymeter.discovery.choice import Choice as Choice
    from energymeter.discovery.choice import Finding as Finding
    from energymeter.discovery.choice import choose as choose
    from energymeter.discovery.choice import find as find

__all__, __getattr__, __dir__ = face(
    __name__,
    {
        "choice": "Choice Finding choose find",
    },
)
